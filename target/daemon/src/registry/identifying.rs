//! Identifying information of volumes: what hosts call them, on stable storage before it is in force, in
//! one small file per volume in `STATE/identifying`. Knows no sessions.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tidelock_catalog::VolumeId;
use tidelock_scsi::{IdentifyingInformation, IdentifyingInformationType, LogicalUnit, NexusId};

use crate::state_dir::{ReplacedFile, StateDirError};

/// Why identifying information stays as it is.
#[derive(Debug, Error)]
pub(crate) enum IdentifyingError {
    /// It can't be kept.
    #[error(transparent)]
    NotKept(#[from] StateDirError),
    /// The volume is being deleted.
    #[error("the volume is gone")]
    Gone,
    /// A defect.
    #[error("the change ended by a defect: {0}")]
    Defect(#[from] tokio::task::JoinError),
}

/// The identifying information of one volume, on disk.
#[derive(Debug)]
pub(crate) struct IdentifyingFile {
    file: Arc<ReplacedFile>,
    /// Held from the first look at a change until it is in force, so that an older record never
    /// replaces a newer one. True once the volume is gone.
    turn: tokio::sync::Mutex<bool>,
}

/// The file. A piece that is lost is left out.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    device: Option<Vec<u8>>,
    text: Option<Vec<u8>>,
}

const VERSION: u32 = 1;

impl Record {
    fn new(information: &IdentifyingInformation) -> Self {
        let piece = |kind| information.get(kind).map(|bytes| bytes.to_vec());
        Self {
            version: VERSION,
            device: piece(IdentifyingInformationType::PeripheralDevice),
            text: piece(IdentifyingInformationType::PeripheralDeviceText),
        }
    }

