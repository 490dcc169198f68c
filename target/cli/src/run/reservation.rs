//! `tidelock reservation ...`.

use serde_json::json;
use tidelock_admin::v1;

use crate::args::ReservationVerb;
use crate::confirm::confirm;
use crate::exit::CliError;
use crate::run::Context;

pub(super) async fn run(verb: ReservationVerb, context: &mut Context<'_>) -> Result<(), CliError> {
    match verb {
        ReservationVerb::Clear { volume, yes } => clear(&volume, yes, context).await,
    }
}

async fn clear(name: &str, yes: bool, context: &mut Context<'_>) -> Result<(), CliError> {
    let volume = context.client.volume(name).await?;
    if let Some(what) = at_stake(&volume) {
        confirm(&what, yes, context.terminal)?;
    }
    context.client.clear_reservations(name).await?;
    context.print(&json!({"cleared": name}), |_| {
        format!("volume {name} has no reservations and no registrations now\n")
    })
}

/// What there is to lose, if anything.
fn at_stake(volume: &v1::Volume) -> Option<String> {
    let name = &volume.name;
    let registered = match &volume.reservations {
        Some(reservations) => format!("{} path(s) registered", reservations.registrants.len()),
        None if volume.state == v1::VolumeState::Failed => volume.detail.clone(),
        None => return None,
    };
    Some(format!(
        "Reservations keep hosts of a cluster from each other's data. Volume {name} ({registered}) \
         is open to all of them without: make sure that no host which was shut out still writes."
    ))
}
