//! A list of `key=value` pairs in the order in which they stand in the text, and its two directions:
//! parsed from bytes within limits, and encoded to bytes.

use bytes::{BufMut, Bytes, BytesMut};

use super::{MAX_PAIRS, TextError, syntax};

/// One key with its value, both as they stand on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextPair {
    /// Key name, for example `InitialR2T`.
    pub key: String,
    /// Value, for example `Yes`; not interpreted.
    pub value: String,
}

/// The pairs of one text sequence, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextPairs {
    pairs: Vec<TextPair>,
}

impl TextPairs {
    /// No pairs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses the text of a whole sequence (RFC 7143 §6.1). Empty pairs are skipped, and a last pair
    /// without its delimiter is taken as it is.
    ///
    /// # Errors
    /// [`TextError`] for too many pairs, a malformed key, a missing `=`, or a value that isn't UTF-8.
    pub fn parse(text: &[u8]) -> Result<Self, TextError> {
        let mut pairs = Self::new();
        let mut rest = text;
        loop {
            rest = skip_delimiters(rest);
            if rest.is_empty() {
                return Ok(pairs);
            }
            if pairs.len() == MAX_PAIRS {
                return Err(TextError::TooManyPairs { limit: MAX_PAIRS });
            }
            let offset = text.len() - rest.len();
            let Ok((behind, (key, value))) = syntax::key_value(rest) else {
                return Err(TextError::MalformedPair { offset });
            };
            let key = String::from_utf8_lossy(key).into_owned();
            let Ok(value) = std::str::from_utf8(value) else {
                return Err(TextError::NotUtf8 { key });
            };
            pairs.push(key, value);
            rest = behind;
        }
    }

    /// Appends a pair.
    pub fn push(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.pairs.push(TextPair {
            key: key.into(),
            value: value.into(),
        });
    }

    /// The text: each pair with its delimiter, the last one too (RFC 7143 §6.1). A NUL can't stand
    /// in a value and is left out.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let length = self
            .pairs
            .iter()
            .map(|pair| pair.key.len() + pair.value.len() + 2)
            .sum();
        let mut text = BytesMut::with_capacity(length);
        for pair in &self.pairs {
            text.put_slice(pair.key.as_bytes());
            text.put_u8(b'=');
            pair.value
                .split('\0')
                .for_each(|part| text.put_slice(part.as_bytes()));
            text.put_u8(0);
        }
        text.freeze()
    }

    /// The value of the first pair with this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|pair| pair.key == key)
            .map(|pair| pair.value.as_str())
    }

    /// The pairs in order.
    pub fn iter(&self) -> std::slice::Iter<'_, TextPair> {
        self.pairs.iter()
    }

    /// How many pairs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

impl<'a> IntoIterator for &'a TextPairs {
    type Item = &'a TextPair;
    type IntoIter = std::slice::Iter<'a, TextPair>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for TextPairs {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(iter: I) -> Self {
        let mut pairs = Self::new();
        for (key, value) in iter {
            pairs.push(key, value);
        }
        pairs
    }
}

fn skip_delimiters(text: &[u8]) -> &[u8] {
    syntax::delimiters(text).map_or(text, |(rest, _)| rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pairs_come_back_in_order_and_repeated_keys_are_kept() {
        let pairs = TextPairs::parse(b"B=1\0A=2\0B=3\0").unwrap();
        let all: Vec<_> = pairs
            .iter()
            .map(|p| (p.key.as_str(), p.value.as_str()))
            .collect();
        assert_eq!(all, [("B", "1"), ("A", "2"), ("B", "3")]);
        assert_eq!(pairs.get("B"), Some("1"));
        assert_eq!(pairs.get("C"), None);
    }

    #[test]
    fn a_value_may_be_empty_and_may_hold_equals_signs() {
        let pairs = TextPairs::parse(b"SendTargets=\0CHAP_C=0bAA==\0").unwrap();
        assert_eq!(pairs.get("SendTargets"), Some(""));
        assert_eq!(pairs.get("CHAP_C"), Some("0bAA=="));
    }

    #[test]
    fn stray_delimiters_and_a_missing_last_one_are_forgiven() {
        let pairs = TextPairs::parse(b"\0\0A=1\0\0\0B=2").unwrap();
        assert_eq!(pairs.len(), 2);
        assert_eq!(pairs.get("B"), Some("2"));
        assert!(TextPairs::parse(b"").unwrap().is_empty());
        assert!(TextPairs::parse(b"\0\0").unwrap().is_empty());
    }

    #[test]
    fn malformed_keys_are_refused_where_they_begin() {
        for (text, offset) in [
            (&b"=Yes\0"[..], 0),
            (b"A=1\0-R2T=Yes\0", 4),
            (b"NoEquals\0A=1\0", 0),
            (b"Has Space=1\0", 0),
            (b"K\xff=1\0", 0),
            (b"A", 0),
        ] {
            let expected = Err(TextError::MalformedPair { offset });
            assert_eq!(TextPairs::parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_key_may_have_63_characters_and_no_more() {
        let longest = format!("{}=1\0", "K".repeat(63));
        assert_eq!(TextPairs::parse(longest.as_bytes()).unwrap().len(), 1);
        let longer = format!("{}=1\0", "K".repeat(64));
        assert!(TextPairs::parse(longer.as_bytes()).is_err());
    }

    #[test]
    fn a_value_that_is_not_utf8_is_refused_by_its_key() {
        let error = TextPairs::parse(b"InitiatorAlias=\xc3\x28\0").unwrap_err();
        assert_eq!(
            error,
            TextError::NotUtf8 {
                key: "InitiatorAlias".into()
            }
        );
    }

    #[test]
    fn a_value_can_not_smuggle_in_another_pair() {
        let pairs: TextPairs = [("TargetAlias", "a\0AuthMethod=None")]
            .into_iter()
            .collect();
        assert_eq!(pairs.encode(), &b"TargetAlias=aAuthMethod=None\0"[..]);
    }

    #[test]
    fn the_number_of_pairs_is_limited() {
        let text = b"A=1\0".repeat(MAX_PAIRS);
        assert_eq!(TextPairs::parse(&text).unwrap().len(), MAX_PAIRS);
        let more = b"A=1\0".repeat(MAX_PAIRS + 1);
        assert_eq!(
            TextPairs::parse(&more),
            Err(TextError::TooManyPairs { limit: MAX_PAIRS })
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(text in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let _ = TextPairs::parse(&text);
        }

        #[test]
        fn what_is_encoded_parses_to_the_same(
            pairs in proptest::collection::vec(("[A-Z][a-zA-Z0-9.+@_-]{0,62}", "[^\0]{0,80}"), 0..40),
        ) {
            let pairs: TextPairs = pairs.into_iter().collect();
            prop_assert_eq!(TextPairs::parse(&pairs.encode()).unwrap(), pairs);
        }
    }
}
