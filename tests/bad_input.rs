//! Garbage, lies and floods: the connection that sends them gets what the RFC says or is dropped, and
//! the others don't notice.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::daemon::{Daemon, TARGET};
use crate::harness::initiator::{Initiator, LoginAs, Pdu, cdb16};
use crate::harness::wait_until;

/// A session of somebody else, which must not notice anything.
fn bystander(daemon: &Daemon) -> Initiator {
    let who = LoginAs {
        isid: 99,
        ..LoginAs::default()
    };
    let mut initiator = Initiator::log_in_as(daemon.portal, &who).unwrap();
    initiator.settle(0);
    initiator
}

fn assert_unharmed(bystander: &mut Initiator) {
    bystander.write(0, 0, &[7; 4_096], false).assert_good();
    assert!(bystander.read(0, 0, 8).data == [7; 4_096]);
}

/// Numbers that look random and are the same in every run.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    });
    bytes.take(len).collect()
}

#[test]
fn garbage_before_login_drops_the_connection_and_nobody_else() {
    let mut daemon = Daemon::with_lun("8M");
    let mut other = bystander(&daemon);
    for seed in 0..200 {
        let mut stream = TcpStream::connect(daemon.portal).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        // The daemon may close before it has read all of it.
        let _ = stream.write_all(&noise(seed, 8_192));
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() < 64 << 10);
    }
    assert_unharmed(&mut other);
    assert!(daemon.is_running());
}

#[test]
fn garbage_after_login_ends_that_session_and_nobody_else() {
    let mut daemon = Daemon::with_lun("8M");
    let mut other = bystander(&daemon);
    for seed in 0..200 {
        let mut initiator = Initiator::log_in(daemon.portal);
        let _ = initiator.stream().write_all(&noise(seed, 16_384));
        let _ = initiator.stream().shutdown(std::net::Shutdown::Write);
        assert!(initiator.is_dropped());
    }
    assert_unharmed(&mut other);
    assert!(daemon.is_running());
}

#[test]
fn absurd_lengths_are_refused_from_the_header_alone() {
    let daemon = Daemon::with_lun("8M");
    let mut other = bystander(&daemon);
    let before = daemon.resident_kib();
    for (ahs, data) in [
        (0_u8, 0xff_ffff_u32),
        (255, 0),
        (255, 0xff_ffff),
        (0, 1 << 20),
    ] {
        let mut initiator = Initiator::log_in(daemon.portal);
        let mut pdu = initiator.command(0, &cdb16(0x8a, 0, 8, false), 0x20, 4_096);
        pdu.bhs[4] = ahs;
        pdu.bhs[5..8].copy_from_slice(&data.to_be_bytes()[1..]);
        initiator.send(&pdu).unwrap();
        assert!(initiator.is_dropped(), "AHS {ahs}, data {data}");
        // The same in a login.
        let mut initiator = Initiator::connect(daemon.portal);
        let mut pdu = initiator.login_request(0x87, &LoginAs::default(), b"");
        pdu.bhs[4] = ahs;
        pdu.bhs[5..8].copy_from_slice(&data.to_be_bytes()[1..]);
        initiator.send(&pdu).unwrap();
        assert!(initiator.is_dropped(), "login with AHS {ahs}, data {data}");
    }
    assert!(
        daemon.resident_kib() < before + 32 * 1024,
        "memory was taken for lengths alone"
    );
    assert_unharmed(&mut other);
}

#[test]
fn a_truncated_pdu_hurts_nobody() {
    let daemon = Daemon::with_lun("8M");
    let mut other = bystander(&daemon);
    for cut in [1, 20, 47, 48, 49, 2_000] {
        let mut initiator = Initiator::log_in(daemon.portal);
        let pdu = initiator
            .command(0, &cdb16(0x8a, 8, 8, false), 0x20, 4_096)
            .with_data(&[1; 4_096]);
        initiator.stream().write_all(&pdu.bytes()[..cut]).unwrap();
        drop(initiator);
    }
    wait_until("their sessions are gone", Duration::from_secs(60), || {
        daemon.sessions().len() == 1
    });
    assert!(
        other.read(0, 8, 8).data == [0; 4_096],
        "a truncated write was executed"
    );
    assert_unharmed(&mut other);
}

#[test]
fn wrong_login_order_gets_the_right_status() {
    let daemon = Daemon::with_lun("8M");
    // A command before the login.
    let mut initiator = Initiator::connect(daemon.portal);
    let pdu = initiator.command(0, &[0; 6], 0, 0);
    initiator.send(&pdu).unwrap();
    assert!(initiator.is_dropped());
    // No InitiatorName.
    let mut initiator = Initiator::connect(daemon.portal);
    let pdu = initiator.login_request(0x87, &LoginAs::default(), b"SessionType=Normal\0");
    initiator.send(&pdu).unwrap();
    let reply = initiator.receive().unwrap();
    assert_eq!((reply.bhs[36], reply.bhs[37]), (2, 7), "missing parameter");
    assert!(initiator.is_dropped());
    // A version that we don't speak.
    let mut initiator = Initiator::connect(daemon.portal);
    let mut pdu = initiator.login_request(
        0x87,
        &LoginAs::default(),
        b"InitiatorName=iqn.2026-11.a:b\0",
    );
    pdu.bhs[2] = 3;
    pdu.bhs[3] = 2;
    initiator.send(&pdu).unwrap();
    let reply = initiator.receive().unwrap();
    assert_eq!(
        (reply.bhs[36], reply.bhs[37]),
        (2, 5),
        "unsupported version"
    );
}

