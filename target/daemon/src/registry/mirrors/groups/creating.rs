//! Mirrors of all volumes of a group, made in one go: with the volumes of another group here, or with new ones at a peer.
//!
//! Here all of them are told to the catalog at once. A peer is asked first whether it could make all targets and their group; what is
//! begun when one can't be made after all is ended again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidelock_capabilities::values::MethodName;
use tidelock_catalog::{
    BlockSize, Change, Command, GroupName, Integrity, MirrorCompression, MirrorFailover, MirrorId,
    MirrorMode, NewVolume, OnFailure, Peer, PeerName, SpaceLimits, VolumeId, VolumeName,
};
use uuid::Uuid;

use super::super::asking::{Ask, Done};
use super::super::beginning::{MirrorRequest, check_hosts_go_on, mode_of};
use super::super::operations::refuse;
use super::super::remote::{RemoteMirrorRequest, not_done};
use super::super::{ChangeError, EndName, Registry};
use crate::registry::capabilities::ElementName;

/// Mirrors of a group's volumes that are to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMirrorRequest {
    /// The group whose volumes' content counts.
    pub group: GroupName,
    /// What becomes their copies.
    pub target: GroupTarget,
    /// What is done with hosts while a copy is away.
    pub on_failure: OnFailure,
    /// When writes of hosts are answered.
    pub mode: MirrorMode,
    /// How many bytes of each are copied a second at most, if anybody minds.
    pub resync_limit: Option<u64>,
}

/// A mirror that was made with others, and its source.
type Begun<'a> = (&'a VolumeName, MirrorId);

/// How mirrors are that are to be made.
type How = (OnFailure, MirrorMode, Option<u64>);

/// The copies of a group's volumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupTarget {
    /// The volumes of another group here, in the order of their names.
    Here(GroupName),
    /// New volumes at a peer that are called as the sources, in a new group there.
    AtPeer {
        /// Who makes them.
        peer: PeerName,
        /// What the group is called there.
        group: GroupName,
    },
}

/// A volume that is to be made as the target of a mirror, if it can be.
#[derive(Debug, Deserialize, Serialize)]
pub(in crate::registry::mirrors) struct Room {
    volume: String,
    bytes: u64,
    block_bytes: u32,
}

