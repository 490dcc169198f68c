//! The datetime type of CIM (DSP0004 5.2.4), as text. No clock.

/// A moment of RFC 3339 in UTC, such as `2026-11-26T16:43:06Z`, as a timestamp.
pub(crate) fn timestamp(rfc3339: &str) -> Option<String> {
    let (date, time) = rfc3339.strip_suffix('Z')?.split_once('T')?;
    let digits = |text: &str, separator: char, parts: &[usize]| -> Option<String> {
        let found: Vec<&str> = text.split(separator).collect();
        let fits = found.len() == parts.len()
            && found
                .iter()
                .zip(parts)
                .all(|(it, len)| it.len() == *len && it.bytes().all(|byte| byte.is_ascii_digit()));
        fits.then(|| found.concat())
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let date = digits(date, '-', &[4, 2, 2])?;
    let time = digits(time, ':', &[2, 2, 2])?;
    Some(format!("{date}{time}.{fraction}+000"))
}

/// So many seconds, as an interval.
pub(crate) fn interval(seconds: u64) -> String {
    let days = (seconds / 86_400).min(99_999_999);
    let (hours, minutes) = (seconds / 3_600 % 24, seconds / 60 % 60);
    let seconds = seconds % 60;
    format!("{days:08}{hours:02}{minutes:02}{seconds:02}.000000:000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_and_an_interval_are_written_as_dsp0004_does() {
        let moment = timestamp("2026-11-26T16:43:06Z");
        assert_eq!(moment.as_deref(), Some("20261126164306.000000+000"));
        let moment = timestamp("2026-11-26T16:43:06.25Z");
        assert_eq!(moment.as_deref(), Some("20261126164306.250000+000"));
        assert_eq!(interval(93_784), "00000001020304.000000:000");
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in [
            "",
            "Z",
            "2026-11-26",
            "2026-11-26T16:43Z",
            "2026-1-26T16:43:06Z",
            "é",
        ] {
            assert_eq!(timestamp(text), None, "{text}");
        }
    }
}
