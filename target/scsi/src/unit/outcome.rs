//! What comes of an operation: the next one, or the reply.

use crate::commands::{Effect, Finish, Refusal, Stage, lba_status, log_sense, report_timestamp};
use crate::nexus::LuNexus;
use crate::plan::{Completion, Extent, Operation, Outcome, Plan};
use crate::reply::Reply;
use crate::sense::{AdditionalSense, Sense, SenseKey};
use crate::status::Status;
use crate::unit::LogicalUnit;
use crate::unit::state::FAILURE;

impl LogicalUnit {
    /// Goes on with a command of `nexus` whose operation has been executed.
    pub fn finish(&self, _nexus: &mut LuNexus, completion: Completion, outcome: Outcome) -> Plan {
        if let Stage::Copy(ticket) = &completion.0 {
            return Plan::Done(self.end_copy(ticket, outcome));
        }
        if !outcome.is_success() {
            return Plan::Done(self.conclude(completion.0.last(), outcome));
        }
        match completion.0 {
            Stage::Then(next) => {
                let (operation, stage) = *next;
                Plan::Execute {
                    operation,
                    completion: Completion(stage),
                }
            }
            // Taken care of above.
            Stage::Copy(_) => Plan::Done(Reply::with_status(Status::BUSY)),
            // The write cache was turned off while the write was on its way into it: the initiator
            // that did so was told that nothing is volatile any more.
            Stage::Reply(finish)
                if finish.effect.leaves_in_cache() && !self.write_cache_enabled() =>
            {
                let flush = Operation::Flush {
                    extent: finish.extent,
                };
                Plan::execute(
                    flush,
                    Finish {
                        effect: Effect::Writes,
                        ..finish
                    },
                )
            }
            Stage::Reply(finish) => {
                if let Effect::SavesMode(parameters) = finish.effect {
                    self.saved_mode.set(parameters);
                }
                Plan::Done(self.conclude(finish, outcome))
            }
        }
    }

    pub(super) fn conclude(&self, finish: Finish, outcome: Outcome) -> Reply {
        // RFC 7143 §4.2.2.3.4 f.
        let fence = finish.effect == Effect::PreemptsAndAborts;
        self.reply_to(finish, outcome).fenced_if(fence)
    }

    fn reply_to(&self, finish: Finish, outcome: Outcome) -> Reply {
        let Finish {
            extent,
            transfer_length,
            effect,
        } = finish;
        let lba = |offset: u64| offset >> self.config.block_size.shift();
        let sense = match outcome {
            Outcome::Read(data) => return Reply::data(data).of_transfer(transfer_length),
            Outcome::LbaStatus(_) | Outcome::Resources { .. } | Outcome::Timestamp { .. } => {
                match self.report(extent, effect, &outcome) {
                    Some(reply) => return reply,
                    // An answer to a question that nobody asked.
                    None => FAILURE,
                }
            }
            Outcome::Done => return Reply::written(transfer_length),
            Outcome::ReservationsRefused(refused) => {
                return self.reservations_refused(&refused, transfer_length);
            }
            Outcome::Busy => return Reply::with_status(Status::BUSY),
            Outcome::Aborted => return Reply::with_status(Status::TASK_ABORTED),
            Outcome::Miscompare { offset } => {
                let information = match effect {
                    Effect::ComparesAndWrites { .. } => offset,
                    _ => lba(extent.offset.saturating_add(offset)),
                };
                Sense::new(
                    SenseKey::MISCOMPARE,
                    AdditionalSense::MISCOMPARE_DURING_VERIFY_OPERATION,
                )
                .with_information(information)
            }
            Outcome::MediumError { offset } => {
                let additional = medium_error(effect);
                Sense::new(SenseKey::MEDIUM_ERROR, additional).with_information(lba(offset))
            }
            Outcome::HardwareError if effect == Effect::SetsAccessStates => Sense::new(
                SenseKey::HARDWARE_ERROR,
                AdditionalSense::SET_TARGET_PORT_GROUPS_COMMAND_FAILED,
            ),
            Outcome::RenewalFailed => {
                let sanitize = effect == Effect::Renews { sanitize: true };
                let additional = if sanitize {
                    AdditionalSense::SANITIZE_COMMAND_FAILED
                } else {
                    AdditionalSense::FORMAT_COMMAND_FAILED
                };
                Sense::new(SenseKey::MEDIUM_ERROR, additional)
            }
            // Only a copy ends so, and that is told elsewhere.
            Outcome::HardwareError
            | Outcome::NotCopied
            | Outcome::CopyFailed(_)
            | Outcome::TokenMade(_) => FAILURE,
            Outcome::SpaceExhausted => Sense::new(
                SenseKey::DATA_PROTECT,
                AdditionalSense::SPACE_ALLOCATION_FAILED_WRITE_PROTECT,
            ),
            Outcome::Standby => Sense::new(
                SenseKey::NOT_READY,
                AdditionalSense::LOGICAL_UNIT_NOT_ACCESSIBLE_TARGET_PORT_IN_STANDBY,
            ),
            Outcome::NotReady => Sense::new(
                SenseKey::NOT_READY,
                AdditionalSense::LOGICAL_UNIT_IS_IN_PROCESS_OF_BECOMING_READY,
            ),
        };
        self.refuse(&Refusal {
            sense,
            transfer_length,
        })
    }

    /// What a command reports that asked for it.
    fn report(&self, extent: Extent, effect: Effect, outcome: &Outcome) -> Option<Reply> {
        Some(match (effect, outcome) {
            (Effect::ReportsLbaStatus { allocation_length }, Outcome::LbaStatus(pieces)) => {
                lba_status::report(self, extent, allocation_length, pieces)
            }
            (
                Effect::ReportsResources {
                    from,
                    allocation_length,
                },
                Outcome::Resources { used, available },
            ) => log_sense::resources(*used, *available, from, allocation_length),
            (
                Effect::ReportsTimestamp { allocation_length },
                Outcome::Timestamp { milliseconds },
            ) => report_timestamp::report(*milliseconds, allocation_length),
            _ => return None,
        })
    }
}

/// What a failure of the medium means to a command with this effect.
fn medium_error(effect: Effect) -> AdditionalSense {
    match effect {
        Effect::Reads
        | Effect::ReportsLbaStatus { .. }
        | Effect::ReportsResources { .. }
        | Effect::ReportsTimestamp { .. }
        | Effect::ComparesAndWrites { .. } => AdditionalSense::UNRECOVERED_READ_ERROR,
        Effect::WritesToCache
        | Effect::Writes
        | Effect::Renews { .. }
        | Effect::SavesMode(_)
        | Effect::PreemptsAndAborts
        | Effect::SetsAccessStates => AdditionalSense::WRITE_ERROR,
    }
}
