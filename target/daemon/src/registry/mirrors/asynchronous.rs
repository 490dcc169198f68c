//! Mirrors whose hosts don't wait for the target: another mode or RPO, and of those with a peer that the target gets all
//! before it becomes the source. Both daemons know the mode; the one that has the source decides.

use std::sync::Arc;

use tidelock_capabilities::values::Operation;
use tidelock_catalog::{
    Change, Command, Mirror, MirrorId, MirrorMode, OnFailure, Peer, VolumeName,
};
use tidelock_mirror::generation::Role;

use super::asking::{Ask, Done};
use super::beginning::{check_hosts_go_on, mirror_type};
use super::operations::{PATIENCE, RPO_MS, refuse};
use super::remote::admit;
use super::{ChangeError, Registry, Running};
use crate::mirrors::state::State;
use crate::registry::Writer;

/// How far the target of an asynchronous mirror may be behind, in milliseconds.
const RPOS_MS: std::ops::RangeInclusive<u64> = 100..=86_400_000;

/// How far a target may be behind, if that can be.
pub(super) fn check_rpo(rpo_ms: u64) -> Result<u64, ChangeError> {
    match RPOS_MS.contains(&rpo_ms) {
        true => Ok(rpo_ms),
        false => Err(refuse(format!(
            "an RPO is from a tenth of a second to a day, and {rpo_ms} ms isn't"
        ))),
    }
}

/// The mode that a peer names.
pub(super) fn mode_of(rpo_ms: Option<u64>) -> Result<MirrorMode, ChangeError> {
    Ok(match rpo_ms {
        None => MirrorMode::Synchronous,
        Some(rpo_ms) => MirrorMode::Asynchronous {
            rpo_ms: check_rpo(rpo_ms)?,
        },
    })
}

/// The ends are told of another mode, which is durable.
pub(super) fn begin_mode(running: &Running, mode: MirrorMode) {
    let built = running.look(|state| {
        mirror_type(&Mirror {
            mode,
            ..state.record().clone()
        })
    });
    running.change(|state| {
        state.set_mode(mode, built);
        Vec::new()
    });
}

impl Registry {
    /// What a volume here needs before it is an end of a mirror in such a mode.
    pub(super) async fn prepare_for(
        &self,
        writer: &Writer,
        volume: &VolumeName,
        (mode, on_failure): (MirrorMode, OnFailure),
    ) -> Result<Vec<Change>, ChangeError> {
        match mode {
            MirrorMode::Synchronous => Ok(Vec::new()),
            MirrorMode::Asynchronous { .. } => {
                check_hosts_go_on(on_failure)?;
                // Of what a target was before each cut there is a snapshot, as there is of each cut at the source.
                self.have_families(writer, &[volume]).await
            }
        }
    }

