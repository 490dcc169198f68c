//! Many tasks end at once, by a function of this session or of another one (RFC 7143 §4.2.3.2). With
//! TaskReporting=FastAbort nothing waits for their data: the initiator is told of their end on each
//! connection that it can't know of it, and until it has said there that it sends no more of their
//! data, their Target Transfer Tags mean nothing else (RFC 7143 §4.2.3.4, §4.2.3.5).
//!
//! The message goes out as soon as the tasks have ended here, and so before the answer to the function:
//! that waits for the shell.

use std::time::{Duration, Instant};

use super::connection::ConnectionId;
use super::event::CloseReason;
use super::task::{TaskId, TaskInfo};
use super::unit::Scope;
use super::{Event, Session};
use crate::parameters::TaskReporting;
use crate::serial::SerialNumber;

/// How long an initiator may take to acknowledge that its tasks have ended. A target may drop the
/// connection then (RFC 7143 §10.7).
const PATIENCE: Duration = Duration::from_secs(30);

/// Which tasks of the session end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affected {
    pub(super) scope: Scope,
    /// Not those that were sent after the function that ends them.
    pub(super) before: Option<SerialNumber>,
}

impl Affected {
    pub(super) fn has(self, info: &TaskInfo) -> bool {
        let is_later = |before: SerialNumber| !info.immediate && !info.cmd_sn.is_before(before);
        self.scope.has(info.lun) && !self.before.is_some_and(is_later)
    }
}

/// What an initiator was told on a connection of the tasks for a LUN, and hasn't acknowledged.
#[derive(Debug)]
pub(super) struct Termination {
    on: ConnectionId,
    lun: [u8; 8],
    /// Of the message.
    stat_sn: SerialNumber,
    /// Whose tags are withheld.
    tasks: Vec<TaskId>,
    until: Instant,
}

/// Tasks that end, by connection and LUN.
struct Group {
    on: ConnectionId,
    lun: [u8; 8],
    /// Those to which data may be on its way.
    tasks: Vec<TaskId>,
}

impl Session {
    /// Ends all tasks of that logical unit without a response: another session's task
    /// management function, or PREEMPT AND ABORT, concerns them (SAM-5 §7, with TAS = 0).
    /// [`Event::Abort`] names each that the shell knows.
    pub fn abort_lun(&mut self, lun: [u8; 8]) {
        if self.closed {
            return;
        }
        let affected = Affected {
            scope: Scope::of(lun),
            before: None,
        };
        self.terminate_tasks(affected, None);
    }

    /// Ends tasks without a response; `issuing`: the connection that the function came on.
    pub(super) fn terminate_tasks(&mut self, affected: Affected, issuing: Option<ConnectionId>) {
        let groups = if self.parameters.task_reporting == TaskReporting::FastAbort {
            self.groups(affected, issuing)
        } else {
            Vec::new()
        };
        let withheld: Vec<Vec<TaskId>> = groups
            .iter()
            .map(|group| {
                let mut tasks = group.tasks.clone();
                tasks.retain(|task| self.tasks.withhold(*task));
                tasks
            })
            .collect();
        self.abort_tasks(|info| affected.has(info));
        // What was said of them and didn't arrive is not said again (RFC 7143 §11.5.1).
        self.orphans.retain(|orphan| {
            let later = |before| !orphan.info.cmd_sn.is_before(before);
            !affected.scope.has(orphan.info.lun) || affected.before.is_some_and(later)
        });
        for (group, tasks) in groups.into_iter().zip(withheld) {
            let Group { on, lun, .. } = group;
            let Some(stat_sn) = self.tell_termination(on, lun) else {
                continue;
            };
            if !tasks.is_empty() {
                self.terminations.push(Termination {
                    on,
                    lun,
                    stat_sn,
                    tasks,
                    until: self.now + PATIENCE,
                });
            }
        }
    }

    /// Ends every task that is concerned, those the shell knows with an event.
    pub(super) fn abort_tasks(&mut self, concerned: impl Fn(&TaskInfo) -> bool) {
        if self.tasks.len() == 0 {
            return;
        }
        let named: Vec<TaskId> = self
            .tasks
            .iter()
            .filter(|(_, slot)| concerned(&slot.info))
            .map(|(task, _)| task)
            .collect();
        for task in named {
            if self.end_task(task).is_some_and(|ended| ended.delivered) {
                self.events.push_back(Event::Abort { task });
            }
        }
        if !self.fences.is_idle() {
            self.release_fences();
        }
    }

    fn groups(&self, affected: Affected, issuing: Option<ConnectionId>) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for (task, slot) in self.tasks.iter() {
            let (on, lun) = (slot.info.connection, slot.info.lun);
            let is_open = self.connections.get(on).is_some_and(|it| it.is_open());
            if !affected.has(&slot.info) || issuing == Some(on) || !is_open {
                continue;
            }
            let known = groups.iter_mut().find(|it| it.on == on && it.lun == lun);
            let tasks = slot.transfer.has_solicited().then_some(task);
            match known {
                Some(group) => group.tasks.extend(tasks),
                None => groups.push(Group {
                    on,
                    lun,
                    tasks: tasks.into_iter().collect(),
                }),
            }
        }
        groups
    }

    /// A NOP-Out that only acknowledges: it may be the answer to a message of ours (RFC 7143 §11.9.1).
    pub(super) fn acknowledge_terminations(&mut self, on: ConnectionId, lun: [u8; 8]) {
        let Some(connection) = self.connections.get(on) else {
            return;
        };
        let acknowledged = connection.acknowledged();
        self.release_terminations(|it| {
            it.on == on && it.lun == lun && it.stat_sn.is_before(acknowledged)
        });
    }

    /// Nothing comes on that connection any more.
    pub(super) fn forget_terminations(&mut self, on: ConnectionId) {
        self.release_terminations(|it| it.on == on);
    }

    fn release_terminations(&mut self, is_over: impl Fn(&Termination) -> bool) {
        let tasks = &mut self.tasks;
        self.terminations.retain(|termination| {
            let over = is_over(termination);
            if over {
                termination
                    .tasks
                    .iter()
                    .for_each(|task| tasks.release(*task));
            }
            !over
        });
    }

    /// Closes connections on which the end of tasks isn't acknowledged.
    pub(super) fn expire_terminations(&mut self) {
        let now = self.now;
        while let Some(silent) = self.terminations.iter().find(|it| it.until <= now) {
            let on = silent.on;
            self.drop_connection(on, CloseReason::NotAcknowledged);
            self.forget_terminations(on);
        }
    }

    pub(super) fn termination_timeout(&self) -> Option<Instant> {
        self.terminations.iter().map(|it| it.until).min()
    }
}
