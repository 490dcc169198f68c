//! How the ends of a mirror copy to each other, how fast at most and compressed or not: kept with the mirror, at both daemons
//! if there are two, so that it holds whichever end copies to the other one. The daemon of the source decides, whichever was
//! told to.

use std::sync::Arc;

use tidelock_catalog::{Change, Command, Mirror, MirrorCompression, MirrorId, Peer};

use super::asking::{Ask, Done};
use super::holding::TELLING;
use super::remote::not_done;
use super::{ChangeError, Registry, Running};
use crate::mirrors::state::State;

/// What is to be so.
#[derive(Clone, Copy, Debug)]
pub(super) enum Setting {
    /// So many bytes a second are copied at most.
    ResyncLimit(Option<u64>),
    /// What becomes of the content on the link.
    Compression(MirrorCompression),
}

impl Setting {
    /// Whether it is so already.
    fn is_of(self, record: &Mirror) -> bool {
        match self {
            Self::ResyncLimit(limit) => record.resync_limit == limit,
            Self::Compression(compression) => record.compression == compression,
        }
    }

    const fn command(self, mirror: MirrorId) -> Command {
        match self {
            Self::ResyncLimit(limit) => Command::SetMirrorResyncLimit { mirror, limit },
            Self::Compression(compression) => Command::SetMirrorCompression {
                mirror,
                compression,
            },
        }
    }

    fn ask(self, id: MirrorId) -> Ask {
        let mirror = id.0;
        match self {
            Self::ResyncLimit(bytes_per_s) => Ask::ResyncLimit {
                mirror,
                bytes_per_s,
            },
            Self::Compression(compression) => Ask::Compression {
                mirror,
                zstd: compression == MirrorCompression::Zstd,
            },
        }
    }

    fn apply(self, running: &Running) {
        match self {
            Self::ResyncLimit(limit) => running.limit_resync(limit),
            Self::Compression(compression) => running.set_compression(compression),
        }
    }
}

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
        let set = Setting::ResyncLimit(limit);
        self.detached(async move |this| this.set_now(&mirror, set).await)
            .await
    }

    /// Compresses what goes over the link of a mirror from now on, or not.
    ///
    /// # Errors
    /// There is no such mirror, or no link, or the daemon of the source can't be told.
    pub async fn set_mirror_compression(
        self: &Arc<Self>,
        mirror: String,
        compression: MirrorCompression,
    ) -> Result<Vec<Change>, ChangeError> {
        let set = Setting::Compression(compression);
        self.detached(async move |this| this.set_now(&mirror, set).await)
            .await
    }

    async fn set_now(
        self: &Arc<Self>,
        mirror: &str,
        set: Setting,
    ) -> Result<Vec<Change>, ChangeError> {
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        let id = self.mirror_named(mirror)?.id;
        let running = self.mirrors.get(id).ok_or(ChangeError::Loading)?;
        let record = running.look(|state| state.record().clone());
        let Some((remote, elsewhere)) = record.remote() else {
            return self.keep(&running, set).await;
        };
        if running.look(State::is_source_here) {
            let changes = self.keep(&running, set).await?;
            self.tell_words_soon(id).await;
            return Ok(changes);
        }
        let ask = set.ask(id);
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
            .until(TELLING, |state| set.is_of(state.record()))
            .await;
        Ok(Vec::new())
    }

    /// A peer's operator wants that of the source here.
    pub(super) async fn set_for_peer(
        self: &Arc<Self>,
        peer: &Peer,
        id: MirrorId,
        set: Setting,
    ) -> Result<(), ChangeError> {
        let running = self.source_for_peer(peer, id)?;
        self.detached(async move |this| {
            let changes = this.keep(&running, set).await?;
            this.tell_words_soon(id).await;
            Ok(changes)
        })
        .await
        .map(drop)
    }

    /// It becomes durable, then the ends are told.
    async fn keep(
        self: &Arc<Self>,
        running: &Running,
        set: Setting,
    ) -> Result<Vec<Change>, ChangeError> {
        let writer = self.writer.lock().await;
        let command = set.command(running.id());
        let (catalog, changes) = self.save(&writer, command).await?;
        self.install(catalog, &changes, None);
        set.apply(running);
        Ok(changes)
    }

    /// The daemon of the source says how it is.
    pub(super) async fn follow(
        self: &Arc<Self>,
        running: &Arc<Running>,
        set: Setting,
    ) -> Result<(), ChangeError> {
        let is_news = running.look(|state| !state.is_source_here() && !set.is_of(state.record()));
        match is_news {
            true => self.keep(running, set).await.map(drop),
            false => Ok(()),
        }
    }
}
