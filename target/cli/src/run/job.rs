//! `tidelock job ...`, and waiting for a job that another command has begun.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tidelock_admin::client::Client;
use tidelock_admin::v1::{Job, JobState};

use crate::args::JobVerb;
use crate::exit::CliError;
use crate::run::Context;
use crate::show;

/// From one look at a job to the next.
const LOOK: Duration = Duration::from_millis(200);

pub(super) async fn run(verb: JobVerb, context: &mut Context<'_>) -> Result<(), CliError> {
    match verb {
        JobVerb::List => {
            let list = context.client.jobs().await?;
            context.print(&list, |list| show::jobs(&list.jobs))
        }
        JobVerb::Show { job } => {
            let job = context.client.job(job).await?;
            context.print(&job, show::job)
        }
        JobVerb::Cancel { job } => {
            context.client.cancel_job(job).await?;
            let job = until_ended(&context.client, job, |_| {}).await?;
            context.print(&job, show::job_ended)
        }
        JobVerb::Watch { job } => watch(job, context).await,
    }
}

/// Waits for a job with a bar on the terminal, and says what became of it. One that hasn't ended well is an
/// error for scripts.
pub(super) async fn watch(job: u64, context: &mut Context<'_>) -> Result<(), CliError> {
    let job = wait(job, context).await?;
    context.print(&job, show::job_ended)?;
    match job.state {
        JobState::Completed => match &job.report {
            Some(report) if report.damaged > 0 => Err(CliError::Damaged {
                checked: report.checked.clone(),
                damaged: report.damaged,
            }),
            _ => Ok(()),
        },
        state => Err(CliError::Job {
            id: job.id,
            state: state.name(),
            error: job.error,
        }),
    }
}

/// Waits for a job with a bar on the terminal.
pub(super) async fn wait(job: u64, context: &mut Context<'_>) -> Result<Job, CliError> {
    let bar = bar(context.terminal.progress);
    let job = until_ended(&context.client, job, |job| tell(&bar, job)).await;
    bar.finish_and_clear();
    job
}

async fn until_ended(
    client: &Client,
    id: u64,
    mut tell: impl FnMut(&Job),
) -> Result<Job, CliError> {
    loop {
        let job = client.job(id).await?;
        tell(&job);
        if job.state.is_ended() {
            return Ok(job);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn bar(shown: bool) -> ProgressBar {
    let target = if shown {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style =
        ProgressStyle::with_template("{msg} [{bar:30}] {percent:>3}% {bytes}/{total_bytes}");
    let bar = ProgressBar::with_draw_target(None, target);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn tell(bar: &ProgressBar, job: &Job) {
    bar.set_length(job.total_bytes);
    bar.set_position(job.done_bytes.min(job.total_bytes));
    bar.set_message(show::job_line(job));
}
