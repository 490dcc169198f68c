//! One host with paths to both ends of a synchronous mirror, across planned and forced failovers, with leases that say who may serve. What
//! it reads of a block is what it wrote there last: each block is linearizable, and so all of them are together.
//!
//! The host writes a block once at a time, sends it again on the other path when a path is gone or its end serves no longer, and reads no
//! block that it is writing. Its writes are durable, since a crash may lose what is in a cache. What it sent before may still be on its way
//! in an end that serves no longer: that must never be seen after something newer.
//!
//! `TIDELOCK_SEED=N` repeats one history, `TIDELOCK_HISTORIES=N` runs more of them.

use std::collections::BTreeSet;

use super::setup::{Mutant, Setup, Step};
use super::simulate::{Random, setting};
use super::world::{World, id};
use crate::association::{Engine, OnFailure};
use crate::generation::Standing;
use crate::id::CommandId;

const REGIONS: usize = 3;
const BLOCKS: usize = 2 * REGIONS;

/// What is done wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    InTheWorld(Mutant),
    /// An end that lacks what the other one has acknowledged alone may take over.
    PromotesWhoLacksSomething,
    /// Hosts use every end that is a source, whoever has the place.
    NobodyIsKeptAway,
}

/// One block as the host knows it. A write that is sent again is another one in the world, and the same to the host.
#[derive(Default)]
struct Block {
    /// What it may hold: the last write that was acknowledged, by each number that it was sent with.
    last: BTreeSet<u32>,
    pending: Option<Pending>,
}

struct Pending {
    numbers: BTreeSet<u32>,
    node: usize,
    command: CommandId,
}

#[derive(Default)]
struct Seen {
    acknowledged: u32,
    sent_again: u32,
    forced: u32,
    handovers: u32,
    alone: u32,
}

struct Run {
    world: World,
    random: Random,
    wrong: Wrong,
    blocks: Vec<Block>,
    /// Who has the place of the source, which is a lease in a store.
    place: Option<usize>,
    /// Who was allowed to go on without the other one, which lacks something since.
    alone: Option<usize>,
    /// Who was told to take over by force, and may not have done so yet: it begins alone.
    promoted: Option<usize>,
    seen: Seen,
    trail: Vec<Step>,
}

impl Run {
    fn new(seed: u64, wrong: Wrong) -> Self {
        let mut random = Random::new(seed);
        let setup = Setup {
            nodes: 2,
            regions: REGIONS,
            blocks_per_region: 2,
            instant: false,
            alone_after_restart: false,
            asks_before_alone: true,
            keeps_snapshots: !random.chance(10),
            on_failure: OnFailure::Continue,
            hot_max: [2, 4, 100][random.below(3)],
            hot_kept: random.next() % 2,
            window: [8, 24, 1 << 20][random.below(3)],
            asynchronous: vec![false; 2],
            mutant: match wrong {
                Wrong::InTheWorld(mutant) => Some(mutant),
                _ => None,
            },
        };
        let block = || Block {
            last: BTreeSet::from([0]),
            pending: None,
        };
        Self {
            world: World::new(setup),
            random,
            wrong,
            blocks: (0..BLOCKS).map(|_| block()).collect(),
            place: Some(0),
            alone: None,
            promoted: None,
            seen: Seen::default(),
            trail: Vec::new(),
        }
    }

    fn is_serving(&self, node: usize) -> bool {
        self.world.engine(node).is_some_and(Engine::is_serving)
    }

    /// Whether hosts may use an end.
    fn is_usable(&self, node: usize) -> bool {
        let has_place = self.place == Some(node) || self.wrong == Wrong::NobodyIsKeptAway;
        has_place && self.is_serving(node)
    }

    fn step(&mut self, step: Step) -> Result<(), String> {
        let before = self.world.acknowledged;
        let handovers = self.world.handovers;
        let was_serving = [0, 1].map(|it| self.is_serving(it));
        self.world.step(&step);
        self.trail.push(step);
        if self.wrong == Wrong::Nothing
            && let Some(wrong) = self.world.wrong.take()
        {
            return Err(wrong);
        }
        for node in [0, 1] {
            if !self.is_serving(node) || was_serving[node] {
                continue;
            }
            if self.world.handovers > handovers {
                // The place is handed over as well.
                self.place = Some(node);
            }
            if self.promoted.take_if(|it| *it == node).is_some() {
                self.alone = Some(node);
            }
        }
        self.settles();
        self.answers(before);
        self.reads()
    }

