//! Each key's rule by table, and what holds for all of them.

use proptest::prelude::*;

use super::*;
use crate::parameters::{MAX_LENGTH, MIN_LENGTH, TaskReporting};

/// Offers one text to a fresh negotiation of a leading normal login; gives the answers without our own
/// declaration, and the outcome.
fn offer(text: &str) -> (String, Parameters) {
    offer_to(&LocalParameters::default(), SessionType::Normal, true, text)
}

fn offer_to(
    local: &LocalParameters,
    session_type: SessionType,
    leading: bool,
    text: &str,
) -> (String, Parameters) {
    let mut negotiation = Negotiation::new(local, session_type, leading);
    let answers = answer(&mut negotiation, text).unwrap();
    let ours = format!(
        " MaxRecvDataSegmentLength={}",
        local.max_recv_data_segment_length
    );
    let answers = answers
        .strip_suffix(&ours)
        .expect("our declaration comes last")
        .to_owned();
    (answers.trim().to_owned(), negotiation.finish().unwrap())
}

fn answer(negotiation: &mut Negotiation, text: &str) -> Result<String, LoginFailure> {
    let pairs = TextPairs::parse(text.replace(' ', "\0").as_bytes()).unwrap();
    let offers: Vec<_> = pairs
        .iter()
        .map(|p| (Key::from_name(&p.key).unwrap(), p.value.as_str()))
        .collect();
    let mut answers = TextPairs::new();
    negotiation.answer(&offers, &mut answers)?;
    Ok(answers
        .iter()
        .map(|pair| format!(" {}={}", pair.key, pair.value))
        .collect())
}

fn failure(text: &str) -> LoginFailure {
    let local = LocalParameters::default();
    let mut negotiation = Negotiation::new(&local, SessionType::Normal, true);
    answer(&mut negotiation, text).expect_err(text)
}

/// `key: offer -> answer, ...` for one key at a time.
fn check_table(key: &str, table: &[(&str, &str)]) {
    for (value, expected) in table {
        let (answers, _) = offer(&format!("{key}={value}"));
        assert_eq!(answers, format!("{key}={expected}"), "{key}={value}");
    }
}

#[test]
fn digests_follow_the_initiators_preference() {
    for key in ["HeaderDigest", "DataDigest"] {
        check_table(
            key,
            &[
                ("None", "None"),
                ("CRC32C", "CRC32C"),
                ("CRC32C,None", "CRC32C"),
                ("None,CRC32C", "None"),
                ("X-com.example.md4,CRC32C", "CRC32C"),
            ],
        );
    }
    let (_, parameters) = offer("HeaderDigest=CRC32C DataDigest=None");
    assert!(parameters.header_digest && !parameters.data_digest);
    let (_, parameters) = offer("HeaderDigest=None DataDigest=CRC32C");
    assert!(!parameters.header_digest && parameters.data_digest);
}

#[test]
fn a_digest_list_without_a_common_entry_ends_the_login() {
    for value in ["crc32c", "MD5", "", "CRC32C;None"] {
        let expected = LoginFailure::NoCommonValue {
            key: "HeaderDigest",
            offer: value.to_owned(),
        };
        assert_eq!(failure(&format!("HeaderDigest={value}")), expected);
    }
}

#[test]
fn a_digest_policy_of_the_target_is_kept() {
    let required = LocalParameters {
        header_digest: DigestPolicy::Required,
        ..LocalParameters::default()
    };
    let (answers, parameters) = offer_to(
        &required,
        SessionType::Normal,
        true,
        "HeaderDigest=None,CRC32C",
    );
    assert_eq!(answers, "HeaderDigest=CRC32C");
    assert!(parameters.header_digest);

    let negotiation = Negotiation::new(&required, SessionType::Normal, true);
    assert!(
        negotiation.finish().is_err(),
        "what is required has to be negotiated"
    );

    let disabled = LocalParameters {
        data_digest: DigestPolicy::Disabled,
        ..LocalParameters::default()
    };
    let (answers, _) = offer_to(
        &disabled,
        SessionType::Normal,
        true,
        "DataDigest=CRC32C,None",
    );
    assert_eq!(answers, "DataDigest=None");
}

#[test]
fn initial_r2t_is_or_and_immediate_data_is_and() {
    let rows = [
        // ours, offer, InitialR2T, ImmediateData
        (false, "No", "No", "No"),
        (false, "Yes", "Yes", "No"),
        (true, "No", "Yes", "No"),
        (true, "Yes", "Yes", "Yes"),
    ];
    for (ours, value, r2t, immediate) in rows {
        let local = LocalParameters {
            initial_r2t: ours,
            immediate_data: ours,
            ..LocalParameters::default()
        };
        let text = format!("InitialR2T={value} ImmediateData={value}");
        let (answers, parameters) = offer_to(&local, SessionType::Normal, true, &text);
        assert_eq!(
            answers,
            format!("InitialR2T={r2t} ImmediateData={immediate}")
        );
        assert_eq!(parameters.initial_r2t, r2t == "Yes");
        assert_eq!(parameters.immediate_data, immediate == "Yes");
    }
}

