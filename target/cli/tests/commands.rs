//! Whole commands against a daemon that gives prepared answers: what is asked, what is printed, what
//! is confirmed, and which exit code it ends with.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test"
)]

use std::io::{Cursor, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use clap::Parser;
use serde_json::{Value, json};
use tidelock_cli::args::Cli;
use tidelock_cli::{Exit, Terminal, run};

const TARGET: &str = "iqn.2024-01.com.example:t";

/// Answers each connection's request with the next prepared answer, and keeps what was asked.
struct Daemon {
    dir: tempfile::TempDir,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Daemon {
    fn start(answers: Vec<(u16, Value)>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("admin.sock")).unwrap();
        let asked = Arc::<Mutex<Vec<_>>>::default();
        let heard = Arc::clone(&asked);
        // Ends with the process if a command asks for less than was prepared.
        std::thread::spawn(move || {
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().unwrap();
                heard.lock().unwrap().push(read_request(&mut stream));
                let body = if body.is_null() {
                    String::new()
                } else {
                    body.to_string()
                };
                let length = body.len();
                let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n");
                stream.write_all((head + &body).as_bytes()).unwrap();
            }
        });
        Self { dir, asked }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("admin.sock")
    }

    /// What was asked so far.
    fn asked(&self) -> Vec<(String, Value)> {
        self.asked.lock().unwrap().clone()
    }
}

fn read_request(stream: &mut UnixStream) -> (String, Value) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
                return (
                    line.to_owned(),
                    serde_json::from_str(body).unwrap_or(Value::Null),
                );
            }
        }
        let len = stream.read(&mut buffer).unwrap();
        assert!(len > 0, "the client hung up: {text}");
        bytes.extend_from_slice(buffer.get(..len).unwrap());
    }
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// How a command ended.
struct Ended {
    exit: Exit,
    out: String,
    err: String,
}

/// Runs a command; `answer` is what is typed, `None` if nobody is there.
fn command(socket: Option<PathBuf>, arguments: &[&str], answer: Option<&str>) -> Ended {
    let socket = socket.map(|socket| ["--socket".into(), socket.into_os_string()]);
    let line = ["tidelock"].iter().chain(arguments).map(Into::into);
    let cli = Cli::try_parse_from(line.chain(socket.into_iter().flatten())).unwrap();
    let (out, err) = (Sink::default(), Sink::default());
    let mut terminal = Terminal {
        out_is_terminal: answer.is_some(),
        out: Box::new(out.clone()),
        err: Box::new(err.clone()),
        input: Box::new(Cursor::new(answer.unwrap_or_default().to_owned())),
        interactive: answer.is_some(),
        progress: false,
        now_unix_ms: 100_000,
    };
    let json = cli.json;
    let exit = match run(cli, &mut terminal) {
        Ok(()) => Exit::Done,
        Err(error) => {
            error.report(json, &mut terminal);
            error.exit()
        }
    };
    Ended {
        exit,
        out: out.text(),
        err: err.text(),
    }
}

fn volume(managed: bool) -> Value {
    json!({
        "name": "db", "id": "i", "naa": "3", "serial": "s", "path": "/volumes/db",
        "size_bytes": 1 << 30, "allocated_bytes": 1 << 20, "block_bytes": 512, "managed": managed,
        "preallocated": false, "direct": false, "write_cache": true, "state": "ready",
        "mappings": [{"target": TARGET, "lun": 0, "read_only": false}], "added_later": true
    })
}

fn target(sessions: u64) -> Value {
    json!({"name": TARGET, "relative_port": 1, "portal_group_tag": 1, "luns": [], "acl": [],
           "sessions": sessions})
}

fn refusal() -> Value {
    json!({"error": {"code": "conflict", "message": "volume db is mapped", "hint": "unmap it"}})
}

