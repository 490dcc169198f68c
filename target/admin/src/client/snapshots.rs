//! Asking about snapshots, groups and schedules.

use super::{Answer, Client, escape, path};
use crate::v1;

impl Client {
    /// The snapshots of a volume, or all.
    ///
    /// # Errors
    /// See [`crate::client::ClientError`]; so for all other requests.
    pub async fn snapshots(&self, volume: Option<&str>) -> Answer<v1::SnapshotList> {
        let path = match volume {
            Some(volume) => path(&["volumes", volume, "snapshots"]),
            None => path(&["snapshots"]),
        };
        self.get(path).await
    }

    /// One snapshot.
    pub async fn snapshot(&self, volume: &str, name: &str) -> Answer<v1::Snapshot> {
        self.get(path(&["volumes", volume, "snapshots", name]))
            .await
    }

    /// Takes a snapshot.
    pub async fn create_snapshot(
        &self,
        volume: &str,
        request: &v1::CreateSnapshot,
    ) -> Answer<v1::Snapshot> {
        self.send("POST", path(&["volumes", volume, "snapshots"]), request)
            .await
    }

    /// Removes a snapshot.
    pub async fn delete_snapshot(&self, volume: &str, name: &str) -> Answer<()> {
        self.delete(path(&["volumes", volume, "snapshots", name]))
            .await
    }

    /// Lets a volume be as one of its snapshots again.
    pub async fn restore_snapshot(
        &self,
        volume: &str,
        name: &str,
        request: &v1::RestoreSnapshot,
    ) -> Answer<v1::Restored> {
        let path = path(&["volumes", volume, "snapshots", name, "restore"]);
        self.send("POST", path, request).await
    }

    /// What differs between two points in time, from an offset in bytes on.
    pub async fn diff(&self, from: &str, to: &str, offset_bytes: u64) -> Answer<v1::Diff> {
        let (from, to) = (escape(from), escape(to));
        let query = format!("?from={from}&to={to}&offset_bytes={offset_bytes}");
        self.get(path(&["diff"]) + &query).await
    }

    /// All groups.
    pub async fn groups(&self) -> Answer<v1::GroupList> {
        self.get(path(&["groups"])).await
    }

    /// One group.
    pub async fn group(&self, name: &str) -> Answer<v1::Group> {
        self.get(path(&["groups", name])).await
    }

    /// Makes a group.
    pub async fn create_group(&self, request: &v1::CreateGroup) -> Answer<v1::Group> {
        self.send("POST", path(&["groups"]), request).await
    }

    /// Removes a group.
    pub async fn delete_group(&self, name: &str) -> Answer<()> {
        self.delete(path(&["groups", name])).await
    }

    /// Puts a volume into a group.
    pub async fn add_to_group(&self, group: &str, volume: &str) -> Answer<v1::Group> {
        self.send("PUT", path(&["groups", group, "volumes", volume]), &())
            .await
    }

    /// Takes a volume out of a group.
    pub async fn remove_from_group(&self, group: &str, volume: &str) -> Answer<()> {
        self.delete(path(&["groups", group, "volumes", volume]))
            .await
    }

    /// Takes a snapshot of each volume of a group.
    pub async fn snapshot_group(
        &self,
        group: &str,
        request: &v1::CreateSnapshot,
    ) -> Answer<v1::SnapshotList> {
        self.send("POST", path(&["groups", group, "snapshots"]), request)
            .await
    }

    /// Lets the volumes of a group be as the snapshots that were taken of it.
    pub async fn restore_group(
        &self,
        group: &str,
        name: &str,
        request: &v1::RestoreSnapshot,
    ) -> Answer<v1::Restored> {
        let path = path(&["groups", group, "snapshots", name, "restore"]);
        self.send("POST", path, request).await
    }

    /// All schedules.
    pub async fn schedules(&self) -> Answer<v1::ScheduleList> {
        self.get(path(&["schedules"])).await
    }

    /// Takes snapshots of a volume again and again.
    pub async fn set_schedule(
        &self,
        volume: &str,
        request: &v1::SetSchedule,
    ) -> Answer<v1::Schedule> {
        self.send("PUT", path(&["volumes", volume, "schedule"]), request)
            .await
    }

    /// Takes them no longer.
    pub async fn remove_schedule(&self, volume: &str) -> Answer<()> {
        self.delete(path(&["volumes", volume, "schedule"])).await
    }

    /// Begins to look whether every block of a volume has one owner; the answer is the job.
    pub async fn verify_volume(&self, name: &str) -> Answer<v1::Job> {
        self.send("POST", path(&["volumes", name, "verify"]), &())
            .await
    }

    /// Begins to read all blocks of a volume or a snapshot; the answer is the job.
    pub async fn scrub_volume(&self, name: &str, request: &v1::ScrubVolume) -> Answer<v1::Job> {
        self.send("POST", path(&["volumes", name, "scrub"]), request)
            .await
    }
}
