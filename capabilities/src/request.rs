//! The request as it came, and what has to be right about it before there is anything to decide.

use thiserror::Error;

use crate::facts::{
    Element, ElementId, ElementKind, Facts, Group, GroupId, Peer, PeerId, Place, Reach,
};
use crate::values::{EnabledState, LocalOrRemote, MethodName, ReturnCode};

/// The parameters of GetSynchronizationSupported, with references resolved to identities as far as they
/// can be read. Whether what they name exists is for the facts to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// LocalElement.
    pub local_element: Reference,
    /// OtherElement.
    pub other_element: Reference,
    /// OtherElementAccessPoint.
    pub other_element_access_point: AccessPoint,
    /// MethodName, as the number that came.
    pub method_name: u16,
}

/// A reference to an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// None was given.
    Null,
    /// It can't be read as a reference to anything of ours.
    Malformed,
    /// An element.
    Element(ElementId),
    /// A group.
    Group(GroupId),
}

/// A reference to an access point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessPoint {
    /// None was given: the other element is local, or needs no access information.
    Null,
    /// It can't be read, or no such access point is known.
    Malformed,
    /// One of this peer's.
    Of(PeerId),
}

/// Why a request can't be decided. The text says what is wrong and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// No such method.
    #[error(
        "MethodName {0} is reserved: give 2 (CreateElementReplica), 3 (CreateGroupReplica) or \
         4 (CreateSynchronizationAspect)"
    )]
    MethodNameReserved(u16),
    /// It is what the question is about.
    #[error("LocalElement is missing: name a volume, snapshot or group of this service")]
    LocalElementMissing,
    /// It can't be read.
    #[error(
        "LocalElement is no reference to anything of this service: give an object path of its own"
    )]
    LocalElementMalformed,
    /// It isn't there, or not any more.
    #[error(
        "LocalElement isn't known here: it was deleted, or belongs to another service; list the elements again"
    )]
    LocalElementUnknown,
    /// It is a peer's.
    #[error(
        "LocalElement is served by the peer {0}: ask that peer's service, or give it as OtherElement"
    )]
    LocalElementElsewhere(PeerId),
    /// It can't be read.
    #[error(
        "OtherElement is no reference to a volume, snapshot or group: give an object path, or leave it out"
    )]
    OtherElementMalformed,
    /// It isn't there, and nothing says where else it would be.
    #[error("OtherElement isn't known here: give its access point if it is a peer's")]
    OtherElementUnknown,
    /// They are one.
    #[error("OtherElement is LocalElement: give another one, or leave it out")]
    SameElement,
    /// It can't be read or isn't known.
    #[error("OtherElementAccessPoint isn't known here: introduce the peer first, or leave it out")]
    AccessPointUnknown,
    /// It leads elsewhere.
    #[error("OtherElementAccessPoint is of another peer than {0}, which serves OtherElement")]
    AccessPointElsewhere(PeerId),
    /// The peer says that it has no such element.
    #[error("the peer {0} has no such element: list its elements again")]
    NoSuchElementAtPeer(PeerId),
    /// A creation needs a target.
    #[error("this copy needs a target that exists: supply one")]
    TargetMissing,
    /// The service starts.
    #[error("the replication service is still reading its records: ask again in a moment")]
    ServiceStarting,
    /// The service is off.
    #[error("the replication service is {0}: enable it")]
    ServiceNotEnabled(EnabledState),
    /// The kind of element isn't replicated.
    #[error("this kind of element isn't replicated: only volumes and their snapshots are")]
    NotReplicated,
    /// A group was given to a method for elements.
    #[error("a group can't be given to CreateElementReplica: use CreateGroupReplica")]
    GroupNotPossible,
    /// The method isn't built or configured.
    #[error("{0} isn't part of this service")]
    MethodNotBuilt(MethodName),
}

impl Problem {
    /// What is returned for it.
    #[must_use]
    pub const fn return_code(self) -> ReturnCode {
        match self {
            Self::ServiceStarting => ReturnCode::Unknown,
            Self::ServiceNotEnabled(_) => ReturnCode::Failed,
            Self::NotReplicated | Self::GroupNotPossible | Self::MethodNotBuilt(_) => {
                ReturnCode::NotSupported
            }
            _ => ReturnCode::InvalidParameter,
        }
    }
}

/// A request that can be decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) method: MethodName,
    pub(crate) local: End<'a>,
    /// `None` if none was given, or if it is at a peer that doesn't tell.
    pub(crate) other: Option<End<'a>>,
    /// Whether one was given.
    pub(crate) names_other: bool,
    /// Whom the answer hinges on, if it is about a remote copy.
    pub(crate) peer: Option<(PeerId, Option<&'a Peer>)>,
    pub(crate) locality: LocalOrRemote,
}

