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
    fn whatever_a_store_says_is_mapped_the_descriptors_are_consecutive(
        setup in any::<u8>(),
        records in prop::collection::vec(get_lba_status(), 1..8),
    ) {
        fuzz_commands(&past_unit_attention(setup, &records));
    }
}
