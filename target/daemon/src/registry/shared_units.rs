//! Volumes that are one logical unit together with a volume of another daemon: one identity at both, and access states
//! that say which of the two is written to. Who that is, others know.

use std::sync::Arc;

use tidelock_catalog::{
    AccessChange, AccessState, AlteredBy, CatalogError, Change, Command, PortalGroupTag,
    SharedIdentity, VolumeName,
};
use tidelock_scsi::{GroupAccess, GroupAccesses, Identity};

use super::Registry;
use super::asymmetric_access::{access_of, group_accesses};
use super::changes::ChangeError;

/// Which part a volume has in a logical unit that is another daemon's as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedRole {
    /// Hosts read and write it: active/optimized.
    Source,
    /// It is kept in reserve: standby.
    Target,
}

impl SharedRole {
    const fn state(self) -> AccessState {
        match self {
            Self::Source => AccessState::ActiveOptimized,
            Self::Target => AccessState::Standby,
        }
    }

    /// In all portal groups, also in those that the daemon gets at its next start.
    fn changes(self) -> Vec<AccessChange> {
        let one = |group| AccessChange {
            group,
            state: Some(self.state()),
            preferred: None,
        };
        PortalGroupTag::all().map(one).collect()
    }

    pub(crate) fn accesses(self) -> GroupAccesses {
        let state = match self {
            Self::Source => tidelock_scsi::AccessState::ActiveOptimized,
            Self::Target => tidelock_scsi::AccessState::Standby,
        };
        let access = GroupAccess {
            state,
            altered_by: tidelock_scsi::AlteredBy::Implicit,
            ..GroupAccess::default()
        };
        PortalGroupTag::all()
            .map(|group| (group.get(), access))
            .collect()
    }
}

/// In the device server's words.
pub(super) fn identity_of(shared: &SharedIdentity) -> Identity {
    Identity {
        naa: shared.naa,
        ..Identity::new(0, shared.serial.clone())
    }
}

impl Registry {
    /// As which logical unit hosts see a volume: what the other daemon has to show its copy as.
    ///
    /// # Errors
    /// There is no such volume.
    pub fn shown_identity(&self, volume: &VolumeName) -> Result<SharedIdentity, CatalogError> {
        let catalog = self.catalog();
        let own = SharedIdentity::of(catalog.volume(volume)?);
        Ok(catalog.shared_identity(volume).cloned().unwrap_or(own))
    }

    /// Makes a volume a part of a logical unit that another daemon has a part in, in a role, both at once and durably.
    /// From now on its access states follow its role ([`Self::follow_role`]), and neither hosts nor operators set them.
    ///
    /// # Errors
    /// It is mapped and would become another disk to its hosts, another volume here is that disk, or the catalog can't be
    /// written; then nothing has changed.
    pub async fn share_identity(
        self: &Arc<Self>,
        volume: VolumeName,
        identity: SharedIdentity,
        role: SharedRole,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| {
            let writer = this.writer.lock().await;
            if !this.is_loaded() {
                return Err(ChangeError::Loading);
            }
            let share = Command::ShareIdentity {
                volume: volume.clone(),
                identity,
            };
            let commands = [share, states(&volume, role)];
            let (catalog, changes) = this.save_all(&writer, commands).await?;
            this.install(catalog, &changes, None);
            this.show_role(&volume, role);
            Ok(changes)
        })
        .await
    }

    /// Makes it a logical unit of its own again, active/optimized everywhere.
    ///
    /// # Errors
    /// It is mapped and would become another disk to its hosts, or the catalog can't be written; then nothing has
    /// changed.
    pub async fn unshare_identity(
        self: &Arc<Self>,
        volume: VolumeName,
    ) -> Result<Vec<Change>, ChangeError> {
        self.apply(Command::UnshareIdentity { volume }).await
    }

    /// The volume is about to have another role: until [`Self::follow_role`] it is transitioning, and hosts come back.
    /// No effect on one that isn't shared.
    pub fn begin_role_change(&self, volume: &VolumeName, to: SharedRole) {
        if self.catalog().shared_identity(volume).is_none() {
            return;
        }
        if let Some(served) = self.volume(volume) {
            served.unit().lead_transition(to.accesses());
        }
    }

    /// The volume has this role now. Hosts are told, if it is another one than before. No effect on a volume that isn't
    /// shared.
    ///
    /// # Errors
    /// The catalog can't be written: hosts see the role all the same, and after a restart see the one before, until
    /// this is called again.
    pub async fn follow_role(
        self: &Arc<Self>,
        volume: VolumeName,
        role: SharedRole,
    ) -> Result<Vec<Change>, ChangeError> {
        self.follow_role_if(volume, role, |show| show()).await
    }

    /// The same; `shows` calls what shows it to hosts, if it is so still.
    pub(super) async fn follow_role_if(
        self: &Arc<Self>,
        volume: VolumeName,
        role: SharedRole,
        shows: impl FnOnce(&dyn Fn()) + Send + 'static,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| {
            let writer = this.writer.lock().await;
            if this.catalog().shared_identity(&volume).is_none() {
                return Ok(Vec::new());
            }
            let command = states(&volume, role);
            let next = (*this.catalog()).clone().apply(command.clone())?;
            // Out of reach before the record says so, and in reach after it.
            if let (Some(next), Some(served)) = (access_of(&next), this.volume(&volume)) {
                served.unit().lead_transition(next);
            }
            let saved = this.save(&writer, command).await;
            shows(&|| this.show_role(&volume, role));
            let (catalog, changes) = saved?;
            this.install(catalog, &changes, None);
            Ok(changes)
        })
        .await
    }

    /// Hosts see the role from now on.
    pub(super) fn show_role(&self, volume: &VolumeName, role: SharedRole) {
        let Some(served) = self.volume(volume) else {
            return;
        };
        let catalog = self.catalog();
        let kept = catalog.volume(volume).map(|it| group_accesses(&it.access));
        // What is preferred, and who changed what, is as it was.
        let mut access = kept.unwrap_or_default();
        for (group, now) in role.accesses() {
            let it = access.entry(group).or_default();
            if it.state != now.state {
                *it = GroupAccess {
                    preferred: it.preferred,
                    ..now
                };
            }
        }
        served.unit().complete_transition(access, None);
    }
}

pub(super) fn states(volume: &VolumeName, role: SharedRole) -> Command {
    Command::SetAsymmetricAccess {
        volume: volume.clone(),
        changes: role.changes(),
        by: AlteredBy::Implicit,
    }
}
