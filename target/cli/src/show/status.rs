//! The daemon's status as text.

use tidelock_admin::v1::{Status, VolumeCounts};

use crate::render::{duration, properties};
use crate::size::format_size;

pub(crate) fn status(status: &Status) -> String {
    let memory = status.memory;
    let portals = if status.portals.is_empty() {
        "none".into()
    } else {
        status.portals.join(", ")
    };
    properties([
        (
            "daemon",
            format!("tidelockd {}, process {}", status.version, status.pid),
        ),
        ("up for", duration(status.uptime_seconds)),
        ("portals", portals),
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
    ])
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
