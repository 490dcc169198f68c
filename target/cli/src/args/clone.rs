//! The command line of clones.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use crate::size::parse_size;

/// What can be done with clones, which are volumes: `tidelock volume` does the rest.
#[derive(Clone, Debug, Subcommand)]
pub enum CloneVerb {
    /// Make a writable volume that shares blocks with a snapshot until they are written, at once.
    ///
    /// With --full it gets all its blocks for itself in the background, while it is used already: when it has them it
    /// is a file that depends on nothing, and isn't a clone any more.
    Create {
        /// VOLUME@SNAPSHOT, or VOLUME as it is now.
        #[arg(value_name = "SOURCE", value_parser = NonEmptyStringValueParser::new())]
        source: String,
        /// The clone's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Keep the snapshot for as long as the clone is there; one that is taken for the clone is
        /// called like it and listed.
        #[arg(long, conflicts_with = "full")]
        linked: bool,
        /// How it is made.
        #[command(flatten)]
        full: FullArgs,
        /// Wait until a full clone has all its blocks.
        #[arg(long, requires = "full")]
        wait: bool,
    },
    /// List all clones.
    List,
    /// Show one clone, and how far a full one is.
    Show {
        /// The clone's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// Make a full clone of a linked one, in the background, while it is used.
    ///
    /// At its end the clone is a file that depends on nothing; `clone list` shows what it was made from until it is
    /// detached. A split that has failed goes on from where it was.
    Split {
        /// The clone's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Copy at most so much a second, such as 50M. The limit is lifted when hosts write faster than that to the
        /// clone, as it would have no end otherwise.
        #[arg(long, value_name = "BYTES/s", value_parser = parse_size)]
        rate: Option<u64>,
        /// Wait until it has all its blocks.
        #[arg(long)]
        wait: bool,
    },
    /// Forget what a full clone was made from. One that was made with --full is detached by itself.
    Detach {
        /// The clone's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// Let a clone and the volume that it was made from change places, so that that volume can be deleted.
    ///
    /// Snapshots of the other volume from which the clone comes are the clone's afterwards, and the other volume is a
    /// clone of the last of them. No data moves, and no host notices.
    Promote {
        /// The clone's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
}

/// Whether clones get blocks of their own.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct FullArgs {
    /// Give it blocks of its own in the background.
    #[arg(long)]
    pub full: bool,
    /// Copy at most so much a second, such as 50M. The limit is lifted when hosts write faster than that to the
    /// clone, as it would have no end otherwise.
    #[arg(long, value_name = "BYTES/s", value_parser = parse_size, requires = "full")]
    pub rate: Option<u64>,
}
