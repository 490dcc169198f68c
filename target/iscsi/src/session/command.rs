//! SCSI Command: from the PDU to a task and an event (RFC 7143 §11.3). A CDB is bytes here.

use super::Session;
use super::condition::Condition;
use super::connection::ConnectionId;
use super::event::{Cdb, Event, ScsiCommand, TaskAttribute};
use super::reject::Reason;
use super::task::{TaskId, TaskInfo};
use crate::pdu::additional_headers::AdditionalHeaders;
use crate::pdu::scsi_command::ScsiCommand as CommandPdu;
use crate::pdu::{RESERVED_TAG, RawPdu};

/// Immediate commands that may be outstanding beside the window (RFC 7143 §4.2.2.1 asks for one).
pub(super) const IMMEDIATE_TASKS_MAX: u32 = 16;

/// What a command says beyond its fixed fields.
struct Checked {
    attribute: TaskAttribute,
    cdb: Cdb,
    bidi_read: u32,
}

impl Session {
    #[inline]
    pub(super) fn handle_scsi_command(&mut self, on: ConnectionId, pdu: &mut RawPdu) {
        let header = CommandPdu::parse(&pdu.bhs);
        let checked = match self.check_command(&header, &pdu.ahs) {
            Ok(checked) => checked,
            Err(reason) => return self.refuse_command(on, reason, &header, pdu),
        };
        let Checked {
            attribute,
            cdb,
            bidi_read,
        } = checked;
        let info = TaskInfo {
            connection: on,
            lun: header.lun,
            initiator_task_tag: header.initiator_task_tag,
            cmd_sn: header.cmd_sn,
            expected: header.expected_data_transfer_length,
            expected_bidi_read: if header.read && header.write {
                bidi_read
            } else {
                0
            },
            read: header.read,
            write: header.write,
            immediate: header.immediate,
        };
        let Some(task) = self.begin_task(info) else {
            return self.refuse_command(on, Reason::IMMEDIATE_COMMAND_REJECT, &header, pdu);
        };
        if (!header.last || !pdu.data.is_empty())
            && let Err(condition) = self.take_unsolicited(task, &header, pdu)
        {
            return self.fail_task(task, condition);
        }
        if let Some(slot) = self.tasks.get_mut(task) {
            slot.delivered = true;
        }
        self.events.push_back(Event::Command(ScsiCommand {
            task,
            lun: info.lun,
            cdb,
            attribute,
            read: info.read,
            write: info.write,
            expected_data_transfer_length: info.expected,
            expected_bidi_read_length: info.expected_bidi_read,
            immediate: info.immediate,
            cmd_sn: info.cmd_sn.0,
        }));
    }

    /// Whether there can be a task for the command, and what it says beyond its fixed fields.
    #[inline]
    fn check_command(&self, header: &CommandPdu, ahs: &[u8]) -> Result<Checked, Reason> {
        // Without W nothing follows, so that F has to be set (RFC 7143 §11.3.1).
        if header.initiator_task_tag == RESERVED_TAG || !(header.last || header.write) {
            return Err(Reason::INVALID_PDU_FIELD);
        }
        if self.tasks.find(header.initiator_task_tag).is_some() {
            return Err(Reason::TASK_IN_PROGRESS);
        }
        if header.immediate && self.immediate_tasks >= IMMEDIATE_TASKS_MAX {
            return Err(Reason::IMMEDIATE_COMMAND_REJECT);
        }
        let attribute =
            TaskAttribute::from_wire(header.attribute).ok_or(Reason::INVALID_PDU_FIELD)?;
        let mut cdb = Cdb::from_buf(header.cdb);
        let mut bidi_read = 0;
        if !ahs.is_empty() {
            let headers = AdditionalHeaders::parse(ahs).ok_or(Reason::INVALID_PDU_FIELD)?;
            cdb.extend_from_slice(headers.extended_cdb);
            bidi_read = headers.bidirectional_read_length.unwrap_or(0);
        }
        Ok(Checked {
            attribute,
            cdb,
            bidi_read,
        })
    }

    /// Rejects a command. Unsolicited data that it announced is swallowed when it comes, unless its
    /// tag is that of a task.
    #[cold]
    fn refuse_command(
        &mut self,
        on: ConnectionId,
        reason: Reason,
        header: &CommandPdu,
        pdu: &RawPdu,
    ) {
        self.reject_pdu(on, reason, pdu);
        if header.write && !header.last && reason != Reason::TASK_IN_PROGRESS {
            self.swallow_unsolicited(header.initiator_task_tag);
        }
    }

    #[inline]
    fn begin_task(&mut self, info: TaskInfo) -> Option<TaskId> {
        let task = self.tasks.insert(info)?;
        if info.immediate {
            self.immediate_tasks += 1;
        } else {
            self.window.begin_task();
        }
        if self.recovery_level() > 0 {
            // The initiator has the answer to what the tag meant before.
            self.forget_answer(info.initiator_task_tag);
        }
        if !self.ended.is_empty() {
            // The tag means the new task from now on.
            self.ended.retain(|tag| *tag != info.initiator_task_tag);
        }
        Some(task)
    }

    /// Immediate data, and the announcement of unsolicited Data-Out PDUs: both as far as the
    /// negotiated parameters allow (RFC 7143 §4.2.5.2, §13.10, §13.11, §13.14).
    fn take_unsolicited(
        &mut self,
        task: TaskId,
        header: &CommandPdu,
        pdu: &mut RawPdu,
    ) -> Result<(), Condition> {
        let recovers = self.limits().recovers;
        let parameters = &self.parameters;
        let expected = header.expected_data_transfer_length;
        let limit = expected.min(parameters.first_burst_length);
        let immediate = u32::try_from(pdu.data.len()).unwrap_or(u32::MAX);
        let Some(slot) = self.tasks.get_mut(task) else {
            return Ok(());
        };
        let transfer = &mut slot.transfer;
        if !header.last {
            // Announced here in any case, so that a task that fails waits for its end.
            let may_be_short = expected <= parameters.first_burst_length;
            let start = immediate.min(limit);
            transfer.expect_unsolicited(start, limit, may_be_short, recovers);
        }
        if immediate > 0 && !(header.write && parameters.immediate_data)
            || !header.last && parameters.initial_r2t
        {
            return Err(Condition::UnexpectedUnsolicitedData);
        }
        if immediate > limit {
            return Err(Condition::IncorrectAmountOfData);
        }
        transfer.begin(std::mem::take(&mut pdu.data), immediate, expected);
        Ok(())
    }
}
