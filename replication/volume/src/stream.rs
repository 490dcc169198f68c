//! A snapshot, or what differs between two, as a stream of bytes (`docs/snapshot-stream.md`). Knows no
//! files and no maps: encodes records, and takes bytes apart again, a piece at a time.
//!
//! ```
//! use tidelock_volume::stream::{Decoder, Encoder, Event, Header};
//!
//! let header = Header {
//!     to: [1; 16],
//!     since: None,
//!     size: 1 << 20,
//!     from: 0,
//!     at_unix_ms: 1_000,
//!     block_bytes: 512,
//!     quiesced: false,
//!     name: "monday".into(),
//! };
//! let mut encoder = Encoder::new(&header);
//! let mut bytes = encoder.header().to_vec();
//! bytes.extend(encoder.data(4096, &[7; 4096])?);
//! bytes.extend([7; 4096]);
//! bytes.extend(encoder.end());
//!
//! let mut decoder = Decoder::default();
//! decoder.feed(&bytes);
//! assert_eq!(decoder.next()?, Some(Event::Begin(header)));
//! assert_eq!(decoder.next()?, Some(Event::Data { offset: 4096, data: vec![7; 4096].into() }));
//! assert_eq!(decoder.next()?, Some(Event::End));
//! # Ok::<(), tidelock_volume::stream::StreamError>(())
//! ```

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use crate::mapped::{BLOCK_BYTES, Id};

/// Version of the format that is written and read.
pub const VERSION: u32 = 1;
/// Bytes of data that one record may have.
pub const DATA_MAX: usize = 1 << 20;
const MAGIC: [u8; 8] = *b"TIDELKST";
/// Bytes of the header.
pub const HEADER_BYTES: usize = 160;
/// The longest name of a snapshot, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// In the header's flags: applications were told before the snapshot was taken.
const QUIESCED: u32 = 1;
const RECORD_BYTES: usize = 32;
const DATA: u8 = 1;
const ZEROS: u8 = 2;
const END: u8 = 3;

/// What a stream is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The snapshot whose content the receiver has at the end.
    pub to: Id,
    /// The snapshot whose content it must have before; `None`: it needs none.
    pub since: Option<Id>,
    /// Bytes of the snapshot.
    pub size: u64,
    /// Everything before this byte has been received already.
    pub from: u64,
    /// When the snapshot was taken, in milliseconds since 1970-01-01 UTC.
    pub at_unix_ms: u64,
    /// Bytes of a logical block of the volume, 512 or 4096.
    pub block_bytes: u32,
    /// Applications were told before the snapshot was taken.
    pub quiesced: bool,
    /// What the snapshot is called, in 1..=[`NAME_BYTES_MAX`] bytes.
    pub name: String,
}

/// Why a stream isn't one, or doesn't fit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StreamError {
    /// Something else.
    #[error("this is not a stream of a snapshot: it begins with other bytes")]
    NotAStream,
    /// Of another version.
    #[error(
        "the stream has version {0} of the format, and this program knows {VERSION}: update it"
    )]
    Version(u32),
    /// Changed on its way.
    #[error("the stream is damaged at its byte {at}: {what}; send it again from byte {resume} on")]
    Damaged {
        /// Byte of the stream.
        at: u64,
        /// What is wrong.
        what: &'static str,
        /// Byte of the volume up to which all is well.
        resume: u64,
    },
    /// What the sender wants to write isn't in the order or the limits of a stream.
    #[error("a record of {length} bytes at {offset} has no place in this stream")]
    Order {
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
    },
}

/// Where the next record may begin, and what comes before it.
#[derive(Clone, Debug)]
struct Place {
    size: u64,
    /// First byte of the volume that hasn't had its record.
    next: u64,
    /// CRC of all headers so far: a record that is missing, or twice, is noticed by the next one.
    chain: u32,
    records: u64,
}

impl Place {
    fn new(header: &Header, chain: u32) -> Self {
        Self {
            size: header.size,
            next: header.from,
            chain,
            records: 0,
        }
    }

    /// Whether a record may be there.
    fn fits(&self, kind: u8, offset: u64, length: u64) -> bool {
        let block = BLOCK_BYTES as u64;
        let Some(end) = offset.checked_add(length) else {
            return false;
        };
        let whole = length.is_multiple_of(block) || end == self.size;
        let small = kind != DATA || length <= DATA_MAX as u64;
        length > 0
            && offset.is_multiple_of(block)
            && offset >= self.next
            && end <= self.size
            && whole
            && small
    }

    fn record(&mut self, kind: u8, offset: u64, length: u64, crc: u32) -> [u8; RECORD_BYTES] {
        let mut record = [0; RECORD_BYTES];
        let fields: [(usize, &[u8]); 4] = [
            (0, &[kind]),
            (8, &offset.to_le_bytes()),
            (16, &length.to_le_bytes()),
            (24, &crc.to_le_bytes()),
        ];
        for (at, bytes) in fields {
            put(&mut record, at, bytes);
        }
        self.chain = chained(self.chain, &record);
        let chain = self.chain.to_le_bytes();
        put(&mut record, 28, &chain);
        self.records += 1;
        self.next = offset.saturating_add(length).max(self.next);
        record
    }
}

