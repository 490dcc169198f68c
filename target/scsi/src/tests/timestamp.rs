//! REPORT TIMESTAMP, and that there is no SET TIMESTAMP.

use super::rig::*;
use crate::Outcome;

const REPORT: [u8; 12] = [0xa3, 0x0f, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0];

#[test]
fn the_clock_was_set_outside_of_the_standard() {
    let mut rig = Rig::new();
    let expected = [0, 10, 0b011, 0, 0x01, 0x92, 0x03, 0x04, 0x05, 0x06, 0, 0];
    assert_eq!(TIMESTAMP.to_be_bytes()[2..], expected[4..10]);
    assert_eq!(rig.data(&REPORT), expected);
    let mut short = REPORT;
    short[9] = 7;
    assert_eq!(rig.data(&short), expected[..7]);
    short[9] = 0;
    assert_eq!(rig.data(&short), []);
    let milliseconds = u64::MAX;
    rig.outcomes.push_back(Outcome::Timestamp { milliseconds });
    assert_eq!(
        rig.data(&REPORT)[4..],
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]
    );
}

#[test]
fn no_command_sets_it() {
    let mut rig = Rig::new();
    let set = [0xa4, 0x0f, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0];
    assert_invalid_field(&rig.write(&set, &[0; 12]), 1, Some(4));
}
