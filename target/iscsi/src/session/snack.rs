//! SNACK: what the initiator missed is sent again (RFC 7143 §11.16). At ErrorRecoveryLevel 0 there are
//! none.

use super::Session;
use super::connection::ConnectionId;
use super::reject::Reason;
use super::retained::Kept;
use crate::pdu::snack::Snack;
use crate::pdu::{RESERVED_TAG, RawPdu};
use crate::serial::SerialNumber;

/// Types (RFC 7143 §11.16.1).
const DATA_OR_R2T: u8 = 0;
const STATUS: u8 = 1;
const DATA_ACK: u8 = 2;
const R_DATA: u8 = 3;

/// While this many bytes wait to be sent, nothing is sent again.
const BACKLOG_MAX: usize = 8 << 20;

/// A request for something that was never sent, or that the initiator has said to have (RFC 7143
/// §11.16).
const NEVER_SENT: Reason = Reason::PROTOCOL_ERROR;

impl Session {
    pub(super) fn handle_snack(&mut self, on: ConnectionId, pdu: &RawPdu) {
        if self.recovery_level() == 0 {
            return self.reject_pdu(on, Reason::PROTOCOL_ERROR, pdu);
        }
        let snack = Snack::parse(&pdu.bhs);
        let tag_is_reserved = snack.initiator_task_tag == RESERVED_TAG;
        if tag_is_reserved != matches!(snack.kind, STATUS | DATA_ACK) {
            return self.reject_pdu(on, Reason::INVALID_PDU_FIELD, pdu);
        }
        let connection = self.connections.get(on);
        let backlog = connection.map_or(0, |connection| connection.tx.len_bytes());
        let outcome = if backlog > BACKLOG_MAX && snack.kind != DATA_ACK {
            Err(Reason::SNACK_REJECT)
        } else {
            match snack.kind {
                DATA_OR_R2T => self.resend_data(on, &snack),
                STATUS => self.resend_statuses(on, &snack),
                DATA_ACK => self.acknowledge_data(on, &snack),
                R_DATA => self.cut_data_again(on, &snack),
                _ => Err(Reason::INVALID_PDU_FIELD),
            }
        };
        if let Err(reason) = outcome {
            self.reject_pdu(on, reason, pdu);
        }
    }

    /// Data/R2T SNACK.
    fn resend_data(&mut self, on: ConnectionId, snack: &Snack) -> Result<(), Reason> {
        let (first, count) = (snack.beg_run, run_length(snack));
        if let Some(task) = self.tasks.find(snack.initiator_task_tag) {
            // It hasn't ended, so that R2Ts are all that it has sent.
            let slot = self.tasks.get(task).ok_or(NEVER_SENT)?;
            if slot.info.connection != on {
                return Err(Reason::INVALID_PDU_FIELD);
            }
            let info = slot.info;
            let again: Vec<_> = slot.transfer.outstanding(first, count).collect();
            if again.is_empty() {
                return Err(NEVER_SENT);
            }
            for solicitation in again {
                self.send_r2t(task, info, solicitation);
            }
            return Ok(());
        }
        let connection = self.connections.get_mut(on).ok_or(NEVER_SENT)?;
        let tag = snack.initiator_task_tag;
        let kept = connection.retained.answers();
        let answered = kept
            .filter(|answered| answered.info.initiator_task_tag == tag)
            .last()
            .ok_or(NEVER_SENT)?;
        let next = answered.cut.next_sn();
        let from = answered.acknowledged.0;
        let all = snack.beg_run == 0 && snack.run_length == 0;
        if next == from || !all && (first < from || first >= next) {
            return Err(NEVER_SENT);
        }
        if snack.run_length != 0 && count > next - first {
            return Err(NEVER_SENT);
        }
        if !answered.is_complete() {
            return Err(Reason::SNACK_REJECT);
        }
        let (first, count) = if all {
            (from, u32::MAX)
        } else {
            (first, count)
        };
        self.transmit_kept_data(on, tag, first, count);
        Ok(())
    }

