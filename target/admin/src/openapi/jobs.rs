//! What can be asked about jobs. Each function stands for one path and method; none is ever called.
#![allow(dead_code, reason = "read by the utoipa macros alone")]

use crate::v1::{ErrorBody, Job, JobList};

/// All jobs
///
/// Those that are under way, and the last ones that have ended since the daemon was started.
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs",
    responses((status = 200, body = JobList), (status = "4XX", body = ErrorBody)))]
pub(super) fn list_jobs() {}

/// One job
#[utoipa::path(get, path = "/v1/jobs/{job}", tag = "jobs",
    params(("job" = u64, Path, description = "The job's number")),
    responses((status = 200, body = Job), (status = "4XX", body = ErrorBody)))]
pub(super) fn show_job() {}

/// Tell a job to end
///
/// It is told when this is answered, and may need a moment. What it leaves behind is what was there before it
/// was begun: a volume that was about to be a full clone is a linked one. Refused if it has ended already or
/// can't be ended half-way.
#[utoipa::path(delete, path = "/v1/jobs/{job}", tag = "jobs",
    params(("job" = u64, Path, description = "The job's number")),
    responses((status = 204), (status = "4XX", body = ErrorBody)))]
pub(super) fn cancel_job() {}
