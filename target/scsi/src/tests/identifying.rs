//! REPORT IDENTIFYING INFORMATION and SET IDENTIFYING INFORMATION.

use super::rig::*;
use crate::sense::AdditionalSense as Code;
use crate::{IdentifyingInformation, IdentifyingInformationType, Outcome, Reply};

const DEVICE: u8 = 0;
const TEXT: u8 = 2;
const SUPPORTED: u8 = 0x7f;

fn cdb(operation: [u8; 2], length: usize, kind: u8) -> Vec<u8> {
    let mut cdb = operation.to_vec();
    cdb.extend([0; 4]);
    cdb.extend(u32::try_from(length).unwrap().to_be_bytes());
    cdb.extend([kind << 1, 0]);
    cdb
}

fn report(rig: &mut Rig, kind: u8) -> Vec<u8> {
    rig.data(&cdb([0xa3, 0x05], 1 << 10, kind))
}

fn set(rig: &mut Rig, kind: u8, information: &[u8]) -> Reply {
    rig.write(&cdb([0xa4, 0x06], information.len(), kind), information)
}

#[test]
fn a_new_unit_has_none_and_says_what_it_supports() {
    let mut rig = Rig::new();
    assert_eq!(report(&mut rig, DEVICE), [0; 4]);
    assert_eq!(report(&mut rig, TEXT), [0; 4]);
    let supported = [0, 0, 0, 8, 0, 0, 0, 64, 4, 0, 1, 0];
    assert_eq!(report(&mut rig, SUPPORTED), supported);
    assert_eq!(rig.data(&cdb([0xa3, 0x05], 6, SUPPORTED)), supported[..6]);
    assert_eq!(rig.data(&cdb([0xa3, 0x05], 0, SUPPORTED)), []);
}

#[test]
fn what_was_set_is_reported_to_everybody_and_survives_a_reset() {
    let mut rig = Rig::new();
    let other = rig.attach();
    rig.run(other, &[0; 6], false, false, 0, &[]);
    assert_good(&set(&mut rig, DEVICE, &[0xff; 64]));
    let text = [&[b'x'; 253][..], "ü".as_bytes(), &[0]].concat();
    assert_good(&set(&mut rig, TEXT, &text));
    // Both changes are told once; whoever made them isn't told.
    assert_good(&rig.none(&[0; 6]));
    let told = rig.run(other, &[0; 6], false, false, 0, &[]);
    assert_sense(&told, 6, Code::DEVICE_IDENTIFIER_CHANGED);
    assert_good(&rig.run(other, &[0; 6], false, false, 0, &[]));

    rig.unit.logical_unit_reset();
    rig.none(&[0; 6]);
    assert_eq!(
        report(&mut rig, DEVICE),
        [&[0, 0, 0, 64][..], &[0xff; 64]].concat()
    );
    assert_eq!(report(&mut rig, TEXT), [&[0, 0, 1, 0][..], &text].concat());
    assert_eq!(rig.data(&cdb([0xa3, 0x05], 7, DEVICE)).len(), 7);
    rig.run(other, &[0; 6], false, false, 0, &[]);

    // The same again is no change.
    assert_good(&set(&mut rig, DEVICE, &[0xff; 64]));
    assert_good(&rig.run(other, &[0; 6], false, false, 0, &[]));
    // A length of zero ends one and leaves the other.
    assert_good(&rig.none(&cdb([0xa4, 0x06], 0, DEVICE)));
    assert_eq!(report(&mut rig, DEVICE), [0; 4]);
    assert_eq!(report(&mut rig, TEXT).len(), 260);
    let told = rig.run(other, &[0; 6], false, false, 0, &[]);
    assert_sense(&told, 6, Code::DEVICE_IDENTIFIER_CHANGED);
}

#[test]
fn what_is_too_long_malformed_or_of_no_type_is_refused() {
    let mut rig = Rig::new();
    assert_invalid_field(&set(&mut rig, DEVICE, &[1; 65]), 6, None);
    assert_invalid_field(&set(&mut rig, TEXT, &[0; 257]), 6, None);
    for kind in [1, 3, 4, 0x7e] {
        assert_invalid_field(&set(&mut rig, kind, b"a\0"), 10, Some(7));
        assert_invalid_field(&rig.read(&cdb([0xa3, 0x05], 64, kind)), 10, Some(7));
    }
    assert_invalid_field(&set(&mut rig, SUPPORTED, b"a\0"), 10, Some(7));
    let mut reserved = cdb([0xa3, 0x05], 64, DEVICE);
    reserved[10] = 1;
    assert_invalid_field(&rig.read(&reserved), 10, Some(0));
    for text in [&b"a"[..], b"a\0b\0", b"\0\0", b"\xff\0", b"\xc3\0"] {
        assert_invalid_parameter(&set(&mut rig, TEXT, text), 0, None);
    }
    assert!(rig.log.is_empty());
    assert_good(&set(&mut rig, TEXT, b"\0"));
}

#[test]
fn a_change_that_cannot_be_kept_is_none() {
    let mut rig = Rig::new();
    assert_good(&set(&mut rig, TEXT, b"old\0"));
    rig.outcomes.push_back(Outcome::HardwareError);
    let reply = set(&mut rig, TEXT, b"new\0");
    assert_sense(&reply, 4, Code::INTERNAL_TARGET_FAILURE);
    assert_eq!(report(&mut rig, TEXT)[4..], *b"old\0");
}

#[test]
fn what_was_lost_is_not_reported_as_none() {
    let mut rig = Rig::new();
    let lost = IdentifyingInformation::LOST;
    rig.unit
        .set_identifying_information(lost, Some(crate::NexusId(1)));
    for kind in [DEVICE, TEXT] {
        let reply = rig.read(&cdb([0xa3, 0x05], 64, kind));
        assert_sense(&reply, 4, Code::INTERNAL_TARGET_FAILURE);
    }
    assert_good(&set(&mut rig, DEVICE, b"again"));
    assert_eq!(report(&mut rig, DEVICE)[4..], *b"again");
    let reply = rig.read(&cdb([0xa3, 0x05], 64, TEXT));
    assert_sense(&reply, 4, Code::INTERNAL_TARGET_FAILURE);
    let wrong = IdentifyingInformation::default().with(
        IdentifyingInformationType::PeripheralDeviceText,
        Some(b"no end"[..].into()),
    );
    assert_eq!(
        wrong.get(IdentifyingInformationType::PeripheralDeviceText),
        None
    );
}
