//! The end of a task at ErrorRecoveryLevel 1 and above: data-in and status go out as at level 0, but
//! what was sent is kept, and can be sent again, here or on another connection (RFC 7143 §7.2.2,
//! §11.16).

use bytes::Bytes;

use super::Session;
use super::condition::GOOD;
use super::connection::ConnectionId;
use super::data_in::{Cut, Segment};
use super::event::ScsiReply;
use super::reply::sense_segment;
use super::residual::Residual;
use super::retained::Answered;
use super::task::Ended;
use crate::pdu::data_in::DataIn;
use crate::pdu::scsi_response::ScsiResponse;
use crate::pdu::{Bhs, RESERVED_TAG};
use crate::serial::SerialNumber;

impl Session {
    /// Sends the end of a task and keeps it. If the connection is gone, only keeps it.
    #[cold]
    pub(super) fn send_recoverable(&mut self, ended: &Ended, reply: ScsiReply) {
        let info = ended.info;
        let on = info.connection;
        let open = self.connections.get(on).filter(|it| it.is_open());
        let is_lost = self.lost.iter().any(|lost| lost.id == on);
        let max_segment = match open {
            Some(connection) => connection.segment_limit(),
            None if is_lost => 1,
            // It was logged out: nobody waits for the answer.
            None => return,
        };
        let is_open = open.is_some();
        let mut answered = self.answered(ended, reply, max_segment);
        if is_open {
            self.deliver_answer(on, answered, 0);
        } else {
            let room = self.retention.saturating_sub(self.retained_bytes());
            if answered.data.len() > room {
                answered.data = crate::pdu::DataSegment::new();
            }
            self.orphans.push(answered);
        }
    }

    fn answered(&mut self, ended: &Ended, reply: ScsiReply, max_segment: usize) -> Answered {
        let ScsiReply {
            status,
            sense,
            data_in: mut data,
            transfer_length,
            ..
        } = reply;
        let info = ended.info;
        data.truncate(info.expected_read() as usize);
        let expected = if info.read || info.write {
            info.expected
        } else {
            0
        };
        let bidirectional = info.read && info.write;
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let first_sn = ended.first_data_sn();
        self.next_acknowledgement = self.next_acknowledgement.wrapping_add(1) % RESERVED_TAG;
        Answered {
            info,
            status,
            collapsed: status == GOOD
                && sense.is_empty()
                && !bidirectional
                && length > 0
                && ended.snack_tag == 0,
            sense,
            residual: Residual::new(expected, transfer_length),
            read_residual: if bidirectional {
                Residual::new(info.expected_bidi_read, data.len() as u64)
            } else {
                Residual::default()
            },
            r2t_count: ended.r2t_count,
            snack_tag: ended.snack_tag,
            stat_sn: None,
            cut: Cut {
                first_sn,
                start: 0,
                end: length,
                max_segment: u32::try_from(max_segment).unwrap_or(u32::MAX),
                max_burst: self.parameters.max_burst_length,
            },
            acknowledged: (first_sn, 0),
            data,
            acknowledgement_tag: self.next_acknowledgement,
        }
    }

    /// Sends all data-in from that DataSN on, and the status, and keeps both.
    pub(super) fn deliver_answer(&mut self, on: ConnectionId, mut answered: Answered, first: u32) {
        let Some(connection) = self.connections.get_mut(on) else {
            return;
        };
        let stat_sn = connection.take_stat_sn();
        answered.stat_sn = Some(stat_sn);
        self.transmit_data(on, stat_sn, &answered, first, u32::MAX);
        if !answered.collapsed {
            self.transmit_status(on, stat_sn, &answered);
        }
        let most = self.retention_of(on);
        if let Some(connection) = self.connections.get_mut(on) {
            connection.keep_answer(stat_sn, answered, most);
        }
    }

