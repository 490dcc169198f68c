//! One connection of a session in full feature phase: bytes between its socket and the session. Knows
//! no SCSI.

use std::io;
use std::net::SocketAddr;
use std::task::Context;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tidelock_iscsi::framing::{Decoder, FramingLimits};
use tidelock_iscsi::parameters::Parameters;
use tidelock_iscsi::session::{ConnectionConfig, ConnectionId};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::connection::full_feature::FullFeature;
use crate::connection::write_some;
use crate::directory::Joined;

/// Bytes taken from the socket before other connections of the reactor get their turn.
const RECEIVE_BUDGET: usize = 1 << 20;
/// How often a session that always has more is served before others of the reactor get their turn.
const TURNS_MAX: u8 = 8;
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
    /// Its other end.
    pub(crate) peer: SocketAddr,
    /// Its last words are queued: when it is closed, sent or not.
    pub(super) close_by: Option<Instant>,
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
        peer: SocketAddr,
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
            peer,
            close_by: None,
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

/// A read took less than there was room for, so the socket had no more, as when it says that a read would block: what comes
/// later, or has come since, is announced. Only because a reactor's runtime has one thread: on another one what has come since
/// could have been announced already, and would be forgotten here.
fn wait_for_more(stream: &TcpStream) {
    // That is how the readiness is taken back; the end of the stream is remembered all the same.
    let nothing: io::Result<()> =
        stream.try_io(Interest::READABLE, || Err(io::ErrorKind::WouldBlock.into()));
    drop(nothing);
}

impl FullFeature {
    /// Takes what the initiator sent right behind its login on the connection at that place.
    pub(super) fn decode_rest(&mut self, at: usize) {
        let Some(link) = self.links.get_mut(at) else {
            return;
        };
        let mut rest = std::mem::take(&mut link.rest);
        self.decode(at, &mut rest);
    }

