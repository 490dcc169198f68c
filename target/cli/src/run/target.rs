//! `tidelock target ...` and `tidelock lun ...`.

use serde_json::json;
use tidelock_admin::v1;

use crate::args::{LunVerb, TargetVerb};
use crate::confirm::confirm;
use crate::exit::CliError;
use crate::run::Context;
use crate::show;

pub(super) async fn run_target(
    verb: TargetVerb,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    match verb {
        TargetVerb::Create {
            name,
            portal_group_tag,
        } => {
            let request = v1::CreateTarget {
                name,
                portal_group_tag,
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
        TargetVerb::List => {
            let list = context.client.targets().await?;
            context.print(&list, |list| show::targets(&list.targets))
        }
        TargetVerb::Show { name } => {
            let target = context.client.target(&name).await?;
            context.print(&target, show::target)
        }
        TargetVerb::Delete { name, force, yes } => delete(&name, force, yes, context).await,
    }
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