fn chained(chain: u32, record: &[u8]) -> u32 {
    let fields = record.get(..28).unwrap_or_default();
    crc32c::crc32c_append(chain, fields)
}

fn put(to: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = to.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Writes a stream.
#[derive(Clone, Debug)]
pub struct Encoder {
    header: [u8; HEADER_BYTES],
    place: Place,
}

impl Encoder {
    /// Begins one.
    #[must_use]
    pub fn new(header: &Header) -> Self {
        let mut bytes = [0; HEADER_BYTES];
        let since = header.since.unwrap_or_default();
        let flags = if header.quiesced { QUIESCED } else { 0 };
        let name = header.name.as_bytes();
        let name = name.get(..NAME_BYTES_MAX).unwrap_or(name);
        let fields: [(usize, &[u8]); 10] = [
            (0, &MAGIC),
            (8, &VERSION.to_le_bytes()),
            (16, &header.to),
            (32, &since),
            (48, &header.size.to_le_bytes()),
            (56, &header.from.to_le_bytes()),
            (64, &header.at_unix_ms.to_le_bytes()),
            (72, &header.block_bytes.to_le_bytes()),
            (76, &flags.to_le_bytes()),
            (80, name),
        ];
        for (at, field) in fields {
            put(&mut bytes, at, field);
        }
        let crc = crc32c::crc32c(&bytes);
        put(&mut bytes, 12, &crc.to_le_bytes());
        Self {
            place: Place::new(header, crc),
            header: bytes,
        }
    }

    /// The first bytes of the stream.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// What comes before these bytes of the volume, which follow it in the stream.
    ///
    /// # Errors
    /// They don't come after what was there already, aren't whole blocks, or too many.
    pub fn data(&mut self, offset: u64, data: &[u8]) -> Result<[u8; RECORD_BYTES], StreamError> {
        self.add(DATA, offset, data.len() as u64, crc32c::crc32c(data))
    }

    /// What says that a range of the volume reads as zeros.
    ///
    /// # Errors
    /// It doesn't come after what was there already, or isn't of whole blocks.
    pub fn zeros(&mut self, offset: u64, length: u64) -> Result<[u8; RECORD_BYTES], StreamError> {
        self.add(ZEROS, offset, length, 0)
    }

    fn add(
        &mut self,
        kind: u8,
        offset: u64,
        length: u64,
        crc: u32,
    ) -> Result<[u8; RECORD_BYTES], StreamError> {
        if !self.place.fits(kind, offset, length) {
            return Err(StreamError::Order { offset, length });
        }
        Ok(self.place.record(kind, offset, length, crc))
    }

    /// The last bytes of the stream.
    #[must_use]
    pub fn end(mut self) -> [u8; RECORD_BYTES] {
        let (size, records) = (self.place.size, self.place.records);
        self.place.record(END, size, records, 0)
    }
}

/// What was found in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It begins.
    Begin(Header),
    /// Bytes of the volume.
    Data {
        /// The first.
        offset: u64,
        /// They.
        data: Bytes,
    },
    /// A range that reads as zeros.
    Zeros {
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
    },
    /// It is complete.
    End,
}

/// Takes a stream apart. Holds no more than one record and what was fed last.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: BytesMut,
    place: Option<Place>,
    /// Bytes of the stream that have been taken.
    taken: u64,
    ended: bool,
}

impl Decoder {
    /// Takes bytes of the stream, in order.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Byte of the volume up to which everything has been handed out.
    #[must_use]
    pub fn resume(&self) -> u64 {
        self.place.as_ref().map_or(0, |place| place.next)
    }