/// One end of the copies asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End<'a> {
    Element(&'a Element<'a>),
    Group(&'a Group<'a>),
}

impl<'a> End<'a> {
    /// The elements that it comes to.
    pub(crate) const fn members(self) -> &'a [Element<'a>] {
        match self {
            Self::Element(element) => std::slice::from_ref(element),
            Self::Group(group) => group.members,
        }
    }

    const fn place(self) -> Place {
        match self {
            Self::Element(element) => element.place,
            Self::Group(group) => group.place,
        }
    }
}

/// Checks a request, from what only its text can tell to what the facts tell.
pub(crate) fn question<'a>(request: &Request, facts: &Facts<'a>) -> Result<Question<'a>, Problem> {
    let method = MethodName::try_from(request.method_name)
        .map_err(|_| Problem::MethodNameReserved(request.method_name))?;
    // An aspect has one end only. What is given for the other one is not looked at.
    let (other, access_point) = match method {
        MethodName::CreateSynchronizationAspect => (Reference::Null, AccessPoint::Null),
        _ => (request.other_element, request.other_element_access_point),
    };
    match request.local_element {
        Reference::Null => return Err(Problem::LocalElementMissing),
        Reference::Malformed => return Err(Problem::LocalElementMalformed),
        local if local == other => return Err(Problem::SameElement),
        _ => (),
    }
    if other == Reference::Malformed {
        return Err(Problem::OtherElementMalformed);
    }
    if access_point == AccessPoint::Malformed {
        return Err(Problem::AccessPointUnknown);
    }
    // What isn't known while the records are being read may be known in a moment.
    match facts.service {
        EnabledState::Enabled => (),
        EnabledState::Starting => return Err(Problem::ServiceStarting),
        state => return Err(Problem::ServiceNotEnabled(state)),
    }
    let local = find(request.local_element, facts).ok_or(Problem::LocalElementUnknown)?;
    if let Place::At(peer) = local.place() {
        return Err(Problem::LocalElementElsewhere(peer));
    }
    let names_other = other != Reference::Null;
    let (other, peer) = other_end(other, access_point, facts)?;
    if !facts.built.has_method(method) {
        return Err(Problem::MethodNotBuilt(method));
    }
    replicable(method, local)?;
    other.map_or(Ok(()), |other| replicable(method, other))?;
    Ok(Question {
        method,
        local,
        other,
        names_other,
        peer,
        locality: if peer.is_some() {
            LocalOrRemote::Remote
        } else {
            LocalOrRemote::Local
        },
    })
}

type OtherEnd<'a> = (Option<End<'a>>, Option<(PeerId, Option<&'a Peer>)>);

/// The other element and where it is.
fn other_end<'a>(
    other: Reference,
    access_point: AccessPoint,
    facts: &Facts<'a>,
) -> Result<OtherEnd<'a>, Problem> {
    let named = match access_point {
        AccessPoint::Of(id) => Some((id, facts.peer(id).ok_or(Problem::AccessPointUnknown)?)),
        _ => None,
    };
    if other == Reference::Null {
        return Ok((None, named.map(|(id, peer)| (id, Some(peer)))));
    }
    match (find(other, facts), named) {
        (Some(end), named) => match (end.place(), named) {
            // An access point isn't needed then, and does no harm.
            (Place::Here, _) => Ok((Some(end), None)),
            (Place::At(id), Some((other, _))) if other != id => {
                Err(Problem::AccessPointElsewhere(id))
            }
            (Place::At(id), _) => Ok((Some(end), Some((id, facts.peer(id))))),
        },
        (None, Some((id, peer))) if peer.reach == Reach::Answers => {
            Err(Problem::NoSuchElementAtPeer(id))
        }
        (None, Some((id, peer))) => Ok((None, Some((id, Some(peer))))),
        (None, None) => Err(Problem::OtherElementUnknown),
    }
}

fn find<'a>(reference: Reference, facts: &Facts<'a>) -> Option<End<'a>> {
    match reference {
        Reference::Null | Reference::Malformed => None,
        Reference::Element(id) => facts.element(id).map(End::Element),
        Reference::Group(id) => facts.group(id).map(End::Group),
    }
}

/// Whether the method takes such an end at all.
fn replicable(method: MethodName, end: End<'_>) -> Result<(), Problem> {
    match end {
        End::Group(_) if method == MethodName::CreateElementReplica => {
            Err(Problem::GroupNotPossible)
        }
        End::Element(element) if element.kind == ElementKind::Unreplicated => {
            Err(Problem::NotReplicated)
        }
        _ => Ok(()),
    }
}
