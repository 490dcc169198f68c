//! The SCSI commands of one session: from the session to the device server, to the I/O engine, and
//! back. Knows no sockets.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use slab::Slab;
use smallvec::SmallVec;
use tidelock_iscsi::pdu::DataSegment;
use tidelock_iscsi::session::{ScsiCommand, ScsiReply, TaskAttribute as Attribute, TaskId};
use tidelock_scsi::{
    Command, Completion, Operation, Outcome, PendingData, Plan, Reply, Status, TaskAttribute,
    Underway, no_logical_unit,
};

use crate::connection::full_feature::FullFeature;
use crate::connection::luns::AttachmentId;
use crate::connection::operations::{Elsewhere, Surroundings, Work, work_of};
use crate::connection::task_set::is_ordering;

/// A read of at most this many bytes is small.
const SMALL_READ: usize = 256 << 10;
/// REPORT LUNS (SPC-6 §6.34).
const REPORT_LUNS: u8 = 0xa0;
const NO_SLOT: u32 = u32::MAX;

/// The commands of one session.
#[derive(Debug, Default)]
pub struct Commands {
    running: Slab<Running>,
    /// Slot of each task of the session, by the task's index.
    by_task: Vec<u32>,
    /// Commands that wait for their turn in their task set, or until reads before them have been sent.
    pub(super) waiting: VecDeque<ScsiCommand>,
    /// How many commands under way are ORDERED or HEAD OF QUEUE.
    pub(super) ordering: usize,
    /// A command has ended for which others may have waited.
    unblocked: bool,
    /// Aborted commands whose I/O still runs.
    aborted: usize,
    /// Bytes that reads under way will bring.
    reading: usize,
    /// Bytes that writes under way bring or have brought.
    writing: usize,
    /// Something was given to the engine since the last look.
    started: bool,
}

#[derive(Debug)]
struct Running {
    task: TaskId,
    /// The attachment of the logical unit.
    lun: AttachmentId,
    started: Instant,
    attribute: Attribute,
    stage: Stage,
    aborted: bool,
    read: u32,
    written: u32,
    write: bool,
    /// Something other than one operation of the engine does its work.
    elsewhere: Option<AbortOnDrop>,
    /// It may take as long as it takes, and is given up at once when it is aborted.
    patient: bool,
    /// Held while it may touch the medium.
    underway: Option<Underway>,
}

impl Running {
    /// Whether it is a renewal, which doesn't count as a command that touches the medium: see
    /// [`FullFeature::follow`].
    fn is_renewal(&self) -> bool {
        matches!(self.stage, Stage::Io(_)) && self.underway.is_none()
    }
}

/// A task that must not deliver any more when the command that it worked for is given up: another
/// command has its slot then.
#[derive(Debug)]
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Debug)]
enum Stage {
    /// Waits for data-out.
    Data(PendingData),
    /// Its I/O runs.
    Io(Completion),
    /// Taken out to be worked on.
    Between,
}

impl Commands {
    /// Whether no command is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// Whether anything was given to the engine since the last call.
    pub fn take_started(&mut self) -> bool {
        std::mem::take(&mut self.started)
    }

    /// Whether commands wait for room.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many commands wait for room.
    #[must_use]
    pub fn waiting_len(&self) -> usize {
        self.waiting.len()
    }

    /// How many commands are being done.
    #[must_use]
    pub fn running_len(&self) -> usize {
        self.running.len()
    }

    /// Whether a write is under way, which may hold receive memory.
    #[must_use]
    pub fn is_writing(&self) -> bool {
        self.writing > 0
    }

    /// Aborted commands whose I/O hasn't ended.
    #[must_use]
    pub fn aborted_running(&self) -> usize {
        self.aborted
    }

    /// Whether something has ended for which commands that wait may have waited; asked once.
    pub(super) fn take_unblocked(&mut self) -> bool {
        std::mem::take(&mut self.unblocked) && !self.waiting.is_empty()
    }

    /// The attributes of the commands under way in the task set of a logical unit. A sanitize or format
    /// operation holds nobody up: whatever comes is told of it.
    pub(super) fn of_task_set(&self, number: Option<u16>) -> impl Iterator<Item = Attribute> {
        let running = self.running.iter().map(|(_, running)| running);
        running
            .filter(move |running| Some(running.lun.number()) == number && !running.is_renewal())
            .map(|running| running.attribute)
    }

