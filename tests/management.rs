//! Task management, keepalive and the protocol's small print, between a real socket and a real file.

use std::time::{Duration, Instant};

use crate::harness::daemon::Daemon;
use crate::harness::initiator::{Initiator, LoginAs, Pdu, cdb16};

fn manage(initiator: &mut Initiator, function: u8, lun: u8, referenced: u32) -> u8 {
    let tag = initiator.tag();
    let mut pdu = Pdu::new(0x42, 0x80 | function)
        .set(16, tag)
        .set(20, referenced)
        .set(24, initiator.cmd_sn)
        .set(28, initiator.exp_stat_sn)
        .set(32, initiator.cmd_sn);
    pdu.bhs[9] = lun;
    initiator.send(&pdu).unwrap();
    loop {
        let reply = initiator.receive().unwrap();
        if reply.opcode() == 0x22 {
            assert_eq!(reply.get(16), tag);
            return reply.bhs[2];
        }
    }
}

#[test]
fn aborting_a_task_that_waits_for_data_ends_it() {
    let daemon = Daemon::with_lun("8M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    // A write whose data never comes: an R2T is all that it gets.
    let write = initiator.command(0, &cdb16(0x8a, 0, 8, false), 0x20, 4_096);
    initiator.send(&write).unwrap();
    let r2t = initiator.receive().unwrap();
    assert_eq!(r2t.opcode(), 0x31);
    assert_eq!(
        manage(&mut initiator, 1, 0, write.get(16)),
        0,
        "function complete"
    );
    assert_eq!(
        manage(&mut initiator, 1, 0, write.get(16)),
        1,
        "task does not exist"
    );
    initiator.settle(0);
}

#[test]
fn a_logical_unit_reset_ends_the_tasks_of_others_and_tells_them() {
    let daemon = Daemon::with_lun("8M");
    let mut one = Initiator::log_in(daemon.portal);
    let two = LoginAs {
        isid: 2,
        ..LoginAs::default()
    };
    let mut two = Initiator::log_in_as(daemon.portal, &two).unwrap();
    one.settle(0);
    two.settle(0);
    let write = two.command(0, &cdb16(0x8a, 0, 8, false), 0x20, 4_096);
    two.send(&write).unwrap();
    assert_eq!(two.receive().unwrap().opcode(), 0x31);
    assert_eq!(manage(&mut one, 5, 0, u32::MAX), 0);
    let told = two.read_command(0, &[0; 6], 0);
    assert_eq!(told.sense_code().0, 6);
    assert_eq!(
        told.sense_code().1,
        0x29,
        "BUS DEVICE RESET FUNCTION OCCURRED or kin"
    );
    two.settle(0);
}

#[test]
fn functions_on_luns_that_are_not_there_say_so() {
    let daemon = Daemon::with_lun("8M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    assert_eq!(
        manage(&mut initiator, 5, 9, u32::MAX),
        2,
        "LUN does not exist"
    );
    assert_eq!(manage(&mut initiator, 2, 0, u32::MAX), 0, "ABORT TASK SET");
    assert_eq!(manage(&mut initiator, 4, 0, u32::MAX), 0, "CLEAR TASK SET");
    assert_eq!(
        manage(&mut initiator, 6, 0, u32::MAX),
        0,
        "TARGET WARM RESET"
    );
    let reassign = manage(&mut initiator, 8, 0, 1);
    assert!(
        reassign == 4 || reassign == 5,
        "TASK REASSIGN isn't supported: {reassign}"
    );
}

#[test]
fn a_cold_reset_ends_every_session_of_the_target() {
    let daemon = Daemon::with_lun("8M");
    let mut one = Initiator::log_in(daemon.portal);
    let who = LoginAs {
        isid: 2,
        ..LoginAs::default()
    };
    let mut two = Initiator::log_in_as(daemon.portal, &who).unwrap();
    one.settle(0);
    two.settle(0);
    let tag = one.tag();
    let pdu = Pdu::new(0x42, 0x87)
        .set(16, tag)
        .set(20, u32::MAX)
        .set(24, one.cmd_sn)
        .set(28, one.exp_stat_sn);
    one.send(&pdu).unwrap();
    let answer = one.receive().unwrap();
    assert_eq!((answer.opcode(), answer.bhs[2]), (0x22, 0), "complete");
    assert!(one.is_dropped());
    assert!(two.is_dropped());
    Initiator::log_in(daemon.portal).settle(0);
}

#[test]
fn pings_are_echoed() {
    let daemon = Daemon::with_lun("8M");
    let mut initiator = Initiator::log_in(daemon.portal);
    let echo = initiator.ping(b"are you there?").unwrap();
    assert_eq!(echo.data, b"are you there?");
}

#[test]
fn an_initiator_that_does_not_answer_a_ping_is_dropped_and_one_that_does_stays() {
    let daemon = Daemon::start_with("nop_interval_seconds = 1\nnop_timeout_seconds = 4", &[]);
    daemon.add_lun("vol", "8M");
    let mut deaf = Initiator::log_in(daemon.portal);
    let who = LoginAs {
        isid: 2,
        ..LoginAs::default()
    };
    let mut good = Initiator::log_in_as(daemon.portal, &who).unwrap();
    let begun = Instant::now();
    for _ in 0..3 {
        let ping = good.receive().unwrap();
        assert_eq!(ping.opcode(), 0x20);
        good.answer_nop(&ping).unwrap();
    }
    assert!(
        begun.elapsed() >= Duration::from_secs(2),
        "pings come too often"
    );
    assert!(deaf.is_dropped());
    assert_eq!(daemon.sessions().len(), 1);
    good.settle(0);
}

#[test]
fn fua_and_flush_reach_the_disk_and_plain_writes_do_not() {
    // Counted by the daemon itself, in its metrics: what the kernel was asked for.
    let daemon = Daemon::with_lun("8M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    let count = || daemon.metric("tidelock_data_syncs_total");
    let before = count();
    for _ in 0..5 {
        initiator.write(0, 0, &[1; 4_096], false).assert_good();
    }
    assert_eq!(count(), before, "a plain write isn't synced");
    for _ in 0..5 {
        initiator.write(0, 0, &[1; 4_096], true).assert_good();
    }
    assert_eq!(count(), before + 5, "each FUA write is");
    for _ in 0..5 {
        initiator.flush(0).assert_good();
    }
    assert_eq!(count(), before + 10, "each flush is");
}

#[test]
fn a_reset_reaches_sessions_that_see_the_volume_through_another_target() {
    const OTHER: &str = "iqn.2026-11.test.tidelock:other-target";
    let daemon = Daemon::with_lun("8M");
    daemon.run(&["target", "create", OTHER]);
    daemon.run(&["lun", "map", OTHER, "vol"]);
    daemon.run(&["acl", "allow", OTHER, "*"]);
    let mut one = Initiator::log_in(daemon.portal);
    let who = LoginAs {
        target: Some(OTHER),
        ..LoginAs::default()
    };
    let mut two = Initiator::log_in_as(daemon.portal, &who).unwrap();
    one.settle(0);
    two.settle(0);
    let write = two.command(0, &cdb16(0x8a, 0, 8, false), 0x20, 4_096);
    two.send(&write).unwrap();
    let r2t = two.receive().unwrap();
    assert_eq!(r2t.opcode(), 0x31);
    assert_eq!(manage(&mut one, 5, 0, u32::MAX), 0);
    // The data of the write that was reset comes all the same: it must not be written.
    let data = Pdu::new(0x05, 0x80)
        .with_data(&[9; 4_096])
        .set(16, write.get(16))
        .set(20, r2t.get(20))
        .set(28, two.exp_stat_sn);
    two.send(&data).unwrap();
    two.settle(0);
    one.settle(0);
    assert!(
        one.read(0, 0, 8).data == [0; 4_096],
        "a write survived the reset"
    );
}

#[test]
fn a_session_whose_socket_is_never_empty_can_be_dropped() {
    let daemon = Daemon::with_lun("8M");
    let mut flood = Initiator::log_in(daemon.portal);
    let id = daemon.sessions()[0]["id"].to_string();
    // Pings that want no answer, as fast as the socket takes them.
    let ping = Pdu::new(0x40, 0x80)
        .with_data(&[0; 4_096])
        .set(16, u32::MAX)
        .set(20, u32::MAX)
        .set(24, flood.cmd_sn)
        .set(28, flood.exp_stat_sn);
    let (started, running) = std::sync::mpsc::channel();
    let flooding = std::thread::spawn(move || {
        let begun = Instant::now();
        let mut sent = 0_u32;
        while begun.elapsed() < Duration::from_secs(20) {
            if flood.send(&ping).is_err() {
                return true;
            }
            sent += 1;
            if sent == 1_000 {
                started.send(()).unwrap();
            }
        }
        false
    });
    running.recv().unwrap();
    daemon.run(&["session", "drop", &id, "--yes"]);
    assert!(flooding.join().unwrap(), "the session went on for 20 s");
}

#[test]
fn an_initiator_that_stops_reading_is_dropped_even_with_data_unsent() {
    let daemon = Daemon::start_with("nop_interval_seconds = 1\nnop_timeout_seconds = 1", &[]);
    daemon.add_lun("vol", "64M");
    let mut stalled = Initiator::log_in(daemon.portal);
    stalled.settle(0);
    for index in 0..8 {
        let read = stalled.command(0, &cdb16(0x88, index * 8_192, 8_192, false), 0x40, 4 << 20);
        stalled.send(&read).unwrap();
    }
    let wait = Duration::from_secs(60);
    crate::harness::wait_until("the session is gone", wait, || daemon.sessions().is_empty());
}

#[test]
fn many_large_reads_at_once_do_not_wait_for_a_timer() {
    let daemon = Daemon::start_with("memory_ceiling_mib = 64", &[]);
    daemon.add_lun("vol", "64M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    let read = |index: u64| cdb16(0x88, index * 8_192, 8_192, false);
    let begun = Instant::now();
    for index in 0..8 {
        let answer = initiator.read_command(0, &read(index), 4 << 20);
        assert_eq!(answer.assert_good().data.len(), 4 << 20);
    }
    let alone = begun.elapsed();
    let begun = Instant::now();
    let tags: Vec<_> = (0..8)
        .map(|index| {
            let read = initiator.command(0, &read(index), 0x40, 4 << 20);
            initiator.send(&read).unwrap();
            read.get(16)
        })
        .collect();
    for tag in tags {
        let answer = initiator.finish(tag, &[]).unwrap();
        assert_eq!(answer.assert_good().data.len(), 4 << 20);
    }
    let took = begun.elapsed();
    assert!(
        took < 3 * alone + Duration::from_secs(2),
        "8 reads of 4 MiB took {took:?}, and {alone:?} one after the other"
    );
}