    /// Sends `count` Data-In PDUs from DataSN `first` on, as many as there are.
    pub(super) fn transmit_data(
        &mut self,
        on: ConnectionId,
        stat_sn: SerialNumber,
        answered: &Answered,
        first: u32,
        count: u32,
    ) {
        let wanted = answered.cut.segments().filter(|segment| {
            segment.data_sn >= first.max(answered.acknowledged.0)
                && segment.data_sn.wrapping_sub(first) < count
        });
        for segment in wanted {
            let Some(piece) = answered.piece(segment.offset, segment.length) else {
                return;
            };
            let bhs = self.data_in_header(answered, stat_sn, segment);
            let Some(connection) = self.connections.get_mut(on) else {
                return;
            };
            connection.tx.push_pieces(&bhs, piece.into_pieces());
        }
    }

    /// Sends the status: in the last Data-In, if it went there, or in a SCSI Response.
    pub(super) fn transmit_status(
        &mut self,
        on: ConnectionId,
        stat_sn: SerialNumber,
        answered: &Answered,
    ) {
        if answered.collapsed {
            let last = answered.cut.next_sn().wrapping_sub(1);
            if answered.is_complete() {
                return self.transmit_data(on, stat_sn, answered, last, 1);
            }
        }
        let limit = match self.connections.get(on) {
            Some(connection) => connection.segment_limit(),
            None => return,
        };
        let data = sense_segment(&answered.sense, limit);
        let bhs = self.response_header(answered, stat_sn, data.len());
        self.send_again(on, bhs, data);
    }

    /// Sends a PDU that needs no keeping, with ExpCmdSN and MaxCmdSN as they are now (RFC 7143
    /// §11.16).
    pub(super) fn send_again(&mut self, on: ConnectionId, mut bhs: Bhs, data: Bytes) {
        let numbers = [self.window.expected(), self.window.advertise()];
        // They stand in the same place in every PDU of a target.
        for (place, number) in bhs[28..36].chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.0.to_be_bytes());
        }
        if let Some(connection) = self.connections.get_mut(on) {
            connection.tx.push(bhs, data);
        }
    }

    fn data_in_header(
        &mut self,
        answered: &Answered,
        stat_sn: SerialNumber,
        segment: Segment,
    ) -> Bhs {
        let has_status = answered.collapsed && segment.is_last;
        // Moderately: not when the status tells that all has arrived (RFC 7143 §11.7.2).
        let acknowledge = segment.ends_burst && !segment.is_last;
        let residual = if has_status {
            answered.residual
        } else {
            Residual::default()
        };
        let header = DataIn {
            last: segment.ends_burst,
            acknowledge,
            overflow: residual.overflow,
            underflow: residual.underflow,
            has_status,
            status: GOOD,
            lun: if acknowledge {
                answered.info.lun
            } else {
                [0; 8]
            },
            initiator_task_tag: answered.info.initiator_task_tag,
            target_transfer_tag: if acknowledge {
                answered.acknowledgement_tag
            } else {
                RESERVED_TAG
            },
            stat_sn: if has_status {
                stat_sn
            } else {
                SerialNumber::default()
            },
            exp_cmd_sn: self.window.expected(),
            max_cmd_sn: self.window.advertise(),
            data_sn: segment.data_sn,
            buffer_offset: segment.offset,
            residual_count: residual.count,
        };
        header.encode(segment.length as usize)
    }

    fn response_header(
        &mut self,
        answered: &Answered,
        stat_sn: SerialNumber,
        data_length: usize,
    ) -> Bhs {
        let (residual, read) = (answered.residual, answered.read_residual);
        let data_in_count = answered.cut.next_sn();
        let exp_data_sn = if answered.cut.end > 0 {
            data_in_count
        } else {
            answered.r2t_count
        };
        let response = ScsiResponse {
            bidirectional_read_overflow: read.overflow,
            bidirectional_read_underflow: read.underflow,
            overflow: residual.overflow,
            underflow: residual.underflow,
            response: 0,
            status: answered.status,
            initiator_task_tag: answered.info.initiator_task_tag,
            snack_tag: answered.snack_tag,
            stat_sn,
            exp_cmd_sn: self.window.expected(),
            max_cmd_sn: self.window.advertise(),
            exp_data_sn,
            bidirectional_read_residual_count: read.count,
            residual_count: residual.count,
        };
        response.encode(data_length)
    }
}
