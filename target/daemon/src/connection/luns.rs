//! The logical units that one session sees: looked up per command, followed live when the operator
//! maps and unmaps. Knows no I/O.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tidelock_replication::Volume;
use tidelock_scsi::{LuNexus, NexusId, NexusInfo, UnitAttention, decode_lun, encode_lun};

use crate::connection::shown::Shown;
use crate::directory::SessionInfo;
use crate::registry::{Lun, ServedVolume, Target};

/// One logical unit of a session for as long as it is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachmentId {
    number: u16,
    serial: u64,
}

impl AttachmentId {
    /// The number under which it is mapped.
    #[must_use]
    pub fn number(self) -> u16 {
        self.number
    }
}

/// A logical unit as one session sees it.
#[derive(Debug)]
pub struct Attached {
    number: u16,
    /// Tells this attachment from a later one under the same number.
    pub id: AttachmentId,
    /// The volume behind it.
    pub volume: Arc<ServedVolume>,
    /// Its file, if it could be opened.
    pub store: Option<Arc<Volume>>,
    /// This session's nexus with the logical unit.
    pub nexus: LuNexus,
    read_only: bool,
}

impl Attached {
    /// Name of the volume.
    #[must_use]
    pub fn volume_name(&self) -> Arc<str> {
        Arc::clone(self.volume.name())
    }

    /// LOGICAL UNIT RESET. Each session tells its own nexuses when it has ended their tasks.
    pub fn reset(&self) {
        self.volume.unit().reset_device_server();
    }
}

/// The logical units of one session.
#[derive(Debug)]
pub struct Luns {
    target: Option<Arc<Target>>,
    generation: u64,
    /// By number.
    attached: Vec<Attached>,
    /// The numbers as REPORT LUNS gives them.
    reported: Vec<u64>,
    nexus: NexusInfo,
    next_serial: u64,
    /// For work that reaches other logical units than its own.
    shown: Rc<Shown>,
}

impl Luns {
    /// Those of `target`; none for a discovery session.
    #[must_use]
    pub fn new(target: Option<Arc<Target>>, session: &SessionInfo) -> Self {
        let isid = session
            .key
            .isid
            .iter()
            .fold(String::new(), |mut text, byte| {
                use std::fmt::Write as _;
                // Writing to a string doesn't fail.
                let _ = write!(text, "{byte:02x}");
                text
            });
        let target_port = target
            .as_ref()
            .and_then(|target| target.port(session.key.group))
            .unwrap_or_default();
        let nexus = NexusInfo {
            id: NexusId(session.id),
            initiator_port: format!("{},i,0x{isid}", session.key.initiator),
            target_port,
            read_only: false,
        };
        let mut luns = Self {
            target: target.clone(),
            generation: 0,
            attached: Vec::new(),
            reported: Vec::new(),
            shown: Rc::new(Shown::new(target, nexus.clone())),
            nexus,
            next_serial: 0,
        };
        luns.follow(false);
        luns
    }

    /// Brings the table up to date if the target's map has changed since the last call.
    pub fn refresh(&mut self) {
        let Some(target) = &self.target else { return };
        if target.generation().load(Ordering::Acquire) != self.generation {
            self.follow(true);
        }
    }

    fn follow(&mut self, tell: bool) {
        let Some(target) = self.target.clone() else {
            return;
        };
        // Read before the map: a change in between is then seen at the next command.
        self.generation = target.generation().load(Ordering::Acquire);
        let map = target.luns();
        let mut old = std::mem::take(&mut self.attached);
        let mut changed = false;
        for lun in map.values() {
            let known = old.iter().position(|attached| attached.is(lun));
            let attached = match known {
                Some(index) => {
                    let mut attached = old.swap_remove(index);
                    attached.store = lun.volume.store();
                    attached
                }
                None => {
                    changed = true;
                    self.attach(lun)
                }
            };
            self.attached.push(attached);
        }
        changed |= !old.is_empty();
        for gone in old {
            gone.volume.unit().detach(&gone.nexus);
        }
        self.attached
            .sort_unstable_by_key(|attached| attached.number);
        self.reported = self
            .attached
            .iter()
            .filter_map(|attached| encode_lun(attached.number))
            .map(u64::from_be_bytes)
            .collect();
        // Another volume under a known number is a change as well.
        if tell && changed {
            for attached in &self.attached {
                attached.nexus.raise(UnitAttention::ReportedLunsChanged);
            }
        }
    }

