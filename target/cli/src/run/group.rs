//! `tidelock group ...`.

use serde_json::json;
use tidelock_admin::v1;

use crate::args::{GroupVerb, QuiesceArgs};
use crate::confirm::confirm;
use crate::exit::CliError;
use crate::run::{Context, quiesce as commands};
use crate::show;

pub(super) async fn run(verb: GroupVerb, context: &mut Context<'_>) -> Result<(), CliError> {
    match verb {
        GroupVerb::Create { group, volumes } => {
            let name = group;
            let request = v1::CreateGroup { name, volumes };
            let group = context.client.create_group(&request).await?;
            context.print(&group, |group| {
                format!("group {} created: {}\n", group.name, show::members(group))
            })
        }
        GroupVerb::Add { group, volume } => {
            let group = context.client.add_to_group(&group, &volume).await?;
            context.print(&group, |group| {
                format!("group {}: {}\n", group.name, show::members(group))
            })
        }
        GroupVerb::Remove { group, volume } => {
            context.client.remove_from_group(&group, &volume).await?;
            let removed = json!({"removed": {"group": group, "volume": volume}});
            context.print(&removed, |_| {
                format!("volume {volume} is not in group {group} any more\n")
            })
        }
        GroupVerb::List => {
            let list = context.client.groups().await?;
            context.print(&list, |list| show::groups(&list.groups))
        }
        GroupVerb::Show { group } => {
            let group = context.client.group(&group).await?;
            context.print(&group, show::group)
        }
        GroupVerb::Delete { group, yes: _ } => {
            context.client.delete_group(&group).await?;
            context.print(&json!({"deleted": group}), |_| {
                format!("group {group} deleted; its volumes stay\n")
            })
        }
        GroupVerb::Snapshot {
            group,
            name,
            quiesce,
        } => snapshot(&group, name, &quiesce, context).await,
        GroupVerb::Clone {
            group,
            new,
            suffix,
            full,
        } => {
            let request = v1::CloneGroup {
                name: new,
                suffix,
                full: full.full,
                bytes_per_second: full.rate,
                ..v1::CloneGroup::default()
            };
            clone(&group, request, context).await
        }
        GroupVerb::Restore {
            group,
            name,
            force,
            yes,
        } => restore(&group, &name, force, yes, context).await,
    }
}

async fn snapshot(
    group: &str,
    name: String,
    quiesce: &QuiesceArgs,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let request = v1::CreateSnapshot {
        name,
        quiesced: quiesce.pre.is_some(),
    };
    let client = &context.client;
    let take = async { Ok(client.snapshot_group(group, &request).await?) };
    let told = [
        ("TIDELOCK_GROUP", group),
        ("TIDELOCK_SNAPSHOT", &*request.name),
    ];
    let list = commands::between(quiesce, &told, take).await?;
    context.print(&list, |list| show::taken(&list.snapshots))
}

async fn clone(
    group: &str,
    mut request: v1::CloneGroup,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let (group, snapshot) = match group.split_once('@') {
        Some((group, snapshot)) => (group, Some(snapshot.to_owned())),
        None => (group, None),
    };
    request.snapshot = snapshot;
    let list = context.client.clone_group(group, &request).await?;
    context.print(&list, |list| show::cloned(&list.clones))
}

async fn restore(
    group: &str,
    name: &str,
    force: bool,
    yes: bool,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let members = context.client.group(group).await?;
    let what = format!(
        "The volumes of group {group} ({}) become what they were in {name}; what is there now is kept \
         as snapshots.",
        show::members(&members)
    );
    confirm(&what, yes, context.terminal)?;
    let request = v1::RestoreSnapshot { force };
    let restored = context.client.restore_group(group, name, &request).await?;
    context.print(&restored, show::restored)
}
