//! The record of reservations that outlive a loss of power (APTPL): bytes to be kept as they are.
//!
//! All numbers are big-endian. A header: the format's name, the volume's NAA designator, flags, the
//! type (0 for no reservation), the holder's index (`NOBODY` for none) and the number of
//! registrations. Then each registration: key, relative target port, length of the initiator port's
//! name, the name. At last the CRC32C of everything in front of it.

use nom::bytes::complete::{tag, take};
use nom::multi::count;
use nom::number::complete::{be_u8, be_u16, be_u64};
use nom::{IResult, Parser};
use thiserror::Error;

use crate::reservation::ReservationType;
use crate::reservation::state::{
    MAX_REGISTRATIONS, NAME_MAX, NexusName, PersistentState, Registration, Reservation,
};

/// The name of the format, with its version.
const MAGIC: &[u8] = b"TLPR\x00\x00\x00\x01";
const APTPL: u8 = 0x01;
const NOBODY: u16 = u16::MAX;
const CRC: usize = 4;

/// Why a record can't be used.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum InvalidRecord {
    /// It doesn't begin as a record of this version does.
    #[error("it isn't a record of reservations that this version knows")]
    Format,
    /// It isn't what was written.
    #[error("its checksum is wrong: it is damaged")]
    Checksum,
    /// It is another volume's.
    #[error("it belongs to another volume")]
    OtherVolume,
    /// It says what can't be.
    #[error("it contradicts itself")]
    Contradiction,
}

/// The record of `state` for the volume with that NAA designator.
pub(crate) fn encode(state: &PersistentState, naa: [u8; 8]) -> Vec<u8> {
    let (kind, holder) = match &state.reservation {
        None => (0, NOBODY),
        Some(Reservation { kind, holder: None }) => (kind.code(), NOBODY),
        Some(Reservation {
            kind,
            holder: Some(holder),
        }) => {
            let mut all = state.registrations.iter();
            let index = all.position(|one| one.nexus == *holder);
            let index = index.and_then(|index| u16::try_from(index).ok());
            (kind.code(), index.unwrap_or(NOBODY))
        }
    };
    let mut record = MAGIC.to_vec();
    record.extend(naa);
    record.extend([if state.aptpl { APTPL } else { 0 }, kind]);
    record.extend(holder.to_be_bytes());
    let count = u16::try_from(state.registrations.len()).unwrap_or(u16::MAX);
    record.extend(count.to_be_bytes());
    for Registration { nexus, key } in &state.registrations {
        record.extend(key.to_be_bytes());
        record.extend(nexus.relative_port.to_be_bytes());
        let length = u16::try_from(nexus.initiator_port.len()).unwrap_or(u16::MAX);
        record.extend(length.to_be_bytes());
        record.extend(nexus.initiator_port.as_bytes());
    }
    record.extend(crc32c::crc32c(&record).to_be_bytes());
    record
}

/// Reads a record back. PRGENERATION starts anew, as it does at every power on.
pub(crate) fn decode(record: &[u8], naa: [u8; 8]) -> Result<PersistentState, InvalidRecord> {
    if !record.starts_with(MAGIC) {
        return Err(InvalidRecord::Format);
    }
    let (body, crc) = record
        .split_last_chunk::<CRC>()
        .ok_or(InvalidRecord::Checksum)?;
    if crc32c::crc32c(body) != u32::from_be_bytes(*crc) {
        return Err(InvalidRecord::Checksum);
    }
    let (rest, (of, flags, kind, holder, registrations)) =
        parse(body).map_err(|_| InvalidRecord::Contradiction)?;
    if of != naa {
        return Err(InvalidRecord::OtherVolume);
    }
    if !rest.is_empty() || flags & !APTPL != 0 || registrations.len() > MAX_REGISTRATIONS {
        return Err(InvalidRecord::Contradiction);
    }
    let registrations = registrations
        .into_iter()
        .map(registration)
        .collect::<Option<Vec<_>>>()
        .ok_or(InvalidRecord::Contradiction)?;
    let mut state = PersistentState {
        registrations,
        reservation: None,
        generation: 0,
        aptpl: flags & APTPL != 0,
    };
    state.reservation = reservation(&state, kind, holder).ok_or(InvalidRecord::Contradiction)?;
    let mut names: Vec<_> = state.registrations.iter().map(|one| &one.nexus).collect();
    names.sort_unstable_by_key(|name| (&name.initiator_port, name.relative_port));
    names.dedup();
    if names.len() != state.registrations.len() {
        return Err(InvalidRecord::Contradiction);
    }
    Ok(state)
}

type Raw<'a> = (u64, u16, &'a [u8]);
type Parsed<'a> = ([u8; 8], u8, u8, u16, Vec<Raw<'a>>);

fn parse(body: &[u8]) -> IResult<&[u8], Parsed<'_>> {
    let (rest, (_, naa, flags, kind, holder, number)) =
        (tag(MAGIC), be_u64, be_u8, be_u8, be_u16, be_u16).parse(body)?;
    let (rest, all) = count(raw_registration, usize::from(number)).parse(rest)?;
    Ok((rest, (naa.to_be_bytes(), flags, kind, holder, all)))
}

fn raw_registration(input: &[u8]) -> IResult<&[u8], Raw<'_>> {
    let (rest, (key, port, length)) = (be_u64, be_u16, be_u16).parse(input)?;
    let (rest, name) = take(length).parse(rest)?;
    Ok((rest, (key, port, name)))
}

fn registration((key, relative_port, name): Raw<'_>) -> Option<Registration> {
    let initiator_port = std::str::from_utf8(name).ok()?.to_owned();
    let valid = key != 0 && (1..=NAME_MAX).contains(&initiator_port.len());
    valid.then_some(Registration {
        nexus: NexusName {
            initiator_port,
            relative_port,
        },
        key,
    })
}

/// The reservation, `Some(None)` if there is none; `None` if that can't be.
fn reservation(state: &PersistentState, kind: u8, holder: u16) -> Option<Option<Reservation>> {
    if kind == 0 {
        return (holder == NOBODY).then_some(None);
    }
    let kind = ReservationType::from_code(kind)?;
    let holder = if kind.is_all_registrants() {
        if holder != NOBODY || state.registrations.is_empty() {
            return None;
        }
        None
    } else {
        let holder = state.registrations.get(usize::from(holder))?;
        Some(holder.nexus.clone())
    };
    Some(Some(Reservation { kind, holder }))
}
