//! Volumes as text.

use std::path::Path;

use tidelock_admin::v1::{
    CheckReport, Integrity, ReservationType, Reservations, Volume, VolumeFamily, VolumeState,
};

use crate::render::{properties, table, yes_no};
use crate::size::format_size;

pub(crate) fn volumes(volumes: &[Volume]) -> String {
    if volumes.is_empty() {
        return "no volumes; make one with `tidelock volume create NAME --size 10G`\n".into();
    }
    let row = |volume: &Volume| {
        let mapped = match &volume.mappings[..] {
            [] => "-".into(),
            [one] => format!("{} LUN {}", one.target, one.lun),
            more => format!("{} targets", more.len()),
        };
        [
            volume.name.clone(),
            format_size(volume.size_bytes),
            allocated(volume),
            state(volume.state).into(),
            mapped,
            volume.path.clone(),
        ]
    };
    table(
        ["NAME", "SIZE", "ALLOCATED", "STATE", "MAPPED", "FILE"],
        &[1, 2],
        volumes.iter().map(row),
    )
}

pub(crate) fn volume(volume: &Volume) -> String {
    let whose = if volume.managed {
        "kept by the daemon, deleted with the volume"
    } else if is_in_family_folder(volume) {
        "of its family; what is the volume's alone is deleted with it"
    } else {
        "yours, stays"
    };
    let state = match volume.detail.as_str() {
        "" => state(volume.state).to_owned(),
        detail => format!("{}: {detail}", state(volume.state)),
    };
    let cache = if volume.write_cache {
        "on"
    } else {
        "off (every write is durable)"
    };
    let mut rows = vec![
        ("name", volume.name.clone()),
        (
            "size",
            format!(
                "{} ({} bytes)",
                format_size(volume.size_bytes),
                volume.size_bytes
            ),
        ),
        (
            "allocated",
            match allocated(volume).as_str() {
                "?" => "unknown".into(),
                known => known.to_owned(),
            },
        ),
        ("state", state),
        ("file", format!("{} ({whose})", volume.path)),
        ("block size", format!("{} bytes", volume.block_bytes)),
        ("preallocated", yes_no(volume.preallocated)),
        ("direct I/O", yes_no(volume.direct)),
        ("write cache", cache.into()),
        ("checksums", checksums(volume).into()),
        ("serial", volume.serial.clone()),
        ("NAA", volume.naa.clone()),
        ("id", volume.id.clone()),
    ];
    if volume.limits.limit_bytes.is_some() {
        rows.push(("limit", space_limits(volume)));
    }
    if let Some(family) = &volume.family {
        rows.extend(self::family(family));
    }
    if !volume.groups.is_empty() {
        rows.push(("groups", volume.groups.join(", ")));
    }
    if let Some(reservations) = &volume.reservations {
        rows.extend(self::reservations(reservations));
    }
    for mapping in &volume.mappings {
        let read_only = if mapping.read_only {
            " (read only)"
        } else {
            ""
        };
        rows.push((
            "mapped",
            format!("{} LUN {}{read_only}", mapping.target, mapping.lun),
        ));
    }
    properties(rows)
}

/// It has no file of its own, as a linked clone has none.
fn is_in_family_folder(volume: &Volume) -> bool {
    let family = volume.family.as_ref();
    family.is_some_and(|family| Path::new(&volume.path).ends_with(&family.id))
}

/// What is the volume's alone, and what it shares.
fn allocated(volume: &Volume) -> String {
    let Some(own) = volume.allocated_bytes else {
        return "?".into();
    };
    match (&volume.family, volume.used_bytes) {
        (Some(_), Some(used)) => {
            let shared = format_size(used.saturating_sub(own));
            format!("{} + {shared} shared", format_size(own))
        }
        _ => format_size(own),
    }
}

/// How much space it may take.
pub(crate) fn space_limits(volume: &Volume) -> String {
    let limits = volume.limits;
    let warning = limits
        .warn_percent
        .map(|percent| format!("; hosts are warned at {percent} %"));
    match limits.limit_bytes {
        None => "what there is".into(),
        Some(bytes) => format!("{}{}", format_size(bytes), warning.unwrap_or_default()),
    }
}

