//! A CHAP secret in memory: it never prints, and it is compared without telling by the time it takes.

use std::fmt;

use subtle::ConstantTimeEq;

/// A secret shared with a peer. `Debug` shows `[secret]`, there is no `Display`, and comparison takes
/// the same time wherever the first difference is (the lengths may show).
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Takes the bytes of a secret as they are. RFC 7143 §9.2.1 wants at least 96 bits of it; whoever
    /// stores secrets checks that.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into().into_boxed_slice())
    }

    /// The bytes, for a digest to take in.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints() {
        let secret = Secret::from("open sesame");
        assert_eq!(
            format!("{secret:?} {:#?}", Some(&secret)),
            "[secret] Some(\n    [secret],\n)"
        );
    }

    #[test]
    fn secrets_are_equal_when_their_bytes_are() {
        assert_eq!(Secret::from("open sesame"), Secret::new(*b"open sesame"));
        assert_ne!(Secret::from("open sesame"), Secret::from("open sesamf"));
        assert_ne!(Secret::from("open sesame"), Secret::from("open sesame "));
    }
}
