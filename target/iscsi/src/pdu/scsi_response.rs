//! SCSI Response (RFC 7143 §11.4), from the target.

use super::layout::pdu;
use crate::serial::SerialNumber;

pdu! {
    /// A SCSI Response without its sense data.
    ScsiResponse = 0x21, fixed 0x80;
    flags {
        /// o: the data-in of a bidirectional command overflowed (RFC 7143 §11.4.1).
        bidirectional_read_overflow = 1 & 0x10;
        /// u: the data-in of a bidirectional command was less than expected.
        bidirectional_read_underflow = 1 & 0x08;
        /// O: there was more data than the initiator expected.
        overflow = 1 & 0x04;
        /// U: there was less data than the initiator expected.
        underflow = 1 & 0x02;
    }
    fields {
        /// Response: 0x00 command completed at target, 0x01 target failure (RFC 7143 §11.4.3).
        response: u8 = 2;
        /// The SCSI status (RFC 7143 §11.4.2).
        status: u8 = 3;
        /// Initiator Task Tag.
        initiator_task_tag: u32 = 16;
        /// SNACK Tag: that of the last R-Data SNACK for the task, else 0 (RFC 7143 §11.4.4).
        snack_tag: u32 = 20;
        /// StatSN.
        stat_sn: SerialNumber = 24;
        /// ExpCmdSN.
        exp_cmd_sn: SerialNumber = 28;
        /// MaxCmdSN.
        max_cmd_sn: SerialNumber = 32;
        /// How many Data-In and R2T PDUs were sent for the task (RFC 7143 §11.4.8).
        exp_data_sn: u32 = 36;
        /// Bidirectional Read Residual Count in bytes (RFC 7143 §11.4.6).
        bidirectional_read_residual_count: u32 = 40;
        /// Residual Count in bytes (RFC 7143 §11.4.5.1).
        residual_count: u32 = 44;
    }
}
