//! The daemon's status as text.

use tidelock_admin::v1::{PortalGroup, Status, VolumeCounts};

use crate::render::{duration, properties};
use crate::size::format_size;

pub(crate) fn status(status: &Status) -> String {
    let memory = status.memory;
    let mut rows = vec![
        (
            "daemon",
            format!("tidelockd {}, process {}", status.version, status.pid),
        ),
        ("up for", duration(status.uptime_seconds)),
        ("portals", portals(status)),
        (
            "back end",
            format!("{} ({})", status.backend.name, status.backend.reason),
        ),
        ("reactors", status.reactors.to_string()),
        (
            "memory",
            format!(
                "{} of {}",
                format_size(memory.in_use_bytes),
                format_size(memory.ceiling_bytes)
            ),
        ),
        ("volumes", volumes(status.volumes)),
        ("snapshots", status.snapshots.to_string()),
        ("space", space(status)),
        ("targets", status.targets.to_string()),
        ("sessions", status.sessions.to_string()),
        (
            "state",
            format!(
                "{}, generation {}",
                status.state_dir, status.catalog_generation
            ),
        ),
        ("identity", status.daemon_id.clone()),
    ];
    if let Some(peer) = &status.peer {
        rows.push(("fingerprint", peer.fingerprint.clone()));
        rows.extend(peer.portal.clone().map(|portal| ("peer portal", portal)));
    }
    properties(rows)
}

/// The portals, by group where there are several.
fn portals(status: &Status) -> String {
    match status.portal_groups.as_slice() {
        [] | [_] if status.portals.is_empty() => "none".into(),
        [] | [_] => status.portals.join(", "),
        groups => {
            let of_it =
                |group: &PortalGroup| format!("group {}: {}", group.tag, group.portals.join(", "));
            groups.iter().map(of_it).collect::<Vec<_>>().join("; ")
        }
    }
}

fn volumes(counts: VolumeCounts) -> String {
    let VolumeCounts {
        loading,
        ready,
        fenced,
        failed,
    } = counts;
    let parts: Vec<_> = [
        (ready, "ready"),
        (loading, "loading"),
        (fenced, "FENCED"),
        (failed, "FAILED"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, state)| format!("{count} {state}"))
    .collect();
    if parts.is_empty() {
        "none".into()
    } else {
        parts.join(", ")
    }
}

fn space(status: &Status) -> String {
    let Some(space) = status.space else {
        return "unknown".into();
    };
    let warning = match space.warn_below_percent {
        0 => String::new(),
        percent => format!("; hosts are warned below {percent} %"),
    };
    let (left, all) = (space.available_bytes, space.total_bytes);
    format!(
        "{} left of {}{warning}",
        format_size(left),
        format_size(all)
    )
}
