//! How fast is copied between the ends of a mirror at most: kept with the mirror, at both daemons if there are two, so that
//! it holds whichever end copies to the other one. The daemon of the source decides, whichever was told to.

use std::sync::Arc;

use tidelock_catalog::{Change, Command, MirrorId, Peer};

use super::asking::{Ask, Done};
use super::holding::TELLING;
use super::remote::not_done;
use super::{ChangeError, Registry, Running};
use crate::mirrors::state::State;

impl Registry {
    /// Lets so many bytes a second be copied at most between the ends of a mirror from now on.
    ///
    /// # Errors
    /// There is no such mirror, the limit makes no sense, or the daemon of the source can't be told.
    pub async fn set_mirror_resync_limit(
        self: &Arc<Self>,
        mirror: String,
        limit: Option<u64>,
    ) -> Result<Vec<Change>, ChangeError> {
        self.detached(async move |this| this.set_limit_now(&mirror, limit).await)
            .await
    }

    async fn set_limit_now(
        self: &Arc<Self>,
        mirror: &str,
        limit: Option<u64>,
    ) -> Result<Vec<Change>, ChangeError> {
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        let id = self.mirror_named(mirror)?.id;
        let running = self.mirrors.get(id).ok_or(ChangeError::Loading)?;
        let record = running.look(|state| state.record().clone());
        let Some((remote, elsewhere)) = record.remote() else {
            return self.keep_limit(&running, limit).await;
        };
        if running.look(State::is_source_here) {
            let changes = self.keep_limit(&running, limit).await?;
            let _ = tokio::time::timeout(TELLING, self.tell_words(id)).await;
            return Ok(changes);
        }
        let ask = Ask::ResyncLimit {
            mirror: id.0,
            bytes_per_s: limit,
        };
        let asked: Result<Done, _> = self.mirrors.peers()?.ask(&elsewhere.peer, &ask).await;
        asked.map_err(|error| {
            not_done(&error, |error| {
                format!(
                    "{} is the source, which copies: {error}",
                    record.end(remote)
                )
            })
        })?;
        // What is shown here follows.
        running
            .until(TELLING, |state| state.record().resync_limit == limit)
            .await;
        Ok(Vec::new())
    }

    /// A peer's operator wants that of the source here.
    pub(super) async fn limit_for_peer(
        self: &Arc<Self>,
        peer: &Peer,
        id: MirrorId,
        limit: Option<u64>,
    ) -> Result<(), ChangeError> {
        let running = self.source_for_peer(peer, id)?;
        self.detached(async move |this| {
            let changes = this.keep_limit(&running, limit).await?;
            let _ = tokio::time::timeout(TELLING, this.tell_words(id)).await;
            Ok(changes)
        })
        .await
        .map(drop)
    }

    /// It becomes durable, then the ends are told.
    async fn keep_limit(
        self: &Arc<Self>,
        running: &Running,
        limit: Option<u64>,
    ) -> Result<Vec<Change>, ChangeError> {
        let writer = self.writer.lock().await;
        let mirror = running.id();
        let set = Command::SetMirrorResyncLimit { mirror, limit };
        let (catalog, changes) = self.save(&writer, set).await?;
        self.install(catalog, &changes, None);
        running.limit_resync(limit);
        Ok(changes)
    }

    /// The daemon of the source says how it is.
    pub(super) async fn follow_limit(
        self: &Arc<Self>,
        running: &Arc<Running>,
        limit: Option<u64>,
    ) -> Result<(), ChangeError> {
        let is_news =
            running.look(|state| !state.is_source_here() && state.record().resync_limit != limit);
        match is_news {
            true => self.keep_limit(running, limit).await.map(drop),
            false => Ok(()),
        }
    }
}
