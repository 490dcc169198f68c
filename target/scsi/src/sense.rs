//! Sense data: key, additional code, pointers into the offending field, and both wire formats.
//!
//! Knows nothing of commands; whoever finds an error builds a [`Sense`] and the logical unit encodes
//! it in the format that the initiator asked for.

use bytes::Bytes;

mod codes;

pub use codes::{AdditionalSense, SenseKey};

/// The format of sense data (SPC-5).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SenseFormat {
    /// Fixed format, response code 70h.
    #[default]
    Fixed,
    /// Descriptor format, response code 72h.
    Descriptor,
}

/// The three sense key specific bytes (SPC-5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SenseKeySpecific {
    /// Which byte, and which bit of it, was wrong.
    Field {
        /// In the CDB when true, else in the parameter data.
        in_cdb: bool,
        /// Offset of the byte.
        byte: u16,
        /// The most significant bit of the field, when it is less than whole bytes.
        bit: Option<u8>,
    },
    /// How far a long operation is, in 65536ths.
    Progress(u16),
    /// Which byte of a copy operation's parameter list was wrong.
    Segment {
        /// Counted from the start of the segment descriptor when true, else of the list.
        in_segment: bool,
        /// Offset of the byte.
        byte: u16,
    },
}

impl SenseKeySpecific {
    fn encode(self) -> [u8; 3] {
        const SKSV: u8 = 0x80;
        const COMMAND_DATA: u8 = 0x40;
        const BIT_POINTER_VALID: u8 = 0x08;
        const SEGMENT_DESCRIPTOR: u8 = 0x20;
        let (flags, value) = match self {
            Self::Field { in_cdb, byte, bit } => {
                let area = if in_cdb { COMMAND_DATA } else { 0 };
                (
                    area | bit.map_or(0, |bit| BIT_POINTER_VALID | (bit & 0x07)),
                    byte,
                )
            }
            Self::Progress(done) => (0, done),
            Self::Segment { in_segment, byte } => {
                (if in_segment { SEGMENT_DESCRIPTOR } else { 0 }, byte)
            }
        };
        let [high, low] = value.to_be_bytes();
        [SKSV | flags, high, low]
    }
}

/// What went wrong with a command, or what happened to the logical unit (SPC-5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sense {
    /// The sense key.
    pub key: SenseKey,
    /// Additional sense code and qualifier.
    pub additional: AdditionalSense,
    /// The INFORMATION field: an LBA for medium errors, a byte offset for miscompares.
    pub information: Option<u64>,
    /// The sense key specific bytes.
    pub specific: Option<SenseKeySpecific>,
}

impl Sense {
    /// Nothing to report.
    pub const NO_SENSE: Self = Self::new(SenseKey::NO_SENSE, AdditionalSense::NONE);

    /// Sense data with a key and a code only.
    #[must_use]
    pub const fn new(key: SenseKey, additional: AdditionalSense) -> Self {
        Self {
            key,
            additional,
            information: None,
            specific: None,
        }
    }

    /// ILLEGAL REQUEST with `additional`.
    #[must_use]
    pub const fn illegal_request(additional: AdditionalSense) -> Self {
        Self::new(SenseKey::ILLEGAL_REQUEST, additional)
    }

    /// ILLEGAL REQUEST, INVALID FIELD IN CDB, pointing at the field (SPC-5).
    #[must_use]
    pub const fn invalid_field_in_cdb(byte: u16, bit: Option<u8>) -> Self {
        let mut sense = Self::illegal_request(AdditionalSense::INVALID_FIELD_IN_CDB);
        sense.specific = Some(SenseKeySpecific::Field {
            in_cdb: true,
            byte,
            bit,
        });
        sense
    }

    /// ILLEGAL REQUEST, INVALID FIELD IN PARAMETER LIST, pointing at the field.
    #[must_use]
    pub const fn invalid_field_in_parameter_list(byte: u16, bit: Option<u8>) -> Self {
        let mut sense = Self::illegal_request(AdditionalSense::INVALID_FIELD_IN_PARAMETER_LIST);
        sense.specific = Some(SenseKeySpecific::Field {
            in_cdb: false,
            byte,
            bit,
        });
        sense
    }

    /// The same with a pointer to a byte of the parameter list.
    #[must_use]
    pub const fn with_parameter_pointer(mut self, byte: u16) -> Self {
        self.specific = Some(SenseKeySpecific::Field {
            in_cdb: false,
            byte,
            bit: None,
        });
        self
    }

    /// The same with the INFORMATION field set.
    #[must_use]
    pub const fn with_information(mut self, information: u64) -> Self {
        self.information = Some(information);
        self
    }

    /// The same with a progress indication, in 65536ths.
    #[must_use]
    pub const fn with_progress(mut self, done: u16) -> Self {
        self.specific = Some(SenseKeySpecific::Progress(done));
        self
    }

    /// The bytes for the wire.
    #[must_use]
    pub fn encode(&self, format: SenseFormat) -> Bytes {
        match format {
            SenseFormat::Fixed => Bytes::copy_from_slice(&self.encode_fixed()),
            SenseFormat::Descriptor => self.encode_descriptor(),
        }
    }

    /// Fixed format (SPC-5): an INFORMATION that doesn't fit into 32 bits is left out, as
    /// the standard says.
    fn encode_fixed(&self) -> [u8; 18] {
        const CURRENT: u8 = 0x70;
        const VALID: u8 = 0x80;
        const ADDITIONAL_LENGTH: u8 = 10;
        let information = self.information.and_then(|value| u32::try_from(value).ok());
        let valid = if information.is_some() { VALID } else { 0 };
        let [i0, i1, i2, i3] = information.unwrap_or(0).to_be_bytes();
        let [s0, s1, s2] = self.specific.map_or([0; 3], SenseKeySpecific::encode);
        let AdditionalSense { code, qualifier } = self.additional;
        [
            CURRENT | valid,
            0,
            self.key.0,
            i0,
            i1,
            i2,
            i3,
            ADDITIONAL_LENGTH,
            0,
            0,
            0,
            0,
            code,
            qualifier,
            0,
            s0,
            s1,
            s2,
        ]
    }

    /// Descriptor format (SPC-5).
    fn encode_descriptor(&self) -> Bytes {
        const CURRENT: u8 = 0x72;
        let mut descriptors = Vec::with_capacity(20);
        if let Some(information) = self.information {
            descriptors.extend([0x00, 0x0a, 0x80, 0x00]);
            descriptors.extend(information.to_be_bytes());
        }
        if let Some(specific) = self.specific {
            descriptors.extend([0x02, 0x06, 0x00, 0x00]);
            descriptors.extend(specific.encode());
            descriptors.push(0x00);
        }
        let AdditionalSense { code, qualifier } = self.additional;
        let length = u8::try_from(descriptors.len()).unwrap_or(0);
        let mut sense = vec![CURRENT, self.key.0, code, qualifier, 0, 0, 0, length];
        sense.extend(descriptors);
        sense.into()
    }
}
