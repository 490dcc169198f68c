//! The store as it is: etcd, where the host has it.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tidelock_mirror::id::{MirrorId, NodeId};
use tidelock_mirror::lease::{Answer, LeaseId, Request, Revision, Seen, Standing};

use super::*;

const WITHIN: Duration = Duration::from_secs(30);

struct Server {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// `None` (and a word about it) where the host has none.
fn server() -> Option<Server> {
    let folder = tempfile::tempdir().unwrap();
    // Somebody else may take the ports before etcd does; then it ends, and others are tried.
    for _ in 0..5 {
        let (port, peers) = (free_port(), free_port());
        let client = format!("http://127.0.0.1:{port}");
        let peer = format!("http://127.0.0.1:{peers}");
        let child = Command::new("etcd")
            .arg("--data-dir")
            .arg(folder.path().join(format!("data-{port}")))
            .args([
                "--listen-client-urls",
                &client,
                "--advertise-client-urls",
                &client,
            ])
            .args([
                "--listen-peer-urls",
                &peer,
                "--initial-advertise-peer-urls",
                &peer,
            ])
            .args(["--initial-cluster", &format!("default={peer}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => {
                eprintln!("NOT TESTED on this host: etcd: {error}");
                return None;
            }
        };
        let began = Instant::now();
        while began.elapsed() < WITHIN && child.try_wait().unwrap().is_none() {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(Server {
                    child,
                    port,
                    _folder: folder,
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
    panic!("etcd doesn't start");
}

fn store(port: u16) -> Etcd {
    // Long, so that a busy machine connects in time.
    let text =
        format!("etcd = [\"http://127.0.0.1:1\", \"http://127.0.0.1:{port}\"]\nlease_seconds = 60");
    let settings = check(toml::from_str(&text).unwrap()).unwrap();
    Etcd::new(Arc::new(settings), MirrorId(3))
}

async fn granted(store: &mut Etcd) -> LeaseId {
    match store.ask(&Request::Grant { ttl_ms: 60_000 }, WITHIN).await {
        Ok(Answer::Granted(lease, 60_000)) => lease,
        other => panic!("{other:?}"),
    }
}

async fn seen(store: &mut Etcd) -> Seen {
    match store.ask(&Request::Look, WITHIN).await {
        Ok(Answer::Seen(seen)) => seen,
        other => panic!("{other:?}"),
    }
}

fn take(node: u128, lease: LeaseId, from: Revision) -> Request {
    Request::Take {
        me: NodeId(node),
        lease,
        standing: Standing {
            source: NodeId(node),
            eligible: BTreeSet::new(),
        },
        from,
    }
}

#[tokio::test]
async fn etcd_does_what_the_rules_want_of_a_store() {
    let Some(server) = server() else {
        return;
    };
    // The first address answers nobody, and is gone past.
    let (mut one, mut other) = (store(server.port), store(server.port));
    assert_eq!(
        seen(&mut one).await,
        Seen {
            holder: None,
            standing: None,
            revision: Revision(0)
        }
    );
    let (first, second) = (granted(&mut one).await, granted(&mut other).await);
    let taken = one.ask(&take(1, first, Revision(0)), WITHIN).await.unwrap();
    let Answer::Done(revision) = taken else {
        panic!("{taken:?}");
    };
    // There is a holder, and the standing isn't what it was.
    for request in [take(2, second, Revision(0)), take(2, second, revision)] {
        assert_eq!(other.ask(&request, WITHIN).await.unwrap(), Answer::Refused);
    }
    let found = seen(&mut other).await;
    assert_eq!(found.holder, Some((NodeId(1), first)));
    assert_eq!(found.revision, revision);
    let change = |lease, from| Request::Change {
        lease,
        standing: Standing {
            source: NodeId(1),
            eligible: BTreeSet::from([NodeId(2)]),
        },
        from,
    };
    // Not the holder's lease; and a revision that is past.
    for request in [
        change(second, revision),
        change(first, Revision(revision.0 - 1)),
    ] {
        assert_eq!(other.ask(&request, WITHIN).await.unwrap(), Answer::Refused);
    }
    let changed = one.ask(&change(first, revision), WITHIN).await.unwrap();
    let Answer::Done(newer) = changed else {
        panic!("{changed:?}");
    };
    assert!(newer > revision);
    let kept = one.ask(&Request::KeepAlive(first), WITHIN).await.unwrap();
    assert_eq!(kept, Answer::Kept(60_000));
    one.ask(&Request::Revoke(first), WITHIN).await.unwrap();
    let gone = one.ask(&Request::KeepAlive(first), WITHIN).await.unwrap();
    assert_eq!(gone, Answer::LeaseGone);
    let again = one.ask(&Request::Revoke(first), WITHIN).await.unwrap();
    assert_eq!(again, Answer::LeaseGone);
    // The holder went with its lease, the standing stays.
    let found = seen(&mut other).await;
    assert_eq!(found.holder, None);
    assert_eq!(
        found.standing.unwrap().eligible,
        BTreeSet::from([NodeId(2)])
    );
    let taken = other.ask(&take(2, second, newer), WITHIN).await.unwrap();
    let Answer::Done(latest) = taken else {
        panic!("{taken:?}");
    };
    settle(&mut one, &mut other, [newer, latest]).await;
}

/// What an operator's word does to what is there in the second of two revisions.
async fn settle(one: &mut Etcd, other: &mut Etcd, [earlier, latest]: [Revision; 2]) {
    // An operator's word ends all that, unless somebody was quicker.
    let settle = |standing, from| Request::Settle { standing, from };
    let late = one.ask(&settle(None, earlier), WITHIN).await.unwrap();
    assert_eq!(late, Answer::Refused);
    let claim = Standing {
        source: NodeId(2),
        eligible: BTreeSet::new(),
    };
    let claimed = settle(Some(claim.clone()), latest);
    let claimed = one.ask(&claimed, WITHIN).await.unwrap();
    let Answer::Done(claimed) = claimed else {
        panic!("{claimed:?}");
    };
    let found = seen(other).await;
    assert_eq!((found.holder, found.standing), (None, Some(claim)));
    let gone = one.ask(&settle(None, claimed), WITHIN).await.unwrap();
    assert!(matches!(gone, Answer::Done(_)));
    let found = seen(other).await;
    assert_eq!((found.holder, found.standing), (None, None));
    assert_eq!(found.revision, Revision(0));
}

#[tokio::test]
async fn who_answers_nothing_and_what_is_no_answer_is_told() {
    // It takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut asker = store(silent.local_addr().unwrap().port());
    let within = Duration::from_millis(300);
    let error = asker.ask(&Request::Look, within).await.unwrap_err();
    assert!(error.to_string().contains("within 300 ms"), "{error}");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut asker = store(listener.local_addr().unwrap().port());
    let answers = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        for body in ["{", "[]", "{\"responses\": [{}, {}, {}]}"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4096];
            assert!(stream.read(&mut asked).await.unwrap() > 0);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream
                .write_all(format!("{head}{body}").as_bytes())
                .await
                .unwrap();
        }
    });
    for _ in 0..3 {
        let error = asker.ask(&Request::Look, WITHIN).await.unwrap_err();
        assert!(error.to_string().contains("understood"), "{error}");
    }
    answers.await.unwrap();
    let mut nobody = store(1);
    let error = nobody.ask(&Request::Look, WITHIN).await.unwrap_err();
    assert!(error.to_string().contains("no member"), "{error}");
}
