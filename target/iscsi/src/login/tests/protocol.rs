//! Headers, stages, names, wrong order, and what the shell refuses.

use super::*;
use crate::pdu::DataSegment;

fn first(text: &str) -> Request<'_> {
    request(SECURITY, Some(OPERATIONAL), text)
}

#[test]
fn a_first_pdu_that_is_no_login_is_dropped_without_an_answer() {
    for opcode in [0x00, 0x01, 0x04, 0x06, 0x10, 0x23, 0x3f, 0x47] {
        let mut pdu = request(SECURITY, None, "").pdu();
        pdu.bhs[0] = opcode;
        let mut target = Target::new(open_access());
        let Seen::Dropped(reason) = target.send_pdu(pdu) else {
            panic!("{opcode:#x}")
        };
        assert_eq!(
            reason,
            LoginDrop::NotALogin {
                opcode: opcode & 0x3f
            }
        );
    }
}

#[test]
fn another_pdu_during_login_is_answered_with_020b() {
    for opcode in [0x00, 0x41, 0x44, 0x46] {
        let mut target = Target::new(open_access());
        target.expect_response(first(NORMAL));
        let mut pdu = request(OPERATIONAL, None, "").pdu();
        pdu.bhs[0] = opcode;
        let Seen::Refused(response, failure) = target.send_pdu(pdu) else {
            panic!("{opcode:#x}")
        };
        assert_eq!(response.status, LoginStatus::INVALID_DURING_LOGIN);
        assert_eq!(
            failure,
            LoginFailure::InvalidDuringLogin {
                opcode: opcode & 0x3f
            }
        );
    }
}

#[test]
fn nothing_is_accepted_after_the_end() {
    let mut target = Target::new(open_access());
    target.expect_login(request(OPERATIONAL, Some(FULL_FEATURE), NORMAL));
    let late = target.send(request(OPERATIONAL, Some(FULL_FEATURE), NORMAL));
    assert!(
        matches!(late, Seen::Dropped(LoginDrop::OutOfTurn)),
        "{late:?}"
    );

    let mut target = Target::new(open_access());
    target.expect_refusal(first("A=1"), LoginStatus::MISSING_PARAMETER);
    let late = target.send(first(NORMAL));
    assert!(
        matches!(late, Seen::Dropped(LoginDrop::OutOfTurn)),
        "{late:?}"
    );
}

#[test]
fn a_request_that_overtakes_the_shell_is_dropped() {
    let mut login = Login::new(LocalParameters::default(), entropy());
    let step = login.handle(first(NORMAL).pdu());
    assert!(matches!(step, LoginStep::Authorize(_)));
    let step = login.handle(first(NORMAL).pdu());
    assert!(matches!(step, LoginStep::Drop(LoginDrop::OutOfTurn)));
    let step = login.authorize(Authorization::Accept(open_access()));
    assert!(matches!(step, LoginStep::Fail(_)), "too late: {step:?}");
}

#[test]
fn an_initiator_that_speaks_a_later_version_only_is_refused() {
    let mut target = Target::new(open_access());
    let request = Request {
        version_min: 1,
        ..first(NORMAL)
    };
    target.expect_refusal(request, LoginStatus::UNSUPPORTED_VERSION);
    let mut newer = first(NORMAL).pdu();
    newer.bhs[2] = 9;
    let mut target = Target::new(open_access());
    assert!(
        matches!(target.send_pdu(newer), Seen::Response(_)),
        "Version-max may be higher"
    );
}

#[test]
fn names_have_to_be_in_the_first_request() {
    for (text, missing) in [
        ("", "InitiatorName"),
        ("SessionType=Discovery", "InitiatorName"),
        ("TargetName=iqn.2001-04.com.example:disk", "InitiatorName"),
        ("InitiatorName=iqn.2001-04.com.example:host", "TargetName"),
    ] {
        let mut target = Target::new(open_access());
        let failure = target.expect_refusal(first(text), LoginStatus::MISSING_PARAMETER);
        assert_eq!(failure, LoginFailure::Missing { key: missing }, "{text}");
    }
}