/// What becomes of a volume that takes more than it may; nothing of any other one.
pub(crate) fn over_limit(volume: &Volume) -> String {
    match (volume.used_bytes, volume.limits.limit_bytes) {
        (Some(used), Some(limit)) if used > limit => format!(
            "it takes {} already: writes that need more are refused until it takes less\n",
            format_size(used)
        ),
        _ => String::new(),
    }
}

fn checksums(volume: &Volume) -> &'static str {
    match (volume.integrity, &volume.family) {
        (Integrity::Full, _) => "of all blocks",
        (_, Some(_)) => "of what was written since the first snapshot",
        (_, None) => "none; what is written after its first snapshot has some",
    }
}

/// What looking for damage has found.
pub(crate) fn check_report(report: &CheckReport) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        text.push_str(&format!("DAMAGED  {finding}\n"));
    }
    let size = format_size(report.checked_bytes);
    let checked = &report.checked;
    text.push_str(&match report.damaged {
        0 => format!("{checked}: {size} looked at, nothing is wrong\n"),
        damaged => format!("{checked}: {size} looked at, {damaged} thing(s) are wrong\n"),
    });
    if report.stopped {
        text.push_str(
            "STOPPED  before everything was looked at: hosts need the space that it keeps\n",
        );
    }
    text
}

/// What it shares with whom.
fn family(family: &VolumeFamily) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(origin) = &family.origin {
        rows.push(("clone of", super::clone::origin(origin)));
    }
    let newest = family.newest_snapshots.join(", ");
    let more = family
        .snapshots
        .saturating_sub(family.newest_snapshots.len() as u64);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let count = family.snapshots;
    rows.push(match count {
        0 => ("snapshots", "0".into()),
        _ => ("snapshots", format!("{count}: {newest}{more}")),
    });
    if !family.clones.is_empty() {
        rows.push(("clones", family.clones.join(", ")));
    }
    if family.volumes.len() > 1 {
        rows.push(("shares with", family.volumes.join(", ")));
    }
    let size = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".into(), format_size);
    let deleting = match family.being_deleted {
        None | Some(0) => String::new(),
        Some(count) => {
            format!("; {count} deleted, whose space is being given back or needed by clones")
        }
    };
    rows.push((
        "shared space",
        format!(
            "{} beside the file, {} of maps in memory{deleting}",
            size(family.data_bytes),
            size(family.metadata_bytes)
        ),
    ));
    if let Some(percent) = family.coming_home_percent {
        rows.push(("becomes a file", format!("{percent} %")));
    }
    rows
}

/// Who reserved it, and who is registered.
fn reservations(reservations: &Reservations) -> Vec<(&'static str, String)> {
    let persistent = if reservations.persistent {
        " (kept over restarts)"
    } else {
        ""
    };
    let reservation = match (&reservations.reserved_by, reservations.reservation) {
        (Some(port), _) => format!("RESERVE by {port}"),
        (None, Some(kind)) => format!("{}{persistent}", reservation_type(kind)),
        (None, None) => format!("none{persistent}"),
    };
    let mut rows = vec![("reservation", reservation)];
    for one in &reservations.registrants {
        let holder = if one.holder { ", holder" } else { "" };
        rows.push((
            "registered",
            format!(
                "{} key {} at target port {}{holder}",
                one.initiator_port, one.key, one.relative_port
            ),
        ));
    }
    rows
}

fn reservation_type(kind: ReservationType) -> &'static str {
    match kind {
        ReservationType::WriteExclusive => "Write Exclusive",
        ReservationType::ExclusiveAccess => "Exclusive Access",
        ReservationType::WriteExclusiveRegistrantsOnly => "Write Exclusive, registrants only",
        ReservationType::ExclusiveAccessRegistrantsOnly => "Exclusive Access, registrants only",
        ReservationType::WriteExclusiveAllRegistrants => "Write Exclusive, all registrants",
        ReservationType::ExclusiveAccessAllRegistrants => "Exclusive Access, all registrants",
        _ => "unknown",
    }
}

fn state(state: VolumeState) -> &'static str {
    match state {
        VolumeState::Loading => "loading",
        VolumeState::Ready => "ready",
        VolumeState::Fenced => "FENCED",
        VolumeState::Failed => "FAILED",
        _ => "unknown",
    }
}
