//! The keys of one request, sorted by who deals with them (RFC 7143 §12: the security stage has its
//! own keys, and no others but the names).

use super::{LoginFailure, LoginIdentity, identity};
use crate::text::{IRRELEVANT, Key, NOT_UNDERSTOOD, REJECT, TextPair, TextPairs};

/// Security and operational keys apart, each in their order; the rest is dealt with.
#[derive(Debug, Default)]
pub(super) struct Sorted<'a> {
    pub(super) security: Vec<(Key, &'a str)>,
    pub(super) operational: Vec<(Key, &'a str)>,
}

/// Sorts the keys. Answers those that nobody understands, and those that only a target sends or that
/// belong to full feature phase; checks that names stay the same. What the initiator *answers* is left
/// alone: nothing was offered to it.
pub(super) fn sort<'a>(
    pairs: &'a TextPairs,
    identity: &LoginIdentity,
    answers: &mut TextPairs,
) -> Result<Sorted<'a>, LoginFailure> {
    let mut sorted = Sorted::default();
    for TextPair { key: name, value } in pairs {
        let Some(key) = Key::from_name(name) else {
            if !is_answer(value) {
                answers.push(name, NOT_UNDERSTOOD);
            }
            continue;
        };
        match key {
            Key::InitiatorName | Key::TargetName | Key::SessionType | Key::InitiatorAlias => {
                identity::confirm(identity, key, value)?;
            }
            _ if is_answer(value) => {}
            Key::SendTargets
            | Key::TargetAlias
            | Key::TargetAddress
            | Key::TargetPortalGroupTag => answers.push(name, REJECT),
            key if key.is_security() => sorted.security.push((key, value)),
            key => sorted.operational.push((key, value)),
        }
    }
    Ok(sorted)
}

fn is_answer(value: &str) -> bool {
    [NOT_UNDERSTOOD, IRRELEVANT, REJECT].contains(&value)
}
