//! A daemon with a real catalog and nothing behind it.

mod capabilities;
mod clones;
mod jobs;
mod mirrors;
mod peers;
mod snapshots;
pub(super) mod streams;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use parking_lot::Mutex;
use tidelock_admin::v1;
use tidelock_catalog::{
    Catalog, Change, Command, DaemonIdentity, NewVolume, SnapshotRef, VolumeId, VolumeName,
};
use tidelock_scsi::TargetPortGroup;
use tokio::sync::{Notify, broadcast};
use uuid::Uuid;

use crate::admin_server::{
    Control, ControlError, FileFault, Outcome, VolumeFacts, VolumeRequest, VolumeSource, event_of,
};
use crate::jobs::Jobs;

/// The only file that is "there".
pub(super) const FILE: &str = "/images/existing.img";
/// Volumes of this name take until [`Fake::finish_slow`] to be made.
pub(super) const SLOW: &str = "slow";

pub(super) struct Fake {
    catalog: Mutex<Arc<Catalog>>,
    pub(super) sessions: Mutex<Vec<v1::Session>>,
    events: broadcast::Sender<v1::Event>,
    slow: Notify,
    /// How many volumes were begun.
    pub(super) begun: AtomicUsize,
    /// How often reservations were cleared.
    pub(super) cleared: AtomicUsize,
    snapshots: Mutex<Vec<SnapshotRef>>,
    pub(super) jobs: Jobs,
}

impl Fake {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            catalog: Mutex::new(Arc::new(Catalog::new(DaemonIdentity(Uuid::from_u128(1))))),
            sessions: Mutex::default(),
            events: broadcast::channel(4).0,
            slow: Notify::new(),
            begun: AtomicUsize::new(0),
            cleared: AtomicUsize::new(0),
            snapshots: Mutex::default(),
            jobs: Jobs::default(),
        })
    }

    pub(super) fn finish_slow(&self) {
        self.slow.notify_one();
    }

    pub(super) fn listeners(&self) -> usize {
        self.events.receiver_count()
    }

    pub(super) fn tell(&self, kind: v1::EventKind) {
        // Fails only when nobody listens.
        let _ = self.events.send(v1::Event {
            at_unix_ms: 1,
            kind,
        });
    }

    fn change(&self, command: Command) -> Result<Vec<Change>, ControlError> {
        let mut catalog = self.catalog.lock();
        let mut next = Catalog::clone(&catalog);
        let changes = next.apply(command)?;
        *catalog = Arc::new(next);
        changes
            .iter()
            .filter_map(event_of)
            .for_each(|event| self.tell(event));
        Ok(changes)
    }
}

