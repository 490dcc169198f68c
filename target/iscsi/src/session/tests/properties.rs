//! Properties: whatever comes, nothing panics and the books balance; and an oracle that knows the
//! rules of the protocol from the initiator's side.

use proptest::prelude::*;

use super::*;

/// What a legal initiator does next.
#[derive(Clone, Debug)]
enum Step {
    Read(u32),
    /// Expected length, immediate data, whether unsolicited Data-Out PDUs follow.
    Write(u32, u32, bool),
    Ping,
    /// Sends up to so many Data-Out PDUs of so many bytes.
    Data(usize, usize),
    /// The shell answers one of its tasks.
    Answer(prop::sample::Index),
    Abort(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u32..9_000).prop_map(Step::Read),
        4 => (1_u32..14_000, 0_u32..1_100, any::<bool>()).prop_map(|(a, b, c)| Step::Write(a, b, c)),
        1 => Just(Step::Ping),
        8 => (1_usize..6, 1_usize..1_024).prop_map(|(count, size)| Step::Data(count, size)),
        5 => any::<prop::sample::Index>().prop_map(Step::Answer),
        1 => any::<prop::sample::Index>().prop_map(Step::Abort),
    ]
}

/// A sequence of Data-Out PDUs that the initiator owes.
#[derive(Clone, Debug)]
struct Owed {
    tag: u32,
    transfer_tag: u32,
    offset: u32,
    end: u32,
    data_sn: u32,
}

struct Running {
    tag: u32,
    task: TaskId,
    cmd_sn: u32,
    length: u32,
    write: bool,
    ready: bool,
    next_r2t_sn: u32,
    next_offset: u32,
}

struct Oracle {
    initiator: Initiator,
    parameters: Parameters,
    running: Vec<Running>,
    owed: VecDeque<Owed>,
}

/// The byte at an offset of a task's data.
fn byte(tag: u32, offset: u32) -> u8 {
    tag.wrapping_mul(31).wrapping_add(offset).to_be_bytes()[3]
}

fn body(tag: u32, from: u32, to: u32) -> Bytes {
    (from..to)
        .map(|at| byte(tag, at))
        .collect::<Vec<u8>>()
        .into()
}

impl Oracle {
    fn new(parameters: Parameters, step: usize) -> Self {
        let mut initiator = Initiator::with(config(parameters.clone()));
        initiator.step = step;
        Self {
            initiator,
            parameters,
            running: Vec::new(),
            owed: VecDeque::new(),
        }
    }

