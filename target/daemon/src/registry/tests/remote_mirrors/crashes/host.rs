//! A host that writes whichever of two volumes it may, one block after the other, and knows what was acknowledged.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;

use super::super::*;
use super::doom::Doom;

/// Blocks that it writes: it leaves the others alone.
const FROM: usize = 16;
const COUNT: usize = 200;
/// From one write to the next one.
const PAUSE: Duration = Duration::from_millis(2);

/// Whether it is to end, and what does it.
type Path = (Arc<AtomicBool>, JoinHandle<()>);

#[derive(Default)]
struct Written {
    next: usize,
    acknowledged: Vec<u8>,
}

/// See the module.
#[derive(Clone, Default)]
pub(super) struct Host {
    written: Arc<Mutex<Written>>,
    /// Its paths.
    paths: Arc<Mutex<Vec<Path>>>,
}

impl Host {
    /// It uses this path as well, until the daemon dies.
    pub(super) fn uses(&self, daemon: &Daemon, name: &str, doom: Option<&Arc<Doom>>) {
        let registry = daemon.house.registry();
        let Some(served) = registry.volume(&volume(name)) else {
            return;
        };
        let write = daemon.house.tries(name);
        let (written, doom) = (Arc::clone(&self.written), doom.cloned());
        let ends = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&ends);
        let path = std::thread::spawn(move || {
            let is_dead = || doom.as_ref().is_some_and(|it| it.is_dead());
            while !is_over.load(Ordering::SeqCst) && !is_dead() {
                std::thread::sleep(PAUSE);
                if shown(served.unit()) != Shown::ActiveOptimized {
                    continue;
                }
                let number = {
                    let mut written = written.lock();
                    written.next += 1;
                    written.next - 1
                };
                let (block, value) = (FROM + number % COUNT, 2 + number / COUNT);
                let Ok(value) = u8::try_from(value) else {
                    // It has written enough.
                    break;
                };
                // An answer that comes when nobody is there any more is none.
                if write(block as u64, value) && !is_dead() {
                    let mut written = written.lock();
                    written.acknowledged.resize(BLOCKS, 0);
                    let known = &mut written.acknowledged[block];
                    *known = value.max(*known);
                }
            }
        });
        self.paths.lock().push((ends, path));
    }

    /// It writes no more, and has had all answers; those of who died may come whenever they do.
    pub(super) async fn stop(&self) {
        let paths: Vec<_> = std::mem::take(&mut *self.paths.lock());
        for (ends, _) in &paths {
            ends.store(true, Ordering::SeqCst);
        }
        let ended = tokio::task::spawn_blocking(move || {
            for (_, path) in paths {
                path.join().unwrap();
            }
        });
        ended.await.unwrap();
    }

    /// What it was told it has written, and isn't there.
    pub(super) fn lacks(&self, content: &[u8]) -> Vec<(usize, u8, u8)> {
        let written = self.written.lock();
        let all = written.acknowledged.iter().zip(content).enumerate();
        let lacks = all.filter(|(_, (known, there))| there < known);
        lacks
            .map(|(at, (known, there))| (at, *known, *there))
            .collect()
    }
}
