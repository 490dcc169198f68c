//! Data-out: R2Ts for what the shell asks for, and Data-Out PDUs on their way into tasks (RFC 7143
//! §11.7, §11.8).

use std::collections::VecDeque;

use super::Session;
use super::condition::{CHECK_CONDITION, Condition};
use super::connection::ConnectionId;
use super::event::{Event, ScsiReply};
use super::reject::Reason;
use super::task::{Ended, TaskId, TaskInfo, TransferTag, UnknownTag};
use super::transfer::{Limits, Solicitation, Violation};
use crate::pdu::data_out::DataOut;
use crate::pdu::r2t::R2t;
use crate::pdu::{RESERVED_TAG, RawPdu};

/// Data-out that may be solicited and not complete at a time, in bytes, until the shell sets another
/// limit. A single task may always go on, however much it needs.
const CREDIT_DEFAULT: u64 = 16 * 1_024 * 1_024;
/// R2Ts that may be outstanding for one task, whatever was negotiated: their numbers are told apart
/// by one byte.
const OUTSTANDING_R2T_MAX: u16 = 64;
/// Ended tasks whose late data is recognised.
const ENDED_MAX: usize = 256;

/// How much data-out tasks may solicit. A task gets what it needs as a whole, in the order of asking:
/// two halves of two writes would each wait for the other.
#[derive(Debug)]
pub(super) struct Credit {
    limit: u64,
    in_use: u64,
    waiting: VecDeque<TaskId>,
}

impl Default for Credit {
    fn default() -> Self {
        Self {
            limit: CREDIT_DEFAULT,
            in_use: 0,
            waiting: VecDeque::new(),
        }
    }
}

impl Credit {
    #[cfg(test)]
    pub(super) fn waiting_len(&self) -> usize {
        self.waiting.len()
    }

    fn take(&mut self, bytes: u32) -> bool {
        let fits = self.in_use == 0 || self.in_use + u64::from(bytes) <= self.limit;
        if fits {
            self.in_use += u64::from(bytes);
        }
        fits
    }
}

impl Session {
    /// SCSI wants `length` bytes of data-out, at most what the initiator announced. What came
    /// unsolicited counts; R2Ts are sent for the rest. When all of it is there,
    /// [`Event::DataOut`] says so. With a length of 0, or for a task that has none, nothing happens.
    pub fn request_data(&mut self, task: TaskId, length: u32) {
        let Some(slot) = self.tasks.get_mut(task) else {
            return;
        };
        if !slot.info.write || self.closed {
            return;
        }
        slot.transfer.request(length.min(slot.info.expected));
        self.advance_transfer(task);
    }

    /// The most data-out, in bytes, that may be solicited and not complete at a time. One task may
    /// always go on, however much it needs. Data that comes unsolicited isn't part of it.
    pub fn set_data_credit(&mut self, bytes: u64) {
        self.credit.limit = bytes;
        if !self.closed {
            self.grant_waiting();
        }
    }

    #[inline]
    pub(super) fn handle_data_out(&mut self, on: ConnectionId, pdu: &mut RawPdu) {
        let header = DataOut::parse(&pdu.bhs);
        let (task, r2t) = if header.target_transfer_tag == RESERVED_TAG {
            (self.tasks.find(header.initiator_task_tag), None)
        } else {
            let tag = TransferTag::from_wire(header.target_transfer_tag);
            match self.tasks.find_transfer(tag) {
                Ok(Some(task)) => (Some(task), Some(tag.r2t)),
                // It answers an R2T of a task that has ended meanwhile.
                Ok(None) => return,
                Err(UnknownTag) => return self.reject_pdu(on, Reason::INVALID_PDU_FIELD, pdu),
            }
        };
        let limits = self.limits();
        let Some(slot) = task.and_then(|task| self.tasks.get_mut(task)) else {
            return self.handle_late_data(on, &header, pdu);
        };
        let Some(task) = task else { return };
        // Data comes on the connection of its command (RFC 7143 §4.2.5.1).
        if slot.info.initiator_task_tag != header.initiator_task_tag || slot.info.connection != on {
            return self.reject_pdu(on, Reason::INVALID_PDU_FIELD, pdu);
        }
        let data = std::mem::take(&mut pdu.data);
        match slot.transfer.accept(&header, data, r2t, limits) {
            Ok(()) => self.continue_after_loss(task),
            Err(violation) => {
                let condition = match violation {
                    Violation::NoSequence if r2t.is_none() => Condition::UnexpectedUnsolicitedData,
                    Violation::DataSn => Condition::ProtocolServiceCrcError,
                    Violation::Short => Condition::IncorrectAmountOfData,
                    Violation::NoSequence | Violation::WrongPlace => {
                        self.reject_pdu(on, Reason::INVALID_PDU_FIELD, pdu);
                        Condition::IncorrectAmountOfData
                    }
                };
                self.fail_task(task, condition);
            }
        }
    }

    /// Unsolicited data without a task: swallowed if its task has ended before its data.
    #[cold]
    fn handle_late_data(&mut self, on: ConnectionId, header: &DataOut, pdu: &RawPdu) {
        let tag = header.initiator_task_tag;
        let Some(at) = self.ended.iter().position(|ended| *ended == tag) else {
            return self.reject_pdu(on, Reason::INVALID_PDU_FIELD, pdu);
        };
        if header.last {
            self.ended.remove(at);
        }
    }

