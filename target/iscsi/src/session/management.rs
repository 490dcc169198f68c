//! Task management: ends the tasks of this session that a function concerns, and hands the function
//! to the shell, which knows logical units and other sessions (RFC 7143 §4.2.3, §11.5, §11.6). TASK
//! REASSIGN has a room of its own.
//!
//! What functions that concern many tasks wait for and tell is in the rooms `drain`, `termination` and
//! `fence`, by TaskReporting.

use bytes::Bytes;

use super::Session;
use super::connection::ConnectionId;
use super::drain::Draining;
use super::early::Next;
use super::event::{
    Event, TaskManagementFunction, TaskManagementRequest, TaskManagementResponse, TaskManagementTag,
};
use super::fence::{Ordered, Response};
use super::reject::Reason;
use super::task::TaskId;
use super::termination::Affected;
use super::unit::Scope;
use super::window::Admission;
use crate::pdu::RawPdu;
use crate::pdu::scsi_command::ScsiCommand as CommandPdu;
use crate::pdu::task_management_request::TaskManagementRequest as RequestPdu;
use crate::pdu::task_management_response::TaskManagementResponse as ResponsePdu;

/// Functions that may be under way (RFC 7143 §4.2.2.1 asks for one).
const FUNCTIONS_MAX: usize = 16;

/// Function codes (RFC 7143 §11.5.1) that the session answers by itself.
const TASK_REASSIGN: u8 = 8;

/// The functions under way.
#[derive(Debug, Default)]
pub(super) struct Functions {
    /// Handed to the shell: number, and whose request it is.
    running: Vec<Running>,
    /// Wait for commands that were sent before them.
    waiting: Vec<Request>,
    /// Wait for data of the tasks that they end.
    pub(super) draining: Vec<Draining>,
    next_tag: u32,
}

/// A request and the connection that it came on.
#[derive(Clone, Debug)]
pub(super) struct Request {
    on: ConnectionId,
    pdu: RequestPdu,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    on: ConnectionId,
    tag: TaskManagementTag,
    initiator_task_tag: u32,
    function: TaskManagementFunction,
    /// The logical units that it concerns.
    scope: Scope,
}

impl Functions {
    #[inline]
    pub(super) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    #[inline]
    pub(super) fn are_draining(&self) -> bool {
        !self.draining.is_empty()
    }

    /// A connection has gone: what waited on it isn't done any more.
    pub(super) fn forget(&mut self, on: ConnectionId) {
        self.waiting.retain(|request| request.on != on);
        self.draining.retain(|draining| draining.request.on != on);
    }

    fn len(&self) -> usize {
        self.running.len() + self.waiting.len() + self.draining.len()
    }
}

impl Session {
    /// The shell's answer to [`Event::TaskManagement`].
    pub fn task_management_done(
        &mut self,
        tag: TaskManagementTag,
        response: TaskManagementResponse,
    ) {
        let running = &mut self.functions.running;
        let Some(at) = running.iter().position(|running| running.tag == tag) else {
            return;
        };
        let running = running.swap_remove(at);
        if self.closed {
            return;
        }
        let closes = running.function == TaskManagementFunction::TargetColdReset
            && response == TaskManagementResponse::FunctionComplete;
        // ABORT TASK comes on the connection of its task, whose order is that of the stream. Without
        // fences its answer waits as the others do.
        let fenced = running.function != TaskManagementFunction::AbortTask
            || !self.parameters.task_reporting.has_fence();
        self.send_in_order(Ordered {
            scope: running.scope,
            fenced,
            response: Response::Function {
                on: running.on,
                initiator_task_tag: running.initiator_task_tag,
                response,
                closes,
            },
        });
    }

