//! The entries, in ascending order of operation code and service action.
//!
//! Usage data is written out as the standards draw the CDB, one byte after the other. The control
//! byte is always zero: ACA is not supported, so NACA is a reserved bit here.

use crate::commands::{
    capacity, compare_and_write, diagnostic, extended_copy, format_unit, identifying_information,
    inquiry, lba_status, log_sense, mode_select, mode_sense, or_write, persistent_in,
    persistent_out, prefetch, read, read_defect_data, receive_copy, report_luns, report_opcodes,
    report_target_port_groups, report_task_management, report_timestamp, request_sense, reserve,
    rod_token, sanitize, set_target_port_groups, start_stop, synchronize_cache, test_unit_ready,
    unmap, verify, write, write_atomic, write_same, write_verify,
};
use crate::opcodes::fields::{
    COPY, FUA_NV, GROUP_10, GROUP_12, GROUP_16, HOURS, LIST_IDENTIFIER, LONG, QUICK,
    RESERVATION_ID, SCOPE_AND_TYPE, SYNC_NV, TRANSFER,
};
use crate::opcodes::{Access, Class, OpCode, Requires, ServedIn};

const DUPLICATE: &str = "as the 10-byte command";

/// The usage data of a 16-byte CDB with an 8-byte address and a 4-byte length; GROUP NUMBER has no
/// effect.
const fn block_16(operation_code: u8, flags: u8) -> [u8; 16] {
    let (code, byte) = (operation_code, 0xff);
    [
        code, flags, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, 0, 0,
    ]
}

const fn entry(operation_code: u8, name: &'static str, standard: &'static str) -> OpCode {
    OpCode {
        operation_code,
        service_action: None,
        name,
        standard,
        usage: &[],
        tolerated: 0,
        class: Class::Control,
        reservations: None,
        access_states: None,
        requires: Requires::Nothing,
        timeouts: QUICK,
        notes: "in full",
        handler: test_unit_ready::handle,
    }
}

