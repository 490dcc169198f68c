//! The command line of jobs.

use clap::Subcommand;

/// What can be done with jobs.
#[derive(Clone, Debug, Subcommand)]
pub enum JobVerb {
    /// List the jobs that are under way, and the last ones that have ended.
    List,
    /// Show one job.
    Show {
        /// Its number, as `job list` shows it.
        job: u64,
    },
    /// End a job. A volume that was about to be a full clone stays a linked one.
    Cancel {
        /// Its number, as `job list` shows it.
        job: u64,
    },
    /// Wait until a job has ended, and say how far it is meanwhile.
    Watch {
        /// Its number, as `job list` shows it.
        job: u64,
    },
}
