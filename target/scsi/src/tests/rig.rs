//! A logical unit with a memory medium and a model of what is durable, driven by CDBs.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::sense::AdditionalSense;
use crate::{
    AccessState, AlteredBy, BlockSize, Command, Extent, GroupAccesses, Identity, LbaExtent,
    LogicalUnit, LogicalUnitConfig, LuNexus, NexusId, NexusInfo, Operation, Outcome, Plan,
    RecordUpdate, Reply, ReservationChange, Status, TargetPort, TaskAttribute,
};

pub(super) const BLOCKS: u64 = 2048;
/// What the medium allocates at once, in bytes.
pub(super) const GRAIN: usize = 512;
pub(super) const LUNS: [u64; 2] = [0, 0x0003_0000_0000_0000];

/// What the device clock says, in milliseconds.
pub(super) const TIMESTAMP: u64 = 0x0192_0304_0506;

/// The unit, its nexuses (the first has no unit attention pending) and its medium.
pub(super) struct Rig {
    pub(super) unit: LogicalUnit,
    pub(super) nexuses: Vec<LuNexus>,
    pub(super) medium: Vec<u8>,
    /// Of every [`GRAIN`] bytes of the medium, whether they take up space.
    pub(super) mapped: Vec<bool>,
    /// What a power loss would leave.
    pub(super) durable: Vec<u8>,
    /// Operations in the order in which they were executed.
    pub(super) log: Vec<Operation>,
    /// What is kept of reservations over a loss of power.
    pub(super) record: Option<Vec<u8>>,
    /// Whose tasks the last change of reservations ended.
    pub(super) aborted: Vec<NexusId>,
    /// Outcomes of the next operations, in place of what the medium says.
    pub(super) outcomes: VecDeque<Outcome>,
}

pub(super) fn config() -> LogicalUnitConfig {
    let identity = Identity::new(0xabc, "SERIAL-1");
    let mut config = LogicalUnitConfig::new(identity, BlockSize::B512, BLOCKS);
    config.limits.max_atomic_bytes = 1 << 20;
    config
}

