//! Reservations of a logical unit that two daemons have a part in, as bytes for the other one: a change that the one asks
//! the other for, how that was refused, and the state that it leads to. Knows nothing of how they get there.
//!
//! All numbers are big-endian. The other daemon is trusted, and still nothing of what it says is taken that can't be.

use bytes::Bytes;
use nom::bytes::complete::take;
use nom::combinator::all_consuming;
use nom::number::complete::{be_u8, be_u16, be_u32};
use nom::{IResult, Parser};

use crate::attention::UnitAttention;
use crate::commands::persistent_out;
use crate::nexus::NexusId;
use crate::reservation::action::{Effects, Refused};
use crate::reservation::change::{Change, RefusedOrStale, Requester};
use crate::reservation::record::{self, InvalidRecord};
use crate::reservation::state::{MAX_REGISTRATIONS, NAME_MAX, NexusName, PersistentState};
use crate::reservation::{ReservationChange, ReservationsRefused};
use crate::sense::{AdditionalSense, Sense, SenseKey, SenseKeySpecific};

/// The record in a replica is of no volume: each part has an identity of its own.
const NO_VOLUME: [u8; 8] = [0; 8];

const PERSISTENT: u8 = 0;
const OPERATOR_CLEAR: u8 = 1;

const STALE: u8 = 0;
const CONFLICT: u8 = 1;
const SENSE: u8 = 2;
const NO_BIT: u8 = u8::MAX;

impl ReservationChange {
    /// For the daemon that decides about it. `None` for RESERVE and RELEASE, which are a matter of one nexus while it
    /// lives.
    #[must_use]
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        match &self.0 {
            Change::Persistent { from, action } => {
                let (service_action, scope_and_type, list) = persistent_out::in_bytes(action);
                let mut bytes = vec![PERSISTENT];
                put_nexus(&mut bytes, &from.name);
                bytes.extend([service_action, scope_and_type]);
                bytes.extend(list);
                Some(bytes)
            }
            Change::OperatorClear => Some(vec![OPERATOR_CLEAR]),
            Change::Reserve(_) | Change::Release(_) => None,
        }
    }

    /// What was made by [`Self::to_bytes`]; `None` if nothing that can be done was.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        if *kind == OPERATOR_CLEAR && rest.is_empty() {
            return Some(Self::operator_clear());
        }
        if *kind != PERSISTENT {
            return None;
        }
        let (list, (name, service_action, scope_and_type)) =
            (nexus, be_u8, be_u8).parse(rest).ok()?;
        let list = Bytes::copy_from_slice(list);
        let action = persistent_out::action_of(service_action, scope_and_type, &list).ok()?;
        // The nexus is at the other daemon: nobody here has its number.
        let id = NexusId(u64::MAX);
        Some(Self(Change::Persistent {
            from: Requester { id, name },
            action: Box::new(action),
        }))
    }
}

impl ReservationsRefused {
    /// For the daemon that asked.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let sense = match self.0 {
            RefusedOrStale::Stale => return vec![STALE],
            RefusedOrStale::Refused(Refused::Conflict) => return vec![CONFLICT],
            RefusedOrStale::Refused(Refused::Sense(sense)) => sense,
        };
        let AdditionalSense { code, qualifier } = sense.additional;
        let mut bytes = vec![SENSE, sense.key.0, code, qualifier];
        if let Some(SenseKeySpecific::Field { in_cdb, byte, bit }) = sense.specific {
            bytes.push(in_cdb.into());
            bytes.extend(byte.to_be_bytes());
            bytes.push(bit.unwrap_or(NO_BIT));
        }
        bytes
    }

    /// What was made by [`Self::to_bytes`]; `None` if nothing was.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(match *bytes {
            [STALE] => RefusedOrStale::Stale,
            [CONFLICT] => RefusedOrStale::Refused(Refused::Conflict),
            [SENSE, key, code, qualifier, ref field @ ..] => {
                let additional = AdditionalSense::new(code, qualifier);
                let mut sense = Sense::new(SenseKey(key), additional);
                sense.specific = match *field {
                    [] => None,
                    [in_cdb @ (0 | 1), high, low, bit] => Some(SenseKeySpecific::Field {
                        in_cdb: in_cdb == 1,
                        byte: u16::from_be_bytes([high, low]),
                        bit: (bit != NO_BIT).then_some(bit),
                    }),
                    _ => return None,
                };
                RefusedOrStale::Refused(Refused::Sense(sense))
            }
            _ => return None,
        }))
    }
}

