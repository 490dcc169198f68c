//! The messages between two ends that have introduced themselves. `docs/mirror-protocol.md` has their bytes.

use crate::association::{Differing, Durability};
use crate::data::Data;
use crate::generation::{Lineage, View};
use crate::id::{GenerationId, Incarnation};
use crate::region::RegionSet;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message {
    /// First, from both: what this end has gone through.
    Greeting {
        /// The durable record, as far as the peer needs it.
        view: View,
        /// Which run of the daemon this is.
        incarnation: Incarnation,
        /// Regions that may differ from an end of the same generation.
        unsettled: RegionSet,
        /// Bytes of data that the peer may have under way to us.
        window: u64,
    },
    /// From the source: the target has all that the source has, and gets every write from now on.
    InStep,
    /// From the source: the target lacks something and will be sent it.
    Resync {
        /// It goes on where the connection broke.
        resumes: bool,
    },
    /// From the target: it can be overwritten.
    Ready {
        /// Where it may differ from what the source knows of it.
        differing: Differing,
    },
    /// From the source: a write of a host.
    Write {
        /// Answered by [`Self::WriteDone`].
        sequence: u64,
        /// First byte.
        offset: u64,
        /// How safe it has to be before it is answered.
        durability: Durability,
        /// What is written.
        data: Data,
    },
    /// From the target.
    WriteDone {
        /// Of the write or the copy.
        sequence: u64,
    },
    /// From the source: make durable what was sent before.
    Flush {
        /// Answered by [`Self::FlushDone`].
        sequence: u64,
    },
    /// From the target.
    FlushDone {
        /// Of the flush.
        sequence: u64,
    },
    /// From the source: all writes of these regions are durable at every end.
    Settled {
        /// The regions.
        regions: RegionSet,
    },
    /// From the source: a part of a resync.
    Copy {
        /// Answered by [`Self::WriteDone`].
        sequence: u64,
        /// First byte.
        offset: u64,
        /// What is there.
        data: Data,
    },
    /// From the source: make durable what was sent before, then take this lineage.
    Adopt {
        /// The source's.
        lineage: Lineage,
    },
    /// From the target: done.
    Confirm {
        /// The lineage's current generation.
        generation: GenerationId,
    },
    /// From what was the source: be the source.
    TakeOver,
    /// May this end be the source?
    AskToTakeOver {
        /// Its current generation.
        generation: GenerationId,
        /// Where it may differ from other ends of it.
        unsettled: RegionSet,
    },
    /// No.
    Deny,
    /// From the source: how far its asynchronous target is behind. Nothing follows from it but what people are shown.
    Behind {
        /// Bytes that hosts have written since the cut that the target has.
        bytes: u64,
        /// Milliseconds since that cut; 0 if nothing has been written since.
        ms: u64,
        /// When it was taken, in milliseconds since 1970 by the source's clock; 0 if nobody knows.
        cut_unix_ms: u64,
        /// Whether that is as near as it should be.
        rpo_kept: bool,
    },
}

impl Message {
    /// What of the volume it carries.
    #[must_use]
    pub const fn data(&self) -> Option<&Data> {
        match self {
            Self::Write { data, .. } | Self::Copy { data, .. } => Some(data),
            _ => None,
        }
    }
}
