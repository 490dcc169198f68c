//! Reject (RFC 7143 §11.17), from the target.

use super::layout::pdu;
use crate::serial::SerialNumber;

pdu! {
    /// A Reject without its data, which is the header of the PDU in error.
    Reject = 0x3f, fixed 0x80;
    flags {}
    fields {
        /// Reason (RFC 7143 §11.17.1).
        reason: u8 = 2;
        /// Always 0xffffffff.
        initiator_task_tag: u32 = 16;
        /// StatSN.
        stat_sn: SerialNumber = 24;
        /// ExpCmdSN.
        exp_cmd_sn: SerialNumber = 28;
        /// MaxCmdSN.
        max_cmd_sn: SerialNumber = 32;
        /// DataSN or R2TSN, for a rejected Data/R2T SNACK (RFC 7143 §11.17.2).
        data_sn: u32 = 36;
    }
}
