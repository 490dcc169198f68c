//! Renewals outlive the daemon: a medium that was being sanitized or formatted is gone on with after a
//! restart, and one on which that failed stays unusable. One small file per such volume in the state
//! folder.

use std::collections::HashSet;
use std::path::PathBuf;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tidelock_catalog::VolumeId;
use tidelock_scsi::{LogicalUnit, MediumCondition, Renewal};
use tokio::sync::Semaphore;

use crate::state_dir::{ReplacedFile, StateDirError};

/// Renewals that run at a time; the others wait, and say meanwhile that they are under way.
const AT_A_TIME: usize = 4;
/// The longest pattern: a logical block, in bytes.
const PATTERN_MAX: usize = 4_096;

/// What is known on disk about renewals.
#[derive(Debug)]
pub(crate) struct Renewals {
    folder: PathBuf,
    /// What was under way when the daemon last ended, until somebody goes on with it.
    unfinished: Mutex<Vec<(VolumeId, Renewal)>>,
    /// Volumes that were deleted: nothing more is kept of them. Locked while a file changes.
    deleted: Mutex<HashSet<VolumeId>>,
    turns: Semaphore,
}

/// The file.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    failed: bool,
    kind: Kind,
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Kind {
    Overwrite {
        pattern: Vec<u8>,
        passes: u8,
        invert: bool,
        unrestricted: bool,
    },
    BlockErase {
        unrestricted: bool,
    },
    Format {},
}

const VERSION: u32 = 1;

impl Record {
    fn new(renewal: &Renewal, failed: bool) -> Self {
        let kind = match renewal {
            Renewal::Overwrite {
                pattern,
                passes,
                invert,
                unrestricted,
            } => Kind::Overwrite {
                pattern: pattern.to_vec(),
                passes: *passes,
                invert: *invert,
                unrestricted: *unrestricted,
            },
            Renewal::BlockErase { unrestricted } => Kind::BlockErase {
                unrestricted: *unrestricted,
            },
            Renewal::Format => Kind::Format {},
        };
        Self {
            version: VERSION,
            failed,
            kind,
        }
    }

    /// The renewal, if the record is one that this daemon could have written.
    fn renewal(self) -> Option<Renewal> {
        if self.version != VERSION {
            return None;
        }
        match self.kind {
            Kind::Overwrite {
                pattern,
                passes,
                invert,
                unrestricted,
            } => {
                let valid =
                    (1..=PATTERN_MAX).contains(&pattern.len()) && (1..=31).contains(&passes);
                valid.then(|| Renewal::Overwrite {
                    pattern: Bytes::from(pattern),
                    passes,
                    invert,
                    unrestricted,
                })
            }
            Kind::BlockErase { unrestricted } => Some(Renewal::BlockErase { unrestricted }),
            Kind::Format {} => Some(Renewal::Format),
        }
    }
}

impl Renewals {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            unfinished: Mutex::default(),
            deleted: Mutex::default(),
            turns: Semaphore::new(AT_A_TIME),
        }
    }

    /// Brings the unit of a volume that has just been opened into the condition that its medium was in
    /// when the daemon last ran. Blocks.
    pub(super) fn recall(&self, id: VolumeId, unit: &LogicalUnit) {
        let record = match self.file(id).read() {
            Ok(None) => return,
            Ok(Some(bytes)) => serde_json::from_slice::<Record>(&bytes).map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let known = record.and_then(|record| {
            let failed = record.failed;
            let renewal = record
                .renewal()
                .ok_or("a version or value that is unknown")?;
            Ok((renewal, failed))
        });
        match known {
            Ok((renewal, true)) => unit.set_medium_condition(renewal.failed()),
            Ok((renewal, false)) => {
                unit.set_medium_condition(renewal.under_way());
                self.unfinished.lock().push((id, renewal));
            }
            Err(error) => {
                // Better sanitized once more without need than served half-way.
                tracing::error!(volume = %id, %error, "cannot tell how far a sanitize was: it failed");
                unit.set_medium_condition(MediumCondition::SanitizeFailed {
                    unrestricted: false,
                });
            }
        }
    }

    /// What has to be gone on with after a restart and can be, as `find` says; each is told once.
    pub(super) fn take_unfinished<T>(
        &self,
        find: impl Fn(VolumeId) -> Option<T>,
    ) -> Vec<(T, Renewal)> {
        let mut unfinished = self.unfinished.lock();
        let all = std::mem::take(&mut *unfinished);
        let mut found = Vec::new();
        for (id, renewal) in all {
            match find(id) {
                Some(subject) => found.push((subject, renewal)),
                None => unfinished.push((id, renewal)),
            }
        }
        found
    }

    /// Makes durable that a renewal is under way. Blocks.
    ///
    /// # Errors
    /// It can't be written.
    pub(crate) fn begin(&self, id: VolumeId, renewal: &Renewal) -> Result<(), StateDirError> {
        self.note(id, &Record::new(renewal, false))
    }

    /// Makes durable that a renewal failed. Blocks.
    ///
    /// # Errors
    /// It can't be written: after a restart it is tried again.
    pub(crate) fn fail(&self, id: VolumeId, renewal: &Renewal) -> Result<(), StateDirError> {
        self.note(id, &Record::new(renewal, true))
    }

    /// Makes durable that a renewal has succeeded. Blocks.
    ///
    /// # Errors
    /// It can't be written: after a restart it is done again.
    pub(crate) fn succeed(&self, id: VolumeId) -> Result<(), StateDirError> {
        let _changing = self.deleted.lock();
        self.file(id).remove()
    }

    /// Leaves a failure behind, durably, unless another renewal has begun meanwhile; true if so.
    /// Blocks.
    ///
    /// # Errors
    /// It can't be written.
    pub(crate) fn accept_failure(
        &self,
        id: VolumeId,
        unit: &LogicalUnit,
    ) -> Result<bool, StateDirError> {
        // A renewal changes the condition first and the file then, so its record is not in danger.
        let _changing = self.deleted.lock();
        if unit.medium_condition().is_under_way() {
            return Ok(false);
        }
        self.file(id).remove()?;
        Ok(unit.leave_failure())
    }

    /// The volume is gone. Blocks.
    pub(super) fn forget(&self, id: VolumeId) -> Result<(), StateDirError> {
        let mut deleted = self.deleted.lock();
        deleted.insert(id);
        self.unfinished.lock().retain(|(known, _)| *known != id);
        self.file(id).remove()
    }

    /// Waits until a renewal may run. `None` never comes: the semaphore isn't closed.
    pub(crate) async fn turn(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }

    fn note(&self, id: VolumeId, record: &Record) -> Result<(), StateDirError> {
        let deleted = self.deleted.lock();
        if deleted.contains(&id) {
            return Ok(());
        }
        // Plain data: it can always be written down.
        let bytes = serde_json::to_vec(record).unwrap_or_default();
        self.file(id).replace(&bytes)
    }

    fn file(&self, id: VolumeId) -> ReplacedFile {
        ReplacedFile::in_folder(&self.folder, &format!("renewal-{id}"))
    }
}

