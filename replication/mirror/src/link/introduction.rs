//! The introduction: each end says who it is and what it mirrors, and proves that it is there now. Nothing of a
//! mirror is told or changed before both are satisfied.
//!
//! ```text
//! either end                       the other
//!   Hello { nonce A, ... }  ────▶
//!                           ◀────  Hello { nonce B, ... }
//!   Proof { nonce B }       ────▶
//!                           ◀────  Proof { nonce A }
//! ```

use bytes::Bytes;
use thiserror::Error;

use super::fields::{FieldError, Reader, Writer};
use super::frame::{Frame, Kind};
use crate::id::{MirrorId, NodeId};

const HELLO: u8 = 0x01;
const PROOF: u8 = 0x02;
const CLOSE: u8 = 0x03;
/// The connection is there, and there is nothing to say. Possible at any time after the introduction.
pub const ALIVE: Kind = Kind(0x04);
/// Bytes of the text of a refusal.
const TEXT_MAX: usize = 1024;
/// How many mirrors one behind the other a volume's content may come through.
const CHAIN_MAX: usize = 16;

/// What an end says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ours {
    /// The lowest and the highest version of what follows the introduction that it can speak.
    pub versions: (u32, u32),
    /// This end.
    pub node: NodeId,
    /// What is mirrored.
    pub mirror: MirrorId,
    /// Bytes of the volume.
    pub size: u64,
    /// Bytes of its logical blocks.
    pub block_bytes: u32,
    /// Bytes of its regions.
    pub region_bytes: u64,
    /// Drawn for this connection alone.
    pub nonce: u128,
    /// Whether it is the source of this mirror, as far as it knows.
    pub is_source: bool,
    /// The ends from which the content comes to this one through other mirrors, the nearest first.
    pub chain: Vec<NodeId>,
}

/// What the two have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Introduced {
    /// The other end.
    pub peer: NodeId,
    /// The version that both speak.
    pub version: u32,
    /// Whether it is the source of this mirror, as far as it knows.
    pub is_source: bool,
}

/// Why an end is refused. The text names the other side; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No version is spoken by both.
    #[error(
        "{peer} speaks versions {theirs:?} of the mirror protocol, and this end {ours:?}: update the older daemon"
    )]
    Version {
        /// The other side.
        peer: NodeId,
        /// Its lowest and highest.
        theirs: (u32, u32),
        /// Ours.
        ours: (u32, u32),
    },
    /// Another mirror.
    #[error(
        "{peer} wants to talk about mirror {theirs}, and this volume is in mirror {ours}: check which volumes were named"
    )]
    OtherMirror {
        /// The other side.
        peer: NodeId,
        /// Its mirror.
        theirs: MirrorId,
        /// Ours.
        ours: MirrorId,
    },
    /// Another size.
    #[error(
        "the volume of {peer} has {theirs} bytes, and this one {ours}: both ends need the same size"
    )]
    OtherSize {
        /// The other side.
        peer: NodeId,
        /// Its size.
        theirs: u64,
        /// Ours.
        ours: u64,
    },
    /// Other blocks or regions.
    #[error(
        "the volume of {peer} has {what} of {theirs} bytes, and this one of {ours}: both ends need the same"
    )]
    OtherBlocks {
        /// The other side.
        peer: NodeId,
        /// Blocks or regions.
        what: &'static str,
        /// Its.
        theirs: u64,
        /// Ours.
        ours: u64,
    },
    /// Not the end that was to be there.
    #[error(
        "{peer} answers where {expected} was expected: check the address, and that no daemon runs from a copy of another's state"
    )]
    OtherNode {
        /// The other side.
        peer: NodeId,
        /// Who should be there.
        expected: NodeId,
    },
    /// The very same end.
    #[error("{peer} is this end itself: the address of the peer leads back here")]
    Itself {
        /// Both sides.
        peer: NodeId,
    },
    /// The mirrors lead in a circle.
    #[error(
        "{peer} gets its content from this end already, through other mirrors: a loop would never come to rest"
    )]
    Loop {
        /// The other side.
        peer: NodeId,
    },
    /// The volume has another source.
    #[error(
        "{peer} wants to send to this volume, which has {source_node} as its source already: end that mirror first"
    )]
    SecondSource {
        /// The other side.
        peer: NodeId,
        /// The source that it has.
        source_node: NodeId,
    },
    /// What it said is of another connection.
    #[error(
        "{peer} repeats what was said on another connection: somebody may be replaying a recording"
    )]
    Replayed {
        /// The other side.
        peer: NodeId,
    },
    /// It doesn't speak the protocol.
    #[error("the other side breaks the protocol: {0}")]
    Fields(#[from] FieldError),
    /// Not what is due.
    #[error("the other side sent a frame of kind {0} during the introduction")]
    Unexpected(u8),
    /// The other side refuses us.
    #[error("the other side refuses: {0}")]
    Refused(String),
}

/// What came of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this, and wait.
    Send(Kind, Vec<u8>),
    /// Both know each other.
    Done(Introduced),
}

/// One end of an introduction.
#[derive(Clone, Debug)]
pub struct Introduction {
    ours: Ours,
    /// Who should be there; `None`: anybody who knows the mirror.
    expected: Option<NodeId>,
    agreed: Option<Introduced>,
}

