//! SCSI Data-Out (RFC 7143 §11.7), from the initiator.

use super::layout::pdu;
use crate::serial::SerialNumber;

pdu! {
    /// A Data-Out without its data.
    DataOut = 0x05, fixed 0x00;
    flags {
        /// F: the last PDU of the sequence (RFC 7143 §11.7.1).
        last = 1 & 0x80;
    }
    fields {
        /// LUN: that of the R2T; of no meaning in unsolicited data.
        lun: [u8; 8] = 8;
        /// Initiator Task Tag of the command.
        initiator_task_tag: u32 = 16;
        /// Target Transfer Tag of the R2T, or 0xffffffff in unsolicited data (RFC 7143 §11.7.4).
        target_transfer_tag: u32 = 20;
        /// ExpStatSN.
        exp_stat_sn: SerialNumber = 28;
        /// DataSN: the number of the PDU in its sequence (RFC 7143 §11.7.5).
        data_sn: u32 = 36;
        /// Buffer Offset in bytes (RFC 7143 §11.7.6).
        buffer_offset: u32 = 40;
    }
}