#[test]
fn a_created_volume_is_asked_for_and_shown() {
    let daemon = Daemon::start(vec![(201, volume(true)), (201, volume(true))]);
    let create = ["volume", "create", "db", "--size", "1G", "--direct"];
    let ended = command(Some(daemon.socket()), &create, None);
    assert_eq!(ended.out, "volume db created: 1 GiB in /volumes/db\n");
    let ended = command(
        Some(daemon.socket()),
        &[&create[..], &["--json"]].concat(),
        None,
    );
    let shown: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(shown["size_bytes"], 1 << 30);
    let request = json!({"name": "db", "size_bytes": 1 << 30, "block_bytes": 512,
                         "preallocate": false, "direct": true, "write_through": false});
    let asked = ("POST /v1/volumes".to_owned(), request);
    assert_eq!(daemon.asked(), [asked.clone(), asked]);
}

#[test]
fn a_relative_file_is_sent_as_an_absolute_one() {
    let daemon = Daemon::start(vec![(201, volume(false))]);
    let create = ["volume", "create", "db", "--file", "images/disk.img"];
    assert_eq!(
        command(Some(daemon.socket()), &create, None).exit,
        Exit::Done
    );
    let (_, request) = daemon.asked().remove(0);
    let expected = std::env::current_dir().unwrap().join("images/disk.img");
    assert_eq!(request["file"], expected.to_str().unwrap());
    assert!(request.get("size_bytes").is_none());
}

#[test]
fn deleting_says_what_is_destroyed_and_does_it_only_after_a_yes() {
    for (managed, answer, exit) in [
        (true, Some("y\n"), Exit::Done),
        (true, Some("YES\n"), Exit::Done),
        (false, Some("yes\n"), Exit::Done),
        (true, Some("\n"), Exit::NotConfirmed),
        (true, Some("no\n"), Exit::NotConfirmed),
        (true, Some(""), Exit::NotConfirmed),
        (true, None, Exit::Done),
    ] {
        let mut answers = vec![(200, volume(managed))];
        if exit == Exit::Done {
            answers.push((204, Value::Null));
        }
        let daemon = Daemon::start(answers);
        let ended = command(Some(daemon.socket()), &["volume", "delete", "db"], answer);
        assert_eq!(ended.exit, exit, "{answer:?}: {}", ended.err);
        if answer.is_some() {
            let fate = if managed {
                "(1 MiB) is destroyed"
            } else {
                "/volumes/db stays"
            };
            assert!(ended.err.contains(fate), "{}", ended.err);
            assert!(ended.err.contains("mapped in 1 target(s)"), "{}", ended.err);
        } else {
            assert_eq!(ended.err, "");
        }
        let asked: Vec<_> = daemon.asked().into_iter().map(|(line, _)| line).collect();
        assert_eq!(
            asked.contains(&"DELETE /v1/volumes/db".to_owned()),
            exit == Exit::Done
        );
    }
}

#[test]
fn nothing_is_asked_with_yes_or_when_nothing_is_destroyed() {
    let volume = || (200, volume(true));
    for (line, answers) in [
        ("volume delete db --yes", vec![volume(), (204, Value::Null)]),
        ("volume resize db --size 2G", vec![volume()]),
        ("volume unfence db", vec![volume(), volume()]),
        // Nobody has a reservation: there is nothing to ask about.
        ("reservation clear db", vec![volume(), (204, Value::Null)]),
        ("lun unmap t 0", vec![(200, target(0)), (204, Value::Null)]),
        ("session drop 1 -y", vec![(204, Value::Null)]),
        (
            "target delete t -y",
            vec![(200, target(3)), (204, Value::Null)],
        ),
    ] {
        let prepared = answers.len();
        let daemon = Daemon::start(answers);
        let arguments: Vec<_> = line.split(' ').collect();
        // Whoever is there says no to everything.
        let ended = command(Some(daemon.socket()), &arguments, Some("n\n"));
        assert_eq!(ended.exit, Exit::Done, "{line}: {}", ended.err);
        assert_eq!(ended.err, "", "{line}");
        assert_eq!(daemon.asked().len(), prepared, "{line}");
    }
}

