//! Mirrors between two whole daemons: one disk to hosts, kill -9 of either, and a link that is cut.

mod asynchronous;
mod full_disks;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::{Initiator, cdb16};
use crate::harness::{wait_for, wait_until};

pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
pub(crate) const STANDBY: (u8, u8, u8) = (2, 0x04, 0x0b);
/// 512-byte blocks of 4 KiB.
const BLOCKS: u32 = 8;

/// What peers connect to: it leads to a daemon's portal, which is another one after a restart, or nowhere.
pub(crate) struct Way {
    address: SocketAddr,
    to: Arc<Mutex<Option<SocketAddr>>>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    /// While this is set it passes [`SLICE`] bytes at a time, each way, every [`REST`].
    slow: Arc<Slow>,
}

const SLICE: usize = 16 << 10;
const REST: Duration = Duration::from_millis(50);

type Slow = (Mutex<bool>, Condvar);

impl Way {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Self {
            address: listener.local_addr().unwrap(),
            to: Arc::default(),
            open: Arc::default(),
            slow: Arc::default(),
        };
        let (to, open) = (Arc::clone(&way.to), Arc::clone(&way.open));
        let slow = Arc::clone(&way.slow);
        // It ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(to) = *to.lock().unwrap() else {
                    continue;
                };
                if let Ok(other) = TcpStream::connect(to) {
                    let both = [&stream, &other].map(|it| it.try_clone().unwrap());
                    open.lock().unwrap().extend(both);
                    pass(&stream, &other, &slow);
                    pass(&other, &stream, &slow);
                }
            }
        });
        way
    }

    pub(crate) fn leads_to(&self, daemon: &Daemon) {
        let portal = daemon.json(&["peer", "show"])["portal"]
            .as_str()
            .unwrap()
            .parse();
        *self.to.lock().unwrap() = Some(portal.unwrap());
    }

    fn cut(&self) {
        *self.to.lock().unwrap() = None;
        for stream in self.open.lock().unwrap().drain(..) {
            // The other side of it may have ended it.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass(from: &TcpStream, to: &TcpStream, slow: &Arc<Slow>) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let slow = Arc::clone(slow);
    thread::spawn(move || {
        let mut slice = vec![0; SLICE];
        while let Ok(length @ 1..) = from.read(&mut slice) {
            if to.write_all(&slice[..length]).is_err() {
                break;
            }
            // Until the way is fast again, or it is time for more.
            let (is_slow, changed) = &*slow;
            let is_slow = is_slow.lock().unwrap();
            let waited = changed.wait_timeout_while(is_slow, REST, |is_slow| *is_slow);
            drop(waited.unwrap());
        }
        for stream in [&from, &to] {
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
}

/// Two daemons, and the ways to them: a has volume `vol`, and b its copy, both LUN 0.
pub(crate) struct Two {
    pub(crate) a: Daemon,
    pub(crate) b: Daemon,
    pub(crate) ways: [Way; 2],
}

fn daemon(name: &str, more: &str) -> Daemon {
    let config = format!("peer_name = \"{name}\"\n{more}");
    let group = if name == "a" { "1" } else { "2" };
    let portal = format!("{group}=127.0.0.1:0");
    Daemon::start_alone(
        &config,
        &["--portal", &portal, "--peer-portal", "127.0.0.1:0"],
    )
}

fn fingerprint(daemon: &Daemon) -> String {
    let identity = daemon.json(&["peer", "show"]);
    identity["fingerprint"].as_str().unwrap().to_owned()
}

pub(crate) fn show(daemon: &Daemon, volume: &str) -> Value {
    daemon.json(&["mirror", "show", volume])
}

pub(crate) fn until(
    daemon: &Daemon,
    volume: &str,
    what: &str,
    done: impl Fn(&Value) -> bool,
) -> Value {
    wait_for(&format!("{volume} is {what}"), PATIENCE, || {
        let shown = show(daemon, volume);
        if done(&shown) { Ok(shown) } else { Err(shown) }
    })
}

pub(crate) fn until_state(daemon: &Daemon, volume: &str, state: &str) -> Value {
    until(daemon, volume, state, |it| it["copy_state"] == state)
}

impl Two {
    pub(crate) fn new(on_failure: &str) -> Self {
        Self::made("", &["--on-failure", on_failure])
    }

    /// Two daemons with more in their configuration, and a mirror that is made with these arguments.
    pub(crate) fn made(more: &str, options: &[&str]) -> Self {
        let two = Self::befriended([more, more]);
        two.create(options);
        two
    }

    /// Two daemons that know each other; a has the volume, and b no copy yet.
    pub(crate) fn befriended([at_a, at_b]: [&str; 2]) -> Self {
        let (a, b) = (daemon("a", at_a), daemon("b", at_b));
        let ways = [Way::new(), Way::new()];
        let [to_a, to_b] = &ways;
        to_a.leads_to(&a);
        to_b.leads_to(&b);
        for (daemon, other, name, way) in [(&a, &b, "b", to_b), (&b, &a, "a", to_a)] {
            let (address, print) = (way.address.to_string(), fingerprint(other));
            daemon.run(&["peer", "add", name, &address, "--fingerprint", &print]);
        }
        for (daemon, name) in [(&a, "b"), (&b, "a")] {
            wait_until("the peers are connected", PATIENCE, || {
                daemon.json(&["peer", "show", name])["state"] == "connected"
            });
        }
        a.add_lun("vol", "8M");
        let mut initiator = Initiator::log_in(a.portal);
        initiator.settle(0);
        initiator.write(0, 0, &[1; 4096], false).assert_good();
        drop(initiator);
        Self { a, b, ways }
    }

    pub(crate) fn create(&self, options: &[&str]) {
        let Self { a, b, .. } = self;
        let mut create = vec!["mirror", "create", "vol", "b:copy", "--wait"];
        create.extend(options);
        let said = a.run(&create);
        assert!(
            said.contains("mirror of vol to b:copy: Synchronized"),
            "{said}"
        );
        b.run(&["target", "create", TARGET]);
        b.run(&["lun", "map", TARGET, "copy"]);
        b.run(&["acl", "allow", TARGET, "*"]);
        self.until_synchronized();
    }

    pub(crate) fn until_synchronized(&self) {
        until_state(&self.a, "vol", "Synchronized");
        until_state(&self.b, "copy", "Synchronized");
    }

    pub(crate) fn cut(&self) {
        self.ways.iter().for_each(Way::cut);
    }

    fn set_slow(&self, slow: bool) {
        for way in &self.ways {
            let (is_slow, changed) = &*way.slow;
            *is_slow.lock().unwrap() = slow;
            changed.notify_all();
        }
    }

    pub(crate) fn mend(&self) {
        let [to_a, to_b] = &self.ways;
        to_a.leads_to(&self.a);
        to_b.leads_to(&self.b);
    }

    pub(crate) fn compare(&self) {
        for (daemon, name) in [(&self.a, "vol"), (&self.b, "copy")] {
            let job = daemon.json(&["mirror", "verify", name]);
            assert_eq!(job["report"]["checked_bytes"], 8 << 20, "{job}");
            assert_eq!(job["report"]["damaged"], 0, "{job}");
        }
    }
}

/// A host that has found the disk at a daemon.
pub(crate) fn host(daemon: &Daemon) -> Initiator {
    let mut host = Initiator::log_in(daemon.portal);
    wait_until("the disk is there", PATIENCE, || {
        host.read_command(0, &[0; 6], 0).status == 0
    });
    host
}

/// A host that is told that the disk is elsewhere.
pub(crate) fn is_elsewhere(daemon: &Daemon) -> bool {
    let mut host = Initiator::log_in(daemon.portal);
    // The first answers may be unit attentions.
    (0..8).any(|_| host.read_command(0, &[0; 6], 0).sense_code() == STANDBY)
}

/// Writes ever higher numbers to each of some blocks in turn, until the daemon is gone; what was acknowledged of
/// each is in `acknowledged`.
fn write_on(mut initiator: Initiator, acknowledged: &[AtomicU8], from: u8) {
    for number in from.. {
        for (at, block) in acknowledged.iter().enumerate() {
            let data = [number; 4096];
            let cdb = cdb16(0x8a, 8 * at as u64, BLOCKS, at % 4 == 0);
            let pdu = initiator.command(0, &cdb, 0x20, 4096).with_data(&data);
            let sent = initiator.send(&pdu);
            match sent.and_then(|()| initiator.finish(pdu.get(16), &data)) {
                Ok(answer) => {
                    answer.assert_good();
                    block.store(number, Ordering::SeqCst);
                }
                Err(_) => return,
            }
        }
    }
}

/// The highest number that is found; each block has at least what was acknowledged.
fn read_back(daemon: &Daemon, acknowledged: &[AtomicU8], round: u64) -> u8 {
    let mut initiator = host(daemon);
    let mut last = 0;
    for (at, block) in acknowledged.iter().enumerate() {
        let found = initiator.read(0, 8 * at as u64, BLOCKS).data;
        let least = block.load(Ordering::SeqCst);
        let number = found[0];
        assert!(found.iter().all(|byte| *byte == number), "half a write");
        assert!(
            number >= least,
            "round {round}, block {at}: {number}, {least} was acknowledged"
        );
        last = last.max(number);
    }
    last
}

#[test]
fn whichever_daemon_is_killed_the_other_one_has_all_that_was_acknowledged() {
    let Two { mut a, mut b, ways } = Two::new("continue");
    let [to_a, to_b] = &ways;
    assert!(is_elsewhere(&b));
    let blocks: Vec<AtomicU8> = (0..64).map(|_| AtomicU8::new(0)).collect();
    let mut last = 1;
    // By turns: the one that hosts use is killed, and the other one takes over.
    for round in 0..4_u64 {
        let at_a = round % 2 == 0;
        let initiator = host(if at_a { &a } else { &b });
        let from = last + 1;
        thread::scope(|scope| {
            let writing = scope.spawn(|| write_on(initiator, &blocks, from));
            wait_until("something is written", PATIENCE, || {
                blocks[1].load(Ordering::SeqCst) >= from
            });
            let until = Instant::now() + Duration::from_millis(9 * round);
            while Instant::now() < until {
                thread::yield_now();
            }
            if at_a {
                a.kill();
            } else {
                b.kill();
            }
            writing.join().unwrap();
        });
        let (other, name) = if at_a { (&b, "copy") } else { (&a, "vol") };
        // Not before it is known that the other one is gone, and not by mistake.
        let next = format!("tidelock mirror failover {name} --force");
        until(other, name, "told what to do", |it| {
            it["next"]["command"] == next.as_str()
        });
        let refused = other.refused(&["mirror", "failover", name, "-y"]);
        assert!(refused.contains("--force"), "{refused}");
        other.run(&["mirror", "failover", name, "--force", "-y"]);
        last = read_back(other, &blocks, round);
        for (at, block) in blocks.iter().enumerate() {
            let found = host(other).read(0, 8 * at as u64, BLOCKS).data[0];
            block.store(found, Ordering::SeqCst);
        }
        if at_a {
            a = a.restart();
            to_a.leads_to(&a);
        } else {
            b = b.restart();
            to_b.leads_to(&b);
        }
        let (old, serving) = if at_a { (&a, &b) } else { (&b, &a) };
        for (daemon, name) in [(&a, "vol"), (&b, "copy")] {
            until(daemon, name, "in step", |it| it["percent_synced"] == 100);
        }
        wait_until("the old source is a target", PATIENCE, || is_elsewhere(old));
        host(serving).write(0, 0, &[last; 4096], true).assert_good();
        blocks[0].store(last, Ordering::SeqCst);
    }
    let two = Two { a, b, ways };
    two.until_synchronized();
    two.compare();
    two.b.run(&["mirror", "failover", "copy", "-y"]);
    read_back(&two.b, &blocks, 9);
    two.b.run(&["mirror", "failback", "copy"]);
    two.until_synchronized();
    read_back(&two.a, &blocks, 10);
    two.a.run(&["mirror", "detach", "vol", "-y", "--force"]);
}

#[test]
fn a_link_that_is_cut_holds_hosts_up_for_a_moment_and_what_is_lacking_is_copied() {
    let two = Two::new("continue");
    let mut initiator = host(&two.a);
    for round in 0..2_u8 {
        two.cut();
        for at in 0..8 {
            let data = [10 + round; 4096];
            initiator.write(0, 8 * at, &data, at % 2 == 0).assert_good();
        }
        until_state(&two.a, "vol", "Broken");
        until_state(&two.b, "copy", "Broken");
        assert!(is_elsewhere(&two.b));
        two.mend();
        two.until_synchronized();
        initiator
            .write(0, 800, &[20 + round; 4096], true)
            .assert_good();
        two.compare();
    }
}

#[test]
fn hosts_are_stopped_if_that_is_wanted_until_an_operator_lets_them_go_on() {
    let two = Two::new("halt");
    let mut initiator = host(&two.a);
    two.cut();
    let refused = initiator.write(0, 0, &[9; 4096], false);
    assert_ne!(refused.status, 0);
    let halted = until(&two.a, "vol", "halted", |it| {
        it["detail"]
            .as_str()
            .is_some_and(|it| it.contains("hosts are stopped"))
    });
    assert_eq!(halted["copy_state"], "Broken");
    two.a.run(&["mirror", "fracture", "vol"]);
    initiator.write(0, 8, &[9; 4096], true).assert_good();
    two.mend();
    until_state(&two.b, "copy", "Fractured");
    two.b.run(&["mirror", "resync", "copy"]);
    two.until_synchronized();
    initiator.write(0, 16, &[9; 4096], true).assert_good();
    two.compare();
}

/// Runs what is shown as the next thing to do.
fn follow_advice(daemon: &Daemon, volume: &str, expected: &str) {
    let shown = until(daemon, volume, "told what to do", |it| {
        it["next"]["command"] == expected
    });
    assert_eq!(shown["serving"], Value::Null, "{shown:#}");
    let mut words: Vec<&str> = expected.split(' ').skip(1).collect();
    words.push("-y");
    daemon.run(&words);
}

#[test]
fn a_daemon_that_comes_back_alone_shows_a_command_with_which_hosts_go_on() {
    let mut two = Two::new("continue");
    // The one whose volume is the source.
    two.a.kill();
    two.b.kill();
    two.a = two.a.restart();
    follow_advice(&two.a, "vol", "tidelock mirror fracture vol --force");
    host(&two.a).write(0, 0, &[7; 4096], true).assert_good();
    two.b = two.b.restart();
    two.mend();
    until_state(&two.b, "copy", "Fractured");
    two.b.run(&["mirror", "resync", "copy"]);
    two.until_synchronized();
    // The one whose volume is the target, after a failover.
    two.b.run(&["mirror", "failover", "copy", "-y"]);
    two.a.kill();
    two.b.kill();
    two.a = two.a.restart();
    follow_advice(&two.a, "vol", "tidelock mirror failover vol --force");
    assert_eq!(host(&two.a).read(0, 0, BLOCKS).data, [7; 4096]);
    two.b = two.b.restart();
    two.mend();
    two.until_synchronized();
    two.compare();
}

#[test]
fn of_two_sources_the_one_that_an_operator_made_is_used_until_he_drops_the_changes_of_one() {
    let two = Two::new("continue");
    let mut initiator = host(&two.a);
    two.cut();
    initiator.write(0, 0, &[5; 4096], true).assert_good();
    until_state(&two.b, "copy", "Broken");
    two.b.run(&["mirror", "failover", "copy", "--force", "-y"]);
    host(&two.b).write(0, 8, &[6; 4096], true).assert_good();
    initiator.write(0, 16, &[5; 4096], true).assert_good();
    two.mend();
    let split = |it: &Value| {
        it["detail"]
            .as_str()
            .is_some_and(|it| it.contains("split brain"))
    };
    until(&two.b, "copy", "split", split);
    let shown = until(&two.a, "vol", "split", split);
    wait_until("hosts are kept away from the old source", PATIENCE, || {
        is_elsewhere(&two.a)
    });
    host(&two.b).write(0, 24, &[6; 4096], true).assert_good();
    let command = shown["next"]["command"].as_str().unwrap();
    assert_eq!(command, "tidelock mirror resync vol --discard vol");
    two.a
        .run(&["mirror", "resync", "vol", "--discard", "vol", "-y"]);
    for (daemon, name) in [(&two.a, "vol"), (&two.b, "copy")] {
        until(daemon, name, "in step", |it| it["percent_synced"] == 100);
    }
    two.a.run(&["mirror", "failback", "vol"]);
    two.until_synchronized();
    let mut initiator = host(&two.a);
    for (at, expected) in [(0, 1), (8, 6), (16, 0), (24, 6)] {
        assert_eq!(initiator.read(0, at, BLOCKS).data, [expected; 4096], "{at}");
    }
    two.compare();
}
