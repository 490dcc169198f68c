//! The keys of a Text Request in full feature phase (RFC 7143 §6.4). SendTargets is the session's own
//! business; this answers all the others.

use crate::parameters::{MAX_LENGTH, MIN_LENGTH, Parameters};
use crate::text::{
    IRRELEVANT, Key, KeySet, NOT_UNDERSTOOD, REJECT, TextPair, TextPairs, numerical,
};

/// Answers every key but SendTargets, in order, and takes over what may still be declared:
/// MaxRecvDataSegmentLength (RFC 7143 §13.12) and InitiatorAlias (§13.7), which need no answer. Keys
/// that belong to the login phase are answered with `Reject`, unknown ones with `NotUnderstood`.
/// Answers of the initiator to something (`Reject` and the like) are not answered again.
#[must_use]
pub fn answer_text_request(pairs: &TextPairs, parameters: &mut Parameters) -> TextPairs {
    let mut seen = KeySet::default();
    let mut answers = TextPairs::new();
    for TextPair { key: name, value } in pairs {
        if [NOT_UNDERSTOOD, IRRELEVANT, REJECT].contains(&value.as_str()) {
            continue;
        }
        match Key::from_name(name) {
            None => answers.push(name, NOT_UNDERSTOOD),
            Some(Key::SendTargets) => {}
            Some(key) if !seen.insert(key) => answers.push(name, REJECT),
            Some(Key::InitiatorAlias) => {}
            Some(Key::MaxRecvDataSegmentLength) => match length(value) {
                Some(length) => parameters.initiator_max_recv_data_segment_length = length,
                None => answers.push(name, REJECT),
            },
            Some(_) => answers.push(name, REJECT),
        }
    }
    answers
}

fn length(value: &str) -> Option<u32> {
    let length = u32::try_from(numerical(value)?).ok()?;
    (MIN_LENGTH..=MAX_LENGTH)
        .contains(&length)
        .then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(text: &[u8]) -> (TextPairs, Parameters) {
        let mut parameters = Parameters::default();
        let pairs = TextPairs::parse(text).unwrap();
        (answer_text_request(&pairs, &mut parameters), parameters)
    }

    #[test]
    fn a_receive_length_declared_later_is_taken_over_without_an_answer() {
        let (answers, parameters) = ask(b"MaxRecvDataSegmentLength=65536\0InitiatorAlias=x\0");
        assert!(answers.is_empty());
        assert_eq!(parameters.initiator_max_recv_data_segment_length, 65_536);
    }

    #[test]
    fn what_can_no_longer_be_negotiated_is_rejected() {
        let (answers, parameters) = ask(
            b"InitialR2T=No\0HeaderDigest=CRC32C\0X-a.b=1\0MaxRecvDataSegmentLength=511\0AuthMethod=None\0",
        );
        assert_eq!(
            answers.encode(),
            &b"InitialR2T=Reject\0HeaderDigest=Reject\0X-a.b=NotUnderstood\0\
               MaxRecvDataSegmentLength=Reject\0AuthMethod=Reject\0"[..],
        );
        assert_eq!(parameters, Parameters::default());
    }

    #[test]
    fn a_repeated_key_is_rejected_and_the_first_value_holds() {
        let (answers, parameters) =
            ask(b"MaxRecvDataSegmentLength=4096\0MaxRecvDataSegmentLength=8192\0");
        assert_eq!(answers.encode(), &b"MaxRecvDataSegmentLength=Reject\0"[..]);
        assert_eq!(parameters.initiator_max_recv_data_segment_length, 4_096);
    }

    #[test]
    fn send_targets_and_answers_are_left_alone() {
        let (answers, _) = ask(b"SendTargets=All\0X-a.b=NotUnderstood\0InitialR2T=Reject\0");
        assert!(answers.is_empty());
    }
}
