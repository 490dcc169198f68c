//! What the tests stand on: a daemon to spawn and kill, its command line, and an initiator of the
//! tests' own that knows nothing of the target's code.

pub(crate) mod daemon;
pub(crate) mod disk;
pub(crate) mod etcd;
pub(crate) mod initiator;

use std::fmt::Display;
use std::time::{Duration, Instant};

/// Waits until `condition` holds; fails the test after `limit`.
pub(crate) fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, limit, || condition().then_some(()).ok_or(""));
}

/// Waits until there is a value, and returns it; fails the test after `limit`, with what there was instead.
pub(crate) fn wait_for<T, E: Display>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<T, E>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match look() {
            Ok(value) => return value,
            Err(instead) => assert!(
                Instant::now() < deadline,
                "waited {limit:?} in vain for: {what} {instead:#}"
            ),
        }
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
