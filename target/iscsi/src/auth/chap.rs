//! CHAP (RFC 1994, RFC 7143 §12.1.3): the algorithms by their IANA numbers, and one response routine
//! for all of them. Knows nothing of keys and of who asks whom first.

use md5::Md5;
use sha1::Sha1;
use sha2::Sha256;
use sha3::Sha3_256;
use sha3::digest::Digest;

use super::Secret;

/// Whom a target believes, and as whom it answers.
#[derive(Clone, Debug)]
pub struct ChapPolicy {
    /// The name that the initiator must give (CHAP_N).
    pub user: String,
    /// The secret that the initiator must know.
    pub secret: Secret,
    /// The name and the secret with which the target proves itself when the initiator asks it to. The
    /// secret must differ from the initiator's (RFC 7143 §9.2.1).
    pub mutual: Option<(String, Secret)>,
}

/// The digest algorithms of CHAP, by the numbers of the IANA registry "PPP Authentication Algorithms".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChapAlgorithm {
    /// 5: MD5, 16 bytes.
    Md5,
    /// 6: SHA-1, 20 bytes.
    Sha1,
    /// 7: SHA-256, 32 bytes.
    Sha256,
    /// 8: SHA3-256, 32 bytes.
    Sha3_256,
}

impl ChapAlgorithm {
    /// The longest response of any algorithm in bytes.
    pub const MAX_RESPONSE_LENGTH: usize = 32;

    /// The algorithm of this number, if it is one of ours.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        match number {
            5 => Some(Self::Md5),
            6 => Some(Self::Sha1),
            7 => Some(Self::Sha256),
            8 => Some(Self::Sha3_256),
            _ => None,
        }
    }

    /// The IANA number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Md5 => 5,
            Self::Sha1 => 6,
            Self::Sha256 => 7,
            Self::Sha3_256 => 8,
        }
    }

    /// The response to a challenge: the digest over identifier, secret and challenge, in this order
    /// (RFC 1994 §4.1).
    #[must_use]
    pub fn response(self, identifier: u8, secret: &Secret, challenge: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => respond::<Md5>(identifier, secret, challenge),
            Self::Sha1 => respond::<Sha1>(identifier, secret, challenge),
            Self::Sha256 => respond::<Sha256>(identifier, secret, challenge),
            Self::Sha3_256 => respond::<Sha3_256>(identifier, secret, challenge),
        }
    }
}

fn respond<D: Digest>(identifier: u8, secret: &Secret, challenge: &[u8]) -> Vec<u8> {
    D::new()
        .chain_update([identifier])
        .chain_update(secret.expose())
        .chain_update(challenge)
        .finalize()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::encode_hex;

    // Computed with Python's hashlib, which shares no code with the crates used here.
    const VECTORS: [(ChapAlgorithm, &str, &str); 4] = [
        (
            ChapAlgorithm::Md5,
            "0x9b8d0e1ca8da4aba787b168862e2d6de",
            "0xde478e39395ba6ca2026e7dfeb516fbf",
        ),
        (
            ChapAlgorithm::Sha1,
            "0xa46d0f0348da6b9b8ccfc061032caa56f451e176",
            "0xe4a3d7754f6a7b86348ee82fa91e07c9ff0ee788",
        ),
        (
            ChapAlgorithm::Sha256,
            "0x03a5cec0e5f1137ff2ec093cca0f074cdf58e72f28c11172aae8cf7191432858",
            "0x04d1cbd0d0541e9fd19bba14c3a9ae9e9a3c7a8773c8957c2a8e039ad2a52fc2",
        ),
        (
            ChapAlgorithm::Sha3_256,
            "0x569eb62269fa52f14fa6df27e83d89bc7a794493b5d1bcc813cb646bd37f4626",
            "0x2123029239e3818ff81424c5fd7a33f063d05928c852ed78f4fa285b2e223de1",
        ),
    ];

    #[test]
    fn responses_match_vectors_computed_elsewhere() {
        let short: Vec<u8> = (0..32).collect();
        let long: Vec<u8> = (0..1_024usize)
            .map(|k| (7 * k + 3).to_le_bytes()[0])
            .collect();
        for (algorithm, on_short, on_long) in VECTORS {
            let secret = Secret::from("0123456789abcdef");
            let response = algorithm.response(0x5a, &secret, &short);
            assert_eq!(encode_hex(&response), on_short, "{algorithm:?}");
            let secret = Secret::from("a secret of 22 bytes..");
            let response = algorithm.response(0xff, &secret, &long);
            assert_eq!(encode_hex(&response), on_long, "{algorithm:?}");
        }
    }

    #[test]
    fn algorithms_have_their_iana_numbers() {
        for (algorithm, number) in VECTORS
            .map(|(algorithm, ..)| algorithm)
            .into_iter()
            .zip(5..)
        {
            assert_eq!(algorithm.number(), number);
            assert_eq!(ChapAlgorithm::from_number(number.into()), Some(algorithm));
        }
        for number in [0, 4, 9, 261] {
            assert_eq!(ChapAlgorithm::from_number(number), None);
        }
    }

    #[test]
    fn a_policy_prints_no_secret() {
        let policy = ChapPolicy {
            user: "host".into(),
            secret: Secret::from("in-secret-value"),
            mutual: Some(("target".into(), Secret::from("out-secret-value"))),
        };
        let text = format!("{policy:?}");
        assert!(text.contains("host") && text.contains("target"));
        assert!(!text.contains("secret-value"), "{text}");
    }
}
