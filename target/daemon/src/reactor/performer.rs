//! One operation of the engine after another, for work that takes several and waits for each: copies,
//! fills, jobs. Knows no sessions.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use tidelock_replication::{Volume, VolumeOp};
use tidelock_scsi::Outcome;
use tokio::task::yield_now;

use crate::reactor::Local;
use crate::reactor::mailbox::{MailboxId, Mailboxes};

/// The only operation of a performer that is under way has this number in its mailbox.
const ONLY: u32 = 0;

/// Performs operations on the reactor that it was made on. Dropping it gives up the one that is under
/// way: a write that can't be called back holds new operations on its volume off until it has landed.
#[derive(Debug)]
pub struct Performer {
    local: Rc<Local>,
    mailbox: MailboxId,
    under_way: bool,
}

impl Performer {
    /// A performer on this reactor.
    #[must_use]
    pub fn new(local: &Rc<Local>) -> Self {
        Self {
            mailbox: local.mailboxes.borrow_mut().open(),
            local: Rc::clone(local),
            under_way: false,
        }
    }

    /// Performs one operation and waits for its outcome.
    pub async fn perform(&mut self, store: &Arc<Volume>, op: VolumeOp) -> Outcome {
        // One that was dropped before it ended must not be taken for this one.
        self.give_up();
        let token = self.mailbox.token(ONLY);
        self.local.engine.borrow_mut().start(token, store, op);
        self.under_way = true;
        self.local.pump();
        let outcome = outcome_for(&self.local.mailboxes, self.mailbox).await;
        self.under_way = false;
        outcome
    }

    fn give_up(&mut self) {
        if std::mem::take(&mut self.under_way) {
            let token = self.mailbox.token(ONLY);
            self.local.engine.borrow_mut().detach(token);
            // It may have ended before it was given up.
            self.local.mailboxes.borrow_mut().take(self.mailbox);
        }
    }
}

/// Waits for the next outcome in a mailbox. What is there already, since it came from the page cache, costs a turn: who
/// performs one such operation after the other would have the reactor for himself otherwise.
async fn outcome_for(mailboxes: &RefCell<Mailboxes>, mailbox: MailboxId) -> Outcome {
    let at_once = mailboxes.borrow_mut().take(mailbox);
    if let Some((_, outcome)) = at_once {
        yield_now().await;
        return outcome;
    }
    poll_fn(|cx| {
        let mut mailboxes = mailboxes.borrow_mut();
        match mailboxes.take(mailbox) {
            Some((_, outcome)) => Poll::Ready(outcome),
            None => {
                mailboxes.watch(mailbox, cx.waker());
                Poll::Pending
            }
        }
    })
    .await
}

impl Drop for Performer {
    fn drop(&mut self) {
        self.give_up();
        self.local.mailboxes.borrow_mut().close(self.mailbox);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::task::{LocalSet, spawn_local};

    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn others_have_their_turn_between_operations_that_end_at_once() {
        let mailboxes = Rc::new(RefCell::new(Mailboxes::default()));
        let turns = Rc::new(Cell::new(0));
        let (seen, going) = (Rc::clone(&turns), Rc::new(Cell::new(true)));
        let still = Rc::clone(&going);
        let all = LocalSet::new();
        all.spawn_local(async move {
            let mailbox = mailboxes.borrow_mut().open();
            for _ in 0..100 {
                let token = mailbox.token(ONLY);
                mailboxes.borrow_mut().deliver(token, Outcome::Done);
                assert_eq!(outcome_for(&mailboxes, mailbox).await, Outcome::Done);
            }
            going.set(false);
        });
        all.run_until(async move {
            let other = spawn_local(async move {
                while still.get() {
                    seen.set(seen.get() + 1);
                    yield_now().await;
                }
            });
            other.await.unwrap();
        })
        .await;
        assert!(turns.get() >= 100, "{} turns", turns.get());
    }
}
