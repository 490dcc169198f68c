//! Whatever comes: a login never panics, always ends, stays within its bounds, and lets nobody past CHAP
//! who doesn't know the secret.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::text::Key;

/// One PDU of a fuzzed initiator: mostly well-formed, so that it gets far.
#[derive(Clone, Debug)]
struct Move {
    csg: u8,
    nsg: Option<u8>,
    continues: bool,
    text: Vec<u8>,
    /// A byte of the header to overwrite, now and then.
    damage: Option<(usize, u8)>,
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(vec![
            "Yes", "No", "None", "CHAP", "CHAP,None", "CRC32C,None", "5", "8,7,6,5", "host-user",
            "0x00", "0b", "42", "512", "65536", "Reject", "NotUnderstood", "Discovery", "Normal", "All",
            INITIATOR, TARGET, "",
        ]).prop_map(str::to_owned),
        1 => "[ -~]{0,40}",
        1 => "0x[0-9a-f]{32,64}",
    ]
}

/// Any key with any value, or a step that brings CHAP further.
fn pair() -> impl Strategy<Value = String> {
    let names: Vec<_> = Key::ALL
        .iter()
        .map(|key| key.name())
        .chain(["X-com.example.key"])
        .collect();
    let chap = vec![
        "AuthMethod=CHAP\0",
        "AuthMethod=CHAP,None\0",
        "CHAP_A=5\0",
        "CHAP_A=8,7,6,5\0",
        "CHAP_N=host-user\0CHAP_R=0x00000000000000000000000000000000\0",
        "CHAP_I=1\0CHAP_C=0x01\0",
    ];
    prop_oneof![
        (select(names), value()).prop_map(|(name, value)| format!("{name}={value}\0")),
        select(chap).prop_map(str::to_owned),
    ]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => proptest::collection::vec(pair(), 0..6).prop_map(|pairs| pairs.concat().into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..200),
    ]
}

fn a_move() -> impl Strategy<Value = Move> {
    (
        prop_oneof![8 => 0u8..2, 1 => 0u8..4],
        proptest::option::of(prop_oneof![8 => select(vec![1u8, 3]), 1 => 0u8..4]),
        proptest::bool::weighted(0.1),
        text(),
        proptest::option::weighted(0.1, (0usize..48, any::<u8>())),
    )
        .prop_map(|(csg, nsg, continues, text, damage)| Move {
            csg,
            nsg,
            continues,
            text,
            damage,
        })
}

impl Move {
    fn pdu(&self, with_names: bool) -> RawPdu {
        let request = Request {
            continues: self.continues,
            ..request(self.csg, self.nsg, "")
        };
        let mut pdu = request.pdu();
        let mut text = if with_names {
            lines(NORMAL)
        } else {
            Vec::new()
        };
        text.extend_from_slice(&self.text);
        pdu.data = Bytes::from(text).into();
        if let Some((at, byte)) = self.damage {
            pdu.bhs[at] = byte;
        }
        pdu
    }
}

/// What a run came to.
#[derive(Debug, Default)]
struct Outcome {
    answered: usize,
    ended: bool,
    established: bool,
}

fn run(access: &Access, moves: impl Iterator<Item = RawPdu>) -> Outcome {
    let mut login = Login::new(LocalParameters::default(), entropy());
    let mut outcome = Outcome::default();
    for pdu in moves {
        let mut step = login.handle(pdu);
        for _ in 0..3 {
            step = match step {
                LoginStep::Authorize(_) => login.authorize(Authorization::Accept(access.clone())),
                LoginStep::Establish(_) => {
                    outcome.established = true;
                    login.established(1)
                }
                done => {
                    step = done;
                    break;
                }
            };
        }
        match step {
            LoginStep::Respond(reply) => {
                outcome.answered += 1;
                assert!(reply.pdus.iter().all(|(_, data)| data.len() <= 8_192));
            }
            LoginStep::Authorize(_) | LoginStep::Establish(_) => {
                panic!("a login asks each question once")
            }
            LoginStep::Complete { .. } | LoginStep::Fail(_) | LoginStep::Drop(_) => {
                outcome.ended = true;
                return outcome;
            }
        }
    }
    outcome
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn any_sequence_of_requests_is_survived(moves in proptest::collection::vec(a_move(), 1..12)) {
        let pdus = moves.iter().enumerate().map(|(i, a_move)| a_move.pdu(i == 0));
        run(&open_access(), pdus);
    }

    #[test]
    fn nobody_guesses_a_way_past_chap(moves in proptest::collection::vec(a_move(), 1..12)) {
        for access in [chap_access(), mutual_access()] {
            let pdus = moves.iter().enumerate().map(|(i, a_move)| a_move.pdu(i == 0));
            prop_assert!(!run(&access, pdus).established);
        }
    }

    #[test]
    fn raw_bytes_for_headers_are_survived(
        pdus in proptest::collection::vec(
            (any::<[u8; 32]>(), any::<[u8; 16]>(), text()), 1..6,
        ),
    ) {
        let pdus = pdus.into_iter().map(|(head, tail, text)| {
            let mut bhs = [0; BHS_LEN];
            bhs[..32].copy_from_slice(&head);
            bhs[32..].copy_from_slice(&tail);
            RawPdu { bhs, ahs: Bytes::new(), data: Bytes::from(text).into() }
        });
        run(&open_access(), pdus);
    }

    #[test]
    fn a_login_that_goes_on_for_ever_is_ended(a_move in a_move()) {
        let pdus = (0..=usize::from(MAX_REQUESTS)).map(|i| a_move.pdu(i == 0));
        let outcome = run(&open_access(), pdus);
        prop_assert!(outcome.ended);
        prop_assert!(outcome.answered <= usize::from(MAX_REQUESTS));
    }
}

#[test]
fn the_generator_gets_through_an_open_login() {
    // Otherwise the properties above would prove nothing.
    let straight = Move {
        csg: OPERATIONAL,
        nsg: Some(FULL_FEATURE),
        continues: false,
        text: b"InitialR2T=Yes\0".to_vec(),
        damage: None,
    };
    assert!(run(&open_access(), std::iter::once(straight.pdu(true))).established);
}
