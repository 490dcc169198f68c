//! `tidelock mirror ...` of the mirrors of a group's volumes.

use serde_json::json;
use tidelock_admin::client::ClientError;
use tidelock_admin::v1::{self, ErrorCode, MirrorOperation};

use crate::args::{Failover, MirrorCreate, MirrorOrGroup};
use crate::confirm::confirm;
use crate::exit::CliError;
use crate::run::Context;
use crate::show;

/// What an operation is about.
pub(super) enum About {
    /// A mirror, by the name of a volume or its id.
    One(String),
    /// Those of a group.
    Group(String),
}

/// What is meant by a name. A volume is meant first, as it was before there were groups.
pub(super) async fn about(
    MirrorOrGroup { name, group }: MirrorOrGroup,
    context: &Context<'_>,
) -> Result<About, CliError> {
    if group {
        return Ok(About::Group(name));
    }
    let client = &context.client;
    let is_group = client
        .groups()
        .await?
        .groups
        .iter()
        .any(|it| it.name == name);
    if !is_group {
        return Ok(About::One(name));
    }
    match client.volume(&name).await {
        Ok(_) => Ok(About::One(name)),
        Err(ClientError::Refused(detail)) if detail.code == ErrorCode::NotFound => {
            Ok(About::Group(name))
        }
        Err(error) => Err(error.into()),
    }
}

/// The mirrors of a group.
async fn mirrors(group: &str, context: &Context<'_>) -> Result<v1::MirrorList, CliError> {
    // So that one that isn't there is told.
    context.client.group(group).await?;
    let mut list = context.client.mirrors().await?;
    list.mirrors
        .retain(|it| it.groups.iter().any(|it| it == group));
    Ok(list)
}

pub(super) async fn show(group: &str, context: &mut Context<'_>) -> Result<(), CliError> {
    let list = mirrors(group, context).await?;
    context.print(&list, |list| show::mirrors(&list.mirrors))
}

pub(super) async fn create(
    group: &str,
    wanted: MirrorCreate,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    if wanted.failover == Failover::Automatic {
        let reason = "mirrors of a group are made with manual failover: `tidelock mirror set-failover VOLUME automatic` turns on each of \
                      them";
        return Err(CliError::Misused {
            reason: reason.to_owned(),
        });
    }
    if wanted.compression.is_some() {
        let reason = "links of a group's mirrors are compressed one by one: `tidelock mirror set VOLUME --compression zstd`, when they are made";
        return Err(CliError::Misused {
            reason: reason.to_owned(),
        });
    }
    // A peer makes new ones.
    if !wanted.target.contains(':') {
        let targets = context.client.group(&wanted.target).await?.volumes;
        let what = format!(
            "What these volumes have now is lost: {}.",
            targets.join(", ")
        );
        confirm(&what, wanted.yes, context.terminal)?;
    }
    let request = v1::CreateGroupMirrors {
        target: wanted.target,
        mode: super::mode(wanted.mode),
        rpo_ms: wanted.rpo.map(|seconds| seconds.saturating_mul(1_000)),
        on_failure: super::on_failure(wanted.on_failure),
        resync_limit: wanted.resync_limit.map(|rate| rate.0),
    };
    let list = context.client.create_group_mirrors(group, &request).await?;
    if !wanted.wait {
        return lines(&list, context);
    }
    for mirror in &list.mirrors {
        super::watch(&mirror.id, context).await?;
    }
    Ok(())
}

fn lines(list: &v1::MirrorList, context: &mut Context<'_>) -> Result<(), CliError> {
    context.print(list, |list| {
        list.mirrors.iter().map(show::mirror_line).collect()
    })
}

pub(super) async fn operate(
    group: &str,
    request: &v1::ModifyMirror,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let list = context.client.modify_group_mirrors(group, request).await?;
    lines(&list, context)
}

pub(super) async fn failover(
    group: &str,
    force: bool,
    yes: bool,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let list = mirrors(group, context).await?;
    let mut what = String::new();
    for mirror in &list.mirrors {
        let (source, target) = (&mirror.source.volume, &mirror.target.volume);
        what.push_str(&format!("Hosts use volume {target} instead of {source}.\n"));
    }
    let is_behind = |it: &&v1::Mirror| it.asynchronous.is_none() && it.percent_synced != Some(100);
    for mirror in list.mirrors.iter().filter(is_behind) {
        let source = &mirror.source.volume;
        what.push_str(&format!(
            "Volume {source} and its target aren't equal at the moment: hosts don't see what it alone has.\n"
        ));
    }
    confirm(what.trim_end(), yes, context.terminal)?;
    let request = v1::ModifyMirror {
        operation: MirrorOperation::Failover,
        force,
        discard: None,
    };
    operate(group, &request, context).await
}

pub(super) async fn detach(
    group: &str,
    force: bool,
    yes: bool,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let list = mirrors(group, context).await?;
    let ends = |it: &v1::Mirror| [it.source.volume.clone(), it.target.volume.clone()];
    let pairs: Vec<_> = list.mirrors.iter().map(ends).collect();
    let in_words: Vec<_> = pairs.iter().map(|pair| pair.join(" and ")).collect();
    let what = format!(
        "These volumes aren't kept equal any more, and hosts can write all of them: {}.",
        in_words.join(", ")
    );
    confirm(&what, yes, context.terminal)?;
    context.client.detach_group_mirrors(group, force).await?;
    context.print(&json!({"detached": pairs}), |_| {
        let line = |pair: &String| format!("volumes {pair} are independent\n");
        in_words.iter().map(line).collect()
    })
}
