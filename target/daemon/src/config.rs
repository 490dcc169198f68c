//! The daemon's own settings: portals, reactors, paths, limits. What an operator creates (volumes,
//! targets, access lists) is never here: that is the catalog's.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;
use tidelock_catalog::snapshot::WORD_BYTES_MAX;
use tidelock_catalog::{PeerName, PortalGroupTag, WordError};

use crate::args::Args;
use crate::portal::Portal;
use crate::quiesce::{Quiesce, Section};

/// Where the state is kept when nobody says otherwise.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/tidelock";
/// Where the admin socket is when nobody says otherwise.
pub const DEFAULT_ADMIN_SOCKET: &str = "/run/tidelock/admin.sock";
/// The state folder of `--demo`, in the current folder.
pub const DEMO_STATE_DIR: &str = "tidelock-demo";
/// The IANA port of iSCSI (RFC 7143 §15).
pub const ISCSI_PORT: u16 = 3260;

/// Why the configuration can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file can't be read.
    #[error("cannot read the configuration {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file isn't what is expected.
    #[error("the configuration {path} is not valid: {reason}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        reason: String,
    },
    /// Nobody could connect.
    #[error("portals is empty: name at least one address to listen on, such as 0.0.0.0:3260")]
    NoPortals,
    /// A portal group that can't be.
    #[error("portal_group with tag = {tag}: {reason}")]
    PortalGroup {
        /// Its tag.
        tag: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A connection to it must belong to one group.
    #[error("{address} is a portal twice: name each address once, in one portal group")]
    PortalTwice {
        /// The address.
        address: SocketAddr,
    },
    /// Commands for snapshots that can't be meant so.
    #[error("quiesce section {section}: {reason}")]
    Quiesce {
        /// Which one, from 1.
        section: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A name that can't be.
    #[error("peer_name: {0}")]
    PeerName(#[from] WordError),
    /// The WBEM server.
    #[error("section [wbem]: {0}")]
    Wbem(String),
    /// The store of leases.
    #[error("section [failover]: {0}")]
    Failover(String),
    /// A value is outside its range.
    #[error("{key} = {value} is out of range: allowed is {range}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// The value found.
        value: u64,
        /// What it may be.
        range: String,
    },
}

/// Which engine does file I/O.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineChoice {
    /// io_uring where the kernel grants it, else threads.
    #[default]
    Auto,
    /// io_uring; starting fails without it.
    IoUring,
    /// A pool of threads.
    Threads,
}

/// The TOML file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    state_dir: Option<PathBuf>,
    portals: Option<Vec<SocketAddr>>,
    portal_group: Vec<PortalGroup>,
    admin_socket: Option<PathBuf>,
    log: Option<String>,
    engine: EngineChoice,
    reactors: Option<u64>,
    busy_poll_microseconds: Option<u64>,
    memory_ceiling_mib: Option<u64>,
    max_sessions: Option<u64>,
    max_half_open: Option<u64>,
    login_timeout_seconds: Option<u64>,
    command_deadline_seconds: Option<u64>,
    nop_interval_seconds: Option<u64>,
    nop_timeout_seconds: Option<u64>,
    command_window: Option<u64>,
    max_recv_data_segment_length: Option<u64>,
    max_burst_length: Option<u64>,
    first_burst_length: Option<u64>,
    sanitize_mib_per_second: Option<u64>,
    space_warning_percent: Option<u64>,
    max_connections: Option<u64>,
    error_recovery_level: Option<u64>,
    quiesce: Vec<Section>,
    peer_portal: Option<SocketAddr>,
    peer_name: Option<String>,
    peer_timeout_seconds: Option<u64>,
    wbem: Option<crate::wbem::Section>,
    failover: Option<crate::failover::Section>,
}

/// A portal group of the TOML file. `portals` at the top is group 1.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PortalGroup {
    tag: u64,
    portals: Vec<SocketAddr>,
}

