//! What the source of a mirror with a peer does, whichever of the two daemons was told to: that nothing is sent, that it is
//! again, and that the two change places for good. The other daemon is told what is wanted then, and again at each
//! connection, until it knows.

use std::sync::Arc;
use std::time::Duration;

use tidelock_admin::v1::PeerState;
use tidelock_capabilities::values::{Operation, ReturnCode};
use tidelock_catalog::{
    Change, Elsewhere, Mirror, MirrorCompression, MirrorId, MirrorMode, MirrorRest, MirrorSide,
    Peer,
};
use tidelock_mirror::generation::Role;

use super::asking::{Ask, Copying, Done, Wanted, compression_of};
use super::asynchronous::check_mode;
use super::automatic::Terms;
use super::limits::Setting;
use super::operations::{PATIENCE, refuse, wait};
use super::remote::{admit, not_done};
use super::roles::check_no_conflict;
use super::{ChangeError, Registry, Running};
use crate::mirrors::state::{Place, State};
use crate::peers::AskError;
use crate::registry::capabilities::Refused;
use crate::registry::changes::run_blocking;

/// How long an operation waits for the other daemon to know what is wanted. It is told later otherwise.
pub(super) const TELLING: Duration = Duration::from_secs(5);
/// How long after it couldn't be told it is tried again.
const TELL_AGAIN: Duration = Duration::from_millis(500);

impl Registry {
    /// Does an operation where the source is.
    pub(super) async fn operate_at_source(
        self: &Arc<Self>,
        record: &Mirror,
        running: &Arc<Running>,
        operation: Operation,
        force: bool,
    ) -> Result<Vec<Change>, ChangeError> {
        let Some((remote, elsewhere)) = record.remote() else {
            return Ok(Vec::new());
        };
        let Some(wanted) = self.admit_at_source(record, running, operation, force)? else {
            return self.operate_here(record, running, operation, force).await;
        };
        let ask = Ask::Operate {
            mirror: record.id.0,
            operation: wanted,
            force: force && operation == Operation::RestoreFromReplica,
        };
        let before = running.look(|state| state.record().clone());
        let asked: Result<Done, _> = self.mirrors.peers()?.ask(&elsewhere.peer, &ask).await;
        asked.map_err(|error| {
            not_done(&error, |error| {
                format!(
                    "{} is the source, which does this: {error}",
                    record.end(remote)
                )
            })
        })?;
        // The other daemon has done it: what is shown here follows.
        running
            .until(TELLING, |state| *state.record() != before)
            .await;
        Ok(Vec::new())
    }

    /// Whether an operation that the source does may be done now; and what the peer is asked for, if the source is there.
    pub(super) fn admit_at_source(
        &self,
        record: &Mirror,
        running: &Running,
        operation: Operation,
        force: bool,
    ) -> Result<Option<Wanted>, ChangeError> {
        let Some((remote, elsewhere)) = record.remote() else {
            return Ok(None);
        };
        check_no_conflict(record, running)?;
        check_mode(running, operation)?;
        check_manual(record, operation)?;
        let role = running.look(|state| state.role(remote.opposite()));
        let wanted = Wanted::of(operation).filter(|_| role != Some(Role::Source));
        match wanted {
            Some(_) => {
                let forces = force && operation == Operation::RestoreFromReplica;
                admit(running, operation, forces)?;
                self.check_answers(elsewhere)?;
            }
            None if only_goes_on(running, operation, force) => check_place(running)?,
            None => {
                admit(running, operation, force)?;
                if operation == Operation::RestoreFromReplica {
                    self.check_answers(elsewhere)?;
                    self.check_connected(running, elsewhere)?;
                    if !force {
                        self.check_unused(&record.end(remote.opposite()).volume)?;
                    }
                }
                if running.look(State::waits) {
                    check_place(running)?;
                    check_going_on(record, operation, force)?;
                }
            }
        }
        Ok(wanted)
    }

    /// Refuses what isn't begun without the peer, which isn't known to be there.
    fn check_connected(&self, running: &Running, elsewhere: &Elsewhere) -> Result<(), ChangeError> {
        let state = self.mirrors.peers()?.show(&elsewhere.peer);
        let is_there = state.is_ok_and(|it| it.state == PeerState::Connected);
        if is_there || running.is_connected() {
            return Ok(());
        }
        Err(no_answer(elsewhere))
    }

    /// A peer's operator wants the source here to do something.
    pub(super) async fn operate_for_peer(
        self: &Arc<Self>,
        peer: &Peer,
        id: MirrorId,
        (operation, force): (Operation, bool),
    ) -> Result<(), ChangeError> {
        let running = self.source_for_peer(peer, id)?;
        self.detached(async move |this| {
            let record = running.look(|state| state.record().clone());
            if operation == Operation::RestoreFromReplica {
                this.admit_at_source(&record, &running, operation, force)?;
            }
            this.operate_here(&record, &running, operation, force).await
        })
        .await
        .map(drop)
    }

