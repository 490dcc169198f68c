//! Streams cut anywhere decode the same; lengths are checked from the header.

use proptest::prelude::*;

use super::*;
use crate::transmit::TxQueue;

const LIMITS: FramingLimits = FramingLimits {
    max_data_segment: 65_536,
    max_ahs: 272,
};

fn bhs(opcode: u8, ahs: usize, data: usize) -> Bhs {
    let mut bhs = [0; BHS_LEN];
    bhs[0] = opcode;
    bhs[4] = u8::try_from(ahs / 4).unwrap();
    bhs[5..8].copy_from_slice(&u32::try_from(data).unwrap().to_be_bytes()[1..]);
    bhs
}

/// A PDU as it stands on the wire.
fn wire(bhs: &Bhs, ahs: &[u8], data: &[u8], header: bool, digest: bool) -> Vec<u8> {
    let mut all = bhs.to_vec();
    all.extend(ahs);
    if header {
        all.extend(header_digest(bhs, ahs));
    }
    all.extend(data);
    all.resize(all.len() + padding(data.len()), 0);
    if digest && !data.is_empty() {
        all.extend(crate::digest::data_digest([&Bytes::copy_from_slice(data)]));
    }
    all
}

fn decoder(header: bool, data: bool) -> Decoder {
    let mut decoder = Decoder::new(LIMITS);
    decoder.set_digests(header, data);
    decoder
}

fn drain(decoder: &mut Decoder, bytes: &[u8]) -> Result<Vec<RawPdu>, FramingError> {
    let mut rx = BytesMut::from(bytes);
    let mut pdus = Vec::new();
    while let Some(pdu) = decoder.decode(&mut rx)? {
        pdus.push(pdu);
    }
    assert!(rx.is_empty(), "None means that everything was taken");
    Ok(pdus)
}

#[test]
fn a_whole_data_segment_is_sliced_off_without_a_copy() {
    let stream = wire(&bhs(1, 0, 5_000), &[], &[9; 5_000], false, false);
    let mut rx = BytesMut::from(&stream[..]);
    let start = rx.as_ptr() as usize;
    let pdu = decoder(false, false).decode(&mut rx).unwrap().unwrap();
    let piece = pdu.data.pieces().next().unwrap();
    assert_eq!(piece.as_ptr() as usize, start + BHS_LEN);
    assert_eq!(pdu.data.len(), 5_000);
}

#[test]
fn large_pieces_of_an_incomplete_segment_are_sliced_and_small_ones_copied() {
    let stream = wire(&bhs(5, 0, 40_000), &[], &[9; 40_000], false, false);
    let mut decoder = decoder(false, false);
    let (first, rest) = stream.split_at(48 + 20_000);
    let (second, third) = rest.split_at(100);
    let mut chunks = [first, second, third].map(BytesMut::from);
    let at = chunks.each_ref().map(|chunk| chunk.as_ptr() as usize);
    assert!(decoder.decode(&mut chunks[0]).unwrap().is_none());
    assert!(decoder.decode(&mut chunks[1]).unwrap().is_none());
    let pdu = decoder.decode(&mut chunks[2]).unwrap().unwrap();
    let pieces: Vec<_> = pdu.data.pieces().collect();
    assert_eq!(
        pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>(),
        [20_000, 100, 19_900]
    );
    assert_eq!(pieces[0].as_ptr() as usize, at[0] + 48);
    assert_ne!(pieces[1].as_ptr() as usize, at[1]);
    assert_eq!(pieces[2].as_ptr() as usize, at[2]);
}

#[test]
fn a_trickling_peer_pins_no_receive_chunk() {
    let stream = wire(&bhs(5, 0, 3_000), &[], &[9; 3_000], false, false);
    let mut decoder = decoder(false, false);
    for byte in &stream[..stream.len() - 1] {
        let mut chunk = BytesMut::with_capacity(64 * 1_024);
        chunk.extend_from_slice(&[*byte]);
        let whole = chunk.split();
        let mut rx = whole;
        assert!(decoder.decode(&mut rx).unwrap().is_none());
        drop(rx);
        assert!(chunk.try_reclaim(64 * 1_024), "nothing refers to the chunk");
    }
    let last = drain(&mut decoder, &stream[stream.len() - 1..]).unwrap();
    assert_eq!(last[0].data.to_contiguous(), vec![9; 3_000]);
    assert_eq!(last[0].data.pieces().count(), 1);
}

#[test]
fn too_long_a_data_segment_is_refused_from_the_header_alone() {
    let limit = LIMITS.max_data_segment;
    let fits = bhs(1, 0, limit as usize);
    assert!(drain(&mut decoder(false, false), &fits).unwrap().is_empty());
    let header = bhs(1, 0, limit as usize + 1);
    let error = FramingError::DataSegmentTooLong {
        bhs: header,
        length: limit + 1,
        limit,
    };
    for split in [1, 20, 47, 48] {
        let mut decoder = decoder(false, false);
        let first = drain(&mut decoder, &header[..split]);
        let second = if split < 48 {
            drain(&mut decoder, &header[split..])
        } else {
            first
        };
        assert_eq!(second.unwrap_err(), error);
        assert!(
            drain(&mut decoder, &[0; 200]).unwrap().is_empty(),
            "the rest is discarded"
        );
    }
}

