//! The command line of mirrors.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};

use crate::size::parse_size;
use crate::time_span::parse_time_span;

/// What can be done with mirrors. A mirror is named by either of its volumes, and those of a group by the group.
#[derive(Clone, Debug, Subcommand)]
pub enum MirrorVerb {
    /// Keep a volume equal to another one from now on: one of this daemon, whose content is replaced, or a new one of a
    /// peer.
    ///
    /// A write is answered when both have it, or with `--mode async` when the source has it. Hosts can read a target of this
    /// daemon and not write it; one of a peer is the same disk as its source to them, in reserve.
    Create(MirrorCreate),
    /// List all mirrors.
    List,
    /// Show one mirror: how it is, who serves hosts, and what can be done next.
    Show(MirrorOrGroup),
    /// Show what becomes of a mirror, until both volumes are equal.
    Watch(MirrorName),
    /// Send nothing to the target any more. What changes is noted, so that `resync` copies that alone.
    Fracture {
        /// Which mirror, or those of which group.
        #[command(flatten)]
        mirror: MirrorOrGroup,
        /// Let hosts go on with a source that doesn't know whether the other end has taken over: make sure that it hasn't.
        #[arg(long)]
        force: bool,
        /// Don't ask.
        #[arg(long, short)]
        yes: bool,
    },
    /// The same, with a target that is what the source was at one moment.
    Split(MirrorOrGroup),
    /// The same, for a while: `resume` goes on.
    Suspend(MirrorOrGroup),
    /// Go on after `suspend`: copy what the target lacks.
    Resume(MirrorOrGroup),
    /// Copy what the target lacks, after `fracture`, `split` or a failure.
    Resync {
        /// Which mirror, or those of which group.
        #[command(flatten)]
        mirror: MirrorOrGroup,
        /// After both volumes were changed: drop what was changed in this one (VOLUME, or PEER:VOLUME) since they were
        /// equal.
        #[arg(long, value_name = "VOLUME", value_parser = NonEmptyStringValueParser::new())]
        discard: Option<String>,
        /// Don't ask.
        #[arg(long, short)]
        yes: bool,
    },
    /// Copy back to the source what the target has, after `fracture` or `split`: only what differs is copied, and what the
    /// source had is kept as a snapshot. Hosts can't use the source until that is done, and then nothing is sent, as before.
    Restore {
        /// Which mirror.
        #[command(flatten)]
        mirror: MirrorName,
        /// Though hosts are logged in to the source: they find other content there.
        #[arg(long)]
        force: bool,
        /// Don't ask.
        #[arg(long, short)]
        yes: bool,
    },
    /// Let hosts use the target from now on. It becomes the source of what is copied.
    ///
    /// While both volumes are equal nothing that was acknowledged is lost. After a failure of the source the target
    /// takes over with what it has.
    Failover {
        /// Which mirror, or those of which group.
        #[command(flatten)]
        mirror: MirrorOrGroup,
        /// Though the target may have no consistent content.
        #[arg(long)]
        force: bool,
        /// Don't ask.
        #[arg(long, short)]
        yes: bool,
    },
    /// Let hosts use the source again, after `failover`.
    Failback(MirrorOrGroup),
    /// Let source and target change places for good.
    Reverse(MirrorOrGroup),
    /// Say who lets hosts use the target when the source is gone, of a mirror with a peer.
    SetFailover {
        /// Which mirror.
        #[command(flatten)]
        mirror: MirrorName,
        /// Who.
        #[arg(value_name = "WHO")]
        failover: Failover,
        /// Back to manual though the other daemon or etcd can't be told: make sure that the other end doesn't take over.
        #[arg(long)]
        force: bool,
        /// Don't ask.
        #[arg(long, short)]
        yes: bool,
    },
    /// Change how far the target of an asynchronous mirror may be behind, and how fast is copied.
    #[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
    Set {
        /// Which mirror.
        #[command(flatten)]
        mirror: MirrorName,
        /// The target should never be further behind: 5s, 1m.
        #[arg(long, value_name = "TIME", value_parser = parse_time_span, group = "what")]
        rpo: Option<u64>,
        /// Copy so much a second at most: 100M, or none.
        #[arg(long, value_name = "SIZE", value_parser = parse_rate, group = "what")]
        resync_limit: Option<Rate>,
        /// Compress what goes over the link with a peer, which helps where that is slow.
        #[arg(long, value_name = "HOW", group = "what")]
        compression: Option<Compression>,
    },
    /// Let hosts wait for both volumes from now on, of an asynchronous mirror.
    ResetToSync(MirrorName),
    /// Let hosts wait for the source alone from now on, of a synchronous mirror.
    ResetToAsync(MirrorName),
    /// End the mirror: both volumes are independent, and keep what they have.
    Detach {
        /// Which mirror, or those of which group.
        #[command(flatten)]
        mirror: MirrorOrGroup,
        /// Though the target has no consistent content yet.
        #[arg(long)]
        force: bool,
        /// Don't ask.
        #[arg(long, short)]
        yes: bool,
    },
    /// Compare every byte of the two volumes, while hosts go on. It is a job: `job cancel` ends it.
    Verify {
        /// Which mirror.
        #[command(flatten)]
        mirror: MirrorName,
        /// Don't wait for it: `job watch` does.
        #[arg(long)]
        background: bool,
    },
}

