//! A world in which PDUs get lost in both directions, and connections break: an initiator that
//! recovers by the rules ends with the right data and status of every command, and no command is done
//! twice. The initiator checks what it gets as strictly as it can: what is sent again has to be what
//! was sent before.

mod receiving;

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::*;
use crate::parameters::TaskReporting;
use crate::pdu::snack::Snack;
use crate::pdu::{Bhs, DataSegment};

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Read(u32),
    /// Length, immediate data, whether unsolicited Data-Out PDUs follow.
    Write(u32, u32, bool),
    /// The shell answers one of its tasks.
    Answer(prop::sample::Index),
    Ping(prop::sample::Index),
    /// A connection breaks.
    Cut(prop::sample::Index),
    /// The initiator adds or mends a connection.
    Connect,
    /// The initiator looks for what it misses.
    Probe,
    Seconds(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => (1_u32..9_000).prop_map(Step::Read),
        4 => (1_u32..14_000, 0_u32..1_100, any::<bool>()).prop_map(|(a, b, c)| Step::Write(a, b, c)),
        8 => index().prop_map(Step::Answer),
        1 => index().prop_map(Step::Ping),
        1 => index().prop_map(Step::Cut),
        1 => Just(Step::Connect),
        2 => Just(Step::Probe),
        1 => (0_u64..3).prop_map(Step::Seconds),
    ]
}

/// One connection from the initiator's side.
struct Wire {
    id: ConnectionId,
    cid: u16,
    decoder: Decoder,
    /// The next StatSN that is due.
    exp_stat_sn: SerialNumber,
    /// Responses that came, by StatSN, with the task that they end.
    responses: BTreeMap<u32, Option<u32>>,
    /// The highest StatSN that was heard of, plus one.
    heard: SerialNumber,
}

#[derive(Clone, Debug, Default)]
struct Job {
    tag: u32,
    cmd_sn: u32,
    length: u32,
    write: bool,
    /// The command, to be sent again.
    pdu: Option<(Bhs, Vec<u8>)>,
    on: ConnectionId,
    /// Data-In that came: DataSN to offset and length.
    data: BTreeMap<u32, (u32, u32)>,
    /// R2Ts that came ahead of one that is missing.
    r2ts: BTreeMap<u32, R2t>,
    next_r2t_sn: u32,
    /// DataSN or R2TSN of the first PDU that isn't acknowledged by a DataACK.
    acknowledged: u32,
    /// ExpDataSN of the status, once there is one.
    finished: Option<u32>,
    done: bool,
}

impl Job {
    /// The next DataSN without a gap.
    fn next_data_sn(&self) -> u32 {
        let mut next = 0;
        while self.data.contains_key(&next) {
            next += 1;
        }
        next
    }

    fn is_complete(&self) -> bool {
        match self.finished {
            None => false,
            Some(_) if self.write => true,
            Some(count) => self.next_data_sn() >= count,
        }
    }
}

/// What the shell knows of a task.
struct Shelled {
    tag: u32,
    length: u32,
    write: bool,
    ready: bool,
}

struct World {
    session: Session,
    parameters: Parameters,
    now: Instant,
    faults: std::vec::IntoIter<u8>,
    wires: Vec<Wire>,
    /// CIDs of connections that broke and weren't logged out.
    broken: Vec<(u16, SerialNumber)>,
    next_cid: u16,
    jobs: Vec<Job>,
    shell: HashMap<TaskId, Shelled>,
    begun: HashMap<u32, u32>,
    cmd_sn: u32,
    exp_cmd_sn: SerialNumber,
    max_cmd_sn: SerialNumber,
    next_tag: u32,
    /// Answers to TASK REASSIGN that are waited for: its tag, the task's tag and the ExpDataSN.
    reassigning: HashMap<u32, (u32, u32)>,
}

fn byte(tag: u32, offset: u32) -> u8 {
    tag.wrapping_mul(37).wrapping_add(offset).to_be_bytes()[3]
}

