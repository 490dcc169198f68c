//! How far the target of an asynchronous mirror is behind, and what would be lost if its source were gone. The daemon of the
//! source measures it; the other one knows what it was told last.

use std::time::Duration;

use tidelock_admin::v1;
use tidelock_catalog::{Mirror, schedule};
use tidelock_mirror::epochs::RpoState;
use tidelock_mirror::generation::Role;

use crate::events::unix_ms;
use crate::mirrors::end::EndFacts;
use crate::mirrors::lag::Told;
use crate::mirrors::running::Running;
use crate::mirrors::state::State;

/// What the daemon of the source has told the one here.
#[derive(Clone, Copy, Debug)]
pub(super) struct FromSource {
    told: Told,
    /// How long ago.
    ago: Duration,
    /// It can tell more at any time.
    is_connected: bool,
}

pub(super) fn told(running: &Running) -> Option<FromSource> {
    let (told, ago) = running.heard_lag()?;
    Some(FromSource {
        told,
        ago,
        is_connected: running.is_connected(),
    })
}

/// How far the target is behind; `None`: hosts wait for it.
pub(super) fn of(
    record: &Mirror,
    facts: [Option<EndFacts>; 2],
    told: Option<FromSource>,
) -> Option<v1::MirrorLag> {
    let rpo_ms = record.mode.rpo_ms()?;
    let mut sources = facts.iter().flatten().filter(|it| it.role == Role::Source);
    let Some(source) = sources.next() else {
        return Some(from_source(rpo_ms, told));
    };
    let behind = source.behind;
    let cut_at = behind.and_then(|it| it.cut_at);
    Some(v1::MirrorLag {
        rpo_ms,
        lag_bytes: behind.map(|it| it.lag.bytes),
        lag_ms: behind.map(|it| it.lag.ms),
        cut_at: cut_at.map(|at| schedule::time_text(unix_ms(at))),
        rpo_kept: behind.is_none_or(|it| it.rpo == RpoState::Kept),
    })
}

fn from_source(rpo_ms: u64, from: Option<FromSource>) -> v1::MirrorLag {
    let Some(from) = from else {
        return v1::MirrorLag {
            rpo_ms,
            lag_bytes: None,
            lag_ms: None,
            cut_at: None,
            rpo_kept: true,
        };
    };
    let Told {
        bytes,
        ms,
        cut_unix_ms,
        rpo_kept,
    } = from.told;
    let ago_ms = u64::try_from(from.ago.as_millis()).unwrap_or(u64::MAX);
    let lag_ms = match from.is_connected && bytes == 0 {
        true => ms,
        // Since then, or since the source was heard last.
        false => ms.saturating_add(ago_ms),
    };
    v1::MirrorLag {
        rpo_ms,
        lag_bytes: from.is_connected.then_some(bytes),
        lag_ms: Some(lag_ms),
        cut_at: (cut_unix_ms != 0).then(|| schedule::time_text(cut_unix_ms)),
        rpo_kept: rpo_kept && (from.is_connected || lag_ms <= rpo_ms),
    }
}

/// What is lost if a target takes over whose source is away.
pub(super) fn detail(state: &State, told: Option<FromSource>) -> Option<String> {
    let record = state.record();
    let (remote, _) = record.remote()?;
    let is_target = state.role(remote.opposite()) == Some(Role::Target);
    let from = told.filter(|it| is_target && state.is_asynchronous() && !it.is_connected)?;
    let own = &record.end(remote.opposite()).volume;
    let at = from.told.cut_unix_ms;
    let since = match at {
        0 => "its last cut".to_owned(),
        at => schedule::time_text(at),
    };
    Some(format!(
        "volume {own} lacks at most what was written since {since}; {} bytes of that were known of {} s ago",
        from.told.bytes,
        from.ago.as_secs()
    ))
}