    fn insert(&mut self, running: Running) -> u32 {
        let index = running.task.index();
        self.writing += running.written as usize;
        self.ordering += usize::from(is_ordering(running.attribute));
        let slot = u32::try_from(self.running.insert(running)).unwrap_or(NO_SLOT);
        if self.by_task.len() <= index {
            self.by_task.resize(index + 1, NO_SLOT);
        }
        if let Some(entry) = self.by_task.get_mut(index) {
            *entry = slot;
        }
        slot
    }

    fn slot_of(&self, task: TaskId) -> Option<usize> {
        let slot = *self.by_task.get(task.index())? as usize;
        self.running
            .get(slot)
            .filter(|running| running.task == task)?;
        Some(slot)
    }

    fn remove(&mut self, slot: usize) -> Option<Running> {
        let running = self.running.try_remove(slot)?;
        if !running.aborted
            && let Some(entry) = self.by_task.get_mut(running.task.index())
        {
            *entry = NO_SLOT;
        }
        if matches!(running.stage, Stage::Io(_)) {
            self.reading = self.reading.saturating_sub(running.read as usize);
        }
        self.writing = self.writing.saturating_sub(running.written as usize);
        let ordering = usize::from(is_ordering(running.attribute));
        self.ordering = self.ordering.saturating_sub(ordering);
        Some(running)
    }
}

impl FullFeature {
    /// Reads hold payload memory until the initiator has taken it: one that doesn't read must not
    /// hold what others need.
    pub(super) fn has_room_for(&mut self, command: &ScsiCommand) -> bool {
        if !command.read {
            return true;
        }
        // What is kept to be sent again counts, but it doesn't hold anybody up: its limit is lower.
        let kept = self.session.retained_bytes();
        let waits = self.session.unsent_bytes() + self.session.held_bytes();
        let held = self.commands.reading + waits;
        let limit = self.local.read_share();
        let length = command.expected_data_transfer_length as usize;
        // Large reads leave half of the memory to small ones: initiators that ask for much and take
        // nothing must not keep others from reading.
        let pool = &self.local.shared.pool;
        let crowded = length > SMALL_READ && pool.in_use() + length > pool.limit() / 2;
        if held == 0 && kept > 0 && crowded {
            // Nothing else of ours would ever make room.
            self.session.set_retention(0);
            self.session.set_retention(self.local.retention());
        }
        let pool = &self.local.shared.pool;
        let first = held == 0 && (!crowded || pool.in_use() == 0);
        first || (!crowded && held + kept + length <= limit)
    }

    pub(super) fn begin(&mut self, command: &ScsiCommand) {
        self.luns.refresh();
        let (attached, luns) = self.luns.get(command.lun);
        let request = Command {
            cdb: &command.cdb,
            expected_length: command.expected_data_transfer_length,
            read: command.read,
            write: command.write,
            attribute: attribute(command.attribute),
            luns,
        };
        let Some(attached) = attached else {
            let reply = no_logical_unit(&request);
            self.reply(command.task, command.write, reply);
            return;
        };
        let underway = Some(attached.nexus.underway());
        let unit = attached.volume.unit_in_time();
        let plan = unit.begin(&mut attached.nexus, &request);
        let running = Running {
            task: command.task,
            lun: attached.id,
            started: self.now,
            attribute: command.attribute,
            stage: Stage::Between,
            aborted: false,
            read: if command.read {
                command.expected_data_transfer_length
            } else {
                0
            },
            written: if command.write {
                command.expected_data_transfer_length
            } else {
                0
            },
            write: command.write,
            elsewhere: None,
            patient: false,
            underway,
        };
        if command.cdb.first() == Some(&REPORT_LUNS) {
            self.luns.reported();
        }
        self.follow(running, plan);
    }

