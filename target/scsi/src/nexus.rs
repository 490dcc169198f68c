//! I_T nexuses: who talks to a logical unit, through which target port, and what it still has to be
//! told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use crate::alua::CurrentAccess;
use crate::attention::{AttentionQueue, UnitAttention};
use crate::copy::CopyRecords;
use crate::opcodes::AccessBits;
use crate::reservation::{NexusName, Requester};

/// Names one I_T nexus for as long as it lives; the shell gives them out and never reuses one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash, PartialOrd, Ord)]
pub struct NexusId(pub u64);

/// The target port of a nexus, for the designators of VPD page 83h.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TargetPort {
    /// The SCSI name of the target device: its iSCSI name.
    pub target_name: String,
    /// The relative target port identifier, 1 to 65535 (SPC-5); stable over restarts.
    pub relative_port_identifier: u16,
    /// The target port group, which is the iSCSI target portal group tag.
    pub target_port_group: u16,
}

/// Both ends of an I_T nexus.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NexusInfo {
    /// The name of the nexus.
    pub id: NexusId,
    /// The name of the initiator port: for iSCSI `iqn...,i,0xISID` (RFC 7143 §4.4.2).
    pub initiator_port: String,
    /// The target port through which it talks.
    pub target_port: TargetPort,
    /// The unit is mapped read-only for this nexus, whatever others may do.
    pub read_only: bool,
}

/// What other threads may touch of a nexus.
#[derive(Debug)]
pub(crate) struct NexusState {
    pub(crate) id: NexusId,
    /// As registrations know it.
    pub(crate) name: NexusName,
    pub(crate) attention: AttentionQueue,
    /// What reservations leave it: worked out when they change, so that a command looks at this only.
    access: AtomicU8,
    /// The target port group that it comes through.
    pub(crate) group: u16,
    /// The access state of that group.
    pub(crate) access_state: CurrentAccess,
    /// Commands that are being served. Written by the nexus's own thread alone.
    under_way: AtomicU32,
    pub(crate) copies: CopyRecords,
}

impl NexusState {
    pub(crate) fn access(&self) -> AccessBits {
        AccessBits(self.access.load(Ordering::Acquire))
    }

    pub(crate) fn set_access(&self, access: AccessBits) {
        self.access.store(access.0, Ordering::Release);
    }

    pub(crate) fn has_commands_under_way(&self) -> bool {
        self.under_way.load(Ordering::SeqCst) != 0
    }
}

/// Held for a command from before [`crate::LogicalUnit::begin`] until nothing that was planned for it
/// touches the medium any more: what needs the medium for itself waits for that.
#[derive(Debug)]
pub struct Underway(Arc<NexusState>);

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One I_T nexus on one logical unit; owned by the thread that serves the session.
#[derive(Debug)]
pub struct LuNexus {
    pub(crate) info: NexusInfo,
    pub(crate) state: Arc<NexusState>,
}

impl LuNexus {
    pub(crate) fn new(info: NexusInfo) -> Self {
        let state = Arc::new(NexusState {
            id: info.id,
            name: NexusName::of(&info),
            access: AtomicU8::new(AccessBits::ALL.0),
            attention: AttentionQueue::default(),
            under_way: AtomicU32::new(0),
            copies: CopyRecords::default(),
            group: info.target_port.target_port_group,
            access_state: CurrentAccess::default(),
        });
        Self { info, state }
    }

    /// The name of the nexus.
    #[must_use]
    pub fn id(&self) -> NexusId {
        self.info.id
    }

    /// Both ends of the nexus.
    #[must_use]
    pub fn info(&self) -> &NexusInfo {
        &self.info
    }

    /// Announces a command. The count is sequentially consistent with the condition of the medium:
    /// either the command finds a renewal that has begun, or the renewal finds the command.
    #[must_use]
    pub fn underway(&self) -> Underway {
        self.state.under_way.fetch_add(1, Ordering::SeqCst);
        Underway(Arc::clone(&self.state))
    }

    pub(crate) fn requester(&self) -> Requester {
        Requester {
            id: self.state.id,
            name: self.state.name.clone(),
        }
    }

    /// Raises a unit attention for this nexus only.
    pub fn raise(&self, attention: UnitAttention) {
        self.state.attention.raise(attention);
    }

    /// Forgets a pending unit attention. A REPORT LUNS to any logical unit ends REPORTED LUNS DATA
    /// HAS CHANGED on all of them (SPC-5), so the shell calls this for the session's others.
    pub fn clear(&self, attention: UnitAttention) {
        self.state.attention.clear(attention);
    }
}