/// All supported commands.
pub const TABLE: &[OpCode] = &[
    OpCode {
        usage: &[0x00, 0, 0, 0, 0, 0],
        class: Class::Ready,
        ..entry(0x00, "TEST UNIT READY", "SPC-5")
    },
    OpCode {
        usage: &[0x03, 0x01, 0, 0, 0xff, 0],
        class: Class::Always,
        handler: request_sense::handle,
        notes: "fixed and descriptor format; reports and clears a unit attention",
        ..entry(0x03, "REQUEST SENSE", "SPC-5")
    },
    OpCode {
        usage: &[0x04, 0xff, 0, 0, 0, 0],
        class: Class::MediumWrite,
        timeouts: HOURS,
        handler: format_unit::handle,
        notes: "in the background; all blocks become zeros; no defect lists, patterns or protection information",
        ..entry(0x04, "FORMAT UNIT", "SBC-4")
    },
    OpCode {
        usage: &[0x08, 0x1f, 0xff, 0xff, 0xff, 0],
        class: Class::MediumRead,
        timeouts: TRANSFER,
        handler: read::handle,
        ..entry(0x08, "READ(6)", "SBC-4")
    },
    OpCode {
        usage: &[0x0a, 0x1f, 0xff, 0xff, 0xff, 0],
        class: Class::MediumWrite,
        timeouts: TRANSFER,
        handler: write::handle,
        ..entry(0x0a, "WRITE(6)", "SBC-4")
    },
    OpCode {
        usage: &[0x12, 0x01, 0xff, 0xff, 0xff, 0],
        class: Class::Always,
        handler: inquiry::handle,
        notes: "VPD pages 00h, 80h, 83h, 86h, 87h, 88h, 8Fh, B0h, B1h, B2h",
        ..entry(0x12, "INQUIRY", "SPC-5")
    },
    OpCode {
        usage: &[0x15, 0x11, 0, 0, 0xff, 0],
        handler: mode_select::handle_6,
        notes: "WCE, D_SENSE and SWP can be changed",
        ..entry(0x15, "MODE SELECT(6)", "SPC-5")
    },
    OpCode {
        usage: &[0x16, 0, 0, 0, 0, 0],
        tolerated: RESERVATION_ID,
        reservations: Some(Access::Always),
        handler: reserve::reserve,
        notes: "of the whole unit, for the sender itself",
        ..entry(0x16, "RESERVE(6)", "SPC-2")
    },
    OpCode {
        usage: &[0x17, 0, 0, 0, 0, 0],
        tolerated: RESERVATION_ID,
        reservations: Some(Access::Always),
        handler: reserve::release,
        ..entry(0x17, "RELEASE(6)", "SPC-2")
    },
    OpCode {
        usage: &[0x1a, 0x08, 0xff, 0xff, 0xff, 0],
        reservations: Some(Access::Reads),
        handler: mode_sense::handle_6,
        notes: "pages 01h, 08h, 0Ah, 1Ch, 3Fh; subpages 0Ah/01h and 1Ch/02h; all page controls",
        ..entry(0x1a, "MODE SENSE(6)", "SPC-5")
    },
    OpCode {
        usage: &[0x1b, 0x01, 0, 0, 0xf7, 0],
        access_states: Some(ServedIn::Active),
        timeouts: LONG,
        reservations: Some(Access::WritesUnlessItStarts),
        handler: start_stop::handle,
        notes: "start and stop; power conditions and LOEJ are refused",
        ..entry(0x1b, "START STOP UNIT", "SBC-4")
    },
    OpCode {
        usage: &[0x1c, 0x01, 0xff, 0xff, 0xff, 0],
        reservations: Some(Access::Reads),
        handler: diagnostic::receive,
        notes: "page 00h",
        ..entry(0x1c, "RECEIVE DIAGNOSTIC RESULTS", "SPC-5")
    },
    OpCode {
        usage: &[0x1d, 0xf7, 0, 0xff, 0xff, 0],
        class: Class::MediumRead,
        access_states: Some(ServedIn::Standby),
        timeouts: TRANSFER,
        reservations: Some(Access::Writes),
        handler: diagnostic::send,
        notes: "the default self-test",
        ..entry(0x1d, "SEND DIAGNOSTIC", "SPC-5")
    },
    OpCode {
        usage: &[0x25, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0x01, 0],
        class: Class::Ready,
        reservations: Some(Access::Always),
        access_states: Some(ServedIn::Standby),
        handler: capacity::handle_10,
        ..entry(0x25, "READ CAPACITY(10)", "SBC-4")
    },
    OpCode {
        usage: &[0x28, 0xf8, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0],
        tolerated: FUA_NV | GROUP_10,
        class: Class::MediumRead,
        timeouts: TRANSFER,
        handler: read::handle,
        notes: "DPO, FUA; no protection information",
        ..entry(0x28, "READ(10)", "SBC-4")
    },
    OpCode {
        usage: &[0x2a, 0xf8, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0],
        tolerated: FUA_NV | GROUP_10,
        class: Class::MediumWrite,
        timeouts: TRANSFER,
        handler: write::handle,
        notes: "DPO, FUA; no protection information",
        ..entry(0x2a, "WRITE(10)", "SBC-4")
    },
    OpCode {
        usage: &[0x2e, 0xf6, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0],
        tolerated: GROUP_10,
        class: Class::MediumWrite,
        timeouts: TRANSFER,
        handler: write_verify::handle,
        notes: "durable before it is compared; BYTCHK 00b and 01b",
        ..entry(0x2e, "WRITE AND VERIFY(10)", "SBC-4")
    },
    OpCode {
        usage: &[0x2f, 0xf6, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0],
        tolerated: GROUP_10,
        class: Class::MediumRead,
        timeouts: TRANSFER,
        handler: verify::handle,
        notes: "BYTCHK 00b, 01b and 11b",
        ..entry(0x2f, "VERIFY(10)", "SBC-4")
    },
    OpCode {
        usage: &[0x34, 0x02, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0],
        tolerated: GROUP_10,
        class: Class::MediumRead,
        timeouts: TRANSFER,
        handler: prefetch::handle,
        notes: "reads into the cache of the host; always completes before status",
        ..entry(0x34, "PRE-FETCH(10)", "SBC-4")
    },
    OpCode {
        usage: &[0x35, 0x02, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0],
        tolerated: SYNC_NV | GROUP_10,
        class: Class::MediumRead,
        timeouts: LONG,
        reservations: Some(Access::Writes),
        handler: synchronize_cache::handle,
        notes: "durable before status, whatever IMMED says",
        ..entry(0x35, "SYNCHRONIZE CACHE(10)", "SBC-4")
    },
    OpCode {
        usage: &[0x37, 0, 0x1f, 0, 0, 0, 0, 0xff, 0xff, 0],
        class: Class::Ready,
        reservations: Some(Access::Reads),
        handler: read_defect_data::handle_10,
        notes: "both lists are empty, in any format",
        ..entry(0x37, "READ DEFECT DATA(10)", "SBC-4")
    },
    OpCode {
        usage: &[0x41, 0xf8, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0],
        tolerated: GROUP_10,
        class: Class::MediumWrite,
        timeouts: LONG,
        handler: write_same::handle,
        notes: "UNMAP where thin; no anchored blocks; a length of zero goes to the last block",
        ..entry(0x41, "WRITE SAME(10)", "SBC-4")
    },
    OpCode {
        usage: &[0x42, 0x01, 0, 0, 0, 0, 0, 0xff, 0xff, 0],
        tolerated: GROUP_10,
        class: Class::MediumWrite,
        requires: Requires::Thin,
        timeouts: LONG,
        handler: unmap::handle,
        notes: "where thin; no anchored blocks",
        ..entry(0x42, "UNMAP", "SBC-4")
    },
    OpCode {
        service_action: Some(0x01),
        usage: &[0x48, 0xa1, 0, 0, 0, 0, 0, 0xff, 0xff, 0],
        class: Class::MediumWrite,
        requires: Requires::OwnBlocks,
        timeouts: HOURS,
        handler: sanitize::overwrite,
        notes: "without snapshots and clones; in the background; resumed after a restart",
        ..entry(0x48, "SANITIZE OVERWRITE", "SBC-4")
    },
    OpCode {
        service_action: Some(0x02),
        usage: &[0x48, 0xa2, 0, 0, 0, 0, 0, 0xff, 0xff, 0],
        class: Class::MediumWrite,
        requires: Requires::ThinOwnBlocks,
        timeouts: HOURS,
        handler: sanitize::block_erase,
        notes: "where thin, without snapshots and clones: gives all space back; in the background, resumed after a restart",
        ..entry(0x48, "SANITIZE BLOCK ERASE", "SBC-4")
    },
    OpCode {
        service_action: Some(0x1f),
        usage: &[0x48, 0xbf, 0, 0, 0, 0, 0, 0xff, 0xff, 0],
        class: Class::MediumWrite,
        handler: sanitize::exit_failure_mode,
        notes: "after a failure in the unrestricted completion mode (AUSE)",
        ..entry(0x48, "SANITIZE EXIT FAILURE MODE", "SBC-4")
    },
    OpCode {
        usage: &[0x4d, 0, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0],
        reservations: Some(Access::Always),
        handler: log_sense::handle,
        notes: "pages 00h, 0Ch where thin, 2Fh; the lists of subpages",
        ..entry(0x4d, "LOG SENSE", "SPC-5")
    },
    OpCode {
        usage: &[0x55, 0x11, 0, 0, 0, 0, 0, 0xff, 0xff, 0],
        handler: mode_select::handle_10,
        notes: "as MODE SELECT(6)",
        ..entry(0x55, "MODE SELECT(10)", "SPC-5")
    },
    OpCode {
        usage: &[0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        tolerated: RESERVATION_ID,
        reservations: Some(Access::Always),
        handler: reserve::reserve,
        notes: "as RESERVE(6)",
        ..entry(0x56, "RESERVE(10)", "SPC-2")
    },
    OpCode {
        usage: &[0x57, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        tolerated: RESERVATION_ID,
        reservations: Some(Access::Always),
        handler: reserve::release,
        notes: "as RELEASE(6)",
        ..entry(0x57, "RELEASE(10)", "SPC-2")
    },
    OpCode {
        usage: &[0x5a, 0x18, 0xff, 0xff, 0, 0, 0, 0xff, 0xff, 0],
        reservations: Some(Access::Reads),
        handler: mode_sense::handle_10,
        notes: "as MODE SENSE(6), with LLBAA",
        ..entry(0x5a, "MODE SENSE(10)", "SPC-5")
    },
    OpCode {
        service_action: Some(0x00),
        usage: &[0x5e, 0x00, 0, 0, 0, 0, 0, 0xff, 0xff, 0],
        reservations: Some(Access::Persistent),
        handler: persistent_in::read_keys,
        ..entry(0x5e, "PERSISTENT RESERVE IN, READ KEYS", "SPC-5")
    },
    OpCode {
        service_action: Some(0x01),
        usage: &[0x5e, 0x01, 0, 0, 0, 0, 0, 0xff, 0xff, 0],
        reservations: Some(Access::Persistent),
        handler: persistent_in::read_reservation,
        ..entry(0x5e, "PERSISTENT RESERVE IN, READ RESERVATION", "SPC-5")
    },
    OpCode {
        service_action: Some(0x02),
        usage: &[0x5e, 0x02, 0, 0, 0, 0, 0, 0xff, 0xff, 0],
        reservations: Some(Access::Persistent),
        handler: persistent_in::report_capabilities,
        ..entry(0x5e, "PERSISTENT RESERVE IN, REPORT CAPABILITIES", "SPC-5")
    },
    OpCode {
        service_action: Some(0x03),
        usage: &[0x5e, 0x03, 0, 0, 0, 0, 0, 0xff, 0xff, 0],
        reservations: Some(Access::Persistent),
        handler: persistent_in::read_full_status,
        ..entry(0x5e, "PERSISTENT RESERVE IN, READ FULL STATUS", "SPC-5")
    },
    OpCode {
        service_action: Some(0x00),
        usage: &[0x5f, 0x00, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0],
        tolerated: SCOPE_AND_TYPE,
        reservations: Some(Access::Persistent),
        timeouts: TRANSFER,
        handler: persistent_out::register,
        notes: "SPEC_I_PT, ALL_TG_PT, APTPL",
        ..entry(0x5f, "PERSISTENT RESERVE OUT, REGISTER", "SPC-5")
    },
    OpCode {
        service_action: Some(0x01),
        usage: &[0x5f, 0x01, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff, 0],
        reservations: Some(Access::Holder),
        timeouts: TRANSFER,
        handler: persistent_out::reserve,
        notes: "all six types",
        ..entry(0x5f, "PERSISTENT RESERVE OUT, RESERVE", "SPC-5")
    },
    OpCode {
        service_action: Some(0x02),
        usage: &[0x5f, 0x02, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff, 0],
        reservations: Some(Access::Registrants),
        timeouts: TRANSFER,
        handler: persistent_out::release,
        ..entry(0x5f, "PERSISTENT RESERVE OUT, RELEASE", "SPC-5")
    },
    OpCode {
        service_action: Some(0x03),
        usage: &[0x5f, 0x03, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0],
        tolerated: SCOPE_AND_TYPE,
        reservations: Some(Access::Registrants),
        timeouts: TRANSFER,
        handler: persistent_out::clear,
        ..entry(0x5f, "PERSISTENT RESERVE OUT, CLEAR", "SPC-5")
    },
    OpCode {
        service_action: Some(0x04),
        usage: &[0x5f, 0x04, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff, 0],
        reservations: Some(Access::Registrants),
        timeouts: TRANSFER,
        handler: persistent_out::preempt,
        ..entry(0x5f, "PERSISTENT RESERVE OUT, PREEMPT", "SPC-5")
    },
    OpCode {
        service_action: Some(0x05),
        usage: &[0x5f, 0x05, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff, 0],
        reservations: Some(Access::Registrants),
        timeouts: TRANSFER,
        handler: persistent_out::preempt_and_abort,
        notes: "no aborted task has I/O running any more before status",
        ..entry(0x5f, "PERSISTENT RESERVE OUT, PREEMPT AND ABORT", "SPC-5")
    },
    OpCode {
        service_action: Some(0x06),
        usage: &[0x5f, 0x06, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0],
        tolerated: SCOPE_AND_TYPE,
        reservations: Some(Access::Persistent),
        timeouts: TRANSFER,
        handler: persistent_out::register_and_ignore,
        notes: "as REGISTER, without SPEC_I_PT",
        ..entry(
            0x5f,
            "PERSISTENT RESERVE OUT, REGISTER AND IGNORE EXISTING KEY",
            "SPC-5",
        )
    },
    OpCode {
        service_action: Some(0x07),
        usage: &[0x5f, 0x07, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0],
        tolerated: SCOPE_AND_TYPE,
        reservations: Some(Access::Holder),
        timeouts: TRANSFER,
        handler: persistent_out::register_and_move,
        ..entry(0x5f, "PERSISTENT RESERVE OUT, REGISTER AND MOVE", "SPC-5")
    },
    OpCode {
        service_action: Some(0x00),
        usage: &[
            0x83, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0,
        ],
        class: Class::Ready,
        timeouts: COPY,
        reservations: Some(Access::Writes),
        handler: extended_copy::handle_lid1,
        notes: "block device to block device (02h, 0Ah), between the LUNs that the initiator sees",
        ..entry(0x83, "EXTENDED COPY(LID1)", "SPC-5")
    },
    OpCode {
        service_action: Some(0x01),
        usage: &[
            0x83, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0,
        ],
        class: Class::Ready,
        timeouts: COPY,
        reservations: Some(Access::Writes),
        handler: extended_copy::handle_lid4,
        notes: "as LID1; always in the foreground, no G_SENSE",
        ..entry(0x83, "EXTENDED COPY(LID4)", "SPC-5")
    },
    OpCode {
        service_action: Some(0x10),
        usage: &[
            0x83, 0x10, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0,
        ],
        tolerated: GROUP_16,
        class: Class::MediumRead,
        handler: rod_token::handle_populate,
        notes: "a write to what a token stands for cancels it; not where a volume has snapshots or clones",
        ..entry(0x83, "POPULATE TOKEN", "SBC-4")
    },
    OpCode {
        service_action: Some(0x11),
        usage: &[
            0x83, 0x11, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0,
        ],
        tolerated: GROUP_16,
        class: Class::MediumWrite,
        timeouts: COPY,
        handler: rod_token::handle_write,
        notes: "tokens of this daemon and the zero token; always in the foreground",
        ..entry(0x83, "WRITE USING TOKEN", "SBC-4")
    },
    OpCode {
        service_action: Some(0x1c),
        usage: &[
            0x83, 0x1c, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ],
        handler: extended_copy::handle_abort,
        ..entry(0x83, "COPY OPERATION ABORT", "SPC-5")
    },
    OpCode {
        service_action: Some(0x00),
        usage: &[
            0x84, 0x00, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0,
        ],
        reservations: Some(Access::Reads),
        handler: receive_copy::handle_status_lid1,
        ..entry(0x84, "RECEIVE COPY STATUS(LID1)", "SPC-5")
    },
    OpCode {
        service_action: Some(0x03),
        // Older initiators set LIST IDENTIFIER, which is reserved now.
        usage: &[
            0x84, 0x03, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0,
        ],
        tolerated: LIST_IDENTIFIER,
        reservations: Some(Access::Reads),
        handler: receive_copy::handle_operating_parameters,
        ..entry(0x84, "RECEIVE COPY OPERATING PARAMETERS", "SPC-5")
    },
    OpCode {
        service_action: Some(0x04),
        usage: &[
            0x84, 0x04, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0,
        ],
        reservations: Some(Access::Reads),
        handler: receive_copy::handle_failure_details,
        ..entry(0x84, "RECEIVE COPY FAILURE DETAILS(LID1)", "SPC-5")
    },
    OpCode {
        service_action: Some(0x05),
        usage: &[
            0x84, 0x05, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0,
        ],
        reservations: Some(Access::Reads),
        handler: receive_copy::handle_status_lid4,
        ..entry(0x84, "RECEIVE COPY STATUS(LID4)", "SPC-5")
    },
    OpCode {
        service_action: Some(0x07),
        usage: &[
            0x84, 0x07, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0,
        ],
        reservations: Some(Access::Reads),
        handler: rod_token::handle_receive,
        ..entry(0x84, "RECEIVE ROD TOKEN INFORMATION", "SPC-5")
    },
    OpCode {
        usage: &block_16(0x88, 0xf8),
        tolerated: FUA_NV | GROUP_16,
        class: Class::MediumRead,
        timeouts: TRANSFER,
        handler: read::handle,
        notes: DUPLICATE,
        ..entry(0x88, "READ(16)", "SBC-4")
    },
    OpCode {
        usage: &[
            0x89, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0xff, 0, 0,
        ],
        tolerated: FUA_NV | GROUP_16,
        class: Class::MediumWrite,
        timeouts: TRANSFER,
        handler: compare_and_write::handle,
        notes: "up to 255 blocks, atomic against everything that overlaps; DPO, FUA",
        ..entry(0x89, "COMPARE AND WRITE", "SBC-4")
    },
    OpCode {
        usage: &block_16(0x8a, 0xf8),
        tolerated: FUA_NV | GROUP_16,
        class: Class::MediumWrite,
        timeouts: TRANSFER,
        handler: write::handle,
        notes: DUPLICATE,
        ..entry(0x8a, "WRITE(16)", "SBC-4")
    },
    OpCode {
        usage: &block_16(0x8b, 0xf8),
        tolerated: FUA_NV | GROUP_16,
        class: Class::MediumWrite,
        timeouts: TRANSFER,
        handler: or_write::handle,
        notes: "atomic against everything that overlaps; DPO, FUA",
        ..entry(0x8b, "ORWRITE(16)", "SBC-4")
    },
    OpCode {
        usage: &block_16(0x8e, 0xf6),
        tolerated: GROUP_16,
        class: Class::MediumWrite,
        timeouts: TRANSFER,
        handler: write_verify::handle,
        notes: DUPLICATE,
        ..entry(0x8e, "WRITE AND VERIFY(16)", "SBC-4")
    },
    OpCode {
        usage: &block_16(0x8f, 0xf6),
        tolerated: GROUP_16,
        class: Class::MediumRead,
        timeouts: TRANSFER,
        handler: verify::handle,
        notes: DUPLICATE,
        ..entry(0x8f, "VERIFY(16)", "SBC-4")
    },
    OpCode {
        usage: &block_16(0x90, 0x02),
        tolerated: GROUP_16,
        class: Class::MediumRead,
        timeouts: TRANSFER,
        handler: prefetch::handle,
        notes: DUPLICATE,
        ..entry(0x90, "PRE-FETCH(16)", "SBC-4")
    },
    OpCode {
        usage: &block_16(0x91, 0x02),
        tolerated: SYNC_NV | GROUP_16,
        class: Class::MediumRead,
        timeouts: LONG,
        reservations: Some(Access::Writes),
        handler: synchronize_cache::handle,
        notes: DUPLICATE,
        ..entry(0x91, "SYNCHRONIZE CACHE(16)", "SBC-4")
    },
    OpCode {
        usage: &block_16(0x93, 0xf9),
        tolerated: GROUP_16,
        class: Class::MediumWrite,
        timeouts: LONG,
        handler: write_same::handle,
        notes: "as the 10-byte command, with NDOB",
        ..entry(0x93, "WRITE SAME(16)", "SBC-4")
    },
    OpCode {
        usage: &block_16(0x9c, 0xf8),
        tolerated: GROUP_16,
        class: Class::MediumWrite,
        requires: Requires::AtomicWrites,
        timeouts: LONG,
        handler: write_atomic::handle,
        notes: "all or nothing over a crash, durable before status, up to 1 MiB; ATOMIC BOUNDARY",
        ..entry(0x9c, "WRITE ATOMIC(16)", "SBC-4")
    },
    OpCode {
        service_action: Some(0x10),
        usage: &[
            0x9e, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0x01, 0,
        ],
        class: Class::Ready,
        reservations: Some(Access::Always),
        access_states: Some(ServedIn::Standby),
        handler: capacity::handle_16,
        ..entry(0x9e, "READ CAPACITY(16)", "SBC-4")
    },
    OpCode {
        service_action: Some(0x12),
        usage: &block_16(0x9e, 0x12),
        class: Class::MediumRead,
        timeouts: TRANSFER,
        handler: lba_status::handle,
        notes: "all LBAs (REPORT TYPE 00h), up to 256 descriptors",
        ..entry(0x9e, "GET LBA STATUS(16)", "SBC-4")
    },
    OpCode {
        usage: &[0xa0, 0, 0xff, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0],
        class: Class::Always,
        handler: report_luns::handle,
        notes: "all kinds of SELECT REPORT",
        ..entry(0xa0, "REPORT LUNS", "SPC-5")
    },
    OpCode {
        service_action: Some(0x05),
        usage: &[0xa3, 0x05, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xfe, 0],
        reservations: Some(Access::Allowed),
        handler: identifying_information::report,
        notes: "up to 64 bytes, up to 256 of text, and what is supported",
        ..entry(0xa3, "REPORT IDENTIFYING INFORMATION", "SPC-5")
    },
    OpCode {
        service_action: Some(0x0a),
        usage: &[0xa3, 0xea, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0],
        reservations: Some(Access::Allowed),
        access_states: Some(ServedIn::Transitioning),
        handler: report_target_port_groups::handle,
        notes: "length-only and extended header; up to 255 ports of a group",
        ..entry(0xa3, "REPORT TARGET PORT GROUPS", "SPC-5")
    },
    OpCode {
        service_action: Some(0x0c),
        usage: &[
            0xa3, 0x0c, 0x87, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0,
        ],
        reservations: Some(Access::Reads),
        handler: report_opcodes::handle,
        notes: "all reporting options, with timeouts",
        ..entry(0xa3, "REPORT SUPPORTED OPERATION CODES", "SPC-5")
    },
    OpCode {
        service_action: Some(0x0d),
        usage: &[0xa3, 0x0d, 0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0],
        reservations: Some(Access::Reads),
        handler: report_task_management::handle,
        notes: "short and extended form",
        ..entry(0xa3, "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS", "SPC-5")
    },
    OpCode {
        service_action: Some(0x0f),
        usage: &[0xa3, 0x0f, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0],
        reservations: Some(Access::Allowed),
        handler: report_timestamp::handle,
        notes: "the host's clock as it was when the daemon started, counted on",
        ..entry(0xa3, "REPORT TIMESTAMP", "SPC-5")
    },
    OpCode {
        service_action: Some(0x06),
        usage: &[0xa4, 0x06, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xfe, 0],
        timeouts: TRANSFER,
        handler: identifying_information::set,
        notes: "durable before status",
        ..entry(0xa4, "SET IDENTIFYING INFORMATION", "SPC-5")
    },
    OpCode {
        service_action: Some(0x0a),
        usage: &[0xa4, 0x0a, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0],
        reservations: Some(Access::Writes),
        access_states: Some(ServedIn::Unavailable),
        timeouts: LONG,
        requires: Requires::OwnAccessStates,
        handler: set_target_port_groups::handle,
        notes: "all primary states but transitioning; no offline; not where states follow a mirror",
        ..entry(0xa4, "SET TARGET PORT GROUPS", "SPC-5")
    },
    OpCode {
        usage: &[
            0xa8, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0,
        ],
        tolerated: FUA_NV | GROUP_12,
        class: Class::MediumRead,
        timeouts: TRANSFER,
        handler: read::handle,
        notes: DUPLICATE,
        ..entry(0xa8, "READ(12)", "SBC-4")
    },
    OpCode {
        usage: &[
            0xaa, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0,
        ],
        tolerated: FUA_NV | GROUP_12,
        class: Class::MediumWrite,
        timeouts: TRANSFER,
        handler: write::handle,
        notes: DUPLICATE,
        ..entry(0xaa, "WRITE(12)", "SBC-4")
    },
    OpCode {
        usage: &[
            0xae, 0xf6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0,
        ],
        tolerated: GROUP_12,
        class: Class::MediumWrite,
        timeouts: TRANSFER,
        handler: write_verify::handle,
        notes: DUPLICATE,
        ..entry(0xae, "WRITE AND VERIFY(12)", "SBC-4")
    },
    OpCode {
        usage: &[
            0xaf, 0xf6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0,
        ],
        tolerated: GROUP_12,
        class: Class::MediumRead,
        timeouts: TRANSFER,
        handler: verify::handle,
        notes: DUPLICATE,
        ..entry(0xaf, "VERIFY(12)", "SBC-4")
    },
    OpCode {
        usage: &[
            0xb7, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0,
        ],
        class: Class::Ready,
        reservations: Some(Access::Reads),
        handler: read_defect_data::handle_12,
        notes: "as the 10-byte command",
        ..entry(0xb7, "READ DEFECT DATA(12)", "SBC-4")
    },
];
