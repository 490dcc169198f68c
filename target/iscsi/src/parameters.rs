//! The operational parameters that a login settles on (RFC 7143 §13). Knows no wire format.

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
        }
    }
}
