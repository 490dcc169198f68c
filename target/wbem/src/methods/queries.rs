//! The service's questions: which targets there are, which relationships, which peers.

use tidelock_capabilities::values::{
    CopyState, LocalElementRole, LocalOrRemote, MethodName, Mode, ReplicationType, ReturnCode,
    SyncType,
};

use super::replicas::known_element;
use super::{Arguments, Outcome, Returned, missing, reserved};
use crate::model::{Point, Question, Refused, Subject};
use crate::path::InstancePath;
use crate::server::Context;
use crate::value::Value;
use crate::view::View;

fn references(all: impl Iterator<Item = InstancePath>) -> Value {
    Value::Array(all.map(Value::Reference).collect())
}

/// Each candidate is asked about as if it were named: so the answer agrees with GetSynchronizationSupported.
pub(super) fn available_targets(context: &Context<'_>, given: &Arguments) -> Outcome {
    let source = known_element(context, given, "SourceElement")?;
    let source = source.ok_or_else(|| missing("SourceElement"))?;
    let sync_type: SyncType = given
        .mapped("SyncType")?
        .ok_or_else(|| missing("SyncType"))?;
    let mode: Option<Mode> = given.mapped("Mode")?;
    given.none_of(&["TargetSettingGoal", "TargetPools"])?;
    let point = context.view.point(given.path("TargetAccessPoint"));
    let locality = match &point {
        Point::Null => LocalOrRemote::Local,
        Point::Of(_) => LocalOrRemote::Remote,
        Point::Unknown => {
            let reason =
                "TargetAccessPoint isn't known here: GetServiceAccessPoints has those of peers";
            return Err(Refused::new(ReturnCode::InvalidParameter, reason));
        }
    };
    given.not_built(&["ReplicationSettingData"])?;
    let built: Vec<_> = Mode::ALL
        .iter()
        .filter(|it| mode.is_none_or(|mode| mode == **it))
        .filter_map(|mode| {
            let of = ReplicationType::of(sync_type, *mode, locality);
            context.view.built.of(of)
        })
        .collect();
    if built.is_empty() {
        let reason = format!("{sync_type} isn't part of this service");
        return Err(Refused::new(ReturnCode::NotSupported, reason));
    }
    let supplied: Vec<Mode> = built
        .iter()
        .filter(|it| it.target_supply.may_supply())
        .map(|it| it.mode())
        .collect();
    let candidates = context
        .view
        .inventory()
        .elements
        .iter()
        .filter(|candidate| {
            let is_there = match &point {
                Point::Of(peer) => candidate.peer.as_ref() == Some(peer),
                _ => candidate.peer.is_none(),
            };
            if supplied.is_empty() || candidate.id == source || candidate.snapshot || !is_there {
                return false;
            }
            let answer = context.model.synchronization_supported(&Question {
                local: Subject::Element(source),
                other: Subject::Element(candidate.id),
                access_point: point.clone(),
                method_name: MethodName::CreateElementReplica.value(),
            });
            let modes = answer.modes.iter();
            let mut triples = answer
                .sync_types
                .iter()
                .zip(modes)
                .zip(&answer.local_element_role);
            triples.any(|((found, mode), role)| {
                *found == sync_type
                    && supplied.contains(mode)
                    && *role == LocalElementRole::SystemElement
            })
        });
    let paths = candidates.map(|candidate| context.view.element_path(candidate.id));
    Ok(Returned::default().with("Candidates", references(paths)))
}

/// All of them, or those that answer now.
pub(super) fn peer_systems(context: &Context<'_>, given: &Arguments) -> Outcome {
    let only_reachable = match given.number("Options") {
        None => false,
        Some(2) => true,
        Some(other) => return Err(reserved("Options", other)),
    };
    let peers = context.view.inventory().peers.iter();
    let told = peers.filter(|it| it.reachable || !only_reachable);
    Ok(Returned::default().with("Systems", references(told.map(View::peer_path))))
}

pub(super) fn access_points(context: &Context<'_>, given: &Arguments) -> Outcome {
    let path = given.path("System").ok_or_else(|| missing("System"))?;
    let is_it =
        |it: InstancePath| it.canonical(context.namespace) == path.canonical(context.namespace);
    let mut peers = context.view.inventory().peers.iter();
    let found = peers.find(|peer| is_it(View::peer_path(peer)));
    if found.is_none() && !is_it(context.view.system_path()) {
        let reason = "System isn't known here: GetPeerSystems has those that are";
        return Err(Refused::new(ReturnCode::InvalidParameter, reason));
    }
    let points = found.into_iter().map(View::access_point_path);
    Ok(Returned::default().with("ServiceAccessPoints", references(points)))
}

pub(super) fn relationships(context: &Context<'_>, given: &Arguments) -> Outcome {
    let of_type = given.number("Type");
    if let Some(number) = of_type
        && !matches!(number, 2 | 3)
    {
        return Err(reserved("Type", number));
    }
    let sync_type: Option<SyncType> = given.mapped("SyncType")?;
    let mode: Option<Mode> = given.mapped("Mode")?;
    let state: Option<CopyState> = given.mapped("CopyState")?;
    let locality: Option<LocalOrRemote> = given.mapped("Locality")?;
    let fits = |found: (SyncType, Mode, CopyState), at: LocalOrRemote| {
        locality.is_none_or(|it| it == at)
            && sync_type.is_none_or(|it| it == found.0)
            && mode.is_none_or(|it| it == found.1)
            && state.is_none_or(|it| it == found.2)
    };
    let inventory = context.view.inventory();
    let elements = inventory
        .associations
        .iter()
        .filter(|it| {
            of_type != Some(3) && fits((it.sync_type, it.mode, it.copy_state), it.locality)
        })
        .map(|it| context.view.association_path(it.key));
    let snapshots = (
        SyncType::Snapshot,
        Mode::Synchronous,
        CopyState::Synchronized,
    );
    let groups = inventory
        .groups
        .iter()
        .filter(|_| of_type != Some(2) && fits(snapshots, LocalOrRemote::Local))
        .flat_map(|group| {
            group.sets.iter().map(|set| {
                let target = format!("{}@{}", group.name, set.name);
                View::group_association_path(&group.name, &target)
            })
        });
    Ok(Returned::default().with("Synchronizations", references(elements.chain(groups))))
}
