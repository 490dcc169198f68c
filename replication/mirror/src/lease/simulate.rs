//! Two ends, a store and faults of all kinds, each history from one number. After every step: at most one end serves,
//! and who becomes the source has all that was acknowledged. After the faults everything heals, and hosts are served.
//!
//! `TIDELOCK_SEED=N` repeats one history, `TIDELOCK_HISTORIES=N` runs more of them.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::generation::Role;
use crate::id::NodeId;

const TTL_MS: u64 = 5_000;
const STEP_MS: u64 = 20;

/// With nothing to spare: what is wrong by a little is seen.
const SETTINGS: Settings = Settings {
    ttl_ms: TTL_MS,
    drift_ppm: 10_000,
    slack_ms: 0,
};

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }
}

/// What etcd does with the two keys of one mirror.
#[derive(Default)]
struct Store {
    now_ms: u64,
    /// When each lease is over, and its length.
    leases: BTreeMap<i64, (u64, u64)>,
    next_lease: i64,
    revision: i64,
    holder: Option<(NodeId, LeaseId)>,
    standing: Option<(Standing, Revision)>,
}

impl Store {
    fn at(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.leases.retain(|_, (end, _)| *end > now_ms);
        let leases = &self.leases;
        self.holder = self.holder.filter(|(_, it)| leases.contains_key(&it.0));
    }

    fn put(&mut self, standing: Standing) -> Answer {
        self.revision += 1;
        self.standing = Some((standing, Revision(self.revision)));
        Answer::Done(Revision(self.revision))
    }

    fn answer(&mut self, request: Request) -> Answer {
        let revision = self.standing.as_ref().map_or(Revision(0), |it| it.1);
        match request {
            Request::Grant { ttl_ms } => {
                self.next_lease += 1;
                self.leases
                    .insert(self.next_lease, (self.now_ms + ttl_ms, ttl_ms));
                Answer::Granted(LeaseId(self.next_lease), ttl_ms)
            }
            Request::KeepAlive(lease) => match self.leases.get_mut(&lease.0) {
                Some((end, length)) => {
                    *end = self.now_ms + *length;
                    Answer::Kept(*length)
                }
                None => Answer::LeaseGone,
            },
            Request::Look => Answer::Seen(Seen {
                holder: self.holder,
                standing: self.standing.as_ref().map(|it| it.0.clone()),
                revision,
            }),
            Request::Take {
                me,
                lease,
                standing,
                from,
            } => {
                let there = self.leases.contains_key(&lease.0);
                if self.holder.is_some() || from != revision || !there {
                    return Answer::Refused;
                }
                self.holder = Some((me, lease));
                self.put(standing)
            }
            Request::Change {
                lease,
                standing,
                from,
            } => {
                if self.holder.is_none_or(|it| it.1 != lease) || from != revision {
                    return Answer::Refused;
                }
                self.put(standing)
            }
            Request::Settle { .. } => unreachable!("no holder asks for it"),
            Request::Revoke(lease) => {
                self.leases.remove(&lease.0);
                self.at(self.now_ms);
                Answer::Done(revision)
            }
        }
    }
}

/// An end: what the association would do, as far as it matters here.
struct Node {
    id: NodeId,
    /// Millionths that its clock is fast by, and where it began.
    drift_ppm: i64,
    began_ms: u64,
    holder: Option<Holder>,
    open_until: Option<u64>,
    paused: bool,
    reaches_store: bool,
    // Durable.
    role: Role,
    generation: u64,
    required: BTreeSet<NodeId>,
    content: BTreeSet<u64>,
    // Lost in a crash.
    in_step: bool,
    waiting: BTreeSet<u64>,
    waits_since: Option<u64>,
    asked_alone: u64,
}

impl Node {
    fn clock(&self, now_ms: u64) -> u64 {
        let now = i64::try_from(now_ms).unwrap();
        u64::try_from(now + now * self.drift_ppm / 1_000_000).unwrap() + self.began_ms
    }

    fn place(&self, peer: NodeId) -> Place {
        let in_step = self.in_step && self.required.contains(&peer);
        Place {
            role: self.role,
            required: self.required.clone(),
            in_step: in_step.then_some(peer).into_iter().collect(),
        }
    }

    fn serves(&self, now_ms: u64) -> bool {
        self.holder.is_some()
            && self.role == Role::Source
            && self.open_until.is_some_and(|it| self.clock(now_ms) < it)
    }
}

/// A message between an end and the store.
enum Flight {
    Request(usize, u64, RequestId, Request),
    Answer(usize, u64, RequestId, Option<Answer>),
}

/// What is bound to happen.
#[derive(Clone, Copy)]
enum Fate {
    Crash(usize),
    Cut,
}

