//! Words of the table: how long commands take, and bits of CDBs that are tolerated.

use crate::opcodes::Timeouts;

/// Answers from memory.
pub(super) const QUICK: Timeouts = Timeouts {
    nominal: 1,
    recommended: 10,
};
/// One transfer.
pub(super) const TRANSFER: Timeouts = Timeouts {
    nominal: 5,
    recommended: 30,
};
/// Waits for everything that was written, or works on many blocks.
pub(super) const LONG: Timeouts = Timeouts {
    nominal: 15,
    recommended: 60,
};

/// Works on the whole medium.
pub(super) const HOURS: Timeouts = Timeouts {
    nominal: 60 * 60,
    recommended: 24 * 60 * 60,
};

/// Copies as much as was asked for.
pub(super) const COPY: Timeouts = Timeouts {
    nominal: 60,
    recommended: 600,
};

/// LIST IDENTIFIER in byte 2, reserved since SPC-4.
pub(super) const LIST_IDENTIFIER: u128 = 0xff << (8 * 13);
/// FUA_NV in byte 1, obsolete since SBC-4.
pub(super) const FUA_NV: u128 = 0x02 << (8 * 14);
/// SYNC_NV in byte 1, obsolete since SBC-4.
pub(super) const SYNC_NV: u128 = 0x04 << (8 * 14);
/// GROUP NUMBER in byte 6 of 10 byte CDBs: no grouping function, so it has no effect.
pub(super) const GROUP_10: u128 = 0x3f << (8 * 9);
/// GROUP NUMBER in byte 10 of 12 byte CDBs.
pub(super) const GROUP_12: u128 = 0x3f << (8 * 5);
/// GROUP NUMBER in byte 14 of 16 byte CDBs.
pub(super) const GROUP_16: u128 = 0x3f << 8;

/// RESERVATION IDENTIFICATION in byte 2 of RESERVE and RELEASE: for extents, which are obsolete.
pub(super) const RESERVATION_ID: u128 = 0xff << (8 * 13);
/// SCOPE and TYPE in byte 2 of PERSISTENT RESERVE OUT: ignored where nothing is reserved.
pub(super) const SCOPE_AND_TYPE: u128 = 0xff << (8 * 13);
