//! The full feature phase of a session: the loop between its sockets, the session, device server and
//! I/O engine. The rooms beside it do the steps: `link` moves bytes, `commands` runs SCSI commands,
//! `luns` finds logical units, `management` waits for aborted tasks.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tidelock_admin::v1::EventKind;
use tidelock_iscsi::session::{
    AsyncEvent, CloseReason, ConnectionId, Event, LOGOUT_SECONDS, Session, SessionConfig,
    TooManyConnections,
};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::connection::commands::Commands;
use crate::connection::link::{Link, Received, Sent};
use crate::connection::login_phase::Admitted;
use crate::connection::luns::Luns;
use crate::connection::management::Management;
use crate::connection::terms::Terms;
use crate::directory::{JoinRequest, Registration, SessionMessage};
use crate::reactor::Local;
use crate::reactor::mailbox::MailboxId;

/// How often deadlines are looked at while commands run.
const SWEEP: Duration = Duration::from_secs(1);
/// How long the timer sleeps when there is nothing to look at.
const IDLE: Duration = Duration::from_secs(5);
/// How long to wait for receive memory when all of it is in use.
const MEMORY_PAUSE: Duration = Duration::from_millis(2);
/// How long the last words of a session may take to go out.
pub(super) const CLOSE_PATIENCE: Duration = Duration::from_secs(5);
/// How long I/O is given to end when its session has ended.
const SETTLE_PATIENCE: Duration = Duration::from_secs(1);
/// How long a session that is dropped may take to say so.
const GOODBYE_PATIENCE: Duration = Duration::from_secs(1);
/// How long the initiator is given to log out when the daemon stops.
const LOGOUT_PATIENCE: Duration = Duration::from_secs(LOGOUT_SECONDS as u64);

/// A session in full feature phase, with its connections.
pub struct FullFeature {
    pub(super) links: Vec<Link>,
    pub(crate) local: Rc<Local>,
    pub(crate) registration: Registration,
    pub(crate) session: Session,
    pub(crate) luns: Luns,
    pub(crate) commands: Commands,
    pub(crate) management: Management,
    pub(crate) mailbox: MailboxId,
    timer: Pin<Box<Sleep>>,
    pub(crate) now: Instant,
    /// What is received into when receive memory has run out.
    pub(super) spare: BytesMut,
    /// How many turns it has had in a row.
    pub(super) turns: u8,
    /// Receive memory ran out: the timer says when to try again.
    pub(super) starved: bool,
    /// Everything is said: close when it is sent.
    closing: Option<String>,
    /// When to close whether it is sent or not.
    close_by: Option<Instant>,
    /// How the last connection ended.
    pub(super) parting: Option<String>,
    /// Nothing of it is left on the reactor.
    cleaned_up: bool,
    /// What wasn't negotiated; the same for all its connections.
    pub(super) terms: Terms,
    /// FirstBurstLength: what each of them may bring unasked, in bytes.
    first_burst: u32,
    /// When to stop waiting for a logout that was asked for.
    stop_at: Option<Instant>,
    /// When to drop the session if the initiator hasn't logged out as an operator wished.
    logout_by: Option<Instant>,
}

