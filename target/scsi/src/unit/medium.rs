//! What the condition of the medium as a whole forbids, and how it changes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::cdb::{Cdb, invalid_field};
use crate::commands::mode_pages;
use crate::nexus::NexusState;
use crate::opcodes::{self, Class};
use crate::renewal::{MediumCondition, Renewal};
use crate::sense::{AdditionalSense, Sense, SenseKey};
use crate::unit::LogicalUnit;

impl LogicalUnit {
    /// What the medium as a whole is worth.
    #[must_use]
    pub fn medium_condition(&self) -> MediumCondition {
        self.state.medium()
    }

    /// Says what the medium is worth: when a renewal has ended, and after a restart before anybody is
    /// served. A change comes after it has been made durable.
    pub fn set_medium_condition(&self, condition: MediumCondition) {
        self.set_renewal_progress(0);
        self.state.set_medium(condition);
    }

    /// Takes the medium as a failed sanitize operation left it; false if that isn't its condition any
    /// more.
    pub fn leave_failure(&self) -> bool {
        self.state.leave_failure()
    }

    /// Says how far a renewal is, in 65536ths.
    pub fn set_renewal_progress(&self, done: u16) {
        self.renewal_progress.store(done, Ordering::Relaxed);
    }

    /// Whether commands are under way that were begun before a renewal was, and may still touch the
    /// medium: the renewal waits for them. See [`crate::Underway`].
    #[must_use]
    pub fn has_commands_under_way(&self) -> bool {
        let has = |nexuses: &Mutex<Vec<Arc<NexusState>>>| {
            let nexuses = nexuses.lock();
            nexuses.iter().any(|nexus| nexus.has_commands_under_way())
        };
        !self.third_parties.is_empty() || has(&self.nexuses) || has(&self.departed)
    }

    /// Turns the medium over to `renewal`: from now on nothing else may touch it. The condition that
    /// it was in before, for when the renewal can't even begin.
    pub(crate) fn begin_renewal(&self, renewal: &Renewal) -> Result<MediumCondition, Sense> {
        let before = self.state.begin_renewal(renewal.under_way());
        before.map_err(|running| self.condition_sense(running))
    }

    /// Why a command can't be served in `condition`, if so. Without a CDB it is one that has begun and
    /// whose parameter list has just arrived.
    pub(super) fn medium_refusal(
        &self,
        condition: MediumCondition,
        operation_code: u8,
        cdb: Option<Cdb>,
        class: Class,
    ) -> Option<Sense> {
        let allowed = match condition {
            MediumCondition::Sound => true,
            MediumCondition::Sanitizing { .. } => {
                cdb.is_some_and(|cdb| is_allowed_during_sanitize(cdb, class))
            }
            MediumCondition::SanitizeFailed { .. } => {
                operation_code == opcodes::SANITIZE
                    || cdb.is_some_and(|cdb| is_allowed_during_sanitize(cdb, class))
            }
            // SBC-4, "Performing a format operation": INQUIRY, REPORT LUNS and REQUEST SENSE.
            MediumCondition::Formatting => class == Class::Always,
            MediumCondition::FormatCorrupt => match class {
                Class::Always | Class::Control => true,
                Class::Ready => operation_code != opcodes::TEST_UNIT_READY,
                Class::MediumRead | Class::MediumWrite => {
                    matches!(operation_code, opcodes::SANITIZE | opcodes::FORMAT_UNIT)
                }
            },
        };
        (!allowed).then(|| self.condition_sense(condition))
    }

    /// The sense data that tells the condition of the medium.
    fn condition_sense(&self, condition: MediumCondition) -> Sense {
        let progress = self.renewal_progress.load(Ordering::Relaxed);
        let (key, additional) = match condition {
            MediumCondition::Sound => return Sense::NO_SENSE,
            MediumCondition::Sanitizing { .. } => (
                SenseKey::NOT_READY,
                AdditionalSense::LOGICAL_UNIT_NOT_READY_SANITIZE_IN_PROGRESS,
            ),
            MediumCondition::Formatting => (
                SenseKey::NOT_READY,
                AdditionalSense::LOGICAL_UNIT_NOT_READY_FORMAT_IN_PROGRESS,
            ),
            MediumCondition::SanitizeFailed { .. } => (
                SenseKey::MEDIUM_ERROR,
                AdditionalSense::SANITIZE_COMMAND_FAILED,
            ),
            MediumCondition::FormatCorrupt => (
                SenseKey::MEDIUM_ERROR,
                AdditionalSense::MEDIUM_FORMAT_CORRUPTED,
            ),
        };
        let sense = Sense::new(key, additional);
        if condition.is_under_way() {
            sense.with_progress(progress)
        } else {
            sense
        }
    }

    /// What keeps the unit from being ready, if anything does: pollable sense data (SPC-5).
    pub(crate) fn not_ready(&self) -> Option<Sense> {
        match self.medium_condition() {
            MediumCondition::Sound => self.state().refusal(Class::Ready),
            condition => Some(self.condition_sense(condition)),
        }
    }

    /// In the restricted completion mode, a sanitize operation that failed is followed by another one
    /// in that mode, and by nothing else (SBC-4, SANITIZE).
    pub(crate) fn check_completion_mode(
        &self,
        unrestricted: bool,
        exit: bool,
    ) -> Result<(), Sense> {
        let restricted = MediumCondition::SanitizeFailed {
            unrestricted: false,
        };
        match self.medium_condition() {
            condition if condition != restricted => Ok(()),
            _ if exit => Err(invalid_field(1, 4)),
            _ if unrestricted => Err(invalid_field(1, 5)),
            _ => Ok(()),
        }
    }
}

/// SBC-4 §4.11.2, "Commands allowed during sanitize": those of the list that are supported. What isn't
/// in it is refused, REPORT TARGET PORT GROUPS too (SBC-4 §4.11.3).
fn is_allowed_during_sanitize(cdb: Cdb, class: Class) -> bool {
    match cdb.u8(0) {
        opcodes::MODE_SENSE_6 | opcodes::MODE_SENSE_10 => {
            let page = cdb.u8(2) & mode_pages::ALL_PAGES;
            matches!(
                page,
                mode_pages::INFORMATIONAL_EXCEPTIONS | mode_pages::CACHING | mode_pages::CONTROL
            ) && cdb.u8(3) == 0
        }
        opcodes::READ_CAPACITY_10 => true,
        opcodes::SERVICE_ACTION_IN_16 => cdb.u8(1) & 0x1f == opcodes::READ_CAPACITY_16,
        opcodes::MAINTENANCE_IN => matches!(
            cdb.u8(1) & 0x1f,
            opcodes::REPORT_SUPPORTED_OPERATION_CODES
                | opcodes::REPORT_SUPPORTED_TASK_MANAGEMENT_FUNCTIONS
        ),
        _ => class == Class::Always,
    }
}
