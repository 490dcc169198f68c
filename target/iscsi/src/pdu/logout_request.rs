//! Logout Request (RFC 7143 §11.14), from the initiator.

use super::layout::pdu;
use crate::serial::SerialNumber;

pdu! {
    /// A Logout Request.
    LogoutRequest = 0x06, fixed 0x80;
    flags {
        /// I: for immediate delivery.
        immediate = 0 & 0x40;
    }
    code {
        /// Reason Code: 0 close the session, 1 close the connection, 2 remove the connection for
        /// recovery (RFC 7143 §11.14.1).
        reason & 0x7f;
    }
    fields {
        /// Initiator Task Tag.
        initiator_task_tag: u32 = 16;
        /// CID, of no meaning when the session is closed (RFC 7143 §11.14.3).
        cid: u16 = 20;
        /// CmdSN.
        cmd_sn: SerialNumber = 24;
        /// ExpStatSN.
        exp_stat_sn: SerialNumber = 28;
    }
}