/// Settings with every default filled in and every range checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder of the catalog and of the volumes that the daemon made itself.
    pub state_dir: PathBuf,
    /// Where to listen, each address once, by group.
    pub portals: Vec<Portal>,
    /// When a portal's port is taken, try the ones after it (only `--demo` does).
    pub portal_fallback: bool,
    /// The admin socket.
    pub admin_socket: PathBuf,
    /// Log filter.
    pub log: String,
    /// File I/O engine.
    pub engine: EngineChoice,
    /// Threads that serve connections, 1..=256.
    pub reactors: usize,
    /// How long a reactor with nothing to do looks for the next command before it sleeps, as long as commands come well within
    /// that time; zero: it sleeps at once. At most a millisecond.
    pub busy_poll: Duration,
    /// Bytes of payload memory for the whole daemon, whatever its peers do.
    pub memory_ceiling: usize,
    /// Sessions over all targets.
    pub max_sessions: usize,
    /// Connections that haven't logged in yet; beyond it the oldest is dropped.
    pub max_half_open: usize,
    /// How long a login may take.
    pub login_timeout: Duration,
    /// How long a command may take before it is answered BUSY. Shorter than the initiator's own
    /// limit (30 s on Linux).
    pub command_deadline: Duration,
    /// How long a connection may be silent before it is sent a NOP-In; zero for never.
    pub nop_interval: Duration,
    /// How long the answer to a NOP-In may take.
    pub nop_timeout: Duration,
    /// Commands that one session may have outstanding.
    pub command_window: u32,
    /// Our MaxRecvDataSegmentLength in bytes.
    pub max_recv_data_segment_length: u32,
    /// Our MaxBurstLength in bytes.
    pub max_burst_length: u32,
    /// Our FirstBurstLength in bytes: what a session is offered at most, less where many share the memory.
    pub first_burst_length: u32,
    /// Initiators of thin volumes are warned when less than this part of the file system is left; 0:
    /// never.
    pub space_warning_percent: u64,
    /// How fast a SANITIZE overwrites one volume at most, in bytes per second, so that the others keep
    /// their share of the disk.
    pub sanitize_bytes_per_second: u64,
    /// Connections that one session may have: our MaxConnections.
    pub max_connections: u16,
    /// The highest ErrorRecoveryLevel that an initiator can have.
    pub error_recovery_level: u8,
    /// Commands before and after the snapshots of schedules.
    pub quiesce: Vec<Quiesce>,
    /// Where to listen for other daemons; `None`: nowhere, and none is connected to.
    pub peer_portal: Option<SocketAddr>,
    /// What the daemon calls itself when it asks to be a peer.
    pub peer_name: PeerName,
    /// How long a peer may say nothing before it counts as gone.
    pub peer_timeout: Duration,
    /// The WBEM server; none unless it is configured.
    pub wbem: Option<crate::wbem::Settings>,
    /// The store of leases of mirrors that fail over by themselves; none does unless it is configured.
    pub failover: Option<crate::failover::Settings>,
    /// Set up and announce the demonstration LUN.
    pub demo: bool,
}

/// A number of the file: its name, its default, and what it may be.
#[derive(Debug)]
struct Key {
    name: &'static str,
    default: u64,
    range: RangeInclusive<u64>,
}

impl Key {
    const fn new(name: &'static str, default: u64, range: RangeInclusive<u64>) -> Self {
        Self {
            name,
            default,
            range,
        }
    }

    fn check<T: TryFrom<u64>>(&self, value: Option<u64>) -> Result<T, ConfigError> {
        let value = value.unwrap_or(self.default);
        let checked = Some(value).filter(|value| self.range.contains(value));
        let checked = checked.and_then(|value| T::try_from(value).ok());
        checked.ok_or_else(|| ConfigError::OutOfRange {
            key: self.name,
            value,
            range: format!("{}..={}", self.range.start(), self.range.end()),
        })
    }

    fn seconds(&self, value: Option<u64>) -> Result<Duration, ConfigError> {
        self.check(value).map(Duration::from_secs)
    }
}

