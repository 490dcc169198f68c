//! Snapshots, groups and schedules as text.

use tidelock_admin::v1::{
    Diff, Group, ReceiveStatus, Received, Restored, Schedule, Snapshot, SnapshotCause,
};

use crate::render::{properties, table};
use crate::size::format_size;
use crate::time_span::format_time_span;

pub(crate) fn snapshots(snapshots: &[Snapshot]) -> String {
    if snapshots.is_empty() {
        return "no snapshots; take one with `tidelock snapshot create VOLUME NAME`\n".into();
    }
    let row = |snapshot: &Snapshot| {
        [
            format!("{}@{}", snapshot.volume, snapshot.name),
            snapshot.at.clone(),
            format_size(snapshot.size_bytes),
            cause(snapshot),
            if snapshot.clones.is_empty() {
                "-".into()
            } else {
                snapshot.clones.join(", ")
            },
            mapped(snapshot),
        ]
    };
    table(
        ["SNAPSHOT", "TAKEN", "SIZE", "BY", "CLONES", "MAPPED"],
        &[2],
        snapshots.iter().map(row),
    )
}

pub(crate) fn snapshot(snapshot: &Snapshot) -> String {
    let size = snapshot.size_bytes;
    let mut rows = vec![
        ("snapshot", format!("{}@{}", snapshot.volume, snapshot.name)),
        ("taken", snapshot.at.clone()),
        ("by", cause(snapshot)),
        ("size", format!("{} ({size} bytes)", format_size(size))),
        ("content", consistency(snapshot).into()),
    ];
    let own = snapshot.exclusive_bytes;
    rows.extend(own.map(|bytes| ("its own", format_size(bytes))));
    rows.push(("id", snapshot.id.clone()));
    rows.extend(snapshot.clones.iter().map(|clone| ("clone", clone.clone())));
    rows.extend(snapshot.mappings.iter().map(|mapping| {
        let place = format!("{} LUN {} (read only)", mapping.target, mapping.lun);
        ("mapped", place)
    }));
    properties(rows)
}

fn consistency(snapshot: &Snapshot) -> &'static str {
    match snapshot.quiesced {
        true => "application consistent",
        false => "crash consistent",
    }
}

fn cause(snapshot: &Snapshot) -> String {
    if let Some(group) = &snapshot.group {
        return format!("group {group}");
    }
    let cause = match snapshot.cause {
        SnapshotCause::Operator => "operator",
        SnapshotCause::Schedule => "schedule",
        SnapshotCause::Clone => "clone",
        SnapshotCause::Restore => "restore",
        SnapshotCause::SplitBrain => "split brain",
        SnapshotCause::Receive => "receive",
        _ => "unknown",
    };
    cause.into()
}

fn mapped(snapshot: &Snapshot) -> String {
    match &snapshot.mappings[..] {
        [] => "-".into(),
        [one] => format!("{} LUN {}", one.target, one.lun),
        more => format!("{} targets", more.len()),
    }
}

/// What was taken together.
pub(crate) fn taken(snapshots: &[Snapshot]) -> String {
    let line = |one: &Snapshot| format!("snapshot {}@{} taken\n", one.volume, one.name);
    snapshots.iter().map(line).collect()
}

pub(crate) fn restored(restored: &Restored) -> String {
    let lines = restored.restored.iter().map(|one| {
        format!(
            "volume {0} is as {0}@{1} now; what was there before is {0}@{2}\n",
            one.volume, one.snapshot, one.safety
        )
    });
    lines.collect()
}

pub(crate) fn received(received: &Received) -> String {
    let safety = received.safety.as_ref().map(|safety| {
        let volume = &received.volume;
        format!("; what was there before is {volume}@{safety}")
    });
    format!(
        "volume {0} is {0}@{1} now{2}\n",
        received.volume,
        received.snapshot,
        safety.unwrap_or_default()
    )
}

pub(crate) fn receive_status(status: &ReceiveStatus) -> String {
    let active = match status.active {
        true => "is coming right now",
        false => "was cut short",
    };
    let rows = vec![
        ("volume", status.volume.clone()),
        ("snapshot", format!("{}, {active}", status.snapshot)),
        (
            "has come",
            format!(
                "{} of {}",
                format_size(status.position_bytes),
                format_size(status.size_bytes)
            ),
        ),
        (
            "go on with",
            format!("tidelock snapshot send --resume {}", status.token),
        ),
    ];
    properties(rows)
}

pub(crate) fn diff(diff: &Diff) -> String {
    if diff.ranges.is_empty() {
        return format!("{} and {} are the same\n", diff.from, diff.to);
    }
    let rows = diff.ranges.iter().map(|range| {
        [
            range.offset_bytes.to_string(),
            range.length_bytes.to_string(),
        ]
    });
    let bytes = diff.ranges.iter().map(|range| range.length_bytes);
    let bytes = bytes.fold(0, u64::saturating_add);
    let count = diff.ranges.len();
    format!(
        "{}{count} range(s), {} in all\n",
        table(["OFFSET", "LENGTH"], &[0, 1], rows),
        format_size(bytes)
    )
}

pub(crate) fn members(group: &Group) -> String {
    if group.volumes.is_empty() {
        "no volumes".into()
    } else {
        group.volumes.join(", ")
    }
}

pub(crate) fn groups(groups: &[Group]) -> String {
    if groups.is_empty() {
        return "no groups; make one with `tidelock group create GROUP VOLUME...`\n".into();
    }
    let row = |group: &Group| {
        let newest = group.sets.last();
        [
            group.name.clone(),
            members(group),
            group.sets.len().to_string(),
            newest.map_or_else(|| "-".into(), |set| format!("{} ({})", set.name, set.at)),
        ]
    };
    table(
        ["GROUP", "VOLUMES", "SETS", "NEWEST"],
        &[2],
        groups.iter().map(row),
    )
}

pub(crate) fn group(group: &Group) -> String {
    let mut rows = vec![("group", group.name.clone()), ("volumes", members(group))];
    rows.extend(group.sets.iter().map(|set| {
        let missing = if set.complete {
            ""
        } else {
            ", some are deleted"
        };
        let volumes = set.volumes.join(", ");
        (
            "set",
            format!("{} of {} ({volumes}{missing})", set.name, set.at),
        )
    }));
    properties(rows)
}

pub(crate) fn schedules(schedules: &[Schedule]) -> String {
    if schedules.is_empty() {
        return "no schedules; make one with `tidelock snapshot schedule VOLUME --every 1h --keep 24`\n"
            .into();
    }
    let row = |schedule: &Schedule| {
        let problem = &schedule.problem;
        [
            schedule.volume.clone(),
            format_time_span(schedule.every_seconds),
            schedule.keep.to_string(),
            schedule.next.clone(),
            if problem.is_empty() {
                "-".into()
            } else {
                problem.clone()
            },
        ]
    };
    table(
        ["VOLUME", "EVERY", "KEEP", "NEXT", "PROBLEM"],
        &[1, 2],
        schedules.iter().map(row),
    )
}