    pub(super) fn handle_task_management(&mut self, on: ConnectionId, pdu: &RawPdu) {
        let request = Request {
            on,
            pdu: RequestPdu::parse(&pdu.bhs),
        };
        let is_full = self.functions.len() + self.fences.functions() >= FUNCTIONS_MAX;
        if is_full && request.pdu.immediate {
            return self.reject_pdu(on, Reason::IMMEDIATE_COMMAND_REJECT, pdu);
        }
        if is_full {
            let response = TaskManagementResponse::FunctionRejected;
            return self.answer_function(request.on, request.pdu.initiator_task_tag, response);
        }
        if self.must_wait(&request) && is_target_reset(request.pdu.function) {
            self.plug(&request);
        }
        if self.must_wait(&request) {
            self.functions.waiting.push(request);
        } else {
            self.start_function(request);
        }
    }

    /// A target reset ends all commands before it, so that those that haven't come needn't be waited
    /// for: their CmdSNs count as received (RFC 7143 §4.2.3.3 b, §4.2.3.4 a). What came ahead of its
    /// turn has it now.
    fn plug(&mut self, request: &Request) {
        let distance = request.pdu.cmd_sn.since(self.window.expected());
        self.early.plug(distance);
        let next = self.early.next();
        self.deliver_early(next);
        if self.functions.are_waiting() {
            self.resume_functions();
        }
    }

    /// ExpCmdSN has gone up: functions that waited for that have their turn.
    #[cold]
    pub(super) fn resume_functions(&mut self) {
        let waiting = std::mem::take(&mut self.functions.waiting);
        for request in waiting {
            if self.must_wait(&request) {
                self.functions.waiting.push(request);
            } else if !self.closed {
                self.start_function(request);
            }
        }
    }

    /// A function that concerns many tasks, sent for immediate delivery, concerns all commands that
    /// were numbered before it: those that are missing have to come first (RFC 7143 §4.2.3.3).
    fn must_wait(&self, request: &Request) -> bool {
        // Inside the window, that is: whatever else its CmdSN may be, it isn't worth waiting for.
        let last_before = self.window.admit(request.pdu.cmd_sn.minus(1));
        request.pdu.immediate
            && last_before != Admission::Outside
            && multi_task_function(request.pdu.function).is_some()
    }

    fn start_function(&mut self, request: Request) {
        match request.pdu.function {
            1 => return self.abort_task(&request),
            TASK_REASSIGN => return self.reassign(request.on, &request.pdu),
            _ => {}
        }
        let Some(function) = multi_task_function(request.pdu.function) else {
            let response = TaskManagementResponse::FunctionNotSupported;
            return self.answer_function(request.on, request.pdu.initiator_task_tag, response);
        };
        // A reset concerns later commands too (RFC 7143 §11.5.1).
        let spares_later = matches!(
            function,
            TaskManagementFunction::AbortTaskSet | TaskManagementFunction::ClearTaskSet
        );
        let affected = Affected {
            scope: scope_of(function, request.pdu.lun),
            before: spares_later.then_some(request.pdu.cmd_sn),
        };
        if !self.must_drain(&request, function, affected) {
            self.execute_function(&request, function, affected);
        }
    }

    /// Ends the tasks that a function concerns, and hands it over.
    pub(super) fn execute_function(
        &mut self,
        request: &Request,
        function: TaskManagementFunction,
        affected: Affected,
    ) {
        self.terminate_tasks(affected, Some(request.on));
        self.hand_over(request, function, None);
    }

    /// ABORT TASK (RFC 7143 §11.5.1, §11.5.5, §11.6.1).
    fn abort_task(&mut self, request: &Request) {
        let named = self
            .tasks
            .find(request.pdu.referenced_task_tag)
            .filter(|task| {
                self.tasks
                    .get(*task)
                    .is_some_and(|slot| slot.info.lun == request.pdu.lun)
            });
        if let Some(task) = named {
            let known = self.end_task(task).is_some_and(|ended| ended.delivered);
            if known {
                self.events.push_back(Event::Abort { task });
            }
            if !self.fences.is_idle() {
                self.release_fences();
            }
            return self.hand_over(
                request,
                TaskManagementFunction::AbortTask,
                known.then_some(task),
            );
        }
        let response = match self.window.admit(request.pdu.ref_cmd_sn) {
            Admission::Due | Admission::Early(_)
                if request.pdu.ref_cmd_sn.is_before(request.pdu.cmd_sn)
                    && self.is_early_or_missing(request) =>
            {
                self.take_as_received(request);
                TaskManagementResponse::FunctionComplete
            }
            _ => TaskManagementResponse::TaskDoesNotExist,
        };
        self.answer_function(request.on, request.pdu.initiator_task_tag, response);
    }

