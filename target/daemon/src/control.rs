//! The daemon as the admin server sees it: requests to the registry and the directory, and what both
//! say in the words of the API.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tidelock_admin::v1;
use tidelock_catalog::{Access, AclEntry, AclScope, Subject};
use tidelock_catalog::{
    BlockSize, Catalog, Change, Command, IscsiName, PortalGroupTag, PortalGroups, VolumeName,
};
use tidelock_replication::VolumeError;
use tidelock_scsi::TargetPortGroup;
use tokio::sync::broadcast;

use crate::admin_server::{
    Control, ControlError, FileFault, VolumeFacts, VolumeRequest, VolumeSource, event_of,
};
use crate::directory::SessionInfo;
use crate::events::unix_ms;
use crate::peers::Peers;
use crate::portal::Portal;
use crate::registry::changes::ChangeError;
use crate::shared::Shared;
use crate::{demo, loops, metrics};

mod capabilities;
mod clones;
mod jobs;
mod mirrors;
mod peers;
mod snapshots;
mod streams;

type Outcome<'a, T> = BoxFuture<'a, Result<T, ControlError>>;

/// The daemon's control.
#[derive(Debug)]
pub struct DaemonControl {
    shared: Arc<Shared>,
    portals: Vec<Portal>,
    /// Or why there can be none.
    peers: Result<Arc<Peers>, String>,
}

impl DaemonControl {
    /// Control of what `shared` holds.
    #[must_use]
    pub fn new(
        shared: Arc<Shared>,
        portals: Vec<Portal>,
        peers: Result<Arc<Peers>, String>,
    ) -> Arc<Self> {
        Arc::new(Self {
            shared,
            portals,
            peers,
        })
    }

    async fn change(&self, command: Command) -> Result<Vec<Change>, ControlError> {
        let changes = self.shared.registry.apply(command).await?;
        self.tell(&changes);
        Ok(changes)
    }

    fn tell(&self, changes: &[Change]) {
        for change in changes {
            let Some(event) = event_of(change) else {
                continue;
            };
            tracing::info!(event = event.name(), change = %in_words(&event), "changed");
            self.shared.events.tell(event);
        }
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.portals.iter().map(|portal| portal.address).collect()
    }

    fn sessions_of(&self, target: &IscsiName) -> usize {
        let name = target.to_string();
        let all = self.shared.directory.list();
        all.iter()
            .filter(|info| info.key.target.as_deref() == Some(&name))
            .count()
    }

    /// Makes what the demonstration serves, unless it is there from an earlier start.
    ///
    /// # Errors
    /// The volume or the target can't be made.
    pub async fn prepare_demo(&self) -> Result<(), ControlError> {
        let catalog = self.shared.registry.catalog();
        let Ok(target) = IscsiName::new(demo::TARGET) else {
            return Ok(());
        };
        let Ok(volume) = VolumeName::new(demo::VOLUME) else {
            return Ok(());
        };
        if catalog.volume(&volume).is_err() {
            let request = VolumeRequest {
                name: volume.clone(),
                source: VolumeSource::New {
                    size_bytes: demo::SIZE,
                },
                block_size: BlockSize::B512,
                preallocate: false,
                direct: false,
                write_cache: true,
                integrity: tidelock_catalog::Integrity::Usual,
                limits: tidelock_catalog::SpaceLimits::default(),
            };
            self.create_volume(request).await?;
        }
        if catalog.target(&target).is_err() {
            let create = Command::CreateTarget {
                target: target.clone(),
                portal_groups: PortalGroups::ALL,
            };
            self.change(create).await?;
            let map = Command::MapLun {
                target: target.clone(),
                volume,
                number: None,
                read_only: false,
            };
            self.change(map).await?;
            let everybody = AclEntry {
                subject: Subject::EVERYBODY,
                access: Access::Allow { chap: None },
            };
            let scope = AclScope::Target(target);
            self.change(Command::SetAccess {
                scope,
                entry: everybody,
            })
            .await?;
        }
        Ok(())
    }
}

impl Control for DaemonControl {
    fn catalog(&self) -> Arc<Catalog> {
        self.shared.registry.catalog()
    }

