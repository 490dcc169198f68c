//! All sessions of the daemon by who they are: reinstatement, limits, listing, and messages to a
//! session from other threads. Knows no protocol beyond the names that identify a session.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use parking_lot::Mutex;
use tidelock_catalog::PortalGroupTag;
use tidelock_iscsi::login::LoggedIn;
use tidelock_iscsi::session::{Joining, TooManyConnections};
use tidelock_scsi::UnitAttention;
use tokio::sync::{mpsc, oneshot, watch};

/// What tells two sessions apart: the I_T nexus, whose ends are the initiator's name with the ISID and
/// the target's name with the tag of its portal group (RFC 7143 §4.4.2). So all connections of a
/// session are in one portal group, and the same ISID through another group is another session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// Normalised iSCSI name of the initiator.
    pub initiator: String,
    /// The initiator's part of the session identifier (RFC 7143 §11.12.5).
    pub isid: [u8; 6],
    /// Normalised name of the target; `None` for a discovery session.
    pub target: Option<String>,
    /// The portal group through which the session's connections come.
    pub group: PortalGroupTag,
}

/// What other threads may ask of a session.
#[derive(Debug)]
pub enum SessionMessage {
    /// End now, without ceremony: the initiator has come back with a new session. The session's end is
    /// what the sender waits for.
    Terminate(&'static str),
    /// An operator wants it gone, or it isn't allowed any more: end, and tell the initiator so.
    Drop(&'static str),
    /// Ask the initiator to log out, and end if it hasn't by then.
    RequestLogout {
        /// Its time.
        seconds: u16,
    },
    /// The daemon stops: ask the initiator to log out, finish what is running.
    Shutdown,
    /// The target's LUN map has changed.
    LunsChanged,
    /// A login wants to add a connection to the session.
    Join(JoinRequest),
    /// That login has ended well.
    Connect(Box<Joined>),
    /// A task management function of another session, or its PREEMPT AND ABORT, concerns this one's
    /// tasks too.
    AbortTasks {
        /// Tasks of this logical unit, by volume name.
        volume: Arc<str>,
        /// To be raised on its nexus when they have ended.
        attention: UnitAttention,
        /// Answered when no task that was there at the time has I/O running any more: false if some
        /// was given up while it still ran.
        done: oneshot::Sender<bool>,
    },
}

/// A login that carries the session's TSIH.
#[derive(Debug)]
pub struct JoinRequest {
    /// CID of the connection.
    pub cid: u16,
    /// What the initiator has acknowledged on a connection with that CID before.
    pub exp_stat_sn: u32,
    /// Gets the answer.
    pub answer: oneshot::Sender<Result<Joining, TooManyConnections>>,
}

/// A connection that has logged in to a session that is there already.
#[derive(Debug)]
pub struct Joined {
    /// The connection.
    pub stream: std::net::TcpStream,
    /// Its other end.
    pub peer: SocketAddr,
    /// What the login settled on.
    pub login: LoggedIn,
    /// What the initiator sent right behind its last login request.
    pub rest: BytesMut,
}

/// Counters of one session, written by its reactor alone.
#[derive(Debug, Default)]
pub struct SessionCounters {
    /// SCSI commands answered.
    pub commands: AtomicU64,
    /// Bytes read by the initiator.
    pub read_bytes: AtomicU64,
    /// Bytes written by the initiator.
    pub written_bytes: AtomicU64,
}

impl SessionCounters {
    /// Counts one command. Only the session's own thread calls this, so plain loads and stores do
    /// and no bus lock is paid.
    pub fn count(&self, read: u64, written: u64) {
        let bump = |counter: &AtomicU64, by: u64| {
            counter.store(
                counter.load(Ordering::Relaxed).wrapping_add(by),
                Ordering::Relaxed,
            );
        };
        bump(&self.commands, 1);
        bump(&self.read_bytes, read);
        bump(&self.written_bytes, written);
    }

    fn add_to(&self, (commands, read, written): (u64, u64, u64)) -> (u64, u64, u64) {
        let plus =
            |sum: u64, counter: &AtomicU64| sum.wrapping_add(counter.load(Ordering::Relaxed));
        (
            plus(commands, &self.commands),
            plus(read, &self.read_bytes),
            plus(written, &self.written_bytes),
        )
    }
}

/// What a listing tells of a session.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// Number of this session since the daemon started.
    pub id: u64,
    /// Who and with whom.
    pub key: SessionKey,
    /// Target session identifying handle, never 0 (RFC 7143 §11.12.6).
    pub tsih: u16,
    /// The other end of the connection that it began with.
    pub peer: SocketAddr,
    /// The other ends of the connections that it has now.
    pub peers: Vec<SocketAddr>,
    /// When it logged in.
    pub since: SystemTime,
    /// CRC32C on headers, on data.
    pub digests: (bool, bool),
    /// Which reactor serves it.
    pub reactor: usize,
    /// Live counters.
    pub counters: Arc<SessionCounters>,
}

#[derive(Debug)]
struct Entry {
    info: SessionInfo,
    messages: mpsc::UnboundedSender<SessionMessage>,
    ended: watch::Receiver<bool>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<u64, Entry>,
    by_key: HashMap<SessionKey, u64>,
    next_id: u64,
    next_tsih: u16,
    /// The daemon stops: nobody comes in any more.
    closed: bool,
    /// What sessions that have ended counted: commands, bytes read, bytes written.
    ended: (u64, u64, u64),
}

/// Why a session was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The initiator named a session (TSIH) that isn't there.
    DoesNotExist,
    /// The session that is to be replaced doesn't end: its I/O is stuck.
    Busy,
    /// The daemon, the target or the initiator has as many sessions as it may.
    TooMany,
}

