//! Logout Response (RFC 7143 §11.15), from the target.

use super::layout::pdu;
use crate::serial::SerialNumber;

pdu! {
    /// A Logout Response.
    LogoutResponse = 0x26, fixed 0x80;
    flags {}
    fields {
        /// Response: 0 closed, 1 no such CID, 2 no recovery, 3 clean-up failed (RFC 7143 §11.15.1).
        response: u8 = 2;
        /// Initiator Task Tag of the request.
        initiator_task_tag: u32 = 16;
        /// StatSN.
        stat_sn: SerialNumber = 24;
        /// ExpCmdSN.
        exp_cmd_sn: SerialNumber = 28;
        /// MaxCmdSN.
        max_cmd_sn: SerialNumber = 32;
        /// Time2Wait in seconds (RFC 7143 §11.15.3).
        time2wait: u16 = 40;
        /// Time2Retain in seconds (RFC 7143 §11.15.4).
        time2retain: u16 = 42;
    }
}
