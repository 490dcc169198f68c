//! What the tests stand on: a daemon to spawn and kill, its command line, and an initiator of the
//! tests' own that knows nothing of the target's code.

pub(crate) mod daemon;
pub(crate) mod etcd;
pub(crate) mod initiator;

use std::time::{Duration, Instant};

/// Waits until `condition` holds; fails the test after `limit`.
pub(crate) fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "waited {limit:?} in vain for: {what}"
        );
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
