//! Carries out copy operations: finds the volumes that the descriptors name among those that the
//! session is shown, and moves the data, chunk after chunk, on the session's reactor.
//!
//! Every chunk asks again whether both logical units let it through: what the initiator sees and may
//! do can change while a copy runs. Dropping the future stops the copy; a write that is in flight then
//! holds new commands off its volume until it has landed, as every write does that is given up.
//!
//! What is whole blocks at both ends the store does by itself where it can ([`super::sharing`]): nothing is read
//! into memory then, and where its file system shares space nothing is written either.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;
use tidelock_replication::{Volume, VolumeOp};
use tidelock_scsi::opcodes::Class;
use tidelock_scsi::{
    Chunk, CopyEnd, CopyFailure, CopyJob, CopySide, Extent, LogicalUnitConfig, NexusInfo, Outcome,
    ThirdPartyRefusal, Transfer,
};

use crate::connection::sharing::{Sharing, Whole, copy_from};
use crate::connection::shown::{Shown, Visible};
use crate::reactor::Local;
use crate::reactor::performer::Performer;
use crate::registry::ServedVolume;

/// Bytes that are read and then written at a time.
const CHUNK: u64 = 1 << 20;
/// The same while memory is short: commands of initiators must not wait for a copy's.
const SMALL_CHUNK: u64 = 64 << 10;
/// How often a volume that is busy is asked again, and how long after.
const BUSY_TRIES: u32 = 40;
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// Carries `job` out for a session that is shown `shown`; the command was sent to LUN number `own`.
pub(crate) async fn copy(
    local: Rc<Local>,
    shown: Rc<Shown>,
    own: u16,
    job: Arc<CopyJob>,
) -> Outcome {
    let mut copier = Copier {
        performer: Performer::new(&local),
        sharing: Sharing::default(),
        local,
        shown,
        own,
        job,
    };
    match copier.run().await {
        Ok(()) => Outcome::Done,
        Err(failure) => Outcome::CopyFailed(Box::new(failure)),
    }
}

struct Copier {
    local: Rc<Local>,
    shown: Rc<Shown>,
    own: u16,
    job: Arc<CopyJob>,
    performer: Performer,
    sharing: Sharing,
}

/// One end of the segment that is being processed.
struct End {
    volume: Arc<ServedVolume>,
    store: Arc<Volume>,
    nexus: NexusInfo,
    side: CopySide,
    /// What is done to it.
    class: Class,
}

impl Copier {
    async fn run(&mut self) -> Result<(), CopyFailure> {
        for segment in 0..self.job.segments() {
            self.job.begin_segment(segment);
            self.segment(segment).await?;
        }
        Ok(())
    }

    async fn segment(&mut self, segment: u16) -> Result<(), CopyFailure> {
        let mut generation = self.shown.generation();
        let mut ends = self.ends(segment)?;
        let (source, destination) = &ends;
        let transfer = self.job.transfer(
            segment,
            source.volume.unit().copy_endpoint(),
            destination.volume.unit().copy_endpoint(),
        )?;
        let Some(transfer) = transfer else {
            return Ok(());
        };
        let backwards = transfer.goes_backwards(Arc::ptr_eq(&source.volume, &destination.volume));
        let mut done = 0;
        while let Some(chunk) = transfer.chunk(done, self.chunk_length(), backwards) {
            let moved = self
                .step(segment, &chunk, &mut ends, &mut generation)
                .await
                .map_err(|failure| with_residual(failure, &transfer, done, backwards, &ends.1));
            moved?;
            done += chunk.write.length;
            if !backwards {
                self.job.written(chunk.write.length);
            }
            // The reactor's sessions have their turn between any two chunks.
            tokio::task::yield_now().await;
        }
        if backwards {
            self.job.written(done);
        }
        let destination = &ends.1;
        if !destination.volume.unit().write_cache_enabled() {
            self.perform(
                segment,
                destination,
                transfer.destination(),
                VolumeOp::Flush,
            )
            .await
            .map_err(|failure| with_residual(failure, &transfer, 0, backwards, destination))?;
        }
        Ok(())
    }

