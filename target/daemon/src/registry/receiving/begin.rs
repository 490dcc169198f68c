//! Whether a stream fits, and the head that it goes into.

use std::sync::Arc;

use tidelock_catalog::{
    self as catalog, Backing, BlockSize, Change, DatasetId, Integrity, SnapshotName, SpaceLimits,
    VolumeId,
};
use tidelock_replication::Family;
use tidelock_replication::stream::{Event, Header};
use uuid::Uuid;

use super::{
    Coming, ReceiveError, ReceiveRequest, Record, Registry, Turn, Writer, delete_those_there,
};
use crate::admin_server::{VolumeRequest, VolumeSource};
use crate::registry::changes::{ChangeError, run_blocking};
use crate::registry::families::OpenFamily;
use crate::registry::snapshots::Member;

impl Registry {
    /// Looks whether the stream fits what is there, and makes ready for it.
    pub(super) async fn begin_receive(
        &self,
        request: &ReceiveRequest,
        header: &Header,
        changes: &mut Vec<Change>,
    ) -> Result<Coming, ChangeError> {
        let name = match &request.name {
            Some(name) => name.clone(),
            None => SnapshotName::new(&header.name).map_err(ReceiveError::from)?,
        };
        self.flush_files([&request.volume]).await;
        let writer = self.writer.lock().await;
        if !self.is_loaded() {
            return Err(ChangeError::Loading);
        }
        self.check_not_mirrored(&request.volume)?;
        let volume = self.catalog().volume(&request.volume).ok().cloned();
        let pending = volume
            .as_ref()
            .and_then(|volume| self.receives.get(volume.id));
        if let Some((record, _)) = pending {
            return self.go_on(&writer, request, header, record, changes).await;
        }
        if header.from > 0 {
            let (from, position) = (header.from, 0);
            return Err(ReceiveError::Gap { from, position }.into());
        }
        let record = match &volume {
            Some(volume) => self.fits(request, header, &name, volume).await?,
            None => {
                self.make_volume(&writer, request, header, &name, changes)
                    .await?
            }
        };
        let busy = || ReceiveError::Busy {
            volume: request.volume.clone(),
        };
        let turn = self.receives.take_turn(&record).ok_or_else(busy)?;
        let is_new = !record.created;
        match self
            .make_ready(&writer, request, &turn, record, changes)
            .await
        {
            Ok((record, open)) => Ok(Coming { turn, record, open }),
            Err(error) => {
                if is_new {
                    // What was made of it goes at the next start.
                    run_blocking(move || turn.forget()).await??;
                }
                Err(error)
            }
        }
    }

    /// More of what has come in part.
    async fn go_on(
        &self,
        writer: &Writer,
        request: &ReceiveRequest,
        header: &Header,
        mut record: Record,
        changes: &mut Vec<Change>,
    ) -> Result<Coming, ChangeError> {
        if !record.is_of(header) {
            return Err(ReceiveError::Other {
                volume: request.volume.clone(),
                name: record.name,
            }
            .into());
        }
        let busy = || ReceiveError::Busy {
            volume: request.volume.clone(),
        };
        let turn = self.receives.take_turn(&record).ok_or_else(busy)?;
        self.check_no_writers(&request.volume, request.force)?;
        if let Some(name) = &request.name {
            record.name = name.to_string();
        }
        record.force |= request.force;
        let (record, open) = self
            .make_ready(writer, request, &turn, record, changes)
            .await?;
        if header.from > record.position {
            let (from, position) = (header.from, record.position);
            return Err(ReceiveError::Gap { from, position }.into());
        }
        Ok(Coming { turn, record, open })
    }

    /// What a stream needs of a volume that is there.
    async fn fits(
        &self,
        request: &ReceiveRequest,
        header: &Header,
        name: &SnapshotName,
        volume: &catalog::Volume,
    ) -> Result<Record, ChangeError> {
        let called = || request.volume.clone();
        if let Backing::Snapshot(_) = volume.backing {
            return Err(ReceiveError::IsSnapshot { volume: called() }.into());
        }
        if volume.size_bytes != header.size {
            return Err(ReceiveError::Size {
                volume: called(),
                found: volume.size_bytes,
                wanted: header.size,
            }
            .into());
        }
        if volume.block_size.bytes() != header.block_bytes {
            return Err(ReceiveError::Blocks {
                volume: called(),
                found: volume.block_size.bytes(),
                wanted: header.block_bytes,
            }
            .into());
        }
        volume.check_not_hydrating()?;
        let member = match volume.backing {
            Backing::Raw => None,
            _ => Some(self.member(&request.volume)?),
        };
        if let Some(member) = &member {
            let open = &member.open;
            open.look(|list| list.check_new(volume.id, &request.volume, name))??;
        }
        let base = match header.since {
            None if !request.force => {
                return Err(ReceiveError::Replaces { volume: called() }.into());
            }
            None => None,
            Some(since) => {
                let since = DatasetId(Uuid::from_bytes(since));
                let base = self.base_of(request, member.as_ref(), since).await?;
                Some(base)
            }
        };
        self.check_no_writers(&request.volume, request.force)?;
        let mut record = Record::new(volume.id, header, name, base, request.at_unix_ms);
        record.force = request.force;
        Ok(record)
    }

