//! What the admin server asks of the daemon about snapshots, groups and schedules.

use futures_util::future::BoxFuture;
use tidelock_admin::v1;
use tidelock_catalog::{
    Change, DatasetRef, GroupName, IscsiName, LunNumber, SnapshotName, SnapshotRef, VolumeName,
};

use crate::admin_server::control::Outcome;

/// The daemon's snapshots as the admin server sees them. What holds of [`Control`] holds here.
///
/// [`Control`]: crate::admin_server::Control
pub trait SnapshotControl: Send + Sync + 'static {
    /// The snapshots of a volume, or all.
    fn snapshots(&self, volume: Option<&VolumeName>) -> Outcome<'_, Vec<v1::Snapshot>>;

    /// One snapshot.
    fn snapshot(&self, snapshot: &SnapshotRef) -> Outcome<'_, v1::Snapshot>;

    /// Takes a snapshot; `quiesced`: applications have been told.
    fn create_snapshot(&self, snapshot: SnapshotRef, quiesced: bool) -> Outcome<'_, ()>;

    /// Removes a snapshot that isn't shown.
    fn delete_snapshot(&self, snapshot: SnapshotRef) -> Outcome<'_, ()>;

    /// Lets a volume be as one of its snapshots again. Needs `force` while initiators are logged in to
    /// targets that show it.
    fn restore_snapshot(&self, snapshot: SnapshotRef, force: bool) -> Outcome<'_, v1::Restored>;

    /// Shows a snapshot in a target.
    fn map_snapshot(
        &self,
        target: IscsiName,
        snapshot: SnapshotRef,
        number: Option<LunNumber>,
    ) -> Outcome<'_, Vec<Change>>;

    /// What differs between two points in time, from an offset in bytes on; at most `limit` ranges.
    fn diff(
        &self,
        from: DatasetRef,
        to: DatasetRef,
        offset_bytes: u64,
        limit: usize,
    ) -> Outcome<'_, v1::Diff>;

    /// One group, with what was taken of it.
    fn group(&self, group: &GroupName) -> Outcome<'_, v1::Group>;

    /// Takes a snapshot of each volume of a group; `quiesced`: applications have been told.
    fn snapshot_group(
        &self,
        group: GroupName,
        name: SnapshotName,
        quiesced: bool,
    ) -> Outcome<'_, Vec<v1::Snapshot>>;

    /// Lets the volumes of a group be as the snapshots that were taken of it.
    fn restore_group(
        &self,
        group: GroupName,
        name: SnapshotName,
        force: bool,
    ) -> Outcome<'_, v1::Restored>;

    /// All schedules.
    fn schedules(&self) -> BoxFuture<'_, Vec<v1::Schedule>>;

    /// Takes snapshots of a volume again and again: from one to the next in seconds, and how many are
    /// kept. `None`: no longer.
    fn set_schedule(&self, volume: VolumeName, times: Option<(u64, u32)>) -> Outcome<'_, ()>;

    /// Begins to look whether every block that a volume and those it shares blocks with use has one owner.
    fn verify_volume(&self, volume: VolumeName) -> Outcome<'_, v1::Job>;

    /// Begins to look whether the blocks of a volume or a snapshot are what they were when they were written, at
    /// so many bytes a second at most.
    fn scrub(&self, what: DatasetRef, rate: Option<u64>) -> Outcome<'_, v1::Job>;
}
