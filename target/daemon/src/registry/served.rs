//! The live objects: volumes with their logical unit and file, targets with their LUN map. Shared by
//! all threads; what a session needs per command is behind one atomic counter.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use super::Registry;
use super::asymmetric_access::group_accesses;
use super::families::{ServedFamily, kept_path};
use super::fences::Fences;
use super::identifying::IdentifyingFile;
use super::journals::ATOMIC_WRITE_MAX;
use super::mirrors::Mirrors;
use super::renewals::Renewals;
use super::reservations::ReservationFile;
use super::shared_units::{SharedRole, identity_of};
use crate::mirrors::gate::Gate;
use parking_lot::{Mutex, RwLock};
use tidelock_catalog as catalog;
use tidelock_catalog::DatasetId;
use tidelock_replication::{JournalPlace, MappedOptions, OpenOptions, Volume};
use tidelock_scsi::{
    BlockSize, Identity, Limits, LogicalUnit, LogicalUnitConfig, TargetPort, UnitState,
};

/// Stands for a number of bytes that nobody knows.
const UNKNOWN: u64 = u64::MAX;

/// What is said of a volume whose file wasn't tried yet.
const NOT_OPENED: &str = "not opened yet";

/// A volume as it is served: one logical unit, however many targets show it.
#[derive(Debug)]
pub struct ServedVolume {
    name: Arc<str>,
    record: catalog::Volume,
    path: RwLock<Arc<Path>>,
    /// It is a clone that has become a file of its own, which the daemon made.
    parted: AtomicBool,
    journal: JournalPlace,
    /// Where its blocks are, if they aren't in a file of its own.
    place: RwLock<Option<(Arc<ServedFamily>, DatasetId)>>,
    unit: LogicalUnit,
    /// Until when hosts may be served.
    gate: Gate,
    reservations: ReservationFile,
    identifying: IdentifyingFile,
    /// Somebody is finding out how much space it takes.
    measuring: AtomicBool,
    /// How much space it may take.
    limits: RwLock<catalog::SpaceLimits>,
    /// Bytes at the last look.
    used: AtomicU64,
    /// Its open file is its own, also while its blocks are in a family.
    of_file: AtomicBool,
    /// Its blocks are brought home: 1 and the percentage that is; 0 if they aren't.
    folding: AtomicU8,
    /// They have been.
    folded: AtomicBool,
    store: RwLock<Result<Arc<Volume>, String>>,
    /// Held while the file is being opened: a second try at the same time would find it locked.
    opening: Mutex<()>,
}

impl ServedVolume {
    /// The logical unit of a volume of the catalog; its file isn't opened yet.
    #[must_use]
    pub(super) fn new(record: &catalog::Volume, registry: &Registry) -> Self {
        let place = record.backing.place().and_then(|place| {
            let family = registry.families.get(place.family)?;
            Some((family, place.dataset))
        });
        let kept = record.path.as_deref();
        let kept = kept.map(|path| kept_path(path, record.managed, &registry.volumes));
        let shared = place.as_ref().map(|(family, _)| family.folder());
        let identity = Identity {
            naa: record.naa,
            ..Identity::new(0, record.serial.clone())
        };
        let block_size = match record.block_size {
            catalog::BlockSize::B512 => BlockSize::B512,
            catalog::BlockSize::B4096 => BlockSize::B4096,
        };
        let blocks = record.size_bytes >> block_size.shift();
        let limits = Limits {
            max_atomic_bytes: ATOMIC_WRITE_MAX,
            ..Limits::default()
        };
        let config = LogicalUnitConfig {
            limits,
            write_cache: record.write_cache,
            // UNMAP would give back the space that was set aside on purpose.
            thin: !record.preallocated,
            read_only: matches!(record.backing, catalog::Backing::Snapshot(_)),
            ..LogicalUnitConfig::new(identity, block_size, blocks)
        };
        let unit = LogicalUnit::new(config);
        unit.complete_transition(group_accesses(&record.access), None);
        unit.set_shares_blocks(place.is_some());
        if let Some(shared) = registry.catalog().shared_identity(&record.name) {
            unit.show_as(Some(identity_of(shared)));
        }
        Self {
            name: record.name.as_str().into(),
            journal: registry.journals.place(record.id),
            path: RwLock::new(
                kept.or_else(|| shared.map(Path::to_owned))
                    .unwrap_or_default()
                    .into(),
            ),
            parted: AtomicBool::new(false),
            record: record.clone(),
            place: RwLock::new(place),
            unit,
            gate: Gate::default(),
            reservations: ReservationFile::new(&registry.reservations, record.id),
            identifying: IdentifyingFile::new(&registry.identifying, record.id),
            measuring: AtomicBool::new(false),
            limits: RwLock::new(record.limits),
            used: AtomicU64::new(UNKNOWN),
            of_file: AtomicBool::new(false),
            folding: AtomicU8::new(0),
            folded: AtomicBool::new(false),
            store: RwLock::new(Err(NOT_OPENED.into())),
            opening: Mutex::new(()),
        }
    }

