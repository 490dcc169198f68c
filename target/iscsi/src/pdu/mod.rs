//! Protocol data units (RFC 7143 §11): one file per PDU, and what all of them share.
//!
//! Each PDU is a struct with `parse(&RawPdu) -> Result<Self, PduError>` and, for those that a target
//! sends, `encode(&self) -> Bhs`. Lengths were checked by `framing` before a PDU gets here.

pub mod login_request;
pub mod login_response;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

/// Length of the basic header segment in bytes (RFC 7143 §11.2).
pub const BHS_LEN: usize = 48;

/// A basic header segment as it stands on the wire.
pub type Bhs = [u8; BHS_LEN];

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