    /// What it says, if this daemon could have written it.
    fn information(self) -> Option<IdentifyingInformation> {
        use IdentifyingInformationType::{PeripheralDevice, PeripheralDeviceText};
        let fits = |kind: IdentifyingInformationType, piece: &Option<Vec<u8>>| {
            piece.as_ref().is_none_or(|piece| kind.admits(piece))
        };
        let valid = self.version == VERSION
            && fits(PeripheralDevice, &self.device)
            && fits(PeripheralDeviceText, &self.text);
        valid.then(|| {
            IdentifyingInformation::default()
                .with(PeripheralDevice, self.device.map(Bytes::from))
                .with(PeripheralDeviceText, self.text.map(Bytes::from))
        })
    }
}

impl IdentifyingFile {
    /// Names the file of a volume; touches nothing.
    pub(super) fn new(folder: &Path, id: VolumeId) -> Self {
        Self {
            file: Arc::new(ReplacedFile::in_folder(folder, &id.to_string())),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Gives the logical unit what was kept. What can't be read is told as lost, until a host sets it
    /// anew. Blocks.
    pub(super) fn restore(&self, name: &str, unit: &LogicalUnit) {
        let kept = match self.file.read() {
            Ok(None) => return,
            Ok(Some(kept)) => serde_json::from_slice::<Record>(&kept).map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let information = kept.and_then(|record| {
            let unknown = || "a version or value that is unknown".to_owned();
            record.information().ok_or_else(unknown)
        });
        let information = information.unwrap_or_else(|error| {
            tracing::error!(
                volume = name,
                file = %self.file.path().display(),
                %error,
                "what hosts call the volume (SET IDENTIFYING INFORMATION) can't be read: restore the \
                 file and restart, or let a host set it anew"
            );
            IdentifyingInformation::LOST
        });
        unit.set_identifying_information(information, None);
    }

    /// Makes a change by `nexus`: it is kept, then in force. Must run to its end once begun: a record on
    /// disk without its change in force would come back later.
    ///
    /// # Errors
    /// It can't be kept: then nothing has changed.
    pub(crate) async fn change(
        &self,
        unit: &LogicalUnit,
        (kind, piece): (IdentifyingInformationType, Bytes),
        nexus: NexusId,
    ) -> Result<(), IdentifyingError> {
        let turn = self.turn.lock().await;
        if *turn {
            return Err(IdentifyingError::Gone);
        }
        let now = unit.identifying_information();
        let next = now.clone().with(kind, Some(piece));
        if next == now {
            return Ok(());
        }
        let file = Arc::clone(&self.file);
        // Plain data: it can always be written down.
        let record = serde_json::to_vec(&Record::new(&next)).unwrap_or_default();
        tokio::task::spawn_blocking(move || file.replace(&record)).await??;
        unit.set_identifying_information(next, Some(nexus));
        Ok(())
    }

    /// The volume is gone: its record goes, and no other is written.
    ///
    /// # Errors
    /// It can't be removed.
    pub(super) async fn forget(&self) -> Result<(), IdentifyingError> {
        let mut gone = self.turn.lock().await;
        *gone = true;
        let file = Arc::clone(&self.file);
        tokio::task::spawn_blocking(move || file.remove()).await??;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use IdentifyingInformationType::{PeripheralDevice, PeripheralDeviceText};
    use tidelock_scsi::{BlockSize, Identity, LogicalUnitConfig};
    use uuid::Uuid;

    use super::*;

    fn unit() -> LogicalUnit {
        let identity = Identity::new(1, "serial");
        LogicalUnit::new(LogicalUnitConfig::new(identity, BlockSize::B512, 8))
    }

    /// What a unit has after a restart.
    fn restored(folder: &Path, id: VolumeId) -> IdentifyingInformation {
        let unit = unit();
        IdentifyingFile::new(folder, id).restore("vol", &unit);
        unit.identifying_information()
    }

    #[tokio::test]
    async fn what_was_set_is_there_after_a_restart_until_the_volume_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let (id, unit) = (VolumeId(Uuid::new_v4()), unit());
        let file = IdentifyingFile::new(dir.path(), id);
        let nothing = IdentifyingInformation::default();
        assert_eq!(restored(dir.path(), id), nothing);
        let mut expected = nothing;
        for (kind, piece) in [
            (PeripheralDevice, &b"\x00\xff"[..]),
            (PeripheralDeviceText, b"name\0"),
            (PeripheralDevice, b""),
        ] {
            let piece = Bytes::from(piece);
            expected = expected.with(kind, Some(piece.clone()));
            file.change(&unit, (kind, piece), NexusId(1)).await.unwrap();
            assert_eq!(unit.identifying_information(), expected);
            assert_eq!(restored(dir.path(), id), expected);
        }
        file.forget().await.unwrap();
        let late = (PeripheralDevice, Bytes::from_static(b"late"));
        let refused = file.change(&unit, late, NexusId(1)).await;
        assert!(matches!(refused, Err(IdentifyingError::Gone)));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_lost_until_it_is_set_anew() {
        let dir = tempfile::tempdir().unwrap();
        let id = VolumeId(Uuid::new_v4());
        let path = dir.path().join(id.to_string());
        for content in [
            &b""[..],
            b"{",
            br#"{"version":2,"device":[],"text":[]}"#,
            br#"{"version":1,"device":[],"text":[97]}"#,
        ] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(restored(dir.path(), id), IdentifyingInformation::LOST);
        }
        let (file, unit) = (IdentifyingFile::new(dir.path(), id), unit());
        file.restore("vol", &unit);
        let piece = Bytes::from_static(b"again");
        let change = (PeripheralDevice, piece.clone());
        file.change(&unit, change, NexusId(1)).await.unwrap();
        let expected = IdentifyingInformation::LOST.with(PeripheralDevice, Some(piece));
        assert_eq!(restored(dir.path(), id), expected);
        assert_eq!(expected.get(PeripheralDeviceText), None);
    }

    #[tokio::test]
    async fn what_cannot_be_kept_is_not_in_force() {
        let dir = tempfile::tempdir().unwrap();
        let (id, unit) = (VolumeId(Uuid::new_v4()), unit());
        let file = IdentifyingFile::new(&dir.path().join("missing"), id);
        let change = (PeripheralDevice, Bytes::from_static(b"x"));
        let refused = file.change(&unit, change, NexusId(1)).await;
        assert!(matches!(refused, Err(IdentifyingError::NotKept(_))));
        let nothing = IdentifyingInformation::default();
        assert_eq!(unit.identifying_information(), nothing);
    }
}