#[test]
fn a_session_is_normal_unless_it_says_otherwise() {
    let mut target = Target::new(open_access());
    let names = format!("InitiatorName={INITIATOR}\nTargetName={TARGET}");
    target.expect_response(first(&names));
    assert_eq!(target.identity.unwrap().session_type, SessionType::Normal);

    let mut target = Target::new(open_access());
    let text = format!("{names}\nSessionType=Boot");
    target.expect_refusal(first(&text), LoginStatus::SESSION_TYPE_NOT_SUPPORTED);
}

#[test]
fn names_that_fit_no_table_are_refused() {
    let long = "i".repeat(224);
    for name in ["", "with space", "bell\u{7}", &long] {
        let mut target = Target::new(open_access());
        let text = format!("InitiatorName={name}\nTargetName={TARGET}");
        let failure = target.expect_refusal(first(&text), LoginStatus::INITIATOR_ERROR);
        assert!(matches!(
            failure,
            LoginFailure::UnacceptableValue {
                key: "InitiatorName",
                ..
            }
        ));
    }
    let mut target = Target::new(open_access());
    let text = format!("InitiatorName={}\nTargetName={TARGET}", "i".repeat(223));
    target.expect_response(first(&text));
}

#[test]
fn an_alias_keeps_no_control_characters() {
    let mut target = Target::new(open_access());
    target.expect_response(first(&format!("{NORMAL}\nInitiatorAlias=a\u{1b}[31mb c")));
    assert_eq!(
        target.identity.unwrap().initiator_alias.as_deref(),
        Some("a[31mb c")
    );
}

#[test]
fn a_name_may_be_repeated_but_not_changed() {
    let mut target = Target::new(open_access());
    target.expect_response(first(NORMAL));
    target.expect_login(request(OPERATIONAL, Some(FULL_FEATURE), NORMAL));

    for text in [
        "InitiatorName=iqn.2001-04.com.example:other",
        "TargetName=iqn.2001-04.com.example:other",
        "SessionType=Discovery",
    ] {
        let mut target = Target::new(open_access());
        target.expect_response(first(NORMAL));
        let failure = target.expect_refusal(
            request(OPERATIONAL, None, text),
            LoginStatus::INITIATOR_ERROR,
        );
        assert!(
            matches!(failure, LoginFailure::NameChanged { .. }),
            "{text}"
        );
    }

    let mut target = Target::new(open_access());
    let twice = format!("{NORMAL}\nInitiatorName={INITIATOR}");
    let failure = target.expect_refusal(first(&twice), LoginStatus::INITIATOR_ERROR);
    assert_eq!(
        failure,
        LoginFailure::Repeated {
            key: "InitiatorName"
        }
    );
}

#[test]
fn impossible_stages_are_refused() {
    let after_security: &[(u8, Option<u8>)] = &[
        (SECURITY, Some(OPERATIONAL)),
        (OPERATIONAL, Some(SECURITY)),
        (OPERATIONAL, Some(OPERATIONAL)),
        (OPERATIONAL, Some(2)),
        (2, None),
        (FULL_FEATURE, None),
        (FULL_FEATURE, Some(FULL_FEATURE)),
    ];
    for (csg, nsg) in after_security {
        let mut target = Target::new(open_access());
        target.expect_response(first(NORMAL));
        let failure = target.expect_refusal(request(*csg, *nsg, ""), LoginStatus::INITIATOR_ERROR);
        assert!(
            matches!(failure, LoginFailure::Stage { .. }),
            "{csg} {nsg:?}"
        );
    }
    for (csg, nsg) in [
        (2, None),
        (3, None),
        (SECURITY, Some(SECURITY)),
        (SECURITY, Some(2)),
    ] {
        let mut target = Target::new(open_access());
        target.expect_refusal(request(csg, nsg, NORMAL), LoginStatus::INITIATOR_ERROR);
    }
}

