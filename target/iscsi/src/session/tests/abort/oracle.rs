//! An oracle for the order of responses: whatever is said, answered, aborted and acknowledged, and in
//! whatever order, it knows from RFC 7143 §4.2.2.3 and §4.2.3 alone what may be seen next.

use proptest::prelude::*;

use super::*;

const CONNECTIONS: u16 = 3;
const LUNS: [[u8; 8]; 3] = [LUN, OTHER_LUN, [0x40, 1, 0, 0, 0, 0, 0, 0]];

#[derive(Clone, Debug)]
enum Step {
    /// A command on a connection, to a LUN.
    Command(usize, usize),
    /// The shell answers a task, with a fence or without.
    Answer(prop::sample::Index, bool),
    /// A function on a connection, for a LUN.
    Function(usize, u8, usize),
    /// The shell answers a function.
    Complete(prop::sample::Index),
    /// Another session ends the tasks for a LUN.
    ThirdParty(usize),
    /// The initiator acknowledges what has come on a connection.
    Acknowledge(usize),
    /// A connection breaks.
    Lose(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let on = 0..usize::from(CONNECTIONS);
    let lun = 0..LUNS.len();
    let code = prop_oneof![Just(2_u8), Just(4), Just(5), Just(6)];
    prop_oneof![
        8 => (on.clone(), lun.clone()).prop_map(|(on, lun)| Step::Command(on, lun)),
        8 => (any::<prop::sample::Index>(), prop::bool::weighted(0.4))
            .prop_map(|(which, fence)| Step::Answer(which, fence)),
        2 => (on.clone(), code, lun.clone()).prop_map(|(on, code, lun)| Step::Function(on, code, lun)),
        2 => any::<prop::sample::Index>().prop_map(Step::Complete),
        1 => lun.prop_map(Step::ThirdParty),
        6 => on.clone().prop_map(Step::Acknowledge),
        1 => (0_u8..6, on).prop_map(|(dice, on)| match dice {
            0 => Step::Lose(on),
            _ => Step::Acknowledge(on),
        }),
    ]
}

/// The logical unit that a LUN means; 2 and 0 are two forms of one.
fn unit(lun: usize) -> usize {
    lun % 2
}

/// Which logical units a response is in order with; `None`: all.
type Units = Option<usize>;

fn overlap(one: Units, other: Units) -> bool {
    one.is_none() || other.is_none() || one == other
}

struct Live {
    tag: u32,
    task: TaskId,
    on: usize,
    lun: usize,
}

struct Pending {
    tag: u32,
    function: TaskManagementTag,
    units: Units,
    on: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// Handed to the session, not seen.
    Waits,
    /// Seen on a connection, with that StatSN.
    Seen(usize, SerialNumber),
    /// It must never be seen.
    Dropped,
}

/// A response that was handed over.
struct Handed {
    tag: u32,
    on: usize,
    /// `None` for the answer to a function.
    lun: Option<usize>,
    units: Units,
    fenced: bool,
    state: State,
    /// What had been sent on each connection by then.
    sent: Vec<SerialNumber>,
}

struct Oracle {
    world: World,
    mode: TaskReporting,
    lost: Vec<bool>,
    live: Vec<Live>,
    pending: Vec<Pending>,
    /// In the order of their handing over.
    handed: Vec<Handed>,
    /// Messages about terminated tasks that are due now: connection and LUN.
    due: Vec<(usize, usize)>,
}

impl Oracle {
    fn new(mode: TaskReporting) -> Self {
        let world = World::new(mode, CONNECTIONS);
        Self {
            lost: vec![false; world.peers.len()],
            world,
            mode,
            live: Vec::new(),
            pending: Vec::new(),
            handed: Vec::new(),
            due: Vec::new(),
        }
    }

    fn open(&self) -> usize {
        self.lost.iter().filter(|lost| !**lost).count()
    }