    /// Status SNACK.
    fn resend_statuses(&mut self, on: ConnectionId, snack: &Snack) -> Result<(), Reason> {
        let connection = self.connections.get_mut(on).ok_or(NEVER_SENT)?;
        let (acknowledged, next) = (connection.acknowledged(), connection.stat_sn());
        let all = snack.beg_run == 0 && snack.run_length == 0;
        let first = if all {
            acknowledged
        } else {
            SerialNumber(snack.beg_run)
        };
        let sent = next.since(first);
        let count = run_length(snack).min(sent);
        let known = !first.is_before(acknowledged) && first.is_before(next);
        if all && first == next {
            return Ok(());
        }
        if !known || snack.run_length != 0 && snack.run_length > sent {
            return Err(NEVER_SENT);
        }
        if connection
            .retained
            .oldest()
            .is_none_or(|oldest| first.is_before(oldest))
        {
            return Err(Reason::SNACK_REJECT);
        }
        let again: Vec<_> = connection
            .retained
            .run(first, count)
            .map(|(stat_sn, kept)| (stat_sn, kept.clone()))
            .collect();
        let complete = again.len() == count as usize;
        for (stat_sn, kept) in again {
            match kept {
                Kept::Pdu { bhs, data } => self.send_again(on, bhs, data),
                Kept::Answer(answered) => self.transmit_status(on, stat_sn, &answered),
            }
        }
        if complete {
            Ok(())
        } else {
            Err(Reason::SNACK_REJECT)
        }
    }

    /// DataACK.
    fn acknowledge_data(&mut self, on: ConnectionId, snack: &Snack) -> Result<(), Reason> {
        if snack.run_length != 0 {
            return Err(Reason::INVALID_PDU_FIELD);
        }
        let connection = self.connections.get_mut(on).ok_or(NEVER_SENT)?;
        let tag = snack.target_transfer_tag;
        let known = connection.retained.with_answer(
            |answered| answered.acknowledgement_tag == tag && answered.info.lun == snack.lun,
            |_, answered| answered.acknowledge(snack.beg_run),
        );
        match known {
            Some(false) => Err(Reason::INVALID_PDU_FIELD),
            // The status was acknowledged meanwhile, and all data with it.
            Some(true) | None => Ok(()),
        }
    }

    /// R-Data SNACK: what isn't acknowledged is cut anew, and the status follows in a SCSI Response
    /// with the SNACK Tag (RFC 7143 §11.16.3).
    fn cut_data_again(&mut self, on: ConnectionId, snack: &Snack) -> Result<(), Reason> {
        let tag = snack.target_transfer_tag;
        if snack.beg_run != 0 || snack.run_length != 0 || matches!(tag, 0 | RESERVED_TAG) {
            return Err(Reason::INVALID_PDU_FIELD);
        }
        if let Some(task) = self.tasks.find(snack.initiator_task_tag) {
            // Nothing was sent yet: only the tag is to be remembered.
            let slot = self.tasks.get_mut(task).ok_or(NEVER_SENT)?;
            if slot.info.connection != on || slot.info.expected_read() == 0 {
                return Err(NEVER_SENT);
            }
            slot.snack_tag = tag;
            return Ok(());
        }
        let connection = self.connections.get_mut(on).ok_or(NEVER_SENT)?;
        let limit = u32::try_from(connection.segment_limit()).unwrap_or(u32::MAX);
        let again = connection.retained.with_answer(
            |answered| answered.info.initiator_task_tag == snack.initiator_task_tag,
            |stat_sn, answered| {
                if !answered.is_complete() {
                    return Err(Reason::SNACK_REJECT);
                }
                answered.cut_again(limit);
                answered.collapsed = false;
                answered.snack_tag = tag;
                Ok((stat_sn, answered.clone()))
            },
        );
        let (stat_sn, answered) = again.ok_or(NEVER_SENT)??;
        self.transmit_data(on, stat_sn, &answered, 0, u32::MAX);
        self.transmit_status(on, stat_sn, &answered);
        Ok(())
    }

    fn transmit_kept_data(&mut self, on: ConnectionId, tag: u32, first: u32, count: u32) {
        let Some(connection) = self.connections.get_mut(on) else {
            return;
        };
        let kept = connection.retained.with_answer(
            |answered| answered.info.initiator_task_tag == tag,
            |stat_sn, answered| (stat_sn, answered.clone()),
        );
        if let Some((stat_sn, answered)) = kept {
            self.transmit_data(on, stat_sn, &answered, first, count);
        }
    }
}

/// RunLength 0 means everything from BegRun on (RFC 7143 §11.16.7).
fn run_length(snack: &Snack) -> u32 {
    match snack.run_length {
        0 => u32::MAX,
        length => length,
    }
}
