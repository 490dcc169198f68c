//! What the catalog says, in the words of the API. No secrets pass here.

use tidelock_admin::v1;
use tidelock_catalog as catalog;
use tidelock_catalog::{
    Access, Acl, Catalog, Change, ChapAccess, Lun, PortalGroupTag, PortalGroups, Redirect,
    SessionParameters, SharedIdentity, Subject, Target, Volume,
};

use tidelock_scsi::{AccessState, TargetPort, TargetPortGroup};

use crate::admin_server::control::VolumeFacts;
use crate::admin_server::parameters;

pub(super) fn volume(catalog: &Catalog, volume: &Volume, facts: VolumeFacts) -> v1::Volume {
    let shared = catalog.shared_identity(&volume.name);
    let shown = shared
        .cloned()
        .unwrap_or_else(|| SharedIdentity::of(volume));
    v1::Volume {
        name: volume.name.to_string(),
        id: volume.id.to_string(),
        naa: shown.naa_text(),
        serial: shown.serial,
        // A file of the daemon's own is where the state folder is now, not where that was once.
        path: match &volume.path {
            Some(path) if !volume.managed || facts.path.is_empty() => path.clone(),
            _ => facts.path,
        },
        size_bytes: volume.size_bytes,
        allocated_bytes: facts.allocated_bytes,
        block_bytes: volume.block_size.bytes(),
        managed: volume.managed,
        preallocated: volume.preallocated,
        direct: volume.direct,
        write_cache: volume.write_cache,
        integrity: match volume.integrity {
            catalog::Integrity::Usual => v1::Integrity::Usual,
            catalog::Integrity::Full => v1::Integrity::Full,
        },
        used_bytes: facts.used_bytes,
        limits: space_limits(volume.limits),
        state: facts.state,
        detail: facts.detail,
        reservations: facts.reservations,
        family: facts.family,
        groups: catalog
            .groups()
            .filter(|group| group.members.contains(&volume.name))
            .map(|group| group.name.to_string())
            .collect(),
        mappings: catalog
            .mappings(&volume.name)
            .map(|(target, lun)| v1::Mapping {
                target: target.name.to_string(),
                lun: lun.number.get(),
                read_only: lun.read_only,
            })
            .collect(),
    }
}

fn space_limits(limits: catalog::SpaceLimits) -> v1::SpaceLimits {
    v1::SpaceLimits {
        limit_bytes: limits.limit_bytes,
        warn_percent: limits.warn_percent,
    }
}

pub(super) fn target(target: &Target, sessions: &[v1::Session]) -> v1::Target {
    let name = target.name.as_str();
    let sessions = sessions
        .iter()
        .filter(|session| session.target.as_deref() == Some(name));
    v1::Target {
        name: name.to_owned(),
        relative_port: target.relative_port,
        portal_group_tag: PortalGroupTag::all()
            .find(|tag| target.portal_groups.contains(*tag))
            .unwrap_or_default()
            .get(),
        portal_groups: portal_groups(target.portal_groups),
        luns: target.luns.values().map(lun).collect(),
        acl: acl(&target.acl),
        redirect: target.redirect.as_ref().map(redirect),
        parameters: parameters::view(target.parameters),
        sessions: sessions.count() as u64,
    }
}

/// How a volume is accessed through a group: as hosts see it, or as they would if the group had ports.
pub(super) fn group_access(
    volume: &Volume,
    live: &[TargetPortGroup],
    group: u16,
) -> v1::GroupAccess {
    let kept = PortalGroupTag::new(group).and_then(|tag| volume.access.get(&tag));
    let kept = kept.copied().unwrap_or_default();
    let live = live.iter().find(|live| live.number == group);
    let moving = live.is_some_and(|live| live.access.state == AccessState::Transitioning);
    let port = |port: &TargetPort| v1::TargetPort {
        target: port.target_name.clone(),
        relative_port: port.relative_port_identifier,
    };
    v1::GroupAccess {
        group,
        state: match kept.state {
            _ if moving => v1::AccessState::Transitioning,
            catalog::AccessState::ActiveOptimized => v1::AccessState::ActiveOptimized,
            catalog::AccessState::ActiveNonOptimized => v1::AccessState::ActiveNonOptimized,
            catalog::AccessState::Standby => v1::AccessState::Standby,
            catalog::AccessState::Unavailable => v1::AccessState::Unavailable,
        },
        preferred: kept.preferred,
        altered_by: match kept.altered_by {
            catalog::AlteredBy::Nobody => None,
            catalog::AlteredBy::Explicit => Some(v1::AlteredBy::Host),
            catalog::AlteredBy::Implicit => Some(v1::AlteredBy::Daemon),
        },
        ports: live.map_or_else(Vec::new, |live| live.ports.iter().map(port).collect()),
    }
}

