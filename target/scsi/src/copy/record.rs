//! What is remembered of the copy operations of one I_T nexus: how far those are that run, and how
//! those went that have ended, until somebody asks or there is no more room.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::copy::MAX_CONCURRENT_COPIES;
use crate::copy::list::ListFormat;
use crate::copy::rod::RodToken;
use crate::sense::{AdditionalSense, Sense};
use crate::status::Status;

/// Operations that have ended and that are remembered, of one I_T nexus.
const REMEMBERED: usize = 16;

/// What began a copy operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// EXTENDED COPY.
    ExtendedCopy(ListFormat),
    /// POPULATE TOKEN.
    PopulateToken,
    /// WRITE USING TOKEN.
    WriteUsingToken,
}

impl Origin {
    /// SERVICE ACTION of the command.
    pub(crate) const fn service_action(self) -> u8 {
        match self {
            Self::ExtendedCopy(format) => format.service_action(),
            Self::PopulateToken => 0x10,
            Self::WriteUsingToken => 0x11,
        }
    }

    /// Whether it tells its transfer count in blocks, and has no segments.
    pub(crate) const fn counts_blocks(self) -> bool {
        !matches!(self, Self::ExtendedCopy(_))
    }
}

/// One copy operation.
#[derive(Debug)]
pub(crate) struct CopyRecord {
    /// `None`: it can't be asked about.
    pub(crate) identifier: Option<u32>,
    pub(crate) origin: Origin,
    token: Mutex<Option<RodToken>>,
    written: AtomicU64,
    segments: AtomicU16,
    operations: AtomicU16,
    abort: AtomicBool,
    ending: Mutex<Option<Ending>>,
}

/// How a copy operation ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ending {
    pub(crate) status: Status,
    /// As for the wire.
    pub(crate) sense: Bytes,
}

/// How far a copy operation is.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// Bytes written.
    pub(crate) written: u64,
    /// Segments processed, with the one that is being processed.
    pub(crate) segments: u16,
    /// Reads and writes that ended well; wraps.
    pub(crate) operations: u16,
    /// `None`: it runs.
    pub(crate) ending: Option<Ending>,
}

impl CopyRecord {
    fn new(identifier: Option<u32>, origin: Origin) -> Self {
        Self {
            identifier,
            origin,
            token: Mutex::new(None),
            written: AtomicU64::new(0),
            segments: AtomicU16::new(0),
            operations: AtomicU16::new(0),
            abort: AtomicBool::new(false),
            ending: Mutex::new(None),
        }
    }

    pub(super) fn begin_segment(&self, segment: u16) {
        self.segments
            .store(segment.saturating_add(1), Ordering::Relaxed);
    }

    pub(super) fn written(&self, bytes: u64) {
        self.written.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn count_operation(&self) {
        self.operations.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.abort.load(Ordering::Relaxed)
    }

    /// The ROD token that it has made.
    pub(crate) fn token(&self) -> Option<RodToken> {
        self.token.lock().clone()
    }

    pub(crate) fn set_token(&self, token: RodToken) {
        *self.token.lock() = Some(token);
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress {
            written: self.written.load(Ordering::Relaxed),
            segments: self.segments.load(Ordering::Relaxed),
            operations: self.operations.load(Ordering::Relaxed),
            ending: self.ending.lock().clone(),
        }
    }

    fn is_running(&self) -> bool {
        self.ending.lock().is_none()
    }

    fn end(&self, ending: Ending) {
        self.ending.lock().get_or_insert(ending);
    }
}

/// The copy operations of one I_T nexus, oldest first.
#[derive(Debug, Default)]
pub(crate) struct CopyRecords(Mutex<VecDeque<Arc<CopyRecord>>>);

impl CopyRecords {
    /// Remembers an operation that begins, in place of one with the same identifier that has ended.
    pub(crate) fn begin(
        &self,
        identifier: Option<u32>,
        origin: Origin,
    ) -> Result<Arc<CopyRecord>, Sense> {
        let record = Arc::new(CopyRecord::new(identifier, origin));
        let Some(identifier) = identifier else {
            return Ok(record);
        };
        let mut records = self.0.lock();
        let same = |record: &Arc<CopyRecord>| record.identifier == Some(identifier);
        if let Some(other) = records
            .iter()
            .find(|record| same(record) && record.is_running())
        {
            return Err(duplicate(other, origin));
        }
        records.retain(|record| !same(record));
        let ended = records.iter().filter(|record| !record.is_running());
        if ended.count() >= REMEMBERED
            && let Some(oldest) = records.iter().position(|record| !record.is_running())
        {
            records.remove(oldest);
        }
        records.push_back(Arc::clone(&record));
        Ok(record)
    }

