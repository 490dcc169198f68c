//! MODE SENSE and MODE SELECT.

use super::rig::*;
use crate::sense::AdditionalSense as Code;
use crate::{ModeParameters, ModeSaving, Operation, Outcome};

const CURRENT: u8 = 0x00;
const CHANGEABLE: u8 = 0x40;
const DEFAULT: u8 = 0x80;
const SAVED: u8 = 0xc0;
const DBD: u8 = 0x08;
const PF: u8 = 0x10;
const SP: u8 = 0x01;

fn sense_6(control: u8, page: u8) -> [u8; 6] {
    [0x1a, DBD, control | page, 0, 255, 0]
}

/// A page as MODE SENSE(6) returns it, without header.
fn page(rig: &mut Rig, control: u8, code: u8) -> Vec<u8> {
    rig.data(&sense_6(control, code))[4..].to_vec()
}

fn select_6(flags: u8, list: &[u8]) -> [u8; 6] {
    [0x15, PF | flags, 0, 0, u8::try_from(list.len()).unwrap(), 0]
}

/// A MODE SELECT(6) parameter list of one page that was changed by `change`.
fn changed(rig: &mut Rig, code: u8, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut page = page(rig, CURRENT, code);
    page[0] &= 0x3f;
    change(&mut page);
    [vec![0; 4], page].concat()
}

#[test]
fn all_pages_come_with_header_and_block_descriptor() {
    let mut rig = Rig::new();
    let data = rig.data(&[0x1a, 0, 0x3f, 0, 255, 0]);
    assert_eq!(usize::from(data[0]), data.len() - 1);
    assert_eq!(data[1..4], [0, 0x10, 8]);
    assert_eq!(data[4..12], [0, 0, 8, 0, 0, 0, 2, 0]);
    let mut rest = &data[12..];
    let mut codes = Vec::new();
    while let [code, length, tail @ ..] = rest {
        codes.push((*code, *length));
        rest = &tail[usize::from(*length)..];
    }
    assert_eq!(codes, [(0x01, 10), (0x08, 18), (0x0a, 10), (0x1c, 10)]);
}

#[test]
fn every_nexus_has_its_own_task_set_and_attributes_are_honoured() {
    let mut rig = Rig::new();
    assert_eq!(page(&mut rig, CURRENT, 0x0a)[2] >> 5, 0b001, "TST");
    let extended = rig.data(&[0x12, 1, 0x86, 0, 64, 0]);
    assert_eq!(extended[5] & 0x07, 0x07, "HEADSUP, ORDSUP, SIMPSUP");
    assert_eq!(extended[7] & 0x01, 0x01, "LUICLR");
    let policy = rig.data(&[0x12, 1, 0x87, 0, 64, 0]);
    assert_eq!(policy, [0, 0x87, 0, 4, 0x3f, 0xff, 0, 0]);
}

#[test]
fn subpages_come_when_they_are_asked_for() {
    let mut rig = Rig::new();
    rig.unit.set_soft_threshold(Some(7 << 20));
    let subpage = |page, subpage| [0x1a, DBD, page, subpage, 255, 0];
    let extension = rig.data(&subpage(0x0a, 0x01))[4..].to_vec();
    assert_eq!(extension[..4], [0x4a, 0x01, 0, 28]);
    assert_eq!(extension[4], 0x04, "TCMOS, no SCSIP");
    assert_eq!(extension[5..], [0; 27]);
    let changeable = rig.data(&subpage(CHANGEABLE | 0x0a, 0x01))[8..].to_vec();
    assert_eq!(changeable, [0; 28]);
    let provisioning = rig.data(&subpage(0x1c, 0x02))[4..].to_vec();
    assert_eq!(provisioning[..4], [0x5c, 0x02, 0, 20]);
    assert_eq!(provisioning[4..16], [0; 12]);
    assert_eq!(provisioning[16..], [0x80, 0x01, 0, 0, 0, 0, 0, 7]);
    let changeable = rig.data(&subpage(CHANGEABLE | 0x1c, 0x02))[8..].to_vec();
    assert_eq!(changeable, [0; 20]);

    let of_control = rig.data(&subpage(0x0a, 0xff))[4..].to_vec();
    assert_eq!(
        of_control,
        [page(&mut rig, CURRENT, 0x0a), extension].concat()
    );
    let all = rig.data(&subpage(0x3f, 0xff))[4..].to_vec();
    let plain = rig.data(&subpage(0x3f, 0x00))[4..].to_vec();
    assert_eq!(all.len(), plain.len() + 32 + 24);
    for (code, sub, byte, bit) in [
        (0x0a, 0x02, 3, None),
        (0x08, 0x01, 3, None),
        (0x3f, 0x01, 3, None),
        (0x02, 0x00, 2, Some(5)),
        (0x02, 0xff, 2, Some(5)),
    ] {
        assert_invalid_field(&rig.read(&subpage(code, sub)), byte, bit);
    }
    let mut thick = Rig::with(|config| config.thin = false);
    assert_invalid_field(&thick.read(&subpage(0x1c, 0x02)), 3, None);
    assert_eq!(page(&mut thick, CURRENT, 0x01)[7], 0);
    assert_eq!(page(&mut rig, CURRENT, 0x01)[7], 0x80);
}

