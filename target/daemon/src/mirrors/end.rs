//! The ends of mirrors as the driver runs them, behind what this module needs of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tidelock_mirror::association::{Event, OnFailure, Report};
use tidelock_mirror::epochs::Settings;
use tidelock_mirror::generation::Role;
use tidelock_mirror::id::{MirrorId, NodeId};
use tidelock_mirror::link::Message;
use tidelock_mirror::resync::Limits;
use tidelock_replication::mirror::{
    Beginning, Behind, Cuts, End as Driven, EndConfig, EndError, Images, Look, Performer,
    PlaceFacts, Shell, SnapshotKeeper,
};
use tidelock_replication::{Volume, VolumeOp, VolumeOutcome};

/// The unit of a resync, in bytes. A write where nothing was written for a while waits until that is noted durably, once
/// for each of these; and after a crash, or when the other end was away, all of one is copied if any of it was written.
const REGION_BYTES: u64 = 256 << 10;
/// A resync slows down when writes of hosts take longer, in microseconds.
const LATENCY_MAX_US: u64 = 10_000;

/// Where ends come from.
pub(crate) struct Ends {
    /// Who reads and writes volumes for them.
    performer: Arc<dyn Performer>,
    albums: Arc<dyn Albums>,
}

/// Who has the snapshots of the volumes that are ends.
pub(crate) trait Albums: Send + Sync + 'static {
    /// Those of one end.
    fn of(&self, which: Which) -> Arc<dyn SnapshotKeeper>;
}

impl std::fmt::Debug for Ends {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ends").finish_non_exhaustive()
    }
}

/// One end that is open, and its peer.
#[derive(Clone, Debug)]
pub(crate) struct End {
    driven: Arc<Driven>,
    peer: NodeId,
}

/// What is known of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndFacts {
    /// Which part it plays.
    pub(crate) role: Role,
    /// Whether what is on its disk is an image of something.
    pub(crate) has_image: bool,
    /// Whether it can go back to one.
    pub(crate) goes_back: bool,
    /// Bytes that are still to be copied to its peer; `None` if nothing is.
    pub(crate) left_to_copy: Option<u64>,
    /// It is the source, and nobody else has what is written now.
    pub(crate) is_alone: bool,
    /// How far its asynchronous peer is behind.
    pub(crate) behind: Option<Behind>,
}

/// What an end needs from its house. Called in the order of its actions, and never waits.
pub(crate) trait House: Send + Sync + 'static {
    /// Sends to the other end.
    fn send(&self, message: Message);

    /// Ends the connection.
    fn disconnect(&self);

    /// The time that commands may wait for the other end begins, or is stopped.
    fn timer(&self, runs: bool);

    /// It has to be asked whether the other end can take over by itself.
    fn ask_to_go_on_alone(&self, number: u64);

    /// What an operator would want to know.
    fn report(&self, report: Report);
}

/// A house as the driver sees it. There is one peer.
struct Porch<H> {
    house: H,
    /// Where what is durable of the end is.
    folder: PathBuf,
}

impl<H: House> Shell for Porch<H> {
    fn send(&self, _: NodeId, message: Message) {
        self.house.send(message);
    }

    fn disconnect(&self, _: NodeId) {
        self.house.disconnect();
    }

    fn start_timer(&self) {
        self.house.timer(true);
    }

    fn stop_timer(&self) {
        self.house.timer(false);
    }

    fn ask_to_go_on_alone(&self, number: u64) {
        self.house.ask_to_go_on_alone(number);
    }

    fn report(&self, report: Report) {
        self.house.report(report);
    }
    fn journaling(&self) {
        crate::steps::reached(&self.folder);
    }
}

/// What an end does without the other one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alone {
    /// While that is away.
    pub(crate) on_failure: OnFailure,
    /// Whether a source serves hosts after a restart before they have met: only if nobody can have made the other one
    /// the source meanwhile.
    pub(crate) after_restart: bool,
}

/// Which end it is that is made or opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Which {
    pub(crate) mirror: MirrorId,
    pub(crate) me: NodeId,
    pub(crate) peer: NodeId,
}

impl Ends {
    pub(crate) fn new(performer: Arc<dyn Performer>, albums: Arc<dyn Albums>) -> Self {
        Self { performer, albums }
    }

    /// Reads a volume, whatever hosts do with it.
    pub(crate) async fn read(
        &self,
        volume: &Arc<Volume>,
        offset: u64,
        length: u64,
    ) -> Result<Bytes, String> {
        let (tell, told) = tokio::sync::oneshot::channel();
        let then = move |outcome| {
            // Whoever asked may have gone.
            let _ = tell.send(outcome);
        };
        let op = VolumeOp::Read { offset, length };
        self.performer.perform(volume, op, Box::new(then));
        match told.await {
            Ok(VolumeOutcome::Read(bytes)) => Ok(bytes),
            Ok(VolumeOutcome::Failed(fault)) => Err(match fault.error {
                Some(error) => error.to_string(),
                None => format!("{:?}", fault.kind),
            }),
            Ok(_) | Err(_) => Err("nobody reads any more".into()),
        }
    }

