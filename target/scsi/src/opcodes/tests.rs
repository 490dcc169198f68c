//! The table is well formed and complete.

use super::*;

#[test]
fn entries_are_sorted_and_unique() {
    let keys: Vec<_> = TABLE
        .iter()
        .map(|entry| (entry.operation_code, entry.service_action))
        .collect();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(keys, sorted);
}

#[test]
fn usage_data_starts_with_the_operation_code_and_has_the_length_of_its_group() {
    for entry in TABLE {
        assert_eq!(entry.usage[0], entry.operation_code, "{}", entry.name);
        let length = match entry.operation_code >> 5 {
            0 => 6,
            1 | 2 => 10,
            4 => 16,
            5 => 12,
            other => panic!("{}: group {other} has no fixed length", entry.name),
        };
        assert_eq!(entry.cdb_length(), length, "{}", entry.name);
        if let Some(action) = entry.service_action {
            assert_eq!(
                u16::from(entry.usage[1] & SERVICE_ACTION_MASK),
                action,
                "{}",
                entry.name
            );
        }
    }
}
