//! TASK REASSIGN: a task whose connection was lost goes on over another one (RFC 7143 §7.2.2,
//! §11.5.1). Only at ErrorRecoveryLevel 2.

use super::Session;
use super::condition::{CHECK_CONDITION, Condition};
use super::connection::ConnectionId;
use super::event::TaskManagementResponse;
use super::residual::Residual;
use super::retained::Answered;
use super::task::TaskId;
use crate::pdu::DataSegment;
use crate::pdu::task_management_request::TaskManagementRequest as RequestPdu;

/// Where the task is that is to be reassigned.
enum Found {
    /// It hasn't ended.
    Running(TaskId),
    /// Its answer waits.
    Answered(usize),
}

impl Session {
    /// Answers the function first: only then does the reassignment take effect.
    pub(super) fn reassign(&mut self, on: ConnectionId, request: &RequestPdu) {
        let found = self.find_reassignable(request.referenced_task_tag);
        let response = match found {
            Ok(_) => TaskManagementResponse::FunctionComplete,
            Err(response) => response,
        };
        self.answer_function(on, request.initiator_task_tag, response);
        match found {
            Ok(Found::Running(task)) => self.resume_task(on, task, request.exp_data_sn),
            Ok(Found::Answered(at)) => {
                let answered = self.orphans.swap_remove(at);
                self.resume_answer(on, answered, request.exp_data_sn);
            }
            Err(_) => {}
        }
    }

    fn find_reassignable(&self, tag: u32) -> Result<Found, TaskManagementResponse> {
        if self.recovery_level() < 2 {
            return Err(TaskManagementResponse::TaskAllegianceReassignmentNotSupported);
        }
        let is_free = |id: ConnectionId| {
            let mut lost = self.lost.iter();
            lost.any(|lost| lost.id == id && lost.logged_out)
        };
        let has_tag = |answered: &Answered| answered.info.initiator_task_tag == tag;
        let (found, on) = if let Some(task) = self.tasks.find(tag) {
            let slot = self.tasks.get(task);
            let on = slot.map(|slot| slot.info.connection);
            (Found::Running(task), on.unwrap_or_default())
        } else if let Some(at) = self.orphans.iter().position(has_tag) {
            let on = self.orphans.get(at).map(|it| it.info.connection);
            (Found::Answered(at), on.unwrap_or_default())
        } else {
            let mut kept = self.connections.iter().flat_map(|it| it.retained.answers());
            return Err(if kept.any(has_tag) {
                TaskManagementResponse::TaskStillAllegiant
            } else {
                TaskManagementResponse::TaskDoesNotExist
            });
        };
        if is_free(on) {
            Ok(found)
        } else {
            Err(TaskManagementResponse::TaskStillAllegiant)
        }
    }

    fn resume_task(&mut self, on: ConnectionId, task: TaskId, exp_data_sn: u32) {
        let now = self.now;
        if let Some(slot) = self.tasks.get_mut(task) {
            slot.info.connection = on;
            slot.snack_tag = 0;
            slot.transfer.resume(exp_data_sn, now);
        }
        self.advance_transfer(task);
    }

    fn resume_answer(&mut self, on: ConnectionId, mut answered: Answered, exp_data_sn: u32) {
        let Some(connection) = self.connections.get(on) else {
            return;
        };
        let limit = u32::try_from(connection.segment_limit()).unwrap_or(u32::MAX);
        answered.info.connection = on;
        answered.snack_tag = 0;
        if answered.stat_sn.is_some() && exp_data_sn > 0 {
            // A number that can't be is ignored (RFC 7143 §11.5.6).
            answered.acknowledge(exp_data_sn);
        }
        if !answered.is_complete() {
            // The data could not be kept, and reading it again might bring other data.
            let (first_sn, start) = answered.acknowledged;
            answered.cut.first_sn = first_sn;
            answered.cut.end = start;
            answered.data = DataSegment::new();
            answered.status = CHECK_CONDITION;
            answered.sense = Condition::SnackRejected.sense();
            answered.residual = Residual::default();
            answered.read_residual = Residual::default();
        }
        answered.cut_again(limit);
        let has_data = answered.cut.end > answered.cut.start;
        answered.collapsed = answered.collapsed && has_data && answered.sense.is_empty();
        self.deliver_answer(on, answered, 0);
    }
}