#[cfg(test)]
mod tests {
    use tidelock_scsi::{BlockSize, Identity, LogicalUnitConfig};
    use uuid::Uuid;

    use super::*;

    fn unit() -> LogicalUnit {
        let identity = Identity::new(1, "serial");
        LogicalUnit::new(LogicalUnitConfig::new(identity, BlockSize::B512, 8))
    }

    fn renewals() -> [Renewal; 3] {
        [
            Renewal::Overwrite {
                pattern: Bytes::from_static(b"\x00\xffabc"),
                passes: 31,
                invert: true,
                unrestricted: true,
            },
            Renewal::BlockErase {
                unrestricted: false,
            },
            Renewal::Format,
        ]
    }

    #[test]
    fn what_was_under_way_is_gone_on_with_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let id = VolumeId(Uuid::new_v4());
        for renewal in renewals() {
            let before = Renewals::new(dir.path().into());
            before.begin(id, &renewal).unwrap();
            let (after, unit) = (Renewals::new(dir.path().into()), unit());
            after.recall(id, &unit);
            assert_eq!(unit.medium_condition(), renewal.under_way());
            assert!(after.take_unfinished(|_| None::<()>).is_empty());
            assert_eq!(after.take_unfinished(Some), [(id, renewal)]);
            assert_eq!(after.take_unfinished(Some), []);
        }
    }

    #[test]
    fn a_failure_and_a_success_outlive_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let id = VolumeId(Uuid::new_v4());
        for renewal in renewals() {
            let before = Renewals::new(dir.path().into());
            before.begin(id, &renewal).unwrap();
            before.fail(id, &renewal).unwrap();
            let (after, failed) = (Renewals::new(dir.path().into()), unit());
            after.recall(id, &failed);
            assert_eq!(failed.medium_condition(), renewal.failed());
            assert_eq!(after.take_unfinished(Some), []);
            before.succeed(id).unwrap();
            let sound = unit();
            after.recall(id, &sound);
            assert_eq!(sound.medium_condition(), MediumCondition::Sound);
        }
    }

    #[test]
    fn a_file_that_makes_no_sense_counts_as_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        let id = VolumeId(Uuid::new_v4());
        let long = serde_json::to_vec(&Record {
            version: VERSION,
            failed: false,
            kind: Kind::Overwrite {
                pattern: vec![0; 5000],
                passes: 1,
                invert: false,
                unrestricted: true,
            },
        });
        let newer = br#"{"version":2,"failed":true,"kind":{"format":{}}}"#.to_vec();
        for content in [b"".to_vec(), b"{".to_vec(), newer, long.unwrap()] {
            std::fs::write(dir.path().join(format!("renewal-{id}")), content).unwrap();
            let (after, unit) = (Renewals::new(dir.path().into()), unit());
            after.recall(id, &unit);
            let expected = MediumCondition::SanitizeFailed {
                unrestricted: false,
            };
            assert_eq!(unit.medium_condition(), expected);
            assert_eq!(after.take_unfinished(Some), []);
        }
    }

    #[test]
    fn accepting_a_failure_never_hides_what_is_under_way() {
        let dir = tempfile::tempdir().unwrap();
        let id = VolumeId(Uuid::new_v4());
        let [renewal, ..] = renewals();
        let (now, unit) = (Renewals::new(dir.path().into()), unit());
        now.fail(id, &renewal).unwrap();
        unit.set_medium_condition(renewal.under_way());
        now.begin(id, &renewal).unwrap();
        assert!(!now.accept_failure(id, &unit).unwrap());
        unit.set_medium_condition(renewal.failed());
        assert!(now.accept_failure(id, &unit).unwrap());
        assert_eq!(unit.medium_condition(), MediumCondition::Sound);
    }

    #[test]
    fn nothing_is_kept_of_a_volume_that_was_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let id = VolumeId(Uuid::new_v4());
        let now = Renewals::new(dir.path().into());
        now.begin(id, &Renewal::Format).unwrap();
        now.forget(id).unwrap();
        now.fail(id, &Renewal::Format).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
