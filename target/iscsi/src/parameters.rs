//! The operational parameters that a login settles on, and what this target brings to the table
//! (RFC 7143 §13). Knows no wire format and no rule of negotiation.

/// What both ends agreed on, and what each declared, for one connection of one session.
///
/// Names are those of the keys in RFC 7143 §13. Sizes are in bytes, times in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// CRC32C over each header in both directions (RFC 7143 §13.1).
    pub header_digest: bool,
    /// CRC32C over each data segment in both directions (RFC 7143 §13.1).
    pub data_digest: bool,
    /// Connections that the session may have, 1..=65535 (RFC 7143 §13.2).
    pub max_connections: u16,
    /// No unsolicited Data-Out PDUs: the initiator waits for an R2T (RFC 7143 §13.10).
    pub initial_r2t: bool,
    /// A command PDU may carry data (RFC 7143 §13.11).
    pub immediate_data: bool,
    /// The longest data segment that the *initiator* receives: the limit of what we send, 512..2^24-1
    /// (RFC 7143 §13.12).
    pub initiator_max_recv_data_segment_length: u32,
    /// The longest data segment that *we* receive: the limit of what the initiator sends
    /// (RFC 7143 §13.12).
    pub target_max_recv_data_segment_length: u32,
    /// The longest solicited burst, 512..2^24-1 (RFC 7143 §13.13).
    pub max_burst_length: u32,
    /// The most unsolicited data of one command, immediate data included (RFC 7143 §13.14).
    pub first_burst_length: u32,
    /// Seconds to wait before a reconnect after an unexpected end (RFC 7143 §13.15).
    pub default_time2wait: u16,
    /// Seconds that task state is kept after that wait (RFC 7143 §13.16).
    pub default_time2retain: u16,
    /// R2Ts that may be outstanding for one task, 1..=65535 (RFC 7143 §13.17).
    pub max_outstanding_r2t: u16,
    /// Data PDUs of a sequence come in increasing order (RFC 7143 §13.18).
    pub data_pdu_in_order: bool,
    /// Sequences come in increasing order (RFC 7143 §13.19).
    pub data_sequence_in_order: bool,
    /// 0, 1 or 2 (RFC 7143 §13.20).
    pub error_recovery_level: u8,
    /// In which order the ends of tasks are reported (RFC 7143 §13.23).
    pub task_reporting: TaskReporting,
}

/// How far the target goes to report the ends of tasks in order (RFC 7143 §13.23).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TaskReporting {
    /// RFC3720: response fences aren't promised.
    #[default]
    Rfc3720,
    /// ResponseFence: responses that SCSI wants in order are (RFC 7143 §4.2.2.3.3), and the standard
    /// semantics of aborts hold (RFC 7143 §4.2.3.3).
    ResponseFence,
    /// FastAbort: response fences as well, and aborts that don't wait for data on its way (RFC 7143
    /// §4.2.3.4).
    FastAbort,
}

impl TaskReporting {
    /// The value with that name on the wire.
    #[must_use]
    pub fn from_wire(name: &str) -> Option<Self> {
        [Self::Rfc3720, Self::ResponseFence, Self::FastAbort]
            .into_iter()
            .find(|it| it.as_str() == name)
    }

    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rfc3720 => "RFC3720",
            Self::ResponseFence => "ResponseFence",
            Self::FastAbort => "FastAbort",
        }
    }

    /// Whether response fences were promised.
    #[must_use]
    pub const fn has_fence(self) -> bool {
        !matches!(self, Self::Rfc3720)
    }
}

impl Default for Parameters {
    /// The values in force before any negotiation: the defaults of RFC 7143 §13.
    fn default() -> Self {
        Self {
            header_digest: false,
            data_digest: false,
            max_connections: 1,
            initial_r2t: true,
            immediate_data: true,
            initiator_max_recv_data_segment_length: 8_192,
            target_max_recv_data_segment_length: 8_192,
            max_burst_length: 262_144,
            first_burst_length: 65_536,
            default_time2wait: 2,
            default_time2retain: 20,
            max_outstanding_r2t: 1,
            data_pdu_in_order: true,
            data_sequence_in_order: true,
            error_recovery_level: 0,
            task_reporting: TaskReporting::Rfc3720,
        }
    }
}