    /// Whoever went on alone has brought the other one in step again.
    fn settles(&mut self) {
        if let Some(node) = self.alone
            && let Some(engine) = self.world.engine(node)
            && *engine.keeper().standing(id(1 - node)) == Standing::InStep
        {
            self.alone = None;
        }
    }

    /// Commands that were answered in the last step.
    fn answers(&mut self, before: u32) {
        let answered: Vec<usize> = (0..BLOCKS)
            .filter(|at| {
                let pending = self.blocks[*at].pending.as_ref();
                pending.is_some_and(|it| !self.world.is_under_way(it.command))
            })
            .collect();
        // Those of both kinds in one step are all sent again, which a host may do.
        let all_done = (self.world.acknowledged - before) as usize >= answered.len();
        for at in answered {
            let block = &mut self.blocks[at];
            if all_done && let Some(done) = block.pending.take() {
                block.last = done.numbers;
                self.seen.acknowledged += 1;
            }
        }
    }

    /// The host reads what it isn't writing, where it can.
    fn reads(&self) -> Result<(), String> {
        for node in (0..2).filter(|it| self.is_usable(*it)) {
            let content = self.world.nodes[node].disk.current();
            for (at, block) in self.blocks.iter().enumerate() {
                if block.pending.is_none() && !block.last.contains(&content[at]) {
                    return Err(format!(
                        "block {at} read at node {node} is write {}, and the last one that was acknowledged was sent as {:?}",
                        content[at], block.last
                    ));
                }
            }
        }
        Ok(())
    }

    fn choose(&mut self) -> Option<Step> {
        let node = self.random.below(2);
        match self.random.below(1000) {
            0..600 => self.one_of(self.world.progress()),
            600..720 => self.host(node),
            720..790 => self.one_of(self.world.connections()),
            790..830 => self.one_of(self.world.half_open()),
            830..860 if self.world.is_up(node) => Some(Step::Budget(node)),
            860..872 => Some(Step::Cut {
                node,
                from: 1 - node,
            }),
            872..882 if self.world.is_up(node) => Some(Step::Crash {
                node,
                keeps: self.random.next(),
            }),
            882..905 if !self.world.is_up(node) => Some(Step::Restart(node)),
            905..925 if self.world.nodes[node].timer => Some(Step::TimeOut(node)),
            925..945 => self.permit(node),
            945..950 if self.place == Some(node) => {
                // It doesn't keep its lease up, lives on, and knows it.
                self.place = None;
                None
            }
            950..975 => self.take_place(node),
            975..985 => Some(Step::HandOver {
                from: node,
                to: 1 - node,
            }),
            985.. => self.give_up(node),
            _ => None,
        }
    }

    fn one_of(&mut self, steps: Vec<Step>) -> Option<Step> {
        let count = steps.len();
        (count > 0).then(|| steps[self.random.below(count)].clone())
    }

    /// Something is written, or sent again.
    fn host(&mut self, node: usize) -> Option<Step> {
        let at = self.random.below(BLOCKS);
        let is_waited_for = self.blocks[at].pending.as_ref().is_some_and(|it| {
            self.world.is_under_way(it.command) && (it.node == node || self.is_usable(it.node))
        });
        if !self.is_usable(node) || is_waited_for {
            return None;
        }
        let step = Step::Write {
            node,
            block: at,
            blocks: 1,
            durable: true,
        };
        let (number, command) = self.world.next_write();
        let block = &mut self.blocks[at];
        let mut numbers = BTreeSet::from([number]);
        if let Some(before) = block.pending.take() {
            numbers.extend(before.numbers);
            self.seen.sent_again += 1;
        }
        block.pending = Some(Pending {
            numbers,
            node,
            command,
        });
        Some(step)
    }

