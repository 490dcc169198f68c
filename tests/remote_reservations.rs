//! Reservations of a disk that two daemons serve: asked for through either, in force at both, and honoured by whoever
//! takes over.

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::{Answer, Initiator, LoginAs};
use crate::harness::wait_until;
use crate::remote_mirrors::{PATIENCE, STANDBY, Two, until_state};
use crate::reservations::{
    CONFLICT, PREEMPT_AND_ABORT, REGISTER, RESERVE, WRITE_EXCLUSIVE_RO, keys, reservation,
    reserve_out,
};

const BUSY: u8 = 0x08;
const REGISTRATIONS_PREEMPTED: (u8, u8, u8) = (6, 0x2a, 0x05);
const ACTION_REGISTER_AND_IGNORE: u8 = 0x06;

/// The way of a host to a daemon, with all that it has to be told first.
fn way(daemon: &Daemon, number: u8) -> Initiator {
    let who = LoginAs {
        isid: number,
        ..LoginAs::default()
    };
    let mut way = Initiator::log_in_as(daemon.portal, &who).unwrap();
    wait_until("the host knows where the disk is", PATIENCE, || {
        let answer = way.read_command(0, &[0; 6], 0);
        answer.status == 0 || answer.sense_code() == STANDBY
    });
    way
}

/// Tries again as long as it is told to.
fn reserve(way: &mut Initiator, action: u8, kind: u8, keys: (u64, u64)) -> Answer {
    let mut last = None;
    wait_until("the change of reservations is answered", PATIENCE, || {
        let answer = reserve_out(way, action, kind, keys, 0);
        let is_over = answer.status != BUSY;
        last = Some(answer);
        is_over
    });
    last.unwrap()
}

fn register(way: &mut Initiator, key: u64) {
    reserve(way, REGISTER, 0, (0, key)).assert_good();
}

fn write(way: &mut Initiator) -> u8 {
    way.write(0, 0, &[7; 4096], false).status
}

#[test]
fn a_disk_is_reserved_at_both_daemons_and_stays_so_whoever_serves_it() {
    let mut two = Two::new("continue");
    let (mut one_a, mut one_b) = (way(&two.a, 1), way(&two.b, 1));
    let mut two_a = way(&two.a, 2);
    register(&mut one_a, 0xa1);
    // Through the daemon that doesn't serve it.
    register(&mut one_b, 0xa1);
    register(&mut two_a, 0xb2);
    reserve(&mut one_b, RESERVE, WRITE_EXCLUSIVE_RO, (0xa1, 0)).assert_good();
    for way in [&mut one_a, &mut one_b] {
        assert_eq!(keys(way), [0xa1, 0xa1, 0xb2]);
        assert_eq!(reservation(way), Some((0xa1, WRITE_EXCLUSIVE_RO)));
    }
    assert_eq!(write(&mut two_a), 0);
    let mut three_b = way(&two.b, 3);
    let refused = reserve(&mut three_b, RESERVE, WRITE_EXCLUSIVE_RO, (0xc3, 0));
    assert_eq!(refused.status, CONFLICT);

    let keys_of_others = (0xa1, 0xb2);
    let preempt = reserve(
        &mut one_b,
        PREEMPT_AND_ABORT,
        WRITE_EXCLUSIVE_RO,
        keys_of_others,
    );
    preempt.assert_good();
    let told = two_a.read_command(0, &[0; 6], 0);
    assert_eq!(told.sense_code(), REGISTRATIONS_PREEMPTED);
    assert_eq!(write(&mut two_a), CONFLICT);

    two.a.kill();
    until_state(&two.b, "copy", "Broken");
    two.b.run(&["mirror", "failover", "copy", "--force", "-y"]);
    let (mut one_b, mut three_b) = (way(&two.b, 1), way(&two.b, 3));
    assert_eq!(keys(&mut one_b), [0xa1, 0xa1]);
    assert_eq!((write(&mut one_b), write(&mut three_b)), (0, CONFLICT));

    // It was without power, and without APTPL nothing was kept there.
    two.a = two.a.restart();
    two.mend();
    wait_until(
        "the daemon that comes back knows who has what",
        PATIENCE,
        || keys(&mut way(&two.a, 1)) == [0xa1, 0xa1],
    );
    until_state(&two.b, "copy", "Failedover");
    wait_until("the two are in step", PATIENCE, || {
        let shown = two.b.json(&["mirror", "show", "copy"]);
        shown["percent_synced"] == 100
    });

    // Nobody can be told while the link is cut, and then everybody is.
    two.cut();
    reserve(&mut three_b, ACTION_REGISTER_AND_IGNORE, 0, (0, 0xc3)).assert_good();
    assert_eq!(write(&mut three_b), 0);
    two.mend();
    wait_until("what was changed meanwhile is known", PATIENCE, || {
        keys(&mut way(&two.a, 1)) == [0xa1, 0xa1, 0xc3]
    });
    wait_until("the two are in step again", PATIENCE, || {
        let shown = two.b.json(&["mirror", "show", "copy"]);
        shown["percent_synced"] == 100
    });
    two.b.run(&["mirror", "failback", "copy"]);
    two.until_synchronized();
    let (mut one_a, mut two_a) = (way(&two.a, 1), way(&two.a, 2));
    assert_eq!(keys(&mut one_a), [0xa1, 0xa1, 0xc3]);
    assert_eq!((write(&mut one_a), write(&mut two_a)), (0, CONFLICT));

    // An operator is heard at either.
    two.b.run(&["reservation", "clear", "copy", "-y"]);
    let mut one_a = way(&two.a, 1);
    assert_eq!(keys(&mut one_a), Vec::<u64>::new());
    register(&mut one_a, 0xa1);
    two.b.run(&["lun", "unmap", TARGET, "0", "-y"]);
    two.a.run(&["mirror", "detach", "vol", "-y"]);
    two.b.run(&["lun", "map", TARGET, "copy"]);
    assert_eq!(keys(&mut way(&two.a, 1)), [0xa1]);
    assert_eq!(keys(&mut way(&two.b, 1)), Vec::<u64>::new());
}
