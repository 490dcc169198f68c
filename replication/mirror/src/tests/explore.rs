//! All that can happen, in every order, to ends that have few faults and few commands to spend.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::setup::{Mutant, Setup, Step};
use super::world::{World, id};
use crate::association::OnFailure;
use crate::generation::{Role, Standing};

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Spend {
    writes: u32,
    /// Durable ones.
    durable: u32,
    flushes: u32,
    crashes: u32,
    cuts: u32,
    connects: u32,
    timeouts: u32,
    promotions: u32,
    handovers: u32,
    cuts_due: u32,
}

fn setup(nodes: usize) -> Setup {
    Setup {
        nodes,
        regions: 1,
        blocks_per_region: 1,
        instant: true,
        alone_after_restart: true,
        asks_before_alone: false,
        keeps_snapshots: true,
        on_failure: OnFailure::Continue,
        hot_max: 8,
        hot_kept: 0,
        window: 1 << 20,
        asynchronous: vec![false; nodes],
        mutant: None,
    }
}

/// All ends in step.
fn settled(setup: Setup) -> World {
    let mut world = World::new(setup);
    for to in 1..world.nodes.len() {
        world.step(&Step::Connect(0, to));
        settle(&mut world);
    }
    for to in 1..world.nodes.len() {
        let engine = world.engine(0).expect("it is up");
        assert_eq!(*engine.keeper().standing(id(to)), Standing::InStep);
    }
    world
}

fn settle(world: &mut World) {
    while let Some(step) = world.progress().first() {
        world.step(step);
    }
}

/// What can happen, with what is left to spend afterwards.
fn steps(world: &World, left: Spend) -> Vec<(Step, Spend)> {
    let mut steps: Vec<(Step, Spend)> = Vec::new();
    steps.extend(world.progress().into_iter().map(|it| (it, left)));
    steps.extend(world.half_open().into_iter().map(|it| (it, left)));
    let nodes = 0..world.nodes.len();
    let serving = |node: usize| world.engine(node).is_some_and(|it| it.is_serving());
    for node in nodes.clone() {
        if serving(node) {
            writes(node, left, &mut steps);
        }
        if world.is_up(node) && left.crashes > 0 {
            let left = Spend {
                crashes: left.crashes - 1,
                ..left
            };
            steps.push((Step::Crash { node, keeps: 0 }, left));
            steps.push((
                Step::Crash {
                    node,
                    keeps: u64::MAX,
                },
                left,
            ));
        }
        if !world.is_up(node) {
            steps.push((Step::Restart(node), left));
        }
        if world.nodes[node].timer && left.timeouts > 0 {
            steps.push((
                Step::TimeOut(node),
                Spend {
                    timeouts: left.timeouts - 1,
                    ..left
                },
            ));
        }
        let is_target = |it: &crate::association::Engine| it.keeper().record().role == Role::Target;
        if left.promotions > 0 && world.engine(node).is_some_and(is_target) {
            let left = Spend {
                promotions: left.promotions - 1,
                ..left
            };
            steps.push((Step::Promote(node), left));
        }
        handovers(world, node, left, &mut steps);
        cuts(world, node, left, &mut steps);
    }
    if left.connects > 0 {
        let less = Spend {
            connects: left.connects - 1,
            ..left
        };
        steps.extend(world.connections().into_iter().map(|it| (it, less)));
    }
    if left.cuts > 0 {
        let less = Spend {
            cuts: left.cuts - 1,
            ..left
        };
        for ((a, b), link) in &world.links {
            if link.up == [true, true] {
                steps.push((Step::Cut { node: *a, from: *b }, less));
                steps.push((Step::Cut { node: *b, from: *a }, less));
            }
        }
    }
    steps
}

fn handovers(world: &World, node: usize, left: Spend, steps: &mut Vec<(Step, Spend)>) {
    let nodes = 0..world.nodes.len();
    for to in nodes.filter(|to| *to != node) {
        let in_step =
            |it: &crate::association::Engine| *it.keeper().standing(id(to)) == Standing::InStep;
        let idle =
            |it: &crate::association::Engine| *it.keeper().standing(id(to)) == Standing::Idle;
        let less = Spend {
            handovers: left.handovers.saturating_sub(1),
            ..left
        };
        if left.handovers > 0 && world.engine(node).is_some_and(in_step) {
            steps.push((Step::HandOver { from: node, to }, less));
        }
        if left.handovers > 0 && world.engine(node).is_some_and(idle) {
            steps.push((Step::TakeOver { node, from: to }, less));
        }
    }
}

