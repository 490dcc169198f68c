//! Reservations of a logical unit that two daemons have a part in (SPC-5, "Persistent reservations": they hold for the unit
//! through all of its ports). The source decides about every change and lets the target have it before it is in force,
//! so that whoever takes over honours it; the target hands on what hosts ask there.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tidelock_catalog::{MirrorId, Peer, PeerName};
use tidelock_scsi::{NexusId, ReservationChange, ReservationsRefused};
use tokio::time::{Instant, timeout};

use super::asking::{Ask, Done, Reserved};
use super::operations::refuse;
use super::{ChangeError, Mirrors, Registry, Running};
use crate::mirrors::state::Access;
use crate::registry::ServedVolume;
use crate::registry::preempting::ask_to_end;
use crate::registry::reservations::{OtherPart, ReservationError};

/// How long one attempt to reach the other daemon may take, and how long to wait before the next.
/// One attempt is longer than tasks of preempted hosts are waited for there.
const ATTEMPT: Duration = Duration::from_secs(9);
const PAUSE: Duration = Duration::from_millis(200);
/// How long attempts are made, unless the other daemon is out of the mirror before. With an attempt and the turn it is what
/// hosts wait for an answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long the source is waited for.
const THERE: Duration = Duration::from_secs(19);

/// The daemon with the other end, for the source.
struct Target {
    mirrors: Arc<Mirrors>,
    running: Arc<Running>,
    peer: PeerName,
    /// What isn't known there counts as told, as long as nobody makes that end the source but by force.
    alone_will_do: bool,
}

impl OtherPart for Target {
    fn have(&self, replica: Vec<u8>) -> BoxFuture<'_, Result<(), String>> {
        let ask = Ask::Reservations {
            mirror: self.running.id().0,
            replica: BASE64.encode(replica),
        };
        async move { self.ask_until_it_has(&ask).await }.boxed()
    }
}

impl Target {
    async fn ask_until_it_has(&self, ask: &Ask) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        let mut asks_to_settle = self.alone_will_do;
        loop {
            if self.alone_will_do && self.running.is_alone() && !self.running.is_connected() {
                self.running.set_owes_reservations(true);
                return Ok(());
            }
            let peers = self.mirrors.peers().map_err(|error| error.to_string())?;
            let asked = timeout(ATTEMPT, peers.ask::<_, Done>(&self.peer, ask));
            let reason = match asked.await {
                Ok(Ok(Done {})) => {
                    self.running.set_owes_reservations(false);
                    return Ok(());
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("peer {} doesn't answer", self.peer),
            };
            // It may be that way there, or not.
            self.running.set_owes_reservations(true);
            if self.alone_will_do && self.running.is_alone() {
                return Ok(());
            }
            if self.running.access() != Some(Access::Active) {
                return Err("the end here isn't the source any more".into());
            }
            if Instant::now() >= until {
                return Err(reason);
            }
            if !self.running.is_connected() && std::mem::take(&mut asks_to_settle) {
                self.running.settle();
            }
            let mut changes = self.running.changes();
            let _ = timeout(PAUSE, changes.changed()).await;
        }
    }
}

impl Registry {
    /// Makes a change of reservations that a host or an operator asks for here. Returns the nexuses whose tasks must end, and
    /// which are to be told only then. Must run to its end once begun.
    ///
    /// # Errors
    /// It was refused, can't be kept, or the other daemon of a mirror doesn't have it: then nothing has changed.
    pub(crate) async fn change_reservations(
        self: &Arc<Self>,
        volume: &Arc<ServedVolume>,
        change: &ReservationChange,
    ) -> Result<Vec<NexusId>, ReservationError> {
        let shared = self.mirrors.of_shared(volume);
        match shared.as_ref().and_then(|it| Some((it, it.access()?))) {
            None => self.change_here(volume, change, None).await,
            Some((running, Access::Active)) => {
                let target = self.target(running, true);
                let changed = self.change_here(volume, change, target.as_ref()).await;
                let may_be_told = !matches!(
                    changed,
                    Ok(_) | Err(ReservationError::Refused(_) | ReservationError::Gone)
                );
                if may_be_told {
                    // What isn't in force here mustn't be there.
                    running.set_owes_reservations(true);
                    let (this, mirror) = (Arc::clone(self), running.id());
                    tokio::spawn(async move { this.catch_up_reservations(mirror).await });
                }
                changed
            }
            Some((running, Access::Standby)) => match change.to_bytes() {
                Some(bytes) => self.change_there(running, &bytes).await,
                // A matter of one nexus while it lives.
                None => self.change_here(volume, change, None).await,
            },
            Some((_, Access::Transitioning)) => Err(ReservationError::OtherPart(
                "which of the two daemons of the mirror decides about reservations is being changed: try again".into(),
            )),
        }
    }

    async fn change_here(
        &self,
        volume: &ServedVolume,
        change: &ReservationChange,
        other: Option<&Target>,
    ) -> Result<Vec<NexusId>, ReservationError> {
        let other = other.map(|it| it as &dyn OtherPart);
        let reservations = volume.reservations();
        reservations.change(volume.unit(), change, other).await
    }