#[test]
fn everything_that_takes_something_from_a_host_is_asked_for() {
    let mut fenced = volume(true);
    fenced["state"] = "fenced".into();
    let mut reserved = volume(true);
    let registrant = json!({
        "initiator_port": "iqn.a,i,0x1", "relative_port": 1, "key": "0x1", "holder": true
    });
    reserved["reservations"] = json!({
        "reservation": "write_exclusive", "registrants": [registrant], "persistent": false
    });
    let mut lost = volume(true);
    lost["state"] = "failed".into();
    lost["detail"] = "its reservations can't be read".into();
    for (line, answers, says) in [
        ("volume unfence db", vec![(200, fenced)], "check the data"),
        (
            "reservation clear db",
            vec![(200, reserved)],
            "1 path(s) registered",
        ),
        (
            "reservation clear db",
            vec![(200, lost)],
            "its reservations can't be read",
        ),
        ("lun unmap t 0", vec![(200, target(2))], "2 session(s)"),
        ("target delete t", vec![(200, target(2))], "2 session(s)"),
        ("session drop 1", vec![], "log in again"),
    ] {
        let daemon = Daemon::start(answers);
        let arguments: Vec<_> = line.split(' ').collect();
        let ended = command(Some(daemon.socket()), &arguments, Some("n\n"));
        assert_eq!(ended.exit, Exit::NotConfirmed, "{line}");
        assert!(ended.err.contains(says), "{line}: {}", ended.err);
        assert!(
            daemon
                .asked()
                .iter()
                .all(|(line, _)| line.starts_with("GET ")),
            "{line}"
        );
    }
}

#[test]
fn a_refusal_is_shown_with_its_hint_and_has_its_exit_code() {
    let daemon = Daemon::start(vec![(200, volume(true)), (409, refusal())]);
    let ended = command(Some(daemon.socket()), &["volume", "delete", "db"], None);
    assert_eq!(ended.exit, Exit::Refused);
    assert_eq!(
        ended.err,
        "tidelock: volume db is mapped\n  hint: unmap it\n"
    );
    assert_eq!(ended.out, "");
    let daemon = Daemon::start(vec![(409, refusal())]);
    let ended = command(
        Some(daemon.socket()),
        &["volume", "show", "db", "--json"],
        None,
    );
    assert_eq!(
        serde_json::from_str::<Value>(&ended.err).unwrap(),
        refusal()
    );
}

#[test]
fn a_daemon_that_is_not_there_has_an_exit_code_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("none.sock");
    let ended = command(Some(missing.clone()), &["status"], None);
    assert_eq!(ended.exit, Exit::Unreachable);
    assert!(
        ended.err.contains(missing.to_str().unwrap()),
        "{}",
        ended.err
    );
    assert!(ended.err.contains("is tidelockd running"), "{}", ended.err);
    let stale = dir.path().join("stale.sock");
    drop(UnixListener::bind(&stale).unwrap());
    let ended = command(Some(stale), &["status", "--json"], None);
    assert_eq!(ended.exit, Exit::Unreachable);
    let error: Value = serde_json::from_str(&ended.err).unwrap();
    assert_eq!(error["error"]["code"], "unreachable");
}

