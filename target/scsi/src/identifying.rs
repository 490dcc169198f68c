//! Identifying information: what hosts call a logical unit (SPC-5, SET IDENTIFYING INFORMATION). Knows
//! neither CDBs nor where it is kept.

use bytes::Bytes;

/// Which of the two pieces of identifying information (SPC-5, REPORT IDENTIFYING INFORMATION).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IdentifyingInformationType {
    /// Peripheral device identifying information: any bytes.
    PeripheralDevice,
    /// Peripheral device text identifying information: null-terminated UTF-8.
    PeripheralDeviceText,
}

impl IdentifyingInformationType {
    /// Both, in the order of their codes.
    pub const ALL: [Self; 2] = [Self::PeripheralDevice, Self::PeripheralDeviceText];

    /// The seven bits on the wire.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::PeripheralDevice => 0b000_0000,
            Self::PeripheralDeviceText => 0b000_0010,
        }
    }

    /// The longest information of the type, in bytes; a text's terminator counts.
    #[must_use]
    pub const fn max_length(self) -> u16 {
        match self {
            Self::PeripheralDevice => 64,
            Self::PeripheralDeviceText => 256,
        }
    }

    /// Whether `information` is of the type. It is always allowed to have none.
    #[must_use]
    pub fn admits(self, information: &[u8]) -> bool {
        information.len() <= usize::from(self.max_length())
            && match (self, information.split_last()) {
                (Self::PeripheralDevice, _) | (_, None) => true,
                // "Null-terminated" means that the last byte is the only null (SPC-5).
                (Self::PeripheralDeviceText, Some((last, text))) => {
                    *last == 0 && !text.contains(&0) && std::str::from_utf8(text).is_ok()
                }
            }
    }
}

/// The identifying information of one logical unit. A piece that is `None` was kept once and can't be
/// read any more: it is not reported as if there were none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdentifyingInformation {
    device: Option<Bytes>,
    text: Option<Bytes>,
}

impl Default for IdentifyingInformation {
    /// None of either.
    fn default() -> Self {
        Self {
            device: Some(Bytes::new()),
            text: Some(Bytes::new()),
        }
    }
}

impl IdentifyingInformation {
    /// Both pieces were kept and can't be read.
    pub const LOST: Self = Self {
        device: None,
        text: None,
    };

    /// One piece; empty if there is none, `None` if it is lost.
    #[must_use]
    pub fn get(&self, kind: IdentifyingInformationType) -> Option<&Bytes> {
        match kind {
            IdentifyingInformationType::PeripheralDevice => self.device.as_ref(),
            IdentifyingInformationType::PeripheralDeviceText => self.text.as_ref(),
        }
    }

    /// The same with another piece. One that isn't of its type counts as lost.
    #[must_use]
    pub fn with(self, kind: IdentifyingInformationType, information: Option<Bytes>) -> Self {
        let information = information.filter(|information| kind.admits(information));
        match kind {
            IdentifyingInformationType::PeripheralDevice => Self {
                device: information,
                ..self
            },
            IdentifyingInformationType::PeripheralDeviceText => Self {
                text: information,
                ..self
            },
        }
    }
}
