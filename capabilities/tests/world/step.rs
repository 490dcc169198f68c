//! What can happen in the world: hosts come, write and go, copies are asked for and modified, data arrives, things
//! fail. What is refused isn't done.

use proptest::prelude::*;
use tidelock_capabilities::facts::{AssociationKey, ElementId, ElementKind, Lock};
use tidelock_capabilities::machine::{
    After, Event, Modification, Outcome, Remains, Scope, State, Touches, Transition, modify,
    observe,
};
use tidelock_capabilities::values::{
    CopyState, LocalOrRemote, MethodName, Operation, ProgressStatus, ReplicationType, SyncType,
};
use tidelock_capabilities::{AccessPoint, Creation, Reference, admit};

use crate::model::{Content, Flow, Link, World};

/// One thing that happens. Places are taken modulo what there is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Host(usize),
    Write(usize),
    Lock(usize),
    Create(SyncType, usize, Option<usize>),
    Modify(usize, Operation, bool),
    /// One of the operations that would be accepted.
    Accepted(usize, usize, bool),
    /// What is being done is completed.
    Complete(usize),
    Fail(usize),
    Recover(usize),
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let at = || 0..24_usize;
    let operation = prop::sample::select(Operation::ALL.to_vec());
    let sync_type = prop::sample::select(SyncType::ALL.to_vec());
    prop_oneof![
        2 => at().prop_map(Step::Host),
        2 => at().prop_map(Step::Write),
        1 => at().prop_map(Step::Lock),
        2 => (at(), at()).prop_map(|(source, target)| {
            Step::Create(SyncType::Mirror, source, Some(target))
        }),
        2 => (sync_type, at(), prop::option::of(at()))
            .prop_map(|(sync_type, source, target)| Step::Create(sync_type, source, target)),
        6 => (at(), at(), prop::bool::weighted(0.15))
            .prop_map(|(link, which, force)| Step::Accepted(link, which, force)),
        4 => (at(), operation, prop::bool::weighted(0.15))
            .prop_map(|(link, operation, force)| Step::Modify(link, operation, force)),
        6 => at().prop_map(Step::Complete),
        1 => at().prop_map(Step::Fail),
        1 => at().prop_map(Step::Recover),
    ]
}

/// How much was really done, so that a test of nothing would be noticed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    created: [u32; 3],
    refused: u32,
    modified: std::collections::BTreeMap<Operation, u32>,
}

impl Done {
    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, it) in self.created.iter_mut().zip(other.created) {
            *sum += it;
        }
        self.refused += other.refused;
        for (operation, count) in &other.modified {
            *self.modified.entry(*operation).or_default() += count;
        }
    }

    pub(crate) fn is_enough(&self) {
        assert!(self.created.iter().all(|it| *it > 50), "{self:?}");
        assert!(self.refused > 50, "{self:?}");
        // All but the two of modes, the two resets to other modes, and what only groups have.
        assert!(self.modified.len() >= 17, "{self:?}");
    }
}

impl Step {
    pub(crate) fn apply(self, world: &mut World) {
        world.before = world
            .volumes
            .values()
            .filter(|volume| volume.used)
            .map(|volume| (volume.id, volume.content))
            .collect();
        match self {
            Self::Host(at) => host(world, at),
            Self::Write(at) => write(world, at),
            Self::Lock(at) => {
                let id = volume(world, at);
                let lock = &mut world.volumes.get_mut(&id).unwrap().lock;
                *lock = match lock {
                    None => Some(Lock::Resizing),
                    Some(_) => None,
                };
            }
            Self::Create(sync_type, source, target) => create(world, sync_type, source, target),
            Self::Modify(at, operation, force) => modify_link(world, at, operation, force),
            Self::Accepted(at, which, force) => accepted(world, at, which, force),
            Self::Complete(at) => complete(world, at),
            Self::Fail(at) => fail(world, at),
            Self::Recover(at) => event(world, at, Event::Recovered),
        }
        // Hosts go away from what is closed to them.
        let closed: Vec<_> = world
            .volumes
            .keys()
            .copied()
            .filter(|id| !world.is_open(*id))
            .collect();
        for id in closed {
            world.volumes.get_mut(&id).unwrap().used = false;
        }
    }
}

fn volume(world: &World, at: usize) -> ElementId {
    let place = at % world.volumes.len();
    *world.volumes.keys().nth(place).unwrap()
}

fn host(world: &mut World, at: usize) {
    let id = volume(world, at);
    let may_come = world.is_open(id);
    let it = world.volumes.get_mut(&id).unwrap();
    it.used = !it.used && may_come;
}