    fn hand(&mut self, tag: u32, on: usize, lun: Option<usize>, units: Units, fenced: bool) {
        let fenced = fenced && self.mode != TaskReporting::Rfc3720 && self.open() > 1;
        self.handed.push(Handed {
            tag,
            on,
            lun,
            units,
            fenced,
            state: State::Waits,
            sent: self.world.peers.iter().map(|peer| peer.next).collect(),
        });
    }

    /// Tasks end: those that run, and those whose responses haven't been seen.
    fn end(&mut self, units: Units, issuing: Option<usize>) {
        let mut told: Vec<(usize, usize)> = Vec::new();
        self.live.retain(|live| {
            let ends = overlap(units, Some(unit(live.lun)));
            if ends {
                told.push((live.on, live.lun));
            }
            !ends
        });
        for handed in &mut self.handed {
            if let Some(lun) = handed.lun
                && handed.state == State::Waits
                && overlap(units, Some(unit(lun)))
            {
                told.push((handed.on, lun));
                handed.state = State::Dropped;
            }
        }
        if self.mode == TaskReporting::FastAbort {
            told.sort_unstable();
            told.dedup();
            told.retain(|(on, _)| Some(*on) != issuing && !self.lost[*on]);
            self.due = told;
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Command(on, lun)
                if !self.lost[on]
                    && !SerialNumber(self.world.cmd_sn).is_after(self.world.max_cmd_sn) =>
            {
                let (tag, task) = self.world.plain(on, LUNS[lun]);
                self.live.push(Live { tag, task, on, lun });
            }
            Step::Answer(which, fence) if !self.live.is_empty() => {
                let live = self.live.remove(which.index(self.live.len()));
                let units = Some(unit(live.lun));
                self.hand(live.tag, live.on, Some(live.lun), units, fence);
                self.world.respond(live.task, fence);
            }
            Step::Function(on, code, lun) if !self.lost[on] && self.pending.len() < 4 => {
                let units = (code != 6).then_some(unit(lun));
                self.end(units, Some(on));
                let tag = self.world.function(on, code, LUNS[lun]);
                match self.function() {
                    Some(function) => self.pending.push(Pending {
                        tag,
                        function,
                        units,
                        on,
                    }),
                    // There are too many that wait to be answered.
                    None => assert!(self.waiting() > 0),
                }
            }
            Step::Complete(which) if !self.pending.is_empty() => {
                let pending = self.pending.remove(which.index(self.pending.len()));
                self.hand(pending.tag, pending.on, None, pending.units, true);
                if self.lost[pending.on] {
                    self.handed.last_mut().unwrap().state = State::Dropped;
                }
                self.world.complete(pending.function);
            }
            Step::ThirdParty(lun) => {
                self.end(Some(unit(lun)), None);
                self.world.session.abort_lun(LUNS[lun]);
                self.drain_events();
            }
            Step::Acknowledge(on) if !self.lost[on] => self.world.acknowledge(on, LUNS[0]),
            Step::Lose(on) if !self.lost[on] && self.open() > 1 => self.lose(on),
            _ => {}
        }
        self.look();
    }

    fn waiting(&self) -> usize {
        let waits = |handed: &&Handed| handed.state == State::Waits;
        self.handed.iter().filter(waits).count()
    }

    fn lose(&mut self, on: usize) {
        self.lost[on] = true;
        self.live.retain(|live| live.on != on);
        for handed in self.handed.iter_mut().filter(|handed| handed.on == on) {
            if handed.state == State::Waits {
                handed.state = State::Dropped;
            }
        }
        let id = self.world.peers[on].id;
        self.world.session.connection_lost(id, self.world.now);
        self.drain_events();
    }

    fn drain_events(&mut self) {
        while let Some(event) = self.world.session.poll_event() {
            assert!(
                matches!(
                    event,
                    Event::Abort { .. } | Event::ClearedByProtocolEvent { .. }
                ),
                "{event:?}"
            );
        }
    }

