//! CreateElementReplica and CreateGroupReplica. What is possible is decided where it is done, by the function
//! that GetSynchronizationSupported answers with.

use tidelock_capabilities::facts::ElementId;
use tidelock_capabilities::values::{
    CopyState, LocalOrRemote, Mode, ReplicationType, ReturnCode, SyncType, WaitMethodName,
};

use super::settings::Settings;
use super::{Arguments, JOB_STARTED, Outcome, Returned, missing, reserved};
use crate::model::{Made, NewGroupReplica, NewReplica, Point, Refused};
use crate::path::InstancePath;
use crate::server::Context;
use crate::view::{GroupName, View, element_id, group_name};

/// What all have in common.
pub(super) struct Wanted {
    pub(super) sync_type: SyncType,
    pub(super) mode: Option<Mode>,
    pub(super) wait_for: Option<CopyState>,
    pub(super) settings: Settings,
    /// The peer that makes the target.
    pub(super) peer: Option<String>,
}

/// A name longer than any is nothing to look at.
const NAME_BYTES_MAX: usize = 256;

impl Wanted {
    pub(super) fn read(
        context: &Context<'_>,
        given: &Arguments,
        method: WaitMethodName,
    ) -> Result<Self, Refused> {
        let number = given.required_number("SyncType")?;
        let sync_type = match (SyncType::try_from(number), number) {
            (Ok(it), _) => it,
            // TokenizedClone is one that newer schemas have.
            (Err(_), 9) => return Err(not_built("TokenizedClone")),
            (Err(_), number) => return Err(reserved("SyncType", number)),
        };
        let mode = match given.number("Mode") {
            // Adaptive and Active are of newer schemas.
            Some(4 | 5) => return Err(not_built("this Mode")),
            _ => given.mapped::<Mode>("Mode")?,
        };
        given.none_of(&["SourceAccessPoint", "TargetPool", "TargetSettingGoal"])?;
        let wanted = Self {
            peer: peer(context, given)?,
            sync_type,
            mode,
            wait_for: given.mapped("WaitForCopyState")?,
            settings: Settings::read(context, given, sync_type)?,
        };
        wanted.check_wait(context, method)?;
        Ok(wanted)
    }

    /// The states that can be waited for are those that are told.
    fn check_wait(&self, context: &Context<'_>, method: WaitMethodName) -> Result<(), Refused> {
        let Some(state) = self.wait_for else {
            return Ok(());
        };
        let class = context.view.capabilities();
        let locality = match self.peer {
            Some(_) => LocalOrRemote::Remote,
            None => LocalOrRemote::Local,
        };
        let of_mode = |mode| ReplicationType::of(self.sync_type, mode, locality);
        let modes = self
            .mode
            .map_or_else(|| Mode::ALL.to_vec(), |mode| vec![mode]);
        let found = modes.into_iter().find_map(|mode| {
            let of = of_mode(mode).value();
            class
                .get_supported_wait_for_copy_states(of, method.value(), None)
                .ok()
        });
        match found {
            Some(states) if !states.contains(state) => Err(Refused::new(
                ReturnCode::InvalidParameter,
                format!("{state} can't be waited for: GetSupportedWaitForCopyStates has what can"),
            )),
            // That the type isn't built is told by whoever is asked for the copy.
            _ => Ok(()),
        }
    }

    /// Whether the method may return while the copy is being filled.
    pub(super) fn is_content_with(&self, state: CopyState) -> bool {
        self.wait_for == Some(state)
    }
}

pub(super) fn element(context: &Context<'_>, given: &Arguments) -> Outcome {
    let wanted = Wanted::read(context, given, WaitMethodName::CreateElementReplica)?;
    let replica = NewReplica {
        source: known_element(context, given, "SourceElement")?
            .ok_or_else(|| missing("SourceElement"))?,
        target: known_element(context, given, "TargetElement")?,
        peer: wanted.peer.clone(),
        sync_type: wanted.sync_type,
        mode: wanted.mode,
        name: name(given, "ElementName")?,
        wait_for: wanted.wait_for,
        stops_hosts: wanted.settings.stops_hosts(),
    };
    let copy = context.model.create_element_replica(&replica)?;
    Ok(made(context, copy, &replica))
}

/// What is returned for a copy that was made.
pub(super) fn made(context: &Context<'_>, made: Made, replica: &NewReplica) -> Returned {
    let is_early = matches!(
        replica.wait_for,
        Some(CopyState::Initialized | CopyState::Unsynchronized)
    );
    let job = made.job.filter(|_| !is_early);
    // Whose the copy is isn't known of what there was before.
    let now = replica.peer.as_ref().map(|_| context.view_now());
    let view = now.as_ref().unwrap_or(&context.view);
    Returned {
        code: job.map_or(0, |_| JOB_STARTED),
        ..Returned::default()
    }
    .with(
        "TargetElement",
        view.element_path(made.association.synced_element),
    )
    .with("Synchronization", view.association_path(made.association))
    .with_some("Job", job.map(View::job_path))
}

