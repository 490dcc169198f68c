//! Logins as the initiators of the field do them, request by request. The texts are composed after what
//! these initiators are known to send; the numbers are made up.

use super::*;

const OPEN_ISCSI_OFFER: &str = "HeaderDigest=None,CRC32C\nDataDigest=None,CRC32C\n\
    DefaultTime2Wait=2\nDefaultTime2Retain=0\nIFMarker=No\nOFMarker=No\nErrorRecoveryLevel=0\n\
    InitialR2T=No\nImmediateData=Yes\nMaxBurstLength=16776192\nFirstBurstLength=262144\n\
    MaxOutstandingR2T=1\nMaxConnections=1\nDataPDUInOrder=Yes\nDataSequenceInOrder=Yes\n\
    MaxRecvDataSegmentLength=262144";

const OPEN_ISCSI_ANSWER: &str = "HeaderDigest=None\nDataDigest=None\n\
    DefaultTime2Wait=2\nDefaultTime2Retain=0\nIFMarker=No\nOFMarker=No\nErrorRecoveryLevel=0\n\
    InitialR2T=No\nImmediateData=Yes\nMaxBurstLength=1048576\n\
    MaxOutstandingR2T=1\nMaxConnections=1\nDataPDUInOrder=Yes\nDataSequenceInOrder=Yes\n\
    FirstBurstLength=262144\nMaxRecvDataSegmentLength=262144";

#[test]
fn open_iscsi_logs_in_through_the_security_stage() {
    let mut target = Target::new(Access {
        target_alias: Some("disk".into()),
        ..open_access()
    });
    let text = format!("{NORMAL}\nInitiatorAlias=host.example\nAuthMethod=None");
    let response = target.expect_response(request(SECURITY, Some(OPERATIONAL), &text));
    assert!(response.transit);
    assert_eq!(
        (response.csg, response.nsg, response.tsih),
        (SECURITY, OPERATIONAL, 0)
    );
    assert_eq!(
        response.stat_sn, 77,
        "counting begins where the initiator expects it"
    );
    assert_eq!(
        response.text,
        "TargetPortalGroupTag=1\nTargetAlias=disk\nAuthMethod=None"
    );

    let (response, session) =
        target.expect_login(request(OPERATIONAL, Some(FULL_FEATURE), OPEN_ISCSI_OFFER));
    assert_eq!(response.csg, OPERATIONAL);
    assert_eq!(response.stat_sn, 78);
    assert_eq!(response.text, OPEN_ISCSI_ANSWER);
    assert_eq!(session.identity.initiator_name, INITIATOR);
    assert_eq!(session.identity.target_name.as_deref(), Some(TARGET));
    assert_eq!(
        session.identity.initiator_alias.as_deref(),
        Some("host.example")
    );
    assert_eq!(session.identity.isid, [0x40, 0, 1, 0x37, 0, 0]);
    assert_eq!(session.identity.cid, 5);
    assert!(!session.parameters.initial_r2t && session.parameters.immediate_data);
    assert_eq!(session.parameters.max_burst_length, 1_048_576);
    assert_eq!(session.parameters.first_burst_length, 262_144);
    assert_eq!(
        session.parameters.target_max_recv_data_segment_length,
        262_144
    );
}

#[test]
fn open_iscsi_discovers() {
    let mut target = Target::new(open_access());
    let text = format!("InitiatorName={INITIATOR}\nSessionType=Discovery\nAuthMethod=None");
    let response = target.expect_response(request(SECURITY, Some(OPERATIONAL), &text));
    assert_eq!(
        response.text, "AuthMethod=None",
        "a discovery session has no portal group tag"
    );
    let offer = "HeaderDigest=None\nDataDigest=None\nDefaultTime2Wait=2\nDefaultTime2Retain=0\n\
                 IFMarker=No\nOFMarker=No\nErrorRecoveryLevel=0\nMaxRecvDataSegmentLength=32768";
    let (response, session) = target.expect_login(request(OPERATIONAL, Some(FULL_FEATURE), offer));
    assert_eq!(session.identity.session_type, SessionType::Discovery);
    assert_eq!(session.identity.target_name, None);
    assert_eq!(
        session.parameters.initiator_max_recv_data_segment_length,
        32_768
    );
    assert!(
        response
            .text
            .ends_with("ErrorRecoveryLevel=0\nMaxRecvDataSegmentLength=262144")
    );
}

#[test]
fn open_iscsi_logs_in_with_mutual_chap_and_all_four_digests_on_offer() {
    let mut target = Target::new(mutual_access());
    let text = format!("{NORMAL}\nAuthMethod=CHAP,None");
    let response = target.expect_response(request(SECURITY, None, &text));
    assert_eq!(response.text, "TargetPortalGroupTag=1\nAuthMethod=CHAP");
    let response = target.expect_response(request(SECURITY, None, "CHAP_A=8,7,6,5"));
    assert_eq!(
        response.text,
        format!("CHAP_A=8\nCHAP_I=42\nCHAP_C=0x{}", "c5".repeat(32))
    );
    // SHA3-256 over 0x2a, host-secret-123 and the challenge, by Python's hashlib.
    let text = format!(
        "CHAP_N=host-user\nCHAP_R={HOST_SHA3_256}\nCHAP_I=7\n\
         CHAP_C=0x000102030405060708090a0b0c0d0e0f"
    );
    let response = target.expect_response(request(SECURITY, Some(OPERATIONAL), &text));
    assert!(response.transit);
    assert_eq!(
        response.text,
        format!("CHAP_N=disk-user\nCHAP_R={DISK_SHA3_256}")
    );
    target.expect_login(request(OPERATIONAL, Some(FULL_FEATURE), OPEN_ISCSI_OFFER));
}

