//! Volumes that are one logical unit together with a volume of another daemon: hosts see one disk with paths to both.
//! Only values.

use crate::volume::{Volume, VolumeName};

/// As which logical unit hosts see such a volume, at both daemons.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SharedIdentity {
    /// NAA designator, of the locally assigned format (3h).
    pub naa: [u8; 8],
    /// Unit serial number: 1 to 32 printable characters of ASCII.
    pub serial: String,
}

impl SharedIdentity {
    /// A volume's own.
    #[must_use]
    pub fn of(volume: &Volume) -> Self {
        Self {
            naa: volume.naa,
            serial: volume.serial.clone(),
        }
    }

    /// The NAA designator as 16 hexadecimal digits.
    #[must_use]
    pub fn naa_text(&self) -> String {
        format!("{:016x}", u64::from_be_bytes(self.naa))
    }

    /// An identity as [`Self::naa_text`] and the serial number say it; `None` if it can't be one.
    #[must_use]
    pub fn parse(naa: &str, serial: &str) -> Option<Self> {
        let value = u64::from_str_radix(naa, 16).ok()?;
        let identity = Self {
            naa: value.to_be_bytes(),
            serial: serial.to_owned(),
        };
        (identity.naa_text() == naa && identity.is_possible()).then_some(identity)
    }

    /// Whether it is one that a daemon gives.
    pub(crate) fn is_possible(&self) -> bool {
        const LOCALLY_ASSIGNED: u8 = 0x3;
        let [first, ..] = self.naa;
        let serial = self.serial.as_bytes();
        first >> 4 == LOCALLY_ASSIGNED
            && (1..=32).contains(&serial.len())
            && serial.iter().all(u8::is_ascii_graphic)
    }
}

/// Which volume has which.
pub(crate) type SharedIdentities = std::collections::BTreeMap<VolumeName, SharedIdentity>;
