//! LOG SENSE, the soft threshold that goes with it, and the diagnostic commands.

use super::rig::*;
use crate::sense::AdditionalSense as Code;
use crate::{Extent, Operation, Outcome};

fn cdb(page: u8, subpage: u8, from: u16, allocation_length: u16) -> Vec<u8> {
    let mut cdb = vec![0x4d, 0, page, subpage, 0];
    cdb.extend(from.to_be_bytes());
    cdb.extend(allocation_length.to_be_bytes());
    cdb.push(0);
    cdb
}

#[test]
fn the_supported_pages_are_those_that_can_be_read() {
    for (thin, pages) in [(true, vec![0, 0x0c, 0x2f]), (false, vec![0, 0x2f])] {
        let mut rig = Rig::with(|config| config.thin = thin);
        let list = rig.data(&cdb(0, 0, 0, 255));
        assert_eq!(list[..4], [0, 0, 0, u8::try_from(pages.len()).unwrap()]);
        assert_eq!(list[4..], pages);
        let all = rig.data(&cdb(0, 0xff, 0, 255));
        assert_eq!(all[..2], [0x40, 0xff]);
        let expected: Vec<u8> = pages
            .iter()
            .flat_map(|page| [*page, 0, *page, 0xff])
            .collect();
        assert_eq!(all[4..], expected);
        for page in 0..0x3f {
            let known = pages.contains(&page);
            for control in [0x00, 0x40, 0x80, 0xc0] {
                let reply = rig.read(&cdb(control | page, 0, 0, 255));
                match known {
                    true => assert_eq!(bytes_of(&reply)[0] & 0x3f, page),
                    false => assert_invalid_field(&reply, 2, Some(5)),
                }
            }
            if known {
                assert_invalid_field(&rig.read(&cdb(page, 1, 0, 255)), 3, None);
                let subpages = rig.data(&cdb(page, 0xff, 0, 255));
                assert_eq!(subpages[0] & 0x3f, page);
            }
        }
    }
}

#[test]
fn the_resources_are_what_the_store_says() {
    let mut rig = Rig::new();
    assert_good(&rig.write(&block_cdb(0x2a, 0, 0, 1), &[1; 512]));
    let available = [0, 1, 3, 8, 0, 0, 0, 5, 2, 0, 0, 0];
    let used = [0, 2, 3, 8, 0, 0, 0, 1, 1, 0, 0, 0];
    let page = rig.data(&cdb(0x0c, 0, 0, 255));
    assert_eq!(page[..4], [0x8c, 0, 0, 24]);
    assert_eq!(page[4..], [available, used].concat());
    assert_eq!(rig.data(&cdb(0x0c, 0, 2, 255))[4..], used);
    assert_eq!(rig.data(&cdb(0x0c, 0, 0, 3)), [0x8c, 0, 0]);
    assert_invalid_field(&rig.read(&cdb(0x0c, 0, 3, 255)), 5, None);
    rig.outcomes.push_back(Outcome::Resources {
        used: 0,
        available: None,
    });
    assert_eq!(
        rig.data(&cdb(0x0c, 0, 0, 255))[4..12],
        [0, 2, 3, 8, 0, 0, 0, 0]
    );
    rig.outcomes.push_back(Outcome::HardwareError);
    let reply = rig.read(&cdb(0x0c, 0, 0, 255));
    assert_sense(&reply, 4, Code::INTERNAL_TARGET_FAILURE);
}

#[test]
fn there_are_no_informational_exceptions() {
    let mut rig = Rig::new();
    let page = rig.data(&cdb(0x2f, 0, 0, 255));
    assert_eq!(page, [0xaf, 0, 0, 8, 0, 0, 3, 4, 0, 0, 0xff, 0]);
    assert_invalid_field(&rig.read(&cdb(0x2f, 0, 1, 255)), 5, None);
    let mut saving = cdb(0x2f, 0, 0, 255);
    saving[1] = 1;
    assert_invalid_field(&rig.read(&saving), 1, Some(0));
}

#[test]
fn falling_below_the_threshold_is_told_once_to_everybody() {
    let mut rig = Rig::new();
    let other = rig.attach();
    let warned = |rig: &mut Rig, nexus| {
        let reply = rig.run(nexus, &[0; 6], false, false, 0, &[]);
        let warning = Code::THIN_PROVISIONING_SOFT_THRESHOLD_REACHED;
        reply.sense.get(12..14) == Some(&[warning.code, warning.qualifier])
    };
    warned(&mut rig, other);
    rig.unit.note_available(0);
    assert!(!warned(&mut rig, 0), "there is no threshold");
    rig.unit.set_soft_threshold(Some(10 << 20));
    for (available, expected) in [
        (100 << 20, false),
        (10 << 20, false),
        (9 << 20, true),
        (1 << 20, false),
        (10 << 20, false),
        (9 << 20, false),
        (11 << 20, false),
        (0, true),
    ] {
        rig.unit.note_available(available);
        assert_eq!(warned(&mut rig, 0), expected, "{available}");
        assert_eq!(warned(&mut rig, other), expected, "{available}");
    }
}

#[test]
fn the_default_self_test_reads_the_medium() {
    let mut rig = Rig::new();
    assert_good(&rig.none(&[0x1d, 0x04, 0, 0, 0, 0]));
    let extent = Extent {
        offset: 0,
        length: 512,
    };
    assert_eq!(rig.log, [Operation::Verify { extent }]);
    rig.outcomes.push_back(Outcome::MediumError { offset: 0 });
    let reply = rig.none(&[0x1d, 0x04, 0, 0, 0, 0]);
    assert_sense(&reply, 3, Code::UNRECOVERED_READ_ERROR);
    assert_good(&rig.none(&[0x1d, 0x10, 0, 0, 0, 0]));
    assert_invalid_field(&rig.none(&[0x1d, 0x20, 0, 0, 0, 0]), 1, Some(7));
    assert_invalid_field(&rig.write(&[0x1d, 0x10, 0, 0, 4, 0], &[0; 4]), 3, None);
}

#[test]
fn the_only_diagnostic_page_lists_itself() {
    let mut rig = Rig::new();
    assert_eq!(rig.data(&[0x1c, 1, 0, 0, 255, 0]), [0, 0, 0, 1, 0]);
    assert_eq!(rig.data(&[0x1c, 0, 0, 0, 255, 0]), []);
    assert_invalid_field(&rig.read(&[0x1c, 1, 1, 0, 255, 0]), 2, None);
}
