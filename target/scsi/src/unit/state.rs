//! Whether a unit can serve its medium: what its store says, and whether an initiator stopped it.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::opcodes::Class;
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

/// The state in one atomic byte, with [`STOPPED`] beside what the store says.
#[derive(Debug, Default)]
pub(super) struct CurrentState(AtomicU8);

/// An initiator stopped the unit.
const STOPPED: u8 = 0x80;

impl CurrentState {
    /// A unit that is stopped says so only when nothing worse is the matter.
    pub(super) fn get(&self) -> UnitState {
        let bits = self.0.load(Ordering::Acquire);
        match UnitState::from_bits(bits & !STOPPED) {
            UnitState::Ready if bits & STOPPED != 0 => UnitState::Stopped,
            state => state,
        }
    }

    pub(super) fn set(&self, state: UnitState) {
        if state == UnitState::Stopped {
            self.set_stopped(true);
            return;
        }
        let change = |bits: u8| Some((bits & STOPPED) | state as u8);
        // The closure never gives up, so neither does the update.
        let _ = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, change);
    }

    pub(super) fn set_stopped(&self, stopped: bool) {
        if stopped {
            self.0.fetch_or(STOPPED, Ordering::AcqRel);
        } else {
            self.0.fetch_and(!STOPPED, Ordering::AcqRel);
        }
    }
}
