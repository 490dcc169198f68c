//! The thread of an end: makes what the core wants journaled durable, as much at once as there is, and lets resyncs go
//! on at their speed.

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tidelock_mirror::association::JournalEntry;

use super::end::End;
use super::error::EndError;
use super::journal::Journal;

/// How often a resync that is under way is given more to do.
const TICK: Duration = Duration::from_millis(20);

/// What the scribe has to do.
#[derive(Debug, Default)]
pub(super) struct Desk {
    work: Mutex<ForScribe>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct ForScribe {
    entries: Vec<JournalEntry>,
    /// A resync goes on.
    copying: bool,
    closing: bool,
}

impl Desk {
    /// To be made durable behind everything that came before.
    pub(super) fn write(&self, entry: JournalEntry) {
        self.work.lock().entries.push(entry);
        self.bell.notify_one();
    }

    /// Whether a resync goes on.
    pub(super) fn copies(&self, copying: bool) {
        let mut work = self.work.lock();
        if std::mem::replace(&mut work.copying, copying) != copying {
            self.bell.notify_one();
        }
    }

    /// What isn't durable yet never will be.
    pub(super) fn close(&self) {
        self.work.lock().closing = true;
        self.bell.notify_one();
    }

    /// What there is to be written, nothing if it is only time to copy more, or `None` at the end.
    fn next(&self, last_tick: Instant) -> Option<Vec<JournalEntry>> {
        let mut work = self.work.lock();
        loop {
            if work.closing {
                return None;
            }
            if !work.entries.is_empty() {
                return Some(std::mem::take(&mut work.entries));
            }
            if !work.copying {
                self.bell.wait(&mut work);
            } else if last_tick.elapsed() >= TICK
                || self
                    .bell
                    .wait_until(&mut work, last_tick + TICK)
                    .timed_out()
            {
                return Some(Vec::new());
            }
        }
    }
}

/// Begins the thread.
pub(super) fn begin(
    desk: &Arc<Desk>,
    journal: Journal,
    end: Weak<End>,
) -> Result<JoinHandle<()>, EndError> {
    let desk = Arc::clone(desk);
    std::thread::Builder::new()
        .name("mirror-journal".to_owned())
        .spawn(move || run(&desk, journal, &end))
        .map_err(EndError::io(
            std::path::Path::new("mirror-journal"),
            "begin the thread",
        ))
}

fn run(desk: &Desk, journal: Journal, end: &Weak<End>) {
    // Gone once something couldn't be made durable: nothing is tried again.
    let mut journal = Some(journal);
    let mut last_tick = Instant::now();
    while let Some(entries) = desk.next(last_tick) {
        let Some(end) = end.upgrade() else {
            return;
        };
        if entries.is_empty() {
            last_tick = Instant::now();
            end.copies_more();
            continue;
        }
        end.journaling();
        let written = journal.as_mut().map(|it| it.append(&entries));
        end.journaling();
        match written {
            Some(Ok(())) => end.journaled(entries.len()),
            Some(Err(error)) => {
                tracing::error!(%error, "this end of the mirror stops: what it has to know after a crash isn't durable");
                journal = None;
                end.journal_failed();
            }
            None => {}
        }
    }
}
