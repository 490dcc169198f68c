//! Whatever arrives, the answer is well formed.

use proptest::prelude::*;

use super::rig::block_cdb;
use crate::fuzz_commands;
use crate::opcodes::TABLE;

/// A record of the fuzz format whose CDB starts with a supported operation code, and whose other
/// bytes lean to small values, so that the checks behind the first ones are reached as well.
fn record() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => Just(0_u8), 2 => 0_u8..4, 1 => any::<u8>()];
    let length = prop_oneof![
        2 => Just(512_u32),
        2 => Just(4096),
        2 => 0_u32..64,
        1 => (0_u32..40).prop_map(|blocks| blocks * 512),
        1 => 0_u32..0x10_0000,
    ];
    let flags = prop_oneof![6 => Just(0xe7_u8), 1 => any::<u8>()];
    let outcome = prop_oneof![4 => Just(15_u8), 1 => any::<u8>()];
    let cdb = prop::collection::vec(byte.clone(), 15);
    let data = prop::collection::vec(byte, 0..80);
    (flags, outcome, length, 0..TABLE.len(), cdb, data).prop_map(
        |(flags, outcome, length, index, cdb, data)| {
            let entry = &TABLE[index];
            let mut record = vec![flags, outcome];
            record.extend(length.to_be_bytes());
            record.push(entry.operation_code);
            record.extend(cdb);
            if let Some(action) = entry.service_action {
                record[7] = u8::try_from(action).unwrap();
            }
            record.extend(data);
            record
        },
    )
}

/// GET LBA STATUS with an address around the unit's, and any outcome.
fn get_lba_status() -> impl Strategy<Value = Vec<u8>> {
    let allocation_length = prop_oneof![3 => 0_u32..5000, 1 => any::<u32>()];
    (any::<u8>(), 0_u64..5000, allocation_length).prop_map(|(outcome, lba, allocation_length)| {
        let mut record = vec![0xe5, outcome];
        record.extend(allocation_length.to_be_bytes());
        record.extend(block_cdb(0x9e, 0x12, lba, allocation_length));
        record
    })
}

/// A segment descriptor that is nearly right.
fn segment() -> impl Strategy<Value = Vec<u8>> {
    let lba = prop_oneof![4 => 0_u64..4200, 1 => any::<u64>()];
    let id = prop_oneof![3 => Just(0_u16), 3 => Just(1), 3 => Just(0xffff), 1 => any::<u16>()];
    let amount =
        prop_oneof![4 => 0_u32..5000, 2 => (0_u32..100).prop_map(|n| n * 4096), 1 => any::<u32>()];
    let offset = prop_oneof![3 => Just(0_u16), 1 => any::<u16>()];
    (
        any::<bool>(),
        0_u8..4,
        (id.clone(), id),
        amount,
        (lba.clone(), lba),
        (offset.clone(), offset),
    )
        .prop_map(|(bytes, flags, ids, amount, lbas, offsets)| {
            let mut segment = if bytes {
                vec![0x0a, flags, 0, 0x1c]
            } else {
                vec![0x02, flags, 0, 0x18]
            };
            segment.extend(ids.0.to_be_bytes());
            segment.extend(ids.1.to_be_bytes());
            segment.extend(if bytes { amount } else { amount & 0xffff }.to_be_bytes());
            segment.extend(lbas.0.to_be_bytes());
            segment.extend(lbas.1.to_be_bytes());
            if bytes {
                segment.extend(offsets.0.to_be_bytes());
                segment.extend(offsets.1.to_be_bytes());
            }
            segment
        })
}