#[test]
fn a_subpage_can_be_selected_as_it_is() {
    let mut rig = Rig::new();
    let mut list = vec![0; 4];
    list.extend([0x4a, 0x01, 0, 28]);
    list.extend([0; 28]);
    list[8] = 0x04;
    assert_good(&rig.write(&select_6(0, &list), &list));
    // SCSIP would let a command set the device clock, and without TCMOS nobody could have.
    list[8] = 0x06;
    assert_invalid_parameter(&rig.write(&select_6(0, &list), &list), 8, Some(1));
    list[8] = 0;
    assert_invalid_parameter(&rig.write(&select_6(0, &list), &list), 8, Some(2));
    list[8] = 0x04;
    list[9] = 0x02;
    assert_invalid_parameter(&rig.write(&select_6(0, &list), &list), 9, Some(1));
    list[9] = 0;
    list[7] = 27;
    list.pop();
    assert_invalid_parameter(&rig.write(&select_6(0, &list), &list), 6, None);
    list[5] = 0;
    assert_invalid_parameter(&rig.write(&select_6(0, &list), &list), 4, Some(5));
}

#[test]
fn the_long_command_has_both_block_descriptors() {
    let mut rig = Rig::new();
    let short = rig.data(&[0x5a, 0, 0x08, 0, 0, 0, 0, 1, 0, 0]);
    assert_eq!(short[..8], [0, 34, 0, 0x10, 0, 0, 0, 8]);
    let long = rig.data(&[0x5a, 0x10, 0x08, 0, 0, 0, 0, 1, 0, 0]);
    assert_eq!(long[..8], [0, 42, 0, 0x10, 1, 0, 0, 16]);
    assert_eq!(
        long[8..24],
        [0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 2, 0]
    );
    let none = rig.data(&[0x5a, 0x18, 0x08, 0, 0, 0, 0, 1, 0, 0]);
    assert_eq!(none[..8], [0, 26, 0, 0x10, 0, 0, 0, 0]);
}

#[test]
fn every_allocation_length_is_respected() {
    let mut rig = Rig::new();
    for length in 0..=255_u8 {
        let data = rig.data(&[0x1a, 0, 0x3f, 0, length, 0]);
        assert_eq!(data.len(), usize::from(length).min(68));
    }
}

#[test]
fn wce_d_sense_and_swp_can_be_changed_and_nothing_else() {
    let mut rig = Rig::new();
    let mut caching = vec![0; 20];
    caching[..3].copy_from_slice(&[0x08, 18, 0x04]);
    assert_eq!(page(&mut rig, CHANGEABLE, 0x08), caching);
    assert_eq!(
        page(&mut rig, CHANGEABLE, 0x0a),
        [0x0a, 10, 0x04, 0, 0x08, 0, 0, 0, 0, 0, 0, 0]
    );
    for code in [0x01, 0x1c] {
        assert!(
            page(&mut rig, CHANGEABLE, code)[2..]
                .iter()
                .all(|byte| *byte == 0)
        );
    }
}

