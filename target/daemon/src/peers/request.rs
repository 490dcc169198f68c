//! What daemons ask each other, and what strangers may. Only values; new requests are added as further variants.
//!
//! A daemon that doesn't know a request says so ([`PeerAnswer::Refused`]), and one that doesn't know a field of a
//! request ignores it. What has another meaning gets another name, or another protocol in the TLS handshake.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// What one daemon asks of another that trusts it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "request", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PeerRequest {
    /// Are you there, and who are you?
    Greet(Greeting),
    /// Something about mirrors, which are the only ones who know what.
    Mirrors {
        /// What.
        body: Value,
    },
}

/// What it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PeerAnswer {
    /// To [`PeerRequest::Greet`].
    Greeting(Greeting),
    /// To [`PeerRequest::Mirrors`].
    Mirrors {
        /// The answer.
        body: Value,
    },
    /// Nothing was done.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
}

/// What a daemon says of itself to those whom it trusts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Greeting {
    /// Its identity.
    pub node: Uuid,
    /// What it calls itself.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// The tags of its portal groups.
    #[serde(default)]
    pub portal_groups: Vec<u16>,
}

impl Greeting {
    /// Texts of another daemon are shown to people: no more of them than that, and nothing that steers a terminal.
    pub(super) fn tamed(mut self) -> Self {
        for text in [&mut self.name, &mut self.version] {
            *text = tame(text, 64);
        }
        self.portal_groups.truncate(16);
        self
    }
}

/// A text of another daemon, cut to so many characters.
pub(super) fn tame(text: &str, most: usize) -> String {
    text.chars()
        .filter(|it| !it.is_control())
        .take(most)
        .collect()
}

/// Asking to be a peer: all that a stranger can say.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct PairRequest {
    /// Its identity.
    pub(super) node: Uuid,
    /// What it calls itself.
    pub(super) name: String,
    /// Where it listens for peers, as far as it knows itself: the address may be unspecified.
    pub(super) portal: std::net::SocketAddr,
}

/// What a stranger is answered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct PairAnswer {
    /// The identity of who answers.
    pub(super) node: Uuid,
    /// It trusts who asks already.
    pub(super) accepted: bool,
    /// Why nothing comes of it, if so.
    #[serde(default)]
    pub(super) refused: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_fields_are_ignored_and_unknown_requests_are_not_understood() {
        let node = Uuid::from_u128(7);
        let text = format!(
            r#"{{"request":"greet","node":"{node}","name":"a","version":"9","colour":"blue"}}"#
        );
        let PeerRequest::Greet(greeting) = serde_json::from_str(&text).unwrap() else {
            panic!("another request")
        };
        assert_eq!((greeting.node, greeting.portal_groups.len()), (node, 0));
        let error = serde_json::from_str::<PeerRequest>(r#"{"request":"dance"}"#).unwrap_err();
        assert!(error.to_string().contains("unknown variant"), "{error}");
    }

    #[test]
    fn texts_of_others_are_cut_and_harmless() {
        let wild = Greeting {
            node: Uuid::nil(),
            name: "\u{1b}[31mred".into(),
            version: "9".repeat(1000),
            portal_groups: vec![1; 1000],
        };
        let tame = wild.tamed();
        assert_eq!((tame.name.as_str(), tame.version.len()), ("[31mred", 64));
        assert_eq!(tame.portal_groups.len(), 16);
    }
}
