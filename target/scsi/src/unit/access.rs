//! The logical unit's target port groups: how their states change, and who is told.

use crate::alua::{AccessState, GroupAccesses, InTransition, PortGroups, TargetPortGroup};
use crate::attention::UnitAttention;
use crate::nexus::{LuNexus, NexusId, TargetPort};
use crate::opcodes::ServedIn;
use crate::sense::Sense;
use crate::unit::LogicalUnit;

/// SPC-5, "Asymmetric logical unit access". A state changes in three steps: [`begin_transition`],
/// what must be done before the new states hold (another daemon gives a volume up, the new states
/// are made durable), and then either [`complete_transition`] or [`abandon_transition`].
///
/// [`begin_transition`]: LogicalUnit::begin_transition
/// [`complete_transition`]: LogicalUnit::complete_transition
/// [`abandon_transition`]: LogicalUnit::abandon_transition
impl LogicalUnit {
    /// Says through which target ports the unit can be reached; identifiers differ from each other.
    pub fn set_target_ports(&self, ports: Vec<TargetPort>) {
        self.reserve_through(&ports);
        self.port_groups.lock().set_ports(ports);
    }

    /// The target port groups of the ports through which the unit can be reached.
    #[must_use]
    pub fn target_port_groups(&self) -> Vec<TargetPortGroup> {
        self.port_groups.lock().all_groups()
    }

    /// Begins to change the access of target port groups to `next`, which says all of it. Until the
    /// end, groups whose medium was or will be out of reach are in the state transitioning.
    ///
    /// Commands that have begun aren't stopped: whoever needs that aborts them or waits for them.
    ///
    /// # Errors
    /// A transition is under way already, and goes on.
    pub fn begin_transition(&self, next: GroupAccesses) -> Result<(), InTransition> {
        let mut groups = self.port_groups.lock();
        groups.begin(next)?;
        self.follow(&groups);
        Ok(())
    }

    /// The same as [`Self::begin_transition`]; one that is under way leads to `next` from now on.
    pub fn lead_transition(&self, next: GroupAccesses) {
        let mut groups = self.port_groups.lock();
        groups.lead(next);
        self.follow(&groups);
    }

    /// Sets the access of all target port groups, and ends the transition that led there. If it is
    /// different from before, every nexus but `except`, the one that asked for it, is told (2Ah/06h).
    pub fn complete_transition(&self, access: GroupAccesses, except: Option<NexusId>) {
        let mut groups = self.port_groups.lock();
        let changed = groups.complete(access);
        self.follow(&groups);
        if changed {
            self.raise(UnitAttention::AsymmetricAccessStateChanged, except);
        }
    }

    /// Ends a transition that failed: everything is as before. When nobody asked for it (`implicit`)
    /// every nexus is told (2Ah/07h).
    pub fn abandon_transition(&self, implicit: bool) {
        let mut groups = self.port_groups.lock();
        let was_under_way = groups.abandon();
        self.follow(&groups);
        if was_under_way && implicit {
            self.raise(UnitAttention::ImplicitTransitionFailed, None);
        }
    }

    /// The target port groups as a nexus is told of them: its own port is always in one.
    pub(crate) fn port_groups_of(&self, nexus: &LuNexus) -> Vec<TargetPortGroup> {
        let groups = self.port_groups.lock();
        groups.groups(groups.ports(&nexus.info.target_port))
    }

    /// The ports as a nexus is told of them.
    pub(crate) fn ports_of(&self, own: &TargetPort) -> Vec<TargetPort> {
        self.port_groups.lock().ports(own)
    }

    /// Whether a transition is under way.
    pub(crate) fn in_transition(&self) -> bool {
        self.port_groups.lock().in_transition()
    }

    /// Tells the nexuses the states of their groups.
    fn follow(&self, groups: &PortGroups) {
        for nexus in self.nexuses.lock().iter() {
            nexus.access_state.set(groups.state(nexus.group));
        }
    }

    /// Refuses a command that isn't processed in the access state of the nexus's group.
    pub(crate) fn check_access_state(served_in: ServedIn, nexus: &LuNexus) -> Result<(), Sense> {
        let state = nexus.state.access_state.get();
        match state.refusal() {
            Some(refusal) if !served_in.includes(state) => Err(refusal),
            _ => Ok(()),
        }
    }

    /// The same by the number of the group, for what comes from elsewhere than a nexus of this unit.
    pub(crate) fn access_refusal(&self, served_in: ServedIn, group: u16) -> Option<Sense> {
        let state = self.port_groups.lock().state(group);
        state.refusal().filter(|_| !served_in.includes(state))
    }

    /// The state of the nexus's group.
    pub(crate) fn access_state(nexus: &LuNexus) -> AccessState {
        nexus.state.access_state.get()
    }
}
