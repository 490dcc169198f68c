//! One operation of the engine after another, for work that takes several and waits for each: copies,
//! fills, jobs. Knows no sessions.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use tidelock_replication::{Volume, VolumeOp};
use tidelock_scsi::Outcome;

use crate::reactor::Local;
use crate::reactor::mailbox::MailboxId;

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
        let outcome = poll_fn(|cx| {
            let mut mailboxes = self.local.mailboxes.borrow_mut();
            match mailboxes.take(self.mailbox) {
                Some((_, outcome)) => Poll::Ready(outcome),
                None => {
                    mailboxes.watch(self.mailbox, cx.waker());
                    Poll::Pending
                }
            }
        })
        .await;
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

impl Drop for Performer {
    fn drop(&mut self) {
        self.give_up();
        self.local.mailboxes.borrow_mut().close(self.mailbox);
    }
}
