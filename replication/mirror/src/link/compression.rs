//! The data of a frame made smaller, and back. Knows no frames, and who wants it or when.
//!
//! ```text
//! bytes of the data (4) · CRC of them (4) · a zstd frame
//! ```
//!
//! What comes is believed in nothing: it says first how long it will be, which is checked before there is room for it, and
//! no more than that is ever written.

use std::fmt;

use bytes::Bytes;
use zstd_safe::{CCtx, DCtx};

use super::frame::DATA_MAX;

/// The first version of what follows the introduction in which data may be compressed.
pub const COMPRESSION_SINCE: u32 = 2;
/// What is before the zstd frame.
const PREFIX_BYTES: usize = 8;
/// The fastest of the usual levels: a link that is slower than this has time for no other.
const LEVEL: i32 = 1;
/// What is shorter isn't tried.
const BYTES_MIN: usize = 128;
/// Data go as they are unless they lose this part of their length.
const WORTH: usize = 16;

/// Makes data smaller. Has some memory of its own, for as long as it is there.
pub struct Compressor(CCtx<'static>);

impl fmt::Debug for Compressor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Compressor").finish()
    }
}

impl Compressor {
    /// One; `None` if there is no memory for it.
    #[must_use]
    pub fn new() -> Option<Self> {
        CCtx::try_create().map(Self)
    }

    /// What to send instead of some data, by [`super::Encoder::encode_compressed`]; `None`: it isn't worth it, and they
    /// go as they are.
    pub fn compress(&mut self, data: &[u8]) -> Option<Bytes> {
        if data.len() < BYTES_MIN {
            return None;
        }
        let plain = u32::try_from(data.len()).ok()?;
        // What doesn't fit isn't worth it.
        let mut bytes = vec![0; data.len() - data.len() / WORTH];
        let (prefix, packed) = bytes.split_at_mut_checked(PREFIX_BYTES)?;
        let written = self.0.compress(packed, data, LEVEL).ok()?;
        let (length, crc) = prefix.split_at_mut_checked(4)?;
        length.copy_from_slice(&plain.to_le_bytes());
        crc.copy_from_slice(&crc32c::crc32c(data).to_le_bytes());
        bytes.truncate(PREFIX_BYTES + written);
        // It waits to be sent, and mustn't hold more than it counts for.
        bytes.shrink_to_fit();
        Some(bytes.into())
    }
}

/// Brings data back that a [`Compressor`] has made smaller.
#[derive(Default)]
pub(super) struct Expander(Option<DCtx<'static>>);

impl fmt::Debug for Expander {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Expander").finish()
    }
}

impl Expander {
    /// The data; an error says what is wrong with what came.
    pub(super) fn expand(&mut self, bytes: &[u8]) -> Result<Bytes, &'static str> {
        let short = "they are shorter than what has to be before them";
        let (length, rest) = bytes.split_first_chunk().ok_or(short)?;
        let (crc, packed) = rest.split_first_chunk().ok_or(short)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length == 0 || length > DATA_MAX {
            return Err("they say that they become none, or more than a message may carry");
        }
        let context = match &mut self.0 {
            Some(context) => context,
            none => none.insert(DCtx::try_create().ok_or("there is no memory for it")?),
        };
        let mut data = vec![0; length];
        let written = context
            .decompress(data.as_mut_slice(), packed)
            .map_err(|_| "they aren't what zstd makes, or become more than they say")?;
        if written != length {
            return Err("they become fewer than they say");
        }
        if crc32c::crc32c(&data) != u32::from_le_bytes(*crc) {
            return Err("they become others than they were");
        }
        Ok(data.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::link::{Decoder, Encoder, FrameError, Kind};

    fn compress(data: &[u8]) -> Option<Bytes> {
        Compressor::new().unwrap().compress(data)
    }

    fn expand(bytes: &[u8]) -> Result<Bytes, &'static str> {
        Expander::default().expand(bytes)
    }

