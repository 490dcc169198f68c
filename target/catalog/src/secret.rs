//! CHAP names and secrets: their rules, and types that never print them. Knows no protocol.

use std::fmt;

use thiserror::Error;

/// The shortest secret, in bytes: 96 bits (RFC 7143 §9.2.1).
pub const SECRET_BYTES_MIN: usize = 12;
/// The longest secret, in bytes; open-iscsi takes no longer ones.
pub const SECRET_BYTES_MAX: usize = 255;
/// The longest CHAP name, in bytes (RFC 7143 §6.1: a text value that isn't otherwise limited).
pub const USER_BYTES_MAX: usize = 255;

/// A CHAP secret. `Debug` doesn't show it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Checks a secret: [`SECRET_BYTES_MIN`]..=[`SECRET_BYTES_MAX`] bytes of text without control
    /// characters.
    ///
    /// # Errors
    /// It is too short, too long or has control characters. The error doesn't contain it.
    pub fn new(secret: &str) -> Result<Self, SecretError> {
        match secret.len() {
            len @ ..SECRET_BYTES_MIN => Err(SecretError::TooShort { len }),
            len if len > SECRET_BYTES_MAX => Err(SecretError::TooLong { len }),
            _ if secret.chars().any(char::is_control) => Err(SecretError::ControlCharacter),
            _ => Ok(Self(secret.into())),
        }
    }

    /// The secret itself. Only for authentication and for the catalog's own encoding.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Why a secret can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Fewer than [`SECRET_BYTES_MIN`] bytes.
    #[error(
        "a CHAP secret has at least {SECRET_BYTES_MIN} bytes; this one has {len}: make one with \
         `openssl rand -hex 8`"
    )]
    TooShort {
        /// Its length in bytes.
        len: usize,
    },
    /// More than [`SECRET_BYTES_MAX`] bytes.
    #[error("a CHAP secret has at most {SECRET_BYTES_MAX} bytes; this one has {len}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A line break, tab or other control character.
    #[error("a CHAP secret is one line of text without control characters")]
    ControlCharacter,
}

/// The name that goes with a secret (CHAP_N), 1..=[`USER_BYTES_MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChapUser(Box<str>);

impl ChapUser {
    /// Checks a CHAP name.
    ///
    /// # Errors
    /// It is empty, too long or has control characters.
    pub fn new(user: &str) -> Result<Self, ChapUserError> {
        match user.len() {
            0 => Err(ChapUserError::Empty),
            len if len > USER_BYTES_MAX => Err(ChapUserError::TooLong { len }),
            _ if user.chars().any(char::is_control) => Err(ChapUserError::ControlCharacter),
            _ => Ok(Self(user.into())),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChapUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a CHAP name can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChapUserError {
    /// Nothing at all.
    #[error("a CHAP user name can't be empty")]
    Empty,
    /// More than [`USER_BYTES_MAX`] bytes.
    #[error("a CHAP user name has at most {USER_BYTES_MAX} bytes; this one has {len}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A line break, tab or other control character.
    #[error("a CHAP user name is one line of text without control characters")]
    ControlCharacter,
}

/// A CHAP name with its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// CHAP_N.
    pub user: ChapUser,
    /// What is proven and never sent.
    pub secret: Secret,
}

/// How an initiator must prove itself, and how the target proves itself in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChapAccess {
    /// What the initiator proves.
    pub initiator: Credentials,
    /// What the target proves when the initiator asks for it.
    pub mutual: Option<Credentials>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("correct horse battery").unwrap();
        let credentials = Credentials {
            user: ChapUser::new("alice").unwrap(),
            secret,
        };
        let access = ChapAccess {
            mutual: Some(credentials.clone()),
            initiator: credentials,
        };
        let printed = format!("{access:?} {access:#?}");
        assert!(printed.contains("[secret]") && printed.contains("alice"));
        assert!(!printed.contains("horse"));
    }

    #[test]
    fn secrets_have_12_to_255_bytes_of_plain_text() {
        assert_eq!(
            Secret::new("elevenbytes"),
            Err(SecretError::TooShort { len: 11 })
        );
        assert!(Secret::new("twelve bytes").is_ok());
        assert!(Secret::new(&"x".repeat(255)).is_ok());
        assert_eq!(
            Secret::new(&"x".repeat(256)),
            Err(SecretError::TooLong { len: 256 })
        );
        assert_eq!(
            Secret::new("two lines\nof text"),
            Err(SecretError::ControlCharacter)
        );
    }

    #[test]
    fn user_names_have_1_to_255_bytes_of_plain_text() {
        assert_eq!(ChapUser::new(""), Err(ChapUserError::Empty));
        assert_eq!(ChapUser::new("a\tb"), Err(ChapUserError::ControlCharacter));
        assert!(ChapUser::new(&"x".repeat(255)).is_ok());
        assert_eq!(
            ChapUser::new(&"x".repeat(256)),
            Err(ChapUserError::TooLong { len: 256 })
        );
    }
}
