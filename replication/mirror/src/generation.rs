//! Who is right: the generations of the content, kept durably by each end, and what follows when two ends meet.
//! Knows no data and no links.
//!
//! A *generation* is the span of writes from one moment to the next such moment. Each end keeps a [`Lineage`]: the
//! generations that its content has gone through. Its last one is the current generation. The rules are
//!
//! 1. A source acknowledges a write in a generation only when every *holder* of it has the write: every peer that
//!    may have the generation in its own lineage ([`Record::holders`]).
//! 2. To acknowledge without a holder, or with a new one, the source begins a new generation. It is durable here,
//!    then durable at each of its holders, and only then something is acknowledged in it.
//! 3. A target takes a generation into its lineage only when all that the source sent before is durable.
//! 4. An end that takes over by force begins a new generation, before it serves anybody.
//!
//! So if one lineage goes on where the other ends, the longer one has all that was acknowledged; and if both go on,
//! both may have acknowledged something of their own, which is a split brain and is said to be one. Ends of the
//! same generation differ at most where writes were on their way or weren't flushed; where that is, is known
//! ([`crate::region_log`]).

mod keeper;
mod lineage;
mod record;
mod verdict;

pub use keeper::{Keeper, KeeperAction, Refusal, Standing};
pub use lineage::{Generation, LINEAGE_MAX, Lineage, Why};
pub use record::{Receiving, Record, Role, View};
pub use verdict::{Verdict, verdict};