    /// The operation with that identifier.
    pub(crate) fn find(&self, identifier: u32) -> Option<Arc<CopyRecord>> {
        let records = self.0.lock();
        let found = records
            .iter()
            .find(|record| record.identifier == Some(identifier));
        found.cloned()
    }

    /// Forgets an operation that was never carried out.
    pub(crate) fn withdraw(&self, record: &Arc<CopyRecord>) {
        self.0.lock().retain(|other| !Arc::ptr_eq(other, record));
    }

    /// Forgets an operation that has ended.
    pub(crate) fn forget(&self, record: &Arc<CopyRecord>) {
        if !record.is_running() {
            self.0.lock().retain(|other| !Arc::ptr_eq(other, record));
        }
    }

    /// Forgets all that have ended, and tells the others to end: what a reset of the logical unit
    /// does.
    pub(crate) fn reset(&self) {
        let mut records = self.0.lock();
        records.retain(|record| record.is_running());
        for record in records.iter() {
            record.abort.store(true, Ordering::Relaxed);
        }
    }

    /// Tells the operation with that identifier to end; false if none runs.
    pub(crate) fn abort(&self, identifier: u32) -> bool {
        let running = self.find(identifier).filter(|record| record.is_running());
        running.is_some_and(|record| {
            record.abort.store(true, Ordering::Relaxed);
            true
        })
    }
}

/// The list identifier is that of an operation which runs.
fn duplicate(other: &CopyRecord, origin: Origin) -> Sense {
    let in_progress = Sense::illegal_request(AdditionalSense::OPERATION_IN_PROGRESS);
    match (other.origin, origin) {
        // The same identifier in the other format.
        (Origin::ExtendedCopy(other), Origin::ExtendedCopy(format)) if other != format => {
            Sense::invalid_field_in_parameter_list(format.identifier_at(), None)
        }
        (_, Origin::ExtendedCopy(format)) => {
            in_progress.with_parameter_pointer(format.identifier_at())
        }
        // The identifier is in the CDB.
        _ => in_progress,
    }
}

/// How many copy operations of one logical unit run.
#[derive(Debug, Default)]
pub(crate) struct RunningCopies(Arc<AtomicU8>);

/// One of them.
#[derive(Debug)]
pub(crate) struct Counted(Arc<AtomicU8>);

impl RunningCopies {
    /// Counts one more; `None` if there are as many as there may be.
    pub(crate) fn count(&self) -> Option<Counted> {
        let more = |count: u8| (count < MAX_CONCURRENT_COPIES).then_some(count + 1);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()?;
        Some(Counted(Arc::clone(&self.0)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A copy operation that runs. When this is dropped without [`CopyTicket::end`], its command was
/// aborted, and whoever asks is told so.
#[derive(Debug)]
pub(crate) struct CopyTicket {
    pub(crate) record: Arc<CopyRecord>,
    /// Bytes of the parameter list.
    pub(crate) transfer_length: u64,
    _counted: Counted,
}

impl CopyTicket {
    pub(crate) fn new(record: Arc<CopyRecord>, transfer_length: u64, counted: Counted) -> Self {
        Self {
            record,
            transfer_length,
            _counted: counted,
        }
    }

    /// The operation has ended.
    pub(crate) fn end(&self, status: Status, sense: Bytes) {
        self.record.end(Ending { status, sense });
    }
}

impl Drop for CopyTicket {
    fn drop(&mut self) {
        self.end(Status::TASK_ABORTED, Bytes::new());
    }
}
