//! Cuts the byte stream of one connection into PDUs: lengths, padding, digests and limits
//! (RFC 7143 §11.1, §11.2). Interprets nothing in a PDU but its lengths.
//!
//! Payload isn't copied when it can be sliced off the receive chunk in large pieces; small pieces of
//! a segment that hasn't arrived whole are copied, so that a peer that sends byte by byte can't keep
//! large chunks alive.

use bytes::{Buf, Bytes, BytesMut};

use crate::digest::{DIGEST_LEN, Digest, PAD_TO, header_digest, padding};
use crate::pdu::{BHS_LEN, Bhs, DataSegment, RawPdu};

/// A piece of an incomplete data segment of at least this many bytes is sliced off, not copied.
const SLICE_MIN: usize = 16 * 1_024;

/// What a peer may send in one PDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramingLimits {
    /// The longest data segment in bytes: our MaxRecvDataSegmentLength (RFC 7143 §13.12).
    pub max_data_segment: u32,
    /// The longest additional header segments, together, in bytes: 0..=1020.
    pub max_ahs: u16,
}

/// Why no PDU could be cut off the stream. After anything but [`FramingError::DataDigest`] the
/// boundaries of PDUs are lost, and the rest of the stream is discarded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FramingError {
    /// The header digest doesn't match: not even the lengths can be trusted (RFC 7143 §7.8).
    #[error("the header digest of a PDU doesn't match")]
    HeaderDigest,
    /// The data digest doesn't match; the PDU was discarded (RFC 7143 §7.8).
    #[error("the data digest of a PDU with opcode {:#04x} doesn't match", bhs[0] & 0x3f)]
    DataDigest {
        /// Header of the PDU.
        bhs: Bhs,
    },
    /// The data segment is longer than our MaxRecvDataSegmentLength.
    #[error("a PDU with opcode {:#04x} announces {length} bytes of data; the limit is {limit}", bhs[0] & 0x3f)]
    DataSegmentTooLong {
        /// Header of the PDU.
        bhs: Bhs,
        /// DataSegmentLength in bytes.
        length: u32,
        /// The limit in bytes.
        limit: u32,
    },
    /// The additional header segments are longer than anything that is defined.
    #[error("a PDU with opcode {:#04x} announces {length} bytes of additional headers; the limit is {limit}", bhs[0] & 0x3f)]
    AhsTooLong {
        /// Header of the PDU.
        bhs: Bhs,
        /// TotalAHSLength in bytes.
        length: u16,
        /// The limit in bytes.
        limit: u16,
    },
}

/// Cuts the stream of one connection into PDUs. Between calls it keeps the header and the pieces of
/// at most one PDU.
#[derive(Debug)]
pub struct Decoder {
    limits: FramingLimits,
    header_digest: bool,
    data_digest: bool,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Waits for the rest of a header; the bytes are those that came.
    Header(Vec<u8>),
    /// Waits for the rest of a data segment.
    Data(Box<Partial>),
    /// The boundaries are lost.
    Broken,
}

/// A PDU whose header is whole and whose data segment isn't.
#[derive(Debug)]
struct Partial {
    pdu: RawPdu,
    /// Small pieces that came one after the other.
    copied: BytesMut,
    /// Bytes of data that are still to come.
    missing: usize,
    /// Padding and digest.
    tail: Tail,
    /// That of the data so far, if it has one: nobody sums up for nothing.
    digest: Option<Digest>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tail {
    bytes: [u8; PAD_TO - 1 + DIGEST_LEN],
    have: usize,
    want: usize,
}

/// The lengths that a header announces, in bytes.
#[derive(Clone, Copy, Debug)]
struct Lengths {
    /// Header, additional headers and header digest.
    header: usize,
    ahs: usize,
    data: usize,
    /// Padding and data digest.
    tail: usize,
}

impl Decoder {
    /// A decoder at the beginning of a stream, without digests.
    #[must_use]
    pub fn new(limits: FramingLimits) -> Self {
        Self {
            limits,
            header_digest: false,
            data_digest: false,
            stage: Stage::Header(Vec::new()),
        }
    }

    /// Which digests PDUs carry from the next one on: when full feature phase starts.
    pub fn set_digests(&mut self, header: bool, data: bool) {
        self.header_digest = header;
        self.data_digest = data;
    }

    /// The limits from the next PDU on.
    pub fn set_limits(&mut self, limits: FramingLimits) {
        self.limits = limits;
    }

