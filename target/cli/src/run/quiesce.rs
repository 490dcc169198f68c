//! Commands before and after a snapshot. They run here, as whoever runs the program, and not in the daemon:
//! whoever may use its socket must not be able to run anything as the daemon's user.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};

use crate::args::QuiesceArgs;
use crate::exit::CliError;

/// What the commands are told of: names and values of their environment.
pub(super) type Environment<'a> = [(&'static str, &'a str); 2];

/// Takes a snapshot between two commands. The one after is run whatever comes, except for a SIGKILL of this
/// program.
pub(super) async fn between<T>(
    args: &QuiesceArgs,
    environment: &Environment<'_>,
    take: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    if args.pre.is_none() && args.post.is_none() {
        return take.await;
    }
    let patience = Duration::from_secs(args.timeout);
    let mut interruption = Interruption::new()?;
    let taken = match &args.pre {
        Some(command) => {
            let before = run(command, environment, patience, &mut interruption).await;
            before.map_err(|what| CliError::Pre { what })
        }
        None => Ok(()),
    };
    let taken = match taken {
        Ok(()) => tokio::select! {
            taken = take => taken,
            () = interruption.comes() => Err(CliError::NotWaitedFor { why: "interrupted".into() }),
            () = tokio::time::sleep(patience) => Err(CliError::NotWaitedFor {
                why: format!("no answer within {} s", args.timeout),
            }),
        },
        Err(error) => Err(error),
    };
    let Some(command) = &args.post else {
        return taken;
    };
    // Whoever wants to end the program wants applications to go on all the same.
    let after = run(command, environment, patience, &mut Interruption::never()).await;
    match (taken, after) {
        (taken, Ok(())) => taken,
        (Ok(_), Err(what)) => Err(CliError::Post { what }),
        (Err(error), Err(what)) => Err(CliError::Both {
            error: Box::new(error),
            what,
        }),
    }
}

/// The signals by which programs are asked to end.
struct Interruption(Vec<SignalStream>);

impl Interruption {
    fn new() -> Result<Self, CliError> {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        let streams: Result<_, _> = kinds.into_iter().map(signal).collect();
        streams.map(Self).map_err(|source| CliError::Io {
            action: "listen to signals".into(),
            source,
        })
    }

    fn never() -> Self {
        Self(Vec::new())
    }

    async fn comes(&mut self) {
        std::future::poll_fn(|cx| {
            let mut streams = self.0.iter_mut();
            match streams.any(|stream| stream.poll_recv(cx).is_ready()) {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            }
        })
        .await;
    }
}

/// Runs a shell command to its end. It is in a process group of its own: a terminal's Ctrl-C is for this
/// program, and what it leaves running when it takes too long ends with it.
async fn run(
    command: &str,
    environment: &Environment<'_>,
    patience: Duration,
    interruption: &mut Interruption,
) -> Result<(), String> {
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        // Standard output is for what this program has to say.
        .stdout(Stdio::from(std::io::stderr()))
        .process_group(0)
        .spawn()
        .map_err(|error| format!("`{command}` can't be started: {error}"))?;
    let why = tokio::select! {
        ended = child.wait() => return said(command, ended),
        () = tokio::time::sleep(patience) => {
            format!("`{command}` took longer than {} s", patience.as_secs())
        }
        () = interruption.comes() => format!("`{command}` was interrupted"),
    };
    end(&mut child).await;
    Err(why)
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
