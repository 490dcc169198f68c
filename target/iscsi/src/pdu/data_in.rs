//! SCSI Data-In (RFC 7143 §11.7), from the target.

use super::layout::pdu;
use crate::serial::SerialNumber;

pdu! {
    /// A Data-In without its data.
    DataIn = 0x25, fixed 0x00;
    flags {
        /// F: the last PDU of a sequence (RFC 7143 §11.7.1).
        last = 1 & 0x80;
        /// A: a positive acknowledgement is asked for; never at ErrorRecoveryLevel 0
        /// (RFC 7143 §11.7.2).
        acknowledge = 1 & 0x40;
        /// O: there was more data than the initiator expected. With S only (RFC 7143 §11.7.3).
        overflow = 1 & 0x04;
        /// U: there was less data than the initiator expected. With S only.
        underflow = 1 & 0x02;
        /// S: the PDU carries the status, and the task ends with it.
        has_status = 1 & 0x01;
    }
    fields {
        /// The SCSI status, with S.
        status: u8 = 3;
        /// LUN, with A only.
        lun: [u8; 8] = 8;
        /// Initiator Task Tag of the command.
        initiator_task_tag: u32 = 16;
        /// Target Transfer Tag: 0xffffffff without A (RFC 7143 §11.7.4).
        target_transfer_tag: u32 = 20;
        /// StatSN, with S only.
        stat_sn: SerialNumber = 24;
        /// ExpCmdSN.
        exp_cmd_sn: SerialNumber = 28;
        /// MaxCmdSN.
        max_cmd_sn: SerialNumber = 32;
        /// DataSN: the number of the PDU among those of the command (RFC 7143 §11.7.5).
        data_sn: u32 = 36;
        /// Buffer Offset in bytes.
        buffer_offset: u32 = 40;
        /// Residual Count in bytes, with S only.
        residual_count: u32 = 44;
    }
}
