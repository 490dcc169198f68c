//! Response fences (RFC 7143 §4.2.2.3): a response for which SCSI wants an order comes after all that
//! was said before it and before all that is said after it, whatever connections those go over.
//!
//! ```text
//!  response with a fence ─▶ Before: what was sent on each connection is acknowledged
//!                             │ sent
//!                             ▼
//!                           After: it is acknowledged itself ─▶ gone; what was held is sent
//! ```
//!
//! Meanwhile all other responses for the logical unit are held. Their tasks are still there, so that
//! the command window bounds how many there can be. With one connection none of this is needed.
//!
//! A session whose TaskReporting is RFC3720 was promised no fence: there, only the answer to a task
//! management function waits for the other connections, for a limited time, and holds nobody up.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::connection::ConnectionId;
use super::event::{ScsiReply, TaskManagementResponse};
use super::task::TaskId;
use super::unit::Scope;
use super::{CloseReason, Session};
use crate::serial::SerialNumber;

/// How long an answer waits in a session without fences: a connection that acknowledges nothing for so
/// long must not keep task management on the others from coming to an end.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection may take to acknowledge what a fence waits for, although it was asked. Then it
/// has failed (RFC 7143 §7.14), and is closed.
const ACKNOWLEDGEMENT_PATIENCE: Duration = Duration::from_secs(20);

/// How often it is asked meanwhile: a question can get lost.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// What is to be sent.
#[derive(Debug)]
pub(super) enum Response {
    /// The end of a task.
    Task { task: TaskId, reply: ScsiReply },
    /// The answer to a task management function.
    Function {
        on: ConnectionId,
        initiator_task_tag: u32,
        response: TaskManagementResponse,
        /// The session ends with it.
        closes: bool,
    },
}

/// A response, and the order that it is in.
#[derive(Debug)]
pub(super) struct Ordered {
    /// The logical units whose responses it is in order with.
    pub(super) scope: Scope,
    pub(super) fenced: bool,
    pub(super) response: Response,
}

/// What has to be acknowledged on which connection.
type Awaited = SmallVec<[(ConnectionId, SerialNumber); 2]>;

#[derive(Debug)]
struct Fence {
    scope: Scope,
    /// It holds other responses up, and isn't given up.
    strict: bool,
    /// The response, until it is sent.
    response: Option<Response>,
    waits_for: Awaited,
    /// When to stop waiting for the connections.
    until: Option<Instant>,
    /// When to ask them again.
    ask_at: Instant,
}

/// The fences of a session, and what they hold up.
#[derive(Debug, Default)]
pub(super) struct Fences {
    list: Vec<Fence>,
    held: VecDeque<Ordered>,
}

impl Fences {
    /// Whether nothing waits.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.list.is_empty()
    }

    /// Answers to task management functions that wait.
    pub(super) fn functions(&self) -> usize {
        self.responses()
            .filter(|response| matches!(response, Response::Function { .. }))
            .count()
    }

    /// Bytes of data-in that wait.
    pub(super) fn bytes(&self) -> usize {
        self.responses().map(Response::bytes).sum()
    }

    fn responses(&self) -> impl Iterator<Item = &Response> {
        let waiting = self.list.iter().filter_map(|fence| fence.response.as_ref());
        waiting.chain(self.held.iter().map(|held| &held.response))
    }

    /// A task has ended without its response.
    pub(super) fn forget(&mut self, ended: TaskId) {
        self.held
            .retain(|held| !matches!(held.response, Response::Task { task, .. } if task == ended));
        for fence in &mut self.list {
            if matches!(fence.response, Some(Response::Task { task, .. }) if task == ended) {
                // Nothing will be sent, so there is nothing to be in order with.
                fence.response = None;
                fence.waits_for.clear();
            }
        }
    }

    fn holds_up(&self, scope: Scope) -> bool {
        let strict = self.list.iter().filter(|fence| fence.strict);
        let held = self.held.iter().map(|held| held.scope);
        strict
            .map(|fence| fence.scope)
            .chain(held)
            .any(|it| it.overlaps(scope))
    }
}

