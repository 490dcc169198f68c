//! The words for snapshots (and groups and peers): their names, and how they are spoken of (`VOL@SNAP`). Only values.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::volume::{VolumeName, VolumeNameError};

/// The longest name of a snapshot, a group or a peer, in bytes.
pub const WORD_BYTES_MAX: usize = 64;

/// Why something can't be the name of a snapshot, a group or a peer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WordError {
    /// Nothing at all.
    #[error("the name of a {what} can't be empty")]
    Empty {
        /// Of what.
        what: &'static str,
    },
    /// More than [`WORD_BYTES_MAX`] bytes.
    #[error("the name of a {what} has at most {WORD_BYTES_MAX} characters; this one has {len}")]
    TooLong {
        /// Of what.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
    },
    /// A character that names don't have.
    #[error(
        "{character:?} can't be in the name of a {what}: only letters a-z and A-Z, digits, '.', '_' \
         and '-' can"
    )]
    Character {
        /// Of what.
        what: &'static str,
        /// The first one found.
        character: char,
    },
    /// The first character is punctuation.
    #[error("the name of a {what} starts with a letter or a digit, not with {character:?}")]
    Start {
        /// Of what.
        what: &'static str,
        /// The first character.
        character: char,
    },
}

fn check(name: &str, what: &'static str) -> Result<(), WordError> {
    let first = name.chars().next().ok_or(WordError::Empty { what })?;
    if name.len() > WORD_BYTES_MAX {
        let len = name.len();
        return Err(WordError::TooLong { what, len });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let Some(character) = name.chars().find(|&c| !allowed(c)) {
        return Err(WordError::Character { what, character });
    }
    if !first.is_ascii_alphanumeric() {
        let character = first;
        return Err(WordError::Start { what, character });
    }
    Ok(())
}

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks a name.
            ///
            /// # Errors
            /// It breaks a rule; the error says which.
            pub fn new(name: &str) -> Result<Self, WordError> {
                check(name, $what).map(|()| Self(name.into()))
            }

            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

word!(
    /// A snapshot's name: 1..=[`WORD_BYTES_MAX`] of letters, digits, `.`, `_` and `-`, starting with a
    /// letter or digit. Case matters. A volume has at most one snapshot of a name.
    SnapshotName,
    "snapshot"
);
word!(
    /// A group's name, of the same form as a snapshot's.
    GroupName,
    "group"
);
word!(
    /// What this daemon calls a peer, of the same form as a snapshot's name.
    PeerName,
    "peer"
);

/// A snapshot of a volume, written `VOL@SNAP`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotRef {
    /// Of which volume.
    pub volume: VolumeName,
    /// Which one.
    pub snapshot: SnapshotName,
}

impl FromStr for SnapshotRef {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let DatasetRef { volume, snapshot } = text.parse()?;
        let snapshot = snapshot.ok_or(ReferenceError::NoSnapshot)?;
        Ok(Self { volume, snapshot })
    }
}

impl fmt::Display for SnapshotRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.volume, self.snapshot)
    }
}

/// A volume as it is now, written `VOL`, or a snapshot of it, written `VOL@SNAP`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatasetRef {
    /// The volume.
    pub volume: VolumeName,
    /// The snapshot; `None`: the volume itself.
    pub snapshot: Option<SnapshotName>,
}

impl From<VolumeName> for DatasetRef {
    /// The volume itself.
    fn from(volume: VolumeName) -> Self {
        Self {
            volume,
            snapshot: None,
        }
    }
}

impl FromStr for DatasetRef {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (volume, snapshot) = match text.split_once('@') {
            Some((volume, snapshot)) => (volume, Some(snapshot)),
            None => (text, None),
        };
        Ok(Self {
            volume: VolumeName::new(volume)?,
            snapshot: snapshot.map(SnapshotName::new).transpose()?,
        })
    }
}

impl fmt::Display for DatasetRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.volume.fmt(f)?;
        match &self.snapshot {
            Some(snapshot) => write!(f, "@{snapshot}"),
            None => Ok(()),
        }
    }
}

/// Why something can't be spoken of like this.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// The part before the `@`.
    #[error(transparent)]
    Volume(#[from] VolumeNameError),
    /// The part after it.
    #[error(transparent)]
    Snapshot(#[from] WordError),
    /// There is no such part.
    #[error("a snapshot is wanted, written VOLUME@SNAPSHOT")]
    NoSnapshot,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_words_that_lead_to_no_other_folder() {
        for name in ["a", "0", "before-upgrade.2_x", "Z".repeat(64).as_str()] {
            assert!(SnapshotName::new(name).is_ok(), "{name}");
            assert!(GroupName::new(name).is_ok(), "{name}");
        }
        for name in [
            "", "..", ".", "-a", "_a", "a/b", "../x", "a@b", "a b", "a\0", "ä",
        ] {
            assert!(SnapshotName::new(name).is_err(), "{name}");
            assert!(GroupName::new(name).is_err(), "{name}");
        }
        let error = SnapshotName::new(&"z".repeat(65)).unwrap_err().to_string();
        assert_eq!(
            error,
            "the name of a snapshot has at most 64 characters; this one has 65"
        );
        let error = GroupName::new("a/b").unwrap_err().to_string();
        assert!(error.contains("in the name of a group"), "{error}");
    }

    #[test]
    fn a_snapshot_is_spoken_of_with_its_volume() {
        let one: SnapshotRef = "db@monday".parse().unwrap();
        assert_eq!(
            (one.volume.as_str(), one.snapshot.as_str()),
            ("db", "monday")
        );
        assert_eq!(one.to_string(), "db@monday");
        assert_eq!(
            "db".parse::<SnapshotRef>().unwrap_err(),
            ReferenceError::NoSnapshot
        );
        for wrong in ["", "@", "@a", "db@", "a@b@c", "../x@y", "x@../y"] {
            assert!(wrong.parse::<SnapshotRef>().is_err(), "{wrong}");
            assert!(wrong.parse::<DatasetRef>().is_err(), "{wrong}");
        }
        let volume: DatasetRef = "db".parse().unwrap();
        assert_eq!(
            (volume.snapshot.clone(), volume.to_string()),
            (None, "db".into())
        );
        assert_eq!("db@x".parse::<DatasetRef>().unwrap().to_string(), "db@x");
    }
}
