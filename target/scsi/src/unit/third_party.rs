//! What a logical unit says to the copy manager of another one (or to its own), which reads and
//! writes on behalf of an I_T nexus.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;

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
pub struct ThirdPartyUnderway(Arc<AtomicU32>);

impl Drop for ThirdPartyUnderway {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl LogicalUnit {
    /// Whether the unit's Device Identification VPD page names the unit itself so.
    #[must_use]
    pub fn is_named(&self, designation: &Designation) -> bool {
        names_unit(self.config(), designation)
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
        self.third_parties.fetch_add(1, Ordering::SeqCst);
        ThirdPartyUnderway(Arc::clone(&self.third_parties))
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
