//! The names in a login: taken from the first request, unchangeable afterwards (RFC 7143 §6.3.1).

use super::exchange::Exchange;
use super::{LoginFailure, LoginIdentity, SessionType, excerpt};
use crate::text::{Key, MAX_NAME_LENGTH, MAX_VALUE_LENGTH, TextPairs};

/// Reads who logs in to what from the text of the first request.
pub(super) fn identify(
    pairs: &TextPairs,
    exchange: &Exchange,
) -> Result<LoginIdentity, LoginFailure> {
    let session_type = session_type(once(pairs, Key::SessionType)?)?;
    let initiator_name =
        name(Key::InitiatorName, once(pairs, Key::InitiatorName)?)?.ok_or_else(|| {
            LoginFailure::Missing {
                key: Key::InitiatorName.name(),
            }
        })?;
    let target_name = name(Key::TargetName, once(pairs, Key::TargetName)?)?;
    if target_name.is_none() && session_type == SessionType::Normal {
        return Err(LoginFailure::Missing {
            key: Key::TargetName.name(),
        });
    }
    let initiator_alias = once(pairs, Key::InitiatorAlias)?.map(alias).transpose()?;
    Ok(LoginIdentity {
        initiator_name,
        initiator_alias,
        target_name,
        session_type,
        isid: exchange.isid().0,
        tsih: exchange.tsih(),
        cid: exchange.cid(),
    })
}

/// A name in a later request: it may be said again, as some initiators do in every stage, but not
/// changed. An alias is for people and may come at any time; the first one is kept.
pub(super) fn confirm(identity: &LoginIdentity, key: Key, value: &str) -> Result<(), LoginFailure> {
    let same = match key {
        Key::InitiatorName => value == identity.initiator_name,
        Key::TargetName => Some(value) == identity.target_name.as_deref(),
        Key::SessionType => session_type(Some(value))? == identity.session_type,
        _ => true,
    };
    if same {
        Ok(())
    } else {
        Err(LoginFailure::NameChanged { key: key.name() })
    }
}

fn once(pairs: &TextPairs, key: Key) -> Result<Option<&str>, LoginFailure> {
    let mut values = pairs
        .iter()
        .filter(|pair| pair.key == key.name())
        .map(|pair| &pair.value);
    let value = values.next();
    if values.next().is_some() {
        return Err(LoginFailure::Repeated { key: key.name() });
    }
    Ok(value.map(String::as_str))
}

fn session_type(value: Option<&str>) -> Result<SessionType, LoginFailure> {
    match value {
        None | Some("Normal") => Ok(SessionType::Normal),
        Some("Discovery") => Ok(SessionType::Discovery),
        Some(other) => Err(LoginFailure::UnknownSessionType(excerpt(other))),
    }
}

/// Whether a name is an allowed one is for the access list to know; here it only has to be fit for a
/// table and a log.
fn name(key: Key, value: Option<&str>) -> Result<Option<String>, LoginFailure> {
    let Some(value) = value else { return Ok(None) };
    let printable = value.chars().all(|c| !c.is_control() && !c.is_whitespace());
    if value.is_empty() || value.len() > MAX_NAME_LENGTH || !printable {
        return Err(LoginFailure::UnacceptableValue {
            key: key.name(),
            value: excerpt(value),
        });
    }
    Ok(Some(value.to_owned()))
}

/// An alias may hold anything; control characters are left out, for the sake of terminals and logs.
fn alias(value: &str) -> Result<String, LoginFailure> {
    if value.len() > MAX_VALUE_LENGTH {
        let key = Key::InitiatorAlias.name();
        return Err(LoginFailure::UnacceptableValue {
            key,
            value: excerpt(value),
        });
    }
    Ok(value.chars().filter(|c| !c.is_control()).collect())
}
