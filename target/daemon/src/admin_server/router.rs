//! Which path leads where, and the answers for those that lead nowhere. Knows no catalog.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{delete, get, patch, post, put};
use axum::{Extension, Router};
use tidelock_admin::v1::ErrorCode;
use tokio::sync::watch;

use crate::admin_server::connection::Limits;
use crate::admin_server::control::Control;
use crate::admin_server::failure::Failure;
use crate::admin_server::handlers::{
    access, asymmetric_access, capabilities, clones, daemon, events, groups, jobs, mirrors, peers,
    sessions, snapshots, streams, targets, volumes,
};

/// What every handler has.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) control: Arc<dyn Control>,
    pub(super) limits: Limits,
    pub(super) stop: watch::Receiver<bool>,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) uid: u32,
    pub(super) pid: Option<i32>,
}

/// Everything, for administrators.
pub(super) fn full(
    control: Arc<dyn Control>,
    limits: Limits,
    stop: watch::Receiver<bool>,
) -> Router {
    let acl = "/v1/targets/{target}/acl";
    Router::new()
        .route("/v1/status", get(daemon::status))
        .route("/v1/events", get(events::stream))
        .route("/metrics", get(daemon::metrics))
        .route("/openapi.json", get(daemon::openapi))
        .route("/v1/volumes", get(volumes::list).post(volumes::create))
        .route(
            "/v1/volumes/{volume}",
            get(volumes::show)
                .patch(volumes::resize)
                .delete(volumes::delete),
        )
        .route("/v1/volumes/{volume}/limits", put(volumes::set_limits))
        .route("/v1/volumes/{volume}/unfence", post(volumes::unfence))
        .route(
            "/v1/volumes/{volume}/reservations",
            delete(volumes::clear_reservations),
        )
        .route("/v1/volumes/{volume}/access", get(asymmetric_access::show))
        .route(
            "/v1/volumes/{volume}/access/{group}",
            patch(asymmetric_access::set),
        )
        .merge(of_snapshots())
        .merge(of_peers())
        .merge(of_mirrors())
        .route("/v1/targets", get(targets::list).post(targets::create))
        .route(
            "/v1/targets/{target}",
            get(targets::show)
                .patch(targets::set)
                .delete(targets::delete),
        )
        .route("/v1/targets/{target}/luns", post(targets::map))
        .route("/v1/targets/{target}/luns/{lun}", delete(targets::unmap))
        .route(
            "/v1/targets/{target}/redirect",
            put(targets::set_redirect).delete(targets::remove_redirect),
        )
        .route(acl, get(access::list))
        .route(
            &format!("{acl}/{{initiator}}"),
            put(access::set)
                .patch(access::set_parameters)
                .delete(access::remove),
        )
        .route(
            "/v1/targets/{target}/parameters",
            patch(targets::set_parameters),
        )
        .route("/v1/discovery/acl", get(access::list_discovery))
        .route(
            "/v1/discovery/acl/{initiator}",
            put(access::set_discovery).delete(access::remove_discovery),
        )
        .route("/v1/capabilities", get(capabilities::show))
        .route("/v1/jobs", get(jobs::list))
        .route("/v1/jobs/{job}", get(jobs::show).delete(jobs::cancel))
        .route("/v1/sessions", get(sessions::list))
        .route("/v1/sessions/{session}", delete(sessions::drop))
        .route("/v1/sessions/{session}/logout", post(sessions::logout))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn(note))
        .with_state(Shared {
            control,
            limits,
            stop,
        })
}

fn of_peers() -> Router<Shared> {
    Router::new()
        .route("/v1/peers", get(peers::list).post(peers::add))
        .route("/v1/peer-requests", post(peers::accept))
        .route(
            "/v1/peers/{peer}",
            get(peers::show).patch(peers::set).delete(peers::remove),
        )
}

