//! What a session exchanges with the shell around it. Knows no wire format.

use std::fmt;

use bytes::Bytes;
use smallvec::SmallVec;

use super::connection::ConnectionId;
use super::task::TaskId;
use crate::pdu::DataSegment;

/// A CDB as the initiator sent it: 16 bytes, or up to 260 with an extended CDB (RFC 7143 §11.3.5).
/// What stands behind the end of a shorter CDB is padding.
pub type Cdb = SmallVec<[u8; 16]>;

/// What a session wants of the shell.
#[derive(Debug)]
pub enum Event {
    /// A SCSI command, in CmdSN order. The shell answers with
    /// [`Session::request_data`](super::Session::request_data) and
    /// [`Session::respond`](super::Session::respond).
    Command(ScsiCommand),
    /// Everything that `request_data` asked for is there.
    DataOut {
        /// The task.
        task: TaskId,
        /// As many bytes as were asked for, in order.
        data: DataSegment,
    },
    /// The session has given a task up. The shell forgets it; an answer to it is ignored.
    Abort {
        /// The task.
        task: TaskId,
    },
    /// A task management function; the `Abort` events of the tasks of this session that it ends came
    /// before. The shell answers with
    /// [`Session::task_management_done`](super::Session::task_management_done) when their I/O, and the
    /// tasks of other sessions that it concerns, have ended.
    TaskManagement(TaskManagementRequest),
    /// The initiator asks for targets. The shell answers with
    /// [`Session::send_targets_reply`](super::Session::send_targets_reply).
    SendTargets {
        /// To be given back.
        tag: TextTag,
        /// Which targets.
        request: SendTargets,
    },
    /// A connection is to be closed once what waits to be sent on it is sent; the shell says
    /// [`Session::connection_lost`](super::Session::connection_lost) when it is closed. The session
    /// goes on.
    CloseConnection {
        /// The connection.
        on: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
    /// Tasks for that logical unit have ended because a connection has: the initiator is to be told
    /// by a unit attention (RFC 7143 §7.6).
    ClearedByProtocolEvent {
        /// LUN as it stands on the wire.
        lun: [u8; 8],
    },
    /// All connections are to be closed once what waits to be sent is sent. No event follows.
    Close {
        /// Why.
        reason: CloseReason,
    },
}

/// A SCSI command for the shell.
#[derive(Clone, Debug)]
pub struct ScsiCommand {
    /// To be given back with every answer.
    pub task: TaskId,
    /// LUN as it stands on the wire (SAM-5 §4.7).
    pub lun: [u8; 8],
    /// The CDB.
    pub cdb: Cdb,
    /// Task attribute.
    pub attribute: TaskAttribute,
    /// R: the initiator expects data-in.
    pub read: bool,
    /// W: the initiator has data-out.
    pub write: bool,
    /// Bytes that the initiator expects to be moved; data-out, if both R and W are set
    /// (RFC 7143 §11.3.4).
    pub expected_data_transfer_length: u32,
    /// Bytes of data-in that the initiator expects, if both R and W are set; else 0.
    pub expected_bidi_read_length: u32,
    /// For immediate delivery.
    pub immediate: bool,
    /// CmdSN.
    pub cmd_sn: u32,
}

/// Task attributes (RFC 7143 §11.3.1, SAM-5 §8.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskAttribute {
    /// 0: none given.
    Untagged,
    /// 1: SIMPLE.
    Simple,
    /// 2: ORDERED.
    Ordered,
    /// 3: HEAD OF QUEUE.
    HeadOfQueue,
    /// 4: ACA.
    Aca,
}

impl TaskAttribute {
    /// The attribute with that number on the wire; 5..=7 are reserved.
    #[must_use]
    pub const fn from_wire(attribute: u8) -> Option<Self> {
        match attribute {
            0 => Some(Self::Untagged),
            1 => Some(Self::Simple),
            2 => Some(Self::Ordered),
            3 => Some(Self::HeadOfQueue),
            4 => Some(Self::Aca),
            _ => None,
        }
    }
}

/// How a SCSI command ended.
#[derive(Clone, Debug, Default)]
pub struct ScsiReply {
    /// SCSI status (SAM-5 §5.3).
    pub status: u8,
    /// Sense data without the two bytes of length that iSCSI puts before it; may be empty.
    pub sense: Bytes,
    /// Data-in; what the initiator didn't expect is cut off.
    pub data_in: DataSegment,
    /// Bytes that the command would have moved if the initiator had set no limit: the residual is
    /// this against the expected length (RFC 7143 §11.4.5).
    pub transfer_length: u64,
    /// It comes after all responses for its logical unit before it, and before all after it, whatever
    /// connections they go over (RFC 7143 §4.2.2.3). Without effect if TaskReporting is RFC3720.
    pub response_fence: bool,
}

