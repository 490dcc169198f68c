//! Logout: the orderly end of the session, or of one of its connections (RFC 7143 §11.14, §11.15).

use bytes::Bytes;

use super::connection::ConnectionId;
use super::reject::Reason;
use super::{CloseReason, Session};
use crate::pdu::RawPdu;
use crate::pdu::logout_request::LogoutRequest;
use crate::pdu::logout_response::LogoutResponse;

/// Reason codes of the request (RFC 7143 §11.14.1).
const CLOSE_SESSION: u8 = 0;
const CLOSE_CONNECTION: u8 = 1;
const REMOVE_FOR_RECOVERY: u8 = 2;

/// Responses (RFC 7143 §11.15.1).
const CLOSED: u8 = 0;
const CID_NOT_FOUND: u8 = 1;
const RECOVERY_NOT_SUPPORTED: u8 = 2;

/// What a logout leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The whole session ends.
    Session,
    /// That connection ends, for recovery or for good.
    Connection(ConnectionId, bool),
    /// That was all.
    Nothing,
}

impl Session {
    pub(super) fn handle_logout(&mut self, on: ConnectionId, pdu: &RawPdu) {
        let header = LogoutRequest::parse(&pdu.bhs);
        let (response, outcome) = match header.reason {
            CLOSE_SESSION => (CLOSED, Outcome::Session),
            CLOSE_CONNECTION => self.log_out(header.cid, false),
            REMOVE_FOR_RECOVERY if self.recovery_level() == 2 => self.log_out(header.cid, true),
            REMOVE_FOR_RECOVERY => (RECOVERY_NOT_SUPPORTED, Outcome::Nothing),
            _ => return self.reject_pdu(on, Reason::INVALID_PDU_FIELD, pdu),
        };
        if outcome == Outcome::Session {
            self.abort_tasks(|_| true);
        }
        let most = self.retention_of(on);
        let Some(connection) = self.connections.get_mut(on) else {
            return;
        };
        let stat_sn = connection.take_stat_sn();
        let response_pdu = LogoutResponse {
            response,
            initiator_task_tag: header.initiator_task_tag,
            stat_sn,
            exp_cmd_sn: self.window.expected(),
            max_cmd_sn: self.window.advertise(),
            time2wait: self.parameters.default_time2wait,
            time2retain: self.parameters.default_time2retain,
        };
        connection.send_status(stat_sn, response_pdu.encode(0), Bytes::new(), most);
        match outcome {
            Outcome::Session => self.close(CloseReason::Logout),
            Outcome::Connection(gone, recovery) => self.log_out_connection(gone, recovery),
            Outcome::Nothing => {}
        }
    }

    /// A logout of the connection with that CID.
    fn log_out(&mut self, cid: u16, recovery: bool) -> (u8, Outcome) {
        match self.connections.by_cid(cid) {
            // With the last connection, the session ends.
            Some(_) if !recovery && self.connection_count() == 1 => (CLOSED, Outcome::Session),
            Some(gone) => (CLOSED, Outcome::Connection(gone, recovery)),
            None if self.log_out_lost(cid, recovery) => (CLOSED, Outcome::Nothing),
            None => (CID_NOT_FOUND, Outcome::Nothing),
        }
    }
}