    /// Takes bytes from the front of `rx` and returns the next whole PDU, or `None` when all of `rx`
    /// was taken. A segment that is complete in `rx`, or a piece of at least 16 KiB of it, is sliced
    /// off without copying.
    ///
    /// # Errors
    /// [`FramingError`]; lengths are checked before anything is stored.
    #[inline]
    pub fn decode(&mut self, rx: &mut BytesMut) -> Result<Option<RawPdu>, FramingError> {
        if let Stage::Header(partial) = &self.stage
            && partial.is_empty()
            && let Some(bhs) = rx.first_chunk::<BHS_LEN>()
        {
            // The PDU is built where it is returned: it is large enough for moves to show.
            let mut pdu = RawPdu {
                bhs: *bhs,
                ahs: Bytes::new(),
                data: DataSegment::new(),
            };
            let lengths = self.lengths(&pdu.bhs)?;
            if rx.len() >= lengths.header + lengths.data + lengths.tail {
                if lengths.header == BHS_LEN {
                    rx.advance(BHS_LEN);
                } else {
                    pdu.ahs = self.take_long_header(lengths, rx)?;
                }
                if lengths.data > 0 {
                    pdu.data.push(rx.split_to(lengths.data).freeze());
                    self.take_tail(&pdu, lengths, rx)?;
                }
                return Ok(Some(pdu));
            }
        }
        self.take_partial(rx)
    }

    /// A header with additional headers or a digest, of a PDU that is whole at the front of `rx`.
    fn take_long_header(
        &mut self,
        lengths: Lengths,
        rx: &mut BytesMut,
    ) -> Result<Bytes, FramingError> {
        let header = rx.split_to(lengths.header).freeze();
        self.check_header(&header, lengths)?;
        Ok(header.slice(BHS_LEN..BHS_LEN + lengths.ahs))
    }

    /// Padding and data digest.
    #[inline]
    fn take_tail(
        &self,
        pdu: &RawPdu,
        lengths: Lengths,
        rx: &mut BytesMut,
    ) -> Result<(), FramingError> {
        if !self.data_digest {
            rx.advance(lengths.tail);
            return Ok(());
        }
        let mut digest = Digest::new();
        pdu.data.pieces().for_each(|piece| digest.update(piece));
        let tail = rx.split_to(lengths.tail);
        check_data(digest, &tail, padding(lengths.data), pdu.bhs)
    }

    fn take_partial(&mut self, rx: &mut BytesMut) -> Result<Option<RawPdu>, FramingError> {
        loop {
            match &mut self.stage {
                Stage::Broken => {
                    rx.clear();
                    return Ok(None);
                }
                Stage::Header(header) => {
                    let missing = BHS_LEN.saturating_sub(header.len());
                    move_bytes(rx, header, missing);
                    let Some(bhs) = header.first_chunk::<BHS_LEN>().copied() else {
                        return Ok(None);
                    };
                    let lengths = self.lengths(&bhs)?;
                    let Stage::Header(header) = &mut self.stage else {
                        return Ok(None);
                    };
                    move_bytes(rx, header, lengths.header.saturating_sub(header.len()));
                    if header.len() < lengths.header {
                        return Ok(None);
                    }
                    let header = std::mem::take(header);
                    self.check_header(&header, lengths)?;
                    if lengths.data == 0 {
                        let ahs = ahs_of(&header, lengths);
                        return Ok(Some(RawPdu {
                            bhs,
                            ahs,
                            data: DataSegment::new(),
                        }));
                    }
                    self.stage = Stage::Data(Box::new(Partial::new(
                        bhs,
                        &header,
                        lengths,
                        self.data_digest,
                    )));
                }
                Stage::Data(partial) => {
                    partial.take(rx);
                    if !partial.is_whole() {
                        return Ok(None);
                    }
                    let Stage::Data(partial) =
                        std::mem::replace(&mut self.stage, Stage::Header(Vec::new()))
                    else {
                        return Ok(None);
                    };
                    return partial.finish().map(Some);
                }
            }
        }
    }

    /// Reads and checks the lengths in a header.
    #[inline]
    fn lengths(&mut self, bhs: &Bhs) -> Result<Lengths, FramingError> {
        let ahs = u16::from(bhs[4]) * 4;
        let data = u32::from_be_bytes([0, bhs[5], bhs[6], bhs[7]]);
        if ahs > self.limits.max_ahs || data > self.limits.max_data_segment {
            return Err(self.too_long(bhs, ahs, data));
        }
        let header_digest = if self.header_digest { DIGEST_LEN } else { 0 };
        let data_digest = if self.data_digest && data > 0 {
            DIGEST_LEN
        } else {
            0
        };
        let (ahs, data) = (usize::from(ahs), data as usize);
        Ok(Lengths {
            header: BHS_LEN + ahs + header_digest,
            ahs,
            data,
            tail: padding(data) + data_digest,
        })
    }

