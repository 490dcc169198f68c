//! Scrubs that are under way, as they are kept for the next start: `STATE/scrubs/JOB`. Knows nothing of what
//! is read.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tidelock_catalog::{DatasetId, DatasetRef, SnapshotName, VolumeName};
use tidelock_replication::VerifyReport;

use crate::state_dir::{ReplacedFile, StateDir, StateDirError};

/// A scrub.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scrub {
    /// The job's number.
    pub(super) job: u64,
    volume: String,
    snapshot: Option<String>,
    /// What is read: names may be given again.
    pub(super) dataset: String,
    /// Bytes a second at most.
    pub(super) rate: Option<u64>,
    /// What is before this byte has been read.
    pub(super) done: u64,
    checked_bytes: u64,
    damaged: u64,
    findings: Vec<String>,
}

/// A scrub and its file.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) scrub: Scrub,
    file: ReplacedFile,
}

/// Where they are.
#[derive(Debug)]
pub(super) struct Scrubs {
    folder: PathBuf,
}

impl Scrub {
    /// One that is about to begin.
    pub(super) fn new(job: u64, what: &DatasetRef, dataset: DatasetId, rate: Option<u64>) -> Self {
        Self {
            job,
            volume: what.volume.to_string(),
            snapshot: what.snapshot.as_ref().map(ToString::to_string),
            dataset: dataset.to_string(),
            rate,
            done: 0,
            checked_bytes: 0,
            damaged: 0,
            findings: Vec::new(),
        }
    }

    /// What is read, in words.
    pub(super) fn what(&self) -> String {
        match &self.snapshot {
            Some(snapshot) => format!("{}@{snapshot}", self.volume),
            None => self.volume.clone(),
        }
    }

    /// What is read.
    pub(super) fn point(&self) -> Result<DatasetRef, String> {
        let snapshot = self.snapshot.as_ref().map(|name| SnapshotName::new(name));
        Ok(DatasetRef {
            volume: VolumeName::new(&self.volume).map_err(|error| error.to_string())?,
            snapshot: snapshot.transpose().map_err(|error| error.to_string())?,
        })
    }

    /// What was found so far.
    pub(super) fn found(&self) -> VerifyReport {
        VerifyReport {
            checked_bytes: self.checked_bytes,
            damaged: self.damaged,
            findings: self.findings.clone(),
            ..VerifyReport::default()
        }
    }

    /// It has come to this byte, and has found this.
    pub(super) fn come_to(&mut self, done: u64, found: &VerifyReport) {
        self.done = done;
        self.checked_bytes = found.checked_bytes;
        self.damaged = found.damaged;
        self.findings.clone_from(&found.findings);
    }
}

impl Scrubs {
    /// Makes the folder if it isn't there. Blocks.
    pub(super) fn new(state: &StateDir) -> Result<Self, StateDirError> {
        let folder = state.folder("scrubs")?;
        Ok(Self { folder })
    }

    pub(super) fn keep(&self, scrub: Scrub) -> Kept {
        let file = ReplacedFile::in_folder(&self.folder, &scrub.job.to_string());
        Kept { scrub, file }
    }

    /// Those that an earlier daemon didn't finish. What can't be read is left out, and goes. Blocks.
    pub(super) fn left(&self) -> Vec<Kept> {
        let entries = std::fs::read_dir(&self.folder);
        let names = entries.into_iter().flatten().filter_map(Result::ok);
        let mut left: Vec<Kept> = names
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let job: u64 = name.parse().ok()?;
                let file = ReplacedFile::in_folder(&self.folder, &name);
                let bytes = file.read().ok().flatten()?;
                match serde_json::from_slice::<Scrub>(&bytes) {
                    Ok(scrub) if scrub.job == job => Some(Kept { scrub, file }),
                    _ => {
                        tracing::warn!(file = %file.path().display(),
                            "an unfinished scrub can't be understood: it has to be begun again");
                        let _ = file.remove();
                        None
                    }
                }
            })
            .collect();
        left.sort_by_key(|kept| kept.scrub.job);
        left
    }
}

impl Kept {
    /// Makes durable how far it is. Blocks.
    pub(super) fn note(&self) -> Result<(), StateDirError> {
        let bytes = serde_json::to_vec(&self.scrub).unwrap_or_default();
        self.file.replace(&bytes)
    }

    /// It has ended. Blocks.
    pub(super) fn forget(&self) {
        if let Err(error) = self.file.remove() {
            tracing::warn!(%error, "a scrub that has ended may be begun again by the next start");
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_unfinished_scrub_is_found_again_and_a_finished_or_damaged_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        let scrubs = Scrubs::new(&state).unwrap();
        let what = DatasetRef {
            volume: VolumeName::new("vol").unwrap(),
            snapshot: Some(SnapshotName::new("a").unwrap()),
        };
        let scrub = |job| Scrub::new(job, &what, DatasetId(Uuid::from_u128(7)), Some(9));
        let mut first = scrubs.keep(scrub(12));
        let found = VerifyReport {
            checked_bytes: 100,
            damaged: 1,
            findings: vec!["byte 3".to_owned()],
            ..VerifyReport::default()
        };
        first.scrub.come_to(4_096, &found);
        first.note().unwrap();
        scrubs.keep(scrub(3)).note().unwrap();
        std::fs::write(state.path().join("scrubs/5"), b"{\"job\":5").unwrap();
        let left = scrubs.left();
        let jobs: Vec<u64> = left.iter().map(|kept| kept.scrub.job).collect();
        assert_eq!(jobs, [3, 12]);
        assert_eq!(left[1].scrub, first.scrub);
        assert_eq!(left[1].scrub.found(), found);
        assert_eq!(left[1].scrub.point().unwrap(), what);
        assert!(!state.path().join("scrubs/5").exists());
        left.iter().for_each(Kept::forget);
        assert!(scrubs.left().is_empty());
    }
}
