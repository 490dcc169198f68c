//! The daemon's own settings: portals, reactors, paths, limits. What an operator creates (volumes,
//! targets, access lists) is never here: that is the catalog's.

use std::net::{Ipv4Addr, SocketAddr};
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
    /// A value is outside its range.
    #[error("{key} = {value} is out of range: allowed is {range}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// The value found.
        value: u64,
        /// What it may be.
        range: &'static str,
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

impl Config {
    /// Reads the file that `args` names, if any, and lays the command line over it.
    ///
    /// # Errors
    /// The file is unreadable or invalid, or a value is out of range.
    pub fn load(args: &Args) -> Result<Self, ConfigError> {
        let file = args
            .config
            .as_deref()
            .map_or_else(|| Ok(File::default()), read)?;
        let state_dir = args
            .state_dir
            .clone()
            .or(file.state_dir)
            .unwrap_or_else(|| {
                if args.demo {
                    DEMO_STATE_DIR.into()
                } else {
                    DEFAULT_STATE_DIR.into()
                }
            });
        let admin_socket = args
            .admin_socket
            .clone()
            .or(file.admin_socket)
            .unwrap_or_else(|| {
                if args.demo {
                    state_dir.join("admin.sock")
                } else {
                    DEFAULT_ADMIN_SOCKET.into()
                }
            });
        let portals = if args.portals.is_empty() {
            file.portals.unwrap_or_else(|| {
                let any = if args.demo {
                    Ipv4Addr::LOCALHOST
                } else {
                    Ipv4Addr::UNSPECIFIED
                };
                vec![SocketAddr::from((any, ISCSI_PORT))]
            })
        } else {
            args.portals.clone()
        };
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
        Ok(Self {
            state_dir,
            portal_fallback: args.demo && args.portals.is_empty(),
            portals,
            admin_socket,
            log: args
                .log
                .clone()
                .or(file.log)
                .unwrap_or_else(|| "info".into()),
            engine: file.engine,
            reactors: ranged("reactors", file.reactors, cores.min(256), 1, 256, "1..=256")?,
            memory_ceiling: ranged::<usize>(
                "memory_ceiling_mib",
                file.memory_ceiling_mib,
                192,
                64,
                1 << 20,
                "64..=1048576",
            )? << 20,
            max_sessions: ranged(
                "max_sessions",
                file.max_sessions,
                1024,
                1,
                32_768,
                "1..=32768",
            )?,
            max_half_open: ranged(
                "max_half_open",
                file.max_half_open,
                512,
                8,
                65_536,
                "8..=65536",
            )?,
            login_timeout: seconds(
                "login_timeout_seconds",
                file.login_timeout_seconds,
                15,
                1,
                "1..=600",
            )?,
            command_deadline: seconds(
                "command_deadline_seconds",
                file.command_deadline_seconds,
                20,
                1,
                "1..=600",
            )?,
            nop_interval: seconds(
                "nop_interval_seconds",
                file.nop_interval_seconds,
                10,
                0,
                "0..=600",
            )?,
            nop_timeout: seconds(
                "nop_timeout_seconds",
                file.nop_timeout_seconds,
                10,
                1,
                "1..=600",
            )?,
            command_window: ranged(
                "command_window",
                file.command_window,
                128,
                1,
                1024,
                "1..=1024",
            )?,
            max_recv_data_segment_length: ranged(
                "max_recv_data_segment_length",
                file.max_recv_data_segment_length,
                262_144,
                512,
                0xff_ffff,
                "512..=16777215",
            )?,
            max_burst_length: ranged(
                "max_burst_length",
                file.max_burst_length,
                1_048_576,
                512,
                0xff_ffff,
                "512..=16777215",
            )?,
            first_burst_length: ranged(
                "first_burst_length",
                file.first_burst_length,
                262_144,
                512,
                0xff_ffff,
                "512..=16777215",
            )?,
            demo: args.demo,
        })
    }
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

fn ranged<T: TryFrom<u64>>(
    key: &'static str,
    value: Option<u64>,
    default: u64,
    min: u64,
    max: u64,
    range: &'static str,
) -> Result<T, ConfigError> {
    let value = value.unwrap_or(default);
    let out_of_range = || ConfigError::OutOfRange { key, value, range };
    if !(min..=max).contains(&value) {
        return Err(out_of_range());
    }
    T::try_from(value).map_err(|_| out_of_range())
}

fn seconds(
    key: &'static str,
    value: Option<u64>,
    default: u64,
    min: u64,
    range: &'static str,
) -> Result<Duration, ConfigError> {
    ranged(key, value, default, min, 600, range).map(Duration::from_secs)
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
