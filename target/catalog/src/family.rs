//! Families: volumes, snapshots and clones that share blocks, as the catalog knows them. Knows nothing
//! of blocks.
//!
//! A volume begins as a file of its own. With its first snapshot it becomes a head of a family, whose
//! home is that file from then on, also when the volume is deleted and clones of it go on.

use std::fmt;

use uuid::Uuid;

use crate::snapshot::SnapshotName;
use crate::volume::{VolumeId, VolumeName};

/// What tells a family from every other one. Its text is the name of its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FamilyId(pub Uuid);

impl FamilyId {
    /// The family that a folder of this name belongs to: 32 lower case hexadecimal digits.
    #[must_use]
    pub fn from_folder(name: &str) -> Option<Self> {
        let id = Self(Uuid::try_parse(name).ok()?);
        (id.to_string() == name).then_some(id)
    }
}

impl fmt::Display for FamilyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

/// What tells a head or a snapshot from every other one of its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatasetId(pub Uuid);

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The file that a family began with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HomeFile {
    /// Absolute path.
    pub path: String,
    /// The daemon made the file, and deletes it with the family.
    pub managed: bool,
    /// It is opened with O_DIRECT.
    pub direct: bool,
    /// The volume that it was, which is the owner of its journal.
    pub volume: VolumeId,
}

/// A family of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its identity.
    pub id: FamilyId,
    /// The file that it began with.
    pub home: HomeFile,
}

/// Where the blocks of a volume are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backing {
    /// In a file of its own, as they are.
    #[default]
    Raw,
    /// In a family, as one of its heads.
    Head(Place),
    /// In a family, as one of its snapshots: it is there to be shown by targets, and never changes.
    Snapshot(Place),
}

impl Backing {
    /// Where in a family, if it is in one.
    #[must_use]
    pub fn place(self) -> Option<Place> {
        match self {
            Self::Raw => None,
            Self::Head(place) | Self::Snapshot(place) => Some(place),
        }
    }
}

/// A head or a snapshot of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The family.
    pub family: FamilyId,
    /// What in it.
    pub dataset: DatasetId,
}

/// What a clone was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The volume's name when the clone was made; there may be another one of that name by now.
    pub volume: VolumeName,
    /// The snapshot's name when the clone was made.
    pub snapshot: SnapshotName,
    /// The snapshot.
    pub dataset: DatasetId,
    /// The snapshot can't be deleted while the clone is there.
    pub linked: bool,
    /// The clone shares nothing with it any more.
    pub copied: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_familys_text_is_its_folder_and_no_other_spelling_is() {
        let id = FamilyId(Uuid::from_u128(0xabcd));
        assert_eq!(id.to_string(), "0000000000000000000000000000abcd");
        assert_eq!(FamilyId::from_folder(&id.to_string()), Some(id));
        for other in [
            "",
            "..",
            "0000000000000000000000000000ABCD",
            "00000000-0000-0000-0000-00000000abcd",
            "0000000000000000000000000000abcd.new",
        ] {
            assert_eq!(FamilyId::from_folder(other), None, "{other}");
        }
    }
}
