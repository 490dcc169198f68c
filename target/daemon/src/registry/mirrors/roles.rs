//! Which of two daemons serves the hosts of a mirror: handed over by the one that does, taken by the other one if that is
//! gone, and chosen by an operator after both were written.
//!
//! The ends decide who the source is, by their generations; what is meant is kept in the catalog of the daemon that was
//! told, and the other one follows what the ends have agreed on.

use std::sync::Arc;
use std::time::Duration;

use tidelock_admin::v1::PeerState;
use tidelock_capabilities::values::Operation;
use tidelock_catalog::{
    Change, Elsewhere, Mirror, MirrorEnd, MirrorId, MirrorRest, MirrorSide, Peer,
};
use tidelock_mirror::generation::Role;

use super::asking::{Ask, Done};
use super::asynchronous::check_not_catching_up;
use super::automatic::check_handing_over;
use super::holding::no_answer;
use super::operations::{MirrorChange, PATIENCE, end_called, refuse, wait};
use super::remote::{admit, not_done};
use super::restoring::check_restoring;
use super::{ChangeError, EndName, Registry, Running};
use crate::mirrors::lease::Told;
use crate::mirrors::state::State;
use crate::peers::AskError;

/// How hosts are led to another end.
enum Serving {
    /// The peer hands over.
    AskForRoles,
    /// The end here hands over.
    HandOver,
    /// It takes over from one that doesn't hand over.
    Replace,
    /// It goes on without the other one, by the lease.
    GoOnByLease,
    /// It goes on without the other one.
    GoOnAlone,
    /// It takes over from one that had taken over from it.
    TakeOver,
}

/// How long ends that don't wait for each other may take to meet again.
const MEETING: Duration = Duration::from_secs(3);

impl Registry {
    /// Does an operation on a mirror with a peer.
    pub(super) async fn modify_remote(
        self: &Arc<Self>,
        record: &Mirror,
        running: &Arc<Running>,
        change: &MirrorChange,
    ) -> Result<Vec<Change>, ChangeError> {
        if let Some(dropped) = &change.discard {
            return self.discard_one(record, running, dropped).await;
        }
        match change.operation {
            Operation::Failover | Operation::Failback => {
                self.change_serving(record, running, change.operation, change.force)
                    .await
            }
            Operation::ReverseRoles => self.reverse_remote(record, running).await,
            _ => {
                self.operate_at_source(record, running, change.operation, change.force)
                    .await
            }
        }
    }

    /// Lets hosts use the end that an operation says.
    pub(super) async fn change_serving(
        self: &Arc<Self>,
        record: &Mirror,
        running: &Arc<Running>,
        operation: Operation,
        force: bool,
    ) -> Result<Vec<Change>, ChangeError> {
        let Some((remote, elsewhere)) = record.remote() else {
            return Ok(Vec::new());
        };
        if record.mode.rpo_ms().is_some() && !force {
            // Ends that have just changed their roles meet again.
            let is_clear = |state: &State| state.is_met() || state.conflict().is_some();
            running.until(MEETING, is_clear).await;
        }
        let serving = self.admit_serving(record, running, operation, force)?;
        if matches!(
            serving,
            Serving::Replace | Serving::GoOnByLease | Serving::TakeOver
        ) {
            self.check_not_served(record).await?;
        }
        let changes = match serving {
            Serving::AskForRoles => {
                return self
                    .ask_for_roles(running, remote.opposite(), elsewhere)
                    .await;
            }
            Serving::HandOver => {
                self.tell_reservations(running).await?;
                return self.hand_over_all(running, operation, force).await;
            }
            Serving::GoOnAlone => {
                running.change(State::go_on_alone);
                return Ok(Vec::new());
            }
            Serving::GoOnByLease => Vec::new(),
            Serving::Replace => self.change_roles(running, operation, force).await?,
            Serving::TakeOver => self.take_over(running, record.source).await?,
        };
        running.tell_lease(Told::Forced);
        if matches!(serving, Serving::GoOnByLease) {
            running.until(PATIENCE, |state| !state.waits()).await;
        }
        Ok(changes)
    }

