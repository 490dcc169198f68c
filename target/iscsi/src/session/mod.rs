//! The full feature phase of one session (RFC 7143 §4.2, §4.3, §11): from PDUs to events for the
//! shell, and from the shell's answers to PDUs.
//!
//! A session owns order and numbering (CmdSN, StatSN, DataSN, R2TSN), the tasks with their data-out,
//! task management, text, NOP and logout. It doesn't know what a CDB means, which logical units there
//! are, or what other sessions do. It is sans-I/O: time is an argument.
//!
//! The methods of [`Session`] are of four kinds. `handle_*` takes what has happened; after each call
//! the shell drains [`poll_event`](Session::poll_event), writes what is in [`tx`](Session::tx), and
//! looks at [`poll_timeout`](Session::poll_timeout). The others are the shell's answers; they may make
//! events too.
//!
//! ```text
//!  RawPdu ─▶ handle_pdu ─▶ CmdSN order ─▶ one room per PDU ─▶ Event ─▶ shell
//!                                                                        │
//!  TxQueue ◀─ respond: Data-In, status, residuals ◀──────────────────────┤
//!          ◀─ request_data: R2T ─▶ Data-Out ─▶ Event::DataOut ─▶ ────────┘
//! ```
//!
//! What belongs to a connection stands in `connection`, apart from what belongs to the session; the
//! shell names the connection that something came on. `lifecycle` says how connections come and go,
//! and what becomes of their tasks.
//!
//! In which order responses go out over several connections is `fence`'s, and what is said and waited
//! for when many tasks are aborted at once is `termination`'s and `drain`'s: TaskReporting decides.
//!
//! What is done about losses depends on ErrorRecoveryLevel (RFC 7143 §7.1.5):
//!
//! | what is lost | 0 | 1 | 2 |
//! |---|---|---|---|
//! | data of a PDU (data digest) | the connection goes | Reject; data-out is asked for again (`loss`) | as 1 |
//! | header of a PDU (header digest) | the connection goes: where the next PDU begins is unknown | as 0 | as 0 |
//! | a Data-Out (gap in DataSN, silence) | the task ends | recovery R2T (`loss`) | as 1 |
//! | a command | the initiator gives up | the initiator sends it again, and it is done once (`early`) | as 1 |
//! | a response, Data-In or R2T | the initiator gives up | SNACK (`snack`), from what is kept (`retained`) | as 1 |
//! | a connection | its tasks end (`lifecycle`) | as 0 | TASK REASSIGN (`reassign`) |

mod assembly;
mod command;
mod condition;
mod connection;
mod data_in;
mod drain;
mod early;
mod event;
mod fence;
mod keepalive;
mod lifecycle;
mod logout;
mod loss;
mod management;
mod nop;
mod notice;
mod order;
mod reassign;
mod recoverable;
mod reject;
mod reply;
mod residual;
mod retained;
mod snack;
mod task;
mod termination;
mod text;
mod transfer;
mod unit;
mod window;
mod write;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::framing::FramingError;
use crate::login::SessionType;
use crate::parameters::Parameters;
use crate::pdu::RawPdu;
use crate::pdu::nop_out::NopOut;
use crate::serial::SerialNumber;
use crate::transmit::TxQueue;

pub use connection::{ConnectionConfig, ConnectionId};
pub use event::{
    AsyncEvent, Cdb, CloseReason, Event, ScsiCommand, ScsiReply, SendTargets, TargetRecord,
    TaskAttribute, TaskManagementFunction, TaskManagementRequest, TaskManagementResponse,
    TaskManagementTag, TextTag,
};
pub use lifecycle::{Joining, TooManyConnections};
pub use notice::LOGOUT_SECONDS;
pub use task::TaskId;

use connection::Connections;
use early::EarlyPdus;
use fence::Fences;
use lifecycle::Lost;
use management::Functions;
use reject::Reason;
use retained::Answered;
use task::TaskTable;
use termination::Termination;
use window::CommandWindow;
use write::Credit;

/// Bytes of data that are kept for being sent again, until the shell sets another limit.
const RETENTION_DEFAULT: usize = 8 << 20;

