//! NOP both ways: pings of the initiator are echoed, and a silent initiator is asked whether it is
//! still there (RFC 7143 §11.18, §11.19).

use std::time::Instant;

use smallvec::SmallVec;

use super::connection::ConnectionId;
use super::keepalive::Due;
use super::{CloseReason, Session};
use crate::pdu::nop_in::NopIn;
use crate::pdu::nop_out::NopOut;
use crate::pdu::{RESERVED_TAG, RawPdu};

impl Session {
    pub(super) fn handle_nop_out(&mut self, on: ConnectionId, pdu: &mut RawPdu) {
        let header = NopOut::parse(&pdu.bhs);
        if header.initiator_task_tag == RESERVED_TAG {
            // An answer to our NOP-In, or only an ExpStatSN: that it came is all there is to it, unless
            // it says that the initiator knows of the end of tasks.
            if !self.terminations.is_empty() {
                self.acknowledge_terminations(on, header.lun);
            }
            return;
        }
        let most = self.retention_of(on);
        let Some(connection) = self.connections.get_mut(on) else {
            return;
        };
        let mut echo = std::mem::take(&mut pdu.data);
        echo.truncate(connection.segment_limit());
        // It may wait in the queue for long: it must not keep a receive buffer alive.
        echo.detach();
        let stat_sn = connection.take_stat_sn();
        let nop = NopIn {
            lun: [0; 8],
            initiator_task_tag: header.initiator_task_tag,
            target_transfer_tag: RESERVED_TAG,
            stat_sn,
            exp_cmd_sn: self.window.expected(),
            max_cmd_sn: self.window.advertise(),
        };
        let bhs = nop.encode(echo.len());
        connection.send_status(stat_sn, bhs, echo.to_contiguous(), most);
    }

    /// Sends a NOP-In of our own, which uses no StatSN up: one that asks for an answer, or one that
    /// only tells the command window.
    pub(super) fn send_nop_in(&mut self, on: ConnectionId, ask: bool) {
        let Some(connection) = self.connections.get_mut(on) else {
            return;
        };
        let nop = NopIn {
            lun: [0; 8],
            initiator_task_tag: RESERVED_TAG,
            target_transfer_tag: if ask {
                connection.take_tag()
            } else {
                RESERVED_TAG
            },
            stat_sn: connection.stat_sn(),
            exp_cmd_sn: self.window.expected(),
            max_cmd_sn: self.window.advertise(),
        };
        connection.tx.push_header(&nop.encode(0));
    }

    /// Tells the initiator on some connection that the command window is open again.
    pub(super) fn tell_window(&mut self) {
        let first = self.connections.open().next();
        if let Some(on) = first.map(|connection| connection.id) {
            self.send_nop_in(on, false);
        }
    }

    pub(super) fn keep_alive(&mut self, now: Instant) {
        let due: SmallVec<[_; 2]> = self
            .connections
            .iter_mut()
            .filter(|connection| connection.is_open())
            .map(|connection| (connection.id, connection.keepalive.due(now)))
            .collect();
        for (on, due) in due {
            match due {
                Due::Nothing => {}
                Due::Ping => self.send_nop_in(on, true),
                Due::Dead => self.drop_connection(on, CloseReason::KeepaliveTimeout),
            }
        }
    }
}
