//! Asymmetric logical unit access (SPC-5): through which ports a logical unit can be reached, and in
//! which access state each group of them is. Knows no commands; [`crate::LogicalUnit`] keeps one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};

use thiserror::Error;

use crate::nexus::TargetPort;
use crate::sense::{AdditionalSense, Sense, SenseKey};

/// A primary target port asymmetric access state (SPC-5). The secondary one, offline, is about
/// single ports and isn't supported; no state depends on the LBA.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Hash)]
#[repr(u8)]
pub enum AccessState {
    /// Everything works.
    #[default]
    ActiveOptimized = 0x0,
    /// Everything works, but through another group it works better.
    ActiveNonOptimized = 0x1,
    /// Kept in reserve: commands that need the medium are refused.
    Standby = 0x2,
    /// Hardly anything works.
    Unavailable = 0x3,
    /// On its way from one state to another.
    Transitioning = 0xf,
}

impl AccessState {
    /// The states that last, which SET TARGET PORT GROUPS can ask for.
    pub const LASTING: [Self; 4] = [
        Self::ActiveOptimized,
        Self::ActiveNonOptimized,
        Self::Standby,
        Self::Unavailable,
    ];

    /// ASYMMETRIC ACCESS STATE of REPORT TARGET PORT GROUPS.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// The state that lasts with this ASYMMETRIC ACCESS STATE.
    pub(crate) fn lasting(code: u8) -> Option<Self> {
        Self::LASTING.into_iter().find(|state| state.code() == code)
    }

    /// Whether the medium can be reached.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::ActiveOptimized | Self::ActiveNonOptimized)
    }

    /// The sense data with which a command is refused that isn't processed in this state.
    pub(crate) fn refusal(self) -> Option<Sense> {
        let additional = match self {
            Self::ActiveOptimized | Self::ActiveNonOptimized => return None,
            Self::Standby => AdditionalSense::LOGICAL_UNIT_NOT_ACCESSIBLE_TARGET_PORT_IN_STANDBY,
            Self::Unavailable => {
                AdditionalSense::LOGICAL_UNIT_NOT_ACCESSIBLE_TARGET_PORT_IN_UNAVAILABLE
            }
            Self::Transitioning => {
                AdditionalSense::LOGICAL_UNIT_NOT_ACCESSIBLE_ASYMMETRIC_ACCESS_STATE_TRANSITION
            }
        };
        Some(Sense::new(SenseKey::NOT_READY, additional))
    }
}

/// Who changed a state last: the STATUS CODE of REPORT TARGET PORT GROUPS (SPC-5).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Hash)]
#[repr(u8)]
pub enum AlteredBy {
    /// Nobody.
    #[default]
    Nobody = 0,
    /// A SET TARGET PORT GROUPS command.
    Explicit = 1,
    /// The device server by itself.
    Implicit = 2,
}

/// How the logical unit is accessed through one target port group.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Hash)]
pub struct GroupAccess {
    /// The state.
    pub state: AccessState,
    /// PREF: initiators should use this group if they can.
    pub preferred: bool,
    /// Who changed the state last.
    pub altered_by: AlteredBy,
}

/// The access of target port groups, by their numbers. Those that aren't in it are active/optimized,
/// not preferred, and were altered by nobody.
pub type GroupAccesses = BTreeMap<u16, GroupAccess>;

/// A target port group of a logical unit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TargetPortGroup {
    /// TARGET PORT GROUP: its number.
    pub number: u16,
    /// How the logical unit is accessed through it now.
    pub access: GroupAccess,
    /// Its ports through which the logical unit can be reached, in order of their identifiers.
    pub ports: Vec<TargetPort>,
}

/// States are on their way already.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("asymmetric access states are changing already")]
pub struct InTransition;

/// The ports of a logical unit and the states of their groups.
#[derive(Debug, Default)]
pub(crate) struct PortGroups {
    ports: Vec<TargetPort>,
    access: GroupAccesses,
    /// Where the transition that is under way leads.
    transition: Option<GroupAccesses>,
}

