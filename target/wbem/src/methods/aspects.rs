//! CreateSynchronizationAspect and ModifySettingsDefineState: snapshots, as points in time that a copy can be made of.

use tidelock_capabilities::values::{
    CopyState, Operation, ReturnCode, SettingsDefineStateOperation, SyncType, WaitMethodName,
};

use super::replicas::{Wanted, check_consistency, known_element, made, name};
use super::{Arguments, Outcome, Returned, missing};
use crate::model::{Modification, NewReplica, Refused};
use crate::server::Context;
use crate::view::settings_state;

pub(super) fn create(context: &Context<'_>, given: &Arguments) -> Outcome {
    let wanted = Wanted::read(context, given, WaitMethodName::CreateElementReplica)?;
    given.not_built(&["SourceGroup"])?;
    check_consistency(given)?;
    let source = known_element(context, given, "SourceElement")?;
    let aspect = NewReplica {
        source: source.ok_or_else(|| missing("SourceElement"))?,
        target: None,
        peer: None,
        sync_type: wanted.sync_type,
        mode: wanted.mode,
        name: name(given, "Name")?,
        wait_for: None,
        stops_hosts: wanted.settings.stops_hosts(),
    };
    let made = context.model.create_aspect(&aspect)?;
    let path = context.view.settings_state_path(made.association);
    Ok(Returned::default().with("SettingsState", path))
}

pub(super) fn modify(context: &Context<'_>, given: &Arguments) -> Outcome {
    let operation: SettingsDefineStateOperation = given
        .mapped("Operation")?
        .ok_or_else(|| missing("Operation"))?;
    let path = given
        .path("SettingsState")
        .ok_or_else(|| missing("SettingsState"))?;
    let key = settings_state(path).ok_or_else(unknown)?;
    let mut all = context.view.inventory().associations.iter();
    let is_it = |it: &&crate::model::StorageAssociation| {
        it.key == key && it.sync_type == SyncType::Snapshot
    };
    let association = all.find(is_it).ok_or_else(unknown)?;
    let class = context.view.capabilities();
    let of = association.replication_type().value();
    let offered = class.get_supported_settings_define_state_operations(of);
    if !offered.is_ok_and(|it| it.contains(operation)) {
        let reason = format!("{operation} isn't possible for aspects of snapshots");
        return Err(Refused::new(ReturnCode::NotSupported, reason));
    }
    match operation {
        SettingsDefineStateOperation::Delete => {
            let (operation, force) = (Operation::ReturnToResourcePool, false);
            context.model.admit_operation(key, operation, force)?;
            context.model.modify(&Modification {
                association: key,
                operation,
                force,
                wait_for: None,
            })?;
            Ok(Returned::default())
        }
        _ => copy(context, given, (key.synced_element, of)),
    }
}

/// A full copy of what the volume was at that moment.
fn copy(
    context: &Context<'_>,
    given: &Arguments,
    (snapshot, of): (tidelock_capabilities::facts::ElementId, u16),
) -> Outcome {
    given.none_of(&["TargetAccessPoint", "TargetSettingGoal", "TargetPool"])?;
    given.not_built(&["TargetGroup", "TargetElementCount"])?;
    let settings = super::settings::Settings::read(context, given, SyncType::Clone)?;
    let wait_for = given.mapped::<CopyState>("WaitForCopyState")?;
    let class = context.view.capabilities();
    let method = WaitMethodName::ModifySettingsDefineState.value();
    let states = class.get_supported_wait_for_copy_states(of, method, None);
    if let Some(state) = wait_for
        && !states.is_ok_and(|states| states.contains(state))
    {
        return Err(Refused::new(
            ReturnCode::InvalidParameter,
            format!("{state} can't be waited for: GetSupportedWaitForCopyStates has what can"),
        ));
    }
    let replica = NewReplica {
        source: snapshot,
        target: known_element(context, given, "TargetElement")?,
        peer: None,
        sync_type: SyncType::Clone,
        mode: None,
        name: None,
        wait_for,
        stops_hosts: settings.stops_hosts(),
    };
    let copy = context.model.create_element_replica(&replica)?;
    Ok(made(context, copy, &replica))
}

fn unknown() -> Refused {
    let reason = "SettingsState isn't known here: list the SettingsDefineStates again";
    Refused::new(ReturnCode::InvalidParameter, reason)
}
