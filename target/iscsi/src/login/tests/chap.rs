//! Authentication: who gets in, who doesn't, and the attacks that RFC 7143 §9.2.1 names.

use super::*;
use crate::auth::{ChapAlgorithm, encode_hex};

fn response(algorithm: ChapAlgorithm, secret: &str) -> String {
    encode_hex(&algorithm.response(IDENTIFIER, &Secret::from(secret), &CHALLENGE))
}

/// Brings a login to the point where the challenge is out.
pub(super) fn challenged(access: Access, algorithms: &str) -> (Target, Response) {
    let mut target = Target::new(access);
    let text = format!("{NORMAL}\nAuthMethod=CHAP");
    target.expect_response(request(SECURITY, None, &text));
    let response = target.expect_response(request(SECURITY, None, &format!("CHAP_A={algorithms}")));
    (target, response)
}

pub(super) fn right_answer() -> String {
    format!(
        "CHAP_N=host-user\nCHAP_R={}",
        response(ChapAlgorithm::Md5, "host-secret-123")
    )
}

#[test]
fn the_first_algorithm_of_the_list_that_we_have_is_taken() {
    for (list, chosen) in [
        ("5", ChapAlgorithm::Md5),
        ("6", ChapAlgorithm::Sha1),
        ("7,5", ChapAlgorithm::Sha256),
        ("8,7,6,5", ChapAlgorithm::Sha3_256),
        ("9,4,nonsense,,6,5", ChapAlgorithm::Sha1),
        ("0x5", ChapAlgorithm::Md5),
    ] {
        let (mut target, reply) = challenged(chap_access(), list);
        assert!(
            reply
                .text
                .starts_with(&format!("CHAP_A={}\n", chosen.number())),
            "{list}"
        );
        let text = format!(
            "CHAP_N=host-user\nCHAP_R={}",
            response(chosen, "host-secret-123")
        );
        let reply = target.expect_response(request(SECURITY, Some(OPERATIONAL), &text));
        assert!(reply.transit, "{list}");
        assert_eq!(reply.text, "");
    }
}

#[test]
fn a_list_without_any_of_our_algorithms_is_refused() {
    for list in ["4", "261", "", "MD5", "-5"] {
        let mut target = Target::new(chap_access());
        let text = format!("{NORMAL}\nAuthMethod=CHAP");
        target.expect_response(request(SECURITY, None, &text));
        let failure = target.expect_refusal(
            request(SECURITY, None, &format!("CHAP_A={list}")),
            LoginStatus::AUTHENTICATION_FAILURE,
        );
        assert_eq!(
            failure,
            LoginFailure::NoChapAlgorithm { offer: list.into() }
        );
    }
}

#[test]
fn method_and_algorithms_may_come_in_one_request() {
    let mut target = Target::new(chap_access());
    let text = format!("{NORMAL}\nAuthMethod=CHAP\nCHAP_A=5");
    let reply = target.expect_response(request(SECURITY, None, &text));
    assert!(
        reply
            .text
            .contains("AuthMethod=CHAP\nCHAP_A=5\nCHAP_I=42\nCHAP_C=0x")
    );
    target.expect_response(request(SECURITY, Some(OPERATIONAL), &right_answer()));
}

#[test]
fn a_response_may_be_in_base64() {
    use base64::Engine as _;

    let digest =
        ChapAlgorithm::Sha256.response(IDENTIFIER, &Secret::from("host-secret-123"), &CHALLENGE);
    let text = format!(
        "CHAP_N=host-user\nCHAP_R=0b{}",
        base64::engine::general_purpose::STANDARD.encode(digest)
    );
    let (mut target, _) = challenged(chap_access(), "7");
    assert!(
        target
            .expect_response(request(SECURITY, Some(OPERATIONAL), &text))
            .transit
    );
}

#[test]
fn a_wrong_name_or_response_is_refused_without_saying_which() {
    let right = response(ChapAlgorithm::Md5, "host-secret-123");
    let wrong = response(ChapAlgorithm::Md5, "host-secret-124");
    let short = &right[..right.len() - 2];
    for text in [
        format!("CHAP_N=host-user\nCHAP_R={wrong}"),
        format!("CHAP_N=someone\nCHAP_R={right}"),
        format!("CHAP_N=HOST-USER\nCHAP_R={right}"),
        format!("CHAP_N=\nCHAP_R={right}"),
        format!("CHAP_N=host-user\nCHAP_R={short}"),
        format!("CHAP_N=host-user\nCHAP_R={right}00"),
    ] {
        let (mut target, _) = challenged(chap_access(), "5");
        let failure = target.expect_refusal(
            request(SECURITY, Some(OPERATIONAL), &text),
            LoginStatus::AUTHENTICATION_FAILURE,
        );
        assert_eq!(failure, LoginFailure::ChapWrong, "{text}");
    }
}

