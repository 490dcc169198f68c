//! What is kept of an end beside the data, as bytes: the durable state, and the changes of it. Whoever keeps them
//! checks that they are what was written; `docs/mirror-journal.md` has them all.

use std::collections::BTreeSet;

use bytes::Bytes;
use thiserror::Error;

use crate::association::{Durable, JournalEntry};
use crate::generation::{Record, View};
use crate::id::GenerationId;
use crate::link::{FieldError, Reader, Writer};
use crate::region_log::{LogEntry, RegionLog, TRACKED_MAX};

/// How many peers may have a generation.
const HOLDERS_MAX: usize = 1024;
/// A set of regions is as long as it is; the bytes that it comes in are bounded.
const RUNS_MAX: usize = usize::MAX / 16;

const RECORD: u8 = 1;
const RECORD_AND_TRACK: u8 = 2;
const HEAT: u8 = 3;
const COOL: u8 = 4;
const TRACK: u8 = 5;
const RECEIVED: u8 = 6;

/// Why bytes are no state, or no change of one: another version wrote them, or there is a defect.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("what is stored of the mirror can't be read: {0}")]
pub struct StoredError(FieldError);

impl From<FieldError> for StoredError {
    fn from(error: FieldError) -> Self {
        Self(error)
    }
}

/// The bytes of a change.
#[must_use]
pub fn encode_entry(entry: &JournalEntry) -> Vec<u8> {
    let mut fields = Writer::default();
    match entry {
        JournalEntry::Record { record, track } => {
            fields.u8(track.map_or(RECORD, |_| RECORD_AND_TRACK));
            if let Some(generation) = track {
                fields.u128(generation.0);
            }
            write_record(&mut fields, record);
        }
        JournalEntry::Log(LogEntry::Track(generation)) => {
            fields.u8(TRACK);
            fields.u128(generation.0);
        }
        JournalEntry::Log(
            entry @ (LogEntry::Heat(regions)
            | LogEntry::Cool(regions)
            | LogEntry::Received(regions)),
        ) => {
            fields.u8(match entry {
                LogEntry::Heat(_) => HEAT,
                LogEntry::Cool(_) => COOL,
                LogEntry::Received(_) | LogEntry::Track(_) => RECEIVED,
            });
            fields.regions(regions);
        }
    }
    fields.0
}

/// The change that these bytes are.
///
/// # Errors
///
/// They are none.
pub fn decode_entry(bytes: Bytes) -> Result<JournalEntry, StoredError> {
    let kind = bytes.first().copied().unwrap_or_default();
    let mut fields = Reader::new(kind, bytes);
    let entry = match fields.u8()? {
        RECORD => JournalEntry::Record {
            record: read_record(&mut fields)?,
            track: None,
        },
        RECORD_AND_TRACK => {
            let track = Some(GenerationId(fields.u128()?));
            let record = read_record(&mut fields)?;
            JournalEntry::Record { record, track }
        }
        HEAT => JournalEntry::Log(LogEntry::Heat(fields.regions_within(RUNS_MAX)?)),
        COOL => JournalEntry::Log(LogEntry::Cool(fields.regions_within(RUNS_MAX)?)),
        TRACK => JournalEntry::Log(LogEntry::Track(GenerationId(fields.u128()?))),
        RECEIVED => JournalEntry::Log(LogEntry::Received(fields.regions_within(RUNS_MAX)?)),
        _ => return Err(fields.wrong("no such change").into()),
    };
    fields.end()?;
    Ok(entry)
}

/// The bytes of the whole state.
#[must_use]
pub fn encode_durable(durable: &Durable) -> Vec<u8> {
    let mut fields = Writer::default();
    write_record(&mut fields, &durable.record);
    fields.regions(durable.log.hot());
    fields.u32(u32::try_from(durable.log.tracked().count()).unwrap_or(u32::MAX));
    for (generation, regions) in durable.log.tracked() {
        fields.u128(generation.0);
        fields.regions(regions);
    }
    fields.0
}