impl Response {
    fn bytes(&self) -> usize {
        match self {
            Self::Task { reply, .. } => reply.data_in.len(),
            Self::Function { .. } => 0,
        }
    }
}

impl Session {
    /// Bytes of data-in of responses that wait for their turn (RFC 7143 §4.2.2.3.3). Beside
    /// [`unsent_bytes`](Self::unsent_bytes).
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.fences.bytes()
    }

    /// The end of a task where order matters.
    #[cold]
    pub(super) fn respond_in_order(&mut self, task: TaskId, reply: ScsiReply) {
        let fenced = reply.response_fence && self.parameters.task_reporting.has_fence();
        let Some(slot) = self.tasks.get_mut(task).filter(|slot| !slot.answered) else {
            return;
        };
        let scope = Scope::of(slot.info.lun);
        // What the initiator still sends changes nothing any more, and the shell is done with it.
        slot.answered = true;
        slot.delivered = false;
        slot.transfer.discard();
        let credit = std::mem::take(&mut slot.credit);
        if credit > 0 {
            self.give_back(credit);
        }
        self.send_in_order(Ordered {
            scope,
            fenced,
            response: Response::Task { task, reply },
        });
    }

    /// Sends a response when those before it let it.
    pub(super) fn send_in_order(&mut self, ordered: Ordered) {
        if self.fences.holds_up(ordered.scope) {
            self.fences.held.push_back(ordered);
        } else {
            self.begin_fence(ordered);
            self.release_fences();
        }
    }

    /// Sends a response, or begins to wait for what has to arrive before it.
    fn begin_fence(&mut self, ordered: Ordered) {
        let Ordered {
            scope,
            fenced,
            response,
        } = ordered;
        let strict = self.parameters.task_reporting.has_fence();
        // What is lost of the others is lost for good, but at ErrorRecoveryLevel 2.
        let is_alone = self.connections.open().count() <= 1 && self.lost.is_empty();
        if !fenced || is_alone {
            // A single connection keeps the order by itself (RFC 7143 §4.2.2.3.3 a).
            self.send_response(response);
            return;
        }
        let own = match &response {
            Response::Function { on, .. } if !strict => Some(*on),
            _ => None,
        };
        let waits_for: Awaited = self
            .connections
            .open()
            .filter(|connection| Some(connection.id) != own && !connection.is_acknowledged())
            .map(|connection| (connection.id, connection.stat_sn()))
            .collect();
        self.ask_for_acknowledgements(&waits_for);
        let patience = if strict {
            ACKNOWLEDGEMENT_PATIENCE
        } else {
            PATIENCE
        };
        self.fences.list.push(Fence {
            scope,
            strict,
            response: Some(response),
            waits_for,
            until: Some(self.now + patience),
            ask_at: self.now + ASK_AGAIN,
        });
    }

    /// Goes on with the fences that have nothing left to wait for, and with what they held.
    pub(super) fn release_fences(&mut self) {
        let mut at = 0;
        while !self.closed
            && let Some(fence) = self.fences.list.get_mut(at)
        {
            let connections = &self.connections;
            fence.waits_for.retain(|(id, stat_sn)| {
                let connection = connections.get(*id).filter(|it| it.is_open());
                connection.is_some_and(|it| it.acknowledged().is_before(*stat_sn))
            });
            let expired = !fence.strict && fence.until.is_some_and(|until| until <= self.now);
            if !fence.waits_for.is_empty() && !expired || self.waits_for_a_connection(at) {
                at += 1;
                continue;
            }
            let fence = self.fences.list.remove(at);
            if let Some(response) = fence.response {
                let sent = self.send_response(response);
                if let Some(awaited) = sent.filter(|_| fence.strict) {
                    // RFC 7143 §4.2.2.3.3 c: it is over when the response itself has arrived.
                    let waits_for = SmallVec::from_slice(&[awaited]);
                    self.ask_for_acknowledgements(&waits_for);
                    self.fences.list.insert(
                        at,
                        Fence {
                            response: None,
                            waits_for,
                            until: Some(self.now + ACKNOWLEDGEMENT_PATIENCE),
                            ask_at: self.now + ASK_AGAIN,
                            ..fence
                        },
                    );
                    continue;
                }
            }
            if fence.strict {
                self.release_held();
            }
        }
    }

    /// A response to a lost connection may still be delivered, over another one (RFC 7143 §7.2.2): the
    /// fence waits until it is, or can't be any more.
    fn waits_for_a_connection(&self, at: usize) -> bool {
        let Some(fence) = self.fences.list.get(at).filter(|it| it.strict) else {
            return false;
        };
        let Some(response) = &fence.response else {
            return false;
        };
        let mut orphans = self.orphans.iter();
        if orphans.any(|orphan| Scope::of(orphan.info.lun).overlaps(fence.scope)) {
            return true;
        }
        let Response::Task { task, .. } = response else {
            return false;
        };
        let on = self.tasks.get(*task).map(|slot| slot.info.connection);
        self.lost.iter().any(|lost| Some(lost.id) == on)
    }

    /// Sends what no fence holds up any more, in the order in which it came.
    fn release_held(&mut self) {
        let mut at = 0;
        while let Some(held) = self.fences.held.get(at) {
            let scope = held.scope;
            let earlier = self.fences.held.iter().take(at).map(|held| held.scope);
            let strict = self.fences.list.iter().filter(|fence| fence.strict);
            let mut before = strict.map(|fence| fence.scope).chain(earlier);
            if before.any(|it| it.overlaps(scope)) {
                at += 1;
            } else if let Some(held) = self.fences.held.remove(at) {
                self.begin_fence(held);
            }
        }
    }

    /// Sends a response; the connection and the StatSN behind that of the response, if it has gone out.
    fn send_response(&mut self, response: Response) -> Option<(ConnectionId, SerialNumber)> {
        let on = match response {
            Response::Task { task, reply } => {
                let ended = self.end_task(task)?;
                self.send_reply(&ended, reply);
                ended.info.connection
            }
            Response::Function {
                on,
                initiator_task_tag,
                response,
                closes,
            } => {
                self.answer_function(on, initiator_task_tag, response);
                if closes {
                    // RFC 7143 §11.5.1: a cold reset ends the sessions too.
                    self.close(CloseReason::TargetColdReset);
                }
                on
            }
        };
        let connection = self.connections.get(on).filter(|it| it.is_open())?;
        Some((on, connection.stat_sn()))
    }

    /// Asks for answers, which bring an ExpStatSN each (RFC 7143 §4.2.2.3.3 b).
    fn ask_for_acknowledgements(&mut self, of: &Awaited) {
        for (on, _) in of {
            self.send_nop_in(*on, true);
        }
    }

    /// Asks again for what fences wait for, and closes connections that don't acknowledge it.
    pub(super) fn expire_fences(&mut self) {
        let now = self.now;
        let mut silent: SmallVec<[ConnectionId; 2]> = SmallVec::new();
        let mut asked = Awaited::new();
        for fence in self.fences.list.iter_mut().filter(|fence| fence.strict) {
            if fence.until.is_some_and(|until| until <= now) {
                fence.until = None;
                silent.extend(fence.waits_for.iter().map(|(on, _)| *on));
            } else if fence.until.is_some() && fence.ask_at <= now {
                fence.ask_at = now + ASK_AGAIN;
                asked.extend(fence.waits_for.iter().copied());
            }
        }
        self.ask_for_acknowledgements(&asked);
        for on in silent {
            self.drop_connection(on, CloseReason::NotAcknowledged);
        }
        self.release_fences();
    }

    pub(super) fn fence_timeout(&self) -> Option<Instant> {
        let due = |fence: &Fence| {
            let until = fence.until?;
            Some(if fence.strict {
                until.min(fence.ask_at)
            } else {
                until
            })
        };
        self.fences.list.iter().filter_map(due).min()
    }
}
