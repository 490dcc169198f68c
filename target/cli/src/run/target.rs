//! `tidelock target ...` and `tidelock lun ...`.

use serde_json::json;
use tidelock_admin::v1;

use crate::args::{LunVerb, PortalGroups, TargetVerb};
use crate::confirm::confirm;
use crate::exit::CliError;
use crate::run::Context;
use crate::{parameters, show};

pub(super) async fn run_target(
    verb: TargetVerb,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    match verb {
        TargetVerb::Create {
            name,
            portal_groups,
        } => {
            let request = v1::CreateTarget {
                name,
                portal_group_tag: None,
                portal_groups: portal_groups.and_then(|groups| groups.0),
            };
            let target = context.client.create_target(&request).await?;
            context.print(&target, |target| {
                let name = &target.name;
                format!(
                    "target {name} created; nobody may log in until `tidelock acl allow {name} \
                     INITIATOR`\n"
                )
            })
        }
        TargetVerb::Set {
            name,
            portal_groups: Some(portal_groups),
            yes,
            ..
        } => set(&name, portal_groups, yes, context).await,
        TargetVerb::Set { name, settings, .. } => {
            let request = parameters::request(&settings);
            let set = context.client.set_parameters(&name, &request).await?;
            context.print(&set, |set| show::parameters_set(&name, set))
        }
        TargetVerb::List => {
            let list = context.client.targets().await?;
            context.print(&list, |list| show::targets(&list.targets))
        }
        TargetVerb::Show { name } => {
            let target = context.client.target(&name).await?;
            context.print(&target, show::target)
        }
        TargetVerb::Redirect {
            name,
            address,
            permanent,
            ..
        } => redirect(&name, address, permanent, context).await,
        TargetVerb::Delete { name, force, yes } => delete(&name, force, yes, context).await,
    }
}

async fn set(
    name: &str,
    portal_groups: PortalGroups,
    yes: bool,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let sessions = context.client.target(name).await?.sessions;
    if sessions > 0 && portal_groups.0.is_some() {
        let what = format!(
            "{name} has {sessions} session(s): those that came through other portal groups end."
        );
        confirm(&what, yes, context.terminal)?;
    }
    let request = v1::SetTarget {
        portal_groups: portal_groups.0,
    };
    let target = context.client.set_target(name, &request).await?;
    context.print(&target, |target| {
        let groups = show::portal_groups(target);
        format!(
            "{} can be reached through portal groups: {groups}\n",
            target.name
        )
    })
}

/// Without an address, it is served here again.
async fn redirect(
    name: &str,
    address: Option<String>,
    permanent: bool,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let Some(address) = address else {
        context.client.remove_redirect(name).await?;
        return context.print(&json!({"served": name}), |_| {
            format!("{name} is served here again\n")
        });
    };
    let request = v1::Redirect { address, permanent };
    let redirect = context.client.set_redirect(name, &request).await?;
    context.print(&redirect, |redirect| {
        let how_long = if redirect.permanent {
            "for good"
        } else {
            "for now"
        };
        format!(
            "whoever logs in to {name} is sent to {} {how_long}; sessions that are there stay\n",
            redirect.address
        )
    })
}

async fn delete(
    name: &str,
    force: bool,
    yes: bool,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let target = context.client.target(name).await?;
    let (luns, sessions, entries) = (target.luns.len(), target.sessions, target.acl.len());
    let what = format!(
        "Target {} is removed with its access list ({entries} entries, secrets included), {luns} \
         LUN mapping(s) and {sessions} session(s). Volumes stay.",
        target.name
    );
    confirm(&what, yes, context.terminal)?;
    context.client.delete_target(name, force).await?;
    context.print(&json!({"deleted": target.name}), |_| {
        format!("target {} deleted\n", target.name)
    })
}

pub(super) async fn run_lun(verb: LunVerb, context: &mut Context<'_>) -> Result<(), CliError> {
    match verb {
        LunVerb::Map {
            target,
            volume,
            lun,
            read_only,
        } => {
            let request = v1::MapLun {
                volume,
                lun,
                read_only,
            };
            let lun = context.client.map_lun(&target, &request).await?;
            context.print(&lun, |lun| {
                let read_only = if lun.read_only { ", read only" } else { "" };
                format!("{} is LUN {} of {target}{read_only}\n", lun.volume, lun.lun)
            })
        }
        LunVerb::Unmap { target, lun, yes } => {
            let sessions = context.client.target(&target).await?.sessions;
            if sessions > 0 {
                let what = format!(
                    "LUN {lun} of {target} goes away under {sessions} session(s): hosts that use \
                     it see their disk fail. The volume stays."
                );
                confirm(&what, yes, context.terminal)?;
            }
            context.client.unmap_lun(&target, lun).await?;
            let done = json!({"unmapped": {"target": target, "lun": lun}});
            context.print(&done, |_| format!("LUN {lun} of {target} unmapped\n"))
        }
    }
}
