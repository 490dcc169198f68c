//! Durability: SYNCHRONIZE CACHE, FUA, WCE.

use super::rig::*;
use crate::{Extent, Operation, Outcome};

const SYNCHRONIZE_CACHE_10: u8 = 0x35;
const SYNCHRONIZE_CACHE_16: u8 = 0x91;
const FUA: u8 = 0x08;
const IMMED: u8 = 0x02;

fn without_cache(rig: &mut Rig) {
    let caching = {
        let mut page = vec![0; 20];
        page[0] = 0x08;
        page[1] = 18;
        page
    };
    let list = [vec![0; 4], caching].concat();
    assert_good(&rig.write(&[0x15, 0x10, 0, 0, 24, 0], &list));
}

#[test]
fn a_cached_write_is_durable_after_synchronize_cache_and_not_before() {
    for (opcode, flags) in [
        (SYNCHRONIZE_CACHE_10, 0),
        (SYNCHRONIZE_CACHE_16, 0),
        (SYNCHRONIZE_CACHE_10, IMMED),
    ] {
        let mut rig = Rig::new();
        assert_good(&rig.write(&block_cdb(0x2a, 0, 10, 2), &[7; 1024]));
        assert_eq!(rig.durable[10 * 512], 0);
        assert_good(&rig.none(&block_cdb(opcode, flags, 10, 2)));
        assert_eq!(rig.durable[10 * 512..12 * 512], [7; 1024]);
    }
}

#[test]
fn zero_blocks_flush_to_the_end() {
    let mut rig = Rig::new();
    assert_good(&rig.none(&block_cdb(SYNCHRONIZE_CACHE_10, 0, 2000, 0)));
    let extent = Extent {
        offset: 2000 * 512,
        length: 48 * 512,
    };
    assert_eq!(rig.log, [Operation::Flush { extent }]);
}

#[test]
fn a_range_that_ends_outside_is_refused() {
    let mut rig = Rig::new();
    assert_out_of_range(&rig.none(&block_cdb(SYNCHRONIZE_CACHE_10, 0, 2047, 2)));
    assert_out_of_range(&rig.none(&block_cdb(SYNCHRONIZE_CACHE_10, 0, 2048, 0)));
    assert_out_of_range(&rig.none(&block_cdb(SYNCHRONIZE_CACHE_16, 0, u64::MAX, 0)));
    assert!(rig.log.is_empty());
}

#[test]
fn a_failed_flush_is_reported_even_with_immed() {
    let mut rig = Rig::new();
    rig.outcomes.push_back(Outcome::HardwareError);
    let reply = rig.none(&block_cdb(SYNCHRONIZE_CACHE_10, IMMED, 0, 0));
    assert_eq!((reply.sense[2], reply.sense[12]), (4, 0x44));
}

#[test]
fn a_write_with_fua_is_durable_before_its_status() {
    for opcode in [0x2a, 0xaa, 0x8a] {
        let mut rig = Rig::new();
        assert_good(&rig.write(&block_cdb(opcode, FUA, 3, 1), &[9; 512]));
        assert_eq!(rig.durable[3 * 512..4 * 512], [9; 512]);
    }
}

#[test]
fn a_read_with_fua_flushes_what_it_is_going_to_read() {
    let mut rig = Rig::new();
    assert_good(&rig.write(&block_cdb(0x2a, 0, 3, 1), &[9; 512]));
    assert_eq!(rig.data(&block_cdb(0x28, FUA, 3, 1)), [9; 512]);
    assert_eq!(rig.durable[3 * 512..4 * 512], [9; 512]);
    rig.outcomes.push_back(Outcome::HardwareError);
    let reply = rig.read(&block_cdb(0x28, FUA, 3, 1));
    assert_eq!((reply.sense[2], reply.sense[12]), (4, 0x44));
}

#[test]
fn without_a_write_cache_every_change_is_durable_before_its_status() {
    let mut rig = Rig::new();
    without_cache(&mut rig);
    assert!(!rig.unit.write_cache_enabled());
    rig.log.clear();

    assert_good(&rig.write(&block_cdb(0x0a, 0, 5, 1), &[4; 512]));
    assert_eq!(rig.durable[5 * 512..6 * 512], [4; 512]);
    assert_good(&rig.write(&block_cdb(0x41, 0, 6, 2), &[5; 512]));
    assert_eq!(rig.durable[6 * 512..8 * 512], [5; 1024]);
    let list = [
        vec![0, 22, 0, 16, 0, 0, 0, 0],
        5_u64.to_be_bytes().to_vec(),
        vec![0, 0, 0, 3],
        vec![0; 4],
    ];
    assert_good(&rig.write(&[0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0], &list.concat()));
    assert_eq!(rig.durable[5 * 512..8 * 512], [0; 1536]);

    rig.log.clear();
    rig.data(&block_cdb(0x28, FUA, 5, 1));
    assert_eq!(rig.log.len(), 1, "nothing is left to flush");
}

#[test]
fn turning_the_write_cache_off_makes_what_was_in_it_durable() {
    let mut rig = Rig::new();
    assert_good(&rig.write(&block_cdb(0x2a, 0, 100, 1), &[3; 512]));
    without_cache(&mut rig);
    assert_eq!(rig.durable[100 * 512..101 * 512], [3; 512]);
}

#[test]
fn a_write_that_overtakes_the_end_of_the_write_cache_is_made_durable() {
    use crate::{Command, Plan, TaskAttribute};
    let mut rig = Rig::new();
    let cdb = block_cdb(0x2a, 0, 3, 1);
    let command = Command {
        cdb: &cdb,
        expected_length: 512,
        read: false,
        write: true,
        attribute: TaskAttribute::Simple,
        luns: &LUNS,
    };
    let Plan::NeedData { pending, .. } = rig.unit.begin(&mut rig.nexuses[0], &command) else {
        panic!("no wish for data");
    };
    let data = [bytes::Bytes::from(vec![1; 512])].into_iter().collect();
    let plan = rig.unit.data_out(&mut rig.nexuses[0], pending, data);
    let Plan::Execute {
        operation: Operation::Write { fua: false, .. },
        completion,
    } = plan
    else {
        panic!("not a cached write");
    };
    without_cache(&mut rig);
    let plan = rig
        .unit
        .finish(&mut rig.nexuses[0], completion, Outcome::Done);
    let Plan::Execute {
        operation,
        completion,
    } = plan
    else {
        panic!("acknowledged from a cache that is off");
    };
    assert_eq!(
        operation,
        Operation::Flush {
            extent: Extent {
                offset: 3 * 512,
                length: 512
            }
        }
    );
    let plan = rig
        .unit
        .finish(&mut rig.nexuses[0], completion, Outcome::Done);
    let Plan::Done(reply) = plan else {
        panic!("no reply")
    };
    assert_good(&reply);
    assert_eq!(reply.transfer_length, 512);
}
