//! A reactor that looks for the next command instead of sleeping: that it does, and that it stops.

use std::fs;
use std::time::{Duration, Instant};

use crate::harness::daemon::Daemon;
use crate::harness::initiator::Initiator;
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

#[test]
fn a_reactor_that_polls_does_not_sleep_between_commands_and_sleeps_when_none_come() {
    let daemon = Daemon::start_with("reactors = 1\nbusy_poll_microseconds = 1000", &[]);
    daemon.add_lun("vol", "8M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    let reactor = Reactor::of(&daemon);
    // On a busy machine this thread may be kept from asking in time: then it is another round that says something.
    wait_until(
        "a round in which it didn't sleep",
        Duration::from_secs(60),
        || read_some(&mut initiator, &reactor) < COMMANDS / 2,
    );
    // A session that is there and has nothing to do costs nothing.
    wait_for("a time in which it slept", Duration::from_secs(30), || {
        let (begun, before) = (Instant::now(), reactor.ran());
        std::thread::park_timeout(Duration::from_millis(300));
        let part = (reactor.ran() - before).as_secs_f64() / begun.elapsed().as_secs_f64();
        (part < 0.05)
            .then_some(())
            .ok_or_else(|| format!("it ran for {part:.2} of it"))
    });
}

#[test]
fn a_reactor_sleeps_between_commands_unless_it_is_told_otherwise() {
    let daemon = Daemon::start_with("reactors = 1", &[]);
    daemon.add_lun("vol", "8M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    let reactor = Reactor::of(&daemon);
    wait_until(
        "a round in which it slept for each command",
        Duration::from_secs(60),
        || read_some(&mut initiator, &reactor) > COMMANDS / 2,
    );
}