/// A state of reservations, and whom that of the other part has to tell of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Replica {
    pub(crate) state: PersistentState,
    /// `None`: whoever isn't registered any more is to be told.
    pub(crate) effects: Option<Effects>,
}

pub(crate) fn encode(state: &PersistentState, effects: Option<&Effects>) -> Vec<u8> {
    let kept = record::encode(state, NO_VOLUME);
    let mut bytes = state.generation.to_be_bytes().to_vec();
    bytes.extend(u32::try_from(kept.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(kept);
    let Some(effects) = effects else {
        return bytes;
    };
    let count = |all: usize| u16::try_from(all).unwrap_or(u16::MAX).to_be_bytes();
    bytes.extend(count(effects.attentions.len()));
    for (nexus, attention) in &effects.attentions {
        bytes.push(code(*attention));
        put_nexus(&mut bytes, nexus);
    }
    bytes.extend(count(effects.aborted.len()));
    for nexus in &effects.aborted {
        put_nexus(&mut bytes, nexus);
    }
    bytes
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Replica, InvalidRecord> {
    let contradiction = |_| InvalidRecord::Contradiction;
    let (rest, (generation, length)) = (be_u32, be_u32).parse(bytes).map_err(malformed)?;
    let (rest, kept) = take(length).parse(rest).map_err(malformed)?;
    let mut state = record::decode(kept, NO_VOLUME)?;
    state.generation = generation;
    if rest.is_empty() {
        let effects = None;
        return Ok(Replica { state, effects });
    }
    let (_, effects) = all_consuming(effects).parse(rest).map_err(contradiction)?;
    let effects = Some(effects.ok_or(InvalidRecord::Contradiction)?);
    Ok(Replica { state, effects })
}

fn malformed(_: nom::Err<nom::error::Error<&[u8]>>) -> InvalidRecord {
    InvalidRecord::Format
}

fn effects(input: &[u8]) -> IResult<&[u8], Option<Effects>> {
    let (mut rest, count) = be_u16(input)?;
    let mut effects = Effects::default();
    if usize::from(count) > MAX_REGISTRATIONS {
        return Ok((&[], None));
    }
    for _ in 0..count {
        let (behind, (told, nexus)) = (be_u8, nexus).parse(rest)?;
        rest = behind;
        match attention(told) {
            Some(attention) => effects.attentions.push((nexus, attention)),
            None => return Ok((&[], None)),
        }
    }
    let (mut rest, count) = be_u16(rest)?;
    if usize::from(count) > MAX_REGISTRATIONS {
        return Ok((&[], None));
    }
    for _ in 0..count {
        let (behind, nexus) = nexus(rest)?;
        rest = behind;
        effects.aborted.push(nexus);
    }
    Ok((rest, Some(effects)))
}

/// What changes of reservations tell.
const TOLD: [UnitAttention; 3] = [
    UnitAttention::ReservationsReleased,
    UnitAttention::ReservationsPreempted,
    UnitAttention::RegistrationsPreempted,
];

fn code(attention: UnitAttention) -> u8 {
    let at = TOLD.iter().position(|one| *one == attention);
    at.and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
}

fn attention(code: u8) -> Option<UnitAttention> {
    TOLD.get(usize::from(code)).copied()
}

fn put_nexus(bytes: &mut Vec<u8>, nexus: &NexusName) {
    bytes.extend(nexus.relative_port.to_be_bytes());
    let length = u16::try_from(nexus.initiator_port.len()).unwrap_or(u16::MAX);
    bytes.extend(length.to_be_bytes());
    bytes.extend(nexus.initiator_port.as_bytes());
}

fn nexus(input: &[u8]) -> IResult<&[u8], NexusName> {
    let invalid =
        |input| nom::Err::Error(nom::error::make_error(input, nom::error::ErrorKind::Verify));
    let (rest, (relative_port, length)) = (be_u16, be_u16).parse(input)?;
    if !(1..=NAME_MAX).contains(&usize::from(length)) {
        return Err(invalid(input));
    }
    let (rest, name) = take(length).parse(rest)?;
    let name = std::str::from_utf8(name).map_err(|_| invalid(input))?;
    let nexus = NexusName {
        initiator_port: name.to_owned(),
        relative_port,
    };
    Ok((rest, nexus))
}
