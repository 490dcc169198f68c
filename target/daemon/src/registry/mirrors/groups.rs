//! Operations on the mirrors of all volumes of a group. Every one of them is admitted as it would be by itself before
//! anything is done, and nothing is if one isn't.
//!
//! What ends the flow of data ([`point`]) leaves targets that are their sources at one instant. What lets it go on, and changes of
//! roles with a peer, which lose nothing, are done one after the other.

mod creating;
mod point;

use std::sync::Arc;

use tidelock_capabilities::values::{CopyState, Operation};
use tidelock_catalog::{
    Change, GroupName, Mirror, MirrorId, MirrorRest, Peer, PeerName, VolumeName,
};
use tidelock_mirror::generation::Role;
use tidelock_replication::Volume;
use uuid::Uuid;

use super::asking::{Ask, Done, Wanted};
use super::facts::SIDES;
use super::holding::TELLING;
use super::operations::{MirrorChange, refuse};
use super::remote::not_done;
use super::restoring::check_restoring;
use super::{ChangeError, Registry, Running};
use crate::mirrors::state::State;
use crate::registry::capabilities::Refused;

pub(super) use creating::Room;
pub use creating::{GroupMirrorRequest, GroupTarget};

/// What is to be done with the mirrors of a group's volumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMirrorChange {
    /// Which group.
    pub group: GroupName,
    /// What.
    pub operation: Operation,
    /// Though data may be lost.
    pub force: bool,
}

/// The mirror of one volume.
#[derive(Clone, Debug)]
struct Member {
    volume: VolumeName,
    record: Mirror,
    running: Arc<Running>,
}

/// Who does what the source does.
enum AtSource {
    Here,
    Peer(PeerName),
}

impl Member {
    fn name(&self) -> &str {
        self.volume.as_str()
    }

    /// The volume that hosts write, if it is here.
    fn source(&self, registry: &Registry) -> Option<Arc<Volume>> {
        let is_source = |side| self.running.look(|it| it.role(side)) == Some(Role::Source);
        let mut ends = SIDES
            .into_iter()
            .filter(|side| self.record.end(*side).is_here() && is_source(*side));
        let end = self.record.end(ends.next()?);
        registry.volume(&end.volume)?.store()
    }

    fn copy_state(&self) -> CopyState {
        self.running.look(|it| it.association().copy_state)
    }

    /// Whether it is what an operation would make it, so that a group of which some are and some aren't is done with the
    /// operation by doing it with the rest.
    fn is_done(&self, operation: Operation) -> bool {
        let rest = self.running.look(|it| it.record().rest);
        let flows = [CopyState::Unsynchronized, CopyState::Synchronized];
        match operation {
            Operation::Resume | Operation::ResyncReplica | Operation::Failback => {
                rest == MirrorRest::Linked && flows.contains(&self.copy_state())
            }
            Operation::Failover => self.copy_state() == CopyState::Failedover,
            _ => false,
        }
    }

    fn change(&self, operation: Operation, force: bool) -> MirrorChange {
        MirrorChange {
            mirror: self.record.id.to_string(),
            operation,
            force,
            discard: None,
        }
    }

    /// Whether its other end is at a peer, and there is no connection.
    fn is_parted(&self) -> bool {
        self.record.remote().is_some() && !self.running.is_connected()
    }

    /// Says whose error it is.
    fn error(&self, error: ChangeError) -> ChangeError {
        let volume = &self.volume;
        match error {
            ChangeError::Refused(Refused {
                return_code,
                reason,
            }) => ChangeError::Refused(Refused {
                return_code,
                reason: format!("volume {volume}: {reason}"),
            }),
            ChangeError::Mirror(reason) => {
                ChangeError::Mirror(format!("volume {volume}: {reason}"))
            }
            ChangeError::Rule(error) => refuse(format!("volume {volume}: {error}")),
            other => other,
        }
    }
}

