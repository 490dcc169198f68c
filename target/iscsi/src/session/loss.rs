//! Data-out that was lost on the way, at ErrorRecoveryLevel 1 and above: it is asked for again by a
//! recovery R2T (RFC 7143 §7.1.4.1, §7.8, §7.9).

use std::time::{Duration, Instant};

use super::Session;
use super::condition::Condition;
use super::connection::ConnectionId;
use super::task::{TaskId, TransferTag};
use crate::pdu::data_out::DataOut;
use crate::pdu::{Bhs, RESERVED_TAG, opcode};

/// How long a sequence of Data-Out PDUs may stand still before what is missing is asked for again.
pub(super) const SEQUENCE_TIMEOUT: Duration = Duration::from_secs(4);

impl Session {
    /// The data of a PDU is damaged and was dropped; it has been rejected. A command is sent again by
    /// the initiator; data is asked for again.
    pub(super) fn recover_damaged(&mut self, on: ConnectionId, bhs: &Bhs) {
        if opcode(bhs) != DataOut::OPCODE {
            return;
        }
        let header = DataOut::parse(bhs);
        let (task, r2t) = if header.target_transfer_tag == RESERVED_TAG {
            (self.tasks.find(header.initiator_task_tag), None)
        } else {
            let tag = TransferTag::from_wire(header.target_transfer_tag);
            let task = self.tasks.find_transfer(tag).ok().flatten();
            (task, Some(tag.r2t))
        };
        let Some(task) = task else { return };
        let now = self.now;
        let Some(slot) = self.tasks.get_mut(task) else {
            return;
        };
        if slot.info.connection == on
            && slot.info.initiator_task_tag == header.initiator_task_tag
            && slot.transfer.lose(r2t, header.last, now)
        {
            self.continue_after_loss(task);
        }
    }

    /// Asks again for data that doesn't come.
    pub(super) fn recover_overdue(&mut self) {
        if self.recovery_level() == 0 {
            return;
        }
        let now = self.now;
        let overdue: Vec<TaskId> = self
            .tasks
            .iter()
            .filter(|(_, slot)| !slot.answered)
            .filter(|(_, slot)| {
                let due = slot.transfer.overdue_at();
                let open = self.connections.get(slot.info.connection);
                due.is_some_and(|due| due <= now) && open.is_some_and(|it| it.is_open())
            })
            .map(|(task, _)| task)
            .collect();
        for task in overdue {
            if let Some(slot) = self.tasks.get_mut(task) {
                slot.transfer.lose_all(now);
            }
            self.continue_after_loss(task);
        }
    }

    pub(super) fn sequence_timeout(&self) -> Option<Instant> {
        if self.recovery_level() == 0 {
            return None;
        }
        let open = self.tasks.iter().filter(|(_, slot)| {
            if slot.answered {
                return false;
            }
            let connection = self.connections.get(slot.info.connection);
            connection.is_some_and(|connection| connection.is_open())
        });
        open.filter_map(|(_, slot)| slot.transfer.overdue_at())
            .min()
    }

    pub(super) fn continue_after_loss(&mut self, task: TaskId) {
        let Some(slot) = self.tasks.get_mut(task) else {
            return;
        };
        if slot.transfer.is_hopeless() {
            // RFC 7143 §7.8: the other choice beside a recovery R2T.
            return self.fail_task(task, Condition::ProtocolServiceCrcError);
        }
        self.advance_transfer(task);
    }
}
