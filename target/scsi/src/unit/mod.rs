//! The logical unit: what all commands share, and what all I_T nexuses share.
//!
//! Shared between threads. A READ or WRITE touches atomics and its own nexus only; the lock is for
//! the list of nexuses, which changes when sessions come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::alua::PortGroups;
use crate::attention::UnitAttention;
use crate::cdb::Cdb;
use crate::command::{Command, TaskAttribute};
use crate::commands::{Refusal, Request};
use crate::config::{Identity, LogicalUnitConfig};
use crate::copy::RunningCopies;
use crate::identifying::IdentifyingInformation;
use crate::mode::{CurrentMode, ModeParameters};
use crate::nexus::{LuNexus, NexusId, NexusInfo, NexusState};
use crate::opcodes::{self, Class, Requires};
use crate::plan::{PendingData, Plan};
use crate::reply::{DataPieces, Reply};
use crate::sense::{AdditionalSense, Sense, SenseFormat, SenseKey};

mod access;
mod addresses;
mod identifying;
mod identity;
mod medium;
mod outcome;
pub(crate) mod provisioning;
mod reservations;
mod state;
mod third_party;

use provisioning::SoftThreshold;
use reservations::Reservations;
use state::CurrentState;
pub use state::UnitState;
use third_party::ThirdParties;
pub use third_party::{EarlierThirdParties, ThirdPartyUnderway};

/// A logical unit (SAM-6): one device server for all its I_T nexuses.
#[derive(Debug)]
pub struct LogicalUnit {
    config: LogicalUnitConfig,
    /// As which unit it is shown, if not as the one of the configuration.
    shown_as: RwLock<Option<Arc<Identity>>>,
    /// The configuration's.
    own_identity: Arc<Identity>,
    /// The same as a flag, for each command.
    is_shared: AtomicBool,
    blocks: AtomicU64,
    state: CurrentState,
    /// In 65536ths.
    renewal_progress: AtomicU16,
    soft_threshold: SoftThreshold,
    /// Snapshots or clones have the same blocks.
    shares_blocks: AtomicBool,
    /// Nobody may write.
    write_protected: AtomicBool,
    mode: CurrentMode,
    saved_mode: CurrentMode,
    /// Locked before `reservations` and `nexuses` where several are.
    port_groups: Mutex<PortGroups>,
    nexuses: Mutex<Vec<Arc<NexusState>>>,
    /// Nexuses that were removed before all of their commands had ended.
    departed: Mutex<Vec<Arc<NexusState>>>,
    pub(crate) copies: RunningCopies,
    /// Steps of copies of any logical unit that read or write this one.
    third_parties: Arc<ThirdParties>,
    reservations: Mutex<Reservations>,
    /// What `reservations` says of that, for who isn't to hold up commands.
    is_reserved: AtomicBool,
    /// Locked before `nexuses`.
    identifying: Mutex<IdentifyingInformation>,
}

impl LogicalUnit {
    /// A ready unit without nexuses.
    #[must_use]
    pub fn new(config: LogicalUnitConfig) -> Self {
        Self {
            blocks: AtomicU64::new(addressable(&config, config.blocks)),
            state: CurrentState::default(),
            renewal_progress: AtomicU16::new(0),
            soft_threshold: SoftThreshold::default(),
            shares_blocks: AtomicBool::new(false),
            write_protected: AtomicBool::new(false),
            mode: CurrentMode::new(config.saved_mode()),
            saved_mode: CurrentMode::new(config.saved_mode()),
            port_groups: Mutex::default(),
            nexuses: Mutex::new(Vec::new()),
            departed: Mutex::new(Vec::new()),
            copies: RunningCopies::default(),
            third_parties: Arc::default(),
            reservations: Mutex::default(),
            is_reserved: AtomicBool::new(false),
            identifying: Mutex::default(),
            shown_as: RwLock::default(),
            own_identity: Arc::new(config.identity.clone()),
            is_shared: AtomicBool::new(false),
            config,
        }
    }

    /// Adds an I_T nexus; its first command finds a POWER ON, RESET, OR BUS DEVICE RESET OCCURRED.
    #[must_use]
    pub fn attach(&self, nexus: NexusInfo) -> LuNexus {
        let nexus = LuNexus::new(nexus);
        nexus.raise(UnitAttention::PowerOn);
        // No state can change between the look at it and the entry in the list.
        let groups = self.port_groups.lock();
        nexus
            .state
            .access_state
            .set(groups.state(nexus.state.group));
        self.attach_to_reservations(&nexus.state);
        nexus
    }