#[test]
fn order_of_data_is_always_kept() {
    for key in ["DataPDUInOrder", "DataSequenceInOrder"] {
        check_table(key, &[("Yes", "Yes"), ("No", "Yes")]);
    }
}

#[test]
fn what_is_no_boolean_is_rejected_and_the_default_holds() {
    for key in [
        "InitialR2T",
        "ImmediateData",
        "DataPDUInOrder",
        "DataSequenceInOrder",
    ] {
        check_table(
            key,
            &[
                ("yes", "Reject"),
                ("", "Reject"),
                ("1", "Reject"),
                ("Yes,No", "Reject"),
            ],
        );
    }
    assert!(offer("InitialR2T=no ImmediateData=no").1.initial_r2t);
}

#[test]
fn numbers_are_settled_by_their_result_function() {
    check_table(
        "MaxBurstLength",
        &[
            ("262144", "262144"),
            ("0x40000", "262144"),
            ("16777215", "1048576"),
            ("512", "512"),
            ("511", "Reject"),
            ("16777216", "Reject"),
            ("99999999999999999999", "Reject"),
            ("-1", "Reject"),
            ("", "Reject"),
        ],
    );
    check_table(
        "MaxConnections",
        &[
            ("1", "1"),
            ("65535", "1"),
            ("0", "Reject"),
            ("65536", "Reject"),
        ],
    );
    check_table(
        "MaxOutstandingR2T",
        &[("1", "1"), ("8", "1"), ("0", "Reject"), ("65536", "Reject")],
    );
    check_table(
        "ErrorRecoveryLevel",
        &[("0", "0"), ("1", "0"), ("2", "0"), ("3", "Reject")],
    );
    check_table(
        "DefaultTime2Wait",
        &[("0", "2"), ("2", "2"), ("3600", "3600"), ("3601", "Reject")],
    );
    check_table(
        "DefaultTime2Retain",
        &[("0", "0"), ("20", "20"), ("3600", "20"), ("3601", "Reject")],
    );
    check_table(
        "iSCSIProtocolLevel",
        &[
            ("0", "0"),
            ("1", "1"),
            ("2", "1"),
            ("31", "1"),
            ("32", "Reject"),
        ],
    );
}

#[test]
fn numbers_end_up_in_the_parameters() {
    let local = LocalParameters {
        max_connections: 8,
        max_outstanding_r2t: 16,
        error_recovery_level: 2,
        ..LocalParameters::default()
    };
    let text = "MaxConnections=4 MaxOutstandingR2T=5 ErrorRecoveryLevel=1 DefaultTime2Wait=9 \
                DefaultTime2Retain=7 MaxBurstLength=65536 FirstBurstLength=4096 \
                MaxRecvDataSegmentLength=32768 HeaderDigest=CRC32C InitialR2T=No ImmediateData=No";
    let (_, parameters) = offer_to(&local, SessionType::Normal, true, text);
    let expected = Parameters {
        header_digest: true,
        data_digest: false,
        max_connections: 4,
        initial_r2t: false,
        immediate_data: false,
        initiator_max_recv_data_segment_length: 32_768,
        target_max_recv_data_segment_length: 262_144,
        max_burst_length: 65_536,
        first_burst_length: 4_096,
        default_time2wait: 9,
        default_time2retain: 7,
        max_outstanding_r2t: 5,
        data_pdu_in_order: true,
        data_sequence_in_order: true,
        error_recovery_level: 1,
        task_reporting: TaskReporting::Rfc3720,
    };
    assert_eq!(parameters, expected);
}

#[test]
fn the_first_burst_is_never_longer_than_the_longest_burst() {
    // Whichever stands first.
    for text in [
        "MaxBurstLength=8192 FirstBurstLength=262144",
        "FirstBurstLength=262144 MaxBurstLength=8192",
    ] {
        let (answers, parameters) = offer(text);
        assert_eq!(
            answers, "MaxBurstLength=8192 FirstBurstLength=8192",
            "{text}"
        );
        assert_eq!(parameters.first_burst_length, 8_192);
    }
    // Not by its default of 64 KiB either.
    assert_eq!(offer("MaxBurstLength=8192").1.first_burst_length, 8_192);
    check_table(
        "FirstBurstLength",
        &[("65536", "65536"), ("1048576", "262144"), ("0", "Reject")],
    );
}