impl FullFeature {
    /// A session that has just logged in.
    #[must_use]
    pub fn new(stream: TcpStream, admitted: Admitted, local: Rc<Local>) -> Self {
        let Admitted {
            login,
            registration,
            target,
            terms,
            rest,
        } = admitted;
        let now = Instant::now();
        let parameters = &login.parameters;
        let (header, data) = (parameters.header_digest, parameters.data_digest);
        local
            .shared
            .directory
            .set_digests(registration.info.id, header, data);
        // From here on it has its share, and others have less.
        local.sessions.set(local.sessions.get() + 1);
        let session_config = SessionConfig {
            parameters: parameters.clone(),
            session_type: login.identity.session_type,
            cmd_sn: login.cmd_sn,
            stat_sn: login.stat_sn,
            cid: login.identity.cid,
            command_window: local.command_window(terms.queue_depth, parameters.first_burst_length),
            nop_interval: terms.nop_interval,
            nop_timeout: terms.nop_timeout,
            target_name: target.as_ref().map(|target| target.name().to_owned()),
        };
        let mut session = Session::new(session_config, now);
        session.set_data_credit(local.data_credit());
        tracing::info!(
            session = registration.info.id,
            peer = %registration.info.peer,
            initiator = %registration.info.key.initiator,
            target = registration.info.key.target.as_deref().unwrap_or("(discovery)"),
            header_digest = header,
            data_digest = data,
            "logged in"
        );
        local.shared.events.tell(EventKind::SessionOpened {
            session: registration.info.id,
            initiator: registration.info.key.initiator.clone(),
            target: registration.info.key.target.clone(),
        });
        let mailbox = local.mailboxes.borrow_mut().open();
        session.set_retention(local.retention());
        let peer = registration.info.peer;
        let link = Link::new(ConnectionId::LEADING, stream, peer, &login.parameters, rest);
        Self {
            links: vec![link],
            luns: Luns::new(target, &registration.info),
            commands: Commands::default(),
            management: Management::default(),
            mailbox,
            timer: Box::pin(tokio::time::sleep(SWEEP)),
            now,
            spare: BytesMut::new(),
            turns: 0,
            starved: false,
            closing: None,
            close_by: None,
            parting: None,
            cleaned_up: false,
            stop_at: None,
            logout_by: None,
            terms,
            first_burst: login.parameters.first_burst_length,
            session,
            registration,
            local,
        }
    }

    /// Serves the session until it ends; then nothing of it is left on the reactor.
    pub async fn run(mut self: Box<Self>) {
        self.decode_rest(0);
        let reason = loop {
            if let ControlFlow::Break(reason) = self.turn().await {
                break reason;
            }
        };
        self.settle().await;
        self.clean_up(&reason);
    }

    /// One turn. The order matters: what was received is started before the ring is entered, once for
    /// all of it, and what finished at once goes out in the same turn.
    async fn turn(&mut self) -> ControlFlow<String> {
        let received = self.receive();
        self.run_io();
        let sent = self.send();
        match sent {
            // Something was begun that nothing would wake us for.
            Sent::MadeRoom => ControlFlow::Continue(()),
            Sent::Nothing => self.rest_or_wait(received).await,
        }
    }

    /// Nothing more is taken in, and what is queued has a limited time to go out.
    pub(super) fn close(&mut self, reason: String, patience: Duration) {
        if self.closing.is_none() {
            self.closing = Some(reason);
            self.close_by = Some(self.now + patience);
            let deadline = tokio::time::Instant::now() + patience;
            self.timer.as_mut().reset(deadline);
        }
    }

    /// Gives I/O that is running a moment to end, so that whoever comes next finds a quiet volume.
    /// What is stuck is left to the engine, which keeps it from landing after a newer write.
    async fn settle(&mut self) {
        self.forget_waiting();
        let patience = tokio::time::sleep(SETTLE_PATIENCE);
        tokio::pin!(patience);
        while self.has_io() {
            self.run_io();
            let wake = std::future::poll_fn(|cx| {
                let mail = self
                    .local
                    .mailboxes
                    .borrow_mut()
                    .watch(self.mailbox, cx.waker());
                if mail { Poll::Ready(()) } else { Poll::Pending }
            });
            tokio::select! {
                () = wake => {}
                () = &mut patience => return,
            }
        }
    }

    /// Runs what was started, and what that leads to: an operation that finishes at once may have a
    /// successor, which must not wait for the next time that something wakes us.
    fn run_io(&mut self) {
        loop {
            self.local.pump();
            self.finish_completed();
            if !self.commands.take_started() {
                return;
            }
        }
    }

    async fn rest_or_wait(&mut self, received: Received) -> ControlFlow<String> {
        if let Some(reason) = &self.closing
            && self.is_sent()
        {
            return ControlFlow::Break(reason.clone());
        }
        if received == Received::More {
            // Others of this reactor have their turn first. Messages and timers are looked at all the
            // same: a socket that is never empty must not keep them waiting.
            tokio::task::yield_now().await;
            self.now = Instant::now();
            return std::future::poll_fn(|cx| match self.poll_wake(cx) {
                Poll::Pending => Poll::Ready(ControlFlow::Continue(())),
                ready @ Poll::Ready(_) => ready,
            })
            .await;
        }
        self.local.rests();
        std::future::poll_fn(|cx| self.poll_wake(cx)).await
    }

