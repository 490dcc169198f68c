//! The catalog as bytes: one header line with version, length and checksum, then JSON. Knows no
//! files; whoever writes one must replace it whole.
//!
//! ```text
//! tidelock-catalog 1 length=512 crc32c=0a1b2c3d\n
//! {"daemon": ...}\n
//! ```
//!
//! The checksum covers the header up to the space before `crc32c=` and the whole body, so a flipped
//! bit anywhere is noticed. The version is looked at first: a later format may have another header.
//! Nothing that this version doesn't know is skipped: an unknown field is refused by its name, as it
//! may be what keeps somebody out.

mod body;
mod check;
mod clones;
mod families;
mod mirrors;
mod peers;
mod shared_identities;

use thiserror::Error;

use crate::document::Catalog;
use crate::encoding::body::Body;

/// The first word of every catalog.
const MAGIC: &str = "tidelock-catalog";
/// The format that is written, and the only one that is read.
const VERSION: u32 = 1;
/// The longest encoded catalog that is looked at, in bytes.
pub const ENCODED_BYTES_MAX: usize = 256 << 20;
/// The longest header line, in bytes.
const HEADER_BYTES_MAX: usize = 128;

/// Why bytes aren't a catalog.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It doesn't start as a catalog does.
    #[error("this is not a Tidelock catalog: it doesn't start with \"{MAGIC}\"")]
    NotACatalog,
    /// A format of another time.
    #[error(
        "the catalog has format version {found}, and this daemon reads version {VERSION}: use the \
         release that wrote it"
    )]
    Version {
        /// The version found.
        found: String,
    },
    /// The header line isn't one.
    #[error("the catalog's first line is damaged: {reason}")]
    Header {
        /// What is wrong.
        reason: &'static str,
    },
    /// Bytes are missing, or there are more than there should be.
    #[error(
        "the catalog has {found} bytes after its first line instead of {expected}: it was cut off or added to"
    )]
    Length {
        /// Length according to the header, in bytes.
        expected: usize,
        /// Length found, in bytes.
        found: usize,
    },
    /// Longer than [`ENCODED_BYTES_MAX`].
    #[error(
        "the catalog has {found} bytes, more than the {ENCODED_BYTES_MAX} that this daemon ever writes"
    )]
    TooLong {
        /// Length found, in bytes.
        found: usize,
    },
    /// Some bytes aren't what was written.
    #[error("the catalog is damaged: its checksum is {found:08x} instead of {expected:08x}")]
    Checksum {
        /// CRC32C according to the header.
        expected: u32,
        /// CRC32C found.
        found: u32,
    },
    /// It isn't JSON, or has unknown or missing fields. Never contains a value of the document.
    #[error("the catalog can't be understood (line {line}, column {column}): {reason}")]
    Body {
        /// Line in the body, from 1.
        line: usize,
        /// Column in the line.
        column: usize,
        /// What is wrong.
        reason: String,
    },
    /// It says what no sequence of commands can lead to.
    #[error("the catalog contradicts itself: {reason}")]
    Inconsistent {
        /// What is wrong, and where.
        reason: String,
    },
}

pub(crate) fn encode(catalog: &Catalog) -> Vec<u8> {
    let body = Body::from(catalog).to_json();
    let head = format!("{MAGIC} {VERSION} length={}", body.len());
    let crc = checksum(head.as_bytes(), &body);
    let mut bytes = format!("{head} crc32c={crc:08x}\n").into_bytes();
    bytes.extend(body);
    bytes
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Catalog, DecodeError> {
    if bytes.len() > ENCODED_BYTES_MAX {
        return Err(DecodeError::TooLong { found: bytes.len() });
    }
    let rest = bytes
        .strip_prefix(MAGIC.as_bytes())
        .and_then(|rest| rest.strip_prefix(b" "))
        .ok_or(DecodeError::NotACatalog)?;
    check_version(rest)?;
    let Header {
        head,
        length,
        crc,
        body,
    } = Header::split(bytes)?;
    if body.len() != length {
        return Err(DecodeError::Length {
            expected: length,
            found: body.len(),
        });
    }
    let found = checksum(head, body);
    if found != crc {
        return Err(DecodeError::Checksum {
            expected: crc,
            found,
        });
    }
    let catalog = Body::from_json(body)?.into_catalog()?;
    check::consistent(&catalog)?;
    Ok(catalog)
}

fn checksum(head: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(head), body)
}

fn check_version(rest: &[u8]) -> Result<(), DecodeError> {
    let end = rest
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(rest.len());
    let found = rest.get(..end.min(20)).unwrap_or_default();
    if found == VERSION.to_string().as_bytes() {
        return Ok(());
    }
    Err(DecodeError::Version {
        found: String::from_utf8_lossy(found).into_owned(),
    })
}

struct Header<'a> {
    /// The part of the line that the checksum covers.
    head: &'a [u8],
    length: usize,
    crc: u32,
    body: &'a [u8],
}

impl<'a> Header<'a> {
    fn split(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let damaged = |reason| DecodeError::Header { reason };
        let end = bytes
            .iter()
            .take(HEADER_BYTES_MAX)
            .position(|&b| b == b'\n')
            .ok_or_else(|| damaged("it doesn't end"))?;
        let (line, body) = bytes
            .split_at_checked(end)
            .ok_or_else(|| damaged("it doesn't end"))?;
        let body = body.get(1..).unwrap_or_default();
        let line = std::str::from_utf8(line).map_err(|_| damaged("it isn't text"))?;
        let (head, crc) = line
            .rsplit_once(" crc32c=")
            .ok_or_else(|| damaged("it has no checksum"))?;
        // Exactly what is written is read: one spelling, so that no flipped bit goes unnoticed.
        let crc = u32::from_str_radix(crc, 16)
            .ok()
            .filter(|value| format!("{value:08x}") == crc)
            .ok_or_else(|| damaged("its checksum isn't 8 hexadecimal digits"))?;
        let length = head
            .rsplit_once(" length=")
            .and_then(|(_, length)| length.parse().ok())
            .ok_or_else(|| damaged("it has no length"))?;
        Ok(Self {
            head: head.as_bytes(),
            length,
            crc,
            body,
        })
    }
}

#[cfg(test)]
mod tests;
