//! Which states an association of a type can be in at all, found by walking the tables.

use super::event::{Event, observe};
use super::row::Scope;
use super::transition::{created, transition};
use crate::built::BuiltType;
use crate::facts::Association;
use crate::values::{CopyState, SyncType, ValueSet};

/// All states that creation, the operations that are built, and events can lead to.
#[must_use]
pub fn copy_states(built: &BuiltType, scope: Scope) -> ValueSet<CopyState> {
    let (first, then) = created(built, scope);
    let mut states = ValueSet::EMPTY.with(first.copy_state);
    if built.sync_type() != SyncType::Snapshot {
        states = states.with(CopyState::Unsynchronized);
    }
    if let Some(copy_state) = then.copy_state() {
        states = states.with(copy_state);
    }
    // There are fewer states than this many rounds, so it ends.
    loop {
        let before = states;
        for state in before.iter() {
            states = states.union(next(built, scope, state));
        }
        if states == before {
            break;
        }
    }
    if scope == Scope::Group {
        states = states.with(CopyState::Mixed);
    }
    states
}

/// The states that can follow a state directly.
fn next(built: &BuiltType, scope: Scope, copy_state: CopyState) -> ValueSet<CopyState> {
    let association = Association::at_rest(built.sync_type(), built.mode(), copy_state);
    let offered = match scope {
        Scope::Group => built.group_operations,
        Scope::Element | Scope::Either => built.operations,
    };
    let by_operation = offered.iter().flat_map(|operation| {
        let transition = transition(operation, &association, scope, built, true).ok();
        transition.into_iter().flat_map(|it| {
            let during = it.during.map(|state| state.copy_state);
            [during, it.after.copy_state()]
        })
    });
    let by_event = Event::ALL
        .into_iter()
        .filter(|event| event.is_possible(built))
        .map(|event| observe(event, &association, scope, built)?.copy_state());
    by_operation.chain(by_event).flatten().collect()
}

/// Whether a host may use the target in a state.
#[must_use]
pub const fn host_accessible(sync_type: SyncType, copy_state: CopyState) -> bool {
    match sync_type {
        SyncType::Mirror => matches!(
            copy_state,
            CopyState::Fractured | CopyState::Split | CopyState::Failedover | CopyState::Skewed
        ),
        SyncType::Snapshot | SyncType::Clone => matches!(
            copy_state,
            CopyState::Synchronized
                | CopyState::Fractured
                | CopyState::Split
                | CopyState::Skewed
                | CopyState::Restored
        ),
    }
}
