//! Access lists of targets and of discovery.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use tidelock_admin::v1;
use tidelock_catalog::{AclEntry, AclScope, Command, SessionParameters, Subject};

use crate::admin_server::body::{self, Options, Segments};
use crate::admin_server::failure::Failure;
use crate::admin_server::handlers::{targets, to_end};
use crate::admin_server::router::Shared;
use crate::admin_server::{parse, view};

/// What may follow the path of an entry.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_server) struct Whence {
    network: Option<String>,
}

impl Whence {
    fn subject(&self, initiator: &str) -> Result<Subject, Failure> {
        parse::subject(initiator, self.network.as_deref())
    }
}

pub(in crate::admin_server) async fn list(
    State(shared): State<Shared>,
    Segments(target): Segments<String>,
) -> Result<Json<v1::AccessList>, Failure> {
    let target = parse::target_name(&target)?;
    let catalog = shared.control.catalog();
    let entries = view::acl(&catalog.target(&target)?.acl);
    Ok(Json(v1::AccessList {
        scope: target.to_string(),
        entries,
    }))
}

pub(in crate::admin_server) async fn list_discovery(
    State(shared): State<Shared>,
) -> Json<v1::AccessList> {
    let entries = view::acl(shared.control.catalog().discovery());
    Json(v1::AccessList {
        scope: AclScope::Discovery.to_string(),
        entries,
    })
}

pub(in crate::admin_server) async fn set(
    State(shared): State<Shared>,
    Segments((target, initiator)): Segments<(String, String)>,
    Options(whence): Options<Whence>,
    request: Request,
) -> Result<Json<v1::AccessEntry>, Failure> {
    let scope = AclScope::Target(parse::target_name(&target)?);
    put(&shared, scope, whence.subject(&initiator)?, request).await
}

pub(in crate::admin_server) async fn set_discovery(
    State(shared): State<Shared>,
    Segments(initiator): Segments<String>,
    Options(whence): Options<Whence>,
    request: Request,
) -> Result<Json<v1::AccessEntry>, Failure> {
    let subject = whence.subject(&initiator)?;
    put(&shared, AclScope::Discovery, subject, request).await
}

pub(in crate::admin_server) async fn remove(
    State(shared): State<Shared>,
    Segments((target, initiator)): Segments<(String, String)>,
    Options(whence): Options<Whence>,
) -> Result<StatusCode, Failure> {
    let scope = AclScope::Target(parse::target_name(&target)?);
    take(&shared, scope, whence.subject(&initiator)?).await
}

pub(in crate::admin_server) async fn remove_discovery(
    State(shared): State<Shared>,
    Segments(initiator): Segments<String>,
    Options(whence): Options<Whence>,
) -> Result<StatusCode, Failure> {
    take(&shared, AclScope::Discovery, whence.subject(&initiator)?).await
}

pub(in crate::admin_server) async fn set_parameters(
    State(shared): State<Shared>,
    Segments((target, initiator)): Segments<(String, String)>,
    Options(whence): Options<Whence>,
    request: Request,
) -> Result<Json<v1::SessionParameters>, Failure> {
    let target = parse::target_name(&target)?;
    let subject = whence.subject(&initiator)?;
    targets::put_parameters(&shared, target, Some(subject), request).await
}

async fn put(
    shared: &Shared,
    scope: AclScope,
    subject: Subject,
    request: Request,
) -> Result<Json<v1::AccessEntry>, Failure> {
    let access = parse::access(body::read(request, &shared.limits).await?)?;
    let entry = AclEntry {
        subject: subject.clone(),
        access: access.clone(),
    };
    let control = shared.control.clone();
    let command = Command::SetAccess {
        scope: scope.clone(),
        entry,
    };
    to_end(async move { control.apply(command).await }).await?;
    // Another way to prove who it is leaves what is set for the sessions.
    let catalog = shared.control.catalog();
    let set = match &scope {
        AclScope::Discovery => SessionParameters::default(),
        AclScope::Target(name) => catalog
            .target(name)
            .map(|target| target.acl.parameters(&subject))
            .unwrap_or_default(),
    };
    Ok(Json(view::access(&subject, &access, set)))
}

async fn take(shared: &Shared, scope: AclScope, subject: Subject) -> Result<StatusCode, Failure> {
    let control = shared.control.clone();
    to_end(async move {
        control
            .apply(Command::RemoveAccess { scope, subject })
            .await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