    /// Does what the device server says next.
    fn follow(&mut self, mut running: Running, mut plan: Plan) {
        loop {
            match plan {
                Plan::Done(reply) => return self.reply(running.task, running.write, reply),
                Plan::NeedData { length, pending } => {
                    let task = running.task;
                    running.stage = Stage::Data(pending);
                    running.underway = None;
                    self.commands.insert(running);
                    return self.session.request_data(task, length);
                }
                Plan::Execute {
                    operation,
                    completion,
                } => {
                    let shown = Rc::clone(self.luns.shown());
                    let Some(attached) = self.luns.by_id(running.lun) else {
                        return self.reply(running.task, running.write, gone());
                    };
                    if attached.store.is_none() {
                        // It may have been opened since the map was looked at.
                        attached.store = attached.volume.store();
                    }
                    let surroundings = Surroundings {
                        store: attached.store.as_ref(),
                        volume: &attached.volume,
                        shown: &shown,
                        number: attached.number(),
                        nexus: attached.nexus.info(),
                        local: &self.local,
                        session: self.registration.info.id,
                    };
                    if matches!(operation, Operation::Renew { .. }) {
                        // It waits for all others, so it must not count as one of them.
                        running.underway = None;
                    }
                    let work = work_of(operation, &surroundings);
                    let refused = match (work, attached.store.as_ref()) {
                        (Work::Engine(op), Some(store)) => {
                            running.stage = Stage::Io(completion);
                            self.commands.started = true;
                            self.commands.reading += running.read as usize;
                            let slot = self.commands.insert(running);
                            let token = self.mailbox.token(slot);
                            self.local.engine.borrow_mut().start(token, store, op);
                            return;
                        }
                        (Work::Elsewhere(work), _) => {
                            running.stage = Stage::Io(completion);
                            return self.work_elsewhere(running, work);
                        }
                        (Work::NotReady | Work::Engine(_), _) => Outcome::NotReady,
                        (Work::NotOurs, _) => Outcome::HardwareError,
                    };
                    let unit = attached.volume.unit();
                    plan = unit.finish(&mut attached.nexus, completion, refused);
                }
            }
        }
    }

    /// Lets a task of this reactor do the work, and hears of the outcome as if the engine had.
    fn work_elsewhere(&mut self, mut running: Running, work: Elsewhere) {
        self.commands.reading += running.read as usize;
        running.patient = work.patient;
        let slot = self.commands.insert(running);
        let token = self.mailbox.token(slot);
        let local = Rc::clone(&self.local);
        let task = tokio::task::spawn_local(async move {
            let outcome = work.outcome.await;
            local.mailboxes.borrow_mut().deliver(token, outcome);
        });
        if let Some(running) = self.commands.running.get_mut(slot as usize) {
            running.elsewhere = Some(AbortOnDrop(task.abort_handle()));
        }
    }

    /// All the data-out that was asked for is there.
    pub(crate) fn continue_command(&mut self, task: TaskId, data: DataSegment) {
        // What was unmapped while the data was on its way isn't written any more.
        self.luns.refresh();
        let Some(slot) = self.commands.slot_of(task) else {
            return;
        };
        let Some(mut running) = self.commands.remove(slot) else {
            return;
        };
        let Stage::Data(pending) = std::mem::replace(&mut running.stage, Stage::Between) else {
            return;
        };
        let Some(attached) = self.luns.by_id(running.lun) else {
            return self.reply(task, running.write, gone());
        };
        let unit = attached.volume.unit_in_time();
        running.underway = Some(attached.nexus.underway());
        let plan = unit.data_out(&mut attached.nexus, pending, data.into_pieces());
        self.follow(running, plan);
    }

    /// Answers every command whose I/O has finished.
    pub(crate) fn finish_completed(&mut self) {
        loop {
            let next = self.local.mailboxes.borrow_mut().take(self.mailbox);
            let Some((slot, result)) = next else { break };
            let Some(mut running) = self.commands.remove(slot as usize) else {
                continue;
            };
            if running.aborted {
                self.commands.aborted -= 1;
                continue;
            }
            let Stage::Io(completion) = std::mem::replace(&mut running.stage, Stage::Between)
            else {
                continue;
            };
            let Some(attached) = self.luns.by_id(running.lun) else {
                self.reply(running.task, running.write, gone());
                continue;
            };
            let unit = attached.volume.unit();
            let plan = unit.finish(&mut attached.nexus, completion, result);
            self.follow(running, plan);
        }
        self.answer_management();
        if !self.commands.waiting.is_empty() {
            self.start_waiting();
        }
        self.handle_events();
    }

    fn reply(&mut self, task: TaskId, write: bool, reply: Reply) {
        let Reply {
            status,
            sense,
            data_in,
            transfer_length,
            response_fence,
        } = reply;
        let (read, written) = if write {
            (0, transfer_length)
        } else {
            (transfer_length, 0)
        };
        self.registration.info.counters.count(read, written);
        let mut data = DataSegment::new();
        for piece in data_in {
            data.push(piece);
        }
        let reply = ScsiReply {
            status: status.0,
            sense,
            data_in: data,
            transfer_length,
            response_fence,
        };
        self.session.respond(task, reply);
    }