    /// The source decides; what it makes of it has come here before it answers.
    async fn change_there(
        &self,
        running: &Running,
        change: &[u8],
    ) -> Result<Vec<NexusId>, ReservationError> {
        let failed = ReservationError::OtherPart;
        let peer = running.look(|state| state.record().remote().map(|(_, it)| it.peer.clone()));
        let peer = peer.ok_or_else(|| failed("the mirror is no more".into()))?;
        let peers = self
            .mirrors
            .peers()
            .map_err(|error| failed(error.to_string()))?;
        let ask = Ask::Reserve {
            mirror: running.id().0,
            change: BASE64.encode(change),
        };
        let asked = timeout(THERE, peers.ask::<_, Reserved>(&peer, &ask));
        let asked = asked
            .await
            .map_err(|_| failed(format!("peer {peer} doesn't answer")))?;
        let Reserved { refused } = asked.map_err(|error| failed(error.to_string()))?;
        let Some(refused) = refused else {
            return Ok(Vec::new());
        };
        let bytes = BASE64.decode(refused).unwrap_or_default();
        Err(match ReservationsRefused::from_bytes(&bytes) {
            Some(refused) => ReservationError::Refused(refused),
            None => failed(format!(
                "peer {peer} refuses it for no reason that is known here"
            )),
        })
    }

    fn target(&self, running: &Arc<Running>, alone_will_do: bool) -> Option<Target> {
        let peer = running.look(|state| state.record().remote().map(|(_, it)| it.peer.clone()))?;
        Some(Target {
            mirrors: Arc::clone(&self.mirrors),
            running: Arc::clone(running),
            peer,
            alone_will_do,
        })
    }

    /// A host has asked a peer, whose end isn't the source.
    pub(super) async fn reserve_for_peer(
        self: &Arc<Self>,
        peer: &Peer,
        mirror: MirrorId,
        change: &str,
    ) -> Result<Reserved, ChangeError> {
        let running = self.mirror_of_peer(peer, mirror)?;
        if running.access() != Some(Access::Active) {
            return Err(refuse(
                "the end there isn't the source either: try again".into(),
            ));
        }
        let bytes = BASE64.decode(change).unwrap_or_default();
        let change = ReservationChange::from_bytes(&bytes).ok_or_else(|| {
            refuse(
                "the change of reservations isn't understood: update the older of the two daemons"
                    .into(),
            )
        })?;
        let (_, volume) = running
            .local()
            .ok_or_else(|| refuse("both ends of that mirror are here".into()))?;
        let volume = Arc::clone(volume);
        match self.change_reservations(&volume, &change).await {
            Ok(preempted) => {
                let ending = ask_to_end(preempted, &volume, &self.directory, None);
                match ending.have_ended(&volume).await {
                    true => Ok(Reserved { refused: None }),
                    false => Err(refuse("I/O of a preempted host still runs".into())),
                }
            }
            Err(ReservationError::Refused(refused)) => Ok(Reserved {
                refused: Some(BASE64.encode(refused.to_bytes())),
            }),
            Err(error) => Err(refuse(error.to_string())),
        }
    }

    /// A peer, whose end is the source, has decided.
    pub(super) async fn take_reservations(
        self: &Arc<Self>,
        peer: &Peer,
        mirror: MirrorId,
        replica: &str,
    ) -> Result<(), ChangeError> {
        let running = self.mirror_of_peer(peer, mirror)?;
        let (_, volume) = running
            .local()
            .ok_or_else(|| refuse("both ends of that mirror are here".into()))?;
        let replica = BASE64.decode(replica).unwrap_or_default();
        let is_told = || running.access() == Some(Access::Standby);
        let adopted = volume
            .reservations()
            .adopt(volume.unit(), &replica, is_told)
            .await;
        let preempted = adopted.map_err(|error| refuse(error.to_string()))?;
        let ending = ask_to_end(preempted, volume, &self.directory, None);
        match ending.have_ended(volume).await {
            true => Ok(()),
            false => Err(refuse("I/O of a preempted host still runs".into())),
        }
    }

    /// Lets the other end have all reservations, if the source is here: it was away, or is about to be the source.
    ///
    /// # Errors
    /// It doesn't have them.
    pub(super) async fn tell_reservations(
        &self,
        running: &Arc<Running>,
    ) -> Result<(), ChangeError> {
        if running.access() != Some(Access::Active) {
            return Ok(());
        }
        let (Some((_, volume)), Some(target)) = (running.local(), self.target(running, false))
        else {
            return Ok(());
        };
        let told = volume.reservations().tell(volume.unit(), &target).await;
        told.map_err(|reason| {
            refuse(format!(
                "the other daemon doesn't take the reservations that hosts have here: {reason}"
            ))
        })
    }

    /// The same, as far as possible.
    pub(super) async fn catch_up_reservations(&self, mirror: MirrorId) {
        let Some(running) = self.mirrors.get(mirror) else {
            return;
        };
        // Whoever is at it goes on until it is done.
        let Ok(_turn) = running.catching_up().try_lock() else {
            return;
        };
        while running.is_connected() && running.access() == Some(Access::Active) {
            let told = self.tell_reservations(&running).await;
            let Err(error) = told else {
                match running.owes_reservations() {
                    true => continue,
                    false => break,
                }
            };
            tracing::warn!(%mirror, %error, "the other end would not know of reservations if it took over now");
            // Until it is time to try again, or nobody is there any more.
            let mut changes = running.changes();
            let gone = async { while running.is_connected() && changes.changed().await.is_ok() {} };
            let _ = timeout(ATTEMPT, gone).await;
        }
    }

    /// A volume that was the target is a unit of its own again, where nobody has reserved anything.
    pub(super) async fn end_reservations(&self, running: &Running) {
        let Some((_, volume)) = running.local().filter(|_| !running.serves_hosts()) else {
            return;
        };
        let clear = ReservationChange::operator_clear();
        let reservations = volume.reservations();
        if let Err(error) = reservations.change(volume.unit(), &clear, None).await {
            tracing::error!(volume = %volume.name(), %error, "reservations of the mirror that has ended stay: clear them");
        }
    }
}
