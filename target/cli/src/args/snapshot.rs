//! The command line of snapshots and groups.

use std::str::FromStr;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use super::clone::FullArgs;
use super::stream::{QuiesceArgs, ReceiveArgs, SendArgs};
use crate::time_span::parse_time_span;

/// A snapshot as it is written: `VOLUME@SNAPSHOT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotArg {
    /// The part before the `@`.
    pub volume: String,
    /// The part after it.
    pub snapshot: String,
}

impl FromStr for SnapshotArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('@') {
            Some((volume, snapshot)) if !volume.is_empty() && !snapshot.is_empty() => Ok(Self {
                volume: volume.to_owned(),
                snapshot: snapshot.to_owned(),
            }),
            _ => Err("a snapshot is written VOLUME@SNAPSHOT".to_owned()),
        }
    }
}

/// What can be done with snapshots.
#[derive(Clone, Debug, Subcommand)]
pub enum SnapshotVerb {
    /// Take a snapshot of a volume, at once, while it is in use.
    Create {
        /// The volume's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        volume: String,
        /// The snapshot's name: letters, digits, '.', '_' and '-', at most 64.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Commands before and after it.
        #[command(flatten)]
        quiesce: QuiesceArgs,
    },
    /// Send a snapshot, or what differs between two, as a stream to standard output or a file.
    ///
    /// `tidelock snapshot send VOLUME@B --since A | ssh HOST tidelock snapshot receive VOLUME`
    Send(SendArgs),
    /// Receive what `snapshot send` has sent: the volume is that snapshot at once when all has come.
    ///
    /// What has come of a stream that is cut short stays, and can be gone on with: see --status.
    Receive(ReceiveArgs),
    /// List the snapshots of a volume, or all.
    List {
        /// The volume's name [default: all volumes].
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        volume: Option<String>,
    },
    /// Show one snapshot.
    Show {
        /// Which one.
        #[arg(value_name = "VOLUME@SNAPSHOT")]
        snapshot: SnapshotArg,
    },
    /// Remove a snapshot; its space comes back in the background.
    Delete {
        /// Which one.
        #[arg(value_name = "VOLUME@SNAPSHOT")]
        snapshot: SnapshotArg,
        /// Don't ask.
        #[arg(long, short)]
        yes: bool,
    },
    /// Let a volume be as one of its snapshots again; what is there now is kept as a snapshot.
    Restore {
        /// Which one.
        #[arg(value_name = "VOLUME@SNAPSHOT")]
        snapshot: SnapshotArg,
        /// Even if initiators are logged in to targets that show the volume.
        #[arg(long)]
        force: bool,
        /// Don't ask.
        #[arg(long, short)]
        yes: bool,
    },
    /// Show a snapshot in a target, read-only; `lun unmap` ends that.
    Map {
        /// Which one.
        #[arg(value_name = "VOLUME@SNAPSHOT")]
        snapshot: SnapshotArg,
        /// The target's iSCSI name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        target: String,
        /// Number, 0 to 16383 [default: the lowest that is free].
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(..=16_383))]
        lun: Option<u16>,
    },
    /// Take snapshots of a volume again and again, and keep the newest; or show when that is done.
    ///
    /// They are taken at whole multiples of the interval (UTC): --every 1h on the hour, --every 1d at
    /// midnight. Only snapshots of the schedule are ever deleted by it, and none that is mapped or has
    /// linked clones.
    Schedule {
        /// The volume's name [default: show all schedules].
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        volume: Option<String>,
        /// From one to the next, such as 15m, 1h, 1d or 1w; at least 1m.
        #[arg(long, value_name = "TIME", value_parser = parse_time_span, requires = "keep",
            requires = "volume")]
        every: Option<u64>,
        /// How many are kept.
        #[arg(long, value_name = "N", requires = "every",
            value_parser = clap::value_parser!(u32).range(1..=10_000))]
        keep: Option<u32>,
        /// Take them no longer; those that were taken stay.
        #[arg(long, conflicts_with_all = ["every", "keep"], requires = "volume")]
        off: bool,
    },
}

/// What can be done with groups.
#[derive(Clone, Debug, Subcommand)]
pub enum GroupVerb {
    /// Make a group.
    Create {
        /// The group's name: letters, digits, '.', '_' and '-', at most 64.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        group: String,
        /// Volumes to put into it.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        volumes: Vec<String>,
    },
    /// Put a volume into a group.
    Add {
        /// The group's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        group: String,
        /// The volume's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        volume: String,
    },
    /// Take a volume out of a group; it stays, and so do its snapshots.
    Remove {
        /// The group's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        group: String,
        /// The volume's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        volume: String,
    },
    /// List all groups.
    List,
    /// Show a group with what was taken of it.
    Show {
        /// The group's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        group: String,
    },
    /// Remove a group; its volumes stay, and so do their snapshots.
    Delete {
        /// The group's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        group: String,
        /// Don't ask: nothing is asked anyway, since the volumes and their snapshots stay.
        #[arg(long, short)]
        yes: bool,
    },
    /// Take a snapshot of each volume of a group, all at one point in time.
    Snapshot {
        /// The group's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        group: String,
        /// The name of the snapshots.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Commands before and after it.
        #[command(flatten)]
        quiesce: QuiesceArgs,
    },
    /// Make a clone of each volume of a group, all at one point in time; all are made or none.
    Clone {
        /// GROUP as it is now, or GROUP@SNAPSHOT.
        #[arg(value_name = "GROUP[@SNAPSHOT]", value_parser = NonEmptyStringValueParser::new())]
        group: String,
        /// The name of a new group for the clones.
        #[arg(value_parser = NonEmptyStringValueParser::new(), required_unless_present = "suffix")]
        new: Option<String>,
        /// Each clone is called like its volume with this behind it [default: -NEW].
        #[arg(long, value_name = "TEXT", allow_hyphen_values = true,
            value_parser = NonEmptyStringValueParser::new())]
        suffix: Option<String>,
        /// How they are made.
        #[command(flatten)]
        full: FullArgs,
    },
    /// Let the volumes of a group be as they were when its snapshots were taken, all at one moment.
    ///
    /// What is there now is kept as snapshots that were taken at one moment, too: restoring the group to those undoes
    /// it. A crash leaves all volumes restored or none.
    Restore {
        /// The group's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        group: String,
        /// The name of the snapshots.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Even if initiators are logged in to targets that show one of the volumes.
        #[arg(long)]
        force: bool,
        /// Don't ask.
        #[arg(long, short)]
        yes: bool,
    },
}

/// Two points in time.
#[derive(Clone, Debug, Args)]
pub struct DiffArgs {
    /// VOLUME@SNAPSHOT, or VOLUME as it is now.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub from: String,
    /// The same, of the same volume or of a clone [default: the volume as it is now].
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub to: Option<String>,
}