    /// Whether hosts may be led to the end that an operation says, and how that is done.
    fn admit_serving(
        &self,
        record: &Mirror,
        running: &Running,
        operation: Operation,
        force: bool,
    ) -> Result<Serving, ChangeError> {
        let Some((remote, elsewhere)) = record.remote() else {
            return Err(refuse("both ends of the mirror are here".into()));
        };
        let side = remote.opposite();
        let (own, other) = (record.end(side), record.end(remote));
        let wanted = match operation {
            Operation::Failover => record.source.opposite(),
            _ => record.source,
        };
        let (role, in_step, waits) =
            running.look(|state| (state.role(side), state.can_be_handed_over(), state.waits()));
        check_no_conflict(record, running)?;
        // What is being overwritten is taken back first.
        let changes = |force: bool| {
            let goes_back = operation == Operation::Failover && running.goes_back();
            admit(running, operation, force || goes_back).map(drop)
        };
        match (wanted == side, role) {
            (true, Some(Role::Target)) if in_step => {
                admit(running, operation, force)?;
                self.check_answers(elsewhere)?;
                Ok(Serving::AskForRoles)
            }
            (true, Some(Role::Target)) if operation == Operation::Failover => {
                check_taking_over(running, own, other, force)?;
                changes(force)?;
                Ok(Serving::Replace)
            }
            (true, Some(Role::Target)) => Err(refuse(format!(
                "volume {} hasn't got what {other} has yet: wait until it is connected and has all",
                own.volume
            ))),
            // It is the source, and doesn't know whether another one is it as well.
            (true, Some(Role::Source)) if waits && force && record.is_automatic() => {
                Ok(Serving::GoOnByLease)
            }
            (true, Some(Role::Source)) if waits && force => Ok(Serving::GoOnAlone),
            (false, Some(Role::Target)) if operation == Operation::Failover && !in_step => {
                check_taking_over(running, own, other, force)?;
                Ok(Serving::TakeOver)
            }
            (false, Some(Role::Source)) if in_step => {
                check_handing_over(running)?;
                check_not_catching_up(running)?;
                changes(force)?;
                Ok(Serving::HandOver)
            }
            (false, Some(Role::Source)) => Err(refuse(format!(
                "{other} doesn't have everything that was written here: wait until it is connected and in step, or use \
                 `tidelock mirror failover` there, which loses what it hasn't got"
            ))),
            _ => Err(refuse(format!(
                "{} is to serve hosts then, and it does already, or can't be reached",
                record.end(wanted)
            ))),
        }
    }

    /// Whether an operation on a mirror with a peer would be begun now, as far as this daemon knows: what is done looks at
    /// the same first.
    ///
    /// # Errors
    /// What stands against it.
    pub(in crate::registry) fn admit_remote_operation(
        &self,
        running: &Running,
        operation: Operation,
        force: bool,
    ) -> Result<(), ChangeError> {
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        let record = running.look(|state| state.record().clone());
        match operation {
            Operation::Detach => {
                super::remote::admit_detach(running, force)?;
                check_restoring(running, operation, force)?;
                self.commands_of_ending(&record, running)?;
                match record.remote() {
                    Some((_, elsewhere)) if !force => self.check_answers(elsewhere),
                    _ => Ok(()),
                }
            }
            Operation::Failover | Operation::Failback => self
                .admit_serving(&record, running, operation, force)
                .map(drop),
            Operation::ReverseRoles => {
                admit(running, operation, false)?;
                if record.rest == MirrorRest::FailedOver {
                    let at_source = self.admit_at_source(&record, running, operation, false);
                    return at_source.map(drop);
                }
                self.admit_serving(&record, running, Operation::Failover, false)
                    .map(drop)
            }
            _ => self
                .admit_at_source(&record, running, operation, force)
                .map(drop),
        }
    }

    /// Refuses what a peer has to do that doesn't answer. One that hasn't been tried yet will be by what it is asked.
    pub(super) fn check_answers(&self, elsewhere: &Elsewhere) -> Result<(), ChangeError> {
        let state = self.mirrors.peers()?.show(&elsewhere.peer);
        let may_answer = [PeerState::Connected, PeerState::Connecting];
        if state.is_ok_and(|it| may_answer.contains(&it.state)) {
            return Ok(());
        }
        Err(no_answer(elsewhere))
    }

    /// Changes the roles as this end can do it: the words first, then what is asked of the end.
    pub(super) async fn change_roles(
        self: &Arc<Self>,
        running: &Arc<Running>,
        operation: Operation,
        force: bool,
    ) -> Result<Vec<Change>, ChangeError> {
        let writer = self.writer.lock().await;
        // What is being overwritten is taken back first.
        let goes_back = operation == Operation::Failover && running.goes_back();
        let transition = admit(running, operation, force || goes_back)?;
        let words = running.look(|state| state.words(operation));
        let changes = self.keep_words(&writer, running.id(), words).await?;
        running.change(|state| state.begin(operation, &transition));
        drop(writer);
        wait(running).await?;
        Ok(changes)
    }

    /// The end here takes over from one that had taken over from it, and is gone.
    async fn take_over(
        self: &Arc<Self>,
        running: &Arc<Running>,
        source: MirrorSide,
    ) -> Result<Vec<Change>, ChangeError> {
        let writer = self.writer.lock().await;
        let words = (source, MirrorRest::Linked);
        let changes = self.keep_words(&writer, running.id(), words).await?;
        running.change(State::take_over);
        drop(writer);
        wait(running).await?;
        Ok(changes)
    }

    /// Asks the peer, whose end is the source, to hand over, and waits until the end here is it.
    async fn ask_for_roles(
        &self,
        running: &Running,
        side: MirrorSide,
        elsewhere: &Elsewhere,
    ) -> Result<Vec<Change>, ChangeError> {
        let ask = Ask::HandOver {
            mirror: running.id().0,
        };
        let asked: Result<Done, _> = self.mirrors.peers()?.ask(&elsewhere.peer, &ask).await;
        asked.map_err(|error| not_done(&error, AskError::to_string))?;
        let serves = |state: &State| state.role(side) == Some(Role::Source);
        running.until(PATIENCE, serves).await;
        Ok(Vec::new())
    }