fn body(tag: u32, from: u32, to: u32) -> Vec<u8> {
    (from..to).map(|at| byte(tag, at)).collect()
}

impl World {
    fn new(parameters: Parameters, faults: Vec<u8>) -> Self {
        let config = SessionConfig {
            nop_interval: Duration::ZERO,
            ..config(parameters.clone())
        };
        #[allow(clippy::disallowed_methods, reason = "any instant will do")]
        let now = Instant::now();
        let mut this = Self {
            session: Session::new(config, now),
            parameters,
            now,
            faults: faults.into_iter(),
            wires: Vec::new(),
            broken: Vec::new(),
            next_cid: CID + 1,
            jobs: Vec::new(),
            shell: HashMap::new(),
            begun: HashMap::new(),
            cmd_sn: FIRST_CMD_SN,
            exp_cmd_sn: SerialNumber(FIRST_CMD_SN),
            max_cmd_sn: SerialNumber(FIRST_CMD_SN),
            next_tag: 1,
            reassigning: HashMap::new(),
        };
        this.add_wire(ConnectionId::LEADING, CID, FIRST_STAT_SN);
        this
    }

    fn add_wire(&mut self, id: ConnectionId, cid: u16, stat_sn: u32) {
        self.wires.push(Wire {
            id,
            cid,
            decoder: Decoder::new(FramingLimits {
                max_data_segment: 1 << 20,
                max_ahs: 0,
            }),
            exp_stat_sn: SerialNumber(stat_sn),
            responses: BTreeMap::new(),
            heard: SerialNumber(stat_sn),
        });
    }

    /// What happens to the next PDU: 0 it arrives, 1 its data is damaged, 2 it is lost.
    fn fault(&mut self) -> u8 {
        match self.faults.next() {
            Some(0..=24) => 1,
            Some(25..=49) => 2,
            _ => 0,
        }
    }

    fn tag(&mut self) -> u32 {
        self.next_tag += 1;
        self.next_tag
    }

    fn wire(&mut self, id: ConnectionId) -> Option<&mut Wire> {
        self.wires.iter_mut().find(|wire| wire.id == id)
    }

