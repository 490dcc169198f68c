//! Frames that are damaged, messages that come back the same, and ends that aren't accepted.

use bytes::Bytes;
use proptest::prelude::*;

use super::fields::FieldError;
use super::{
    BODY_MAX, DATA_MAX, Decoder, Encoder, Frame, FrameError, HEADER_BYTES, INTRODUCTION_MAX,
    Introduced, Introduction, Kind, Message, Ours, Refusal, Step, close_reason, decode, encode,
    introduces,
};
use crate::association::{Differing, Durability};
use crate::data::{Data, ZEROS_MAX};
use crate::generation::{Generation, Lineage, Receiving, Role, View, Why};
use crate::id::{GenerationId, Incarnation, MirrorId, NodeId};
use crate::region::{Region, RegionSet};

fn regions() -> impl Strategy<Value = RegionSet> {
    prop::collection::vec(0_u64..100, 0..10).prop_map(|all| all.into_iter().map(Region).collect())
}

fn lineage() -> impl Strategy<Value = Lineage> {
    let why = prop::sample::select(vec![
        Why::Created,
        Why::PeerLost,
        Why::Joined,
        Why::Promoted,
        Why::HandedOver,
        Why::Cut,
    ]);
    let generations = prop::collection::btree_map(any::<u128>(), (any::<u128>(), why), 0..40);
    generations.prop_map(|all| {
        Lineage::new(all.into_iter().map(|(id, (by, why))| Generation {
            id: GenerationId(id),
            by: NodeId(by),
            why,
        }))
    })
}

fn view() -> impl Strategy<Value = View> {
    let receiving = prop::option::of(any::<(u128, u128, u128, bool)>());
    (lineage(), any::<bool>(), receiving, any::<bool>()).prop_map(
        |(lineage, source, receiving, yielded)| View {
            lineage,
            role: if source { Role::Source } else { Role::Target },
            receiving: receiving.map(|(from, incarnation, generation, snapshot)| Receiving {
                from: NodeId(from),
                incarnation: Incarnation(incarnation),
                generation: GenerationId(generation),
                snapshot,
            }),
            yielded,
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    let data = || {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 1..64).prop_map(|it| Data::Bytes(it.into())),
            (1..=ZEROS_MAX).prop_map(Data::Zeros),
        ]
    };
    prop_oneof![
        (view(), any::<u128>(), regions(), any::<u64>()).prop_map(
            |(view, incarnation, unsettled, window)| Message::Greeting {
                view,
                incarnation: Incarnation(incarnation),
                unsettled,
                window,
            }
        ),
        any::<bool>().prop_map(|resumes| Message::Resync { resumes }),
        prop::option::of(regions()).prop_map(|regions| Message::Ready {
            differing: regions.map_or(Differing::All, Differing::Regions),
        }),
        (any::<u64>(), any::<u64>(), 0..3, data()).prop_map(|(sequence, offset, safety, data)| {
            Message::Write {
                sequence,
                offset,
                durability: match safety {
                    0 => Durability::Cached,
                    1 => Durability::Durable,
                    _ => Durability::Atomic,
                },
                data,
            }
        }),
        (any::<u64>(), any::<u64>(), data()).prop_map(|(sequence, offset, data)| Message::Copy {
            sequence,
            offset,
            data,
        }),
        any::<u64>().prop_map(|sequence| Message::WriteDone { sequence }),
        any::<u64>().prop_map(|sequence| Message::Flush { sequence }),
        any::<u64>().prop_map(|sequence| Message::FlushDone { sequence }),
        regions().prop_map(|regions| Message::Settled { regions }),
        lineage().prop_map(|lineage| Message::Adopt { lineage }),
        any::<u128>().prop_map(|it| Message::Confirm {
            generation: GenerationId(it)
        }),
        Just(Message::InStep),
        Just(Message::TakeOver),
        (any::<u128>(), regions()).prop_map(|(generation, unsettled)| Message::AskToTakeOver {
            generation: GenerationId(generation),
            unsettled,
        }),
        Just(Message::Deny),
        (any::<u64>(), any::<u64>(), any::<u64>(), any::<bool>()).prop_map(
            |(bytes, ms, cut_unix_ms, rpo_kept)| Message::Behind {
                bytes,
                ms,
                cut_unix_ms,
                rpo_kept,
            }
        ),
    ]
}

fn stream(messages: &[Message]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    let mut bytes = Vec::new();
    for message in messages {
        let (kind, body, data) = encode(message);
        bytes.extend(encoder.encode(kind, &body, &data).unwrap());
        bytes.extend(data);
    }
    bytes
}