#[test]
fn steps_out_of_order_or_malformed_are_refused() {
    let answer = right_answer();
    let (name, right) = answer.split_once('\n').unwrap();
    for text in [
        "".to_owned(),
        name.to_owned(),
        right.to_owned(),
        format!("{name}\nCHAP_R=5"),
        format!("{name}\nCHAP_R=0x"),
        format!("{name}\nCHAP_R=0x{}", "00".repeat(33)),
        format!("CHAP_N={}\n{right}", "n".repeat(256)),
        format!("{answer}\nCHAP_I=1"),
        format!("{answer}\nCHAP_C=0x0102"),
        format!("{answer}\nCHAP_I=256\nCHAP_C=0x0102"),
        format!("{answer}\nCHAP_I=x\nCHAP_C=0x0102"),
        format!("{answer}\nCHAP_I=1\nCHAP_C=0x"),
        format!("{answer}\nCHAP_I=1\nCHAP_C=0x{}", "00".repeat(1_025)),
    ] {
        let (mut target, _) = challenged(mutual_access(), "5");
        let failure = target.expect_refusal(
            request(SECURITY, None, &text),
            LoginStatus::AUTHENTICATION_FAILURE,
        );
        assert!(
            matches!(failure, LoginFailure::ChapProtocol(_)),
            "{text}: {failure}"
        );
    }
    let early = [
        (format!("{NORMAL}\nAuthMethod=CHAP"), answer.clone()),
        (
            format!("{NORMAL}\nAuthMethod=CHAP"),
            format!("CHAP_A=5\n{answer}"),
        ),
        (NORMAL.to_owned(), format!("AuthMethod=CHAP\n{answer}")),
    ];
    for (first, second) in early {
        let mut target = Target::new(chap_access());
        target.expect_response(request(SECURITY, None, &first));
        let refused = request(SECURITY, None, &second);
        target.expect_refusal(refused, LoginStatus::AUTHENTICATION_FAILURE);
    }
}

#[test]
fn the_security_stage_is_not_left_before_chap_is_done() {
    let mut target = Target::new(chap_access());
    let text = format!("{NORMAL}\nAuthMethod=CHAP");
    let reply = target.expect_response(request(SECURITY, Some(OPERATIONAL), &text));
    assert!(!reply.transit);
    let reply = target.expect_response(request(SECURITY, Some(FULL_FEATURE), "CHAP_A=5"));
    assert!(!reply.transit);
    let reply = target.expect_response(request(SECURITY, Some(OPERATIONAL), &right_answer()));
    assert!(reply.transit);
}

#[test]
fn chap_can_not_be_walked_around() {
    let with_none = format!("{NORMAL}\nAuthMethod=None");
    for (csg, nsg, text) in [
        (OPERATIONAL, Some(FULL_FEATURE), NORMAL),
        (OPERATIONAL, None, NORMAL),
        (SECURITY, Some(OPERATIONAL), NORMAL),
        (SECURITY, Some(FULL_FEATURE), NORMAL),
        (SECURITY, Some(OPERATIONAL), &with_none),
        (SECURITY, None, &with_none),
    ] {
        let mut target = Target::new(chap_access());
        target.expect_refusal(request(csg, nsg, text), LoginStatus::AUTHENTICATION_FAILURE);
    }
    let mut target = Target::new(chap_access());
    target.expect_response(request(SECURITY, None, NORMAL));
    target.expect_refusal(
        request(SECURITY, Some(OPERATIONAL), "InitiatorAlias=x"),
        LoginStatus::AUTHENTICATION_FAILURE,
    );
}

#[test]
fn a_discovery_session_has_to_pass_chap_as_well() {
    let mut target = Target::new(chap_access());
    let text = format!("InitiatorName={INITIATOR}\nSessionType=Discovery\nAuthMethod=None");
    let refused = request(SECURITY, Some(OPERATIONAL), &text);
    target.expect_refusal(refused, LoginStatus::AUTHENTICATION_FAILURE);
}

#[test]
fn without_chap_the_only_method_is_none() {
    let mut target = Target::new(open_access());
    let text = format!("{NORMAL}\nAuthMethod=CHAP,KRB5,None");
    let reply = target.expect_response(request(SECURITY, Some(OPERATIONAL), &text));
    assert_eq!(reply.text, "TargetPortalGroupTag=1\nAuthMethod=None");

    let mut target = Target::new(open_access());
    let text = format!("{NORMAL}\nAuthMethod=CHAP");
    let failure = target.expect_refusal(
        request(SECURITY, None, &text),
        LoginStatus::AUTHENTICATION_FAILURE,
    );
    assert_eq!(
        failure,
        LoginFailure::NoAuthMethod {
            offer: "CHAP".into(),
            wanted: "None"
        }
    );
}

