//! The JSON of a catalog: plain shapes for serde, and the way between them and the checked types.
//! Only here do secrets meet a serialiser.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::acl::{Access, Acl};
use crate::asymmetric_access::{AccessState, AlteredBy, GroupAccess};
use crate::document::{Catalog, DaemonIdentity};
use crate::encoding::DecodeError;
use crate::encoding::clones::{self, HydrationBody, IntentBody};
use crate::encoding::families::{self, FamilyBody, GroupBody, OriginBody, PlaceBody, ScheduleBody};
use crate::encoding::mirrors::{self, MirrorBody};
use crate::encoding::peers::{self, PeerBody};
use crate::encoding::shared_identities::{self, SharedIdentityBody};
use crate::family::Backing;
use crate::parameters::SessionParameters;
use crate::portal_group::{PortalGroupTag, PortalGroups};
use crate::rules::check_space_limits;
use crate::secret::{ChapAccess, ChapUser, Credentials, Secret};
use crate::target::{Lun, LunNumber, Target};
use crate::volume::{BlockSize, Integrity, SpaceLimits, Volume, VolumeId};
use crate::{InitiatorPattern, IscsiName, Network, Redirect, Subject};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    daemon: Uuid,
    generation: u64,
    last_relative_port: u16,
    volumes: Vec<VolumeBody>,
    targets: Vec<TargetBody>,
    discovery: Vec<AccessBody>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    families: Vec<FamilyBody>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<GroupBody>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    schedules: Vec<ScheduleBody>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    intents: Vec<IntentBody>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mirrors: Vec<MirrorBody>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    peers: Vec<PeerBody>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shared: Vec<SharedIdentityBody>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct VolumeBody {
    name: String,
    id: Uuid,
    naa: String,
    serial: String,
    /// Absent for a volume with a file of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<PlaceBody>,
    /// Absent if it isn't a clone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<OriginBody>,
    /// Absent unless it is getting blocks of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hydration: Option<HydrationBody>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    size_bytes: u64,
    block_bytes: u32,
    managed: bool,
    preallocated: bool,
    direct: bool,
    write_cache: bool,
    /// Absent where it is as usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    integrity: Option<IntegrityBody>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    warn_percent: Option<u8>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    access: Vec<GroupAccessBody>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum IntegrityBody {
    Full,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct GroupAccessBody {
    group: u16,
    state: String,
    preferred: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    altered: Option<AlteredBody>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum AlteredBody {
    Explicit,
    Implicit,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct TargetBody {
    name: String,
    relative_port: u16,
    /// Written when there was one portal group only, and every target could give it a tag of its own.
    /// It is read, and means nothing any more: such a target can be reached through all groups.
    #[serde(default, rename = "portal_group_tag", skip_serializing)]
    _former_tag: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    portal_groups: Option<Vec<u16>>,
    luns: Vec<LunBody>,
    acl: Vec<AccessBody>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    redirect: Option<RedirectBody>,
    #[serde(default, skip_serializing_if = "SessionParameters::is_empty")]
    parameters: SessionParameters,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RedirectBody {
    to: String,
    permanent: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LunBody {
    number: u16,
    volume: String,
    read_only: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct AccessBody {
    initiator: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    network: Option<String>,
    allow: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chap: Option<CredentialsBody>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mutual: Option<CredentialsBody>,
    #[serde(default, skip_serializing_if = "SessionParameters::is_empty")]
    parameters: SessionParameters,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct CredentialsBody {
    user: String,
    secret: String,
}

impl Body {
    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).unwrap_or_else(|error| {
            // Only maps with keys that aren't strings and failing writers can fail, and there are none.
            unreachable!("plain structures always have a JSON form: {error}")
        });
        json.push(b'\n');
        json
    }

    pub(super) fn from_json(json: &[u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(json).map_err(|error| DecodeError::Body {
            line: error.line(),
            column: error.column(),
            reason: without_values(&error),
        })
    }

    pub(super) fn into_catalog(self) -> Result<Catalog, DecodeError> {
        let mut catalog = Catalog::new(DaemonIdentity(self.daemon));
        catalog.generation = self.generation;
        catalog.last_relative_port = self.last_relative_port;
        for volume in self.volumes {
            let volume = volume.into_volume()?;
            if let Some(twice) = catalog.volumes.insert(volume.name.clone(), volume) {
                return Err(inconsistent(format!(
                    "volume {} is there twice",
                    twice.name
                )));
            }
        }
        for target in self.targets {
            let target = target.into_target()?;
            if let Some(twice) = catalog.targets.insert(target.name.clone(), target) {
                return Err(inconsistent(format!(
                    "target {} is there twice",
                    twice.name
                )));
            }
        }
        catalog.discovery = into_acl("discovery", self.discovery)?;
        families::into_catalog(&mut catalog, self.families, self.groups, self.schedules)?;
        catalog.intents = clones::into_intents(self.intents)?;
        mirrors::into_catalog(&mut catalog, self.mirrors)?;
        catalog.peers = peers::into_peers(self.peers)?;
        catalog.shared = shared_identities::into_shared(self.shared)?;
        Ok(catalog)
    }
}

impl From<&Catalog> for Body {
    fn from(catalog: &Catalog) -> Self {
        Self {
            daemon: catalog.identity.0,
            generation: catalog.generation,
            last_relative_port: catalog.last_relative_port,
            volumes: catalog.volumes.values().map(VolumeBody::from).collect(),
            targets: catalog.targets.values().map(TargetBody::from).collect(),
            discovery: from_acl(&catalog.discovery),
            families: catalog.families.values().map(FamilyBody::from).collect(),
            groups: catalog.groups.values().map(GroupBody::from).collect(),
            schedules: catalog.schedules.iter().map(ScheduleBody::from).collect(),
            intents: catalog.intents.iter().map(IntentBody::from).collect(),
            mirrors: catalog.mirrors.values().map(MirrorBody::from).collect(),
            peers: catalog.peers.values().map(PeerBody::from).collect(),
            shared: catalog
                .shared
                .iter()
                .map(SharedIdentityBody::from)
                .collect(),
        }
    }
}

impl From<&Volume> for VolumeBody {
    fn from(volume: &Volume) -> Self {
        Self {
            name: volume.name.to_string(),
            id: volume.id.0,
            naa: volume.naa_text(),
            serial: volume.serial.clone(),
            place: PlaceBody::of(volume.backing),
            origin: volume.origin.as_ref().map(OriginBody::from),
            hydration: volume.hydration.as_ref().map(HydrationBody::from),
            path: volume.path.clone(),
            size_bytes: volume.size_bytes,
            block_bytes: volume.block_size.bytes(),
            managed: volume.managed,
            preallocated: volume.preallocated,
            direct: volume.direct,
            write_cache: volume.write_cache,
            integrity: match volume.integrity {
                Integrity::Usual => None,
                Integrity::Full => Some(IntegrityBody::Full),
            },
            limit_bytes: volume.limits.limit_bytes,
            warn_percent: volume.limits.warn_percent,
            access: volume.access.iter().map(GroupAccessBody::from).collect(),
        }
    }
}

impl From<(&PortalGroupTag, &GroupAccess)> for GroupAccessBody {
    fn from((group, access): (&PortalGroupTag, &GroupAccess)) -> Self {
        Self {
            group: group.get(),
            state: access.state.name().to_owned(),
            preferred: access.preferred,
            altered: match access.altered_by {
                AlteredBy::Nobody => None,
                AlteredBy::Explicit => Some(AlteredBody::Explicit),
                AlteredBy::Implicit => Some(AlteredBody::Implicit),
            },
        }
    }
}

impl GroupAccessBody {
    fn into_access(self) -> Result<(PortalGroupTag, GroupAccess), DecodeError> {
        let group = PortalGroupTag::try_from(self.group).map_err(inconsistent)?;
        let state = AccessState::from_name(&self.state)
            .ok_or_else(|| inconsistent(format!("group {group} has an unknown access state")))?;
        let altered_by = match self.altered {
            None => AlteredBy::Nobody,
            Some(AlteredBody::Explicit) => AlteredBy::Explicit,
            Some(AlteredBody::Implicit) => AlteredBy::Implicit,
        };
        Ok((
            group,
            GroupAccess {
                state,
                preferred: self.preferred,
                altered_by,
            },
        ))
    }
}

impl VolumeBody {
    fn into_volume(self) -> Result<Volume, DecodeError> {
        let name = families::volume_name(&self.name)?;
        let in_volume = |reason: &str| inconsistent(format!("volume {name}: {reason}"));
        let naa = u64::from_str_radix(&self.naa, 16)
            .ok()
            .filter(|naa| format!("{naa:016x}") == self.naa)
            .ok_or_else(|| in_volume("its NAA designator isn't 16 hexadecimal digits"))?;
        let block_size = BlockSize::from_bytes(self.block_bytes)
            .ok_or_else(|| in_volume("its block size is neither 512 nor 4096"))?;
        let mut access = BTreeMap::new();
        for group in self.access {
            let (group, how) = group
                .into_access()
                .map_err(|error| in_volume(&error.to_string()))?;
            if access.insert(group, how).is_some() {
                return Err(in_volume("a target port group is there twice"));
            }
        }
        let backing = PlaceBody::into_backing(self.place);
        let integrity = match (self.integrity, backing) {
            (None, _) => Integrity::Usual,
            (Some(IntegrityBody::Full), Backing::Head(_)) => Integrity::Full,
            (Some(IntegrityBody::Full), _) => {
                return Err(in_volume(
                    "its blocks should all have checksums, and it is a plain file",
                ));
            }
        };
        let limits = SpaceLimits {
            limit_bytes: self.limit_bytes,
            warn_percent: self.warn_percent,
        };
        check_space_limits(limits, self.preallocated)
            .map_err(|error| in_volume(&error.to_string()))?;
        Ok(Volume {
            name,
            id: VolumeId(self.id),
            naa: naa.to_be_bytes(),
            serial: self.serial,
            backing,
            origin: self.origin.map(OriginBody::into_origin).transpose()?,
            hydration: self.hydration.map(HydrationBody::into_hydration),
            path: self.path,
            size_bytes: self.size_bytes,
            block_size,
            managed: self.managed,
            preallocated: self.preallocated,
            direct: self.direct,
            write_cache: self.write_cache,
            integrity,
            limits,
            access,
        })
    }
}

impl From<&Target> for TargetBody {
    fn from(target: &Target) -> Self {
        let lun = |lun: &Lun| LunBody {
            number: lun.number.get(),
            volume: lun.volume.to_string(),
            read_only: lun.read_only,
        };
        Self {
            name: target.name.to_string(),
            relative_port: target.relative_port,
            _former_tag: None,
            portal_groups: target
                .portal_groups
                .restriction()
                .map(|tags| tags.into_iter().map(PortalGroupTag::get).collect()),
            luns: target.luns.values().map(lun).collect(),
            acl: from_acl(&target.acl),
            redirect: target.redirect.as_ref().map(|redirect| RedirectBody {
                to: redirect.to.to_string(),
                permanent: redirect.permanent,
            }),
            parameters: target.parameters,
        }
    }
}

impl TargetBody {
    fn into_target(self) -> Result<Target, DecodeError> {
        let mut target = Target {
            name: IscsiName::new(&self.name).map_err(inconsistent)?,
            relative_port: self.relative_port,
            portal_groups: into_portal_groups(&self.name, self.portal_groups)?,
            luns: BTreeMap::new(),
            acl: into_acl(&self.name, self.acl)?,
            redirect: self.redirect.map(RedirectBody::into_redirect).transpose()?,
            parameters: self.parameters,
        };
        for LunBody {
            number,
            volume,
            read_only,
        } in self.luns
        {
            let volume = families::volume_name(&volume)?;
            let number = LunNumber::new(number).ok_or_else(|| {
                inconsistent(format!(
                    "target {}: no LUN can have number {number}",
                    target.name
                ))
            })?;
            if target
                .luns
                .insert(
                    number,
                    Lun {
                        number,
                        volume,
                        read_only,
                    },
                )
                .is_some()
            {
                let reason = format!("target {}: LUN {number} is there twice", target.name);
                return Err(inconsistent(reason));
            }
        }
        Ok(target)
    }
}

fn into_portal_groups(target: &str, tags: Option<Vec<u16>>) -> Result<PortalGroups, DecodeError> {
    let Some(tags) = tags else {
        return Ok(PortalGroups::ALL);
    };
    let tags = tags.into_iter().map(PortalGroupTag::try_from);
    let tags = tags.collect::<Result<Vec<_>, _>>().map_err(inconsistent)?;
    PortalGroups::only(tags)
        .ok_or_else(|| inconsistent(format!("target {target}: it has no portal group")))
}

impl RedirectBody {
    fn into_redirect(self) -> Result<Redirect, DecodeError> {
        Ok(Redirect {
            to: self.to.parse().map_err(inconsistent)?,
            permanent: self.permanent,
        })
    }
}

fn from_acl(acl: &Acl) -> Vec<AccessBody> {
    let credentials = |credentials: &Credentials| CredentialsBody {
        user: credentials.user.to_string(),
        secret: credentials.secret.expose().to_owned(),
    };
    let entry = |(subject, access): (&Subject, &Access)| {
        let chap = match access {
            Access::Allow { chap } => chap.as_ref(),
            Access::Deny => None,
        };
        AccessBody {
            initiator: subject.initiator.to_string(),
            network: subject.network.map(|network| network.to_string()),
            allow: *access != Access::Deny,
            chap: chap.map(|chap| credentials(&chap.initiator)),
            mutual: chap.and_then(|chap| chap.mutual.as_ref()).map(credentials),
            parameters: acl.parameters(subject),
        }
    };
    acl.entries().map(entry).collect()
}

fn into_acl(scope: &str, entries: Vec<AccessBody>) -> Result<Acl, DecodeError> {
    let mut acl = Acl::default();
    for entry in entries {
        let initiator: InitiatorPattern = entry.initiator.parse().map_err(inconsistent)?;
        let network = entry.network.as_deref().map(str::parse::<Network>);
        let network = network.transpose().map_err(inconsistent)?;
        let subject = Subject { initiator, network };
        let about = |reason: &str| {
            inconsistent(format!(
                "access list of {scope}, entry for {subject}: {reason}"
            ))
        };
        let access = match (entry.allow, entry.chap, entry.mutual) {
            (false, None, None) => Access::Deny,
            (false, ..) => return Err(about("a denial has no CHAP")),
            (true, None, None) => Access::Allow { chap: None },
            (true, None, Some(_)) => return Err(about("mutual CHAP needs CHAP")),
            (true, Some(initiator), mutual) => Access::Allow {
                chap: Some(ChapAccess {
                    initiator: initiator.into_credentials()?,
                    mutual: mutual.map(CredentialsBody::into_credentials).transpose()?,
                }),
            },
        };
        if !entry.parameters.is_empty() {
            if access == Access::Deny {
                return Err(about("a denial has no parameters"));
            }
            acl.parameters.insert(subject.clone(), entry.parameters);
        }
        if acl.entries.insert(subject.clone(), access).is_some() {
            return Err(about("it is there twice"));
        }
    }
    Ok(acl)
}

impl CredentialsBody {
    fn into_credentials(self) -> Result<Credentials, DecodeError> {
        Ok(Credentials {
            user: ChapUser::new(&self.user).map_err(inconsistent)?,
            secret: Secret::new(&self.secret).map_err(inconsistent)?,
        })
    }
}

pub(super) fn inconsistent(reason: impl ToString) -> DecodeError {
    DecodeError::Inconsistent {
        reason: reason.to_string(),
    }
}

/// The longest text of serde's that is passed on, in characters: a damaged file may have names of any
/// length in it.
const TEXT_MAX: usize = 200;

/// What serde says, unless it quotes a value, which might be a secret.
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(text, _)| text);
    if text.starts_with("invalid type") || text.starts_with("invalid value") {
        "a field has a value of the wrong kind".into()
    } else {
        let cut = text.char_indices().nth(TEXT_MAX);
        cut.map_or_else(
            || text.to_owned(),
            |(end, _)| format!("{}...", text.get(..end).unwrap_or_default()),
        )
    }
}
