//! Any sequence of PDUs before full feature phase: the login ends within its bounds, what was
//! negotiated is in range, and nobody gets past CHAP.

use bytes::Bytes;
use tidelock_iscsi::auth::{ChapPolicy, Secret};
use tidelock_iscsi::login::{
    Access, Authorization, LoggedIn, Login, LoginEntropy, LoginReply, LoginStatus, LoginStep,
    MAX_REQUESTS, Redirect,
};
use tidelock_iscsi::parameters::{LocalParameters, MAX_LENGTH, MAX_TIME, MIN_LENGTH};
use tidelock_iscsi::pdu::{BHS_LEN, Bhs, RawPdu};
use tidelock_iscsi::text::{DEFAULT_SEGMENT_LENGTH, TextPairs};

use crate::input::Input;

/// First byte: what the shell answers. Then requests: stage byte, length of the text, text; a set bit
/// 0x30 in the stage byte puts a byte of damage into the header.
pub fn check(input: &[u8]) {
    let mut input = Input(input);
    let mode = input.byte();
    let entropy = LoginEntropy {
        challenge: [0x5a; 32],
        identifier: 7,
    };
    let mut login = Login::new(LocalParameters::default(), entropy);
    let mut answered = 0;
    while !input.is_empty() {
        match to_the_end(&mut login, request(&mut input), mode) {
            LoginStep::Respond(reply) => {
                check_reply(&reply);
                answered += 1;
                assert!(
                    answered <= usize::from(MAX_REQUESTS),
                    "a login that goes on for ever"
                );
            }
            LoginStep::Complete { reply, session } => {
                check_reply(&reply);
                check_session(&session);
                return;
            }
            LoginStep::Fail(reply) => {
                check_reply(&reply);
                assert!(
                    reply.pdus.iter().any(|(bhs, _)| bhs[36] != 0),
                    "a failure has a status"
                );
                assert!(
                    login
                        .failure()
                        .is_some_and(|failure| !failure.to_string().is_empty())
                );
                return;
            }
            LoginStep::Drop(_) => return,
            LoginStep::Authorize(_) | LoginStep::Establish(_) => panic!("asked twice"),
        }
    }
}

fn to_the_end(login: &mut Login, pdu: RawPdu, mode: u8) -> LoginStep {
    let mut step = login.handle(pdu);
    for _ in 0..2 {
        step = match step {
            LoginStep::Authorize(identity) => {
                assert!(identity.initiator_name.len() <= 223);
                login.authorize(authorization(mode))
            }
            LoginStep::Establish(_) => {
                assert!(
                    !needs_chap(mode),
                    "somebody got past CHAP without the secret"
                );
                assert!(mode & 0x20 == 0, "somebody wasn't sent on");
                if mode & 0x10 == 0 {
                    login.established(1)
                } else {
                    login.refuse(LoginStatus::SESSION_DOES_NOT_EXIST)
                }
            }
            other => return other,
        };
    }
    step
}

fn needs_chap(mode: u8) -> bool {
    matches!(mode & 3, 1 | 2)
}

fn authorization(mode: u8) -> Authorization {
    if mode & 3 == 3 {
        return Authorization::Refuse(LoginStatus::AUTHORIZATION_FAILURE);
    }
    let secret = || Secret::new(*b"a secret of enough length");
    let mutual = (mode & 3 == 2).then(|| ("target".to_owned(), Secret::new(*b"another secret")));
    Authorization::Accept(Access {
        chap: needs_chap(mode).then(|| ChapPolicy {
            user: "host-user".to_owned(),
            secret: secret(),
            mutual,
        }),
        target_portal_group_tag: 1,
        target_alias: (mode & 4 != 0).then(|| "alias".to_owned()),
        local: (mode & 8 != 0).then(|| LocalParameters {
            initial_r2t: true,
            ..LocalParameters::default()
        }),
        redirect: (mode & 0x20 != 0).then(|| Redirect {
            address: "192.0.2.1:3261".to_owned(),
            permanent: false,
        }),
    })
}

fn request(input: &mut Input<'_>) -> RawPdu {
    let stage = input.byte();
    let mut bhs: Bhs = [0; BHS_LEN];
    bhs[0] = 0x43;
    // T, C, CSG and NSG where they stand in a Login Request.
    bhs[1] = stage & 0xcf;
    bhs[8..14].copy_from_slice(&[0x40, 0, 1, 0x37, 0, 1]);
    bhs[16..20].copy_from_slice(&[0, 0, 0, 1]);
    if stage & 0x30 != 0 {
        let at = usize::from(input.byte()) % BHS_LEN;
        bhs[at] = input.byte();
    }
    let length = usize::from(input.u16());
    RawPdu {
        bhs,
        ahs: Bytes::new(),
        data: Bytes::copy_from_slice(input.bytes(length)).into(),
    }
}

fn check_reply(reply: &LoginReply) {
    assert!(!reply.pdus.is_empty());
    for (bhs, data) in &reply.pdus {
        assert_eq!(bhs[0], 0x23, "a Login Response");
        assert_eq!(
            u32::from_be_bytes([0, bhs[5], bhs[6], bhs[7]]) as usize,
            data.len()
        );
        assert!(data.len() <= DEFAULT_SEGMENT_LENGTH);
        let continues = bhs[1] & 0x40 != 0;
        assert!(continues || data.is_empty() || data.ends_with(&[0]));
        assert!(
            bhs[36] == 0 || bhs[1] & 0x80 == 0,
            "no transit with a failure"
        );
        if !continues && reply.pdus.len() == 1 && bhs[36] == 0 {
            assert!(TextPairs::parse(data).is_ok() || !data.contains(&b'='));
        }
    }
}

fn check_session(session: &LoggedIn) {
    let negotiated = &session.parameters;
    let lengths = MIN_LENGTH..=MAX_LENGTH;
    assert_ne!(session.identity.tsih, 0);
    assert!(lengths.contains(&negotiated.initiator_max_recv_data_segment_length));
    assert!(lengths.contains(&negotiated.target_max_recv_data_segment_length));
    assert!(lengths.contains(&negotiated.max_burst_length));
    assert!(lengths.contains(&negotiated.first_burst_length));
    assert!(negotiated.first_burst_length <= negotiated.max_burst_length);
    assert!(negotiated.default_time2wait <= MAX_TIME && negotiated.default_time2retain <= MAX_TIME);
    assert!(negotiated.max_connections == 1 && negotiated.max_outstanding_r2t >= 1);
    assert_eq!(negotiated.error_recovery_level, 0);
}
