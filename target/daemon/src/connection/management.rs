//! Task management functions under way: each is answered when no task that it ended has I/O running
//! any more, here and in other sessions (SAM-6 §7). Knows no sockets.

use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, Instant};

use tidelock_iscsi::session::{
    TaskManagementFunction, TaskManagementRequest, TaskManagementResponse, TaskManagementTag,
};
use tokio::sync::oneshot;

use crate::connection::full_feature::FullFeature;

/// How long a function waits for I/O that doesn't end; Linux gives an abort 15 s.
const PATIENCE: Duration = Duration::from_secs(8);

/// The functions of one session that wait.
#[derive(Debug, Default)]
pub struct Management {
    own: Vec<Own>,
    /// Other sessions wait for our aborted tasks.
    others: Vec<oneshot::Sender<()>>,
}

#[derive(Debug)]
struct Own {
    tag: TaskManagementTag,
    response: TaskManagementResponse,
    elsewhere: Vec<oneshot::Receiver<()>>,
    deadline: Instant,
}

impl Management {
    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.others.is_empty()
    }

    /// Looks whether other sessions have ended their tasks; true if one has.
    pub fn poll_others(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        for own in &mut self.own {
            own.elsewhere.retain_mut(|waiter| {
                // A session that ended instead of answering has no tasks either.
                let pending = std::pin::Pin::new(waiter).poll(cx).is_pending();
                progress |= !pending;
                pending
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
            TaskManagementFunction::ClearTaskSet | TaskManagementFunction::LogicalUnitReset => {
                match self.luns.find(request.lun) {
                    None => response = TaskManagementResponse::LunDoesNotExist,
                    Some(lun) => {
                        let reset = request.function == TaskManagementFunction::LogicalUnitReset;
                        lun.end_tasks_of_others(reset);
                        let volume = lun.volume_name();
                        elsewhere = self.abort_elsewhere(Some(&volume));
                    }
                }
            }
            TaskManagementFunction::TargetWarmReset => {
                self.luns.reset_all();
                elsewhere = self.abort_elsewhere(None);
            }
            TaskManagementFunction::TargetColdReset => {
                self.luns.reset_all();
                elsewhere = self.abort_elsewhere(None);
                let target = self.registration.info.key.target.clone();
                // RFC 7143 §11.5.1: a cold reset also ends every session of the target, this one
                // after its answer.
                self.local
                    .shared
                    .directory
                    .terminate_where("target cold reset", |info| info.key.target == target);
            }
            _ => response = TaskManagementResponse::FunctionNotSupported,
        }
        self.management.own.push(Own {
            tag: request.tag,
            response,
            elsewhere,
            deadline: self.now + PATIENCE,
        });
        self.answer_management();
    }

    fn abort_elsewhere(&self, volume: Option<&Arc<str>>) -> Vec<oneshot::Receiver<()>> {
        let info = &self.registration.info;
        let Some(target) = info.key.target.as_deref() else {
            return Vec::new();
        };
        self.local
            .shared
            .directory
            .abort_tasks(target, volume, info.id)
    }

    /// A function of another session concerns our tasks: ends them without a response (TAS = 0).
    pub(crate) fn abort_for_others(&mut self, volume: Option<Arc<str>>, done: oneshot::Sender<()>) {
        let luns = self.luns.of_volume(volume.as_deref());
        for lun in luns {
            self.session.abort_lun(lun);
        }
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
                let _ = done.send(());
            }
        }
        let mut index = 0;
        while let Some(own) = self.management.own.get(index) {
            let finished = settled && own.elsewhere.is_empty();
            if !finished && self.now < own.deadline {
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
