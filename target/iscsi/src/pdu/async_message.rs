//! Asynchronous Message (RFC 7143 §11.9), from the target.

use super::layout::pdu;
use crate::serial::SerialNumber;

pdu! {
    /// An Asynchronous Message without its data.
    AsyncMessage = 0x32, fixed 0x80;
    flags {}
    fields {
        /// LUN, for SCSI events and terminated tasks.
        lun: [u8; 8] = 8;
        /// Always 0xffffffff.
        initiator_task_tag: u32 = 16;
        /// StatSN.
        stat_sn: SerialNumber = 24;
        /// ExpCmdSN.
        exp_cmd_sn: SerialNumber = 28;
        /// MaxCmdSN.
        max_cmd_sn: SerialNumber = 32;
        /// AsyncEvent (RFC 7143 §11.9.1).
        async_event: u8 = 36;
        /// AsyncVCode (RFC 7143 §11.9.2).
        async_v_code: u8 = 37;
        /// Parameter1.
        parameter1: u16 = 38;
        /// Parameter2.
        parameter2: u16 = 40;
        /// Parameter3.
        parameter3: u16 = 42;
    }
}