#[test]
fn additional_headers_beyond_the_limit_are_refused() {
    let header = bhs(1, 276, 0);
    let error = FramingError::AhsTooLong {
        bhs: header,
        length: 276,
        limit: 272,
    };
    assert_eq!(
        drain(&mut decoder(false, false), &header).unwrap_err(),
        error
    );
}

#[test]
fn a_wrong_header_digest_ends_the_stream() {
    let mut stream = wire(&bhs(0, 0, 0), &[], &[], true, true);
    stream[20] ^= 1;
    let mut decoder = decoder(true, true);
    assert_eq!(
        drain(&mut decoder, &stream).unwrap_err(),
        FramingError::HeaderDigest
    );
    assert!(
        drain(&mut decoder, &wire(&bhs(0, 0, 0), &[], &[], true, true))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_wrong_data_digest_costs_one_pdu_only() {
    let header = bhs(5, 0, 10);
    let good = wire(&header, &[], &[7; 10], true, true);
    for flip in [52, 61, 62, 67] {
        let mut bad = good.clone();
        bad[flip] ^= 0x10;
        for cut in [0, 30, 55, 66] {
            let mut decoder = decoder(true, true);
            let mut rx = BytesMut::from(&bad[..cut]);
            assert!(decoder.decode(&mut rx).unwrap().is_none());
            let mut rx = BytesMut::from(&bad[cut..]);
            rx.extend_from_slice(&good);
            let error = decoder.decode(&mut rx).unwrap_err();
            assert_eq!(error, FramingError::DataDigest { bhs: header });
            let next = decoder.decode(&mut rx).unwrap().unwrap();
            assert_eq!(next.data.to_contiguous(), vec![7; 10]);
        }
    }
}

#[test]
fn what_the_queue_sends_the_decoder_takes() {
    for (header, data) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut tx = TxQueue::new();
        tx.set_digests(header, data);
        tx.push(bhs(0x25, 0, 3_001), Bytes::from(vec![4; 3_001]));
        tx.push(bhs(0x21, 0, 0), Bytes::new());
        let mut slices = [std::io::IoSlice::new(&[]); 16];
        let count = tx.io_slices(&mut slices);
        let stream: Vec<u8> = slices[..count]
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect();
        let pdus = drain(&mut decoder(header, data), &stream).unwrap();
        assert_eq!(
            pdus.iter().map(|pdu| pdu.data.len()).collect::<Vec<_>>(),
            [3_001, 0]
        );
    }
}

prop_compose! {
    fn pdus()(list in prop::collection::vec(
        (any::<u8>(), 0_usize..20, prop_oneof![Just(0_usize), 1_usize..300, 16_000_usize..40_000]),
        1..6,
    )) -> Vec<(Bhs, Vec<u8>, Vec<u8>)> {
        list.into_iter()
            .map(|(opcode, ahs, data)| {
                let fill = |length: usize| (opcode..=255).cycle().take(length).collect();
                (bhs(opcode, ahs * 4, data), fill(ahs * 4), fill(data))
            })
            .collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn where_the_stream_is_cut_makes_no_difference(
        pdus in pdus(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        header: bool,
        data: bool,
    ) {
        let stream: Vec<u8> =
            pdus.iter().flat_map(|(bhs, ahs, body)| wire(bhs, ahs, body, header, data)).collect();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.push(stream.len());
        cuts.sort_unstable();
        let mut decoder = decoder(header, data);
        let mut decoded = Vec::new();
        let mut from = 0;
        for cut in cuts {
            decoded.extend(drain(&mut decoder, &stream[from..cut]).unwrap());
            from = cut;
        }
        prop_assert_eq!(decoded.len(), pdus.len());
        for (pdu, (bhs, ahs, body)) in decoded.iter().zip(&pdus) {
            prop_assert_eq!(&pdu.bhs, bhs);
            prop_assert_eq!(&pdu.ahs[..], &ahs[..]);
            prop_assert_eq!(&pdu.data.to_contiguous()[..], &body[..]);
        }
    }

    #[test]
    fn garbage_never_panics_and_never_yields_more_than_the_limits(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 0..12),
        header: bool,
        data: bool,
    ) {
        let mut decoder = decoder(header, data);
        for chunk in chunks {
            if let Ok(pdus) = drain(&mut decoder, &chunk) {
                for pdu in pdus {
                    prop_assert!(pdu.ahs.len() <= 272 && pdu.data.len() <= 65_536);
                }
            }
        }
    }
}
