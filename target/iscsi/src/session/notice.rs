//! Asynchronous messages: what the initiator is told without having asked (RFC 7143 §11.9).

use bytes::Bytes;

use super::Session;
use super::connection::ConnectionId;
use super::event::AsyncEvent;
use crate::pdu::RESERVED_TAG;
use crate::pdu::async_message::AsyncMessage;

/// How many seconds the initiator is given to log out when the daemon stops.
pub const LOGOUT_SECONDS: u16 = 3;

impl Session {
    /// Tells the initiator on that connection, and of that connection if it is about one. What follows from it is up to the shell: closing the connection, or
    /// waiting for the logout.
    pub fn async_message(&mut self, on: ConnectionId, event: AsyncEvent) {
        if self.closed {
            return;
        }
        let most = self.retention_of(on);
        let Some(connection) = self.connections.get_mut(on) else {
            return;
        };
        let wait = self.parameters.default_time2wait;
        let retain = self.parameters.default_time2retain;
        let (async_event, parameter1, parameter2, parameter3) = match event {
            AsyncEvent::RequestLogout { seconds } => (1, 0, 0, seconds),
            AsyncEvent::DropConnection => (2, connection.cid, wait, retain),
            AsyncEvent::DroppedConnection { cid } => (2, cid, wait, retain),
            AsyncEvent::DropAllConnections => (3, 0, wait, retain),
        };
        let stat_sn = connection.take_stat_sn();
        let message = AsyncMessage {
            lun: [0; 8],
            initiator_task_tag: RESERVED_TAG,
            stat_sn,
            exp_cmd_sn: self.window.expected(),
            max_cmd_sn: self.window.advertise(),
            async_event,
            async_v_code: 0,
            parameter1,
            parameter2,
            parameter3,
        };
        connection.send_status(stat_sn, message.encode(0), Bytes::new(), most);
    }

    /// Tells the initiator, on a connection that is left, that another one was dropped: its tasks can
    /// be reassigned, if that was negotiated.
    pub(super) fn tell_dropped(&mut self, cid: u16) {
        let left = self.connections.open().map(|it| it.id).next();
        if let Some(on) = left {
            self.async_message(on, AsyncEvent::DroppedConnection { cid });
        }
    }
}
