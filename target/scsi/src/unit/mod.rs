//! The logical unit: what all commands share, and what all I_T nexuses share.
//!
//! Shared between threads. A READ or WRITE touches atomics and its own nexus only; the lock is for
//! the list of nexuses, which changes when sessions come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::attention::UnitAttention;
use crate::cdb::{Cdb, invalid_field};
use crate::command::{Command, TaskAttribute};
use crate::commands::read::BlockRange;
use crate::commands::{Effect, Finish, Refusal, Request, Stage};
use crate::config::LogicalUnitConfig;
use crate::mode::{CurrentMode, ModeParameters};
use crate::nexus::{LuNexus, NexusId, NexusInfo, NexusState};
use crate::opcodes::{self, Class};
use crate::plan::{Completion, Extent, Outcome, PendingData, Plan};
use crate::reply::{DataPieces, Reply};
use crate::sense::{AdditionalSense, Sense, SenseFormat, SenseKey};
use crate::status::Status;

/// Whether the unit can serve its medium.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum UnitState {
    /// It can.
    Ready = 0,
    /// Not yet: still loading, or the store is away for a while. Initiators try again.
    BecomingReady = 1,
    /// A START STOP UNIT stopped it; another one starts it.
    Stopped = 2,
    /// Fenced after a failed flush or write-back: nothing is served until an operator acts, as
    /// nobody knows what of the acknowledged data is left.
    Fenced = 3,
}

impl UnitState {
    fn from_bits(bits: u8) -> Self {
        match bits {
            0 => Self::Ready,
            1 => Self::BecomingReady,
            2 => Self::Stopped,
            _ => Self::Fenced,
        }
    }

    /// The sense data with which a command that needs the medium is refused.
    pub(crate) fn refusal(self, class: Class) -> Option<Sense> {
        let not_ready = |additional| Some(Sense::new(SenseKey::NOT_READY, additional));
        match (self, class) {
            (Self::Ready, _) | (_, Class::Always | Class::Control) => None,
            (Self::BecomingReady, _) => {
                not_ready(AdditionalSense::LOGICAL_UNIT_IS_IN_PROCESS_OF_BECOMING_READY)
            }
            (Self::Stopped, _) => {
                not_ready(AdditionalSense::LOGICAL_UNIT_NOT_READY_INITIALIZING_COMMAND_REQUIRED)
            }
            (Self::Fenced, Class::Ready) => {
                not_ready(AdditionalSense::LOGICAL_UNIT_NOT_READY_MANUAL_INTERVENTION_REQUIRED)
            }
            (Self::Fenced, Class::MediumRead | Class::MediumWrite) => Some(FAILURE),
        }
    }
}

/// Beside the state: an initiator stopped the unit.
const STOPPED: u8 = 0x80;

const FAILURE: Sense = Sense::new(
    SenseKey::HARDWARE_ERROR,
    AdditionalSense::INTERNAL_TARGET_FAILURE,
);

/// A logical unit (SAM-6): one device server for all its I_T nexuses.
#[derive(Debug)]
pub struct LogicalUnit {
    config: LogicalUnitConfig,
    blocks: AtomicU64,
    state: AtomicU8,
    mode: CurrentMode,
    saved_mode: CurrentMode,
    nexuses: Mutex<Vec<Arc<NexusState>>>,
}

impl LogicalUnit {
    /// A ready unit without nexuses.
    #[must_use]
    pub fn new(config: LogicalUnitConfig) -> Self {
        Self {
            blocks: AtomicU64::new(config.blocks),
            state: AtomicU8::new(UnitState::Ready as u8),
            mode: CurrentMode::new(config.saved_mode()),
            saved_mode: CurrentMode::new(config.saved_mode()),
            nexuses: Mutex::new(Vec::new()),
            config,
        }
    }

    /// Adds an I_T nexus; its first command finds a POWER ON, RESET, OR BUS DEVICE RESET OCCURRED.
    #[must_use]
    pub fn attach(&self, nexus: NexusInfo) -> LuNexus {
        let nexus = LuNexus::new(nexus);
        nexus.raise(UnitAttention::PowerOn);
        self.nexuses.lock().push(Arc::clone(&nexus.state));
        nexus
    }

    /// Removes an I_T nexus.
    pub fn detach(&self, nexus: &LuNexus) {
        self.nexuses
            .lock()
            .retain(|state| !Arc::ptr_eq(state, &nexus.state));
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
        if self.blocks.swap(blocks, Ordering::AcqRel) != blocks {
            self.raise(UnitAttention::CapacityChanged, None);
        }
    }