/// Which mirror.
#[derive(Clone, Debug, Args)]
pub struct MirrorName {
    /// The name of a volume in it, or its id.
    #[arg(value_name = "MIRROR", value_parser = NonEmptyStringValueParser::new())]
    pub name: String,
}

/// Which mirror, or the mirrors of which group's volumes.
#[derive(Clone, Debug, Args)]
pub struct MirrorOrGroup {
    /// The name of a volume in it, or its id; or a group, of which the mirrors of all volumes are meant.
    #[arg(value_name = "MIRROR|GROUP", value_parser = NonEmptyStringValueParser::new())]
    pub name: String,
    /// It is a group, though there is a volume of that name.
    #[arg(long)]
    pub group: bool,
}

/// A mirror that is to be made.
#[derive(Clone, Debug, Args)]
pub struct MirrorCreate {
    /// The volume whose content counts; or a group, all of whose volumes are mirrored.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub source: String,
    /// A volume of the same size that no host uses, whose content is replaced; or PEER:VOLUME, which the peer makes. Of a group: another
    /// group, of which each volume becomes the copy of the one at its place in the order of their names; or PEER:GROUP: the peer makes
    /// volumes that are called as the sources, and the group.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub target: String,
    /// When writes are answered.
    #[arg(long, value_name = "MODE", default_value = "sync")]
    pub mode: Mode,
    /// The target of an asynchronous mirror should never be further behind: 5s, 1m. 5s if nothing is said.
    #[arg(long, value_name = "TIME", value_parser = parse_time_span)]
    pub rpo: Option<u64>,
    /// What is done with hosts while the target is away.
    #[arg(long, value_name = "WHAT", default_value = "continue")]
    pub on_failure: OnFailure,
    /// Who lets hosts use the target when the source is gone: an operator, or the two daemons by themselves, by leases in an
    /// etcd that both are configured with.
    #[arg(long, value_name = "WHO", default_value = "manual")]
    pub failover: Failover,
    /// Copy so much a second at most: 100M. If nothing is said, as much as hosts have no use for.
    #[arg(long, value_name = "SIZE", value_parser = parse_rate)]
    pub resync_limit: Option<Rate>,
    /// Compress what goes over the link with a peer, which helps where that is slow. If nothing is said, it isn't.
    #[arg(long, value_name = "HOW")]
    pub compression: Option<Compression>,
    /// The source is a group, though there is a volume of that name.
    #[arg(long)]
    pub group: bool,
    /// Wait until both volumes are equal.
    #[arg(long)]
    pub wait: bool,
    /// Don't ask.
    #[arg(long, short)]
    pub yes: bool,
}

/// What becomes of the content on the link with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Compression {
    /// It goes as it is.
    None,
    /// It is compressed, if both daemons can.
    Zstd,
}

/// How much is copied a second at most; 0: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(pub u64);

fn parse_rate(text: &str) -> Result<Rate, String> {
    match text {
        "none" => Ok(Rate(0)),
        text => match parse_size(text) {
            Ok(0) => Err("nothing would ever be copied: none is no limit".into()),
            Ok(bytes) => Ok(Rate(bytes)),
            Err(error) => Err(error.to_string()),
        },
    }
}

/// Who lets hosts use the target of a mirror when the source is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Failover {
    /// An operator: `failover --force`.
    Manual,
    /// The two daemons, when the source's lease in etcd is over.
    Automatic,
}

/// When a mirror answers writes of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// When both volumes have it.
    Sync,
    /// When the source has it: the target is the source as it was a while ago.
    Async,
}

/// What is done with hosts while the target of a mirror is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnFailure {
    /// They go on, and what they change is copied later.
    Continue,
    /// Their writes fail until it is back.
    Halt,
}
