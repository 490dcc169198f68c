//! A reactor that looks for the next command instead of sleeping: that it does, and that it stops.

use std::fs;
use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::harness::daemon::Daemon;
use crate::harness::initiator::{Initiator, Pdu, cdb16};
use crate::harness::{wait_for, wait_until};

/// What the kernel tells of the daemon's only reactor.
struct Reactor {
    folder: String,
}

impl Reactor {
    fn of(daemon: &Daemon) -> Self {
        let threads = format!("/proc/{}/task", daemon.pid());
        let mut threads = fs::read_dir(threads).unwrap().map(|it| it.unwrap().path());
        let reactor =
            threads.find(|it| fs::read_to_string(it.join("comm")).unwrap() == "reactor-0\n");
        Self {
            folder: reactor.unwrap().display().to_string(),
        }
    }

    /// How often it went to sleep.
    fn sleeps(&self) -> u64 {
        let status = fs::read_to_string(format!("{}/status", self.folder)).unwrap();
        let line = status
            .lines()
            .find_map(|it| it.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse().unwrap()
    }

    /// How long it ran.
    fn ran(&self) -> Duration {
        let schedule = fs::read_to_string(format!("{}/schedstat", self.folder)).unwrap();
        let nanoseconds = schedule.split(' ').next().unwrap().parse().unwrap();
        Duration::from_nanos(nanoseconds)
    }
}

const COMMANDS: u64 = 200;

/// One read after the other; how often the reactor slept meanwhile.
fn read_some(initiator: &mut Initiator, reactor: &Reactor) -> u64 {
    let before = reactor.sleeps();
    for lba in 0..COMMANDS {
        initiator.read(0, lba * 8, 8).assert_good();
    }
    reactor.sleeps() - before
}

/// A daemon with one reactor, and a session with it.
fn served(config: &str) -> (Daemon, Initiator, Reactor) {
    let daemon = Daemon::start_with(&format!("reactors = 1\n{config}"), &[]);
    daemon.add_lun("vol", "8M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    let reactor = Reactor::of(&daemon);
    (daemon, initiator, reactor)
}

#[test]
fn a_reactor_that_polls_does_not_sleep_between_commands_and_sleeps_when_none_come() {
    let (_polling, mut initiator, reactor) = served("busy_poll_microseconds = 1000");
    let (_sleeping, mut other_initiator, other_reactor) = served("busy_poll_microseconds = 0");
    // On a busy machine this thread may be kept from asking in time, and a reactor may find the next command before it sleeps.
    let mut in_a_row = 0;
    wait_until(
        "three rounds in a row in which one slept less than half as often as the other",
        Duration::from_secs(120),
        || {
            let sleeps = read_some(&mut initiator, &reactor);
            let others = read_some(&mut other_initiator, &other_reactor);
            in_a_row = if sleeps < others / 2 { in_a_row + 1 } else { 0 };
            in_a_row == 3
        },
    );
    // A session that is there and has nothing to do costs nothing.
    wait_for("a time in which it slept", Duration::from_secs(30), || {
        let (begun, before) = (Instant::now(), reactor.ran());
        std::thread::park_timeout(Duration::from_millis(300));
        let part = (reactor.ran() - before).as_secs_f64() / begun.elapsed().as_secs_f64();
        if part < 0.05 {
            Ok(())
        } else {
            Err(format!("it ran for {part:.2} of it"))
        }
    });
}

#[test]
fn a_reactor_does_not_wait_awake_for_what_comes_late() {
    let (_daemon, mut initiator, reactor) = served("busy_poll_microseconds = 1000");
    read_some(&mut initiator, &reactor);
    let before = reactor.ran();
    for _ in 0..COMMANDS {
        std::thread::park_timeout(Duration::from_millis(5));
        // Two at once: the second one doesn't come in time either.
        let reads =
            [0, 8].map(|lba| initiator.command(0, &cdb16(0x88, lba, 8, false), 0x40, 4_096));
        let both: Vec<u8> = reads.iter().flat_map(Pdu::bytes).collect();
        initiator.stream().write_all(&both).unwrap();
        for read in &reads {
            initiator.finish(read.get(16), &[]).unwrap().assert_good();
        }
    }
    let each = (reactor.ran() - before) / u32::try_from(COMMANDS).unwrap();
    assert!(each < Duration::from_micros(900), "{each:?} for each");
}
