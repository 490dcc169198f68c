//! Ready To Transfer (RFC 7143 §11.8), from the target.

use super::layout::pdu;
use crate::serial::SerialNumber;

pdu! {
    /// An R2T.
    R2t = 0x31, fixed 0x80;
    flags {}
    fields {
        /// LUN of the command; the Data-Out repeats it.
        lun: [u8; 8] = 8;
        /// Initiator Task Tag of the command.
        initiator_task_tag: u32 = 16;
        /// Target Transfer Tag: what the Data-Out PDUs answer to (RFC 7143 §11.8.5).
        target_transfer_tag: u32 = 20;
        /// The next StatSN; an R2T doesn't use one up (RFC 7143 §11.8.3).
        stat_sn: SerialNumber = 24;
        /// ExpCmdSN.
        exp_cmd_sn: SerialNumber = 28;
        /// MaxCmdSN.
        max_cmd_sn: SerialNumber = 32;
        /// R2TSN: the number of this R2T among those of the command (RFC 7143 §11.8.2).
        r2t_sn: u32 = 36;
        /// Buffer Offset in bytes (RFC 7143 §11.8.4).
        buffer_offset: u32 = 40;
        /// Desired Data Transfer Length in bytes, never 0.
        desired_data_transfer_length: u32 = 44;
    }
}
