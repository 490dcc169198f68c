//! Snapshots that are names and nothing else.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tidelock_admin::v1;
use tidelock_catalog::{
    CatalogError, Change, Command, DatasetRef, GroupName, IscsiName, LunNumber, Schedule,
    SnapshotName, SnapshotRef, VolumeName,
};

use super::Fake;
use crate::admin_server::{Control, ControlError, Outcome, SnapshotControl};
use crate::jobs::JobEnd;

fn sample(snapshot: &SnapshotRef) -> v1::Snapshot {
    v1::Snapshot {
        volume: snapshot.volume.to_string(),
        name: snapshot.snapshot.to_string(),
        id: "00000000-0000-4000-8000-000000000002".into(),
        at: "2026-11-26T10:34:56Z".into(),
        at_unix_ms: 1_795_689_296_000,
        size_bytes: 1 << 20,
        exclusive_bytes: None,
        stream_id: String::new(),
        quiesced: false,
        cause: v1::SnapshotCause::Operator,
        group: None,
        clones: Vec::new(),
        mappings: Vec::new(),
    }
}

impl Fake {
    pub(super) fn find(&self, snapshot: &SnapshotRef) -> Result<v1::Snapshot, ControlError> {
        let known = self.snapshots.lock().contains(snapshot);
        known.then(|| sample(snapshot)).ok_or_else(|| {
            let snapshot = snapshot.clone();
            CatalogError::NoSuchSnapshot { snapshot }.into()
        })
    }

    fn take(&self, snapshot: SnapshotRef) -> Result<(), ControlError> {
        self.catalog().volume(&snapshot.volume)?;
        let mut snapshots = self.snapshots.lock();
        if snapshots.contains(&snapshot) {
            return Err(CatalogError::SnapshotExists { snapshot }.into());
        }
        snapshots.push(snapshot);
        Ok(())
    }

    fn restored(&self, snapshot: &SnapshotRef, force: bool) -> Result<v1::Restored, ControlError> {
        self.find(snapshot)?;
        let volume = snapshot.volume.clone();
        let sessions = self.sessions.lock().len();
        if sessions > 0 && !force {
            let at = vec![format!("a target has {sessions} session(s)")];
            return Err(ControlError::VolumeInUse { volume, at });
        }
        let restored = v1::RestoredVolume {
            volume: volume.to_string(),
            snapshot: snapshot.snapshot.to_string(),
            safety: "before-restore".into(),
            size_bytes: 1 << 20,
        };
        Ok(v1::Restored {
            restored: vec![restored],
        })
    }

    fn members(&self, group: &GroupName) -> Result<Vec<VolumeName>, ControlError> {
        Ok(self
            .catalog()
            .group(group)?
            .members
            .iter()
            .cloned()
            .collect())
    }
}