const MEMORY_CEILING_MIB: Key = Key::new("memory_ceiling_mib", 192, 64..=1 << 20);
const MAX_SESSIONS: Key = Key::new("max_sessions", 1_024, 1..=32_768);
const MAX_HALF_OPEN: Key = Key::new("max_half_open", 512, 8..=65_536);
const COMMAND_WINDOW: Key = Key::new("command_window", 128, 1..=1_024);
const LOGIN_TIMEOUT: Key = Key::new("login_timeout_seconds", 15, 1..=600);
const COMMAND_DEADLINE: Key = Key::new("command_deadline_seconds", 20, 1..=600);
const NOP_INTERVAL: Key = Key::new("nop_interval_seconds", 10, 0..=600);
const NOP_TIMEOUT: Key = Key::new("nop_timeout_seconds", 10, 1..=600);
/// RFC 7143 §13.12 to §13.14: 512 to 2^24-1.
const LENGTHS: RangeInclusive<u64> = 512..=0xff_ffff;
const MAX_RECV: Key = Key::new("max_recv_data_segment_length", 262_144, LENGTHS);
const MAX_BURST: Key = Key::new("max_burst_length", 1_048_576, LENGTHS);
const SPACE_WARNING: Key = Key::new("space_warning_percent", 10, 0..=99);
const SANITIZE_MIB: Key = Key::new("sanitize_mib_per_second", 96, 1..=1 << 20);
/// Windows asks for as many as it is set up for; nobody needs more than a few.
const MAX_CONNECTIONS: Key = Key::new("max_connections", 8, 1..=64);
const ERROR_RECOVERY_LEVEL: Key = Key::new("error_recovery_level", 2, 0..=2);
const PEER_TIMEOUT: Key = Key::new("peer_timeout_seconds", 10, 2..=600);
const FIRST_BURST: Key = Key::new("first_burst_length", 131_072, LENGTHS);

impl Config {
    /// Reads the file that `args` names, if any, and lays the command line over it.
    ///
    /// # Errors
    /// The file is unreadable or invalid, or a value is out of range.
    pub fn load(args: &Args) -> Result<Self, ConfigError> {
        let file = match &args.config {
            Some(path) => read(path)?,
            None => File::default(),
        };
        let portals = portals(args, &file)?;
        let (state_dir, admin_socket) = paths(args, &file);
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get) as u64;
        let reactors = Key::new("reactors", cores.min(256), 1..=256);
        let reactors: usize = reactors.check(file.reactors)?;
        // A reactor that waits awake takes the core from another one that has something to do.
        let longest = if reactors as u64 > cores { 0 } else { 50 };
        let busy_poll = Key::new("busy_poll_microseconds", longest, 0..=1_000);
        Ok(Self {
            state_dir,
            admin_socket,
            portal_fallback: args.demo && args.portals.is_empty(),
            portals,
            log: args
                .log
                .clone()
                .or(file.log)
                .unwrap_or_else(|| "info".into()),
            engine: file.engine,
            reactors,
            busy_poll: busy_poll
                .check(file.busy_poll_microseconds)
                .map(Duration::from_micros)?,
            memory_ceiling: MEMORY_CEILING_MIB.check::<usize>(file.memory_ceiling_mib)? << 20,
            max_sessions: MAX_SESSIONS.check(file.max_sessions)?,
            max_half_open: MAX_HALF_OPEN.check(file.max_half_open)?,
            login_timeout: LOGIN_TIMEOUT.seconds(file.login_timeout_seconds)?,
            command_deadline: COMMAND_DEADLINE.seconds(file.command_deadline_seconds)?,
            nop_interval: NOP_INTERVAL.seconds(file.nop_interval_seconds)?,
            nop_timeout: NOP_TIMEOUT.seconds(file.nop_timeout_seconds)?,
            command_window: COMMAND_WINDOW.check(file.command_window)?,
            max_recv_data_segment_length: MAX_RECV.check(file.max_recv_data_segment_length)?,
            max_burst_length: MAX_BURST.check(file.max_burst_length)?,
            first_burst_length: FIRST_BURST.check(file.first_burst_length)?,
            space_warning_percent: SPACE_WARNING.check(file.space_warning_percent)?,
            sanitize_bytes_per_second: SANITIZE_MIB.check::<u64>(file.sanitize_mib_per_second)?
                << 20,
            max_connections: MAX_CONNECTIONS.check(file.max_connections)?,
            error_recovery_level: ERROR_RECOVERY_LEVEL.check(file.error_recovery_level)?,
            quiesce: Quiesce::check(file.quiesce)
                .map_err(|(section, reason)| ConfigError::Quiesce { section, reason })?,
            peer_portal: args.peer_portal.or(file.peer_portal),
            peer_name: match &file.peer_name {
                Some(name) => PeerName::new(name)?,
                None => host_name()?,
            },
            peer_timeout: PEER_TIMEOUT.seconds(file.peer_timeout_seconds)?,
            wbem: file
                .wbem
                .map(crate::wbem::check)
                .transpose()
                .map_err(ConfigError::Wbem)?,
            failover: file
                .failover
                .map(crate::failover::check)
                .transpose()
                .map_err(ConfigError::Failover)?,
            demo: args.demo,
        })
    }
}