    /// Name of the volume.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its identity.
    #[must_use]
    pub fn id(&self) -> catalog::VolumeId {
        self.record.id
    }

    /// Where its file is.
    #[must_use]
    pub fn path(&self) -> Arc<Path> {
        Arc::clone(&self.path.read())
    }

    /// Whether the daemon made the file.
    #[must_use]
    pub fn is_managed(&self) -> bool {
        self.record.managed || self.parted.load(Ordering::SeqCst)
    }

    /// The same, for a command that begins or goes on. Where the time is over in which hosts may be served, they come back or
    /// use another path from now on, whatever else is late.
    #[must_use]
    pub fn unit_in_time(&self) -> &LogicalUnit {
        if self.gate.is_past() {
            let elsewhere = SharedRole::Target.accesses();
            self.unit.lead_transition(elsewhere);
            self.gate.note_late();
        }
        &self.unit
    }

    /// Until when hosts may be served.
    pub(crate) const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Its logical unit.
    #[must_use]
    pub fn unit(&self) -> &LogicalUnit {
        &self.unit
    }

    /// Who reserved it, on disk.
    #[must_use]
    pub fn reservations(&self) -> &ReservationFile {
        &self.reservations
    }

    /// What hosts call it, on disk.
    pub(crate) fn identifying(&self) -> &IdentifyingFile {
        &self.identifying
    }

    /// Its file, if it could be opened.
    #[must_use]
    pub fn store(&self) -> Option<Arc<Volume>> {
        self.store.read().as_ref().ok().cloned()
    }

