//! The API described for people and tools: every path with its requests and answers. The server
//! serves this document, and its tests hold it to what it says.

mod capabilities;
mod clones;
mod jobs;
mod mirrors;
mod paths;
mod peers;
mod snapshots;
mod streams;

use utoipa::OpenApi;

/// The document of version 1.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tidelock admin API",
        description = "HTTP/1.1 and JSON over the daemon's Unix socket, for example \
                       `curl --unix-socket /run/tidelock/admin.sock http://tidelock/v1/status`. \
                       What is changed is durable before it is answered.",
        version = "1",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT"),
        contact()
    ),
    paths(
        paths::status,
        paths::events,
        paths::metrics,
        paths::openapi,
        paths::list_volumes,
        paths::create_volume,
        paths::show_volume,
        paths::resize_volume,
        paths::set_space_limits,
        paths::delete_volume,
        paths::unfence_volume,
        paths::clear_reservations,
        paths::show_asymmetric_access,
        paths::set_asymmetric_access,
        paths::list_targets,
        paths::create_target,
        paths::show_target,
        paths::set_target,
        paths::delete_target,
        paths::map_lun,
        paths::unmap_lun,
        paths::set_parameters,
        paths::set_access_parameters,
        paths::set_redirect,
        paths::remove_redirect,
        paths::list_access,
        paths::set_access,
        paths::remove_access,
        paths::list_discovery_access,
        paths::set_discovery_access,
        paths::remove_discovery_access,
        paths::list_sessions,
        paths::logout_session,
        paths::drop_session,
        snapshots::list_all_snapshots,
        snapshots::list_snapshots,
        snapshots::create_snapshot,
        snapshots::show_snapshot,
        snapshots::delete_snapshot,
        snapshots::restore_snapshot,
        snapshots::diff,
        clones::list_clones,
        clones::create_clone,
        clones::show_clone,
        clones::split_clone,
        clones::detach_clone,
        clones::promote_clone,
        snapshots::list_groups,
        snapshots::create_group,
        snapshots::show_group,
        snapshots::delete_group,
        snapshots::add_to_group,
        snapshots::remove_from_group,
        snapshots::snapshot_group,
        snapshots::restore_group,
        clones::clone_group,
        snapshots::list_schedules,
        snapshots::set_schedule,
        snapshots::remove_schedule,
        snapshots::verify_volume,
        snapshots::scrub_volume,
        streams::send_snapshot,
        streams::send_rest,
        streams::receive_snapshot,
        streams::show_receive,
        streams::abort_receive,
        mirrors::list_mirrors,
        mirrors::create_mirror,
        mirrors::show_mirror,
        mirrors::modify_mirror,
        mirrors::set_mirror_failover,
        mirrors::set_mirror,
        mirrors::detach_mirror,
        mirrors::verify_mirror,
        mirrors::create_group_mirrors,
        mirrors::modify_group_mirrors,
        mirrors::detach_group_mirrors,
        jobs::list_jobs,
        jobs::show_job,
        jobs::cancel_job,
        capabilities::show_capabilities,
        peers::list_peers,
        peers::add_peer,
        peers::accept_peer,
        peers::show_peer,
        peers::set_peer,
        peers::remove_peer,
    ),
    components(schemas(crate::v1::ErrorBody, crate::v1::Event))
)]
struct Document;

/// The OpenAPI document as JSON, with a line feed at its end.
#[must_use]
pub fn document() -> String {
    let document = Document::openapi();
    // Through a value, whose maps are sorted: the same text at every build.
    let value = serde_json::to_value(&document).unwrap_or_default();
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests;