#[test]
fn text_without_end_is_cut_off() {
    let daemon = Daemon::with_lun("8M");
    let mut initiator = Initiator::connect(daemon.portal);
    let mut refused = false;
    for _ in 0..64 {
        // C bit: more of this text follows.
        let pdu = initiator.login_request(0x44, &LoginAs::default(), &[b'x'; 8_000]);
        if initiator.send(&pdu).is_err() {
            refused = true;
            break;
        }
        match initiator.receive() {
            Ok(reply) if reply.bhs[36] == 0 => {}
            _ => {
                refused = true;
                break;
            }
        }
    }
    assert!(refused, "half a megabyte of login text was swallowed");
}

#[test]
fn after_a_logout_nothing_is_executed() {
    let daemon = Daemon::with_lun("8M");
    let mut other = bystander(&daemon);
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    let tag = initiator.tag();
    let logout = Pdu::new(0x46, 0x80)
        .set(16, tag)
        .set(24, initiator.cmd_sn)
        .set(28, initiator.exp_stat_sn);
    let write = initiator
        .command(0, &cdb16(0x8a, 16, 8, false), 0x20, 4_096)
        .with_data(&[9; 4_096]);
    let mut both = logout.bytes();
    both.extend_from_slice(&write.bytes());
    initiator.stream().write_all(&both).unwrap();
    assert!(initiator.is_dropped());
    assert!(
        other.read(0, 16, 8).data == [0; 4_096],
        "a write behind the logout was executed"
    );
}

#[test]
fn more_data_than_was_announced_is_never_written() {
    let daemon = Daemon::with_lun("8M");
    let mut other = bystander(&daemon);
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    // 512 bytes expected, 4096 sent along.
    let pdu = initiator
        .command(0, &cdb16(0x8a, 32, 1, false), 0x20, 512)
        .with_data(&[9; 4_096]);
    initiator.send(&pdu).unwrap();
    // Whatever the target says, nothing beyond the announced block has changed.
    let _ = initiator.receive();
    assert!(other.read(0, 33, 7).data == [0; 7 * 512]);
    assert_unharmed(&mut other);
}

#[test]
fn an_unknown_opcode_is_rejected_and_the_session_goes_on() {
    let daemon = Daemon::with_lun("8M");
    let mut initiator = Initiator::log_in(daemon.portal);
    initiator.settle(0);
    let pdu = Pdu::new(0x5c, 0x80)
        .set(16, 77)
        .set(24, initiator.cmd_sn)
        .set(28, initiator.exp_stat_sn);
    initiator.send(&pdu).unwrap();
    let reject = initiator.receive().unwrap();
    assert_eq!(reject.opcode(), 0x3f);
    assert_eq!(reject.bhs[2], 5, "command not supported");
    assert_eq!(
        &reject.data[..48],
        &pdu.bhs[..],
        "the rejected header comes back"
    );
    initiator.settle(0);
}

#[test]
fn ten_thousand_half_open_connections_keep_nobody_out() {
    let mut daemon = Daemon::with_lun("8M");
    let mut other = bystander(&daemon);
    let before = daemon.resident_kib();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    let mut silent = Vec::new();
    for count in 0..10_000 {
        let stream = TcpStream::connect_timeout(&daemon.portal, Duration::from_secs(10)).unwrap();
        silent.push(stream);
        if count % 1_000 == 0 {
            assert_unharmed(&mut other);
        }
    }
    let begun = Instant::now();
    let who = LoginAs {
        isid: 5,
        ..LoginAs::default()
    };
    Initiator::log_in_as(daemon.portal, &who).unwrap().settle(0);
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "a login took {:?}",
        begun.elapsed()
    );
    let after = daemon.resident_kib();
    assert!(
        after < before + 64 * 1024,
        "{before} KiB grew to {after} KiB"
    );
    assert_unharmed(&mut other);
    assert!(daemon.is_running());
}

#[test]
fn a_login_that_takes_too_long_is_dropped() {
    let daemon = Daemon::start_with("login_timeout_seconds = 1", &[]);
    let mut silent = TcpStream::connect(daemon.portal).unwrap();
    silent
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let begun = Instant::now();
    assert_eq!(silent.read(&mut [0; 1]).unwrap(), 0);
    assert!(begun.elapsed() >= Duration::from_millis(900));
}