    /// Removes an I_T nexus.
    pub fn detach(&self, nexus: &LuNexus) {
        // A unit that is unmapped may have commands under way that a renewal has to wait for. It looks
        // at the nexuses first, so at no time is one in neither list.
        let mut departed = self.departed.lock();
        departed.retain(|state| state.has_commands_under_way());
        if nexus.state.has_commands_under_way() {
            departed.push(Arc::clone(&nexus.state));
        }
        drop(departed);
        self.nexuses
            .lock()
            .retain(|state| !Arc::ptr_eq(state, &nexus.state));
        self.nexus_lost(nexus.id());
    }

    /// Raises a unit attention on all nexuses but `except`.
    pub fn raise(&self, attention: UnitAttention, except: Option<NexusId>) {
        for nexus in self.nexuses.lock().iter() {
            if Some(nexus.id) != except {
                nexus.attention.raise(attention);
            }
        }
    }

    /// Sets the capacity, in blocks, and tells all nexuses when it changed (2Ah/09h).
    pub fn set_blocks(&self, blocks: u64) {
        let blocks = addressable(&self.config, blocks);
        if self.blocks.swap(blocks, Ordering::AcqRel) != blocks {
            self.raise(UnitAttention::CapacityChanged, None);
        }
    }

    /// Whether the medium can be served. A unit that is stopped says so only when nothing worse is
    /// the matter.
    #[must_use]
    pub fn state(&self) -> UnitState {
        self.state.get()
    }

    /// Says what the store behind the unit can do. Whether an initiator stopped the unit is kept
    /// apart from that: [`UnitState::Stopped`] stops it, and only START STOP UNIT or a reset starts
    /// it again.
    pub fn set_state(&self, state: UnitState) {
        self.state.set(state);
    }

    /// Says whether snapshots or clones have the same blocks: then what an overwrite or an erasure is to
    /// make unreadable would stay, so there is no SANITIZE.
    pub fn set_shares_blocks(&self, shares: bool) {
        self.shares_blocks.store(shares, Ordering::SeqCst);
    }

    /// Says whether nobody may write, as the content comes from elsewhere: a mirror's target. Hosts are told when
    /// that changes, since they may have read WP of the mode parameter header (SPC-5, SBC-4).
    pub fn set_write_protected(&self, protected: bool) {
        if self.write_protected.swap(protected, Ordering::SeqCst) != protected {
            self.raise(UnitAttention::ModeParametersChanged, None);
        }
    }

    /// Whether nobody may write, as the content comes from elsewhere.
    #[must_use]
    pub fn is_write_protected(&self) -> bool {
        self.write_protected.load(Ordering::SeqCst)
    }

    /// Whether it supports a command.
    pub(crate) fn supports(&self, opcode: &opcodes::OpCode) -> bool {
        let has_own_blocks = || !self.shares_blocks.load(Ordering::SeqCst);
        match opcode.requires {
            // Nearly all, and those that are fast.
            Requires::Nothing => true,
            Requires::OwnBlocks | Requires::ThinOwnBlocks if !has_own_blocks() => false,
            Requires::OwnAccessStates if self.is_shared() => false,
            _ => opcode.is_supported_by(&self.config),
        }
    }

    pub(crate) fn set_stopped(&self, stopped: bool) {
        self.state.set_stopped(stopped);
    }

    /// What LOGICAL UNIT RESET does to the device server (SAM-6), and the unit attention for every
    /// nexus. Commands are the shell's to abort.
    pub fn logical_unit_reset(&self) {
        self.reset_device_server();
        self.raise(UnitAttention::BusDeviceReset, None);
    }

    /// The same without the unit attention, which is for the shell to raise on each nexus once it has
    /// aborted its commands: none of them may be answered after it (RFC 7143 §4.2.3.6). Mode parameters
    /// return to their saved values, and a stopped unit starts.
    pub fn reset_device_server(&self) {
        self.set_stopped(false);
        self.mode.set(self.saved_mode());
        for nexus in self.nexuses.lock().iter() {
            nexus.copies.reset();
        }
        self.end_spc2_reservation();
    }

    /// WCE: whether acknowledged writes may wait in a volatile cache.
    #[must_use]
    pub fn write_cache_enabled(&self) -> bool {
        self.mode().write_cache
    }

    /// The mode parameters in force.
    #[must_use]
    pub fn mode(&self) -> ModeParameters {
        self.mode.get()
    }

    /// The mode parameters that a reset brings back.
    #[must_use]
    pub fn saved_mode(&self) -> ModeParameters {
        self.saved_mode.get()
    }

    pub(crate) fn set_mode(&self, mode: ModeParameters) {
        self.mode.set(mode);
    }

    /// What the unit was made of.
    #[must_use]
    pub fn config(&self) -> &LogicalUnitConfig {
        &self.config
    }