impl Registry {
    /// Keeps volumes equal to those of a group from now on. The first copies go on in the background.
    ///
    /// # Errors
    /// A rule, a volume, the disk or a peer stands against one of them; then there is no mirror, or the error says what there is.
    pub async fn create_group_mirrors(
        self: &Arc<Self>,
        request: GroupMirrorRequest,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| {
            let GroupMirrorRequest {
                group,
                target,
                on_failure,
                mode,
                resync_limit,
            } = request;
            let how = (on_failure, mode, resync_limit);
            match target {
                GroupTarget::Here(target) => this.mirror_group_here(&group, &target, how).await,
                GroupTarget::AtPeer { peer, group: there } => {
                    this.mirror_group_at(&group, (&peer, &there), how).await
                }
            }
        })
        .await
    }

    async fn mirror_group_here(
        self: &Arc<Self>,
        group: &GroupName,
        target: &GroupName,
        (on_failure, mode, resync_limit): How,
    ) -> Result<Vec<Change>, ChangeError> {
        let writer = self.writer.lock().await;
        let catalog = self.catalog();
        let (sources, targets) = (catalog.group(group)?, catalog.group(target)?);
        let names = [group, target].map(|name| ElementName::Group(name.clone()));
        let [from, to] = &names;
        self.admit_pair(MethodName::CreateGroupReplica, (from, to), mode_of(mode))?;
        let pairs = sources.members.iter().zip(&targets.members);
        let requests: Vec<_> = pairs
            .map(|(source, target)| MirrorRequest {
                source: source.clone(),
                target: target.clone(),
                on_failure,
                mode,
                resync_limit,
            })
            .collect();
        self.make_mirrors(&writer, &requests).await
    }

    async fn mirror_group_at(
        self: &Arc<Self>,
        group: &GroupName,
        (peer, there): (&PeerName, &GroupName),
        (on_failure, mode, resync_limit): How,
    ) -> Result<Vec<Change>, ChangeError> {
        let members = self.catalog().group(group)?.members.clone();
        if members.is_empty() {
            return Err(refuse(format!("group {group} has no members: add some")));
        }
        if let MirrorMode::Asynchronous { .. } = mode {
            check_hosts_go_on(on_failure)?;
        }
        let mut rooms = Vec::with_capacity(members.len());
        for volume in &members {
            let target = EndName {
                peer: Some(peer.clone()),
                volume: volume.clone(),
            };
            self.admit_mirror(volume, &target, mode_of(mode))
                .map_err(|error| of_volume(volume, error))?;
            let (record, ..) = self.ready(volume)?;
            rooms.push(Room {
                volume: volume.to_string(),
                bytes: record.size_bytes,
                block_bytes: record.block_size.bytes(),
            });
        }
        let name = there.to_string();
        let ask = Ask::MayMake {
            group: name.clone(),
            targets: rooms,
        };
        self.ask_about_group(peer, &ask).await?;
        let mut changes = Vec::new();
        let mut begun: Vec<Begun<'_>> = Vec::new();
        for volume in &members {
            let request = RemoteMirrorRequest {
                source: volume.clone(),
                peer: peer.clone(),
                target: volume.clone(),
                on_failure,
                failover: MirrorFailover::Manual,
                mode,
                resync_limit,
                compression: MirrorCompression::None,
            };
            let (id, node) = (MirrorId(Uuid::new_v4()), Uuid::new_v4());
            let created = self.create_remote_now(request, id, node).await;
            // One that failed and is there nevertheless may be at the peer as well.
            if created.is_ok() || self.catalog().mirror(id).is_some() {
                begun.push((volume, id));
            }
            match created {
                Ok(changed) => changes.extend(changed),
                Err(error) => {
                    let kept = self.end_begun(&begun).await;
                    return Err(not_begun(volume, peer, (&begun, &kept), error));
                }
            }
        }
        let ask = Ask::MakeGroup {
            group: name,
            volumes: members.iter().map(VolumeName::to_string).collect(),
        };
        self.ask_about_group(peer, &ask).await.map_err(|error| {
            ChangeError::Mirror(format!(
                "the mirrors are made, and their copies have no group at peer {peer} ({error}): make it there, with `tidelock group \
                 create {there}` and their names"
            ))
        })?;
        Ok(changes)
    }

    async fn ask_about_group(&self, peer: &PeerName, ask: &Ask) -> Result<(), ChangeError> {
        let asked: Result<Done, _> = self.mirrors.peers()?.ask(peer, ask).await;
        let done = asked.map_err(|error| not_done(&error, ToString::to_string));
        done.map(|Done {}| ())
    }

    /// Ends mirrors that were begun with one that can't be made, and no others of the same volumes. Returns those that are still
    /// there.
    async fn end_begun<'a>(self: &Arc<Self>, begun: &[Begun<'a>]) -> Vec<&'a VolumeName> {
        let mut kept = Vec::new();
        for (volume, id) in begun {
            if self.catalog().mirror(*id).is_none() {
                continue;
            }
            if let Err(error) = self.detach_now(&id.to_string(), true).await {
                tracing::error!(%volume, %error, "a mirror that was begun with others isn't ended again");
                kept.push(*volume);
            }
        }
        kept
    }

    /// A peer wants to know whether volumes and a group of them could be made here.
    pub(in crate::registry::mirrors) fn check_rooms(
        &self,
        group: &str,
        targets: &[Room],
    ) -> Result<(), ChangeError> {
        let mut next = (*self.catalog()).clone();
        let mut volumes = Vec::with_capacity(targets.len());
        for target in targets {
            let name = volume_called(&target.volume)?;
            let block_size = BlockSize::from_bytes(target.block_bytes).ok_or_else(|| {
                refuse(format!(
                    "no volume here can have blocks of {} bytes",
                    target.block_bytes
                ))
            })?;
            if next.volume(&name).is_ok() {
                return Err(refuse(format!(
                    "there is a volume {name} already, and what it has isn't replaced by a peer: delete it there first, or mirror \
                     that volume by itself to another name"
                )));
            }
            let id = VolumeId(Uuid::new_v4());
            next.apply(Command::CreateVolume(NewVolume {
                name: name.clone(),
                id,
                path: self
                    .volumes
                    .join(format!("{name}.img"))
                    .to_string_lossy()
                    .into_owned(),
                size_bytes: target.bytes,
                block_size,
                managed: true,
                preallocated: false,
                direct: false,
                write_cache: true,
                integrity: Integrity::Usual,
                limits: SpaceLimits::default(),
            }))?;
            volumes.push(name);
        }
        let group = group_called(group)?;
        next.apply(Command::CreateGroup { group, volumes })?;
        Ok(())
    }

    /// A peer wants the targets here of its mirrors to be a group.
    pub(in crate::registry::mirrors) async fn make_group_for_peer(
        self: &Arc<Self>,
        peer: &Peer,
        group: &str,
        volumes: &[String],
    ) -> Result<(), ChangeError> {
        let group = group_called(group)?;
        let catalog = self.catalog();
        let mut members = Vec::with_capacity(volumes.len());
        for volume in volumes {
            let volume = volume_called(volume)?;
            let mut of_it = catalog.mirrors_with(&peer.name);
            if !of_it.any(|mirror| mirror.side_of(&volume).is_some()) {
                return Err(refuse(format!(
                    "volume {volume} is in no mirror here with that peer"
                )));
            }
            members.push(volume);
        }
        let create = Command::CreateGroup {
            group,
            volumes: members,
        };
        self.apply(create).await.map(drop)
    }
}

fn volume_called(text: &str) -> Result<VolumeName, ChangeError> {
    VolumeName::new(text).map_err(|error| refuse(error.to_string()))
}

fn group_called(text: &str) -> Result<GroupName, ChangeError> {
    GroupName::new(text).map_err(|error| refuse(error.to_string()))
}

fn of_volume(volume: &VolumeName, error: ChangeError) -> ChangeError {
    match error {
        ChangeError::Refused(mut refused) => {
            refused.reason = format!("volume {volume}: {}", refused.reason);
            ChangeError::Refused(refused)
        }
        other => other,
    }
}

/// `begun`: those whose copies may be at the peer; `kept`: those of them that are still mirrored here.
fn not_begun(
    volume: &VolumeName,
    peer: &PeerName,
    (begun, kept): (&[Begun<'_>], &[&VolumeName]),
    error: ChangeError,
) -> ChangeError {
    if begun.is_empty() {
        return of_volume(volume, error);
    }
    let names: Vec<_> = begun.iter().map(|(volume, _)| volume.as_str()).collect();
    let mut said = format!(
        "volume {volume}: {error}. What was begun is ended here again. What may be left at peer {peer}: {}. Detach there what is \
         still a mirror (`tidelock mirror detach VOLUME --force`), and delete these volumes there before you try again",
        names.join(", ")
    );
    if !kept.is_empty() {
        let kept: Vec<_> = kept.iter().map(|volume| volume.as_str()).collect();
        said.push_str(&format!(
            ". Still mirrored here, and to be detached by force: {}",
            kept.join(", ")
        ));
    }
    ChangeError::Mirror(said)
}