pub(super) fn nexus_info(id: u64) -> NexusInfo {
    NexusInfo {
        id: NexusId(id),
        initiator_port: format!("iqn.2026-11.test:host{id},i,0x{id:012x}"),
        target_port: TargetPort {
            target_name: "iqn.2026-11.test:disk".to_owned(),
            relative_port_identifier: 7,
            target_port_group: 2,
        },
        read_only: false,
    }
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut LogicalUnitConfig)) -> Self {
        let mut config = config();
        change(&mut config);
        let bytes = usize::try_from(config.blocks).unwrap() << config.block_size.shift();
        let unit = LogicalUnit::new(config);
        let nexus = unit.attach(nexus_info(1));
        let mut rig = Self {
            unit,
            nexuses: vec![nexus],
            medium: vec![0; bytes],
            mapped: vec![false; bytes / GRAIN],
            durable: vec![0; bytes],
            log: Vec::new(),
            record: None,
            aborted: Vec::new(),
            outcomes: VecDeque::new(),
        };
        assert_eq!(rig.none(&[0; 6]).status, Status::CHECK_CONDITION);
        rig
    }

    /// Attaches one more nexus, with its unit attention still pending.
    pub(super) fn attach(&mut self) -> usize {
        let id = self.nexuses.len() as u64 + 1;
        self.nexuses.push(self.unit.attach(nexus_info(id)));
        self.nexuses.len() - 1
    }

    /// A command without data.
    pub(super) fn none(&mut self, cdb: &[u8]) -> Reply {
        self.run(0, cdb, false, false, 0, &[])
    }

    /// A command with room for a mebibyte of data-in.
    pub(super) fn read(&mut self, cdb: &[u8]) -> Reply {
        self.run(0, cdb, true, false, 1 << 20, &[])
    }

    /// The data-in of a command that must succeed.
    pub(super) fn data(&mut self, cdb: &[u8]) -> Vec<u8> {
        let reply = self.read(cdb);
        assert_good(&reply);
        bytes_of(&reply)
    }

    /// A command with data-out.
    pub(super) fn write(&mut self, cdb: &[u8], data: &[u8]) -> Reply {
        self.run(
            0,
            cdb,
            false,
            true,
            u32::try_from(data.len()).unwrap(),
            data,
        )
    }

    /// A command of any nexus with any flags.
    pub(super) fn run(
        &mut self,
        nexus: usize,
        cdb: &[u8],
        read: bool,
        write: bool,
        expected_length: u32,
        data: &[u8],
    ) -> Reply {
        let attribute = TaskAttribute::Simple;
        let command = Command {
            cdb,
            expected_length,
            read,
            write,
            attribute,
            luns: &LUNS,
        };
        let mut plan = self.unit.begin(&mut self.nexuses[nexus], &command);
        loop {
            plan = match plan {
                Plan::Done(reply) => return reply,
                Plan::NeedData { length, pending } => {
                    let data = &data[..length as usize];
                    // Two pieces, as a receive buffer may end anywhere.
                    let (front, back) = data.split_at(data.len() / 3);
                    let pieces = [front, back]
                        .map(Bytes::copy_from_slice)
                        .into_iter()
                        .collect();
                    self.unit
                        .data_out(&mut self.nexuses[nexus], pending, pieces)
                }
                Plan::Execute {
                    operation,
                    completion,
                } => {
                    self.log.push(operation.clone());
                    let outcome = self.outcomes.pop_front();
                    let outcome = outcome.unwrap_or_else(|| self.execute(operation));
                    self.unit
                        .finish(&mut self.nexuses[nexus], completion, outcome)
                }
            };
        }
    }

    fn execute(&mut self, operation: Operation) -> Outcome {
        match operation {
            Operation::Read { extent, .. } => {
                let bytes = Bytes::copy_from_slice(&self.medium[range(extent)]);
                return Outcome::Read([bytes].into_iter().collect());
            }
            Operation::Write { extent, data, fua } => {
                self.medium[range(extent)].copy_from_slice(&data.concat());
                self.map(extent, true);
                self.settle(extent, fua);
            }
            // Whoever tests these says how they go on.
            Operation::Renew { .. } | Operation::AcceptFailedRenewal => {}
            Operation::ChangeReservations { change } => {
                return self.change_reservations(&change);
            }
            Operation::Verify { .. } | Operation::SaveModeParameters { .. } => {}
            Operation::SetAccessStates { states, nexus } => self.set_states(&states, Some(nexus)),
            Operation::Compare { .. }
            | Operation::CompareAndWrite { .. }
            | Operation::OrWrite { .. }
            | Operation::WriteAtomic { .. } => return self.compare_or_merge(operation),
            Operation::LbaStatus { extent, most } => return self.lba_status(extent, most),
            Operation::Resources => {
                let grains = self.mapped.iter().filter(|mapped| **mapped).count();
                return Outcome::Resources {
                    used: (grains * GRAIN) as u64,
                    available: Some(5 << 20),
                };
            }
            Operation::SetIdentifyingInformation {
                kind,
                information,
                nexus,
            } => {
                let whole = self.unit.identifying_information();
                let whole = whole.with(kind, Some(information));
                self.unit.set_identifying_information(whole, Some(nexus));
            }
            Operation::Timestamp => {
                return Outcome::Timestamp {
                    milliseconds: TIMESTAMP,
                };
            }
            Operation::Flush { extent } => self.settle(extent, true),
            Operation::Copy { .. }
            | Operation::PopulateToken { .. }
            | Operation::WriteUsingToken { .. } => {
                return super::copy::execute(&self.unit, operation, &mut self.medium);
            }
            Operation::Unmap { extents } => {
                for extent in extents {
                    self.medium[range(extent)].fill(0);
                    self.map(extent, false);
                }
            }
            Operation::WriteSame {
                extent,
                block,
                fua,
                unmap,
            } => {
                for chunk in self.medium[range(extent)].chunks_mut(block.len()) {
                    chunk.copy_from_slice(&block);
                }
                self.map(extent, !unmap);
                self.settle(extent, fua);
            }
        }
        Outcome::Done
    }

    /// One piece for every grain: who asks has to put them together.
    fn lba_status(&self, extent: Extent, most: u32) -> Outcome {
        let grains = self.mapped[grains(extent)].chunk_by(PartialEq::eq);
        let pieces = grains.take(most as usize).flatten();
        Outcome::LbaStatus(
            pieces
                .map(|mapped| LbaExtent {
                    length: GRAIN as u64,
                    mapped: *mapped,
                })
                .collect(),
        )
    }

    fn compare_or_merge(&mut self, operation: Operation) -> Outcome {
        match operation {
            Operation::Compare { extent, data } => {
                let there = &self.medium[range(extent)];
                let differs = data.concat().iter().zip(there).position(|(a, b)| a != b);
                if let Some(offset) = differs {
                    return Outcome::Miscompare {
                        offset: offset as u64,
                    };
                }
                Outcome::Done
            }
            Operation::CompareAndWrite {
                extent,
                expected,
                data,
                fua,
            } => {
                let compare = Operation::Compare {
                    extent,
                    data: expected,
                };
                match self.execute(compare) {
                    Outcome::Done => self.execute(Operation::Write { extent, data, fua }),
                    miscompare => miscompare,
                }
            }
            Operation::WriteAtomic { extent, data } => self.execute(Operation::Write {
                extent,
                data,
                fua: true,
            }),
            Operation::OrWrite { extent, data, fua } => {
                let there = &self.medium[range(extent)];
                let merged = there
                    .iter()
                    .zip(data.concat())
                    .map(|(old, bits)| old | bits);
                let data = [merged.collect::<Bytes>()].into_iter().collect();
                self.execute(Operation::Write { extent, data, fua })
            }
            other => panic!("{other:?}"),
        }
    }

    fn change_reservations(&mut self, change: &ReservationChange) -> Outcome {
        let done = self.unit.prepare_reservations(change).and_then(|prepared| {
            match prepared.record() {
                RecordUpdate::Keep => {}
                RecordUpdate::Remove => self.record = None,
                RecordUpdate::Replace(record) => self.record = Some(record.clone()),
            }
            self.unit.commit_reservations(prepared)
        });
        match done {
            Ok(aborted) => {
                self.aborted = aborted;
                Outcome::Done
            }
            Err(refused) => Outcome::ReservationsRefused(refused),
        }
    }

    /// Sets access states as a shell does: for `nexus`, or by itself.
    pub(super) fn set_states(&self, states: &[(u16, AccessState)], nexus: Option<NexusId>) {
        let groups = self.unit.target_port_groups().into_iter();
        let mut access: GroupAccesses = groups.map(|group| (group.number, group.access)).collect();
        for (group, state) in states {
            let entry = access.entry(*group).or_default();
            entry.state = *state;
            entry.altered_by = if nexus.is_some() {
                AlteredBy::Explicit
            } else {
                AlteredBy::Implicit
            };
        }
        self.unit.begin_transition(access.clone()).unwrap();
        self.unit.complete_transition(access, nexus);
    }

    /// Attaches one more nexus that comes through another group.
    pub(super) fn attach_through(&mut self, target_port: TargetPort) -> usize {
        let id = self.nexuses.len() as u64 + 1;
        let info = NexusInfo {
            target_port,
            ..nexus_info(id)
        };
        self.nexuses.push(self.unit.attach(info));
        self.nexuses.len() - 1
    }

    fn map(&mut self, extent: Extent, mapped: bool) {
        self.mapped[grains(extent)].fill(mapped);
    }

    fn settle(&mut self, extent: Extent, durable: bool) {
        if durable {
            self.durable[range(extent)].copy_from_slice(&self.medium[range(extent)]);
        }
    }
}

