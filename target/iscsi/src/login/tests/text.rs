//! Keys in the wrong place, keys nobody knows, and text over several PDUs in both directions.

use super::*;
use crate::text::TextError;

#[test]
fn unknown_keys_are_not_understood_in_any_stage() {
    let mut target = Target::new(open_access());
    let text = format!("{NORMAL}\nX-com.example.a=1\nSRP_U=x\nAuthMethod=None");
    let response = target.expect_response(request(SECURITY, Some(OPERATIONAL), &text));
    assert!(response.transit);
    assert_eq!(
        response.text,
        "TargetPortalGroupTag=1\nX-com.example.a=NotUnderstood\nSRP_U=NotUnderstood\nAuthMethod=None"
    );
    let (response, _) = target.expect_login(request(
        OPERATIONAL,
        Some(FULL_FEATURE),
        "RDMAExtensions=Yes\nZ=1",
    ));
    assert!(
        response
            .text
            .starts_with("RDMAExtensions=NotUnderstood\nZ=NotUnderstood\n")
    );
}

#[test]
fn keys_in_the_wrong_stage_are_rejected_and_may_come_again_in_the_right_one() {
    let mut target = Target::new(open_access());
    let text = format!("{NORMAL}\nInitialR2T=No\nMaxRecvDataSegmentLength=65536");
    let response = target.expect_response(request(SECURITY, Some(OPERATIONAL), &text));
    assert_eq!(
        response.text,
        "TargetPortalGroupTag=1\nInitialR2T=Reject\nMaxRecvDataSegmentLength=Reject"
    );
    let text = "InitialR2T=No\nMaxRecvDataSegmentLength=65536";
    let (response, session) = target.expect_login(request(OPERATIONAL, Some(FULL_FEATURE), text));
    assert!(response.text.starts_with("InitialR2T=No"));
    assert_eq!(
        session.parameters.initiator_max_recv_data_segment_length,
        65_536
    );
}

#[test]
fn keys_that_only_a_target_sends_or_that_come_later_are_rejected() {
    let mut target = Target::new(open_access());
    let text = format!(
        "{NORMAL}\nTargetPortalGroupTag=1\nTargetAlias=x\nTargetAddress=127.0.0.1\nSendTargets=All"
    );
    let response = target.expect_response(request(OPERATIONAL, None, &text));
    assert_eq!(
        response.text,
        "TargetPortalGroupTag=1\nTargetPortalGroupTag=Reject\nTargetAlias=Reject\n\
         TargetAddress=Reject\nSendTargets=Reject\nMaxRecvDataSegmentLength=262144"
    );
}

#[test]
fn an_answer_of_the_initiator_is_not_answered() {
    let mut target = Target::new(open_access());
    let text =
        format!("{NORMAL}\nX-a.b=NotUnderstood\nMaxConnections=Irrelevant\nInitialR2T=Reject");
    let (response, session) = target.expect_login(request(OPERATIONAL, Some(FULL_FEATURE), &text));
    assert_eq!(
        response.text,
        "TargetPortalGroupTag=1\nMaxRecvDataSegmentLength=262144"
    );
    assert!(session.parameters.initial_r2t, "the default holds");
}

#[test]
fn a_repeated_key_ends_the_login() {
    let mut target = Target::new(open_access());
    target.expect_response(request(
        OPERATIONAL,
        None,
        &format!("{NORMAL}\nInitialR2T=No"),
    ));
    let again = request(OPERATIONAL, None, "InitialR2T=No");
    let failure = target.expect_refusal(again, LoginStatus::INITIATOR_ERROR);
    assert_eq!(failure, LoginFailure::Repeated { key: "InitialR2T" });
}

#[test]
fn the_first_request_may_be_spread_over_several_pdus() {
    let mut target = Target::new(open_access());
    let (head, tail) = NORMAL.split_at(40);
    let head = format!("{head}\\");
    let part = Request {
        continues: true,
        ..request(OPERATIONAL, None, &head)
    };
    let response = target.expect_response(part);
    assert_eq!((response.transit, response.continues), (false, false));
    assert!(
        response.raw.is_empty(),
        "nothing is said before the text is whole"
    );
    assert_eq!(target.identity, None);
    let (response, session) = target.expect_login(request(OPERATIONAL, Some(FULL_FEATURE), tail));
    assert!(response.text.starts_with("TargetPortalGroupTag=1"));
    assert_eq!(session.identity.initiator_name, INITIATOR);
    assert_eq!(response.stat_sn, 78);
}

