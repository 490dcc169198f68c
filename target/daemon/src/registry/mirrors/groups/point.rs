//! One instant for several mirrors whose sources are here: what is done with all of them while hosts' writes wait, so that a
//! target never has a write without those that were answered before it began.
//!
//! Where hosts wait for targets, these have all that was answered when nothing is under way. Where they don't, a cut of each source
//! is taken while nothing is under way, and it is waited for that all targets have theirs; no other one is made meanwhile.
//! What is wanted becomes durable for all of them at once, so a crash leaves all as they were or all as they are to be: what the
//! targets have is one instant either way, as nothing was sent since.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tidelock_capabilities::machine::Transition;
use tidelock_capabilities::values::{CopyState, Operation};
use tidelock_catalog::{Change, Command};
use tidelock_mirror::id::GenerationId;

use super::super::facts::SIDES;
use super::super::operations::{PATIENCE, refuse, wait};
use super::super::pause::Pause;
use super::super::remote::admit;
use super::super::{ChangeError, Registry, Running};
use super::{Member, Role, half_done, holds};
use crate::mirrors::end::End;
use crate::mirrors::state::State;
use crate::registry::changes::run_blocking;

/// How long hosts wait at most for sources that change places with their targets, or for cuts to be begun.
const MOMENT: Duration = Duration::from_secs(5);

/// From one look at cuts to the next.
const LOOK: Duration = Duration::from_millis(2);

/// Cuts that were taken at one instant, and are the last ones for now.
struct Cuts(Vec<Cut>);

struct Cut {
    end: End,
    /// The one that the target had before.
    before: Option<GenerationId>,
    taken: Option<GenerationId>,
}

impl Cut {
    /// The target has it, and isn't getting another one, which somebody else may have asked for.
    fn is_held(&self) -> bool {
        let cuts = self.end.cuts();
        cuts.is_some_and(|it| it.sent.is_none() && it.held.is_some() && it.held == self.taken)
    }

    /// Notes which one it is. The target may have it before anybody has seen that it was sent.
    fn look_for_taken(&mut self) {
        if let (None, Some(cuts)) = (self.taken, self.end.cuts()) {
            let held = cuts.held.filter(|_| cuts.held != self.before);
            self.taken = cuts.sent.or(held);
        }
    }

    fn is_sending(&self) -> bool {
        self.end.cuts().is_some_and(|it| it.sent.is_some())
    }
}

impl Drop for Cuts {
    fn drop(&mut self) {
        for cut in &self.0 {
            cut.end.stop_cuts(false);
        }
    }
}

impl Registry {
    /// Does an operation of which the ends here decide, with all mirrors at one instant.
    pub(super) async fn operate_at_once(
        self: &Arc<Self>,
        members: &[Member],
        operation: Operation,
        force: bool,
    ) -> Result<Vec<Change>, ChangeError> {
        let holds = holds(operation);
        let is_synchronized = |it: &Member| it.copy_state() == CopyState::Synchronized;
        let were_equal = members.iter().all(is_synchronized);
        let cuts = match holds {
            true => self.cut_together(members).await?,
            false => None,
        };
        let writer = self.writer.lock().await;
        if operation == Operation::Failback {
            for member in members {
                let (mirrors, running) = (Arc::clone(&self.mirrors), Arc::clone(&member.running));
                run_blocking(move || mirrors.ends().and_then(|ends| running.reattach(ends)))
                    .await?
                    .map_err(|reason| member.error(ChangeError::Mirror(reason)))?;
            }
        }
        let wait_for_targets = |it: &Member| !it.running.look(State::is_asynchronous);
        let pause = match members.iter().all(wait_for_targets) {
            true => Some(Pause::begin(self.sources_of(members)).await?),
            false => None,
        };
        // Others may have changed something since it was admitted.
        let mut steps = Vec::with_capacity(members.len());
        for member in members {
            let step = self.admit_here(member, operation, force);
            steps.push(step.map_err(|error| member.error(error))?);
        }
        if holds {
            check_targets(members, were_equal, cuts.as_ref())?;
        }
        let words = members.iter().map(|member| {
            let (source, rest) = member.running.look(|state| state.words(operation));
            Command::SetMirror {
                mirror: member.record.id,
                source,
                rest,
            }
        });
        let (catalog, changes) = self.save_all(&writer, words).await?;
        self.install(catalog, &changes, None);
        for (member, step) in members.iter().zip(&steps) {
            let running = &member.running;
            let waits = running.look(State::waits);
            running.change(|state| state.begin(operation, step));
            if waits && operation == Operation::Fracture {
                running.change(State::go_on_alone);
            }
            crate::steps::reached(&self.mirrors.folder_of(running.id()));
        }
        drop(writer);
        if !holds && pause.is_some() {
            let done = members
                .iter()
                .map(|it| it.running.until(MOMENT, |state| !state.is_pending()));
            join_all(done).await;
        }
        drop((pause, cuts));
        self.wait_for_all(members, operation).await?;
        Ok(changes)
    }

    /// Waits until all have done what was begun with them, and their peers know it.
    async fn wait_for_all(
        self: &Arc<Self>,
        members: &[Member],
        operation: Operation,
    ) -> Result<(), ChangeError> {
        let waited = join_all(members.iter().map(|it| wait(&it.running))).await;
        join_all(members.iter().map(|it| self.tell_words_soon(it.record.id))).await;
        let (mut done, mut left, mut failed) = (Vec::new(), Vec::new(), None);
        for (member, waited) in members.iter().zip(waited) {
            match waited {
                Ok(()) => done.push(member.name()),
                Err(error) => {
                    left.push(member.name());
                    failed.get_or_insert_with(|| member.error(error));
                }
            }
        }
        match failed {
            None => Ok(()),
            Some(error) => Err(half_done((&done, &left), operation, error)),
        }
    }

