//! One connection from accept to close: login, then the full feature phase. This is the shell around
//! the iSCSI core; it knows sockets and the reactor, and decides nothing that RFC 7143 decides.

pub mod commands;
mod copying;
pub mod full_feature;
pub mod half_open;
mod link;
pub mod login_phase;
pub mod luns;
pub mod management;
mod offload;
mod operations;
mod sharing;
pub mod shown;
mod task_set;
mod terms;

pub(crate) use operations::outcome;

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;

use tidelock_catalog::PortalGroupTag;
use tidelock_iscsi::transmit::TxQueue;
use tokio::net::TcpStream;

use crate::connection::full_feature::FullFeature;
use crate::connection::login_phase::Outcome;
use crate::directory::{Joined, SessionMessage};
use crate::reactor::Local;

/// Buffers handed to the kernel in one `writev`.
const IO_SLICES: usize = 64;

/// Serves a connection until it ends, for whatever reason.
pub async fn serve(
    stream: std::net::TcpStream,
    peer: SocketAddr,
    group: PortalGroupTag,
    local: Rc<Local>,
) {
    let stream = match adopt(stream) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%peer, %error, "a connection was gone before it was served");
            return;
        }
    };
    match log_in(&stream, peer, group, &local).await {
        None => {}
        // Boxed, so that a connection that only ever logs in stays small.
        Some(Outcome::Session(admitted)) => {
            Box::new(FullFeature::new(stream, *admitted, local))
                .run()
                .await;
        }
        Some(Outcome::Joins {
            session,
            login,
            rest,
        }) => match stream.into_std() {
            Ok(stream) => {
                let joined = Joined {
                    stream,
                    peer,
                    login,
                    rest,
                };
                // A session that has just ended takes the connection with it.
                let _ = session.send(SessionMessage::Connect(Box::new(joined)));
            }
            Err(error) => tracing::debug!(%peer, %error, "a connection was lost at its login"),
        },
    }
}

fn adopt(stream: std::net::TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    TcpStream::from_std(stream)
}

async fn log_in(
    stream: &TcpStream,
    peer: SocketAddr,
    group: PortalGroupTag,
    local: &Local,
) -> Option<Outcome> {
    let config = &local.shared.config;
    let share = config.max_half_open.div_ceil(config.reactors);
    let (number, sent_away) = local.half_open.borrow_mut().add(share);
    let outcome = tokio::select! {
        outcome = login_phase::run(stream, peer, group, local) => outcome,
        () = sent_away.notified() => {
            tracing::debug!(%peer, "dropped: too many connections that haven't logged in");
            Ok(None)
        }
        () = tokio::time::sleep(config.login_timeout) => {
            tracing::debug!(%peer, "dropped: the login took too long");
            Ok(None)
        }
    };
    local.half_open.borrow_mut().remove(number);
    match outcome {
        Ok(admitted) => admitted,
        Err(error) => {
            tracing::debug!(%peer, %error, "the connection broke during login");
            None
        }
    }
}

/// Writes the whole queue, waiting for the socket as often as it takes.
async fn write_out(stream: &TcpStream, tx: &mut TxQueue) -> io::Result<()> {
    while !tx.is_empty() {
        stream.writable().await?;
        write_some(stream, tx)?;
    }
    Ok(())
}

/// Writes as much as the socket takes now; returns how many bytes that was.
fn write_some(stream: &TcpStream, tx: &mut TxQueue) -> io::Result<usize> {
    let mut total = 0;
    while !tx.is_empty() {
        let mut slices = [IoSlice::new(&[]); IO_SLICES];
        let count = tx.io_slices(&mut slices);
        match stream.try_write_vectored(slices.get(..count).unwrap_or_default()) {
            Ok(written) => {
                tx.consume(written);
                total += written;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(total),
            Err(error) => return Err(error),
        }
    }
    Ok(total)
}
