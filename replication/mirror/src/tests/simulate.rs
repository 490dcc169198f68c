//! Long random histories of ends with faults of all kinds, each from one number. After the faults everything heals,
//! and all ends have to be equal.
//!
//! `TIDELOCK_SEED=N` repeats one history, `TIDELOCK_HISTORIES=N` runs more of them.

use super::setup::{Setup, Step};
use super::world::{World, id};
use crate::association::{Engine, OnFailure};
use crate::generation::{Role, Standing};

/// SplitMix64: small, and the same everywhere.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}

#[derive(Default)]
struct Seen {
    acknowledged: u32,
    split_brains: u32,
    handovers: u32,
    taken_over: u32,
    crashes: u32,
    resyncs_resumed: u32,
    cuts_confirmed: u32,
    refused: u32,
    cancelled: u32,
    permitted: u32,
}

struct Run {
    world: World,
    random: Random,
    trail: Vec<Step>,
    seen: Seen,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let nodes = 2 + random.below(2);
        let setup = Setup {
            nodes,
            regions: 6,
            blocks_per_region: 2,
            instant: false,
            alone_after_restart: random.chance(50),
            asks_before_alone: random.chance(30),
            keeps_snapshots: !random.chance(10),
            on_failure: if random.chance(15) {
                OnFailure::Halt
            } else {
                OnFailure::Continue
            },
            hot_max: [2, 4, 100][random.below(3)],
            hot_kept: random.next() % 2,
            window: [8, 24, 1 << 20][random.below(3)],
            asynchronous: (0..nodes).map(|_| random.chance(25)).collect(),
            mutant: None,
        };
        Self {
            world: World::new(setup),
            random,
            trail: Vec::new(),
            seen: Seen::default(),
        }
    }

    fn step(&mut self, step: Step) -> Result<(), String> {
        self.world.step(&step);
        self.trail.push(step);
        match self.world.wrong.take() {
            Some(wrong) => Err(wrong),
            None => Ok(()),
        }
    }

    fn one_of(&mut self, steps: Vec<Step>) -> Option<Step> {
        let count = steps.len();
        (count > 0).then(|| steps[self.random.below(count)].clone())
    }

    fn faulty(&mut self, steps: usize) -> Result<(), String> {
        for _ in 0..steps {
            if let Some(step) = self.choose() {
                self.step(step)?;
            }
        }
        Ok(())
    }

    fn choose(&mut self) -> Option<Step> {
        let nodes = self.world.nodes.len();
        let node = self.random.below(nodes);
        let other = (node + 1 + self.random.below(nodes - 1)) % nodes;
        let serving = self.world.engine(node).is_some_and(Engine::is_serving);
        match self.random.below(1110) {
            1080..1100 if self.world.is_up(node) => Some(Step::DiskRefuses {
                node,
                at: self.random.below(3),
                partly: self.random.chance(50),
            }),
            1100.. if self.world.is_up(node) => Some(Step::Cancel(node)),
            1000..1080 => Some(Step::CutDue { node, to: other }),
            0..100 if self.world.nodes[node].asked.is_some() => Some(Step::Permit(node)),
            0..550 => self.one_of(self.world.progress()),
            550..700 if serving => {
                let blocks = 1 + self.random.below(3);
                let block = self.random.below(12 - blocks);
                let durable = self.random.chance(20);
                Some(Step::Write {
                    node,
                    block,
                    blocks,
                    durable,
                })
            }
            700..740 if serving => Some(Step::Flush(node)),
            740..840 => self.one_of(self.world.connections()),
            840..890 => self.one_of(self.world.half_open()),
            890..930 if self.world.is_up(node) => Some(Step::Budget(node)),
            930..945 => Some(Step::Cut { node, from: other }),
            945..952 if self.world.is_up(node) => {
                self.seen.crashes += 1;
                Some(Step::Crash {
                    node,
                    keeps: self.random.next(),
                })
            }
            952..965 if !self.world.is_up(node) => Some(Step::Restart(node)),
            965..980 if self.world.nodes[node].timer => Some(Step::TimeOut(node)),
            980..983 => self.promotion(node),
            983..990 => Some(Step::HandOver {
                from: node,
                to: other,
            }),
            990..995 => Some(Step::TakeOver { node, from: other }),
            995..999 => self.gives_up(node, other),
            999 => Some(Step::SetMode {
                node,
                asynchronous: self.random.chance(50),
            }),
            _ => None,
        }
    }

    /// By force, mostly when there is no other source.
    fn promotion(&mut self, node: usize) -> Option<Step> {
        let serving = |it: &super::world::Node| it.engine.as_ref().is_some_and(Engine::is_serving);
        let another = self.world.nodes.iter().any(serving);
        (!another || self.random.chance(30)).then_some(Step::Promote(node))
    }

    fn gives_up(&self, node: usize, other: usize) -> Option<Step> {
        let engine = self.world.engine(node)?;
        let conflict = matches!(engine.keeper().standing(id(other)), Standing::Conflict(_));
        conflict.then_some(Step::GiveUp(node))
    }

    // --- Afterwards.

    /// Nothing goes wrong any more. All ends become equal, with an operator's help where it is asked for.
    fn heal(&mut self) -> Result<(), String> {
        for node in 0..self.world.nodes.len() {
            if !self.world.is_up(node) {
                self.step(Step::Restart(node))?;
            }
        }
        for node in 0..self.world.nodes.len() {
            self.step(Step::SetMode {
                node,
                asynchronous: false,
            })?;
        }
        for round in 0..60 {
            self.settle()?;
            let Some(source) = self.source() else {
                self.elect(round)?;
                continue;
            };
            if self.is_healed(source) {
                return Ok(());
            }
            self.resolve(source)?;
        }
        let standings: Vec<String> = (0..self.world.nodes.len())
            .map(|it| format!("{:?}", self.world.engine(it).map(|it| it.keeper().clone())))
            .collect();
        Err(format!(
            "it doesn't come to rest:\n{}",
            standings.join("\n")
        ))
    }

    /// Until nothing happens any more but connections that are refused.
    fn settle(&mut self) -> Result<(), String> {
        for _ in 0..6 {
            for node in 0..self.world.nodes.len() {
                self.step(Step::Budget(node))?;
            }
            let mut steps = 0;
            loop {
                let mut possible = self.world.progress();
                possible.extend(self.world.half_open());
                let Some(step) = self.one_of(possible) else {
                    break;
                };
                self.step(step)?;
                steps += 1;
                if steps > 20_000 {
                    let engines: Vec<String> = self
                        .world
                        .nodes
                        .iter()
                        .map(|it| format!("{:?}", it.engine))
                        .collect();
                    return Err(format!("nodes talk without an end: {}", engines.join("\n")));
                }
            }
            let connections = self.world.connections();
            if connections.is_empty() && steps == 0 {
                break;
            }
            for step in connections {
                self.step(step)?;
            }
        }
        Ok(())
    }

    fn source(&self) -> Option<usize> {
        let mut nodes = 0..self.world.nodes.len();
        nodes.find(|it| self.world.engine(*it).is_some_and(Engine::is_serving))
    }

    fn elect(&mut self, round: usize) -> Result<(), String> {
        let nodes = self.world.nodes.len();
        let with_image = |it: &usize| {
            self.world
                .engine(*it)
                .is_some_and(|it| !it.keeper().record().lineage.is_empty())
        };
        let candidates: Vec<usize> = (0..nodes).filter(with_image).collect();
        let node = candidates[round % candidates.len()];
        self.step(Step::Promote(node))
    }

    /// One source stays, and the others drop what they have.
    fn resolve(&mut self, source: usize) -> Result<(), String> {
        for node in 0..self.world.nodes.len() {
            if node == source {
                continue;
            }
            let Some(engine) = self.world.engine(node) else {
                continue;
            };
            let conflict = matches!(engine.keeper().standing(id(source)), Standing::Conflict(_));
            let is_source = engine.keeper().record().role == Role::Source;
            if conflict || is_source {
                self.step(Step::GiveUp(node))?;
            }
        }
        Ok(())
    }

    fn is_healed(&self, source: usize) -> bool {
        let engine = self.world.engine(source).expect("it serves");
        let mut others = (0..self.world.nodes.len()).filter(|it| *it != source);
        others.all(|it| *engine.keeper().standing(id(it)) == Standing::InStep)
    }

    fn all_equal(&self) -> Result<(), String> {
        let first = self.world.nodes[0].disk.current();
        for (at, node) in self.world.nodes.iter().enumerate() {
            if node.disk.current() != first {
                return Err(format!(
                    "node {at} holds {:?}, node 0 {first:?}",
                    node.disk.current()
                ));
            }
        }
        Ok(())
    }
}

