//! What is done, and for each step of it that is durable, what a crash right there would leave: a copy of the
//! state folder, opened as a daemon does that was started again.

use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

use super::House;
use crate::steps::Watching;

/// Copies of a state folder.
pub(super) struct Copies {
    folder: tempfile::TempDir,
    made: Arc<Mutex<Vec<PathBuf>>>,
    watching: Option<Watching>,
}

/// Size, time of change and name of each file: what has changed when this has.
fn listing(folder: &Path) -> Vec<(PathBuf, u64, SystemTime)> {
    let mut left = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                left.push(entry.path());
            } else if let Ok(changed) = metadata.modified() {
                found.push((entry.path(), metadata.len(), changed));
            }
        }
    }
    found.sort();
    found
}

/// Copies a folder as it is at one moment: the threads of families are given time to come to rest.
pub(super) fn copy(from: &Path, to: &Path) {
    for _ in 0..400 {
        let before = listing(from);
        std::thread::sleep(Duration::from_millis(10));
        if listing(from) != before {
            continue;
        }
        let done = Process::new("cp")
            .args(["-a", "--sparse=auto"])
            .args([from, to])
            .output()
            .unwrap();
        if done.status.success() && listing(from) == before {
            return;
        }
        // What was to be copied may have gone before anything was.
        match std::fs::remove_dir_all(to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
    }
    panic!("{} doesn't come to rest", from.display());
}

impl Copies {
    /// Copies from now on.
    pub(super) fn of(house: &House) -> Self {
        Self::after(house, |_| {})
    }

    /// The same, after something that is done at each step, of which it has the number.
    pub(super) fn after(house: &House, first: impl Fn(usize) + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = Arc::<Mutex<Vec<PathBuf>>>::default();
        let (from, into, list) = (
            house.path().to_owned(),
            folder.path().to_owned(),
            Arc::clone(&made),
        );
        let watching = Watching::new(house.path(), move || {
            let mut list = list.lock();
            first(list.len());
            let to = into.join(list.len().to_string());
            copy(&from, &to);
            list.push(to);
        });
        Self {
            folder,
            made,
            watching: Some(watching),
        }
    }

    /// Copies no more, and opens each of them in turn.
    pub(super) async fn each(self, least: usize, check: impl AsyncFnMut(&mut House, usize)) {
        self.each_after(least, |_| {}, check).await;
    }

    /// The same, after something has become of each folder.
    pub(super) async fn each_after(
        mut self,
        least: usize,
        before: impl Fn(&Path),
        mut check: impl AsyncFnMut(&mut House, usize),
    ) {
        self.watching = None;
        let made = self.made.lock().clone();
        assert!(made.len() >= least, "{} steps only", made.len());
        for (step, folder) in made.into_iter().enumerate() {
            let mut house = House::over(&folder);
            before(&folder);
            house.open().await;
            check(&mut house, step).await;
            house.close().await;
            std::fs::remove_dir_all(&folder).unwrap();
        }
        drop(self.folder);
    }
}
