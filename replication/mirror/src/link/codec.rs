//! Messages as the fields of frames, and back.

use bytes::Bytes;

use super::fields::{FieldError, RUNS_MAX, Reader, Writer};
use super::frame::{Frame, Kind};
use super::message::Message;
use crate::association::{Differing, Durability};
use crate::data::{Data, ZEROS_MAX};
use crate::id::{GenerationId, Incarnation};
use crate::region::RegionSet;

const GREETING: u8 = 0x10;
const IN_STEP: u8 = 0x11;
const RESYNC: u8 = 0x12;
const READY: u8 = 0x13;
const WRITE: u8 = 0x20;
const WRITE_DONE: u8 = 0x21;
const FLUSH: u8 = 0x22;
const FLUSH_DONE: u8 = 0x23;
const SETTLED: u8 = 0x24;
const COPY: u8 = 0x25;
const WRITE_ZEROS: u8 = 0x26;
const COPY_ZEROS: u8 = 0x27;
const ADOPT: u8 = 0x30;
const CONFIRM: u8 = 0x31;
const TAKE_OVER: u8 = 0x32;
const ASK_TO_TAKE_OVER: u8 = 0x33;
const DENY: u8 = 0x34;
const BEHIND: u8 = 0x40;

/// The kind, the fields and the data of a message.
#[must_use]
pub fn encode(message: &Message) -> (Kind, Vec<u8>, Bytes) {
    let mut fields = Writer::default();
    let kind = match message {
        Message::Greeting { .. } => greeting(&mut fields, message),
        Message::InStep => IN_STEP,
        Message::Resync { resumes } => {
            fields.flag(*resumes);
            RESYNC
        }
        Message::Ready { differing } => {
            fields.flag(matches!(differing, Differing::All));
            if let Differing::Regions(regions) = differing {
                superset(&mut fields, regions);
            }
            READY
        }
        Message::Write {
            sequence,
            offset,
            durability,
            data,
        } => {
            place(&mut fields, *sequence, *offset);
            fields.u8(safety(*durability));
            zeros(&mut fields, data, WRITE, WRITE_ZEROS)
        }
        Message::Copy {
            sequence,
            offset,
            data,
        } => {
            place(&mut fields, *sequence, *offset);
            zeros(&mut fields, data, COPY, COPY_ZEROS)
        }
        Message::Settled { regions } => {
            fields.regions(regions);
            SETTLED
        }
        Message::Adopt { lineage } => {
            fields.lineage(lineage);
            ADOPT
        }
        Message::Confirm { generation } => {
            fields.u128(generation.0);
            CONFIRM
        }
        Message::WriteDone { sequence } => number(&mut fields, *sequence, WRITE_DONE),
        Message::Flush { sequence } => number(&mut fields, *sequence, FLUSH),
        Message::FlushDone { sequence } => number(&mut fields, *sequence, FLUSH_DONE),
        Message::TakeOver => TAKE_OVER,
        Message::AskToTakeOver {
            generation,
            unsettled,
        } => {
            fields.u128(generation.0);
            superset(&mut fields, unsettled);
            ASK_TO_TAKE_OVER
        }
        Message::Deny => DENY,
        Message::Behind { .. } => behind(&mut fields, message),
    };
    let data = match message.data() {
        Some(Data::Bytes(bytes)) => bytes.clone(),
        Some(Data::Zeros(_)) | None => Bytes::new(),
    };
    (Kind(kind), fields.0, data)
}

/// Regions of which others may be named as well.
fn superset(fields: &mut Writer, regions: &RegionSet) {
    fields.regions(&regions.within(RUNS_MAX));
}

fn place(fields: &mut Writer, sequence: u64, offset: u64) {
    fields.u64(sequence);
    fields.u64(offset);
}

fn greeting(fields: &mut Writer, message: &Message) -> u8 {
    if let Message::Greeting {
        view,
        incarnation,
        unsettled,
        window,
    } = message
    {
        fields.view(view);
        fields.u128(incarnation.0);
        superset(fields, unsettled);
        fields.u64(*window);
    }
    GREETING
}

