//! Task sets (SAM-6): which command may start, given those that came before it. Every I_T nexus has task
//! sets of its own, one per logical unit (TST 001b in the Control mode page), so all of this stays in
//! one session.
//!
//! Nothing is counted for SIMPLE commands: that an ORDERED or HEAD OF QUEUE command is about is noticed
//! when one comes, and costs a look at the commands under way until it has ended.

use smallvec::SmallVec;
use tidelock_iscsi::session::{ScsiCommand, TaskAttribute};
use tidelock_scsi::decode_lun;

use crate::connection::full_feature::FullFeature;

/// Whether a command has a place in the order of its task set.
pub(super) fn is_ordering(attribute: TaskAttribute) -> bool {
    matches!(
        attribute,
        TaskAttribute::Ordered | TaskAttribute::HeadOfQueue
    )
}

impl FullFeature {
    /// The session delivers a command, in CmdSN order.
    pub(crate) fn start_command(&mut self, command: ScsiCommand) {
        if self.commands.waiting.is_empty()
            && self.may_start(&command)
            && self.has_room_for(&command)
        {
            self.begin(&command);
            return;
        }
        if command.attribute == TaskAttribute::HeadOfQueue {
            self.commands.waiting.push_front(command);
        } else {
            self.commands.waiting.push_back(command);
        }
        // What only waits for memory waits until some comes back.
        let mut waiting = self.commands.waiting.iter();
        if self.commands.ordering > 0 || waiting.any(|command| is_ordering(command.attribute)) {
            self.start_waiting();
        }
    }

    /// Starts commands that waited, as far as their order and the memory allow now.
    pub(crate) fn start_waiting(&mut self) {
        // Behind a command that waits for its turn, all of its task set waits.
        let mut held_up: SmallVec<[Option<u16>; 4]> = SmallVec::new();
        let mut index = 0;
        while let Some(command) = self.commands.waiting.get(index) {
            let number = decode_lun(command.lun);
            let its_turn = !held_up.contains(&number) && self.may_start(command);
            if !its_turn {
                held_up.push(number);
                index += 1;
                continue;
            }
            let Some(command) = self.commands.waiting.remove(index) else {
                return;
            };
            if !self.has_room_for(&command) {
                self.commands.waiting.insert(index, command);
                return;
            }
            self.begin(&command);
        }
    }

    /// Whether the commands of the same task set that are under way let this one start: an ORDERED one
    /// waits for all of them, a SIMPLE one for those that are ORDERED or HEAD OF QUEUE, and a HEAD OF
    /// QUEUE one for none.
    fn may_start(&self, command: &ScsiCommand) -> bool {
        let ordering = is_ordering(command.attribute);
        if self.commands.ordering == 0 && !ordering {
            return true;
        }
        let number = decode_lun(command.lun);
        let mut before = self.commands.of_task_set(number);
        match command.attribute {
            TaskAttribute::HeadOfQueue => true,
            TaskAttribute::Ordered => before.next().is_none(),
            _ => !before.any(is_ordering),
        }
    }
}