#[test]
fn header_fields_that_identify_the_session_may_not_change() {
    let second = request(OPERATIONAL, None, "");
    for (request, field) in [
        (
            Request {
                isid: [0x40, 0, 1, 0x37, 0, 1],
                ..second
            },
            "ISID",
        ),
        (Request { tsih: 1, ..second }, "TSIH"),
        (Request { cid: 6, ..second }, "CID"),
    ] {
        let mut target = Target::new(open_access());
        target.expect_response(first(NORMAL));
        let failure = target.expect_refusal(request, LoginStatus::INITIATOR_ERROR);
        assert_eq!(failure, LoginFailure::FieldChanged { field });
    }
    let mut target = Target::new(open_access());
    target.expect_response(first(NORMAL));
    let step = target.login.handle(
        Request {
            task_tag: 9,
            ..second
        }
        .pdu(),
    );
    let LoginStep::Respond(reply) = step else {
        panic!("{step:?}")
    };
    assert_eq!(
        reply.pdus[0].0[16..20],
        [0, 0, 0, 9],
        "each task tag is echoed"
    );
}

#[test]
fn additional_headers_and_t_with_c_are_refused() {
    let mut pdu = first(NORMAL).pdu();
    pdu.bhs[4] = 1;
    let mut target = Target::new(open_access());
    let Seen::Refused(response, failure) = target.send_pdu(pdu) else {
        panic!()
    };
    assert_eq!(response.status, LoginStatus::INITIATOR_ERROR);
    assert_eq!(failure, LoginFailure::AdditionalHeader);

    let mut target = Target::new(open_access());
    let both = Request {
        continues: true,
        ..first(NORMAL)
    };
    let failure = target.expect_refusal(both, LoginStatus::INITIATOR_ERROR);
    assert_eq!(failure, LoginFailure::TransitWhileContinued);
}

#[test]
fn a_connection_that_joins_a_session_keeps_its_tsih_in_every_response() {
    let mut target = Target::new(open_access());
    let response = target.expect_response(Request {
        tsih: 0x0102,
        ..first(NORMAL)
    });
    assert_eq!(response.tsih, 0x0102);
    let text = "MaxBurstLength=512\nHeaderDigest=CRC32C";
    let last = request(OPERATIONAL, Some(FULL_FEATURE), text);
    let (response, _) = target.expect_login(Request {
        tsih: 0x0102,
        ..last
    });
    assert!(
        response
            .text
            .starts_with("MaxBurstLength=Reject\nHeaderDigest=CRC32C")
    );
    assert_eq!(target.identity.unwrap().tsih, 0x0102);
}

#[test]
fn the_shell_may_refuse_at_either_question() {
    let mut login = Login::new(LocalParameters::default(), entropy());
    login.handle(first(NORMAL).pdu());
    let step = login.authorize(Authorization::Refuse(LoginStatus::NOT_FOUND));
    let LoginStep::Fail(reply) = step else {
        panic!("{step:?}")
    };
    assert_eq!(read(&reply).status, LoginStatus::NOT_FOUND);
    assert_eq!(
        login.failure(),
        Some(&LoginFailure::Refused(LoginStatus::NOT_FOUND))
    );

    let mut login = Login::new(LocalParameters::default(), entropy());
    login.handle(request(OPERATIONAL, Some(FULL_FEATURE), NORMAL).pdu());
    let step = login.authorize(Authorization::Accept(open_access()));
    assert!(matches!(step, LoginStep::Establish(_)));
    let step = login.refuse(LoginStatus::SESSION_DOES_NOT_EXIST);
    let LoginStep::Fail(reply) = step else {
        panic!("{step:?}")
    };
    let response = read(&reply);
    assert_eq!(response.status, LoginStatus::SESSION_DOES_NOT_EXIST);
    assert_eq!(response.tsih, 0);
}

