//! Volumes as the catalog knows them: name, file, size, and the identifiers that hosts remember.
//! Knows nothing of what is in the file.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use uuid::Uuid;

use crate::asymmetric_access::GroupAccess;
use crate::error::CatalogError;
use crate::family::{Backing, Origin, Place};
use crate::hydration::Hydration;
use crate::portal_group::PortalGroupTag;
use crate::snapshot::SnapshotRef;

/// The longest volume name, in bytes.
pub const VOLUME_NAME_BYTES_MAX: usize = 64;
/// The largest volume, in bytes: what a signed file offset reaches, in whole 4 KiB blocks.
pub const VOLUME_BYTES_MAX: u64 = i64::MAX as u64 & !0xfff;
/// The longest path of a volume's file, in bytes (PATH_MAX without the terminator).
pub const PATH_BYTES_MAX: usize = 4_095;

/// A volume's name: 1..=[`VOLUME_NAME_BYTES_MAX`] of letters, digits, `.`, `_` and `-`, starting with
/// a letter or digit. Case matters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeName(Box<str>);

impl VolumeName {
    /// Checks a name.
    ///
    /// # Errors
    /// It breaks a rule; the error says which.
    pub fn new(name: &str) -> Result<Self, VolumeNameError> {
        let first = name.chars().next().ok_or(VolumeNameError::Empty)?;
        if name.len() > VOLUME_NAME_BYTES_MAX {
            return Err(VolumeNameError::TooLong { len: name.len() });
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if let Some(character) = name.chars().find(|&c| !allowed(c)) {
            return Err(VolumeNameError::Character { character });
        }
        if !first.is_ascii_alphanumeric() {
            return Err(VolumeNameError::Start { character: first });
        }
        Ok(Self(name.into()))
    }

    /// The name under which targets show a snapshot: `VOL@SNAP`, which no volume can have.
    #[must_use]
    pub fn of_snapshot(snapshot: &SnapshotRef) -> Self {
        Self(snapshot.to_string().into())
    }

    /// Whether it is the name under which targets show a snapshot.
    #[must_use]
    pub fn is_of_snapshot(&self) -> bool {
        self.0.contains('@')
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VolumeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for VolumeName {
    type Err = VolumeNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl std::borrow::Borrow<str> for VolumeName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Why something can't be a volume's name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VolumeNameError {
    /// Nothing at all.
    #[error("a volume name can't be empty")]
    Empty,
    /// More than [`VOLUME_NAME_BYTES_MAX`] bytes.
    #[error("a volume name has at most {VOLUME_NAME_BYTES_MAX} characters; this one has {len}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A character that names don't have.
    #[error(
        "{character:?} can't be in a volume name: only letters a-z and A-Z, digits, '.', '_' and \
         '-' can"
    )]
    Character {
        /// The first one found.
        character: char,
    },
    /// The first character is punctuation.
    #[error("a volume name starts with a letter or a digit, not with {character:?}")]
    Start {
        /// The first character.
        character: char,
    },
}

/// What tells a volume from every other one, for ever and everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeId(pub Uuid);

impl VolumeId {
    /// The NAA Locally Assigned designator (SPC-4: NAA 3h and a 60-bit value) of a new
    /// volume.
    ///
    /// The daemon has no IEEE company identifier, so the globally assigned formats aren't its to
    /// use. All 60 bits come from random bits of the UUID.
    #[must_use]
    pub fn to_naa(self) -> [u8; 8] {
        let [a, b, .., u, v, w, x, y, z] = *self.0.as_bytes();
        [0x30 | (a & 0x0f), b, u, v, w, x, y, z]
    }

    /// The unit serial number (VPD page 80h) of a new volume: 32 hexadecimal digits.
    #[must_use]
    pub fn to_serial(self) -> String {
        self.0.simple().to_string()
    }
}

impl fmt::Display for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Bytes of one logical block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlockSize {
    /// What every host can use.
    #[default]
    B512,
    /// 4 KiB native.
    B4096,
}

impl BlockSize {
    /// In bytes.
    #[must_use]
    pub fn bytes(self) -> u32 {
        match self {
            Self::B512 => 512,
            Self::B4096 => 4_096,
        }
    }

    /// From bytes; only 512 and 4096 are block sizes.
    #[must_use]
    pub fn from_bytes(bytes: u32) -> Option<Self> {
        match bytes {
            512 => Some(Self::B512),
            4_096 => Some(Self::B4096),
            _ => None,
        }
    }
}

/// The least that a volume can be limited to, in bytes.
pub const SPACE_LIMIT_MIN: u64 = 1 << 20;

/// How much space a volume may take, and when hosts are warned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpaceLimits {
    /// The most bytes that it may take, with its snapshots and what shares blocks with it, from
    /// [`SPACE_LIMIT_MIN`] on; `None`: what the file system has.
    pub limit_bytes: Option<u64>,
    /// Percent of that, 1 to 99, from which on hosts are warned.
    pub warn_percent: Option<u8>,
}

/// Which blocks of a volume have a checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Integrity {
    /// Those that were written while it had snapshots or clones.
    #[default]
    Usual,
    /// All: it is in a family from its beginning to its end, and never a plain file.
    Full,
}