impl PortGroups {
    /// Sets the ports through which the unit can be reached.
    pub(crate) fn set_ports(&mut self, mut ports: Vec<TargetPort>) {
        ports.sort_by_key(|port| port.relative_port_identifier);
        ports.dedup_by_key(|port| port.relative_port_identifier);
        self.ports = ports;
    }

    /// The state of a group as commands find it.
    ///
    /// A group that is active before and after a transition serves commands all the time.
    pub(crate) fn state(&self, group: u16) -> AccessState {
        let before = state_in(&self.access, group);
        let Some(next) = &self.transition else {
            return before;
        };
        let after = state_in(next, group);
        if before == after || (before.is_active() && after.is_active()) {
            before
        } else {
            AccessState::Transitioning
        }
    }

    /// Whether a transition is under way.
    pub(crate) fn in_transition(&self) -> bool {
        self.transition.is_some()
    }

    pub(crate) fn begin(&mut self, next: GroupAccesses) -> Result<(), InTransition> {
        if self.in_transition() {
            return Err(InTransition);
        }
        self.transition = Some(next);
        Ok(())
    }

    /// Begins a transition, or lets the one under way lead elsewhere.
    pub(crate) fn lead(&mut self, next: GroupAccesses) {
        self.transition = Some(next);
    }

    /// Ends a transition, if there is one; true if something is different from before.
    pub(crate) fn complete(&mut self, access: GroupAccesses) -> bool {
        self.transition = None;
        let differs = |group: &u16| {
            let of = |all: &GroupAccesses| all.get(group).copied().unwrap_or_default();
            let (before, after) = (of(&self.access), of(&access));
            (before.state, before.preferred) != (after.state, after.preferred)
        };
        let differs = self.access.keys().chain(access.keys()).any(differs);
        self.access = access;
        differs
    }

    /// Gives a transition up; true if there was one.
    pub(crate) fn abandon(&mut self) -> bool {
        self.transition.take().is_some()
    }

    /// All ports, and `own` in case nobody told of it.
    pub(crate) fn ports(&self, own: &TargetPort) -> Vec<TargetPort> {
        let identifier = own.relative_port_identifier;
        let mut ports = self.ports.clone();
        let place = ports.binary_search_by_key(&identifier, |port| port.relative_port_identifier);
        if let Err(place) = place {
            ports.insert(place, own.clone());
        }
        ports
    }

    /// The groups that `ports` are in, in order of their numbers.
    pub(crate) fn groups(&self, ports: Vec<TargetPort>) -> Vec<TargetPortGroup> {
        let mut groups: BTreeMap<u16, Vec<TargetPort>> = BTreeMap::new();
        for port in ports {
            groups.entry(port.target_port_group).or_default().push(port);
        }
        let group = |(number, ports)| TargetPortGroup {
            number,
            access: GroupAccess {
                state: self.state(number),
                ..self.access.get(&number).copied().unwrap_or_default()
            },
            ports,
        };
        groups.into_iter().map(group).collect()
    }

    /// All groups of the ports that were set.
    pub(crate) fn all_groups(&self) -> Vec<TargetPortGroup> {
        self.groups(self.ports.clone())
    }
}

fn state_in(access: &GroupAccesses, group: u16) -> AccessState {
    access.get(&group).copied().unwrap_or_default().state
}

/// The access state of one nexus's target port group, in one atomic byte: the check on the fast path
/// is a single load.
#[derive(Debug, Default)]
pub(crate) struct CurrentAccess(AtomicU8);

impl CurrentAccess {
    pub(crate) fn get(&self) -> AccessState {
        let code = self.0.load(Ordering::Acquire);
        AccessState::lasting(code).unwrap_or(AccessState::Transitioning)
    }

    pub(crate) fn set(&self, state: AccessState) {
        self.0.store(state.code(), Ordering::Release);
    }
}
