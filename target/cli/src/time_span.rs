//! Spans of time as people write them: `15m`, `1h`, `1d`.

use thiserror::Error;

const UNITS: [(&str, u64); 5] = [
    ("s", 1),
    ("m", 60),
    ("h", 3_600),
    ("d", 86_400),
    ("w", 604_800),
];

/// Why something isn't a span of time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TimeSpanError {
    /// No number in front, or no unit behind.
    #[error("a span of time is a whole number with a unit, such as 15m, 1h, 1d or 1w")]
    Form,
    /// The unit isn't one.
    #[error("{unit:?} is not a unit: use s, m (minutes), h, d or w")]
    Unit {
        /// What is there instead.
        unit: String,
    },
    /// More than can be counted.
    #[error("that is too long")]
    TooLong,
}

/// Seconds of a span such as `90s`, `15m`, `1h`, `1d` or `2w`.
///
/// # Errors
/// It isn't one; the text says how to write it.
pub fn parse_time_span(text: &str) -> Result<u64, TimeSpanError> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = end
        .and_then(|end| text.split_at_checked(end))
        .ok_or(TimeSpanError::Form)?;
    if number.is_empty() {
        return Err(TimeSpanError::Form);
    }
    let known = UNITS.iter().find(|(name, _)| unit.trim() == *name);
    let (_, seconds) = known.ok_or_else(|| TimeSpanError::Unit { unit: unit.into() })?;
    let number: u64 = number.parse().map_err(|_| TimeSpanError::TooLong)?;
    number.checked_mul(*seconds).ok_or(TimeSpanError::TooLong)
}

/// A span for people, in the largest unit of which it is a whole number.
#[must_use]
pub fn format_time_span(seconds: u64) -> String {
    let fits = |(_, unit): &&(&str, u64)| seconds > 0 && seconds.is_multiple_of(*unit);
    let (name, unit) = UNITS.iter().rev().find(fits).unwrap_or(&("s", 1));
    format!("{}{name}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        for (text, seconds) in [
            ("90s", 90),
            ("15m", 900),
            ("1h", 3_600),
            ("1d", 86_400),
            ("2w", 1_209_600),
            ("0s", 0),
        ] {
            assert_eq!(parse_time_span(text), Ok(seconds), "{text}");
            assert_eq!(format_time_span(seconds), text);
        }
        assert_eq!(format_time_span(5_400), "90m");
        assert_eq!(parse_time_span("24h"), parse_time_span("1d"));
    }

    #[test]
    fn what_is_no_span_is_refused_with_how_to_write_it() {
        for text in ["", "h", "-1h", "ten", "60"] {
            assert_eq!(parse_time_span(text), Err(TimeSpanError::Form), "{text}");
        }
        for text in ["1y", "1.5h", "1hour", "1H"] {
            let error = parse_time_span(text).unwrap_err();
            assert!(
                matches!(error, TimeSpanError::Unit { .. }),
                "{text}: {error}"
            );
        }
        for text in ["18446744073709551615w", "99999999999999999999s"] {
            assert_eq!(parse_time_span(text), Err(TimeSpanError::TooLong), "{text}");
        }
    }
}