impl Registry {
    /// Does an operation on the mirrors of all volumes of a group. What takes long has begun when it returns.
    ///
    /// # Errors
    /// The state of one of them, a volume or the disk stands against it. Then nothing has changed; but for what is done one
    /// after the other, of which the error tells how far it has come.
    pub async fn modify_group_mirrors(
        self: &Arc<Self>,
        change: GroupMirrorChange,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| this.modify_group_now(&change).await)
            .await
    }

    async fn modify_group_now(
        self: &Arc<Self>,
        change: &GroupMirrorChange,
    ) -> Result<Vec<Change>, ChangeError> {
        let GroupMirrorChange {
            group,
            operation,
            force,
        } = change;
        let (operation, force) = (*operation, *force);
        if let Operation::ResetToSync | Operation::ResetToAsync | Operation::RestoreFromReplica =
            operation
        {
            return Err(refuse(format!(
                "{operation} is done with one mirror at a time: name a volume instead of a group"
            )));
        }
        let members = self.mirrored_members(group)?;
        let count = members.len();
        let left: Vec<_> = members.iter().filter(|it| !it.is_done(operation)).collect();
        let members = match left.is_empty() {
            true => members,
            false => left.into_iter().cloned().collect(),
        };
        self.admit_members(&members, operation, force)?;
        check_one_moment(&members, count, operation)?;
        match operation {
            _ if holds(operation) => match self.all_at(&members, operation, force)? {
                AtSource::Here => self.operate_at_once(&members, operation, force).await,
                AtSource::Peer(peer) => self.ask_for_all(&peer, &members, operation).await,
            },
            Operation::Failover | Operation::Failback | Operation::ReverseRoles
                if members.iter().all(|it| it.record.remote().is_none()) =>
            {
                self.operate_at_once(&members, operation, force).await
            }
            _ => self.operate_in_turn(&members, operation, force).await,
        }
    }

    /// The mirrors of all volumes of a group, of which these are all sources, or all targets.
    fn mirrored_members(&self, group: &GroupName) -> Result<Vec<Member>, ChangeError> {
        let members = self.members_with_mirrors(group)?;
        let catalog = self.catalog();
        let without = catalog.group(group)?.members.iter();
        let mut without = without.filter(|volume| catalog.mirror_of(volume).is_none());
        if let Some(volume) = without.next() {
            return Err(refuse(format!(
                "volume {volume} of group {group} isn't mirrored: mirror it as well, or take it out of the group"
            )));
        }
        let is_source = |it: &&Member| it.record.side_of(&it.volume) == Some(it.record.source);
        let (sources, targets): (Vec<_>, Vec<_>) = members.iter().partition(is_source);
        if let (Some(source), Some(target)) = (sources.first(), targets.first()) {
            return Err(refuse(format!(
                "volume {} of group {group} is the source of its mirror, and volume {} is the target of its: a group is done \
                 with whose volumes are all one or the other",
                source.volume, target.volume
            )));
        }
        Ok(members)
    }

    /// The mirrors of those volumes of a group that have one.
    fn members_with_mirrors(&self, group: &GroupName) -> Result<Vec<Member>, ChangeError> {
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        let catalog = self.catalog();
        let mut members = Vec::new();
        for volume in &catalog.group(group)?.members {
            let Some(mirror) = catalog.mirror_of(volume) else {
                continue;
            };
            let running = self.mirrors.get(mirror.id).ok_or(ChangeError::Loading)?;
            members.push(Member {
                volume: volume.clone(),
                // What the ends have agreed on may be on its way to the catalog.
                record: running.look(|state| state.record().clone()),
                running,
            });
        }
        if members.is_empty() {
            return Err(refuse(format!(
                "group {group} has no volumes that are mirrored"
            )));
        }
        Ok(members)
    }

    /// Whether an operation would be begun with each of them now: by what admits it with one alone.
    fn admit_members(
        &self,
        members: &[Member],
        operation: Operation,
        force: bool,
    ) -> Result<(), ChangeError> {
        for member in members {
            let Member {
                record, running, ..
            } = member;
            let admitted = match record.remote() {
                None if operation == Operation::Detach => self
                    .admit_detach(&record.id.to_string(), force)
                    .and_then(|_| check_restoring(running, operation, force)),
                None => {
                    let change = member.change(operation, force);
                    self.admit_change(record, running, &change).map(drop)
                }
                Some(_) => self.admit_remote_operation(running, operation, force),
            };
            admitted.map_err(|error| member.error(error))?;
        }
        Ok(())
    }

    /// The one daemon that has all sources: there is no other that could see them at one instant.
    fn all_at(
        &self,
        members: &[Member],
        operation: Operation,
        force: bool,
    ) -> Result<AtSource, ChangeError> {
        let mut at: Option<(&Member, Option<PeerName>)> = None;
        for member in members {
            let Member {
                record, running, ..
            } = member;
            let asked = self.admit_at_source(record, running, operation, force);
            let asked = asked.map_err(|error| member.error(error))?;
            let peer = record.remote().filter(|_| asked.is_some());
            let peer = peer.map(|(_, elsewhere)| elsewhere.peer.clone());
            match &at {
                None => at = Some((member, peer)),
                Some((_, known)) if *known == peer => {}
                Some((other, _)) => {
                    return Err(refuse(format!(
                        "the sources of volumes {} and {} are at different daemons, which don't share a moment: name the volumes \
                         one by one",
                        other.volume, member.volume
                    )));
                }
            }
        }
        Ok(at
            .and_then(|(_, peer)| peer)
            .map_or(AtSource::Here, AtSource::Peer))
    }

    /// Lets a peer, which has all sources, do it at one instant.
    async fn ask_for_all(
        &self,
        peer: &PeerName,
        members: &[Member],
        operation: Operation,
    ) -> Result<Vec<Change>, ChangeError> {
        let Some(operation) = Wanted::of(operation) else {
            return Err(refuse("that isn't done by the source".into()));
        };
        let ask = Ask::OperateTogether {
            mirrors: members.iter().map(|it| it.record.id.0).collect(),
            operation,
        };
        let asked: Result<Done, _> = self.mirrors.peers()?.ask(peer, &ask).await;
        asked.map_err(|error| {
            not_done(&error, |error| {
                format!("peer {peer} has the sources, and does this: {error}")
            })
        })?;
        // The other daemon has done it: what is shown here follows.
        for member in members {
            let before = &member.record;
            let follows = |state: &State| state.record() != before;
            member.running.until(TELLING, follows).await;
        }
        Ok(Vec::new())
    }

    /// A peer's operator wants the sources here to do something at one instant.
    pub(super) async fn operate_together_for_peer(
        self: &Arc<Self>,
        peer: &Peer,
        mirrors: Vec<Uuid>,
        operation: Operation,
    ) -> Result<(), ChangeError> {
        if !holds(operation) {
            return Err(refuse(format!(
                "{operation} isn't done with several at one instant"
            )));
        }
        let mut members: Vec<Member> = Vec::new();
        for id in mirrors {
            let running = self.mirror_of_peer(peer, MirrorId(id))?;
            let record = running.look(|state| state.record().clone());
            let own = record.remote().map(|(remote, _)| remote.opposite());
            let role = own.and_then(|own| running.look(|state| state.role(own)));
            let Some(own) = own.filter(|_| role == Some(Role::Source)) else {
                return Err(refuse(
                    "the end there isn't the source either: try again".into(),
                ));
            };
            if members.iter().all(|it| it.record.id != record.id) {
                members.push(Member {
                    volume: record.end(own).volume.clone(),
                    record,
                    running,
                });
            }
        }
        self.detached(async move |this| {
            this.admit_members(&members, operation, false)?;
            check_one_moment(&members, members.len(), operation)?;
            this.operate_at_once(&members, operation, false).await
        })
        .await
        .map(drop)
    }

    /// One after the other.
    async fn operate_in_turn(
        self: &Arc<Self>,
        members: &[Member],
        operation: Operation,
        force: bool,
    ) -> Result<Vec<Change>, ChangeError> {
        let mut changes = Vec::new();
        let mut done: Vec<&str> = Vec::new();
        for member in members {
            match self.modify_now(member.change(operation, force)).await {
                Ok(changed) => changes.extend(changed),
                Err(error) => {
                    let left: Vec<_> = members.iter().skip(done.len()).map(Member::name).collect();
                    return Err(half_done((&done, &left), operation, member.error(error)));
                }
            }
            done.push(member.name());
        }
        Ok(changes)
    }

    /// Ends the mirrors of those volumes of a group that have one. Each keeps what it has at that moment.
    ///
    /// # Errors
    /// The state of one of them stands against it; then nothing has changed. Or the disk or a peer does; then the error tells
    /// how far it has come.
    pub async fn detach_group_mirrors(
        self: &Arc<Self>,
        group: GroupName,
        force: bool,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| {
            let mut members = this.members_with_mirrors(&group)?;
            members.dedup_by_key(|it| it.record.id);
            this.admit_members(&members, Operation::Detach, force)?;
            let mut changes = Vec::new();
            let mut done: Vec<&str> = Vec::new();
            for member in &members {
                let mirror = member.record.id.to_string();
                // Both of its volumes may be in the group.
                if this.catalog().mirror(member.record.id).is_none() {
                    continue;
                }
                match this.detach_now(&mirror, force).await {
                    Ok(changed) => changes.extend(changed),
                    Err(error) => {
                        let error = member.error(error);
                        return Err(half_done((&done, &[]), Operation::Detach, error));
                    }
                }
                done.push(member.name());
            }
            Ok(changes)
        })
        .await
    }
}

