//! The list of snapshots as bytes: a log that is only ever added to. Knows no files; whoever has one
//! makes each addition durable before it counts.
//!
//! ```text
//! tidelock-snapshots 1 family=00112233445566778899aabbccddeeff crc32c=0a1b2c3d\n
//! 4e5f6071 [{"add":{...}}]\n
//! 8293a4b5 [{"remove":"..."}]\n
//! ```
//!
//! Each line after the first is a list of changes that are made together, with a checksum of it that
//! goes on from the one of the line before, so that no line can be lost from the middle. A line that
//! was being added when the power went may be there in part: it was never promised, and is left out.
//! What is damaged in any other way is refused, as nobody knows what it said.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use super::{Cause, ListChange, ListError, SetMember, Snapshot, SnapshotList};
use crate::family::{DatasetId, FamilyId};
use crate::snapshot::{GroupName, SnapshotName};
use crate::volume::VolumeId;

/// The first word of every list.
const MAGIC: &str = "tidelock-snapshots";
/// The format that is written, and the only one that is read.
const VERSION: u32 = 1;
/// The longest list that is looked at, in bytes.
pub const LOG_BYTES_MAX: usize = 256 << 20;
/// The longest first line, in bytes.
const HEADER_BYTES_MAX: usize = 128;
/// Digits of a checksum, and the space behind them.
const PREFIX_BYTES: usize = 9;
/// A list with fewer bytes than this isn't worth being written anew.
const GARBAGE_BYTES_MIN: u64 = 64 << 10;

/// Why bytes aren't the list of a family's snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LogError {
    /// It doesn't start as a list does.
    #[error("this is not a list of snapshots: it doesn't start with \"{MAGIC}\"")]
    NotAList,
    /// A format of another time.
    #[error(
        "the list has format version {found}, and this daemon reads version {VERSION}: use the \
         release that wrote it"
    )]
    Version {
        /// The version found.
        found: String,
    },
    /// The first line isn't one.
    #[error("its first line is damaged")]
    Header,
    /// It belongs to another family.
    #[error("it is the list of family {found}")]
    Family {
        /// Which one.
        found: FamilyId,
    },
    /// Longer than [`LOG_BYTES_MAX`].
    #[error("it has {found} bytes, more than this daemon ever writes")]
    TooLong {
        /// Length found, in bytes.
        found: usize,
    },
    /// Some bytes aren't what was written.
    #[error("it is damaged at byte {at}")]
    Damaged {
        /// Where the line begins.
        at: usize,
    },
    /// It isn't JSON, or has unknown or missing fields.
    #[error("the change at byte {at} can't be understood: {reason}")]
    Unknown {
        /// Where the line begins.
        at: usize,
        /// What is wrong.
        reason: String,
    },
    /// It says what no sequence of changes can lead to.
    #[error("the change at byte {at} contradicts what is before it: {reason}")]
    Inconsistent {
        /// Where the line begins.
        at: usize,
        /// What is wrong.
        reason: ListError,
    },
}

/// A list with what is needed to add to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    list: SnapshotList,
    /// The checksum that the next one goes on from.
    crc: u32,
    /// Bytes that count.
    len: u64,
    /// Changes that are written down.
    changes: u64,
}

/// What was added to a list and isn't durable yet.
#[derive(Debug)]
#[must_use]
pub struct Addition {
    /// The bytes to add.
    pub bytes: Vec<u8>,
    /// Where they belong.
    pub at: u64,
    crc: u32,
    changes: u64,
    before: Vec<(DatasetId, Option<Snapshot>)>,
}

impl Log {
    /// The empty list of a family, and the bytes that it begins with.
    #[must_use]
    pub fn new(family: FamilyId) -> (Self, Vec<u8>) {
        let head = format!("{MAGIC} {VERSION} family={family}");
        let crc = crc32c::crc32c(head.as_bytes());
        let bytes = format!("{head} crc32c={crc:08x}\n").into_bytes();
        let log = Self {
            list: SnapshotList::default(),
            crc,
            len: bytes.len() as u64,
            changes: 0,
        };
        (log, bytes)
    }