/// The host's name, as far as it can be a peer's.
fn host_name() -> Result<PeerName, WordError> {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    let kept = host.chars().take(WORD_BYTES_MAX);
    let kept: String = kept
        .map(|it| {
            if it.is_ascii_alphanumeric() || it == '.' {
                it
            } else {
                '-'
            }
        })
        .collect();
    PeerName::new(kept.trim_matches(|it: char| !it.is_ascii_alphanumeric()))
        .or_else(|_| PeerName::new("tidelock"))
}

/// The state folder and the admin socket.
fn paths(args: &Args, file: &File) -> (PathBuf, PathBuf) {
    let state_dir = args.state_dir.as_ref().or(file.state_dir.as_ref()).cloned();
    let admin_socket = args
        .admin_socket
        .as_ref()
        .or(file.admin_socket.as_ref())
        .cloned();
    if args.demo {
        let state_dir = state_dir.unwrap_or_else(|| DEMO_STATE_DIR.into());
        let admin_socket = admin_socket.unwrap_or_else(|| state_dir.join("admin.sock"));
        (state_dir, admin_socket)
    } else {
        (
            state_dir.unwrap_or_else(|| DEFAULT_STATE_DIR.into()),
            admin_socket.unwrap_or_else(|| DEFAULT_ADMIN_SOCKET.into()),
        )
    }
}

/// The portals of the command line, and those of the file in groups that the command line doesn't
/// name.
fn portals(args: &Args, file: &File) -> Result<Vec<Portal>, ConfigError> {
    let mut portals = portals_of_file(args, file)?;
    let overridden: BTreeSet<_> = args.portals.iter().map(|portal| portal.group).collect();
    portals.retain(|portal| !overridden.contains(&portal.group));
    portals.extend(&args.portals);
    portals.sort_by_key(|portal| portal.group);
    if portals.is_empty() {
        return Err(ConfigError::NoPortals);
    }
    let mut seen = BTreeSet::new();
    // Port 0 is any that is free, and another one each time.
    let fixed = portals.iter().filter(|portal| portal.address.port() != 0);
    for Portal { address, .. } in fixed {
        if !seen.insert(*address) {
            return Err(ConfigError::PortalTwice { address: *address });
        }
    }
    Ok(portals)
}

