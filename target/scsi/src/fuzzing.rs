//! What must hold for any command whatsoever, as a function that fuzzers and property tests share.
//!
//! Drives a logical unit with whatever bytes it is given, plays the transport and the store, and
//! asserts that every plan is one that they can execute blindly.

use bytes::Bytes;

use crate::alua::{AccessState, AlteredBy, GroupAccesses};
use crate::command::{Command, TaskAttribute};
use crate::commands::length_of;
use crate::config::{BlockSize, Identity, LogicalUnitConfig};
use crate::mode::ModeSaving;
use crate::nexus::{LuNexus, NexusId, NexusInfo, TargetPort};
use crate::opcodes;
use crate::plan::{Extent, LbaExtent, Operation, Outcome, Plan};
use crate::renewal::{MediumCondition, Renewal};
use crate::reply::{DataPieces, Reply};
use crate::reservation::{RecordUpdate, ReservationChange};
use crate::status::Status;
use crate::unit::{LogicalUnit, UnitState};

mod copy;

/// More steps than any command takes.
const MAX_STEPS: usize = 8;
/// Capacity of the unit that is driven, in blocks.
const BLOCKS: u64 = 4096;

/// Interprets `input` as a sequence of commands, their data-out and the outcomes of their
/// operations, and checks every answer.
///
/// # Panics
///
/// When an answer breaks a rule: that is a defect of this crate.
pub fn fuzz_commands(input: &[u8]) {
    let Some((&setup, mut input)) = input.split_first() else {
        return;
    };
    let unit = LogicalUnit::new(config(setup));
    let mut nexus = unit.attach(NexusInfo {
        id: NexusId(1),
        initiator_port: "iqn.2026-11.test:host,i,0x000000000001".to_owned(),
        target_port: target_port(1),
        read_only: setup & 0x08 != 0,
    });
    unit.set_target_ports((1..=3).map(target_port).collect());
    while let Some((record, rest)) = input.split_at_checked(RECORD) {
        input = drive(&unit, &mut nexus, record, rest);
    }
}

fn target_port(group: u16) -> TargetPort {
    TargetPort {
        target_name: "iqn.2026-11.test:target".to_owned(),
        relative_port_identifier: group,
        target_port_group: group,
    }
}

/// Bytes of one command: flags, outcome, expected length, CDB.
const RECORD: usize = 1 + 1 + 4 + 16;

fn config(setup: u8) -> LogicalUnitConfig {
    let block_size = if setup & 0x01 == 0 {
        BlockSize::B512
    } else {
        BlockSize::B4096
    };
    let identity = Identity::new(0x1234_5678, "serial");
    let mut config = LogicalUnitConfig::new(identity, block_size, BLOCKS);
    config.thin = setup & 0x02 == 0;
    config.read_only = setup & 0x04 != 0;
    config.limits.max_atomic_bytes = if setup & 0x20 != 0 { 64 << 10 } else { 0 };
    if setup & 0x10 != 0 {
        config.mode_saving = ModeSaving::Supported(None);
    }
    config
}

