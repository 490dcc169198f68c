//! `tidelock acl ...`.

use std::path::PathBuf;

use serde_json::json;
use tidelock_admin::v1::{AccessEntry, AccessKind, Credentials, SetAccess};

use crate::args::{AclVerb, AclWhom};
use crate::exit::CliError;
use crate::run::Context;
use crate::terminal::Terminal;
use crate::{parameters, secret_file, show};

pub(super) async fn run(verb: AclVerb, context: &mut Context<'_>) -> Result<(), CliError> {
    match verb {
        AclVerb::Allow(allow) => {
            let terminal = &mut *context.terminal;
            let chap = credentials(&allow.chap_user, &allow.chap_secret_file, terminal)?;
            let mutual = credentials(&allow.mutual_user, &allow.mutual_secret_file, terminal)?;
            let request = SetAccess {
                access: AccessKind::Allow,
                chap,
                mutual,
            };
            let entry = set(&allow.whom, &request, context).await?;
            context.print(&entry, |entry| {
                let how = match &entry.chap {
                    None => "by its name alone",
                    Some(chap) if chap.mutual_user.is_none() => "with CHAP",
                    Some(_) => "with mutual CHAP",
                };
                format!("{} may {} {how}\n", about(entry), what(&allow.whom.target))
            })
        }
        AclVerb::Deny(whom) => {
            let request = SetAccess {
                access: AccessKind::Deny,
                chap: None,
                mutual: None,
            };
            let entry = set(&whom, &request, context).await?;
            context.print(&entry, |entry| {
                format!("{} may not {}\n", about(entry), what(&whom.target))
            })
        }
        AclVerb::Remove(whom) => remove(&whom, context).await,
        AclVerb::Set {
            target,
            initiator,
            subnet,
            settings,
        } => {
            let request = parameters::request(&settings);
            let network = subnet.as_deref();
            let set = context
                .client
                .set_access_parameters(&target, &initiator, network, &request)
                .await?;
            let whom = format!("{initiator}{} at {target}", from(network));
            context.print(&set, |set| show::parameters_set(&whom, set))
        }
        AclVerb::List { target } => {
            let list = context.client.access_list(&target).await?;
            context.print(&list, show::access_list)
        }
    }
}

async fn remove(whom: &AclWhom, context: &mut Context<'_>) -> Result<(), CliError> {
    let (target, initiator) = (&whom.target, whom.initiator());
    let network = whom.subnet.as_deref();
    context
        .client
        .remove_access(target, initiator, network)
        .await?;
    let mut removed = json!({"scope": target, "initiator": initiator});
    if let (Some(network), Some(removed)) = (network, removed.as_object_mut()) {
        removed.insert("network".into(), network.into());
    }
    context.print(&json!({"removed": removed}), |_| {
        let from = from(network);
        format!("the access list of {target} says nothing about {initiator}{from} any more\n")
    })
}

async fn set(
    whom: &AclWhom,
    request: &SetAccess,
    context: &Context<'_>,
) -> Result<AccessEntry, CliError> {
    let network = whom.subnet.as_deref();
    let client = &context.client;
    Ok(client
        .set_access(&whom.target, whom.initiator(), network, request)
        .await?)
}

fn about(entry: &AccessEntry) -> String {
    format!("{}{}", entry.initiator, from(entry.network.as_deref()))
}

fn from(network: Option<&str>) -> String {
    network.map_or_else(String::new, |network| format!(" from {network}"))
}

fn what(scope: &str) -> String {
    if scope == "discovery" {
        "discover targets".into()
    } else {
        format!("log in to {scope}")
    }
}

fn credentials(
    user: &Option<String>,
    file: &Option<PathBuf>,
    terminal: &mut Terminal,
) -> Result<Option<Credentials>, CliError> {
    let (Some(user), Some(file)) = (user, file) else {
        return Ok(None);
    };
    let secret = secret_file::read(file, terminal)?;
    Ok(Some(Credentials {
        user: user.clone(),
        secret,
    }))
}