/// A request whose answer is longer than 8192 bytes: 200 unknown keys of 63 bytes.
fn long_offer() -> String {
    let keys = (0..200).map(|i| format!("\nX-{i:0>61}=1"));
    format!("{NORMAL}{}", keys.collect::<String>())
}

#[test]
fn a_long_answer_goes_out_in_pieces_and_the_stage_waits_for_the_last() {
    let mut target = Target::new(open_access());
    let offer = long_offer();
    let response = target.expect_response(request(OPERATIONAL, Some(FULL_FEATURE), &offer));
    assert!(response.continues && !response.transit);
    assert_eq!(response.raw.len(), 8_192);
    let mut text = response.raw.to_vec();

    let response = target.expect_response(request(OPERATIONAL, None, ""));
    assert!(!response.continues);
    assert!(
        !response.transit,
        "the initiator didn't ask for it this time"
    );
    text.extend_from_slice(&response.raw);
    let pairs = TextPairs::parse(&text).unwrap();
    assert_eq!(pairs.len(), 202);
    assert_eq!(pairs.get("MaxRecvDataSegmentLength"), Some("262144"));

    let (response, _) = target.expect_login(request(OPERATIONAL, Some(FULL_FEATURE), ""));
    assert!(response.raw.is_empty());
}

#[test]
fn the_last_piece_of_a_long_answer_may_end_the_stage() {
    let mut target = Target::new(open_access());
    let offer = long_offer();
    let response = target.expect_response(request(SECURITY, Some(OPERATIONAL), &offer));
    assert!(response.continues);
    let response = target.expect_response(request(SECURITY, Some(OPERATIONAL), ""));
    assert!(response.transit && !response.continues && !response.raw.is_empty());
    target.expect_login(request(OPERATIONAL, Some(FULL_FEATURE), ""));
}

#[test]
fn text_while_an_answer_is_not_all_sent_is_refused() {
    for (text, continues) in [("InitialR2T=No", false), ("", true)] {
        let mut target = Target::new(open_access());
        let offer = long_offer();
        assert!(
            target
                .expect_response(request(OPERATIONAL, None, &offer))
                .continues
        );
        let next = Request {
            continues,
            ..request(OPERATIONAL, None, text)
        };
        let failure = target.expect_refusal(next, LoginStatus::INITIATOR_ERROR);
        assert_eq!(failure, LoginFailure::TextOutOfTurn);
    }
}

#[test]
fn the_text_of_a_login_is_limited_in_bytes_and_pairs() {
    let piece = format!("X-a={}\\", "a".repeat(8_000));
    let mut target = Target::new(open_access());
    let part = Request {
        continues: true,
        ..request(OPERATIONAL, None, &piece)
    };
    for _ in 0..8 {
        target.expect_response(part);
    }
    let failure = target.expect_refusal(part, LoginStatus::INITIATOR_ERROR);
    assert_eq!(
        failure,
        LoginFailure::Text(TextError::TooLong { limit: 65_536 })
    );

    // Not piece by piece either, each of them whole.
    let whole = format!("X-a={}", "a".repeat(8_000));
    let mut target = Target::new(open_access());
    target.expect_response(request(OPERATIONAL, None, NORMAL));
    let again = request(OPERATIONAL, None, &whole);
    for _ in 0..8 {
        target.expect_response(again);
    }
    let failure = target.expect_refusal(again, LoginStatus::INITIATOR_ERROR);
    assert_eq!(
        failure,
        LoginFailure::Text(TextError::TooLong { limit: 65_536 })
    );

    let many = "A=1\n".repeat(257);
    let mut target = Target::new(open_access());
    let failure = target.expect_refusal(
        request(OPERATIONAL, None, &many),
        LoginStatus::INITIATOR_ERROR,
    );
    assert_eq!(
        failure,
        LoginFailure::Text(TextError::TooManyPairs { limit: 256 })
    );
}

#[test]
fn values_shown_in_a_log_are_cut() {
    let mut target = Target::new(open_access());
    let text = format!("{NORMAL}\nMaxRecvDataSegmentLength={}", "9".repeat(5_000));
    let failure = target.expect_refusal(
        request(OPERATIONAL, None, &text),
        LoginStatus::INITIATOR_ERROR,
    );
    assert!(failure.to_string().len() < 200);
}