/// Runs one command to its end; its data-out is taken from the front of `rest`.
fn drive<'a>(unit: &LogicalUnit, nexus: &mut LuNexus, record: &[u8], rest: &'a [u8]) -> &'a [u8] {
    let (head, cdb) = record.split_at(RECORD - 16);
    let [flags, outcome, length @ ..] = head else {
        return rest;
    };
    let expected_length = length
        .iter()
        .fold(0, |all, byte| all << 8 | u32::from(*byte));
    unit.set_state(match flags >> 5 {
        0 => UnitState::BecomingReady,
        1 => UnitState::Fenced,
        _ => UnitState::Ready,
    });
    let command = Command {
        cdb,
        expected_length,
        read: flags & 0x01 != 0,
        write: flags & 0x02 != 0,
        attribute: if flags & 0x1c == 0 {
            TaskAttribute::Aca
        } else {
            TaskAttribute::Simple
        },
        luns: &[0, 0x0001_0000_0000_0000],
    };
    let mut rest = rest;
    let mut received = 0;
    let mut plan = unit.begin(nexus, &command);
    for _ in 0..MAX_STEPS {
        plan = match plan {
            Plan::Done(reply) => {
                check_reply(&command, &reply);
                check_field_pointer(&command, &reply.sense, received);
                return rest;
            }
            Plan::NeedData { length, pending } => {
                assert!(length > 0 && command.write && length <= expected_length);
                let (data, after) = data_out(rest, length);
                (rest, received) = (after, length);
                unit.data_out(nexus, pending, data)
            }
            Plan::Execute {
                operation,
                completion,
            } => {
                check_operation(unit, &operation);
                renew(unit, &operation, *outcome);
                let outcome = match &operation {
                    Operation::Copy { job } => copy::outcome(unit, nexus, job, *outcome),
                    Operation::PopulateToken { .. } | Operation::WriteUsingToken { .. } => {
                        copy::token_outcome(unit, nexus, &operation, *outcome)
                    }
                    Operation::ChangeReservations { change } => change_reservations(unit, change),
                    _ => self::outcome(&operation, *outcome),
                };
                if outcome == Outcome::Done {
                    settle(unit, &operation);
                }
                unit.finish(nexus, completion, outcome)
            }
        };
    }
    panic!("a command takes more than {MAX_STEPS} steps");
}

/// Makes a change of reservations as a store without failures does; what is kept can be read back.
fn change_reservations(unit: &LogicalUnit, change: &ReservationChange) -> Outcome {
    let done = unit.prepare_reservations(change).and_then(|prepared| {
        if let RecordUpdate::Replace(record) = prepared.record() {
            let other = LogicalUnit::new(unit.config().clone());
            assert_eq!(other.restore_reservations(record), Ok(()));
        }
        unit.commit_reservations(prepared)
    });
    match done {
        Ok(_) => Outcome::Done,
        Err(refused) => Outcome::ReservationsRefused(refused),
    }
}

/// What a shell has done for the unit when an operation succeeded.
fn settle(unit: &LogicalUnit, operation: &Operation) {
    match operation {
        Operation::SetAccessStates { states, nexus } => set_access_states(unit, states, *nexus),
        Operation::SetIdentifyingInformation {
            kind,
            information,
            nexus,
        } => {
            let whole = unit.identifying_information();
            let whole = whole.with(*kind, Some(information.clone()));
            assert_eq!(whole.get(*kind), Some(information));
            unit.set_identifying_information(whole, Some(*nexus));
        }
        _ => {}
    }
}

/// What a shell does for [`Operation::SetAccessStates`].
fn set_access_states(unit: &LogicalUnit, states: &[(u16, AccessState)], nexus: NexusId) {
    let groups = unit.target_port_groups().into_iter();
    let mut access: GroupAccesses = groups.map(|group| (group.number, group.access)).collect();
    for (group, state) in states {
        let entry = access.entry(*group).or_default();
        entry.state = *state;
        entry.altered_by = AlteredBy::Explicit;
    }
    assert_eq!(unit.begin_transition(access.clone()), Ok(()));
    unit.complete_transition(access, Some(nexus));
}

/// `length` bytes from the front of `input`, filled up with zeros, in two pieces.
fn data_out(input: &[u8], length: u32) -> (DataPieces, &[u8]) {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let (front, rest) = input.split_at(length.min(input.len()));
    let mut pieces = DataPieces::new();
    pieces.push(Bytes::copy_from_slice(front));
    pieces.push(Bytes::from(vec![0; length - front.len()]));
    (pieces, rest)
}

