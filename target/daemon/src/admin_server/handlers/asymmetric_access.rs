//! Access states of volumes.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Request, State};
use tidelock_admin::v1;
use tidelock_catalog::{AccessChange, AlteredBy, Command, PortalGroupTag, VolumeName};

use crate::admin_server::body::{self, Segments};
use crate::admin_server::failure::Failure;
use crate::admin_server::handlers::to_end;
use crate::admin_server::router::Shared;
use crate::admin_server::{parse, view};

pub(in crate::admin_server) async fn show(
    State(shared): State<Shared>,
    Segments(name): Segments<String>,
) -> Result<Json<v1::AsymmetricAccess>, Failure> {
    all(&shared, &parse::volume_name(&name)?).map(Json)
}

pub(in crate::admin_server) async fn set(
    State(shared): State<Shared>,
    Segments((name, group)): Segments<(String, u16)>,
    request: Request,
) -> Result<Json<v1::AsymmetricAccess>, Failure> {
    let volume = parse::volume_name(&name)?;
    let group = PortalGroupTag::try_from(group).map_err(Failure::invalid)?;
    let request: v1::SetGroupAccess = body::read(request, &shared.limits).await?;
    let command = Command::SetAsymmetricAccess {
        volume: volume.clone(),
        changes: vec![AccessChange {
            group,
            state: request.state.map(parse::access_state).transpose()?,
            preferred: request.preferred,
        }],
        by: AlteredBy::Implicit,
    };
    let control = shared.control.clone();
    to_end(async move { control.apply(command).await }).await?;
    all(&shared, &volume).map(Json)
}

fn all(shared: &Shared, name: &VolumeName) -> Result<v1::AsymmetricAccess, Failure> {
    let catalog = shared.control.catalog();
    let volume = catalog.volume(name)?;
    let live = shared.control.target_port_groups(name);
    let status = shared.control.status();
    let configured = status.portal_groups.iter().map(|group| group.tag);
    let set = volume.access.keys().map(|tag| tag.get());
    let groups: BTreeSet<_> = configured.chain(set).collect();
    let one = |group| view::group_access(volume, &live, group);
    Ok(v1::AsymmetricAccess {
        volume: name.to_string(),
        groups: groups.into_iter().map(one).collect(),
    })
}
