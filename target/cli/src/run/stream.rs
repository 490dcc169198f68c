//! `tidelock snapshot send` and `tidelock snapshot receive`.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use tidelock_admin::client::Bytes;
use tokio::sync::mpsc;

use crate::args::{ReceiveArgs, SendArgs};
use crate::confirm::confirm;
use crate::exit::CliError;
use crate::run::Context;
use crate::show;
use crate::size::format_size;

/// Bytes that are read of a file at once.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces that wait to be sent.
const WAITING: usize = 4;

pub(super) async fn send(args: SendArgs, context: &mut Context<'_>) -> Result<(), CliError> {
    let to_stdout = args.output == Path::new("-");
    if to_stdout && context.terminal.out_is_terminal {
        return Err(CliError::Misused {
            reason:
                "a stream is nothing to read: pipe it into `tidelock snapshot receive`, or say \
                     --output FILE"
                    .into(),
        });
    }
    let since = since_name(&args)?;
    let client = &context.client;
    let mut download = match (&args.resume, &args.snapshot) {
        (Some(token), _) => client.send_rest(token).await?,
        (None, Some(of)) => {
            client
                .send_snapshot(&of.volume, &of.snapshot, since)
                .await?
        }
        (None, None) => {
            return Err(CliError::Misused {
                reason: "say which snapshot is to be sent".into(),
            });
        }
    };
    let mut file = match to_stdout {
        true => None,
        false => Some(create(&args.output)?),
    };
    let bar = bar(context.terminal.progress, "sent");
    let mut bytes = 0;
    let ended = loop {
        let piece = match download.next().await {
            Ok(Some(piece)) => piece,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error.into()),
        };
        let written = match &mut file {
            Some(file) => file.write_all(&piece),
            None => context.terminal.out.write_all(&piece),
        };
        if let Err(error) = written {
            break Err(not_written(&args.output, error));
        }
        bytes += piece.len() as u64;
        bar.set_position(bytes);
    };
    bar.finish_and_clear();
    ended?;
    let Some(file) = file else {
        let flushed = context.terminal.out.flush();
        return flushed.map_err(|error| not_written(&args.output, error));
    };
    file.sync_all()
        .map_err(|error| not_written(&args.output, error))?;
    let file = args.output.display().to_string();
    context.print(&json!({"file": file, "bytes": bytes}), |_| {
        format!("{} written to {file}\n", format_size(bytes))
    })
}

/// `--since A` and `--since VOLUME@A` are the same.
fn since_name(args: &SendArgs) -> Result<Option<&str>, CliError> {
    let Some(since) = &args.since else {
        return Ok(None);
    };
    let Some((volume, name)) = since.split_once('@') else {
        return Ok(Some(since));
    };
    match &args.snapshot {
        Some(of) if of.volume == volume => Ok(Some(name)),
        _ => Err(CliError::Misused {
            reason: format!("{since} is a snapshot of another volume"),
        }),
    }
}

fn create(path: &Path) -> Result<File, CliError> {
    let file = File::options().write(true).create_new(true).open(path);
    file.map_err(|source| CliError::Io {
        action: format!("make the file {}", path.display()),
        source,
    })
}

/// Nobody is content with a part of a stream: a pipe that breaks is an error here.
fn not_written(path: &Path, error: io::Error) -> CliError {
    let action = match path == Path::new("-") {
        true => "write the whole stream to standard output".into(),
        false => format!("write the whole stream to {}", path.display()),
    };
    let source = match error.kind() {
        io::ErrorKind::BrokenPipe => io::Error::other("whoever read it has ended"),
        _ => error,
    };
    CliError::Io { action, source }
}

pub(super) async fn receive(args: ReceiveArgs, context: &mut Context<'_>) -> Result<(), CliError> {
    let volume = &args.volume;
    if args.status {
        let status = context.client.receive_status(volume).await?;
        return context.print(&status, show::receive_status);
    }
    if args.abort {
        let status = context.client.receive_status(volume).await?;
        let what = format!(
            "What has come of snapshot {} for volume {volume} is dropped: {} of {}.",
            status.snapshot,
            format_size(status.position_bytes),
            format_size(status.size_bytes),
        );
        confirm(&what, args.yes, context.terminal)?;
        context.client.abort_receive(volume).await?;
        return context.print(&json!({"aborted": volume}), |_| {
            format!("what had come for volume {volume} is dropped\n")
        });
    }
    let input = open(&args.input)?;
    let bar = bar(context.terminal.progress, "received");
    let (sender, pieces) = mpsc::channel(WAITING);
    let taken = Arc::new(AtomicU64::new(0));
    let reading = read(input, sender, Arc::clone(&taken), bar.clone())?;
    let name = args.name.as_deref();
    let received = context
        .client
        .receive_snapshot(volume, name, args.force, pieces)
        .await;
    bar.finish_and_clear();
    // What couldn't be read explains why the stream was too short.
    if reading.is_finished()
        && let Ok(Err(source)) = reading.join()
    {
        return Err(CliError::Io {
            action: format!("read {}", args.input.display()),
            source,
        });
    }
    let received = received?;
    context.print(&received, show::received)
}

fn open(path: &Path) -> Result<Box<dyn Read + Send>, CliError> {
    if path != Path::new("-") {
        let file = File::open(path).map_err(|source| CliError::Io {
            action: format!("open {}", path.display()),
            source,
        })?;
        return Ok(Box::new(file));
    }
    let input = io::stdin();
    if input.is_terminal() {
        return Err(CliError::Misused {
            reason: "a stream is wanted on standard input: pipe one in, or say --input FILE".into(),
        });
    }
    Ok(Box::new(input))
}

/// Reads on a thread of its own: standard input may have nothing when the daemon has something to say.
fn read(
    mut input: Box<dyn Read + Send>,
    sender: mpsc::Sender<Bytes>,
    taken: Arc<AtomicU64>,
    bar: ProgressBar,
) -> Result<JoinHandle<io::Result<()>>, CliError> {
    let body = move || {
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            let count = match input.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let piece = Bytes::copy_from_slice(buffer.get(..count).unwrap_or_default());
            if sender.blocking_send(piece).is_err() {
                return Ok(());
            }
            let bytes = taken.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
            bar.set_position(bytes);
        }
    };
    let thread = std::thread::Builder::new().name("input".into()).spawn(body);
    thread.map_err(|source| CliError::Io {
        action: "start".into(),
        source,
    })
}

fn bar(shown: bool, done: &'static str) -> ProgressBar {
    let target = match shown {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let style = ProgressStyle::with_template("{spinner} {bytes} {msg}, {bytes_per_sec}");
    let bar = ProgressBar::with_draw_target(None, target).with_message(done);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar
}
