//! SCSI Command (RFC 7143 §11.3), from the initiator.

use super::layout::pdu;
use crate::serial::SerialNumber;

pdu! {
    /// A SCSI Command without its additional headers and immediate data.
    ScsiCommand = 0x01, fixed 0x00;
    flags {
        /// I: for immediate delivery (RFC 7143 §11.2.1.1).
        immediate = 0 & 0x40;
        /// F: no unsolicited Data-Out PDU follows.
        last = 1 & 0x80;
        /// R: the command is expected to input data.
        read = 1 & 0x40;
        /// W: the command is expected to output data.
        write = 1 & 0x20;
    }
    code {
        /// ATTR: the task attribute (RFC 7143 §11.3.1); 5..=7 are reserved.
        attribute & 0x07;
    }
    fields {
        /// LUN (RFC 7143 §11.2.1.7).
        lun: [u8; 8] = 8;
        /// Initiator Task Tag.
        initiator_task_tag: u32 = 16;
        /// Expected Data Transfer Length in bytes (RFC 7143 §11.3.4); for a bidirectional command
        /// that of the data-out.
        expected_data_transfer_length: u32 = 20;
        /// CmdSN (RFC 7143 §11.3.2).
        cmd_sn: SerialNumber = 24;
        /// ExpStatSN.
        exp_stat_sn: SerialNumber = 28;
        /// The CDB, or the first 16 bytes of a longer one (RFC 7143 §11.3.5).
        cdb: [u8; 16] = 32;
    }
}