/// Which digests this target accepts for one of the two kinds (RFC 7143 §13.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestPolicy {
    /// CRC32C or none, as the initiator prefers.
    #[default]
    Any,
    /// CRC32C only: a login that doesn't offer it fails.
    Required,
    /// None only.
    Disabled,
}

/// What this target offers and insists on when a login is negotiated.
///
/// Sizes are in bytes, times in seconds. Values out of range are brought into it by
/// [`LocalParameters::clamped`], which the login applies by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalParameters {
    /// The digest of headers (RFC 7143 §13.1).
    pub header_digest: DigestPolicy,
    /// The digest of data segments (RFC 7143 §13.1).
    pub data_digest: DigestPolicy,
    /// Connections that a session may have at most, 1..=65535 (RFC 7143 §13.2).
    pub max_connections: u16,
    /// Whether to insist on R2Ts for all data; `false` leaves it to the initiator (RFC 7143 §13.10).
    pub initial_r2t: bool,
    /// Whether command PDUs may carry data if the initiator wants to (RFC 7143 §13.11).
    pub immediate_data: bool,
    /// The longest data segment that we receive, 512..=2^24-1: declared, not negotiated
    /// (RFC 7143 §13.12).
    pub max_recv_data_segment_length: u32,
    /// Upper bound of a solicited burst, 512..=2^24-1 (RFC 7143 §13.13).
    pub max_burst_length: u32,
    /// Upper bound of a command's unsolicited data, 512..=2^24-1 (RFC 7143 §13.14).
    pub first_burst_length: u32,
    /// Lower bound, 0..=3600 (RFC 7143 §13.15).
    pub default_time2wait: u16,
    /// Upper bound, 0..=3600 (RFC 7143 §13.16).
    pub default_time2retain: u16,
    /// Upper bound, 1..=65535 (RFC 7143 §13.17).
    pub max_outstanding_r2t: u16,
    /// Upper bound, 0..=2 (RFC 7143 §13.20).
    pub error_recovery_level: u8,
    /// Commands that the initiator may send right after the login: MaxCmdSN of Login Responses is
    /// ExpCmdSN plus this, minus one (RFC 7143 §4.2.2.1). 1..=65535, and never more than what the
    /// session starts with: MaxCmdSN doesn't move backwards.
    pub command_window: u16,
}

impl Default for LocalParameters {
    fn default() -> Self {
        Self {
            header_digest: DigestPolicy::Any,
            data_digest: DigestPolicy::Any,
            max_connections: 1,
            initial_r2t: false,
            immediate_data: true,
            max_recv_data_segment_length: 262_144,
            max_burst_length: 1_048_576,
            first_burst_length: 262_144,
            default_time2wait: 2,
            default_time2retain: 20,
            max_outstanding_r2t: 1,
            error_recovery_level: 0,
            command_window: 1,
        }
    }
}

/// The shortest length that MaxRecvDataSegmentLength, MaxBurstLength and FirstBurstLength may have.
pub const MIN_LENGTH: u32 = 512;
/// The longest length that they may have: 2^24-1.
pub const MAX_LENGTH: u32 = 16_777_215;
/// The longest DefaultTime2Wait and DefaultTime2Retain in seconds.
pub const MAX_TIME: u16 = 3_600;

impl LocalParameters {
    /// The same with every value inside the range that RFC 7143 §13 gives it, and FirstBurstLength not
    /// above MaxBurstLength.
    #[must_use]
    pub fn clamped(&self) -> Self {
        let max_burst_length = self.max_burst_length.clamp(MIN_LENGTH, MAX_LENGTH);
        Self {
            max_connections: self.max_connections.max(1),
            max_recv_data_segment_length: self
                .max_recv_data_segment_length
                .clamp(MIN_LENGTH, MAX_LENGTH),
            max_burst_length,
            first_burst_length: self.first_burst_length.clamp(MIN_LENGTH, max_burst_length),
            default_time2wait: self.default_time2wait.min(MAX_TIME),
            default_time2retain: self.default_time2retain.min(MAX_TIME),
            max_outstanding_r2t: self.max_outstanding_r2t.max(1),
            error_recovery_level: self.error_recovery_level.min(2),
            command_window: self.command_window.max(1),
            ..*self
        }
    }
}