    /// Moves one chunk, if nobody minds any more than before.
    async fn step(
        &mut self,
        segment: u16,
        chunk: &Chunk,
        ends: &mut (End, End),
        generation: &mut u64,
    ) -> Result<(), CopyFailure> {
        if self.job.is_aborted() {
            return Err(CopyFailure::aborted(segment));
        }
        let now = self.shown.generation();
        if now != *generation {
            *generation = now;
            let again = self.ends(segment)?;
            let same = |old: &End, new: &End| Arc::ptr_eq(&old.volume, &new.volume);
            if !same(&ends.0, &again.0) {
                return Err(self.job.unreachable(segment, CopySide::Source));
            }
            if !same(&ends.1, &again.1) {
                return Err(self.job.unreachable(segment, CopySide::Destination));
            }
            *ends = again;
        }
        let announced = [&ends.0, &ends.1].map(|end| end.volume.unit().third_party_underway());
        for end in [&ends.0, &ends.1] {
            self.check(segment, end)?;
        }
        let moved = self.copy_chunk(segment, chunk, &ends.0, &ends.1).await;
        drop(announced);
        moved
    }

    /// Has the store copy what it can of a chunk, and moves the rest.
    async fn copy_chunk(
        &mut self,
        segment: u16,
        chunk: &Chunk,
        source: &End,
        destination: &End,
    ) -> Result<(), CopyFailure> {
        let (from, to) = (chunk.read, chunk.write);
        let is_plain = chunk.skip == 0 && chunk.take == to.length;
        let same = Arc::ptr_eq(&source.store, &destination.store);
        let whole = self.sharing.whole(from, to, same).filter(|_| is_plain);
        let Some(Whole { before, length }) = whole else {
            return self.move_chunk(segment, chunk, source, destination).await;
        };
        let part = |at: u64, length: u64| Chunk {
            read: part_of(from, at, length),
            skip: 0,
            take: length,
            write: part_of(to, at, length),
        };
        let end = before + length;
        for outer in [part(0, before), part(end, to.length - end)] {
            if outer.take > 0 {
                self.move_chunk(segment, &outer, source, destination)
                    .await?;
                self.check(segment, destination)?;
            }
        }
        let inner = part(before, length);
        let op = copy_from(&source.store, inner.read, inner.write.offset, None);
        let copied = self.perform(segment, destination, inner.write, op).await? == Outcome::Done;
        self.sharing.note(copied);
        if copied {
            return Ok(());
        }
        self.check(segment, source)?;
        self.move_chunk(segment, &inner, source, destination).await
    }

    async fn move_chunk(
        &mut self,
        segment: u16,
        chunk: &Chunk,
        source: &End,
        destination: &End,
    ) -> Result<(), CopyFailure> {
        let read = VolumeOp::Read {
            offset: chunk.read.offset,
            length: chunk.read.length,
        };
        let Outcome::Read(pieces) = self.perform(segment, source, chunk.read, read).await? else {
            let class = source.class;
            let unit = source.volume.unit();
            let refusal = unit.third_party_refusal(class, chunk.read, Outcome::HardwareError);
            return Err(self.job.refused(segment, source.side, refusal));
        };
        let data = wanted(pieces.into_iter(), chunk);
        // What was asked for between the read and now is heard before anything is written.
        self.check(segment, destination)?;
        let write = write_of(destination.volume.unit().config(), chunk.write, data);
        self.perform(segment, destination, chunk.write, write)
            .await?;
        Ok(())
    }

    /// Performs an operation, again and again while the volume is busy.
    async fn perform(
        &mut self,
        segment: u16,
        end: &End,
        extent: Extent,
        op: VolumeOp,
    ) -> Result<Outcome, CopyFailure> {
        let job = Arc::clone(&self.job);
        let aborted = || job.is_aborted();
        let outcome = perform_patiently(&mut self.performer, &end.store, op, aborted).await;
        if outcome == Outcome::NotCopied {
            return Ok(outcome);
        }
        if outcome.is_success() {
            self.job.count_operation();
            return Ok(outcome);
        }
        let unit = end.volume.unit();
        let refusal = unit.third_party_refusal(end.class, extent, outcome);
        Err(self.job.refused(segment, end.side, refusal))
    }

    fn ends(&self, segment: u16) -> Result<(End, End), CopyFailure> {
        Ok((
            self.end(segment, CopySide::Source, Class::MediumRead)?,
            self.end(segment, CopySide::Destination, Class::MediumWrite)?,
        ))
    }

