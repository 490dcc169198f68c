//! A copy operation as the shell sees it: segments to be carried out in order, and somebody to be
//! told how far it is.

use std::sync::Arc;

use crate::copy::cscd::Designation;
use crate::copy::failure::{CopyFailure, CopySide, Pointer, ThirdPartyRefusal};
use crate::copy::list::CopyList;
use crate::copy::record::CopyRecord;
use crate::copy::segment::{CopyEndpoint, Transfer};
use crate::sense::AdditionalSense;

/// CSCD descriptor ID of the logical unit that the command was sent to.
const OWN_UNIT: u16 = 0xffff;
/// PERIPHERAL DEVICE TYPE of a direct access block device.
const DIRECT_ACCESS: u8 = 0x00;

/// A copy operation of an EXTENDED COPY command.
#[derive(Clone, Debug)]
pub struct CopyJob {
    list: CopyList,
    record: Arc<CopyRecord>,
}

/// Who is at one end of a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CopyEnd<'a> {
    /// The logical unit that the command was sent to.
    OwnUnit,
    /// The one whose Device Identification VPD page shows this ([`crate::LogicalUnit::is_named`]).
    Named(&'a Designation),
}

impl CopyJob {
    pub(crate) fn new(list: CopyList, record: Arc<CopyRecord>) -> Self {
        Self { list, record }
    }

    /// The number of segments, 64 at most.
    #[must_use]
    pub fn segments(&self) -> u16 {
        u16::try_from(self.list.segments.len()).unwrap_or(u16::MAX)
    }

    /// Segment number `segment` is being processed.
    pub fn begin_segment(&self, segment: u16) {
        self.record.begin_segment(segment);
    }

    /// `bytes` more have been written, without a gap from the start of the segment.
    pub fn written(&self, bytes: u64) {
        self.record.written(bytes);
    }

    /// A read or write has ended well.
    pub fn count_operation(&self) {
        self.record.count_operation();
    }

    /// Whether a COPY OPERATION ABORT wants the operation to end.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.record.is_aborted()
    }

    /// Who is at that end of a segment.
    ///
    /// # Errors
    /// The segment says nobody that there could be: the operation ends.
    pub fn end(&self, segment: u16, side: CopySide) -> Result<CopyEnd<'_>, CopyFailure> {
        let id = self.id(segment, side);
        if id == OWN_UNIT {
            return Ok(CopyEnd::OwnUnit);
        }
        let Some((cscd, at)) = self.list.cscd(id) else {
            let unreachable = AdditionalSense::UNREACHABLE_COPY_TARGET;
            return Err(CopyFailure::new(segment, unreachable)
                .pointing_at(Pointer::Segment(side.identifier_at())));
        };
        if cscd.device_type != DIRECT_ACCESS {
            let wrong = AdditionalSense::INCORRECT_COPY_TARGET_DEVICE_TYPE;
            return Err(CopyFailure::new(segment, wrong).pointing_at(Pointer::List(at)));
        }
        Ok(CopyEnd::Named(&cscd.designation))
    }

    /// No logical unit that the initiator sees is the one at that end.
    #[must_use]
    pub fn unreachable(&self, segment: u16, side: CopySide) -> CopyFailure {
        let additional = AdditionalSense::COPY_TARGET_DEVICE_NOT_REACHABLE;
        self.pointing_at_end(CopyFailure::new(segment, additional), segment, side)
    }

    /// The logical unit at that end refused to be read or written.
    #[must_use]
    pub fn refused(&self, segment: u16, side: CopySide, refusal: ThirdPartyRefusal) -> CopyFailure {
        let failure = CopyFailure::new(segment, AdditionalSense::THIRD_PARTY_DEVICE_FAILURE);
        self.pointing_at_end(failure.reported_by(side, refusal), segment, side)
    }

    /// What a segment is to copy; `None` if nothing.
    ///
    /// # Errors
    /// The segment isn't right for these logical units: the operation ends.
    pub fn transfer(
        &self,
        segment: u16,
        source: CopyEndpoint,
        destination: CopyEndpoint,
    ) -> Result<Option<Transfer>, CopyFailure> {
        let Some(descriptor) = self.list.segments.get(usize::from(segment)) else {
            return Ok(None);
        };
        let source = self.checked(segment, CopySide::Source, source)?;
        let destination = self.checked(segment, CopySide::Destination, destination)?;
        let is_last = segment + 1 == self.segments();
        descriptor.transfer(segment, is_last, source, destination)
    }

    /// `end` with what its descriptor says of it, if that is true.
    fn checked(
        &self,
        segment: u16,
        side: CopySide,
        end: CopyEndpoint,
    ) -> Result<CopyEndpoint, CopyFailure> {
        const BLOCK_LENGTH_AT: u16 = 29;
        let Some((cscd, at)) = self.list.cscd(self.id(segment, side)) else {
            return Ok(end);
        };
        if cscd.block_length != 0 && cscd.block_length != end.block_size.bytes() {
            let invalid = AdditionalSense::INVALID_FIELD_IN_PARAMETER_LIST;
            return Err(
                CopyFailure::new(segment, invalid).pointing_at(Pointer::List(at + BLOCK_LENGTH_AT))
            );
        }
        Ok(CopyEndpoint {
            pad: cscd.pad,
            ..end
        })
    }

    fn pointing_at_end(&self, failure: CopyFailure, segment: u16, side: CopySide) -> CopyFailure {
        match self.list.cscd(self.id(segment, side)) {
            Some((_, at)) => failure.pointing_at(Pointer::List(at)),
            None => failure.pointing_at(Pointer::Segment(side.identifier_at())),
        }
    }

    fn id(&self, segment: u16, side: CopySide) -> u16 {
        // A segment that isn't there is at the null logical unit, which nobody finds.
        const NOBODY: u16 = 0xc000;
        let descriptor = self.list.segments.get(usize::from(segment));
        descriptor.map_or(NOBODY, |descriptor| match side {
            CopySide::Source => descriptor.source,
            CopySide::Destination => descriptor.destination,
        })
    }
}

/// The same operation, not one that looks alike.
impl PartialEq for CopyJob {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.record, &other.record)
    }
}

impl Eq for CopyJob {}