/// Tags, if there is a restriction to some.
fn portal_groups(groups: PortalGroups) -> Option<Vec<u16>> {
    let tags = groups.restriction()?;
    Some(tags.into_iter().map(PortalGroupTag::get).collect())
}

pub(super) fn redirect(redirect: &Redirect) -> v1::Redirect {
    v1::Redirect {
        address: redirect.to.to_string(),
        permanent: redirect.permanent,
    }
}

pub(super) fn lun(lun: &Lun) -> v1::Lun {
    v1::Lun {
        lun: lun.number.get(),
        volume: lun.volume.to_string(),
        read_only: lun.read_only,
    }
}

pub(super) fn acl(acl: &Acl) -> Vec<v1::AccessEntry> {
    acl.entries()
        .map(|(subject, says)| access(subject, says, acl.parameters(subject)))
        .collect()
}

pub(super) fn access(
    subject: &Subject,
    access: &Access,
    set: SessionParameters,
) -> v1::AccessEntry {
    let users = |chap: &ChapAccess| v1::ChapUsers {
        user: chap.initiator.user.to_string(),
        mutual_user: chap.mutual.as_ref().map(|mutual| mutual.user.to_string()),
    };
    let (access, chap) = match access {
        Access::Allow { chap } => (v1::AccessKind::Allow, chap.as_ref().map(users)),
        Access::Deny => (v1::AccessKind::Deny, None),
    };
    v1::AccessEntry {
        initiator: subject.initiator.to_string(),
        network: subject.network.map(|network| network.to_string()),
        access,
        chap,
        parameters: parameters::view(set),
    }
}