    /// Lets the target of an asynchronous mirror be so far behind at most from now on.
    ///
    /// # Errors
    /// There is no such mirror, hosts wait for its target, or the daemon of its source can't be told.
    pub async fn set_mirror_rpo(
        self: &Arc<Self>,
        mirror: String,
        rpo_ms: u64,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| this.set_rpo_now(&mirror, rpo_ms).await)
            .await
    }

    async fn set_rpo_now(
        self: &Arc<Self>,
        mirror: &str,
        rpo_ms: u64,
    ) -> Result<Vec<Change>, ChangeError> {
        let rpo_ms = check_rpo(rpo_ms)?;
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        let id = self.mirror_named(mirror)?.id;
        let running = self.mirrors.get(id).ok_or(ChangeError::Loading)?;
        let record = running.look(|state| state.record().clone());
        check_asynchronous(&record)?;
        let Some((remote, elsewhere)) = record.remote() else {
            return self.keep_rpo(&running, rpo_ms).await;
        };
        if running.look(|state| state.role(remote.opposite())) == Some(Role::Source) {
            return self.keep_rpo(&running, rpo_ms).await;
        }
        let ask = Ask::Rpo {
            mirror: id.0,
            rpo_ms,
        };
        let asked: Result<Done, _> = self.mirrors.peers()?.ask(&elsewhere.peer, &ask).await;
        asked.map_err(|error| {
            refuse(format!(
                "{} is the source, which makes the cuts: {error}",
                record.end(remote)
            ))
        })?;
        let mode = MirrorMode::Asynchronous { rpo_ms };
        running
            .until(super::holding::TELLING, |state| state.record().mode == mode)
            .await;
        Ok(Vec::new())
    }

    /// A peer's operator wants that of the source here.
    pub(super) async fn set_rpo_for_peer(
        self: &Arc<Self>,
        peer: &Peer,
        id: MirrorId,
        rpo_ms: u64,
    ) -> Result<(), ChangeError> {
        let running = self.source_for_peer(peer, id)?;
        self.detached(async move |this| this.keep_rpo(&running, rpo_ms).await)
            .await
            .map(drop)
    }

    /// It becomes durable here, then the ends are told, then the peer.
    async fn keep_rpo(
        self: &Arc<Self>,
        running: &Arc<Running>,
        rpo_ms: u64,
    ) -> Result<Vec<Change>, ChangeError> {
        let writer = self.writer.lock().await;
        // It may have become something else meanwhile.
        check_asynchronous(&running.look(|state| state.record().clone()))?;
        let mode = MirrorMode::Asynchronous { rpo_ms };
        let changes = self.keep_mode(&writer, running.id(), mode).await?;
        running.change(|state| {
            state.set_rpo(rpo_ms);
            Vec::new()
        });
        drop(writer);
        self.tell_words_soon(running.id()).await;
        Ok(changes)
    }

    async fn keep_mode(
        &self,
        writer: &Writer,
        mirror: MirrorId,
        mode: MirrorMode,
    ) -> Result<Vec<Change>, ChangeError> {
        let set = Command::SetMirrorMode { mirror, mode };
        let (catalog, changes) = self.save(writer, set).await?;
        self.install(catalog, &changes, None);
        Ok(changes)
    }

    /// Reset To Sync, Reset To Async of a mirror with a peer, whose source is here. The other daemon has to be ready for it
    /// first: it is a target whose image is kept while it gets a cut, or it is asked to be.
    pub(super) async fn set_remote_mode(
        self: &Arc<Self>,
        record: &Mirror,
        running: &Arc<Running>,
        operation: Operation,
    ) -> Result<Vec<Change>, ChangeError> {
        let Some((remote, elsewhere)) = record.remote() else {
            return Ok(Vec::new());
        };
        let mode = match operation {
            Operation::ResetToSync => MirrorMode::Synchronous,
            _ => MirrorMode::Asynchronous { rpo_ms: RPO_MS },
        };
        check_mode(running, operation)?;
        let ask = Ask::Mode {
            mirror: record.id.0,
            rpo_ms: mode.rpo_ms(),
        };
        // Nobody waits for this daemon meanwhile: the other one may be asking it for something.
        let asked: Result<Done, _> = self.mirrors.peers()?.ask(&elsewhere.peer, &ask).await;
        asked.map_err(|error| {
            refuse(format!(
                "{} has to be ready for it first: {error}",
                record.end(remote)
            ))
        })?;
        let own = &record.end(remote.opposite()).volume;
        let set = self.set_mode_here(running, operation, (own, mode, record.on_failure));
        let set = set.await;
        if set.is_err() {
            // The other daemon has another mode already.
            self.tell_words_soon(record.id).await;
        }
        set
    }

    async fn set_mode_here(
        self: &Arc<Self>,
        running: &Arc<Running>,
        operation: Operation,
        (own, mode, on_failure): (&VolumeName, MirrorMode, OnFailure),
    ) -> Result<Vec<Change>, ChangeError> {
        let writer = self.writer.lock().await;
        // It may have become something else meanwhile.
        admit(running, operation, false)?;
        check_mode(running, operation)?;
        let how = (mode, on_failure);
        let mut changes = self.prepare_for(&writer, own, how).await?;
        changes.extend(self.keep_mode(&writer, running.id(), mode).await?);
        begin_mode(running, mode);
        Ok(changes)
    }

    /// The daemon of the source is about to be in a mode.
    pub(super) async fn told_mode(
        self: &Arc<Self>,
        peer: &Peer,
        id: MirrorId,
        mode: MirrorMode,
    ) -> Result<(), ChangeError> {
        let running = self.mirror_of_peer(peer, id)?;
        self.detached(async move |this| {
            let writer = this.writer.lock().await;
            this.follow_mode(&writer, &running, mode).await
        })
        .await
        .map(drop)
    }

    /// A target here is in the mode that the daemon of its source says.
    pub(super) async fn follow_mode(
        &self,
        writer: &Writer,
        running: &Running,
        mode: MirrorMode,
    ) -> Result<Vec<Change>, ChangeError> {
        let (record, is_source) = running.look(|state| {
            let record = state.record().clone();
            let own = record.remote().map(|(remote, _)| remote.opposite());
            let is_source = own.and_then(|own| state.role(own)) == Some(Role::Source);
            (record, is_source)
        });
        let own = record.remote().map(|(remote, _)| remote.opposite());
        let Some(own) = own.filter(|_| !is_source && record.mode != mode) else {
            return Ok(Vec::new());
        };
        let how = (mode, record.on_failure);
        let own = &record.end(own).volume;
        let mut changes = self.prepare_for(writer, own, how).await?;
        changes.extend(self.keep_mode(writer, record.id, mode).await?);
        match (record.mode, mode) {
            (MirrorMode::Asynchronous { .. }, MirrorMode::Asynchronous { rpo_ms }) => {
                running.change(|state| {
                    state.set_rpo(rpo_ms);
                    Vec::new()
                });
            }
            _ => begin_mode(running, mode),
        }
        Ok(changes)
    }

    /// Lets the other end become the source, after it has got all that was written: hosts go on until it has.
    pub(super) async fn hand_over_all(
        self: &Arc<Self>,
        running: &Arc<Running>,
        operation: Operation,
        force: bool,
    ) -> Result<Vec<Change>, ChangeError> {
        if !running.look(State::is_asynchronous) {
            return self.change_roles(running, operation, force).await;
        }
        admit(running, operation, force)?;
        check_not_catching_up(running)?;
        let catching_up = CatchingUp::begin(running);
        running.until(PATIENCE, State::is_in_step).await;
        // Hosts went on meanwhile.
        self.tell_reservations(running).await?;
        let changed = match running.look(State::is_in_step) {
            true => self.change_roles(running, operation, force).await,
            false => Err(refuse(format!(
                "the target hasn't got all that it lacks within {} s, so nothing was changed: try again when less is written, \
                 or make the mirror synchronous first (`tidelock mirror reset-to-sync`) and wait until it is Synchronized",
                PATIENCE.as_secs()
            ))),
        };
        drop(catching_up);
        changed
    }
}