impl SnapshotControl for Fake {
    fn snapshots(&self, volume: Option<&VolumeName>) -> Outcome<'_, Vec<v1::Snapshot>> {
        let known = volume.map_or(Ok(()), |volume| self.catalog().volume(volume).map(drop));
        let all = self.snapshots.lock();
        let of_it = |one: &&SnapshotRef| volume.is_none_or(|volume| one.volume == *volume);
        let found = all.iter().filter(of_it).map(sample).collect();
        ready(known.map(|()| found).map_err(ControlError::from)).boxed()
    }

    fn snapshot(&self, snapshot: &SnapshotRef) -> Outcome<'_, v1::Snapshot> {
        ready(self.find(snapshot)).boxed()
    }

    fn create_snapshot(&self, snapshot: SnapshotRef, _quiesced: bool) -> Outcome<'_, ()> {
        ready(self.take(snapshot)).boxed()
    }

    fn delete_snapshot(&self, snapshot: SnapshotRef) -> Outcome<'_, ()> {
        let found = self.find(&snapshot).map(drop);
        self.snapshots.lock().retain(|one| *one != snapshot);
        ready(found).boxed()
    }

    fn restore_snapshot(&self, snapshot: SnapshotRef, force: bool) -> Outcome<'_, v1::Restored> {
        ready(self.restored(&snapshot, force)).boxed()
    }

    fn map_snapshot(
        &self,
        target: IscsiName,
        snapshot: SnapshotRef,
        _: Option<LunNumber>,
    ) -> Outcome<'_, Vec<Change>> {
        let found = self.find(&snapshot).and_then(|_| {
            self.catalog().target(&target)?;
            Ok(vec![Change::LunMapped {
                target,
                lun: tidelock_catalog::Lun {
                    number: LunNumber::new(5).unwrap(),
                    volume: VolumeName::of_snapshot(&snapshot),
                    read_only: true,
                },
            }])
        });
        ready(found).boxed()
    }

    fn diff(
        &self,
        from: DatasetRef,
        to: DatasetRef,
        offset_bytes: u64,
        limit: usize,
    ) -> Outcome<'_, v1::Diff> {
        let range = v1::DiffRange {
            offset_bytes,
            length_bytes: limit as u64,
        };
        let diff = v1::Diff {
            from: from.to_string(),
            to: to.to_string(),
            size_bytes: 1 << 20,
            ranges: vec![range],
            next_offset_bytes: None,
        };
        ready(Ok(diff)).boxed()
    }

    fn group(&self, group: &GroupName) -> Outcome<'_, v1::Group> {
        let described = self.members(group).map(|members| v1::Group {
            name: group.to_string(),
            volumes: members.iter().map(ToString::to_string).collect(),
            sets: Vec::new(),
        });
        ready(described).boxed()
    }

    fn snapshot_group(
        &self,
        group: GroupName,
        name: SnapshotName,
        _quiesced: bool,
    ) -> Outcome<'_, Vec<v1::Snapshot>> {
        let taken = self.members(&group).and_then(|members| {
            let all = members.into_iter().map(|volume| {
                let snapshot = SnapshotRef {
                    volume,
                    snapshot: name.clone(),
                };
                self.take(snapshot.clone()).map(|()| sample(&snapshot))
            });
            all.collect()
        });
        ready(taken).boxed()
    }

    fn restore_group(
        &self,
        group: GroupName,
        name: SnapshotName,
        force: bool,
    ) -> Outcome<'_, v1::Restored> {
        let restored = self.members(&group).and_then(|members| {
            let mut all = Vec::new();
            for volume in members {
                let snapshot = SnapshotRef {
                    volume,
                    snapshot: name.clone(),
                };
                all.extend(self.restored(&snapshot, force)?.restored);
            }
            Ok(v1::Restored { restored: all })
        });
        ready(restored).boxed()
    }

    fn schedules(&self) -> BoxFuture<'_, Vec<v1::Schedule>> {
        let catalog = self.catalog();
        let all = catalog.schedules().map(|(volume, schedule)| v1::Schedule {
            volume: volume.to_string(),
            every_seconds: schedule.every_seconds,
            keep: schedule.keep,
            next: "2026-11-26T11:00:00Z".into(),
            problem: String::new(),
        });
        ready(all.collect()).boxed()
    }

    fn set_schedule(&self, volume: VolumeName, times: Option<(u64, u32)>) -> Outcome<'_, ()> {
        let schedule = times.map(|(every_seconds, keep)| Schedule {
            every_seconds,
            keep,
            since_unix_ms: 1,
        });
        let changed = self.change(Command::SetSchedule { volume, schedule });
        ready(changed.map(drop)).boxed()
    }

    fn verify_volume(&self, volume: VolumeName) -> Outcome<'_, v1::Job> {
        let known = self.catalog().volume(&volume).map(drop);
        let found = v1::CheckReport {
            checked: volume.to_string(),
            checked_bytes: 4_096,
            ..v1::CheckReport::default()
        };
        let job = known.map(|()| self.checked(v1::JobKind::Verify, found));
        ready(job.map_err(ControlError::from)).boxed()
    }

    fn scrub(&self, what: DatasetRef, rate: Option<u64>) -> Outcome<'_, v1::Job> {
        let known = self.catalog().volume(&what.volume).map(drop);
        let found = v1::CheckReport {
            checked: what.to_string(),
            checked_bytes: rate.unwrap_or(0),
            damaged: 1,
            findings: vec!["byte 0: it isn't what was written".into()],
            ..v1::CheckReport::default()
        };
        let job = known.map(|()| self.checked(v1::JobKind::Scrub, found));
        ready(job.map_err(ControlError::from)).boxed()
    }
}

impl Fake {
    /// A job that has found something already.
    fn checked(&self, kind: v1::JobKind, found: v1::CheckReport) -> v1::Job {
        let job = self.jobs.begin(kind, &found.checked, true);
        let id = job.id();
        job.end(JobEnd::Found(found));
        self.jobs.get(id).unwrap()
    }
}