    /// Ready when there is something to do.
    fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<ControlFlow<String>> {
        let mut awake = self
            .local
            .mailboxes
            .borrow_mut()
            .watch(self.mailbox, cx.waker());
        while let Poll::Ready(Some(message)) = self.registration.messages.poll_recv(cx) {
            if let ControlFlow::Break(reason) = self.take_message(message) {
                return Poll::Ready(ControlFlow::Break(reason));
            }
            awake = true;
        }
        if self.management.poll_others(cx) {
            awake = true;
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            if let ControlFlow::Break(reason) = self.handle_timer(cx) {
                return Poll::Ready(ControlFlow::Break(reason));
            }
            awake = true;
        }
        if self.poll_links(cx) {
            awake = true;
        }
        if awake {
            self.now = Instant::now();
            return Poll::Ready(ControlFlow::Continue(()));
        }
        Poll::Pending
    }

    /// Everything is said, or will be before long.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Receive memory has run out: the timer says when to try again.
    pub(super) fn starve(&mut self) {
        self.starved = true;
        self.wake_in(MEMORY_PAUSE);
    }

    fn wake_in(&mut self, pause: Duration) {
        let deadline = tokio::time::Instant::now() + pause;
        self.timer.as_mut().reset(deadline);
    }

    /// Does what the session says. Called after every call that may make it say something.
    pub(crate) fn handle_events(&mut self) {
        self.take_events();
        // Not between the aborts of one function: what is next in its turn may be aborted as well.
        while self.commands.take_unblocked() {
            self.start_waiting();
            self.take_events();
        }
    }