/// A host writes: the volume holds something new, and so does what mirrors it at once.
fn write(world: &mut World, at: usize) {
    let id = volume(world, at);
    if !world.volumes[&id].used {
        return;
    }
    let content = world.fresh();
    world.set(id, content);
    world.before.remove(&id);
    for at in 0..world.links.len() {
        let link = world.links[at].clone();
        let follows = link.built.sync_type() == SyncType::Mirror
            && link.copy_state == CopyState::Synchronized
            && link.flow == Flow::None;
        if link.key.system_element == id && follows {
            world.set(link.key.synced_element, content);
        }
        if link.key.synced_element == id {
            event(world, at, Event::TargetWritten);
        }
    }
}

fn create(world: &mut World, sync_type: SyncType, source: usize, target: Option<usize>) {
    let source = volume(world, source);
    let target = target.map(|at| volume(world, at));
    let creation = Creation {
        method: MethodName::CreateElementReplica,
        sync_type,
        mode: None,
        source: Reference::Element(source),
        target: target.map_or(Reference::Null, Reference::Element),
        access_point: AccessPoint::Null,
    };
    let Ok(admitted) = world.with(|facts| admit(&creation, facts)) else {
        world.done.refused += 1;
        return;
    };
    world.done.created[usize::from(sync_type.value() - 6)] += 1;
    let content = world.content(source);
    assert!(content != Content::Torn, "a copy of no image: {creation:?}");
    let size_bytes = world.volumes[&source].size_bytes;
    let is_snapshot = sync_type == SyncType::Snapshot;
    let target = target.unwrap_or_else(|| {
        let kind = if is_snapshot {
            ElementKind::Snapshot
        } else {
            ElementKind::Volume
        };
        world.make(kind, size_bytes, Some(content))
    });
    assert!(world.volumes[&target].size_bytes >= size_bytes);
    assert!(!world.volumes[&target].used, "overwritten under a host");
    let mut link = Link {
        key: AssociationKey {
            system_element: source,
            synced_element: target,
        },
        built: admitted.replication_type,
        copy_state: CopyState::Synchronized,
        progress_status: ProgressStatus::Completed,
        flow: Flow::None,
        point: content,
        then: None,
    };
    if !is_snapshot {
        world.set(target, Content::Torn);
        link.copy_state = CopyState::Unsynchronized;
        link.progress_status = ProgressStatus::Synchronizing;
        link.flow = Flow::ToTarget;
    }
    world.links.push(link);
}

fn modify_link(world: &mut World, at: usize, operation: Operation, force: bool) {
    if world.links.is_empty() {
        return;
    }
    let at = at % world.links.len();
    let modification = Modification {
        operation,
        synchronization: world.links[at].key,
        force,
    };
    let Ok(transition) = world.with(|facts| modify(&modification, facts)) else {
        return;
    };
    *world.done.modified.entry(operation).or_default() += 1;
    if force && transition.row.outcome == Outcome::Restores {
        // Somebody answers for the hosts: they are kept away, and told when they may come back.
        let source = world.links[at].key.system_element;
        world.volumes.get_mut(&source).unwrap().used = false;
        world.before.remove(&source);
    }
    begin(world, at, operation, &transition, force);
}

fn accepted(world: &mut World, at: usize, which: usize, force: bool) {
    if world.links.is_empty() {
        return;
    }
    let synchronization = world.links[at % world.links.len()].key;
    let is_accepted = |operation: &Operation| {
        let modification = Modification {
            operation: *operation,
            synchronization,
            force,
        };
        // Ends come in all histories as it is.
        let ends = matches!(
            operation,
            Operation::Detach | Operation::Dissolve | Operation::ReturnToResourcePool
        );
        !ends && world.with(|facts| modify(&modification, facts)).is_ok()
    };
    let all: Vec<_> = Operation::ALL.iter().copied().filter(is_accepted).collect();
    if !all.is_empty() {
        modify_link(world, at, all[which % all.len()], force);
    }
}

