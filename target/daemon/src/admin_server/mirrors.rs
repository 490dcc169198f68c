//! What the admin server asks of the daemon about mirrors.

use tidelock_admin::v1;
use tidelock_catalog::{GroupName, MirrorCompression};

use crate::admin_server::control::Outcome;
use crate::registry::{
    FailoverChange, GroupMirrorChange, GroupMirrorRequest, MirrorChange, MirrorRequest,
    RemoteMirrorRequest,
};

/// The daemon's mirrors as the admin server sees them. What holds of [`Control`] holds here. A mirror is named by a
/// volume in it, or by its id.
///
/// [`Control`]: crate::admin_server::Control
pub trait MirrorControl: Send + Sync + 'static {
    /// All mirrors.
    fn mirrors(&self) -> Vec<v1::Mirror>;

    /// One mirror.
    fn mirror(&self, name: &str) -> Outcome<'_, v1::Mirror>;

    /// Makes a mirror; the first copy goes on in the background.
    fn create_mirror(&self, request: MirrorRequest) -> Outcome<'_, v1::Mirror>;

    /// Makes a mirror of a volume here at a peer; the first copy goes on in the background.
    fn create_remote_mirror(&self, request: RemoteMirrorRequest) -> Outcome<'_, v1::Mirror>;

    /// Lets the target of an asynchronous one be so far behind at most, in milliseconds.
    fn set_mirror_rpo(&self, name: String, rpo_ms: u64) -> Outcome<'_, v1::Mirror>;

    /// Lets so many bytes a second be copied at most; `None`: as many as hosts have no use for.
    fn set_mirror_resync_limit(&self, name: String, limit: Option<u64>) -> Outcome<'_, v1::Mirror>;

    /// Compresses what goes over the link with a peer, or not.
    fn set_mirror_compression(
        &self,
        name: String,
        compression: MirrorCompression,
    ) -> Outcome<'_, v1::Mirror>;

    /// Does an operation.
    fn modify_mirror(&self, change: MirrorChange) -> Outcome<'_, v1::Mirror>;

    /// Says who lets hosts use its target; and what had to be left.
    fn set_mirror_failover(&self, change: FailoverChange) -> Outcome<'_, v1::MirrorFailoverSet>;

    /// Makes two independent volumes of it.
    fn detach_mirror(&self, name: String, force: bool) -> Outcome<'_, ()>;

    /// Makes mirrors of all volumes of a group.
    fn create_group_mirrors(&self, request: GroupMirrorRequest) -> Outcome<'_, v1::MirrorList>;

    /// Does an operation on the mirrors of a group.
    fn modify_group_mirrors(&self, change: GroupMirrorChange) -> Outcome<'_, v1::MirrorList>;

    /// Makes independent volumes of those of a group that are mirrored.
    fn detach_group_mirrors(&self, group: GroupName, force: bool) -> Outcome<'_, ()>;

    /// Begins to compare the two ends; the number of the job.
    fn verify_mirror(&self, name: String) -> Outcome<'_, v1::Job>;
}
