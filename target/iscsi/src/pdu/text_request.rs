//! Text Request (RFC 7143 §11.10), from the initiator.

use super::layout::pdu;
use crate::serial::SerialNumber;

pdu! {
    /// A Text Request without its text.
    TextRequest = 0x04, fixed 0x00;
    flags {
        /// I: for immediate delivery.
        immediate = 0 & 0x40;
        /// F: the initiator has nothing more to say (RFC 7143 §11.10.1).
        last = 1 & 0x80;
        /// C: the text goes on in the next request (RFC 7143 §11.10.2).
        text_continues = 1 & 0x40;
    }
    fields {
        /// LUN: that of the response before.
        lun: [u8; 8] = 8;
        /// Initiator Task Tag.
        initiator_task_tag: u32 = 16;
        /// Target Transfer Tag of the response before, or 0xffffffff to begin (RFC 7143 §11.10.4).
        target_transfer_tag: u32 = 20;
        /// CmdSN.
        cmd_sn: SerialNumber = 24;
        /// ExpStatSN.
        exp_stat_sn: SerialNumber = 28;
    }
}