/// What is said of a volume when it is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVolume {
    /// Its name.
    pub name: VolumeName,
    /// Its identity: random, made by the caller, used once.
    pub id: VolumeId,
    /// Absolute path of its file.
    pub path: String,
    /// Size in bytes, a multiple of the block size.
    pub size_bytes: u64,
    /// Bytes of a logical block.
    pub block_size: BlockSize,
    /// The daemon made the file, and deletes it with the volume.
    pub managed: bool,
    /// All space was allocated when the file was made.
    pub preallocated: bool,
    /// The file is opened with O_DIRECT.
    pub direct: bool,
    /// Writes are acknowledged from the cache (WCE of the caching mode page).
    pub write_cache: bool,
    /// Which of its blocks have a checksum. With [`Integrity::Full`] it joins a family before anything else
    /// happens.
    pub integrity: Integrity,
    /// How much space it may take.
    pub limits: SpaceLimits,
}

/// What is said of a clone when it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewClone {
    /// Its name.
    pub name: VolumeName,
    /// Its identity: random, made by the caller, used once.
    pub id: VolumeId,
    /// The head that it is.
    pub place: Place,
    /// Size in bytes, a multiple of the block size.
    pub size_bytes: u64,
    /// Bytes of a logical block: those of what it was made from.
    pub block_size: BlockSize,
    /// Writes are acknowledged from the cache (WCE of the caching mode page).
    pub write_cache: bool,
    /// What it was made from.
    pub origin: Origin,
    /// It gets blocks of its own, from the beginning on.
    pub hydration: Option<Hydration>,
}

/// A volume of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: VolumeName,
    /// Its identity.
    pub id: VolumeId,
    /// NAA designator, given at creation and the same for ever.
    pub naa: [u8; 8],
    /// Unit serial number, given at creation and the same for ever.
    pub serial: String,
    /// Where its blocks are.
    pub backing: Backing,
    /// What it was made from, if it is a clone.
    pub origin: Option<Origin>,
    /// It is a clone that gets blocks of its own.
    pub hydration: Option<Hydration>,
    /// Absolute path of the file that it is, or that it was before its first snapshot; `None` for clones
    /// and snapshots.
    pub path: Option<String>,
    /// Size in bytes, a multiple of the block size.
    pub size_bytes: u64,
    /// Bytes of a logical block.
    pub block_size: BlockSize,
    /// The daemon made the file, and deletes it with the volume.
    pub managed: bool,
    /// All space was allocated when the file was made.
    pub preallocated: bool,
    /// The file is opened with O_DIRECT.
    pub direct: bool,
    /// Writes are acknowledged from the cache (WCE of the caching mode page).
    pub write_cache: bool,
    /// Which of its blocks have a checksum; nothing is promised of a clone.
    pub integrity: Integrity,
    /// How much space it may take.
    pub limits: SpaceLimits,
    /// How it is accessed through the target port groups that aren't as they were at the beginning:
    /// active/optimized and not preferred.
    pub access: BTreeMap<PortalGroupTag, GroupAccess>,
}