fn cuts(world: &World, node: usize, left: Spend, steps: &mut Vec<(Step, Spend)>) {
    let serves = world
        .engine(node)
        .is_some_and(crate::association::Engine::is_serving);
    if left.cuts_due == 0 || !serves {
        return;
    }
    let less = Spend {
        cuts_due: left.cuts_due - 1,
        ..left
    };
    let targets = (0..world.nodes.len()).filter(|it| *it != node && world.setup.asynchronous[*it]);
    steps.extend(targets.map(|to| (Step::CutDue { node, to }, less)));
}

fn writes(node: usize, left: Spend, steps: &mut Vec<(Step, Spend)>) {
    let write = |durable| Step::Write {
        node,
        block: 0,
        blocks: 1,
        durable,
    };
    if left.writes > 0 {
        steps.push((
            write(false),
            Spend {
                writes: left.writes - 1,
                ..left
            },
        ));
    }
    if left.durable > 0 {
        steps.push((
            write(true),
            Spend {
                durable: left.durable - 1,
                ..left
            },
        ));
    }
    if left.flushes > 0 {
        steps.push((
            Step::Flush(node),
            Spend {
                flushes: left.flushes - 1,
                ..left
            },
        ));
    }
}

/// What was found.
struct Explored {
    states: usize,
    /// All of them were seen.
    complete: bool,
    acknowledged: u32,
    split_brains: u32,
    wrong: Option<(String, Vec<Step>)>,
}

/// Walks all states that can be reached, at most so many.
fn explore(start: World, spend: Spend, states_max: usize) -> Explored {
    let mut seen: HashSet<u64> = HashSet::new();
    let mut trail: Vec<(usize, Option<Step>)> = vec![(0, None)];
    let mut stack = vec![(start, spend, 0)];
    let mut explored = Explored {
        states: 0,
        complete: true,
        acknowledged: 0,
        split_brains: 0,
        wrong: None,
    };
    while let Some((world, left, at)) = stack.pop() {
        for (step, left) in steps(&world, left) {
            let mut next = world.clone();
            next.step(&step);
            let mut hasher = DefaultHasher::new();
            (&next, left).hash(&mut hasher);
            if !seen.insert(hasher.finish()) {
                continue;
            }
            trail.push((at, Some(step)));
            explored.states += 1;
            explored.acknowledged = explored.acknowledged.max(next.acknowledged);
            let split_brains = next.nodes.iter().map(|it| it.split_brains).sum();
            explored.split_brains = explored.split_brains.max(split_brains);
            if let Some(wrong) = &next.wrong {
                explored.wrong = Some((wrong.clone(), path(&trail, trail.len() - 1)));
                return explored;
            }
            if explored.states >= states_max {
                explored.complete = false;
                return explored;
            }
            stack.push((next, left, trail.len() - 1));
        }
    }
    explored
}

fn path(trail: &[(usize, Option<Step>)], mut at: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    while let (before, Some(step)) = &trail[at] {
        steps.push(step.clone());
        at = *before;
    }
    steps.reverse();
    steps
}

#[track_caller]
fn walk(world: World, spend: Spend, states_max: usize) -> Explored {
    let explored = explore(world, spend, states_max);
    eprintln!(
        "{} states, all of them: {}",
        explored.states, explored.complete
    );
    if let Some((wrong, steps)) = &explored.wrong {
        let steps: Vec<String> = steps.iter().map(|it| format!("    {it:?}")).collect();
        panic!("{wrong}\n{}", steps.join("\n"));
    }
    explored
}

/// It holds in all states that can be reached.
#[track_caller]
fn holds(world: World, spend: Spend, states_max: usize) -> Explored {
    let explored = walk(world, spend, states_max);
    assert!(
        explored.complete,
        "{} states and more: spend less",
        explored.states
    );
    explored
}

const NONE: Spend = Spend {
    writes: 0,
    durable: 0,
    flushes: 0,
    crashes: 0,
    cuts: 0,
    connects: 0,
    timeouts: 0,
    promotions: 0,
    handovers: 0,
    cuts_due: 0,
};

#[test]
fn two_ends_with_a_cut_and_a_promotion() {
    let spend = Spend {
        writes: 2,
        cuts: 1,
        connects: 1,
        timeouts: 1,
        promotions: 1,
        ..NONE
    };
    let explored = holds(settled(setup(2)), spend, 2_000_000);
    assert!(
        explored.split_brains > 0,
        "both can go on alone, so it has to be seen"
    );
    assert!(explored.acknowledged == 2);
}

