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
    /// The last turn was [`Turn::Write`].
    wrote: bool,
}

/// What the scribe does next.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// These are made durable, all at once.
    Write(Vec<JournalEntry>),
    /// A resync gets more to do.
    Copy,
    /// Nothing any more.
    End,
}

impl ForScribe {
    /// The next turn, if there is anything to be done now. Where hosts always leave something to be written while the scribe
    /// writes, a resync that is `due` has its turn between two of theirs, as it might never get one otherwise; and they have
    /// theirs between two of it, however long one takes.
    fn turn(&mut self, due: bool) -> Option<Turn> {
        if self.closing {
            return Some(Turn::End);
        }
        let copies = self.copying && due && (self.wrote || self.entries.is_empty());
        if !copies && self.entries.is_empty() {
            return None;
        }
        self.wrote = !copies;
        Some(match copies {
            true => Turn::Copy,
            false => Turn::Write(std::mem::take(&mut self.entries)),
        })
    }
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

    /// The next turn; waits for it.
    fn next(&self, last_tick: Instant) -> Turn {
        let mut work = self.work.lock();
        loop {
            if let Some(turn) = work.turn(last_tick.elapsed() >= TICK) {
                return turn;
            }
            if work.copying {
                self.bell.wait_until(&mut work, last_tick + TICK);
            } else {
                self.bell.wait(&mut work);
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
    loop {
        let entries = match desk.next(last_tick) {
            Turn::Write(entries) => Some(entries),
            Turn::Copy => None,
            Turn::End => return,
        };
        let Some(end) = end.upgrade() else {
            return;
        };
        let Some(entries) = entries else {
            last_tick = Instant::now();
            end.copies_more();
            continue;
        };
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

#[cfg(test)]
mod tests {
    use tidelock_mirror::id::GenerationId;
    use tidelock_mirror::region_log::LogEntry;

    use super::*;

    fn entry(number: u128) -> JournalEntry {
        JournalEntry::Log(LogEntry::Track(GenerationId(number)))
    }

    /// A desk at which hosts have left something.
    fn desk(copying: bool) -> Desk {
        let desk = Desk::default();
        desk.copies(copying);
        desk.write(entry(0));
        desk
    }

    fn turn(desk: &Desk, due: bool) -> Option<Turn> {
        desk.work.lock().turn(due)
    }

    #[test]
    fn a_resync_has_its_turns_however_much_there_is_to_be_written() {
        let desk = desk(true);
        let mut copies = 0;
        for number in 0..100 {
            // Whatever the scribe did, there is something more when it comes back.
            match turn(&desk, true) {
                Some(Turn::Write(entries)) => {
                    assert_eq!(entries, [entry(number - copies)]);
                    desk.write(entry(number - copies + 1));
                }
                Some(Turn::Copy) => copies += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(copies, 50, "hosts have the other half");
    }

    #[test]
    fn what_is_to_be_written_never_waits_for_two_turns_of_a_resync() {
        let desk = desk(true);
        assert!(matches!(turn(&desk, true), Some(Turn::Write(_))));
        assert_eq!(turn(&desk, true), Some(Turn::Copy));
        assert_eq!(turn(&desk, true), Some(Turn::Copy), "nobody waits");
        desk.write(entry(1));
        desk.write(entry(2));
        let both = Some(Turn::Write(vec![entry(1), entry(2)]));
        assert_eq!(turn(&desk, true), both);
    }

    #[test]
    fn a_resync_has_no_turn_before_it_is_due_or_when_it_is_over() {
        let desk = desk(true);
        assert!(matches!(turn(&desk, false), Some(Turn::Write(_))));
        assert_eq!(turn(&desk, false), None);
        desk.copies(false);
        assert_eq!(turn(&desk, true), None);
        desk.write(entry(1));
        assert_eq!(turn(&desk, true), Some(Turn::Write(vec![entry(1)])));
    }

    #[test]
    fn nothing_is_written_once_it_closes() {
        let desk = desk(true);
        desk.close();
        assert_eq!(turn(&desk, true), Some(Turn::End));
        assert_eq!(desk.next(Instant::now()), Turn::End);
    }
}
