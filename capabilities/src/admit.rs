//! Whether a replica or aspect may be created: the same decision, asked about one combination. There are
//! no rules here, so what is offered and what is accepted can't differ.

use thiserror::Error;

use crate::decide::{Decision, decide};
use crate::facts::{Element, ElementId, Facts, GroupId, Place};
use crate::reason::{Obstacle, Reason};
use crate::request::{AccessPoint, Problem, Reference, Request};
use crate::triple::Triple;
use crate::values::{
    LocalElementRole, LocalOrRemote, MethodName, Mode, ReplicationType, ReturnCode, SyncType,
};
use crate::verdict::Verdict;

/// What is to be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Creation {
    /// By which method.
    pub method: MethodName,
    /// SyncType.
    pub sync_type: SyncType,
    /// Mode; `None` leaves it to the service.
    pub mode: Option<Mode>,
    /// SourceElement or SourceGroup.
    pub source: Reference,
    /// TargetElement or TargetGroup; null if the service is to make it.
    pub target: Reference,
    /// The access point of whichever end isn't here.
    pub access_point: AccessPoint,
}

/// A creation that may go ahead, in the state of the daemon that the facts are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The state of the daemon in which it was decided.
    pub generation: u64,
    /// What is made, with the Mode that was chosen.
    pub replication_type: ReplicationType,
    /// Which end the local element is.
    pub local_element_role: LocalElementRole,
}

/// Why a creation is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The request itself is the problem.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// The state, or what is built, doesn't allow it.
    #[error("{0}")]
    Reason(Reason),
}

impl Refusal {
    /// What is returned for it.
    #[must_use]
    pub const fn return_code(self) -> ReturnCode {
        match self {
            Self::Problem(problem) => problem.return_code(),
            Self::Reason(reason) => reason.obstacle().return_code(),
        }
    }
}

/// Decides whether a creation may go ahead.
///
/// # Errors
///
/// Why not. If the Mode is left open, it is the least lasting of the reasons against the modes.
pub fn admit(creation: &Creation, facts: &Facts<'_>) -> Result<Admitted, Refusal> {
    let (request, role) = request(creation, facts);
    let decision = decide(&request, facts);
    if let Some(problem) = decision.problem() {
        return Err(problem.into());
    }
    let locality = decision.locality().unwrap_or(LocalOrRemote::Local);
    let needs_target = creation.target == Reference::Null
        && creation.method != MethodName::CreateSynchronizationAspect;
    let mut refused: Option<Reason> = None;
    for mode in modes(creation, locality, facts) {
        let triple = Triple::new(creation.sync_type, mode, role);
        let replication_type = triple.replication_type(locality);
        let built = facts.built.of(replication_type);
        if needs_target && built.is_some_and(|it| !it.target_supply.may_create()) {
            return Err(Problem::TargetMissing.into());
        }
        match verdict(&decision, triple, replication_type) {
            Verdict::Supported => {
                return Ok(Admitted {
                    generation: decision.generation,
                    replication_type,
                    local_element_role: role,
                });
            }
            Verdict::Refused(reason) => refused = Some(less_lasting(refused, reason)),
        }
    }
    // Without a Mode and without a built one there was nothing to try.
    let mode = creation.mode.unwrap_or(Mode::Synchronous);
    let not_built = Reason::NotBuilt(ReplicationType::of(creation.sync_type, mode, locality));
    Err(Refusal::Reason(refused.unwrap_or(not_built)))
}

/// The elements that could be the target of a source: GetAvailableTargetElements. Each candidate is
/// asked about as if it had been named.
pub fn available_targets<'a, 'f: 'a>(
    creation: Creation,
    facts: Facts<'f>,
    candidates: impl Iterator<Item = &'a Element<'f>> + 'a,
) -> impl Iterator<Item = ElementId> + 'a {
    candidates.filter_map(move |candidate| {
        let source = match creation.source {
            Reference::Element(id) => facts.element(id)?,
            _ => return None,
        };
        let elements = [*source, *candidate];
        let facts = Facts {
            elements: &elements,
            ..facts
        };
        let creation = Creation {
            target: Reference::Element(candidate.id),
            ..creation
        };
        admit(&creation, &facts).is_ok().then_some(candidate.id)
    })
}

/// The creation as a question: the local end is whichever is served here.
fn request(creation: &Creation, facts: &Facts<'_>) -> (Request, LocalElementRole) {
    let source_is_elsewhere = match place(creation.source, facts) {
        Some(Place::Here) => false,
        Some(Place::At(_)) => true,
        // Nothing is known of it. If it is at a peer, the target is here.
        None => place(creation.target, facts) == Some(Place::Here),
    };
    let (local_element, other_element, role) = if source_is_elsewhere {
        (
            creation.target,
            creation.source,
            LocalElementRole::SyncedElement,
        )
    } else {
        (
            creation.source,
            creation.target,
            LocalElementRole::SystemElement,
        )
    };
    let request = Request {
        local_element,
        other_element,
        other_element_access_point: creation.access_point,
        method_name: creation.method.value(),
    };
    (request, role)
}

fn place(reference: Reference, facts: &Facts<'_>) -> Option<Place> {
    let element = |id: ElementId| facts.element(id).map(|it| it.place);
    let group = |id: GroupId| facts.group(id).map(|it| it.place);
    match reference {
        Reference::Null | Reference::Malformed => None,
        Reference::Element(id) => element(id),
        Reference::Group(id) => group(id),
    }
}

/// The modes to be tried, in the order of preference.
fn modes<'a>(
    creation: &Creation,
    locality: LocalOrRemote,
    facts: &Facts<'a>,
) -> impl Iterator<Item = Mode> + use<'a> {
    let chosen = creation.mode;
    let open = facts
        .built
        .choices(creation.sync_type, locality)
        .map(|built| built.mode())
        .filter(move |_| chosen.is_none());
    chosen.into_iter().chain(open)
}

fn verdict(decision: &Decision, triple: Triple, replication_type: ReplicationType) -> Verdict {
    decision
        .verdict(triple)
        .unwrap_or(Verdict::Refused(Reason::NotBuilt(replication_type)))
}

fn less_lasting(kept: Option<Reason>, other: Reason) -> Reason {
    let rank = |it: Reason| -> (Obstacle, Reason) { (it.obstacle(), it) };
    match kept {
        Some(kept) if rank(kept) <= rank(other) => kept,
        _ => other,
    }
}