    fn window_is_open(&self) -> bool {
        // The first command may always be sent; after that, what the target said counts.
        let next = SerialNumber(self.initiator.cmd_sn);
        !next.is_after(self.initiator.max_cmd_sn)
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Read(length) if self.window_is_open() => {
                let cmd_sn = self.initiator.cmd_sn;
                let (tag, task) = self.initiator.read(length);
                self.begin(tag, task, cmd_sn, length, false);
            }
            Step::Write(length, immediate, follows) if self.window_is_open() => {
                self.write(length, immediate, follows);
            }
            Step::Ping => {
                let nop = NopOut {
                    immediate: true,
                    initiator_task_tag: self.initiator.tag(),
                    target_transfer_tag: RESERVED_TAG,
                    cmd_sn: SerialNumber(self.initiator.cmd_sn),
                    ..NopOut::default()
                };
                self.initiator.send(nop.encode(0), &[]);
            }
            Step::Data(count, size) => {
                for _ in 0..count {
                    self.send_data(size);
                    self.listen();
                }
            }
            Step::Answer(index) => self.answer(&index),
            Step::Abort(index) => self.abort(&index),
            Step::Read(_) | Step::Write(..) => {}
        }
        self.listen();
    }

    fn begin(&mut self, tag: u32, task: TaskId, cmd_sn: u32, length: u32, write: bool) {
        self.running.push(Running {
            tag,
            task,
            cmd_sn,
            length,
            write,
            ready: !write,
            next_r2t_sn: 0,
            next_offset: 0,
        });
    }

    fn write(&mut self, length: u32, immediate: u32, follows: bool) {
        let Parameters {
            initial_r2t,
            immediate_data,
            first_burst_length,
            ..
        } = self.parameters;
        let first = length.min(first_burst_length);
        let immediate = if immediate_data {
            immediate.min(first).min(1_024)
        } else {
            0
        };
        let follows = follows && !initial_r2t && immediate < first;
        let cmd_sn = self.initiator.cmd_sn;
        // The harness gives tags out in order.
        let tag = self.initiator.next_tag + 1;
        let (_, task) = self
            .initiator
            .write(length, &body(tag, 0, immediate), !follows);
        self.begin(tag, task, cmd_sn, length, true);
        if follows {
            let end = first;
            let transfer_tag = RESERVED_TAG;
            self.owed.push_back(Owed {
                tag,
                transfer_tag,
                offset: immediate,
                end,
                data_sn: 0,
            });
        }
        if let Some(running) = self.running.last_mut() {
            running.next_offset = if follows { first } else { immediate };
        }
        self.initiator.session.request_data(task, length);
    }

    fn send_data(&mut self, size: usize) {
        let Some(owed) = self.owed.front_mut() else {
            return;
        };
        let to = owed.end.min(owed.offset + u32::try_from(size).unwrap());
        let header = DataOut {
            last: to == owed.end,
            lun: LUN,
            initiator_task_tag: owed.tag,
            target_transfer_tag: owed.transfer_tag,
            data_sn: owed.data_sn,
            buffer_offset: owed.offset,
            ..DataOut::default()
        };
        let data = body(owed.tag, owed.offset, to);
        owed.offset = to;
        owed.data_sn += 1;
        if header.last {
            self.owed.pop_front();
        }
        self.initiator.data_out(header, &data);
    }

    fn answer(&mut self, index: &prop::sample::Index) {
        let ready: Vec<_> = (0..self.running.len())
            .filter(|at| self.running[*at].ready)
            .collect();
        if ready.is_empty() {
            return;
        }
        let at = *index.get(&ready);
        let Running {
            tag,
            task,
            length,
            write,
            ..
        } = self.running[at];
        let reply = if write {
            good(u64::from(length))
        } else {
            data_reply(body(tag, 0, length))
        };
        self.initiator.session.respond(task, reply);
    }

    fn abort(&mut self, index: &prop::sample::Index) {
        if self.running.is_empty() {
            return;
        }
        let running = index.get(&self.running);
        let request = ManagementPdu {
            immediate: true,
            function: 1,
            lun: LUN,
            referenced_task_tag: running.tag,
            ref_cmd_sn: SerialNumber(running.cmd_sn),
            ..ManagementPdu::default()
        };
        let task = running.task;
        self.initiator.management(request);
        assert_eq!(self.initiator.expect_abort(), task);
        let event = self.initiator.expect_management();
        assert_eq!(event.referenced, Some(task));
        self.running.retain(|running| running.task != task);
        let complete = TaskManagementResponse::FunctionComplete;
        self.initiator
            .session
            .task_management_done(event.tag, complete);
    }

    /// Checks everything that the session says against what it may say.
    fn listen(&mut self) {
        while let Some(event) = self.initiator.session.poll_event() {
            let Event::DataOut { task, data } = event else {
                panic!("{event:?}")
            };
            let running = self
                .running
                .iter_mut()
                .find(|running| running.task == task)
                .unwrap();
            assert!(running.write && !running.ready);
            assert_eq!(data.to_contiguous(), body(running.tag, 0, running.length));
            running.ready = true;
        }
        let mut reads = Vec::<(u32, u32)>::new();
        while let Some(seen) = self.initiator.receive() {
            match seen {
                Seen::R2t(r2t) => self.take_r2t(&r2t),
                Seen::DataIn(header, data) => {
                    let tag = header.initiator_task_tag;
                    if header.buffer_offset == 0 {
                        reads.push((tag, 0));
                    }
                    let (_, offset) = reads.iter_mut().find(|(of, _)| *of == tag).unwrap();
                    assert_eq!(header.buffer_offset, *offset);
                    let end = *offset + u32::try_from(data.len()).unwrap();
                    assert_eq!(data, body(tag, *offset, end));
                    *offset = end;
                    if header.has_status {
                        self.end(tag, end);
                    }
                }
                Seen::Response(response, _) => {
                    assert_eq!((response.response, response.status), (0, 0));
                    assert!(!response.overflow && !response.underflow);
                    let tag = response.initiator_task_tag;
                    let running = self
                        .running
                        .iter()
                        .find(|running| running.tag == tag)
                        .unwrap();
                    let moved = if running.write { running.length } else { 0 };
                    assert_eq!(response.exp_data_sn, running.next_r2t_sn);
                    self.end(tag, moved);
                }
                Seen::Nop(..) => {}
                Seen::Management(response) => assert_eq!(response.response, 0),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(self.initiator.session.outstanding(), self.running.len());
    }

    fn take_r2t(&mut self, r2t: &R2t) {
        let tag = r2t.initiator_task_tag;
        let open = self.owed.iter().filter(|owed| owed.tag == tag).count();
        assert!(open < usize::from(self.parameters.max_outstanding_r2t));
        let Some(running) = self.running.iter_mut().find(|running| running.tag == tag) else {
            return;
        };
        assert_eq!(r2t.r2t_sn, running.next_r2t_sn);
        assert_eq!(r2t.buffer_offset, running.next_offset);
        let length = r2t.desired_data_transfer_length;
        let rest = running.length - running.next_offset;
        assert_eq!(length, rest.min(self.parameters.max_burst_length));
        running.next_r2t_sn += 1;
        running.next_offset += length;
        self.owed.push_back(Owed {
            tag,
            transfer_tag: r2t.target_transfer_tag,
            offset: r2t.buffer_offset,
            end: r2t.buffer_offset + length,
            data_sn: 0,
        });
    }

    fn end(&mut self, tag: u32, moved: u32) {
        let at = self
            .running
            .iter()
            .position(|running| running.tag == tag)
            .unwrap();
        let running = self.running.swap_remove(at);
        assert_eq!(running.length, moved);
    }

    /// Lets everything come to its end.
    fn finish(&mut self) {
        while !self.running.is_empty() {
            self.run(Step::Data(8, 1_024));
            let before = self.running.len();
            while let Some(at) = self.running.iter().position(|running| running.ready) {
                let index = self.running[at].task;
                let Running {
                    tag, length, write, ..
                } = self.running[at];
                let reply = if write {
                    good(u64::from(length))
                } else {
                    data_reply(body(tag, 0, length))
                };
                self.initiator.session.respond(index, reply);
                self.listen();
            }
            let owes = !self.owed.is_empty();
            assert!(owes || self.running.len() < before, "something is stuck");
        }
    }
}

fn negotiated() -> impl Strategy<Value = Parameters> {
    (
        any::<[bool; 4]>(),
        1_u16..4,
        512_u32..5_000,
        512_u32..5_000,
        512_u32..2_000,
    )
        .prop_map(
            |(
                [initial_r2t, immediate_data, header_digest, data_digest],
                r2t,
                burst,
                first,
                segment,
            )| {
                Parameters {
                    initial_r2t,
                    immediate_data,
                    header_digest,
                    data_digest,
                    max_outstanding_r2t: r2t,
                    max_burst_length: burst,
                    first_burst_length: first.min(burst),
                    initiator_max_recv_data_segment_length: segment,
                    ..parameters()
                }
            },
        )
}

/// A PDU that could come from anywhere, but often enough looks like one of an initiator.
fn garbage() -> impl Strategy<Value = (Bhs, Vec<u8>)> {
    let tag = prop_oneof![Just(RESERVED_TAG), 0_u32..4, any::<u32>()];
    let word = prop_oneof![Just(RESERVED_TAG), 0_u32..2_000, any::<u32>()];
    let fields = (
        prop_oneof![0_u8..8, Just(0x10_u8), any::<u8>()],
        any::<u8>(),
        tag.clone(),
        tag,
        prop_oneof![4 => 0_u32..12, 1 => any::<u32>()],
        word.clone(),
        word,
    );
    let data = prop::collection::vec(any::<u8>(), 0..300);
    (fields, data, any::<bool>()).prop_map(|(fields, data, immediate)| {
        let (opcode, flags, tag, transfer_tag, ahead, data_sn, offset) = fields;
        let mut bhs = DataOut {
            initiator_task_tag: tag,
            target_transfer_tag: transfer_tag,
            exp_stat_sn: SerialNumber(0),
            data_sn,
            buffer_offset: offset,
            ..DataOut::default()
        }
        .encode(data.len());
        bhs[0] = opcode & 0x3f | if immediate { 0x40 } else { 0 };
        bhs[1] = flags;
        bhs[24..28].copy_from_slice(&FIRST_CMD_SN.wrapping_add(ahead).to_be_bytes());
        (bhs, data)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_legal_initiator_gets_exactly_what_the_rules_promise(
        parameters in negotiated(),
        steps in prop::collection::vec(step(), 1..60),
        chunk in 1_usize..3_000,
    ) {
        let mut oracle = Oracle::new(parameters, chunk);
        for step in steps {
            oracle.run(step);
        }
        oracle.finish();
        prop_assert_eq!(oracle.initiator.session.outstanding(), 0);
    }

    #[test]
    fn garbage_never_panics_and_the_books_balance(
        pdus in prop::collection::vec(garbage(), 1..80),
        discovery: bool,
        answers in prop::collection::vec((0_u8..5, 0_u32..5_000), 0..200),
    ) {
        let mut config = config(parameters());
        if discovery {
            config.session_type = SessionType::Discovery;
            config.target_name = None;
        }
        let mut initiator = Initiator::with(config);
        let mut answers = answers.into_iter().cycle();
        let mut tasks = Vec::new();
        for (bhs, data) in pdus {
            initiator.send(bhs, &data);
            for _ in 0..3 {
                if !take_events(&mut initiator.session, &mut tasks) {
                    return Ok(());
                }
                match (answers.next(), tasks.first().copied()) {
                    (Some((0, length)), Some(task)) => {
                        initiator.session.respond(task, data_reply(pattern(length as usize)));
                        tasks.remove(0);
                    }
                    (Some((1 | 2, length)), Some(task)) => {
                        initiator.session.request_data(task, length);
                    }
                    _ => {}
                }
            }
            if !take_events(&mut initiator.session, &mut tasks) {
                return Ok(());
            }
            prop_assert!(initiator.session.outstanding() >= tasks.len());
            prop_assert!(initiator.session.outstanding() <= 8 + 16);
            while initiator.receive().is_some() {}
        }
    }
}

/// Plays the shell: keeps the list of its tasks. False when the session is over.
fn take_events(session: &mut Session, tasks: &mut Vec<TaskId>) -> bool {
    while let Some(event) = session.poll_event() {
        match event {
            Event::Command(command) => tasks.push(command.task),
            Event::Abort { task } => {
                assert!(tasks.contains(&task), "aborted, but never begun");
                tasks.retain(|other| *other != task);
            }
            Event::TaskManagement(request) => {
                let complete = TaskManagementResponse::FunctionComplete;
                session.task_management_done(request.tag, complete);
            }
            Event::SendTargets { tag, .. } => session.send_targets_reply(tag, vec![]),
            Event::DataOut { task, .. } => assert!(tasks.contains(&task), "data of no task"),
            Event::CloseConnection { .. } | Event::ClearedByProtocolEvent { .. } => {}
            Event::Close { .. } => return false,
        }
    }
    true
}