fn history(seed: u64) -> Result<Seen, (String, Vec<Step>)> {
    let mut run = Run::new(seed);
    let steps = 300 + run.random.below(1200);
    let outcome = run
        .faulty(steps)
        .and_then(|()| run.heal())
        .and_then(|()| run.all_equal());
    match outcome {
        Ok(()) => {
            run.seen.acknowledged = run.world.acknowledged;
            run.seen.split_brains = run.world.nodes.iter().map(|it| it.split_brains).sum();
            run.seen.handovers = run.world.handovers;
            run.seen.taken_over = run.world.taken_over;
            run.seen.resyncs_resumed = run.world.resumed;
            run.seen.cuts_confirmed = run.world.cuts_confirmed;
            run.seen.refused = run.world.refused;
            run.seen.cancelled = run.world.cancelled;
            run.seen.permitted = run.world.permitted;
            Ok(run.seen)
        }
        Err(wrong) => Err((wrong, run.trail)),
    }
}

pub(super) fn setting(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|it| it.parse().expect("a number"))
}

#[test]
fn random_histories() {
    let seeds = match setting("TIDELOCK_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..setting("TIDELOCK_HISTORIES").unwrap_or(2_000),
    };
    let mut all = Seen::default();
    for seed in seeds.clone() {
        match history(seed) {
            Ok(seen) => {
                all.acknowledged += seen.acknowledged;
                all.split_brains += seen.split_brains;
                all.handovers += seen.handovers;
                all.taken_over += seen.taken_over;
                all.crashes += seen.crashes;
                all.resyncs_resumed += seen.resyncs_resumed;
                all.cuts_confirmed += seen.cuts_confirmed;
                all.refused += seen.refused;
                all.cancelled += seen.cancelled;
                all.permitted += seen.permitted;
            }
            Err((wrong, trail)) => {
                let from = trail.len().saturating_sub(40);
                let trail: Vec<String> = trail[from..]
                    .iter()
                    .map(|it| format!("    {it:?}"))
                    .collect();
                panic!(
                    "{wrong}\n{}\nagain with: TIDELOCK_SEED={seed} cargo test -p tidelock-mirror random_histories",
                    trail.join("\n")
                );
            }
        }
    }
    eprintln!(
        "{} histories: {} commands acknowledged, {} crashes, {} handovers, {} split brains, {} resyncs resumed, {} cuts, \
         {} writes without space, {} cancelled",
        seeds.end - seeds.start,
        all.acknowledged,
        all.crashes,
        all.handovers,
        all.split_brains,
        all.resyncs_resumed,
        all.cuts_confirmed,
        all.refused,
        all.cancelled
    );
    // A history in which nothing happens proves nothing.
    if seeds.end - seeds.start >= 1_000 {
        assert!(
            all.refused > 500 && all.cancelled > 500,
            "too little goes wrong"
        );
        assert!(
            all.acknowledged > 10_000 && all.crashes > 1_000,
            "too little happens"
        );
        assert!(all.cuts_confirmed > 500, "too few cuts");
        assert!(
            all.taken_over > 5,
            "too few targets that lost their source agree"
        );
        assert!(all.permitted > 100, "few go on alone with permission");
        assert!(
            all.split_brains > 100 && all.handovers > 100 && all.resyncs_resumed > 20,
            "too little happens"
        );
    }
}