    /// The list that is in these bytes. What is behind [`Self::len`] isn't a part of it: a line that was
    /// being added.
    ///
    /// # Errors
    /// The bytes are damaged, of another version, or another family's.
    pub fn decode(bytes: &[u8], family: FamilyId) -> Result<Self, LogError> {
        if bytes.len() > LOG_BYTES_MAX {
            return Err(LogError::TooLong { found: bytes.len() });
        }
        let head = check_header(bytes, family)?;
        let (mut log, _) = Self::new(family);
        let mut rest = bytes.get(head..).unwrap_or_default();
        let mut at = head;
        while !rest.is_empty() {
            let end = rest.iter().position(|&byte| byte == b'\n');
            let (line, behind) = match end {
                Some(end) => (
                    rest.get(..end).unwrap_or_default(),
                    rest.get(end + 1..).unwrap_or_default(),
                ),
                // Lines are added as a whole, with their end.
                None => break,
            };
            let Some((crc, json)) = log.check_line(line) else {
                // Bytes that never reached the disk are zeros; and nothing is behind the last line.
                if behind.is_empty() && line.contains(&0) {
                    break;
                }
                return Err(LogError::Damaged { at });
            };
            let changes: Vec<ChangeBody> =
                serde_json::from_slice(json).map_err(|error| LogError::Unknown {
                    at,
                    reason: error.to_string().chars().take(200).collect(),
                })?;
            for change in changes {
                let change = change
                    .into_change()
                    .map_err(|reason| LogError::Unknown { at, reason })?;
                log.apply(change)
                    .map_err(|reason| LogError::Inconsistent { at, reason })?;
            }
            at += line.len() + 1;
            log.crc = crc;
            log.len = at as u64;
            rest = behind;
        }
        Ok(log)
    }

    /// The checksum of a line and what it is of, if it is right.
    fn check_line<'a>(&self, line: &'a [u8]) -> Option<(u32, &'a [u8])> {
        let (prefix, json) = line.split_at_checked(PREFIX_BYTES)?;
        let crc = crc32c::crc32c_append(self.crc, json);
        (prefix == format!("{crc:08x} ").as_bytes()).then_some((crc, json))
    }

    /// Makes the changes together, and gives the bytes that they add to the list.
    ///
    /// # Errors
    /// One can't be right; the list is as before.
    pub fn add(&mut self, changes: &[ListChange]) -> Result<Addition, ListError> {
        let mut addition = Addition {
            bytes: Vec::new(),
            at: self.len,
            crc: self.crc,
            changes: self.changes,
            before: Vec::with_capacity(changes.len()),
        };
        for change in changes {
            let id = match change {
                ListChange::Add(snapshot) => snapshot.id,
                ListChange::Confirm(id) | ListChange::Remove(id) => *id,
            };
            let before = self.list.get(id).cloned();
            if let Err(error) = self.apply(change.clone()) {
                self.take_back(addition);
                return Err(error);
            }
            addition.before.push((id, before));
        }
        let body: Vec<_> = changes.iter().map(ChangeBody::from).collect();
        let json = serde_json::to_vec(&body).unwrap_or_else(|error| {
            // Only maps with keys that aren't strings and failing writers can fail, and there are none.
            unreachable!("plain structures always have a JSON form: {error}")
        });
        self.crc = crc32c::crc32c_append(self.crc, &json);
        addition.bytes = format!("{:08x} ", self.crc).into_bytes();
        addition.bytes.extend(json);
        addition.bytes.push(b'\n');
        self.len += addition.bytes.len() as u64;
        Ok(addition)
    }

    /// Takes back the last addition, whose bytes could not be made durable.
    pub fn take_back(&mut self, addition: Addition) {
        for (id, before) in addition.before.into_iter().rev() {
            self.list.put_back(id, before);
        }
        self.len = addition.at;
        self.crc = addition.crc;
        self.changes = addition.changes;
    }

    fn apply(&mut self, change: ListChange) -> Result<(), ListError> {
        self.list.apply(change)?;
        self.changes += 1;
        Ok(())
    }

    /// The list.
    #[must_use]
    pub fn list(&self) -> &SnapshotList {
        &self.list
    }

    /// Bytes that count.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no snapshots.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether much of it is about snapshots that are gone.
    #[must_use]
    pub fn is_mostly_garbage(&self) -> bool {
        self.len > GARBAGE_BYTES_MIN && self.changes > 2 * self.list.len() as u64
    }

    /// The same list without what is about snapshots that are gone, and all its bytes.
    #[must_use]
    pub fn compacted(&self, family: FamilyId) -> (Self, Vec<u8>) {
        let (mut log, mut bytes) = Self::new(family);
        for snapshot in self.list.iter() {
            // A list that holds can be made anew, one by one.
            if let Ok(addition) = log.add(&[ListChange::Add(snapshot.clone())]) {
                bytes.extend(addition.bytes);
            }
        }
        (log, bytes)
    }
}

