//! The command line of snapshots that come and go as streams, and of commands around a snapshot.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::SnapshotArg;
use crate::time_span::parse_time_span;

/// What is sent, and where to.
#[derive(Clone, Debug, Args)]
pub struct SendArgs {
    /// The snapshot to send.
    #[arg(value_name = "VOLUME@SNAPSHOT", required_unless_present = "resume")]
    pub snapshot: Option<SnapshotArg>,
    /// An older snapshot of the volume that the receiver has: only send what differs from it.
    #[arg(long, value_name = "SNAPSHOT", value_parser = NonEmptyStringValueParser::new())]
    pub since: Option<String>,
    /// Go on with a stream that was cut short, from where `snapshot receive VOLUME --status` says.
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["snapshot", "since"],
        value_parser = NonEmptyStringValueParser::new())]
    pub resume: Option<String>,
    /// A new file to write to; - is standard output.
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
}

/// What is received, and what it becomes.
#[derive(Clone, Debug, Args)]
pub struct ReceiveArgs {
    /// The volume that becomes what is received; made if it isn't there.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub volume: String,
    /// A file to read from; - is standard input.
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub input: PathBuf,
    /// What the snapshot is to be called [default: as where it comes from].
    #[arg(long, value_name = "SNAPSHOT", value_parser = NonEmptyStringValueParser::new())]
    pub name: Option<String>,
    /// Also if the volume is in use, or has other content, which is kept as a snapshot.
    #[arg(long)]
    pub force: bool,
    /// Only show how far a stream has come that was cut short, and what the sender needs to go on.
    #[arg(long, conflicts_with_all = ["name", "force", "abort", "input"])]
    pub status: bool,
    /// Only drop what has come of a stream that was cut short.
    #[arg(long, conflicts_with_all = ["name", "force", "input"])]
    pub abort: bool,
    /// Don't ask before dropping it.
    #[arg(long, short, requires = "abort")]
    pub yes: bool,
}

/// Commands before and after a snapshot, so that applications are at rest when it is taken.
#[derive(Clone, Debug, Default, Args)]
pub struct QuiesceArgs {
    /// A shell command to run before, as whoever runs this; if it fails there is no snapshot.
    ///
    /// It is to bring applications to rest, and to have written what they have: `fsfreeze --freeze` on the
    /// host that has the file system mounted, for example by ssh. TIDELOCK_SNAPSHOT and TIDELOCK_VOLUME or
    /// TIDELOCK_GROUP say what for.
    #[arg(long, value_name = "COMMAND", value_parser = NonEmptyStringValueParser::new())]
    pub pre: Option<String>,
    /// A shell command to run after, whatever has come of the snapshot and of the command before.
    #[arg(long, value_name = "COMMAND", value_parser = NonEmptyStringValueParser::new())]
    pub post: Option<String>,
    /// How long each of the commands, and the snapshot, may take.
    #[arg(long, value_name = "TIME", value_parser = parse_time_span, default_value = "30s")]
    pub timeout: u64,
}
