//! How long it takes to answer GetSynchronizationSupported for a volume and for a snapshot, in a daemon with many of both.
//!
//!     cargo run --release -p tidelock-daemon --example capability_speed [VOLUMES [SNAPSHOTS OF EACH]]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that meets the unexpected is to fail where it stands"
)]

use std::time::{Duration, Instant};

use tidelock_catalog::{BlockSize, DatasetRef, Integrity, SnapshotRef, SpaceLimits, VolumeName};
use tidelock_daemon::admin_server::{VolumeRequest, VolumeSource};
use tidelock_daemon::directory::Directory;
use tidelock_daemon::registry::Registry;
use tidelock_daemon::registry::capabilities::ElementName;
use tidelock_daemon::state_dir::StateDir;

const QUESTIONS: u32 = 2_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut numbers = std::env::args().skip(1).map(|it| it.parse().unwrap());
    let volumes: usize = numbers.next().unwrap_or(1_000);
    let snapshots: usize = numbers.next().unwrap_or(10);
    // As the daemon does: each volume keeps files open.
    tidelock_daemon::limits::raise_descriptors();
    let folder = tempfile::tempdir().unwrap();
    let state = StateDir::open(folder.path()).unwrap();
    let registry = Registry::open(&state, Directory::new(8)).unwrap();
    registry.load(Vec::new()).await;
    let name = |number: usize| VolumeName::new(&format!("v{number}")).unwrap();
    let begun = Instant::now();
    for number in 0..volumes {
        let request = VolumeRequest {
            name: name(number),
            source: VolumeSource::New {
                size_bytes: 1 << 20,
            },
            block_size: BlockSize::B512,
            preallocate: false,
            direct: false,
            write_cache: true,
            integrity: Integrity::Usual,
            limits: SpaceLimits::default(),
        };
        registry.create_volume(request).await.unwrap();
        for at in 0..snapshots {
            let called: SnapshotRef = format!("v{number}@s{at}").parse().unwrap();
            registry.create_snapshot(called, false, 1).await.unwrap();
        }
    }
    println!(
        "{volumes} volumes with {snapshots} snapshots each, made in {:?}",
        begun.elapsed()
    );
    let middle = volumes / 2;
    let volume = ElementName::Dataset(DatasetRef::from(name(middle)));
    let other = ElementName::Dataset(DatasetRef::from(name(0)));
    let snapshot = ElementName::Dataset(format!("v{middle}@s0").parse().unwrap());
    for (what, element, other) in [
        ("a volume", &volume, None),
        ("a pair", &volume, Some(&other)),
        ("a snapshot", &snapshot, None),
    ] {
        let mut all: Vec<Duration> = Vec::new();
        for _ in 0..QUESTIONS {
            let asked = Instant::now();
            let answer = registry.synchronization_supported(element, other, 2);
            all.push(asked.elapsed());
            assert!(answer.decision.problem().is_none());
        }
        all.sort_unstable();
        let at = |part: usize| {
            all.get(all.len() * part / 1_000)
                .copied()
                .unwrap_or_default()
        };
        println!(
            "{what}: {:?} in the middle, {:?} for 99.9%",
            at(500),
            at(999)
        );
    }
}