#[test]
fn a_shell_that_answers_out_of_turn_ends_the_login() {
    let mut login = Login::new(LocalParameters::default(), entropy());
    let step = login.established(1);
    assert!(
        matches!(step, LoginStep::Drop(_)),
        "nobody to tell yet: {step:?}"
    );

    let mut login = Login::new(LocalParameters::default(), entropy());
    login.handle(request(OPERATIONAL, Some(FULL_FEATURE), NORMAL).pdu());
    login.authorize(Authorization::Accept(open_access()));
    let step = login.established(0);
    let LoginStep::Fail(reply) = step else {
        panic!("{step:?}")
    };
    assert_eq!(
        read(&reply).status,
        LoginStatus::TARGET_ERROR,
        "0 is no session's TSIH"
    );
}

#[test]
fn the_parameters_of_the_target_hold_in_place_of_the_daemons() {
    let local = LocalParameters {
        max_burst_length: 4_096,
        max_recv_data_segment_length: 1_024,
        command_window: 64,
        ..LocalParameters::default()
    };
    let mut target = Target::new(Access {
        local: Some(local),
        ..open_access()
    });
    let text = format!("{NORMAL}\nMaxBurstLength=8192");
    let (response, session) = target.expect_login(request(OPERATIONAL, Some(FULL_FEATURE), &text));
    assert_eq!(
        response.text,
        "TargetPortalGroupTag=1\nMaxBurstLength=4096\nMaxRecvDataSegmentLength=1024"
    );
    assert_eq!(session.max_cmd_sn, 123 + 63);
    assert_eq!(session.parameters.first_burst_length, 4_096);
}

#[test]
fn sequence_numbers_wrap_around() {
    let mut pdu = request(OPERATIONAL, Some(FULL_FEATURE), NORMAL).pdu();
    pdu.bhs[24..28].copy_from_slice(&u32::MAX.to_be_bytes());
    pdu.bhs[28..32].copy_from_slice(&u32::MAX.to_be_bytes());
    let local = LocalParameters {
        command_window: 2,
        ..LocalParameters::default()
    };
    let mut login = Login::new(local, entropy());
    login.handle(pdu);
    login.authorize(Authorization::Accept(open_access()));
    let step = login.established(1);
    let LoginStep::Complete { session, .. } = step else {
        panic!("{step:?}")
    };
    assert_eq!(
        (session.cmd_sn, session.max_cmd_sn, session.stat_sn),
        (u32::MAX, 0, 0)
    );
}

#[test]
fn a_login_does_not_take_requests_for_ever() {
    let mut target = Target::new(open_access());
    target.expect_response(first(NORMAL));
    for _ in 1..MAX_REQUESTS {
        target.expect_response(request(OPERATIONAL, None, ""));
    }
    let failure =
        target.expect_refusal(request(OPERATIONAL, None, ""), LoginStatus::INITIATOR_ERROR);
    assert_eq!(
        failure,
        LoginFailure::TooManyRequests {
            limit: MAX_REQUESTS
        }
    );
}

#[test]
fn garbage_in_a_login_is_refused_as_the_initiators_fault() {
    for text in [
        &b"\xff\xfe\xfd"[..],
        b"=\0",
        b"no pair at all",
        b"InitiatorName=\xff\0",
    ] {
        let mut pdu = first("").pdu();
        pdu.data = DataSegment::from(Bytes::copy_from_slice(text));
        let mut target = Target::new(open_access());
        let Seen::Refused(response, failure) = target.send_pdu(pdu) else {
            panic!("{text:?}")
        };
        assert_eq!(response.status, LoginStatus::INITIATOR_ERROR);
        assert!(matches!(failure, LoginFailure::Text(_)));
    }
}
