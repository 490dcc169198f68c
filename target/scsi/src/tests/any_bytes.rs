//! Whatever arrives, the answer is well formed.

use proptest::prelude::*;

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
        let mut input = vec![setup];
        // The first command of a nexus meets its unit attention: spend one on it.
        input.extend([0xe7, 15, 0, 0, 0, 0].into_iter().chain([0; 16]));
        input.extend(records.concat());
        fuzz_commands(&input);
    }
}
