//! Sizes as people write them. Binary units throughout: 10G is 10 GiB, as with lvcreate and qemu-img.

use thiserror::Error;

const UNITS: [(&str, u32); 7] = [
    ("B", 0),
    ("KiB", 10),
    ("MiB", 20),
    ("GiB", 30),
    ("TiB", 40),
    ("PiB", 50),
    ("EiB", 60),
];

/// Why something isn't a size.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SizeError {
    /// No number in front.
    #[error("a size is a number with a unit, such as 10G, 1.5TiB, 512M or 1048576")]
    NoNumber,
    /// The unit isn't one.
    #[error("{unit:?} is not a unit: use K, M, G, T, P or E (KiB to EiB), or none for bytes")]
    Unit {
        /// What is there instead.
        unit: String,
    },
    /// Decimal units would be taken for binary ones.
    #[error("{unit} could be 1000s or 1024s: write {} for {binary}", binary.trim_end_matches("iB"))]
    Ambiguous {
        /// The unit.
        unit: String,
        /// The binary unit of that letter.
        binary: &'static str,
    },
    /// A fraction of a byte.
    #[error("that isn't a whole number of bytes")]
    Fraction,
    /// More than 2^64 bytes.
    #[error("that is more than 16 EiB")]
    TooLarge,
}

/// Bytes of a size such as `10G`, `10GiB`, `1.5T`, `512M` or `1048576`.
///
/// # Errors
/// It isn't one; the text says how to write it.
pub fn parse_size(text: &str) -> Result<u64, SizeError> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end).ok_or(SizeError::NoNumber)?;
    let shift = parse_unit(unit.trim())?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.contains('.') || number.ends_with('.') {
        return Err(SizeError::NoNumber);
    }
    let whole: u64 = whole.parse().map_err(|_| SizeError::TooLarge)?;
    let whole = whole.checked_mul(1 << shift).ok_or(SizeError::TooLarge)?;
    whole
        .checked_add(parse_fraction(fraction, shift)?)
        .ok_or(SizeError::TooLarge)
}

fn parse_unit(unit: &str) -> Result<u32, SizeError> {
    let known = |(name, shift): &(&'static str, u32)| {
        let letter = name.get(..1).unwrap_or_default();
        (unit.eq_ignore_ascii_case(name) || unit.eq_ignore_ascii_case(letter)).then_some(*shift)
    };
    if unit.is_empty() {
        return Ok(0);
    }
    if let Some(shift) = UNITS.iter().find_map(known) {
        return Ok(shift);
    }
    let decimal = |(name, _): &&(&'static str, u32)| {
        let letter = name.get(..1).unwrap_or_default();
        unit.eq_ignore_ascii_case(&format!("{letter}B"))
    };
    Err(match UNITS.iter().find(decimal) {
        Some((binary, _)) => SizeError::Ambiguous {
            unit: unit.into(),
            binary,
        },
        None => SizeError::Unit { unit: unit.into() },
    })
}

/// Bytes of `0.fraction` units of 2^shift.
fn parse_fraction(fraction: &str, shift: u32) -> Result<u64, SizeError> {
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        return Ok(0);
    }
    // No binary unit has a fraction of whole bytes with more digits than it has doublings.
    let digits = u32::try_from(fraction.len()).unwrap_or(u32::MAX);
    if digits > shift.min(18) {
        return Err(SizeError::Fraction);
    }
    let scaled = fraction.parse::<u128>().map_err(|_| SizeError::NoNumber)? << shift;
    let parts = 10_u128.pow(digits);
    if !scaled.is_multiple_of(parts) {
        return Err(SizeError::Fraction);
    }
    u64::try_from(scaled / parts).map_err(|_| SizeError::TooLarge)
}

/// A size for people: `10 GiB`, `1.5 TiB`, `4 KiB`; at most two decimals, cut, not rounded up.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    let (unit, shift) = UNITS
        .iter()
        .rev()
        .find(|(_, shift)| bytes >> shift > 0)
        .copied()
        .unwrap_or(("B", 0));
    let whole = bytes >> shift;
    let rest = u128::from(bytes) - (u128::from(whole) << shift);
    let hundredths = (rest * 100) >> shift;
    match (hundredths / 10, hundredths % 10) {
        (0, 0) => format!("{whole} {unit}"),
        (tenths, 0) => format!("{whole}.{tenths} {unit}"),
        _ => format!("{whole}.{hundredths:02} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const K: u64 = 1 << 10;
    const G: u64 = 1 << 30;

    #[test]
    fn sizes_are_read_in_all_the_ways_that_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("512B", 512),
            ("4k", 4 * K),
            ("512M", 512 << 20),
            ("10G", 10 * G),
            ("10g", 10 * G),
            ("10GiB", 10 * G),
            ("10 gib", 10 * G),
            ("1.5G", 3 * G / 2),
            ("0.5K", 512),
            ("1.50T", 3 << 39),
            ("7.9990234375E", (8 << 60) - (1 << 50)),
            ("15E", 15 << 60),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_refused_with_how_to_write_it() {
        for text in ["", "G", "-1", "+1", "1.", ".5G", "1.2.3G", "ten", "1e9"] {
            let error = parse_size(text).unwrap_err();
            assert!(
                matches!(error, SizeError::NoNumber | SizeError::Unit { .. }),
                "{text}: {error}"
            );
        }
        assert_eq!(parse_size("10X"), Err(SizeError::Unit { unit: "X".into() }));
        assert_eq!(
            parse_size("10GB").unwrap_err().to_string(),
            "GB could be 1000s or 1024s: write G for GiB"
        );
        assert_eq!(parse_size("1.1"), Err(SizeError::Fraction));
        assert_eq!(parse_size("0.3K"), Err(SizeError::Fraction));
        assert_eq!(parse_size("0.000001048576E"), Err(SizeError::Fraction));
        assert_eq!(parse_size("16E"), Err(SizeError::TooLarge));
        assert_eq!(parse_size("18446744073709551616"), Err(SizeError::TooLarge));
        assert_eq!(
            parse_size(&format!("1.{}G", "3".repeat(100))),
            Err(SizeError::Fraction)
        );
    }

    #[test]
    fn sizes_are_written_in_the_largest_unit_that_fits() {
        for (bytes, text) in [
            (0, "0 B"),
            (512, "512 B"),
            (1023, "1023 B"),
            (K, "1 KiB"),
            (10 * G, "10 GiB"),
            (3 * G / 2, "1.5 GiB"),
            (G + (G >> 2), "1.25 GiB"),
            (G + 1, "1 GiB"),
            (G + G / 20, "1.04 GiB"),
            ((1 << 40) - 1, "1023.99 GiB"),
            (u64::MAX, "15.99 EiB"),
        ] {
            assert_eq!(format_size(bytes), text, "{bytes}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whole_units_survive_being_written_and_read(n in 1_u64..1024, unit in 0_u32..6) {
            let bytes = n << (10 * unit);
            proptest::prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,40}") {
            let _ = parse_size(&text);
        }
    }
}
