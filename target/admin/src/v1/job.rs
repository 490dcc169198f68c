//! Long jobs: what is under way, how far it is, and what became of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::CheckReport;

/// The jobs that are under way, and the last ones that have ended.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct JobList {
    /// By number.
    pub jobs: Vec<Job>,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub struct Job {
    /// Its number. A job that goes on after a restart of the daemon keeps it; the others end with the daemon,
    /// and their numbers are given again.
    pub id: u64,
    /// What is done.
    pub kind: JobKind,
    /// To what: `VOLUME`, `VOLUME@SNAPSHOT` or a group's name.
    pub volume: String,
    /// How it is.
    pub state: JobState,
    /// How much is done, of a hundred; absent if nobody can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// Bytes that are done.
    pub done_bytes: u64,
    /// Of so many, as far as is known by now.
    pub total_bytes: u64,
    /// Bytes a second, in the last seconds while it runs and from its beginning to its end afterwards; absent
    /// if that can't be told yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
    /// When it was begun, or gone on with after a restart (RFC 3339, UTC).
    pub started: String,
    /// When it ended (RFC 3339, UTC); absent while it hasn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// Whether `DELETE` ends it.
    pub cancellable: bool,
    /// What a suspended job waits for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub waiting: String,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// What was found, of a job that looks for damage and has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<CheckReport>,
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobKind {
    /// Makes a full clone of one that was made as such.
    Hydrate,
    /// Makes a full clone of a linked one.
    Split,
    /// Makes a volume that shares its blocks with nobody any more a plain file again.
    Fold,
    /// Reads all blocks and compares them with their checksums.
    Scrub,
    /// Looks whether every block has one owner.
    Verify,
    /// Gives volumes the content of snapshots.
    Restore,
    /// Compares the two volumes of a mirror.
    Compare,
    /// One that this client doesn't know.
    #[serde(other)]
    Unknown,
}

/// How a job is: the `JobState` of `CIM_ConcreteJob`, as far as jobs here are in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[non_exhaustive]
pub enum JobState {
    /// 4: at work.
    Running,
    /// 5: waits for something, and goes on by itself; `waiting` says for what.
    Suspended,
    /// 6: was told to end, and is about to.
    #[serde(rename = "Shutting Down")]
    ShuttingDown,
    /// 7: has ended well.
    Completed,
    /// 8: has ended because it was told to.
    Terminated,
    /// 10: has failed; `error` says why.
    Exception,
    /// One that this client doesn't know.
    #[serde(other)]
    Unknown,
}

impl JobState {
    /// Whether nothing more comes of it.
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Terminated | Self::Exception)
    }

    /// In the words of DMTF.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Suspended => "Suspended",
            Self::ShuttingDown => "Shutting Down",
            Self::Completed => "Completed",
            Self::Terminated => "Terminated",
            Self::Exception => "Exception",
            Self::Unknown => "Unknown",
        }
    }
}

impl JobKind {
    /// As it is in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hydrate => "hydrate",
            Self::Split => "split",
            Self::Fold => "fold",
            Self::Scrub => "scrub",
            Self::Verify => "verify",
            Self::Restore => "restore",
            Self::Compare => "compare",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_json() {
        for state in [
            JobState::Running,
            JobState::Suspended,
            JobState::ShuttingDown,
            JobState::Completed,
            JobState::Terminated,
            JobState::Exception,
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
        for kind in [
            JobKind::Hydrate,
            JobKind::Split,
            JobKind::Fold,
            JobKind::Scrub,
            JobKind::Verify,
            JobKind::Restore,
            JobKind::Compare,
        ] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        let later: JobState = serde_json::from_str("\"Service\"").unwrap();
        assert_eq!(later, JobState::Unknown);
    }
}