    /// A further connection has logged in.
    pub(super) fn join(&mut self, joined: Joined) {
        let Joined {
            stream,
            peer,
            login,
            rest,
        } = joined;
        let stream = match TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%peer, %error, "a connection was gone before it was served");
                return;
            }
        };
        let connection = ConnectionConfig {
            cid: login.identity.cid,
            stat_sn: login.stat_sn,
            parameters: login.parameters.clone(),
            nop_interval: self.terms.nop_interval,
            nop_timeout: self.terms.nop_timeout,
        };
        // Two logins may have been promised the last place: the later one is dropped.
        let added = self.session.add_connection(connection, self.now);
        self.handle_events();
        let Ok(id) = added else { return };
        tracing::info!(
            session = self.registration.info.id,
            %peer,
            cid = login.identity.cid,
            "a connection was added"
        );
        let link = Link::new(id, stream, peer, &login.parameters, rest);
        self.links.push(link);
        self.tell_peers();
        self.decode_rest(self.links.len() - 1);
    }

    /// A connection is over, as the session has said: what is queued has a limited time to go out.
    pub(super) fn close_link(&mut self, id: ConnectionId, patience: Duration) {
        let by = self.now + patience;
        if let Some(link) = self.links.iter_mut().find(|link| link.id == id) {
            link.close_by.get_or_insert(by);
        }
    }

    /// When the next connection is closed whose last words are queued.
    pub(super) fn next_link_close(&self) -> Option<Instant> {
        self.links.iter().filter_map(|link| link.close_by).min()
    }

    /// Closes connections whose last words are sent, or have had their time.
    pub(super) fn close_finished_links(&mut self) {
        let mut at = 0;
        while let Some(link) = self.links.get(at) {
            let sent = self.session.tx(link.id).is_none_or(|tx| tx.is_empty());
            if link.close_by.is_some_and(|by| sent || by <= self.now) {
                self.lose(at, None);
            } else {
                at += 1;
            }
        }
    }

    /// The connection at that place is closed; the session says what becomes of its tasks.
    fn lose(&mut self, at: usize, error: Option<io::Error>) {
        let link = self.links.remove(at);
        self.parting = Some(match error {
            Some(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                "the initiator closed the connection".into()
            }
            Some(error) => error.to_string(),
            None => "its last connection was closed".into(),
        });
        if !self.links.is_empty() {
            let why = self.parting.as_deref().unwrap_or_default();
            let session = self.registration.info.id;
            tracing::info!(session, peer = %link.peer, why, "a connection of a session ended");
        }
        self.session.connection_lost(link.id, self.now);
        self.tell_peers();
        self.handle_events();
    }

    fn tell_peers(&self) {
        let peers = self.links.iter().map(|link| link.peer).collect();
        let id = self.registration.info.id;
        self.local.shared.directory.set_peers(id, peers);
    }

    /// Receives on every connection.
    pub(super) fn receive(&mut self) -> Received {
        let mut received = Received::All;
        let mut at = 0;
        while at < self.links.len() {
            match self.receive_on(at) {
                Ok(here) => {
                    if here == Received::More {
                        received = Received::More;
                    }
                    at += 1;
                }
                Err(error) => self.lose(at, Some(error)),
            }
        }
        received
    }

    /// Sends what the sockets take. What the initiator takes makes room for reads that waited.
    pub(super) fn send(&mut self) -> Sent {
        let mut sent = 0;
        let mut closes = false;
        let mut at = 0;
        while let Some(link) = self.links.get_mut(at) {
            at += 1;
            closes |= link.close_by.is_some();
            let Some(tx) = self.session.tx(link.id) else {
                continue;
            };
            match write_some(&link.stream, tx) {
                Ok(here) => {
                    let backed_up = !tx.is_empty();
                    if here > 0 && link.backed_up {
                        // It takes what had piled up: a sign of life, though its answers may be far
                        // behind.
                        self.session.heard(link.id, self.now);
                    }
                    link.backed_up = backed_up;
                    sent += here;
                }
                Err(error) => {
                    at -= 1;
                    self.lose(at, Some(error));
                }
            }
        }
        if closes {
            self.close_finished_links();
        }
        if sent > 0 && self.commands.has_waiting() {
            let before = self.commands.waiting_len();
            self.start_waiting();
            self.handle_events();
            if self.commands.waiting_len() < before {
                return Sent::MadeRoom;
            }
        }
        Sent::Nothing
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
        let link = self.links.get(at).filter(|link| link.close_by.is_none());
        let tx = link.and_then(|link| self.session.tx(link.id));
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
            let (mut batch, drained) = {
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
                let asked = room.capacity() - room.len();
                match link.stream.try_read_buf(room) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(read) => (room.split(), read < asked),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.turns = 0;
                        break;
                    }
                    Err(error) => return Err(error),
                }
            };
            self.local.heard(self.now);
            budget = budget.saturating_sub(batch.len());
            self.decode(at, &mut batch);
            if drained {
                // Whoever has one command at a time sends nothing before it is answered: asking the socket would be in vain.
                // Of one that has many, more has come when these are answered, as a rule: that is when it is asked again, since
                // what comes in small pieces costs more to receive. Now and then others have their turn before.
                if self.commands.running_len() > 1 {
                    self.turns += 1;
                    if self.turns < TURNS_MAX {
                        return Ok(Received::All);
                    }
                    self.turns = 0;
                    return Ok(Received::More);
                }
                if let Some(link) = self.links.get(at) {
                    wait_for_more(&link.stream);
                }
                break;
            }
        }
        Ok(Received::All)
    }

    /// Runs what was received through the session.
    fn decode(&mut self, at: usize, batch: &mut BytesMut) {
        while let Some(link) = self.links.get_mut(at) {
            match link.decoder.decode(batch) {
                Ok(Some(pdu)) => self.session.handle_pdu(link.id, pdu, self.now),
                Ok(None) => return,
                // The session says what follows. If the boundaries of PDUs are lost, the decoder
                // swallows the rest.
                Err(error) => {
                    let session = self.registration.info.id;
                    tracing::info!(session, peer = %link.peer, %error, "a PDU was damaged");
                    self.session.handle_framing_error(link.id, error, self.now);
                }
            }
            self.handle_events();
            let closing = self
                .links
                .get(at)
                .is_none_or(|link| link.close_by.is_some());
            if closing || self.is_closing() {
                return;
            }
        }
    }
}
