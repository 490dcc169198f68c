//! Binary values of text keys: hexadecimal after `0x`, base64 after `0b` (RFC 7143 §6.1).

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The alphabet of RFC 4648 §4; padding as the peer likes it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Decodes a binary value of at most `limit` bytes; `None` if it is longer or not in either encoding.
///
/// An odd number of hexadecimal digits is taken as if a leading zero had been dropped, which is what
/// initiators that print a number do.
pub(crate) fn decode_binary(value: &str, limit: usize) -> Option<Vec<u8>> {
    let (prefix, digits) = value.split_at_checked(2)?;
    if digits.is_empty() {
        return None;
    }
    let bytes = match prefix {
        "0x" | "0X" if digits.len().div_ceil(2) <= limit => decode_hex(digits)?,
        "0b" | "0B" if digits.len() / 4 * 3 <= limit.saturating_add(3) => {
            BASE64.decode(digits).ok()?
        }
        _ => return None,
    };
    (bytes.len() <= limit).then_some(bytes)
}

/// Encodes bytes as `0x` and lower-case digits: the encoding that every initiator understands.
pub(crate) fn encode_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("0x");
    for byte in bytes {
        // Writing to a String doesn't fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn decode_hex(digits: &str) -> Option<Vec<u8>> {
    let nibbles: Vec<u8> = digits.bytes().map(nibble).collect::<Option<_>>()?;
    let (first, pairs) = nibbles.split_at_checked(nibbles.len() % 2)?;
    let (pairs, _) = pairs.as_chunks::<2>();
    Some(
        first
            .iter()
            .copied()
            .chain(pairs.iter().map(|[high, low]| high << 4 | low))
            .collect(),
    )
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_encodings_are_understood() {
        for (text, bytes) in [
            ("0x00ff", Some(&[0x00, 0xff][..])),
            ("0XAbCd", Some(&[0xab, 0xcd])),
            ("0xabc", Some(&[0x0a, 0xbc])),
            ("0b/+8=", Some(&[0xff, 0xef])),
            ("0B/+8", Some(&[0xff, 0xef])),
            ("0bAAECAw==", Some(&[0, 1, 2, 3])),
            ("", None),
            ("0", None),
            ("0x", None),
            ("0b", None),
            ("0xg0", None),
            ("0x+1", None),
            ("0b*", None),
            ("0b=", None),
            ("1234", None),
            ("\u{e9}x00", None),
        ] {
            assert_eq!(decode_binary(text, 16).as_deref(), bytes, "{text:?}");
        }
    }

    #[test]
    fn the_limit_is_exact_in_both_encodings() {
        for length in [1usize, 2, 3, 16, 1_023, 1_024] {
            let bytes = vec![0xa5; length];
            let hex = encode_hex(&bytes);
            let base64 = format!("0b{}", BASE64.encode(&bytes));
            for text in [hex, base64] {
                assert_eq!(
                    decode_binary(&text, length).as_deref(),
                    Some(&bytes[..]),
                    "{text}"
                );
                assert_eq!(decode_binary(&text, length - 1), None, "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics_nor_exceeds_the_limit(text in ".{0,80}", limit in 0usize..40) {
            if let Some(bytes) = decode_binary(&text, limit) {
                prop_assert!(bytes.len() <= limit);
            }
        }

        #[test]
        fn hex_comes_back_as_it_was(bytes in proptest::collection::vec(any::<u8>(), 1..100)) {
            prop_assert_eq!(decode_binary(&encode_hex(&bytes), 100), Some(bytes));
        }
    }
}
