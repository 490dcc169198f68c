//! iSCSI names (RFC 7143 §4.2.7): what may be one, and its one normal spelling. Knows no targets.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The longest iSCSI name, in bytes (RFC 7143 §4.2.7).
pub const ISCSI_NAME_BYTES_MAX: usize = 223;

/// The iSCSI name of a target or an initiator in its normal, lower-case spelling.
///
/// Three forms are accepted (RFC 7143 §4.2.7.3 to §4.2.7.6):
/// `iqn.YYYY-MM.REVERSED-DOMAIN[:ANYTHING]`, `eui.` and 16 hexadecimal digits, `naa.` and 16 or 32
/// hexadecimal digits. Upper case is folded, as the stringprep profile of RFC 3722 does; characters
/// outside ASCII are refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IscsiName(Box<str>);

impl IscsiName {
    /// Checks and normalises a name.
    ///
    /// # Errors
    /// It isn't an iSCSI name; the error says which rule it breaks.
    pub fn new(name: &str) -> Result<Self, IscsiNameError> {
        if name.is_empty() {
            return Err(IscsiNameError::Empty);
        }
        if name.len() > ISCSI_NAME_BYTES_MAX {
            return Err(IscsiNameError::TooLong { len: name.len() });
        }
        if let Some(character) = name.chars().find(|&c| !is_allowed(c)) {
            return Err(IscsiNameError::Character { character });
        }
        let name = name.to_ascii_lowercase();
        let (form, rest) = name.split_once('.').ok_or(IscsiNameError::Form)?;
        match form {
            "iqn" => check_iqn(rest)?,
            "eui" => check_hex("eui", rest, &[16])?,
            "naa" => check_hex("naa", rest, &[16, 32])?,
            _ => return Err(IscsiNameError::Form),
        }
        Ok(Self(name.into()))
    }

    /// The normal spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IscsiName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for IscsiName {
    type Err = IscsiNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl std::borrow::Borrow<str> for IscsiName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// How iSCSI names begin: `iqn.`, `eui.` or `naa.` and any number of the characters that names have, in
/// lower case. At most one byte shorter than the longest name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamePrefix(Box<str>);

impl NamePrefix {
    /// Checks and normalises a beginning.
    ///
    /// # Errors
    /// No iSCSI name begins like that.
    pub fn new(prefix: &str) -> Result<Self, IscsiNameError> {
        if prefix.len() >= ISCSI_NAME_BYTES_MAX {
            return Err(IscsiNameError::TooLong { len: prefix.len() });
        }
        if let Some(character) = prefix.chars().find(|&c| !is_allowed(c)) {
            return Err(IscsiNameError::Character { character });
        }
        let prefix = prefix.to_ascii_lowercase();
        match prefix.split_once('.') {
            Some(("iqn" | "eui" | "naa", _)) => Ok(Self(prefix.into())),
            _ => Err(IscsiNameError::Prefix),
        }
    }

    /// The normal spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NamePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why something isn't an iSCSI name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IscsiNameError {
    /// Nothing at all.
    #[error("an iSCSI name can't be empty")]
    Empty,
    /// More than [`ISCSI_NAME_BYTES_MAX`] bytes.
    #[error("an iSCSI name has at most {ISCSI_NAME_BYTES_MAX} bytes; this one has {len}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A character that names don't have.
    #[error(
        "{character:?} can't be in an iSCSI name: only letters a-z, digits, '-', '.' and ':' can"
    )]
    Character {
        /// The first one found.
        character: char,
    },
    /// It starts like none of the three forms.
    #[error(
        "an iSCSI name starts with iqn., eui. or naa., for example \
         iqn.2024-01.com.example:storage.disk1"
    )]
    Form,
    /// It is no beginning of a name of the three forms.
    #[error(
        "before the '*' comes the beginning of an iSCSI name with its iqn., eui. or naa., for example \
         iqn.1993-08.org.debian:*"
    )]
    Prefix,
    /// The date of an `iqn.` name.
    #[error(
        "{found:?} is not a year and month: after iqn. comes the month in which you owned the \
         domain, as YYYY-MM, for example iqn.2024-01.com.example:disk1"
    )]
    Date {
        /// What is there instead.
        found: String,
    },
    /// The naming authority of an `iqn.` name.
    #[error(
        "{found:?} is not a reversed domain name: after the date comes a dot and your domain \
         backwards, for example iqn.2024-01.com.example:disk1"
    )]
    Domain {
        /// What is there instead.
        found: String,
    },
    /// The digits of an `eui.` or `naa.` name.
    #[error("after {form}. come {} hexadecimal digits, not {found:?}", if *form == "eui" { "16" } else { "16 or 32" })]
    Digits {
        /// `eui` or `naa`.
        form: &'static str,
        /// What is there instead.
        found: String,
    },
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':')
}

