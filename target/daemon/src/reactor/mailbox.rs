//! Where finished I/O waits for the connection that asked for it. Knows no sockets.

use std::collections::VecDeque;
use std::task::Waker;

use slab::Slab;
use tidelock_scsi::Outcome;

/// The mailboxes of one reactor.
#[derive(Debug, Default)]
pub struct Mailboxes {
    boxes: Slab<Mailbox>,
}

#[derive(Debug, Default)]
struct Mailbox {
    finished: VecDeque<(u32, Outcome)>,
    waker: Option<Waker>,
}

/// One connection's number on its reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailboxId(u32);

impl MailboxId {
    /// The engine's token for a command of this connection.
    #[must_use]
    pub fn token(self, command: u32) -> u64 {
        u64::from(self.0) << 32 | u64::from(command)
    }
}

impl Mailboxes {
    /// A new mailbox.
    pub fn open(&mut self) -> MailboxId {
        let key = self.boxes.insert(Mailbox::default());
        // A reactor has fewer connections than there are descriptors.
        MailboxId(u32::try_from(key).unwrap_or(u32::MAX))
    }

    /// Gives a mailbox up. All I/O of the connection must have ended or been detached before.
    pub fn close(&mut self, id: MailboxId) {
        self.boxes.try_remove(id.0 as usize);
    }

    /// Puts an outcome into its box and wakes the owner.
    pub fn deliver(&mut self, token: u64, outcome: Outcome) {
        let [b0, b1, b2, b3, c0, c1, c2, c3] = token.to_be_bytes();
        let key = u32::from_be_bytes([b0, b1, b2, b3]) as usize;
        let command = u32::from_be_bytes([c0, c1, c2, c3]);
        let Some(mailbox) = self.boxes.get_mut(key) else {
            return;
        };
        mailbox.finished.push_back((command, outcome));
        if let Some(waker) = mailbox.waker.take() {
            waker.wake();
        }
    }

    /// Takes the oldest outcome out of a box.
    pub fn take(&mut self, id: MailboxId) -> Option<(u32, Outcome)> {
        self.boxes.get_mut(id.0 as usize)?.finished.pop_front()
    }

    /// Asks to be woken at the next delivery; true if there is something already.
    pub fn watch(&mut self, id: MailboxId, waker: &Waker) -> bool {
        let Some(mailbox) = self.boxes.get_mut(id.0 as usize) else {
            return true;
        };
        if !mailbox.finished.is_empty() {
            return true;
        }
        if !mailbox
            .waker
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
        {
            mailbox.waker = Some(waker.clone());
        }
        false
    }
}
