//! The ROD tokens that were made and not yet forgotten: for all sessions, since any initiator may use a
//! token that it has been given. Knows no sessions and does no I/O.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tidelock_replication::{Family, Id, MappedOptions, Volume, VolumeError, Watch};
use tidelock_scsi::{Extent, RodToken, RodTokenProblem};

use crate::registry::ServedVolume;

/// Tokens that are kept at a time: the one that was used longest ago makes room for a new one.
const MAX_TOKENS: usize = 256;
/// The same of one volume.
const MAX_OF_VOLUME: usize = 64;

/// All tokens.
#[derive(Debug, Default)]
pub struct Tokens(Mutex<VecDeque<Entry>>);

/// One token, and how it can be used.
#[derive(Debug)]
struct Entry {
    token: RodToken,
    made: Made,
    last_used: Instant,
    deleted: bool,
}

/// What keeps a token true.
#[derive(Clone, Debug)]
pub enum Kept {
    /// Nothing keeps the data: this notices when a block of it changes, and then the token is cancelled.
    Watched(Arc<Watch>),
    /// A snapshot that nobody else knows has it.
    Frozen(Arc<Frozen>),
    /// Nothing any more.
    Gone,
}

impl Kept {
    /// Whether the data may be another by now.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        match self {
            Self::Watched(watch) => watch.is_changed(),
            Self::Frozen(_) => false,
            Self::Gone => true,
        }
    }

    /// Where the data is, if it is what it was.
    fn store(&self, volume: &ServedVolume) -> Option<Arc<Volume>> {
        match self {
            Self::Watched(watch) => {
                let store = watch.volume()?;
                // The file behind the volume may be another one now.
                let same = volume.store().is_some_and(|now| Arc::ptr_eq(&now, &store));
                (same && !watch.is_changed()).then_some(store)
            }
            Self::Frozen(frozen) => Some(Arc::clone(&frozen.volume)),
            Self::Gone => None,
        }
    }
}

/// A snapshot that was made for a token. It goes with the token; a daemon that starts deletes all of which
/// nobody knows.
#[derive(Debug)]
pub struct Frozen {
    family: Arc<Family>,
    id: Id,
    volume: Arc<Volume>,
}

impl Frozen {
    /// Freezes a volume that is a head of a family. **Blocks.**
    ///
    /// # Errors
    /// The family can't make a snapshot durable.
    pub fn new(family: Arc<Family>, head: Id, of: &Volume, id: Id) -> Result<Self, VolumeError> {
        let options = MappedOptions {
            block_size: of.block_size().bytes(),
            size: of.size(),
            read_only: true,
        };
        Family::snapshot(&[(Arc::clone(&family), head, id)])?;
        match family.volume(id, &options) {
            Ok(volume) => Ok(Self { family, id, volume }),
            Err(error) => {
                family.delete(id)?;
                Err(error)
            }
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let (family, id) = (Arc::clone(&self.family), self.id);
        // It waits for the journal, and nobody waits for it.
        let deleted = std::thread::Builder::new().spawn(move || {
            if let Err(error) = family.delete(id) {
                tracing::debug!(%error, "the snapshot of a token stays until the next start");
            }
        });
        if let Err(error) = deleted {
            tracing::warn!(%error, "the snapshot of a token stays until the next start");
        }
    }
}

/// What a token is made of.
#[derive(Clone, Debug)]
pub struct Made {
    /// Whose blocks it stands for.
    pub volume: Weak<ServedVolume>,
    /// What keeps it true.
    pub kept: Kept,
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
    /// What is read.
    pub store: Arc<Volume>,
    /// Asked again after every read.
    pub kept: Kept,
    /// Which blocks, in order.
    pub ranges: Arc<[Extent]>,
}

impl Tokens {
    /// Keeps a token.
    pub fn keep(&self, token: RodToken, made: Made, now: Instant) {
        let mut tokens = self.0.lock();
        let of_volume = |kept: &Entry| kept.made.volume.ptr_eq(&made.volume);
        if tokens.iter().filter(|kept| of_volume(kept)).count() >= MAX_OF_VOLUME
            && let Some(oldest) = tokens.iter().position(of_volume)
        {
            tokens.remove(oldest);
        }
        if tokens.len() >= MAX_TOKENS {
            tokens.pop_front();
        }
        tokens.push_back(Entry {
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
            if delete {
                kept.deleted = true;
                kept.made.kept = Kept::Gone;
            }
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
    fn position(tokens: &VecDeque<Entry>, token: &RodToken) -> Option<usize> {
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

impl Entry {
    fn usable(&self, now: Instant) -> Result<Usable, RodTokenProblem> {
        if now.saturating_duration_since(self.last_used) > self.made.timeout {
            return Err(RodTokenProblem::Expired);
        }
        if self.deleted {
            return Err(RodTokenProblem::Deleted);
        }
        let Some(volume) = self.made.volume.upgrade() else {
            return Err(RodTokenProblem::Cancelled);
        };
        let store = self.made.kept.store(&volume);
        let store = store.ok_or(RodTokenProblem::Cancelled)?;
        Ok(Usable {
            volume,
            store,
            kept: self.made.kept.clone(),
            ranges: Arc::clone(&self.made.ranges),
        })
    }
}
