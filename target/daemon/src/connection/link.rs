//! One connection of a session in full feature phase: bytes between its socket and the session. Knows
//! no SCSI.

use std::io;
use std::ops::ControlFlow;
use std::task::Context;

use bytes::BytesMut;
use tidelock_iscsi::framing::{Decoder, FramingLimits};
use tidelock_iscsi::parameters::Parameters;
use tidelock_iscsi::session::ConnectionId;
use tokio::net::TcpStream;

use crate::connection::full_feature::{CLOSE_PATIENCE, FullFeature};
use crate::connection::write_some;

/// Bytes taken from the socket before other connections of the reactor get their turn.
const RECEIVE_BUDGET: usize = 1 << 20;
/// While this much waits to be sent, nothing more is received: the initiator isn't reading.
const SEND_BACKLOG: usize = 8 << 20;
/// Bytes received at a time when receive memory has run out.
const SPARE_LEN: usize = 4 << 10;
/// Additional header segments: an extended CDB of 260 bytes and a bidirectional read length.
const MAX_AHS: u16 = 260 + 4 + 8;

/// One connection of a session.
#[derive(Debug)]
pub(crate) struct Link {
    /// Its name in the session.
    pub(crate) id: ConnectionId,
    pub(crate) stream: TcpStream,
    decoder: Decoder,
    /// What the initiator sent right behind its login.
    rest: BytesMut,
    /// The socket didn't take everything the last time.
    backed_up: bool,
}

impl Link {
    /// A connection that has just logged in; `rest` came right behind.
    pub(crate) fn new(
        id: ConnectionId,
        stream: TcpStream,
        parameters: &Parameters,
        rest: BytesMut,
    ) -> Self {
        let mut decoder = Decoder::new(FramingLimits {
            max_data_segment: parameters.target_max_recv_data_segment_length,
            max_ahs: MAX_AHS,
        });
        decoder.set_digests(parameters.header_digest, parameters.data_digest);
        Self {
            id,
            stream,
            decoder,
            rest,
            backed_up: false,
        }
    }
}

/// What sending has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Nothing,
    /// Commands that waited for room have been begun.
    MadeRoom,
}

/// What receiving has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// All there was.
    All,
    /// There may be more.
    More,
}

impl FullFeature {
    /// Takes what the initiator sent right behind its login on the connection at that place.
    pub(super) fn decode_rest(&mut self, at: usize) {
        let Some(link) = self.links.get_mut(at) else {
            return;
        };
        let mut rest = std::mem::take(&mut link.rest);
        if let ControlFlow::Break(reason) = self.decode(at, &mut rest) {
            self.close(reason, CLOSE_PATIENCE);
        }
    }

    /// Receives on every connection.
    pub(super) fn receive(&mut self) -> io::Result<Received> {
        let mut received = Received::All;
        for at in 0..self.links.len() {
            if self.receive_on(at)? == Received::More {
                received = Received::More;
            }
        }
        Ok(received)
    }

    /// Sends what the sockets take. What the initiator takes makes room for reads that waited.
    pub(super) fn send(&mut self) -> io::Result<Sent> {
        let mut sent = 0;
        for link in &mut self.links {
            let Some(tx) = self.session.tx(link.id) else {
                continue;
            };
            let here = write_some(&link.stream, tx)?;
            let backed_up = !tx.is_empty();
            if here > 0 && link.backed_up {
                // It takes what had piled up: a sign of life, though its answers may be far behind.
                self.session.heard(link.id, self.now);
            }
            link.backed_up = backed_up;
            sent += here;
        }
        if sent > 0 && self.commands.has_waiting() {
            let before = self.commands.waiting_len();
            self.start_waiting();
            self.handle_events();
            if self.commands.waiting_len() < before {
                return Ok(Sent::MadeRoom);
            }
        }
        Ok(Sent::Nothing)
    }

    /// Whether everything that was to be said is sent.
    pub(super) fn is_sent(&self) -> bool {
        self.session.unsent_bytes() == 0
    }

    /// Whether a socket is ready for what is to be done with it.
    pub(super) fn poll_links(&mut self, cx: &mut Context<'_>) -> bool {
        let mut awake = false;
        for at in 0..self.links.len() {
            let receives = self.may_receive(at);
            let Some(link) = self.links.get(at) else {
                break;
            };
            if receives && link.stream.poll_read_ready(cx).is_ready() {
                awake = true;
            }
            let sends = self.session.tx(link.id).is_some_and(|tx| !tx.is_empty());
            if sends && link.stream.poll_write_ready(cx).is_ready() {
                awake = true;
            }
        }
        awake
    }

    fn may_receive(&mut self, at: usize) -> bool {
        if self.starved || self.is_closing() {
            return false;
        }
        let tx = self.links.get(at).and_then(|link| self.session.tx(link.id));
        tx.is_some_and(|tx| tx.len_bytes() < SEND_BACKLOG)
    }

    fn receive_on(&mut self, at: usize) -> io::Result<Received> {
        let mut budget = RECEIVE_BUDGET;
        while self.may_receive(at) {
            if budget == 0 {
                return Ok(Received::More);
            }
            let Some(link) = self.links.get_mut(at) else {
                break;
            };
            let mut batch = {
                let mut chunks = self.local.chunks.borrow_mut();
                let room = match chunks.room() {
                    Some(room) => room,
                    // A session that holds no receive memory itself isn't held up by those that do:
                    // its pings, task management and next command still come through.
                    None if !self.commands.is_writing() => {
                        self.spare.reserve(SPARE_LEN);
                        &mut self.spare
                    }
                    None => {
                        drop(chunks);
                        self.starve();
                        return Ok(Received::All);
                    }
                };
                match link.stream.try_read_buf(room) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(_) => room.split(),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            };
            budget = budget.saturating_sub(batch.len());
            if let ControlFlow::Break(reason) = self.decode(at, &mut batch) {
                self.close(reason, CLOSE_PATIENCE);
            }
        }
        Ok(Received::All)
    }

    /// Runs what was received through the session.
    fn decode(&mut self, at: usize, batch: &mut BytesMut) -> ControlFlow<String> {
        while let Some(link) = self.links.get_mut(at) {
            match link.decoder.decode(batch) {
                Ok(Some(pdu)) => self.session.handle_pdu(link.id, pdu, self.now),
                Ok(None) => return ControlFlow::Continue(()),
                Err(error) => {
                    let reason = error.to_string();
                    self.session.handle_framing_error(link.id, error, self.now);
                    self.handle_events();
                    // What comes after a broken frame can't be told apart any more.
                    return ControlFlow::Break(reason);
                }
            }
            self.handle_events();
            if self.is_closing() {
                break;
            }
        }
        ControlFlow::Continue(())
    }
}
