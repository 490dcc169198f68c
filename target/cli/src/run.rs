//! What each command does: asks the daemon, and prints what it says.

mod access;
mod alua;
mod capabilities;
mod clone;
mod group;
mod job;
mod mirror;
mod peer;
mod quiesce;
mod reservation;
mod snapshot;
mod stream;
mod target;
mod volume;

use serde::Serialize;
use serde_json::json;
use tidelock_admin::client::Client;
use tidelock_admin::v1::LogoutSession;

use crate::args::{Cli, Noun, SessionVerb, VolumeVerb};
use crate::confirm::confirm;
use crate::exit::CliError;
use crate::terminal::Terminal;
use crate::{generate, show, socket};

/// Does what a command line says.
///
/// # Errors
/// It wasn't done; see [`CliError::exit`] for the exit code.
pub fn run(cli: Cli, terminal: &mut Terminal) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| CliError::Io {
            action: "start".into(),
            source,
        })?;
    match cli.noun {
        Noun::Completion { shell } => generate::completion(shell, &mut *terminal.out),
        Noun::Man { dir: None } => generate::man_page(&mut *terminal.out),
        Noun::Man { dir: Some(dir) } => generate::man_pages(&dir),
        Noun::Volume(VolumeVerb::Check(what)) => crate::check::run(what, cli.json, terminal),
        noun => {
            let socket = socket::choose(cli.socket, |path| path.exists())?;
            let mut context = Context {
                client: Client::new(socket),
                json: cli.json,
                terminal,
            };
            runtime.block_on(ask(noun, &mut context))
        }
    }
}

async fn ask(noun: Noun, context: &mut Context<'_>) -> Result<(), CliError> {
    match noun {
        Noun::Volume(verb) => volume::run(verb, context).await,
        Noun::Snapshot(verb) => snapshot::run(verb, context).await,
        Noun::Clone(verb) => clone::run(verb, context).await,
        Noun::Group(verb) => group::run(verb, context).await,
        Noun::Diff(points) => snapshot::run_diff(points, context).await,
        Noun::Capabilities(verb) => capabilities::run(verb, context).await,
        Noun::Mirror(verb) => mirror::run(verb, context).await,
        Noun::Job(verb) => job::run(verb, context).await,
        Noun::Target(verb) => target::run_target(verb, context).await,
        Noun::Lun(verb) => target::run_lun(verb, context).await,
        Noun::Acl(verb) => access::run(verb, context).await,
        Noun::Reservation(verb) => reservation::run(verb, context).await,
        Noun::Alua(verb) => alua::run(verb, context).await,
        Noun::Peer(verb) => peer::run(verb, context).await,
        Noun::Session(verb) => session(verb, context).await,
        Noun::Status => {
            let status = context.client.status().await?;
            context.print(&status, show::status)
        }
        // Asked before a daemon was looked for.
        Noun::Completion { .. } | Noun::Man { .. } => Ok(()),
    }
}

async fn session(verb: SessionVerb, context: &mut Context<'_>) -> Result<(), CliError> {
    match verb {
        SessionVerb::List => {
            let list = context.client.sessions().await?;
            let now = context.terminal.now_unix_ms;
            context.print(&list, |list| show::sessions(&list.sessions, now))
        }
        SessionVerb::Logout { id, within } => {
            let request = LogoutSession {
                within_seconds: within,
            };
            context.client.logout_session(id, &request).await?;
            let asked = json!({"asked": id, "within_seconds": within});
            context.print(&asked, |_| {
                format!(
                    "the initiator of session {id} was asked to log out; if it doesn't, the session \
                     ends in {within} s\n"
                )
            })
        }
        SessionVerb::Drop { id, yes } => {
            let what = format!(
                "Session {id} ends: commands of its initiator that are running fail, and it has to \
                 log in again."
            );
            confirm(&what, yes, context.terminal)?;
            context.client.drop_session(id).await?;
            context.print(&json!({"dropped": id}), |_| {
                format!("session {id} dropped\n")
            })
        }
    }
}

/// What every command has.
struct Context<'a> {
    client: Client,
    json: bool,
    terminal: &'a mut Terminal,
}

impl Context<'_> {
    /// Prints a result as JSON or as text.
    fn print<T: Serialize>(
        &mut self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), CliError> {
        let text = if self.json {
            serde_json::to_string_pretty(value)
                .map(|json| json + "\n")
                .unwrap_or_default()
        } else {
            text(value)
        };
        let printed = self.terminal.out.write_all(text.as_bytes());
        printed
            .and_then(|()| self.terminal.out.flush())
            .map_err(|source| CliError::Io {
                action: "print the result".into(),
                source,
            })
    }
}