/// The directory. Locked at login, logout and listing, never per command.
#[derive(Debug)]
pub struct Directory {
    inner: Mutex<Inner>,
    limit: usize,
}

/// A registered session; dropping it takes it off the directory and tells whoever waits.
#[derive(Debug)]
pub struct Registration {
    directory: Arc<Directory>,
    /// As in the listing.
    pub info: SessionInfo,
    /// What others ask of this session.
    pub messages: mpsc::UnboundedReceiver<SessionMessage>,
    _ended: watch::Sender<bool>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut inner = self.directory.inner.lock();
        inner.by_id.remove(&self.info.id);
        inner.ended = self.info.counters.add_to(inner.ended);
        if inner.by_key.get(&self.info.key) == Some(&self.info.id) {
            inner.by_key.remove(&self.info.key);
        }
        // Dropping the watch's sender after this tells waiters.
    }
}

/// How many sessions there may be with one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionLimits {
    /// Of all initiators together; `None` for as many as the daemon may have.
    pub of_target: Option<u32>,
    /// Of one initiator.
    pub of_initiator: Option<u32>,
}

impl SessionLimits {
    /// Whether a further session of `key` would be too many beside those that are there.
    fn are_reached<'a>(
        self,
        key: &SessionKey,
        there: impl Iterator<Item = &'a SessionKey>,
    ) -> bool {
        let (mut of_target, mut of_initiator) = (0_u32, 0_u32);
        for other in there.filter(|other| other.target == key.target) {
            of_target = of_target.saturating_add(1);
            if other.initiator == key.initiator {
                of_initiator = of_initiator.saturating_add(1);
            }
        }
        self.of_target.is_some_and(|limit| of_target >= limit)
            || self.of_initiator.is_some_and(|limit| of_initiator >= limit)
    }
}

/// A login that has passed authentication and asks to become a session.
#[derive(Debug)]
pub struct Candidate {
    /// Who and with whom.
    pub key: SessionKey,
    /// The connection's other end.
    pub peer: SocketAddr,
    /// Which reactor serves it.
    pub reactor: usize,
    /// How many sessions there may be with its target.
    pub limits: SessionLimits,
    /// Digests are not yet known at this point of a login; the listing gets them later.
    pub counters: Arc<SessionCounters>,
}