    /// Capacity in blocks.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.blocks.load(Ordering::Acquire)
    }

    /// Decodes and checks one command.
    ///
    /// The checks come in the same order for every command: is it supported, is its task attribute,
    /// does a reservation stand against it, is a unit attention pending, does the access state of the
    /// nexus let it in, is the unit ready, may this nexus write, are reserved fields zero. Then the
    /// command's own handler looks at its fields. RESERVATION CONFLICT takes precedence over CHECK
    /// CONDITION (SAM-6, "Status precedence"), so a unit attention stays pending beside it.
    pub fn begin(&self, nexus: &mut LuNexus, command: &Command<'_>) -> Plan {
        self.check(nexus, command)
            .unwrap_or_else(|refusal| Plan::Done(self.refuse(&refusal)))
    }

    fn check(&self, nexus: &LuNexus, command: &Command<'_>) -> Result<Plan, Refusal> {
        let cdb = Cdb::new(command.cdb);
        let found = opcodes::find(cdb)?;
        let opcode = found.opcode;
        if !self.supports(opcode) {
            return Err(opcodes::INVALID_OPERATION_CODE.into());
        }
        if command.attribute == TaskAttribute::Aca {
            return Err(Sense::illegal_request(AdditionalSense::INVALID_MESSAGE_ERROR).into());
        }
        if !nexus.state.access().has(opcode.access())
            && let Some(conflict) = self.conflict(nexus, opcode.access().of_cdb(cdb))?
        {
            return Ok(Plan::Done(conflict));
        }
        if opcode.class != Class::Always
            && nexus.state.attention.is_pending()
            && let Some(attention) = nexus.state.attention.take()
        {
            let reply = self.refuse(&attention.sense().into());
            return Ok(Plan::Done(reply.fenced_if(attention.follows_aborts())));
        }
        Self::check_access_state(opcode.served_in(), nexus)?;
        self.check_access(opcode.class, opcode.operation_code, Some(cdb), nexus)?;
        found.check_fields(cdb)?;
        (opcode.handler)(self, nexus, &Request { cdb, command })
    }

    /// Readiness, the condition of the medium and write protection.
    fn check_access(
        &self,
        class: Class,
        operation_code: u8,
        cdb: Option<Cdb>,
        nexus: &LuNexus,
    ) -> Result<(), Sense> {
        if !self.state.is_fine() {
            let condition = self.state.medium();
            let refusal = self.medium_refusal(condition, operation_code, cdb, class);
            if let Some(sense) = refusal.or_else(|| self.state().refusal(class)) {
                return Err(sense);
            }
        }
        match class {
            Class::MediumWrite => self.write_protection(nexus).map_or(Ok(()), Err),
            _ => Ok(()),
        }
    }

    /// Why `nexus` may not write, if so.
    pub(crate) fn write_protection(&self, nexus: &LuNexus) -> Option<Sense> {
        self.write_protection_through(&nexus.info)
    }

    fn write_protection_through(&self, nexus: &NexusInfo) -> Option<Sense> {
        let protect = |additional| Some(Sense::new(SenseKey::DATA_PROTECT, additional));
        if self.config.read_only || nexus.read_only || self.is_write_protected() {
            protect(AdditionalSense::WRITE_PROTECTED)
        } else if self.mode().software_write_protect {
            protect(AdditionalSense::LOGICAL_UNIT_SOFTWARE_WRITE_PROTECTED)
        } else {
            None
        }
    }

    /// Goes on with a command whose data-out has arrived.
    ///
    /// The data may have taken its time: a unit that was fenced, shrunk, write protected or reserved
    /// meanwhile refuses it.
    pub fn data_out(&self, nexus: &mut LuNexus, pending: PendingData, data: DataPieces) -> Plan {
        let access = pending.0.access();
        if !nexus.state.access().has(access) {
            match self.conflict(nexus, access) {
                Ok(None) => {}
                Ok(Some(conflict)) => return Plan::Done(conflict),
                Err(sense) => return Plan::Done(self.refuse(&sense.into())),
            }
        }
        let plan = Self::check_access_state(pending.0.served_in(), nexus)
            .and_then(|()| {
                self.check_access(
                    pending.0.class(),
                    pending.0.renewing_operation_code(),
                    None,
                    nexus,
                )
            })
            .map_err(Refusal::from)
            .and_then(|()| pending.0.data_out(self, nexus, data));
        plan.unwrap_or_else(|refusal| Plan::Done(self.refuse(&refusal)))
    }

    fn refuse(&self, refusal: &Refusal) -> Reply {
        Reply::check_condition(&refusal.sense, self.sense_format())
            .of_transfer(refusal.transfer_length)
    }

    fn sense_format(&self) -> SenseFormat {
        if self.mode().descriptor_sense {
            SenseFormat::Descriptor
        } else {
            SenseFormat::Fixed
        }
    }
}

/// `blocks`, or as many as can be counted in bytes.
fn addressable(config: &LogicalUnitConfig, blocks: u64) -> u64 {
    blocks.min(u64::MAX >> config.block_size.shift())
}
