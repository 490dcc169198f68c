//! The entries, in ascending order of operation code and service action.

use crate::commands::{capacity, inquiry, read, report_luns, test_unit_ready, write};
use crate::opcodes::{Class, OpCode, Timeouts};

/// Answers from memory.
const QUICK: Timeouts = Timeouts {
    nominal: 1,
    recommended: 10,
};
/// One transfer.
const TRANSFER: Timeouts = Timeouts {
    nominal: 5,
    recommended: 30,
};
/// FUA_NV of SBC-3, obsolete since.
const FUA_NV: u128 = 0x02 << (8 * 14);

const fn entry(operation_code: u8, name: &'static str, clause: &'static str) -> OpCode {
    OpCode {
        operation_code,
        service_action: None,
        name,
        clause,
        usage: &[],
        tolerated: 0,
        class: Class::Control,
        timeouts: QUICK,
        notes: "",
        handler: test_unit_ready::handle,
    }
}

/// All supported commands.
pub const TABLE: &[OpCode] = &[
    OpCode {
        usage: &[0x00, 0, 0, 0, 0, 0x04],
        class: Class::Ready,
        ..entry(0x00, "TEST UNIT READY", "SPC-6 §6.47")
    },
    OpCode {
        usage: &[0x08, 0x1f, 0xff, 0xff, 0xff, 0x04],
        class: Class::MediumRead,
        timeouts: TRANSFER,
        handler: read::handle,
        ..entry(0x08, "READ(6)", "SBC-4 §5.15")
    },
    OpCode {
        usage: &[0x0a, 0x1f, 0xff, 0xff, 0xff, 0x04],
        class: Class::MediumWrite,
        timeouts: TRANSFER,
        handler: write::handle,
        ..entry(0x0a, "WRITE(6)", "SBC-4 §5.43")
    },
    OpCode {
        usage: &[0x12, 0x01, 0xff, 0xff, 0xff, 0x04],
        class: Class::Always,
        handler: inquiry::handle,
        ..entry(0x12, "INQUIRY", "SPC-6 §6.7")
    },
    OpCode {
        usage: &[0x25, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0x01, 0x04],
        class: Class::Ready,
        handler: capacity::handle_10,
        ..entry(0x25, "READ CAPACITY(10)", "SBC-4 §5.20")
    },
    OpCode {
        usage: &[0x28, 0xf8, 0xff, 0xff, 0xff, 0xff, 0x3f, 0xff, 0xff, 0x04],
        tolerated: FUA_NV,
        class: Class::MediumRead,
        timeouts: TRANSFER,
        handler: read::handle,
        ..entry(0x28, "READ(10)", "SBC-4 §5.16")
    },
    OpCode {
        usage: &[0x2a, 0xf8, 0xff, 0xff, 0xff, 0xff, 0x3f, 0xff, 0xff, 0x04],
        tolerated: FUA_NV,
        class: Class::MediumWrite,
        timeouts: TRANSFER,
        handler: write::handle,
        ..entry(0x2a, "WRITE(10)", "SBC-4 §5.44")
    },
    OpCode {
        usage: &[
            0x88, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0x3f, 0x04,
        ],
        tolerated: FUA_NV,
        class: Class::MediumRead,
        timeouts: TRANSFER,
        handler: read::handle,
        ..entry(0x88, "READ(16)", "SBC-4 §5.18")
    },
    OpCode {
        usage: &[
            0x8a, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0x3f, 0x04,
        ],
        tolerated: FUA_NV,
        class: Class::MediumWrite,
        timeouts: TRANSFER,
        handler: write::handle,
        ..entry(0x8a, "WRITE(16)", "SBC-4 §5.46")
    },
    OpCode {
        service_action: Some(0x10),
        usage: &[
            0x9e, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0x01, 0x04,
        ],
        class: Class::Ready,
        handler: capacity::handle_16,
        ..entry(0x9e, "READ CAPACITY(16)", "SBC-4 §5.21")
    },
    OpCode {
        usage: &[0xa0, 0, 0xff, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0x04],
        class: Class::Always,
        handler: report_luns::handle,
        ..entry(0xa0, "REPORT LUNS", "SPC-6 §6.28")
    },
    OpCode {
        usage: &[
            0xa8, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0x04,
        ],
        tolerated: FUA_NV,
        class: Class::MediumRead,
        timeouts: TRANSFER,
        handler: read::handle,
        ..entry(0xa8, "READ(12)", "SBC-4 §5.17")
    },
    OpCode {
        usage: &[
            0xaa, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0x04,
        ],
        tolerated: FUA_NV,
        class: Class::MediumWrite,
        timeouts: TRANSFER,
        handler: write::handle,
        ..entry(0xaa, "WRITE(12)", "SBC-4 §5.45")
    },
];
