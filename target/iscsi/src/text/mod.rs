//! Text keys: `key=value` pairs as Login and Text PDUs carry them (RFC 7143 §6.1, §6.2).
//!
//! Owns the syntax, its limits, the set of keys that have a meaning here, and the spreading of long
//! text over several PDUs in both directions. Knows neither stages nor what a key is good for: that is
//! `negotiation`.

mod assembler;
mod keys;
mod outgoing;
mod pairs;
mod syntax;
mod value;

pub use assembler::Assembler;
pub use keys::Key;
pub use outgoing::OutgoingText;
pub use pairs::{TextPair, TextPairs};
pub use value::{Boolean, list, numerical};

pub(crate) use keys::KeySet;

/// The most bytes of text that one negotiation sequence may have: what RFC 7143 §6.1 asks a target to
/// take where long authentication items are in play.
pub const MAX_TEXT_LENGTH: usize = 65_536;

/// The most `key=value` pairs that one negotiation sequence may have. All keys of RFC 7143 together
/// are fewer than 50; the bound keeps answers from growing far larger than their questions.
pub const MAX_PAIRS: usize = 256;

/// The longest key name in bytes (RFC 7143 §6.1, standard-label).
pub const MAX_KEY_LENGTH: usize = 63;

/// The longest iSCSI name in bytes (RFC 7143 §4.2.7.1).
pub const MAX_NAME_LENGTH: usize = 223;

/// The longest value in bytes for keys that do not say otherwise (RFC 7143 §6.1).
pub const MAX_VALUE_LENGTH: usize = 255;

/// The data segment length that holds for either direction until a longer one was declared, in bytes
/// (RFC 7143 §13.12): how our own login text is cut.
pub const DEFAULT_SEGMENT_LENGTH: usize = 8_192;

/// The answer to a key that is not understood (RFC 7143 §6.2).
pub const NOT_UNDERSTOOD: &str = "NotUnderstood";
/// The answer to a key that has no meaning in the session at hand (RFC 7143 §6.2).
pub const IRRELEVANT: &str = "Irrelevant";
/// The answer to a value, or an offer, that is not admissible (RFC 7143 §6.2).
pub const REJECT: &str = "Reject";

/// What was wrong with text that came from the peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// The sequence of PDUs carries more text than the limit allows.
    #[error("the text is longer than {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// More pairs than [`MAX_PAIRS`].
    #[error("the text has more than {limit} key=value pairs")]
    TooManyPairs {
        /// The limit.
        limit: usize,
    },
    /// A key name breaks RFC 7143 §6.1, or there is no `=`.
    #[error(
        "byte {offset} of the text does not begin a key=value pair as RFC 7143 section 6.1 asks"
    )]
    MalformedPair {
        /// Where the pair begins, in bytes from the beginning of the text.
        offset: usize,
    },
    /// A value that is not UTF-8.
    #[error("the value of {key} is not UTF-8")]
    NotUtf8 {
        /// Name of the key.
        key: String,
    },
}