    fn apply(&self, command: Command) -> Outcome<'_, Vec<Change>> {
        async move {
            if let Command::DeleteTarget {
                target,
                force: false,
            } = &command
            {
                let count = self.sessions_of(target);
                if count > 0 {
                    return Err(ControlError::TargetHasSessions {
                        target: target.clone(),
                        count,
                    });
                }
            }
            if let Command::SetRedirect {
                redirect: Some(redirect),
                ..
            } = &command
                && loops::leads_here(&redirect.to, &self.addresses()).await
            {
                let to = redirect.to.clone();
                return Err(ControlError::RedirectsHere { to });
            }
            self.change(command).await
        }
        .boxed()
    }

    fn create_volume(&self, request: VolumeRequest) -> Outcome<'_, ()> {
        async move {
            let changes = self.shared.registry.create_volume(request).await?;
            self.tell(&changes);
            Ok(())
        }
        .boxed()
    }

    fn resize_volume(&self, volume: VolumeName, size_bytes: u64) -> Outcome<'_, ()> {
        let command = Command::ResizeVolume { volume, size_bytes };
        async move { self.change(command).await.map(drop) }.boxed()
    }

    fn unfence_volume(&self, volume: VolumeName) -> Outcome<'_, ()> {
        async move {
            self.shared.registry.unfence(&volume).await?;
            Ok(())
        }
        .boxed()
    }

    fn clear_reservations(&self, volume: VolumeName) -> Outcome<'_, ()> {
        async move {
            self.shared.registry.clear_reservations(&volume).await?;
            Ok(())
        }
        .boxed()
    }

    fn delete_volume(&self, volume: VolumeName, with_snapshots: bool) -> Outcome<'_, ()> {
        async move {
            let registry = &self.shared.registry;
            let changes = registry.delete_volume(volume, with_snapshots).await?;
            self.tell(&changes);
            Ok(())
        }
        .boxed()
    }

    fn volume_facts(&self, volume: &VolumeName, thorough: bool) -> BoxFuture<'_, VolumeFacts> {
        let volume = volume.clone();
        async move { self.shared.registry.facts(&volume, thorough).await }.boxed()
    }

    fn target_port_groups(&self, volume: &VolumeName) -> Vec<TargetPortGroup> {
        let served = self.shared.registry.volume(volume);
        served.map_or_else(Vec::new, |served| served.unit().target_port_groups())
    }

    fn status(&self) -> v1::Status {
        let shared = &self.shared;
        let catalog = shared.registry.catalog();
        v1::Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            daemon_id: catalog.identity().0.to_string(),
            pid: std::process::id(),
            uptime_seconds: shared.started.elapsed().as_secs(),
            backend: v1::Backend {
                name: shared.backend.name.to_owned(),
                reason: shared.backend.reason.clone(),
            },
            reactors: u32::try_from(shared.config.reactors).unwrap_or(u32::MAX),
            portals: (self.portals.iter())
                .map(|portal| portal.address.to_string())
                .collect(),
            portal_groups: PortalGroupTag::all()
                .filter_map(|tag| portal_group(&self.portals, tag))
                .collect(),
            peer: self.peers.as_ref().ok().map(|peers| peers.identity()),
            state_dir: shared.config.state_dir.display().to_string(),
            catalog_generation: catalog.generation(),
            memory: v1::Memory {
                in_use_bytes: shared.pool.in_use() as u64,
                ceiling_bytes: shared.config.memory_ceiling as u64,
            },
            sessions: shared.directory.len() as u64,
            targets: catalog.targets().len() as u64,
            volumes: shared.registry.counts(),
            snapshots: shared.registry.count_snapshots(),
            space: shared.registry.space().map(|space| v1::Space {
                available_bytes: space.available,
                total_bytes: space.total,
                warn_below_percent: shared.config.space_warning_percent,
            }),
        }
    }

    fn sessions(&self) -> Vec<v1::Session> {
        self.shared.directory.list().iter().map(session).collect()
    }

    fn logout_session(&self, id: u64, seconds: u16) -> BoxFuture<'_, bool> {
        async move { self.shared.directory.request_logout(id, seconds) }.boxed()
    }

    fn drop_session(&self, id: u64) -> BoxFuture<'_, bool> {
        async move {
            self.shared
                .directory
                .terminate(id, "dropped by an operator")
        }
        .boxed()
    }

    fn events(&self) -> broadcast::Receiver<v1::Event> {
        self.shared.events.watch()
    }

    fn metrics(&self) -> String {
        metrics::text(&self.shared)
    }
}

/// An event as a line of the log has it: the same names as in the API, and never a secret.
fn in_words(event: &v1::EventKind) -> String {
    serde_json::to_string(event).unwrap_or_default()
}

fn portal_group(portals: &[Portal], tag: PortalGroupTag) -> Option<v1::PortalGroup> {
    let of_it = portals.iter().filter(|portal| portal.group == tag);
    let portals: Vec<_> = of_it.map(|portal| portal.address.to_string()).collect();
    let tag = tag.get();
    (!portals.is_empty()).then_some(v1::PortalGroup { tag, portals })
}

fn session(info: &SessionInfo) -> v1::Session {
    use std::sync::atomic::Ordering::Relaxed;
    v1::Session {
        id: info.id,
        initiator: info.key.initiator.clone(),
        target: info.key.target.clone(),
        isid: info
            .key
            .isid
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        portal_group: info.key.target.is_some().then(|| info.key.group.get()),
        tsih: info.tsih,
        peer: info.peer.to_string(),
        connections: info.peers.iter().map(ToString::to_string).collect(),
        since_unix_ms: unix_ms(info.since),
        header_digest: info.digests.0,
        data_digest: info.digests.1,
        reactor: u32::try_from(info.reactor).unwrap_or(u32::MAX),
        commands: info.counters.commands.load(Relaxed),
        read_bytes: info.counters.read_bytes.load(Relaxed),
        written_bytes: info.counters.written_bytes.load(Relaxed),
    }
}

impl From<ChangeError> for ControlError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Rule(error) => Self::Catalog(error),
            ChangeError::Volume(error) => Self::File {
                fault: file_fault(&error),
                source: error.into(),
            },
            ChangeError::StateDir(error) => Self::NotDurable {
                source: error.into(),
            },
            ChangeError::NotReady { .. } => Self::File {
                fault: FileFault::Storage,
                source: error.into(),
            },
            ChangeError::Snapshots { .. } => Self::Snapshots {
                source: error.into(),
            },
            ChangeError::Receive(error) => Self::Receive(error),
            ChangeError::Mirror(reason) => Self::Mirror { reason },
            ChangeError::Loading => Self::Starting,
            ChangeError::Refused(refused) => Self::Refused(refused),
            ChangeError::Defect(_) => Self::Defect,
        }
    }
}

/// Whose fault it is that a volume's file can't be used.
fn file_fault(error: &VolumeError) -> FileFault {
    match error {
        VolumeError::InUse { .. } => FileFault::InUse,
        VolumeError::NoSpace { .. } => FileFault::NoSpace,
        VolumeError::StillFailing { .. } | VolumeError::File(_) => FileFault::Storage,
        _ => FileFault::Request,
    }
}