#[test]
fn an_answer_that_is_not_one_leaves_the_outcome_unclear() {
    for (status, body) in [
        (200, json!({"volumes": 5})),
        (500, json!("oops")),
        (200, Value::Null),
    ] {
        let daemon = Daemon::start(vec![(status, body)]);
        let ended = command(Some(daemon.socket()), &["volume", "list"], None);
        assert_eq!(ended.exit, Exit::Unclear);
        assert!(ended.err.contains("same release"), "{}", ended.err);
    }
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("admin.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let hang_up = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let ended = command(Some(socket), &["volume", "list"], None);
    assert_eq!(ended.exit, Exit::Unclear, "{}", ended.err);
    assert!(ended.err.contains("before it answered"), "{}", ended.err);
    hang_up.join().unwrap();
}

/// A file with a mode.
fn file(dir: &tempfile::TempDir, name: &str, content: &[u8], mode: u32) -> String {
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn secrets_come_from_files_without_their_line_break_and_are_not_printed() {
    let dir = tempfile::tempdir().unwrap();
    let chap = file(&dir, "chap", b"a secret of mine\n", 0o600);
    let mutual = file(&dir, "mutual", b"a secret of yours\r\n", 0o644);
    let entry = json!({"initiator": "*", "access": "allow",
                       "chap": {"user": "u", "mutual_user": "m"}});
    let daemon = Daemon::start(vec![(200, entry)]);
    let line = [
        "acl",
        "allow",
        TARGET,
        "*",
        "--chap-user",
        "u",
        "--chap-secret-file",
        &chap,
        "--mutual-user",
        "m",
        "--mutual-secret-file",
        &mutual,
    ];
    let ended = command(Some(daemon.socket()), &line, None);
    assert_eq!(
        ended.out,
        format!("* may log in to {TARGET} with mutual CHAP\n")
    );
    // Only the file that others may read is complained about.
    assert!(
        ended.err.contains(&mutual) && ended.err.contains("chmod 600"),
        "{}",
        ended.err
    );
    assert!(!ended.err.contains(&format!("{chap} ")), "{}", ended.err);
    assert!(!(ended.out + &ended.err).contains("a secret of"));
    let request = json!({
        "access": "allow",
        "chap": {"user": "u", "secret": "a secret of mine"},
        "mutual": {"user": "m", "secret": "a secret of yours"}
    });
    let path = "PUT /v1/targets/iqn.2024-01.com.example%3At/acl/%2A".to_owned();
    assert_eq!(daemon.asked(), [(path, request)]);
}

#[test]
fn an_entry_is_about_a_subnet_an_initiator_or_both() {
    let entry = |initiator: &str, access: &str| json!({"initiator": initiator, "network": "10.0.0.0/8", "access": access});
    let daemon = Daemon::start(vec![
        (200, entry("*", "allow")),
        (200, entry("iqn.2024-01.com.example:*", "deny")),
        (204, Value::Null),
    ]);
    let run = |line: &[&str]| command(Some(daemon.socket()), line, None).out;
    let subnet = ["--subnet", "10.0.0.0/8"];
    assert_eq!(
        run(&[&["acl", "allow", TARGET], &subnet[..]].concat()),
        format!("* from 10.0.0.0/8 may log in to {TARGET} by its name alone\n")
    );
    let pattern = "iqn.2024-01.com.example:*";
    assert_eq!(
        run(&[&["acl", "deny", "discovery", pattern], &subnet[..]].concat()),
        format!("{pattern} from 10.0.0.0/8 may not discover targets\n")
    );
    assert_eq!(
        run(&[&["acl", "remove", "discovery", "--json"], &subnet[..]].concat()),
        "{\n  \"removed\": {\n    \"initiator\": \"*\",\n    \"network\": \"10.0.0.0/8\",\n    \
         \"scope\": \"discovery\"\n  }\n}\n"
    );
    let paths: Vec<_> = daemon.asked().into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        paths,
        [
            "PUT /v1/targets/iqn.2024-01.com.example%3At/acl/%2A?network=10.0.0.0%2F8",
            "PUT /v1/discovery/acl/iqn.2024-01.com.example%3A%2A?network=10.0.0.0%2F8",
            "DELETE /v1/discovery/acl/%2A?network=10.0.0.0%2F8",
        ]
    );
}

#[test]
fn a_target_is_redirected_and_served_again() {
    let daemon = Daemon::start(vec![
        (200, json!({"address": "192.0.2.1:3260", "permanent": true})),
        (204, Value::Null),
    ]);
    let run = |line: &[&str]| command(Some(daemon.socket()), line, None).out;
    let said = run(&["target", "redirect", TARGET, "192.0.2.1", "--permanent"]);
    assert!(
        said.contains("is sent to 192.0.2.1:3260 for good"),
        "{said}"
    );
    let said = run(&["target", "redirect", TARGET, "--off"]);
    assert_eq!(said, format!("{TARGET} is served here again\n"));
    let path = "/v1/targets/iqn.2024-01.com.example%3At/redirect";
    assert_eq!(
        daemon.asked(),
        [
            (
                format!("PUT {path}"),
                json!({"address": "192.0.2.1", "permanent": true})
            ),
            (format!("DELETE {path}"), Value::Null)
        ]
    );
}

#[test]
fn parameters_are_set_for_a_target_and_for_an_entry() {
    let daemon = Daemon::start(vec![
        (200, json!({"queue_depth": 4, "header_digest": "required"})),
        (200, json!({})),
    ]);
    let run = |line: &[&str]| command(Some(daemon.socket()), line, None).out;
    let words = [
        "queue-depth=4",
        "header-digest=required",
        "nop-interval=default",
    ];
    let said = run(&[&["target", "set", TARGET], &words[..]].concat());
    let next = "from the next login on, for sessions of";
    let expected = format!("{next} {TARGET}: header-digest=required queue-depth=4\n");
    assert_eq!(said, expected);
    let line = [
        "acl",
        "set",
        TARGET,
        "*",
        "--subnet",
        "::1",
        "initial-r2t=default",
    ];
    let said = run(&line);
    assert!(
        said.starts_with("nothing is set for the sessions of * from ::1"),
        "{said}"
    );
    let base = "PATCH /v1/targets/iqn.2024-01.com.example%3At";
    assert_eq!(
        daemon.asked(),
        [
            (
                format!("{base}/parameters"),
                json!({"set": {"queue_depth": 4, "header_digest": "required"},
                       "reset": ["nop_interval"]})
            ),
            (
                format!("{base}/acl/%2A?network=%3A%3A1"),
                json!({"set": {}, "reset": ["initial_r2t"]})
            )
        ]
    );
}

#[test]
fn an_initiator_is_asked_to_log_out() {
    let daemon = Daemon::start(vec![(202, Value::Null)]);
    let line = ["session", "logout", "7", "--within", "30"];
    let said = command(Some(daemon.socket()), &line, None).out;
    assert!(
        said.contains("session 7") && said.contains("in 30 s"),
        "{said}"
    );
    let path = "POST /v1/sessions/7/logout".to_owned();
    assert_eq!(daemon.asked(), [(path, json!({"within_seconds": 30}))]);
}

#[test]
fn a_file_that_holds_no_secret_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap().to_owned();
    for (path, says) in [
        (folder.clone() + "/missing", "No such file"),
        (folder, "it is a folder"),
        (file(&dir, "empty", b"\n", 0o600), "it is empty"),
        (
            file(&dir, "binary", b"\xff\xfe\xfd", 0o600),
            "it isn't text",
        ),
        (
            file(&dir, "long", &[b'x'; 5_000], 0o600),
            "more than 4096 bytes",
        ),
    ] {
        let line = [
            "acl",
            "allow",
            TARGET,
            "*",
            "--chap-user",
            "u",
            "--chap-secret-file",
            &path,
        ];
        let ended = command(Some("/nowhere".into()), &line, None);
        assert_eq!(ended.exit, Exit::Local, "{}", ended.err);
        assert!(
            ended.err.contains(&path) && ended.err.contains(says),
            "{}",
            ended.err
        );
    }
}

