//! Kill -9 in the middle of commands: what was answered is there, what a set has is all or nothing, and
//! everything can be used.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{is, log_in, names, write};
use crate::harness::daemon::{Daemon, TARGET};

/// A command that is being carried out.
fn begin(daemon: &Daemon, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tidelock"))
        .arg("--socket")
        .arg(&daemon.socket)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets time go by, since the moment of the kill is what is tried; ends when the command does.
fn let_pass(time: Duration, child: &mut Child) {
    let until = Instant::now() + time;
    while Instant::now() < until && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
}

#[test]
fn a_kill_in_the_middle_of_a_command_leaves_all_of_it_or_nothing() {
    let mut daemon = Daemon::with_lun("8M");
    daemon.run(&["volume", "create", "second", "--size", "8M"]);
    daemon.run(&["lun", "map", TARGET, "second", "--lun", "1"]);
    daemon.run(&["group", "create", "both", "vol", "second"]);
    let mut initiator = log_in(&daemon, &[0, 1]);
    for lun in [0, 1] {
        write(&mut initiator, lun, 0, 1);
    }
    drop(initiator);
    let (mut answered, mut lost, mut takes) = (0, 0, Duration::ZERO);
    for step in 0..36_u64 {
        let name = format!("s{step}");
        let group = ["group", "snapshot", "both", &name];
        let clone = ["clone", "create", "vol", &name];
        let restore = ["snapshot", "restore", "vol@s0"];
        let command: &[&str] = match step % 3 {
            _ if step == 0 => &group,
            0 => &group,
            1 => &clone,
            _ => &restore,
        };
        let before = names(&daemon, "vol").len();
        let begun = Instant::now();
        let mut child = begin(&daemon, command);
        if step == 0 {
            // The others need it, and what it takes says when to kill them.
            child.wait().unwrap();
            takes = begun.elapsed();
        } else {
            let_pass(takes * u32::try_from(step / 3).unwrap() / 10, &mut child);
            if child.try_wait().unwrap().is_some() {
                // On a busy machine the first one may have taken much longer.
                takes = takes.min(begun.elapsed());
            }
        }
        daemon.kill();
        let was_answered = child.wait().unwrap().success();
        daemon = daemon.restart();
        for volume in daemon.volumes() {
            assert_eq!(volume["state"], "ready", "{command:?}: {volume}");
        }
        let (first, second) = (names(&daemon, "vol"), names(&daemon, "second"));
        let of_sets = |all: &[String]| {
            let sets = all.iter().filter(|name| name.starts_with('s'));
            sets.cloned().collect::<Vec<_>>()
        };
        assert_eq!(of_sets(&first), of_sets(&second), "{command:?}");
        let is_there = match step % 3 {
            0 => first.contains(&name),
            1 => daemon.volumes().iter().any(|volume| volume["name"] == name),
            _ => first.len() > before,
        };
        assert!(
            is_there || !was_answered,
            "{command:?} was answered and is lost"
        );
        answered += u32::from(was_answered);
        lost += u32::from(!is_there);
        let mut initiator = log_in(&daemon, &[0, 1]);
        for lun in [0, 1] {
            assert!(is(&mut initiator, lun, 0, 1), "{command:?}: LUN {lun}");
        }
    }
    assert!(
        answered > 1 && lost > 1,
        "nothing was in the middle: {answered} {lost}"
    );
    assert_eq!(daemon.json(&["volume", "verify", "vol"])["damaged"], 0);
}
