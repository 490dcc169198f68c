//! Task management functions under way: each is answered when no task that it ended has I/O running
//! any more, here and in other sessions (SAM-6 §7). Knows no sockets.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tidelock_iscsi::session::{
    TaskManagementFunction, TaskManagementRequest, TaskManagementResponse, TaskManagementTag,
};
use tidelock_scsi::UnitAttention;
use tokio::sync::oneshot;

use crate::connection::full_feature::FullFeature;
use crate::connection::luns::Attached;

/// How long a function waits for I/O that doesn't end; Linux gives an abort 15 s.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

/// The functions of one session that wait.
#[derive(Debug, Default)]
pub struct Management {
    own: Vec<Own>,
    /// Other sessions wait for our aborted tasks.
    others: Vec<oneshot::Sender<bool>>,
}

#[derive(Debug)]
struct Own {
    tag: TaskManagementTag,
    response: TaskManagementResponse,
    elsewhere: Vec<oneshot::Receiver<bool>>,
    deadline: Instant,
    /// I/O of a task that it ended was given up while it still ran.
    left_behind: bool,
}

impl Management {
    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.others.is_empty()
    }

    /// I/O of an aborted task is given up although it still runs: what waits for it is told so.
    pub fn leave_behind(&mut self) {
        for own in &mut self.own {
            own.left_behind = true;
        }
        for done in self.others.drain(..) {
            // The asker may have given up.
            let _ = done.send(false);
        }
    }

    /// Looks whether other sessions have ended their tasks; true if one has.
    pub fn poll_others(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        for own in &mut self.own {
            own.elsewhere.retain_mut(|waiter| {
                // A session that ended instead of answering has no tasks either.
                let Poll::Ready(ended) = std::pin::Pin::new(waiter).poll(cx) else {
                    return true;
                };
                own.left_behind |= ended == Ok(false);
                progress = true;
                false
            });
        }
        progress
    }
}

impl FullFeature {
    /// The session has a function for us; its `Abort` events came before.
    pub(crate) fn start_management(&mut self, request: TaskManagementRequest) {
        let mut response = TaskManagementResponse::FunctionComplete;
        let mut elsewhere = Vec::new();
        match request.function {
            TaskManagementFunction::AbortTask | TaskManagementFunction::AbortTaskSet => {}
            // The task set holds the tasks of this nexus alone (TST 001b).
            TaskManagementFunction::ClearTaskSet => {
                if self.luns.find(request.lun).is_none() {
                    response = TaskManagementResponse::LunDoesNotExist;
                }
            }
            TaskManagementFunction::LogicalUnitReset => match self.luns.find(request.lun) {
                None => response = TaskManagementResponse::LunDoesNotExist,
                Some(lun) => {
                    lun.reset();
                    let volume = lun.volume_name();
                    self.luns.tell(&volume, UnitAttention::BusDeviceReset);
                    elsewhere = self.abort_elsewhere([volume]);
                }
            },
            TaskManagementFunction::TargetWarmReset => {
                elsewhere = self.reset_target();
            }
            TaskManagementFunction::TargetColdReset => {
                elsewhere = self.reset_target();
                // RFC 7143 §11.5.1: a cold reset also ends every session of the target. This one ends
                // itself after the answer.
                let info = &self.registration.info;
                self.local
                    .shared
                    .directory
                    .terminate_where("target cold reset", |other| {
                        other.key.target == info.key.target && other.id != info.id
                    });
            }
            _ => response = TaskManagementResponse::FunctionNotSupported,
        }
        self.management.own.push(Own {
            tag: request.tag,
            response,
            elsewhere,
            deadline: self.now + PATIENCE,
            left_behind: false,
        });
        self.answer_management();
    }

    fn reset_target(&mut self) -> Vec<oneshot::Receiver<bool>> {
        self.luns.reset_all();
        let volumes: Vec<_> = self.luns.iter().map(Attached::volume_name).collect();
        self.abort_elsewhere(volumes)
    }

    fn abort_elsewhere(
        &self,
        volumes: impl IntoIterator<Item = Arc<str>>,
    ) -> Vec<oneshot::Receiver<bool>> {
        let directory = &self.local.shared.directory;
        let me = self.registration.info.id;
        let waiters = volumes
            .into_iter()
            .map(|volume| directory.abort_tasks(&volume, UnitAttention::BusDeviceReset, me));
        waiters.flatten().collect()
    }

    /// A function of another session, or PREEMPT AND ABORT, concerns our tasks: ends them without a
    /// response (TAS = 0). Only then can a command find the unit attention that tells of it, so that
    /// none of them is answered after that.
    pub(crate) fn abort_for_others(
        &mut self,
        volume: &str,
        attention: UnitAttention,
        done: oneshot::Sender<bool>,
    ) {
        for lun in self.luns.of_volume(volume) {
            self.session.abort_lun(lun);
        }
        self.luns.tell(volume, attention);
        self.handle_events();
        self.management.others.push(done);
        self.answer_management();
    }

    /// Answers the functions that have nothing left to wait for, or have waited long enough.
    pub(crate) fn answer_management(&mut self) {
        if self.management.is_empty() {
            return;
        }
        let settled = self.commands.aborted_running() == 0;
        if settled {
            for done in self.management.others.drain(..) {
                // The asker may have given up.
                let _ = done.send(true);
            }
        }
        let mut index = 0;
        while let Some(own) = self.management.own.get(index) {
            let finished = settled && own.elsewhere.is_empty() && !own.left_behind;
            if !finished && !own.left_behind && self.now < own.deadline {
                index += 1;
                continue;
            }
            let own = self.management.own.swap_remove(index);
            let response = if finished {
                own.response
            } else {
                // The truth: something that should have ended still runs.
                TaskManagementResponse::FunctionRejected
            };
            self.session.task_management_done(own.tag, response);
        }
    }
}
