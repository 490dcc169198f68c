//! The straight way of a write: while nothing else goes on at an end, all that follows from an event of a write is known
//! without asking every part what it has to do now. It is a shorter way, not another one: what is done is what the parts would
//! do, and whatever else might follow sends the event the long way, with nothing done.

use super::action::{Event, Outcome};
use super::engine::{Engine, Purpose};
use crate::generation::Role;
use crate::id::NodeId;
use crate::link::Message;

impl Engine {
    /// Does all that follows from an event; gives it back if that takes more than this.
    pub(super) fn straight(&mut self, event: Event) -> Option<Event> {
        if !self.is_undisturbed() {
            return Some(event);
        }
        let is_done = match &event {
            Event::Write {
                command,
                offset,
                data,
                durability,
            } => self.serves() && self.write_at_once(*command, *offset, data, *durability),
            Event::Done {
                operation,
                outcome: Outcome::Done,
            } => match self.operations.get(*operation) {
                Some(Purpose::HostWrite(sequence)) if self.serves() => {
                    let sequence = *sequence;
                    self.operations.remove(*operation);
                    self.host_written(sequence);
                    self.complete_write(sequence);
                    true
                }
                Some(Purpose::Apply) if self.follows() => {
                    self.operations.remove(*operation);
                    self.applied(*operation);
                    true
                }
                _ => false,
            },
            Event::Received(peer, Message::WriteDone { sequence }) => {
                self.serves() && self.answered_at_once(*peer, *sequence)
            }
            Event::Received(peer, message @ Message::Write { .. }) => {
                self.follows() && self.is_met(*peer) && self.apply_at_once(*peer, message)
            }
            _ => false,
        };
        (!is_done).then_some(event)
    }

    /// Whether no part waits for anything but writes that are under way.
    fn is_undisturbed(&self) -> bool {
        !self.failed
            && !self.keeper.is_busy()
            && self.host.is_undisturbed()
            && self.target.is_undisturbed()
            && self.peers.values().all(|it| it.is_undisturbed())
    }

    /// Whether hosts write here, and all peers that have to get that do.
    fn serves(&self) -> bool {
        self.keeper.record().role == Role::Source && self.keeper.may_acknowledge()
    }

    /// Whether this end gets all that another one's hosts write, and nothing is written here.
    fn follows(&self) -> bool {
        self.keeper.record().role != Role::Source && self.target.follows(&self.keeper)
    }

    fn is_met(&self, peer: NodeId) -> bool {
        let met = |it: &super::peer::Peer| it.connected && it.greeting.is_some();
        self.peers.get(&peer).is_some_and(met)
    }

    fn answered_at_once(&mut self, peer: NodeId, sequence: u64) -> bool {
        if !self.is_met(peer) || !self.peer(peer).answered(sequence) {
            return false;
        }
        self.write_answered(peer, sequence);
        self.complete_write(sequence);
        true
    }
}
