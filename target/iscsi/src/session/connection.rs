//! What belongs to one connection of a session: its numbering of statuses, its outgoing bytes and its
//! signs of life (RFC 7143 §4.2.2.2). Knows no tasks.

use std::time::Instant;

use super::SessionConfig;
use super::keepalive::Keepalive;
use crate::pdu::RESERVED_TAG;
use crate::serial::SerialNumber;
use crate::transmit::TxQueue;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) cid: u16,
    pub(super) tx: TxQueue,
    pub(super) keepalive: Keepalive,
    /// StatSN of the next response.
    stat_sn: SerialNumber,
    /// Target Transfer Tag of the next NOP-In that asks for an answer, and of the next text exchange
    /// that goes on.
    next_tag: u32,
}

impl Connection {
    pub(super) fn new(config: &SessionConfig, now: Instant) -> Self {
        let mut tx = TxQueue::new();
        tx.set_digests(
            config.parameters.header_digest,
            config.parameters.data_digest,
        );
        Self {
            cid: config.cid,
            tx,
            keepalive: Keepalive::new(config.nop_interval, config.nop_timeout, now),
            stat_sn: SerialNumber(config.stat_sn),
            next_tag: 0,
        }
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