    /// Whether the command with RefCmdSN is missing, or waits ahead of its turn under that tag.
    fn is_early_or_missing(&self, request: &Request) -> bool {
        let distance = request.pdu.ref_cmd_sn.since(self.window.expected());
        self.early
            .iter()
            .find(|(at, _)| *at == distance)
            .is_none_or(|(_, pdu)| {
                let header = CommandPdu::parse(&pdu.bhs);
                crate::pdu::opcode(&pdu.bhs) == CommandPdu::OPCODE
                    && header.initiator_task_tag == request.pdu.referenced_task_tag
            })
    }

    /// The command that a function ends hasn't had its turn: its CmdSN counts as received.
    fn take_as_received(&mut self, request: &Request) {
        let distance = request.pdu.ref_cmd_sn.since(self.window.expected());
        self.early.void(distance);
        if distance == 0 {
            let next = self.early.next();
            debug_assert!(matches!(next, Next::Skip), "it was voided just now");
            self.deliver_early(next);
            if self.functions.are_waiting() {
                self.resume_functions();
            }
        }
    }

    fn hand_over(
        &mut self,
        request: &Request,
        function: TaskManagementFunction,
        referenced: Option<TaskId>,
    ) {
        let tag = TaskManagementTag(self.functions.next_tag);
        self.functions.next_tag = self.functions.next_tag.wrapping_add(1);
        let initiator_task_tag = request.pdu.initiator_task_tag;
        self.functions.running.push(Running {
            on: request.on,
            tag,
            initiator_task_tag,
            function,
            scope: scope_of(function, request.pdu.lun),
        });
        let request = TaskManagementRequest {
            tag,
            function,
            lun: request.pdu.lun,
            referenced,
        };
        self.events.push_back(Event::TaskManagement(request));
    }

    pub(super) fn answer_function(
        &mut self,
        on: ConnectionId,
        initiator_task_tag: u32,
        response: TaskManagementResponse,
    ) {
        let most = self.retention_of(on);
        let Some(connection) = self.connections.get_mut(on) else {
            return;
        };
        let stat_sn = connection.take_stat_sn();
        let response = ResponsePdu {
            response: response as u8,
            initiator_task_tag,
            stat_sn,
            exp_cmd_sn: self.window.expected(),
            max_cmd_sn: self.window.advertise(),
        };
        connection.send_status(stat_sn, response.encode(0), Bytes::new(), most);
    }
}

/// The functions that may concern many tasks (RFC 7143 §4.2.3.1), by their codes (RFC 7143 §11.5.1).
fn multi_task_function(code: u8) -> Option<TaskManagementFunction> {
    Some(match code {
        2 => TaskManagementFunction::AbortTaskSet,
        4 => TaskManagementFunction::ClearTaskSet,
        5 => TaskManagementFunction::LogicalUnitReset,
        6 => TaskManagementFunction::TargetWarmReset,
        7 => TaskManagementFunction::TargetColdReset,
        _ => return None,
    })
}

fn is_target_reset(code: u8) -> bool {
    matches!(
        multi_task_function(code),
        Some(TaskManagementFunction::TargetWarmReset | TaskManagementFunction::TargetColdReset)
    )
}

/// The logical units whose tasks a function concerns (RFC 7143 §4.2.3.2).
fn scope_of(function: TaskManagementFunction, lun: [u8; 8]) -> Scope {
    match function {
        TaskManagementFunction::TargetWarmReset | TaskManagementFunction::TargetColdReset => {
            Scope::All
        }
        _ => Scope::of(lun),
    }
}
