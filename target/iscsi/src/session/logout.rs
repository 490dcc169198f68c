//! Logout: the orderly end of the session (RFC 7143 §11.14, §11.15).

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

impl Session {
    pub(super) fn handle_logout(&mut self, on: ConnectionId, pdu: &RawPdu) {
        let header = LogoutRequest::parse(&pdu.bhs);
        let cid = self.connections.get(on).map(|connection| connection.cid);
        let response = match header.reason {
            CLOSE_SESSION => CLOSED,
            CLOSE_CONNECTION if Some(header.cid) == cid => CLOSED,
            CLOSE_CONNECTION => CID_NOT_FOUND,
            REMOVE_FOR_RECOVERY => RECOVERY_NOT_SUPPORTED,
            _ => return self.reject_pdu(on, Reason::INVALID_PDU_FIELD, pdu),
        };
        if response == CLOSED {
            // The session has one connection: whichever of the two is closed, all tasks end.
            self.abort_tasks(|_| true);
        }
        let Some(connection) = self.connections.get_mut(on) else {
            return;
        };
        let response_pdu = LogoutResponse {
            response,
            initiator_task_tag: header.initiator_task_tag,
            stat_sn: connection.take_stat_sn(),
            exp_cmd_sn: self.window.expected(),
            max_cmd_sn: self.window.advertise(),
            time2wait: self.parameters.default_time2wait,
            time2retain: self.parameters.default_time2retain,
        };
        connection.tx.push_header(&response_pdu.encode(0));
        if response == CLOSED {
            self.close(CloseReason::Logout);
        }
    }
}