/// The state that these bytes are.
///
/// # Errors
///
/// They are none.
pub fn decode_durable(bytes: Bytes) -> Result<Durable, StoredError> {
    let mut fields = Reader::new(0, bytes);
    let record = read_record(&mut fields)?;
    let hot = fields.regions_within(RUNS_MAX)?;
    let count = fields.u32()?;
    if usize::try_from(count).map_or(true, |it| it > TRACKED_MAX) {
        return Err(fields.wrong("more generations than are tracked").into());
    }
    let mut tracked = Vec::new();
    for _ in 0..count {
        let generation = GenerationId(fields.u128()?);
        tracked.push((generation, fields.regions_within(RUNS_MAX)?));
    }
    fields.end()?;
    let log = RegionLog::with(hot, tracked);
    Ok(Durable { record, log })
}

fn write_record(fields: &mut Writer, record: &Record) {
    fields.view(&record.view());
    let holders: Vec<_> = record.holders.iter().copied().collect();
    fields.nodes(&holders);
}

fn read_record(fields: &mut Reader) -> Result<Record, FieldError> {
    let View {
        lineage,
        role,
        receiving,
        yielded,
    } = fields.view()?;
    let holders: BTreeSet<_> = fields.nodes(HOLDERS_MAX)?.into_iter().collect();
    Ok(Record {
        lineage,
        role,
        holders,
        receiving,
        yielded,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::generation::{Generation, Lineage, Receiving, Role, Why};
    use crate::id::{Incarnation, NodeId};
    use crate::region::{Region, RegionSet};

    fn regions() -> impl Strategy<Value = RegionSet> {
        prop::collection::vec(0_u64..100, 0..10)
            .prop_map(|all| all.into_iter().map(Region).collect())
    }

    fn record() -> impl Strategy<Value = Record> {
        let numbers = prop::collection::btree_set(any::<u128>(), 0..5);
        let holders = prop::collection::btree_set(any::<u128>().prop_map(NodeId), 0..3);
        let receiving = prop::option::of((any::<u128>(), any::<bool>()));
        (numbers, holders, receiving, any::<bool>(), any::<bool>()).prop_map(
            |(numbers, holders, receiving, source, yielded)| Record {
                lineage: Lineage::new(numbers.into_iter().map(|it| Generation {
                    id: GenerationId(it),
                    by: NodeId(7),
                    why: Why::Cut,
                })),
                role: if source { Role::Source } else { Role::Target },
                holders,
                receiving: receiving.map(|(number, snapshot)| Receiving {
                    from: NodeId(number),
                    incarnation: Incarnation(number ^ 1),
                    generation: GenerationId(number ^ 2),
                    snapshot,
                }),
                yielded,
            },
        )
    }

    fn entry() -> impl Strategy<Value = JournalEntry> {
        let track = prop::option::of(any::<u128>().prop_map(GenerationId));
        prop_oneof![
            (record(), track).prop_map(|(record, track)| JournalEntry::Record { record, track }),
            regions().prop_map(|it| JournalEntry::Log(LogEntry::Heat(it))),
            regions().prop_map(|it| JournalEntry::Log(LogEntry::Cool(it))),
            regions().prop_map(|it| JournalEntry::Log(LogEntry::Received(it))),
            any::<u128>().prop_map(|it| JournalEntry::Log(LogEntry::Track(GenerationId(it)))),
        ]
    }

    proptest! {
        #[test]
        fn changes_and_what_they_lead_to_come_back_the_same(
            first in record(),
            entries in prop::collection::vec(entry(), 0..30),
        ) {
            let mut durable = Durable::new(first);
            for entry in entries {
                prop_assert_eq!(&decode_entry(encode_entry(&entry).into()).unwrap(), &entry);
                durable.apply(&entry);
                let mut again = decode_durable(encode_durable(&durable).into()).unwrap();
                prop_assert_eq!(&again, &durable);
                // And goes on as the other does.
                let track = JournalEntry::Log(LogEntry::Track(GenerationId(5)));
                let mut other = durable.clone();
                again.apply(&track);
                other.apply(&track);
                prop_assert_eq!(again, other);
            }
        }

        #[test]
        fn any_bytes_are_refused_or_something(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(entry) = decode_entry(bytes.clone().into()) {
                prop_assert_eq!(&decode_entry(encode_entry(&entry).into()).unwrap(), &entry);
            }
            let _ = decode_durable(bytes.into());
        }
    }
}