    async fn operate_here(
        self: &Arc<Self>,
        record: &Mirror,
        running: &Arc<Running>,
        operation: Operation,
        force: bool,
    ) -> Result<Vec<Change>, ChangeError> {
        check_no_conflict(record, running)?;
        let writer = self.writer.lock().await;
        if only_goes_on(running, operation, force) {
            check_place(running)?;
            running.change(State::go_on_alone);
            return Ok(Vec::new());
        }
        let transition = admit(running, operation, force)?;
        // It may have been turned on since.
        check_manual(&running.look(|state| state.record().clone()), operation)?;
        if let Operation::ResetToSync | Operation::ResetToAsync = operation {
            drop(writer);
            return self.set_remote_mode(record, running, operation).await;
        }
        let waits = running.look(State::waits);
        if waits {
            check_place(running)?;
            check_going_on(record, operation, force)?;
        }
        if matches!(operation, Operation::Resume | Operation::ResyncReplica) {
            let (mirrors, running) = (Arc::clone(&self.mirrors), Arc::clone(running));
            run_blocking(move || mirrors.ends().and_then(|ends| running.reattach(ends)))
                .await?
                .map_err(ChangeError::Mirror)?;
        }
        let words = running.look(|state| state.words(operation));
        let changes = self.keep_words(&writer, record.id, words).await?;
        running.change(|state| state.begin(operation, &transition));
        if operation == Operation::RestoreFromReplica {
            drop(writer);
            self.begins_to_restore(running).await?;
            return Ok(changes);
        }
        if waits && operation == Operation::Fracture {
            running.change(State::go_on_alone);
        }
        drop(writer);
        wait(running).await?;
        self.tell_words_soon(record.id).await;
        Ok(changes)
    }

    /// Makes the change of roles permanent; if there was none, there is one first.
    pub(super) async fn reverse_remote(
        self: &Arc<Self>,
        record: &Mirror,
        running: &Arc<Running>,
    ) -> Result<Vec<Change>, ChangeError> {
        admit(running, Operation::ReverseRoles, false)?;
        if record.rest == MirrorRest::FailedOver {
            return self
                .operate_at_source(record, running, Operation::ReverseRoles, false)
                .await;
        }
        let (over, reverse) = (Operation::Failover, Operation::ReverseRoles);
        let mut changes = self.change_serving(record, running, over, false).await?;
        let over = |it: &Mirror| it.rest == MirrorRest::FailedOver;
        let record = self.until(running, over).await?;
        changes.extend(
            self.operate_at_source(&record, running, reverse, false)
                .await?,
        );
        Ok(changes)
    }

    /// Waits until the other end is the source that it is to be.
    async fn until(
        &self,
        running: &Running,
        done: impl Fn(&Mirror) -> bool,
    ) -> Result<Mirror, ChangeError> {
        let mut changes = running.changes();
        let settled = async {
            loop {
                let record = running.look(|state| {
                    let record = state.record();
                    let serves = state.role(record.serving()) == Some(Role::Source);
                    (serves && done(record) && !state.is_pending()).then(|| record.clone())
                });
                match record {
                    Some(record) => break Some(record),
                    None if changes.changed().await.is_err() => break None,
                    None => {}
                }
            }
        };
        let settled = tokio::time::timeout(PATIENCE, settled).await;
        settled.ok().flatten().ok_or_else(|| {
            refuse("the other end hasn't taken over: `tidelock mirror show` says why".into())
        })
    }

    /// Tells the peer what is wanted of a mirror, and waits for that as long as an operation may.
    pub(super) async fn tell_words_soon(self: &Arc<Self>, mirror: MirrorId) {
        let this = Arc::clone(self);
        let telling = tokio::spawn(async move { this.tell_words(mirror).await });
        // It goes on beyond that.
        let _ = tokio::time::timeout(TELLING, telling).await;
    }

    /// Tells the peer what is wanted of a mirror, if the source is here: until it knows, or there is no connection. It knows it already,
    /// mostly.
    pub(super) async fn tell_words(&self, mirror: MirrorId) {
        let Some(running) = self.mirrors.get(mirror) else {
            return;
        };
        let _turn = running.telling().lock().await;
        while let Err(error) = self.tell_words_once(&running).await {
            tracing::debug!(%mirror, %error, "the other end doesn't know what is wanted yet");
            // It may have reached this daemon before it can be reached itself.
            let may_help = matches!(error, AskError::Dial { .. }) && running.is_connected();
            if !may_help {
                break;
            }
            tokio::time::sleep(TELL_AGAIN).await;
        }
    }

