//! How the commands of an engine keep their ranges: in the engine's traffic as a rule, in the
//! volume's table where locks are about. See [`crate::ranges`].

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use slab::Slab;

use super::Engine;
use super::command::Command;
use crate::ranges::{Entered, Owner, Ranges, Ticket, Traffic};

/// How a command keeps its ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// Not: it has none, or has let them go.
    Nothing,
    /// In the traffic.
    Traffic,
    /// In the table; it waits for its turn.
    Waits(Ticket),
    /// In the table; it may work.
    Granted(Ticket),
}

/// The commands of an engine. What is left of them lets its ranges go when it is dropped.
#[derive(Debug)]
pub(super) struct Commands {
    commands: Slab<Command>,
    traffic: Traffic,
}

impl Commands {
    pub(super) fn new() -> Self {
        Self {
            commands: Slab::new(),
            traffic: Traffic::new(),
        }
    }

    /// Lets the ranges of a command go.
    fn release(&mut self, key: usize) -> Hold {
        let Some(command) = self.commands.get_mut(key) else {
            return Hold::Nothing;
        };
        let hold = std::mem::replace(&mut command.hold, Hold::Nothing);
        let locks = command.locks();
        match hold {
            Hold::Nothing => {}
            Hold::Traffic => {
                self.traffic.clear(key);
                if !locks.are_idle() {
                    locks.passed(&Ranges::from_slice(&[command.held]));
                }
            }
            // A part of it may be in place: whoever writes the record out gives the range free.
            Hold::Granted(ticket) if command.must_go_on() => {
                command.volume.leave_unfinished(ticket);
            }
            Hold::Waits(ticket) | Hold::Granted(ticket) => locks.leave(ticket),
        }
        hold
    }
}

impl Deref for Commands {
    type Target = Slab<Command>;

    fn deref(&self) -> &Slab<Command> {
        &self.commands
    }
}

impl DerefMut for Commands {
    fn deref_mut(&mut self) -> &mut Slab<Command> {
        &mut self.commands
    }
}

impl Drop for Commands {
    fn drop(&mut self) {
        let keys: Vec<_> = self.commands.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.release(key);
        }
    }
}

impl Engine {
    /// Takes the ranges of a new command; false if it has to wait for them.
    pub(super) fn hold(&mut self, key: usize) -> bool {
        let Some(command) = self.commands.commands.get_mut(key) else {
            return true;
        };
        let Some(span) = command.span() else {
            return true;
        };
        let traffic = &self.commands.traffic;
        let is_exclusive = command.is_exclusive();
        if !is_exclusive {
            command.held = span;
        }
        let locks = command.locks();
        let mut written = false;
        if !is_exclusive {
            written = traffic.write(key, locks.volume(), span);
            if written && locks.are_idle() {
                command.hold = Hold::Traffic;
                return true;
            }
        }
        let owner = Owner {
            post: Arc::clone(&self.post),
            key,
        };
        let entered = if is_exclusive {
            locks.lock(command.ranges(), owner)
        } else {
            locks.meet(command.ranges(), owner, written.then_some(traffic))
        };
        command.hold = match entered {
            Entered::Free => Hold::Traffic,
            Entered::Granted(ticket) => Hold::Granted(ticket),
            Entered::Waits(ticket) => Hold::Waits(ticket),
        };
        let waits = matches!(entered, Entered::Waits(_));
        self.for_lock += usize::from(waits);
        !waits
    }

    /// Lets the ranges of a command go: it has ended, or never begins.
    pub(super) fn release(&mut self, key: usize) {
        if let Hold::Waits(_) = self.commands.release(key) {
            self.for_lock -= 1;
        }
    }

    /// Begins the commands whose turn has come.
    pub(super) fn take_turns(&mut self) {
        if !self.post.has_any() {
            return;
        }
        for (key, ticket) in self.post.take() {
            let Some(command) = self.commands.get_mut(key) else {
                continue;
            };
            // It may have been given up, and its key be another one's now.
            if command.hold != Hold::Waits(ticket) {
                continue;
            }
            command.hold = Hold::Granted(ticket);
            self.for_lock -= 1;
            // What was true when it came need not be true any more.
            match command.is_admitted() {
                Ok(()) => self.begin(key),
                Err(kind) => self.finish(key, kind.into()),
            }
        }
    }
}
