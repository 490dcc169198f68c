//! The hidden snapshots of a mirrored volume, in its family: the safety snapshot that a target goes back to, and the
//! cuts that an asynchronous one is sent. Does what an end asks of them ([`SnapshotOperation`]), one after the other, on
//! a thread that is there while there is something to do. Knows no catalog: who keeps it says how a volume gets a
//! family, and what people see.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tidelock_mirror::association::Outcome;
use tidelock_mirror::id::{GenerationId, NodeId, OperationId};
use tidelock_mirror::region::Range;
use tidelock_volume::mapped::Id;

use super::end::{End, outcome_of};
use super::hidden::Hidden;
use super::performer::Performer;
use crate::error::VolumeError;
use crate::family::{Family, MappedOptions};
use crate::op::VolumeOp;
use crate::volume::Volume;

/// How often going back to a snapshot is tried while commands on the volume don't end, 5 s each time.
const TRIES: usize = 24;
/// How long a snapshot that can't be taken yet is waited for before it is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// What an end wants done with snapshots of its volume. What has a number is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SnapshotOperation {
    /// Keep the content as it is now, durably, as the safety snapshot. An older one goes.
    TakeSnapshot {
        operation: OperationId,
        /// It holds what the operator has dropped: it is kept, whatever comes in between.
        drops_ours: bool,
    },
    /// The content becomes the safety snapshot, durably. That stays.
    RollBack(OperationId),
    /// The safety snapshot isn't needed any more, if there is one.
    DropSnapshot,
    /// The safety snapshot holds changes that the other end doesn't have: people get it.
    KeepSnapshot,
    /// Keep the content as it is now as the cut of this generation, beside any others. Cuts of an earlier run go.
    TakeCut(OperationId, GenerationId),
    /// Read from a cut.
    ReadCut(OperationId, GenerationId, Range),
    /// A cut isn't needed any more. Reads of it that are under way may bring anything.
    DropCut(GenerationId),
}

/// Why a hidden snapshot wasn't taken.
#[derive(Debug)]
pub enum Untaken {
    /// The volume can't have one yet.
    NotYet,
    /// It can't be, and why.
    Failed(String),
}

/// Who has the volume whose hidden snapshots these are. Everything here **blocks**.
pub trait SnapshotKeeper: Send + Sync + 'static {
    /// Takes a snapshot of the volume with this id ([`take_hidden`]). If it is in no family it becomes the head of one
    /// first.
    ///
    /// # Errors
    /// It isn't taken.
    fn take(&self, id: Id) -> Result<(), Untaken>;

    /// Lets people have a hidden snapshot: it holds what was dropped after a split brain. It may have been done already.
    ///
    /// # Errors
    /// Why not.
    fn keep(&self, id: Id) -> Result<(), String>;

    /// Whether people have it: it isn't hidden any more.
    fn has(&self, id: Id) -> bool;
}

/// Takes a hidden snapshot of a volume that is in a family. **Blocks.**
///
/// # Errors
/// It isn't in one, or the snapshot can't be made.
pub fn take_hidden(volume: &Volume, id: Id) -> Result<(), VolumeError> {
    let (family, head) = volume.family().ok_or_else(|| VolumeError::Mapped {
        path: volume.path().to_path_buf(),
        what: "shares its blocks with nobody, so it has no snapshots",
    })?;
    Family::snapshot(&[(family, head, id)])
}

/// The hidden snapshots of one end. See the module.
pub struct Images {
    me: Weak<Self>,
    node: NodeId,
    volume: Weak<Volume>,
    performer: Arc<dyn Performer>,
    keeper: Arc<dyn SnapshotKeeper>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(SnapshotOperation, Weak<End>)>,
    /// A thread is at it.
    working: bool,
    safety: Option<Id>,
    cuts: HashMap<GenerationId, Cut>,
    closed: bool,
}