/// What the store says about an operation.
fn outcome(operation: &Operation, choice: u8) -> Outcome {
    match (choice % 16, operation) {
        (0, Operation::Compare { .. } | Operation::CompareAndWrite { .. }) => Outcome::Miscompare {
            offset: u64::from(choice),
        },
        (1, _) => Outcome::MediumError {
            offset: u64::from(choice),
        },
        (2, _) => Outcome::HardwareError,
        (3, _) => Outcome::SpaceExhausted,
        (4, _) => Outcome::Busy,
        (5, _) => Outcome::NotReady,
        (6, _) => Outcome::Aborted,
        (7, Operation::Renew { .. }) => Outcome::RenewalFailed,
        (_, Operation::Read { extent, .. }) => {
            let length = usize::try_from(extent.length).unwrap_or(usize::MAX);
            Outcome::Read(DataPieces::from_iter([Bytes::from(vec![0; length])]))
        }
        (_, Operation::Resources) => Outcome::Resources {
            used: u64::MAX >> (choice % 64),
            available: (choice < 0x80).then_some(u64::from(choice) << 40),
        },
        (_, Operation::Timestamp) => Outcome::Timestamp {
            milliseconds: u64::from(choice) << 44,
        },
        (_, Operation::LbaStatus { extent, most }) => lba_status(*extent, *most, choice),
        _ => Outcome::Done,
    }
}

/// A renewal ends at once, fails, or stays under way, as `choice` says.
fn renew(unit: &LogicalUnit, operation: &Operation, choice: u8) {
    match operation {
        Operation::Renew { renewal, .. } if choice & 0x20 != 0 => {
            unit.set_medium_condition(renewal.failed());
        }
        Operation::Renew { .. } if choice & 0x40 != 0 => unit.set_renewal_progress(0x8000),
        Operation::Renew { .. } | Operation::AcceptFailedRenewal => {
            unit.set_medium_condition(MediumCondition::Sound);
        }
        _ => {}
    }
}

/// Pieces of any length, which `choice` varies: empty ones, parts of blocks, too many, too long.
fn lba_status(extent: Extent, most: u32, choice: u8) -> Outcome {
    let pieces = (0..=most).map(|at| {
        let seed = at.wrapping_mul(0x9e37_79b9).rotate_left(u32::from(choice));
        LbaExtent {
            length: match seed % 8 {
                0 => 0,
                1 => extent.length,
                2..5 => u64::from(seed % 0x1000),
                _ => u64::from(seed % 16) << 12,
            },
            mapped: seed & 0x100 != 0,
        }
    });
    let count = usize::from(choice >> 3) * 12;
    Outcome::LbaStatus(pieces.take(count).collect())
}

/// A store executes operations blindly, so they must be whole.
fn check_operation(unit: &LogicalUnit, operation: &Operation) {
    let block = u64::from(unit.config().block_size.bytes());
    let check = |extent: &Extent| check_extent(unit, operation, extent);
    let transfer = |extent: &Extent| {
        check(extent);
        assert!(extent.length <= u64::from(unit.config().limits.max_transfer_bytes));
    };
    match operation {
        Operation::Read { extent, .. } | Operation::Verify { extent } => transfer(extent),
        Operation::Write { extent, data, .. }
        | Operation::Compare { extent, data }
        | Operation::OrWrite { extent, data, .. }
        | Operation::WriteAtomic { extent, data }
        | Operation::CompareAndWrite { extent, data, .. } => {
            transfer(extent);
            assert_eq!(length_of(data), extent.length);
            check_atomic(unit, operation);
        }
        Operation::Flush { extent } => check(extent),
        Operation::LbaStatus { extent, most } => {
            check(extent);
            assert_eq!(extent.end(), unit.blocks() * block);
            assert!((1..=256).contains(most) && unit.config().thin);
        }
        Operation::Unmap { extents } => {
            assert!(!extents.is_empty() && unit.config().thin);
            extents.iter().for_each(check);
            let blocks: u64 = extents.iter().map(|extent| extent.length / block).sum();
            assert!(blocks <= u64::from(unit.config().limits.max_unmap_blocks));
        }
        Operation::WriteSame {
            extent,
            block: data,
            unmap,
            ..
        } => {
            check(extent);
            assert_eq!(data.len() as u64, block);
            assert!(extent.length / block <= u64::from(unit.config().limits.max_write_same_blocks));
            assert!(!unmap || (unit.config().thin && data.iter().all(|byte| *byte == 0)));
        }
        Operation::Renew {
            renewal, before, ..
        } => {
            assert!(!before.is_under_way());
            check_renewal(unit, renewal);
        }
        Operation::Resources => assert!(unit.config().thin),
        Operation::AcceptFailedRenewal => {
            let failed = MediumCondition::SanitizeFailed { unrestricted: true };
            assert_eq!(unit.medium_condition(), failed);
        }
        Operation::Copy { .. }
        | Operation::PopulateToken { .. }
        | Operation::WriteUsingToken { .. } => copy::check(operation, check),
        Operation::ChangeReservations { .. } | Operation::Timestamp => {}
        Operation::SetIdentifyingInformation {
            kind,
            information,
            nexus,
        } => assert!(kind.admits(information) && *nexus == NexusId(1)),
        Operation::SetAccessStates { states, nexus } => check_states(states, *nexus),
        Operation::SaveModeParameters { .. } => {
            assert_ne!(unit.config().mode_saving, ModeSaving::NotSupported);
        }
    }
}

