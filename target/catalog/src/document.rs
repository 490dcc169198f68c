//! The catalog document: what is in it and how it is read. Changes are in `rules`.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::acl::Acl;
use crate::command::{Change, Command};
use crate::encoding::{self, DecodeError};
use crate::error::CatalogError;
use crate::family::{Backing, Family, FamilyId};
use crate::group::Group;
use crate::hydration::Intent;
use crate::iscsi_name::IscsiName;
use crate::mirror::{Mirror, MirrorId};
use crate::peer::Peer;
use crate::rules;
use crate::schedule::Schedule;
use crate::shared_identity::{SharedIdentities, SharedIdentity};
use crate::snapshot::{GroupName, PeerName};
use crate::target::{Lun, Target};
use crate::volume::{Volume, VolumeName};

/// Most volumes of one catalog.
pub const VOLUMES_MAX: usize = 65_536;
/// Most targets of one catalog: as many as there are relative ports for.
pub const TARGETS_MAX: usize = 4_095;
/// Most groups of one catalog.
pub const GROUPS_MAX: usize = 4_096;
/// Most entries of one access list.
pub const ACL_ENTRIES_MAX: usize = 4_096;

/// What tells this daemon from others: made once, when its catalog is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaemonIdentity(pub Uuid);

/// Everything that the daemon was told to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    pub(crate) identity: DaemonIdentity,
    pub(crate) generation: u64,
    /// The relative port given last, so that one isn't soon given again.
    pub(crate) last_relative_port: u16,
    pub(crate) volumes: BTreeMap<VolumeName, Volume>,
    pub(crate) targets: BTreeMap<IscsiName, Target>,
    pub(crate) discovery: Acl,
    pub(crate) families: BTreeMap<FamilyId, Family>,
    pub(crate) groups: BTreeMap<GroupName, Group>,
    pub(crate) schedules: BTreeMap<VolumeName, Schedule>,
    pub(crate) intents: Vec<Intent>,
    pub(crate) mirrors: BTreeMap<MirrorId, Mirror>,
    pub(crate) peers: BTreeMap<PeerName, Peer>,
    pub(crate) shared: SharedIdentities,
}

impl Catalog {
    /// An empty catalog of a new daemon, whose identity the caller made at random.
    #[must_use]
    pub fn new(identity: DaemonIdentity) -> Self {
        Self {
            identity,
            generation: 0,
            last_relative_port: 0,
            volumes: BTreeMap::new(),
            targets: BTreeMap::new(),
            discovery: Acl::default(),
            families: BTreeMap::new(),
            groups: BTreeMap::new(),
            schedules: BTreeMap::new(),
            intents: Vec::new(),
            mirrors: BTreeMap::new(),
            peers: BTreeMap::new(),
            shared: BTreeMap::new(),
        }
    }

    /// Does what the command says and tells what has changed. Nothing has if the list is empty: it
    /// was like that already.
    ///
    /// # Errors
    /// A rule stands against it; the catalog is as before.
    pub fn apply(&mut self, command: Command) -> Result<Vec<Change>, CatalogError> {
        let changes = rules::apply(self, command)?;
        if !changes.is_empty() {
            self.generation = self.generation.saturating_add(1);
        }
        Ok(changes)
    }

