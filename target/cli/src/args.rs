//! The one definition of the command line. Knows what can be said, not what is done about it.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::parameters::Setting;
use crate::size::parse_size;

mod capabilities;
mod clone;
mod job;
mod mirror;
mod peer;
mod snapshot;
mod stream;

pub use capabilities::{CapabilitiesArgs, CapabilitiesVerb, Method};
pub use clone::{CloneVerb, FullArgs};
pub use job::JobVerb;
pub use mirror::{
    Compression, Failover, MirrorCreate, MirrorName, MirrorOrGroup, MirrorVerb, Mode, OnFailure,
    Rate,
};
pub use peer::PeerVerb;
pub use snapshot::{DiffArgs, GroupVerb, SnapshotArg, SnapshotVerb};
pub use stream::{QuiesceArgs, ReceiveArgs, SendArgs};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  refused by the daemon; nothing was changed
  2  the command line is wrong
  3  no daemon can be reached
  4  the daemon's answer was lost or not understood; look before trying again
  5  not confirmed; nothing was changed
  6  a local file can't be read or written
  7  damage was found
  8  a job that was waited for failed or was cancelled";

const ACL_RULES: &str = "\
What a list says about an initiator:
  A deny that is about it keeps it out.
  Else an allow that is about it lets it in. Of several the most specific one says
  with which CHAP: a name before 'beginning*', the smaller subnet before the larger.
  '*' without a subnet is about those whom no other entry is about.
  Whom nothing is about is kept out. An empty list for discovery lets everybody ask,
  and shows to each the targets that it may log in to from where it is.";

/// Tells a Tidelock daemon what to serve.
///
/// Whatever is changed is durable and in effect when the command returns.
#[derive(Clone, Debug, Parser)]
#[command(name = "tidelock", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    /// Admin socket of the daemon [default: /run/tidelock/admin.sock if it exists, else
    /// ./tidelock-demo/admin.sock].
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Print JSON, as the daemon's API has it.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub noun: Noun,
}