    fn attach(&mut self, lun: &Lun) -> Attached {
        self.next_serial += 1;
        let info = NexusInfo {
            read_only: lun.read_only,
            ..self.nexus.clone()
        };
        Attached {
            number: lun.number,
            id: AttachmentId {
                number: lun.number,
                serial: self.next_serial,
            },
            nexus: lun.volume.unit().attach(info),
            store: lun.volume.store(),
            volume: Arc::clone(&lun.volume),
            read_only: lun.read_only,
        }
    }

    /// The logical unit that a command names, and all that the session sees.
    pub fn get(&mut self, lun: [u8; 8]) -> (Option<&mut Attached>, &[u64]) {
        let found = decode_lun(lun).and_then(|number| {
            let index = self
                .attached
                .binary_search_by_key(&number, |it| it.number)
                .ok()?;
            self.attached.get_mut(index)
        });
        (found, &self.reported)
    }

    /// The logical unit that a task management function names.
    pub fn find(&mut self, lun: [u8; 8]) -> Option<&mut Attached> {
        self.refresh();
        self.get(lun).0
    }

    /// Commands to that LUN have ended because a connection has (RFC 7143 §7.6).
    pub fn cleared_by_protocol_event(&mut self, lun: [u8; 8]) {
        if let Some(attached) = self.get(lun).0 {
            attached
                .nexus
                .raise(UnitAttention::CommandsClearedByProtocolEvent);
        }
    }

    /// The logical unit of that attachment, if it is still there.
    pub fn by_id(&mut self, id: AttachmentId) -> Option<&mut Attached> {
        let index = self
            .attached
            .binary_search_by_key(&id.number, |it| it.number)
            .ok()?;
        self.attached
            .get_mut(index)
            .filter(|attached| attached.id == id)
    }

    /// All that the session is shown.
    #[must_use]
    pub fn shown(&self) -> &Rc<Shown> {
        &self.shown
    }

    /// The LUNs on the wire under which the session sees a volume.
    #[must_use]
    pub fn of_volume(&self, volume: &str) -> Vec<[u8; 8]> {
        let of_it = self
            .attached
            .iter()
            .filter(|it| **it.volume.name() == *volume);
        let numbers = of_it.map(|attached| attached.number);
        // A number below 256 can come in either form (SAM-5 §4.7.7).
        let flat = |number: u16| (0x4000 | number).to_be_bytes();
        numbers
            .flat_map(|number| {
                let [high, low] = flat(number);
                [encode_lun(number), Some([high, low, 0, 0, 0, 0, 0, 0])]
            })
            .flatten()
            .collect()
    }

    /// A target reset resets every logical unit.
    pub fn reset_all(&mut self) {
        self.refresh();
        for attached in &self.attached {
            attached.reset();
            attached.nexus.raise(UnitAttention::BusDeviceReset);
        }
    }

    /// Raises a unit attention on the nexuses with a volume.
    pub fn tell(&self, volume: &str, attention: UnitAttention) {
        let of_it = self.attached.iter();
        for attached in of_it.filter(|it| **it.volume.name() == *volume) {
            attached.nexus.raise(attention);
        }
    }

    /// All logical units.
    pub fn iter(&self) -> impl Iterator<Item = &Attached> {
        self.attached.iter()
    }

    /// The REPORT LUNS that was just answered tells what changed: nobody needs to be told again.
    pub fn reported(&self) {
        for attached in &self.attached {
            attached.nexus.clear(UnitAttention::ReportedLunsChanged);
        }
    }

    /// Leaves all logical units: the session has ended.
    pub fn detach(&mut self) {
        for attached in self.attached.drain(..) {
            attached.volume.unit().detach(&attached.nexus);
        }
    }
}

impl Attached {
    /// Its LUN.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    fn is(&self, lun: &Lun) -> bool {
        self.number == lun.number
            && self.read_only == lun.read_only
            && Arc::ptr_eq(&self.volume, &lun.volume)
    }
}
