//! Text Response (RFC 7143 §11.11), from the target.

use super::layout::pdu;
use crate::serial::SerialNumber;

pdu! {
    /// A Text Response without its text.
    TextResponse = 0x24, fixed 0x00;
    flags {
        /// F: the exchange is over (RFC 7143 §11.11.1).
        last = 1 & 0x80;
        /// C: the text goes on in the next response (RFC 7143 §11.11.2).
        text_continues = 1 & 0x40;
    }
    fields {
        /// LUN: zero.
        lun: [u8; 8] = 8;
        /// Initiator Task Tag of the request.
        initiator_task_tag: u32 = 16;
        /// Target Transfer Tag: 0xffffffff when the exchange is over (RFC 7143 §11.11.4).
        target_transfer_tag: u32 = 20;
        /// StatSN.
        stat_sn: SerialNumber = 24;
        /// ExpCmdSN.
        exp_cmd_sn: SerialNumber = 28;
        /// MaxCmdSN.
        max_cmd_sn: SerialNumber = 32;
    }
}
