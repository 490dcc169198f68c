//! Mirrors as figures.

use tidelock_catalog::MirrorSide;
use tidelock_mirror::generation::Role;

use super::Registry;
use super::view::describe;

/// What can be counted of a mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorFigures {
    /// Which.
    pub id: String,
    /// The volume of it that is here; of two, the one that was named first.
    pub volume: String,
    /// CopyState, in DMTF's numbers.
    pub copy_state: u64,
    /// Whether that volume is the source at the moment; `None`: it isn't open.
    pub is_source: Option<bool>,
    /// Whether there is a volume that hosts may write.
    pub serves_hosts: bool,
    /// How much of what is copied is there.
    pub percent_synced: Option<u64>,
    /// Bytes that are still to be copied.
    pub left_bytes: u64,
    /// For how many seconds the target hasn't had everything.
    pub behind_seconds: u64,
    /// Bytes that an asynchronous target lacks.
    pub lag_bytes: Option<u64>,
    /// Whether it is no further behind than it should be.
    pub rpo_kept: Option<bool>,
}

impl Registry {
    /// All mirrors.
    #[must_use]
    pub fn mirror_figures(&self) -> Vec<MirrorFigures> {
        let all = self.mirrors.all();
        let mut all: Vec<_> = all.iter().map(|it| figures(it)).collect();
        all.sort_by(|one, other| one.volume.cmp(&other.volume));
        all
    }
}

fn figures(running: &super::Running) -> MirrorFigures {
    let told = describe(running);
    let (volume, is_source, copy_state) = running.look(|state| {
        let record = state.record();
        let side = record
            .remote()
            .map_or(MirrorSide::First, |(remote, _)| remote.opposite());
        let is_source = state.role(side).map(|role| role == Role::Source);
        let copy_state = u64::from(state.association().copy_state.value());
        (record.end(side).volume.to_string(), is_source, copy_state)
    });
    MirrorFigures {
        id: told.id,
        volume,
        copy_state,
        is_source,
        serves_hosts: told.serving.is_some(),
        percent_synced: told.percent_synced.map(u64::from),
        left_bytes: told.left_bytes,
        behind_seconds: told.behind_seconds,
        lag_bytes: told.asynchronous.as_ref().and_then(|it| it.lag_bytes),
        rpo_kept: told.asynchronous.as_ref().map(|it| it.rpo_kept),
    }
}