    /// Whether the stream was complete.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.ended && self.bytes.is_empty()
    }

    /// The next thing in the stream; `None` if more bytes have to be fed first.
    ///
    /// # Errors
    /// It is damaged, of another version, or no stream at all.
    #[allow(clippy::should_implement_trait, reason = "an error isn't an item")]
    pub fn next(&mut self) -> Result<Option<Event>, StreamError> {
        if self.ended {
            return if self.bytes.is_empty() {
                Ok(None)
            } else {
                Err(self.damaged("there is something behind its end"))
            };
        }
        if self.place.is_none() {
            return self.begin();
        }
        self.record()
    }

    fn begin(&mut self) -> Result<Option<Event>, StreamError> {
        let known = self.bytes.len().min(MAGIC.len());
        if self.bytes.get(..known) != MAGIC.get(..known) {
            return Err(StreamError::NotAStream);
        }
        let Some(header) = self.bytes.get(..HEADER_BYTES) else {
            return Ok(None);
        };
        let version = u32_at(header, 8);
        if version != VERSION {
            return Err(StreamError::Version(version));
        }
        let mut unsigned = [0; HEADER_BYTES];
        unsigned.copy_from_slice(header);
        put(&mut unsigned, 12, &[0; 4]);
        let crc = crc32c::crc32c(&unsigned);
        if crc != u32_at(header, 12) {
            return Err(self.damaged("the checksum of its header is wrong"));
        }
        let since = id_at(header, 32);
        let flags = u32_at(header, 76);
        let unknown = header.get(144..).unwrap_or_default();
        if flags & !QUIESCED != 0 || unknown.iter().any(|byte| *byte != 0) {
            return Err(self.damaged("its header says something that isn't known"));
        }
        let Some(name) = name_in(header) else {
            return Err(self.damaged("the name in its header is none"));
        };
        let header = Header {
            to: id_at(header, 16),
            since: (since != Id::default()).then_some(since),
            size: u64_at(header, 48),
            from: u64_at(header, 56),
            at_unix_ms: u64_at(header, 64),
            block_bytes: u32_at(header, 72),
            quiesced: flags & QUIESCED != 0,
            name,
        };
        let block = BLOCK_BYTES as u64;
        let is_block = header.from.is_multiple_of(block) || header.from == header.size;
        let fits = matches!(header.block_bytes, 512 | 4096)
            && header.size.is_multiple_of(u64::from(header.block_bytes));
        if header.size == 0 || header.from > header.size || !is_block || !fits {
            return Err(self.damaged("its header makes no sense"));
        }
        self.advance(HEADER_BYTES);
        self.place = Some(Place::new(&header, crc));
        Ok(Some(Event::Begin(header)))
    }

    fn record(&mut self) -> Result<Option<Event>, StreamError> {
        let (Some(place), Some(record)) = (&self.place, self.bytes.get(..RECORD_BYTES)) else {
            return Ok(None);
        };
        let kind = record.first().copied().unwrap_or_default();
        let padding = record.get(1..8).unwrap_or_default();
        let (offset, length) = (u64_at(record, 8), u64_at(record, 16));
        let crc = u32_at(record, 24);
        if chained(place.chain, record) != u32_at(record, 28) {
            return Err(self.damaged("a record is missing, or isn't what it was"));
        }
        // Only data has a checksum of its own.
        let unused = if kind == DATA { 0 } else { crc };
        if padding.iter().any(|byte| *byte != 0) || unused != 0 {
            return Err(self.damaged("a record says something that isn't known"));
        }
        if kind == END {
            if offset != place.size || length != place.records {
                return Err(self.damaged("it ends where it can't"));
            }
            self.advance(RECORD_BYTES);
            self.ended = true;
            return Ok(Some(Event::End));
        }
        if !matches!(kind, DATA | ZEROS) || !place.fits(kind, offset, length) {
            return Err(self.damaged("a record is of no known kind, or has no place there"));
        }
        let event = if kind == DATA {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let Some(data) = self.bytes.get(RECORD_BYTES..RECORD_BYTES + length) else {
                return Ok(None);
            };
            if crc32c::crc32c(data) != crc {
                return Err(self.damaged("the checksum of its data is wrong"));
            }
            self.advance(RECORD_BYTES);
            self.taken += length as u64;
            let data = self.bytes.split_to(length).freeze();
            Event::Data { offset, data }
        } else {
            self.advance(RECORD_BYTES);
            Event::Zeros { offset, length }
        };
        if let Some(place) = &mut self.place {
            place.record(kind, offset, length, crc);
        }
        Ok(Some(event))
    }

    fn advance(&mut self, bytes: usize) {
        self.bytes.advance(bytes.min(self.bytes.len()));
        self.taken += bytes as u64;
    }

    fn damaged(&self, what: &'static str) -> StreamError {
        StreamError::Damaged {
            at: self.taken,
            what,
            resume: self.resume(),
        }
    }
}

/// The name in a header, which ends with its first zero.
fn name_in(header: &[u8]) -> Option<String> {
    let field = header.get(80..80 + NAME_BYTES_MAX)?;
    let end = field.iter().position(|byte| *byte == 0);
    let (name, rest) = field.split_at_checked(end.unwrap_or(NAME_BYTES_MAX))?;
    let is_padded = rest.iter().all(|byte| *byte == 0);
    let name = std::str::from_utf8(name).ok()?;
    (is_padded && !name.is_empty()).then(|| name.to_owned())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let field = bytes.get(at..at + 4).and_then(|it| it.try_into().ok());
    field.map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let field = bytes.get(at..at + 8).and_then(|it| it.try_into().ok());
    field.map_or(0, u64::from_le_bytes)
}

fn id_at(bytes: &[u8], at: usize) -> Id {
    let field = bytes.get(at..at + 16).and_then(|it| it.try_into().ok());
    field.unwrap_or_default()
}

mod token;

pub use token::{Token, TokenError};

#[cfg(test)]
mod tests;