#[test]
fn a_flood_of_logins_keeps_nobody_out() {
    let mut daemon = Daemon::with_lun("8M");
    let mut other = bystander(&daemon);
    let portal = daemon.portal;
    let floods: Vec<_> = (0..4_u8)
        .map(|flood| {
            std::thread::spawn(move || {
                for _ in 0..250 {
                    let who = LoginAs {
                        isid: flood,
                        ..LoginAs::default()
                    };
                    // Each replaces the one before.
                    drop(Initiator::log_in_as(portal, &who));
                }
            })
        })
        .collect();
    while floods.iter().any(|flood| !flood.is_finished()) {
        assert_unharmed(&mut other);
    }
    for flood in floods {
        flood.join().unwrap();
    }
    assert!(daemon.is_running());
}

#[test]
fn memory_stays_under_its_ceiling_when_initiators_do_not_read() {
    let mut daemon = Daemon::start_with("memory_ceiling_mib = 64", &[]);
    daemon.add_lun("vol", "64M");
    let mut other = bystander(&daemon);
    let mut greedy = Vec::new();
    for isid in 0..16 {
        let who = LoginAs {
            isid,
            ..LoginAs::default()
        };
        let mut initiator = Initiator::log_in_as(daemon.portal, &who).unwrap();
        initiator.settle(0);
        // 32 reads of 1 MiB each, whose answers nobody takes.
        for index in 0..32 {
            let pdu =
                initiator.command(0, &cdb16(0x88, index * 2_048, 2_048, false), 0x40, 1 << 20);
            initiator.send(&pdu).unwrap();
        }
        greedy.push(initiator);
    }
    for _ in 0..50 {
        assert_unharmed(&mut other);
    }
    let resident = daemon.resident_kib();
    assert!(
        resident < (64 + 48) * 1024,
        "{resident} KiB resident under a ceiling of 64 MiB"
    );
    assert!(daemon.is_running());
}

#[test]
fn the_admin_socket_refuses_nonsense_and_goes_on() {
    let daemon = Daemon::with_lun("8M");
    for request in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "NONSENSE\r\n\r\n".to_owned(),
        format!("POST /v1/volumes HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", u64::MAX),
        "POST /v1/volumes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n{{{".to_owned(),
    ] {
        let mut stream = std::os::unix::net::UnixStream::connect(&daemon.socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{request:?}: {answer}");
    }
    let message = daemon.refused(&["target", "show", "iqn.2026-11.test.tidelock:missing"]);
    assert!(
        message.contains("iqn.2026-11.test.tidelock:missing"),
        "{message}"
    );
    let message = daemon.refused(&["volume", "delete", "vol", "--yes"]);
    assert!(
        message.contains(TARGET),
        "a mapped volume says where: {message}"
    );
}

#[test]
fn announced_data_that_never_comes_holds_nobody_up() {
    let config = "memory_ceiling_mib = 64\nreactors = 1\ncommand_deadline_seconds = 3\n\
                  nop_interval_seconds = 1\nnop_timeout_seconds = 4";
    let mut daemon = Daemon::start_with(config, &[]);
    daemon.add_lun("vol", "64M");
    let mut other = bystander(&daemon);
    let mut hostile = Vec::new();
    for isid in 0..24 {
        let who = LoginAs {
            isid,
            ..LoginAs::default()
        };
        let mut initiator = Initiator::log_in_as(daemon.portal, &who).unwrap();
        initiator
            .stream()
            .set_write_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        // Half of each write comes along, the other half never does.
        for _ in 0..64 {
            let pdu = initiator
                .command(0, &cdb16(0x8a, 4_096, 256, false), 0x20, 131_072)
                .with_data(&[1; 65_536]);
            if initiator.send(&pdu).is_err() {
                break;
            }
        }
        hostile.push(initiator);
        assert_unharmed(&mut other);
    }
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(8) {
        assert_unharmed(&mut other);
    }
    let resident = daemon.resident_kib();
    assert!(
        resident < (64 + 48) * 1024,
        "{resident} KiB resident under a ceiling of 64 MiB"
    );
    assert!(daemon.is_running());
}

#[test]
fn initiators_that_ask_for_much_and_take_nothing_keep_nobody_from_reading() {
    let daemon = Daemon::start_with("memory_ceiling_mib = 64", &[]);
    daemon.add_lun("vol", "64M");
    let mut other = bystander(&daemon);
    let mut stalled = Vec::new();
    for isid in 0..24 {
        let who = LoginAs {
            isid,
            ..LoginAs::default()
        };
        let mut initiator = Initiator::log_in_as(daemon.portal, &who).unwrap();
        initiator.settle(0);
        for index in 0..4 {
            let cdb = cdb16(0x88, index * 8_192, 8_192, false);
            let read = initiator.command(0, &cdb, 0x40, 4 << 20);
            initiator.send(&read).unwrap();
        }
        stalled.push(initiator);
    }
    for _ in 0..20 {
        let begun = Instant::now();
        other.read(0, 0, 128).assert_good();
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(10), "64 KiB took {took:?}");
    }
}
