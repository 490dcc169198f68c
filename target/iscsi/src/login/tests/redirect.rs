//! Redirection: when it comes, what it says, and that nobody gets past it.

use super::chap::{challenged, right_answer};
use super::*;

fn moved(access: Access, permanent: bool) -> Access {
    let address = "[fd00::1]:3261".into();
    Access {
        redirect: Some(Redirect { address, permanent }),
        ..access
    }
}

/// Sends a request that is answered by a redirection, and checks what the initiator is told.
fn expect_redirect(target: &mut Target, request: Request<'_>, permanent: bool) {
    let status = if permanent {
        LoginStatus::TARGET_MOVED_PERMANENTLY
    } else {
        LoginStatus::TARGET_MOVED_TEMPORARILY
    };
    match target.send(request) {
        Seen::Refused(response, failure) => {
            assert_eq!(response.status, status);
            assert_eq!(response.text, "TargetAddress=[fd00::1]:3261");
            assert!(!response.transit && !response.continues);
            assert_eq!(failure.to_string(), "sent on to [fd00::1]:3261");
        }
        other => panic!("expected a redirection, got {other:?}"),
    }
    assert!(
        matches!(target.send(request), Seen::Dropped(_)),
        "it is over"
    );
}

#[test]
fn without_chap_the_first_request_is_sent_on_in_whatever_stage_it_is() {
    for permanent in [false, true] {
        for (csg, nsg) in [
            (SECURITY, None),
            (SECURITY, Some(OPERATIONAL)),
            (SECURITY, Some(FULL_FEATURE)),
            (OPERATIONAL, None),
            (OPERATIONAL, Some(FULL_FEATURE)),
        ] {
            let mut target = Target::new(moved(open_access(), permanent));
            expect_redirect(&mut target, request(csg, nsg, NORMAL), permanent);
        }
    }
}

#[test]
fn with_chap_only_who_has_proved_who_it_is_is_sent_on() {
    for next in [OPERATIONAL, FULL_FEATURE] {
        let (mut target, _) = challenged(moved(chap_access(), true), "5");
        expect_redirect(
            &mut target,
            request(SECURITY, Some(next), &right_answer()),
            true,
        );
        let (mut target, _) = challenged(moved(chap_access(), true), "5");
        let wrong = right_answer().replace("0x", "0x00");
        let wrong = request(SECURITY, Some(next), &wrong);
        target.expect_refusal(wrong, LoginStatus::AUTHENTICATION_FAILURE);
    }
    let mut target = Target::new(moved(chap_access(), true));
    let skipping = request(OPERATIONAL, Some(FULL_FEATURE), NORMAL);
    target.expect_refusal(skipping, LoginStatus::AUTHENTICATION_FAILURE);
}

#[test]
fn with_mutual_chap_the_target_proves_itself_before_it_sends_on() {
    let answer = format!("{}\nCHAP_I=7\nCHAP_C=0x0102030405060708", right_answer());
    let (mut target, _) = challenged(moved(mutual_access(), false), "5");
    let proof = target.expect_response(request(SECURITY, Some(OPERATIONAL), &answer));
    assert!(proof.transit && proof.text.starts_with("CHAP_N=disk-user\nCHAP_R=0x"));
    let offer = request(OPERATIONAL, Some(FULL_FEATURE), "HeaderDigest=None");
    expect_redirect(&mut target, offer, false);

    // Who wants to skip negotiation is not let through, but stays where it is for one request more.
    let (mut target, _) = challenged(moved(mutual_access(), false), "5");
    let proof = target.expect_response(request(SECURITY, Some(FULL_FEATURE), &answer));
    assert!(!proof.transit && proof.text.starts_with("CHAP_N=disk-user\nCHAP_R=0x"));
    expect_redirect(
        &mut target,
        request(SECURITY, Some(FULL_FEATURE), ""),
        false,
    );
}
