//! Connections come and go (RFC 7143 §6.3.4, §7.2.2, §7.6, §7.14, §8): a session has up to
//! MaxConnections of them, and what becomes of the tasks of one that ends depends on how it ends.
//!
//! | how a connection ends | its tasks |
//! |---|---|
//! | logout, *close the session* | end, with the whole session |
//! | logout, *close the connection* | end |
//! | lost or dropped, ErrorRecoveryLevel 0 or 1 | end; with the last connection, so does the session |
//! | lost or dropped, ErrorRecoveryLevel 2 | wait in `lost`, still allegiant to it; immediate ones end |
//! | logout, *remove the connection for recovery*; connection reinstatement at level 2 | wait in `lost`, free to be reassigned |
//!
//! What waits in `lost` ends when Time2Wait and Time2Retain are over. A session whose last connection
//! was lost lives as long as that, and a login with its TSIH continues it:
//!
//! ```text
//!  ACTIVE/LOGGED_IN (Q2, Q3) ── last connection lost, level 2 ──▶ FAILED (Q4)
//!        ▲                                                          │   │
//!        └────────── login with the TSIH (Q5) ──────────────────────┘   └─ time is over ─▶ FREE (Q1)
//! ```

use std::time::{Duration, Instant};

use super::Session;
use super::connection::{Connection, ConnectionConfig, ConnectionId, State};
use super::event::{CloseReason, Event};
use super::retained::Answered;
use super::task::TaskInfo;
use crate::serial::SerialNumber;

/// A connection that ended at ErrorRecoveryLevel 2, whose tasks wait to be reassigned.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) id: ConnectionId,
    pub(super) cid: u16,
    /// When its tasks end.
    pub(super) until: Instant,
    /// It was logged out for recovery: its tasks may be reassigned (RFC 7143 §7.2.2).
    pub(super) logged_out: bool,
}

/// How long a connection may take from the last answer of the shell to its login.
const JOIN_PATIENCE: Duration = Duration::from_secs(15);

/// What a further login to a session is told (RFC 7143 §6.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joining {
    /// ExpCmdSN of the session.
    pub exp_cmd_sn: u32,
    /// MaxCmdSN of the session.
    pub max_cmd_sn: u32,
}

/// There are as many connections as were negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyConnections;

impl Session {
    /// Whether a connection with that CID may be added, and what its login is to be told. If there is
    /// one with that CID already, it is logged out first, without a word (RFC 7143 §6.3.4); what its
    /// initiator has acknowledged there is told by `exp_stat_sn`, from the first Login Request.
    ///
    /// # Errors
    /// The session has as many connections as were negotiated.
    pub fn prepare_connection(
        &mut self,
        cid: u16,
        exp_stat_sn: u32,
        now: Instant,
    ) -> Result<Joining, TooManyConnections> {
        self.now = now;
        if self.closed {
            return Err(TooManyConnections);
        }
        self.reinstate(cid, SerialNumber(exp_stat_sn));
        self.joining.retain(|(joining, _)| *joining != cid);
        if self.is_full() {
            return Err(TooManyConnections);
        }
        self.joining.push((cid, now + JOIN_PATIENCE));
        Ok(Joining {
            exp_cmd_sn: self.window.expected().0,
            max_cmd_sn: self.window.advertise().0,
        })
    }

    /// Adds a connection that has logged in.
    ///
    /// # Errors
    /// The session has as many connections as were negotiated.
    pub fn add_connection(
        &mut self,
        config: ConnectionConfig,
        now: Instant,
    ) -> Result<ConnectionId, TooManyConnections> {
        self.now = now;
        if self.closed {
            return Err(TooManyConnections);
        }
        self.joining.retain(|(joining, _)| *joining != config.cid);
        if let Some(old) = self.connections.by_cid(config.cid) {
            // Two logins with one CID at a time: the later one counts.
            self.leave(old, true);
        }
        if self.is_full() {
            return Err(TooManyConnections);
        }
        self.failed_until = None;
        Ok(self.connections.add(config, now))
    }

    /// The stream of a connection has ended: it was closed, by either end, or it broke.
    pub fn connection_lost(&mut self, on: ConnectionId, now: Instant) {
        self.now = now;
        let Some(connection) = self.connections.get(on) else {
            return;
        };
        if connection.is_open() && !self.closed {
            let cid = connection.cid;
            self.leave(on, false);
            self.tell_dropped(cid);
        }
        self.connections.remove(on);
        self.fail_if_alone();
    }

