//! What has come of streams that aren't complete, on disk: one small file per volume in `STATE/receives`.
//! Without its file nobody knows of the blocks that have come, and they go at the next start.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tidelock_catalog::{DatasetId, SnapshotName, VolumeId};
use tidelock_replication::stream::{Header, Token};
use uuid::Uuid;

use crate::state_dir::{ReplacedFile, StateDir, StateDirError};

const VERSION: u32 = 1;

/// A stream that is being received, or was.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::registry) struct Record {
    version: u32,
    pub(super) volume: Uuid,
    /// The volume was made for what comes.
    pub(super) created: bool,
    /// What streams call the snapshot that comes, and the one that it goes on from.
    pub(super) to: Uuid,
    pub(super) since: Option<Uuid>,
    /// The name that the snapshot gets.
    pub(super) name: String,
    pub(super) at_unix_ms: u64,
    /// When it began to come.
    pub(super) begun_unix_ms: u64,
    pub(super) quiesced: bool,
    pub(super) size_bytes: u64,
    /// What is there may be replaced, whatever it is.
    pub(super) force: bool,
    /// The snapshot that the head is a clone of into which everything is put.
    pub(super) base: Uuid,
    /// That snapshot was taken for this, and nobody is told of it.
    pub(super) own_base: bool,
    pub(super) staging: Uuid,
    /// The head has been made as the base is; before that whatever is there of it is nothing.
    pub(super) ready: bool,
    /// Everything before this byte has come, and is durable.
    pub(super) position: u64,
    /// All has come.
    pub(super) complete: bool,
    /// The snapshot that will be told of, and the one of what was there before.
    pub(super) snapshot: Uuid,
    pub(super) safety: Uuid,
}

impl Record {
    /// Of something that begins to come.
    pub(super) fn new(
        volume: VolumeId,
        header: &Header,
        name: &SnapshotName,
        base: Option<DatasetId>,
        begun_unix_ms: u64,
    ) -> Self {
        Self {
            version: VERSION,
            volume: volume.0,
            created: false,
            to: Uuid::from_bytes(header.to),
            since: header.since.map(Uuid::from_bytes),
            name: name.to_string(),
            at_unix_ms: header.at_unix_ms,
            begun_unix_ms,
            quiesced: header.quiesced,
            size_bytes: header.size,
            force: false,
            base: base.map_or_else(Uuid::new_v4, |base| base.0),
            own_base: base.is_none(),
            staging: Uuid::new_v4(),
            ready: false,
            position: 0,
            complete: false,
            snapshot: Uuid::new_v4(),
            safety: Uuid::new_v4(),
        }
    }

    /// Whether a stream is about the same.
    pub(super) fn is_of(&self, header: &Header) -> bool {
        let since = header.since.map(Uuid::from_bytes);
        (self.to, self.since, self.size_bytes) == (Uuid::from_bytes(header.to), since, header.size)
    }

    /// Where the sender is to go on.
    pub(super) fn token(&self) -> Token {
        Token {
            to: *self.to.as_bytes(),
            since: self.since.map(|since| *since.as_bytes()),
            from: self.position,
        }
    }

    /// The datasets that nobody else knows of.
    pub(super) fn datasets(&self) -> Vec<DatasetId> {
        let base = self.own_base.then_some(self.base);
        let all = [Some(self.staging), Some(self.snapshot), base];
        all.into_iter().flatten().map(DatasetId).collect()
    }

    fn encode(&self) -> Vec<u8> {
        // Plain data: it can always be written down.
        let json = serde_json::to_vec(self).unwrap_or_default();
        let crc = crc32c::crc32c(&json);
        [format!("{crc:08x} ").as_bytes(), &json].concat()
    }

    fn understood(bytes: &[u8], file_name: &str) -> Result<Self, String> {
        let (crc, json) = bytes.split_at_checked(9).ok_or("it is too short")?;
        if crc != format!("{:08x} ", crc32c::crc32c(json)).as_bytes() {
            return Err("it is damaged".into());
        }
        let record: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if record.version != VERSION {
            return Err(format!("its version is {}", record.version));
        }
        if VolumeId(record.volume).to_string() != file_name {
            return Err("it is of another volume".into());
        }
        SnapshotName::new(&record.name).map_err(|error| error.to_string())?;
        if record.position > record.size_bytes {
            return Err("it says what can't be".into());
        }
        Ok(record)
    }
}

/// All of them.
#[derive(Debug)]
pub(in crate::registry) struct Receives {
    folder: PathBuf,
    all: Mutex<HashMap<VolumeId, Entry>>,
}

