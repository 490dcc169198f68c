//! Where a stream that was cut short is to be gone on with, as a word that people can hand on. Knows no
//! streams.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::mapped::Id;

/// What every token begins with; another form of it would begin otherwise.
const PREFIX: &str = "tidelock-resume-1-";
/// Bytes of a token, of which the last four are a checksum.
const BYTES: usize = 44;

/// Where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// The snapshot that is being sent.
    pub to: Id,
    /// The one that the receiver has; `None`: it needs none.
    pub since: Option<Id>,
    /// Byte of the volume before which everything has been received.
    pub from: u64,
}

/// A word isn't a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "this is no resume token: copy the whole word that `tidelock snapshot receive VOLUME --status` prints"
)]
pub struct TokenError;

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since.unwrap_or_default();
        let fields = [&self.to[..], &since[..], &self.from.to_le_bytes()[..]];
        let bytes = fields.concat();
        let crc = crc32c::crc32c(&bytes).to_le_bytes();
        f.write_str(PREFIX)?;
        for byte in bytes.iter().chain(&crc) {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let digits = text.strip_prefix(PREFIX).ok_or(TokenError)?;
        if digits.len() != 2 * BYTES {
            return Err(TokenError);
        }
        let pairs = digits.as_bytes().chunks(2);
        let byte = |pair| {
            let pair = std::str::from_utf8(pair).ok();
            let is_hex = |pair: &&str| pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            pair.filter(is_hex)
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
        };
        let bytes: Option<Vec<u8>> = pairs.map(byte).collect();
        let bytes = bytes.ok_or(TokenError)?;
        let (fields, crc) = bytes.split_at_checked(BYTES - 4).ok_or(TokenError)?;
        if crc != crc32c::crc32c(fields).to_le_bytes() {
            return Err(TokenError);
        }
        let since = super::id_at(fields, 16);
        Ok(Self {
            to: super::id_at(fields, 0),
            since: (since != Id::default()).then_some(since),
            from: super::u64_at(fields, 32),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_understood_again_and_no_changed_one_is() {
        for since in [None, Some([7; 16])] {
            let token = Token {
                to: [200; 16],
                since,
                from: 1 << 40,
            };
            let text = token.to_string();
            assert_eq!(text.parse(), Ok(token));
            for at in 0..text.len() {
                let mut changed = text.clone().into_bytes();
                changed[at] = if changed[at] == b'3' { b'4' } else { b'3' };
                let changed = String::from_utf8(changed).unwrap();
                assert_eq!(changed.parse::<Token>(), Err(TokenError), "{at}");
                assert_eq!(text[..at].parse::<Token>(), Err(TokenError), "{at}");
            }
        }
        for word in ["", "tidelock-resume-1-", "\u{e4}", "tidelock-resume-2-00"] {
            assert_eq!(word.parse::<Token>(), Err(TokenError), "{word}");
        }
    }
}
