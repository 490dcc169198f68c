//! Task management: ends the tasks of this session that a function concerns, and hands the function
//! to the shell, which knows logical units and other sessions (RFC 7143 §4.2.3, §11.5, §11.6). TASK
//! REASSIGN has a room of its own.
//!
//! The session doesn't wait for the answers to outstanding R2Ts of ended tasks, as RFC 7143 §4.2.3.3
//! has it: the usual initiators stop sending data once they have asked for an abort, and a tag of an
//! ended task never comes to mean another one. Such data is swallowed when it comes.

use bytes::Bytes;

use super::connection::ConnectionId;
use super::early::Next;
use super::event::{
    Event, TaskManagementFunction, TaskManagementRequest, TaskManagementResponse, TaskManagementTag,
};
use super::reject::Reason;
use super::task::{TaskId, TaskInfo};
use super::window::Admission;
use super::{CloseReason, Session};
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
    next_tag: u32,
}

/// A request and the connection that it came on.
#[derive(Clone, Debug)]
struct Request {
    on: ConnectionId,
    pdu: RequestPdu,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    on: ConnectionId,
    tag: TaskManagementTag,
    initiator_task_tag: u32,
    function: TaskManagementFunction,
}

impl Functions {
    #[inline]
    pub(super) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// A connection has gone: what waited on it isn't done any more.
    pub(super) fn forget(&mut self, on: ConnectionId) {
        self.waiting.retain(|request| request.on != on);
    }

    fn is_full(&self) -> bool {
        self.running.len() + self.waiting.len() >= FUNCTIONS_MAX
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
        self.answer_behind_fence(running.on, running.initiator_task_tag, response);
        if running.function == TaskManagementFunction::TargetColdReset
            && response == TaskManagementResponse::FunctionComplete
        {
            // RFC 7143 §11.5.1: a cold reset ends the sessions too.
            self.close(CloseReason::TargetColdReset);
        }
    }

    /// Ends all tasks for that LUN without a response: another session's task management function
    /// concerns them (SAM-5 §7, with TAS = 0). [`Event::Abort`] names each that the shell knows.
    pub fn abort_lun(&mut self, lun: [u8; 8]) {
        if !self.closed {
            self.abort_tasks(|info| info.lun == lun);
        }
    }

    pub(super) fn handle_task_management(&mut self, on: ConnectionId, pdu: &RawPdu) {
        let request = Request {
            on,
            pdu: RequestPdu::parse(&pdu.bhs),
        };
        if self.functions.is_full() && request.pdu.immediate {
            return self.reject_pdu(on, Reason::IMMEDIATE_COMMAND_REJECT, pdu);
        }
        if self.functions.is_full() {
            let response = TaskManagementResponse::FunctionRejected;
            return self.answer_function(request.on, request.pdu.initiator_task_tag, response);
        }
        if self.must_wait(&request) {
            self.functions.waiting.push(request);
        } else {
            self.start_function(request);
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
            && is_multi_task(request.pdu.function)
    }

    fn start_function(&mut self, request: Request) {
        let function = match request.pdu.function {
            1 => return self.abort_task(&request),
            2 => TaskManagementFunction::AbortTaskSet,
            4 => TaskManagementFunction::ClearTaskSet,
            5 => TaskManagementFunction::LogicalUnitReset,
            6 => TaskManagementFunction::TargetWarmReset,
            7 => TaskManagementFunction::TargetColdReset,
            TASK_REASSIGN => return self.reassign(request.on, &request.pdu),
            _ => {
                let response = TaskManagementResponse::FunctionNotSupported;
                return self.answer_function(request.on, request.pdu.initiator_task_tag, response);
            }
        };
        match function {
            TaskManagementFunction::TargetWarmReset | TaskManagementFunction::TargetColdReset => {
                self.abort_tasks(|_| true);
            }
            _ => self.abort_tasks(|info| info.lun == request.pdu.lun),
        }
        self.hand_over(&request, function, None);
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

fn is_multi_task(function: u8) -> bool {
    matches!(function, 2 | 4 | 5 | 6 | 7)
}