/// EXTENDED COPY with descriptors that are nearly right, of either format.
fn extended_copy() -> impl Strategy<Value = Vec<u8>> {
    let segments = prop::collection::vec(segment(), 0..4);
    let block_length = prop_oneof![Just(0_u32), Just(512), Just(4096)];
    let damage = prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>()));
    (
        any::<u8>(),
        any::<bool>(),
        0_u8..4,
        block_length,
        segments,
        damage,
    )
        .prop_map(|(outcome, lid4, usage, block_length, segments, damage)| {
            let mut cscd = vec![
                0xe4, 0, 0, 0, 1, 3, 0, 8, 0x30, 0, 0, 0, 0x12, 0x34, 0x56, 0x78,
            ];
            cscd.resize(28, 0);
            cscd.extend(block_length.to_be_bytes());
            let segments = segments.concat();
            let length = u16::try_from(segments.len()).unwrap().to_be_bytes();
            let mut list = vec![u8::from(lid4), usage << 3, 0, 0x20, 0, 0, 0, 0, 0, 0];
            if lid4 {
                list.resize(16, 0);
                list.push(0xff);
                list.resize(42, 0);
                list.extend([0, 0x20]);
                list.extend(length);
                list.extend([0; 2]);
            } else {
                list.extend(length);
                list.extend([0; 4]);
            }
            list.extend(cscd);
            list.extend(segments);
            if let Some((at, byte)) = damage {
                let at = at.index(list.len());
                list[at] = byte;
            }
            let length = u32::try_from(list.len()).unwrap().to_be_bytes();
            let mut record = vec![0xe6, outcome];
            record.extend(length);
            record.extend([0x83, u8::from(lid4), 0, 0, 0, 0, 0, 0, 0, 0]);
            record.extend(length);
            record.extend([0, 0]);
            record.extend(list);
            record
        })
}

/// POPULATE TOKEN or WRITE USING TOKEN with a list that is nearly right.
fn rod_token() -> impl Strategy<Value = Vec<u8>> {
    let lba = prop_oneof![6 => 0_u64..4200, 1 => any::<u64>()];
    let blocks = prop_oneof![6 => 0_u32..300, 1 => any::<u32>()];
    let ranges = prop::collection::vec((lba, blocks), 0..5);
    let damage = prop::option::weighted(0.2, (0_usize..560, any::<u8>()));
    (any::<u8>(), any::<bool>(), any::<bool>(), ranges, damage).prop_map(
        |(outcome, write, zero, ranges, damage)| {
            let described = u16::try_from(ranges.len() * 16).unwrap();
            let header = if write { 536 } else { 16 };
            let mut list = (described + header - 2).to_be_bytes().to_vec();
            if write {
                list.resize(16, 0);
                list.extend(if zero {
                    [0xff, 0xff, 0, 1]
                } else {
                    [0, 0x80, 0, 1]
                });
                list.extend([0, 0, 0x01, 0xf8]);
            }
            list.resize(usize::from(header) - 2, 0);
            list.extend(described.to_be_bytes());
            for (lba, blocks) in ranges {
                list.extend(lba.to_be_bytes());
                list.extend(blocks.to_be_bytes());
                list.extend([0; 4]);
            }
            if let Some((at, byte)) = damage
                && let Some(damaged) = list.get_mut(at)
            {
                *damaged = byte;
            }
            let length = u32::try_from(list.len()).unwrap().to_be_bytes();
            let mut record = vec![0xe6, outcome];
            record.extend(length);
            record.extend([
                0x83,
                0x10 + u8::from(write),
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                outcome & 3,
            ]);
            record.extend(length);
            record.extend([0, 0]);
            record.extend(list);
            record
        },
    )
}

/// Identifying information of either type or one that there isn't, set and reported.
fn identifying_information() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![4 => Just(0_u8), 4 => Just(4), 2 => Just(0xfe), 1 => any::<u8>()];
    let length = prop_oneof![3 => 0_u32..300, 1 => any::<u32>()];
    let text = prop_oneof![Just(0_u8), Just(0xc3), Just(0xbc), 0x20_u8..0x7f];
    let text = prop::collection::vec(text, 0..8);
    (any::<bool>(), any::<u8>(), kind, length, text).prop_map(
        |(set, outcome, kind, length, text)| {
            let (operation, flags) = if set {
                ([0xa4, 0x06], 0xe6)
            } else {
                ([0xa3, 0x05], 0xe5)
            };
            let length = if set && outcome & 1 == 0 {
                u32::try_from(text.len()).unwrap()
            } else {
                length
            };
            let mut record = vec![flags, outcome];
            record.extend(length.to_be_bytes());
            record.extend(operation);
            record.extend([0; 4]);
            record.extend(length.to_be_bytes());
            record.extend([kind, 0, 0, 0, 0, 0]);
            if set {
                record.extend(text);
            }
            record
        },
    )
}