#[test]
fn two_ends_with_a_crash() {
    let spend = Spend {
        writes: 1,
        flushes: 1,
        crashes: 1,
        connects: 1,
        timeouts: 1,
        ..NONE
    };
    holds(settled(setup(2)), spend, 2_000_000);
}

#[test]
fn two_ends_with_a_crash_a_cut_and_a_promotion() {
    let spend = Spend {
        durable: 1,
        crashes: 1,
        cuts: 1,
        connects: 2,
        timeouts: 1,
        promotions: 1,
        ..NONE
    };
    holds(settled(setup(2)), spend, 2_000_000);
}

#[test]
fn two_ends_that_are_both_crashed() {
    let spend = Spend {
        durable: 1,
        crashes: 2,
        connects: 2,
        timeouts: 1,
        ..NONE
    };
    holds(settled(setup(2)), spend, 2_000_000);
}

#[test]
fn two_ends_that_hand_over() {
    let spend = Spend {
        writes: 2,
        handovers: 2,
        cuts: 1,
        connects: 1,
        promotions: 1,
        ..NONE
    };
    holds(settled(setup(2)), spend, 2_000_000);
}

#[test]
fn two_ends_that_hand_over_and_crash() {
    let spend = Spend {
        writes: 1,
        flushes: 1,
        handovers: 1,
        crashes: 1,
        connects: 1,
        promotions: 1,
        ..NONE
    };
    holds(settled(setup(2)), spend, 2_000_000);
}

#[test]
fn two_ends_without_snapshots() {
    let spend = Spend {
        durable: 1,
        crashes: 1,
        cuts: 1,
        connects: 2,
        timeouts: 1,
        ..NONE
    };
    let setup = Setup {
        keeps_snapshots: false,
        ..setup(2)
    };
    holds(settled(setup), spend, 2_000_000);
}

#[test]
fn two_ends_that_stop_hosts() {
    let spend = Spend {
        writes: 2,
        crashes: 1,
        cuts: 1,
        connects: 1,
        timeouts: 1,
        ..NONE
    };
    let setup = Setup {
        on_failure: OnFailure::Halt,
        ..setup(2)
    };
    let explored = holds(settled(setup), spend, 2_000_000);
    assert_eq!(explored.split_brains, 0, "nobody goes on alone");
}

#[test]
fn three_ends_with_a_cut_and_a_promotion() {
    let spend = Spend {
        durable: 1,
        cuts: 1,
        connects: 1,
        timeouts: 1,
        promotions: 1,
        ..NONE
    };
    holds(settled(setup(3)), spend, 2_000_000);
}

#[test]
fn three_ends_with_a_crash() {
    let spend = Spend {
        durable: 1,
        crashes: 1,
        timeouts: 1,
        ..NONE
    };
    holds(settled(setup(3)), spend, 2_000_000);
}

#[test]
fn three_ends_that_hand_over() {
    let spend = Spend {
        writes: 1,
        handovers: 1,
        connects: 1,
        ..NONE
    };
    holds(settled(setup(3)), spend, 2_000_000);
}

/// The second end asynchronous, with a first cut.
fn asynchronous() -> World {
    let setup = Setup {
        asynchronous: vec![false, true],
        ..setup(2)
    };
    let mut world = World::new(setup);
    world.step(&Step::Connect(0, 1));
    settle(&mut world);
    world.step(&Step::CutDue { node: 0, to: 1 });
    settle(&mut world);
    assert_eq!(world.cuts_confirmed, 1);
    world
}

#[test]
fn an_asynchronous_end_has_whole_cuts() {
    let spend = Spend {
        writes: 1,
        cuts_due: 2,
        cuts: 1,
        crashes: 1,
        connects: 1,
        promotions: 1,
        ..NONE
    };
    let explored = holds(asynchronous(), spend, 2_000_000);
    assert!(
        explored.split_brains > 0,
        "what isn't in the cut is changed at one end only"
    );
}

/// More of everything, which takes minutes: `TIDELOCK_STATES` says how many states are enough.
#[test]
fn as_far_as_it_is_asked_for() {
    let states_max =
        std::env::var("TIDELOCK_STATES").map_or(50_000, |it| it.parse().expect("a number"));
    let deep = Spend {
        writes: 1,
        durable: 1,
        crashes: 1,
        cuts: 1,
        connects: 2,
        timeouts: 1,
        promotions: 1,
        ..NONE
    };
    walk(settled(setup(2)), deep, states_max);
    let wide = Spend {
        writes: 1,
        durable: 1,
        crashes: 1,
        cuts: 1,
        connects: 2,
        timeouts: 1,
        promotions: 1,
        handovers: 1,
        ..NONE
    };
    walk(settled(setup(3)), wide, states_max);
}

