//! How a copy operation that fails half-way tells so (SPC-5, "EXTENDED COPY command errors detected
//! during processing of segment descriptors").

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::copy::rod::RodTokenProblem;
use crate::sense::{AdditionalSense, Sense, SenseFormat, SenseKey, SenseKeySpecific};
use crate::status::Status;

/// One end of a copy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CopySide {
    /// Where the data comes from.
    Source,
    /// Where it goes to.
    Destination,
}

/// What a logical unit said to a read or write of the copy manager.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ThirdPartyRefusal {
    /// The status; never GOOD.
    pub status: Status,
    /// Sense data as for the wire, if the status has any.
    pub sense: Bytes,
}

/// What the sense key specific bytes point at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pointer {
    /// A byte of the parameter list.
    List(u16),
    /// A byte of the segment descriptor.
    Segment(u16),
}

/// Why a copy operation ended before its end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CopyFailure {
    key: SenseKey,
    additional: AdditionalSense,
    /// The segment, counted from zero.
    segment: u16,
    pointer: Option<Pointer>,
    /// Blocks of the destination that the segment hasn't written, if it has written any.
    residual: Option<u64>,
    reported: Option<(CopySide, ThirdPartyRefusal)>,
}

impl CopyFailure {
    pub(super) fn new(segment: u16, additional: AdditionalSense) -> Self {
        Self {
            key: SenseKey::COPY_ABORTED,
            additional,
            segment,
            pointer: None,
            residual: None,
            reported: None,
        }
    }

    /// A COPY OPERATION ABORT ended the operation while segment number `segment` was processed.
    #[must_use]
    pub fn aborted(segment: u16) -> Self {
        Self::new(segment, AdditionalSense::COMMANDS_CLEARED_BY_DEVICE_SERVER)
    }

    /// The token of a WRITE USING TOKEN can't be used; nothing was written.
    #[must_use]
    pub fn token(problem: RodTokenProblem) -> Self {
        Self {
            key: SenseKey::ILLEGAL_REQUEST,
            ..Self::new(0, problem.additional())
        }
    }

    /// A ROD token can't be made now.
    #[must_use]
    pub fn no_token() -> Self {
        Self {
            key: SenseKey::ILLEGAL_REQUEST,
            ..Self::new(0, AdditionalSense::INSUFFICIENT_RESOURCES_TO_CREATE_ROD)
        }
    }

    /// The OFFSET INTO ROD of a WRITE USING TOKEN is behind the end of what the token stands for.
    #[must_use]
    pub fn offset_into_rod() -> Self {
        const OFFSET_AT: u16 = 8;
        Self {
            key: SenseKey::ILLEGAL_REQUEST,
            ..Self::new(0, AdditionalSense::INVALID_FIELD_IN_PARAMETER_LIST)
                .pointing_at(Pointer::List(OFFSET_AT))
        }
    }

    /// A WRITE USING TOKEN wrote `blocks` blocks, fewer than it was to write.
    #[must_use]
    pub fn underrun(blocks: u64) -> Self {
        let key = if blocks == 0 {
            SenseKey::ILLEGAL_REQUEST
        } else {
            SenseKey::COPY_ABORTED
        };
        Self {
            key,
            residual: Some(blocks),
            ..Self::new(0, AdditionalSense::COPY_TARGET_DEVICE_DATA_UNDERRUN)
        }
    }

    /// A logical unit refused a read or write of an operation without segments.
    #[must_use]
    pub fn refused(side: CopySide, refusal: ThirdPartyRefusal) -> Self {
        Self::new(0, AdditionalSense::THIRD_PARTY_DEVICE_FAILURE).reported_by(side, refusal)
    }

    pub(super) fn pointing_at(mut self, pointer: Pointer) -> Self {
        self.pointer = Some(pointer);
        self
    }

    pub(super) fn reported_by(mut self, side: CopySide, refusal: ThirdPartyRefusal) -> Self {
        self.reported = Some((side, refusal));
        self
    }