fn range(extent: Extent) -> std::ops::Range<usize> {
    usize::try_from(extent.offset).unwrap()..usize::try_from(extent.end()).unwrap()
}

/// What of [`Rig::mapped`] stands for `extent`.
fn grains(extent: Extent) -> std::ops::Range<usize> {
    let bytes = range(extent);
    bytes.start / GRAIN..bytes.end / GRAIN
}

pub(super) fn bytes_of(reply: &Reply) -> Vec<u8> {
    reply.data_in.concat()
}

#[track_caller]
pub(super) fn assert_good(reply: &Reply) {
    assert_eq!(reply.status, Status::GOOD, "{:02x?}", reply.sense);
    assert!(reply.sense.is_empty());
}

/// Fixed format sense data with this key and code.
#[track_caller]
pub(super) fn assert_sense(reply: &Reply, key: u8, additional: AdditionalSense) {
    assert_eq!(reply.status, Status::CHECK_CONDITION);
    assert!(reply.data_in.is_empty());
    let sense = &reply.sense;
    assert_eq!(sense.len(), 18);
    let found = (sense[0] & 0x7f, sense[2], sense[12], sense[13]);
    assert_eq!(found, (0x70, key, additional.code, additional.qualifier));
}

/// INVALID FIELD IN CDB that points at `byte` and, for a part of a byte, at `bit`.
#[track_caller]
pub(super) fn assert_invalid_field(reply: &Reply, byte: u16, bit: Option<u8>) {
    assert_sense(reply, 5, AdditionalSense::INVALID_FIELD_IN_CDB);
    assert_pointer(reply, 0xc0, byte, bit);
}

