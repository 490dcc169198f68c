//! Frames: one message each, with lengths that are checked before anything is kept, and checksums over all of it.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use super::compression::Expander;

/// The version of the protocol that is spoken.
pub const VERSION: u8 = 1;
/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = 32;
/// Bytes that the fields of a message may have.
pub const BODY_MAX: usize = 512 << 10;
/// Bytes of a volume that one message may carry.
pub const DATA_MAX: usize = 1 << 20;
/// Bytes that the fields of a message may have before both ends know each other; it carries no bytes of a volume.
pub const INTRODUCTION_MAX: usize = 16 << 10;
/// Room for bytes that come while it isn't known how long the frame is that they are of.
const SPACE_BYTES: usize = 64 << 10;
/// The least of it that is used before there is more.
const SPACE_MIN: usize = 4 << 10;
const MAGIC: [u8; 4] = *b"TDLM";
/// The data are compressed.
const COMPRESSED: u16 = 1;

/// What a frame is. Kinds that aren't known are refused when the message is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub u8);

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// The fields of the message.
    pub body: Bytes,
    /// Bytes of the volume.
    pub data: Bytes,
}

/// Why bytes aren't frames. The connection is of no use any more.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Something else.
    #[error("this is not a mirror's connection: it sends other bytes")]
    NotAFrame,
    /// Of another version.
    #[error("a frame has version {0} of the protocol, and version {VERSION} was agreed on")]
    Version(u8),
    /// The header was changed on its way.
    #[error("the header of frame {0} is damaged")]
    HeaderDamaged(u64),
    /// What follows the header was changed on its way.
    #[error("frame {0} is damaged")]
    Damaged(u64),
    /// One is missing, or comes again.
    #[error("frame {got} came where frame {expected} was due")]
    OutOfOrder {
        /// Its number.
        got: u64,
        /// The one that is due.
        expected: u64,
    },
    /// More than there may be.
    #[error("a frame has {got} bytes of {what}, and at most {max} are possible")]
    TooLong {
        /// Of what.
        what: &'static str,
        /// How many.
        got: u32,
        /// The limit.
        max: usize,
    },
    /// The bits that have no meaning yet are zero.
    #[error("a frame has flags {0:#06x}, which mean nothing in this version")]
    Flags(u16),
    /// What is said to be compressed data isn't.
    #[error("the compressed data of frame {number} are wrong: {why}")]
    Compressed {
        /// Of which frame.
        number: u64,
        /// What is wrong.
        why: &'static str,
    },
}

/// Numbers the frames of one direction.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    next: u64,
}

impl Encoder {
    /// The bytes before the data of a frame: its header and its body. The data follow as they are, so that they
    /// aren't copied.
    ///
    /// # Errors
    ///
    /// [`FrameError::TooLong`].
    pub fn encode(&mut self, kind: Kind, body: &[u8], data: &[u8]) -> Result<Vec<u8>, FrameError> {
        self.head(kind, 0, body, data)
    }

    /// The same of data that a [`super::Compressor`] has made smaller, for a peer that speaks a version from
    /// [`super::COMPRESSION_SINCE`].
    ///
    /// # Errors
    ///
    /// [`FrameError::TooLong`].
    pub fn encode_compressed(
        &mut self,
        kind: Kind,
        body: &[u8],
        compressed: &[u8],
    ) -> Result<Vec<u8>, FrameError> {
        self.head(kind, COMPRESSED, body, compressed)
    }

    fn head(
        &mut self,
        kind: Kind,
        flags: u16,
        body: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, FrameError> {
        let body_bytes = length("fields", body.len(), BODY_MAX)?;
        let data_bytes = length("data", data.len(), DATA_MAX)?;
        let crc = crc32c::crc32c_append(crc32c::crc32c(body), data);
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
        bytes.extend(MAGIC);
        bytes.extend([VERSION, kind.0]);
        bytes.extend(flags.to_le_bytes());
        bytes.extend(body_bytes.to_le_bytes());
        bytes.extend(data_bytes.to_le_bytes());
        bytes.extend(self.next.to_le_bytes());
        bytes.extend(crc.to_le_bytes());
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes.extend(body);
        self.next += 1;
        Ok(bytes)
    }
}

fn length(what: &'static str, bytes: usize, max: usize) -> Result<u32, FrameError> {
    let got = u32::try_from(bytes).unwrap_or(u32::MAX);
    if bytes > max {
        return Err(FrameError::TooLong { what, got, max });
    }
    Ok(got)
}

/// The header of a frame, checked.
#[derive(Clone, Copy, Debug)]
struct Header {
    kind: Kind,
    body: usize,
    data: usize,
    crc: u32,
    is_compressed: bool,
}

/// Takes bytes apart again, a piece at a time. Keeps at most one frame and what was fed with it.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: BytesMut,
    header: Option<Header>,
    next: u64,
    failed: Option<FrameError>,
    /// Only an introduction is accepted.
    introduces: bool,
    /// Whether data may be compressed.
    expands: bool,
    expander: Expander,
}