    /// Does what a task's transfer is ready for: the end of a failed one, the data, or R2Ts.
    pub(super) fn advance_transfer(&mut self, task: TaskId) {
        let Some(slot) = self.tasks.get_mut(task).filter(|slot| !slot.answered) else {
            return;
        };
        if let Some(condition) = slot.transfer.failure() {
            if !slot.transfer.is_open() {
                self.end_with(task, condition);
            }
            return;
        }
        if let Some(data) = slot.transfer.take_complete() {
            let credit = std::mem::take(&mut slot.credit);
            self.events.push_back(Event::DataOut { task, data });
            return self.give_back(credit);
        }
        if slot.transfer.is_granted() {
            self.send_r2ts(task);
        } else if slot.transfer.missing() > 0 && !self.credit.waiting.contains(&task) {
            self.credit.waiting.push_back(task);
            self.grant_waiting();
        }
    }

    /// The task ends with this condition as soon as its open sequences have ended (RFC 7143 §11.17.1).
    #[cold]
    pub(super) fn fail_task(&mut self, task: TaskId, condition: Condition) {
        let Some(slot) = self.tasks.get_mut(task).filter(|slot| !slot.answered) else {
            return;
        };
        slot.transfer.fail(condition);
        self.advance_transfer(task);
    }

    fn end_with(&mut self, task: TaskId, condition: Condition) {
        let Some(slot) = self.tasks.get_mut(task) else {
            return;
        };
        if std::mem::take(&mut slot.delivered) {
            self.events.push_back(Event::Abort { task });
        }
        let reply = ScsiReply {
            status: CHECK_CONDITION,
            sense: condition.sense(),
            ..ScsiReply::default()
        };
        self.respond(task, reply);
    }

    /// Removes a task from the books.
    #[inline]
    pub(super) fn end_task(&mut self, task: TaskId) -> Option<Ended> {
        let ended = self.tasks.remove(task)?;
        if ended.info.immediate {
            self.immediate_tasks -= 1;
        } else {
            self.window.end_task();
        }
        if ended.unsolicited_open {
            self.swallow_unsolicited(ended.info.initiator_task_tag);
        }
        if !self.credit.waiting.is_empty() {
            self.credit.waiting.retain(|waiting| *waiting != task);
        }
        if ended.credit > 0 {
            self.give_back(ended.credit);
        }
        if ended.answered {
            self.fences.forget(task);
        }
        Some(ended)
    }

    /// Unsolicited data with that tag will come without a task: it is to be swallowed.
    pub(super) fn swallow_unsolicited(&mut self, initiator_task_tag: u32) {
        if self.ended.len() == ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(initiator_task_tag);
    }

    pub(super) fn give_back(&mut self, credit: u32) {
        self.credit.in_use -= u64::from(credit);
        if !self.credit.waiting.is_empty() && !self.closed {
            self.grant_waiting();
        }
    }

    /// Lets tasks solicit that waited for credit, in order.
    fn grant_waiting(&mut self) {
        while let Some(task) = self.credit.waiting.front().copied() {
            let missing = self
                .tasks
                .get(task)
                .map_or(0, |slot| slot.transfer.missing());
            if missing > 0 {
                if !self.credit.take(missing) {
                    return;
                }
                if let Some(slot) = self.tasks.get_mut(task) {
                    slot.credit = missing;
                    slot.transfer.grant();
                }
                self.send_r2ts(task);
            }
            self.credit.waiting.pop_front();
        }
    }

    fn send_r2ts(&mut self, task: TaskId) {
        let limits = self.limits();
        while let Some(slot) = self.tasks.get_mut(task) {
            let Some(solicitation) = slot.transfer.solicit(limits) else {
                return;
            };
            let info = slot.info;
            self.send_r2t(task, info, solicitation);
        }
    }

    pub(super) fn send_r2t(&mut self, task: TaskId, info: TaskInfo, solicitation: Solicitation) {
        let Some(connection) = self.connections.get_mut(info.connection) else {
            return;
        };
        let r2t = R2t {
            lun: info.lun,
            initiator_task_tag: info.initiator_task_tag,
            target_transfer_tag: TransferTag::new(task, solicitation.r2t_sn).to_wire(),
            stat_sn: connection.stat_sn(),
            exp_cmd_sn: self.window.expected(),
            max_cmd_sn: self.window.advertise(),
            r2t_sn: solicitation.r2t_sn,
            buffer_offset: solicitation.offset,
            desired_data_transfer_length: solicitation.length,
        };
        connection.tx.push_header(&r2t.encode(0));
    }

    #[inline]
    pub(super) fn limits(&self) -> Limits {
        let parameters = &self.parameters;
        Limits {
            max_burst_length: parameters.max_burst_length,
            max_outstanding_r2t: usize::from(
                parameters.max_outstanding_r2t.clamp(1, OUTSTANDING_R2T_MAX),
            ),
            data_pdu_in_order: parameters.data_pdu_in_order,
            recovers: (parameters.error_recovery_level > 0).then_some(self.now),
        }
    }
}
