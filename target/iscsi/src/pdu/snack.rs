//! SNACK Request (RFC 7143 §11.16), from the initiator. At ErrorRecoveryLevel 0 there are none.

use super::layout::pdu;
use crate::serial::SerialNumber;

pdu! {
    /// A SNACK Request.
    Snack = 0x10, fixed 0x80;
    flags {}
    code {
        /// Type (RFC 7143 §11.16.1).
        kind & 0x0f;
    }
    fields {
        /// LUN.
        lun: [u8; 8] = 8;
        /// Initiator Task Tag.
        initiator_task_tag: u32 = 16;
        /// Target Transfer Tag or SNACK Tag (RFC 7143 §11.16.5).
        target_transfer_tag: u32 = 20;
        /// ExpStatSN.
        exp_stat_sn: SerialNumber = 28;
        /// BegRun (RFC 7143 §11.16.6).
        beg_run: u32 = 40;
        /// RunLength (RFC 7143 §11.16.7).
        run_length: u32 = 44;
    }
}
