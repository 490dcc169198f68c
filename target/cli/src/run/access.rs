//! `tidelock acl ...`.

use std::path::PathBuf;

use serde_json::json;
use tidelock_admin::v1::{AccessKind, Credentials, SetAccess};

use crate::args::{AclAllow, AclVerb};
use crate::exit::CliError;
use crate::run::Context;
use crate::terminal::Terminal;
use crate::{secret_file, show};

pub(super) async fn run(verb: AclVerb, context: &mut Context<'_>) -> Result<(), CliError> {
    match verb {
        AclVerb::Allow(allow) => {
            let AclAllow {
                target, initiator, ..
            } = &allow;
            let terminal = &mut *context.terminal;
            let chap = credentials(&allow.chap_user, &allow.chap_secret_file, terminal)?;
            let mutual = credentials(&allow.mutual_user, &allow.mutual_secret_file, terminal)?;
            let request = SetAccess {
                access: AccessKind::Allow,
                chap,
                mutual,
            };
            let entry = context
                .client
                .set_access(target, initiator, &request)
                .await?;
            context.print(&entry, |entry| {
                let how = match &entry.chap {
                    None => "by its name alone",
                    Some(chap) if chap.mutual_user.is_none() => "with CHAP",
                    Some(_) => "with mutual CHAP",
                };
                format!("{} may log in to {target} {how}\n", entry.initiator)
            })
        }
        AclVerb::Deny { target, initiator } => {
            let request = SetAccess {
                access: AccessKind::Deny,
                chap: None,
                mutual: None,
            };
            let entry = context
                .client
                .set_access(&target, &initiator, &request)
                .await?;
            context.print(&entry, |entry| {
                format!(
                    "{} may not log in to {target} (sessions that it has go on: see `tidelock \
                     session drop`)\n",
                    entry.initiator
                )
            })
        }
        AclVerb::Remove { target, initiator } => {
            context.client.remove_access(&target, &initiator).await?;
            let done = json!({"removed": {"scope": target, "initiator": initiator}});
            context.print(&done, |_| {
                format!("the access list of {target} says nothing about {initiator} any more\n")
            })
        }
        AclVerb::List { target } => {
            let list = context.client.access_list(&target).await?;
            context.print(&list, show::access_list)
        }
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