    /// Data of any length, from such that are all alike to such that nothing is known of.
    fn data() -> impl Strategy<Value = Vec<u8>> {
        (0..40_000_usize, 1..=256_u32, any::<u32>()).prop_map(|(length, values, mut seed)| {
            let next = |_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                u8::try_from((seed >> 16) % values).unwrap()
            };
            (0..length).map(next).collect()
        })
    }

    proptest! {
        #[test]
        fn data_come_back_the_same_through_one_compressor_and_one_decoder(all in prop::collection::vec(data(), 1..5), cut in 1_usize..9000) {
            let (mut compressor, mut encoder) = (Compressor::new().unwrap(), Encoder::default());
            let mut stream = Vec::new();
            for data in &all {
                match compressor.compress(data) {
                    Some(smaller) => {
                        prop_assert!(smaller.len() <= data.len() - data.len() / WORTH);
                        stream.extend(encoder.encode_compressed(Kind(0x25), b"fields", &smaller).unwrap());
                        stream.extend(smaller);
                    }
                    None => {
                        stream.extend(encoder.encode(Kind(0x25), b"fields", data).unwrap());
                        stream.extend(data);
                    }
                }
            }
            let mut decoder = Decoder::default();
            decoder.accept_compressed();
            let mut back = Vec::new();
            for piece in stream.chunks(cut) {
                decoder.feed(piece);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    back.push(frame.data.to_vec());
                }
            }
            prop_assert_eq!(back, all);
        }

        #[test]
        fn whatever_is_changed_is_noticed(data in data(), at in any::<prop::sample::Index>(), bit in 0..8) {
            if let Some(bytes) = compress(&data) {
                let mut bytes = bytes.to_vec();
                let at = at.index(bytes.len());
                bytes[at] ^= 1_u8 << bit;
                // Some bits of a zstd frame mean nothing.
                let back = expand(&bytes);
                prop_assert!(back.is_err() || back == Ok(data.into()));
            }
        }

        #[test]
        fn any_bytes_are_refused_or_become_no_more_than_they_may(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(expand(&bytes).map_or(true, |it| it.len() <= DATA_MAX));
        }
    }

    #[test]
    fn what_is_not_worth_it_is_left_as_it_is() {
        assert_eq!(compress(&[]), None);
        assert_eq!(compress(&[7; BYTES_MIN - 1]), None);
        assert!(compress(&[7; BYTES_MIN]).is_some());
        let longest = compress(&vec![7; DATA_MAX]).unwrap();
        assert!(longest.len() < 200, "{}", longest.len());
        assert_eq!(expand(&longest).unwrap(), vec![7; DATA_MAX]);
    }

    /// A million bytes and more from a hundred, with another length before them.
    #[test]
    fn what_becomes_more_or_less_than_it_says_is_refused() {
        let right = compress(&vec![7; DATA_MAX]).unwrap();
        let says = |length: usize| {
            let mut bytes = right.to_vec();
            bytes[..4].copy_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
            expand(&bytes).unwrap_err()
        };
        assert!(says(0).contains("none"));
        assert!(says(DATA_MAX + 1).contains("more than a message may carry"));
        assert!(says(0xFFFF_FFFF).contains("more than a message may carry"));
        for less in [1, 100, DATA_MAX - 1] {
            assert!(says(less).contains("more than they say"));
        }
        let shorter = compress(&[7; 1000]).unwrap();
        let mut bytes = shorter.to_vec();
        bytes[..4].copy_from_slice(&1001_u32.to_le_bytes());
        assert!(expand(&bytes).unwrap_err().contains("fewer"));
        // Many frames of zstd behind each other are no way around it.
        let mut bomb = right.to_vec();
        for _ in 0..1000 {
            bomb.extend(&right[PREFIX_BYTES..]);
        }
        assert!(expand(&bomb).unwrap_err().contains("more than they say"));
        let mut other = right.to_vec();
        other[4] ^= 1;
        assert!(expand(&other).unwrap_err().contains("others"));
    }

    #[test]
    fn nothing_compressed_is_taken_before_it_was_agreed_on() {
        let smaller = compress(&[7; 1000]).unwrap();
        let head = Encoder::default().encode_compressed(Kind(0x25), &[], &smaller);
        let mut decoder = Decoder::default();
        decoder.feed(&head.unwrap());
        assert_eq!(decoder.next_frame(), Err(FrameError::Flags(1)));
        let mut decoder = Decoder::default();
        decoder.accept_compressed();
        let head = Encoder::default().encode_compressed(Kind(0x25), &[], b"");
        decoder.feed(&head.unwrap());
        let wrong = decoder.next_frame();
        assert!(matches!(
            wrong,
            Err(FrameError::Compressed { number: 0, .. })
        ));
        assert_eq!(decoder.next_frame(), wrong, "it stays wrong");
    }
}