/// A task management function for the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskManagementRequest {
    /// To be given back.
    pub tag: TaskManagementTag,
    /// What to do.
    pub function: TaskManagementFunction,
    /// LUN as it stands on the wire; of no meaning for the target resets.
    pub lun: [u8; 8],
    /// The task that ABORT TASK ended; its `Abort` event came before.
    pub referenced: Option<TaskId>,
}

/// The functions that reach the shell (RFC 7143 §11.5.1). The session itself answers the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskManagementFunction {
    /// 1: ABORT TASK.
    AbortTask,
    /// 2: ABORT TASK SET.
    AbortTaskSet,
    /// 4: CLEAR TASK SET.
    ClearTaskSet,
    /// 5: LOGICAL UNIT RESET.
    LogicalUnitReset,
    /// 6: TARGET WARM RESET.
    TargetWarmReset,
    /// 7: TARGET COLD RESET. Once it is answered, the session closes its connection; so must the
    /// shell do with the other sessions of the target.
    TargetColdReset,
}

/// The answers to a task management function (RFC 7143 §11.6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TaskManagementResponse {
    /// Function complete.
    FunctionComplete = 0,
    /// Task does not exist.
    TaskDoesNotExist = 1,
    /// LUN does not exist.
    LunDoesNotExist = 2,
    /// Task still allegiant.
    TaskStillAllegiant = 3,
    /// Task allegiance reassignment not supported.
    TaskAllegianceReassignmentNotSupported = 4,
    /// Task management function not supported.
    FunctionNotSupported = 5,
    /// Function authorization failed.
    FunctionAuthorizationFailed = 6,
    /// Function rejected.
    FunctionRejected = 255,
}

/// Names a task management function under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TaskManagementTag(pub(super) u32);

/// Names a text exchange under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TextTag(pub(super) u32);

/// The value of a SendTargets key (RFC 7143, appendix C).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendTargets {
    /// `All`: every target that the initiator may use. Only in a discovery session.
    All,
    /// One target by name: in a normal session always that of the session.
    Named(String),
    /// The empty value: the target of the session.
    Current,
}

/// A target as SendTargets tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRecord {
    /// iSCSI name.
    pub name: String,
    /// `address:port` with the portal group tag; IPv6 addresses in brackets (RFC 7143 §13.8).
    pub addresses: Vec<(String, u16)>,
}

/// What to tell the initiator out of turn (RFC 7143 §11.9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AsyncEvent {
    /// 1: the initiator is to log out.
    RequestLogout {
        /// Within that time (Parameter3).
        seconds: u16,
    },
    /// 2: this connection will be dropped.
    DropConnection,
    /// 2: another connection of the session was dropped.
    DroppedConnection {
        /// Its CID.
        cid: u16,
    },
    /// 3: all connections of the session will be dropped.
    DropAllConnections,
}

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The initiator has logged out.
    Logout,
    /// The last connection has ended, and the time to continue the session is over.
    ConnectionLost,
    /// The initiator didn't answer a NOP-In in time.
    KeepaliveTimeout,
    /// A header digest didn't match.
    HeaderDigest,
    /// A data digest didn't match: at ErrorRecoveryLevel 0 the session ends with it.
    DataDigest,
    /// A PDU broke the rules of layout (RFC 7143 §7.7).
    FormatError,
    /// More PDUs came ahead of their turn than are kept.
    TooFarAhead,
    /// The initiator sent a Login Request in full feature phase.
    UnexpectedLogin,
    /// A TARGET COLD RESET ends every session of the target.
    TargetColdReset,
    /// The initiator doesn't acknowledge what it was told: that its tasks have ended, or a response
    /// that others wait for.
    NotAcknowledged,
    /// The initiator doesn't send data that it has to send before its tasks can be aborted.
    DataNotSent,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Logout => "the initiator logged out",
            Self::ConnectionLost => "the connection was lost",
            Self::KeepaliveTimeout => "the initiator didn't answer a NOP-In in time",
            Self::HeaderDigest => "a header digest didn't match",
            Self::DataDigest => "a data digest didn't match",
            Self::FormatError => "the initiator sent a malformed PDU",
            Self::TooFarAhead => "too many PDUs came ahead of a missing CmdSN",
            Self::UnexpectedLogin => "the initiator sent a Login Request in full feature phase",
            Self::TargetColdReset => "the target was reset",
            Self::NotAcknowledged => "the initiator didn't acknowledge what it was told in time",
            Self::DataNotSent => "the initiator didn't send the data of tasks that it aborts",
        })
    }
}