/// What a command is about.
#[derive(Clone, Debug, Subcommand)]
pub enum Noun {
    /// Volumes: block files that can be served.
    #[command(subcommand, arg_required_else_help = true)]
    Volume(VolumeVerb),
    /// Snapshots: points in time of volumes.
    #[command(subcommand, arg_required_else_help = true)]
    Snapshot(SnapshotVerb),
    /// Clones: writable volumes that share blocks with snapshots.
    #[command(subcommand, arg_required_else_help = true)]
    Clone(CloneVerb),
    /// Groups: volumes whose snapshots are taken at one point in time.
    #[command(subcommand, arg_required_else_help = true)]
    Group(GroupVerb),
    /// Mirrors: volumes that are kept equal to others.
    #[command(subcommand, arg_required_else_help = true)]
    Mirror(MirrorVerb),
    /// List the ranges in which two points in time of a volume differ.
    Diff(DiffArgs),
    /// Capabilities: which copies can be made right now, and why not the others.
    #[command(subcommand, arg_required_else_help = true)]
    Capabilities(CapabilitiesVerb),
    /// Jobs: what takes long, and how far it is.
    #[command(subcommand, arg_required_else_help = true)]
    Job(JobVerb),
    /// Targets: what initiators log in to.
    #[command(subcommand, arg_required_else_help = true)]
    Target(TargetVerb),
    /// LUNs: which volumes a target shows.
    #[command(subcommand, arg_required_else_help = true)]
    Lun(LunVerb),
    /// Access lists: which initiators may log in, and how they prove who they are.
    #[command(subcommand, arg_required_else_help = true)]
    Acl(AclVerb),
    /// Reservations: which hosts of a cluster keep others from a volume.
    #[command(subcommand, arg_required_else_help = true)]
    Reservation(ReservationVerb),
    /// Asymmetric logical unit access: which paths to a volume hosts should use.
    #[command(subcommand, arg_required_else_help = true)]
    Alua(AluaVerb),
    /// Peers: other daemons that this one trusts, for mirrors.
    #[command(subcommand, arg_required_else_help = true)]
    Peer(PeerVerb),
    /// Sessions of initiators.
    #[command(subcommand, arg_required_else_help = true)]
    Session(SessionVerb),
    /// Show how the daemon is.
    Status,
    /// Print a completion script for a shell.
    Completion {
        /// Which shell.
        shell: Shell,
    },
    /// Print the man page, or write those of all commands.
    Man {
        /// Write the man pages of all commands into this folder.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// What can be done with volumes.
#[derive(Clone, Debug, Subcommand)]
pub enum VolumeVerb {
    /// Make a volume: a new one of a size, or from a file that is there.
    Create(VolumeCreate),
    /// List all volumes.
    List,
    /// Show one volume.
    Show {
        /// The volume's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// Give a volume another size; initiators that use it are told.
    Resize {
        /// The volume's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// New size, such as 20G, 512M or bytes; volumes only grow.
        #[arg(long, value_parser = parse_size)]
        size: u64,
    },
    /// Set how much space a volume may take, with its snapshots and with what shares blocks with it.
    Set {
        /// The volume's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// How much.
        #[command(flatten)]
        limits: VolumeLimits,
    },
    /// Let a volume be used again that was stopped because a write or flush failed.
    Unfence {
        /// The volume's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Don't ask.
        #[arg(long, short)]
        yes: bool,
    },
    /// Look whether every block of a volume, and of what shares blocks with it, has one owner; hosts go
    /// on. What is overwritten or deleted meanwhile keeps its space until it has ended.
    Verify {
        /// The volume's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Don't wait for it: `job watch` does.
        #[arg(long)]
        background: bool,
    },
    /// Look at the files of volumes that no daemon serves, without changing anything: whether all is there,
    /// whether each block has one owner, and whether maps are what was written. Says what is wrong, where,
    /// and what to do.
    Check(VolumeCheck),
    /// Read all blocks of a volume or a snapshot and compare them with their checksums; hosts go on. It is a
    /// job: `job cancel` ends it, and a restart of the daemon doesn't.
    Scrub {
        /// The volume's name, or VOLUME@SNAPSHOT.
        #[arg(value_name = "VOLUME[@SNAPSHOT]", value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Read at most so many bytes a second, such as 50M.
        #[arg(long, value_name = "BYTES", value_parser = parse_size)]
        rate: Option<u64>,
        /// Don't wait for it: `job watch` does.
        #[arg(long)]
        background: bool,
    },
    /// Remove a volume, and its file if the daemon made it. Clones of it stay.
    Delete {
        /// The volume's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Even if it has snapshots: delete them too.
        #[arg(long)]
        with_snapshots: bool,
        /// Don't ask.
        #[arg(long, short)]
        yes: bool,
    },
}

/// How much space a volume may take.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = true)]
pub struct VolumeLimits {
    /// The most, such as 20G, or 'none'. A write that would need more is refused.
    #[arg(long, value_name = "BYTES", value_parser = parse_limit)]
    pub limit: Option<Limit>,
    /// From so many percent of the limit on, 1 to 99, hosts are warned; or 'none'.
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent)]
    pub warn: Option<Percent>,
}

/// A limit, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(pub Option<u64>);

/// A part of a hundred, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percent(pub Option<u8>);

fn parse_limit(text: &str) -> Result<Limit, String> {
    if text == "none" {
        return Ok(Limit(None));
    }
    let bytes = parse_size(text).map_err(|error| error.to_string())?;
    Ok(Limit(Some(bytes)))
}

fn parse_percent(text: &str) -> Result<Percent, String> {
    if text == "none" {
        return Ok(Percent(None));
    }
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
    let percent = number.filter(|percent| (1..=99).contains(percent));
    let percent =
        percent.ok_or_else(|| format!("{text:?} isn't a number from 1 to 99, or none"))?;
    Ok(Percent(Some(percent)))
}

/// What is to be looked at without a daemon.
#[derive(Clone, Debug, Args)]
pub struct VolumeCheck {
    /// A volume's name, or the folder of a family (STATE/families/ID) [default: all volumes].
    #[arg(value_name = "FOLDER|VOLUME", value_parser = NonEmptyStringValueParser::new())]
    pub what: Option<String>,
    /// The daemon's state folder [default: the one that the folder is in, else /var/lib/tidelock].
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Read all blocks of data as well, and compare them with their checksums.
    #[arg(long)]
    pub data: bool,
}

/// A volume that is to be made.
#[derive(Clone, Debug, Args)]
pub struct VolumeCreate {
    /// Name: letters, digits, '.', '_' and '-', at most 64.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub name: String,
    /// Size of a new, sparse file that the daemon keeps, such as 10G, 512M or bytes.
    #[arg(long, value_parser = parse_size, required_unless_present = "file")]
    pub size: Option<u64>,
    /// A file or block device that is there; its content is kept, also when the volume is deleted.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["size", "preallocate"])]
    pub file: Option<PathBuf>,
    /// Allocate all space at once.
    #[arg(long)]
    pub preallocate: bool,
    /// Bypass the page cache (O_DIRECT): for databases and fast disks.
    #[arg(long)]
    pub direct: bool,
    /// Acknowledge writes only when they are durable.
    #[arg(long)]
    pub write_through: bool,
    /// Which blocks have checksums: those that are written while there are snapshots or clones, or all. With
    /// 'full' the volume never is a plain file that other tools read, and each of its blocks is compared with
    /// its checksum when it is read.
    #[arg(long, value_name = "WHICH", default_value = "usual", value_parser = ["usual", "full"],
          conflicts_with_all = ["file"])]
    pub integrity: String,
    /// The most space that it may take, with its snapshots, such as 20G: a write that would need more is
    /// refused.
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub limit: Option<u64>,
    /// From so many percent of the limit on hosts are warned.
    #[arg(long, value_name = "PERCENT", requires = "limit",
          value_parser = clap::value_parser!(u8).range(1..=99))]
    pub warn: Option<u8>,
    /// Bytes of a logical block.
    #[arg(long, value_name = "BYTES", default_value = "512", value_parser = ["512", "4096"])]
    pub block_size: String,
}