    fn job(&mut self, tag: u32) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.tag == tag)
    }

    /// Sends a PDU on a connection, with the ExpStatSN as it is now.
    fn send(&mut self, on: ConnectionId, mut bhs: Bhs, data: &[u8]) {
        let Some(wire) = self.wire(on) else { return };
        bhs[28..32].copy_from_slice(&wire.exp_stat_sn.0.to_be_bytes());
        match self.fault() {
            1 if !data.is_empty() => {
                let error = FramingError::DataDigest { bhs };
                self.session.handle_framing_error(on, error, self.now);
            }
            1 | 2 => {}
            _ => {
                let pdu = RawPdu {
                    bhs,
                    ahs: Bytes::new(),
                    data: DataSegment::from(Bytes::copy_from_slice(data)),
                };
                self.session.handle_pdu(on, pdu, self.now);
            }
        }
    }

    fn any_wire(&self, index: &prop::sample::Index) -> Option<ConnectionId> {
        (!self.wires.is_empty()).then(|| index.get(&self.wires).id)
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Read(length) => self.command(length, 0, false, false),
            Step::Write(length, immediate, follows) => {
                self.command(length, immediate, follows, true);
            }
            Step::Answer(index) => self.answer(&index),
            Step::Ping(index) => {
                if let Some(on) = self.any_wire(&index) {
                    self.ping(on);
                }
            }
            Step::Cut(index) => {
                if self.parameters.error_recovery_level == 2
                    && let Some(on) = self.any_wire(&index)
                {
                    self.cut(on);
                }
            }
            Step::Connect => self.connect(),
            Step::Probe => self.probe(),
            Step::Seconds(seconds) => self.pass(seconds),
        }
        self.settle();
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.session.handle_timeout(self.now);
    }

    /// A command on a connection that depends on its number.
    fn command(&mut self, length: u32, immediate: u32, follows: bool, write: bool) {
        let next = SerialNumber(self.cmd_sn);
        if self.wires.is_empty() || next.is_after(self.max_cmd_sn) {
            return;
        }
        let on = self.wires[self.cmd_sn as usize % self.wires.len()].id;
        let tag = self.tag();
        let first = length.min(self.parameters.first_burst_length);
        let immediate = immediate.min(first).min(1_024);
        let follows = write && follows && immediate < first;
        let pdu = CommandPdu {
            last: !follows,
            read: !write,
            write,
            attribute: 1,
            lun: LUN,
            initiator_task_tag: tag,
            cmd_sn: next,
            expected_data_transfer_length: length,
            ..CommandPdu::default()
        };
        let data = if write {
            body(tag, 0, immediate)
        } else {
            vec![]
        };
        let bhs = pdu.encode(data.len());
        self.cmd_sn = self.cmd_sn.wrapping_add(1);
        self.jobs.push(Job {
            tag,
            cmd_sn: next.0,
            length,
            write,
            pdu: Some((bhs, data.clone())),
            on,
            ..Job::default()
        });
        self.send(on, bhs, &data);
        if follows {
            self.send_data(on, tag, RESERVED_TAG, immediate, first);
        }
    }

    fn send_data(&mut self, on: ConnectionId, tag: u32, transfer_tag: u32, from: u32, to: u32) {
        let mut offset = from;
        let mut data_sn = 0;
        while offset < to {
            let end = to.min(offset + 700);
            let header = DataOut {
                last: end == to,
                lun: LUN,
                initiator_task_tag: tag,
                target_transfer_tag: transfer_tag,
                data_sn,
                buffer_offset: offset,
                ..DataOut::default()
            };
            let data = body(tag, offset, end);
            self.send(on, header.encode(data.len()), &data);
            offset = end;
            data_sn += 1;
        }
    }

    fn ping(&mut self, on: ConnectionId) {
        let nop = NopOut {
            immediate: true,
            initiator_task_tag: self.tag(),
            target_transfer_tag: RESERVED_TAG,
            cmd_sn: SerialNumber(self.cmd_sn),
            ..NopOut::default()
        };
        self.send(on, nop.encode(0), &[]);
    }

    /// Answers a NOP-In, by what has come so far.
    fn answer_nop(&mut self, on: ConnectionId, target_transfer_tag: u32) {
        let nop = NopOut {
            immediate: true,
            initiator_task_tag: RESERVED_TAG,
            target_transfer_tag,
            cmd_sn: SerialNumber(self.cmd_sn),
            ..NopOut::default()
        };
        self.send(on, nop.encode(0), &[]);
    }

    fn cut(&mut self, on: ConnectionId) {
        let at = self.wires.iter().position(|wire| wire.id == on).unwrap();
        let wire = self.wires.remove(at);
        self.broken.push((wire.cid, wire.exp_stat_sn));
        self.session.connection_lost(on, self.now);
        self.reassigning.clear();
    }

    /// Mends a broken connection, under its own CID, or adds one. Then tasks of broken connections
    /// move to it.
    fn connect(&mut self) {
        let full = self.wires.len() >= usize::from(self.parameters.max_connections);
        if full {
            return;
        }
        let (cid, exp_stat_sn) = self.broken.pop().unwrap_or_else(|| {
            self.next_cid += 1;
            (self.next_cid, SerialNumber(0))
        });
        let joining = self
            .session
            .prepare_connection(cid, exp_stat_sn.0, self.now)
            .unwrap();
        self.hear_numbers(
            SerialNumber(joining.exp_cmd_sn),
            SerialNumber(joining.max_cmd_sn),
        );
        let stat_sn = u32::from(cid) * 1_000;
        let config = ConnectionConfig {
            cid,
            stat_sn,
            parameters: Parameters {
                // Another length than before.
                initiator_max_recv_data_segment_length: 600 + u32::from(cid) * 13,
                ..self.parameters.clone()
            },
            nop_interval: Duration::ZERO,
            nop_timeout: Duration::ZERO,
        };
        let id = self.session.add_connection(config, self.now).unwrap();
        self.add_wire(id, cid, stat_sn);
        self.log_out_broken(id);
    }

    /// Logs the broken connections that weren't reinstated out for recovery.
    fn log_out_broken(&mut self, on: ConnectionId) {
        for (cid, _) in self.broken.clone() {
            let logout = LogoutRequest {
                immediate: true,
                reason: 2,
                initiator_task_tag: self.tag(),
                cid,
                cmd_sn: SerialNumber(self.cmd_sn),
                ..LogoutRequest::default()
            };
            self.send(on, logout.encode(0), &[]);
        }
    }

    fn answer(&mut self, index: &prop::sample::Index) {
        let mut ready: Vec<_> = self
            .shell
            .iter()
            .filter(|(_, task)| task.ready)
            .map(|(id, _)| *id)
            .collect();
        ready.sort_unstable_by_key(|id| id.to_raw());
        if !ready.is_empty() {
            self.finish_task(*index.get(&ready));
        }
    }

    fn finish_task(&mut self, id: TaskId) {
        let Some(task) = self.shell.remove(&id) else {
            return;
        };
        let reply = if task.write {
            good(u64::from(task.length))
        } else {
            data_reply(Bytes::from(body(task.tag, 0, task.length)))
        };
        // Without effect with RFC3720.
        let response_fence = task.tag.is_multiple_of(3);
        let reply = ScsiReply {
            response_fence,
            ..reply
        };
        self.session.respond(id, reply);
    }

    /// Takes events and PDUs until there is nothing left.
    fn settle(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(event) = self.session.poll_event() {
                quiet = false;
                self.event(event);
            }
            for at in 0..self.wires.len() {
                quiet &= !self.listen(at);
            }
            if quiet {
                return;
            }
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Command(command) => {
                *self.begun.entry(command.cmd_sn).or_default() += 1;
                let job = self
                    .jobs
                    .iter()
                    .find(|job| job.cmd_sn == command.cmd_sn)
                    .expect("a command that was sent");
                let length = job.length;
                assert_eq!(command.expected_data_transfer_length, length);
                let shelled = Shelled {
                    tag: job.tag,
                    length,
                    write: command.write,
                    ready: !command.write,
                };
                let task = command.task;
                self.shell.insert(task, shelled);
                if command.write {
                    self.session.request_data(task, length);
                }
            }
            Event::DataOut { task, data } => {
                let task = self.shell.get_mut(&task).unwrap();
                assert!(!task.ready, "data twice");
                assert_eq!(data.to_contiguous(), body(task.tag, 0, task.length));
                task.ready = true;
            }
            Event::CloseConnection { on, .. } if self.wire(on).is_some() => self.cut(on),
            Event::CloseConnection { on, .. } => self.session.connection_lost(on, self.now),
            other => panic!("{other:?}"),
        }
    }

    /// What an initiator does when its timers run out: commands that aren't acknowledged are sent
    /// again, gaps are asked for, tasks of broken connections are reassigned.
    fn probe(&mut self) {
        let Some(first) = self.wires.first().map(|wire| wire.id) else {
            return;
        };
        self.log_out_broken(first);
        self.settle();
        for job in self.jobs.clone() {
            if job.done {
                continue;
            }
            let alive = self.wires.iter().any(|wire| wire.id == job.on);
            if !SerialNumber(job.cmd_sn).is_before(self.exp_cmd_sn) {
                let on = if alive { job.on } else { first };
                let (bhs, data) = job.pdu.clone().unwrap();
                self.job(job.tag).unwrap().on = on;
                self.send(on, bhs, &data);
                // It may have arrived before, and be allegiant to a connection that is gone: a real
                // initiator would try to reassign it when the retry isn't answered.
                let running = self.session.tasks.find(job.tag);
                let running = running.and_then(|task| self.session.tasks.get(task));
                let orphans = self.session.orphans.iter().map(|orphan| &orphan.info);
                let mut known = running.map(|slot| &slot.info).into_iter().chain(orphans);
                let known = known.find(|info| info.initiator_task_tag == job.tag);
                if let Some(allegiant_to) = known.map(|info| info.connection) {
                    self.job(job.tag).unwrap().on = allegiant_to;
                }
            } else if !alive {
                self.reassign(&job, first);
            } else {
                self.ask_for_data(&job);
            }
            self.settle();
        }
        for at in 0..self.wires.len() {
            self.ask_for_statuses(at);
            self.settle();
        }
    }

    fn reassign(&mut self, job: &Job, on: ConnectionId) {
        // Data that isn't acknowledged in full is taken again.
        let exp_data_sn = if job.write {
            job.next_r2t_sn
        } else {
            job.next_data_sn()
        };
        let tag = self.tag();
        let request = ManagementPdu {
            immediate: true,
            function: 8,
            lun: LUN,
            initiator_task_tag: tag,
            referenced_task_tag: job.tag,
            cmd_sn: SerialNumber(self.cmd_sn),
            exp_data_sn,
            ..ManagementPdu::default()
        };
        self.reassigning.insert(tag, (job.tag, exp_data_sn));
        // What belongs to the task comes right behind the answer, which may get lost.
        let before = self.jobs.iter().position(|it| it.tag == job.tag).unwrap();
        let kept = self.jobs[before].clone();
        move_job(&mut self.jobs[before], on, exp_data_sn);
        self.send(on, request.encode(0), &[]);
        self.settle();
        if self.reassigning.contains_key(&tag) {
            // Not answered: whether it was done isn't known before the status is asked for.
            self.ask_all_statuses(on);
            self.settle();
        }
        let refused = self.session_still_knows(job.tag, on);
        if !refused {
            self.jobs[before] = kept;
        }
        self.reassigning.remove(&tag);
    }

    /// The test looks into the session here: a real initiator would ask for the status again.
    fn session_still_knows(&self, tag: u32, on: ConnectionId) -> bool {
        let running = self.session.tasks.find(tag);
        let running = running.and_then(|task| self.session.tasks.get(task));
        let done = self.jobs.iter().any(|job| job.tag == tag && job.done);
        let answered = self.session.connections.get(on).is_some_and(|connection| {
            let mut kept = connection.retained.answers();
            kept.any(|answered| answered.info.initiator_task_tag == tag)
        });
        done || answered || running.is_some_and(|slot| slot.info.connection == on)
    }

    fn ask_for_data(&mut self, job: &Job) {
        let first = if job.write {
            job.next_r2t_sn
        } else {
            job.next_data_sn()
        };
        let snack = Snack {
            kind: 0,
            lun: LUN,
            initiator_task_tag: job.tag,
            target_transfer_tag: RESERVED_TAG,
            beg_run: first,
            run_length: 0,
            ..Snack::default()
        };
        self.send(job.on, snack.encode(0), &[]);
    }

    fn ask_all_statuses(&mut self, on: ConnectionId) {
        let snack = Snack {
            kind: 1,
            initiator_task_tag: RESERVED_TAG,
            target_transfer_tag: RESERVED_TAG,
            ..Snack::default()
        };
        self.send(on, snack.encode(0), &[]);
    }

    fn ask_for_statuses(&mut self, at: usize) {
        let on = self.wires[at].id;
        // The StatSN of its answer shows a gap.
        self.ping(on);
        self.settle();
        let wire = &self.wires[at];
        let missing = wire.heard.since(wire.exp_stat_sn);
        if missing > 0 {
            let snack = Snack {
                kind: 1,
                initiator_task_tag: RESERVED_TAG,
                target_transfer_tag: RESERVED_TAG,
                beg_run: wire.exp_stat_sn.0,
                run_length: missing,
                ..Snack::default()
            };
            self.send(on, snack.encode(0), &[]);
        }
    }

    /// Nothing is lost any more: everything comes to its end.
    fn finish(&mut self) {
        self.faults = Vec::new().into_iter();
        for _ in 0..40 {
            self.connect();
            self.settle();
            self.probe();
            let mut ready: Vec<_> = self.shell.iter().filter(|(_, task)| task.ready).collect();
            ready.sort_unstable_by_key(|(id, _)| id.to_raw());
            let ready: Vec<_> = ready.into_iter().map(|(id, _)| *id).collect();
            for id in ready {
                self.finish_task(id);
                self.settle();
            }
            self.pass(5);
            self.settle();
            if self.jobs.iter().all(|job| job.done) {
                break;
            }
        }
        let stuck: Vec<_> = self
            .jobs
            .iter()
            .filter(|job| !job.done)
            .cloned()
            .map(|job| Job { pdu: None, ..job })
            .collect();
        assert!(stuck.is_empty(), "{stuck:?}");
        assert!(self.shell.is_empty());
        assert_eq!(self.session.outstanding(), 0);
        for job in &self.jobs {
            assert_eq!(
                self.begun.get(&job.cmd_sn),
                Some(&1),
                "done once: {}",
                job.tag
            );
        }
        // What is acknowledged isn't kept, nor what nobody has reassigned in time.
        self.pass(7_200);
        self.settle();
        for at in 0..self.wires.len() {
            self.ping(self.wires[at].id);
            self.settle();
            self.ping(self.wires[at].id);
            self.settle();
        }
        assert_eq!(self.session.retained_bytes(), 0);
    }
}

