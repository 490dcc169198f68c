//! Streams: there and back, in pieces of any size, and damaged in every way.

use proptest::prelude::*;

use super::*;

const SIZE: u64 = 1 << 20;

fn header() -> Header {
    Header {
        to: [1; 16],
        since: Some([2; 16]),
        size: SIZE - 512,
        from: 4096,
        at_unix_ms: 1_790_000_000_000,
        block_bytes: 512,
        quiesced: true,
        name: "monday".into(),
    }
}

/// Ranges in order, with whether they are data.
fn any_records() -> impl Strategy<Value = Vec<(u64, u64, bool)>> {
    prop::collection::vec((0_u64..20, 1_u64..20, any::<bool>()), 0..12).prop_map(|steps| {
        let mut at = 4096;
        let mut records = Vec::new();
        for (gap, count, is_data) in steps {
            let offset = at + gap * 4096;
            let length = (count * 4096).min(header().size.saturating_sub(offset));
            if length == 0 {
                break;
            }
            records.push((offset, length, is_data));
            at = offset + length;
            if !at.is_multiple_of(4096) {
                break;
            }
        }
        records
    })
}

fn content(offset: u64, length: u64) -> Vec<u8> {
    let bytes = (offset..).map(|at| at.wrapping_mul(31).to_le_bytes()[0]);
    bytes.take(usize::try_from(length).unwrap()).collect()
}

fn stream(records: &[(u64, u64, bool)]) -> (Vec<u8>, Vec<Event>) {
    let mut encoder = Encoder::new(&header());
    let mut bytes = encoder.header().to_vec();
    let mut events = vec![Event::Begin(header())];
    for (offset, length, is_data) in records.iter().copied() {
        if is_data {
            let data = content(offset, length);
            bytes.extend(encoder.data(offset, &data).unwrap());
            bytes.extend(&data);
            let data = data.into();
            events.push(Event::Data { offset, data });
        } else {
            bytes.extend(encoder.zeros(offset, length).unwrap());
            events.push(Event::Zeros { offset, length });
        }
    }
    bytes.extend(encoder.end());
    events.push(Event::End);
    (bytes, events)
}

/// Everything that is in a stream that comes in such pieces.
fn taken_apart(bytes: &[u8], piece: usize) -> Result<Vec<Event>, StreamError> {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    for piece in bytes.chunks(piece) {
        decoder.feed(piece);
        while let Some(event) = decoder.next()? {
            events.push(event);
        }
    }
    assert_eq!(decoder.is_complete(), events.last() == Some(&Event::End));
    Ok(events)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_stream_comes_back_in_pieces_of_any_size(records in any_records(), piece in 1_usize..9000) {
        let (bytes, events) = stream(&records);
        prop_assert_eq!(taken_apart(&bytes, piece), Ok(events));
    }

    #[test]
    fn no_flipped_bit_goes_through(
        records in any_records(),
        flips in prop::collection::vec(any::<prop::sample::Index>(), 30),
    ) {
        let (bytes, events) = stream(&records);
        for flip in flips {
            let mut bytes = bytes.clone();
            let bit = flip.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            // Cut short where a length has got larger, else refused.
            match taken_apart(&bytes, 1 << 20) {
                Ok(found) => prop_assert!(found.last() != events.last()),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }

    #[test]
    fn a_stream_that_is_cut_is_not_complete(records in any_records(), at in any::<prop::sample::Index>()) {
        let (bytes, events) = stream(&records);
        let cut = at.index(bytes.len());
        let found = taken_apart(&bytes[..cut], 4096).unwrap();
        prop_assert!(found.len() < events.len());
        prop_assert_eq!(&found[..], &events[..found.len()]);
    }

    #[test]
    fn rubbish_is_refused(bytes in prop::collection::vec(any::<u8>(), 64..300)) {
        prop_assert!(taken_apart(&bytes, 50).is_err());
    }
}

#[test]
fn a_record_that_is_missing_or_twice_is_noticed() {
    let records = [
        (4096, 4096, false),
        (8192, 8192, false),
        (65_536, 4096, false),
    ];
    let (bytes, _) = stream(&records);
    let record = |index: usize| HEADER_BYTES + index * RECORD_BYTES;
    let mut missing = bytes.clone();
    missing.drain(record(1)..record(2));
    let mut twice = bytes.clone();
    let again = bytes[record(1)..record(2)].to_vec();
    twice.splice(record(2)..record(2), again);
    for bytes in [missing, twice] {
        let error = taken_apart(&bytes, 7).unwrap_err();
        assert!(matches!(error, StreamError::Damaged { .. }), "{error}");
    }
}

#[test]
fn what_is_out_of_order_is_not_written() {
    let mut encoder = Encoder::new(&header());
    encoder.zeros(8192, 4096).unwrap();
    for (offset, length) in [
        (4096, 4096),
        (8192, 4096),
        (12_289, 4096),
        (16_384, 100),
        (0, 0),
    ] {
        assert!(encoder.zeros(offset, length).is_err(), "{offset} {length}");
    }
    assert!(encoder.data(SIZE - 4096, &[0; 4096]).is_err());
    assert!(encoder.data(16_384, &vec![0; DATA_MAX + 4096]).is_err());
    // The last block may be a part.
    encoder.data(SIZE - 4096, &[0; 3584]).unwrap();
}

#[test]
fn each_flipped_bit_and_each_cut_of_a_small_stream_is_noticed() {
    let (whole, events) = stream(&[(4096, 8192, true), (16_384, 4096, false)]);
    for at in 0..whole.len() {
        let found = taken_apart(&whole[..at], 1 << 20).unwrap();
        assert!(found.len() < events.len(), "cut at {at}");
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            assert!(taken_apart(&bytes, 1 << 20).is_err(), "bit {bit} of {at}");
        }
    }
}

/// The header with its checksum made right again.
fn sealed(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = Encoder::new(&header()).header().to_vec();
    change(&mut bytes);
    bytes[12..16].fill(0);
    let crc = crc32c::crc32c(&bytes).to_le_bytes();
    bytes[12..16].copy_from_slice(&crc);
    bytes
}

#[test]
fn a_header_that_makes_no_sense_is_refused_whatever_its_checksum() {
    assert!(taken_apart(&sealed(|_| {}), 1 << 20).is_ok());
    let changes: [(usize, &[u8]); 9] = [
        (48, &[0; 8]),
        (48, &[0xff; 8]),
        (56, &[0xff; 8]),
        (56, &[1]),
        (72, &[0; 4]),
        (76, &[2]),
        (80, &[0]),
        (80, &[0xff]),
        (159, &[1]),
    ];
    for (at, field) in changes {
        let bytes = sealed(|bytes| bytes[at..at + field.len()].copy_from_slice(field));
        let error = taken_apart(&bytes, 1 << 20).unwrap_err();
        assert!(error.to_string().contains("header"), "{at}: {error}");
    }
}

#[test]
fn another_version_is_named() {
    let (mut bytes, _) = stream(&[]);
    bytes[8] = 9;
    assert_eq!(taken_apart(&bytes, 10), Err(StreamError::Version(9)));
}