    fn end(&self, segment: u16, side: CopySide, class: Class) -> Result<End, CopyFailure> {
        let visible = match self.job.end(segment, side)? {
            CopyEnd::OwnUnit => self.shown.number(self.own),
            CopyEnd::Named(designation) => self.shown.named(designation),
        };
        let Some(Visible { volume, nexus }) = visible else {
            return Err(self.job.unreachable(segment, side));
        };
        let Some(store) = volume.store() else {
            let nowhere = Extent::default();
            let refusal = volume
                .unit()
                .third_party_refusal(class, nowhere, Outcome::NotReady);
            return Err(self.job.refused(segment, side, refusal));
        };
        let end = End {
            volume,
            store,
            nexus,
            side,
            class,
        };
        self.check(segment, &end)?;
        Ok(end)
    }

    /// Whether the logical unit lets the copy through.
    fn check(&self, segment: u16, end: &End) -> Result<(), CopyFailure> {
        let refused = |refusal: ThirdPartyRefusal| self.job.refused(segment, end.side, refusal);
        let unit = end.volume.unit_in_time();
        unit.check_third_party(&end.nexus, end.class)
            .map_err(refused)
    }

    fn chunk_length(&self) -> u64 {
        let pool = &self.local.shared.pool;
        if usize_of(CHUNK).saturating_add(pool.in_use()) > pool.limit() / 2 {
            SMALL_CHUNK
        } else {
            CHUNK
        }
    }
}

/// Performs an operation, again and again while the volume is busy and nobody has `aborted` the copy.
pub(super) async fn perform_patiently(
    performer: &mut Performer,
    store: &Arc<Volume>,
    op: VolumeOp,
    aborted: impl Fn() -> bool,
) -> Outcome {
    let mut tries = BUSY_TRIES;
    loop {
        let outcome = performer.perform(store, op.clone()).await;
        if outcome != Outcome::Busy || tries == 0 || aborted() {
            return outcome;
        }
        tries -= 1;
        tokio::time::sleep(BUSY_PAUSE).await;
    }
}

/// The failure of a segment of which `done` bytes are written.
fn with_residual(
    failure: CopyFailure,
    transfer: &Transfer,
    done: u64,
    backwards: bool,
    destination: &End,
) -> CopyFailure {
    if done == 0 {
        return failure;
    }
    let block_size = destination.volume.unit().config().block_size;
    // Only what is written without a gap from the start counts.
    let done = if backwards { 0 } else { done };
    failure.with_residual(transfer.residual(done, block_size))
}

/// What is to be written of what was read.
fn wanted(pieces: impl Iterator<Item = Bytes>, chunk: &Chunk) -> SmallVec<[Bytes; 2]> {
    let whole = chunk.skip == 0 && chunk.take == chunk.write.length;
    let mut data: SmallVec<[Bytes; 2]> = pieces.collect();
    if whole && chunk.read.length == chunk.take {
        return data;
    }
    // Rare. A buffer of its own: what was read goes back to the pool before the write may want memory
    // from there, as one that isn't aligned does.
    let [skip, take, length] = [chunk.skip, chunk.take, chunk.write.length].map(usize_of);
    let mut moved = BytesMut::with_capacity(length);
    for piece in data.drain(..) {
        moved.extend_from_slice(&piece);
    }
    let mut moved = moved.split_off(skip.min(moved.len()));
    moved.truncate(take);
    moved.resize(length, 0);
    std::iter::once(moved.freeze()).collect()
}

/// The write of a chunk. Zeros take no space where the destination is thin, so that a thin volume
/// stays thin when it is copied.
pub(super) fn write_of(
    config: &LogicalUnitConfig,
    extent: Extent,
    data: SmallVec<[Bytes; 2]>,
) -> VolumeOp {
    if config.thin && data.iter().all(|piece| is_zero(piece)) {
        return VolumeOp::WriteSame {
            offset: extent.offset,
            length: extent.length,
            block: Bytes::from(vec![0; usize_of(config.block_size.bytes().into())]),
            unmap: true,
            fua: false,
        };
    }
    VolumeOp::Write {
        offset: extent.offset,
        data,
        fua: false,
    }
}

fn part_of(extent: Extent, at: u64, length: u64) -> Extent {
    Extent {
        offset: extent.offset + at,
        length,
    }
}

pub(super) fn usize_of(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn is_zero(bytes: &[u8]) -> bool {
    // Word by word without a branch, as far as the compiler can see; data that isn't zeros is
    // noticed in its first pages.
    bytes
        .chunks(4096)
        .all(|page| page.iter().fold(0, |all, byte| all | byte) == 0)
}
