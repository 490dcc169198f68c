//! SCSI Command: from the PDU to a task and an event (RFC 7143 §11.3). A CDB is bytes here.

use super::Session;
use super::condition::Condition;
use super::event::{Cdb, Event, ScsiCommand, TaskAttribute};
use super::reject::Reason;
use super::task::{TaskId, TaskInfo};
use crate::pdu::additional_headers::AdditionalHeaders;
use crate::pdu::scsi_command::ScsiCommand as CommandPdu;
use crate::pdu::{RESERVED_TAG, RawPdu};

/// Immediate commands that may be outstanding beside the window (RFC 7143 §4.2.2.1 asks for one).
pub(super) const IMMEDIATE_TASKS_MAX: u32 = 16;

impl Session {
    #[inline]
    pub(super) fn handle_scsi_command(&mut self, pdu: &mut RawPdu) {
        let header = CommandPdu::parse(&pdu.bhs);
        let Some(attribute) = TaskAttribute::from_wire(header.attribute) else {
            return self.reject_pdu(Reason::INVALID_PDU_FIELD, pdu);
        };
        let additional = if pdu.ahs.is_empty() {
            AdditionalHeaders::default()
        } else {
            match AdditionalHeaders::parse(&pdu.ahs) {
                Some(additional) => additional,
                None => return self.reject_pdu(Reason::INVALID_PDU_FIELD, pdu),
            }
        };
        // Without W nothing follows, so that F has to be set (RFC 7143 §11.3.1).
        if header.initiator_task_tag == RESERVED_TAG || !(header.last || header.write) {
            return self.reject_pdu(Reason::INVALID_PDU_FIELD, pdu);
        }
        if self.tasks.find(header.initiator_task_tag).is_some() {
            return self.reject_pdu(Reason::TASK_IN_PROGRESS, pdu);
        }
        if header.immediate && self.immediate_tasks >= IMMEDIATE_TASKS_MAX {
            return self.reject_pdu(Reason::IMMEDIATE_COMMAND_REJECT, pdu);
        }
        let mut cdb = Cdb::from_buf(header.cdb);
        if !additional.extended_cdb.is_empty() {
            cdb.extend_from_slice(additional.extended_cdb);
        }
        let bidi_read = additional.bidirectional_read_length.unwrap_or(0);
        let info = TaskInfo {
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
            return self.reject_pdu(Reason::IMMEDIATE_COMMAND_REJECT, pdu);
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

    #[inline]
    fn begin_task(&mut self, info: TaskInfo) -> Option<TaskId> {
        let task = self.tasks.insert(info)?;
        if info.immediate {
            self.immediate_tasks += 1;
        } else {
            self.window.begin_task();
        }
        if !self.ended.is_empty() {
            // The tag means the new task from now on.
            self.ended.retain(|tag| *tag != info.initiator_task_tag);
        }
        Some(task)
    }

    /// Immediate data, and the announcement of unsolicited Data-Out PDUs: both as far as the
    /// negotiated parameters allow (RFC 7143 §4.2.5.1, §13.10, §13.11, §13.14).
    fn take_unsolicited(
        &mut self,
        task: TaskId,
        header: &CommandPdu,
        pdu: &mut RawPdu,
    ) -> Result<(), Condition> {
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
            transfer.expect_unsolicited(immediate.min(limit), limit, may_be_short);
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