/// Checks the first line, and tells how long it is.
fn check_header(bytes: &[u8], family: FamilyId) -> Result<usize, LogError> {
    let rest = bytes
        .strip_prefix(MAGIC.as_bytes())
        .and_then(|rest| rest.strip_prefix(b" "))
        .ok_or(LogError::NotAList)?;
    let word = rest
        .iter()
        .take(20)
        .take_while(|byte| !byte.is_ascii_whitespace());
    let found: Vec<u8> = word.copied().collect();
    if found != VERSION.to_string().as_bytes() {
        let found = String::from_utf8_lossy(&found).into_owned();
        return Err(LogError::Version { found });
    }
    let mut start = bytes.iter().take(HEADER_BYTES_MAX);
    let end = start
        .position(|&byte| byte == b'\n')
        .ok_or(LogError::Header)?;
    let line = bytes
        .get(..end)
        .and_then(|line| std::str::from_utf8(line).ok());
    let (head, crc) = line
        .and_then(|line| line.rsplit_once(" crc32c="))
        .ok_or(LogError::Header)?;
    if crc != format!("{:08x}", crc32c::crc32c(head.as_bytes())) {
        return Err(LogError::Header);
    }
    let found = head
        .rsplit_once(" family=")
        .and_then(|(_, id)| FamilyId::from_folder(id))
        .ok_or(LogError::Header)?;
    if found != family {
        return Err(LogError::Family { found });
    }
    Ok(end + 1)
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum ChangeBody {
    Add(SnapshotBody),
    Confirm(Uuid),
    Remove(Uuid),
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SnapshotBody {
    id: Uuid,
    volume: Uuid,
    name: String,
    at_unix_ms: u64,
    size_bytes: u64,
    cause: CauseBody,
    /// What the volume was about to be restored to, if that is the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<Uuid>,
    /// What it is a copy of, if it came in a stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    set: Option<SetBody>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    quiesced: bool,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum CauseBody {
    Operator,
    Schedule,
    Clone,
    SplitBrain,
    Restore,
    Receive,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SetBody {
    id: Uuid,
    group: String,
    members: u32,
}

impl From<&ListChange> for ChangeBody {
    fn from(change: &ListChange) -> Self {
        match change {
            ListChange::Add(snapshot) => Self::Add(SnapshotBody::from(snapshot)),
            ListChange::Confirm(id) => Self::Confirm(id.0),
            ListChange::Remove(id) => Self::Remove(id.0),
        }
    }
}

impl ChangeBody {
    fn into_change(self) -> Result<ListChange, String> {
        Ok(match self {
            Self::Add(snapshot) => ListChange::Add(snapshot.into_snapshot()?),
            Self::Confirm(id) => ListChange::Confirm(DatasetId(id)),
            Self::Remove(id) => ListChange::Remove(DatasetId(id)),
        })
    }
}

impl From<&Snapshot> for SnapshotBody {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            id: snapshot.id.0,
            volume: snapshot.volume.0,
            name: snapshot.name.to_string(),
            at_unix_ms: snapshot.at_unix_ms,
            size_bytes: snapshot.size_bytes,
            cause: match snapshot.cause {
                Cause::Operator => CauseBody::Operator,
                Cause::Schedule => CauseBody::Schedule,
                Cause::Clone => CauseBody::Clone,
                Cause::SplitBrain => CauseBody::SplitBrain,
                Cause::Restore { .. } => CauseBody::Restore,
                Cause::Receive { .. } => CauseBody::Receive,
            },
            to: match snapshot.cause {
                Cause::Restore { to } => Some(to.0),
                _ => None,
            },
            of: match snapshot.cause {
                Cause::Receive { of } => Some(of.0),
                _ => None,
            },
            set: snapshot.set.as_ref().map(|member| SetBody {
                id: member.set,
                group: member.group.to_string(),
                members: member.members,
            }),
            pending: snapshot.pending,
            quiesced: snapshot.quiesced,
        }
    }
}

impl SnapshotBody {
    fn into_snapshot(self) -> Result<Snapshot, String> {
        let set = match self.set {
            None => None,
            Some(SetBody { id, group, members }) => Some(SetMember {
                set: id,
                group: GroupName::new(&group).map_err(|error| error.to_string())?,
                members,
            }),
        };
        Ok(Snapshot {
            id: DatasetId(self.id),
            volume: VolumeId(self.volume),
            name: SnapshotName::new(&self.name).map_err(|error| error.to_string())?,
            at_unix_ms: self.at_unix_ms,
            size_bytes: self.size_bytes,
            cause: match (self.cause, self.to, self.of) {
                (CauseBody::Operator, None, None) => Cause::Operator,
                (CauseBody::Schedule, None, None) => Cause::Schedule,
                (CauseBody::Clone, None, None) => Cause::Clone,
                (CauseBody::SplitBrain, None, None) => Cause::SplitBrain,
                (CauseBody::Restore, Some(to), None) => Cause::Restore { to: DatasetId(to) },
                (CauseBody::Receive, None, Some(of)) => Cause::Receive { of: DatasetId(of) },
                _ => return Err("its cause makes no sense".into()),
            },
            set,
            pending: self.pending,
            quiesced: self.quiesced,
        })
    }
}
