//! The kinds of values that keys have (RFC 7143 §6.1): numbers, booleans and lists. Binary values are
//! in `auth`, the only place where they occur.

/// A boolean-value as it stands on the wire; case matters (RFC 7143 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boolean(pub bool);

impl Boolean {
    /// Parses `Yes` or `No`; anything else is not a boolean.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        match value {
            "Yes" => Some(Self(true)),
            "No" => Some(Self(false)),
            _ => None,
        }
    }

    /// `Yes` or `No`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        if self.0 { "Yes" } else { "No" }
    }
}

/// Parses a numerical-value: decimal digits, or hexadecimal ones after `0x` or `0X`, below 2^64
/// (RFC 7143 §6.1). Signs and spaces are not part of a number.
#[must_use]
pub fn numerical(value: &str) -> Option<u64> {
    let (digits, radix) = match value
        .strip_prefix("0x")
        .or_else(|| value.strip_prefix("0X"))
    {
        Some(digits) => (digits, 16),
        None => (value, 10),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| char::from(byte).is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// The entries of a list-of-values, in the order of the offerer's preference (RFC 7143 §6.1).
pub fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        for (text, number) in [
            ("0", Some(0)),
            ("8192", Some(8_192)),
            ("0x2000", Some(8_192)),
            ("0XfF", Some(255)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("0x10000000000000000", None),
            ("", None),
            ("0x", None),
            ("-1", None),
            ("+1", None),
            ("0x+1", None),
            (" 1", None),
            ("1 ", None),
            ("1k", None),
            ("ff", None),
            ("1~2", None),
        ] {
            assert_eq!(numerical(text), number, "{text:?}");
        }
    }

    #[test]
    fn booleans_are_case_sensitive() {
        assert_eq!(Boolean::parse("Yes"), Some(Boolean(true)));
        assert_eq!(Boolean::parse("No"), Some(Boolean(false)));
        for text in ["yes", "NO", "1", "", "Yes "] {
            assert_eq!(Boolean::parse(text), None, "{text:?}");
        }
    }
}