#[derive(Default)]
struct Happened {
    acknowledged: u64,
    promotions: u64,
    alone: u64,
    handovers: u64,
    lost: u64,
}

struct World {
    random: Random,
    now_ms: u64,
    store: Store,
    nodes: [Node; 2],
    link: bool,
    flights: BTreeMap<(u64, u64), Flight>,
    fates: BTreeMap<(u64, u64), Fate>,
    /// No more faults.
    healed: bool,
    next: u64,
    /// Which run of a node a message belongs to.
    runs: [u64; 2],
    next_write: u64,
    acknowledged: BTreeSet<u64>,
    generations: u64,
    seen: Happened,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let mut node = |id: u128, role| Node {
            id: NodeId(id),
            drift_ppm: i64::try_from(random.below(19_000)).unwrap() - 9_500,
            began_ms: random.below(1_000_000),
            holder: None,
            open_until: None,
            paused: false,
            reaches_store: true,
            role,
            generation: u64::from(role == Role::Source),
            required: BTreeSet::new(),
            content: BTreeSet::new(),
            in_step: false,
            waiting: BTreeSet::new(),
            waits_since: None,
            asked_alone: 0,
        };
        let nodes = [node(1, Role::Source), node(2, Role::Target)];
        let mut world = Self {
            random,
            now_ms: 1,
            store: Store::default(),
            nodes,
            link: true,
            flights: BTreeMap::new(),
            fates: BTreeMap::new(),
            healed: false,
            next: 0,
            runs: [0; 2],
            next_write: 0,
            acknowledged: BTreeSet::new(),
            generations: 1,
            seen: Happened::default(),
        };
        world.start(0);
        world.start(1);
        world
    }

    fn start(&mut self, at: usize) {
        let clock = self.nodes[at].clock(self.now_ms);
        let peer = self.nodes[1 - at].id;
        let node = &mut self.nodes[at];
        if node.holder.is_none() {
            let place = node.place(peer);
            node.holder = Some(Holder::new(node.id, place, SETTINGS, clock));
            self.may_promote(at);
        }
    }

    fn crash(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        node.holder = None;
        node.open_until = None;
        node.in_step = false;
        node.waiting.clear();
        node.waits_since = None;
        self.runs[at] += 1;
        self.disconnected();
    }

    fn disconnected(&mut self) {
        for at in 0..2 {
            self.nodes[at].in_step = false;
            self.place(at);
        }
    }

    fn may_promote(&mut self, at: usize) {
        let has_image = self.nodes[at].generation > 0;
        self.feed(at, Event::MayPromote(has_image));
    }

    fn place(&mut self, at: usize) {
        let place = self.nodes[at].place(self.nodes[1 - at].id);
        self.feed(at, Event::Place(place));
    }

    fn feed(&mut self, at: usize, event: Event) {
        let clock = self.nodes[at].clock(self.now_ms);
        let Some(holder) = &mut self.nodes[at].holder else {
            return;
        };
        for action in holder.handle(event, clock) {
            match action {
                Action::Ask(id, request) => self.ask(at, id, request),
                Action::Open { until_ms } => self.nodes[at].open_until = Some(until_ms),
                Action::Close => self.nodes[at].open_until = None,
                Action::GoOnAlone(number) => self.go_on_alone(at, number),
                Action::Promote => self.promote(at),
                Action::Report(Report::Lost) => self.seen.lost += 1,
                Action::Report(_) => {}
            }
        }
    }

    fn fly(&mut self, arrives_ms: u64, flight: Flight) {
        self.next += 1;
        self.flights.insert((arrives_ms, self.next), flight);
    }

    fn fated(&mut self, at_ms: u64, fate: Fate) {
        if !self.healed {
            self.next += 1;
            self.fates.insert((at_ms, self.next), fate);
        }
    }

    fn ask(&mut self, at: usize, id: RequestId, request: Request) {
        let run = self.runs[at];
        // Most take a moment, some so long that nobody waits for them any more, some never arrive.
        let fate = self.random.below(100);
        let delay = match fate {
            0..90 => self.random.below(40),
            90..97 => self.random.below(3 * TTL_MS),
            _ => u64::MAX,
        };
        if matches!(request, Request::Change { .. })
            && (TTL_MS / 5..u64::MAX).contains(&delay)
            && self.random.below(2) == 0
        {
            // What an end thinks lost comes when the ends have parted, and one of them dies.
            self.fated(self.now_ms + TTL_MS / 10, Fate::Cut);
            self.fated(self.now_ms + delay + TTL_MS / 10, Fate::Crash(at));
        }
        if self.nodes[at].reaches_store && delay != u64::MAX {
            let flight = Flight::Request(at, run, id, request);
            self.fly(self.now_ms + delay, flight);
        }
        self.fly(self.now_ms + TTL_MS / 5, Flight::Answer(at, run, id, None));
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.flights.first_entry()
            && entry.key().0 <= self.now_ms
        {
            match entry.remove() {
                Flight::Request(at, run, id, request) => {
                    self.store.at(self.now_ms);
                    let answer = self.store.answer(request);
                    if self.nodes[at].reaches_store && self.random.below(50) > 0 {
                        let arrives = self.now_ms + self.random.below(40);
                        self.fly(arrives, Flight::Answer(at, run, id, Some(answer)));
                    }
                }
                Flight::Answer(at, run, id, answer) => {
                    if self.runs[at] == run && self.nodes[at].holder.is_some() {
                        if self.nodes[at].paused {
                            let later = self.now_ms + STEP_MS;
                            self.fly(later, Flight::Answer(at, run, id, answer));
                        } else {
                            self.feed(at, Event::Answered(id, answer.ok_or(Unanswered)));
                        }
                    }
                }
            }
        }
    }

    // --- What the association does.

    fn promote(&mut self, at: usize) {
        let node = &self.nodes[at];
        if self.random.below(8) == 0 || node.generation == 0 {
            self.feed(at, Event::NotPromoted);
            return;
        }
        assert!(
            self.acknowledged.is_subset(&node.content),
            "node {at} is made the source and lacks what was acknowledged"
        );
        self.seen.promotions += 1;
        self.become_source(at, BTreeSet::new());
        if self.random.below(3) == 0 {
            let soon = self.now_ms + self.random.below(20) * STEP_MS;
            self.fated(soon, Fate::Crash(at));
        }
    }

    fn become_source(&mut self, at: usize, required: BTreeSet<NodeId>) {
        self.generations += 1;
        let node = &mut self.nodes[at];
        node.role = Role::Source;
        node.generation = self.generations;
        node.required = required;
        node.in_step = false;
        self.place(at);
    }

    fn become_target(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        node.role = Role::Target;
        node.required.clear();
        node.in_step = false;
        node.waiting.clear();
        node.waits_since = None;
        self.place(at);
    }

    fn go_on_alone(&mut self, at: usize, number: u64) {
        let node = &mut self.nodes[at];
        if node.asked_alone != number || node.waits_since.is_none() || node.in_step {
            return;
        }
        self.seen.alone += 1;
        self.generations += 1;
        node.generation = self.generations;
        node.required.clear();
        self.place(at);
    }

    /// A resync, a meeting of two sources, or nothing.
    fn meet(&mut self) {
        let up = |node: &Node| node.holder.is_some() && !node.paused;
        if !self.link || !self.nodes.iter().all(up) {
            return;
        }
        for source in 0..2 {
            let target = 1 - source;
            let [ours, theirs] = [&self.nodes[source], &self.nodes[target]];
            if ours.role != Role::Source || ours.in_step || ours.generation < theirs.generation {
                continue;
            }
            if theirs.role == Role::Source {
                // It was overtaken; what it has besides was never acknowledged, or this end wouldn't be the source.
                self.become_target(target);
            }
            let content = self.nodes[source].content.clone();
            self.nodes[target].content = content;
            if self.nodes[source].required.is_empty() {
                self.generations += 1;
                self.nodes[source].generation = self.generations;
            }
            self.nodes[target].generation = self.nodes[source].generation;
            self.nodes[source].required = BTreeSet::from([self.nodes[target].id]);
            self.nodes[source].in_step = true;
            self.place(source);
            self.may_promote(target);
        }
    }

    fn hand_over(&mut self, at: usize) {
        let (ours, peer) = (&self.nodes[at], &self.nodes[1 - at]);
        let eligible = ours
            .holder
            .as_ref()
            .is_some_and(|it| it.is_eligible(peer.id));
        if ours.role == Role::Source && ours.in_step && eligible && ours.waiting.is_empty() {
            self.seen.handovers += 1;
            self.become_target(at);
            let old = BTreeSet::from([self.nodes[at].id]);
            if self.random.below(4) > 0 {
                self.become_source(1 - at, old);
            }
        }
    }

    fn write(&mut self, at: usize) {
        if !self.nodes[at].serves(self.now_ms) {
            return;
        }
        self.next_write += 1;
        let node = &mut self.nodes[at];
        node.content.insert(self.next_write);
        node.waiting.insert(self.next_write);
        if node.in_step {
            self.nodes[1 - at].content.insert(self.next_write);
        }
    }

    fn acknowledge(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if node.waiting.is_empty() || node.role != Role::Source || node.holder.is_none() {
            return;
        }
        if node.required.is_empty() || node.in_step {
            let waiting = std::mem::take(&mut node.waiting);
            node.waits_since = None;
            if node.in_step {
                self.nodes[1 - at].content.extend(&waiting);
            }
            self.seen.acknowledged += waiting.len() as u64;
            self.acknowledged.extend(waiting);
        } else {
            let since = *node.waits_since.get_or_insert(self.now_ms);
            if self.now_ms >= since + 500 {
                node.waits_since = Some(self.now_ms);
                node.asked_alone += 1;
                let number = node.asked_alone;
                self.feed(at, Event::WantsAlone(number));
            }
        }
    }

    fn step(&mut self) {
        self.now_ms += STEP_MS;
        self.store.at(self.now_ms);
        self.deliver();
        while let Some(entry) = self.fates.first_entry()
            && entry.key().0 <= self.now_ms
        {
            match entry.remove() {
                Fate::Crash(at) => self.crash(at),
                Fate::Cut => {
                    self.link = false;
                    self.disconnected();
                }
            }
        }
        if self.random.below(10) == 0 {
            self.meet();
        }
        for at in 0..2 {
            if self.nodes[at].paused {
                continue;
            }
            // A command of a host, or the end's timer, may come first.
            if self.random.below(2) == 0 {
                self.write(at);
                self.acknowledge(at);
            }
            let clock = self.nodes[at].clock(self.now_ms);
            let wake = self.nodes[at].holder.as_ref().and_then(Holder::wake_at);
            if wake.is_some_and(|it| it <= clock) {
                self.feed(at, Event::Tick);
            }
        }
        let serving = self.nodes.iter().filter(|it| it.serves(self.now_ms));
        assert!(serving.count() <= 1, "two ends serve at {}", self.now_ms);
    }

    fn fault(&mut self) {
        let at = usize::try_from(self.random.below(2)).unwrap();
        match self.random.below(9) {
            0 => self.crash(at),
            1 | 2 => self.start(at),
            3 => {
                self.link = !self.link;
                if !self.link {
                    self.disconnected();
                }
            }
            4 | 5 => self.nodes[at].reaches_store = !self.nodes[at].reaches_store,
            6 => {
                self.nodes[at].paused = !self.nodes[at].paused;
                if self.nodes[at].paused {
                    self.disconnected();
                }
            }
            7 => self.hand_over(at),
            // Another member of the store leads: all leases begin anew.
            _ => {
                let now = self.now_ms;
                let leases = self.store.leases.values_mut();
                leases.for_each(|(end, length)| *end = now + *length);
            }
        }
    }

    fn heal(&mut self) {
        self.healed = true;
        self.fates.clear();
        self.link = true;
        for at in 0..2 {
            self.nodes[at].reaches_store = true;
            self.nodes[at].paused = false;
            self.start(at);
        }
    }
}

