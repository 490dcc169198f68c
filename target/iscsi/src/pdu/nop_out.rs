//! NOP-Out (RFC 7143 §11.18), from the initiator.

use super::layout::pdu;
use crate::serial::SerialNumber;

pdu! {
    /// A NOP-Out without its ping data.
    NopOut = 0x00, fixed 0x80;
    flags {
        /// I: for immediate delivery.
        immediate = 0 & 0x40;
    }
    fields {
        /// LUN: that of the NOP-In that this answers.
        lun: [u8; 8] = 8;
        /// Initiator Task Tag: 0xffffffff unless the initiator wants an answer (RFC 7143 §11.18.1).
        initiator_task_tag: u32 = 16;
        /// Target Transfer Tag of the NOP-In that this answers, or 0xffffffff (RFC 7143 §11.18.2).
        target_transfer_tag: u32 = 20;
        /// CmdSN.
        cmd_sn: SerialNumber = 24;
        /// ExpStatSN.
        exp_stat_sn: SerialNumber = 28;
    }
}
