//! Commands before and after the snapshots that schedules take. Only the configuration file names any: whoever
//! may use the admin socket can't have anything run as the daemon's user.

use std::collections::BTreeSet;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tidelock_catalog::{SnapshotName, VolumeName};
use tokio::process::{Child, Command};

/// How long a command may take, in seconds, if nobody says.
const TIMEOUT_SECONDS: u64 = 30;
/// And at most.
const TIMEOUT_SECONDS_MAX: u64 = 600;
/// From one look to the next whether the daemon is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// `[[quiesce]]` of the TOML file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Section {
    volumes: Vec<String>,
    pre: String,
    post: Option<String>,
    timeout_seconds: Option<u64>,
}

/// What is done before and after a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quiesce {
    /// Of which volumes.
    pub volumes: BTreeSet<VolumeName>,
    /// A shell command; if it fails there is no snapshot.
    pub pre: String,
    /// A shell command that runs after it, whatever has come of it.
    pub post: Option<String>,
    /// How long each of them may take.
    pub timeout: Duration,
}

impl Quiesce {
    /// Checks all sections; the error is of the one of that number, from 1.
    pub(crate) fn check(sections: Vec<Section>) -> Result<Vec<Self>, (usize, String)> {
        let mut seen = BTreeSet::new();
        let checked = sections.into_iter().enumerate().map(|(at, section)| {
            let checked = Self::check_one(section, &mut seen);
            checked.map_err(|reason| (at + 1, reason))
        });
        checked.collect()
    }

    fn check_one(section: Section, seen: &mut BTreeSet<VolumeName>) -> Result<Self, String> {
        if section.volumes.is_empty() {
            return Err("volumes is empty: name at least one".into());
        }
        for command in [Some(&section.pre), section.post.as_ref()]
            .into_iter()
            .flatten()
        {
            if command.trim().is_empty() || command.contains('\0') {
                return Err("a command is empty, or has a zero byte in it".into());
            }
        }
        let seconds = section.timeout_seconds.unwrap_or(TIMEOUT_SECONDS);
        if !(1..=TIMEOUT_SECONDS_MAX).contains(&seconds) {
            return Err(format!(
                "timeout_seconds = {seconds} is out of range: allowed is 1 to {TIMEOUT_SECONDS_MAX}"
            ));
        }
        let mut volumes = BTreeSet::new();
        for name in &section.volumes {
            let name = VolumeName::new(name).map_err(|error| error.to_string())?;
            if !seen.insert(name.clone()) {
                return Err(format!("volume {name} is there twice"));
            }
            volumes.insert(name);
        }
        Ok(Self {
            volumes,
            pre: section.pre,
            post: section.post,
            timeout: Duration::from_secs(seconds),
        })
    }

    /// Does something between both commands. The one after is run whatever comes; the one before ends early
    /// if the daemon is to stop.
    ///
    /// # Errors
    /// What went wrong before, in words; otherwise what comes of `take`.
    pub(crate) async fn between<T>(
        &self,
        of: (&VolumeName, &SnapshotName),
        stopping: &AtomicBool,
        take: impl Future<Output = T>,
    ) -> Result<T, String> {
        let before = run(&self.pre, of, self.timeout, Some(stopping)).await;
        let taken = match before {
            Ok(()) => Ok(take.await),
            Err(what) => Err(format!("the command before it didn't succeed: {what}")),
        };
        if let Some(command) = &self.post
            && let Err(what) = run(command, of, self.timeout, None).await
        {
            tracing::error!(volume = %of.0, %what, "the command after a snapshot didn't succeed");
        }
        taken
    }
}

/// Runs a shell command to its end, in a process group of its own, of which nothing is left behind that takes
/// too long.
async fn run(
    command: &str,
    (volume, snapshot): (&VolumeName, &SnapshotName),
    patience: Duration,
    stopping: Option<&AtomicBool>,
) -> Result<(), String> {
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .env("TIDELOCK_VOLUME", volume.as_str())
        .env("TIDELOCK_SNAPSHOT", snapshot.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::from(std::io::stderr()))
        .process_group(0)
        .spawn()
        .map_err(|error| format!("`{command}` can't be started: {error}"))?;
    let why = tokio::select! {
        ended = child.wait() => return said(command, ended),
        () = tokio::time::sleep(patience) => {
            format!("`{command}` took longer than {} s", patience.as_secs())
        }
        () = stops(stopping) => format!("`{command}` was ended, because the daemon stops"),
    };
    end(&mut child).await;
    Err(why)
}

async fn stops(stopping: Option<&AtomicBool>) {
    while !stopping.is_some_and(|stopping| stopping.load(Ordering::SeqCst)) {
        tokio::time::sleep(LOOK).await;
    }
}

fn said(command: &str, ended: std::io::Result<ExitStatus>) -> Result<(), String> {
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{command}` failed ({status})")),
        Err(error) => Err(format!("`{command}` can't be waited for: {error}")),
    }
}

async fn end(child: &mut Child) {
    let group = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(group) = group.and_then(Pid::from_raw) {
        // Gone already, if this fails.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(toml: &str) -> Result<Vec<Quiesce>, (usize, String)> {
        #[derive(Deserialize)]
        struct File {
            quiesce: Vec<Section>,
        }
        let file: File = toml::from_str(toml).unwrap();
        Quiesce::check(file.quiesce)
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_the_number_of_its_section() {
        let good = "[[quiesce]]\nvolumes = [\"a\", \"b\"]\npre = \"x\"\n";
        let read = check(good).unwrap();
        assert_eq!((read[0].volumes.len(), read[0].timeout.as_secs()), (2, 30));
        for (more, says) in [
            ("volumes = [\"a\"]\npre = \"x\"", "a is there twice"),
            ("volumes = []\npre = \"x\"", "volumes is empty"),
            (
                "volumes = [\"c/d\"]\npre = \"x\"",
                "can't be in a volume name",
            ),
            ("volumes = [\"c\"]\npre = \" \"", "command is empty"),
            (
                "volumes = [\"c\"]\npre = \"x\"\npost = \"\"",
                "command is empty",
            ),
            (
                "volumes = [\"c\"]\npre = \"x\"\ntimeout_seconds = 0",
                "allowed is 1 to 600",
            ),
        ] {
            let (section, reason) = check(&format!("{good}[[quiesce]]\n{more}\n")).unwrap_err();
            assert!(section == 2 && reason.contains(says), "{more}: {reason}");
        }
    }
}
