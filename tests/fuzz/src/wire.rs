//! The byte stream between the two ends: what a queue holds, and what a decoder makes of it.

use std::io::IoSlice;

use bytes::BytesMut;
use tidelock_iscsi::framing::{Decoder, FramingError};
use tidelock_iscsi::pdu::RawPdu;
use tidelock_iscsi::transmit::TxQueue;

/// Takes everything out of the queue as a socket would, at most `step` bytes at a time.
pub(crate) fn drain(queue: &mut TxQueue, step: usize) -> Vec<u8> {
    let mut all = Vec::with_capacity(queue.len_bytes());
    while !queue.is_empty() {
        let mut slices = [IoSlice::new(&[]); 8];
        let count = queue.io_slices(&mut slices);
        let front: Vec<u8> = slices[..count]
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        assert!(
            !front.is_empty(),
            "a queue that isn't empty has something to send"
        );
        let taken = front.len().min(step.max(1));
        all.extend_from_slice(&front[..taken]);
        queue.consume(taken);
    }
    all
}

/// Feeds the stream in chunks of `chunk` bytes; what came out before the error, if there is one.
pub(crate) fn decode(
    decoder: &mut Decoder,
    stream: &[u8],
    chunk: usize,
) -> (Vec<RawPdu>, Option<FramingError>) {
    let mut pdus = Vec::new();
    for piece in stream.chunks(chunk.max(1)) {
        let mut rx = BytesMut::from(piece);
        loop {
            match decoder.decode(&mut rx) {
                Ok(Some(pdu)) => pdus.push(pdu),
                Ok(None) => break,
                Err(error) => return (pdus, Some(error)),
            }
        }
        assert!(rx.is_empty(), "everything is consumed");
    }
    (pdus, None)
}
