//! What belongs to one connection of a session: its numbering of statuses, its outgoing bytes, its
//! signs of life and the parameters that were settled for it alone (RFC 7143 §4.2.2.2). Knows no
//! tasks.

use std::time::{Duration, Instant};

use super::keepalive::Keepalive;
use super::text::TextExchange;
use crate::parameters::Parameters;
use crate::pdu::RESERVED_TAG;
use crate::serial::SerialNumber;
use crate::transmit::TxQueue;

/// Names a connection of one session. A name is never used again for another connection, also not
/// when that has the same CID.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ConnectionId(u32);

impl ConnectionId {
    /// The connection that the session began with.
    pub const LEADING: Self = Self(0);
}

/// What a connection begins full feature phase with.
#[derive(Clone, Debug)]
pub struct ConnectionConfig {
    /// CID.
    pub cid: u16,
    /// StatSN of the first response.
    pub stat_sn: u32,
    /// What the login of this connection settled on; the keys that belong to the session count only
    /// on its first connection.
    pub parameters: Parameters,
    /// Silence after which the initiator is asked whether it is still there; zero: never.
    pub nop_interval: Duration,
    /// How long its answer may take; zero: forever.
    pub nop_timeout: Duration,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) cid: u16,
    /// Of the keys that belong to a connection, those in force.
    pub(super) parameters: Parameters,
    pub(super) tx: TxQueue,
    pub(super) keepalive: Keepalive,
    /// The text exchange under way.
    pub(super) text: TextExchange,
    /// StatSN of the next response.
    stat_sn: SerialNumber,
    /// Target Transfer Tag of the next NOP-In that asks for an answer, and of the next text exchange
    /// that goes on.
    next_tag: u32,
}

impl Connection {
    fn new(id: ConnectionId, config: ConnectionConfig, now: Instant) -> Self {
        let mut tx = TxQueue::new();
        tx.set_digests(
            config.parameters.header_digest,
            config.parameters.data_digest,
        );
        Self {
            id,
            cid: config.cid,
            parameters: config.parameters,
            tx,
            keepalive: Keepalive::new(config.nop_interval, config.nop_timeout, now),
            text: TextExchange::default(),
            stat_sn: SerialNumber(config.stat_sn),
            next_tag: 0,
        }
    }

    /// The longest data segment that the initiator takes here, in bytes.
    #[inline]
    pub(super) fn segment_limit(&self) -> usize {
        self.parameters
            .initiator_max_recv_data_segment_length
            .max(1) as usize
    }

    /// StatSN for a PDU that doesn't use one up.
    #[inline]
    pub(super) fn stat_sn(&self) -> SerialNumber {
        self.stat_sn
    }

    /// StatSN for a response. The initiator's ExpStatSN isn't held against it: at ErrorRecoveryLevel
    /// 0 no response is kept, and initiators differ in when they count (RFC 7143 §4.2.2.2).
    #[inline]
    pub(super) fn take_stat_sn(&mut self) -> SerialNumber {
        let stat_sn = self.stat_sn;
        self.stat_sn = stat_sn.next();
        stat_sn
    }

    pub(super) fn take_tag(&mut self) -> u32 {
        let tag = self.next_tag;
        self.next_tag = self.next_tag.wrapping_add(1) % RESERVED_TAG;
        tag
    }
}

/// The connections of a session. There are few, so that looking for one is comparing names.
#[derive(Debug, Default)]
pub(super) struct Connections {
    list: Vec<Connection>,
    next: u32,
}

impl Connections {
    pub(super) fn add(&mut self, config: ConnectionConfig, now: Instant) -> ConnectionId {
        let id = ConnectionId(self.next);
        self.next = self.next.wrapping_add(1);
        self.list.push(Connection::new(id, config, now));
        id
    }

    #[inline]
    pub(super) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.list.iter().find(|connection| connection.id == id)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.list.iter_mut().find(|connection| connection.id == id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.list.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.list.iter_mut()
    }
}
