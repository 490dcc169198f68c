//! Clones as text.

use tidelock_admin::v1::{CloneOf, Origin, SyncType, Volume};

use crate::render::{properties, table};
use crate::size::format_size;

pub(crate) fn clones(clones: &[CloneOf]) -> String {
    if clones.is_empty() {
        return "no clones; make one with `tidelock clone create VOLUME@SNAPSHOT NAME`\n".into();
    }
    let row = |clone: &CloneOf| {
        [
            clone.name.clone(),
            format_size(clone.size_bytes),
            origin(&clone.origin),
            kind(clone).to_owned(),
            clone.copy_state.name().to_owned(),
            clone.progress_status.name().to_owned(),
            percent(clone),
            clone.job.map_or_else(|| "-".into(), |job| job.to_string()),
        ]
    };
    table(
        [
            "NAME", "SIZE", "CLONE OF", "KIND", "STATE", "PROGRESS", "SYNCED", "JOB",
        ],
        &[1, 6, 7],
        clones.iter().map(row),
    )
}

pub(crate) fn clone(clone: &CloneOf) -> String {
    let size = clone.size_bytes;
    let mut rows = vec![
        ("clone", clone.name.clone()),
        ("of", origin(&clone.origin)),
        ("size", format!("{} ({size} bytes)", format_size(size))),
        ("kind", kind(clone).to_owned()),
        ("CopyState", clone.copy_state.name().to_owned()),
        ("ProgressStatus", clone.progress_status.name().to_owned()),
        ("PercentSynced", percent(clone)),
    ];
    rows.extend(clone.job.map(|job| ("job", job.to_string())));
    if !clone.detail.is_empty() {
        rows.push(("because", clone.detail.clone()));
    }
    properties(rows)
}

/// What is being done for one that is to be a full clone.
pub(crate) fn hydrating(clone: &CloneOf) -> String {
    clone.job.map_or_else(String::new, |job| {
        format!(
            "clone {} gets blocks of its own: `tidelock job watch {job}` shows how far that is\n",
            clone.name
        )
    })
}

/// What was made of a group.
pub(crate) fn cloned(clones: &[CloneOf]) -> String {
    let line = |clone: &CloneOf| {
        let of = &clone.origin;
        // One that was taken for the clone alone is known to nobody.
        let snapshot = match of.deleted {
            true => String::new(),
            false => format!("@{}", of.snapshot),
        };
        let made = format!("clone {} of {}{snapshot} created\n", clone.name, of.volume);
        made + &hydrating(clone)
    };
    clones.iter().map(line).collect()
}

pub(crate) fn promoted(volume: &Volume) -> String {
    let snapshots = volume.family.as_ref().map_or(0, |family| family.snapshots);
    let now = match volume
        .family
        .as_ref()
        .and_then(|family| family.origin.as_ref())
    {
        // The other one was a clone itself: the two have changed places under what that was made from.
        Some(above) => format!("is a clone of {} now", origin(above)),
        None => "depends on no other now".into(),
    };
    format!(
        "volume {} {now}; it has {snapshots} snapshot(s)\n",
        volume.name
    )
}

/// What a clone was made from.
pub(crate) fn origin(origin: &Origin) -> String {
    let linked = if origin.linked { " (linked)" } else { "" };
    let deleted = if origin.deleted { " (deleted)" } else { "" };
    format!("{}@{}{linked}{deleted}", origin.volume, origin.snapshot)
}

fn kind(clone: &CloneOf) -> &'static str {
    match clone.sync_type {
        SyncType::Clone => "full",
        _ => "linked",
    }
}

fn percent(clone: &CloneOf) -> String {
    let percent = clone.percent_synced.map(|percent| format!("{percent}%"));
    percent.unwrap_or_else(|| "-".into())
}