// --- What is wrong has to be found.

#[track_caller]
fn is_found(mutant: Mutant, nodes: usize, spend: Spend) {
    let mut world = settled(setup(nodes));
    world.setup.mutant = Some(mutant);
    let explored = explore(world, spend, 2_000_000);
    let states = explored.states;
    let Some((wrong, steps)) = explored.wrong else {
        panic!("{mutant:?} wasn't found in {states} states");
    };
    eprintln!(
        "{mutant:?} after {states} states, in {} steps: {wrong}",
        steps.len()
    );
}

const CRASH: Spend = Spend {
    durable: 1,
    crashes: 1,
    connects: 1,
    timeouts: 1,
    ..NONE
};
const CUT: Spend = Spend {
    writes: 1,
    cuts: 1,
    connects: 1,
    timeouts: 1,
    ..NONE
};

#[test]
fn a_journal_that_lies_is_found() {
    is_found(Mutant::JournalLies, 2, CRASH);
}

#[test]
fn a_journal_that_lies_about_a_cut_is_found() {
    let mut world = asynchronous();
    world.setup.mutant = Some(Mutant::JournalLies);
    let spend = Spend {
        writes: 1,
        cuts_due: 1,
        crashes: 1,
        connects: 1,
        ..NONE
    };
    assert!(explore(world, spend, 2_000_000).wrong.is_some());
}

#[test]
fn a_target_whose_flush_lies_is_found() {
    let spend = Spend {
        writes: 1,
        flushes: 1,
        crashes: 1,
        ..NONE
    };
    is_found(Mutant::TargetFlushLies, 2, spend);
}

#[test]
fn a_source_whose_flush_lies_is_found() {
    let spend = Spend {
        writes: 1,
        flushes: 1,
        crashes: 1,
        ..NONE
    };
    is_found(Mutant::SourceFlushLies, 2, spend);
}

#[test]
fn a_log_without_hot_regions_is_found() {
    is_found(Mutant::HeatIsNotLogged, 2, CRASH);
}

#[test]
fn changes_that_are_not_tracked_are_found() {
    let spend = Spend {
        writes: 2,
        flushes: 1,
        cuts: 1,
        crashes: 1,
        connects: 1,
        timeouts: 1,
        ..NONE
    };
    is_found(Mutant::ChangesAloneAreNotLogged, 2, spend);
}

#[test]
fn copies_that_are_lost_are_found() {
    is_found(Mutant::CopiesAreLost, 2, CUT);
}

#[test]
fn half_a_resync_that_is_not_taken_back_is_found() {
    let spend = Spend {
        writes: 1,
        cuts: 1,
        crashes: 1,
        connects: 2,
        timeouts: 1,
        promotions: 1,
        ..NONE
    };
    is_found(Mutant::RollBackDoesNothing, 2, spend);
}

#[test]
fn writes_that_are_answered_at_once_are_found() {
    is_found(Mutant::WritesAreAnsweredAtOnce, 2, CUT);
}

#[test]
fn going_on_in_the_same_generation_is_found() {
    let spend = Spend {
        durable: 1,
        cuts: 1,
        crashes: 1,
        connects: 1,
        timeouts: 1,
        promotions: 1,
        ..NONE
    };
    is_found(Mutant::GoesOnInTheSameGeneration, 2, spend);
}

#[test]
fn a_run_that_claims_to_be_the_same_is_found() {
    is_found(
        Mutant::ClaimsToBeTheSameRun,
        2,
        Spend { writes: 1, ..CRASH },
    );
}

#[test]
fn a_split_brain_that_is_resolved_silently_is_found() {
    let spend = Spend {
        durable: 1,
        cuts: 1,
        connects: 2,
        timeouts: 1,
        promotions: 1,
        ..NONE
    };
    is_found(Mutant::ResolvesSilently, 2, spend);
}

#[test]
fn a_confirmation_that_comes_too_early_is_found() {
    let spend = Spend {
        durable: 2,
        cuts: 1,
        connects: 1,
        timeouts: 1,
        crashes: 1,
        promotions: 1,
        ..NONE
    };
    is_found(Mutant::ConfirmsTooEarly, 2, spend);
}

#[test]
fn a_link_that_reorders_is_found() {
    is_found(Mutant::LinkReorders, 2, Spend { writes: 2, ..CUT });
}

#[test]
fn a_durable_write_that_is_not_is_found() {
    is_found(Mutant::FuaIsIgnoredAtTheTarget, 2, CRASH);
}
