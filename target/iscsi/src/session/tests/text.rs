//! Text requests in full feature phase (RFC 7143 §11.10, §11.11, appendix C).

use super::*;

fn discovery() -> Initiator {
    Initiator::with(SessionConfig {
        session_type: SessionType::Discovery,
        target_name: None,
        ..config(parameters())
    })
}

fn record(name: &str, addresses: &[(&str, u16)]) -> TargetRecord {
    let addresses = addresses
        .iter()
        .map(|(text, group)| ((*text).to_owned(), *group))
        .collect();
    TargetRecord {
        name: name.to_owned(),
        addresses,
    }
}

impl Initiator {
    fn text(&mut self, target_transfer_tag: u32, tag: u32, flags: (bool, bool), text: &[u8]) {
        let request = TextRequest {
            last: flags.0,
            text_continues: flags.1,
            initiator_task_tag: tag,
            target_transfer_tag,
            cmd_sn: SerialNumber(self.cmd_sn),
            ..TextRequest::default()
        };
        self.cmd_sn = self.cmd_sn.wrapping_add(1);
        self.send(request.encode(text.len()), text);
    }

    fn ask(&mut self, text: &[u8]) -> u32 {
        let tag = self.tag();
        self.text(RESERVED_TAG, tag, (true, false), text);
        tag
    }