impl Volume {
    pub(crate) fn new(new: NewVolume) -> Self {
        Self {
            naa: new.id.to_naa(),
            serial: new.id.to_serial(),
            name: new.name,
            id: new.id,
            backing: Backing::Raw,
            origin: None,
            hydration: None,
            path: Some(new.path),
            size_bytes: new.size_bytes,
            block_size: new.block_size,
            managed: new.managed,
            preallocated: new.preallocated,
            direct: new.direct,
            write_cache: new.write_cache,
            integrity: new.integrity,
            limits: new.limits,
            access: BTreeMap::new(),
        }
    }

    pub(crate) fn new_clone(new: NewClone) -> Self {
        Self {
            naa: new.id.to_naa(),
            serial: new.id.to_serial(),
            name: new.name,
            id: new.id,
            backing: Backing::Head(new.place),
            origin: Some(new.origin),
            hydration: new.hydration,
            path: None,
            size_bytes: new.size_bytes,
            block_size: new.block_size,
            managed: false,
            preallocated: false,
            direct: false,
            write_cache: new.write_cache,
            integrity: Integrity::Usual,
            limits: SpaceLimits::default(),
            access: BTreeMap::new(),
        }
    }

    /// A snapshot as targets show it. Its identity is the snapshot's.
    pub(crate) fn new_snapshot(
        snapshot: &SnapshotRef,
        place: Place,
        size_bytes: u64,
        block_size: BlockSize,
    ) -> Self {
        let id = VolumeId(place.dataset.0);
        Self {
            naa: id.to_naa(),
            serial: id.to_serial(),
            name: VolumeName::of_snapshot(snapshot),
            id,
            backing: Backing::Snapshot(place),
            origin: None,
            hydration: None,
            path: None,
            size_bytes,
            block_size,
            managed: false,
            preallocated: false,
            direct: false,
            write_cache: false,
            integrity: Integrity::Usual,
            limits: SpaceLimits::default(),
            access: BTreeMap::new(),
        }
    }

    /// Whether nothing is being made of it that needs it to have no snapshots.
    ///
    /// # Errors
    /// It is being made a full clone.
    pub fn check_not_hydrating(&self) -> Result<(), CatalogError> {
        match &self.hydration {
            None => Ok(()),
            Some(hydration) => Err(CatalogError::Hydrating {
                volume: self.name.clone(),
                job: hydration.job,
            }),
        }
    }

    /// The NAA designator as 16 hexadecimal digits, as `lsblk -o WWN` and multipath show it.
    #[must_use]
    pub fn naa_text(&self) -> String {
        format!("{:016x}", u64::from_be_bytes(self.naa))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volume_names_are_plain_words() {
        for name in ["a", "0", "db-1.old_copy", "Z".repeat(64).as_str()] {
            assert!(VolumeName::new(name).is_ok(), "{name}");
        }
        assert_eq!(VolumeName::new(""), Err(VolumeNameError::Empty));
        assert_eq!(
            VolumeName::new(&"z".repeat(65)),
            Err(VolumeNameError::TooLong { len: 65 })
        );
        for (name, character) in [("a/b", '/'), ("a b", ' '), ("größe", 'ö'), ("a\0", '\0')] {
            assert_eq!(
                VolumeName::new(name),
                Err(VolumeNameError::Character { character })
            );
        }
        for (name, character) in [("..", '.'), ("-a", '-'), ("_a", '_')] {
            assert_eq!(
                VolumeName::new(name),
                Err(VolumeNameError::Start { character })
            );
        }
    }

    #[test]
    fn identifiers_come_from_the_uuid_alone_and_have_their_format() {
        let id = VolumeId(Uuid::from_u128(0xabcd_ef01_2345_4678_9abc_def0_1234_5678));
        assert_eq!(
            id.to_naa(),
            [0x3b, 0xcd, 0xde, 0xf0, 0x12, 0x34, 0x56, 0x78]
        );
        assert_eq!(id.to_serial(), "abcdef01234546789abcdef012345678");
    }
}
