//! Reject: what we say to a PDU that we can't take (RFC 7143 §11.17).

use bytes::{BufMut, Bytes, BytesMut};

use super::Session;
use super::connection::ConnectionId;
use crate::pdu::reject::Reject;
use crate::pdu::{BHS_LEN, Bhs, RESERVED_TAG, RawPdu};

/// Why a PDU is rejected (RFC 7143 §11.17.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reason(u8);

impl Reason {
    pub(super) const DATA_DIGEST_ERROR: Self = Self(0x02);
    pub(super) const SNACK_REJECT: Self = Self(0x03);
    pub(super) const PROTOCOL_ERROR: Self = Self(0x04);
    pub(super) const COMMAND_NOT_SUPPORTED: Self = Self(0x05);
    pub(super) const IMMEDIATE_COMMAND_REJECT: Self = Self(0x06);
    pub(super) const TASK_IN_PROGRESS: Self = Self(0x07);
    pub(super) const INVALID_PDU_FIELD: Self = Self(0x09);
}

impl Session {
    pub(super) fn reject_pdu(&mut self, on: ConnectionId, reason: Reason, pdu: &RawPdu) {
        self.reject(on, reason, &pdu.bhs, &pdu.ahs);
    }

    /// Sends the header of the PDU in error back, with the additional headers as far as they fit.
    #[cold]
    pub(super) fn reject(&mut self, on: ConnectionId, reason: Reason, bhs: &Bhs, ahs: &[u8]) {
        let most = self.retention_of(on);
        let Some(connection) = self.connections.get_mut(on) else {
            return;
        };
        // At least 512 bytes (RFC 7143 §13.12).
        let limit = connection.segment_limit();
        let ahs = ahs
            .get(..ahs.len().min(limit.saturating_sub(BHS_LEN)))
            .unwrap_or_default();
        let mut header = BytesMut::with_capacity(BHS_LEN + ahs.len());
        header.put_slice(bhs);
        header.put_slice(ahs);
        let header: Bytes = header.freeze();
        let stat_sn = connection.take_stat_sn();
        let reject = Reject {
            reason: reason.0,
            initiator_task_tag: RESERVED_TAG,
            stat_sn,
            exp_cmd_sn: self.window.expected(),
            max_cmd_sn: self.window.advertise(),
            data_sn: 0,
        };
        connection.send_status(stat_sn, reject.encode(header.len()), header, most);
    }
}