const HOST_SHA3_256: &str = "0xcd9a1c5edb6707c32da6f4849c610a7c5a016ceba95c657de995195a1799b7d9";
const DISK_SHA3_256: &str = "0xe7702671f52b5b809caed595f878784a74623a88e7410af2e4d7ddb2c7504043";

#[test]
fn libiscsi_logs_in_and_says_its_names_in_every_stage() {
    let mut target = Target::new(chap_access());
    // It asks for the next stage right away, and takes a no for an answer.
    let text = format!("{NORMAL}\nInitiatorAlias=libiscsi\nAuthMethod=CHAP,None");
    let response = target.expect_response(request(SECURITY, Some(OPERATIONAL), &text));
    assert!(!response.transit);
    let response = target.expect_response(request(SECURITY, None, "CHAP_A=5"));
    assert!(response.text.starts_with("CHAP_A=5\nCHAP_I=42\n"));
    let text = format!("CHAP_N=host-user\nCHAP_R={HOST_MD5}");
    let response = target.expect_response(request(SECURITY, Some(OPERATIONAL), &text));
    assert!(response.transit);
    let text = format!(
        "{NORMAL}\nHeaderDigest=None,CRC32C\nDataDigest=None\nInitialR2T=No\nImmediateData=Yes\n\
         MaxBurstLength=262144\nFirstBurstLength=262144\nMaxRecvDataSegmentLength=262144\n\
         DataPDUInOrder=Yes\nDefaultTime2Wait=2\nDefaultTime2Retain=0\nIFMarker=No\nOFMarker=No\n\
         MaxConnections=1\nMaxOutstandingR2T=1\nErrorRecoveryLevel=0\nDataSequenceInOrder=Yes"
    );
    let (response, session) = target.expect_login(request(OPERATIONAL, Some(FULL_FEATURE), &text));
    assert!(
        !response.text.contains("InitiatorName"),
        "a name is declared, not answered"
    );
    assert!(!session.parameters.header_digest);
    assert_eq!(session.parameters.max_burst_length, 262_144);
}

const HOST_MD5: &str = "0x63c8363a87c984754696301f016ce50e";

#[test]
fn one_request_straight_to_the_operational_stage_is_enough() {
    let mut target = Target::new(open_access());
    let text =
        format!("{NORMAL}\nHeaderDigest=CRC32C,None\nDataDigest=CRC32C,None\nInitialR2T=Yes");
    let (response, session) = target.expect_login(request(OPERATIONAL, Some(FULL_FEATURE), &text));
    assert_eq!(
        response.text,
        "TargetPortalGroupTag=1\nHeaderDigest=CRC32C\nDataDigest=CRC32C\nInitialR2T=Yes\n\
         MaxRecvDataSegmentLength=262144",
    );
    assert!(session.parameters.header_digest && session.parameters.data_digest);
    assert!(session.parameters.initial_r2t);
}

#[test]
fn an_initiator_may_skip_the_operational_stage() {
    let mut target = Target::new(open_access());
    let text = format!("{NORMAL}\nAuthMethod=None");
    let (response, session) = target.expect_login(request(SECURITY, Some(FULL_FEATURE), &text));
    assert_eq!(response.text, "TargetPortalGroupTag=1\nAuthMethod=None");
    assert_eq!(session.parameters, crate::parameters::Parameters::default());
}

#[test]
fn windows_logs_in_with_chap() {
    let mut target = Target::new(chap_access());
    let text = format!("{NORMAL}\nAuthMethod=CHAP");
    let response = target.expect_response(request(SECURITY, None, &text));
    assert_eq!(response.text, "TargetPortalGroupTag=1\nAuthMethod=CHAP");
    target.expect_response(request(SECURITY, None, "CHAP_A=5"));
    let text = format!(
        "CHAP_N=host-user\nCHAP_R={}",
        HOST_MD5.to_uppercase().replace('X', "x")
    );
    target.expect_response(request(SECURITY, Some(OPERATIONAL), &text));
    let offer = "HeaderDigest=None\nDataDigest=None\nMaxConnections=1\nInitialR2T=No\n\
                 ImmediateData=Yes\nMaxRecvDataSegmentLength=65536\nMaxBurstLength=262144\n\
                 FirstBurstLength=65536\nDefaultTime2Wait=0\nDefaultTime2Retain=60\n\
                 MaxOutstandingR2T=16\nErrorRecoveryLevel=2\nDataPDUInOrder=Yes\n\
                 DataSequenceInOrder=Yes\nX-com.example.feature=Yes";
    let (response, session) = target.expect_login(request(OPERATIONAL, Some(FULL_FEATURE), offer));
    assert_eq!(session.parameters.error_recovery_level, 0);
    assert_eq!(session.parameters.max_outstanding_r2t, 1);
    assert!(
        response
            .text
            .contains("X-com.example.feature=NotUnderstood")
    );
    assert!(response.text.contains("ErrorRecoveryLevel=0\n"));
    assert!(
        response
            .text
            .contains("DefaultTime2Wait=2\nDefaultTime2Retain=20\n")
    );
}

#[test]
fn operational_negotiation_may_take_several_requests() {
    let mut target = Target::new(open_access());
    let response = target.expect_response(request(OPERATIONAL, None, NORMAL));
    assert_eq!(
        response.text,
        "TargetPortalGroupTag=1\nMaxRecvDataSegmentLength=262144"
    );
    let response = target.expect_response(request(OPERATIONAL, None, "InitialR2T=No"));
    assert_eq!(response.text, "InitialR2T=No");
    let (response, session) = target.expect_login(request(OPERATIONAL, Some(FULL_FEATURE), ""));
    assert_eq!(response.text, "");
    assert!(!session.parameters.initial_r2t);
}
