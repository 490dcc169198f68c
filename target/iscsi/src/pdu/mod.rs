//! Protocol data units (RFC 7143 §11): one file per PDU, and what all of them share.
//!
//! Each PDU is a struct of its header's fields with `parse(&Bhs)` and `encode`. Lengths were checked
//! by `framing` before a PDU gets here.

pub mod additional_headers;
pub mod async_message;
pub mod data_in;
pub mod data_out;
pub mod login_request;
pub mod login_response;
pub mod logout_request;
pub mod logout_response;
pub mod nop_in;
pub mod nop_out;
pub mod r2t;
pub mod reject;
pub mod scsi_command;
pub mod scsi_response;
pub mod snack;
pub mod task_management_request;
pub mod task_management_response;
pub mod text_request;
pub mod text_response;

mod layout;

use bytes::{Buf, Bytes, BytesMut};
use smallvec::SmallVec;

/// Length of the basic header segment in bytes (RFC 7143 §11.2).
pub const BHS_LEN: usize = 48;

/// A basic header segment as it stands on the wire.
pub type Bhs = [u8; BHS_LEN];

/// The value of a task tag or transfer tag that says: none (RFC 7143 §11.2.1.8, §11.7.4).
pub const RESERVED_TAG: u32 = 0xffff_ffff;

/// The opcode of a header, without the I bit (RFC 7143 §11.2.1.2).
#[must_use]
#[inline]
pub const fn opcode(bhs: &Bhs) -> u8 {
    bhs[0] & 0x3f
}

/// The I bit of a header (RFC 7143 §11.2.1.1).
#[must_use]
#[inline]
pub const fn is_immediate(bhs: &Bhs) -> bool {
    bhs[0] & 0x40 != 0
}

/// A header that is empty but for opcode, byte 1 and DataSegmentLength.
#[inline]
#[allow(
    clippy::cast_possible_truncation,
    reason = "a data segment length has 24 bits"
)]
const fn header(opcode: u8, flags: u8, data_segment_length: usize) -> Bhs {
    let mut bhs = [0; BHS_LEN];
    let [_, high, middle, low] = (data_segment_length as u32).to_be_bytes();
    bhs[0] = opcode;
    bhs[1] = flags;
    bhs[5] = high;
    bhs[6] = middle;
    bhs[7] = low;
    bhs
}

/// The data segment of one PDU, without padding: one or more pieces, in order.
///
/// The pieces are slices of receive buffers, so that payload is not copied between the socket and the
/// file. Most PDUs have one piece; one that straddles two receive buffers has two.
#[derive(Clone, Debug, Default)]
pub struct DataSegment {
    pieces: SmallVec<[Bytes; 2]>,
    len: usize,
}

impl DataSegment {
    /// An empty segment.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a piece; an empty one is dropped.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.len += piece.len();
            self.pieces.push(piece);
        }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no data.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces in order.
    pub fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        self.pieces.iter()
    }

    /// Moves the pieces of `other` behind those of `self`.
    pub fn append(&mut self, other: Self) {
        self.len += other.len;
        self.pieces.extend(other.pieces);
    }

    /// Cuts off everything behind the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len {
            let _ = std::mem::replace(self, self.clone_front(len));
        }
    }

    /// Takes the first `len` bytes off, or all if there are fewer.
    #[must_use]
    pub fn split_to(&mut self, len: usize) -> Self {
        if len >= self.len {
            return std::mem::take(self);
        }
        let front = self.clone_front(len);
        let mut left = len;
        self.pieces.retain(|piece| {
            let cut = left.min(piece.len());
            left -= cut;
            if cut < piece.len() {
                piece.advance(cut);
                true
            } else {
                false
            }
        });
        self.len -= len;
        front
    }

    /// Copies the data, so that it no longer keeps the buffers alive that it was a part of.
    pub fn detach(&mut self) {
        let copy = match self.pieces.as_slice() {
            [] => return,
            [one] => Bytes::copy_from_slice(one),
            _ => self.to_contiguous(),
        };
        *self = Self::from(copy);
    }

    fn clone_front(&self, len: usize) -> Self {
        let mut front = Self::new();
        let mut left = len;
        for piece in &self.pieces {
            if left == 0 {
                break;
            }
            let take = left.min(piece.len());
            front.push(piece.slice(..take));
            left -= take;
        }
        front
    }

    /// Consumes the segment into its pieces.
    #[must_use]
    pub fn into_pieces(self) -> SmallVec<[Bytes; 2]> {
        self.pieces
    }

    /// The whole segment as one piece; copies when there are several.
    #[must_use]
    pub fn to_contiguous(&self) -> Bytes {
        match self.pieces.as_slice() {
            [] => Bytes::new(),
            [one] => one.clone(),
            many => {
                let mut all = BytesMut::with_capacity(self.len);
                for piece in many {
                    all.extend_from_slice(piece);
                }
                all.freeze()
            }
        }
    }
}

impl From<Bytes> for DataSegment {
    fn from(piece: Bytes) -> Self {
        let mut segment = Self::new();
        segment.push(piece);
        segment
    }
}

/// A whole PDU as `framing` delivers it: header, additional headers and data, lengths checked and
/// digests removed, nothing interpreted.
#[derive(Clone, Debug)]
pub struct RawPdu {
    /// The basic header segment.
    pub bhs: Bhs,
    /// Additional header segments, empty for nearly all PDUs (RFC 7143 §11.2.2).
    pub ahs: Bytes,
    /// The data segment without padding.
    pub data: DataSegment,
}

impl RawPdu {
    /// Copies additional headers and data, so that the PDU keeps no receive buffer alive.
    pub fn detach(&mut self) {
        self.data.detach();
        if !self.ahs.is_empty() {
            self.ahs = Bytes::copy_from_slice(&self.ahs);
        }
    }
}

#[cfg(test)]
mod tests;
