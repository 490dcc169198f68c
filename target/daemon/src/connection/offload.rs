//! Makes ROD tokens and writes what they stand for.
//!
//! A token stands for the data of one moment. A volume with snapshots or clones makes one more snapshot for
//! it, which keeps that data as long as the token is kept. Nothing keeps the data of a raw volume: so its token is
//! cancelled when a change of it begins. A write from a token reads, then looks whether a change had begun meanwhile, and
//! only then writes: what arrives is what the token stood for when it was made. Where the store copies by itself it
//! looks for a change with the source's blocks to itself. A token is made only when
//! everything has landed that was begun before its blocks were watched.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;
use tidelock_replication::{Family, Id, Volume, VolumeOp};
use tidelock_scsi::opcodes::Class;
use tidelock_scsi::{
    CopyFailure, CopySide, Extent, NexusInfo, Outcome, PopulateToken, ROD_RANDOM_LENGTH, RodToken,
    RodTokenKind, RodTokenProblem, ThirdPartyRefusal, UnitState, WriteUsingToken,
};
use tidelock_volume::Range;

use crate::connection::copying::{perform_patiently, usize_of, write_of};
use crate::connection::sharing::{Sharing, Whole, copy_from};
use crate::reactor::Local;
use crate::reactor::performer::Performer;
use crate::registry::ServedVolume;
use crate::tokens::{Frozen, Kept, Made, Usable};

/// Bytes that are read and then written at a time.
const CHUNK: u64 = 1 << 20;
/// Bytes that are filled with zeros at a time.
const ZERO_CHUNK: u64 = 32 << 20;
/// How long writes that were under way may take to land before no token is made.
const SETTLE_PATIENCE: Duration = Duration::from_secs(5);
/// How often they are looked at.
const SETTLE_PAUSE: Duration = Duration::from_millis(1);

/// The logical unit that the command was sent to.
pub(crate) struct Own {
    pub(crate) local: Rc<Local>,
    pub(crate) volume: Arc<ServedVolume>,
    pub(crate) store: Arc<Volume>,
    pub(crate) nexus: NexusInfo,
}

/// Makes a token.
pub(crate) async fn populate(own: Own, wish: Arc<PopulateToken>) -> Outcome {
    if wish.ranges.is_empty() {
        return Outcome::Done;
    }
    let failed = || Outcome::CopyFailed(Box::new(CopyFailure::no_token()));
    // What can't be written stays as it is.
    let head = own.store.family().filter(|_| !own.store.is_read_only());
    let kept = match head {
        Some((family, head)) => freeze(family, head, Arc::clone(&own.store)).await,
        None => watch(&own.store, &wish).await,
    };
    let Some(kept) = kept else {
        return failed();
    };
    let mut random = [0; ROD_RANDOM_LENGTH];
    let mut identifier = [0; 8];
    if getrandom::fill(&mut random).is_err() || getrandom::fill(&mut identifier).is_err() {
        return failed();
    }
    let token = RodToken::new(
        own.volume.unit().config(),
        &own.nexus.target_port,
        // Random, so that none is used again over a restart either.
        u64::from_be_bytes(identifier),
        wish.ranges.iter().map(|range| range.length).sum(),
        &random,
    );
    let made = Made {
        volume: Arc::downgrade(&own.volume),
        kept,
        ranges: wish.ranges.clone().into(),
        timeout: Duration::from_secs(wish.inactivity_timeout.into()),
    };
    let tokens = Arc::clone(&own.local.shared.tokens);
    tokens.keep(token.clone(), made, Instant::now());
    let kept = token.clone();
    tokio::task::spawn_local(async move {
        // Nothing else need happen for an old token to go.
        while let Some(again) = tokens.sweep(&kept, Instant::now()) {
            tokio::time::sleep(again.max(Duration::from_millis(100))).await;
        }
    });
    Outcome::TokenMade(token)
}

/// A snapshot of a volume that is a head of a family, for a token alone.
async fn freeze(family: Arc<Family>, head: Id, store: Arc<Volume>) -> Option<Kept> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).ok()?;
    let frozen = move || Frozen::new(family, head, &store, id);
    match tokio::task::spawn_blocking(frozen).await {
        Ok(Ok(frozen)) => Some(Kept::Frozen(Arc::new(frozen))),
        Ok(Err(error)) => {
            tracing::warn!(%error, "no token can be made");
            None
        }
        Err(error) => {
            tracing::error!(%error, "making a token has failed");
            None
        }
    }
}