    /// The session has given a task up: nobody waits for its answer.
    pub(crate) fn abort_command(&mut self, task: TaskId) {
        self.commands.waiting.retain(|command| command.task != task);
        let Some(slot) = self.commands.slot_of(task) else {
            return;
        };
        let Some(running) = self.commands.running.get_mut(slot) else {
            return;
        };
        if matches!(running.stage, Stage::Io(_)) && !running.patient {
            // Its I/O can't be called back; the function that ended it waits for it.
            running.aborted = true;
            self.commands.aborted += 1;
            if let Some(entry) = self.commands.by_task.get_mut(task.index()) {
                *entry = NO_SLOT;
            }
        } else {
            self.commands.remove(slot);
            self.commands.unblocked = true;
        }
    }

    /// Answers commands that take too long, so that the initiator doesn't have to give up on us. I/O
    /// that is stuck is left to the engine, which keeps it from landing after a newer write; data
    /// that the initiator announced and doesn't send is no longer waited for.
    pub(crate) fn sweep_deadlines(&mut self) {
        // What has just finished isn't late, and its slot must not be given up under it.
        self.finish_completed();
        let limit = self.local.shared.config.command_deadline;
        let now = self.now;
        let late: SmallVec<[usize; 8]> = self
            .commands
            .running
            .iter()
            .filter(|(_, running)| {
                !running.patient && now.saturating_duration_since(running.started) >= limit
            })
            .map(|(slot, _)| slot)
            .collect();
        for slot in late {
            let Some(running) = self.commands.remove(slot) else {
                continue;
            };
            let in_io = matches!(running.stage, Stage::Io(_));
            if in_io {
                self.detach(slot);
            }
            if running.aborted {
                self.commands.aborted -= 1;
                self.management.leave_behind();
                continue;
            }
            let volume = self.luns.by_id(running.lun).map(|lun| lun.volume_name());
            tracing::warn!(
                session = self.registration.info.id,
                volume = volume.as_deref().unwrap_or("(unmapped)"),
                seconds = limit.as_secs(),
                waits_for = if in_io {
                    "its file"
                } else {
                    "data from the initiator"
                },
                "a command is stuck: answered BUSY"
            );
            self.reply(
                running.task,
                running.write,
                Reply::with_status(Status::BUSY),
            );
            self.commands.unblocked = true;
        }
        self.answer_management();
    }

    fn detach(&self, slot: usize) {
        let token = self.mailbox.token(u32::try_from(slot).unwrap_or(NO_SLOT));
        self.local.engine.borrow_mut().detach(token);
    }

    /// Whether I/O of this session is still running that can't just be dropped.
    pub(crate) fn has_io(&self) -> bool {
        self.commands
            .running
            .iter()
            .any(|(_, running)| matches!(running.stage, Stage::Io(_)) && !running.patient)
    }

    /// Nothing more is begun: the session ends.
    pub(crate) fn forget_waiting(&mut self) {
        self.commands.waiting.clear();
    }

    /// Gives all running I/O up: the session ends.
    pub(crate) fn detach_all(&mut self) {
        self.commands.waiting.clear();
        for (slot, running) in self.commands.running.iter() {
            if matches!(running.stage, Stage::Io(_)) {
                self.detach(slot);
            }
        }
        self.commands.running.clear();
    }
}

/// The logical unit was unmapped while the command ran.
fn gone() -> Reply {
    no_logical_unit(&Command {
        // TEST UNIT READY to a LUN that isn't there: LOGICAL UNIT NOT SUPPORTED.
        cdb: &[0; 6],
        expected_length: 0,
        read: false,
        write: false,
        attribute: TaskAttribute::Simple,
        luns: &[],
    })
}

fn attribute(attribute: Attribute) -> TaskAttribute {
    match attribute {
        Attribute::Untagged => TaskAttribute::Untagged,
        Attribute::Simple => TaskAttribute::Simple,
        Attribute::Ordered => TaskAttribute::Ordered,
        Attribute::HeadOfQueue => TaskAttribute::HeadOfQueue,
        Attribute::Aca => TaskAttribute::Aca,
    }
}
