//! Mirrors between two whole daemons that fail over by themselves, with an etcd: a source that is killed or frozen, a store that
//! answers nobody, a link that is cut.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::daemon::Daemon;
use crate::harness::etcd::{Etcd, signal};
use crate::harness::initiator::{Initiator, cdb16};
use crate::harness::wait_until;
use crate::remote_mirrors::{PATIENCE, Two, host, is_elsewhere, show, until, until_state};

/// Seconds of a lease. Shorter ones would be lost now and then on a busy machine.
const LEASE: u64 = 3;
/// 512-byte blocks of 4 KiB.
const BLOCKS: u32 = 8;
const AUTOMATIC: [&str; 2] = ["--failover", "automatic"];

fn two(etcd: &Etcd) -> Two {
    let two = Two::made(&etcd.section(LEASE), &AUTOMATIC);
    for (daemon, volume) in [(&two.a, "vol"), (&two.b, "copy")] {
        assert_eq!(show(daemon, volume)["failover"], "automatic");
    }
    two
}

fn serves(daemon: &Daemon, volume: &str, other: &str) -> bool {
    show(daemon, volume)["serving"] == other
}

/// The source holds all that the other end may need to take over.
fn until_it_may_take_over(two: &Two, etcd: &Etcd) {
    two.until_synchronized();
    wait_until("a source has its place", PATIENCE, || {
        etcd.keys("/holder") == 1
    });
    // The standing is changed when the two are in step; a planned change of roles waits for it.
    two.b.run(&["mirror", "failover", "copy", "-y"]);
    wait_until("hosts use the copy", PATIENCE, || {
        serves(&two.b, "copy", "copy")
    });
    two.b.run(&["mirror", "failback", "copy"]);
    two.until_synchronized();
    wait_until("hosts use the source", PATIENCE, || {
        serves(&two.a, "vol", "vol")
    });
}

/// Whether a write was done; `None`: the connection has ended.
fn write(host: &mut Initiator, at: usize, number: u8) -> Option<bool> {
    let data = [number; 4096];
    let cdb = cdb16(0x8a, 8 * at as u64, BLOCKS, at.is_multiple_of(4));
    let pdu = host.command(0, &cdb, 0x20, 4096).with_data(&data);
    host.send(&pdu).ok()?;
    let answer = host.finish(pdu.get(16), &data).ok()?;
    Some(answer.status == 0)
}

/// Writes ever higher numbers to some blocks, until the daemon is gone; what was acknowledged is in `acknowledged`.
fn write_on(mut host: Initiator, acknowledged: &[AtomicU8]) {
    for number in 2.. {
        for (at, block) in acknowledged.iter().enumerate() {
            match write(&mut host, at, number) {
                Some(true) => block.store(number, Ordering::SeqCst),
                // It is told so when the lease of a busy machine was lost for a moment.
                Some(false) => {}
                None => return,
            }
        }
    }
}

fn check(daemon: &Daemon, acknowledged: &[AtomicU8]) {
    let mut host = host(daemon);
    for (at, block) in acknowledged.iter().enumerate() {
        let found = host.read(0, 8 * at as u64, BLOCKS).data;
        let least = block.load(Ordering::SeqCst);
        assert!(
            found[0] >= least,
            "block {at}: {} is found, {least} was acknowledged",
            found[0]
        );
    }
}

#[test]
fn the_target_becomes_the_source_by_itself_when_that_is_killed_and_nothing_acknowledged_is_lost() {
    let Some(etcd) = Etcd::start() else { return };
    let mut two = two(&etcd);
    until_it_may_take_over(&two, &etcd);
    let blocks: Vec<AtomicU8> = (0..32).map(|_| AtomicU8::new(1)).collect();
    let initiator = host(&two.a);
    let killed = thread::scope(|scope| {
        let writing = scope.spawn(|| write_on(initiator, &blocks));
        wait_until("something is written", PATIENCE, || {
            blocks[31].load(Ordering::SeqCst) >= 4
        });
        two.a.kill();
        let killed = Instant::now();
        writing.join().unwrap();
        killed
    });
    wait_until("the copy is used", PATIENCE, || {
        serves(&two.b, "copy", "copy")
    });
    let took = killed.elapsed();
    eprintln!(
        "hosts can use the copy {} ms after the source was killed",
        took.as_millis()
    );
    // With a lease of this length, and time for a busy machine.
    assert!(took < Duration::from_secs(LEASE + 20), "{took:?}");
    check(&two.b, &blocks);
    host(&two.b).write(0, 0, &[200; 4096], true).assert_good();
    // The old source comes back, isn't used, and gets what it lacks.
    let served = AtomicBool::new(false);
    two.a = two.a.restart();
    two.mend();
    until(&two.b, "copy", "in step", |it| {
        let used = show(&two.a, "vol")["serving"] == "vol";
        served.fetch_or(used, Ordering::SeqCst);
        it["percent_synced"] == 100
    });
    assert!(!served.load(Ordering::SeqCst), "the old source was used");
    wait_until("hosts are sent away from it", PATIENCE, || {
        is_elsewhere(&two.a)
    });
    two.compare();
    two.b.run(&["mirror", "failback", "copy"]);
    two.until_synchronized();
    check(&two.a, &blocks);
    two.a.run(&["mirror", "detach", "vol", "-y", "--force"]);
    assert_eq!(etcd.keys(""), 0, "keys are left");
}

