//! Whether the two volumes of a mirror have the same content: every byte of both is read, while hosts go on. Of a peer's
//! volume, checksums are asked for (CRC32C).
//!
//! A write that is under way may be at one end already and not at the other one. So what differs is looked at again
//! and again, block by block; only what stays different is told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tidelock_admin::v1::{CheckReport, JobKind};
use tidelock_catalog::{Mirror, MirrorId, PeerName};
use tidelock_replication::Volume;

use super::asking::{Ask, Digests};
use super::digest::digests;
use super::operations::refuse;
use super::{Mirrors, Registry};
use crate::jobs::{JobEnd, RunningJob};
use crate::mirrors::end::Ends;
use crate::registry::changes::ChangeError;

/// What is read of each volume at a time.
const PIECE: u64 = 1 << 20;
/// So many pieces are asked a peer about at a time.
const PIECES_AT_PEER: u64 = 16;
/// What is told, and looked at again.
const BLOCK: usize = 4_096;
/// How often a block that differs is looked at again, and how long after the last time.
const LOOKS: usize = 40;
const PAUSE: Duration = Duration::from_millis(25);
/// Findings that are told in words.
const FINDINGS_MAX: usize = 100;

/// The volumes that are compared.
struct Pair {
    mirrors: Arc<Mirrors>,
    one: Arc<Volume>,
    other: Other,
    names: [String; 2],
    size: u64,
}

/// The other one.
enum Other {
    Here(Arc<Volume>),
    AtPeer(PeerName, MirrorId),
}

impl Registry {
    /// Begins to compare the volumes of a mirror; the number of the job.
    ///
    /// # Errors
    /// They aren't meant to be equal at the moment, or can't be read.
    pub async fn verify_mirror(self: &Arc<Self>, name: &str) -> Result<u64, ChangeError> {
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        let record = self.mirror_named(name)?;
        let running = self.mirrors.get(record.id).ok_or(ChangeError::Loading)?;
        if !running.look(|state| state.is_in_step()) {
            let state = running.look(|state| state.association().copy_state);
            if record.mode.rpo_ms().is_some() {
                return Err(refuse(format!(
                    "the target of an asynchronous mirror is the source as it was a while ago: make it synchronous with \
                     `tidelock mirror reset-to-sync {name}`, and compare when it is Synchronized"
                )));
            }
            return Err(refuse(format!(
                "the volumes of the mirror aren't meant to be equal while its CopyState is {state}: wait until it is \
                 Synchronized"
            )));
        }
        let pair = self.pair(&record)?;
        let (source, target) = (record.system(), record.synced());
        let what = format!("{source} and {target}");
        let job = self.jobs().begin(JobKind::Compare, &what, true);
        let (id, stopping) = (job.id(), Arc::clone(&self.stopping));
        let running = Arc::clone(&running);
        tokio::spawn(async move {
            let wanted = || {
                !job.is_cancelled()
                    && !stopping.load(Ordering::SeqCst)
                    && running.look(|state| state.is_in_step())
            };
            let compared = pair.compare(&job, what, wanted).await;
            let in_step = running.look(|state| state.is_in_step());
            job.end(match compared {
                Ok(Some(report)) => JobEnd::Found(report),
                Ok(None) if !in_step => JobEnd::Failed(
                    "the mirror isn't Synchronized any more: compare again when it is".into(),
                ),
                Ok(None) => JobEnd::Terminated,
                Err(reason) => JobEnd::Failed(reason),
            });
        });
        Ok(id)
    }

    fn pair(&self, record: &Mirror) -> Result<Pair, ChangeError> {
        let other = record.remote();
        let side = other.map_or(record.source, |(side, _)| side.opposite());
        let (own, theirs) = (record.end(side), record.end(side.opposite()));
        let (_, served, one) = self.ready(&own.volume)?;
        let other = match other {
            None => Other::Here(self.ready(&theirs.volume)?.2),
            Some((_, elsewhere)) => Other::AtPeer(elsewhere.peer.clone(), record.id),
        };
        let unit = served.unit();
        Ok(Pair {
            mirrors: Arc::clone(&self.mirrors),
            one,
            other,
            names: [own.to_string(), theirs.to_string()],
            size: unit.blocks() << unit.config().block_size.shift(),
        })
    }
}

impl Pair {
    /// How much is looked at before it is told how far it is.
    const fn step(&self) -> u64 {
        match self.other {
            Other::Here(_) => PIECE,
            Other::AtPeer(..) => PIECES_AT_PEER * PIECE,
        }
    }