    fn function(&mut self) -> Option<TaskManagementTag> {
        while let Some(event) = self.world.session.poll_event() {
            match event {
                Event::Abort { .. } => {}
                Event::TaskManagement(request) => return Some(request.tag),
                other => panic!("{other:?}"),
            }
        }
        None
    }

    /// Looks at what has come, and judges it.
    fn look(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        for on in 0..self.world.peers.len() {
            for seen in self.world.receive(on) {
                let next = self.world.peers[on].next;
                match seen {
                    Seen::Response(response, _) => {
                        self.judge(on, response.initiator_task_tag, response.stat_sn);
                    }
                    Seen::Management(answer) => {
                        self.judge(on, answer.initiator_task_tag, answer.stat_sn);
                    }
                    Seen::Async(message) if message.async_event == 5 => {
                        let found = due
                            .iter()
                            .position(|(of, lun)| *of == on && LUNS[*lun] == message.lun);
                        due.remove(found.expect("a message that isn't due"));
                    }
                    Seen::Async(message) => assert_eq!(message.async_event, 2),
                    Seen::Reject(reject, _) => assert_eq!(reject.reason, 6),
                    other => panic!("{other:?} before {next:?}"),
                }
            }
        }
        assert!(due.is_empty(), "messages that didn't come: {due:?}");
    }

    /// A single connection that is left keeps the order by itself.
    fn is_acknowledged(&self, on: usize, stat_sn: SerialNumber) -> bool {
        self.open() == 1 || self.lost[on] || stat_sn.is_before(self.world.peers[on].acknowledged)
    }

    fn judge(&mut self, on: usize, tag: u32, stat_sn: SerialNumber) {
        let waits = |handed: &Handed| handed.tag == tag && handed.state == State::Waits;
        let at = self.handed.iter().position(waits);
        let at = at.expect("a response that nobody gave, or that must not come any more");
        let this = &self.handed[at];
        assert_eq!(this.on, on, "on the connection of its request");
        for before in &self.handed[..at] {
            if !overlap(before.units, this.units) || before.state == State::Dropped {
                continue;
            }
            if before.fenced || this.fenced {
                let State::Seen(where_, number) = before.state else {
                    panic!("{tag} overtakes {}", before.tag)
                };
                assert!(
                    self.is_acknowledged(where_, number),
                    "{tag} is sent before {} has arrived",
                    before.tag
                );
            }
        }
        if this.fenced {
            for (other, sent) in this.sent.iter().enumerate() {
                let last = sent.minus(1);
                assert!(
                    self.is_acknowledged(other, last),
                    "{tag} doesn't wait for connection {other}"
                );
            }
        }
        self.handed[at].state = State::Seen(on, stat_sn);
    }

    /// Everybody says what he has to say: nothing is left.
    fn finish(&mut self) {
        while !self.live.is_empty() {
            let live = self.live.remove(0);
            let units = Some(unit(live.lun));
            self.hand(live.tag, live.on, Some(live.lun), units, false);
            self.world.respond(live.task, false);
            self.look();
        }
        for pending in std::mem::take(&mut self.pending) {
            self.hand(pending.tag, pending.on, None, pending.units, true);
            if self.lost[pending.on] {
                self.handed.last_mut().unwrap().state = State::Dropped;
            }
            self.world.complete(pending.function);
            self.look();
        }
        // Each fence takes two rounds at most.
        for _ in 0..=2 * self.handed.len() {
            for on in (0..self.lost.len())
                .filter(|on| !self.lost[*on])
                .collect::<Vec<_>>()
            {
                self.world.acknowledge(on, LUNS[0]);
                self.look();
            }
        }
        assert_eq!(self.waiting(), 0, "something is never sent");
        assert_eq!(self.world.session.outstanding(), 0);
        assert_eq!(self.world.session.held_bytes(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn fences_hold_whatever_happens(
        mode in prop_oneof![Just(TaskReporting::ResponseFence), Just(TaskReporting::FastAbort)],
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut oracle = Oracle::new(mode);
        for step in steps {
            oracle.take(step);
        }
        oracle.finish();
    }
}