#[test]
fn an_initiator_may_leave_mutual_chap_out_but_not_ask_where_there_is_none() {
    let (mut target, _) = challenged(mutual_access(), "5");
    let reply = target.expect_response(request(SECURITY, Some(OPERATIONAL), &right_answer()));
    assert!(reply.transit && reply.text.is_empty());

    let (mut target, _) = challenged(chap_access(), "5");
    let text = format!("{}\nCHAP_I=1\nCHAP_C=0x0102", right_answer());
    let refused = request(SECURITY, Some(OPERATIONAL), &text);
    let failure = target.expect_refusal(refused, LoginStatus::AUTHENTICATION_FAILURE);
    assert_eq!(failure, LoginFailure::ChapNotMutual);
}

#[test]
fn a_challenge_of_1024_bytes_is_answered() {
    let challenge: Vec<u8> = (0..1_024u32).map(|i| i.to_le_bytes()[0]).collect();
    let (mut target, _) = challenged(mutual_access(), "5");
    let text = format!(
        "{}\nCHAP_I=255\nCHAP_C={}",
        right_answer(),
        encode_hex(&challenge)
    );
    let reply = target.expect_response(request(SECURITY, Some(OPERATIONAL), &text));
    let ours = ChapAlgorithm::Md5.response(255, &Secret::from("disk-secret-456"), &challenge);
    assert_eq!(
        reply.text,
        format!("CHAP_N=disk-user\nCHAP_R={}", encode_hex(&ours))
    );
}

#[test]
fn our_own_challenge_is_not_answered() {
    // Whatever the identifier, the encoding, and whether the initiator knows its own secret.
    let encodings = [
        encode_hex(&CHALLENGE),
        encode_hex(&CHALLENGE).to_uppercase().replacen('X', "x", 1),
    ];
    for challenge in encodings {
        for answer in [right_answer(), "CHAP_N=host-user\nCHAP_R=0x00".to_owned()] {
            let (mut target, _) = challenged(mutual_access(), "5");
            let text = format!("{answer}\nCHAP_I=200\nCHAP_C={challenge}");
            let refused = request(SECURITY, None, &text);
            let failure = target.expect_refusal(refused, LoginStatus::AUTHENTICATION_FAILURE);
            assert_eq!(failure, LoginFailure::ChapReflected);
        }
    }
}

#[test]
fn nothing_is_answered_to_who_could_not_authenticate() {
    let (mut target, _) = challenged(mutual_access(), "5");
    let text = "CHAP_N=host-user\nCHAP_R=0x00112233445566778899aabbccddeeff\nCHAP_I=1\nCHAP_C=0x01";
    let refused = request(SECURITY, None, text);
    let failure = target.expect_refusal(refused, LoginStatus::AUTHENTICATION_FAILURE);
    assert_eq!(failure, LoginFailure::ChapWrong);
}

#[test]
fn one_secret_for_both_directions_is_refused() {
    let mut access = mutual_access();
    if let Some(chap) = &mut access.chap {
        chap.mutual = Some(("disk-user".into(), chap.secret.clone()));
    }
    let (mut target, _) = challenged(access, "5");
    let answer = right_answer();
    let refused = request(SECURITY, Some(OPERATIONAL), &answer);
    let failure = target.expect_refusal(refused, LoginStatus::AUTHENTICATION_FAILURE);
    assert_eq!(failure, LoginFailure::ChapSameSecret);
}

#[test]
fn security_keys_are_negotiated_once_and_in_their_stage() {
    let (mut target, _) = challenged(chap_access(), "5");
    let text = format!("CHAP_A=5\n{}", right_answer());
    target.expect_refusal(request(SECURITY, None, &text), LoginStatus::INITIATOR_ERROR);

    let (mut target, _) = challenged(chap_access(), "5");
    let text = format!("AuthMethod=CHAP\n{}", right_answer());
    target.expect_refusal(request(SECURITY, None, &text), LoginStatus::INITIATOR_ERROR);

    let (mut target, _) = challenged(chap_access(), "5");
    let text = format!("CHAP_N=host-user\n{}", right_answer());
    target.expect_refusal(request(SECURITY, None, &text), LoginStatus::INITIATOR_ERROR);

    let mut target = Target::new(open_access());
    let text = format!("{NORMAL}\nAuthMethod=None\nCHAP_A=5");
    let reply = target.expect_response(request(SECURITY, Some(OPERATIONAL), &text));
    assert!(reply.text.ends_with("AuthMethod=None\nCHAP_A=Reject"));
    let (reply, _) =
        target.expect_login(request(OPERATIONAL, Some(FULL_FEATURE), "AuthMethod=None"));
    assert!(reply.text.starts_with("AuthMethod=Reject"));
}

#[test]
fn no_failure_and_no_debug_output_shows_a_secret() {
    let (mut target, _) = challenged(mutual_access(), "5");
    let shown = format!("{:?} {:?}", target.login, target.access);
    let failure = target.expect_refusal(
        request(SECURITY, None, "CHAP_N=host-user\nCHAP_R=0x00"),
        LoginStatus::AUTHENTICATION_FAILURE,
    );
    let shown = format!("{shown} {failure} {failure:?}");
    for secret in ["host-secret-123", "disk-secret-456", "197, 197"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
