//! Asymmetric access states of volumes: changing them so that they survive, and the ports that they
//! are about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidelock_catalog::{self as catalog, Change, Command, PortalGroupTag, VolumeName};
use tidelock_scsi::{
    AccessState, AlteredBy, GroupAccess, GroupAccesses, LogicalUnit, NexusId, TargetPort,
};

use super::changes::ChangeError;
use super::served::ServedVolume;
use super::{Registry, View};

/// On whose behalf access states change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A host's SET TARGET PORT GROUPS. Its own nexus needn't be told.
    Explicit(NexusId),
    /// The daemon itself, or its operator. All nexuses are told, also when it fails.
    Implicit,
}

/// What is to be different about a volume's access.
#[derive(Clone, Debug)]
pub struct AccessRequest {
    /// Which volume.
    pub volume: VolumeName,
    /// The volume that the request is meant for, in case another one has its name by now.
    pub id: Option<catalog::VolumeId>,
    /// The states and preferences.
    pub changes: Vec<catalog::AccessChange>,
    /// On whose behalf.
    pub cause: Cause,
}

impl Registry {
    /// Changes the access states of a volume. While the new ones are made durable, groups whose
    /// medium was or will be out of reach are transitioning; then all of them change at once, and
    /// sessions are told. Commands that have begun go on: whoever takes a volume over waits for them
    /// or aborts them in between.
    ///
    /// # Errors
    /// A rule or the catalog's file stands against it; then the states are as before.
    pub async fn change_access(
        self: &Arc<Self>,
        request: AccessRequest,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| this.change_access_now(request).await)
            .await
    }

    pub(super) async fn change_access_now(
        self: Arc<Self>,
        request: AccessRequest,
    ) -> Result<Vec<Change>, ChangeError> {
        let writer = self.writer.lock().await;
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        let catalog = self.catalog();
        let mirror = catalog.mirror_of(&request.volume);
        if mirror.is_some_and(|it| it.remote().is_some()) {
            let volume = request.volume;
            return Err(catalog::CatalogError::AccessFollows { volume }.into());
        }
        let (by, except) = match request.cause {
            Cause::Explicit(nexus) => (catalog::AlteredBy::Explicit, Some(nexus)),
            Cause::Implicit => (catalog::AlteredBy::Implicit, None),
        };
        let command = Command::SetAsymmetricAccess {
            volume: request.volume.clone(),
            changes: request.changes,
            by,
        };
        // The rules first, and what they lead to.
        let changes = (*self.catalog()).clone().apply(command.clone())?;
        let served = self.volume(&request.volume);
        let served = served.filter(|served| request.id.is_none_or(|id| id == served.id()));
        let (Some(served), Some(next)) = (served, access_of(&changes)) else {
            return Ok(Vec::new());
        };
        let transition = Transition::begin(&served, next.clone(), request.cause)?;
        let (catalog, changes) = self.save(&writer, command).await?;
        self.install(catalog, &changes, None);
        transition.complete(next, except);
        Ok(changes)
    }
}

/// A transition that is under way; given up if it isn't completed.
struct Transition<'a> {
    unit: &'a LogicalUnit,
    cause: Cause,
    under_way: bool,
}

impl<'a> Transition<'a> {
    fn begin(
        volume: &'a ServedVolume,
        next: GroupAccesses,
        cause: Cause,
    ) -> Result<Self, ChangeError> {
        let unit = volume.unit();
        // Whoever changes something holds the writer, so none can be under way.
        unit.begin_transition(next)
            .map_err(|error| ChangeError::Defect(error.to_string()))?;
        Ok(Self {
            unit,
            cause,
            under_way: true,
        })
    }

    fn complete(mut self, next: GroupAccesses, except: Option<NexusId>) {
        self.under_way = false;
        self.unit.complete_transition(next, except);
    }
}

impl Drop for Transition<'_> {
    fn drop(&mut self) {
        if self.under_way {
            self.unit.abandon_transition(self.cause == Cause::Implicit);
        }
    }
}

pub(super) fn access_of(changes: &[Change]) -> Option<GroupAccesses> {
    changes.iter().find_map(|change| match change {
        Change::AsymmetricAccessChanged { access, .. } => Some(group_accesses(access)),
        _ => None,
    })
}

/// What the catalog keeps, in the device server's words.
pub(super) fn group_accesses(
    access: &BTreeMap<PortalGroupTag, catalog::GroupAccess>,
) -> GroupAccesses {
    let one = |access: &catalog::GroupAccess| GroupAccess {
        state: match access.state {
            catalog::AccessState::ActiveOptimized => AccessState::ActiveOptimized,
            catalog::AccessState::ActiveNonOptimized => AccessState::ActiveNonOptimized,
            catalog::AccessState::Standby => AccessState::Standby,
            catalog::AccessState::Unavailable => AccessState::Unavailable,
        },
        preferred: access.preferred,
        altered_by: match access.altered_by {
            catalog::AlteredBy::Nobody => AlteredBy::Nobody,
            catalog::AlteredBy::Explicit => AlteredBy::Explicit,
            catalog::AlteredBy::Implicit => AlteredBy::Implicit,
        },
    };
    access
        .iter()
        .map(|(group, access)| (group.get(), one(access)))
        .collect()
}

/// What a host asks for, in the catalog's words.
pub fn requested(states: &[(u16, AccessState)]) -> Option<Vec<catalog::AccessChange>> {
    let one = |(group, state): &(u16, AccessState)| {
        Some(catalog::AccessChange {
            group: PortalGroupTag::new(*group)?,
            state: Some(match state {
                AccessState::ActiveOptimized => catalog::AccessState::ActiveOptimized,
                AccessState::ActiveNonOptimized => catalog::AccessState::ActiveNonOptimized,
                AccessState::Standby => catalog::AccessState::Standby,
                AccessState::Unavailable => catalog::AccessState::Unavailable,
                AccessState::Transitioning => return None,
            }),
            preferred: None,
        })
    };
    states.iter().map(one).collect()
}

impl View {
    /// The portal groups that have portals.
    fn groups(&self) -> BTreeSet<PortalGroupTag> {
        self.portals.iter().map(|portal| portal.group).collect()
    }

    /// Tells a volume's unit through which ports it can be reached.
    pub(super) fn place(&self, name: &VolumeName) {
        let Some(volume) = self.volumes.get(name) else {
            return;
        };
        let groups = self.groups();
        let shown = self.catalog.mappings(name);
        let ports = shown.flat_map(|(target, _)| self.ports(target, &groups));
        volume.unit().set_target_ports(ports.collect());
    }

    /// The same for all volumes at once.
    pub(super) fn place_all(&self) {
        let groups = self.groups();
        let mut all: BTreeMap<&VolumeName, Vec<TargetPort>> = BTreeMap::new();
        for target in self.catalog.targets() {
            let ports: Vec<_> = self.ports(target, &groups).collect();
            for lun in target.luns.values() {
                all.entry(&lun.volume)
                    .or_default()
                    .extend_from_slice(&ports);
            }
        }
        for (name, ports) in all {
            if let Some(volume) = self.volumes.get(name) {
                volume.unit().set_target_ports(ports);
            }
        }
    }

    fn ports<'a>(
        &'a self,
        target: &'a catalog::Target,
        groups: &'a BTreeSet<PortalGroupTag>,
    ) -> impl Iterator<Item = TargetPort> + use<'a> {
        let served = self.targets.get(&target.name);
        groups
            .iter()
            .filter(|group| target.portal_groups.contains(**group))
            .filter_map(move |group| served?.port(*group))
    }
}