/// What is atomic has limits of its own.
fn check_atomic(unit: &LogicalUnit, operation: &Operation) {
    match operation {
        Operation::CompareAndWrite {
            extent, expected, ..
        } => {
            let block = u64::from(unit.config().block_size.bytes());
            assert!(extent.length / block <= 255);
            assert_eq!(length_of(expected), extent.length);
        }
        Operation::WriteAtomic { extent, .. } => {
            assert!(extent.length <= u64::from(unit.config().limits.max_atomic_bytes));
        }
        _ => {}
    }
}

fn check_extent(unit: &LogicalUnit, operation: &Operation, extent: &Extent) {
    let block = u64::from(unit.config().block_size.bytes());
    assert!(extent.length > 0, "empty: {operation:?}");
    assert!(
        extent.end() <= unit.blocks() * block,
        "outside: {operation:?}"
    );
    assert!(extent.offset.is_multiple_of(block) && extent.length.is_multiple_of(block));
}

fn check_renewal(unit: &LogicalUnit, renewal: &Renewal) {
    assert!(unit.medium_condition() == renewal.under_way());
    if let Renewal::Overwrite {
        pattern, passes, ..
    } = renewal
    {
        let block = u64::from(unit.config().block_size.bytes());
        assert!((1..=block).contains(&(pattern.len() as u64)));
        assert!((1..=31).contains(passes));
    }
}

/// Groups of the unit, each once, and states that last.
fn check_states(states: &[(u16, AccessState)], nexus: NexusId) {
    assert!(!states.is_empty() && nexus == NexusId(1));
    for (at, (group, state)) in states.iter().enumerate() {
        assert!((1..=3).contains(group) && AccessState::LASTING.contains(state));
        assert!(states.iter().skip(at + 1).all(|(other, _)| other != group));
    }
}

/// Sense data goes with CHECK CONDITION and only with it, and parameter data stays inside its
/// allocation length.
fn check_reply(command: &Command<'_>, reply: &Reply) {
    let length = reply
        .data_in
        .iter()
        .map(|piece| piece.len() as u64)
        .sum::<u64>();
    assert!(length <= reply.transfer_length);
    match (reply.status, reply.sense.as_ref()) {
        // A copy that failed has what another unit said behind its own 18 bytes.
        (Status::CHECK_CONDITION, [0x70 | 0xf0, _, key, _, _, _, _, length, tail @ ..]) => {
            assert!(tail.len() == usize::from(*length) && *length >= 10 && *key < 16);
            assert!(*length == 10 || *key == 0xa);
        }
        (Status::CHECK_CONDITION, [0x72, key, _, _, 0, 0, 0, length, tail @ ..]) => {
            assert!(usize::from(*length) == tail.len() && *key < 16);
        }
        (Status::CHECK_CONDITION, sense) => panic!("malformed sense data {sense:02x?}"),
        (_, sense) => assert!(sense.is_empty()),
    }
    if reply.status != Status::GOOD {
        assert_eq!(length, 0, "data with {:?}", reply.status);
    } else if let Some(allocation_length) = allocation_length(command.cdb) {
        assert!(
            length <= allocation_length,
            "{length} bytes of {allocation_length}"
        );
    }
    if reply.status == Status::GOOD && command.cdb.starts_with(&[0x9e, 0x12]) {
        check_lba_status(command.cdb, &reply.data_in.concat());
    }
}