proptest! {
    #[test]
    fn messages_come_back_the_same(messages in prop::collection::vec(message(), 1..6), cut in 1_usize..50) {
        let bytes = stream(&messages);
        let mut decoder = Decoder::default();
        let mut back = Vec::new();
        for piece in bytes.chunks(cut) {
            decoder.feed(piece);
            while let Some(frame) = decoder.next_frame().unwrap() {
                back.push(decode(frame).unwrap());
            }
        }
        prop_assert_eq!(back, messages);
    }

    #[test]
    fn they_do_if_they_are_put_where_they_stay(messages in prop::collection::vec(message(), 1..6), cut in 1_usize..9_000) {
        let mut bytes = &stream(&messages)[..];
        let mut decoder = Decoder::default();
        let mut back = Vec::new();
        while !bytes.is_empty() {
            let space = decoder.space();
            let fits = (space.capacity() - space.len()).min(cut).min(bytes.len());
            prop_assert!(fits > 0, "there is no space");
            let (piece, rest) = bytes.split_at(fits);
            space.extend_from_slice(piece);
            bytes = rest;
            while let Some(frame) = decoder.next_frame().unwrap() {
                back.push(decode(frame).unwrap());
            }
        }
        prop_assert_eq!(back, messages);
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed(messages in prop::collection::vec(message(), 1..4), at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut bytes = stream(&messages);
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let mut decoder = Decoder::default();
        decoder.feed(&bytes);
        let mut frames = 0;
        let error = loop {
            match decoder.next_frame() {
                Ok(Some(_)) => frames += 1,
                other => break other,
            }
        };
        prop_assert!(error.is_err() && frames < messages.len());
    }

    #[test]
    fn any_fields_are_refused_or_come_back_the_same(kind in 0_u8..0x40, body in prop::collection::vec(any::<u8>(), 0..200)) {
        let frame = Frame { kind: Kind(kind), body: Bytes::from(body), data: Bytes::new() };
        if let Ok(message) = decode(frame) {
            let (kind, body, data) = encode(&message);
            let again = decode(Frame { kind, body: body.into(), data });
            prop_assert_eq!(again, Ok(message));
        }
    }
}

fn header(change: impl FnOnce(&mut [u8])) -> FrameError {
    let mut bytes = Encoder::default().encode(Kind(0x11), &[], &[]).unwrap();
    change(&mut bytes);
    let crc = crc32c::crc32c(&bytes[..HEADER_BYTES - 4]);
    bytes[HEADER_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
    let mut decoder = Decoder::default();
    decoder.feed(&bytes);
    let error = decoder.next_frame().unwrap_err();
    decoder.feed(&[0; 100]);
    assert_eq!(decoder.next_frame(), Err(error.clone()), "it stays wrong");
    error
}

#[test]
fn what_a_header_says_is_checked_before_anything_is_kept() {
    assert_eq!(header(|it| it[0] = b'X'), FrameError::NotAFrame);
    assert_eq!(header(|it| it[4] = 9), FrameError::Version(9));
    assert_eq!(header(|it| it[7] = 1), FrameError::Flags(0x100));
    let expected = 0;
    assert_eq!(
        header(|it| it[16] = 3),
        FrameError::OutOfOrder { got: 3, expected }
    );
    let long = |what, got, max| FrameError::TooLong { what, got, max };
    assert_eq!(
        header(|it| it[8..12].copy_from_slice(&u32::MAX.to_le_bytes())),
        long("fields", u32::MAX, BODY_MAX)
    );
    let data = u32::try_from(DATA_MAX + 1).unwrap();
    assert_eq!(
        header(|it| it[12..16].copy_from_slice(&data.to_le_bytes())),
        long("data", data, DATA_MAX)
    );
    // The first byte is enough.
    let mut decoder = Decoder::default();
    decoder.feed(b"G");
    assert_eq!(decoder.next_frame(), Err(FrameError::NotAFrame));
}

/// A header that says so, and nothing behind it.
fn header_of(body: usize, data: usize) -> Vec<u8> {
    let (body, data) = (vec![0; body], vec![0; data]);
    let mut head = Encoder::default().encode(Kind(1), &body, &data).unwrap();
    head.truncate(HEADER_BYTES);
    head
}

#[test]
fn who_is_not_known_yet_has_no_room_kept_for_more_than_an_introduction() {
    let long = |what, got, max| FrameError::TooLong { what, got, max };
    let more = INTRODUCTION_MAX + 1;
    let cases = [
        (more, 0, long("fields", 16_385, INTRODUCTION_MAX)),
        (
            BODY_MAX,
            DATA_MAX,
            long("fields", 524_288, INTRODUCTION_MAX),
        ),
        (0, 1, long("data", 1, 0)),
        (0, DATA_MAX, long("data", 1_048_576, 0)),
    ];
    for (body, data, refused) in cases {
        let mut decoder = Decoder::of_introduction();
        decoder.space().extend(header_of(body, data));
        assert_eq!(decoder.next_frame(), Err(refused));
        assert!(decoder.space().capacity() <= 64 << 10);
        // Once both ends know each other it is a message as any other.
        let mut decoder = Decoder::of_introduction();
        decoder.accept_messages();
        decoder.space().extend(header_of(body, data));
        assert_eq!(decoder.next_frame(), Ok(None));
        assert!(decoder.space().capacity() >= body + data);
    }
    let mut decoder = Decoder::of_introduction();
    decoder.space().extend(header_of(INTRODUCTION_MAX, 0));
    assert_eq!(decoder.next_frame(), Ok(None));
    assert!(decoder.space().capacity() <= 64 << 10);
}

#[test]
fn there_is_space_for_all_of_a_frame_and_not_for_each_of_many() {
    let whole = stream(&[Message::Copy {
        sequence: 1,
        offset: 0,
        data: Data::Bytes(Bytes::from(vec![1; DATA_MAX])),
    }]);
    let mut decoder = Decoder::default();
    decoder.space().extend_from_slice(&whole[..HEADER_BYTES]);
    assert_eq!(decoder.next_frame(), Ok(None));
    let before = decoder.space().as_ptr();
    for piece in whole[HEADER_BYTES..].chunks(16 << 10) {
        decoder.space().extend_from_slice(piece);
    }
    assert_eq!(decoder.space().as_ptr(), before, "it was moved");
    assert!(decoder.next_frame().unwrap().is_some());

    let small = stream(&(0..1_000).map(|_| Message::Deny).collect::<Vec<_>>());
    let mut kept = Vec::new();
    let mut decoder = Decoder::default();
    let mut places = std::collections::BTreeSet::new();
    for piece in small.chunks(HEADER_BYTES) {
        let space = decoder.space();
        places.insert(space.as_ptr() as usize + space.capacity());
        space.extend_from_slice(piece);
        kept.extend(decoder.next_frame().unwrap());
    }
    assert_eq!(kept.len(), 1_000);
    assert!(places.len() <= 2, "{} of them", places.len());
}

#[test]
fn what_is_too_long_is_not_sent() {
    let data = vec![0; DATA_MAX + 1];
    let refused = Encoder::default().encode(Kind(0x20), &[], &data);
    assert!(matches!(refused, Err(FrameError::TooLong { .. })));
}

#[test]
fn a_list_that_says_it_is_longer_than_it_is_allocates_nothing() {
    let body = u32::MAX.to_le_bytes().to_vec();
    let frame = |kind| Frame {
        kind: Kind(kind),
        body: body.clone().into(),
        data: Bytes::new(),
    };
    assert!(matches!(decode(frame(0x24)), Err(FieldError::Value { .. })));
    assert!(matches!(decode(frame(0x30)), Err(FieldError::Value { .. })));
    assert_eq!(decode(frame(0x3F)), Err(FieldError::Kind(0x3F)));
}

// --- The introduction.

fn ours(node: u128) -> Ours {
    Ours {
        versions: (1, 3),
        node: NodeId(node),
        mirror: MirrorId(77),
        size: 1 << 30,
        block_bytes: 512,
        region_bytes: 1 << 20,
        nonce: 1000 + node,
        is_source: node == 1,
        chain: Vec::new(),
    }
}

fn frame((kind, body): (Kind, Vec<u8>)) -> Frame {
    Frame {
        kind,
        body: body.into(),
        data: Bytes::new(),
    }
}

/// What the second says to the first one's hello.
fn meets(first: Ours, second: Ours) -> Result<Step, Refusal> {
    let (_, kind, hello) = Introduction::new(first, None);
    let (mut second, ..) = Introduction::new(second, Some(NodeId(1)));
    second.receive(&frame((kind, hello)))
}

#[test]
fn two_ends_introduce_themselves() {
    let (mut a, kind_a, hello_a) = Introduction::new(ours(1), Some(NodeId(2)));
    let versions = (2, 5);
    let (mut b, kind_b, hello_b) = Introduction::new(
        Ours {
            versions,
            ..ours(2)
        },
        None,
    );
    let Step::Send(kind, proof) = b.receive(&frame((kind_a, hello_a))).unwrap() else {
        panic!("a proof is due");
    };
    assert!(matches!(
        a.receive(&frame((kind_b, hello_b))),
        Ok(Step::Send(..))
    ));
    let done = a.receive(&frame((kind, proof)));
    let introduced = Introduced {
        peer: NodeId(2),
        version: 3,
        is_source: false,
    };
    assert_eq!(done, Ok(Step::Done(introduced)));
}

fn refusal(change: impl FnOnce(&mut Ours, &mut Ours)) -> Refusal {
    let (mut first, mut second) = (ours(1), ours(2));
    change(&mut first, &mut second);
    meets(first, second).unwrap_err()
}

#[test]
fn volumes_that_do_not_fit_are_refused_by_name() {
    let version = refusal(|it, _| it.versions = (7, 8));
    assert!(matches!(version, Refusal::Version { theirs: (7, 8), .. }));
    let mirror = refusal(|it, _| it.mirror = MirrorId(5));
    assert!(matches!(mirror, Refusal::OtherMirror { .. }));
    let size = refusal(|it, _| it.size = 5);
    assert!(matches!(size, Refusal::OtherSize { theirs: 5, .. }));
    let text = size.to_string();
    assert!(
        text.contains(&NodeId(1).to_string()) && text.contains("5 bytes"),
        "{text}"
    );
    let blocks = refusal(|it, _| it.block_bytes = 4096);
    assert!(matches!(
        blocks,
        Refusal::OtherBlocks { what: "blocks", .. }
    ));
    let regions = refusal(|it, _| it.region_bytes = 4096);
    assert!(matches!(
        regions,
        Refusal::OtherBlocks {
            what: "regions",
            ..
        }
    ));
}

#[test]
fn ends_that_should_not_meet_are_refused_by_name() {
    let peer = NodeId(1);
    assert_eq!(refusal(|_, it| it.node = peer), Refusal::Itself { peer });
    let other = refusal(|it, _| it.node = NodeId(3));
    let expected = peer;
    assert_eq!(
        other,
        Refusal::OtherNode {
            peer: NodeId(3),
            expected
        }
    );
    let chain = vec![NodeId(9), NodeId(2)];
    assert_eq!(refusal(|it, _| it.chain = chain), Refusal::Loop { peer });
    let second = refusal(|_, it| it.chain = vec![NodeId(9)]);
    let source_node = NodeId(9);
    assert_eq!(second, Refusal::SecondSource { peer, source_node });
}

#[test]
fn a_recording_is_noticed() {
    let (mut a, ..) = Introduction::new(ours(1), None);
    let (mut b, kind, hello) = Introduction::new(ours(2), None);
    a.receive(&frame((kind, hello))).unwrap();
    // What b said on an earlier connection, when a had drawn another nonce.
    let earlier = Ours {
        nonce: 5,
        ..ours(1)
    };
    let (_, kind, hello) = Introduction::new(earlier, None);
    let Step::Send(kind, proof) = b.receive(&frame((kind, hello))).unwrap() else {
        panic!("a proof is due");
    };
    let refused = a.receive(&frame((kind, proof)));
    assert_eq!(refused, Err(Refusal::Replayed { peer: NodeId(2) }));
}

#[test]
fn who_is_called_on_knows_which_mirror_is_meant() {
    let (_, kind, body) = Introduction::new(ours(1), None);
    let hello = frame((kind, body.clone()));
    assert_eq!(introduces(&hello), Some(ours(1).mirror));
    let short = frame((kind, body[..body.len() - 20].to_vec()));
    assert_eq!(introduces(&short), None);
    assert_eq!(introduces(&frame((Kind(2), body))), None);
}

#[test]
fn nothing_else_is_said_during_the_introduction() {
    let (mut a, ..) = Introduction::new(ours(1), None);
    let early = a.receive(&frame((Kind(0x20), Vec::new())));
    assert_eq!(early, Err(Refusal::Unexpected(0x20)));
    let proof = a.receive(&frame((Kind(0x02), vec![0; 16])));
    assert_eq!(proof, Err(Refusal::Unexpected(0x02)));
}

#[test]
fn a_reason_is_told_and_can_do_no_harm() {
    let reason = format!("\u{1b}[31mno\n{}", "ä".repeat(2_000));
    let closing = frame(Introduction::close(&reason));
    let told = close_reason(&closing).unwrap();
    assert!(told.starts_with("[31mno") && told.len() <= 1024);
    let (mut a, ..) = Introduction::new(ours(1), None);
    assert_eq!(a.receive(&closing), Err(Refusal::Refused(told)));
}

#[test]
fn more_zeros_than_there_may_be_are_refused() {
    let zeros = |count: u64| {
        let message = Message::Copy {
            sequence: 1,
            offset: 0,
            data: Data::Zeros(count),
        };
        let (kind, body, data) = encode(&message);
        let body = body.into();
        decode(Frame { kind, body, data })
    };
    assert!(zeros(ZEROS_MAX).is_ok());
    for count in [0, ZEROS_MAX + 1, u64::MAX] {
        let refused = zeros(count);
        assert!(
            matches!(refused, Err(FieldError::Value { kind: 0x27, .. })),
            "{refused:?}"
        );
    }
}
