//! Whether data are compressed on a link, and what came of it. Knows no frames.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What has gone out on a link while data were to be compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compressed {
    /// Bytes of data.
    pub bytes: u64,
    /// Bytes that they were sent in.
    pub sent_bytes: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// The peer understands it.
    possible: AtomicBool,
    /// The end here wants it.
    wanted: AtomicBool,
    bytes: AtomicU64,
    sent_bytes: AtomicU64,
}

impl Wire {
    /// The peer understands compressed data, or doesn't.
    pub(super) fn allow(&self, possible: bool) {
        self.possible.store(possible, Ordering::Relaxed);
    }

    /// The end here wants data to be compressed from now on, or no more.
    pub(super) fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::Relaxed);
    }

    /// Whether what is sent next is to be compressed.
    pub(super) fn compresses(&self) -> bool {
        self.possible.load(Ordering::Relaxed) && self.wanted.load(Ordering::Relaxed)
    }

    /// Some data were sent.
    pub(super) fn count(&self, bytes: usize, sent_bytes: usize) {
        for (counter, bytes) in [(&self.bytes, bytes), (&self.sent_bytes, sent_bytes)] {
            counter.fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
        }
    }

    /// What has gone out; `None`: the peer doesn't understand compressed data.
    pub(super) fn compressed(&self) -> Option<Compressed> {
        self.possible.load(Ordering::Relaxed).then(|| Compressed {
            bytes: self.bytes.load(Ordering::Relaxed),
            sent_bytes: self.sent_bytes.load(Ordering::Relaxed),
        })
    }
}