#[test]
fn a_change_is_in_force_at_once_and_the_others_are_told() {
    let mut rig = Rig::new();
    let second = rig.attach();
    rig.run(second, &[0; 6], false, false, 0, &[]);
    let list = changed(&mut rig, 0x08, |page| page[2] &= !0x04);
    assert_good(&rig.write(&select_6(0, &list), &list));
    assert!(!rig.unit.write_cache_enabled());
    assert_eq!(page(&mut rig, CURRENT, 0x08)[2], 0);
    assert_eq!(page(&mut rig, DEFAULT, 0x08)[2], 0x04);
    assert_good(&rig.none(&[0; 6]));
    let reply = rig.run(second, &[0; 6], false, false, 0, &[]);
    assert_sense(&reply, 6, Code::MODE_PARAMETERS_CHANGED);
}

#[test]
fn a_select_that_changes_nothing_tells_nobody() {
    let mut rig = Rig::new();
    let second = rig.attach();
    rig.run(second, &[0; 6], false, false, 0, &[]);
    let list = changed(&mut rig, 0x08, |_| {});
    assert_good(&rig.write(&select_6(0, &list), &list));
    assert_good(&rig.run(second, &[0; 6], false, false, 0, &[]));
    assert!(rig.log.is_empty());
}

#[test]
fn software_write_protection_refuses_writes_until_it_is_cleared() {
    let mut rig = Rig::new();
    let list = changed(&mut rig, 0x0a, |page| page[4] |= 0x08);
    assert_good(&rig.write(&select_6(0, &list), &list));
    assert_eq!(rig.data(&sense_6(CURRENT, 0x3f))[2], 0x90);
    let reply = rig.write(&block_cdb(0x2a, 0, 0, 1), &[0; 512]);
    assert_sense(&reply, 7, Code::LOGICAL_UNIT_SOFTWARE_WRITE_PROTECTED);
    rig.data(&block_cdb(0x28, 0, 0, 1));
    let list = changed(&mut rig, 0x0a, |page| page[4] &= !0x08);
    assert_good(&rig.write(&select_6(0, &list), &list));
    assert_good(&rig.write(&block_cdb(0x2a, 0, 0, 1), &[0; 512]));
}

#[test]
fn the_long_select_takes_block_descriptors_that_change_nothing() {
    let mut rig = Rig::new();
    for (flag, descriptor) in [
        (0, vec![0, 0, 8, 0, 0, 0, 2, 0]),
        (0, vec![0, 0, 0, 0, 0, 0, 2, 0]),
        (0, vec![0xff, 0xff, 0xff, 0xff, 0, 0, 2, 0]),
        (1, vec![0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 2, 0]),
    ] {
        let length = u8::try_from(descriptor.len()).unwrap();
        let list = [vec![0, 0, 0, 0, flag, 0, 0, length], descriptor].concat();
        let cdb = [
            0x55,
            PF,
            0,
            0,
            0,
            0,
            0,
            0,
            u8::try_from(list.len()).unwrap(),
            0,
        ];
        assert_good(&rig.write(&cdb, &list));
    }
}

#[test]
fn geometry_can_not_be_changed() {
    let mut rig = Rig::new();
    let list = [0, 0, 0, 8, 0, 0, 4, 0, 0, 0, 2, 0];
    assert_invalid_parameter(&rig.write(&select_6(0, &list), &list), 4, None);
    let list = [0, 0, 0, 8, 0, 0, 8, 0, 0, 0, 16, 0];
    assert_invalid_parameter(&rig.write(&select_6(0, &list), &list), 8, None);
}

#[test]
fn a_wrong_list_is_pointed_at_and_changes_nothing() {
    let mut rig = Rig::new();
    let good = changed(&mut rig, 0x08, |page| page[2] = 0);
    let cases: [(Vec<u8>, u16, Option<u8>); 6] = [
        (vec![0, 1, 0, 0], 1, None),
        (vec![0, 0, 0, 7], 3, None),
        ([good.clone(), vec![0x02, 10]].concat(), 24, None),
        ([good.clone(), vec![0x4a, 2, 0, 0]].concat(), 24, Some(5)),
        ([good.clone(), vec![0x0a, 2, 0, 0]].concat(), 25, None),
        (changed(&mut rig, 0x0a, |page| page[5] |= 0x40), 9, Some(6)),
    ];
    for (list, byte, bit) in cases {
        let reply = rig.write(&select_6(0, &list), &list);
        if list.len() == 26 {
            // The page ends behind the list.
            assert_sense(&reply, 5, Code::PARAMETER_LIST_LENGTH_ERROR);
        } else {
            assert_invalid_parameter(&reply, byte, bit);
        }
        assert!(rig.unit.write_cache_enabled());
    }
}