#[test]
fn lists_are_tables_or_json() {
    let list = json!({"volumes": [volume(true)]});
    let daemon = Daemon::start(vec![(200, list.clone()), (200, list)]);
    let ended = command(Some(daemon.socket()), &["volume", "list"], None);
    assert!(ended.out.starts_with("NAME  "), "{}", ended.out);
    assert_eq!(ended.out.lines().count(), 2);
    let ended = command(Some(daemon.socket()), &["--json", "volume", "list"], None);
    let shown: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(shown["volumes"][0]["name"], "db");
}

#[test]
fn completion_and_man_pages_need_no_daemon() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = command(None, &["completion", shell], None);
        assert_eq!(ended.exit, Exit::Done);
        assert!(ended.out.contains("unfence"), "{shell}");
    }
    let page = command(None, &["man"], None).out;
    assert!(
        page.contains(".TH tidelock 1") && page.contains("Exit codes"),
        "{page}"
    );
    let dir = tempfile::tempdir().unwrap();
    let ended = command(None, &["man", "--dir", dir.path().to_str().unwrap()], None);
    assert_eq!(ended.exit, Exit::Done, "{}", ended.err);
    assert!(dir.path().join("tidelock-volume-create.1").exists());
    let ended = command(None, &["man", "--dir", "/proc/none"], None);
    assert_eq!(ended.exit, Exit::Local);
    assert!(ended.err.contains("/proc/none"), "{}", ended.err);
}

