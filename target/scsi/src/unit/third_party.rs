//! What a logical unit says to the copy manager of another one (or to its own), which reads and
//! writes on behalf of an I_T nexus.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::commands::inquiry::names_unit;
use crate::commands::{Effect, Finish};
use crate::copy::{CopyEndpoint, CopyTicket, Designation, ThirdPartyRefusal};
use crate::nexus::NexusInfo;
use crate::opcodes::{Access, Class, ServedIn};
use crate::plan::{Extent, Outcome};
use crate::reply::Reply;
use crate::status::Status;
use crate::unit::LogicalUnit;

/// The operation code of a command that isn't one which makes the whole medium anew.
const NO_RENEWAL: u8 = 0;

/// Held for a step of a copy until nothing of it touches the medium any more: what needs the medium
/// for itself waits for that.
#[derive(Debug)]
pub struct ThirdPartyUnderway {
    parties: Arc<ThirdParties>,
    number: u64,
}

impl Drop for ThirdPartyUnderway {
    fn drop(&mut self) {
        self.parties.steps.lock().live.remove(&self.number);
    }
}

/// The steps of copies that are under way, each with a number of its own. A step moves a lot of data,
/// so that a lock for each doesn't matter.
#[derive(Debug, Default)]
pub(super) struct ThirdParties {
    steps: Mutex<Steps>,
}

#[derive(Debug, Default)]
struct Steps {
    next: u64,
    live: BTreeSet<u64>,
}

impl ThirdParties {
    pub(super) fn is_empty(&self) -> bool {
        self.steps.lock().live.is_empty()
    }
}

/// The steps of copies that were under way at some moment.
#[derive(Debug)]
pub struct EarlierThirdParties {
    parties: Arc<ThirdParties>,
    /// The first number that wasn't given yet.
    before: u64,
}

impl EarlierThirdParties {
    /// Whether all of them have ended.
    #[must_use]
    pub fn have_ended(&self) -> bool {
        let steps = self.parties.steps.lock();
        steps
            .live
            .first()
            .is_none_or(|oldest| *oldest >= self.before)
    }
}

impl LogicalUnit {
    /// The steps of copies that are under way now. What a change of reservations stands against from
    /// now on is among them or is refused: a step is announced before it is checked.
    #[must_use]
    pub fn earlier_third_parties(&self) -> EarlierThirdParties {
        EarlierThirdParties {
            parties: Arc::clone(&self.third_parties),
            before: self.third_parties.steps.lock().next,
        }
    }

    /// Whether the unit's Device Identification VPD page names the unit itself so.
    #[must_use]
    pub fn is_named(&self, designation: &Designation) -> bool {
        names_unit(&self.identity(), designation)
    }

    /// What a copy operation has to know of the unit.
    #[must_use]
    pub fn copy_endpoint(&self) -> CopyEndpoint {
        CopyEndpoint {
            block_size: self.config().block_size,
            blocks: self.blocks(),
            pad: false,
        }
    }

    /// Announces a step of a copy, before [`Self::check_third_party`]: see [`crate::Underway`].
    #[must_use]
    pub fn third_party_underway(&self) -> ThirdPartyUnderway {
        let mut steps = self.third_parties.steps.lock();
        let number = steps.next;
        steps.next += 1;
        steps.live.insert(number);
        ThirdPartyUnderway {
            parties: Arc::clone(&self.third_parties),
            number,
        }
    }

    /// Whether a read or write of `nexus`, of that class, would be let through now. A copy asks
    /// before each of its steps: what it may do can change under way.
    ///
    /// # Errors
    /// What the unit would answer.
    pub fn check_third_party(
        &self,
        nexus: &NexusInfo,
        class: Class,
    ) -> Result<(), ThirdPartyRefusal> {
        if !self.reservations_allow(nexus, Access::of_class(class)) {
            return Err(ThirdPartyRefusal {
                status: Status::RESERVATION_CONFLICT,
                sense: Bytes::new(),
            });
        }
        let protection = || match class {
            Class::MediumWrite => self.write_protection_through(nexus),
            _ => None,
        };
        let medium = || {
            let condition = self.state.medium();
            self.medium_refusal(condition, NO_RENEWAL, None, class)
                .or_else(|| self.state().refusal(class))
        };
        let unfit = || (!self.state.is_fine()).then(medium).flatten();
        let group = nexus.target_port.target_port_group;
        let refusal = self.access_refusal(ServedIn::of_class(class), group);
        let refusal = refusal.or_else(unfit).or_else(protection);
        refusal.map_or(Ok(()), |sense| {
            Err(ThirdPartyRefusal {
                status: Status::CHECK_CONDITION,
                sense: sense.encode(self.sense_format()),
            })
        })
    }

    /// What the unit answers to a read or write of `extent`, of that class, that ended with
    /// `outcome`, which isn't a success.
    #[must_use]
    pub fn third_party_refusal(
        &self,
        class: Class,
        extent: Extent,
        outcome: Outcome,
    ) -> ThirdPartyRefusal {
        let finish = Finish {
            effect: if class == Class::MediumWrite {
                Effect::Writes
            } else {
                Effect::Reads
            },
            ..Finish::reading(extent, 0)
        };
        let Reply { status, sense, .. } = self.conclude(finish, outcome);
        ThirdPartyRefusal { status, sense }
    }

    /// The reply to a copy operation that has ended, which is remembered as well.
    pub(super) fn end_copy(&self, ticket: &CopyTicket, outcome: Outcome) -> Reply {
        let transfer_length = ticket.transfer_length;
        let reply = match outcome {
            Outcome::Done => Reply::written(transfer_length),
            Outcome::TokenMade(token) => {
                ticket.record.set_token(token);
                Reply::written(transfer_length)
            }
            Outcome::CopyFailed(failure) => Reply {
                sense: failure.encode(self.sense_format()),
                ..Reply::with_status(Status::CHECK_CONDITION).of_transfer(transfer_length)
            },
            other => self.conclude(Finish::writing(Extent::default(), transfer_length), other),
        };
        ticket.end(reply.status, reply.sense.clone());
        reply
    }
}