/// Portal groups as they are written: tags with commas between them, or `all`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortalGroups(pub Option<Vec<u16>>);

impl FromStr for PortalGroups {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" {
            return Ok(Self(None));
        }
        let tags = text.split(',').map(|tag| {
            let number = tag.parse().ok().filter(|tag| (1..=16).contains(tag));
            number.ok_or_else(|| format!("{tag:?} isn't a tag from 1 to 16"))
        });
        tags.collect::<Result<_, _>>().map(|tags| Self(Some(tags)))
    }
}

/// What can be done with targets.
#[derive(Clone, Debug, Subcommand)]
pub enum TargetVerb {
    /// Make a target. Nobody may log in until `acl allow`.
    Create {
        /// iSCSI name, such as iqn.2024-01.com.example:disks.
        #[arg(value_name = "IQN", value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Let it be reached through these portal groups alone, such as 1,2 [default: all].
        #[arg(long, value_name = "TAGS", alias = "portal-group-tag")]
        portal_groups: Option<PortalGroups>,
    },
    /// Set what sessions with a target are set up with, or through which portal groups it can be
    /// reached.
    #[command(after_help = crate::parameters::HELP)]
    Set {
        /// iSCSI name.
        #[arg(value_name = "IQN", value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Tags such as 1,2, or 'all'. Sessions through other groups end.
        #[arg(
            long,
            value_name = "TAGS",
            conflicts_with = "settings",
            required_unless_present = "settings"
        )]
        portal_groups: Option<PortalGroups>,
        /// Parameters of sessions, such as header-digest=required.
        #[arg(value_name = "KEY=VALUE")]
        settings: Vec<Setting>,
        /// Don't ask.
        #[arg(long, short)]
        yes: bool,
    },
    /// List all targets.
    List,
    /// Show one target with its LUNs and access list.
    Show {
        /// iSCSI name.
        #[arg(value_name = "IQN", value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// Send whoever logs in to a target to another portal; sessions that are there stay.
    ///
    /// Only initiators that the access list lets in are sent, after CHAP if it asks for that. A login
    /// that comes in by the very address that it would be sent to is served, so a portal of this
    /// daemon can be named as well.
    Redirect {
        /// iSCSI name.
        #[arg(value_name = "IQN", value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Where to: an IPv4 address, an IPv6 address in brackets or a domain name [port: 3260].
        #[arg(value_name = "ADDRESS[:PORT]", required_unless_present = "off",
            value_parser = NonEmptyStringValueParser::new())]
        address: Option<String>,
        /// Say that the target has moved for good: initiators may remember it.
        #[arg(long, conflicts_with = "off")]
        permanent: bool,
        /// Serve it here again.
        #[arg(long, conflicts_with = "address")]
        off: bool,
    },
    /// Remove a target. Volumes stay.
    Delete {
        /// iSCSI name.
        #[arg(value_name = "IQN", value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Even if it has LUNs or sessions: unmap and end them.
        #[arg(long)]
        force: bool,
        /// Don't ask.
        #[arg(long, short)]
        yes: bool,
    },
}