    /// The snapshot that a difference goes on from, which the volume has to be as.
    async fn base_of(
        &self,
        request: &ReceiveRequest,
        member: Option<&Member>,
        since: DatasetId,
    ) -> Result<DatasetId, ChangeError> {
        let no_base = |newest| ReceiveError::NoBase {
            volume: request.volume.clone(),
            since: since.0,
            newest,
        };
        let Some(member) = member else {
            return Err(no_base(None).into());
        };
        let (base, newest) = member.open.look(|list| {
            let all = list.of_volume(member.record.id);
            let newest = all.last().map(|one| (one.name.clone(), one.stream_id().0));
            (list.of_stream(member.record.id, since).cloned(), newest)
        })?;
        let base = base.ok_or_else(|| no_base(newest))?;
        if !request.force {
            let (open, head) = (Arc::clone(&member.open), member.head);
            let id = base.id;
            let changed = run_blocking(move || differ(&open, id, head)).await??;
            if changed {
                return Err(ReceiveError::Changed {
                    volume: request.volume.clone(),
                    base: base.name,
                }
                .into());
            }
        }
        Ok(base.id)
    }

    async fn make_volume(
        &self,
        writer: &Writer,
        request: &ReceiveRequest,
        header: &Header,
        name: &SnapshotName,
        changes: &mut Vec<Change>,
    ) -> Result<Record, ChangeError> {
        if header.since.is_some() {
            let volume = request.volume.clone();
            return Err(ReceiveError::NoVolume { volume }.into());
        }
        let defect = || ChangeError::Defect("a stream of unknown blocks".into());
        let id = VolumeId(Uuid::new_v4());
        let mut record = Record::new(id, header, name, None, request.at_unix_ms);
        record.created = true;
        let new = VolumeRequest {
            name: request.volume.clone(),
            source: VolumeSource::New {
                size_bytes: header.size,
            },
            block_size: BlockSize::from_bytes(header.block_bytes).ok_or_else(defect)?,
            preallocate: false,
            direct: false,
            write_cache: true,
            integrity: Integrity::Usual,
            limits: SpaceLimits::default(),
        };
        // Who finds the volume after a crash finds out what it is for.
        let Some(turn) = self.receives.take_turn(&record) else {
            return Err(ChangeError::Defect(
                "an identity that is there twice".into(),
            ));
        };
        let kept = record.clone();
        let turn = run_blocking(move || turn.keep(&kept).map(|()| turn)).await??;
        match self.create_volume_as(writer, new, id).await {
            Ok(created) => {
                changes.extend(created);
                Ok(record)
            }
            Err(error) => {
                run_blocking(move || turn.forget()).await??;
                Err(error)
            }
        }
    }

    /// The head that everything goes into, if it isn't there from an earlier time.
    async fn make_ready(
        &self,
        writer: &Writer,
        request: &ReceiveRequest,
        turn: &Turn,
        record: Record,
        changes: &mut Vec<Change>,
    ) -> Result<(Record, Arc<OpenFamily>), ChangeError> {
        let (member, joined) = self.member_or_new(writer, &request.volume).await?;
        changes.extend(joined);
        let keeper = turn.clone();
        run_blocking(move || {
            let record = stage(&member, &keeper, record)?;
            Ok((record, member.open))
        })
        .await?
    }
}

fn stage(member: &Member, turn: &Turn, mut record: Record) -> Result<Record, ChangeError> {
    let (open, there) = (&member.open, member.open.datasets());
    if record.ready && there.contains_key(&DatasetId(record.staging)) {
        turn.keep(&record)?;
        return Ok(record);
    }
    let left = record.datasets();
    record.ready = false;
    record.complete = false;
    record.position = 0;
    // What a crash has left of them is nothing.
    record.staging = Uuid::new_v4();
    if record.own_base {
        record.base = Uuid::new_v4();
    }
    turn.keep(&record)?;
    delete_those_there(open, &left);
    let (engine, staging) = (&open.engine, *record.staging.as_bytes());
    if record.own_base {
        let head = *member.head.0.as_bytes();
        Family::snapshot(&[(Arc::clone(engine), head, *record.base.as_bytes())])?;
    }
    engine.clone_of(*record.base.as_bytes(), staging)?;
    if record.own_base {
        // A whole snapshot: what isn't in the stream is zeros.
        let all = Event::Zeros {
            offset: 0,
            length: record.size_bytes,
        };
        engine.import(staging, &all)?;
    }
    engine.settle_all()?;
    record.ready = true;
    turn.keep(&record)?;
    Ok(record)
}

/// Whether two datasets may differ. Blocks.
pub(super) fn differ(
    open: &OpenFamily,
    one: DatasetId,
    other: DatasetId,
) -> Result<bool, ChangeError> {
    let [one, other] = [one, other].map(|id| *id.0.as_bytes());
    let mut from = Some(0);
    while let Some(at) = from {
        let (ranges, next) = open.engine.diff(one, other, at)?;
        if !ranges.is_empty() {
            return Ok(true);
        }
        from = next;
    }
    Ok(false)
}