/// The task goes on over another connection.
fn move_job(job: &mut Job, on: ConnectionId, exp_data_sn: u32) {
    if job.on == on {
        return;
    }
    job.on = on;
    job.data.retain(|data_sn, _| *data_sn < exp_data_sn);
    job.r2ts.clear();
    job.finished = None;
}

fn negotiated(level: u8) -> impl Strategy<Value = Parameters> {
    (
        1_u16..4,
        512_u32..5_000,
        512_u32..5_000,
        512_u32..2_000,
        1_u16..4,
        prop_oneof![
            Just(TaskReporting::Rfc3720),
            Just(TaskReporting::ResponseFence),
            Just(TaskReporting::FastAbort),
        ],
    )
        .prop_map(
            move |(r2t, burst, first, segment, connections, task_reporting)| Parameters {
                initial_r2t: false,
                max_outstanding_r2t: r2t,
                max_burst_length: burst,
                first_burst_length: first.min(burst),
                initiator_max_recv_data_segment_length: segment,
                max_connections: connections,
                error_recovery_level: level,
                default_time2wait: 0,
                default_time2retain: 3_600,
                task_reporting,
                ..parameters()
            },
        )
}

fn check(parameters: Parameters, steps: Vec<Step>, faults: Vec<u8>) {
    let mut world = World::new(parameters, faults);
    for step in steps {
        world.run(step);
    }
    world.finish();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn at_level_1_every_command_ends_well_whatever_is_lost(
        parameters in negotiated(1),
        steps in prop::collection::vec(step(), 1..50),
        faults in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        check(parameters, steps, faults);
    }

    #[test]
    fn at_level_2_every_command_ends_well_whatever_breaks(
        parameters in negotiated(2),
        steps in prop::collection::vec(step(), 1..50),
        faults in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        check(parameters, steps, faults);
    }

    #[test]
    fn several_connections_have_one_order_of_commands(
        level in 0_u8..3,
        parameters in negotiated(0),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let parameters = Parameters { error_recovery_level: level, ..parameters };
        let steps = steps.into_iter().filter(|step| !matches!(step, Step::Cut(_) | Step::Probe));
        check(parameters, steps.collect(), Vec::new());
    }
}