impl Decoder {
    /// One that accepts nothing that is longer than an introduction before [`Self::accept_messages`]: who isn't known yet
    /// can have many connections, and has no room kept on each for all that a message may be.
    #[must_use]
    pub fn of_introduction() -> Self {
        Self {
            introduces: true,
            ..Self::default()
        }
    }

    /// Both ends know each other.
    pub const fn accept_messages(&mut self) {
        self.introduces = false;
    }

    /// Data may be compressed from now on: both ends speak a version from [`super::COMPRESSION_SINCE`].
    pub const fn accept_compressed(&mut self) {
        self.expands = true;
    }

    /// Bytes that came.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Where bytes are put as they come, which spares a copy of them. There is room for the rest of a frame whose header
    /// is there, and for some bytes in any case.
    pub fn space(&mut self) -> &mut BytesMut {
        let spare = self.bytes.capacity() - self.bytes.len();
        if self.header.is_some() {
            self.bytes.reserve(self.wants());
        } else if spare < SPACE_MIN {
            // Frames that are kept keep all of it, so that it is used up before there is another one.
            self.bytes.reserve(SPACE_BYTES);
        }
        &mut self.bytes
    }

    /// How many more bytes are needed before there can be a frame; a reader needn't ask for fewer.
    #[must_use]
    pub fn wants(&self) -> usize {
        let whole = self.header.map_or(HEADER_BYTES, |it| it.body + it.data);
        whole.saturating_sub(self.bytes.len())
    }

    /// The next frame, or `None` until more has come.
    ///
    /// # Errors
    ///
    /// What is wrong; the same again from then on.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let next = self.take();
        if let Err(error) = &next {
            self.failed = Some(error.clone());
            self.bytes = BytesMut::new();
        }
        next
    }

    fn take(&mut self) -> Result<Option<Frame>, FrameError> {
        let header = match self.header {
            Some(header) => header,
            None => {
                let Some(header) = self.take_header()? else {
                    return Ok(None);
                };
                self.header = Some(header);
                header
            }
        };
        if self.bytes.len() < header.body + header.data {
            return Ok(None);
        }
        let body = self.bytes.split_to(header.body).freeze();
        let data = self.bytes.split_to(header.data).freeze();
        let number = self.next;
        if crc32c::crc32c_append(crc32c::crc32c(&body), &data) != header.crc {
            return Err(FrameError::Damaged(number));
        }
        let data = match header.is_compressed {
            true => self
                .expander
                .expand(&data)
                .map_err(|why| FrameError::Compressed { number, why })?,
            false => data,
        };
        self.header = None;
        self.next += 1;
        let kind = header.kind;
        Ok(Some(Frame { kind, body, data }))
    }

    fn take_header(&mut self) -> Result<Option<Header>, FrameError> {
        let known = self.bytes.len().min(MAGIC.len());
        if self.bytes.get(..known) != MAGIC.get(..known) {
            return Err(FrameError::NotAFrame);
        }
        let Some(bytes) = self.bytes.get(..HEADER_BYTES) else {
            return Ok(None);
        };
        let mut fields = bytes;
        let checked = bytes.get(..HEADER_BYTES - 4).unwrap_or_default();
        let crc_of_header = crc32c::crc32c(checked);
        fields.advance(MAGIC.len());
        let version = fields.get_u8();
        let kind = Kind(fields.get_u8());
        let flags = fields.get_u16_le();
        let body_bytes = fields.get_u32_le();
        let data_bytes = fields.get_u32_le();
        let number = fields.get_u64_le();
        let crc = fields.get_u32_le();
        if fields.get_u32_le() != crc_of_header {
            return Err(FrameError::HeaderDamaged(self.next));
        }
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        let is_compressed = self.expands && flags == COMPRESSED;
        if flags != 0 && !is_compressed {
            return Err(FrameError::Flags(flags));
        }
        if number != self.next {
            let expected = self.next;
            return Err(FrameError::OutOfOrder {
                got: number,
                expected,
            });
        }
        let (body_max, data_max) = match self.introduces {
            true => (INTRODUCTION_MAX, 0),
            false => (BODY_MAX, DATA_MAX),
        };
        let body = checked_length("fields", body_bytes, body_max)?;
        let data = checked_length("data", data_bytes, data_max)?;
        self.bytes.advance(HEADER_BYTES);
        Ok(Some(Header {
            kind,
            body,
            data,
            crc,
            is_compressed,
        }))
    }
}

fn checked_length(what: &'static str, got: u32, max: usize) -> Result<usize, FrameError> {
    let bytes = usize::try_from(got).unwrap_or(usize::MAX);
    if bytes > max {
        return Err(FrameError::TooLong { what, got, max });
    }
    Ok(bytes)
}