/// Whether what hosts would find is of one moment, in a group of so many of which these are left to be operated on.
fn check_one_moment(
    members: &[Member],
    count: usize,
    operation: Operation,
) -> Result<(), ChangeError> {
    let is_late = |it: &&Member| {
        it.running.look(State::is_asynchronous) && it.copy_state() != CopyState::Synchronized
    };
    let late = members.iter().find(is_late);
    match late.filter(|_| operation == Operation::Failover && count > 1) {
        None => Ok(()),
        Some(member) => Err(refuse(format!(
            "volume {}: its mirror is asynchronous and isn't Synchronized, so the target is its source at a moment of its own, \
             and those of the other volumes are at others: fail over each volume by its name, if that is good enough",
            member.volume
        ))),
    }
}

/// Whether nothing is sent after an operation.
const fn holds(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Suspend | Operation::Fracture | Operation::Split
    )
}

/// What an operator needs to know if it is done with some and, for that reason, not with the ones that are left.
fn half_done(
    (done, left): (&[&str], &[&str]),
    operation: Operation,
    error: ChangeError,
) -> ChangeError {
    if done.is_empty() {
        return error;
    }
    let next = match operation {
        // The group has sources and targets until then, and is refused.
        Operation::ReverseRoles => format!(
            "put that right, and ask for the same of {}, one by one, by their names",
            left.join(", ")
        ),
        _ => "put that right, and ask for the same again".to_owned(),
    };
    ChangeError::Mirror(format!(
        "{error}. It is done with {}: {next}",
        done.join(", ")
    ))
}