struct Cut {
    id: Id,
    /// To be read, once a power cut can't change it any more.
    content: Option<Arc<Volume>>,
    reading: u32,
    dropped: bool,
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Images")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

impl Images {
    /// Those of a volume that is this end of a mirror. `performer` reads cuts.
    #[must_use]
    pub fn new(
        volume: &Arc<Volume>,
        node: NodeId,
        performer: Arc<dyn Performer>,
        keeper: Arc<dyn SnapshotKeeper>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            node,
            volume: Arc::downgrade(volume),
            performer,
            keeper,
            state: Mutex::default(),
        })
    }

    /// Lets the volume of an end that is closed, and was receiving, be what it was before. The snapshot stays. **Blocks.**
    ///
    /// # Errors
    /// It can't be.
    pub fn go_back(volume: &Volume, node: NodeId, has: impl Fn(Id) -> bool) -> Result<(), String> {
        let all = hidden(volume, node).into_iter();
        let safety = all
            .filter(|(_, id, kind)| matches!(kind, Hidden::Safety | Hidden::Dropped) && !has(*id));
        match safety.last() {
            Some((_, safety, _)) => restore(volume, node, safety, || false),
            None => Ok(()),
        }
    }

    /// Deletes what an end has left of a volume's hidden snapshots that nobody needs any more, but for those that
    /// people have. **Blocks.**
    pub fn remove_all(volume: &Volume, node: NodeId, has: impl Fn(Id) -> bool) {
        for (family, id, _) in hidden(volume, node) {
            if !has(id) {
                delete(&family, id);
            }
        }
    }

    /// What an end has of a volume that an operator has dropped, whether people have it or not: it isn't there to be
    /// deleted with the mirror.
    #[must_use]
    pub fn dropped(volume: &Volume, node: NodeId) -> Vec<Id> {
        let all = hidden(volume, node).into_iter();
        let dropped = all.filter(|(_, _, kind)| *kind == Hidden::Dropped);
        dropped.map(|(_, id, _)| id).collect()
    }

    /// An end is about to be opened. What an earlier one has left goes, but for what a resync that isn't finished goes
    /// back to. **Blocks.**
    pub(super) fn begin(&self, is_receiving: bool) {
        let Some(volume) = self.volume.upgrade() else {
            return;
        };
        let mut safety = None;
        for (family, id, kind) in hidden(&volume, self.node) {
            match kind {
                // People may have it already, if the mirror was about to end.
                Hidden::Safety | Hidden::Dropped if is_receiving => {
                    // The youngest is the last one.
                    if let Some(older) = safety.replace(id) {
                        self.delete(&family, older);
                    }
                }
                _ if self.keeper.has(id) => {}
                Hidden::Dropped => self.keep(id),
                Hidden::Safety | Hidden::Cut | Hidden::Replaced => delete(&family, id),
            }
        }
        self.state.lock().safety = safety;
    }

    /// Does it, and tells the end. Never waits.
    pub(super) fn perform(&self, end: &Weak<End>, operation: SnapshotOperation) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        if let SnapshotOperation::ReadCut(operation, generation, range) = operation
            && let Some(cut) = state.cuts.get_mut(&generation)
            && let Some(content) = cut.content.clone()
        {
            cut.reading += 1;
            drop(state);
            self.read(end, (operation, generation), &content, range);
            return;
        }
        state.waiting.push_back((operation, Weak::clone(end)));
        if std::mem::replace(&mut state.working, true) {
            return;
        }
        drop(state);
        let Some(me) = self.me.upgrade() else {
            return;
        };
        let begun = std::thread::Builder::new()
            .name("mirror-images".to_owned())
            .spawn(move || me.run());
        if let Err(error) = begun {
            tracing::error!(%error, "no thread can be begun for the snapshots of a mirror");
            let mut state = self.state.lock();
            state.working = false;
            let failed: Vec<_> = state.waiting.drain(..).collect();
            drop(state);
            for (operation, end) in failed {
                if let Some(operation) = operation.answered() {
                    tell(&end, operation, Outcome::Failed);
                }
            }
        }
    }

    /// Nothing is done any more. What is under way may come to its end.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.waiting.clear();
    }

    /// The end is the source now, for ever: it doesn't go back to anything.
    pub(super) fn is_source(&self, end: &Weak<End>) {
        if self.state.lock().safety.is_some() {
            self.perform(end, SnapshotOperation::DropSnapshot);
        }
    }

    fn run(&self) {
        loop {
            let mut state = self.state.lock();
            let Some((operation, end)) = state.waiting.pop_front() else {
                state.working = false;
                return;
            };
            drop(state);
            self.work(operation, &end);
        }
    }

    fn work(&self, operation: SnapshotOperation, end: &Weak<End>) {
        let Some(volume) = self.volume.upgrade() else {
            return;
        };
        match operation {
            SnapshotOperation::TakeSnapshot {
                operation,
                drops_ours,
            } => tell(end, operation, self.take_safety(&volume, drops_ours)),
            SnapshotOperation::RollBack(operation) => {
                let outcome = self.roll_back(&volume).map_or_else(failed, done);
                tell(end, operation, outcome);
            }
            SnapshotOperation::DropSnapshot => self.drop_safety(&volume),
            SnapshotOperation::KeepSnapshot => {
                if let Some(id) = self.state.lock().safety.take() {
                    self.keep(id);
                }
            }
            SnapshotOperation::TakeCut(operation, generation) => {
                let outcome = self.take_cut(&volume, generation);
                tell(end, operation, outcome.map_or_else(failed, done));
            }
            SnapshotOperation::ReadCut(operation, generation, range) => {
                match self.content(&volume, generation) {
                    Ok(Some(content)) => self.read(end, (operation, generation), &content, range),
                    Ok(None) => tell(end, operation, Outcome::Read(Bytes::new())),
                    Err(error) => tell(end, operation, failed(error)),
                }
            }
            SnapshotOperation::DropCut(generation) => {
                if let Some(cut) = self.state.lock().cuts.get_mut(&generation) {
                    cut.dropped = true;
                }
                self.delete_cut(&volume, generation);
            }
        }
    }

    // --- The safety snapshot.

    fn take_safety(&self, volume: &Volume, drops_ours: bool) -> Outcome {
        self.drop_safety(volume);
        let kind = match drops_ours {
            true => Hidden::Dropped,
            false => Hidden::Safety,
        };
        let Some(id) = new_id(kind, self.node) else {
            return failed("the host has no random numbers");
        };
        loop {
            match self.keeper.take(id) {
                Ok(()) => break,
                // Until then nothing is received.
                Err(Untaken::NotYet) if !self.state.lock().closed => std::thread::sleep(PAUSE),
                Err(Untaken::NotYet) => return Outcome::Failed,
                // What was dropped is kept, or it isn't overwritten.
                Err(Untaken::Failed(reason)) if drops_ours => return failed(reason),
                Err(Untaken::Failed(reason)) => {
                    tracing::warn!(volume = %volume.path().display(), %reason,
                        "there is no image to go back to until a resync of the mirror is finished");
                    return Outcome::Refused;
                }
            }
        }
        let mut state = self.state.lock();
        state.safety = Some(id);
        let closed = state.closed;
        drop(state);
        let Some((family, _)) = volume.family() else {
            return failed("the volume isn't in a family");
        };
        if closed {
            // Nobody has noted that it is there.
            self.delete(&family, id);
            return Outcome::Failed;
        }
        // What is written from now on mustn't be durable before it is.
        family.settle(id).map_or_else(failed, done)
    }

    fn roll_back(&self, volume: &Volume) -> Result<(), String> {
        let safety = self.state.lock().safety;
        let safety = safety.ok_or("what a resync goes back to isn't there")?;
        restore(volume, self.node, safety, || self.state.lock().closed)
    }

    fn drop_safety(&self, volume: &Volume) {
        let safety = self.state.lock().safety.take();
        if let (Some(id), Some((family, _))) = (safety, volume.family()) {
            self.delete(&family, id);
        }
    }

    /// A safety snapshot goes, unless people have it.
    fn delete(&self, family: &Arc<Family>, id: Id) {
        if !self.keeper.has(id) {
            delete(family, id);
        }
    }

    fn keep(&self, id: Id) {
        if let Err(reason) = self.keeper.keep(id) {
            tracing::error!(%reason, "what was dropped after a split brain is kept, and can't be shown before the mirror \
                is opened again");
        }
    }

    // --- Cuts.

    fn take_cut(&self, volume: &Volume, generation: GenerationId) -> Result<(), String> {
        let id = new_id(Hidden::Cut, self.node).ok_or("the host has no random numbers")?;
        take_hidden(volume, id).map_err(|error| error.to_string())?;
        let cut = Cut {
            id,
            content: None,
            reading: 0,
            dropped: false,
        };
        let mut state = self.state.lock();
        state.cuts.insert(generation, cut);
        let closed = state.closed;
        drop(state);
        let Some((family, _)) = volume.family() else {
            return Err("the volume isn't in a family any more".to_owned());
        };
        if closed {
            delete(&family, id);
        } else {
            // Hosts don't wait for it: nothing is read before it is.
            family.settle_soon();
        }
        Ok(())
    }

    /// A cut, to be read once; `None`: it was dropped.
    fn content(
        &self,
        volume: &Volume,
        generation: GenerationId,
    ) -> Result<Option<Arc<Volume>>, VolumeError> {
        let id = match self.state.lock().cuts.get_mut(&generation) {
            Some(cut) if !cut.dropped => cut.id,
            _ => return Ok(None),
        };
        let Some((family, _)) = volume.family() else {
            return Ok(None);
        };
        family.settle(id)?;
        let options = MappedOptions {
            block_size: volume.block_size().bytes(),
            size: volume.size(),
            read_only: true,
        };
        let opened = family.volume(id, &options)?;
        let mut state = self.state.lock();
        let Some(cut) = state.cuts.get_mut(&generation) else {
            return Ok(None);
        };
        cut.reading += 1;
        let content = cut.content.get_or_insert(opened);
        Ok(Some(Arc::clone(content)))
    }

    fn read(
        &self,
        end: &Weak<End>,
        (operation, generation): (OperationId, GenerationId),
        content: &Arc<Volume>,
        range: Range,
    ) {
        let op = VolumeOp::Read {
            offset: range.offset,
            length: range.length,
        };
        let (me, end) = (Weak::clone(&self.me), Weak::clone(end));
        let then = move |outcome| {
            let outcome = outcome_of(outcome);
            if let Some(me) = me.upgrade() {
                me.has_read(&end, generation);
            }
            tell(&end, operation, outcome);
        };
        self.performer.perform(content, op, Box::new(then));
    }

    fn has_read(&self, end: &Weak<End>, generation: GenerationId) {
        let mut state = self.state.lock();
        let Some(cut) = state.cuts.get_mut(&generation) else {
            return;
        };
        cut.reading -= 1;
        let is_last = cut.dropped && cut.reading == 0;
        drop(state);
        if is_last {
            // Deleting isn't for the thread that reads.
            self.perform(end, SnapshotOperation::DropCut(generation));
        }
    }

    /// A cut that was dropped goes once nobody reads it any more.
    fn delete_cut(&self, volume: &Volume, generation: GenerationId) {
        let mut state = self.state.lock();
        let is_free = |cut: &Cut| cut.dropped && cut.reading == 0;
        if !state.cuts.get(&generation).is_some_and(is_free) {
            return;
        }
        let cut = state.cuts.remove(&generation);
        drop(state);
        if let (Some(cut), Some((family, _))) = (cut, volume.family()) {
            drop(cut.content);
            delete(&family, cut.id);
        }
    }
}

