//! Any text of a Login or Text PDU: refused, or the same pairs however it was cut into PDUs.

use bytes::Bytes;
use tidelock_iscsi::negotiation::answer_text_request;
use tidelock_iscsi::parameters::{MAX_LENGTH, MIN_LENGTH, Parameters};
use tidelock_iscsi::pdu::DataSegment;
use tidelock_iscsi::text::{
    Assembler, Boolean, Key, MAX_PAIRS, MAX_TEXT_LENGTH, OutgoingText, TextError, TextPairs, list,
    numerical,
};

use crate::input::Input;

/// The first byte says how the text is cut into segments.
pub fn check(input: &[u8]) {
    let mut input = Input(input);
    let cut = usize::from(input.byte()) + 1;
    let text = input.0;
    let whole = TextPairs::parse(text);
    if text.len() <= MAX_TEXT_LENGTH {
        assert_eq!(whole, assembled(text, cut), "cut into pieces of {cut}");
    }
    let Ok(pairs) = whole else { return };
    assert!(pairs.len() <= MAX_PAIRS);
    for pair in pairs.iter() {
        let _ = (
            numerical(&pair.value),
            Boolean::parse(&pair.value),
            list(&pair.value).count(),
        );
        if let Some(key) = Key::from_name(&pair.key) {
            assert_eq!(key.name(), pair.key);
        }
    }
    let encoded = pairs.encode();
    assert_eq!(TextPairs::parse(&encoded).as_ref(), Ok(&pairs));
    assert_eq!(sent(&pairs, cut), encoded);
    let mut parameters = Parameters::default();
    let answer = answer_text_request(&pairs, &mut parameters);
    assert!(answer.len() <= 2 * pairs.len());
    let length = parameters.initiator_max_recv_data_segment_length;
    assert!(
        (MIN_LENGTH..=MAX_LENGTH).contains(&length),
        "MaxRecvDataSegmentLength={length}"
    );
}

fn assembled(text: &[u8], cut: usize) -> Result<TextPairs, TextError> {
    let mut assembler = Assembler::new(MAX_TEXT_LENGTH);
    let mut pieces = text.chunks(cut).peekable();
    while let Some(piece) = pieces.next() {
        let more = pieces.peek().is_some();
        let segment = DataSegment::from(Bytes::copy_from_slice(piece));
        if let Some(pairs) = assembler.push(&segment, more)? {
            assert!(!more && !assembler.is_partial());
            return Ok(pairs);
        }
    }
    TextPairs::parse(b"")
}

/// The text as it goes out in segments of at most `limit` bytes.
fn sent(pairs: &TextPairs, limit: usize) -> Vec<u8> {
    let mut outgoing = OutgoingText::new(pairs);
    let mut all = Vec::new();
    loop {
        let (segment, more) = outgoing.next_segment(limit);
        assert!(segment.len() <= limit && (!more || !segment.is_empty()));
        all.extend_from_slice(&segment);
        if !more {
            return all;
        }
    }
}