    /// The volumes that hosts write.
    fn sources_of(&self, members: &[Member]) -> Vec<Arc<tidelock_replication::Volume>> {
        members.iter().filter_map(|it| it.source(self)).collect()
    }

    /// What an operation does to a mirror of which the end here decides, if it may be begun now.
    fn admit_here(
        &self,
        member: &Member,
        operation: Operation,
        force: bool,
    ) -> Result<Transition, ChangeError> {
        let running = &member.running;
        let record = running.look(|state| state.record().clone());
        if record.remote().is_none() {
            return self.admit_change(&record, running, &member.change(operation, force));
        }
        match self.admit_at_source(&record, running, operation, force)? {
            None => admit(running, operation, force),
            Some(_) => Err(refuse(
                "it isn't the source any more: try again, and whoever is will do it".into(),
            )),
        }
    }

    /// Takes a cut of each source, all at one instant, and waits until the targets have them. `None`: hosts wait for the
    /// targets, or these aren't equal to their sources, so there is no moment that they could be of.
    async fn cut_together(&self, members: &[Member]) -> Result<Option<Cuts>, ChangeError> {
        let late: Vec<_> = members
            .iter()
            .filter(|it| it.running.look(State::is_asynchronous))
            .collect();
        let is_synchronized = |it: &Member| it.copy_state() == CopyState::Synchronized;
        if late.is_empty() || !members.iter().all(is_synchronized) {
            return Ok(None);
        }
        if let Some(other) = members
            .iter()
            .find(|it| !it.running.look(State::is_asynchronous))
        {
            return Err(refuse(format!(
                "hosts wait for the target of volume {} and not for that of volume {}, so the two are never of one moment: let \
                 the mirrors of the group be all synchronous or all asynchronous (`tidelock mirror reset-to-sync`, \
                 `reset-to-async`)",
                other.volume,
                late.first().map_or("another one", |it| it.volume.as_str())
            )));
        }
        let mut cuts = Cuts(Vec::with_capacity(members.len()));
        for member in members {
            let end = source_end(&member.running);
            let end = end.ok_or_else(|| member.error(refuse("its source isn't open".into())))?;
            end.stop_cuts(true);
            cuts.0.push(Cut {
                end,
                before: None,
                taken: None,
            });
        }
        // Those that are under way come first.
        let parted = || members.iter().any(Member::is_parted);
        until(PATIENCE, || parted() || !cuts.0.iter().any(Cut::is_sending)).await;
        let pause = Pause::begin(self.sources_of(members)).await?;
        for (cut, member) in cuts.0.iter_mut().zip(members) {
            if cut.is_sending() {
                return Err(member.error(too_slow()));
            }
            cut.before = cut.end.cuts().and_then(|it| it.held);
            cut.end.cut_now();
            crate::steps::reached(&self.mirrors.folder_of(member.running.id()));
        }
        // Mostly it is so at once. What is written from then on isn't in them.
        let mut all_taken = || {
            cuts.0.iter_mut().for_each(Cut::look_for_taken);
            cuts.0.iter().all(|it| it.taken.is_some())
        };
        until(MOMENT, || parted() || all_taken()).await;
        // What was begun later, if it has taken longer than hosts wait, isn't of that moment.
        let all_taken = all_taken();
        drop(pause);
        let all_held = || cuts.0.iter().all(Cut::is_held);
        if all_taken {
            until(PATIENCE, || parted() || all_held()).await;
        }
        match cuts.0.iter().zip(members).find(|(it, _)| !it.is_held()) {
            None => Ok(Some(cuts)),
            Some((_, member)) => Err(match members.iter().find(|it| it.is_parted()) {
                Some(parted) => parted.error(lost()),
                None => member.error(too_slow()),
            }),
        }
    }
}

/// The end of the source, if it is here.
fn source_end(running: &Running) -> Option<End> {
    let is_source = |side: &_| running.look(|state| state.role(*side)) == Some(Role::Source);
    running.end(SIDES.into_iter().find(is_source)?)
}

/// Whether the targets have what they are about to stay with, of which an operator was told that it is of one moment if all were
/// equal to their sources. What is shown may be a little behind what the ends know.
fn check_targets(
    members: &[Member],
    were_equal: bool,
    cuts: Option<&Cuts>,
) -> Result<(), ChangeError> {
    for (place, member) in members.iter().enumerate() {
        let has_all = match cuts {
            Some(cuts) => cuts.0.get(place).is_some_and(Cut::is_held),
            None if member.copy_state() != CopyState::Synchronized => !were_equal,
            // It is never said of its source that anybody has all of it.
            None if member.running.look(State::is_asynchronous) => true,
            None => source_end(&member.running).is_some_and(|end| !end.facts().is_alone),
        };
        if !has_all {
            return Err(member.error(lost()));
        }
    }
    Ok(())
}

fn lost() -> ChangeError {
    refuse(
        "its target has just been lost, and hasn't got everything, so nothing was changed: try again when `tidelock mirror show` \
         says that it is Synchronized"
            .into(),
    )
}

fn too_slow() -> ChangeError {
    refuse(format!(
        "its target hasn't got what was written within {} s, so nothing was changed: try again when less is written",
        PATIENCE.as_secs()
    ))
}

/// Waits until it is so, but not for longer than that.
async fn until(within: Duration, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !is_so() && Instant::now() < deadline {
        tokio::time::sleep(LOOK).await;
    }
}