    /// How many bytes of data are kept at most for being sent again, at ErrorRecoveryLevel 1 and
    /// above. For what can't be kept a SNACK is rejected.
    pub fn set_retention(&mut self, bytes: usize) {
        self.retention = bytes;
        self.limit_retained();
    }

    /// Bytes of data that are kept for being sent again.
    #[must_use]
    #[inline]
    pub fn retained_bytes(&self) -> usize {
        if self.recovery_level() == 0 {
            return 0;
        }
        let connections = self.connections.iter();
        let kept: usize = connections.map(|it| it.retained.bytes()).sum();
        kept + self.orphans.iter().map(|it| it.data.len()).sum::<usize>()
    }

    /// Connections in full feature phase.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.connections.open().count()
    }

    #[inline]
    pub(super) fn recovery_level(&self) -> u8 {
        self.parameters.error_recovery_level
    }

    /// How many bytes a connection may keep beside what the others keep.
    pub(super) fn retention_of(&self, on: ConnectionId) -> usize {
        let own = self.connections.get(on).map_or(0, |it| it.retained.bytes());
        let others = self.retained_bytes() - own;
        self.retention.saturating_sub(others)
    }

    /// Something broke on a connection: it goes, and with it the session if that is all that can be
    /// done about it (RFC 7143 §7.1.5).
    #[cold]
    pub(super) fn drop_connection(&mut self, on: ConnectionId, reason: CloseReason) {
        let alone = self.connections.open().count() <= 1 && self.joining.is_empty();
        if self.recovery_level() < 2 && alone {
            return self.close(reason);
        }
        let Some(connection) = self.connections.get(on).filter(|it| it.is_open()) else {
            return;
        };
        let cid = connection.cid;
        self.leave(on, false);
        self.tell_dropped(cid);
        self.events.push_back(Event::CloseConnection { on, reason });
    }

    /// A connection is logged out: its tasks end, or are free to be reassigned. Its last words are
    /// queued.
    pub(super) fn log_out_connection(&mut self, on: ConnectionId, recovery: bool) {
        if recovery {
            self.leave(on, true);
        } else {
            self.retire(on);
            self.end_allegiant_to(on);
            self.stop_waiting();
        }
        let reason = CloseReason::Logout;
        self.events.push_back(Event::CloseConnection { on, reason });
    }

    /// A logout names a connection that was lost before: true if there is one.
    pub(super) fn log_out_lost(&mut self, cid: u16, recovery: bool) -> bool {
        let until = self.now + self.retain_time();
        let mut known = false;
        // It may have been lost, reinstated, and lost again.
        let mut ended = Vec::new();
        for lost in self.lost.iter_mut().filter(|lost| lost.cid == cid) {
            known = true;
            if !recovery {
                ended.push(lost.id);
            } else if !lost.logged_out {
                lost.logged_out = true;
                lost.until = until;
            }
        }
        self.lost.retain(|lost| !ended.contains(&lost.id));
        for gone in ended {
            self.end_allegiant_to(gone);
        }
        known
    }

    /// Ends what waited for a reassignment too long, and the session if that was all of it.
    pub(super) fn expire_lost(&mut self) {
        let now = self.now;
        self.joining.retain(|(_, until)| *until > now);
        while let Some(at) = self.lost.iter().position(|lost| lost.until <= now) {
            let lost = self.lost.swap_remove(at);
            self.end_allegiant_to(lost.id);
        }
        if self.failed_until.is_some_and(|until| until <= now) {
            self.close(CloseReason::ConnectionLost);
        }
    }

    /// When something ends that waits.
    pub(super) fn lost_timeout(&self) -> Option<Instant> {
        let lost = self.lost.iter().map(|lost| lost.until);
        lost.chain(self.failed_until).min()
    }

    fn is_full(&self) -> bool {
        let limit = usize::from(self.parameters.max_connections.max(1));
        self.connections.open().count() + self.joining.len() >= limit
    }

    /// The implicit logout of connection reinstatement (RFC 7143 §6.3.4).
    fn reinstate(&mut self, cid: u16, exp_stat_sn: SerialNumber) {
        let recovery = self.recovery_level() == 2;
        if let Some(old) = self.connections.by_cid(cid) {
            if let Some(connection) = self.connections.get_mut(old) {
                connection.acknowledge(exp_stat_sn);
            }
            self.log_out_connection(old, recovery);
        } else {
            let lost = self.lost.iter().filter(|lost| lost.cid == cid);
            if let Some(id) = lost.map(|lost| lost.id).next_back() {
                self.orphans.retain(|answered| {
                    let has = |sent: SerialNumber| sent.is_before(exp_stat_sn);
                    answered.info.connection != id || !answered.stat_sn.is_some_and(has)
                });
            }
            self.log_out_lost(cid, recovery);
        }
    }

    /// Takes a connection out of service: what it keeps goes with it, or waits with its tasks.
    fn leave(&mut self, on: ConnectionId, logged_out: bool) {
        let Some(connection) = self.connections.get_mut(on) else {
            return;
        };
        let cid = connection.cid;
        let answers: Vec<Answered> = std::mem::take(&mut connection.retained)
            .into_answers()
            .collect();
        self.retire(on);
        if self.recovery_level() < 2 {
            self.end_allegiant_to(on);
        } else {
            let kept = answers.into_iter().filter(|it| !it.info.immediate);
            self.orphans.extend(kept);
            self.limit_retained();
            self.lost.push(Lost {
                id: on,
                cid,
                until: self.now + self.retain_time(),
                logged_out,
            });
            // Immediate commands don't outlive their connection (RFC 7143 §7.14).
            self.end_allegiant_if(on, |info| info.immediate);
        }
        self.stop_waiting();
    }

    /// A connection has gone: nobody waits for what would have come on it.
    fn stop_waiting(&mut self) {
        if !self.fences.is_idle() {
            self.release_fences();
        }
        if self.functions.are_draining() {
            self.continue_drains();
        }
    }

    /// What came on a connection and hasn't had its turn is forgotten: its initiator has to send it
    /// again.
    fn retire(&mut self, on: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(on) {
            connection.state = State::Closing;
            connection.text.reset();
        }
        self.early.forget(on);
        self.functions.forget(on);
        self.forget_terminations(on);
    }

    /// Ends all tasks of a connection without a word. The initiator learns of it by a unit attention
    /// (RFC 7143 §7.6).
    fn end_allegiant_to(&mut self, on: ConnectionId) {
        self.orphans
            .retain(|answered| answered.info.connection != on);
        self.end_allegiant_if(on, |_| true);
    }

    /// The same for those of its tasks for which `which` holds.
    fn end_allegiant_if(&mut self, on: ConnectionId, which: impl Fn(&TaskInfo) -> bool) {
        let ends = |info: &TaskInfo| info.connection == on && which(info);
        let mut luns: Vec<[u8; 8]> = self
            .tasks
            .iter()
            .filter(|(_, slot)| ends(&slot.info))
            .map(|(_, slot)| slot.info.lun)
            .collect();
        self.abort_tasks(|info| ends(info));
        luns.sort_unstable();
        luns.dedup();
        for lun in luns {
            self.events.push_back(Event::ClearedByProtocolEvent { lun });
        }
    }

    fn limit_retained(&mut self) {
        if self.recovery_level() == 0 {
            return;
        }
        let mut left = self.retention;
        for connection in self.connections.iter_mut() {
            connection.retained.limit(left);
            left -= connection.retained.bytes();
        }
        for answered in &mut self.orphans {
            if answered.data.len() > left {
                answered.data = crate::pdu::DataSegment::new();
            }
            left -= answered.data.len();
        }
    }

    /// The last connection has gone: the session waits to be continued, or ends.
    fn fail_if_alone(&mut self) {
        if self.closed || !self.connections.is_empty() || self.failed_until.is_some() {
            return;
        }
        let joining = self.joining.iter().map(|(_, until)| *until).max();
        let recovery = self.recovery_level() == 2 && !self.lost.is_empty();
        let retained = recovery.then(|| self.now + self.retain_time());
        match joining.max(retained) {
            Some(until) => self.failed_until = Some(until),
            None => self.close(CloseReason::ConnectionLost),
        }
    }

    /// What is kept of a task whose tag means another one from now on.
    pub(super) fn forget_answer(&mut self, initiator_task_tag: u32) {
        for connection in self.connections.iter_mut() {
            connection.retained.forget(initiator_task_tag);
        }
        self.orphans
            .retain(|it| it.info.initiator_task_tag != initiator_task_tag);
    }

    fn retain_time(&self) -> Duration {
        let parameters = &self.parameters;
        if parameters.default_time2retain == 0 {
            // Nothing is kept (RFC 7143 §13.16).
            return Duration::ZERO;
        }
        let seconds =
            u64::from(parameters.default_time2wait) + u64::from(parameters.default_time2retain);
        Duration::from_secs(seconds)
    }
}

impl Connection {
    /// Whether everything that was said on it is known to have arrived.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.acknowledged() == self.stat_sn()
    }
}