/// Hosts wait for the target until this is dropped, so that it gets all.
struct CatchingUp<'a>(&'a Running);

impl<'a> CatchingUp<'a> {
    fn begin(running: &'a Running) -> Self {
        running.change(|state| {
            state.catch_up(true);
            Vec::new()
        });
        Self(running)
    }
}

impl Drop for CatchingUp<'_> {
    fn drop(&mut self) {
        self.0.change(|state| {
            state.catch_up(false);
            Vec::new()
        });
    }
}

pub(super) fn check_not_catching_up(running: &Running) -> Result<(), ChangeError> {
    match running.look(State::is_catching_up) {
        false => Ok(()),
        true => Err(refuse(
            "the other end is getting what it lacks already, to become the source: wait for that"
                .into(),
        )),
    }
}

/// Whether a mirror may be in the mode that an operation leads to.
pub(super) fn check_mode(running: &Running, operation: Operation) -> Result<(), ChangeError> {
    if operation != Operation::ResetToAsync {
        return Ok(());
    }
    check_hosts_go_on(running.look(|state| state.record().on_failure))?;
    check_manual(running)
}

fn check_manual(running: &Running) -> Result<(), ChangeError> {
    match running.is_automatic() {
        false => Ok(()),
        true => Err(refuse(
            "the mirror fails over by itself, which is for synchronous ones alone: `tidelock mirror set-failover` makes it \
             manual"
                .into(),
        )),
    }
}

fn check_asynchronous(record: &Mirror) -> Result<(), ChangeError> {
    let own = match record.remote() {
        Some((remote, _)) => record.end(remote.opposite()),
        None => record.system(),
    };
    match record.mode {
        MirrorMode::Asynchronous { .. } => Ok(()),
        MirrorMode::Synchronous => Err(refuse(format!(
            "the mirror of {} to {} is synchronous, so its target is never behind: `tidelock mirror reset-to-async {}` \
             makes it asynchronous",
            record.system(),
            record.synced(),
            own.volume
        ))),
    }
}