    /// A peer wants its end to be the source, which the one here is.
    pub(super) async fn hand_over(
        self: &Arc<Self>,
        peer: &Peer,
        id: MirrorId,
    ) -> Result<(), ChangeError> {
        let running = self.mirror_of_peer(peer, id)?;
        self.detached(async move |this| {
            let (record, in_step) =
                running.look(|state| (state.record().clone(), state.can_be_handed_over()));
            if !running.look(State::is_source_here) || !in_step {
                return Err(refuse(
                    "the end here isn't the source, or the other one hasn't got everything yet: try again".into(),
                ));
            }
            if record.remote().map(|(remote, _)| remote) == Some(record.serving()) {
                // A daemon that ended before it knew what the ends had agreed on: they agree on it now.
                return match running.look(State::is_asynchronous) {
                    false => Ok(Vec::new()),
                    true => Err(refuse(
                        "the ends are finding out which of them is to be the source: try again".into(),
                    )),
                };
            }
            this.tell_reservations(&running).await?;
            let operation = match record.rest {
                MirrorRest::FailedOver => Operation::Failback,
                _ => Operation::Failover,
            };
            check_handing_over(&running)?;
            this.hand_over_all(&running, operation, false).await
        })
        .await
        .map(drop)
    }

    /// Both ends have changes: those of one are dropped.
    async fn discard_one(
        self: &Arc<Self>,
        record: &Mirror,
        running: &Arc<Running>,
        dropped: &EndName,
    ) -> Result<Vec<Change>, ChangeError> {
        let Some((remote, elsewhere)) = record.remote() else {
            return Ok(Vec::new());
        };
        let dropped = end_called(record, dropped)?;
        if running.look(|state| state.conflict().is_none()) {
            return Err(nothing_to_discard());
        }
        if dropped != remote {
            return self.give_up_own(running).await;
        }
        let ask = Ask::GiveUp {
            mirror: record.id.0,
        };
        let asked: Result<Done, _> = self.mirrors.peers()?.ask(&elsewhere.peer, &ask).await;
        asked.map_err(|error| ChangeError::Mirror(error.to_string()))?;
        Ok(Vec::new())
    }

    /// A peer's operator has dropped what was changed here.
    pub(super) async fn give_up(
        self: &Arc<Self>,
        peer: &Peer,
        id: MirrorId,
    ) -> Result<(), ChangeError> {
        let running = self.mirror_of_peer(peer, id)?;
        self.detached(async move |this| this.give_up_own(&running).await)
            .await
            .map(drop)
    }

    async fn give_up_own(self: &Arc<Self>, running: &Running) -> Result<Vec<Change>, ChangeError> {
        let writer = self.writer.lock().await;
        if running.look(|state| state.conflict().is_none()) {
            return Err(nothing_to_discard());
        }
        let remote = running.look(|state| state.record().remote().map(|(side, _)| side));
        let Some(side) = remote.map(MirrorSide::opposite) else {
            return Ok(Vec::new());
        };
        let words = running.look(|state| state.words_without(side));
        let changes = self.keep_words(&writer, running.id(), words).await?;
        running.change(|state| state.give_up(side));
        Ok(changes)
    }
}

fn nothing_to_discard() -> ChangeError {
    refuse("the ends of the mirror don't contradict each other: there is nothing to discard".into())
}

/// Nothing is done with ends that contradict each other, before an operator has said which one counts; nor while the source is
/// being restored.
pub(super) fn check_no_conflict(record: &Mirror, running: &Running) -> Result<(), ChangeError> {
    check_restoring(running, Operation::ResyncReplica, false)?;
    if running.look(|state| state.conflict().is_none()) {
        return Ok(());
    }
    let own = record.remote().map(|(side, _)| side.opposite());
    let name = &record.end(own.unwrap_or(record.source)).volume;
    Err(refuse(format!(
        "both volumes were changed: say whose changes are dropped, with `tidelock mirror resync {name} --discard {}` or \
         `--discard {}`",
        record.first, record.second
    )))
}

/// Whether the target here may take over from a source that doesn't hand over.
fn check_taking_over(
    running: &Running,
    own: &MirrorEnd,
    other: &MirrorEnd,
    force: bool,
) -> Result<(), ChangeError> {
    let is_held = running.look(|state| state.record().rest.is_held());
    let is_connected = running.is_connected();
    if is_connected && is_held {
        return Err(refuse(format!(
            "{other} is there, and hosts use it: let the two be equal again (`tidelock mirror resume` or `resync`), and fail over \
             then, which loses nothing"
        )));
    }
    if force {
        return Ok(());
    }
    Err(refuse(format!(
        "{other} isn't in step or can't be reached, and nobody here knows whether hosts still use it. Make sure that they \
         don't; what it alone has is lost to them then. If volume {} is to take over all the same: --force (force=true)",
        own.volume
    )))
}