/// What a session begins with.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// What the login settled on.
    pub parameters: Parameters,
    /// Normal or discovery.
    pub session_type: SessionType,
    /// CmdSN of the first command: ExpCmdSN.
    pub cmd_sn: u32,
    /// StatSN of the first response.
    pub stat_sn: u32,
    /// Connection ID.
    pub cid: u16,
    /// How many commands may be outstanding, 1..=2048; immediate ones come on top.
    pub command_window: u32,
    /// Silence after which the initiator is asked whether it is still there; zero: never.
    pub nop_interval: Duration,
    /// How long its answer may take; zero: forever.
    pub nop_timeout: Duration,
    /// The target's name; `None` in a discovery session.
    pub target_name: Option<String>,
}

impl SessionConfig {
    fn connection(&self) -> ConnectionConfig {
        ConnectionConfig {
            cid: self.cid,
            stat_sn: self.stat_sn,
            parameters: self.parameters.clone(),
            nop_interval: self.nop_interval,
            nop_timeout: self.nop_timeout,
        }
    }
}

/// The full feature phase of one session. See the [module](self).
#[derive(Debug)]
pub struct Session {
    parameters: Parameters,
    session_type: SessionType,
    target_name: Option<String>,
    /// Which CmdSN is due.
    window: CommandWindow,
    /// PDUs ahead of their CmdSN's turn.
    early: EarlyPdus,
    /// SCSI commands that were received and haven't ended.
    tasks: TaskTable,
    /// Immediate ones among them.
    immediate_tasks: u32,
    /// Task management functions that wait for the shell or for commands before them.
    functions: Functions,
    /// How much data-out may be solicited at a time.
    credit: Credit,
    /// Tags of ended tasks whose unsolicited data is still coming; oldest first.
    ended: VecDeque<u32>,
    events: VecDeque<Event>,
    connections: Connections,
    /// Connections that ended, whose tasks wait to be reassigned.
    lost: Vec<Lost>,
    /// Answers whose connection is in `lost`.
    orphans: Vec<Answered>,
    /// CIDs of connections whose login is about to end, and how long they are waited for.
    joining: Vec<(u16, Instant)>,
    /// There is no connection: when the session ends if none is added.
    failed_until: Option<Instant>,
    /// Responses that wait for acknowledgements, and those that wait for them.
    fences: Fences,
    /// What the initiator was told of tasks that were aborted, and hasn't acknowledged.
    terminations: Vec<Termination>,
    /// Bytes of data that may be kept for being sent again.
    retention: usize,
    /// Target Transfer Tag of the last answer that may ask for an acknowledgement.
    next_acknowledgement: u32,
    /// When the shell last said what time it is.
    now: Instant,
    /// Number of the next question about targets.
    next_text: u32,
    /// The last event was told: nothing is accepted any more.
    closed: bool,
}

impl Session {
    /// A session whose login has just ended.
    #[must_use]
    pub fn new(config: SessionConfig, now: Instant) -> Self {
        let recovers = config.parameters.error_recovery_level > 0;
        let mut connections = Connections::new(recovers);
        let leading = connections.add(config.connection(), now);
        debug_assert_eq!(leading, ConnectionId::LEADING, "names are given in order");
        Self {
            parameters: config.parameters,
            session_type: config.session_type,
            target_name: config.target_name,
            window: CommandWindow::new(SerialNumber(config.cmd_sn), config.command_window),
            early: EarlyPdus::default(),
            tasks: TaskTable::default(),
            immediate_tasks: 0,
            functions: Functions::default(),
            credit: Credit::default(),
            ended: VecDeque::new(),
            events: VecDeque::new(),
            connections,
            lost: Vec::new(),
            orphans: Vec::new(),
            joining: Vec::new(),
            failed_until: None,
            fences: Fences::default(),
            terminations: Vec::new(),
            retention: RETENTION_DEFAULT,
            next_acknowledgement: 0,
            now,
            next_text: 0,
            closed: false,
        }
    }

    /// Takes the next PDU from the initiator on that connection.
    pub fn handle_pdu(&mut self, on: ConnectionId, mut pdu: RawPdu, now: Instant) {
        if self.closed || !self.hear(on, now) {
            return;
        }
        self.take_acknowledgement(on, &pdu);
        // By reference from here on: a PDU is too large to be moved from room to room.
        self.order(on, &mut pdu);
        if self.functions.are_draining() {
            self.continue_drains();
        }
    }

