//! The ROD tokens that were made and not yet forgotten: for all sessions, since any initiator may use a
//! token that it has been given. Knows no sessions and does no I/O.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tidelock_replication::{Volume, Watch};
use tidelock_scsi::{Extent, RodToken, RodTokenProblem};

use crate::registry::ServedVolume;

/// Tokens that are kept at a time: the one that was used longest ago makes room for a new one.
const MAX_TOKENS: usize = 256;
/// The same of one volume.
const MAX_OF_VOLUME: usize = 64;

/// All tokens.
#[derive(Debug, Default)]
pub struct Tokens(Mutex<VecDeque<Kept>>);

/// One token, and how it can be used.
#[derive(Debug)]
struct Kept {
    token: RodToken,
    made: Made,
    last_used: Instant,
    deleted: bool,
}

/// What a token is made of.
#[derive(Clone, Debug)]
pub struct Made {
    /// Whose blocks it stands for.
    pub volume: Weak<ServedVolume>,
    /// Notices when one of them changes.
    pub watch: Arc<Watch>,
    /// Which blocks, in order.
    pub ranges: Arc<[Extent]>,
    /// How long it is kept without being used.
    pub timeout: Duration,
}

/// A token that can be used now.
#[derive(Debug)]
pub struct Usable {
    /// Whose blocks it stands for.
    pub volume: Arc<ServedVolume>,
    /// The file behind it.
    pub store: Arc<Volume>,
    /// Asked again after every read.
    pub watch: Arc<Watch>,
    /// Which blocks, in order.
    pub ranges: Arc<[Extent]>,
}

impl Tokens {
    /// Keeps a token.
    pub fn keep(&self, token: RodToken, made: Made, now: Instant) {
        let mut tokens = self.0.lock();
        let of_volume = |kept: &Kept| kept.made.volume.ptr_eq(&made.volume);
        if tokens.iter().filter(|kept| of_volume(kept)).count() >= MAX_OF_VOLUME
            && let Some(oldest) = tokens.iter().position(of_volume)
        {
            tokens.remove(oldest);
        }
        if tokens.len() >= MAX_TOKENS {
            tokens.pop_front();
        }
        tokens.push_back(Kept {
            token,
            made,
            last_used: now,
            deleted: false,
        });
    }

    /// Finds a token, which counts as a use of it.
    ///
    /// # Errors
    /// It is none of ours, or no longer good.
    pub fn use_token(&self, token: &RodToken, now: Instant) -> Result<Usable, RodTokenProblem> {
        let mut tokens = self.0.lock();
        let index = Self::position(&tokens, token).ok_or(RodTokenProblem::Unknown)?;
        let Some(mut kept) = tokens.remove(index) else {
            return Err(RodTokenProblem::Unknown);
        };
        let usable = kept.usable(now);
        if usable.is_ok() {
            kept.last_used = now;
        }
        // The order is that of the last use.
        tokens.push_back(kept);
        usable
    }

    /// A use of the token has ended: its inactivity begins anew, or with `delete` its end has come.
    pub fn end_use(&self, token: &RodToken, now: Instant, delete: bool) {
        let mut tokens = self.0.lock();
        let index = Self::position(&tokens, token);
        if let Some(kept) = index.and_then(|index| tokens.get_mut(index)) {
            kept.last_used = now;
            kept.deleted |= delete;
        }
    }

    /// Forgets what nobody has used for twice as long as it was to be kept; how long until it is worth
    /// looking at `token` again, if it is still there.
    pub fn sweep(&self, token: &RodToken, now: Instant) -> Option<Duration> {
        let mut tokens = self.0.lock();
        // Until then, who asks for an expired one is told so.
        tokens.retain(|kept| now.saturating_duration_since(kept.last_used) < kept.made.timeout * 2);
        let kept = tokens.get(Self::position(&tokens, token)?)?;
        let until = kept.last_used + kept.made.timeout * 2;
        Some(until.saturating_duration_since(now))
    }

    /// All of them are compared in full, so that the time tells nothing.
    fn position(tokens: &VecDeque<Kept>, token: &RodToken) -> Option<usize> {
        let found = tokens.iter().enumerate();
        found.fold(None, |found, (index, kept)| {
            if kept.token.is(token) {
                Some(index)
            } else {
                found
            }
        })
    }
}

impl Kept {
    fn usable(&self, now: Instant) -> Result<Usable, RodTokenProblem> {
        if now.saturating_duration_since(self.last_used) > self.made.timeout {
            return Err(RodTokenProblem::Expired);
        }
        if self.deleted {
            return Err(RodTokenProblem::Deleted);
        }
        let watched = self.made.watch.volume();
        let volume = self.made.volume.upgrade();
        let (Some(store), Some(volume)) = (watched, volume) else {
            return Err(RodTokenProblem::Cancelled);
        };
        // The file behind the volume may be another one now.
        let same = volume.store().is_some_and(|now| Arc::ptr_eq(&now, &store));
        if !same || self.made.watch.is_changed() {
            return Err(RodTokenProblem::Cancelled);
        }
        Ok(Usable {
            volume,
            store,
            watch: Arc::clone(&self.made.watch),
            ranges: Arc::clone(&self.made.ranges),
        })
    }
}
