//! Text on its way out, cut into data segments that the peer can take (RFC 7143 §6.2: a pair may span
//! PDUs; all but the last carry the C bit).

use bytes::Bytes;

use super::TextPairs;

/// What is still to be sent of one answer.
#[derive(Clone, Debug, Default)]
pub struct OutgoingText {
    rest: Bytes,
}

impl OutgoingText {
    /// The whole of `pairs`.
    #[must_use]
    pub fn new(pairs: &TextPairs) -> Self {
        Self {
            rest: pairs.encode(),
        }
    }

    /// The next data segment of at most `limit` bytes (at least one byte is taken per call, whatever
    /// the limit), and whether more follows: the C bit.
    pub fn next_segment(&mut self, limit: usize) -> (Bytes, bool) {
        let length = self.rest.len().min(limit.max(1));
        let segment = self.rest.split_to(length);
        (segment, !self.rest.is_empty())
    }

    /// Bytes that are still to be sent.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything was handed out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_the_limit_and_the_last_piece_says_so() {
        let pairs: TextPairs = [("Key", "12345")].into_iter().collect();
        let mut text = OutgoingText::new(&pairs);
        assert_eq!(text.next_segment(4), (Bytes::from_static(b"Key="), true));
        assert_eq!(text.next_segment(4), (Bytes::from_static(b"1234"), true));
        assert_eq!(text.next_segment(4), (Bytes::from_static(b"5\0"), false));
        assert!(text.is_empty());
    }

    #[test]
    fn text_of_exactly_the_limit_is_one_piece() {
        let pairs: TextPairs = [("A", "1")].into_iter().collect();
        assert_eq!(
            OutgoingText::new(&pairs).next_segment(4),
            (Bytes::from_static(b"A=1\0"), false)
        );
    }

    #[test]
    fn no_text_is_one_empty_piece() {
        assert_eq!(
            OutgoingText::default().next_segment(8),
            (Bytes::new(), false)
        );
    }

    #[test]
    fn a_limit_of_zero_still_ends() {
        let pairs: TextPairs = [("A", "1")].into_iter().collect();
        let mut text = OutgoingText::new(&pairs);
        let pieces = std::iter::repeat_with(|| text.next_segment(0))
            .take(4)
            .collect::<Vec<_>>();
        assert_eq!(
            pieces.iter().map(|(_, more)| *more).collect::<Vec<_>>(),
            [true, true, true, false]
        );
    }
}
