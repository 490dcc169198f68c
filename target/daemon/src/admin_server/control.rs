//! What the admin server asks of the daemon. The daemon's core implements it; tests have a fake.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use thiserror::Error;
use tidelock_admin::v1;
use tidelock_catalog::{
    BlockSize, Catalog, CatalogError, Change, Command, GroupName, Integrity, IscsiName,
    PortalAddress, SpaceLimits, VolumeName,
};
use tidelock_scsi::TargetPortGroup;
use tokio::sync::broadcast;

use crate::admin_server::capabilities::CapabilityControl;
use crate::admin_server::clones::CloneControl;
use crate::admin_server::jobs::JobControl;
use crate::admin_server::mirrors::MirrorControl;
use crate::admin_server::peers::PeerControl;
use crate::admin_server::snapshots::SnapshotControl;
use crate::admin_server::streams::StreamControl;

/// What a request has led to.
pub type Outcome<'a, T> = BoxFuture<'a, Result<T, ControlError>>;

/// The daemon as the admin server sees it.
///
/// Whatever changes something is durable and in effect when its future is ready. Such futures are
/// run to their end, whether or not the client is still there.
pub trait Control:
    SnapshotControl
    + CloneControl
    + JobControl
    + MirrorControl
    + CapabilityControl
    + StreamControl
    + PeerControl
{
    /// The catalog as it is now.
    fn catalog(&self) -> Arc<Catalog>;

    /// Applies a command that needs no work on files: targets, LUNs, access, write cache. Deleting a
    /// target that has sessions needs `force`, and ends them.
    fn apply(&self, command: Command) -> Outcome<'_, Vec<Change>>;

    /// Makes the file or opens the one that is there, then adds the volume to the catalog.
    fn create_volume(&self, request: VolumeRequest) -> Outcome<'_, ()>;

    /// Grows the file, the catalog's entry and the logical unit.
    fn resize_volume(&self, volume: VolumeName, size_bytes: u64) -> Outcome<'_, ()>;

    /// Lets a fenced volume be used again. No effect on one that isn't.
    fn unfence_volume(&self, volume: VolumeName) -> Outcome<'_, ()>;

    /// Ends all reservations and registrations of a volume, durably. No effect if there are none.
    fn clear_reservations(&self, volume: VolumeName) -> Outcome<'_, ()>;

    /// Removes a volume that isn't mapped, then its file if the daemon made it; with its snapshots only if
    /// that is said.
    fn delete_volume(&self, volume: VolumeName, with_snapshots: bool) -> Outcome<'_, ()>;

    /// How a volume of the catalog is. Never waits long: a file that doesn't answer has no
    /// `allocated_bytes`. `thorough`: with what all that it shares takes.
    fn volume_facts(&self, volume: &VolumeName, thorough: bool) -> BoxFuture<'_, VolumeFacts>;

    /// The target port groups through which a volume of the catalog can be reached, as hosts see them.
    fn target_port_groups(&self, volume: &VolumeName) -> Vec<TargetPortGroup>;

    /// How the daemon is.
    fn status(&self) -> v1::Status;

    /// All sessions in the order in which they logged in.
    fn sessions(&self) -> Vec<v1::Session>;

    /// Asks the initiator of a session to log out within that time, after which the session ends; false
    /// if there is none of that number.
    fn logout_session(&self, id: u64, seconds: u16) -> BoxFuture<'_, bool>;

    /// Ends a session; false if there is none of that number.
    fn drop_session(&self, id: u64) -> BoxFuture<'_, bool>;

    /// What happens from now on.
    fn events(&self) -> broadcast::Receiver<v1::Event>;

    /// Metrics in the text format of Prometheus.
    fn metrics(&self) -> String;
}

/// A volume that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeRequest {
    /// Its name.
    pub name: VolumeName,
    /// Where its content comes from.
    pub source: VolumeSource,
    /// Bytes of a logical block.
    pub block_size: BlockSize,
    /// Allocate all space at once.
    pub preallocate: bool,
    /// Open the file with O_DIRECT.
    pub direct: bool,
    /// Acknowledge writes from the cache.
    pub write_cache: bool,
    /// Which blocks have checksums.
    pub integrity: Integrity,
    /// How much space it may take.
    pub limits: SpaceLimits,
}

