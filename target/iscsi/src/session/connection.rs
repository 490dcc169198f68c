//! What belongs to one connection of a session: its numbering of statuses, its outgoing bytes, its
//! signs of life and the parameters that were settled for it alone (RFC 7143 §4.2.2.2). Knows no
//! tasks.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::keepalive::Keepalive;
use super::retained::{Answered, Kept, Retained};
use super::text::TextExchange;
use crate::parameters::Parameters;
use crate::pdu::{Bhs, RESERVED_TAG};
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

/// How far a connection has come (RFC 7143 §8.1): in the list of a session are those in full feature
/// phase and those whose last words wait to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// LOGGED_IN (S5).
    Open,
    /// Nothing is taken in any more; the shell closes it when its queue is sent.
    Closing,
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
    pub(super) state: State,
    /// What isn't acknowledged yet, at ErrorRecoveryLevel 1 and above.
    pub(super) retained: Retained,
    /// Whether responses are kept.
    recovers: bool,
    /// The ExpStatSN that the initiator told last.
    acknowledged: SerialNumber,
    /// StatSN of the next response.
    stat_sn: SerialNumber,
    /// Target Transfer Tag of the next NOP-In that asks for an answer, and of the next text exchange
    /// that goes on.
    next_tag: u32,
}

impl Connection {
    fn new(id: ConnectionId, config: ConnectionConfig, recovers: bool, now: Instant) -> Self {
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
            state: State::Open,
            retained: Retained::default(),
            recovers,
            acknowledged: SerialNumber(config.stat_sn),
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

    /// StatSN for a response. The initiator's ExpStatSN isn't held against it: initiators differ in
    /// when they count (RFC 7143 §4.2.2.2).
    #[inline]
    pub(super) fn take_stat_sn(&mut self) -> SerialNumber {
        let stat_sn = self.stat_sn;
        self.stat_sn = stat_sn.next();
        stat_sn
    }

    /// The initiator has all responses before that one. What it can't have is ignored.
    #[inline]
    pub(super) fn acknowledge(&mut self, exp_stat_sn: SerialNumber) {
        if exp_stat_sn.is_after(self.acknowledged) && !exp_stat_sn.is_after(self.stat_sn) {
            self.acknowledged = exp_stat_sn;
            if self.recovers {
                self.retained.acknowledge(exp_stat_sn);
            }
        }
    }

    /// The first StatSN that the initiator hasn't acknowledged.
    #[inline]
    pub(super) fn acknowledged(&self) -> SerialNumber {
        self.acknowledged
    }

    /// Sends a response that isn't the end of a SCSI command, and keeps it if responses are kept.
    pub(super) fn send_status(
        &mut self,
        stat_sn: SerialNumber,
        bhs: Bhs,
        data: Bytes,
        most: usize,
    ) {
        if self.recovers {
            let data = data.clone();
            self.retained.keep(stat_sn, Kept::Pdu { bhs, data }, most);
        }
        self.tx.push(bhs, data);
    }

    /// Keeps the end of a SCSI command.
    pub(super) fn keep_answer(&mut self, stat_sn: SerialNumber, answered: Answered, most: usize) {
        self.retained
            .keep(stat_sn, Kept::Answer(Box::new(answered)), most);
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(super) fn take_tag(&mut self) -> u32 {
        let tag = self.next_tag;
        self.next_tag = self.next_tag.wrapping_add(1) % RESERVED_TAG;
        tag
    }
}

/// The connections of a session. There are few, so that looking for one is comparing names.
#[derive(Debug)]
pub(super) struct Connections {
    list: Vec<Connection>,
    next: u32,
    /// ErrorRecoveryLevel is 1 or above.
    recovers: bool,
}

impl Connections {
    pub(super) fn new(recovers: bool) -> Self {
        Self {
            list: Vec::new(),
            next: 0,
            recovers,
        }
    }

    pub(super) fn add(&mut self, config: ConnectionConfig, now: Instant) -> ConnectionId {
        let id = ConnectionId(self.next);
        self.next = self.next.wrapping_add(1);
        self.list
            .push(Connection::new(id, config, self.recovers, now));
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

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        let at = self
            .list
            .iter()
            .position(|connection| connection.id == id)?;
        Some(self.list.remove(at))
    }

    /// The open connection with that CID.
    pub(super) fn by_cid(&self, cid: u16) -> Option<ConnectionId> {
        let mut open = self.open();
        open.find(|connection| connection.cid == cid)
            .map(|connection| connection.id)
    }

    /// The open ones.
    pub(super) fn open(&self) -> impl Iterator<Item = &Connection> {
        self.list.iter().filter(|connection| connection.is_open())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.list.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.list.iter_mut()
    }
}
