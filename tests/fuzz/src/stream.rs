//! Any bytes as the stream of a snapshot: the same however they are cut, refused with a short message, or
//! read into something that is written again the same.

use tidelock_volume::stream::{Decoder, Encoder, Event, HEADER_BYTES, StreamError};

/// The first byte says whether checksums are made right, which no fuzzer would find, and how the rest is
/// cut.
pub fn check(input: &[u8]) {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    let mut bytes = rest.to_vec();
    if mode & 1 == 1 {
        seal(&mut bytes);
    }
    let whole = taken_apart(&bytes, usize::MAX);
    let cut = taken_apart(&bytes, usize::from(mode >> 1) + 1);
    assert_eq!(whole, cut, "it depends on how it is cut");
    let (events, error) = whole;
    if let Some(error) = error {
        assert!(error.to_string().len() < 1_000, "an endless error message");
        return;
    }
    if events.last() != Some(&Event::End) {
        return;
    }
    let mut encoder = None;
    let mut again = Vec::new();
    for event in &events {
        match (event, &mut encoder) {
            (Event::Begin(header), _) => {
                let new = Encoder::new(header);
                again.extend_from_slice(new.header());
                encoder = Some(new);
            }
            (Event::Data { offset, data }, Some(encoder)) => {
                again.extend(encoder.data(*offset, data).expect("a record that was read"));
                again.extend_from_slice(data);
            }
            (Event::Zeros { offset, length }, Some(encoder)) => {
                again.extend(
                    encoder
                        .zeros(*offset, *length)
                        .expect("a record that was read"),
                );
            }
            (Event::End, _) => {
                again.extend(encoder.take().expect("a stream that began").end());
            }
            (_, None) => panic!("something before the beginning"),
        }
    }
    assert_eq!(again, bytes);
}

fn taken_apart(bytes: &[u8], piece: usize) -> (Vec<Event>, Option<StreamError>) {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    for piece in bytes.chunks(piece.min(bytes.len().max(1))) {
        decoder.feed(piece);
        loop {
            match decoder.next() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                // What is behind the place that is wrong may not have come yet.
                Err(error) => return (events, Some(error)),
            }
        }
    }
    (events, None)
}

/// Makes the checksums right of a header and of the records that follow it without data.
fn seal(bytes: &mut [u8]) {
    let Some((header, records)) = bytes.split_at_mut_checked(HEADER_BYTES) else {
        return;
    };
    header[..8].copy_from_slice(b"TIDELKST");
    header[8..16].copy_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
    let mut chain = crc32c::crc32c(header);
    header[12..16].copy_from_slice(&chain.to_le_bytes());
    for record in records.chunks_exact_mut(32) {
        chain = crc32c::crc32c_append(chain, &record[..28]);
        record[28..].copy_from_slice(&chain.to_le_bytes());
    }
}