fn of_snapshots() -> Router<Shared> {
    let of_volume = "/v1/volumes/{volume}/snapshots";
    let of_group = "/v1/groups/{group}/snapshots";
    Router::new()
        .route("/v1/snapshots", get(snapshots::list_all))
        .route(of_volume, get(snapshots::list).post(snapshots::create))
        .route(
            &format!("{of_volume}/{{snapshot}}"),
            get(snapshots::show).delete(snapshots::delete),
        )
        .route(
            &format!("{of_volume}/{{snapshot}}/restore"),
            post(snapshots::restore),
        )
        .route(
            &format!("{of_volume}/{{snapshot}}/stream"),
            get(streams::send),
        )
        .route("/v1/streams/{token}", get(streams::send_rest))
        .route(
            "/v1/volumes/{volume}/receive",
            get(streams::status)
                .post(streams::receive)
                .delete(streams::abort),
        )
        .route("/v1/diff", get(snapshots::diff))
        .route("/v1/clones", get(clones::list).post(clones::create))
        .route("/v1/clones/{volume}", get(clones::show))
        .route("/v1/clones/{volume}/split", post(clones::split))
        .route("/v1/clones/{volume}/detach", post(clones::detach))
        .route("/v1/clones/{volume}/promote", post(clones::promote))
        .route("/v1/groups/{group}/clones", post(clones::of_group))
        .route("/v1/groups", get(groups::list).post(groups::create))
        .route(
            "/v1/groups/{group}",
            get(groups::show).delete(groups::delete),
        )
        .route(
            "/v1/groups/{group}/volumes/{volume}",
            put(groups::add).delete(groups::remove),
        )
        .route(of_group, post(groups::snapshot))
        .route(
            &format!("{of_group}/{{snapshot}}/restore"),
            post(groups::restore),
        )
        .route("/v1/schedules", get(snapshots::list_schedules))
        .route(
            "/v1/volumes/{volume}/schedule",
            put(snapshots::set_schedule).delete(snapshots::remove_schedule),
        )
        .route("/v1/volumes/{volume}/verify", post(snapshots::verify))
        .route("/v1/volumes/{volume}/scrub", post(snapshots::scrub))
}

fn of_mirrors() -> Router<Shared> {
    let one = "/v1/mirrors/{mirror}";
    let of_group = "/v1/groups/{group}/mirrors";
    Router::new()
        .route("/v1/mirrors", get(mirrors::list).post(mirrors::create))
        .route(
            one,
            get(mirrors::show)
                .patch(mirrors::set)
                .delete(mirrors::detach),
        )
        .route(&format!("{one}/operations"), post(mirrors::modify))
        .route(&format!("{one}/failover"), put(mirrors::set_failover))
        .route(&format!("{one}/verify"), post(mirrors::verify))
        .route(
            of_group,
            post(mirrors::create_group).delete(mirrors::detach_group),
        )
        .route(
            &format!("{of_group}/operations"),
            post(mirrors::modify_group),
        )
}

/// One answer to everything, for everybody else.
pub(super) fn refusal() -> Router {
    Router::new().fallback(|Extension(peer): Extension<Peer>| async move {
        Failure::new(
            ErrorCode::Forbidden,
            format!("user {} may not administer this daemon", peer.uid),
            "run this as root or as the user that tidelockd runs as",
        )
    })
}

async fn no_such_path(request: Request) -> Failure {
    let path: String = request.uri().path().chars().take(200).collect();
    let hint = "GET /openapi.json lists every path";
    Failure::new(
        ErrorCode::NotFound,
        format!("there is no {path} in this API"),
        hint,
    )
}

async fn no_such_method(request: Request) -> Failure {
    let path: String = request.uri().path().chars().take(200).collect();
    Failure::new(
        ErrorCode::MethodNotAllowed,
        format!("{path} can't be asked with {}", request.method()),
        "the answer's Allow header lists the methods that it has",
    )
}

/// Keeps a record of who changed what. Paths and statuses hold no secrets; bodies may, and aren't
/// looked at.
async fn note(Extension(peer): Extension<Peer>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    if method != Method::GET && method != Method::HEAD {
        let (uid, pid, status) = (peer.uid, peer.pid, response.status().as_u16());
        tracing::info!(uid, pid, %method, path, status, "admin request");
    }
    response
}