#[test]
fn a_list_that_ends_early_is_a_length_error_at_every_length() {
    let mut rig = Rig::new();
    let good = changed(&mut rig, 0x08, |page| page[2] = 0);
    for length in (1..good.len()).filter(|length| *length != 4) {
        let list = &good[..length];
        let reply = rig.write(&select_6(0, list), list);
        assert_sense(&reply, 5, Code::PARAMETER_LIST_LENGTH_ERROR);
        assert!(rig.unit.write_cache_enabled());
    }
    assert_good(&rig.write(&select_6(0, &[]), &[]));
}

#[test]
fn unknown_pages_and_subpages_are_pointed_at() {
    let mut rig = Rig::new();
    assert_invalid_field(&rig.read(&sense_6(CURRENT, 0x02)), 2, Some(5));
    assert_invalid_field(&rig.read(&[0x1a, 0, 0x0a, 2, 255, 0]), 3, None);
    rig.data(&[0x1a, 0, 0x3f, 0xff, 255, 0]);
    assert_invalid_field(&rig.write(&[0x15, 0, 0, 0, 4, 0], &[0; 4]), 1, Some(4));
}

#[test]
fn saving_is_refused_where_nothing_can_be_saved() {
    let mut rig = Rig::new();
    let reply = rig.read(&sense_6(SAVED, 0x08));
    assert_sense(&reply, 5, Code::SAVING_PARAMETERS_NOT_SUPPORTED);
    let list = changed(&mut rig, 0x08, |page| page[2] = 0);
    assert_invalid_field(&rig.write(&select_6(SP, &list), &list), 1, Some(0));
    assert_eq!(page(&mut rig, CURRENT, 0x08)[0], 0x08);
}

#[test]
fn what_is_saved_survives_a_reset_and_what_is_not_does_not() {
    let mut rig = Rig::with(|config| config.mode_saving = ModeSaving::Supported(None));
    assert_eq!(page(&mut rig, CURRENT, 0x08)[0], 0x88, "PS");
    let list = changed(&mut rig, 0x08, |page| page[2] = 0);
    assert_good(&rig.write(&select_6(SP, &list), &list));
    let parameters = ModeParameters::default();
    assert_eq!(
        rig.log.last(),
        Some(&Operation::SaveModeParameters { parameters })
    );
    assert_eq!(page(&mut rig, SAVED, 0x08)[2], 0);
    let list = changed(&mut rig, 0x0a, |page| page[2] |= 0x04);
    assert_good(&rig.write(&select_6(0, &list), &list));

    rig.unit.logical_unit_reset();
    rig.none(&[0; 6]);
    assert_eq!(rig.unit.mode(), parameters);
    assert_eq!(page(&mut rig, DEFAULT, 0x08)[2], 0x04);
}

#[test]
fn a_save_that_failed_is_reported_and_not_taken_for_saved() {
    let mut rig = Rig::with(|config| {
        config.write_cache = false;
        config.mode_saving = ModeSaving::Supported(None);
    });
    let list = changed(&mut rig, 0x08, |page| page[2] = 0x04);
    rig.outcomes.push_back(Outcome::HardwareError);
    let reply = rig.write(&select_6(SP, &list), &list);
    assert_sense(&reply, 4, Code::INTERNAL_TARGET_FAILURE);
    assert_eq!(page(&mut rig, SAVED, 0x08)[2], 0);
}

#[test]
fn a_unit_starts_with_what_was_saved_before() {
    let saved = ModeParameters {
        descriptor_sense: true,
        ..ModeParameters::default()
    };
    let rig = Rig::with(|config| config.mode_saving = ModeSaving::Supported(Some(saved)));
    assert_eq!(rig.unit.mode(), saved);
}