impl Directory {
    /// An empty directory for at most `limit` sessions.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::default(),
            limit,
        })
    }

    /// Registers a session, after ending the one that it replaces (RFC 7143 §6.3.5).
    ///
    /// # Errors
    /// See [`Refusal`]. The old session is given `patience` to end.
    pub async fn admit(
        self: &Arc<Self>,
        candidate: Candidate,
        patience: Duration,
    ) -> Result<Registration, Refusal> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let mut ended = {
                let mut inner = self.inner.lock();
                let old = inner
                    .by_key
                    .get(&candidate.key)
                    .and_then(|id| inner.by_id.get(id));
                let Some(old) = old else {
                    return self.register(&mut inner, candidate);
                };
                // A session that has already ended has nobody to tell; its end is awaited all the same.
                let _ = old
                    .messages
                    .send(SessionMessage::Terminate("replaced by a new login"));
                old.ended.clone()
            };
            // `changed` fails when the sender is gone: that is the end we wait for.
            if tokio::time::timeout_at(deadline, ended.changed())
                .await
                .is_err()
            {
                return Err(Refusal::Busy);
            }
        }
    }

    fn register(
        self: &Arc<Self>,
        inner: &mut Inner,
        candidate: Candidate,
    ) -> Result<Registration, Refusal> {
        if inner.closed {
            return Err(Refusal::Busy);
        }
        if inner.by_id.len() >= self.limit {
            return Err(Refusal::TooMany);
        }
        let there = inner.by_id.values().map(|entry| &entry.info.key);
        if candidate.limits != SessionLimits::default()
            && candidate.limits.are_reached(&candidate.key, there)
        {
            return Err(Refusal::TooMany);
        }
        let tsih = free_tsih(inner);
        inner.next_id += 1;
        let info = SessionInfo {
            id: inner.next_id,
            key: candidate.key,
            tsih,
            peer: candidate.peer,
            peers: vec![candidate.peer],
            since: SystemTime::now(),
            digests: (false, false),
            reactor: candidate.reactor,
            counters: candidate.counters,
        };
        let (sender, messages) = mpsc::unbounded_channel();
        let (ended_sender, ended) = watch::channel(false);
        let entry = Entry {
            info: info.clone(),
            messages: sender,
            ended,
        };
        inner.by_key.insert(info.key.clone(), info.id);
        inner.by_id.insert(info.id, entry);
        Ok(Registration {
            directory: Arc::clone(self),
            info,
            messages,
            _ended: ended_sender,
        })
    }

    /// Where to ask for a further connection of a session (RFC 7143 §6.3.1).
    ///
    /// # Errors
    /// [`Refusal::DoesNotExist`]: there is no session of that nexus with that TSIH.
    pub fn find(
        &self,
        key: &SessionKey,
        tsih: u16,
    ) -> Result<mpsc::UnboundedSender<SessionMessage>, Refusal> {
        let inner = self.inner.lock();
        let id = inner.by_key.get(key);
        id.and_then(|id| inner.by_id.get(id))
            .filter(|entry| entry.info.tsih == tsih)
            .map(|entry| entry.messages.clone())
            .ok_or(Refusal::DoesNotExist)
    }

    /// Tells the listing which connections a session has.
    pub fn set_peers(&self, id: u64, peers: Vec<SocketAddr>) {
        if let Some(entry) = self.inner.lock().by_id.get_mut(&id) {
            entry.info.peers = peers;
        }
    }

    /// Tells the listing what the login negotiated.
    pub fn set_digests(&self, id: u64, header: bool, data: bool) {
        if let Some(entry) = self.inner.lock().by_id.get_mut(&id) {
            entry.info.digests = (header, data);
        }
    }

    /// All sessions, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<SessionInfo> {
        let inner = self.inner.lock();
        let mut all: Vec<_> = inner
            .by_id
            .values()
            .map(|entry| entry.info.clone())
            .collect();
        all.sort_by_key(|info| info.id);
        all
    }

    /// How many sessions a target has.
    #[must_use]
    pub fn sessions_of(&self, target: &str) -> usize {
        let inner = self.inner.lock();
        let all = inner.by_id.values();
        all.filter(|entry| entry.info.key.target.as_deref() == Some(target))
            .count()
    }

    /// Commands, bytes read and bytes written of all sessions there are and were.
    #[must_use]
    pub fn totals(&self) -> (u64, u64, u64) {
        let inner = self.inner.lock();
        inner
            .by_id
            .values()
            .fold(inner.ended, |sum, entry| entry.info.counters.add_to(sum))
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.lock().by_id.len()
    }

    /// Whether there is no session.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends a session; false if there is none of that number.
    pub fn terminate(&self, id: u64, why: &'static str) -> bool {
        self.inner
            .lock()
            .by_id
            .get(&id)
            .is_some_and(|entry| entry.messages.send(SessionMessage::Drop(why)).is_ok())
    }

    /// Asks the initiator of a session to log out within that time; false if there is none of that
    /// number.
    pub fn request_logout(&self, id: u64, seconds: u16) -> bool {
        let message = SessionMessage::RequestLogout { seconds };
        let inner = self.inner.lock();
        let entry = inner.by_id.get(&id);
        entry.is_some_and(|entry| entry.messages.send(message).is_ok())
    }

    /// Ends the sessions for which `which` holds, and says how many those were.
    pub fn terminate_where(
        &self,
        why: &'static str,
        which: impl Fn(&SessionInfo) -> bool,
    ) -> usize {
        let inner = self.inner.lock();
        let chosen = inner.by_id.values().filter(|entry| which(&entry.info));
        chosen
            .filter(|entry| entry.messages.send(SessionMessage::Drop(why)).is_ok())
            .count()
    }

    /// Asks every session to come to an orderly end, and admits no new one.
    pub fn shutdown(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        for entry in inner.by_id.values() {
            // A session that is just ending needs no message.
            let _ = entry.messages.send(SessionMessage::Shutdown);
        }
    }

    /// Asks all sessions but `except` to abort their tasks on a volume, through whatever target they
    /// see it, and then to raise a unit attention there. Returns what to wait for.
    pub fn abort_tasks(
        &self,
        volume: &Arc<str>,
        attention: UnitAttention,
        except: u64,
    ) -> Vec<oneshot::Receiver<bool>> {
        self.abort_tasks_where(volume, attention, |id| id != except)
    }

    /// Asks the sessions for whose numbers `which` holds to abort their tasks on a volume, and returns
    /// what to wait for.
    pub fn abort_tasks_where(
        &self,
        volume: &Arc<str>,
        attention: UnitAttention,
        which: impl Fn(u64) -> bool,
    ) -> Vec<oneshot::Receiver<bool>> {
        let inner = self.inner.lock();
        let chosen = inner.by_id.values().filter(|entry| which(entry.info.id));
        chosen
            .filter_map(|entry| {
                let (done, waiter) = oneshot::channel();
                let message = SessionMessage::AbortTasks {
                    volume: Arc::clone(volume),
                    attention,
                    done,
                };
                entry.messages.send(message).is_ok().then_some(waiter)
            })
            .collect()
    }

    /// Tells the sessions of a target that its LUN map has changed, so that those that are idle
    /// follow it too.
    pub fn luns_changed(&self, target: &str) {
        let inner = self.inner.lock();
        let sessions = inner.by_id.values();
        for entry in sessions.filter(|entry| entry.info.key.target.as_deref() == Some(target)) {
            // A session that is just ending needs no message.
            let _ = entry.messages.send(SessionMessage::LunsChanged);
        }
    }
}

fn free_tsih(inner: &mut Inner) -> u16 {
    // There are fewer sessions than handles, so this ends.
    loop {
        inner.next_tsih = inner.next_tsih.wrapping_add(1);
        let tsih = inner.next_tsih;
        if tsih != 0 && inner.by_id.values().all(|entry| entry.info.tsih != tsih) {
            return tsih;
        }
    }
}

#[cfg(test)]
mod tests;
