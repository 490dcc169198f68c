//! Which CopyStates there are, and which ones can be waited for. All of it comes from the state machine.

use super::{Answer, ReplicationServiceCapabilities, read, read_if_given};
use crate::built::BuiltType;
use crate::facts::Association;
use crate::machine::{After, Scope, copy_states, host_accessible, transition};
use crate::values::{
    Action, CopyState, MethodName, Operation, ReturnCode, SettingsDefineStateOperation, SyncType,
    ValueSet, WaitMethodName,
};

/// The answer of GetSupportedCopyStates: two parallel arrays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupportedCopyStates {
    /// SupportedCopyStates, ascending.
    pub supported_copy_states: Vec<CopyState>,
    /// HostAccessible: whether a host may use the target in that state.
    pub host_accessible: Vec<bool>,
}

impl ReplicationServiceCapabilities<'_> {
    /// GetSupportedCopyStates. With an Operation only the states that accept it.
    ///
    /// # Errors
    ///
    /// Invalid Parameter for reserved numbers, Not Supported if the type or operation isn't built.
    pub fn get_supported_copy_states(
        &self,
        replication_type: u16,
        operation: Option<u16>,
    ) -> Answer<SupportedCopyStates> {
        let built = self.of(replication_type)?;
        let states = self.states(built, Scope::Element, operation)?;
        let accessible = |it| host_accessible(built.sync_type(), it);
        Ok(SupportedCopyStates {
            host_accessible: states.iter().map(accessible).collect(),
            supported_copy_states: states.iter().collect(),
        })
    }

    /// GetSupportedGroupCopyStates.
    ///
    /// # Errors
    ///
    /// As [`Self::get_supported_copy_states`]; Not Supported if there are no groups.
    pub fn get_supported_group_copy_states(
        &self,
        replication_type: u16,
        operation: Option<u16>,
    ) -> Answer<ValueSet<CopyState>> {
        let built = self.of_groups(replication_type)?;
        self.states(built, Scope::Group, operation)
    }

    fn states(
        &self,
        built: &BuiltType,
        scope: Scope,
        operation: Option<u16>,
    ) -> Answer<ValueSet<CopyState>> {
        let states = copy_states(built, scope).up_to(self.edition);
        let Some(operation) = read_if_given::<Operation>(operation)? else {
            return Ok(states);
        };
        if !operations(built, scope).contains(operation) {
            return Err(ReturnCode::NotSupported);
        }
        let accepts = |state: &CopyState| leads_to(operation, *state, scope, built).is_some();
        Ok(states.iter().filter(accepts).collect())
    }

    /// GetSupportedWaitForCopyStates: what WaitForCopyState may be. With an Operation only what that one leads
    /// to.
    ///
    /// # Errors
    ///
    /// Invalid Parameter for reserved numbers, Not Supported if type, method or operation isn't built.
    pub fn get_supported_wait_for_copy_states(
        &self,
        replication_type: u16,
        method_name: u16,
        operation: Option<u16>,
    ) -> Answer<ValueSet<CopyState>> {
        use WaitMethodName as W;
        let built = self.of(replication_type)?;
        let method = read::<WaitMethodName>(method_name)?;
        let operation = read_if_given::<Operation>(operation)?;
        let groups = Action::CreateGroupReplicaFromElementSynchronizations;
        let states = match method {
            W::CreateElementReplica => made_by(built, MethodName::CreateElementReplica),
            W::CreateGroupReplica => made_by(built, MethodName::CreateGroupReplica),
            W::CreateListReplica if self.has_action(Action::CreateListReplica) => {
                made_by(built, MethodName::CreateElementReplica)
            }
            W::CreateGroupReplicaFromElements
                if self.has_action(Action::CreateGroupReplicaFromElements) =>
            {
                made_by(built, MethodName::CreateGroupReplica)
            }
            W::CreateGroupReplicaFromElementSynchronizations if self.has_action(groups) => {
                made_by(built, MethodName::CreateGroupReplica)
            }
            W::AddElementsToGroupSynchronized
                if self.has_action(Action::AddElementsToGroupSynchronized) =>
            {
                made_by(built, MethodName::CreateGroupReplica)
            }
            W::ModifyReplicaSynchronization
                if self.has_action(Action::ModifyReplicaSynchronization) =>
            {
                modified_by(built, built.operations, operation)
            }
            W::ModifyListSynchronization if self.has_action(Action::ModifyListSynchronization) => {
                modified_by(
                    built,
                    built.list_operations.intersection(built.operations),
                    operation,
                )
            }
            W::ModifySettingsDefineState if self.has_action(Action::ModifySettingsDefineState) => {
                copied_from_aspect(built)
            }
            W::ModifyListSettingsDefineState
                if self.has_action(Action::ModifyListSettingsDefineState) =>
            {
                copied_from_aspect(built)
            }
            _ => None,
        };
        states
            .map(|states| states.up_to(self.edition))
            .ok_or(ReturnCode::NotSupported)
    }
}

fn operations(built: &BuiltType, scope: Scope) -> ValueSet<Operation> {
    match scope {
        Scope::Group => built.group_operations,
        Scope::Element | Scope::Either => built.operations,
    }
}

/// The states that a new association goes through.
fn made_by(built: &BuiltType, method: MethodName) -> Option<ValueSet<CopyState>> {
    let states = CopyState::set(&[CopyState::Initialized, CopyState::Synchronized]);
    let flows = built.sync_type() != SyncType::Snapshot;
    let states = if flows {
        states.with(CopyState::Unsynchronized)
    } else {
        states
    };
    built.methods.contains(method).then_some(states)
}

/// An aspect that is copied to a target makes an association.
fn copied_from_aspect(built: &BuiltType) -> Option<ValueSet<CopyState>> {
    let copies = built
        .settings_operations
        .contains(SettingsDefineStateOperation::CopyToTarget);
    copies
        .then(|| made_by(built, MethodName::CreateSynchronizationAspect))
        .flatten()
}

/// The states that operations lead to.
fn modified_by(
    built: &BuiltType,
    offered: ValueSet<Operation>,
    only: Option<Operation>,
) -> Option<ValueSet<CopyState>> {
    let chosen = match only {
        Some(operation) if !offered.contains(operation) => return None,
        Some(operation) => Operation::set(&[operation]),
        None => offered,
    };
    let from = copy_states(built, Scope::Element);
    let states = chosen.iter().flat_map(|operation| {
        from.iter()
            .filter_map(move |state| leads_to(operation, state, Scope::Element, built))
            .filter_map(After::copy_state)
    });
    (!offered.is_empty()).then(|| states.collect())
}

/// What an operation leads to from a state, by force if need be.
pub(super) fn leads_to(
    operation: Operation,
    copy_state: CopyState,
    scope: Scope,
    built: &BuiltType,
) -> Option<After> {
    let association = Association::at_rest(built.sync_type(), built.mode(), copy_state);
    transition(operation, &association, scope, built, true)
        .ok()
        .map(|it| it.after)
}
