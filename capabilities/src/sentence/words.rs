//! The words of every reason. Where something can be done about it, it stands after the colon.

use std::fmt;

use super::Names;
use crate::facts::{
    AssociationKey, ElementId, GroupId, Lock, PeerFault, PeerId, ReservedAs, Store,
};
use crate::reason::Reason;
use crate::values::{CopyState, Operation};

/// Something with a name, for use in a format string.
struct Named<'a, T>(&'a dyn Names, T);

impl fmt::Display for Named<'_, ElementId> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.element(self.1, f)
    }
}

impl fmt::Display for Named<'_, GroupId> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.group(self.1, f)
    }
}

impl fmt::Display for Named<'_, PeerId> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.peer(self.1, f)
    }
}

impl fmt::Display for Named<'_, AssociationKey> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.element(self.1.system_element, f)?;
        f.write_str(" -> ")?;
        self.0.element(self.1.synced_element, f)
    }
}

/// The sentences, with the names that they use.
pub(super) struct Say<'a>(pub(super) &'a dyn Names);

impl<'a> Say<'a> {
    const fn name<T>(&self, id: T) -> Named<'a, T> {
        Named(self.0, id)
    }

    /// What an association has to do with it.
    pub(super) fn about_association(
        &self,
        reason: Reason,
        key: AssociationKey,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        let it = self.name(key);
        match reason {
            Reason::IsSource(_) => write!(
                f,
                "it is the source of {it} and can't be overwritten: detach that first"
            ),
            Reason::FlowsOn(_) => write!(
                f,
                "what is written to the source would go on to {it}: suspend or split that first"
            ),
            Reason::IsTarget(_) => write!(
                f,
                "it is the target of {it}: detach it to make it a volume of its own"
            ),
            Reason::Exists(_) => write!(f, "there is {it} already: modify that one"),
            Reason::Copying(_) => write!(f, "{it} is being copied: wait until it is Synchronized"),
            Reason::NoConsistentImage { copy_state, .. } => write!(
                f,
                "the target of {it} holds no image of a single moment ({copy_state}): \
                 resync and split it"
            ),
            Reason::SnapshotState { copy_state, .. } => write!(
                f,
                "the snapshot {it} is {copy_state}: {}",
                match copy_state {
                    CopyState::Inactive | CopyState::Prepared | CopyState::Initialized => {
                        "activate it"
                    }
                    CopyState::Aborted => "resync it or make another one",
                    _ => "wait until it is Synchronized",
                }
            ),
            Reason::ChangingOver(_) => {
                write!(f, "{it} is changing over: wait until that is completed")
            }
            Reason::FailedOver(_) => write!(f, "{it} has failed over: fail it back or detach it"),
            Reason::Unfinished { next, .. } => {
                let next = next.unwrap_or(Operation::ResyncReplica);
                write!(f, "{it} is unfinished: it requires the operation {next}")
            }
            Reason::HalfRestored(_) => write!(
                f,
                "the source of {it} was left half restored: restore it or fail over again"
            ),
            Reason::BeingRestored(_) => {
                write!(f, "{it} is being restored: wait until that is completed")
            }
            Reason::StateUnknown { copy_state, .. } => write!(
                f,
                "the state of {it} isn't known ({copy_state}): restore the connection, or detach it"
            ),
            _ => write!(f, "{it} is broken: resync or detach it"),
        }
    }

    /// What is in the way at the moment, beside associations.
    pub(super) fn about_state(&self, reason: Reason, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match reason {
            Reason::NoSpace { element, at: None } => write!(
                f,
                "there is no space for a copy of {}: free some, or supply a target",
                self.name(element)
            ),
            Reason::NoSpace {
                element,
                at: Some(peer),
            } => write!(
                f,
                "{} has no space for a copy of {}: free some there, or supply a target",
                self.name(peer),
                self.name(element)
            ),
            Reason::LimitReached { component, maximum } => write!(
                f,
                "the limit is reached, {maximum} ({component}): delete or detach one that isn't needed"
            ),
            Reason::MustBeOffline(element) => write!(
                f,
                "{} is online, and is copied only offline: take it offline",
                self.name(element)
            ),
            Reason::HasCopies(element) => write!(
                f,
                "{} is the source of copies: detach or delete them first",
                self.name(element)
            ),
            Reason::ReadOnly(element) => {
                write!(f, "{} is read-only: make it writable", self.name(element))
            }
            Reason::InUseByHosts {
                element,
                sessions,
                reserved,
            } => write!(
                f,
                "{} is used by hosts ({sessions} sessions{}): log them out or unmap it",
                self.name(element),
                if reserved {
                    ", and a reservation is held"
                } else {
                    ""
                }
            ),
            Reason::Locked { element, lock } => write!(
                f,
                "{} is being {}: wait until that is completed",
                self.name(element),
                being(lock)
            ),
            Reason::StoreFault { element, store } => {
                write!(f, "{} {}", self.name(element), of_store(store))
            }
            _ => self.about_peer(reason, f),
        }
    }

    fn about_peer(&self, reason: Reason, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match reason {
            Reason::PeerNotAsked(peer) => {
                write!(f, "{} has not been asked: ask again", self.name(peer))
            }
            Reason::PeerSilent(peer) => {
                write!(f, "{} doesn't answer: check the link", self.name(peer))
            }
            Reason::PeerFaulty(peer, fault) => write!(
                f,
                "{} {}",
                self.name(peer),
                match fault {
                    PeerFault::Authentication => {
                        "and this daemon haven't accepted each other's identity: `tidelock peer list` at both says what is missing"
                    }
                    PeerFault::Protocol => "breaks the protocol: see the logs of both",
                    PeerFault::PortGroups =>
                        "and this daemon have a portal group in common, so hosts couldn't tell their paths apart: give one \
                         of them a group of its own",
                }
            ),
            _ => self.about_group(reason, f),
        }
    }

    fn about_group(&self, reason: Reason, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match reason {
            Reason::GroupEmpty(group) => {
                write!(f, "{} has no members: add some", self.name(group))
            }
            Reason::GroupTooSmall(group) => write!(
                f,
                "{} has one member, and a source group needs more: add another one",
                self.name(group)
            ),
            Reason::GroupsUnequal { source, target } => write!(
                f,
                "the source group has {source} members and the target group {target}: make them equal"
            ),
            Reason::GroupReserved { group, reserved_as } => write!(
                f,
                "{} may only be a {}: choose another group",
                self.name(group),
                if reserved_as == ReservedAs::SourceOnly {
                    "source"
                } else {
                    "target"
                }
            ),
            Reason::GroupInRelation(group) => write!(
                f,
                "{} has a relation and can have only one: detach that first",
                self.name(group)
            ),
            Reason::WouldBeCycle { source, target } => write!(
                f,
                "{} is a copy of {}: detach it first",
                self.name(source),
                self.name(target)
            ),
            // The others are told elsewhere.
            _ => f.write_str("it isn't possible"),
        }
    }

    /// What is never possible.
    pub(super) fn never(&self, reason: Reason, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match reason {
            Reason::NotBuilt(it) => write!(f, "{it} isn't part of this service"),
            Reason::NotByMethod(it, method) => write!(f, "{it} can't be made by {method}"),
            Reason::PeerLacksType(peer, it) => {
                write!(f, "{} doesn't take part in {it}", self.name(peer))
            }
            Reason::PeerIncompatible(peer) => write!(
                f,
                "{} speaks no version that this daemon speaks: bring both to the same version",
                self.name(peer)
            ),
            Reason::AspectHasNoTarget => f.write_str("an aspect has a source and no target"),
            Reason::TargetIsCreated(it) => {
                write!(
                    f,
                    "the target of a {it} is made by the service: don't supply one"
                )
            }
            Reason::NotReplicated(it) => {
                write!(f, "{} is of a kind that isn't replicated", self.name(it))
            }
            Reason::FormatCannot(element, it) => write!(
                f,
                "the format of {} can't be the source of a {it}",
                self.name(element)
            ),
            Reason::IsSnapshot(it) => write!(
                f,
                "{} is a snapshot, which isn't written, mirrored or frozen again: clone it",
                self.name(it)
            ),
            Reason::ChainTooLong(it) => write!(
                f,
                "{} is at the end of the longest chain of copies that is possible",
                self.name(it)
            ),
            _ => self.about_ends(reason, f),
        }
    }

    /// What two ends rule out for good.
    fn about_ends(&self, reason: Reason, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match reason {
            Reason::GroupAspectsNotBuilt => {
                f.write_str("aspects are made of elements, not of groups")
            }
            Reason::ManyToManyNotBuilt => f.write_str("groups can't be copied to groups here"),
            Reason::OneToManyNotBuilt => {
                f.write_str("one source can't have a group of targets here")
            }
            Reason::TargetIsNoGroup(it) => {
                write!(
                    f,
                    "{} is no group, and the target has to be one",
                    self.name(it)
                )
            }
            Reason::BlockSizesDiffer {
                source_bytes,
                target_bytes,
            } => write!(
                f,
                "the logical blocks of the source have {source_bytes} bytes and those of the target \
                 {target_bytes}: choose another target"
            ),
            Reason::TargetTooSmall {
                source_bytes,
                target_bytes,
            } => write!(
                f,
                "the source has {source_bytes} bytes and the target {target_bytes}: \
                 choose a larger target"
            ),
            Reason::SizesDiffer {
                source_bytes,
                target_bytes,
            } => write!(
                f,
                "the source has {source_bytes} bytes and the target {target_bytes}: \
                 choose a target of the same size"
            ),
            Reason::SameElement(it) => {
                write!(f, "{} would be source and target at once", self.name(it))
            }
            // The others are told elsewhere.
            _ => f.write_str("it isn't possible"),
        }
    }
}

const fn being(lock: Lock) -> &'static str {
    match lock {
        Lock::Creating => "created",
        Lock::Deleting => "deleted",
        Lock::Resizing => "resized",
        Lock::Moving => "moved",
        Lock::Formatting => "formatted",
        Lock::Sanitizing => "sanitized",
    }
}

const fn of_store(store: Store) -> &'static str {
    match store {
        Store::Healthy => "is healthy",
        Store::Missing => "has lost its file: bring it back and restart",
        Store::Failing => "answers with errors: repair its storage",
        Store::Fenced => "is fenced since a flush failed: check it and clear the fence",
    }
}
