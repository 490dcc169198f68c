//! Collects text that comes in several PDUs (the C bit of RFC 7143 §11.10.2 and §11.12.2) until it is
//! whole. A pair may be cut anywhere; nothing is interpreted before the last PDU is in.

use bytes::{Bytes, BytesMut};

use super::{TextError, TextPairs};
use crate::pdu::DataSegment;

/// The text of one sequence as far as it has come.
#[derive(Debug)]
pub struct Assembler {
    limit: usize,
    partial: BytesMut,
    open: bool,
}

impl Assembler {
    /// An assembler that takes at most `limit` bytes of text for one sequence
    /// ([`MAX_TEXT_LENGTH`](super::MAX_TEXT_LENGTH) is what RFC 7143 §6.1 asks for).
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            partial: BytesMut::new(),
            open: false,
        }
    }

    /// Takes the data segment of the next PDU; `more` is its C bit. Returns the pairs once the
    /// sequence is whole, and is then ready for the next one.
    ///
    /// # Errors
    /// [`TextError::TooLong`] before the excess is stored, and what [`TextPairs::parse`] says. The
    /// text collected so far is gone then.
    pub fn push(&mut self, data: &DataSegment, more: bool) -> Result<Option<TextPairs>, TextError> {
        if self.partial.len() + data.len() > self.limit {
            self.reset();
            return Err(TextError::TooLong { limit: self.limit });
        }
        if more {
            self.open = true;
            data.pieces()
                .for_each(|piece| self.partial.extend_from_slice(piece));
            return Ok(None);
        }
        TextPairs::parse(&self.take(data)).map(Some)
    }

    /// Whether a sequence has begun and is not whole yet.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.open
    }

    /// Forgets what came so far.
    pub fn reset(&mut self) {
        self.partial = BytesMut::new();
        self.open = false;
    }

    fn take(&mut self, last: &DataSegment) -> Bytes {
        if self.partial.is_empty() {
            self.open = false;
            return last.to_contiguous();
        }
        let mut text = std::mem::take(&mut self.partial);
        last.pieces()
            .for_each(|piece| text.extend_from_slice(piece));
        self.open = false;
        text.freeze()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(text: &[u8]) -> DataSegment {
        DataSegment::from(Bytes::copy_from_slice(text))
    }

    #[test]
    fn a_pair_may_be_cut_anywhere() {
        let mut assembler = Assembler::new(100);
        assert_eq!(assembler.push(&segment(b"Initial"), true), Ok(None));
        assert!(assembler.is_partial());
        assert_eq!(assembler.push(&segment(b""), true), Ok(None));
        let pairs = assembler
            .push(&segment(b"R2T=Yes\0"), false)
            .unwrap()
            .unwrap();
        assert_eq!(pairs.get("InitialR2T"), Some("Yes"));
        assert!(!assembler.is_partial());
        let next = assembler.push(&segment(b"A=1\0"), false).unwrap().unwrap();
        assert_eq!(next.len(), 1, "the next sequence begins empty");
    }

    #[test]
    fn the_limit_holds_for_the_whole_sequence() {
        let mut assembler = Assembler::new(10);
        assert_eq!(assembler.push(&segment(b"A=12345"), true), Ok(None));
        let error = assembler.push(&segment(b"6789"), true);
        assert_eq!(error, Err(TextError::TooLong { limit: 10 }));
        assert!(!assembler.is_partial());
        assert!(
            assembler
                .push(&segment(b"A=1234567\0"), false)
                .unwrap()
                .is_some()
        );
    }

    proptest! {
        #[test]
        fn cutting_makes_no_difference(cuts in proptest::collection::vec(0usize..60, 0..6)) {
            let text = b"InitialR2T=Yes\0ImmediateData=No\0MaxBurstLength=262144\0";
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            let mut assembler = Assembler::new(text.len());
            let mut from = 0;
            for cut in cuts {
                prop_assert_eq!(assembler.push(&segment(&text[from..cut]), true), Ok(None));
                from = cut;
            }
            let whole = assembler.push(&segment(&text[from..]), false).unwrap();
            prop_assert_eq!(whole, Some(TextPairs::parse(text).unwrap()));
        }
    }
}