#[test]
fn a_source_that_was_frozen_serves_nobody_any_more_whatever_is_late() {
    let Some(etcd) = Etcd::start() else { return };
    let two = two(&etcd);
    until_it_may_take_over(&two, &etcd);
    let mut old = host(&two.a);
    signal(two.a.pid(), Signal::STOP);
    wait_until("the copy is used", PATIENCE, || {
        serves(&two.b, "copy", "copy")
    });
    host(&two.b).write(0, 0, &[9; 4096], true).assert_good();
    // They are there before anything of that daemon goes on.
    let reads: Vec<u32> = (0..8)
        .map(|_| {
            let pdu = old.command(0, &cdb16(0x88, 0, BLOCKS, false), 0x40, 4096);
            old.send(&pdu).unwrap();
            pdu.get(16)
        })
        .collect();
    signal(two.a.pid(), Signal::CONT);
    for tag in reads {
        let Ok(answer) = old.finish(tag, &[]) else {
            break;
        };
        assert_ne!(answer.status, 0, "an old block was read");
    }
    wait_until("hosts are sent away from it", PATIENCE, || {
        is_elsewhere(&two.a)
    });
    for (daemon, name) in [(&two.a, "vol"), (&two.b, "copy")] {
        until(daemon, name, "in step", |it| it["percent_synced"] == 100);
    }
    two.compare();
}

#[test]
fn without_the_store_hosts_are_served_until_the_lease_is_over_and_an_operator_can_do_without_it() {
    let Some(etcd) = Etcd::start() else { return };
    let two = two(&etcd);
    until_it_may_take_over(&two, &etcd);
    let mut initiator = host(&two.a);
    etcd.freeze();
    let began = Instant::now();
    let mut last = began;
    while write(&mut initiator, 0, 7) == Some(true) {
        last = Instant::now();
        assert!(last - began < PATIENCE, "hosts are served for ever");
    }
    let served = last - began;
    assert!(served < Duration::from_secs(LEASE), "{served:?}");
    wait_until("hosts are sent away", PATIENCE, || is_elsewhere(&two.a));
    assert!(is_elsewhere(&two.b));
    let shown = until(&two.a, "vol", "told why", |it| {
        it["detail"].as_str().is_some_and(|it| it.contains("lease"))
    });
    assert_eq!(shown["serving"], Value::Null);
    // Nor is it handed over, as nobody might be allowed to serve then.
    let refused = two.b.refused(&["mirror", "failover", "copy", "-y"]);
    assert!(refused.contains("leases"), "{refused}");
    let said = two.a.run(&["mirror", "set-failover", "vol", "manual"]);
    assert!(said.contains("left in etcd: "), "{said}");
    for (daemon, volume) in [(&two.a, "vol"), (&two.b, "copy")] {
        until(daemon, volume, "manual", |it| it["failover"] == "manual");
    }
    host(&two.a).write(0, 8, &[8; 4096], true).assert_good();
    etcd.thaw();
    wait_until("nobody has the place", PATIENCE, || {
        etcd.keys("/holder") == 0
    });
    two.b.run(&["mirror", "set-failover", "copy", "automatic"]);
    until_it_may_take_over(&two, &etcd);
    host(&two.a).write(0, 8, &[9; 4096], true).assert_good();
    two.compare();
}

#[test]
fn when_the_link_is_cut_one_goes_on_and_the_other_one_does_not_take_over_afterwards() {
    let Some(etcd) = Etcd::start() else { return };
    let mut two = two(&etcd);
    until_it_may_take_over(&two, &etcd);
    two.cut();
    // It waits for the store's word, and then it is alone.
    host(&two.a).write(0, 0, &[5; 4096], true).assert_good();
    until_state(&two.a, "vol", "Broken");
    assert!(serves(&two.a, "vol", "vol"));
    assert!(is_elsewhere(&two.b));
    two.a.kill();
    wait_until("the lease is over", PATIENCE, || etcd.keys("/holder") == 0);
    assert_eq!(show(&two.b, "copy")["serving"], Value::Null);
    two.a = two.a.restart();
    host(&two.a).write(0, 8, &[6; 4096], true).assert_good();
    assert_eq!(show(&two.b, "copy")["serving"], Value::Null);
    two.mend();
    two.until_synchronized();
    two.compare();
}

#[test]
fn what_cannot_fail_over_by_itself_is_refused_with_a_reason() {
    let Some(etcd) = Etcd::start() else { return };
    let section = etcd.section(LEASE);
    let create = [
        "mirror",
        "create",
        "vol",
        "b:copy",
        "--failover",
        "automatic",
    ];
    for (at_a, at_b, says) in [
        (String::new(), section.clone(), "section [failover]"),
        (section.clone(), String::new(), "section [failover]"),
        (section.clone(), etcd.section(LEASE + 1), "lease_seconds"),
        (
            section.clone(),
            format!("{section}prefix = \"/x\"\n"),
            "the same prefix",
        ),
    ] {
        let two = Two::befriended([&at_a, &at_b]);
        let refused = two.a.refused(&create);
        assert!(refused.contains(says), "{refused}");
        let none = two.a.json(&["mirror", "list"]);
        assert_eq!(none["mirrors"].as_array().unwrap().len(), 0, "{none}");
        assert!(two.b.volumes().is_empty());
        if says != "lease_seconds" {
            continue;
        }
        two.a.run(&["volume", "create", "other", "--size", "8M"]);
        let here = [
            "mirror",
            "create",
            "vol",
            "other",
            "-y",
            "--failover",
            "automatic",
        ];
        let refused = two.a.refused(&here);
        assert!(refused.contains("with a peer"), "{refused}");
        two.create(&[]);
        let refused = two
            .b
            .refused(&["mirror", "set-failover", "copy", "automatic"]);
        assert!(refused.contains(says), "{refused}");
        assert_eq!(show(&two.a, "vol")["failover"], "manual");
    }
    assert_eq!(etcd.keys(""), 0, "keys are left");
}
