//! Jobs as clients see them.

use tidelock_admin::client::ClientError;
use tidelock_admin::v1::{ErrorCode, JobKind, JobState};

use super::harness::server;
use crate::jobs::JobEnd;

fn refused(error: &ClientError) -> (ErrorCode, &str) {
    match error {
        ClientError::Refused(detail) => (detail.code, &detail.message),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_job_is_seen_cancelled_and_remembered() {
    let server = server();
    let client = server.client();
    assert!(client.jobs().await.unwrap().jobs.is_empty());
    let error = client.job(1).await.unwrap_err();
    assert_eq!(refused(&error), (ErrorCode::NotFound, "there is no job 1"));
    let job = server.control.jobs.begin(JobKind::Split, "k", true);
    job.progress(1 << 20, 4 << 20);
    let told = client.job(job.id()).await.unwrap();
    assert_eq!((told.kind, told.state), (JobKind::Split, JobState::Running));
    assert_eq!((told.volume.as_str(), told.percent), ("k", Some(25)));
    let mut listed = client.jobs().await.unwrap().jobs;
    // How fast it is changes with the time.
    for job in &mut listed {
        job.bytes_per_second = told.bytes_per_second;
    }
    assert_eq!(listed, [told]);
    client.cancel_job(job.id()).await.unwrap();
    assert!(job.is_cancelled());
    let told = client.job(job.id()).await.unwrap();
    assert_eq!(told.state, JobState::ShuttingDown);
    let id = job.id();
    job.end(JobEnd::Terminated);
    let error = client.cancel_job(id).await.unwrap_err();
    assert_eq!(
        refused(&error),
        (ErrorCode::Conflict, "job 1 has ended already: Terminated")
    );
    let firm = server.control.jobs.begin(JobKind::Restore, "g", false);
    let error = client.cancel_job(firm.id()).await.unwrap_err();
    assert_eq!(refused(&error).0, ErrorCode::Conflict);
    for wrong in ["x", "-1", "18446744073709551616", "1%2f2"] {
        let (status, answer) = server.ask("GET", &format!("/v1/jobs/{wrong}"), "").await;
        assert_eq!(status, 400, "{wrong}: {answer}");
    }
}
