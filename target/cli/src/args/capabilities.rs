//! The command line of capabilities.

use clap::{Args, Subcommand, ValueEnum};

/// What can be asked about capabilities.
#[derive(Clone, Debug, Subcommand)]
pub enum CapabilitiesVerb {
    /// Show which copies can be made of an element right now: what a command given next would meet.
    Show(CapabilitiesArgs),
}

/// About what.
#[derive(Clone, Debug, Args)]
pub struct CapabilitiesArgs {
    /// A volume, VOLUME@SNAPSHOT, or a group.
    pub element: String,
    /// Another element, as the other end of the copy; PEER:VOLUME is a volume that a peer would make.
    #[arg(long, value_name = "ELEMENT")]
    pub other: Option<String>,
    /// The peer that would make the other end: copies at it are asked about, not copies here.
    #[arg(long, value_name = "PEER")]
    pub via: Option<String>,
    /// The method that would make the copy.
    #[arg(long, value_enum, default_value_t = Method::CreateElementReplica)]
    pub method: Method,
    /// Say for everything that isn't possible what is in the way, and what would clear it.
    #[arg(long)]
    pub explain: bool,
    /// Ask again and again, and show each answer that differs from the last one; ends with Ctrl-C.
    #[arg(long)]
    pub watch: bool,
}

/// A method of the replication service, by its number in the value map of MethodName.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// 2: of an element.
    CreateElementReplica,
    /// 3: of all members of a group, at one point in time.
    CreateGroupReplica,
    /// 4: a point in time that isn't a target yet.
    CreateSynchronizationAspect,
}

impl Method {
    /// Its number.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::CreateElementReplica => 2,
            Self::CreateGroupReplica => 3,
            Self::CreateSynchronizationAspect => 4,
        }
    }
}