    /// Why its file couldn't be opened.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.store.read().as_ref().err().cloned()
    }

    /// How much space it may take.
    pub(super) fn limits(&self) -> catalog::SpaceLimits {
        *self.limits.read()
    }

    /// Bytes that it took at the last look, with all that shares blocks with it.
    pub(super) fn used(&self) -> Option<u64> {
        Some(self.used.load(Ordering::Relaxed)).filter(|used| *used != UNKNOWN)
    }

    pub(super) fn set_used(&self, bytes: Option<u64>) {
        self.used.store(bytes.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    /// How much space it may take from now on.
    pub(super) fn set_limits(&self, limits: catalog::SpaceLimits) {
        *self.limits.write() = limits;
        if let Some(store) = self.store() {
            store.set_space_limit(limits.limit_bytes);
        }
    }

    /// Gives it the file that was made or opened for it.
    pub fn set_store(&self, store: Arc<Volume>) {
        store.set_space_limit(self.limits().limit_bytes);
        self.of_file
            .store(store.family().is_none(), Ordering::SeqCst);
        *self.store.write() = Ok(store);
        self.unit.set_state(UnitState::Ready);
    }

    /// Where its blocks are, if they aren't in a file of its own.
    pub(super) fn place(&self) -> Option<(Arc<ServedFamily>, DatasetId)> {
        self.place.read().clone()
    }

    /// Its blocks are there now.
    pub(super) fn set_place(&self, place: Option<(Arc<ServedFamily>, DatasetId)>) {
        self.unit.set_shares_blocks(place.is_some());
        *self.place.write() = place;
    }

    /// Whether its open file is its own, so that it can be a plain file again.
    pub(super) fn is_of_file(&self) -> bool {
        self.of_file.load(Ordering::SeqCst)
    }

    /// It is a clone that has become a file of its own.
    pub(super) fn become_file(&self, path: PathBuf) {
        *self.path.write() = path.into();
        self.parted.store(true, Ordering::SeqCst);
        self.of_file.store(true, Ordering::SeqCst);
        self.folded.store(false, Ordering::SeqCst);
    }

    /// Says that its blocks are brought home, and how many of a hundred are there.
    pub(super) fn set_folding(&self, percent: Option<u8>) {
        let state = percent.map_or(0, |percent| percent.saturating_add(1));
        self.folding.store(state, Ordering::Relaxed);
    }

    /// How many of a hundred blocks are at home, while they are brought there.
    pub(super) fn folding(&self) -> Option<u8> {
        self.folding.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Its blocks have been brought home, as far as that can be done while it is open.
    pub(super) fn set_folded(&self) {
        self.folded.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_folded(&self) -> bool {
        self.folded.load(Ordering::Relaxed)
    }

    /// How many bytes it takes, if that can be told; nobody finds out twice at a time. Blocks.
    pub(super) fn measure(&self) -> Option<u64> {
        let store = self.store()?;
        let Some((family, dataset)) = self.place() else {
            return store.allocated_bytes().ok();
        };
        let open = family.open_family().ok()?;
        if self.measuring.swap(true, Ordering::Acquire) {
            return None;
        }
        let own = open.engine.exclusive_bytes(*dataset.0.as_bytes());
        self.measuring.store(false, Ordering::Release);
        own.ok()
    }

    pub(super) fn open_options(&self) -> OpenOptions {
        OpenOptions {
            block_size: self.record.block_size.bytes(),
            direct: self.record.direct,
            journal: Some(self.journal.clone()),
            ..OpenOptions::new(&self.path())
        }
    }

    fn open_file(&self) -> Result<Arc<Volume>, String> {
        let store = Volume::open(&self.open_options()).map_err(|error| error.to_string())?;
        let blocks = self.unit.blocks();
        let expected = blocks << self.unit.config().block_size.shift();
        // A file that shrank behind our back must not be served as if nothing had happened.
        if store.size() < expected {
            let path = self.path();
            let path = path.display();
            let size = store.size();
            return Err(format!(
                "{path} has {size} bytes but the volume has {expected}: part of it is gone; \
                 restore the file, or delete the volume and create it anew"
            ));
        }
        Ok(store)
    }

    fn open_dataset(
        &self,
        family: &ServedFamily,
        dataset: DatasetId,
    ) -> Result<Arc<Volume>, String> {
        let open = family.open_family()?;
        let options = MappedOptions {
            block_size: self.record.block_size.bytes(),
            size: self.unit.blocks() << self.unit.config().block_size.shift(),
            read_only: self.unit.config().read_only,
        };
        let opened = open.engine.volume(*dataset.0.as_bytes(), &options);
        opened.map_err(|error| error.to_string())
    }

    /// Tries to open the file; true if it is open now. Blocks.
    pub(super) fn open(&self, fences: &Fences, renewals: &Renewals, mirrors: &Mirrors) -> bool {
        let Some(_opening) = self.opening.try_lock() else {
            return false;
        };
        if self.store().is_some() {
            return true;
        }
        let opened = match self.place() {
            None => self.open_file(),
            Some((family, dataset)) => self.open_dataset(&family, dataset),
        };
        let opened = opened.and_then(|store| {
            // Before anybody can see it.
            store.set_space_limit(self.limits().limit_bytes);
            fences.recall(self.id(), &store);
            renewals.recall(self.id(), &self.unit);
            mirrors.attach(&self.name, &store)?;
            Ok(store)
        });
        let state = match &opened {
            Ok(_) => UnitState::Ready,
            Err(_) => UnitState::BecomingReady,
        };
        let open = opened.is_ok();
        let of_file = opened.as_ref().is_ok_and(|store| store.family().is_none());
        self.of_file.store(of_file, Ordering::SeqCst);
        let before = std::mem::replace(&mut *self.store.write(), opened);
        self.unit.set_state(state);
        match (before.err(), self.problem()) {
            // Tried every few seconds: the log is told once.
            (Some(before), Some(reason)) if before == reason => {}
            (_, Some(reason)) => tracing::error!(volume = %self.name, %reason, "not ready"),
            (Some(before), None) if before != NOT_OPENED => {
                tracing::info!(volume = %self.name, "ready again");
            }
            (_, None) => {}
        }
        open
    }
}

/// A volume under a number.
#[derive(Debug)]
pub struct Lun {
    /// The number.
    pub number: u16,
    /// Writes through this mapping are refused.
    pub read_only: bool,
    /// What is shown.
    pub volume: Arc<ServedVolume>,
}

/// The LUN map of a target.
pub type LunMap = BTreeMap<u16, Lun>;

/// The map of a target of the catalog.
pub fn lun_map(
    target: &catalog::Target,
    volumes: &std::collections::HashMap<catalog::VolumeName, Arc<ServedVolume>>,
) -> LunMap {
    let known = target.luns.values().filter_map(|lun| {
        let volume = Arc::clone(volumes.get(&lun.volume)?);
        let number = lun.number.get();
        Some((
            number,
            Lun {
                number,
                read_only: lun.read_only,
                volume,
            },
        ))
    });
    known.collect()
}

/// A target as it is served.
#[derive(Debug)]
pub struct Target {
    name: String,
    relative_port: u16,
    luns: RwLock<Arc<LunMap>>,
    generation: AtomicU64,
}

impl Target {
    /// A target of the catalog, with no LUNs yet.
    #[must_use]
    pub fn new(record: &catalog::Target) -> Self {
        Self {
            name: record.name.to_string(),
            relative_port: record.relative_port,
            luns: RwLock::default(),
            generation: AtomicU64::new(1),
        }
    }

    /// Its iSCSI name, normalised.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its port in a portal group; `None` where it can't have one.
    #[must_use]
    pub fn port(&self, group: catalog::PortalGroupTag) -> Option<TargetPort> {
        let identifier = catalog::relative_port_identifier(self.relative_port, group)?;
        Some(TargetPort {
            target_name: self.name.clone(),
            relative_port_identifier: identifier,
            target_port_group: group.get(),
        })
    }

    /// Changes whenever the map does: a session compares it before each command.
    #[must_use]
    pub fn generation(&self) -> &AtomicU64 {
        &self.generation
    }

    /// The map as it is now.
    #[must_use]
    pub fn luns(&self) -> Arc<LunMap> {
        Arc::clone(&self.luns.read())
    }

    /// Another map: sessions follow at their next command.
    pub fn set_luns(&self, luns: LunMap) {
        *self.luns.write() = Arc::new(luns);
        self.touch();
    }

    /// Makes sessions look again: a volume of the map has got its file.
    pub fn touch(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }
}
