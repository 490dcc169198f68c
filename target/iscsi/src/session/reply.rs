//! The end of a task: Data-In PDUs, status and residuals (RFC 7143 §11.4, §11.7).

use bytes::{BufMut, Bytes, BytesMut};

use super::Session;
use super::condition::GOOD;
use super::event::ScsiReply;
use super::residual::Residual;
use super::task::{Ended, TaskId};
use crate::pdu::data_in::DataIn;
use crate::pdu::scsi_response::ScsiResponse;
use crate::pdu::{DataSegment, RESERVED_TAG};

/// Bytes of SenseLength before the sense data (RFC 7143 §11.4.7).
const SENSE_LENGTH_LEN: usize = 2;

impl Session {
    /// Ends a task: sends its data-in, cut to what the initiator expects and takes, and its status,
    /// in the last Data-In if it is GOOD (RFC 7143 §11.7.3), else in a SCSI Response. The answer to a
    /// task that was aborted meanwhile is ignored; data-out that still comes for it is swallowed.
    #[inline]
    pub fn respond(&mut self, task: TaskId, reply: ScsiReply) {
        if self.closed {
            return;
        }
        if reply.response_fence || !self.fences.is_idle() {
            return self.respond_in_order(task, reply);
        }
        if let Some(ended) = self.end_task(task) {
            self.send_reply(&ended, reply);
        }
        if self.functions.are_draining() {
            self.continue_drains();
        }
    }

    #[inline]
    pub(super) fn send_reply(&mut self, ended: &Ended, reply: ScsiReply) {
        if self.recovery_level() > 0 {
            return self.send_recoverable(ended, reply);
        }
        let ScsiReply {
            status,
            sense,
            mut data_in,
            transfer_length,
            ..
        } = reply;
        let info = ended.info;
        data_in.truncate(info.expected_read() as usize);
        let expected = if info.read || info.write {
            info.expected
        } else {
            0
        };
        let residual = Residual::new(expected, transfer_length);
        let bidirectional = info.read && info.write;
        if data_in.is_empty() {
            return self.send_scsi_response(ended, status, &sense, residual, ended.r2t_count, 0);
        }
        let length = data_in.len();
        let collapsed = (status == GOOD && sense.is_empty() && !bidirectional).then_some(residual);
        let sent = self.send_data_in(ended, data_in, collapsed);
        if collapsed.is_none() {
            self.send_scsi_response(ended, status, &sense, residual, sent, length);
        }
    }

    /// Sends data-in in PDUs that the initiator takes, in sequences of at most MaxBurstLength, and
    /// returns the DataSN behind the last. With a residual, the status goes with the last one.
    #[inline]
    fn send_data_in(
        &mut self,
        ended: &Ended,
        mut data: DataSegment,
        collapsed: Option<Residual>,
    ) -> u32 {
        let info = ended.info;
        let Some(connection) = self.connections.get_mut(info.connection) else {
            return 0;
        };
        let max_burst = self.parameters.max_burst_length.max(1) as usize;
        let max_segment = connection.segment_limit();
        let mut burst_left = max_burst;
        let mut buffer_offset = 0;
        let mut data_sn = ended.first_data_sn();
        loop {
            let most = max_segment.min(burst_left);
            let segment = if data.len() <= most {
                std::mem::take(&mut data)
            } else {
                data.split_to(most)
            };
            let length = segment.len();
            burst_left -= length;
            let is_end = data.is_empty();
            let last = is_end || burst_left == 0;
            if burst_left == 0 {
                burst_left = max_burst;
            }
            let residual = if is_end { collapsed } else { None };
            let has_status = residual.is_some();
            let residual = residual.unwrap_or_default();
            let header = DataIn {
                last,
                acknowledge: false,
                overflow: residual.overflow,
                underflow: residual.underflow,
                has_status,
                status: GOOD,
                lun: [0; 8],
                initiator_task_tag: info.initiator_task_tag,
                target_transfer_tag: RESERVED_TAG,
                stat_sn: if has_status {
                    connection.take_stat_sn()
                } else {
                    Default::default()
                },
                exp_cmd_sn: self.window.expected(),
                max_cmd_sn: self.window.advertise(),
                data_sn,
                buffer_offset,
                residual_count: residual.count,
            };
            let bhs = header.encode(length);
            connection.tx.push_pieces(&bhs, segment.into_pieces());
            data_sn += 1;
            if is_end {
                return data_sn;
            }
            // An expected length has 32 bits, and no more than that is sent.
            buffer_offset += u32::try_from(length).unwrap_or(u32::MAX);
        }
    }

    fn send_scsi_response(
        &mut self,
        ended: &Ended,
        status: u8,
        sense: &Bytes,
        residual: Residual,
        exp_data_sn: u32,
        data_in_length: usize,
    ) {
        let info = ended.info;
        let read = if info.read && info.write {
            Residual::new(info.expected_bidi_read, data_in_length as u64)
        } else {
            Residual::default()
        };
        let Some(connection) = self.connections.get_mut(info.connection) else {
            return;
        };
        let data = sense_segment(sense, connection.segment_limit());
        let response = ScsiResponse {
            bidirectional_read_overflow: read.overflow,
            bidirectional_read_underflow: read.underflow,
            overflow: residual.overflow,
            underflow: residual.underflow,
            response: 0,
            status,
            initiator_task_tag: info.initiator_task_tag,
            snack_tag: 0,
            stat_sn: connection.take_stat_sn(),
            exp_cmd_sn: self.window.expected(),
            max_cmd_sn: self.window.advertise(),
            exp_data_sn,
            bidirectional_read_residual_count: read.count,
            residual_count: residual.count,
        };
        let bhs = response.encode(data.len());
        if data.is_empty() {
            connection.tx.push_header(&bhs);
        } else {
            connection.tx.push(bhs, data);
        }
    }
}

/// SenseLength and sense data, as much as the initiator takes.
pub(super) fn sense_segment(sense: &Bytes, limit: usize) -> Bytes {
    if sense.is_empty() {
        return Bytes::new();
    }
    let length = sense.len().min(limit.saturating_sub(SENSE_LENGTH_LEN));
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    let sense = sense.get(..usize::from(length)).unwrap_or_default();
    let mut data = BytesMut::with_capacity(SENSE_LENGTH_LEN + sense.len());
    data.put_u16(length);
    data.put_slice(sense);
    data.freeze()
}