/// A volume becomes what one of its hidden snapshots is. Commands that are under way are waited for, unless `is_over`.
fn restore(
    volume: &Volume,
    node: NodeId,
    to: Id,
    is_over: impl Fn() -> bool,
) -> Result<(), String> {
    let (family, head) = volume
        .family()
        .ok_or("the volume isn't in a family any more")?;
    let replaced = new_id(Hidden::Replaced, node).ok_or("the host has no random numbers")?;
    let mut left = TRIES;
    loop {
        left -= 1;
        match family.restore(head, to, replaced) {
            Ok(()) => break,
            Err(VolumeError::NotQuiet { .. }) if left > 0 && !is_over() => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    delete(&family, replaced);
    Ok(())
}

/// The hidden snapshots that an end has of a volume, the oldest first.
fn hidden(volume: &Volume, node: NodeId) -> Vec<(Arc<Family>, Id, Hidden)> {
    let Some((family, _)) = volume.family() else {
        return Vec::new();
    };
    let all = family.datasets().into_iter();
    let own = all.filter(|info| info.is_snapshot && !info.deleting);
    own.filter_map(|info| Some((Arc::clone(&family), info.id, Hidden::of(info.id, node)?)))
        .collect()
}

fn delete(family: &Arc<Family>, id: Id) {
    if let Err(error) = family.delete(id) {
        tracing::warn!(%error, "a hidden snapshot of a mirror stays until its end is opened again");
    }
}

fn new_id(kind: Hidden, node: NodeId) -> Option<Id> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).ok()?;
    Some(kind.id(node, u64::from_le_bytes(random)))
}

impl SnapshotOperation {
    /// Which operation the end waits for.
    pub(super) const fn answered(self) -> Option<OperationId> {
        match self {
            Self::TakeSnapshot { operation, .. }
            | Self::RollBack(operation)
            | Self::TakeCut(operation, _)
            | Self::ReadCut(operation, _, _) => Some(operation),
            Self::DropSnapshot | Self::KeepSnapshot | Self::DropCut(_) => None,
        }
    }
}

fn tell(end: &Weak<End>, operation: OperationId, outcome: Outcome) {
    if let Some(end) = end.upgrade() {
        end.done(operation, outcome);
    }
}

const fn done((): ()) -> Outcome {
    Outcome::Done
}

fn failed(reason: impl fmt::Display) -> Outcome {
    tracing::error!(%reason, "a snapshot that a mirror needs can't be had");
    Outcome::Failed
}
