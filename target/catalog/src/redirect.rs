//! Where a target's initiators are sent instead (RFC 7143 §11.13.5). Only values: resolves no names.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

/// The IANA port of iSCSI.
const DEFAULT_PORT: u16 = 3260;
/// The longest domain name in its written form, in bytes (RFC 1035 §2.3.4, less root and length).
const DOMAIN_BYTES_MAX: usize = 253;
/// The longest label of one (RFC 1035 §2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// Where a target is for now, or for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The portal that initiators are to log in to.
    pub to: PortalAddress,
    /// For good: initiators may remember it.
    pub permanent: bool,
}

/// A portal somewhere: an address or a domain name, and a port. Written as in TargetAddress
/// (RFC 7143 §13.8), always with the port and never with a portal group tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortalAddress {
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    Name(Box<str>),
}

impl PortalAddress {
    /// The address and port, unless it is a name.
    #[must_use]
    pub fn socket_address(&self) -> Option<SocketAddr> {
        match self.host {
            Host::Address(address) => Some(SocketAddr::new(address, self.port)),
            Host::Name(_) => None,
        }
    }

    /// The domain name, unless it is an address.
    #[must_use]
    pub fn domain_name(&self) -> Option<&str> {
        match &self.host {
            Host::Address(_) => None,
            Host::Name(name) => Some(name),
        }
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for PortalAddress {
    type Err = PortalAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, DEFAULT_PORT)
    }
}

impl PortalAddress {
    /// Reads an address where the port is another one if none is given.
    pub(crate) fn parse(text: &str, default_port: u16) -> Result<Self, PortalAddressError> {
        if text.contains(',') {
            return Err(PortalAddressError::Tag);
        }
        let form = || PortalAddressError::Form {
            found: text.chars().take(64).collect(),
        };
        // Without brackets, it is all address.
        let (host, port) = if text.parse::<Ipv6Addr>().is_ok() {
            (text, None)
        } else if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(form)?;
            host.parse::<Ipv6Addr>().map_err(|_| form())?;
            match rest {
                "" => (host, None),
                _ => (host, Some(rest.strip_prefix(':').ok_or_else(form)?)),
            }
        } else {
            match text.split_once(':') {
                None => (text, None),
                Some((host, port)) => (host, Some(port)),
            }
        };
        let port = match port {
            None => default_port,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                let port = digits.parse().ok().filter(|&port| port != 0);
                port.ok_or_else(form)?
            }
            Some(_) => return Err(form()),
        };
        let host = match host.parse::<IpAddr>() {
            Ok(address) => Host::Address(one_host(address)?),
            Err(_) if is_domain_name(host) => Host::Name(host.to_ascii_lowercase().into()),
            Err(_) => return Err(form()),
        };
        Ok(Self { host, port })
    }
}

/// An address that a connection can be made to.
fn one_host(address: IpAddr) -> Result<IpAddr, PortalAddressError> {
    let address = address.to_canonical();
    if address.is_unspecified() || address.is_multicast() {
        return Err(PortalAddressError::Nobody { address });
    }
    Ok(address)
}

/// Labels of letters, digits and hyphens (RFC 1123 §2.1); the last one isn't a number, or it would be
/// an address with a mistake in it.
fn is_domain_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let numeric = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    name.len() <= DOMAIN_BYTES_MAX
        && name.split('.').all(is_label)
        && !name.rsplit('.').next().is_none_or(numeric)
}

impl fmt::Display for PortalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(address) => SocketAddr::new(*address, self.port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

/// Why something isn't a portal's address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PortalAddressError {
    /// It doesn't look like one.
    #[error(
        "{found:?} is not a portal's address: write it like 192.0.2.7, 192.0.2.7:3260, \
         [2001:db8::7]:3260 or storage.example.com:3260"
    )]
    Form {
        /// What it is, cut to a length that is fit for a message.
        found: String,
    },
    /// It has a portal group tag.
    #[error(
        "a redirection names no portal group tag (RFC 7143 §13.8): leave out the comma and the number"
    )]
    Tag,
    /// Nobody can be there.
    #[error("nobody can log in at {address}: give the address of one portal")]
    Nobody {
        /// The address.
        address: IpAddr,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_target_address_has_them() {
        for (given, normal) in [
            ("192.0.2.7", "192.0.2.7:3260"),
            ("192.0.2.7:3261", "192.0.2.7:3261"),
            ("[2001:DB8::7]", "[2001:db8::7]:3260"),
            ("[2001:db8::7]:860", "[2001:db8::7]:860"),
            ("2001:db8::7", "[2001:db8::7]:3260"),
            ("::ffff:192.0.2.7", "192.0.2.7:3260"),
            ("Storage.Example.com", "storage.example.com:3260"),
            ("host-2:65535", "host-2:65535"),
            ("127.0.0.1", "127.0.0.1:3260"),
        ] {
            let address: PortalAddress = given.parse().unwrap();
            assert_eq!(address.to_string(), normal);
            assert_eq!(normal.parse(), Ok(address));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}.com", "x".repeat(64));
        let longer = "x.".repeat(130) + "com";
        for text in [
            "",
            ":",
            ":3260",
            "[",
            "[]",
            "[::1",
            "[::1]3260",
            "[192.0.2.7]:1",
            "[::1]:",
            "a:0",
            "a:65536",
            "a:+1",
            "a:1:2",
            "a b",
            "-a",
            "a-",
            "a..b",
            "10.0.0",
            "10.0.0.256",
            "ü",
            "a_b",
            "a\nb",
            &long,
            &longer,
        ] {
            let error = text.parse::<PortalAddress>().unwrap_err();
            assert!(matches!(error, PortalAddressError::Form { .. }), "{text}");
            assert!(error.to_string().len() < 300);
        }
        for text in ["192.0.2.7,1", "[::1]:3260,2"] {
            assert_eq!(text.parse::<PortalAddress>(), Err(PortalAddressError::Tag));
        }
        for text in ["0.0.0.0", "[::]:3260", "224.0.0.1", "ff02::1"] {
            let error = text.parse::<PortalAddress>().unwrap_err();
            assert!(matches!(error, PortalAddressError::Nobody { .. }), "{text}");
        }
    }
}
