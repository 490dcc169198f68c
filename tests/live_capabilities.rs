//! What elements support follows what happens, at the moment when it happens: a link that is cut, a copy under way, a volume
//! that is lost, a daemon that starts. One code for each.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::daemon::Daemon;
use crate::harness::wait_until;
use crate::remote_mirrors::{Two, host};

const PATIENCE: Duration = Duration::from_secs(120);
/// How often something that lasts for a moment is made to happen until it is seen.
const ROUNDS: usize = 40;
/// Within how much time it is told that a peer is gone: what a heartbeat takes, on a machine that is busy.
const BOUND: Duration = Duration::from_secs(30);

/// What is answered, without a program to be started for it; `None`: nobody answers.
fn ask(socket: &Path, question: &str) -> Option<Value> {
    let mut stream = UnixStream::connect(socket).ok()?;
    let head = "Host: tidelock\r\nConnection: close\r\n";
    write!(
        stream,
        "GET /v1/capabilities?{question} HTTP/1.1\r\n{head}\r\n"
    )
    .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
}

fn code(daemon: &Daemon, question: &str) -> u64 {
    let told = ask(&daemon.socket, question).unwrap();
    told["return_code"].as_u64().unwrap()
}

/// Asks again and again while something goes on, and returns the codes that were answered, each once in a row.
fn codes_while<T>(socket: &Path, question: &str, goes_on: impl FnOnce() -> T) -> (Vec<u64>, T) {
    let (ended, codes) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let done = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            while !ended.load(Ordering::SeqCst) {
                let told = ask(socket, question);
                let code = told.and_then(|it| it["return_code"].as_u64());
                let mut codes = codes.lock().unwrap();
                if code.is_some() && code != codes.last().copied() {
                    codes.extend(code);
                }
            }
        });
        let done = goes_on();
        ended.store(true, Ordering::SeqCst);
        asking.join().unwrap();
        done
    });
    (codes.into_inner().unwrap(), done)
}

#[test]
fn answers_follow_the_link_the_copy_and_the_request() {
    let two = Two::new("continue");
    two.a.run(&["volume", "create", "other", "--size", "8M"]);
    let pair = "element=other&via=b";
    let local =
        |daemon: &Daemon| ask(&daemon.socket, "element=other").unwrap()["sync_types"].clone();
    // Success, with a peer and without.
    let told = ask(&two.a.socket, pair).unwrap();
    assert_eq!(
        (&told["return_code"], &told["sync_types"]),
        (&json!(0), &json!([6, 6]))
    );
    assert_eq!(told["local_element_role"], json!([2, 2]));
    let before = local(&two.a);
    assert_eq!(before, json!([6, 6, 6, 6, 7, 8]));
    assert_eq!(code(&two.b, "element=copy"), 0);
    // Not Supported: a structure that can't be. Invalid Parameter: what isn't there.
    two.a.run(&["volume", "create", "small", "--size", "4M"]);
    assert_eq!(code(&two.a, "element=other&other=small"), 1);
    assert_eq!(code(&two.a, "element=nobody"), 5);
    assert_eq!(code(&two.a, "element=other&via=nobody"), 5);
    let mut initiator = host(&two.a);
    let mut seen = Vec::new();
    for round in 0..ROUNDS {
        // Timeout, within a bound; what is here doesn't hinge on the link.
        two.cut();
        let cut = Instant::now();
        let (codes, ()) = codes_while(&two.a.socket, pair, || {
            wait_until("the pair is told as a timeout", BOUND, || {
                assert_eq!(local(&two.a), before);
                code(&two.a, pair) == 3
            });
        });
        assert!(cut.elapsed() < BOUND);
        assert!(codes.iter().all(|it| [0, 3].contains(it)), "{codes:?}");
        assert_eq!(local(&two.a), before);
        // In Use, while a copy lacks something, and Success when it has all.
        let data = vec![30 + round as u8; 1 << 20];
        for at in 0..8 {
            initiator.write(0, 2048 * at, &data, false).assert_good();
        }
        let (codes, ()) = codes_while(&two.b.socket, "element=copy", || {
            two.mend();
            two.until_synchronized();
        });
        assert_eq!(code(&two.b, "element=copy"), 0);
        wait_until("the pair is possible again", PATIENCE, || {
            code(&two.a, pair) == 0
        });
        seen = codes;
        if seen.contains(&6) {
            break;
        }
    }
    assert!(seen.contains(&6), "{seen:?}");
}

#[test]
fn answers_follow_the_start_of_a_daemon_and_the_loss_of_a_volume() {
    let mut daemon = Daemon::start();
    let file = daemon.folder().join("file");
    std::fs::write(&file, vec![0; 1 << 20]).unwrap();
    let path = file.to_str().unwrap();
    daemon.run(&["volume", "create", "lost", "--file", path]);
    for number in 0..8 {
        let name = format!("v{number}");
        daemon.run(&["volume", "create", &name, "--size", "1M"]);
        daemon.run(&["snapshot", "create", &name, "s"]);
    }
    assert_eq!(code(&daemon, "element=lost"), 0);
    std::fs::remove_file(&file).unwrap();
    // Unknown, while the records are being read; then Failed, as that volume is lost, and nothing else is.
    let mut seen = Vec::new();
    for _ in 0..ROUNDS {
        let socket = daemon.socket.clone();
        let (codes, restarted) = codes_while(&socket, "element=lost", || daemon.kill_and_restart());
        daemon = restarted;
        assert_eq!(code(&daemon, "element=lost"), 4);
        assert_eq!(code(&daemon, "element=v0"), 0);
        seen = codes;
        if seen.contains(&2) {
            break;
        }
    }
    assert!(seen.contains(&2), "{seen:?}");
}
