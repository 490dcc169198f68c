//! What the initiator of a lossy world makes of what it gets, as strictly as it can.

use super::*;

impl World {
    /// Reads what a connection brings; true if there was anything.
    pub(super) fn listen(&mut self, at: usize) -> bool {
        let Some(wire) = self.wires.get_mut(at) else {
            return false;
        };
        let on = wire.id;
        let mut pdus = Vec::new();
        let tx = self.session.tx(on).unwrap();
        while !tx.is_empty() {
            let mut rx = BytesMut::new();
            let mut slices = [IoSlice::new(&[]); 16];
            let count = tx.io_slices(&mut slices);
            slices[..count]
                .iter()
                .for_each(|slice| rx.extend_from_slice(slice));
            let taken = rx.len();
            tx.consume(taken);
            while let Some(pdu) = wire.decoder.decode(&mut rx).unwrap() {
                pdus.push(pdu);
            }
        }
        let any = !pdus.is_empty();
        for pdu in pdus {
            if self.fault() == 0 {
                self.receive(on, &pdu);
            }
        }
        any
    }

    pub(super) fn hear_numbers(&mut self, exp_cmd_sn: SerialNumber, max_cmd_sn: SerialNumber) {
        self.exp_cmd_sn = self.exp_cmd_sn.later(exp_cmd_sn);
        self.max_cmd_sn = self.max_cmd_sn.later(max_cmd_sn);
    }

    pub(super) fn receive(&mut self, on: ConnectionId, pdu: &RawPdu) {
        let numbers = R2t::parse(&pdu.bhs);
        self.hear_numbers(numbers.exp_cmd_sn, numbers.max_cmd_sn);
        let data = pdu.data.to_contiguous();
        match opcode(&pdu.bhs) {
            DataIn::OPCODE => self.take_data_in(on, &DataIn::parse(&pdu.bhs), &data),
            R2t::OPCODE => self.take_r2t(on, numbers),
            ScsiResponse::OPCODE => {
                let response = ScsiResponse::parse(&pdu.bhs);
                assert_eq!((response.response, response.status), (0, 0), "{response:?}");
                let tag = response.initiator_task_tag;
                if let Some(job) = self.job(tag) {
                    job.finished = Some(response.exp_data_sn);
                }
                self.take_status(on, response.stat_sn, Some(tag));
            }
            ManagementResponsePdu::OPCODE => {
                let response = ManagementResponsePdu::parse(&pdu.bhs);
                self.take_reassignment(on, &response);
                self.take_status(on, response.stat_sn, None);
            }
            LogoutResponse::OPCODE => {
                let response = LogoutResponse::parse(&pdu.bhs);
                assert!(response.response <= 1, "{response:?}");
                self.take_status(on, response.stat_sn, None);
            }
            NopIn::OPCODE => {
                let nop = NopIn::parse(&pdu.bhs);
                if nop.initiator_task_tag == RESERVED_TAG {
                    let wire = self.wire(on).unwrap();
                    wire.heard = wire.heard.later(nop.stat_sn);
                    if nop.target_transfer_tag != RESERVED_TAG {
                        self.answer_nop(on, nop.target_transfer_tag);
                    }
                } else {
                    self.take_status(on, nop.stat_sn, None);
                }
            }
            Reject::OPCODE | AsyncMessage::OPCODE => self.take_status(on, numbers.stat_sn, None),
            other => panic!("{other:#04x}"),
        }
        self.advance_stat_sn(on);
    }

    pub(super) fn take_status(
        &mut self,
        on: ConnectionId,
        stat_sn: SerialNumber,
        task: Option<u32>,
    ) {
        let wire = self.wire(on).unwrap();
        wire.heard = wire.heard.later(stat_sn.next());
        if stat_sn.is_before(wire.exp_stat_sn) {
            return;
        }
        let before = wire.responses.insert(stat_sn.0, task);
        assert!(
            before.is_none_or(|before| before == task),
            "another response"
        );
    }

    /// A response is acknowledged when it is there, and all data of its task.
    pub(super) fn advance_stat_sn(&mut self, on: ConnectionId) {
        while let Some(wire) = self.wire(on) {
            let due = wire.exp_stat_sn;
            let Some(task) = wire.responses.get(&due.0).copied() else {
                return;
            };
            if let Some(tag) = task
                && let Some(job) = self.job(tag)
            {
                if !job.is_complete() {
                    return;
                }
                job.done = true;
                if !job.write {
                    let bytes: u32 = job.data.values().map(|(_, length)| length).sum();
                    assert_eq!(bytes, job.length, "all data, and each byte once");
                }
            }
            let wire = self.wire(on).unwrap();
            wire.responses.remove(&due.0);
            wire.exp_stat_sn = due.next();
        }
    }

    pub(super) fn take_data_in(&mut self, on: ConnectionId, header: &DataIn, data: &[u8]) {
        let tag = header.initiator_task_tag;
        let (offset, length) = (header.buffer_offset, u32::try_from(data.len()).unwrap());
        assert_eq!(data, body(tag, offset, offset + length));
        let Some(job) = self.job(tag) else { return };
        assert!(!job.write && job.on == on);
        let before = job.data.insert(header.data_sn, (offset, length));
        assert!(
            before.is_none_or(|before| before == (offset, length)),
            "not what was sent before"
        );
        if header.has_status {
            job.finished = Some(header.data_sn + 1);
            self.take_status(on, header.stat_sn, Some(tag));
        }
        let next = self.job(tag).unwrap().next_data_sn();
        if header.acknowledge && next == header.data_sn + 1 {
            self.job(tag).unwrap().acknowledged = next;
            let snack = Snack {
                kind: 2,
                lun: header.lun,
                initiator_task_tag: RESERVED_TAG,
                target_transfer_tag: header.target_transfer_tag,
                beg_run: next,
                ..Snack::default()
            };
            self.send(on, snack.encode(0), &[]);
        }
    }

    pub(super) fn take_r2t(&mut self, on: ConnectionId, r2t: R2t) {
        let tag = r2t.initiator_task_tag;
        assert!(r2t.desired_data_transfer_length <= self.parameters.max_burst_length);
        let Some(job) = self.job(tag) else { return };
        assert!(job.write && job.on == on);
        if r2t.r2t_sn < job.next_r2t_sn {
            return;
        }
        let before = job.r2ts.insert(r2t.r2t_sn, r2t);
        assert!(
            before.is_none_or(
                |before| before.target_transfer_tag == r2t.target_transfer_tag
                    && before.buffer_offset == r2t.buffer_offset
            ),
            "not what was sent before"
        );
        while let Some(job) = self.job(tag) {
            let due = job.next_r2t_sn;
            let Some(r2t) = job.r2ts.remove(&due) else {
                return;
            };
            job.next_r2t_sn += 1;
            let (from, length) = (r2t.buffer_offset, r2t.desired_data_transfer_length);
            self.send_data(on, tag, r2t.target_transfer_tag, from, from + length);
        }
    }

    pub(super) fn take_reassignment(&mut self, on: ConnectionId, response: &ManagementResponsePdu) {
        let Some((tag, exp_data_sn)) = self.reassigning.remove(&response.initiator_task_tag) else {
            return;
        };
        if response.response == 0
            && let Some(job) = self.job(tag)
        {
            move_job(job, on, exp_data_sn);
        } else {
            // 3: the logout of the old connection got lost; 1: it is with the target no more.
            assert!(matches!(response.response, 1 | 3), "{response:?}");
        }
    }
}