    /// Takes what the decoder reports in place of a PDU (RFC 7143 §7.7, §7.8): it ends the connection,
    /// but for a damaged data segment at ErrorRecoveryLevel 1 and above.
    pub fn handle_framing_error(&mut self, on: ConnectionId, error: FramingError, now: Instant) {
        if self.closed || !self.hear(on, now) {
            return;
        }
        match error {
            FramingError::HeaderDigest => self.drop_connection(on, CloseReason::HeaderDigest),
            FramingError::DataDigest { bhs } => {
                self.reject(on, Reason::DATA_DIGEST_ERROR, &bhs, &[]);
                if self.recovery_level() == 0 {
                    self.drop_connection(on, CloseReason::DataDigest);
                } else {
                    self.recover_damaged(on, &bhs);
                }
            }
            FramingError::DataSegmentTooLong { bhs, .. } | FramingError::AhsTooLong { bhs, .. } => {
                self.reject(on, Reason::PROTOCOL_ERROR, &bhs, &[]);
                self.drop_connection(on, CloseReason::FormatError);
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.closed {
            None
        } else {
            let connections = self.connections.open();
            connections
                .filter_map(|connection| connection.keepalive.timeout())
                .chain(self.lost_timeout())
                .chain(self.fence_timeout())
                .chain(self.termination_timeout())
                .chain(self.drain_timeout())
                .chain(self.sequence_timeout())
                .min()
        }
    }

    /// Does what is due by now: keepalive, and what waited too long.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        self.now = now;
        let due: [fn(&mut Self); 5] = [
            Self::recover_overdue,
            Self::expire_lost,
            Self::expire_drains,
            Self::expire_terminations,
            Self::expire_fences,
        ];
        self.keep_alive(now);
        for expire in due {
            if self.closed {
                return;
            }
            expire(self);
        }
    }

    /// The next event. To be called until there is none, after every other call that takes `&mut`.
    #[must_use]
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if let Some(Event::Close { .. }) = event {
            // Whatever else was due at the same moment has ended with the session.
            self.events.clear();
        }
        event
    }

    /// What waits to be written to a connection's socket; `None`: there is no such connection.
    #[inline]
    pub fn tx(&mut self, on: ConnectionId) -> Option<&mut TxQueue> {
        Some(&mut self.connections.get_mut(on)?.tx)
    }

    /// Bytes that wait to be written, on all connections.
    #[must_use]
    #[inline]
    pub fn unsent_bytes(&self) -> usize {
        let connections = self.connections.iter();
        connections
            .map(|connection| connection.tx.len_bytes())
            .sum()
    }

    /// Tasks that have begun and haven't ended.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.tasks.len()
    }

    /// The parameters in force on a connection. The initiator may change MaxRecvDataSegmentLength at
    /// any time (RFC 7143 §13.12).
    #[must_use]
    pub fn parameters(&self, on: ConnectionId) -> Option<&Parameters> {
        Some(&self.connections.get(on)?.parameters)
    }

    /// How many commands may be outstanding from now on, 1..=2048. What the initiator was told before
    /// still holds: MaxCmdSN never goes back (RFC 7143 §4.2.2.1).
    pub fn set_command_window(&mut self, window: u32) {
        let was_open = self.window.is_open();
        self.window.set_width(window);
        self.window.advertise();
        if !self.closed && !was_open && self.window.is_open() {
            // Nothing else may be on its way to tell the initiator that it may go on.
            self.tell_window();
        }
    }

    /// The initiator takes data that had piled up: that counts as a sign of life, since its answer to
    /// a ping may be far behind it.
    pub fn heard(&mut self, on: ConnectionId, now: Instant) {
        self.hear(on, now);
    }

    /// A sign of life; false if there is no such connection.
    #[inline]
    fn hear(&mut self, on: ConnectionId, now: Instant) -> bool {
        self.now = now;
        match self.connections.get_mut(on) {
            Some(connection) if connection.is_open() => {
                connection.keepalive.heard(now);
                true
            }
            _ => false,
        }
    }

    /// ExpStatSN stands in the same place in every PDU of an initiator (RFC 7143 §11.2).
    #[inline]
    fn take_acknowledgement(&mut self, on: ConnectionId, pdu: &RawPdu) {
        let exp_stat_sn = NopOut::parse(&pdu.bhs).exp_stat_sn;
        if let Some(connection) = self.connections.get_mut(on) {
            connection.acknowledge(exp_stat_sn);
        }
        if !self.fences.is_idle() {
            self.release_fences();
        }
    }

    fn is_discovery(&self) -> bool {
        self.session_type == SessionType::Discovery
    }

    fn close(&mut self, reason: CloseReason) {
        self.closed = true;
        self.events.push_back(Event::Close { reason });
    }
}

#[cfg(test)]
mod tests;
