//! Task Management Function Request (RFC 7143 §11.5), from the initiator.

use super::layout::pdu;
use crate::serial::SerialNumber;

pdu! {
    /// A Task Management Function Request.
    TaskManagementRequest = 0x02, fixed 0x80;
    flags {
        /// I: for immediate delivery.
        immediate = 0 & 0x40;
    }
    code {
        /// Function (RFC 7143 §11.5.1).
        function & 0x7f;
    }
    fields {
        /// LUN, for the functions that concern one logical unit.
        lun: [u8; 8] = 8;
        /// Initiator Task Tag of this request.
        initiator_task_tag: u32 = 16;
        /// Referenced Task Tag, for ABORT TASK and TASK REASSIGN (RFC 7143 §11.5.4).
        referenced_task_tag: u32 = 20;
        /// CmdSN.
        cmd_sn: SerialNumber = 24;
        /// ExpStatSN.
        exp_stat_sn: SerialNumber = 28;
        /// RefCmdSN: the CmdSN of the task to abort (RFC 7143 §11.5.5).
        ref_cmd_sn: SerialNumber = 32;
        /// ExpDataSN, for TASK REASSIGN (RFC 7143 §11.5.6).
        exp_data_sn: u32 = 36;
    }
}
