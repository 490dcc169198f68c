//! What requests say, in the words of the catalog. Checks everything that can be checked without
//! knowing what is there.

use tidelock_admin::v1;
use tidelock_catalog::{
    Access, AccessState, BlockSize, ChapAccess, ChapUser, Credentials, GroupName, InitiatorPattern,
    Integrity, IscsiName, LunNumber, Network, PortalGroupTag, PortalGroups, Redirect, Secret,
    SnapshotName, SpaceLimits, Subject, VolumeName,
};

use crate::admin_server::control::{VolumeRequest, VolumeSource};
use crate::admin_server::failure::Failure;

pub(super) fn volume_name(name: &str) -> Result<VolumeName, Failure> {
    VolumeName::new(name).map_err(Failure::invalid)
}

pub(super) fn snapshot_name(name: &str) -> Result<SnapshotName, Failure> {
    SnapshotName::new(name).map_err(Failure::invalid)
}

pub(super) fn group_name(name: &str) -> Result<GroupName, Failure> {
    GroupName::new(name).map_err(Failure::invalid)
}

pub(super) fn target_name(name: &str) -> Result<IscsiName, Failure> {
    IscsiName::new(name).map_err(Failure::invalid)
}

pub(super) fn subject(initiator: &str, network: Option<&str>) -> Result<Subject, Failure> {
    let initiator: InitiatorPattern = initiator.parse().map_err(Failure::invalid)?;
    let network = network.map(str::parse::<Network>).transpose();
    Ok(Subject {
        initiator,
        network: network.map_err(Failure::invalid)?,
    })
}

pub(super) fn redirect(request: &v1::Redirect) -> Result<Redirect, Failure> {
    Ok(Redirect {
        to: request.address.parse().map_err(Failure::invalid)?,
        permanent: request.permanent,
    })
}

pub(super) fn lun_number(number: u16) -> Result<LunNumber, Failure> {
    LunNumber::new(number).ok_or_else(|| {
        Failure::invalid(format!(
            "{number} can't be a LUN: they go from 0 to {}",
            LunNumber::MAX
        ))
    })
}

pub(super) fn access_state(state: v1::AccessState) -> Result<AccessState, Failure> {
    match state {
        v1::AccessState::ActiveOptimized => Ok(AccessState::ActiveOptimized),
        v1::AccessState::ActiveNonOptimized => Ok(AccessState::ActiveNonOptimized),
        v1::AccessState::Standby => Ok(AccessState::Standby),
        v1::AccessState::Unavailable => Ok(AccessState::Unavailable),
        _ => {
            let names = AccessState::ALL.map(AccessState::name).join(", ");
            Err(Failure::invalid(format!("state must be one of: {names}")))
        }
    }
}

pub(super) fn portal_groups(tags: Option<Vec<u16>>) -> Result<PortalGroups, Failure> {
    let Some(tags) = tags else {
        return Ok(PortalGroups::ALL);
    };
    let tags = tags.into_iter().map(PortalGroupTag::try_from);
    let tags = tags.collect::<Result<Vec<_>, _>>();
    PortalGroups::only(tags.map_err(Failure::invalid)?).ok_or_else(|| {
        Failure::invalid("name at least one portal group, or none at all (null) for all of them")
    })
}

pub(super) fn create_volume(request: v1::CreateVolume) -> Result<VolumeRequest, Failure> {
    let source = match (request.size_bytes, request.file) {
        (Some(size_bytes), None) => VolumeSource::New { size_bytes },
        (None, Some(path)) if path.starts_with('/') => VolumeSource::File { path },
        (None, Some(_)) => {
            return Err(Failure::invalid("file must be an absolute path, from / on"));
        }
        (None, None) | (Some(_), Some(_)) => {
            return Err(Failure::invalid(
                "give either size_bytes, for a new file, or file, for one that is there",
            ));
        }
    };
    if request.preallocate && matches!(source, VolumeSource::File { .. }) {
        return Err(Failure::invalid(
            "preallocate is for new files: leave it out",
        ));
    }
    let integrity = match request.integrity {
        None | Some(v1::Integrity::Usual) => Integrity::Usual,
        Some(v1::Integrity::Full) => Integrity::Full,
        Some(_) => return Err(Failure::invalid("integrity is usual or full")),
    };
    let in_place =
        request.preallocate || request.direct || matches!(source, VolumeSource::File { .. });
    if integrity == Integrity::Full && in_place {
        return Err(Failure::invalid(
            "integrity=full is for new volumes, whose blocks are never in one place: leave file, preallocate and \
             direct out",
        ));
    }
    let block_size = match request.block_bytes {
        None => BlockSize::default(),
        Some(bytes) => BlockSize::from_bytes(bytes)
            .ok_or_else(|| Failure::invalid(format!("block_bytes is 512 or 4096, not {bytes}")))?,
    };
    Ok(VolumeRequest {
        name: volume_name(&request.name)?,
        source,
        block_size,
        preallocate: request.preallocate,
        direct: request.direct,
        write_cache: !request.write_through,
        integrity,
        limits: space_limits(request.limits),
    })
}

pub(super) fn space_limits(limits: v1::SpaceLimits) -> SpaceLimits {
    SpaceLimits {
        limit_bytes: limits.limit_bytes,
        warn_percent: limits.warn_percent,
    }
}

pub(super) fn access(request: v1::SetAccess) -> Result<Access, Failure> {
    match (request.access, request.chap, request.mutual) {
        (v1::AccessKind::Deny, None, None) => Ok(Access::Deny),
        (v1::AccessKind::Deny, ..) => Err(Failure::invalid(
            "who is denied needs no chap and no mutual: leave them out",
        )),
        (v1::AccessKind::Allow, None, Some(_)) => Err(Failure::invalid(
            "mutual needs chap as well: a target only proves itself to those who do so too",
        )),
        (v1::AccessKind::Allow, None, None) => Ok(Access::Allow { chap: None }),
        (v1::AccessKind::Allow, Some(initiator), mutual) => Ok(Access::Allow {
            chap: Some(ChapAccess {
                initiator: credentials("chap", &initiator)?,
                mutual: mutual
                    .map(|mutual| credentials("mutual", &mutual))
                    .transpose()?,
            }),
        }),
    }
}

fn credentials(which: &str, given: &v1::Credentials) -> Result<Credentials, Failure> {
    let user = ChapUser::new(&given.user)
        .map_err(|error| Failure::invalid(format!("{which}: {error}")))?;
    let secret = Secret::new(&given.secret.0)
        .map_err(|error| Failure::invalid(format!("{which}: {error}")))?;
    Ok(Credentials { user, secret })
}