fn history(seed: u64) -> Happened {
    let mut world = World::new(seed);
    for _ in 0..60 {
        let steps = world.random.below(200);
        for _ in 0..steps {
            world.step();
        }
        world.fault();
    }
    world.heal();
    for _ in 0..2_000 {
        world.step();
    }
    // Requests are still lost now and then, so that hosts may wait for a moment.
    let before = world.seen.acknowledged;
    for _ in 0..1_000 {
        world.step();
    }
    assert!(
        world.seen.acknowledged > before,
        "hosts aren't served in the end"
    );
    for node in &world.nodes {
        assert!(
            world.acknowledged.is_subset(&node.content),
            "{} lacks something",
            node.id
        );
    }
    world.seen
}

#[test]
fn never_two_and_nothing_acknowledged_is_lost() {
    let number = |name: &str| std::env::var(name).ok().and_then(|it| it.parse().ok());
    if let Some(seed) = number("TIDELOCK_SEED") {
        history(seed);
        return;
    }
    let mut all = Happened::default();
    for seed in 0..number("TIDELOCK_HISTORIES").unwrap_or(300) {
        let seen = std::panic::catch_unwind(|| history(seed)).unwrap_or_else(|_| {
            panic!("again: TIDELOCK_SEED={seed} cargo test -p tidelock-mirror never_two")
        });
        all.acknowledged += seen.acknowledged;
        all.promotions += seen.promotions;
        all.alone += seen.alone;
        all.handovers += seen.handovers;
        all.lost += seen.lost;
    }
    // Histories in which nothing happens prove nothing.
    assert!(
        all.acknowledged > 10_000,
        "{} acknowledged",
        all.acknowledged
    );
    for (what, count) in [
        ("promotions", all.promotions),
        ("sources that went on alone", all.alone),
        ("handovers", all.handovers),
        ("leases lost", all.lost),
    ] {
        assert!(count > 20, "{count} {what}");
    }
}