    /// Makes what is durable of a new end. Blocks.
    pub(crate) fn create(
        folder: &Path,
        which: Which,
        volume_bytes: u64,
        source: bool,
    ) -> Result<(), EndError> {
        let beginning = Beginning {
            mirror: which.mirror,
            me: which.me,
            volume_bytes,
            region_bytes: REGION_BYTES,
            source,
        };
        Driven::create(folder, beginning)
    }

    /// Opens an end: from now on what is written to the volume goes through it. Blocks.
    pub(crate) fn open(
        &self,
        folder: &Path,
        which: Which,
        policy: Alone,
        volume: &Arc<Volume>,
        house: impl House,
    ) -> Result<End, EndError> {
        let performer = Arc::clone(&self.performer);
        let images = Images::new(volume, which.me, performer, self.albums.of(which));
        let config = EndConfig {
            images: Some(images),
            on_failure: policy.on_failure,
            alone_after_restart: policy.after_restart,
            ..EndConfig::new(Arc::clone(&self.performer))
        };
        let porch = Porch {
            house,
            folder: folder.to_path_buf(),
        };
        let driven = Driven::open(folder, config, volume, Arc::new(porch))?;
        Ok(End {
            driven,
            peer: which.peer,
        })
    }
}

impl End {
    /// Something has happened.
    pub(crate) fn event(&self, event: Event) {
        self.driven.event(event);
    }

    /// The end that it talks to.
    pub(crate) const fn peer(&self) -> NodeId {
        self.peer
    }

    /// Bytes of a region, which it was given when it was made.
    pub(crate) fn region_bytes(&self) -> u64 {
        self.driven.sizes().1
    }

    /// From now on hosts wait for its peer, or that is never further behind than so many milliseconds.
    pub(crate) fn set_rpo(&self, rpo_ms: Option<u64>) {
        let settings = rpo_ms.map(|rpo_ms| Settings { rpo_ms });
        if let Err(error) = self.driven.set_asynchronous(self.peer, settings) {
            // All ends of a daemon have snapshots.
            tracing::error!(%error, "a mirror isn't asynchronous");
        }
    }

    /// It copies so many bytes a second at most.
    pub(crate) fn limit_resync(&self, rate_max: Option<u64>) {
        self.driven.set_limits(Limits {
            rate_max,
            latency_max_us: LATENCY_MAX_US,
        });
    }

    /// Whether it asks before it goes on without its peer. It doesn't when it is opened.
    pub(crate) fn ask_before_alone(&self, asks: bool) {
        self.driven.ask_before_alone(asks);
    }

    /// How it stands with its peer.
    pub(crate) fn place(&self) -> PlaceFacts {
        self.driven.place()
    }

    /// Makes a cut if one is due; `None`: there is no asynchronous peer.
    pub(crate) fn look_at_schedule(&self) -> Option<Look> {
        self.driven.look_at_schedule()
    }

    /// Whether cuts are made only when they are asked for.
    pub(crate) fn stop_cuts(&self, stopped: bool) {
        self.driven.stop_cuts(stopped);
    }

    /// Makes a cut before any write that comes later, unless one is being sent.
    pub(crate) fn cut_now(&self) {
        self.driven.cut_now();
    }

    /// Which cuts its asynchronous peer has; `None`: there is none.
    pub(crate) fn cuts(&self) -> Option<Cuts> {
        self.driven.cuts()
    }

    /// Whether it has an image. Waits for nobody.
    pub(crate) fn has_image(&self) -> bool {
        self.driven.has_image()
    }

    /// A source whose peer is away finds out whether it goes on alone, as if a host had written.
    pub(crate) fn settle(&self) {
        self.driven.settle();
    }

    /// How far its asynchronous peer is behind.
    pub(crate) fn behind(&self) -> Option<Behind> {
        self.driven.behind(self.peer)
    }

    /// What is known of it.
    pub(crate) fn facts(&self) -> EndFacts {
        let facts = self.driven.facts();
        let peer = facts.peers.iter().find(|it| it.peer == self.peer);
        EndFacts {
            role: facts.role,
            has_image: facts.has_image,
            goes_back: facts.goes_back,
            left_to_copy: peer.and_then(|it| it.left_to_copy),
            is_alone: facts.role == Role::Source && facts.holders.is_empty(),
            behind: peer.and_then(|it| it.behind),
        }
    }

    /// The volume is one like any other from now on. Blocks.
    pub(crate) fn close(&self) {
        self.driven.close();
    }
}
