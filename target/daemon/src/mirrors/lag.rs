//! How far the target of an asynchronous mirror with a peer is behind: the daemon of the source tells the other one now and
//! then. Knows nothing of how that is measured, nor of how it is sent.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tidelock_mirror::link::Message;

/// It isn't told more often, but for a new cut.
const PAUSE: Duration = Duration::from_millis(500);

/// How far a target is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// Bytes that hosts have written since the cut that it has.
    pub(crate) bytes: u64,
    /// Milliseconds since that cut; 0 if nothing has been written since.
    pub(crate) ms: u64,
    /// When it was taken, in milliseconds since 1970; 0 if nobody knows.
    pub(crate) cut_unix_ms: u64,
    /// Whether that is as near as it should be.
    pub(crate) rpo_kept: bool,
}

/// What was told, and when.
type At = (Told, Instant);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Lag {
    /// By the end here to the other one, in this connection.
    sent: Mutex<Option<At>>,
    /// By the other one.
    heard: Mutex<Option<At>>,
}

impl Lag {
    /// What the other end is to be told now, if anything.
    pub(super) fn tells(&self, told: Told) -> Option<Message> {
        let mut sent = self.sent.lock();
        if let Some((last, at)) = &*sent {
            let is_new = last.cut_unix_ms != told.cut_unix_ms || last.rpo_kept != told.rpo_kept;
            if *last == told || !is_new && at.elapsed() < PAUSE {
                return None;
            }
        }
        *sent = Some((told, Instant::now()));
        let Told {
            bytes,
            ms,
            cut_unix_ms,
            rpo_kept,
        } = told;
        Some(Message::Behind {
            bytes,
            ms,
            cut_unix_ms,
            rpo_kept,
        })
    }

    /// There is another connection, on which nothing was told yet.
    pub(super) fn begins_anew(&self) {
        *self.sent.lock() = None;
    }

    /// The other end has told. True: people may want to know at once.
    pub(super) fn hears(&self, told: Told) -> bool {
        let before = self.heard.lock().replace((told, Instant::now()));
        before.is_none_or(|(before, _)| before.rpo_kept != told.rpo_kept)
    }

    /// What the other end told last, and how long ago.
    pub(super) fn heard(&self) -> Option<(Told, Duration)> {
        let heard = *self.heard.lock();
        heard.map(|(told, at)| (told, at.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: Told = Told {
        bytes: 4096,
        ms: 100,
        cut_unix_ms: 7,
        rpo_kept: true,
    };

    #[test]
    fn a_new_cut_is_told_at_once_and_what_has_not_changed_never() {
        let lag = Lag::default();
        assert!(lag.tells(TOLD).is_some());
        assert!(lag.tells(TOLD).is_none());
        assert!(lag.tells(Told { ms: 350, ..TOLD }).is_none(), "too soon");
        let cut = Told {
            cut_unix_ms: 8,
            ..TOLD
        };
        assert!(lag.tells(cut).is_some());
        lag.begins_anew();
        assert!(lag.tells(cut).is_some());
    }

    #[test]
    fn that_it_is_too_far_behind_is_news() {
        let lag = Lag::default();
        assert!(lag.hears(TOLD));
        assert!(!lag.hears(Told { bytes: 1, ..TOLD }));
        let missed = Told {
            rpo_kept: false,
            ..TOLD
        };
        assert!(lag.hears(missed));
        assert_eq!(lag.heard().map(|(told, _)| told), Some(missed));
    }
}