fn portals_of_file(args: &Args, file: &File) -> Result<Vec<Portal>, ConfigError> {
    let mut groups = BTreeSet::new();
    let mut portals = Vec::new();
    if let Some(first) = &file.portals {
        groups.insert(PortalGroupTag::DEFAULT);
        portals.extend(in_group(PortalGroupTag::DEFAULT, first));
    }
    for PortalGroup {
        tag,
        portals: of_it,
    } in &file.portal_group
    {
        let wrong = |reason| ConfigError::PortalGroup { tag: *tag, reason };
        let group = u16::try_from(*tag).ok().and_then(PortalGroupTag::new);
        let group = group.ok_or_else(|| wrong("tags go from 1 to 16"))?;
        if !groups.insert(group) {
            return Err(wrong("it is there already (`portals` is group 1)"));
        }
        if of_it.is_empty() {
            return Err(wrong("it has no portals"));
        }
        portals.extend(in_group(group, of_it));
    }
    // Who names other groups on the command line alone wants those alone.
    let named_elsewhere = groups.is_empty() && !args.portals.is_empty();
    if !groups.contains(&PortalGroupTag::DEFAULT) && !named_elsewhere {
        let address = if args.demo {
            Ipv4Addr::LOCALHOST
        } else {
            Ipv4Addr::UNSPECIFIED
        };
        let address = SocketAddr::from((address, ISCSI_PORT));
        portals.extend(in_group(PortalGroupTag::DEFAULT, &[address]));
    }
    Ok(portals)
}

fn in_group(group: PortalGroupTag, addresses: &[SocketAddr]) -> impl Iterator<Item = Portal> {
    addresses
        .iter()
        .map(move |&address| Portal { group, address })
}