    fn expect_send_targets(&mut self) -> (TextTag, SendTargets) {
        match self.session.poll_event() {
            Some(Event::SendTargets { tag, request }) => (tag, request),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn expect_text(&mut self) -> (TextResponse, Bytes) {
        match self.receive() {
            Some(Seen::Text(header, data)) => (header, data),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn send_targets_all_lists_targets_with_their_addresses() {
    let mut initiator = discovery();
    let tag = initiator.ask(b"SendTargets=All\0");
    let (request, what) = initiator.expect_send_targets();
    assert_eq!(what, SendTargets::All);
    initiator.expect_quiet();
    let addresses = [("10.0.0.1:3260", 1), ("[::1]:3260", 2)];
    let targets = vec![record("iqn.a:1", &addresses), record("iqn.a:2", &[])];
    initiator.session.send_targets_reply(request, targets);
    let (header, text) = initiator.expect_text();
    assert!(header.last && !header.text_continues);
    assert_eq!(
        (header.initiator_task_tag, header.target_transfer_tag),
        (tag, RESERVED_TAG)
    );
    let expected = "TargetName=iqn.a:1\0TargetAddress=10.0.0.1:3260,1\0\
                    TargetAddress=[::1]:3260,2\0TargetName=iqn.a:2\0";
    assert_eq!(text, expected);
    initiator.session.send_targets_reply(request, vec![]);
    initiator.expect_quiet();
}

#[test]
fn who_may_ask_for_what_depends_on_the_session() {
    let own = "iqn.2026-11.example:disk";
    let rejected = "SendTargets=Reject\0";
    let mut normal = Initiator::new();
    for value in ["All", "iqn.2026-11.example:other"] {
        normal.ask(format!("SendTargets={value}\0").as_bytes());
        assert_eq!(normal.expect_text().1, rejected, "{value}");
    }
    normal.ask(b"SendTargets=\0");
    assert_eq!(normal.expect_send_targets().1, SendTargets::Current);
    normal.ask(format!("SendTargets={own}\0").as_bytes());
    assert_eq!(
        normal.expect_send_targets().1,
        SendTargets::Named(own.into())
    );
    let mut discovery = discovery();
    discovery.ask(b"SendTargets=\0");
    assert_eq!(discovery.expect_text().1, rejected);
    discovery.ask(b"SendTargets=iqn.x:y\0");
    assert_eq!(
        discovery.expect_send_targets().1,
        SendTargets::Named("iqn.x:y".into())
    );
}

#[test]
fn a_long_answer_is_sent_piece_by_piece() {
    let mut initiator = discovery();
    let tag = initiator.ask(b"SendTargets=All\0");
    let (request, _) = initiator.expect_send_targets();
    let targets: Vec<_> = (0..60)
        .map(|n| record(&format!("iqn.a:{n}"), &[("10.0.0.1:3260", 1)]))
        .collect();
    let expected: String = (0..60)
        .map(|n| format!("TargetName=iqn.a:{n}\0TargetAddress=10.0.0.1:3260,1\0"))
        .collect();
    initiator.session.send_targets_reply(request, targets);
    let mut all = Vec::new();
    loop {
        let (header, text) = initiator.expect_text();
        all.extend_from_slice(&text);
        assert_eq!(header.last, !header.text_continues);
        if header.last {
            assert_eq!(header.target_transfer_tag, RESERVED_TAG);
            break;
        }
        assert_eq!(text.len(), 1_024);
        initiator.expect_quiet();
        initiator.text(header.target_transfer_tag, tag, (true, false), b"");
    }
    assert_eq!(all, expected.as_bytes());
}

#[test]
fn a_request_may_come_in_pieces() {
    let mut initiator = discovery();
    let tag = initiator.tag();
    initiator.text(RESERVED_TAG, tag, (false, true), b"SendTar");
    let (header, text) = initiator.expect_text();
    assert!(!header.last && !header.text_continues && text.is_empty());
    initiator.text(
        header.target_transfer_tag,
        tag,
        (true, false),
        b"gets=All\0",
    );
    assert_eq!(initiator.expect_send_targets().1, SendTargets::All);
}

#[test]
fn a_transfer_tag_is_good_for_one_request() {
    let mut initiator = discovery();
    let tag = initiator.tag();
    initiator.text(RESERVED_TAG, tag, (false, true), b"SendTar");
    let (header, _) = initiator.expect_text();
    initiator.text(
        header.target_transfer_tag,
        tag,
        (true, false),
        b"gets=All\0",
    );
    initiator.expect_send_targets();
    initiator.text(
        header.target_transfer_tag,
        tag,
        (true, false),
        b"SendTargets=All\0",
    );
    assert_eq!(initiator.expect_reject().0, 0x09);
}

#[test]
fn other_keys_are_answered_and_a_new_segment_length_holds_at_once() {
    let mut initiator = Initiator::new();
    initiator.ask(b"MaxRecvDataSegmentLength=600\0X-unknown=1\0HeaderDigest=None\0");
    let (header, text) = initiator.expect_text();
    assert!(header.last);
    assert_eq!(text, "X-unknown=NotUnderstood\0HeaderDigest=Reject\0");
    let (_, task) = initiator.read(1_000);
    initiator.session.respond(task, data_reply(pattern(1_000)));
    assert_eq!(initiator.expect_data_in().1.len(), 600);
    assert_eq!(initiator.expect_data_in().1.len(), 400);
}

#[test]
fn an_exchange_goes_on_until_the_initiator_has_nothing_more_to_say() {
    let mut initiator = Initiator::new();
    let tag = initiator.tag();
    initiator.text(RESERVED_TAG, tag, (false, false), b"X-a=1\0");
    let (header, text) = initiator.expect_text();
    assert_eq!(text, "X-a=NotUnderstood\0");
    assert!(!header.last);
    initiator.text(header.target_transfer_tag, tag, (true, false), b"X-b=1\0");
    let (header, text) = initiator.expect_text();
    assert_eq!(text, "X-b=NotUnderstood\0");
    assert!(header.last);
    initiator.text(
        header.target_transfer_tag.wrapping_sub(1),
        tag,
        (true, false),
        b"X-c=1\0",
    );
    assert_eq!(initiator.expect_reject().0, 0x09, "the exchange is over");
}

#[test]
fn a_transfer_tag_that_is_not_expected_is_rejected() {
    let mut initiator = discovery();
    initiator.text(5, 900, (true, false), b"");
    assert_eq!(initiator.expect_reject().0, 0x09);
    let tag = initiator.tag();
    initiator.text(RESERVED_TAG, tag, (false, true), b"SendTar");
    let (header, _) = initiator.expect_text();
    initiator.text(
        header.target_transfer_tag,
        tag + 1,
        (true, false),
        b"gets=All\0",
    );
    assert_eq!(initiator.expect_reject().0, 0x09, "another task's");
    initiator.text(
        header.target_transfer_tag,
        tag,
        (true, false),
        b"gets=All\0",
    );
    initiator.expect_send_targets();
}

#[test]
fn a_new_exchange_replaces_one_that_the_shell_is_still_busy_with() {
    let mut initiator = discovery();
    initiator.ask(b"SendTargets=All\0");
    let (old, _) = initiator.expect_send_targets();
    let tag = initiator.ask(b"SendTargets=All\0");
    let (new, _) = initiator.expect_send_targets();
    initiator
        .session
        .send_targets_reply(old, vec![record("iqn.old:1", &[])]);
    initiator.expect_quiet();
    initiator
        .session
        .send_targets_reply(new, vec![record("iqn.new:1", &[])]);
    let (header, text) = initiator.expect_text();
    assert_eq!(
        (header.initiator_task_tag, &text[..]),
        (tag, &b"TargetName=iqn.new:1\0"[..])
    );
}

#[test]
fn malformed_text_is_rejected_and_forgotten() {
    let mut initiator = discovery();
    for text in [&b"SendTargets\0"[..], b"=", b"SendTargets=\xff\0"] {
        initiator.ask(text);
        assert_eq!(initiator.expect_reject().0, 0x04);
    }
    let tag = initiator.tag();
    initiator.text(RESERVED_TAG, tag, (true, true), b"A=1\0");
    assert_eq!(
        initiator.expect_reject().0,
        0x09,
        "F and C exclude each other"
    );
    initiator.ask(b"SendTargets=All\0");
    initiator.expect_send_targets();
}

#[test]
fn endless_text_is_cut_off() {
    let mut initiator = discovery();
    let tag = initiator.tag();
    let mut transfer_tag = RESERVED_TAG;
    let piece = vec![b'A'; 1_000];
    for _ in 0..200 {
        initiator.text(transfer_tag, tag, (false, true), &piece);
        match initiator.receive() {
            Some(Seen::Text(header, _)) => transfer_tag = header.target_transfer_tag,
            Some(Seen::Reject(header, _)) => {
                assert_eq!(header.reason, 0x04);
                return;
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("200,000 bytes of text were taken");
}