fn job(state: &str, done: u64) -> Value {
    json!({"id": 7, "kind": "split", "volume": "k", "state": state, "percent": done, "done_bytes": done << 20,
           "total_bytes": 100 << 20, "started": "2026-11-26T10:34:56Z", "cancellable": true})
}

#[test]
fn a_job_is_watched_to_its_end() {
    let waiting = || {
        let mut suspended = job("Suspended", 40);
        suspended["waiting"] = json!("no space");
        suspended
    };
    let daemon = Daemon::start(vec![
        (200, job("Running", 10)),
        (200, waiting()),
        (200, job("Completed", 100)),
    ]);
    let ended = command(Some(daemon.socket()), &["job", "watch", "7"], None);
    assert_eq!(ended.exit, Exit::Done, "{}", ended.err);
    assert_eq!(ended.out, "job 7: split k has ended: 100 MiB\n");
    assert_eq!(daemon.asked().len(), 3);
    let daemon = Daemon::start(vec![(204, Value::Null), (200, job("Terminated", 40))]);
    let ended = command(Some(daemon.socket()), &["job", "cancel", "7"], None);
    assert_eq!((ended.exit, ended.err.as_str()), (Exit::Done, ""));
    assert_eq!(ended.out, "job 7: split k: Terminated\n");
    assert_eq!(daemon.asked()[0].0, "DELETE /v1/jobs/7");
    let mut failed = job("Exception", 40);
    failed["error"] = json!("the disk is broken");
    let daemon = Daemon::start(vec![(200, failed.clone()), (200, failed.clone())]);
    let ended = command(Some(daemon.socket()), &["job", "watch", "7"], None);
    assert_eq!(ended.exit, Exit::JobFailed);
    assert!(
        ended.err.contains("job 7 is Exception: the disk is broken"),
        "{}",
        ended.err
    );
    let ended = command(Some(daemon.socket()), &["--json", "job", "show", "7"], None);
    let shown: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(
        (&shown["state"], &shown["error"]),
        (&json!("Exception"), &failed["error"])
    );
    let daemon = Daemon::start(vec![(
        200,
        json!({"jobs": [job("Running", 10), waiting()]}),
    )]);
    let ended = command(Some(daemon.socket()), &["job", "list"], None);
    let lines: Vec<_> = ended.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", ended.out);
    assert!(
        lines[1].contains("Running") && lines[1].contains("10%"),
        "{}",
        lines[1]
    );
    assert!(
        lines[2].contains("Suspended") && lines[2].contains("no space"),
        "{}",
        lines[2]
    );
}

#[test]
fn a_stream_is_not_printed_on_a_terminal() {
    let socket = Some(PathBuf::from("/nowhere/admin.sock"));
    let ended = command(socket.clone(), &["snapshot", "send", "db@a"], Some(""));
    assert_eq!(ended.exit, Exit::Usage);
    assert!(ended.err.contains("--output FILE"), "{}", ended.err);
    // Into a pipe it would have been sent.
    let ended = command(socket, &["snapshot", "send", "db@a"], None);
    assert_eq!(ended.exit, Exit::Unreachable);
}