#[test]
fn the_first_burst_is_irrelevant_without_unsolicited_data() {
    let (answers, parameters) = offer("FirstBurstLength=65536 InitialR2T=Yes ImmediateData=No");
    assert_eq!(
        answers,
        "InitialR2T=Yes ImmediateData=No FirstBurstLength=Irrelevant"
    );
    assert_eq!(parameters.first_burst_length, 65_536);
    let (answers, _) = offer("FirstBurstLength=4096 InitialR2T=No ImmediateData=No");
    assert_eq!(
        answers,
        "InitialR2T=No ImmediateData=No FirstBurstLength=4096"
    );
}

#[test]
fn a_receive_length_is_taken_without_an_answer() {
    let (answers, parameters) = offer("MaxRecvDataSegmentLength=65536");
    assert_eq!(answers, "");
    assert_eq!(parameters.initiator_max_recv_data_segment_length, 65_536);
}

#[test]
fn a_receive_length_out_of_range_ends_the_login() {
    for value in ["0", "511", "16777216", "x", ""] {
        let expected = LoginFailure::UnacceptableValue {
            key: "MaxRecvDataSegmentLength",
            value: value.to_owned(),
        };
        assert_eq!(
            failure(&format!("MaxRecvDataSegmentLength={value}")),
            expected
        );
    }
}

#[test]
fn our_own_receive_length_is_declared_once() {
    let local = LocalParameters::default();
    let mut negotiation = Negotiation::new(&local, SessionType::Discovery, true);
    assert_eq!(
        answer(&mut negotiation, "").unwrap(),
        " MaxRecvDataSegmentLength=262144"
    );
    assert_eq!(answer(&mut negotiation, "").unwrap(), "");
    assert_eq!(
        negotiation
            .finish()
            .unwrap()
            .target_max_recv_data_segment_length,
        262_144
    );

    let silent = Negotiation::new(&local, SessionType::Normal, true);
    assert_eq!(
        silent.finish().unwrap(),
        Parameters::default(),
        "undeclared, the default holds"
    );
}

#[test]
fn task_reporting_is_the_first_in_the_list_that_is_known() {
    let table = [
        ("RFC3720", "RFC3720"),
        ("RFC3720,ResponseFence", "RFC3720"),
        ("ResponseFence,RFC3720", "ResponseFence"),
        ("FastAbort,ResponseFence,RFC3720", "FastAbort"),
        ("X-com.example.Faster,FastAbort,RFC3720", "FastAbort"),
        ("Faster", "Reject"),
        ("fastabort", "Reject"),
    ];
    check_table("TaskReporting", &table);
    let local = LocalParameters::default();
    for (offer, answer) in table {
        let text = format!("TaskReporting={offer}");
        let (_, parameters) = offer_to(&local, SessionType::Normal, true, &text);
        let settled = TaskReporting::from_wire(answer).unwrap_or_default();
        assert_eq!(parameters.task_reporting, settled, "{offer}");
        // It belongs to the session: a further connection can't change it.
        let (answers, parameters) = offer_to(&local, SessionType::Normal, false, &text);
        assert_eq!(answers, "TaskReporting=Reject");
        assert_eq!(parameters.task_reporting, TaskReporting::Rfc3720);
    }
}

#[test]
fn markers_are_declined_and_never_not_understood() {
    for key in ["IFMarker", "OFMarker"] {
        check_table(key, &[("No", "No"), ("Yes", "No"), ("maybe", "Reject")]);
    }
    for key in ["IFMarkInt", "OFMarkInt"] {
        check_table(key, &[("2048", "Reject"), ("2048~8192", "Reject")]);
    }
}

#[test]
fn a_discovery_session_has_no_use_for_scsi_keys() {
    let irrelevant = [
        "MaxConnections=1",
        "InitialR2T=No",
        "ImmediateData=Yes",
        "MaxBurstLength=65536",
        "FirstBurstLength=65536",
        "MaxOutstandingR2T=1",
        "DataPDUInOrder=Yes",
        "DataSequenceInOrder=Yes",
        "TaskReporting=RFC3720",
        "iSCSIProtocolLevel=1",
    ];
    let local = LocalParameters::default();
    for text in irrelevant {
        let (answers, parameters) = offer_to(&local, SessionType::Discovery, true, text);
        let (key, _) = text.split_once('=').unwrap();
        assert_eq!(answers, format!("{key}=Irrelevant"));
        let untouched = Parameters {
            target_max_recv_data_segment_length: 262_144,
            ..Parameters::default()
        };
        assert_eq!(parameters, untouched);
    }
    let text = "HeaderDigest=CRC32C DefaultTime2Wait=3 DefaultTime2Retain=0 ErrorRecoveryLevel=0";
    let (answers, _) = offer_to(&local, SessionType::Discovery, true, text);
    assert_eq!(answers, text);
}