    /// The catalog as bytes, secrets included: for a file that only the daemon may read.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encoding::encode(self)
    }

    /// The catalog that [`Catalog::encode`] wrote.
    ///
    /// # Errors
    /// The bytes are damaged, of another version, or say what no catalog says.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        encoding::decode(bytes)
    }

    /// Whose catalog this is.
    #[must_use]
    pub fn identity(&self) -> DaemonIdentity {
        self.identity
    }

    /// How many changes it has seen; only ever grows.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// All volumes by name, with the snapshots that targets show or have shown among them.
    pub fn volumes(&self) -> impl ExactSizeIterator<Item = &Volume> {
        self.volumes.values()
    }

    /// One volume.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn volume(&self, name: &VolumeName) -> Result<&Volume, CatalogError> {
        self.volumes
            .get(name)
            .ok_or_else(|| CatalogError::NoSuchVolume {
                volume: name.clone(),
            })
    }

    /// All targets by name.
    pub fn targets(&self) -> impl ExactSizeIterator<Item = &Target> {
        self.targets.values()
    }

    /// One target.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn target(&self, name: &IscsiName) -> Result<&Target, CatalogError> {
        self.targets
            .get(name)
            .ok_or_else(|| CatalogError::NoSuchTarget {
                target: name.clone(),
            })
    }

    /// Who may hold discovery sessions. While it is empty everybody may.
    #[must_use]
    pub fn discovery(&self) -> &Acl {
        &self.discovery
    }

    /// All families.
    pub fn families(&self) -> impl ExactSizeIterator<Item = &Family> {
        self.families.values()
    }

    /// One family.
    #[must_use]
    pub fn family(&self, id: FamilyId) -> Option<&Family> {
        self.families.get(&id)
    }

    /// The volumes of a family: its heads.
    pub fn heads(&self, family: FamilyId) -> impl Iterator<Item = &Volume> {
        self.volumes.values().filter(
            move |volume| matches!(volume.backing, Backing::Head(place) if place.family == family),
        )
    }

    /// As which logical unit hosts see a volume that is one together with another daemon's; `None`: it is one of
    /// its own.
    #[must_use]
    pub fn shared_identity(&self, volume: &VolumeName) -> Option<&SharedIdentity> {
        self.shared.get(volume)
    }

    /// All peers by name.
    pub fn peers(&self) -> impl ExactSizeIterator<Item = &Peer> {
        self.peers.values()
    }

    /// One peer.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn peer(&self, name: &PeerName) -> Result<&Peer, CatalogError> {
        let peer = self.peers.get(name);
        peer.ok_or_else(|| CatalogError::NoSuchPeer { peer: name.clone() })
    }

    /// All groups by name.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = &Group> {
        self.groups.values()
    }

    /// One group.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn group(&self, name: &GroupName) -> Result<&Group, CatalogError> {
        self.groups
            .get(name)
            .ok_or_else(|| CatalogError::NoSuchGroup {
                group: name.clone(),
            })
    }

    /// All schedules, by the name of their volume.
    pub fn schedules(&self) -> impl ExactSizeIterator<Item = (&VolumeName, &Schedule)> {
        self.schedules.iter()
    }

    /// The schedule of a volume, if it has one.
    #[must_use]
    pub fn schedule(&self, volume: &VolumeName) -> Option<Schedule> {
        self.schedules.get(volume).copied()
    }

    /// What is to be, and may not be so everywhere yet.
    #[must_use]
    pub fn intents(&self) -> &[Intent] {
        &self.intents
    }

    /// All mirrors.
    pub fn mirrors(&self) -> impl ExactSizeIterator<Item = &Mirror> {
        self.mirrors.values()
    }

    /// One mirror.
    #[must_use]
    pub fn mirror(&self, id: MirrorId) -> Option<&Mirror> {
        self.mirrors.get(&id)
    }

    /// The mirror that a volume is in, if it is in one.
    #[must_use]
    pub fn mirror_of(&self, volume: &VolumeName) -> Option<&Mirror> {
        self.mirrors
            .values()
            .find(|mirror| mirror.side_of(volume).is_some())
    }

    /// The mirrors whose other end a peer has.
    pub fn mirrors_with<'a>(&'a self, peer: &'a PeerName) -> impl Iterator<Item = &'a Mirror> {
        self.mirrors().filter(move |mirror| {
            let remote = mirror.remote();
            remote.is_some_and(|(_, elsewhere)| elsewhere.peer == *peer)
        })
    }

    /// Where a volume is shown.
    pub fn mappings<'a>(
        &'a self,
        volume: &'a VolumeName,
    ) -> impl Iterator<Item = (&'a Target, &'a Lun)> {
        self.targets
            .values()
            .filter_map(|target| Some((target, target.lun_of(volume)?)))
    }
}
