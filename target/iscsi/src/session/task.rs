//! The tasks of a session in slots that are used again and again, so that a command costs neither an
//! allocation nor a hash. Knows which tasks there are, not what becomes of them.

use super::connection::ConnectionId;
use super::transfer::Transfer;
use crate::pdu::RESERVED_TAG;
use crate::serial::SerialNumber;

/// Bits of a task's name that are its slot; the rest are the slot's generation.
const INDEX_BITS: u32 = 12;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;
/// Slots that may be in use at a time. The highest index stays unused, so that no tag of ours is the
/// reserved one.
pub(super) const SLOTS_MAX: usize = INDEX_MASK as usize;

/// Names a task of one session: a slot and its generation. A slot that is used again has another
/// generation, so that a name never comes to mean another task by accident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TaskId(u32);

impl TaskId {
    /// The slot: below 4,095, and no higher than the session has ever had tasks at a time.
    #[must_use]
    #[inline]
    pub fn index(self) -> usize {
        (self.0 & INDEX_MASK) as usize
    }

    /// The whole name as a number.
    #[must_use]
    #[inline]
    pub fn to_raw(self) -> u32 {
        self.0
    }

    /// The name that [`to_raw`](Self::to_raw) gave.
    #[must_use]
    #[inline]
    pub fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    #[inline]
    fn generation(self) -> u32 {
        self.0 >> INDEX_BITS
    }
}

/// A Target Transfer Tag of ours: the slot, 12 bits of its generation, and the low byte of the R2TSN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TransferTag {
    pub(super) task: u32,
    pub(super) r2t: u8,
}

impl TransferTag {
    #[inline]
    pub(super) fn new(task: TaskId, r2t_sn: u32) -> Self {
        Self {
            task: task.0 & 0x00ff_ffff,
            r2t: r2t_sn.to_be_bytes()[3],
        }
    }

    #[inline]
    pub(super) fn to_wire(self) -> u32 {
        u32::from(self.r2t) << 24 | self.task
    }

    #[inline]
    pub(super) fn from_wire(tag: u32) -> Self {
        Self {
            task: tag & 0x00ff_ffff,
            r2t: tag.to_be_bytes()[0],
        }
    }
}

/// What the command said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TaskInfo {
    /// The connection that it is allegiant to (RFC 7143 §4.2.5.1 and §7.2.2).
    pub(super) connection: ConnectionId,
    pub(super) lun: [u8; 8],
    pub(super) initiator_task_tag: u32,
    pub(super) cmd_sn: SerialNumber,
    pub(super) expected: u32,
    pub(super) expected_bidi_read: u32,
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) immediate: bool,
}

impl TaskInfo {
    /// Bytes of data-in that the initiator expects.
    #[inline]
    pub(super) fn expected_read(&self) -> u32 {
        match (self.read, self.write) {
            (true, false) => self.expected,
            (true, true) => self.expected_bidi_read,
            (false, _) => 0,
        }
    }
}

/// A slot.
#[derive(Debug, Default)]
pub(super) struct Task {
    generation: u32,
    live: bool,
    pub(super) info: TaskInfo,
    pub(super) transfer: Transfer,
    /// The shell knows of it.
    pub(super) delivered: bool,
    /// Bytes that the task may solicit, taken from the session's credit.
    pub(super) credit: u32,
    /// Of the last R-Data SNACK; 0: there was none.
    pub(super) snack_tag: u32,
    /// Its response waits for its turn.
    pub(super) answered: bool,
    /// The slot isn't used again before it is [released](TaskTable::release).
    withheld: bool,
}

/// What is left of a task that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) info: TaskInfo,
    pub(super) delivered: bool,
    pub(super) r2t_count: u32,
    pub(super) unsolicited_open: bool,
    pub(super) credit: u32,
    pub(super) snack_tag: u32,
    /// Its response waited for its turn.
    pub(super) answered: bool,
}