    /// `None`: it isn't wanted any more.
    async fn compare(
        &self,
        job: &RunningJob,
        what: String,
        wanted: impl Fn() -> bool,
    ) -> Result<Option<CheckReport>, String> {
        let mut report = CheckReport {
            checked: what,
            ..CheckReport::default()
        };
        let mut at = 0;
        while at < self.size {
            if !wanted() {
                return Ok(None);
            }
            let length = self.step().min(self.size - at);
            for block in self.differing(at, length).await? {
                if !self.becomes_equal(block, &wanted).await? {
                    if !wanted() {
                        return Ok(None);
                    }
                    report.damaged += 1;
                    if report.findings.len() < FINDINGS_MAX {
                        let [one, other] = &self.names;
                        report.findings.push(format!(
                            "{one} and {other} differ in the 4 KiB from byte {block} on"
                        ));
                    }
                }
            }
            at += length;
            report.checked_bytes = at;
            job.progress(at, self.size);
        }
        Ok(Some(report))
    }

    /// The blocks of a part that differ at this moment.
    async fn differing(&self, at: u64, length: u64) -> Result<Vec<u64>, String> {
        match &self.other {
            Other::Here(other) => self.differing_here(other, at, length).await,
            Other::AtPeer(..) => self.differing_there(at, length).await,
        }
    }

    async fn differing_here(
        &self,
        other: &Arc<Volume>,
        at: u64,
        length: u64,
    ) -> Result<Vec<u64>, String> {
        let [one, other] = self.read(other, at, length).await?;
        if one == other {
            return Ok(Vec::new());
        }
        let blocks = one.chunks(BLOCK).zip(other.chunks(BLOCK)).zip(0_u64..);
        Ok(blocks
            .filter(|((one, other), _)| one != other)
            .map(|(_, number)| at + number * BLOCK as u64)
            .collect())
    }

    async fn differing_there(&self, at: u64, length: u64) -> Result<Vec<u64>, String> {
        let end = at + length;
        let mut blocks = Vec::new();
        for piece in self.sums_differ(at, length, PIECE).await? {
            let length = PIECE.min(end - piece);
            blocks.extend(self.sums_differ(piece, length, BLOCK as u64).await?);
        }
        Ok(blocks)
    }

    /// Where pieces begin whose checksums differ.
    async fn sums_differ(&self, at: u64, length: u64, piece: u64) -> Result<Vec<u64>, String> {
        let Other::AtPeer(peer, mirror) = &self.other else {
            return Ok(Vec::new());
        };
        let peers = self.mirrors.peers().map_err(|error| error.to_string())?;
        let ask = Ask::Digest {
            mirror: mirror.0,
            offset: at,
            length,
            piece,
        };
        let (ours, theirs) = tokio::join!(
            digests(&self.mirrors, &self.one, at, length, piece),
            peers.ask::<_, Digests>(peer, &ask)
        );
        let [own, _] = &self.names;
        let ours =
            ours.map_err(|error| format!("volume {own} can't be read from byte {at} on: {error}"))?;
        let theirs = theirs.map_err(|error| error.to_string())?.digests;
        if ours.len() != theirs.len() {
            return Err(format!(
                "peer {peer} answers with other pieces than were asked for"
            ));
        }
        let pieces = ours.into_iter().zip(theirs).zip(0_u64..);
        Ok(pieces
            .filter(|((ours, theirs), _)| ours != theirs)
            .map(|(_, number)| at + number * piece)
            .collect())
    }

    async fn becomes_equal(&self, block: u64, wanted: &impl Fn() -> bool) -> Result<bool, String> {
        let length = (BLOCK as u64).min(self.size - block);
        for _ in 0..LOOKS {
            tokio::time::sleep(PAUSE).await;
            if self.differing(block, length).await?.is_empty() {
                return Ok(true);
            }
            if !wanted() {
                break;
            }
        }
        Ok(false)
    }

    /// The same bytes of both, read at nearly the same time.
    async fn read(
        &self,
        other: &Arc<Volume>,
        offset: u64,
        length: u64,
    ) -> Result<[Bytes; 2], String> {
        let ends: &Ends = self.mirrors.ends()?;
        let (one, other) = tokio::join!(
            ends.read(&self.one, offset, length),
            ends.read(other, offset, length)
        );
        let named = |at: usize, error: String| {
            let name = self.names.get(at).map_or("", String::as_str);
            format!("volume {name} can't be read from byte {offset} on: {error}")
        };
        Ok([
            one.map_err(|error| named(0, error))?,
            other.map_err(|error| named(1, error))?,
        ])
    }
}