/// What those who watch are told of a change.
#[must_use]
#[allow(
    clippy::too_many_lines,
    reason = "an arm for each change, and none is left out"
)]
pub fn event_of(change: &Change) -> Option<v1::EventKind> {
    use v1::EventKind as Kind;
    Some(match change {
        Change::VolumeCreated(volume) => Kind::VolumeCreated {
            volume: volume.name.to_string(),
        },
        Change::VolumeResized {
            volume, to_bytes, ..
        } => Kind::VolumeResized {
            volume: volume.to_string(),
            size_bytes: *to_bytes,
        },
        Change::SpaceLimitsSet { volume, limits } => Kind::SpaceLimitsSet {
            volume: volume.to_string(),
            limits: space_limits(*limits),
        },
        Change::WriteCacheSet { volume, enabled } => Kind::WriteCacheSet {
            volume: volume.to_string(),
            enabled: *enabled,
        },
        Change::AsymmetricAccessChanged { volume, .. } => Kind::AsymmetricAccessChanged {
            volume: volume.to_string(),
        },
        Change::VolumeDeleted(volume) => Kind::VolumeDeleted {
            volume: volume.name.to_string(),
        },
        Change::FamilyJoined { volume, family } => Kind::VolumeFamilyChanged {
            volume: volume.to_string(),
            family: Some(family.id.to_string()),
        },
        Change::FamilyLeft { volume, .. } => Kind::VolumeFamilyChanged {
            volume: volume.to_string(),
            family: None,
        },
        Change::FamilyDeleted(family) => Kind::FamilyDeleted {
            family: family.id.to_string(),
        },
        Change::SnapshotCreated(snapshot) => Kind::SnapshotCreated {
            volume: snapshot.volume.to_string(),
            snapshot: snapshot.snapshot.to_string(),
        },
        Change::SnapshotDeleted(snapshot) => Kind::SnapshotDeleted {
            volume: snapshot.volume.to_string(),
            snapshot: snapshot.snapshot.to_string(),
        },
        Change::VolumeRestored { snapshot, safety } => Kind::VolumeRestored {
            volume: snapshot.volume.to_string(),
            snapshot: snapshot.snapshot.to_string(),
            safety: safety.snapshot.to_string(),
        },
        Change::GroupChanged(group) => Kind::GroupChanged {
            group: group.name.to_string(),
            volumes: group.members.iter().map(ToString::to_string).collect(),
        },
        Change::IdentityShared { volume, .. } => Kind::SharedIdentityChanged {
            volume: volume.to_string(),
            shared: true,
        },
        Change::IdentityUnshared { volume } => Kind::SharedIdentityChanged {
            volume: volume.to_string(),
            shared: false,
        },
        Change::PeerAdded(peer) => Kind::PeerAdded {
            peer: peer.name.to_string(),
        },
        Change::PeerChanged(peer) => Kind::PeerChanged {
            peer: peer.name.to_string(),
            address: peer.address.to_string(),
        },
        Change::PeerRemoved(peer) => Kind::PeerRemoved {
            peer: peer.name.to_string(),
        },
        Change::GroupDeleted(group) => Kind::GroupDeleted {
            group: group.to_string(),
        },
        Change::ScheduleSet { volume, schedule } => Kind::ScheduleSet {
            volume: volume.to_string(),
            every_seconds: schedule.map(|schedule| schedule.every_seconds),
        },
        Change::TargetCreated(target) => Kind::TargetCreated {
            target: target.name.to_string(),
        },
        Change::PortalGroupsChanged {
            target,
            portal_groups: now,
        } => Kind::PortalGroupsChanged {
            target: target.to_string(),
            portal_groups: portal_groups(*now),
        },
        Change::TargetDeleted(target) => Kind::TargetDeleted {
            target: target.name.to_string(),
        },
        Change::LunMapped { target, lun } => Kind::LunMapped {
            target: target.to_string(),
            lun: lun.number.get(),
            volume: lun.volume.to_string(),
        },
        Change::LunUnmapped { target, lun } => Kind::LunUnmapped {
            target: target.to_string(),
            lun: lun.number.get(),
            volume: lun.volume.to_string(),
        },
        Change::ParametersSet { target, subject } => Kind::ParametersSet {
            target: target.to_string(),
            initiator: subject
                .as_ref()
                .map(|subject| subject.initiator.to_string()),
            network: subject
                .as_ref()
                .and_then(|subject| subject.network)
                .map(|network| network.to_string()),
        },
        Change::RedirectSet {
            target,
            redirect: to,
        } => Kind::RedirectSet {
            target: target.to_string(),
            redirect: to.as_ref().map(redirect),
        },
        Change::AccessChanged { scope, subject } => Kind::AccessChanged {
            scope: scope.to_string(),
            initiator: subject.initiator.to_string(),
            network: subject.network.map(|network| network.to_string()),
        },
        Change::HydrationBegun { volume, job } => Kind::HydrationBegun {
            volume: volume.to_string(),
            job: *job,
        },
        Change::HydrationEnded { volume, job } => Kind::HydrationEnded {
            volume: volume.to_string(),
            job: *job,
        },
        Change::CloneParted { volume, .. } => Kind::VolumeFamilyChanged {
            volume: volume.to_string(),
            family: None,
        },
        Change::CloneDetached { volume } => Kind::CloneDetached {
            volume: volume.to_string(),
        },
        Change::ClonePromoted { volume, origin } => Kind::ClonePromoted {
            volume: volume.to_string(),
            origin: origin.to_string(),
        },
        Change::MirrorCreated(mirror) => Kind::MirrorCreated {
            mirror: mirror.id.to_string(),
            source: mirror.system().volume.to_string(),
            target: mirror.synced().volume.to_string(),
        },
        Change::MirrorDeleted(mirror) => Kind::MirrorDeleted {
            mirror: mirror.id.to_string(),
            source: mirror.system().volume.to_string(),
            target: mirror.synced().volume.to_string(),
        },
        Change::Noted => return None,
    })
}
