//! How a command ends when it doesn't succeed, and the exit code that says so.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use thiserror::Error;
use tidelock_admin::client::ClientError;
use tidelock_admin::v1::ErrorBody;
use tidelock_replication::VolumeError;

use crate::socket::{DEMO, SYSTEM};
use crate::terminal::Terminal;

/// Exit codes of the program. Part of its interface: they don't change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Refused by the daemon, or because of one; nothing was changed.
    Refused = 1,
    /// The command line is wrong.
    Usage = 2,
    /// No daemon can be reached.
    Unreachable = 3,
    /// The daemon's answer was lost or not understood.
    Unclear = 4,
    /// Not confirmed; nothing was changed.
    NotConfirmed = 5,
    /// A local file can't be read or written.
    Local = 6,
    /// Damage was found.
    Damaged = 7,
    /// A job that was waited for has failed, or was cancelled.
    JobFailed = 8,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command didn't do what it should.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CliError {
    /// The daemon, or the way to it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is neither of the sockets that are tried.
    #[error(
        "there is neither {SYSTEM} nor ./{DEMO}: start tidelockd, or say where its admin socket is \
         with --socket PATH"
    )]
    NoSocket,
    /// Whoever was asked didn't say yes.
    #[error("not confirmed: nothing was changed")]
    NotConfirmed,
    /// A secret's file.
    #[error("cannot use {path} as a secret: {reason}")]
    SecretFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A path that can't be sent.
    #[error("{path:?} is not valid UTF-8, and can't be the path of a volume's file")]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// What was looked for was found; it has been printed.
    #[error("{damaged} thing(s) in {checked} are damaged")]
    Damaged {
        /// In what.
        checked: String,
        /// How many.
        damaged: u64,
    },
    /// What was asked about isn't there; as JSON, the answer has been printed.
    #[error("there is no answer about {element}: {problem}")]
    NoElement {
        /// What was asked about.
        element: String,
        /// What is wrong with that.
        problem: String,
    },
    /// A job that was waited for; what became of it has been printed.
    #[error("job {id} is {state}{}", because(error))]
    Job {
        /// Which one.
        id: u64,
        /// How it has ended.
        state: &'static str,
        /// Why, if there is something to say.
        error: String,
    },
    /// A daemon uses what should be looked at without one.
    #[error(
        "a daemon is running with {}: `tidelock volume verify` looks while hosts go on, or stop it first",
        state_dir.display()
    )]
    Running {
        /// The state folder.
        state_dir: PathBuf,
    },
    /// Somebody has files open that should be looked at.
    #[error("nothing was looked at: {0}")]
    Served(#[source] VolumeError),
    /// The catalog of a state folder.
    #[error("{}: {reason}; name the folder of a family to look at that without the catalog", path.display())]
    Catalog {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The catalog doesn't know it.
    #[error("{reason} (looked into {})", state_dir.display())]
    NoSuchVolume {
        /// The state folder.
        state_dir: PathBuf,
        /// Why not.
        reason: String,
    },
    /// There is no superblock in it.
    #[error(
        "{} isn't the folder of a family: it has no superblock. Families are in STATE/families; a plain file is \
         looked at by its volume's name",
        path.display()
    )]
    NotAFamily {
        /// The folder.
        path: PathBuf,
    },
    /// A command line that can't be meant so.
    #[error("{reason}")]
    Misused {
        /// Why.
        reason: String,
    },
    /// The command before a snapshot.
    #[error("no snapshot was taken, because the command before it didn't succeed: {what}")]
    Pre {
        /// What became of it.
        what: String,
    },
    /// The command after a snapshot.
    #[error("the snapshot was taken, but the command after it didn't succeed: {what}")]
    Post {
        /// What became of it.
        what: String,
    },
    /// A snapshot, and the command after it.
    #[error("{error}; and the command after it didn't succeed: {what}")]
    Both {
        /// The snapshot.
        error: Box<Self>,
        /// What became of the command.
        what: String,
    },
    /// The daemon's answer was not waited for.
    #[error("look whether the snapshot was taken: {why}")]
    NotWaitedFor {
        /// Why not.
        why: String,
    },
    /// Something on this side.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl CliError {
    /// The exit code for it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            // Whoever reads our output has seen enough.
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe => {
                Exit::Done
            }
            Self::Client(ClientError::Refused(_)) => Exit::Refused,
            Self::Client(ClientError::Unreachable { .. }) | Self::NoSocket => Exit::Unreachable,
            Self::Client(_) => Exit::Unclear,
            Self::NotConfirmed => Exit::NotConfirmed,
            Self::Damaged { .. } => Exit::Damaged,
            Self::Job { .. } => Exit::JobFailed,
            Self::Running { .. } | Self::Served(_) | Self::NoElement { .. } => Exit::Refused,
            Self::Catalog { .. } => Exit::Damaged,
            Self::SecretFile { .. }
            | Self::Path { .. }
            | Self::NoSuchVolume { .. }
            | Self::NotAFamily { .. }
            | Self::Io { .. } => Exit::Local,
            Self::Misused { .. } => Exit::Usage,
            Self::NotWaitedFor { .. } => Exit::Unclear,
            Self::Both { error, .. } => error.exit(),
            Self::Pre { .. } | Self::Post { .. } => Exit::Local,
        }
    }

    /// Says what went wrong and what to do, on standard error.
    pub fn report(&self, json: bool, terminal: &mut Terminal) {
        if self.exit() == Exit::Done {
            return;
        }
        let text = match (self, json) {
            (Self::Client(ClientError::Refused(detail)), true) => {
                serde_json::to_string(&ErrorBody {
                    error: detail.clone(),
                })
                .unwrap_or_default()
            }
            (_, true) => {
                let code = format!("{:?}", self.exit()).to_lowercase();
                json!({"error": {"code": code, "message": self.to_string(), "hint": ""}})
                    .to_string()
            }
            (Self::Client(ClientError::Refused(detail)), false) if !detail.hint.is_empty() => {
                format!("tidelock: {}\n  hint: {}", detail.message, detail.hint)
            }
            (_, false) => format!("tidelock: {self}"),
        };
        // There is nobody left to tell if this fails.
        let _ = writeln!(terminal.err, "{text}");
    }
}

fn because(error: &str) -> String {
    match error {
        "" => String::new(),
        error => format!(": {error}"),
    }
}
