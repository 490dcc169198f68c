//! Automatic failover: who may serve hosts, decided by a third party that both ends reach ([`Holder`]). Sans-I/O: what
//! is asked of the store and when comes back as values; clocks are arguments.
//!
//! The store (etcd) has two keys for each mirror:
//!
//! * the **holder**, bound to a lease: whoever serves hosts. It goes when its lease isn't kept up.
//! * the **standing** ([`Standing`]), which stays: who was the source last, and which ends hold all that was
//!   acknowledged. Only those may take the holder's place.
//!
//! What follows from it:
//!
//! * Two ends never serve at once: an end serves only until [`Settings::valid_for`] after it *sent* the request that
//!   the store answered. The store counts the lease from when it got that request, so its lease is over later, if the
//!   two clocks run at rates that differ by no more than [`Settings::drift_ppm`].
//! * Nothing acknowledged is lost: a source that goes on without its target first takes the target out of the
//!   standing, as long as it is the holder. And it puts the target into it only when the target is in step.
//! * A request whose answer didn't come may be carried out at any time later. It does no harm: each change names the
//!   revision of the standing that it was made from.

mod holder;
mod store;

pub use holder::{Action, Event, Holder, Place, Report, Settings};
pub use store::{
    Answer, LeaseId, NotAStanding, Request, RequestId, Revision, Seen, Standing, Unanswered,
};

#[cfg(test)]
mod simulate;
#[cfg(test)]
mod tests;
