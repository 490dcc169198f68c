//! Asynchronous messages: what the initiator is told without having asked (RFC 7143 §11.9).

use bytes::Bytes;

use super::Session;
use super::connection::ConnectionId;
use super::event::AsyncEvent;
use crate::pdu::RESERVED_TAG;
use crate::pdu::async_message::AsyncMessage;
use crate::serial::SerialNumber;

/// How many seconds the initiator is given to log out when the daemon stops.
pub const LOGOUT_SECONDS: u16 = 3;

/// AsyncEvent: all tasks for a LUN are being terminated (RFC 7143 §11.9.1).
const TASK_TERMINATION: u8 = 5;

impl Session {
    /// Tells the initiator on that connection, and of that connection if it is about one. What
    /// follows from it is up to the shell: closing the connection, or waiting for the logout.
    pub fn async_message(&mut self, on: ConnectionId, event: AsyncEvent) {
        if self.closed {
            return;
        }
        let Some(connection) = self.connections.get(on) else {
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
        let message = AsyncMessage {
            async_event,
            parameter1,
            parameter2,
            parameter3,
            ..AsyncMessage::default()
        };
        self.send_async(on, message);
    }

    /// Tells the initiator on that connection that all its tasks for a LUN have ended. Only if
    /// TaskReporting is FastAbort. The StatSN of the message; `None` if there is no such connection.
    pub(super) fn tell_termination(
        &mut self,
        on: ConnectionId,
        lun: [u8; 8],
    ) -> Option<SerialNumber> {
        let message = AsyncMessage {
            lun,
            async_event: TASK_TERMINATION,
            ..AsyncMessage::default()
        };
        self.send_async(on, message)
    }

    fn send_async(&mut self, on: ConnectionId, message: AsyncMessage) -> Option<SerialNumber> {
        let most = self.retention_of(on);
        let connection = self.connections.get_mut(on)?;
        let stat_sn = connection.take_stat_sn();
        let message = AsyncMessage {
            initiator_task_tag: RESERVED_TAG,
            stat_sn,
            exp_cmd_sn: self.window.expected(),
            max_cmd_sn: self.window.advertise(),
            ..message
        };
        connection.send_status(stat_sn, message.encode(0), Bytes::new(), most);
        Some(stat_sn)
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