    #[cold]
    fn too_long(&mut self, bhs: &Bhs, ahs: u16, data: u32) -> FramingError {
        self.stage = Stage::Broken;
        let bhs = *bhs;
        if ahs > self.limits.max_ahs {
            FramingError::AhsTooLong {
                bhs,
                length: ahs,
                limit: self.limits.max_ahs,
            }
        } else {
            let limit = self.limits.max_data_segment;
            FramingError::DataSegmentTooLong {
                bhs,
                length: data,
                limit,
            }
        }
    }

    fn check_header(&mut self, header: &[u8], lengths: Lengths) -> Result<(), FramingError> {
        if !self.header_digest {
            return Ok(());
        }
        let (covered, digest) = header
            .split_at_checked(BHS_LEN + lengths.ahs)
            .unwrap_or((header, &[]));
        if header_digest(covered, &[]) == *digest {
            return Ok(());
        }
        self.stage = Stage::Broken;
        Err(FramingError::HeaderDigest)
    }
}

impl Partial {
    fn new(bhs: Bhs, header: &[u8], lengths: Lengths, data_digest: bool) -> Self {
        Self {
            pdu: RawPdu {
                bhs,
                ahs: ahs_of(header, lengths),
                data: DataSegment::new(),
            },
            copied: BytesMut::new(),
            missing: lengths.data,
            tail: Tail {
                want: lengths.tail,
                ..Tail::default()
            },
            digest: data_digest.then(Digest::new),
        }
    }

    fn take(&mut self, rx: &mut BytesMut) {
        let length = self.missing.min(rx.len());
        if length > 0 {
            let piece = rx.split_to(length);
            self.missing -= length;
            if let Some(digest) = &mut self.digest {
                digest.update(&piece);
            }
            if length >= SLICE_MIN || self.missing == 0 && self.copied.is_empty() {
                self.keep_copied();
                self.pdu.data.push(piece.freeze());
            } else {
                self.copied.extend_from_slice(&piece);
                if self.missing == 0 {
                    self.keep_copied();
                }
            }
        }
        if self.missing == 0 {
            let Tail { bytes, have, want } = &mut self.tail;
            let length = (*want - *have).min(rx.len());
            if let (Some(to), Some(from)) = (bytes.get_mut(*have..*have + length), rx.get(..length))
            {
                to.copy_from_slice(from);
            }
            *have += length;
            rx.advance(length);
        }
    }

    fn keep_copied(&mut self) {
        if !self.copied.is_empty() {
            self.pdu
                .data
                .push(std::mem::take(&mut self.copied).freeze());
        }
    }

    fn is_whole(&self) -> bool {
        self.missing == 0 && self.tail.have == self.tail.want
    }

    fn finish(self) -> Result<RawPdu, FramingError> {
        if let Some(digest) = self.digest {
            let tail = self.tail.bytes.get(..self.tail.want).unwrap_or_default();
            check_data(digest, tail, padding(self.pdu.data.len()), self.pdu.bhs)?;
        }
        Ok(self.pdu)
    }
}

/// Whether the digest at the end of `tail`, behind `pad` bytes of padding, is that of the data.
fn check_data(mut digest: Digest, tail: &[u8], pad: usize, bhs: Bhs) -> Result<(), FramingError> {
    let (padding, received) = tail.split_at_checked(pad).unwrap_or((tail, &[]));
    digest.update(padding);
    if digest.finish() == *received {
        Ok(())
    } else {
        Err(FramingError::DataDigest { bhs })
    }
}

fn ahs_of(header: &[u8], lengths: Lengths) -> Bytes {
    let ahs = header
        .get(BHS_LEN..BHS_LEN + lengths.ahs)
        .unwrap_or_default();
    Bytes::copy_from_slice(ahs)
}

fn move_bytes(from: &mut BytesMut, to: &mut Vec<u8>, most: usize) {
    let length = most.min(from.len());
    to.extend_from_slice(from.get(..length).unwrap_or_default());
    from.advance(length);
}

#[cfg(test)]
mod tests;