impl Ended {
    /// DataSN of the first Data-In: R2Ts and Data-Ins of a bidirectional command are numbered
    /// together (RFC 7143 §4.2.2.4).
    #[inline]
    pub(super) fn first_data_sn(&self) -> u32 {
        if self.info.read && self.info.write {
            self.r2t_count
        } else {
            0
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct TaskTable {
    slots: Vec<Task>,
    /// Initiator Task Tag per slot, reserved if free: together, so that looking for one is quick.
    tags: Vec<u32>,
    free: Vec<u16>,
    live: usize,
    /// Slots that are withheld.
    withheld: usize,
}

/// Slots that may be withheld; for tags of further ones, their generation has to do.
const WITHHELD_MAX: usize = 1_024;

impl TaskTable {
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// The name of a new task; `None` if all slots are in use.
    #[inline]
    pub(super) fn insert(&mut self, info: TaskInfo) -> Option<TaskId> {
        let index = match self.free.pop() {
            Some(index) => usize::from(index),
            None if self.slots.len() < SLOTS_MAX => {
                self.slots.push(Task::default());
                self.tags.push(RESERVED_TAG);
                self.slots.len() - 1
            }
            None => return None,
        };
        let task = self.slots.get_mut(index)?;
        task.live = true;
        task.info = info;
        if let Some(tag) = self.tags.get_mut(index) {
            *tag = info.initiator_task_tag;
        }
        self.live += 1;
        Some(id(index, task.generation))
    }

    /// Ends a task.
    #[inline]
    pub(super) fn remove(&mut self, task: TaskId) -> Option<Ended> {
        let slot = self.get_mut(task)?;
        let ended = Ended {
            info: slot.info,
            delivered: slot.delivered,
            r2t_count: slot.transfer.r2t_count(),
            unsolicited_open: slot.transfer.has_unsolicited(),
            credit: slot.credit,
            snack_tag: slot.snack_tag,
            answered: slot.answered,
        };
        if slot.info.write || slot.answered || slot.transfer.failure().is_some() {
            slot.transfer.reset();
        }
        slot.live = false;
        slot.delivered = false;
        slot.credit = 0;
        slot.snack_tag = 0;
        slot.answered = false;
        let withheld = slot.withheld;
        slot.generation = (slot.generation + 1) & (u32::MAX >> INDEX_BITS);
        if let Some(tag) = self.tags.get_mut(task.index()) {
            *tag = RESERVED_TAG;
        }
        if !withheld && let Ok(index) = u16::try_from(task.index()) {
            self.free.push(index);
        }
        self.live -= 1;
        Some(ended)
    }

    /// When that task ends, its Target Transfer Tags stay its own: its slot is not used again. False if
    /// so many are withheld that it can't be.
    pub(super) fn withhold(&mut self, task: TaskId) -> bool {
        if self.withheld >= WITHHELD_MAX {
            return false;
        }
        match self.get_mut(task) {
            Some(slot) if !slot.withheld => slot.withheld = true,
            _ => return false,
        }
        self.withheld += 1;
        true
    }

    /// The Target Transfer Tags of a task that was withheld, and has ended, mean nothing any more.
    pub(super) fn release(&mut self, task: TaskId) {
        let Some(slot) = self.slots.get_mut(task.index()) else {
            return;
        };
        if !std::mem::take(&mut slot.withheld) {
            return;
        }
        self.withheld -= 1;
        if !slot.live
            && let Ok(index) = u16::try_from(task.index())
        {
            self.free.push(index);
        }
    }

    #[inline]
    pub(super) fn get(&self, task: TaskId) -> Option<&Task> {
        let slot = self.slots.get(task.index())?;
        (slot.live && slot.generation == task.generation()).then_some(slot)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, task: TaskId) -> Option<&mut Task> {
        let slot = self.slots.get_mut(task.index())?;
        (slot.live && slot.generation == task.generation()).then_some(slot)
    }

    /// The task with that Initiator Task Tag.
    #[inline]
    pub(super) fn find(&self, initiator_task_tag: u32) -> Option<TaskId> {
        const LANES: usize = 16;
        if initiator_task_tag == RESERVED_TAG {
            return None;
        }
        // Whole chunks without an early exit: the compiler compares many at a time.
        let chunk = self.tags.chunks(LANES).position(|chunk| {
            chunk
                .iter()
                .fold(false, |found, tag| found | (*tag == initiator_task_tag))
        })?;
        let from = chunk * LANES;
        let within = self
            .tags
            .iter()
            .skip(from)
            .position(|tag| *tag == initiator_task_tag)?;
        let index = from + within;
        Some(id(index, self.slots.get(index)?.generation))
    }

    /// The task that a Target Transfer Tag of ours belongs to. `Err`: we never sent that tag.
    /// `Ok(None)`: the task has ended.
    #[inline]
    pub(super) fn find_transfer(&self, tag: TransferTag) -> Result<Option<TaskId>, UnknownTag> {
        let index = (tag.task & INDEX_MASK) as usize;
        let slot = self.slots.get(index).ok_or(UnknownTag)?;
        let task = id(index, slot.generation);
        Ok((slot.live && task.0 & 0x00ff_ffff == tag.task).then_some(task))
    }

    /// All tasks, in the order of their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (TaskId, &Task)> {
        let named = self.slots.iter().enumerate();
        named
            .filter(|(_, task)| task.live)
            .map(|(index, task)| (id(index, task.generation), task))
    }
}

/// The Target Transfer Tag isn't one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnknownTag;

#[inline]
#[allow(
    clippy::cast_possible_truncation,
    reason = "there are at most SLOTS_MAX slots"
)]
fn id(index: usize, generation: u32) -> TaskId {
    TaskId(generation << INDEX_BITS | index as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(tag: u32) -> TaskInfo {
        TaskInfo {
            initiator_task_tag: tag,
            ..TaskInfo::default()
        }
    }

    #[test]
    fn tasks_are_found_by_name_tag_and_transfer_tag_while_they_live() {
        let mut table = TaskTable::default();
        let tasks: Vec<_> = (0..100)
            .map(|tag| table.insert(info(tag)).unwrap())
            .collect();
        assert_eq!(table.len(), 100);
        for (tag, task) in (0..).zip(&tasks) {
            assert_eq!(table.find(tag), Some(*task));
            let transfer = TransferTag::from_wire(TransferTag::new(*task, 0x1_0203).to_wire());
            assert_eq!(transfer.r2t, 3);
            assert_eq!(table.find_transfer(transfer), Ok(Some(*task)));
        }
        let transfer = TransferTag::new(tasks[50], 0);
        assert!(table.remove(tasks[50]).is_some());
        assert!(table.remove(tasks[50]).is_none());
        assert_eq!(table.find(50), None);
        assert_eq!(table.find_transfer(transfer), Ok(None));
        let again = table.insert(info(1_000)).unwrap();
        assert_eq!(again.index(), 50);
        assert_ne!(again, tasks[50]);
        assert!(table.get(tasks[50]).is_none());
        assert_eq!(table.find_transfer(transfer), Ok(None));
        assert_eq!(
            table.find_transfer(TransferTag::from_wire(500)),
            Err(UnknownTag)
        );
    }

    #[test]
    fn there_are_no_more_tasks_than_slots() {
        let mut table = TaskTable::default();
        for tag in 0..SLOTS_MAX {
            let task = table.insert(info(u32::try_from(tag).unwrap())).unwrap();
            assert_ne!(TransferTag::new(task, u32::MAX).to_wire(), RESERVED_TAG);
        }
        assert!(table.insert(info(70_000)).is_none());
    }

    #[test]
    fn a_slot_that_is_withheld_is_not_used_again() {
        let mut table = TaskTable::default();
        let first = table.insert(info(1)).unwrap();
        assert!(table.withhold(first));
        assert!(!table.withhold(first), "only once");
        table.remove(first).unwrap();
        let transfer = TransferTag::new(first, 0);
        assert_eq!(table.find_transfer(transfer), Ok(None), "still ours");
        let other = table.insert(info(2)).unwrap();
        assert_ne!(other.index(), first.index());
        table.release(first);
        table.release(first);
        assert_eq!(table.insert(info(3)).unwrap().index(), first.index());
        assert!(table.get(other).is_some());
        // Others go on being used when too many are withheld.
        let many: Vec<_> = (10..2_000)
            .map(|tag| table.insert(info(tag)).unwrap())
            .collect();
        let withheld = many.iter().filter(|task| table.withhold(**task)).count();
        assert_eq!(withheld, WITHHELD_MAX);
    }

    #[test]
    fn a_name_survives_its_number() {
        let task = id(4_000, 77);
        assert_eq!(TaskId::from_raw(task.to_raw()), task);
        assert_eq!((task.index(), task.generation()), (4_000, 77));
    }

    #[test]
    fn generations_wrap_around() {
        let mut table = TaskTable::default();
        let first = table.insert(info(1)).unwrap();
        table.remove(first).unwrap();
        table.slots[0].generation = u32::MAX >> INDEX_BITS;
        let last = table.insert(info(1)).unwrap();
        table.remove(last).unwrap();
        assert_eq!(table.insert(info(1)).unwrap(), first);
    }
}