/// What can be done with access states.
#[derive(Clone, Debug, Subcommand)]
pub enum AluaVerb {
    /// Show how a volume is accessed through each portal group.
    Show {
        /// The volume's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        volume: String,
    },
    /// Set how a volume is accessed through a portal group; initiators that use it are told.
    Set {
        /// The volume's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        volume: String,
        /// The portal group's tag, 1 to 16.
        #[arg(long, value_name = "TAG", value_parser = clap::value_parser!(u16).range(1..=16))]
        group: u16,
        /// The state. In standby and unavailable, reads and writes through the group are refused.
        #[arg(long, value_name = "STATE", required_unless_present = "preferred")]
        state: Option<AccessState>,
        /// Hosts should use this group if they can, or (=false) needn't.
        #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
              default_missing_value = "true")]
        preferred: Option<bool>,
    },
}

/// An access state that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AccessState {
    /// Served in full.
    ActiveOptimized,
    /// Served in full, but another group is better.
    ActiveNonOptimized,
    /// Kept in reserve.
    Standby,
    /// Can't be reached.
    Unavailable,
}

/// What can be done with LUNs.
#[derive(Clone, Debug, Subcommand)]
pub enum LunVerb {
    /// Show a volume or a snapshot in a target; initiators that are logged in are told.
    Map {
        /// The target's iSCSI name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        target: String,
        /// The volume's name, or VOLUME@SNAPSHOT for a snapshot, which is read-only.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        volume: String,
        /// Number, 0 to 16383 [default: the lowest that is free].
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(..=16_383))]
        lun: Option<u16>,
        /// Refuse writes.
        #[arg(long)]
        read_only: bool,
    },
    /// Show a volume no longer.
    Unmap {
        /// The target's iSCSI name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        target: String,
        /// The LUN's number.
        #[arg(value_parser = clap::value_parser!(u16).range(..=16_383))]
        lun: u16,
        /// Don't ask.
        #[arg(long, short)]
        yes: bool,
    },
}