/// Notices from now on when one of the blocks of a raw volume changes; `None` if one has already, or
/// something doesn't land that may change one.
async fn watch(store: &Arc<Volume>, wish: &PopulateToken) -> Option<Kept> {
    let ranges = wish.ranges.iter().map(|range| Range {
        offset: range.offset,
        length: range.length,
    });
    let watch = store.watch(ranges.collect());
    let settled = tokio::time::timeout(SETTLE_PATIENCE, settle(store)).await;
    // Had one of the blocks changed by now, the token would be of no use to anybody. And a volume that has
    // got a family meanwhile is watched as before.
    (settled.is_ok() && !watch.is_changed()).then(|| Kept::Watched(Arc::new(watch)))
}

/// Waits until everything has landed that is under way now.
async fn settle(store: &Arc<Volume>) {
    let settling = loop {
        match store.settle_writes() {
            Some(settling) => break settling,
            None => tokio::time::sleep(SETTLE_PAUSE).await,
        }
    };
    while !settling.is_done() {
        tokio::time::sleep(SETTLE_PAUSE).await;
    }
}

/// Writes what a token stands for.
pub(crate) async fn write(own: Own, job: Arc<WriteUsingToken>) -> Outcome {
    let tokens = Arc::clone(&own.local.shared.tokens);
    let mut writer = Writer {
        performer: Performer::new(&own.local),
        sharing: Sharing::default(),
        own,
        job: Arc::clone(&job),
        done: 0,
    };
    let ended = match job.kind {
        RodTokenKind::Zero => writer.zeros().await,
        RodTokenKind::PointInTime => match tokens.use_token(&job.token, Instant::now()) {
            Ok(usable) => {
                let ended = writer.token(&usable).await;
                tokens.end_use(&job.token, Instant::now(), job.delete);
                ended
            }
            Err(problem) => Err(CopyFailure::token(problem)),
        },
    };
    let ended = match ended {
        Ok(()) => writer.flush().await,
        Err(failure) => Err(failure),
    };
    match ended {
        Ok(()) if writer.done < writer.wanted() => {
            let short = CopyFailure::underrun(writer.blocks(writer.done));
            Outcome::CopyFailed(Box::new(short))
        }
        Ok(()) => Outcome::Done,
        Err(failure) => Outcome::CopyFailed(Box::new(failure)),
    }
}

struct Writer {
    own: Own,
    job: Arc<WriteUsingToken>,
    performer: Performer,
    sharing: Sharing,
    /// Bytes written.
    done: u64,
}

impl Writer {
    fn wanted(&self) -> u64 {
        self.job.ranges.iter().map(|range| range.length).sum()
    }

    fn blocks(&self, bytes: u64) -> u64 {
        bytes >> self.own.volume.unit().config().block_size.shift()
    }

    /// The part of the destination that comes next, at most `most` bytes of it.
    fn next(&self, most: u64) -> Option<Extent> {
        piece(&self.job.ranges, self.done, most)
    }

    async fn zeros(&mut self) -> Result<(), CopyFailure> {
        let block = self.own.volume.unit().config().block_size.bytes();
        let block = Bytes::from(vec![0; usize_of(block.into())]);
        while let Some(extent) = self.next(ZERO_CHUNK) {
            let op = VolumeOp::WriteSame {
                offset: extent.offset,
                length: extent.length,
                block: block.clone(),
                unmap: self.own.volume.unit().config().thin,
                fua: false,
            };
            self.change(extent, op).await?;
        }
        Ok(())
    }

    async fn token(&mut self, source: &Usable) -> Result<(), CopyFailure> {
        let total: u64 = source.ranges.iter().map(|range| range.length).sum();
        if self.job.offset >= total {
            return Err(CopyFailure::offset_into_rod());
        }
        let block = u64::from(self.own.volume.unit().config().block_size.bytes());
        while let Some(extent) = self.next(CHUNK) {
            let at = self.job.offset + self.done;
            let there = total.saturating_sub(at);
            if there == 0 {
                break;
            }
            // The last block is filled up with zeros.
            let length = extent.length.min(there.next_multiple_of(block));
            let extent = Extent { length, ..extent };
            if length <= there && self.share(source, at, extent).await? {
                continue;
            }
            let mut data = self.read(source, at, length.min(there)).await?;
            data.resize(usize_of(length), 0);
            // Whatever changed it had not begun when the last byte was read.
            if source.kept.is_changed() {
                return Err(match self.done {
                    0 => CopyFailure::token(RodTokenProblem::Cancelled),
                    done => CopyFailure::underrun(self.blocks(done)),
                });
            }
            let data = std::iter::once(data.freeze()).collect::<SmallVec<[Bytes; 2]>>();
            let op = write_of(self.own.volume.unit().config(), extent, data);
            self.change(extent, op).await?;
        }
        Ok(())
    }

