//! A registry on files of its own, and what happens to snapshots in it: with a clock that only the test
//! moves, and crashes at places that the test chooses.

mod associations;
mod asynchronous_mirrors;
mod clones;
mod crashes;
mod disk;
mod every_step;
mod group_mirrors;
mod groups;
mod mirror_limits;
mod mirror_restores;
mod mirrors;
mod oracle;
mod receiving;
mod remote_mirrors;
mod schedules;
mod shared_units;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidelock_catalog::{BlockSize, Command, GroupName, SnapshotName, SnapshotRef, VolumeName};

use super::Registry;
use crate::admin_server::{VolumeRequest, VolumeSource};
use crate::directory::Directory;
use crate::state_dir::{StateDir, StateDirError};

const MIB: u64 = 1 << 20;

/// A registry that can be left as a crash would, and opened again.
struct House {
    /// It is removed with this.
    _folder: Option<tempfile::TempDir>,
    path: PathBuf,
    state: Option<StateDir>,
    registry: Option<Arc<Registry>>,
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut house = Self::over(folder.path());
        house._folder = Some(folder);
        house.open().await;
        house
    }

    /// One over what is there, not open yet.
    fn over(path: &Path) -> Self {
        Self {
            _folder: None,
            path: path.to_owned(),
            state: None,
            registry: None,
        }
    }

    async fn open(&mut self) {
        // A child of another test has its lock until it runs its own program.
        let mut tries = 0;
        let state = loop {
            match StateDir::open(&self.path) {
                Err(StateDirError::InUse { .. }) if tries < 2_000 => {
                    tries += 1;
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
                opened => break opened.unwrap(),
            }
        };
        let registry = Registry::open(&state, Directory::new(8)).unwrap();
        registry.load(Vec::new()).await;
        (self.state, self.registry) = (Some(state), Some(registry));
    }

    /// Ends it as a stop does.
    async fn close(&mut self) {
        let registry = self.registry.take().unwrap();
        assert_eq!(registry.flush_all().await, Vec::<String>::new());
        drop(registry);
        self.state = None;
    }

    async fn reopen(&mut self) {
        self.close().await;
        self.open().await;
    }

    fn registry(&self) -> &Arc<Registry> {
        self.registry.as_ref().unwrap()
    }

    fn path(&self) -> &Path {
        &self.path
    }

    /// Folders of families.
    fn families(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path().join("families")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    async fn add_volume(&self, name: &str) {
        let request = VolumeRequest {
            name: volume(name),
            source: VolumeSource::New { size_bytes: MIB },
            block_size: BlockSize::B512,
            preallocate: false,
            direct: false,
            write_cache: true,
            integrity: tidelock_catalog::Integrity::Usual,
            limits: tidelock_catalog::SpaceLimits::default(),
        };
        self.registry().create_volume(request).await.unwrap();
    }

    async fn take(&self, what: &str, at: u64) {
        let registry = self.registry();
        registry
            .create_snapshot(snapshot(what), false, at)
            .await
            .unwrap();
    }

    async fn add_group(&self, name: &str, volumes: &[&str]) {
        let command = Command::CreateGroup {
            group: group(name),
            volumes: volumes.iter().map(|name| volume(name)).collect(),
        };
        self.registry().apply(command).await.unwrap();
    }

    /// Names of a volume's snapshots, from the oldest to the newest.
    fn names(&self, of: &str) -> Vec<String> {
        let all = self.registry().snapshots(Some(&volume(of))).unwrap();
        all.into_iter().map(|snapshot| snapshot.name).collect()
    }

    /// Datasets that the engine has of a volume's family and that aren't going.
    fn datasets(&self, of: &str) -> usize {
        let served = self.registry().volume(&volume(of)).unwrap();
        let (family, _) = served.place().unwrap();
        family.open_family().unwrap().datasets().len()
    }
}

fn volume(name: &str) -> VolumeName {
    VolumeName::new(name).unwrap()
}

fn snapshot(text: &str) -> SnapshotRef {
    text.parse().unwrap()
}

fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

fn word(name: &str) -> SnapshotName {
    SnapshotName::new(name).unwrap()
}