fn read(path: &Path) -> Result<File, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.into(),
        source,
    })?;
    toml::from_str(&text).map_err(|error| ConfigError::Invalid {
        path: path.into(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(toml: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tidelock.toml");
        std::fs::write(&path, toml).unwrap();
        Config::load(&Args {
            config: Some(path),
            ..Args::default()
        })
    }

    fn texts(config: &Config) -> Vec<String> {
        let portals = config.portals.iter();
        portals
            .map(|portal| format!("{}={}", portal.group, portal.address))
            .collect()
    }

    const TWO_GROUPS: &str = "portals = [\"10.0.0.1:3260\"]\n\
                              [[portal_group]]\ntag = 2\n\
                              portals = [\"10.0.1.1:3260\", \"[fd00::1]:3260\"]\n";

    #[test]
    fn reactors_wait_awake_unless_there_are_more_of_them_than_cores() {
        let polls = |toml| load(toml).map(|config| config.busy_poll.as_micros()).ok();
        assert_eq!(polls("reactors = 1"), Some(50));
        assert_eq!(polls("busy_poll_microseconds = 0"), Some(0));
        // No machine that tests run on has so many cores.
        assert_eq!(polls("reactors = 256"), Some(0));
        assert_eq!(
            polls("reactors = 256\nbusy_poll_microseconds = 20"),
            Some(20)
        );
        assert_eq!(polls("busy_poll_microseconds = 1001"), None);
    }

    #[test]
    fn portal_groups_are_added_to_the_first_one() {
        let config = load(TWO_GROUPS).unwrap();
        let all = ["1=10.0.0.1:3260", "2=10.0.1.1:3260", "2=[fd00::1]:3260"];
        assert_eq!(texts(&config), all);
        // Without one of its own, group 1 is what it always was.
        let config = load("[[portal_group]]\ntag = 16\nportals = [\"10.0.0.1:1\"]").unwrap();
        assert_eq!(texts(&config), ["1=0.0.0.0:3260", "16=10.0.0.1:1"]);
        let config = load("[[portal_group]]\ntag = 1\nportals = [\"10.0.0.1:1\"]").unwrap();
        assert_eq!(texts(&config), ["1=10.0.0.1:1"]);
    }

    #[test]
    fn a_portal_group_that_cannot_be_is_named() {
        let group = |tag, portals| format!("[[portal_group]]\ntag = {tag}\nportals = {portals}\n");
        let one = "[\"10.0.0.1:1\"]";
        for (toml, says) in [
            (group(0, one), "tag = 0: tags go from 1 to 16"),
            (group(17, one), "tag = 17: tags go from 1 to 16"),
            (group(70_000, one), "tag = 70000: tags go from 1 to 16"),
            (group(2, "[]"), "tag = 2: it has no portals"),
            (
                group(2, one) + &group(2, "[\"10.0.0.2:1\"]"),
                "tag = 2: it is there already",
            ),
            (
                format!("portals = {one}\n{}", group(1, one)),
                "`portals` is group 1",
            ),
            (
                format!("portals = {one}\n{}", group(2, one)),
                "10.0.0.1:1 is a portal twice",
            ),
            (group(-1, one), "invalid value"),
            ("portals = []".into(), "portals is empty"),
        ] {
            let error = load(&toml).unwrap_err().to_string();
            assert!(error.contains(says), "{toml}: {error}");
        }
    }

    #[test]
    fn the_command_line_overrides_the_groups_that_it_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tidelock.toml");
        std::fs::write(&path, TWO_GROUPS).unwrap();
        let with = |portals: &[&str]| {
            let portals = portals.iter().map(|text| text.parse().unwrap()).collect();
            let config = Some(path.clone());
            let args = Args {
                config,
                portals,
                ..Args::default()
            };
            texts(&Config::load(&args).unwrap())
        };
        let (two, both) = (["2=[::1]:1"], ["3=[::1]:1", "2=[::1]:2", "2=[::1]:0"]);
        assert_eq!(with(&two), ["1=10.0.0.1:3260", "2=[::1]:1"]);
        let expected = ["1=10.0.0.1:3260", "2=[::1]:2", "2=[::1]:0", "3=[::1]:1"];
        assert_eq!(with(&both), expected);
    }

    #[test]
    fn a_group_on_the_command_line_is_the_only_one_where_the_file_names_none() {
        let args = Args {
            portals: vec!["2=[::1]:1".parse().unwrap()],
            ..Args::default()
        };
        assert_eq!(texts(&Config::load(&args).unwrap()), ["2=[::1]:1"]);
    }

    #[test]
    fn an_empty_file_gives_the_documented_defaults() {
        let config = load("").unwrap();
        assert_eq!(texts(&config), ["1=0.0.0.0:3260"]);
        assert_eq!(config.state_dir, Path::new(DEFAULT_STATE_DIR));
        assert_eq!(config.command_window, 128);
        assert!(!config.portal_fallback);
    }

    #[test]
    fn an_unknown_key_is_refused_and_named() {
        let error = load("portal = \"0.0.0.0:3260\"").unwrap_err().to_string();
        assert!(error.contains("unknown field `portal`"), "{error}");
    }

    #[test]
    fn a_value_out_of_range_names_the_key_and_the_range() {
        let error = load("reactors = 0").unwrap_err().to_string();
        assert_eq!(error, "reactors = 0 is out of range: allowed is 1..=256");
    }

    #[test]
    fn the_command_line_overrides_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tidelock.toml");
        std::fs::write(&path, "portals = [\"0.0.0.0:1\"]\nstate_dir = \"/a\"").unwrap();
        let config = Config::load(&Args {
            config: Some(path),
            portals: vec!["[::1]:3260".parse().unwrap()],
            state_dir: Some("/b".into()),
            ..Args::default()
        })
        .unwrap();
        assert_eq!(texts(&config), ["1=[::1]:3260"]);
        assert_eq!(config.state_dir, Path::new("/b"));
    }

    #[test]
    fn the_demo_keeps_everything_in_one_local_folder() {
        let config = Config::load(&Args {
            demo: true,
            ..Args::default()
        })
        .unwrap();
        assert_eq!(config.state_dir, Path::new("tidelock-demo"));
        assert_eq!(config.admin_socket, Path::new("tidelock-demo/admin.sock"));
        assert_eq!(texts(&config), ["1=127.0.0.1:3260"]);
        assert!(config.portal_fallback);
    }
}