#[test]
fn session_wide_keys_are_settled_by_the_leading_login_only() {
    let text = "MaxBurstLength=8192 InitialR2T=No HeaderDigest=CRC32C";
    let local = LocalParameters::default();
    let (answers, parameters) = offer_to(&local, SessionType::Normal, false, text);
    assert_eq!(
        answers,
        "MaxBurstLength=Reject InitialR2T=Reject HeaderDigest=CRC32C"
    );
    assert_eq!(
        parameters.max_burst_length,
        Parameters::default().max_burst_length
    );
    assert!(parameters.header_digest);
}

#[test]
fn a_key_that_comes_twice_ends_the_login() {
    for text in [
        "InitialR2T=Yes InitialR2T=Yes",
        "MaxBurstLength=1 MaxBurstLength=512",
    ] {
        assert!(
            matches!(failure(text), LoginFailure::Repeated { .. }),
            "{text}"
        );
    }
    let local = LocalParameters::default();
    let mut negotiation = Negotiation::new(&local, SessionType::Normal, true);
    answer(&mut negotiation, "ImmediateData=Yes").unwrap();
    let error = answer(&mut negotiation, "ImmediateData=No").unwrap_err();
    assert_eq!(
        error,
        LoginFailure::Repeated {
            key: "ImmediateData"
        }
    );
}

#[test]
fn every_operational_key_has_a_rule_and_no_other_has() {
    let without: Vec<_> = Key::ALL
        .iter()
        .filter(|key| rules::rule(**key).is_none())
        .map(|key| key.name())
        .collect();
    let expected = [
        "AuthMethod",
        "CHAP_A",
        "CHAP_I",
        "CHAP_C",
        "CHAP_N",
        "CHAP_R",
        "SendTargets",
        "TargetName",
        "InitiatorName",
        "TargetAlias",
        "InitiatorAlias",
        "TargetAddress",
        "TargetPortalGroupTag",
        "SessionType",
    ];
    assert_eq!(without, expected);
}

#[test]
fn local_parameters_out_of_range_are_brought_into_it() {
    let wild = LocalParameters {
        max_connections: 0,
        max_recv_data_segment_length: 1,
        max_burst_length: u32::MAX,
        first_burst_length: u32::MAX,
        default_time2wait: u16::MAX,
        default_time2retain: u16::MAX,
        max_outstanding_r2t: 0,
        error_recovery_level: 9,
        command_window: 0,
        ..LocalParameters::default()
    };
    let tame = LocalParameters {
        max_connections: 1,
        max_recv_data_segment_length: MIN_LENGTH,
        max_burst_length: MAX_LENGTH,
        first_burst_length: MAX_LENGTH,
        default_time2wait: 3_600,
        default_time2retain: 3_600,
        max_outstanding_r2t: 1,
        error_recovery_level: 2,
        command_window: 1,
        ..LocalParameters::default()
    };
    assert_eq!(wild.clamped(), tame);
    assert_eq!(
        LocalParameters::default().clamped(),
        LocalParameters::default()
    );
}

proptest! {
    #[test]
    fn whatever_is_offered_the_outcome_is_in_range(
        offers in proptest::collection::vec(
            (0..Key::ALL.len(), prop_oneof![
                "[a-zA-Z0-9,~x-]{0,12}",
                (0u64..20_000_000).prop_map(|number| number.to_string()),
                Just("Yes".to_owned()),
                Just("No".to_owned()),
            ]),
            0..40,
        ),
        discovery: bool,
        leading: bool,
    ) {
        let local = LocalParameters::default();
        let session_type = if discovery { SessionType::Discovery } else { SessionType::Normal };
        let mut negotiation = Negotiation::new(&local, session_type, leading);
        let offers: Vec<_> =
            offers.iter().map(|(key, value)| (Key::ALL[*key], value.as_str())).collect();
        let mut answers = TextPairs::new();
        // What was settled before an offer that ends the login counts as well.
        let _ = negotiation.answer(&offers, &mut answers);
        prop_assert!(answers.len() <= offers.len() + 1);
        let outcome = negotiation.finish().unwrap();
        let lengths = MIN_LENGTH..=MAX_LENGTH;
        prop_assert!(lengths.contains(&outcome.initiator_max_recv_data_segment_length));
        prop_assert!(lengths.contains(&outcome.max_burst_length));
        prop_assert!(outcome.max_burst_length <= local.max_burst_length);
        prop_assert!(outcome.first_burst_length <= outcome.max_burst_length);
        prop_assert_eq!(outcome.max_connections, 1);
        prop_assert_eq!(outcome.max_outstanding_r2t, 1);
        prop_assert_eq!(outcome.error_recovery_level, 0);
        prop_assert!(outcome.default_time2wait <= 3_600 && outcome.default_time2retain <= 3_600);
        prop_assert!(outcome.data_pdu_in_order && outcome.data_sequence_in_order);
    }
}
