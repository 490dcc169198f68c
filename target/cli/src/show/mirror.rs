//! Mirrors as text.

use tidelock_admin::v1::{
    Job, Mirror, MirrorCompression, MirrorEnd, MirrorFailover, MirrorFailoverSet, MirrorLag,
    OnFailure,
};

use crate::render::{duration, properties, table, yes_no};
use crate::size::format_size;

pub(crate) fn mirrors(mirrors: &[Mirror]) -> String {
    if mirrors.is_empty() {
        return "no mirrors: `tidelock mirror create VOLUME [PEER:]VOLUME` makes one\n".into();
    }
    let row = |mirror: &Mirror| {
        [
            mirror.source.volume.clone(),
            mirror.target.volume.clone(),
            mirror.copy_state.clone(),
            mirror.progress_status.clone(),
            percent(mirror),
            lag(mirror),
            failover(mirror).to_owned(),
            some(&mirror.groups.join(",")),
            mirror.serving.clone().unwrap_or_else(|| "-".into()),
        ]
    };
    table(
        [
            "SOURCE",
            "TARGET",
            "STATE",
            "PROGRESS",
            "SYNCED",
            "BEHIND",
            "FAILOVER",
            "GROUPS",
            "HOSTS USE",
        ],
        &[4],
        mirrors.iter().map(row),
    )
}

pub(crate) fn mirror(mirror: &Mirror) -> String {
    let mut rows = vec![
        ("mirror", mirror.id.clone()),
        ("source", end(&mirror.source)),
        ("target", end(&mirror.target)),
        ("mode", mode(mirror)),
        (
            "on failure",
            match mirror.on_failure {
                OnFailure::Halt => "halt: writes of hosts fail while the target is away",
                _ => "continue: hosts go on while the target is away",
            }
            .to_owned(),
        ),
        (
            "failover",
            match mirror.failover {
                MirrorFailover::Automatic => "automatic: by leases in etcd",
                _ => "manual",
            }
            .to_owned(),
        ),
        (
            "resync limit",
            mirror.resync_limit.map_or_else(
                || "none: as fast as hosts leave room for".to_owned(),
                |bytes| format!("{}/s", format_size(bytes)),
            ),
        ),
        ("compression", compression(mirror)),
        ("CopyState", mirror.copy_state.clone()),
        ("ProgressStatus", mirror.progress_status.clone()),
        ("PercentSynced", percent(mirror)),
        ("behind", lag(mirror)),
        (
            "hosts use",
            mirror
                .serving
                .clone()
                .unwrap_or_else(|| "neither volume at the moment".into()),
        ),
        ("target consistent", yes_no(mirror.target.consistent)),
    ];
    if let Some(at) = mirror
        .asynchronous
        .as_ref()
        .and_then(|it| it.cut_at.clone())
    {
        rows.push(("target is as of", at));
    }
    if !mirror.groups.is_empty() {
        rows.push(("in groups", mirror.groups.join(", ")));
    }
    if !mirror.detail.is_empty() {
        rows.push(("detail", mirror.detail.clone()));
    }
    if let Some(next) = &mirror.next {
        rows.push(("next", next.why.clone()));
        rows.push(("command", next.command.clone()));
    }
    properties(rows)
}

/// What becomes of the content on the link, and what comes of that.
fn compression(mirror: &Mirror) -> String {
    if mirror.compression != MirrorCompression::Zstd {
        return "none".to_owned();
    }
    match &mirror.compressed {
        Some(it) if !it.possible => {
            "zstd, but not in use: the peer's daemon can't, update it".to_owned()
        }
        Some(it) if it.bytes > 0 => format!(
            "zstd: {} have gone as {}",
            format_size(it.bytes),
            format_size(it.sent_bytes)
        ),
        _ => "zstd".to_owned(),
    }
}

/// A mirror in one line, and what comes next.
pub(crate) fn mirror_line(mirror: &Mirror) -> String {
    let (source, target) = (&mirror.source.volume, &mirror.target.volume);
    let state = format!("{} ({})", mirror.copy_state, mirror.progress_status);
    let synced = match mirror.percent_synced {
        Some(percent) if percent < 100 => format!(
            ", {percent}% synced, {} to copy",
            format_size(mirror.left_bytes)
        ),
        _ => String::new(),
    };
    let serving = match &mirror.serving {
        Some(volume) => format!("hosts use {volume}"),
        None => "hosts can write neither volume".to_owned(),
    };
    let detail = match mirror.detail.as_str() {
        "" => String::new(),
        detail => format!("  {detail}\n"),
    };
    format!("mirror of {source} to {target}: {state}{synced}; {serving}\n{detail}")
}

/// The same, after it was said who fails it over.
pub(crate) fn mirror_failover(set: &MirrorFailoverSet) -> String {
    let left = match &set.left {
        Some(left) => format!("  {left}\n"),
        None => String::new(),
    };
    format!(
        "failover of the mirror of {} to {} is {}\n{left}",
        set.mirror.source.volume,
        set.mirror.target.volume,
        failover(&set.mirror)
    )
}

const fn failover(mirror: &Mirror) -> &'static str {
    match mirror.failover {
        MirrorFailover::Automatic => "automatic",
        _ => "manual",
    }
}

pub(crate) fn job_line_begun(job: &Job) -> String {
    format!("job {} compares the volumes of {}\n", job.id, job.volume)
}

fn end(end: &MirrorEnd) -> String {
    match &end.role {
        _ if !end.problem.is_empty() => format!("{} ({})", end.volume, end.problem),
        Some(role) => format!("{} (is the {role} now)", end.volume),
        None => format!("{} (not open)", end.volume),
    }
}

fn some(text: &str) -> String {
    match text {
        "" => "-".to_owned(),
        text => text.to_owned(),
    }
}

fn percent(mirror: &Mirror) -> String {
    let percent = mirror.percent_synced.map(|percent| format!("{percent}%"));
    percent.unwrap_or_else(|| "-".into())
}

fn mode(mirror: &Mirror) -> String {
    match &mirror.asynchronous {
        None => "Synchronous".to_owned(),
        Some(MirrorLag {
            rpo_ms, rpo_kept, ..
        }) => {
            let kept = match rpo_kept {
                true => "",
                false => ", which isn't kept",
            };
            format!("Asynchronous (RPO {}{kept})", milliseconds(*rpo_ms))
        }
    }
}

fn milliseconds(ms: u64) -> String {
    match ms.is_multiple_of(1_000) {
        true => duration(ms / 1_000),
        false => format!("{ms} ms"),
    }
}

fn lag(mirror: &Mirror) -> String {
    if let Some(MirrorLag {
        lag_bytes, lag_ms, ..
    }) = &mirror.asynchronous
    {
        return match (lag_bytes, lag_ms) {
            (Some(0), _) => "-".into(),
            (Some(bytes), Some(ms)) => {
                format!("{} for {}", format_size(*bytes), duration(ms / 1_000))
            }
            // The source can't be asked.
            (None, Some(ms)) => format!("for {} at most", duration(ms / 1_000)),
            _ => "unknown".into(),
        };
    }
    match (mirror.percent_synced, mirror.left_bytes) {
        (Some(100), _) => "-".into(),
        (_, 0) => format!("for {}", duration(mirror.behind_seconds)),
        (_, left) => format!(
            "{} for {}",
            format_size(left),
            duration(mirror.behind_seconds)
        ),
    }
}
