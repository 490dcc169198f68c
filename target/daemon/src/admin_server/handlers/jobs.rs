//! Jobs.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use tidelock_admin::v1::{ErrorCode, Job, JobList};

use crate::admin_server::body::Segments;
use crate::admin_server::failure::Failure;
use crate::admin_server::router::Shared;
use crate::jobs::NotCancelled;

pub(in crate::admin_server) async fn list(State(shared): State<Shared>) -> Json<JobList> {
    Json(JobList {
        jobs: shared.control.jobs(),
    })
}

pub(in crate::admin_server) async fn show(
    State(shared): State<Shared>,
    Segments(id): Segments<u64>,
) -> Result<Json<Job>, Failure> {
    let job = shared.control.job(id);
    job.map(Json).ok_or_else(|| none(id))
}

pub(in crate::admin_server) async fn cancel(
    State(shared): State<Shared>,
    Segments(id): Segments<u64>,
) -> Result<StatusCode, Failure> {
    match shared.control.cancel_job(id).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(NotCancelled::None) => Err(none(id)),
        Err(NotCancelled::Ended(state)) => {
            let text = format!("job {id} has ended already: {}", state.name());
            Err(Failure::new(ErrorCode::Conflict, text, ""))
        }
        Err(NotCancelled::Failed(reason)) => {
            let text = format!("what job {id} has left can't be removed: {reason}");
            Err(Failure::new(ErrorCode::Internal, text, ""))
        }
        Err(NotCancelled::Never) => {
            let text = format!("job {id} can't be ended half-way");
            Err(Failure::new(ErrorCode::Conflict, text, "wait for its end"))
        }
    }
}

fn none(id: u64) -> Failure {
    let hint = "`tidelock job list` shows the jobs there are; those of before a restart have ended with it, \
                or go on under their number";
    Failure::new(ErrorCode::NotFound, format!("there is no job {id}"), hint)
}
