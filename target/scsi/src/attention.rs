//! Unit attention conditions and the queue of them that every I_T nexus has per logical unit.
//!
//! The conditions are a closed set, each can be pending once, and their order is fixed by priority:
//! so the queue is one atomic word. Raising and taking are lock-free, and the check on the fast path
//! is a single load.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::sense::{AdditionalSense, Sense, SenseKey};

/// A unit attention condition (SAM-6). Declared in order of priority, the highest first
/// (SAM-6): resets before everything else.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum UnitAttention {
    /// First contact of a nexus with the logical unit (29h/00h).
    PowerOn,
    /// LOGICAL UNIT RESET or a target reset by another nexus (29h/03h).
    BusDeviceReset,
    /// The nexus was lost and is back (29h/07h).
    NexusLoss,
    /// Another initiator cleared the task set (2Fh/00h).
    CommandsCleared,
    /// A connection of the session ended, and commands with it (47h/7Fh; RFC 7143 §7.6).
    CommandsClearedByProtocolEvent,
    /// LUNs were mapped or unmapped (3Fh/0Eh).
    ReportedLunsChanged,
    /// Another nexus ended all reservations and registrations (2Ah/03h).
    ReservationsPreempted,
    /// A reservation in which the nexus had a part was released (2Ah/04h).
    ReservationsReleased,
    /// Another nexus took the registration of this one away (2Ah/05h).
    RegistrationsPreempted,
    /// Another nexus changed mode parameters (2Ah/01h).
    ModeParametersChanged,
    /// A target port group has another access state (2Ah/06h).
    AsymmetricAccessStateChanged,
    /// States were to change by themselves, and didn't (2Ah/07h).
    ImplicitTransitionFailed,
    /// The medium has other content than before, all at once (28h/00h): the logical unit was restored.
    MediumMayHaveChanged,
    /// The logical unit was resized (2Ah/09h).
    CapacityChanged,
    /// Standard INQUIRY data or a VPD page changed (3Fh/03h).
    InquiryDataChanged,
    /// Another nexus changed identifying information (3Fh/05h).
    DeviceIdentifierChanged,
    /// A soft threshold of thin provisioning was reached (38h/07h).
    ThinProvisioningThreshold,
}

impl UnitAttention {
    const BY_PRIORITY: [Self; 17] = [
        Self::PowerOn,
        Self::BusDeviceReset,
        Self::NexusLoss,
        Self::CommandsCleared,
        Self::CommandsClearedByProtocolEvent,
        Self::ReportedLunsChanged,
        Self::ReservationsPreempted,
        Self::ReservationsReleased,
        Self::RegistrationsPreempted,
        Self::ModeParametersChanged,
        Self::AsymmetricAccessStateChanged,
        Self::ImplicitTransitionFailed,
        Self::MediumMayHaveChanged,
        Self::CapacityChanged,
        Self::InquiryDataChanged,
        Self::DeviceIdentifierChanged,
        Self::ThinProvisioningThreshold,
    ];

    fn bit(self) -> u32 {
        1 << (self as u8)
    }

    /// Whether it tells a nexus that others have aborted its tasks: whoever hears of it forgets them
    /// (RFC 7143 §4.2.3.6), so that no reply of theirs may come after it. A preemption may abort tasks.
    #[must_use]
    pub const fn follows_aborts(self) -> bool {
        matches!(
            self,
            Self::BusDeviceReset | Self::CommandsCleared | Self::RegistrationsPreempted
        )
    }

    /// The sense data that reports the condition.
    #[must_use]
    pub fn sense(self) -> Sense {
        let additional = match self {
            Self::PowerOn => AdditionalSense::POWER_ON_RESET_OR_BUS_DEVICE_RESET_OCCURRED,
            Self::BusDeviceReset => AdditionalSense::BUS_DEVICE_RESET_FUNCTION_OCCURRED,
            Self::NexusLoss => AdditionalSense::I_T_NEXUS_LOSS_OCCURRED,
            Self::CommandsCleared => AdditionalSense::COMMANDS_CLEARED_BY_ANOTHER_INITIATOR,
            Self::CommandsClearedByProtocolEvent => {
                AdditionalSense::SOME_COMMANDS_CLEARED_BY_ISCSI_PROTOCOL_EVENT
            }
            Self::ReportedLunsChanged => AdditionalSense::REPORTED_LUNS_DATA_HAS_CHANGED,
            Self::ReservationsPreempted => AdditionalSense::RESERVATIONS_PREEMPTED,
            Self::ReservationsReleased => AdditionalSense::RESERVATIONS_RELEASED,
            Self::RegistrationsPreempted => AdditionalSense::REGISTRATIONS_PREEMPTED,
            Self::ModeParametersChanged => AdditionalSense::MODE_PARAMETERS_CHANGED,
            Self::AsymmetricAccessStateChanged => AdditionalSense::ASYMMETRIC_ACCESS_STATE_CHANGED,
            Self::ImplicitTransitionFailed => {
                AdditionalSense::IMPLICIT_ASYMMETRIC_ACCESS_STATE_TRANSITION_FAILED
            }
            Self::MediumMayHaveChanged => {
                AdditionalSense::NOT_READY_TO_READY_CHANGE_MEDIUM_MAY_HAVE_CHANGED
            }
            Self::CapacityChanged => AdditionalSense::CAPACITY_DATA_HAS_CHANGED,
            Self::InquiryDataChanged => AdditionalSense::INQUIRY_DATA_HAS_CHANGED,
            Self::DeviceIdentifierChanged => AdditionalSense::DEVICE_IDENTIFIER_CHANGED,
            Self::ThinProvisioningThreshold => {
                AdditionalSense::THIN_PROVISIONING_SOFT_THRESHOLD_REACHED
            }
        };
        Sense::new(SenseKey::UNIT_ATTENTION, additional)
    }
}

/// The pending conditions of one I_T nexus on one logical unit.
#[derive(Debug, Default)]
pub(crate) struct AttentionQueue(AtomicU32);

impl AttentionQueue {
    /// Whether anything is pending.
    pub(crate) fn is_pending(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    /// Adds a condition; one that is already pending stays pending once.
    pub(crate) fn raise(&self, attention: UnitAttention) {
        self.0.fetch_or(attention.bit(), Ordering::AcqRel);
    }

    /// Removes a condition without reporting it.
    pub(crate) fn clear(&self, attention: UnitAttention) {
        self.0.fetch_and(!attention.bit(), Ordering::AcqRel);
    }

    /// The condition with the highest priority, left pending.
    pub(crate) fn peek(&self) -> Option<UnitAttention> {
        let pending = self.0.load(Ordering::Acquire);
        UnitAttention::BY_PRIORITY
            .into_iter()
            .find(|attention| pending & attention.bit() != 0)
    }

    /// Takes the condition with the highest priority: it is reported once.
    pub(crate) fn take(&self) -> Option<UnitAttention> {
        let attention = self.peek()?;
        self.clear(attention);
        Some(attention)
    }
}