    /// The same with the number of blocks of the destination that weren't written, of a segment that
    /// has written some.
    #[must_use]
    pub fn with_residual(mut self, blocks: u64) -> Self {
        self.residual = Some(blocks);
        self
    }

    /// The sense data for the wire.
    pub(crate) fn encode(&self, format: SenseFormat) -> Bytes {
        let mut sense = Sense::new(self.key, self.additional);
        sense.information = self.residual;
        let in_list = |byte| SenseKeySpecific::Field {
            in_cdb: false,
            byte,
            bit: None,
        };
        sense.specific = self.pointer.map(|pointer| match pointer {
            Pointer::List(byte) if self.key == SenseKey::ILLEGAL_REQUEST => in_list(byte),
            Pointer::List(byte) => SenseKeySpecific::Segment {
                in_segment: false,
                byte,
            },
            Pointer::Segment(byte) => SenseKeySpecific::Segment {
                in_segment: true,
                byte,
            },
        });
        if self.key == SenseKey::ILLEGAL_REQUEST {
            // Nothing was processed yet.
            return sense.encode(format);
        }
        let plain = BytesMut::from(sense.encode(format).as_ref());
        match format {
            SenseFormat::Fixed => self.complete_fixed(plain),
            SenseFormat::Descriptor => self.complete_descriptors(plain),
        }
        .freeze()
    }

    /// COMMAND-SPECIFIC INFORMATION: where what the ends reported begins, and the segment. What they
    /// reported is put behind everything else.
    fn complete_fixed(&self, mut sense: BytesMut) -> BytesMut {
        const ADDITIONAL_LENGTH: usize = 7;
        const COMMAND_SPECIFIC: usize = 8;
        let at = u8::try_from(sense.len()).unwrap_or(0);
        let (source, destination) = match &self.reported {
            Some((CopySide::Source, _)) => (at, 0),
            Some((CopySide::Destination, _)) => (0, at),
            None => (0, 0),
        };
        let [high, low] = self.segment.to_be_bytes();
        let fields = [source, destination, high, low];
        for (to, from) in sense.iter_mut().skip(COMMAND_SPECIFIC).zip(fields) {
            *to = from;
        }
        if let Some((_, refusal)) = &self.reported {
            sense.put_u8(refusal.status.0);
            sense.extend_from_slice(forwarded(refusal));
        }
        let length = u8::try_from(sense.len()).unwrap_or(0);
        if let Some(field) = sense.get_mut(ADDITIONAL_LENGTH) {
            *field = length.saturating_sub(8);
        }
        sense
    }

    /// A command specific information descriptor, and a forwarded sense data descriptor.
    fn complete_descriptors(&self, mut sense: BytesMut) -> BytesMut {
        const ADDITIONAL_LENGTH: usize = 7;
        sense.extend_from_slice(&[0x01, 0x0a, 0, 0]);
        sense.put_u64(u64::from(self.segment) << 32);
        if let Some((side, refusal)) = &self.reported {
            let source = match side {
                CopySide::Source => 1,
                CopySide::Destination => 2,
            };
            let bytes = forwarded(refusal);
            let length = u8::try_from(bytes.len()).unwrap_or(0);
            sense.extend_from_slice(&[0x0c, length + 2, source, refusal.status.0]);
            sense.extend_from_slice(bytes);
        }
        let length = u8::try_from(sense.len()).unwrap_or(0);
        if let Some(field) = sense.get_mut(ADDITIONAL_LENGTH) {
            *field = length.saturating_sub(8);
        }
        sense
    }
}

/// The sense data of a refusal. Ours is never longer than this, so nothing is cut off.
fn forwarded(refusal: &ThirdPartyRefusal) -> &[u8] {
    const MOST: usize = 96;
    refusal.sense.get(..MOST).unwrap_or(&refusal.sense)
}
