//! NOP-In (RFC 7143 §11.19), from the target.

use super::layout::pdu;
use crate::serial::SerialNumber;

pdu! {
    /// A NOP-In without its ping data.
    NopIn = 0x20, fixed 0x80;
    flags {}
    fields {
        /// LUN: with a Target Transfer Tag, to be repeated by the initiator (RFC 7143 §11.19.3).
        lun: [u8; 8] = 8;
        /// Initiator Task Tag of the NOP-Out that this answers, or 0xffffffff.
        initiator_task_tag: u32 = 16;
        /// Target Transfer Tag: 0xffffffff unless we want an answer (RFC 7143 §11.19.1).
        target_transfer_tag: u32 = 20;
        /// StatSN; used up only by an answer (RFC 7143 §11.19.2).
        stat_sn: SerialNumber = 24;
        /// ExpCmdSN.
        exp_cmd_sn: SerialNumber = 28;
        /// MaxCmdSN.
        max_cmd_sn: SerialNumber = 32;
    }
}
