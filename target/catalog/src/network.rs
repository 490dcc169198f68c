//! IPv4 and IPv6 networks, as access lists name them. Only values: knows no sockets.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// Bits before the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// A network: an address without host bits, and how many of its bits count. Written `10.0.0.0/8` or
/// `fd00::/8`; a single address is a network of all its bits, and written without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network of the first `prefix` bits of an address. One of IPv4-mapped IPv6 addresses is the
    /// IPv4 network that they stand for.
    ///
    /// # Errors
    /// `prefix` is longer than the address, or bits behind it are set.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, NetworkError> {
        let bits = bits(address);
        if prefix > bits {
            return Err(NetworkError::Prefix { prefix, bits });
        }
        let (address, prefix) = match address.to_canonical() {
            v4 if v4 != address && prefix >= MAPPED_BITS => (v4, prefix - MAPPED_BITS),
            _ => (address, prefix),
        };
        let masked = mask(address, prefix);
        if masked != address {
            return Err(NetworkError::HostBits {
                address,
                network: Self {
                    address: masked,
                    prefix,
                },
            });
        }
        Ok(Self { address, prefix })
    }

    /// Whether an address is one of the network's. An IPv4-mapped IPv6 address counts as the IPv4
    /// address that it stands for, and as nothing else.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && mask(address, self.prefix) == self.address
    }

    /// How many bits count: 0 for every address of the family.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.prefix
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with all bits behind the prefix cleared.
fn mask(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX
                .checked_shl(32_u32.saturating_sub(prefix.into()))
                .unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX
                .checked_shl(128_u32.saturating_sub(prefix.into()))
                .unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || NetworkError::Form {
            found: text.chars().take(64).collect(),
        };
        let (address, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((address, prefix)) => (address, Some(prefix)),
        };
        let address: IpAddr = address.parse().map_err(|_| form())?;
        let prefix = match prefix {
            None => bits(address),
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| form())?
            }
            Some(_) => return Err(form()),
        };
        Self::new(address, prefix)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)?;
        if self.prefix < bits(self.address) {
            write!(f, "/{}", self.prefix)?;
        }
        Ok(())
    }
}

/// Why something isn't a network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// It doesn't look like one.
    #[error(
        "{found:?} is not a network: write an IPv4 or IPv6 address and the number of its bits that \
         count, for example 10.0.0.0/8 or fd00::/8, or an address alone"
    )]
    Form {
        /// What it is, cut to a length that is fit for a message.
        found: String,
    },
    /// More bits than the address has.
    #[error("/{prefix} is too long: such an address has {bits} bits")]
    Prefix {
        /// What was asked for.
        prefix: u8,
        /// How many there are.
        bits: u8,
    },
    /// Bits that don't count are set: a part of the network may be meant, or all of it.
    #[error("{address} has bits beyond /{}: write {network} for the whole network, or {address} alone", network.prefix)]
    HostBits {
        /// The address.
        address: IpAddr,
        /// The network that it is in.
        network: Network,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn networks_are_written_in_one_way() {
        for (given, normal) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3"),
            ("10.1.2.3/32", "10.1.2.3"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("FD00:0::/8", "fd00::/8"),
            ("::/0", "::/0"),
            ("::1", "::1"),
            ("::1/128", "::1"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ] {
            assert_eq!(network(given).to_string(), normal, "{given}");
        }
    }

    #[test]
    fn what_is_not_a_network_is_refused_and_host_bits_are_corrected() {
        let error = |text: &str| text.parse::<Network>().unwrap_err().to_string();
        for text in [
            "",
            "10.0.0.0/",
            "10.0.0/8",
            "ten",
            "10.0.0.0/+8",
            "fe80::1%eth0",
            "/8",
            "1.2.3.4/8/8",
            "1.2.3.4/999",
        ] {
            assert!(error(text).contains("is not a network"), "{text}");
        }
        assert!(error("10.0.0.0/33").contains("has 32 bits"));
        assert!(error("fd00::/129").contains("has 128 bits"));
        assert_eq!(
            error("10.1.2.3/8"),
            "10.1.2.3 has bits beyond /8: write 10.0.0.0/8 for the whole network, or 10.1.2.3 alone"
        );
        assert!(error("fd00::1/64").contains("write fd00::/64"));
        assert!(error("::ffff:10.1.0.0/104").contains("write 10.0.0.0/8"));
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address_that_it_stands_for() {
        let mapped: IpAddr = "::ffff:10.1.2.3".parse().unwrap();
        assert!(network("10.0.0.0/8").contains(mapped));
        assert!(!network("11.0.0.0/8").contains(mapped));
        assert!(!network("::/0").contains(mapped));
        assert!(!network("0.0.0.0/0").contains("::1".parse().unwrap()));
    }

    proptest! {
        /// Bit by bit, against text of zeroes and ones.
        #[test]
        fn an_address_is_in_a_network_if_its_first_bits_are_the_same(
            address: u128, other: u128, prefix in 0_u8..=128, v4: bool, near: bool,
        ) {
            // Addresses that differ in few bits, else hardly any would be inside.
            let other = if near { address ^ (1 << (other % 128)) } else { other };
            let make = |bits: u128| -> IpAddr {
                if v4 {
                    IpAddr::V4(u32::try_from(bits >> 96).unwrap_or(0).into())
                } else {
                    IpAddr::V6((bits | 1 << 127).into())
                }
            };
            let prefix = if v4 { prefix.min(32) } else { prefix };
            let text = |address: IpAddr| match address {
                IpAddr::V4(v4) => format!("{:032b}", v4.to_bits()),
                IpAddr::V6(v6) => format!("{:0128b}", v6.to_bits()),
            };
            let (address, other) = (make(address), make(other));
            let network = Network::new(mask(address, prefix), prefix).unwrap();
            let end = usize::from(prefix);
            prop_assert!(network.contains(address));
            prop_assert_eq!(network.contains(other), text(address)[..end] == text(other)[..end]);
            prop_assert_eq!(network.to_string().parse::<Network>(), Ok(network));
        }
    }
}