/// Begins an operation that was admitted. What moves data is completed later; the rest is done at once.
fn begin(world: &mut World, at: usize, operation: Operation, done: &Transition, force: bool) {
    let key = world.links[at].key;
    let (source, target) = (key.system_element, key.synced_element);
    let is_torn = |world: &World, id| world.content(id) == Content::Torn;
    let flow = match (done.row.outcome, done.row.touches) {
        (Outcome::Restores, _) | (Outcome::Flows, Touches::Source) => Flow::ToSource,
        (Outcome::Flows, _) => Flow::ToTarget,
        _ => Flow::None,
    };
    match flow {
        Flow::ToSource => {
            assert!(force || !is_torn(world, target), "{operation} of no image");
            rely_on(world, target);
            world.set(source, Content::Torn);
            world.volumes.get_mut(&source).unwrap().half_restored = true;
            for other in 0..world.links.len() {
                if world.links[other].key.synced_element == source {
                    event(world, other, Event::TargetWritten);
                }
            }
        }
        Flow::ToTarget => {
            assert!(force || !is_torn(world, source), "{operation} of no image");
            rely_on(world, source);
            // Another point in time, or the same one again.
            if operation == Operation::ResyncReplica {
                world.links[at].point = world.content(source);
            }
            world.set(target, Content::Torn);
        }
        Flow::None => (),
    }
    if operation == Operation::Failover {
        assert!(force || !is_torn(world, target), "failover to no image");
        rely_on(world, target);
    }
    let link = &mut world.links[at];
    match (flow, done.during) {
        (Flow::None, _) | (_, None) => {
            link.flow = Flow::None;
            after(world, at, done.after, force);
        }
        (_, Some(during)) => {
            enter(link, during);
            link.flow = flow;
            link.then = Some(done.after);
        }
    }
}

fn enter(link: &mut Link, state: State) {
    link.copy_state = state.copy_state;
    link.progress_status = state.progress_status;
}

/// The association is what the machine says it is.
fn after(world: &mut World, at: usize, after: After, force: bool) {
    let key = world.links[at].key;
    match after {
        After::Rests(state) => enter(&mut world.links[at], state),
        After::Reversed(state) => {
            let torn = world.content(key.synced_element) == Content::Torn;
            assert!(force || !torn, "roles reversed to no image");
            rely_on(world, key.synced_element);
            let link = &mut world.links[at];
            link.key = AssociationKey {
                system_element: key.synced_element,
                synced_element: key.system_element,
            };
            enter(link, state);
            if state.copy_state == CopyState::Unsynchronized {
                link.flow = Flow::ToTarget;
                world.set(key.system_element, Content::Torn);
            }
        }
        After::Gone(remains) => {
            let link = world.links.remove(at);
            let target = link.key.synced_element;
            if remains == Remains::Nothing {
                world.volumes.remove(&target);
            } else {
                // It is on its own, and what it holds is what its owner makes of it.
                rely_on(world, target);
                world.volumes.get_mut(&target).unwrap().kind = ElementKind::Volume;
            }
            own(world, link.key.system_element);
        }
        After::InMode(_) | After::Unchanged => (),
    }
}

/// A source that was left half restored is on its own once nothing speaks of it any more.
fn own(world: &mut World, id: ElementId) {
    let is_spoken_of = world.links.iter().any(|it| it.key.system_element == id);
    if !is_spoken_of && world.volumes.contains_key(&id) {
        rely_on(world, id);
    }
}

/// What a volume holds is what counts from now on, even if it is no image of any moment.
fn rely_on(world: &mut World, id: ElementId) {
    if world.content(id) == Content::Torn {
        let content = world.fresh();
        world.set(id, content);
        world.before.remove(&id);
    }
}

/// All data of an association has arrived.
fn complete(world: &mut World, at: usize) {
    if world.links.is_empty() {
        return;
    }
    let at = at % world.links.len();
    let link = world.links[at].clone();
    let (source, target) = (link.key.system_element, link.key.synced_element);
    match link.flow {
        Flow::None => return,
        Flow::ToSource => world.set(source, world.content(target)),
        Flow::ToTarget if link.built.sync_type() == SyncType::Mirror => {
            world.set(target, world.content(source));
        }
        Flow::ToTarget => world.set(target, link.point),
    }
    world.links[at].flow = Flow::None;
    match world.links[at].then.take() {
        Some(then) => after(world, at, then, true),
        None => event(world, at, Event::Copied),
    }
}

/// Something breaks. Data that was flowing stays where it has come to.
fn fail(world: &mut World, at: usize) {
    if world.links.is_empty() {
        return;
    }
    let at = at % world.links.len();
    let link = &mut world.links[at];
    let is_restore = link.progress_status == ProgressStatus::Restoring;
    link.flow = Flow::None;
    link.then = None;
    let what = if is_restore {
        Event::RestoreFailed
    } else {
        Event::Failed
    };
    event(world, at, what);
}

fn event(world: &mut World, at: usize, event: Event) {
    if world.links.is_empty() {
        return;
    }
    let at = at % world.links.len();
    let link = world.links[at].clone();
    let (sync_type, mode, _) = link.built.parts();
    let replication_type = ReplicationType::of(sync_type, mode, LocalOrRemote::Local);
    let association = world.association(&link);
    let built = world.built.of(replication_type).unwrap();
    let Some(next) = observe(event, &association, Scope::Element, built) else {
        return;
    };
    after(world, at, next, true);
    if event == Event::Recovered && world.links[at].copy_state == CopyState::Unsynchronized {
        world.links[at].flow = Flow::ToTarget;
    }
}
