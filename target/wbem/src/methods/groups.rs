//! CreateGroup, DeleteGroup, AddMembers, RemoveMembers. They have return codes of their own: 7 and 8.

use tidelock_capabilities::facts::ElementId;
use tidelock_capabilities::values::ReturnCode;

use super::{Arguments, Outcome, Returned, missing};
use crate::model::{GroupChange, Refused, ReplicationGroup};
use crate::server::Context;
use crate::view::{GroupName, View, element_id, group_name};

/// "Replication group does not exist" of AddMembers and RemoveMembers.
const NO_SUCH_GROUP: u32 = 7;
/// "Element is not a member" of RemoveMembers.
const NO_MEMBER: u32 = 8;
/// Members that are named at once.
const MEMBERS_MAX: usize = 4096;

pub(super) fn create(context: &Context<'_>, given: &Arguments) -> Outcome {
    given.none_of(&["ServiceAccessPoint"])?;
    given.not_built(&["ReplicationSettingData"])?;
    let asked_away = given.boolean("DeleteOnEmptyElement")
        || given.boolean("DeleteOnUnassociated")
        || given.get("Persistent") == Some(&crate::value::Value::Boolean(false));
    if asked_away {
        let reason = "groups are persistent, and stay when they are empty";
        return Err(Refused::new(ReturnCode::NotSupported, reason));
    }
    let name = given
        .text("GroupName")
        .ok_or_else(|| missing("GroupName"))?;
    context.model.change_group(&GroupChange::Create {
        name: name.to_owned(),
        members: members(context, given)?,
    })?;
    Ok(Returned::default().with("ReplicationGroup", View::group_path(name)))
}

pub(super) fn delete(context: &Context<'_>, given: &Arguments) -> Outcome {
    given.none_of(&["ServiceAccessPoint"])?;
    if given.boolean("RemoveElements") {
        let reason = "volumes aren't deleted with their group: leave RemoveElements out";
        return Err(Refused::new(ReturnCode::NotSupported, reason));
    }
    let group = group(context, given)?;
    let Some(group) = group else {
        let reason = "ReplicationGroup isn't known here";
        return Err(Refused::new(ReturnCode::InvalidParameter, reason));
    };
    let name = group.name.clone();
    context.model.change_group(&GroupChange::Delete { name })?;
    Ok(Returned::default())
}

pub(super) fn add(context: &Context<'_>, given: &Arguments) -> Outcome {
    given.none_of(&["ServiceAccessPoint"])?;
    given.not_built(&["ReplicationSettingData"])?;
    let Some(group) = group(context, given)? else {
        return Ok(code(NO_SUCH_GROUP));
    };
    let members = members(context, given)?;
    let name = group.name.clone();
    context
        .model
        .change_group(&GroupChange::Add { name, members })?;
    Ok(Returned::default())
}

pub(super) fn remove(context: &Context<'_>, given: &Arguments) -> Outcome {
    given.none_of(&["ServiceAccessPoint"])?;
    given.not_built(&["ReplicationSettingData"])?;
    if given.boolean("DeleteOnEmptyElement") {
        let reason = "a group stays when it is empty: leave DeleteOnEmptyElement out";
        return Err(Refused::new(ReturnCode::NotSupported, reason));
    }
    let Some(group) = group(context, given)? else {
        return Ok(code(NO_SUCH_GROUP));
    };
    let members = members(context, given)?;
    if members.iter().any(|id| !group.members.contains(id)) {
        return Ok(code(NO_MEMBER));
    }
    let name = group.name.clone();
    context
        .model
        .change_group(&GroupChange::Remove { name, members })?;
    Ok(Returned::default())
}

/// The group that is meant; `None` if it isn't there.
fn group<'c>(
    context: &'c Context<'_>,
    given: &Arguments,
) -> Result<Option<&'c ReplicationGroup>, Refused> {
    let path = given
        .path("ReplicationGroup")
        .ok_or_else(|| missing("ReplicationGroup"))?;
    match group_name(path) {
        Some(GroupName::Group(name)) => {
            let mut all = context.view.inventory().groups.iter();
            Ok(all.find(|it| it.name == name))
        }
        Some(GroupName::Set { .. }) => Err(Refused::new(
            ReturnCode::NotSupported,
            "these are snapshots of a group: they are deleted one by one, and aren't changed",
        )),
        None => Ok(None),
    }
}

/// Members that are there.
fn members(context: &Context<'_>, given: &Arguments) -> Result<Vec<ElementId>, Refused> {
    let paths = given.paths("Members").unwrap_or_default();
    if paths.len() > MEMBERS_MAX {
        let reason = format!("more than {MEMBERS_MAX} members at once");
        return Err(Refused::new(ReturnCode::InvalidParameter, reason));
    }
    let known = |id: &ElementId| context.view.element(*id).is_some_and(|it| !it.snapshot);
    let found: Option<Vec<ElementId>> = paths
        .into_iter()
        .map(|path| element_id(path).filter(known))
        .collect();
    found.ok_or_else(|| {
        let reason = "a member isn't known here, or is no volume: list the volumes again";
        Refused::new(ReturnCode::InvalidParameter, reason)
    })
}

fn code(code: u32) -> Returned {
    Returned {
        code,
        ..Returned::default()
    }
}
