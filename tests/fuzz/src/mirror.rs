//! Any bytes from a mirror's peer: refused, or frames and messages that are written and read again the same,
//! however the bytes are cut. What an engine is told, in whatever order, is taken or ends the connection.

use tidelock_mirror::association::{Config, Durable, Engine, Event, OnFailure, Outcome};
use tidelock_mirror::generation::{Keeper, Record};
use tidelock_mirror::id::{GenerationId, Incarnation, MirrorId, NodeId};
use tidelock_mirror::link::{
    DATA_MAX, Decoder, Encoder, Frame, Introduction, Kind, Message, Ours, decode, encode,
};
use tidelock_mirror::region::Regions;

/// The first byte says how the rest is cut and what it is: frames as they are, or lists of a kind, a length and
/// that many bytes, which get right headers and checksums, which no fuzzer would find. The highest bit of a kind there says
/// that the data are compressed.
pub fn check(input: &[u8]) {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    let bytes = if mode & 1 == 0 {
        rest.to_vec()
    } else {
        framed(rest)
    };
    let whole = frames(&bytes, bytes.len().max(1));
    let cut = frames(&bytes, usize::from(mode >> 2) + 1);
    assert_eq!(whole, cut, "it depends on how the bytes are cut");
    introduced(&whole);
    let messages: Vec<Message> = whole.into_iter().map_while(|it| decode(it).ok()).collect();
    for message in &messages {
        let (kind, body, data) = encode(message);
        let body = body.into();
        let again = decode(Frame { kind, body, data });
        assert_eq!(again.as_ref(), Ok(message));
    }
    engine(messages, mode & 2 == 0);
}

fn framed(mut list: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    let mut bytes = Vec::new();
    while let [kind, body, data, rest @ ..] = list {
        let (body, data) = (usize::from(*body), usize::from(*data));
        if rest.len() < body + data {
            break;
        }
        let (body, rest) = rest.split_at(body);
        let (data, rest) = rest.split_at(data);
        let head = match *kind {
            kind @ 0x80.. => encoder.encode_compressed(Kind(kind & 0x7f), body, data),
            kind => encoder.encode(Kind(kind), body, data),
        };
        bytes.extend(head.expect("short"));
        bytes.extend(data);
        list = rest;
    }
    bytes
}

fn frames(bytes: &[u8], piece: usize) -> Vec<Frame> {
    let mut decoder = Decoder::default();
    decoder.accept_compressed();
    let mut frames = Vec::new();
    for piece in bytes.chunks(piece) {
        decoder.feed(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => {
                    assert!(frame.data.len() <= DATA_MAX);
                    frames.push(frame);
                }
                Ok(None) => break,
                Err(error) => {
                    assert!(error.to_string().len() < 200);
                    assert_eq!(decoder.next_frame(), Err(error));
                    return frames;
                }
            }
        }
    }
    frames
}

fn introduced(frames: &[Frame]) {
    let ours = Ours {
        versions: (1, 1),
        node: NodeId(1),
        mirror: MirrorId(1),
        size: 1 << 20,
        block_bytes: 512,
        region_bytes: 4096,
        nonce: 1,
        is_source: false,
        chain: vec![NodeId(7)],
    };
    let (mut introduction, ..) = Introduction::new(ours, None);
    for frame in frames {
        if let Err(refusal) = introduction.receive(frame) {
            assert!(refusal.to_string().len() < 2_048);
            return;
        }
    }
}

/// Nothing that a peer says makes an engine panic, or write outside of its volume.
fn engine(messages: Vec<Message>, source: bool) {
    let (me, peer) = (NodeId(1), NodeId(2));
    let size = 1 << 20;
    let record = if source {
        Keeper::created(me, GenerationId(1))
    } else {
        Record::empty()
    };
    let config = Config {
        me,
        regions: Regions::new(size, 4096),
        on_failure: OnFailure::Continue,
        alone_after_restart: true,
        asks_before_alone: false,
        keeps_snapshots: true,
        window: DATA_MAX as u64,
        hot_max: 16,
        hot_kept: 4,
        copies_max: 4,
    };
    let mut engine = Engine::new(config, Durable::new(record), Incarnation(1), 1 << 64);
    engine.handle(Event::Connected(peer));
    run(&mut engine, size);
    for message in messages {
        engine.handle(Event::Received(peer, message));
        run(&mut engine, size);
    }
}

fn run(engine: &mut Engine, size: u64) {
    use tidelock_mirror::association::Action;
    while let Some(action) = engine.next_action() {
        let (operation, outcome) = match action {
            Action::Journal(_) => {
                engine.handle(Event::Journaled);
                continue;
            }
            Action::Write {
                operation,
                offset,
                data,
                ..
            } => {
                assert!(offset + data.len() <= size);
                (operation, Outcome::Done)
            }
            Action::Read(operation, range) => {
                let length = usize::try_from(range.length).expect("a region");
                (operation, Outcome::Read(vec![0; length].into()))
            }
            Action::Flush { operation, .. }
            | Action::TakeSnapshot { operation, .. }
            | Action::RollBack(operation) => (operation, Outcome::Done),
            _ => continue,
        };
        engine.handle(Event::Done { operation, outcome });
    }
}