    /// Has the store copy what a token stands for from `at` on; false if it has to be moved.
    async fn share(
        &mut self,
        source: &Usable,
        at: u64,
        extent: Extent,
    ) -> Result<bool, CopyFailure> {
        let unit = source.volume.unit();
        let from = piece(&source.ranges, at, extent.length);
        let same = Arc::ptr_eq(&source.store, &self.own.store);
        let all = |whole: &Whole| (whole.before, whole.length) == (0, extent.length);
        let whole = |from| self.sharing.whole(from, extent, same).filter(all);
        let Some(from) = from.filter(|from| whole(*from).is_some()) else {
            return Ok(false);
        };
        let watch = match &source.kept {
            Kept::Watched(watch) => Some(watch),
            Kept::Frozen(_) => None,
            Kept::Gone => return Ok(false),
        };
        let _announced = unit.third_party_underway();
        if unit.state() != UnitState::Ready {
            return Ok(false);
        }
        let op = copy_from(&source.store, from, extent.offset, watch);
        let copied = self.change(extent, op).await?;
        self.sharing.note(copied);
        Ok(copied)
    }

    /// Reads `length` bytes of what a token stands for, from `at`.
    async fn read(
        &mut self,
        source: &Usable,
        at: u64,
        length: u64,
    ) -> Result<BytesMut, CopyFailure> {
        let unit = source.volume.unit();
        let refused = |extent, outcome| {
            let refusal = unit.third_party_refusal(Class::MediumRead, extent, outcome);
            CopyFailure::refused(CopySide::Source, refusal)
        };
        let _announced = unit.third_party_underway();
        let block = u64::from(unit.config().block_size.bytes());
        let mut data = BytesMut::with_capacity(usize_of(length));
        let mut done = 0;
        while let Some(extent) = piece(&source.ranges, at + done, length - done) {
            if length == done {
                break;
            }
            let skip = extent.offset % block;
            let read = Extent {
                offset: extent.offset - skip,
                length: (skip + extent.length).next_multiple_of(block),
            };
            if unit.state() != UnitState::Ready {
                return Err(refused(read, Outcome::NotReady));
            }
            let op = VolumeOp::Read {
                offset: read.offset,
                length: read.length,
            };
            let job = Arc::clone(&self.job);
            let aborted = || job.is_aborted();
            let outcome = perform_patiently(&mut self.performer, &source.store, op, aborted).await;
            let Outcome::Read(pieces) = outcome else {
                return Err(refused(read, outcome));
            };
            let from = data.len();
            for piece in pieces {
                data.extend_from_slice(&piece);
            }
            let mut fresh = data.split_off(from);
            let mut fresh = fresh.split_off(usize_of(skip).min(fresh.len()));
            fresh.truncate(usize_of(extent.length));
            data.unsplit(fresh);
            done += extent.length;
        }
        Ok(data)
    }

    /// Changes the destination, if it lets us; false if that is a copy that the store doesn't make.
    async fn change(&mut self, extent: Extent, op: VolumeOp) -> Result<bool, CopyFailure> {
        if self.job.is_aborted() {
            return Err(CopyFailure::aborted(0));
        }
        let volume = Arc::clone(&self.own.volume);
        let unit = volume.unit_in_time();
        let refused =
            |refusal: ThirdPartyRefusal| CopyFailure::refused(CopySide::Destination, refusal);
        let _announced = unit.third_party_underway();
        unit.check_third_party(&self.own.nexus, Class::MediumWrite)
            .map_err(refused)?;
        let job = Arc::clone(&self.job);
        let aborted = || job.is_aborted();
        let outcome = perform_patiently(&mut self.performer, &self.own.store, op, aborted).await;
        if outcome == Outcome::NotCopied {
            return Ok(false);
        }
        if !outcome.is_success() {
            return Err(refused(unit.third_party_refusal(
                Class::MediumWrite,
                extent,
                outcome,
            )));
        }
        self.done += extent.length;
        self.job.written(extent.length);
        tokio::task::yield_now().await;
        Ok(true)
    }

    async fn flush(&mut self) -> Result<(), CopyFailure> {
        let unit = self.own.volume.unit();
        if unit.write_cache_enabled() || self.done == 0 {
            return Ok(());
        }
        let outcome = self
            .performer
            .perform(&self.own.store, VolumeOp::Flush)
            .await;
        if outcome.is_success() {
            return Ok(());
        }
        let nowhere = Extent::default();
        let refusal = unit.third_party_refusal(Class::MediumWrite, nowhere, outcome);
        Err(CopyFailure::refused(CopySide::Destination, refusal))
    }
}

/// What is `at` bytes behind the start of `ranges`, taken one after the other: at most `most` bytes of
/// the range that it is in.
fn piece(ranges: &[Extent], at: u64, most: u64) -> Option<Extent> {
    let mut before = 0;
    for range in ranges {
        let into = at.checked_sub(before)?;
        if into < range.length {
            return Some(Extent {
                offset: range.offset + into,
                length: (range.length - into).min(most),
            });
        }
        before += range.length;
    }
    None
}