/// A question about copy operations.
fn receive_copy() -> impl Strategy<Value = Vec<u8>> {
    let allocation_length = prop_oneof![3 => 0_u32..200, 1 => any::<u32>()];
    (0_u8..8, 0_u8..2, allocation_length).prop_map(|(action, identifier, length)| {
        let mut record = vec![0xe5, 15];
        record.extend(length.to_be_bytes());
        record.extend([0x84, action, identifier, 0, 0, 0, 0, 0, 0, 0]);
        record.extend(length.to_be_bytes());
        record.extend([0, 0]);
        record
    })
}

/// PERSISTENT RESERVE OUT with a parameter list that is nearly right, TransportIDs and all.
fn persistent_reserve_out() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![6 => Just(0_u8), 2 => 0_u8..4, 1 => any::<u8>()];
    let name = "iqn.2026-11.test:host,i,0x00000000000";
    let id = (0_u8..4, any::<bool>()).prop_map(move |(port, whole)| {
        let name = format!("{name}{port}");
        let mut id = crate::reservation::transport_id::encode(&name);
        id.truncate(if whole { id.len() } else { 20 });
        id
    });
    let ids = prop::collection::vec(id, 0..3).prop_map(|ids| ids.concat());
    let keys = (0_u64..3, 0_u64..3);
    let flags = prop_oneof![4 => 0_u8..16, 1 => any::<u8>()];
    let fields = (keys, flags, ids, any::<bool>());
    (0_u8..9, byte, fields, 0_i8..2).prop_map(|(action, kind, fields, off)| {
        let ((key, new), flags, ids, with_ids) = fields;
        let ids_length = u32::try_from(ids.len()).unwrap().to_be_bytes();
        let mut list = key.to_be_bytes().to_vec();
        list.extend(new.to_be_bytes());
        if action == 7 {
            list.extend([0, flags & 0x03, 0, flags >> 2]);
            list.extend(ids_length);
            list.extend(&ids);
        } else {
            list.extend([0, 0, 0, 0, flags, 0, 0, 0]);
            if with_ids {
                list.extend(ids_length);
                list.extend(&ids);
            }
        }
        let length = u32::try_from(list.len()).unwrap();
        let told = length.saturating_add_signed(i32::from(off) * 4 * i32::from(kind > 2));
        let mut record = vec![0xe6, 15];
        record.extend(told.to_be_bytes());
        record.extend([0x5f, action, kind, 0, 0]);
        record.extend(told.to_be_bytes());
        record.extend([0; 7]);
        record.extend(list);
        record.resize(22 + usize::try_from(told).unwrap(), 0);
        record
    })
}

/// A fuzz input of `records`. The first command of a nexus meets its unit attention: one is spent
/// on it.
fn past_unit_attention(setup: u8, records: &[Vec<u8>]) -> Vec<u8> {
    let mut input = vec![setup];
    input.extend([0xe7, 15, 0, 0, 0, 0].into_iter().chain([0; 16]));
    input.extend(records.concat());
    input
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes_get_well_formed_answers(input in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz_commands(&input);
    }

    #[test]
    fn commands_that_are_nearly_right_get_well_formed_answers(
        setup in any::<u8>(),
        records in prop::collection::vec(record(), 1..8),
    ) {
        fuzz_commands(&past_unit_attention(setup, &records));
    }

    #[test]
    fn copies_stay_inside_and_are_told_of(
        setup in any::<u8>(),
        records in prop::collection::vec(prop_oneof![2 => extended_copy(), 2 => rod_token(), 1 => receive_copy()], 1..8),
    ) {
        fuzz_commands(&past_unit_attention(setup, &records));
    }

    #[test]
    fn reservations_of_any_kind_get_well_formed_answers(
        setup in any::<u8>(),
        records in prop::collection::vec(persistent_reserve_out(), 1..12),
    ) {
        fuzz_commands(&past_unit_attention(setup, &records));
    }

    #[test]
    fn identifying_information_is_what_its_type_admits(
        setup in any::<u8>(),
        records in prop::collection::vec(identifying_information(), 1..8),
    ) {
        fuzz_commands(&past_unit_attention(setup, &records));
    }

    #[test]
    fn whatever_a_store_says_is_mapped_the_descriptors_are_consecutive(
        setup in any::<u8>(),
        records in prop::collection::vec(get_lba_status(), 1..8),
    ) {
        fuzz_commands(&past_unit_attention(setup, &records));
    }
}
