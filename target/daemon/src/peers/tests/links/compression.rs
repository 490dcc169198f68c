//! Links whose data are compressed, of which one side may be of an older version, or lie.

use tidelock_mirror::link::Compressor;

use super::*;

fn text() -> Data {
    Data::Bytes(b"all the same again ".repeat(5_000).into())
}

fn noise() -> Data {
    let mut bytes = vec![0; 90_000];
    getrandom::fill(&mut bytes).unwrap();
    Data::Bytes(bytes.into())
}

fn write(sequence: u64, data: Data) -> Message {
    Message::Copy {
        sequence,
        offset: 0,
        data,
    }
}

#[tokio::test]
async fn data_arrive_as_they_were_and_take_fewer_bytes_if_they_can() {
    let ((_a, one), (_b, other), _wire) = wired().await;
    let link = one.link.lock().clone().unwrap();
    let zeros = Data::Zeros(1 << 20);
    let short = Data::Bytes(Bytes::from_static(b"short"));
    let sent = [text(), noise(), zeros, short, text()];
    let sent: Vec<_> = (0..).zip(sent).map(|(at, it)| write(at, it)).collect();
    for wanted in [false, true, false] {
        link.compress(wanted);
        let (before, done) = (other.messages().len(), link.compressed().unwrap());
        for message in &sent {
            one.send(message.clone());
        }
        until("all is there", || {
            other.messages().len() == before + sent.len()
        })
        .await;
        assert_eq!(other.messages()[before..], sent);
        let now = link.compressed().unwrap();
        if !wanted {
            assert_eq!(now, done);
            continue;
        }
        assert_eq!(now.bytes, 2 * 95_000 + 90_000 + 5);
        // What can't be smaller is sent as it is, and the rest is next to nothing.
        assert!((90_005..92_000).contains(&now.sent_bytes), "{now:?}");
    }
}

#[tokio::test]
async fn an_older_daemon_gets_data_as_they_are_and_may_send_none_that_are_compressed() {
    let ((a, one), (b, other)) = mirrored().await;
    let (mut stream, mut decoder) = by_hand_of((1, 1), &a, &b, one.hello()).await;
    until("it is there", || other.connections() == 1).await;
    let link = other.link.lock().clone().unwrap();
    assert_eq!(link.compressed(), None);
    link.compress(true);
    link.send(write(0, text()));
    let mut buffer = vec![0; 4096];
    let frame = loop {
        match decoder.next_frame().unwrap() {
            Some(frame) if frame.kind == tidelock_mirror::link::ALIVE => {}
            Some(frame) => break frame,
            None => {
                let read = stream.read(&mut buffer).await.unwrap();
                assert_ne!(read, 0);
                decoder.feed(&buffer[..read]);
            }
        }
    };
    assert_eq!(Data::Bytes(frame.data), text());
    stream.write_all(&third(b"x")).await.unwrap();
    until("it is thrown out", || {
        other.reasons().contains("flags 0x0001")
    })
    .await;
}

#[tokio::test]
async fn data_that_become_others_than_they_say_end_the_link_and_are_not_seen() {
    let ((a, one), (b, other)) = mirrored().await;
    let Data::Bytes(plain) = text() else {
        panic!("they are bytes");
    };
    let right = Compressor::new().unwrap().compress(&plain).unwrap();
    let lies = |length: u32| {
        let mut bytes = right.to_vec();
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        bytes
    };
    let length = u32::try_from(plain.len()).unwrap();
    let cases = [
        (lies(length + 1), "fewer than they say"),
        (lies(length - 1), "more than they say"),
        (lies(u32::MAX), "more than a message may carry"),
        (b"neither".to_vec(), "shorter than"),
    ];
    for (data, says) in cases {
        let (mut stream, _) = by_hand_of((1, 2), &a, &b, one.hello()).await;
        stream.write_all(&third(&data)).await.unwrap();
        until("it is thrown out", || other.reasons().contains(says)).await;
    }
    assert!(other.messages().is_empty());
    let (mut stream, _) = by_hand_of((1, 2), &a, &b, one.hello()).await;
    stream.write_all(&third(&right)).await.unwrap();
    until("it is there", || other.messages() == [write(0, text())]).await;
}

/// A copy, as the frame that follows an introduction, with data that are said to be compressed.
fn third(data: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    for _ in 0..2 {
        encoder.encode(Kind(0), &[], &[]).unwrap();
    }
    let mut bytes = encoder.encode_compressed(Kind(0x25), &[0; 16], data);
    bytes.as_mut().unwrap().extend(data);
    bytes.unwrap()
}