    /// The store lets a source go on alone that has the place.
    fn permit(&mut self, node: usize) -> Option<Step> {
        if self.place != Some(node) || self.world.nodes[node].asked.is_none() {
            return None;
        }
        self.alone = Some(node);
        self.seen.alone += 1;
        Some(Step::Permit(node))
    }

    /// The store gives a place that nobody keeps, to whoever has everything.
    fn take_place(&mut self, node: usize) -> Option<Step> {
        let is_free = match self.place {
            None => true,
            Some(other) => other != node && !self.world.is_up(other),
        };
        let lacks = self.alone == Some(1 - node);
        if !is_free
            || !self.world.is_up(node)
            || (lacks && self.wrong != Wrong::PromotesWhoLacksSomething)
        {
            return None;
        }
        self.place = Some(node);
        if self.is_serving(node) {
            return None;
        }
        self.seen.forced += 1;
        self.promoted = Some(node);
        Some(Step::Promote(node))
    }

    /// An operator drops what an end has that has no place, and both have been sources.
    fn give_up(&self, node: usize) -> Option<Step> {
        let engine = self.world.engine(node)?;
        let conflict = matches!(
            engine.keeper().standing(id(1 - node)),
            Standing::Conflict(_)
        );
        (conflict && self.place == Some(1 - node) && self.is_serving(1 - node))
            .then_some(Step::GiveUp(node))
    }
}

fn history(seed: u64, wrong: Wrong) -> Result<Seen, (String, Vec<Step>)> {
    let mut run = Run::new(seed, wrong);
    for _ in 0..600 + run.random.below(1_200) {
        if let Some(step) = run.choose()
            && let Err(wrong) = run.step(step)
        {
            return Err((wrong, run.trail));
        }
    }
    run.seen.handovers = run.world.handovers;
    Ok(run.seen)
}

#[test]
fn a_host_reads_what_it_wrote_last_whoever_serves_it() {
    let seeds = match setting("TIDELOCK_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..setting("TIDELOCK_HISTORIES").unwrap_or(2_000),
    };
    let mut all = Seen::default();
    for seed in seeds.clone() {
        match history(seed, Wrong::Nothing) {
            Ok(seen) => {
                all.acknowledged += seen.acknowledged;
                all.sent_again += seen.sent_again;
                all.forced += seen.forced;
                all.handovers += seen.handovers;
                all.alone += seen.alone;
            }
            Err((wrong, trail)) => {
                let from = trail.len().saturating_sub(60);
                let trail: Vec<String> = trail[from..]
                    .iter()
                    .map(|it| format!("    {it:?}"))
                    .collect();
                panic!(
                    "{wrong}\n{}\nagain with: TIDELOCK_SEED={seed} cargo test -p tidelock-mirror a_host_reads",
                    trail.join("\n")
                );
            }
        }
    }
    eprintln!(
        "{} histories: {} writes acknowledged, {} sent again, {} planned and {} forced failovers, {} times alone",
        seeds.end - seeds.start,
        all.acknowledged,
        all.sent_again,
        all.handovers,
        all.forced,
        all.alone
    );
    if seeds.end - seeds.start >= 1_000 {
        let happens = [
            all.acknowledged / 20,
            all.sent_again,
            all.forced,
            all.handovers,
            all.alone,
        ];
        assert!(
            happens.iter().all(|it| *it > 500),
            "too little happens: {happens:?}"
        );
    }
}

#[test]
fn what_is_done_wrong_is_read() {
    for wrong in [
        Wrong::PromotesWhoLacksSomething,
        Wrong::NobodyIsKeptAway,
        Wrong::InTheWorld(Mutant::WritesAreAnsweredAtOnce),
        Wrong::InTheWorld(Mutant::FuaIsIgnoredAtTheTarget),
        Wrong::InTheWorld(Mutant::CopiesAreLost),
        Wrong::InTheWorld(Mutant::ChangesAloneAreNotLogged),
    ] {
        let found = (0..3_000).any(|seed| history(seed, wrong).is_err());
        assert!(found, "{wrong:?} wasn't noticed");
    }
}