/// A field pointer of an ILLEGAL REQUEST lies inside the CDB, or inside the parameter list that came.
fn check_field_pointer(command: &Command<'_>, sense: &[u8], received: u32) {
    const ILLEGAL_REQUEST: u8 = 5;
    const SKSV: u8 = 0x80;
    const IN_CDB: u8 = 0x40;
    let specific = match sense {
        [0x70 | 0xf0, _, ILLEGAL_REQUEST, ..] => sense.get(15..18),
        [0x72, ILLEGAL_REQUEST, _, _, _, _, _, _, descriptors @ ..] => {
            let mut rest = descriptors;
            let mut found = None;
            while let [kind, length, ..] = rest {
                if *kind == 0x02 {
                    found = rest.get(4..7);
                }
                rest = rest.get(2 + usize::from(*length)..).unwrap_or_default();
            }
            found
        }
        _ => None,
    };
    let Some([flags, high, low]) = specific else {
        return;
    };
    if flags & SKSV == 0 {
        return;
    }
    let byte = u32::from(u16::from_be_bytes([*high, *low]));
    let length = if flags & IN_CDB == 0 {
        received
    } else {
        let operation_code = command.cdb.first().copied().unwrap_or(0);
        let known = opcodes::entries(operation_code).next();
        known.map_or(16, |opcode| {
            u32::try_from(opcode.cdb_length()).unwrap_or(16)
        })
    };
    assert!(
        byte < length,
        "a pointer to byte {byte} of {length}: {sense:02x?}"
    );
}

/// The first descriptor starts where the CDB does, and every other where the one before it ends.
fn check_lba_status(cdb: &[u8], data: &[u8]) {
    let number = |bytes: Option<&[u8]>| {
        let bytes = bytes.unwrap_or_default().iter();
        bytes.fold(0, |all, byte| all << 8 | u64::from(*byte))
    };
    let Some((header, descriptors)) = data.split_at_checked(8) else {
        return;
    };
    let length = number(header.get(..4));
    assert!(length >= 20 && length % 16 == 4, "{data:02x?}");
    assert!(data.len() as u64 <= length + 4, "{data:02x?}");
    let mut next = number(cdb.get(2..10));
    for descriptor in descriptors.chunks_exact(16) {
        assert_eq!(number(descriptor.get(..8)), next, "{data:02x?}");
        let blocks = number(descriptor.get(8..12));
        next += blocks;
        assert!(blocks > 0 && next <= BLOCKS, "{data:02x?}");
        assert!(number(descriptor.get(12..)) & !0x0100_0000 == 0);
    }
}

/// The ALLOCATION LENGTH of commands that have one.
fn allocation_length(cdb: &[u8]) -> Option<u64> {
    let field = |at: usize, bytes: usize| {
        cdb.get(at..at + bytes).map(|field| {
            field
                .iter()
                .fold(0, |all, byte| all << 8 | u64::from(*byte))
        })
    };
    match cdb.first()? {
        0x03 | 0x1a => field(4, 1),
        0x12 => field(3, 2),
        0x1c => field(3, 2),
        0x37 | 0x4d | 0x5a => field(7, 2),
        0x84 | 0x9e => field(10, 4),
        0x5e => field(7, 2),
        0xa0 | 0xa3 | 0xb7 => field(6, 4),
        0x25 => Some(8),
        _ => None,
    }
}