fn behind(fields: &mut Writer, message: &Message) -> u8 {
    if let Message::Behind {
        bytes,
        ms,
        cut_unix_ms,
        rpo_kept,
    } = message
    {
        for number in [bytes, ms, cut_unix_ms] {
            fields.u64(*number);
        }
        fields.flag(*rpo_kept);
    }
    BEHIND
}

fn safety(durability: Durability) -> u8 {
    match durability {
        Durability::Cached => 0,
        Durability::Durable => 1,
        Durability::Atomic => 2,
    }
}

/// Zeros are a number of them, and another kind.
fn zeros(fields: &mut Writer, data: &Data, with_bytes: u8, with_zeros: u8) -> u8 {
    match data {
        Data::Bytes(_) => with_bytes,
        Data::Zeros(count) => {
            fields.u64(*count);
            with_zeros
        }
    }
}

fn number(fields: &mut Writer, number: u64, kind: u8) -> u8 {
    fields.u64(number);
    kind
}

/// The data of a frame, or the number of zeros that it says.
fn content(fields: &mut Reader, data: Bytes) -> Result<Data, FieldError> {
    if !data.is_empty() {
        return Ok(Data::Bytes(data));
    }
    match fields.u64()? {
        count @ 1..=ZEROS_MAX => Ok(Data::Zeros(count)),
        _ => Err(fields.wrong("so many zeros")),
    }
}

fn durability(fields: &mut Reader) -> Result<Durability, FieldError> {
    match fields.u8()? {
        0 => Ok(Durability::Cached),
        1 => Ok(Durability::Durable),
        2 => Ok(Durability::Atomic),
        _ => Err(fields.wrong("how safe the write has to be")),
    }
}

/// The message of a frame.
///
/// # Errors
///
/// What is wrong with it.
pub fn decode(frame: Frame) -> Result<Message, FieldError> {
    let kind = frame.kind.0;
    let mut fields = Reader::new(kind, frame.body);
    let data = frame.data;
    if matches!(kind, WRITE | COPY) == data.is_empty() {
        return Err(
            fields.wrong("data where there should be none, or none where there should be some")
        );
    }
    let message = match kind {
        GREETING => Message::Greeting {
            view: fields.view()?,
            incarnation: Incarnation(fields.u128()?),
            unsettled: fields.regions()?,
            window: fields.u64()?,
        },
        IN_STEP => Message::InStep,
        RESYNC => Message::Resync {
            resumes: fields.flag()?,
        },
        READY => Message::Ready {
            differing: match fields.flag()? {
                true => Differing::All,
                false => Differing::Regions(fields.regions()?),
            },
        },
        WRITE | WRITE_ZEROS => Message::Write {
            sequence: fields.u64()?,
            offset: fields.u64()?,
            durability: durability(&mut fields)?,
            data: content(&mut fields, data)?,
        },
        COPY | COPY_ZEROS => Message::Copy {
            sequence: fields.u64()?,
            offset: fields.u64()?,
            data: content(&mut fields, data)?,
        },
        WRITE_DONE => Message::WriteDone {
            sequence: fields.u64()?,
        },
        FLUSH => Message::Flush {
            sequence: fields.u64()?,
        },
        FLUSH_DONE => Message::FlushDone {
            sequence: fields.u64()?,
        },
        SETTLED => Message::Settled {
            regions: fields.regions()?,
        },
        ADOPT => Message::Adopt {
            lineage: fields.lineage()?,
        },
        CONFIRM => Message::Confirm {
            generation: GenerationId(fields.u128()?),
        },
        TAKE_OVER => Message::TakeOver,
        ASK_TO_TAKE_OVER => Message::AskToTakeOver {
            generation: GenerationId(fields.u128()?),
            unsettled: fields.regions()?,
        },
        DENY => Message::Deny,
        BEHIND => Message::Behind {
            bytes: fields.u64()?,
            ms: fields.u64()?,
            cut_unix_ms: fields.u64()?,
            rpo_kept: fields.flag()?,
        },
        _ => return Err(FieldError::Kind(kind)),
    };
    fields.end()?;
    Ok(message)
}
