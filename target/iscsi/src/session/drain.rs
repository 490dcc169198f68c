//! Before a function that aborts many tasks takes effect, the data that was asked for comes: so the
//! standard semantics have it (RFC 7143 §4.2.3.3 a, §11.5.1), which an initiator has agreed to by
//! TaskReporting=ResponseFence. With FastAbort nobody waits.
//!
//! Nobody waits with RFC3720 either: the usual initiators don't negotiate, and stop sending data once
//! they have asked for an abort. A tag of an ended task doesn't come to mean another one before
//! thousands of tasks have had its slot, and such data is swallowed when it comes.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::connection::ConnectionId;
use super::event::TaskManagementFunction;
use super::management::Request;
use super::termination::Affected;
use super::{CloseReason, Session};
use crate::parameters::TaskReporting;

/// How long the data may take. Then its connection is dropped, to complete the function (RFC 7143
/// §11.5.1).
const PATIENCE: Duration = Duration::from_secs(10);

/// A function that waits.
#[derive(Debug)]
pub(super) struct Draining {
    pub(super) request: Request,
    function: TaskManagementFunction,
    affected: Affected,
    until: Instant,
}

impl Session {
    /// Whether a function has to wait for data; then it is kept, and nothing more is asked for.
    pub(super) fn must_drain(
        &mut self,
        request: &Request,
        function: TaskManagementFunction,
        affected: Affected,
    ) -> bool {
        if self.parameters.task_reporting != TaskReporting::ResponseFence
            || self.owing(affected).next().is_none()
        {
            return false;
        }
        let all = self.tasks.iter();
        let named = all.filter(|(_, slot)| affected.has(&slot.info));
        let tasks: Vec<_> = named.map(|(task, _)| task).collect();
        for task in tasks {
            if let Some(slot) = self.tasks.get_mut(task) {
                slot.transfer.halt();
            }
        }
        self.functions.draining.push(Draining {
            request: request.clone(),
            function,
            affected,
            until: self.now + PATIENCE,
        });
        true
    }

    /// Goes on with the functions whose data has come.
    pub(super) fn continue_drains(&mut self) {
        let mut at = 0;
        while !self.closed
            && let Some(draining) = self.functions.draining.get(at)
        {
            if self.owing(draining.affected).next().is_some() {
                at += 1;
                continue;
            }
            let draining = self.functions.draining.remove(at);
            let Draining {
                request,
                function,
                affected,
                ..
            } = draining;
            self.execute_function(&request, function, affected);
        }
    }

    /// Drops connections on which the data doesn't come.
    pub(super) fn expire_drains(&mut self) {
        let now = self.now;
        let late = self.functions.draining.iter().filter(|it| it.until <= now);
        let silent: SmallVec<[ConnectionId; 2]> =
            late.flat_map(|it| self.owing(it.affected)).collect();
        for on in silent {
            self.drop_connection(on, CloseReason::DataNotSent);
        }
        if self.functions.are_draining() {
            self.continue_drains();
        }
    }

    pub(super) fn drain_timeout(&self) -> Option<Instant> {
        self.functions.draining.iter().map(|it| it.until).min()
    }

    /// The connections on which data of those tasks is still to come.
    fn owing(&self, affected: Affected) -> impl Iterator<Item = ConnectionId> {
        self.tasks
            .iter()
            .filter(move |(_, slot)| {
                let on = slot.info.connection;
                affected.has(&slot.info)
                    && slot.transfer.has_solicited()
                    && self.connections.get(on).is_some_and(|it| it.is_open())
            })
            .map(|(_, slot)| slot.info.connection)
    }
}
