//! Whether a unit can serve its medium: what its store says, and whether an initiator stopped it.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::opcodes::Class;
use crate::renewal::MediumCondition;
use crate::sense::{AdditionalSense, Sense, SenseKey};

/// Whether the unit can serve its medium.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum UnitState {
    /// It can.
    Ready = 0,
    /// Not yet: still loading, or the store is away for a while. Initiators try again.
    BecomingReady = 1,
    /// A START STOP UNIT stopped it; another one starts it.
    Stopped = 2,
    /// Fenced after a failed flush or write-back: nothing is served until an operator acts, as
    /// nobody knows what of the acknowledged data is left.
    Fenced = 3,
}

/// HARDWARE ERROR, INTERNAL TARGET FAILURE.
pub(super) const FAILURE: Sense = Sense::new(
    SenseKey::HARDWARE_ERROR,
    AdditionalSense::INTERNAL_TARGET_FAILURE,
);

impl UnitState {
    fn from_bits(bits: u8) -> Self {
        match bits {
            0 => Self::Ready,
            1 => Self::BecomingReady,
            2 => Self::Stopped,
            _ => Self::Fenced,
        }
    }

    /// The sense data with which a command that needs the medium is refused.
    pub(crate) fn refusal(self, class: Class) -> Option<Sense> {
        let not_ready = |additional| Some(Sense::new(SenseKey::NOT_READY, additional));
        match (self, class) {
            (Self::Ready, _) | (_, Class::Always | Class::Control) => None,
            (Self::BecomingReady, _) => {
                not_ready(AdditionalSense::LOGICAL_UNIT_IS_IN_PROCESS_OF_BECOMING_READY)
            }
            (Self::Stopped, _) => {
                not_ready(AdditionalSense::LOGICAL_UNIT_NOT_READY_INITIALIZING_COMMAND_REQUIRED)
            }
            (Self::Fenced, Class::Ready) => {
                not_ready(AdditionalSense::LOGICAL_UNIT_NOT_READY_MANUAL_INTERVENTION_REQUIRED)
            }
            (Self::Fenced, Class::MediumRead | Class::MediumWrite) => Some(FAILURE),
        }
    }
}

/// The state in one atomic byte: what the store says, [`MEDIUM`] and [`STOPPED`]. Zero is a unit that
/// serves everything.
#[derive(Debug, Default)]
pub(super) struct CurrentState(AtomicU8);

/// An initiator stopped the unit.
const STOPPED: u8 = 0x80;
/// The condition of the medium.
const MEDIUM: u8 = 0x70;
const MEDIUM_SHIFT: u32 = 4;
/// What the store says.
const STORE: u8 = 0x0f;

impl CurrentState {
    /// Whether nothing at all is the matter.
    pub(super) fn is_fine(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }

    /// A unit that is stopped says so only when nothing worse is the matter.
    pub(super) fn get(&self) -> UnitState {
        let bits = self.0.load(Ordering::SeqCst);
        match UnitState::from_bits(bits & STORE) {
            UnitState::Ready if bits & STOPPED != 0 => UnitState::Stopped,
            state => state,
        }
    }

    pub(super) fn set(&self, state: UnitState) {
        if state == UnitState::Stopped {
            self.set_stopped(true);
            return;
        }
        self.replace(STORE, state as u8);
    }

    pub(super) fn set_stopped(&self, stopped: bool) {
        self.replace(STOPPED, if stopped { STOPPED } else { 0 });
    }

    pub(super) fn medium(&self) -> MediumCondition {
        MediumCondition::from_bits((self.0.load(Ordering::SeqCst) & MEDIUM) >> MEDIUM_SHIFT)
    }

    pub(super) fn set_medium(&self, condition: MediumCondition) {
        self.replace(MEDIUM, condition.to_bits() << MEDIUM_SHIFT);
    }

    /// Changes the condition of the medium to `renewing`, and returns the one before.
    ///
    /// # Errors
    ///
    /// A renewal is under way already: which one.
    pub(super) fn begin_renewal(
        &self,
        renewing: MediumCondition,
    ) -> Result<MediumCondition, MediumCondition> {
        let condition = |bits: u8| MediumCondition::from_bits((bits & MEDIUM) >> MEDIUM_SHIFT);
        let change = |bits: u8| {
            let idle = !condition(bits).is_under_way();
            idle.then_some((bits & !MEDIUM) | renewing.to_bits() << MEDIUM_SHIFT)
        };
        self.0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, change)
            .map(condition)
            .map_err(condition)
    }

    /// Makes a medium sound on which a sanitize operation failed; false in any other condition.
    pub(super) fn leave_failure(&self) -> bool {
        let change = |bits: u8| {
            let condition = MediumCondition::from_bits((bits & MEDIUM) >> MEDIUM_SHIFT);
            matches!(condition, MediumCondition::SanitizeFailed { .. }).then_some(bits & !MEDIUM)
        };
        self.0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, change)
            .is_ok()
    }

    fn replace(&self, mask: u8, bits: u8) {
        let change = |old: u8| Some((old & !mask) | bits);
        // The closure never gives up, so neither does the update.
        let _ = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, change);
    }
}