/// The peer of TargetAccessPoint.
fn peer(context: &Context<'_>, given: &Arguments) -> Result<Option<String>, Refused> {
    match context.view.point(given.path("TargetAccessPoint")) {
        Point::Null => Ok(None),
        Point::Of(peer) => Ok(Some(peer)),
        Point::Unknown => {
            let reason =
                "TargetAccessPoint isn't known here: GetServiceAccessPoints has those of peers";
            Err(Refused::new(ReturnCode::InvalidParameter, reason))
        }
    }
}

pub(super) fn group(context: &Context<'_>, given: &Arguments) -> Outcome {
    let wanted = Wanted::read(context, given, WaitMethodName::CreateGroupReplica)?;
    given.not_built(&["SourceElement", "TargetElementCount"])?;
    check_consistency(given)?;
    given.not_built(&["TargetAccessPoint"])?;
    let is_mirror = wanted.sync_type == SyncType::Mirror;
    if !is_mirror {
        // A group is made for what is made.
        given.not_built(&["TargetGroup"])?;
    }
    if wanted.sync_type != SyncType::Snapshot && wanted.wait_for == Some(CopyState::Synchronized) {
        return Err(not_built("a wait for all copies of a group"));
    }
    let group = known_group(context, given, "SourceGroup")?;
    let target = match is_mirror {
        true => Some(known_group(context, given, "TargetGroup")?),
        false => None,
    };
    let replica = NewGroupReplica {
        group,
        sync_type: wanted.sync_type,
        mode: wanted.mode,
        name: name(given, "RelationshipName")?,
        target,
        stops_hosts: wanted.settings.stops_hosts(),
    };
    let made = context.model.create_group_replica(&replica)?;
    let tie = made
        .associated
        .then(|| View::group_association_path(&replica.group, &made.group));
    Ok(Returned::default()
        .with("TargetGroup", View::group_path(&made.group))
        .with_some("Synchronization", tie))
}

/// A group of volumes that is there.
fn known_group(
    context: &Context<'_>,
    given: &Arguments,
    parameter: &str,
) -> Result<String, Refused> {
    let path = given.path(parameter).ok_or_else(|| missing(parameter))?;
    let groups = &context.view.inventory().groups;
    match group_name(path) {
        Some(GroupName::Group(name)) if groups.iter().any(|it| it.name == name) => Ok(name),
        _ => Err(Refused::new(
            ReturnCode::InvalidParameter,
            format!("{parameter} isn't known here, or is no group of volumes"),
        )),
    }
}

/// Nothing here keeps the order of writes across several elements.
pub(super) fn check_consistency(given: &Arguments) -> Result<(), Refused> {
    match given.number("Consistency") {
        None | Some(2) => Ok(()),
        Some(3) => Err(not_built("sequential consistency")),
        Some(number) => Err(reserved("Consistency", number)),
    }
}

/// An element that is there, if one is given.
pub(super) fn known_element(
    context: &Context<'_>,
    given: &Arguments,
    name: &str,
) -> Result<Option<ElementId>, Refused> {
    let Some(path) = given.path(name) else {
        return Ok(None);
    };
    known(context, path, name).map(Some)
}

/// An element that is there.
pub(super) fn known(
    context: &Context<'_>,
    path: &InstancePath,
    name: &str,
) -> Result<ElementId, Refused> {
    let found = element_id(path).filter(|id| context.view.element(*id).is_some());
    found.ok_or_else(|| {
        let reason = format!("{name} isn't known here: list the volumes again");
        Refused::new(ReturnCode::InvalidParameter, reason)
    })
}

/// What a copy is to be called.
pub(super) fn name(given: &Arguments, parameter: &str) -> Result<Option<String>, Refused> {
    given
        .text(parameter)
        .map_or(Ok(None), |name| name_of(name, parameter))
}

/// The same, of a text; an empty one is none.
pub(super) fn name_of(name: &str, parameter: &str) -> Result<Option<String>, Refused> {
    match name {
        "" => Ok(None),
        name if name.len() <= NAME_BYTES_MAX => Ok(Some(name.to_owned())),
        _ => Err(Refused::new(
            ReturnCode::InvalidParameter,
            format!("{parameter} has more than {NAME_BYTES_MAX} bytes"),
        )),
    }
}

fn not_built(what: &str) -> Refused {
    Refused::new(
        ReturnCode::NotSupported,
        format!("{what} isn't part of this service"),
    )
}