#[derive(Debug)]
struct Entry {
    record: Record,
    active: bool,
}

/// Somebody is at work on a volume's; nobody else may be until the last copy of this is gone.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    receives: Arc<Receives>,
    volume: VolumeId,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(entry) = self.receives.all.lock().get_mut(&self.volume) {
            entry.active = false;
        }
    }
}

impl Turn {
    /// Makes the record durable. Blocks.
    pub(super) fn keep(&self, record: &Record) -> Result<(), StateDirError> {
        let Held { receives, volume } = &*self.held;
        receives.write(record)?;
        if let Some(entry) = receives.all.lock().get_mut(volume) {
            entry.record = record.clone();
        }
        Ok(())
    }

    /// It is all done, or given up. Blocks.
    pub(super) fn forget(self) -> Result<(), StateDirError> {
        self.held.receives.forget(self.held.volume)
    }
}

impl Receives {
    /// Reads what is there. What can't be understood is as if it weren't there. Blocks.
    pub(in crate::registry) fn open(state: &StateDir) -> Result<Arc<Self>, StateDirError> {
        let folder = state.folder("receives")?;
        let entries = std::fs::read_dir(&folder).map_err(|source| StateDirError::Io {
            action: "list",
            path: folder.clone(),
            source,
        })?;
        let mut all = HashMap::new();
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| !name.ends_with(".new")) else {
                continue;
            };
            let read = ReplacedFile::in_folder(&folder, name).read();
            let read = read.map_err(|error| error.to_string());
            let record =
                read.and_then(|bytes| Record::understood(&bytes.unwrap_or_default(), name));
            match record {
                Ok(record) => {
                    let active = false;
                    all.insert(VolumeId(record.volume), Entry { record, active });
                }
                Err(reason) => {
                    let file = folder.join(name);
                    tracing::error!(file = %file.display(), %reason,
                        "what has come of a stream can't be told: it has to be sent from its beginning");
                    forget_file(&folder, name);
                }
            }
        }
        let all = Mutex::new(all);
        Ok(Arc::new(Self { folder, all }))
    }

    /// Begins with a volume, or goes on. `None` if somebody is at it.
    pub(super) fn take_turn(self: &Arc<Self>, record: &Record) -> Option<Turn> {
        let volume = VolumeId(record.volume);
        let mut all = self.all.lock();
        let entry = all.entry(volume).or_insert_with(|| Entry {
            record: record.clone(),
            active: false,
        });
        if std::mem::replace(&mut entry.active, true) {
            return None;
        }
        let receives = Arc::clone(self);
        let held = Arc::new(Held { receives, volume });
        Some(Turn { held })
    }

    /// What has come for a volume, and whether more is coming right now.
    pub(super) fn get(&self, volume: VolumeId) -> Option<(Record, bool)> {
        let all = self.all.lock();
        let entry = all.get(&volume)?;
        Some((entry.record.clone(), entry.active))
    }

    /// All records.
    pub(in crate::registry) fn records(&self) -> Vec<Record> {
        let all = self.all.lock();
        all.values().map(|entry| entry.record.clone()).collect()
    }

    /// The datasets that nobody else knows of.
    pub(in crate::registry) fn known(&self) -> HashSet<DatasetId> {
        let all = self.all.lock();
        let records = all.values();
        records.flat_map(|entry| entry.record.datasets()).collect()
    }

    /// Those of one volume.
    pub(in crate::registry) fn datasets_of(&self, volume: VolumeId) -> Vec<DatasetId> {
        let found = self.get(volume);
        found.map_or_else(Vec::new, |(record, _)| record.datasets())
    }

    /// Whether something is coming for a volume right now.
    pub(in crate::registry) fn is_active(&self, volume: VolumeId) -> bool {
        self.get(volume).is_some_and(|(_, active)| active)
    }

    /// A volume's record goes; no effect if there is none. Blocks.
    pub(in crate::registry) fn forget(&self, volume: VolumeId) -> Result<(), StateDirError> {
        if self.all.lock().remove(&volume).is_none() {
            return Ok(());
        }
        ReplacedFile::in_folder(&self.folder, &volume.to_string()).remove()
    }

    fn write(&self, record: &Record) -> Result<(), StateDirError> {
        let name = VolumeId(record.volume).to_string();
        ReplacedFile::in_folder(&self.folder, &name).replace(&record.encode())
    }
}

fn forget_file(folder: &Path, name: &str) {
    if let Err(error) = ReplacedFile::in_folder(folder, name).remove() {
        tracing::warn!(%error, "the record stays behind");
    }
}