/// INVALID FIELD IN PARAMETER LIST that points at `byte` and, for a part of a byte, at `bit`.
#[track_caller]
pub(super) fn assert_invalid_parameter(reply: &Reply, byte: u16, bit: Option<u8>) {
    assert_sense(reply, 5, AdditionalSense::INVALID_FIELD_IN_PARAMETER_LIST);
    assert_pointer(reply, 0x80, byte, bit);
}

#[track_caller]
fn assert_pointer(reply: &Reply, area: u8, byte: u16, bit: Option<u8>) {
    let flags = area | bit.map_or(0, |bit| 0x08 | bit);
    let [high, low] = byte.to_be_bytes();
    assert_eq!(
        reply.sense[15..18],
        [flags, high, low],
        "{:02x?}",
        reply.sense
    );
}

/// LBA OUT OF RANGE.
#[track_caller]
pub(super) fn assert_out_of_range(reply: &Reply) {
    assert_sense(
        reply,
        5,
        AdditionalSense::LOGICAL_BLOCK_ADDRESS_OUT_OF_RANGE,
    );
}

/// A CDB of 6, 10, 12 or 16 bytes for blocks, told apart by `opcode`.
pub(super) fn block_cdb(opcode: u8, flags: u8, lba: u64, blocks: u32) -> Vec<u8> {
    let lba4 = u32::try_from(lba & 0xffff_ffff).unwrap().to_be_bytes();
    let blocks4 = blocks.to_be_bytes();
    let mut cdb = vec![opcode, flags];
    match opcode >> 5 {
        0 => {
            cdb[1] |= lba4[1];
            cdb.extend([lba4[2], lba4[3], blocks4[3], 0]);
        }
        1 | 2 => {
            cdb.extend(lba4);
            cdb.push(0);
            cdb.extend([blocks4[2], blocks4[3], 0]);
        }
        5 => {
            cdb.extend(lba4);
            cdb.extend(blocks4);
            cdb.extend([0, 0]);
        }
        _ => {
            cdb.extend(lba.to_be_bytes());
            cdb.extend(blocks4);
            cdb.extend([0, 0]);
        }
    }
    cdb
}
