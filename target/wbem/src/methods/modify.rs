//! ModifyReplicaSynchronization: whether an operation is accepted is the table's to say; the daemon does it.

use tidelock_capabilities::values::{
    CopyState, Operation, ReplicationType, ReturnCode, WaitMethodName,
};

use super::{Arguments, JOB_STARTED, Outcome, Returned, missing};
use crate::model::{Modification, Refused};
use crate::server::Context;
use crate::view::{GroupName, View, association_key, group_association};

pub(super) fn modify(context: &Context<'_>, given: &Arguments) -> Outcome {
    let operation: Operation = given
        .mapped("Operation")?
        .ok_or_else(|| missing("Operation"))?;
    let path = given
        .path("Synchronization")
        .ok_or_else(|| missing("Synchronization"))?;
    given.not_built(&["ReplicationSettingData", "SyncPair"])?;
    let force = given.boolean("Force");
    let wait_for = given.mapped::<CopyState>("WaitForCopyState")?;
    if let Some((group, target)) = group_association(path) {
        return of_group(context, &group, &target, operation, force);
    }
    let key = association_key(path).ok_or_else(unknown)?;
    let mut all = context.view.inventory().associations.iter();
    let association = all.find(|it| it.key == key).ok_or_else(unknown)?;
    context.model.admit_operation(key, operation, force)?;
    let method = WaitMethodName::ModifyReplicaSynchronization;
    check_wait(
        context,
        association.replication_type(),
        method,
        operation,
        wait_for,
    )?;
    let job = context.model.modify(&Modification {
        association: key,
        operation,
        force,
        wait_for,
    })?;
    Ok(Returned {
        code: job.map_or(0, |_| JOB_STARTED),
        ..Returned::default()
    }
    .with_some("Job", job.map(View::job_path)))
}

/// What can be waited for is what an operation leads to.
pub(super) fn check_wait(
    context: &Context<'_>,
    of: ReplicationType,
    method: WaitMethodName,
    operation: Operation,
    wait_for: Option<CopyState>,
) -> Result<(), Refused> {
    let Some(state) = wait_for else {
        return Ok(());
    };
    let class = context.view.capabilities();
    let only = Some(operation.value());
    let states = class.get_supported_wait_for_copy_states(of.value(), method.value(), only);
    if states.is_ok_and(|states| states.contains(state)) {
        return Ok(());
    }
    let reason = format!("{state} isn't what {operation} leads to, so it can't be waited for");
    Err(Refused::new(ReturnCode::InvalidParameter, reason))
}

fn of_group(
    context: &Context<'_>,
    group: &str,
    target: &GroupName,
    operation: Operation,
    force: bool,
) -> Outcome {
    let mut groups = context.view.inventory().groups.iter();
    let found = groups.find(|it| it.name == group).ok_or_else(unknown)?;
    let set = match target {
        GroupName::Set { group: of, set } if of == group => set,
        _ => return Err(unknown()),
    };
    if !found.sets.iter().any(|it| it.name == *set) {
        return Err(unknown());
    }
    let class = context.view.capabilities();
    let of = crate::model::SnapshotSet::replication_type().value();
    let offered = class.get_supported_group_operations(of, None);
    if !offered.is_ok_and(|it| it.supported_operations.contains(&operation)) {
        let reason = format!("{operation} isn't possible for a group");
        return Err(Refused::new(ReturnCode::NotSupported, reason));
    }
    context.model.modify_group(group, set, operation, force)?;
    Ok(Returned::default())
}

fn unknown() -> Refused {
    let reason = "Synchronization isn't known here: list the associations again";
    Refused::new(ReturnCode::InvalidParameter, reason)
}