    fn take_events(&mut self) {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Command(command) => self.start_command(command),
                Event::DataOut { task, data } => self.continue_command(task, data),
                Event::Abort { task } => self.abort_command(task),
                Event::TaskManagement(request) => self.start_management(request),
                Event::SendTargets { tag, request } => {
                    let info = &self.registration.info;
                    let key = &info.key;
                    let targets = self.local.shared.registry.send_targets(
                        &key.initiator,
                        info.peer.ip(),
                        key.target.as_deref(),
                        &request,
                        self.links
                            .first()
                            .and_then(|link| link.stream.local_addr().ok()),
                    );
                    self.session.send_targets_reply(tag, targets);
                }
                Event::CloseConnection { on, reason } => {
                    self.close_link(on, patience(reason));
                    self.wake_in(patience(reason));
                }
                Event::ClearedByProtocolEvent { lun } => self.luns.cleared_by_protocol_event(lun),
                Event::Close { reason } => {
                    let parting = self.parting.take();
                    let why = parting.filter(|_| reason == CloseReason::ConnectionLost);
                    let why = why.unwrap_or_else(|| reason.to_string());
                    self.close(why, patience(reason));
                }
            }
        }
    }

    fn take_message(&mut self, message: SessionMessage) -> ControlFlow<String> {
        match message {
            SessionMessage::Terminate(why) => return ControlFlow::Break(why.into()),
            SessionMessage::Drop(why) => self.say_goodbye(why),
            SessionMessage::RequestLogout { seconds } => self.ask_to_log_out(seconds),
            SessionMessage::Shutdown => {
                self.request_logout(LOGOUT_SECONDS);
                self.stop_at = Some(Instant::now() + LOGOUT_PATIENCE);
                self.timer
                    .as_mut()
                    .reset(tokio::time::Instant::now() + LOGOUT_PATIENCE);
            }
            SessionMessage::Join(request) => {
                self.now = Instant::now();
                let JoinRequest {
                    cid,
                    exp_stat_sn,
                    answer,
                } = request;
                let joining = if self.is_closing() {
                    Err(TooManyConnections)
                } else {
                    self.session.prepare_connection(cid, exp_stat_sn, self.now)
                };
                self.handle_events();
                // The login may have given up.
                let _ = answer.send(joining);
            }
            SessionMessage::Connect(joined) => {
                self.now = Instant::now();
                self.join(*joined);
            }
            SessionMessage::LunsChanged => self.luns.refresh(),
            SessionMessage::AbortTasks {
                volume,
                attention,
                done,
            } => self.abort_for_others(&volume, attention, done),
        }
        ControlFlow::Continue(())
    }

    /// Asks the initiator to log out; each connection is asked on its own (RFC 7143 §11.9.1).
    fn request_logout(&mut self, seconds: u16) {
        for link in &self.links {
            self.session
                .async_message(link.id, AsyncEvent::RequestLogout { seconds });
        }
    }

    /// Asks for a logout, and drops the session if there is none in time.
    fn ask_to_log_out(&mut self, seconds: u16) {
        self.request_logout(seconds);
        self.logout_by = Some(Instant::now() + Duration::from_secs(seconds.into()));
        // The timer goes on as it would, and from then on sees that time too.
        let soon = tokio::time::Instant::now() + MEMORY_PAUSE;
        self.timer.as_mut().reset(soon);
    }

    /// Drops the session, and tells the initiator that all its connections go (RFC 7143 §11.9.1).
    fn say_goodbye(&mut self, why: &str) {
        self.now = Instant::now();
        if let Some(link) = self.links.first() {
            self.session
                .async_message(link.id, AsyncEvent::DropAllConnections);
        }
        self.close(why.to_owned(), GOODBYE_PATIENCE);
    }

    fn handle_timer(&mut self, cx: &mut Context<'_>) -> ControlFlow<String> {
        self.now = Instant::now();
        self.starved = false;
        if self.stop_at.is_some_and(|stop_at| self.now >= stop_at) {
            return ControlFlow::Break("the daemon stops".into());
        }
        if self.logout_by.is_some_and(|by| self.now >= by) {
            self.logout_by = None;
            self.say_goodbye("it was asked to log out and didn't");
        }
        if self.close_by.is_some_and(|close_by| self.now >= close_by) {
            return ControlFlow::Break(self.closing.take().unwrap_or_default());
        }
        let window = self
            .local
            .command_window(self.terms.queue_depth, self.first_burst);
        self.session.set_command_window(window);
        self.session.set_data_credit(self.local.data_credit());
        self.session.set_retention(self.local.retention());
        self.session.handle_timeout(self.now);
        self.sweep_deadlines();
        self.handle_events();
        let pause = if self.commands.is_empty() && self.management.is_empty() {
            let next = self.session.poll_timeout();
            next.map_or(IDLE, |next| next.saturating_duration_since(self.now))
                .min(IDLE)
        } else {
            SWEEP
        };
        self.close_finished_links();
        let close_by = self.close_by.into_iter().chain(self.next_link_close());
        let close_in = close_by
            .chain(self.logout_by)
            .min()
            .map(|close_by| close_by.saturating_duration_since(self.now));
        let pause = close_in.map_or(pause, |close_in| pause.min(close_in));
        self.timer
            .as_mut()
            .reset(tokio::time::Instant::now() + pause.max(MEMORY_PAUSE));
        // Polled once more so that the new time is registered.
        let _ = self.timer.as_mut().poll(cx);
        ControlFlow::Continue(())
    }

    fn clean_up(&mut self, reason: &str) {
        self.cleaned_up = true;
        self.detach_all();
        self.luns.detach();
        self.local.mailboxes.borrow_mut().close(self.mailbox);
        self.local
            .sessions
            .set(self.local.sessions.get().saturating_sub(1));
        let info = &self.registration.info;
        if info.key.target.is_some() {
            tracing::info!(session = info.id, reason, "session ended");
        } else {
            // Most initiators hang up on a discovery session; there is nothing to learn from it.
            tracing::debug!(session = info.id, reason, "discovery session ended");
        }
        self.local.shared.events.tell(EventKind::SessionClosed {
            session: info.id,
            initiator: info.key.initiator.clone(),
            target: info.key.target.clone(),
            reason: reason.to_owned(),
        });
    }
}

/// How long the last words of a connection may take to go out.
fn patience(reason: CloseReason) -> Duration {
    match reason {
        // Nobody is there to take what is queued.
        CloseReason::KeepaliveTimeout => Duration::ZERO,
        _ => CLOSE_PATIENCE,
    }
}

impl Drop for FullFeature {
    /// A session that ends by a defect leaves nothing behind either: an abandoned write must be known
    /// to the engine, or it could land after a newer one.
    fn drop(&mut self) {
        if !self.cleaned_up {
            self.clean_up("a defect");
        }
    }
}