    /// Whether the medium can be served. A unit that is stopped says so only when nothing worse is
    /// the matter.
    #[must_use]
    pub fn state(&self) -> UnitState {
        let bits = self.state.load(Ordering::Acquire);
        match UnitState::from_bits(bits & !STOPPED) {
            UnitState::Ready if bits & STOPPED != 0 => UnitState::Stopped,
            state => state,
        }
    }

    /// Says what the store behind the unit can do. Whether an initiator stopped the unit is kept
    /// apart from that: [`UnitState::Stopped`] stops it, and only START STOP UNIT or a reset starts
    /// it again.
    pub fn set_state(&self, state: UnitState) {
        if state == UnitState::Stopped {
            self.set_stopped(true);
            return;
        }
        let change = |bits: u8| Some((bits & STOPPED) | state as u8);
        // The closure never gives up, so neither does the update.
        let _ = self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, change);
    }

    pub(crate) fn set_stopped(&self, stopped: bool) {
        if stopped {
            self.state.fetch_or(STOPPED, Ordering::AcqRel);
        } else {
            self.state.fetch_and(!STOPPED, Ordering::AcqRel);
        }
    }

    /// What LOGICAL UNIT RESET does to the device server (SAM-6): mode parameters return to their
    /// saved values, a stopped unit starts, and every nexus finds a unit attention. Commands are the
    /// shell's to abort.
    pub fn logical_unit_reset(&self) {
        self.set_stopped(false);
        self.mode.set(self.saved_mode());
        self.raise(UnitAttention::BusDeviceReset, None);
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
    /// is a unit attention pending, is the unit ready, may this nexus write, are reserved fields
    /// zero. Then the command's own handler looks at its fields. Reservations, once there are any,
    /// are checked between unit attentions and readiness, by the class of the command.
    pub fn begin(&self, nexus: &mut LuNexus, command: &Command<'_>) -> Plan {
        self.check(nexus, command)
            .unwrap_or_else(|refusal| Plan::Done(self.refuse(&refusal)))
    }

    fn check(&self, nexus: &LuNexus, command: &Command<'_>) -> Result<Plan, Refusal> {
        let cdb = Cdb::new(command.cdb);
        let opcode = opcodes::find(cdb)?;
        if !opcode.is_supported_by(&self.config) {
            return Err(opcodes::INVALID_OPERATION_CODE.into());
        }
        if command.attribute == TaskAttribute::Aca {
            return Err(Sense::illegal_request(AdditionalSense::INVALID_MESSAGE_ERROR).into());
        }
        if opcode.class != Class::Always
            && nexus.state.attention.is_pending()
            && let Some(attention) = nexus.state.attention.take()
        {
            return Err(attention.sense().into());
        }
        self.check_access(opcode.class, nexus)?;
        opcode.check_fields(cdb)?;
        (opcode.handler)(self, nexus, &Request { cdb, command })
    }

    /// Readiness and write protection.
    fn check_access(&self, class: Class, nexus: &LuNexus) -> Result<(), Sense> {
        if let Some(sense) = self.state().refusal(class) {
            return Err(sense);
        }
        match class {
            Class::MediumWrite => self.write_protection(nexus).map_or(Ok(()), Err),
            _ => Ok(()),
        }
    }

    /// Why `nexus` may not write, if so.
    pub(crate) fn write_protection(&self, nexus: &LuNexus) -> Option<Sense> {
        let protect = |additional| Some(Sense::new(SenseKey::DATA_PROTECT, additional));
        if self.config.read_only || nexus.info.read_only {
            protect(AdditionalSense::WRITE_PROTECTED)
        } else if self.mode().software_write_protect {
            protect(AdditionalSense::LOGICAL_UNIT_SOFTWARE_WRITE_PROTECTED)
        } else {
            None
        }
    }

    /// Goes on with a command whose data-out has arrived.
    ///
    /// The data may have taken its time: a unit that was fenced, shrunk or write protected meanwhile
    /// refuses it.
    pub fn data_out(&self, nexus: &mut LuNexus, pending: PendingData, data: DataPieces) -> Plan {
        let plan = self
            .check_access(pending.0.class(), nexus)
            .map_err(Refusal::from)
            .and_then(|()| pending.0.data_out(self, nexus, data));
        plan.unwrap_or_else(|refusal| Plan::Done(self.refuse(&refusal)))
    }

    /// Goes on with a command whose operation has been executed.
    pub fn finish(&self, nexus: &mut LuNexus, completion: Completion, outcome: Outcome) -> Plan {
        let _ = nexus;
        match completion.0 {
            Stage::Then(next) if outcome.is_success() => {
                let (operation, stage) = *next;
                Plan::Execute {
                    operation,
                    completion: Completion(stage),
                }
            }
            stage => {
                let finish = stage.last();
                if let (Effect::SavesMode(parameters), true) = (finish.effect, outcome.is_success())
                {
                    self.saved_mode.set(parameters);
                }
                Plan::Done(self.conclude(finish, outcome))
            }
        }
    }

    fn conclude(&self, finish: Finish, outcome: Outcome) -> Reply {
        let Finish {
            extent,
            transfer_length,
            effect,
        } = finish;
        let lba = |offset: u64| offset >> self.config.block_size.shift();
        let sense = match outcome {
            Outcome::Read(data) => return Reply::data(data).of_transfer(transfer_length),
            Outcome::Done => return Reply::written(transfer_length),
            Outcome::Busy => return Reply::with_status(Status::BUSY),
            Outcome::Aborted => return Reply::with_status(Status::TASK_ABORTED),
            Outcome::Miscompare { offset } => Sense::new(
                SenseKey::MISCOMPARE,
                AdditionalSense::MISCOMPARE_DURING_VERIFY_OPERATION,
            )
            .with_information(lba(extent.offset.saturating_add(offset))),
            Outcome::MediumError { offset } => {
                let additional = match effect {
                    Effect::Reads => AdditionalSense::UNRECOVERED_READ_ERROR,
                    Effect::Writes | Effect::SavesMode(_) => AdditionalSense::WRITE_ERROR,
                };
                Sense::new(SenseKey::MEDIUM_ERROR, additional).with_information(lba(offset))
            }
            Outcome::HardwareError => FAILURE,
            Outcome::SpaceExhausted => Sense::new(
                SenseKey::DATA_PROTECT,
                AdditionalSense::SPACE_ALLOCATION_FAILED_WRITE_PROTECT,
            ),
            Outcome::NotReady => Sense::new(
                SenseKey::NOT_READY,
                AdditionalSense::LOGICAL_UNIT_IS_IN_PROCESS_OF_BECOMING_READY,
            ),
        };
        self.refuse(&Refusal {
            sense,
            transfer_length,
        })
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

/// Addresses.
impl LogicalUnit {
    pub(crate) fn last_lba(&self) -> u64 {
        self.blocks().saturating_sub(1)
    }

    /// The extent of a transfer: within the limit of one command and inside the unit.
    pub(crate) fn transfer_extent(&self, range: BlockRange) -> Result<Extent, Sense> {
        if range.blocks > self.config.max_transfer_blocks() {
            return Err(invalid_field(range.length_at, None));
        }
        self.extent(range.lba, u64::from(range.blocks))
    }

    /// The extent of `blocks` blocks from `lba`, or LOGICAL BLOCK ADDRESS OUT OF RANGE. The address
    /// must be one of the unit's even where the length is zero.
    pub(crate) fn extent(&self, lba: u64, blocks: u64) -> Result<Extent, Sense> {
        let capacity = self.blocks();
        let fits = lba < capacity && blocks <= capacity - lba;
        if !fits {
            let additional = AdditionalSense::LOGICAL_BLOCK_ADDRESS_OUT_OF_RANGE;
            return Err(Sense::illegal_request(additional));
        }
        let shift = self.config.block_size.shift();
        Ok(Extent {
            offset: lba << shift,
            length: blocks << shift,
        })
    }

    /// From `lba` to the last block.
    pub(crate) fn extent_to_end(&self, lba: u64) -> Result<Extent, Sense> {
        let blocks = self.blocks().saturating_sub(lba).max(1);
        self.extent(lba, blocks)
    }

    /// `extent` again, if it is still inside.
    pub(crate) fn still_inside(&self, extent: Extent) -> Result<Extent, Sense> {
        let shift = self.config.block_size.shift();
        self.extent(extent.offset >> shift, extent.length >> shift)
    }

    /// The whole unit.
    pub(crate) fn whole(&self) -> Extent {
        Extent {
            offset: 0,
            length: self.blocks() << self.config.block_size.shift(),
        }
    }

    /// The limit of one transfer.
    pub(crate) fn max_transfer_bytes(&self) -> u64 {
        u64::from(self.config.max_transfer_blocks()) << self.config.block_size.shift()
    }

    pub(crate) fn is_whole_blocks(&self, bytes: u64) -> bool {
        bytes.is_multiple_of(u64::from(self.config.block_size.bytes()))
    }

    pub(crate) fn round_up_to_block(&self, bytes: u64) -> u64 {
        bytes.next_multiple_of(u64::from(self.config.block_size.bytes()))
    }
}