    async fn tell_words_once(&self, running: &Running) -> Result<(), AskError> {
        let record = running.look(|state| {
            let record = state.record();
            let (remote, _) = record.remote()?;
            let is_source = state.role(remote.opposite()) == Some(Role::Source);
            // Before hosts use it, it is asked rather than tells.
            let is_changing = state.is_pending() || state.is_restoring();
            (is_source && !state.waits() && !is_changing).then(|| record.clone())
        });
        let (Some(record), Ok(peers)) = (record, self.mirrors.peers()) else {
            return Ok(());
        };
        let Some((_, elsewhere)) = record.remote() else {
            return Ok(());
        };
        let words = Ask::Words {
            mirror: record.id.0,
            source: record.source.into(),
            rest: record.rest.into(),
            terms: Some(self.mirrors.terms(&record)),
            rpo_ms: record.mode.rpo_ms(),
            copying: Some(Copying {
                bytes_per_s: record.resync_limit,
                zstd: record.compression == MirrorCompression::Zstd,
            }),
        };
        peers.ask(&elsewhere.peer, &words).await.map(|_: Done| ())
    }

    /// The daemon of the source says what is wanted.
    pub(super) async fn told_words(
        self: &Arc<Self>,
        peer: &Peer,
        id: MirrorId,
        (source, rest): (MirrorSide, MirrorRest),
        (terms, mode, copying): (Option<Terms>, MirrorMode, Option<Copying>),
    ) -> Result<(), ChangeError> {
        let running = self.mirror_of_peer(peer, id)?;
        let is_news = |it: &Terms| it.lease_ms.is_some() != running.is_automatic();
        if let Some(terms) = terms.filter(is_news)
            && let Err(error) = self.follow_terms(peer, id, terms).await
        {
            tracing::warn!(mirror = %id, %error, "this end doesn't fail over as the source's does");
        }
        self.detached(async move |this| {
            if let Some(copying) = copying {
                let limit = Setting::ResyncLimit(copying.bytes_per_s);
                this.follow(&running, limit).await?;
                let compression = Setting::Compression(compression_of(copying.zstd));
                this.follow(&running, compression).await?;
            }
            let writer = this.writer.lock().await;
            let was_asynchronous = running.look(State::is_asynchronous);
            let mut changes = this.follow_mode(&writer, &running, mode).await?;
            if running.look(State::is_asynchronous) != was_asynchronous {
                // The source is in that mode already, and doesn't part for it.
                running.meet_again();
            }
            if running.look(|state| state.is_told(source, rest)) {
                changes.extend(this.keep_words(&writer, id, (source, rest)).await?);
                running.change(|state| state.follow_words(source, rest));
            }
            Ok(changes)
        })
        .await
        .map(drop)
    }
}

/// Whether nothing is sent already, and hosts are to use a source that doesn't know what has become of the other end.
fn only_goes_on(running: &Running, operation: Operation, force: bool) -> bool {
    let holds = |it: &Mirror| matches!(it.rest, MirrorRest::Fractured | MirrorRest::Split);
    let waits = |state: &State| state.waits() && holds(state.record());
    operation == Operation::Fracture && force && running.look(waits)
}

/// The same, of one that has to have its place first.
fn check_place(running: &Running) -> Result<(), ChangeError> {
    let why = running.look(|state| match state.place() {
        Some(Place::Closed(why)) => Some(why.clone()),
        Some(_) => Some("it isn't known yet whether the end there may serve hosts".to_owned()),
        None => None,
    });
    match why {
        None => Ok(()),
        Some(why) => Err(refuse(format!(
            "hosts aren't served from this end: {why}. It goes on by itself when that changes"
        ))),
    }
}

/// The source is none while it is restored, which leases know nothing of.
fn check_manual(record: &Mirror, operation: Operation) -> Result<(), ChangeError> {
    if operation != Operation::RestoreFromReplica || !record.is_automatic() {
        return Ok(());
    }
    let own = record.remote().map(|(side, _)| side.opposite());
    let name = &record.end(own.unwrap_or(record.source)).volume;
    Err(refuse(format!(
        "the mirror fails over by itself, which must not happen while its source is restored: leave that to an operator first, \
         with `tidelock mirror set-failover {name} manual`"
    )))
}

/// Whether a source that doesn't know what has become of the other end may do something.
fn check_going_on(record: &Mirror, operation: Operation, force: bool) -> Result<(), ChangeError> {
    if operation == Operation::Fracture && force {
        return Ok(());
    }
    let Some((remote, _)) = record.remote() else {
        return Ok(());
    };
    let (own, other) = (&record.end(remote.opposite()).volume, record.end(remote));
    Err(refuse(format!(
        "nobody knows whether {other} was made the source while this daemon was away. Volume {own} goes on by itself when it \
         is back; if it never took over, `tidelock mirror fracture {own} --force` goes on without it"
    )))
}

/// A peer that has to do something isn't there.
pub(super) fn no_answer(elsewhere: &Elsewhere) -> ChangeError {
    ChangeError::Refused(Refused {
        return_code: ReturnCode::Timeout,
        reason: format!(
            "peer {} doesn't answer: check the link, and try again",
            elsewhere.peer
        ),
    })
}