/// RFC 7143 §4.2.7.4.
fn check_iqn(rest: &str) -> Result<(), IscsiNameError> {
    let (date, rest) = rest.split_once('.').unwrap_or((rest, ""));
    if !is_year_and_month(date) {
        return Err(IscsiNameError::Date { found: date.into() });
    }
    let (domain, _) = rest.split_once(':').unwrap_or((rest, ""));
    if domain.is_empty() || !domain.split('.').all(is_domain_label) {
        return Err(IscsiNameError::Domain {
            found: domain.into(),
        });
    }
    Ok(())
}

fn is_year_and_month(date: &str) -> bool {
    let Some((year, month)) = date.split_once('-') else {
        return false;
    };
    let digits = |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
    digits(year, 4)
        && digits(month, 2)
        && month
            .parse()
            .is_ok_and(|month: u8| (1..=12).contains(&month))
}

fn is_domain_label(label: &str) -> bool {
    !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
}

fn check_hex(form: &'static str, digits: &str, lengths: &[usize]) -> Result<(), IscsiNameError> {
    if lengths.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(IscsiNameError::Digits {
        form,
        found: digits.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_three_forms_are_accepted_and_folded_to_lower_case() {
        for (given, normal) in [
            ("iqn.2001-04.com.example", "iqn.2001-04.com.example"),
            ("iqn.2001-04.com.example:storage:diskarrays-sn-a8675309", ""),
            (
                "IQN.2001-04.COM.Example:Disk.1",
                "iqn.2001-04.com.example:disk.1",
            ),
            ("iqn.1993-08.org.debian:01:ad9a9a1b6f1", ""),
            ("eui.02004567A425678D", "eui.02004567a425678d"),
            ("naa.52004567BA64678D", "naa.52004567ba64678d"),
            (
                "naa.62004567BA64678D0123456789ABCDEF",
                "naa.62004567ba64678d0123456789abcdef",
            ),
        ] {
            let normal = if normal.is_empty() { given } else { normal };
            assert_eq!(IscsiName::new(given).unwrap().as_str(), normal);
        }
    }

    #[test]
    fn what_is_not_a_name_is_refused_by_the_rule_that_it_breaks() {
        let form = |name: &str| IscsiName::new(name).unwrap_err();
        assert_eq!(form(""), IscsiNameError::Empty);
        assert_eq!(form("disk1"), IscsiNameError::Form);
        assert_eq!(form("wwn.2001-04.com.example"), IscsiNameError::Form);
        for name in [
            "iqn.",
            "iqn.2001",
            "iqn.2001-4.com",
            "iqn.2001-13.com",
            "iqn.2001-00.com",
        ] {
            assert!(matches!(form(name), IscsiNameError::Date { .. }), "{name}");
        }
        for name in [
            "iqn.2001-04",
            "iqn.2001-04.",
            "iqn.2001-04.:x",
            "iqn.2001-04.com..x",
        ] {
            assert!(
                matches!(form(name), IscsiNameError::Domain { .. }),
                "{name}"
            );
        }
        assert!(matches!(
            form("iqn.2001-04.-com"),
            IscsiNameError::Domain { .. }
        ));
        for name in [
            "eui.",
            "eui.02004567a425678",
            "eui.02004567a425678g",
            "naa.123",
        ] {
            assert!(
                matches!(form(name), IscsiNameError::Digits { .. }),
                "{name}"
            );
        }
        for (name, character) in [
            ("iqn.2001-04.com.a b", ' '),
            ("iqn.2001-04.com.a_b", '_'),
            ("iqn.2001-04.ü", 'ü'),
        ] {
            assert_eq!(form(name), IscsiNameError::Character { character });
        }
    }

    #[test]
    fn the_longest_name_has_223_bytes() {
        let name = |len: usize| format!("iqn.2001-04.com:{}", "x".repeat(len - 16));
        assert!(IscsiName::new(&name(223)).is_ok());
        assert_eq!(
            IscsiName::new(&name(224)),
            Err(IscsiNameError::TooLong { len: 224 })
        );
    }
}