impl Introduction {
    /// The state, and what to send first.
    #[must_use]
    pub fn new(ours: Ours, expected: Option<NodeId>) -> (Self, Kind, Vec<u8>) {
        let mut fields = Writer::default();
        fields.u32(ours.versions.0);
        fields.u32(ours.versions.1);
        fields.u128(ours.node.0);
        fields.u128(ours.mirror.0);
        fields.u64(ours.size);
        fields.u32(ours.block_bytes);
        fields.u64(ours.region_bytes);
        fields.u128(ours.nonce);
        fields.flag(ours.is_source);
        fields.nodes(&ours.chain);
        let introduction = Self {
            ours,
            expected,
            agreed: None,
        };
        (introduction, Kind(HELLO), fields.0)
    }

    /// A frame came. After an error send [`Self::close`] and end the connection.
    ///
    /// # Errors
    ///
    /// Why the other side isn't accepted.
    pub fn receive(&mut self, frame: &Frame) -> Result<Step, Refusal> {
        let mut fields = Reader::new(frame.kind.0, frame.body.clone());
        match (frame.kind.0, self.agreed) {
            (HELLO, None) => {
                let theirs = hello(&mut fields)?;
                fields.end()?;
                self.check(&theirs)?;
                let version = self.ours.versions.1.min(theirs.versions.1);
                self.agreed = Some(Introduced {
                    peer: theirs.node,
                    version,
                    is_source: theirs.is_source,
                });
                let mut proof = Writer::default();
                proof.u128(theirs.nonce);
                Ok(Step::Send(Kind(PROOF), proof.0))
            }
            (PROOF, Some(agreed)) => {
                let nonce = fields.u128()?;
                fields.end()?;
                if nonce != self.ours.nonce {
                    return Err(Refusal::Replayed { peer: agreed.peer });
                }
                Ok(Step::Done(agreed))
            }
            (CLOSE, _) => Err(Refusal::Refused(closed(&frame.body))),
            (other, _) => Err(Refusal::Unexpected(other)),
        }
    }

    fn check(&self, theirs: &Ours) -> Result<(), Refusal> {
        let ours = &self.ours;
        let peer = theirs.node;
        if peer == ours.node {
            return Err(Refusal::Itself { peer });
        }
        if let Some(expected) = self.expected.filter(|it| *it != peer) {
            return Err(Refusal::OtherNode { peer, expected });
        }
        if ours.versions.0 > theirs.versions.1 || theirs.versions.0 > ours.versions.1 {
            return Err(Refusal::Version {
                peer,
                theirs: theirs.versions,
                ours: ours.versions,
            });
        }
        if theirs.mirror != ours.mirror {
            return Err(Refusal::OtherMirror {
                peer,
                theirs: theirs.mirror,
                ours: ours.mirror,
            });
        }
        if theirs.size != ours.size {
            return Err(Refusal::OtherSize {
                peer,
                theirs: theirs.size,
                ours: ours.size,
            });
        }
        let blocks = [
            (
                "blocks",
                u64::from(theirs.block_bytes),
                u64::from(ours.block_bytes),
            ),
            ("regions", theirs.region_bytes, ours.region_bytes),
        ];
        if let Some((what, theirs, ours)) =
            blocks.into_iter().find(|(_, theirs, ours)| theirs != ours)
        {
            return Err(Refusal::OtherBlocks {
                peer,
                what,
                theirs,
                ours,
            });
        }
        if !theirs.is_source {
            return Ok(());
        }
        if theirs.chain.contains(&ours.node) {
            return Err(Refusal::Loop { peer });
        }
        match ours.chain.first() {
            Some(source) => Err(Refusal::SecondSource {
                peer,
                source_node: *source,
            }),
            None => Ok(()),
        }
    }

    /// What to send before a connection is ended, so that the other side can say why.
    #[must_use]
    pub fn close(reason: &str) -> (Kind, Vec<u8>) {
        let mut end = reason.len().min(TEXT_MAX);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let mut fields = Writer::default();
        fields.bytes(reason.get(..end).unwrap_or_default().as_bytes());
        (Kind(CLOSE), fields.0)
    }
}

/// Whether a frame ends the connection, and why. Possible at any time.
#[must_use]
pub fn close_reason(frame: &Frame) -> Option<String> {
    (frame.kind.0 == CLOSE).then(|| closed(&frame.body))
}

/// Which mirror a frame that introduces somebody is about; `None` if it doesn't introduce anybody.
#[must_use]
pub fn introduces(frame: &Frame) -> Option<MirrorId> {
    if frame.kind.0 != HELLO {
        return None;
    }
    let mut fields = Reader::new(HELLO, frame.body.clone());
    hello(&mut fields).ok().map(|theirs| theirs.mirror)
}

/// A text of the other side, without what could do harm to a terminal or a log.
fn closed(body: &Bytes) -> String {
    let text = Reader::new(CLOSE, body.clone()).bytes(TEXT_MAX);
    let text = text.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.chars().filter(|it| !it.is_control()).collect()
}

fn hello(fields: &mut Reader) -> Result<Ours, Refusal> {
    let theirs = Ours {
        versions: (fields.u32()?, fields.u32()?),
        node: NodeId(fields.u128()?),
        mirror: MirrorId(fields.u128()?),
        size: fields.u64()?,
        block_bytes: fields.u32()?,
        region_bytes: fields.u64()?,
        nonce: fields.u128()?,
        is_source: fields.flag()?,
        chain: fields.nodes(CHAIN_MAX)?,
    };
    if theirs.versions.0 > theirs.versions.1 {
        return Err(fields
            .wrong("a range of versions ends before it begins")
            .into());
    }
    Ok(theirs)
}