impl Control for Fake {
    fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.lock())
    }

    fn apply(&self, command: Command) -> Outcome<'_, Vec<Change>> {
        if let Command::DeleteTarget {
            target,
            force: false,
        } = &command
        {
            let with_it = |s: &&v1::Session| s.target.as_deref() == Some(target.as_str());
            let count = self.sessions.lock().iter().filter(with_it).count();
            if count > 0 {
                let target = target.clone();
                return ready(Err(ControlError::TargetHasSessions { target, count })).boxed();
            }
        }
        ready(self.change(command)).boxed()
    }

    fn create_volume(&self, request: VolumeRequest) -> Outcome<'_, ()> {
        async move {
            self.begun.fetch_add(1, Ordering::SeqCst);
            if request.name.as_str() == SLOW {
                self.slow.notified().await;
            }
            let (path, size_bytes, managed) = match request.source {
                VolumeSource::New { size_bytes } => {
                    (format!("/state/volumes/{}", request.name), size_bytes, true)
                }
                VolumeSource::File { path } if path == FILE => (path, 1 << 20, false),
                VolumeSource::File { path } => {
                    return Err(ControlError::File {
                        fault: FileFault::Request,
                        source: format!("{path}: no such file").into(),
                    });
                }
            };
            self.change(Command::CreateVolume(NewVolume {
                id: VolumeId(Uuid::new_v4()),
                name: request.name,
                path,
                size_bytes,
                block_size: request.block_size,
                managed,
                preallocated: request.preallocate,
                direct: request.direct,
                write_cache: request.write_cache,
                integrity: request.integrity,
                limits: request.limits,
            }))?;
            Ok(())
        }
        .boxed()
    }

    fn resize_volume(&self, volume: VolumeName, size_bytes: u64) -> Outcome<'_, ()> {
        let changed = self.change(Command::ResizeVolume { volume, size_bytes });
        ready(changed.map(drop)).boxed()
    }

    fn unfence_volume(&self, _: VolumeName) -> Outcome<'_, ()> {
        ready(Ok(())).boxed()
    }

    fn clear_reservations(&self, _: VolumeName) -> Outcome<'_, ()> {
        self.cleared.fetch_add(1, Ordering::SeqCst);
        ready(Ok(())).boxed()
    }

    fn delete_volume(&self, volume: VolumeName, _: bool) -> Outcome<'_, ()> {
        ready(self.change(Command::DeleteVolume { volume }).map(drop)).boxed()
    }

    fn volume_facts(&self, _: &VolumeName, _: bool) -> BoxFuture<'_, VolumeFacts> {
        let state = v1::VolumeState::Ready;
        ready(VolumeFacts {
            path: String::new(),
            state,
            detail: String::new(),
            allocated_bytes: Some(4_096),
            used_bytes: None,
            reservations: None,
            family: None,
        })
        .boxed()
    }

    fn target_port_groups(&self, _: &VolumeName) -> Vec<TargetPortGroup> {
        Vec::new()
    }

    fn status(&self) -> v1::Status {
        v1::Status {
            version: "0.0.0".into(),
            daemon_id: self.catalog().identity().0.to_string(),
            pid: 1,
            uptime_seconds: 61,
            backend: v1::Backend {
                name: "threads".into(),
                reason: "a test".into(),
            },
            reactors: 1,
            portals: vec!["127.0.0.1:3260".into()],
            portal_groups: Vec::new(),
            peer: None,
            state_dir: "/state".into(),
            catalog_generation: self.catalog().generation(),
            memory: v1::Memory {
                in_use_bytes: 0,
                ceiling_bytes: 1 << 30,
            },
            sessions: self.sessions.lock().len() as u64,
            targets: self.catalog().targets().len() as u64,
            volumes: v1::VolumeCounts::default(),
            snapshots: 0,
            space: None,
        }
    }

    fn sessions(&self) -> Vec<v1::Session> {
        self.sessions.lock().clone()
    }

    fn logout_session(&self, id: u64, _: u16) -> BoxFuture<'_, bool> {
        self.drop_session(id)
    }

    fn drop_session(&self, id: u64) -> BoxFuture<'_, bool> {
        let mut sessions = self.sessions.lock();
        let before = sessions.len();
        sessions.retain(|session| session.id != id);
        ready(sessions.len() < before).boxed()
    }

    fn events(&self) -> broadcast::Receiver<v1::Event> {
        self.events.subscribe()
    }

    fn metrics(&self) -> String {
        "# TYPE tidelock_sessions gauge\ntidelock_sessions 0\n# EOF\n".into()
    }
}

/// A session with a target.
pub(super) fn session(id: u64, target: &str) -> v1::Session {
    v1::Session {
        id,
        initiator: "iqn.2024-01.com.example:host".into(),
        target: Some(target.into()),
        portal_group: Some(1),
        isid: "00023d000001".into(),
        tsih: 1,
        peer: "127.0.0.1:50000".into(),
        connections: vec!["127.0.0.1:50000".into()],
        since_unix_ms: 1,
        header_digest: false,
        data_digest: false,
        reactor: 0,
        commands: 0,
        read_bytes: 0,
        written_bytes: 0,
    }
}