/// Where a volume's content comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeSource {
    /// A new file among those that the daemon keeps, all zeroes.
    New {
        /// Its size in bytes.
        size_bytes: u64,
    },
    /// A file that is there, which stays when the volume goes.
    File {
        /// Its absolute path.
        path: String,
    },
}

/// How a volume is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeFacts {
    /// Where its blocks are.
    pub path: String,
    /// How it is.
    pub state: v1::VolumeState,
    /// Why, if there is something to say.
    pub detail: String,
    /// Bytes that are its alone, if it can be told.
    pub allocated_bytes: Option<u64>,
    /// Bytes that it takes with all that shares blocks with it, if it can be told.
    pub used_bytes: Option<u64>,
    /// Who reserved it and who is registered, if anybody.
    pub reservations: Option<v1::Reservations>,
    /// What it shares with snapshots and clones, if it ever had any.
    pub family: Option<v1::VolumeFamily>,
}

/// Why the daemon didn't do what was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ControlError {
    /// A rule of the catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// Initiators are logged in to a target that is to be deleted.
    #[error("target {target} has {count} session(s)")]
    TargetHasSessions {
        /// Which target.
        target: IscsiName,
        /// How many.
        count: usize,
    },
    /// Initiators use a volume that is to have other content.
    #[error("volume {volume} is in use: {}", at.join(", "))]
    VolumeInUse {
        /// Which volume.
        volume: VolumeName,
        /// The targets, and how many sessions each has.
        at: Vec<String>,
    },
    /// Volumes that are no members any more would get other content.
    #[error(
        "the snapshots were taken of volumes that are not in group {group} any more: {}",
        names(volumes)
    )]
    LeftTheGroup {
        /// Which group.
        group: GroupName,
        /// The volumes.
        volumes: Vec<VolumeName>,
    },
    /// The copy isn't possible now, or not at all.
    #[error("{0}")]
    Refused(crate::registry::capabilities::Refused),
    /// An end of a mirror can't be made or opened.
    #[error("{reason}")]
    Mirror {
        /// Why.
        reason: String,
    },
    /// A stream that can't be sent or received.
    #[error(transparent)]
    Receive(#[from] crate::registry::ReceiveError),
    /// The list of snapshots can't be read or changed.
    #[error("{source}")]
    Snapshots {
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Peers can't be had at all.
    #[error("this daemon can have no peers: {reason}")]
    NoIdentity {
        /// Why not.
        reason: String,
    },
    /// Something about peers.
    #[error(transparent)]
    Peer(crate::peers::PeerError),
    /// Initiators would be sent back to this daemon by a name, and round in circles.
    #[error("{to} is this daemon itself: initiators would be sent round in circles")]
    RedirectsHere {
        /// Where they would be sent.
        to: PortalAddress,
    },
    /// A volume's file. The source names it and says what to do.
    #[error("{source}")]
    File {
        /// Whose fault it is.
        fault: FileFault,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The catalog could not be made durable, so the change was not made.
    #[error("the change was not made, because the catalog can't be written: {source}")]
    NotDurable {
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The daemon is still opening its volumes.
    #[error("the daemon is still starting")]
    Starting,
    /// The daemon is about to end.
    #[error("the daemon is stopping")]
    Stopping,
    /// The task that did it panicked.
    #[error("the daemon failed by a defect while it did this: please report it, with the log")]
    Defect,
}

/// Whose fault an error about a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// The request names a file that can't be used.
    Request,
    /// Somebody else uses it.
    InUse,
    /// There is no space left.
    NoSpace,
    /// The storage failed.
    Storage,
}

fn names(volumes: &[VolumeName]) -> String {
    let names: Vec<_> = volumes.iter().map(VolumeName::as_str).collect();
    names.join(", ")
}
