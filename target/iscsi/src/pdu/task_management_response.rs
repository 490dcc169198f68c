//! Task Management Function Response (RFC 7143 §11.6), from the target.

use super::layout::pdu;
use crate::serial::SerialNumber;

pdu! {
    /// A Task Management Function Response.
    TaskManagementResponse = 0x22, fixed 0x80;
    flags {}
    fields {
        /// Response (RFC 7143 §11.6.1).
        response: u8 = 2;
        /// Initiator Task Tag of the request.
        initiator_task_tag: u32 = 16;
        /// StatSN.
        stat_sn: SerialNumber = 24;
        /// ExpCmdSN.
        exp_cmd_sn: SerialNumber = 28;
        /// MaxCmdSN.
        max_cmd_sn: SerialNumber = 32;
    }
}
