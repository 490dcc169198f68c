//! Peers: other daemons that this one trusts, for mirrors. Only values: resolves no names, makes no keys.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use thiserror::Error;
use uuid::Uuid;

use crate::redirect::PortalAddress;
use crate::snapshot::PeerName;

/// Most peers of one catalog.
pub const PEERS_MAX: usize = 64;
/// The port of a peer's portal if none is given.
pub const PEER_PORT: u16 = 3261;

/// A daemon that this one trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What it is called here.
    pub name: PeerName,
    /// Where its peer portal is.
    pub address: PeerAddress,
    /// Of its key.
    pub fingerprint: Fingerprint,
    /// Its identity, as its own catalog has it.
    pub node: Uuid,
}

/// What tells a daemon's key from others: the SHA-256 of its public key, as a SubjectPublicKeyInfo in DER (RFC 5280
/// §4.1.2.7). Written `SHA256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

const PREFIX: &str = "SHA256:";

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why something isn't a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{found:?} is not a fingerprint: write it as `tidelock status` of the other daemon shows it, {PREFIX} and 64 \
     hexadecimal digits"
)]
pub struct FingerprintError {
    /// What it is, cut to a length that is fit for a message.
    found: String,
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || FingerprintError {
            found: text.chars().take(80).collect(),
        };
        let digits = text.strip_prefix(PREFIX).ok_or_else(wrong)?;
        let mut bytes = [0; 32];
        if digits.len() != 2 * bytes.len() || !digits.bytes().all(|it| it.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            let pair = digits.get(2 * at..2 * at + 2).unwrap_or_default();
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

/// Where a peer's portal is: an address or a domain name, and a port, always written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress(PortalAddress);

impl PeerAddress {
    /// The address and port, unless it is a name.
    #[must_use]
    pub fn socket_address(&self) -> Option<SocketAddr> {
        self.0.socket_address()
    }

    /// The domain name, unless it is an address.
    #[must_use]
    pub fn domain_name(&self) -> Option<&str> {
        self.0.domain_name()
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port()
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why something isn't a peer's address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{found:?} is not a peer's address: write it like 192.0.2.7, 192.0.2.7:{PEER_PORT}, [2001:db8::7]:{PEER_PORT} \
     or storage.example.com:{PEER_PORT}"
)]
pub struct PeerAddressError {
    /// What it is, cut to a length that is fit for a message.
    found: String,
}

impl FromStr for PeerAddress {
    type Err = PeerAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = || text.chars().take(64).collect();
        PortalAddress::parse(text, PEER_PORT)
            .map(Self)
            .map_err(|_| PeerAddressError { found: found() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_they_are_written() {
        let one = Fingerprint(std::array::from_fn(|at| u8::try_from(at).unwrap() * 8));
        let text = one.to_string();
        assert!(text.starts_with("SHA256:0008101820"), "{text}");
        assert_eq!(text.parse(), Ok(one));
        assert_eq!(
            format!("{PREFIX}{}", text[7..].to_uppercase()).parse(),
            Ok(one)
        );
        let long = format!("{text}00");
        for wrong in [
            "",
            "SHA256:",
            &text[1..],
            &text[..70],
            &long,
            &text.replace('8', "g"),
        ] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
        let odd = format!("{PREFIX}{}", "ä".repeat(32));
        assert!(odd.parse::<Fingerprint>().is_err());
        let signs = format!("{PREFIX}{}", "+1".repeat(32));
        assert!(signs.parse::<Fingerprint>().is_err());
    }

    #[test]
    fn addresses_have_the_port_of_peers_unless_they_say_another() {
        for (given, normal) in [
            ("192.0.2.7", "192.0.2.7:3261"),
            ("2001:db8::7", "[2001:db8::7]:3261"),
            ("Host.example.com:99", "host.example.com:99"),
        ] {
            let address: PeerAddress = given.parse().unwrap();
            assert_eq!(address.to_string(), normal);
            assert_eq!(normal.parse(), Ok(address));
        }
        for wrong in ["", "0.0.0.0", "192.0.2.7,1", "a b", "x:0"] {
            let error = wrong.parse::<PeerAddress>().unwrap_err().to_string();
            assert!(error.contains("is not a peer's address"), "{error}");
        }
    }
}
