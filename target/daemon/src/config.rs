//! The daemon's own settings: portals, reactors, paths, limits. What an operator creates (volumes,
//! targets, access lists) is never here: that is the catalog's.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;

use crate::args::Args;

/// Where the state is kept when nobody says otherwise.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/tidelock";
/// Where the admin socket is when nobody says otherwise.
pub const DEFAULT_ADMIN_SOCKET: &str = "/run/tidelock/admin.sock";
/// The state folder of `--demo`, in the current folder.
pub const DEMO_STATE_DIR: &str = "tidelock-demo";
/// The IANA port of iSCSI (RFC 7143 §14).
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
    admin_socket: Option<PathBuf>,
    log: Option<String>,
    engine: EngineChoice,
    reactors: Option<u64>,
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
}

/// Settings with every default filled in and every range checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder of the catalog and of the volumes that the daemon made itself.
    pub state_dir: PathBuf,
    /// Addresses to listen on.
    pub portals: Vec<SocketAddr>,
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
    /// Our FirstBurstLength in bytes.
    pub first_burst_length: u32,
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
const FIRST_BURST: Key = Key::new("first_burst_length", 65_536, LENGTHS);

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
        let portals = portals(args, &file);
        if portals.is_empty() {
            return Err(ConfigError::NoPortals);
        }
        let (state_dir, admin_socket) = paths(args, &file);
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get) as u64;
        let reactors = Key::new("reactors", cores.min(256), 1..=256);
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
            reactors: reactors.check(file.reactors)?,
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
            demo: args.demo,
        })
    }
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

fn portals(args: &Args, file: &File) -> Vec<SocketAddr> {
    if !args.portals.is_empty() {
        return args.portals.clone();
    }
    file.portals.clone().unwrap_or_else(|| {
        let address = if args.demo {
            Ipv4Addr::LOCALHOST
        } else {
            Ipv4Addr::UNSPECIFIED
        };
        vec![SocketAddr::from((address, ISCSI_PORT))]
    })
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

    #[test]
    fn an_empty_file_gives_the_documented_defaults() {
        let config = load("").unwrap();
        assert_eq!(config.portals, ["0.0.0.0:3260".parse().unwrap()]);
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
        assert_eq!(config.portals, ["[::1]:3260".parse().unwrap()]);
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
        assert_eq!(config.portals, ["127.0.0.1:3260".parse().unwrap()]);
        assert!(config.portal_fallback);
    }
}
