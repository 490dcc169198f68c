//! Changes of reservations, one at a time per volume: what must outlive the daemon is on stable storage
//! before it is in force, in one small file per volume in `STATE/reservations`. Knows no sessions.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use thiserror::Error;
use tidelock_catalog::VolumeId;
use tidelock_scsi::{
    LogicalUnit, NexusId, PreparedReservations, RecordUpdate, ReservationChange,
    ReservationsRefused,
};

use tokio::time::timeout;

use crate::state_dir::{ReplacedFile, StateDirError};

/// How long a change waits for an earlier one. A host that is told to try again would be surprised by one that is made much
/// later.
const TURN: Duration = Duration::from_secs(3);

/// Why a change of reservations was not made.
#[derive(Debug, Error)]
pub enum ReservationError {
    /// The device server refuses it.
    #[error("refused")]
    Refused(ReservationsRefused),
    /// What must outlive the daemon can't be kept.
    #[error(transparent)]
    NotKept(#[from] StateDirError),
    /// The daemon that has the other part of the logical unit.
    #[error("{0}")]
    OtherPart(String),
    /// The volume is being deleted.
    #[error("the volume is gone")]
    Gone,
    /// A defect.
    #[error("the change ended by a defect: {0}")]
    Defect(#[from] tokio::task::JoinError),
}

/// The daemon that has the other part of a logical unit: what is in force here holds there as well.
pub trait OtherPart: Send + Sync {
    /// Lets it have what reservations are to be. Fails with a reason if it may have to know and doesn't.
    fn have(&self, replica: Vec<u8>) -> BoxFuture<'_, Result<(), String>>;
}

/// The reservations of one volume, on disk.
#[derive(Debug)]
pub struct ReservationFile {
    file: Arc<ReplacedFile>,
    /// Held from the first look at a change until it is in force, so that an older record never
    /// replaces a newer one. True once the volume is gone.
    turn: tokio::sync::Mutex<bool>,
    /// Why what was kept can't be used.
    problem: Mutex<Option<String>>,
}

impl ReservationFile {
    /// Names the file of a volume; touches nothing.
    #[must_use]
    pub fn new(folder: &Path, id: VolumeId) -> Self {
        Self {
            file: Arc::new(ReplacedFile::in_folder(folder, &id.to_string())),
            turn: tokio::sync::Mutex::default(),
            problem: Mutex::default(),
        }
    }

    /// Gives the logical unit what was kept. What can't be read keeps it from being served as if
    /// nobody had a reservation. Blocks.
    pub fn restore(&self, name: &str, unit: &LogicalUnit) {
        let problem = match self.file.read() {
            Ok(None) => return,
            Ok(Some(kept)) => match unit.restore_reservations(&kept) {
                Ok(()) => return,
                Err(error) => format!("{}: {error}", self.file.path().display()),
            },
            Err(error) => {
                unit.lose_reservations();
                error.to_string()
            }
        };
        tracing::error!(
            volume = name,
            %problem,
            "the reservations that were kept can't be used, so nobody is let near the data: restore \
             the file and restart, or end all reservations with `tidelock reservation clear {name}`"
        );
        *self.problem.lock() = Some(problem);
    }

    /// Why what was kept can't be used, if so.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.problem.lock().clone()
    }

    /// Makes a change: the other part has it, if there is one, then it is kept, then in force. Returns the nexuses whose tasks must end, and which
    /// are to be told only then. Must run to its end once begun: a record on disk without its change in
    /// force would come back later.
    ///
    /// # Errors
    /// It was refused or can't be kept: then nothing has changed.
    pub async fn change(
        &self,
        unit: &LogicalUnit,
        change: &ReservationChange,
        other: Option<&dyn OtherPart>,
    ) -> Result<Vec<NexusId>, ReservationError> {
        let turn = timeout(TURN, self.turn.lock()).await;
        let turn = turn.map_err(|_| {
            ReservationError::OtherPart("an earlier change waits for the other daemon".into())
        })?;
        if *turn {
            return Err(ReservationError::Gone);
        }
        let prepared = unit
            .prepare_reservations(change)
            .map_err(ReservationError::Refused)?;
        if let (Some(other), Some(replica)) = (other, prepared.replica()) {
            other
                .have(replica)
                .await
                .map_err(ReservationError::OtherPart)?;
        }
        self.keep(&prepared).await?;
        let aborted = unit
            .commit_reservations_quietly(prepared)
            .map_err(ReservationError::Refused)?;
        if *change == ReservationChange::operator_clear() {
            *self.problem.lock() = None;
        }
        Ok(aborted)
    }

    /// Makes what is in force that which the daemon has decided that has the other part. Returns the nexuses whose tasks
    /// must end, and which are to be told only then. Must run to its end once begun.
    ///
    /// # Errors
    /// It isn't a state of reservations, can't be kept, or `is_told` says that others don't decide any more: then nothing has
    /// changed.
    pub async fn adopt(
        &self,
        unit: &LogicalUnit,
        replica: &[u8],
        is_told: impl Fn() -> bool + Send,
    ) -> Result<Vec<NexusId>, ReservationError> {
        let turn = self.turn.lock().await;
        if *turn {
            return Err(ReservationError::Gone);
        }
        if !is_told() {
            return Err(ReservationError::OtherPart(
                "the end here decides about reservations itself".into(),
            ));
        }
        let prepared = unit
            .prepare_replica(replica)
            .map_err(|error| ReservationError::OtherPart(error.to_string()))?;
        self.keep(&prepared).await?;
        let aborted = unit
            .commit_reservations_quietly(prepared)
            .map_err(ReservationError::Refused)?;
        *self.problem.lock() = None;
        Ok(aborted)
    }

    /// Lets the other part have all that is in force, with no change in between.
    ///
    /// # Errors
    /// It doesn't have it.
    pub async fn tell(&self, unit: &LogicalUnit, other: &dyn OtherPart) -> Result<(), String> {
        let gone = self.turn.lock().await;
        match *gone || unit.reservations().lost {
            true => Ok(()),
            false => other.have(unit.reservations_replica()).await,
        }
    }

    async fn keep(&self, prepared: &PreparedReservations) -> Result<(), ReservationError> {
        let file = Arc::clone(&self.file);
        match prepared.record().clone() {
            RecordUpdate::Keep => {}
            RecordUpdate::Remove => tokio::task::spawn_blocking(move || file.remove()).await??,
            RecordUpdate::Replace(record) => {
                tokio::task::spawn_blocking(move || file.replace(&record)).await??;
            }
        }
        Ok(())
    }

    /// The volume is gone: its record goes, and no other is written.
    ///
    /// # Errors
    /// It can't be removed.
    pub async fn forget(&self) -> Result<(), ReservationError> {
        let mut gone = self.turn.lock().await;
        *gone = true;
        let file = Arc::clone(&self.file);
        tokio::task::spawn_blocking(move || file.remove()).await??;
        Ok(())
    }
}