/// What can be done with access lists.
#[derive(Clone, Debug, Subcommand)]
pub enum AclVerb {
    /// Let an initiator in.
    #[command(after_help = ACL_RULES)]
    Allow(AclAllow),
    /// Keep an initiator out, whatever else lets it in. Its sessions with the target end.
    #[command(after_help = ACL_RULES)]
    Deny(AclWhom),
    /// Say nothing about an initiator any more. Sessions that nothing allows then end.
    Remove(AclWhom),
    /// Set what the sessions of those are set up with whom an entry lets in.
    #[command(after_help = crate::parameters::HELP)]
    Set {
        /// The target's iSCSI name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        target: String,
        /// The initiator's iSCSI name, the beginning of names and '*', or '*', as in the list.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        initiator: String,
        /// The network of the entry, if it has one.
        #[arg(long, value_name = "NETWORK", value_parser = NonEmptyStringValueParser::new())]
        subnet: Option<String>,
        /// Parameters of sessions, such as header-digest=required.
        #[arg(value_name = "KEY=VALUE", required = true)]
        settings: Vec<Setting>,
    },
    /// List who may log in. Secrets are never shown.
    List {
        /// The target's iSCSI name, or 'discovery'.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        target: String,
    },
}

/// Whom an entry is about.
#[derive(Clone, Debug, Args)]
pub struct AclWhom {
    /// The target's iSCSI name, or 'discovery' for discovery sessions.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub target: String,
    /// The initiator's iSCSI name; the beginning of names and '*', such as 'iqn.1993-08.org.debian:*';
    /// or '*' for every name [default: '*', if --subnet is given].
    #[arg(value_parser = NonEmptyStringValueParser::new(), required_unless_present = "subnet")]
    pub initiator: Option<String>,
    /// Only when it comes from this IPv4 or IPv6 network, such as 10.0.0.0/8 or fd00::/8, or from this
    /// address.
    #[arg(long, value_name = "NETWORK", value_parser = NonEmptyStringValueParser::new())]
    pub subnet: Option<String>,
}

impl AclWhom {
    /// The initiator, or the pattern of initiators.
    #[must_use]
    pub fn initiator(&self) -> &str {
        self.initiator.as_deref().unwrap_or("*")
    }
}

/// An initiator that is to be let in.
#[derive(Clone, Debug, Args)]
pub struct AclAllow {
    /// Whom.
    #[command(flatten)]
    pub whom: AclWhom,
    /// CHAP name with which the initiator must prove itself.
    #[arg(long, value_name = "USER", requires = "chap_secret_file")]
    pub chap_user: Option<String>,
    /// File with the initiator's secret, 12 to 255 bytes in one line.
    #[arg(long, value_name = "FILE", requires = "chap_user")]
    pub chap_secret_file: Option<PathBuf>,
    /// CHAP name with which the target proves itself in turn.
    #[arg(long, value_name = "USER", requires_all = ["mutual_secret_file", "chap_user"])]
    pub mutual_user: Option<String>,
    /// File with the target's secret; not the same one.
    #[arg(long, value_name = "FILE", requires = "mutual_user")]
    pub mutual_secret_file: Option<PathBuf>,
}

/// What can be done with reservations; `volume show` tells of them.
#[derive(Clone, Debug, Subcommand)]
pub enum ReservationVerb {
    /// End all reservations and registrations of a volume; initiators that had a part in them are
    /// told.
    Clear {
        /// The volume's name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        volume: String,
        /// Don't ask.
        #[arg(long, short)]
        yes: bool,
    },
}

/// What can be done with sessions.
#[derive(Clone, Debug, Subcommand)]
pub enum SessionVerb {
    /// List all sessions.
    List,
    /// Ask the initiator of a session to log out, and end the session if it doesn't.
    ///
    /// Initiators that honour it finish what they do, log out and come back by themselves: with other
    /// parameters, or to where the target is redirected to.
    Logout {
        /// The session's number.
        id: u64,
        /// Seconds after which the session is ended if it is still there.
        #[arg(long, value_name = "SECONDS", default_value_t = 10,
            value_parser = clap::value_parser!(u64).range(1..=600))]
        within: u64,
    },
    /// End a session. Initiators log in again unless `acl deny` keeps them out.
    Drop {
        /// The session's number.
        id: u64,
        /// Don't ask.
        #[arg(long, short)]
        yes: bool,
    },
}

#[cfg(test)]
mod tests;
