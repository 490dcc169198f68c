//! Which of two daemons serves the hosts of a mirror: handed over by the one that does, taken by the other one if that is
//! gone, and chosen by an operator after both were written.
//!
//! The ends decide who the source is, by their generations; what is meant is kept in the catalog of the daemon that was
//! told, and the other one follows what the ends have agreed on.

use std::sync::Arc;

use tidelock_capabilities::values::Operation;
use tidelock_catalog::{
    Change, Command, Elsewhere, Mirror, MirrorId, MirrorRest, MirrorSide, Peer, VolumeName,
};
use tidelock_mirror::generation::Role;

use super::operations::{MirrorChange, PATIENCE, refuse, wait};
use super::remote::{Ask, Done, admit};
use super::{ChangeError, Registry, Running};

impl Registry {
    /// Does an operation on a mirror with a peer.
    pub(super) async fn modify_remote(
        self: &Arc<Self>,
        record: &Mirror,
        running: &Arc<Running>,
        change: &MirrorChange,
    ) -> Result<Vec<Change>, ChangeError> {
        let Some((remote, elsewhere)) = record.remote() else {
            return Ok(Vec::new());
        };
        if let Some(dropped) = &change.discard {
            return self.discard_one(record, running, dropped).await;
        }
        if !matches!(change.operation, Operation::Failover | Operation::Failback) {
            return Err(refuse(format!(
                "this isn't done with a mirror whose other end is at a peer ({})",
                record.end(remote)
            )));
        }
        let side = remote.opposite();
        let wanted = match change.operation {
            Operation::Failover => record.source.opposite(),
            _ => record.source,
        };
        let (role, in_step) = running.look(|state| (state.role(side), state.is_in_step()));
        match (wanted == side, role) {
            (true, Some(Role::Target)) if in_step => {
                admit(running, change.operation, change.force)?;
                self.ask_for_roles(running, side, elsewhere).await
            }
            (true, Some(Role::Target)) if change.operation == Operation::Failover => {
                self.change_roles(running, change.operation, change.force)
                    .await
            }
            (false, Some(Role::Source)) if in_step => {
                self.change_roles(running, change.operation, change.force)
                    .await
            }
            (false, Some(Role::Source)) => Err(refuse(format!(
                "{} doesn't have everything that was written here: wait until it is connected and in step, or use \
                 `tidelock mirror failover` there, which loses what it hasn't got",
                record.end(remote)
            ))),
            _ => Err(refuse(format!(
                "{} is to serve hosts then, and it does already, or can't be reached",
                record.end(wanted)
            ))),
        }
    }

    /// Changes the roles as this end can do it: the words first, then what is asked of the end.
    async fn change_roles(
        self: &Arc<Self>,
        running: &Arc<Running>,
        operation: Operation,
        force: bool,
    ) -> Result<Vec<Change>, ChangeError> {
        let writer = self.writer.lock().await;
        let transition = admit(running, operation, force)?;
        let (source, rest) = running.look(|state| state.words(operation));
        let set = Command::SetMirror {
            mirror: running.id(),
            source,
            rest,
        };
        let (catalog, changes) = self.save(&writer, set).await?;
        self.install(catalog, &changes, None);
        running.change(|state| state.begin(operation, &transition));
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
        let mut changes = running.changes();
        let asked: Result<Done, _> = self.mirrors.peers()?.ask(&elsewhere.peer, &ask).await;
        asked.map_err(|error| ChangeError::Mirror(error.to_string()))?;
        let serving = async {
            while running.look(|state| state.role(side)) != Some(Role::Source) {
                if changes.changed().await.is_err() {
                    break;
                }
            }
        };
        // What takes longer is told by what the mirror shows.
        let _ = tokio::time::timeout(PATIENCE, serving).await;
        Ok(Vec::new())
    }

    /// The mirror that a peer has an end of.
    fn mirror_of_peer(&self, peer: &Peer, id: MirrorId) -> Result<Arc<Running>, ChangeError> {
        let catalog = self.catalog();
        let known = catalog.mirrors_with(&peer.name).any(|it| it.id == id);
        let running = self.mirrors.get(id).filter(|_| known);
        running.ok_or_else(|| refuse(format!("there is no mirror {id} here with that peer")))
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
                running.look(|state| (state.record().clone(), state.is_in_step()));
            let is_source = record.remote().is_some_and(|(remote, _)| {
                running.look(|state| state.role(remote.opposite())) == Some(Role::Source)
            });
            if !is_source || !in_step {
                return Err(refuse(
                    "the end here isn't the source, or the other one hasn't got everything yet: try again".into(),
                ));
            }
            let operation = match record.rest {
                MirrorRest::FailedOver => Operation::Failback,
                _ => Operation::Failover,
            };
            this.change_roles(&running, operation, false).await
        })
        .await
        .map(drop)
    }

    /// Both ends have changes: those of one are dropped.
    async fn discard_one(
        self: &Arc<Self>,
        record: &Mirror,
        running: &Arc<Running>,
        dropped: &VolumeName,
    ) -> Result<Vec<Change>, ChangeError> {
        let Some((remote, elsewhere)) = record.remote() else {
            return Ok(Vec::new());
        };
        let (own, other) = (record.end(remote.opposite()), record.end(remote));
        if own.volume != *dropped && other.volume != *dropped {
            return Err(refuse(format!(
                "volume {dropped} is no end of this mirror: name {} or {}",
                own.volume, other.volume
            )));
        }
        if running.look(|state| state.conflict().is_none()) {
            return Err(nothing_to_discard());
        }
        // If both are called so it is the one here.
        if own.volume == *dropped {
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
        let (source, rest) = running.look(|state| state.words_without(side));
        let set = Command::SetMirror {
            mirror: running.id(),
            source,
            rest,
        };
        let (catalog, changes) = self.save(&writer, set).await?;
        self.install(catalog, &changes, None);
        running.change(|state| state.give_up(side));
        Ok(changes)
    }
}

fn nothing_to_discard() -> ChangeError {
    refuse("the ends of the mirror don't contradict each other: there is nothing to discard".into())
}
