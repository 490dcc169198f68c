//! The daemon, its volumes and its jobs, as instances.

use super::paths::{JOB, SYSTEM, VOLUME, job_instance_id};
use super::{NAMESPACE, View};
use crate::datetime::{interval, timestamp};
use crate::instance::Instance;
use crate::model::{ConcreteJob, Health, JobState, StorageElement};
use crate::value::Value;

/// How long a job that has ended is told of is nothing that is promised in time; this is what CIM wants to read.
const REMOVAL_SECONDS: u64 = 300;
/// Block Server and Storage, among Dedicated.
const DEDICATED: [u16; 2] = [15, 3];

impl View<'_> {
    /// `None` if the class isn't among them.
    pub(super) fn storage_instances(&self, class: &str) -> Option<Vec<Instance>> {
        let inventory = || self.inventory();
        let one = |name| Self::new_instance(name, NAMESPACE);
        let found = match class {
            SYSTEM => self.system().into_iter().collect(),
            VOLUME => {
                let all = inventory().elements.iter();
                all.filter_map(|element| self.volume(element)).collect()
            }
            "MSISCSITARGET_SystemDevice" => inventory()
                .elements
                .iter()
                .filter_map(|element| {
                    let instance = one("MSISCSITARGET_SystemDevice")?;
                    let system = match &element.peer {
                        Some(peer) => Self::peer_path_of(peer),
                        None => self.system_path(),
                    };
                    let instance = instance.with("GroupComponent", system);
                    Some(instance.with("PartComponent", self.element_path(element.id)))
                })
                .collect(),
            JOB => inventory().jobs.iter().filter_map(job).collect(),
            "Tidelock_OwningJobElement" => inventory()
                .jobs
                .iter()
                .filter_map(|job| {
                    let instance = one("Tidelock_OwningJobElement")?;
                    let instance = instance.with("OwningElement", self.service_path());
                    Some(instance.with("OwnedElement", Self::job_path(job.id)))
                })
                .collect(),
            "MSISCSITARGET_AffectedJobElement" => inventory()
                .jobs
                .iter()
                .filter_map(|job| {
                    let instance = one("MSISCSITARGET_AffectedJobElement")?;
                    let instance =
                        instance.with("AffectedElement", self.element_path(job.element?));
                    Some(instance.with("AffectingElement", Self::job_path(job.id)))
                })
                .collect(),
            _ => return None,
        };
        Some(found)
    }

    fn system(&self) -> Option<Instance> {
        let system = &self.inventory().system;
        let instance = Self::new_instance(SYSTEM, NAMESPACE)?;
        Some(
            instance
                .with("CreationClassName", SYSTEM)
                .with("Name", system.name.as_str())
                .with("NameFormat", "Other")
                .with("ElementName", "Tidelock")
                .with("Description", format!("Tidelock {}", system.version))
                .with("Dedicated", Value::numbers(DEDICATED))
                .with("OperationalStatus", Value::numbers([2_u16]))
                .with("HealthState", 5_u16)
                .with("EnabledState", 2_u16)
                .with("RequestedState", 12_u16),
        )
    }

    fn volume(&self, element: &StorageElement) -> Option<Instance> {
        let instance = Self::new_instance(VOLUME, NAMESPACE)?;
        let (status, health, enabled) = match element.health {
            Health::Ok => (2_u16, 5_u16, 2_u16),
            Health::NoContact => (12, 0, 6),
            Health::Failed => (6, 25, 6),
        };
        let blocks = element.size_bytes / u64::from(element.block_size.max(1));
        let (name, format, namespace): (String, u16, u16) = match element.naa {
            Some(naa) => (naa.iter().map(|byte| format!("{byte:02X}")).collect(), 9, 2),
            None => (element.id.to_string(), 1, 1),
        };
        let (system_class, system) = self.system_of(element.id);
        Some(
            instance
                .with("SystemCreationClassName", system_class)
                .with("SystemName", system)
                .with("CreationClassName", VOLUME)
                .with("DeviceID", element.id.to_string())
                .with("ElementName", element.name.as_str())
                .with("Name", name)
                .with("NameFormat", format)
                .with("NameNamespace", namespace)
                .with("OperationalStatus", Value::numbers([status]))
                .with("HealthState", health)
                .with("EnabledState", enabled)
                .with("RequestedState", 12_u16)
                .with("Access", if element.snapshot { 1_u16 } else { 3 })
                .with("BlockSize", u64::from(element.block_size))
                .with("NumberOfBlocks", blocks)
                .with("ConsumableBlocks", blocks)
                .with("Primordial", false)
                .with("Usage", self.usage(element)),
        )
    }

    /// What copies it is an end of.
    fn usage(&self, element: &StorageElement) -> u16 {
        if element.snapshot {
            return 12;
        }
        let is_target = self.known().targets.contains(&element.id);
        let is_source = self.known().sources.contains(&element.id);
        // A copy at a peer is what has to be known first.
        let is_far = u16::from(self.known().far.contains(&element.id));
        match (is_source, is_target) {
            (false, false) => 2,
            (true, false) => 6 + is_far,
            (false, true) => 8 + is_far,
            (true, true) => 10 + is_far,
        }
    }
}

fn job(job: &ConcreteJob) -> Option<Instance> {
    let instance = View::new_instance(JOB, NAMESPACE)?;
    let ended = matches!(job.state, JobState::Completed | JobState::Terminated);
    let (status, error) = match job.state {
        JobState::Exception => (Value::numbers([6_u16]), Some(1_u16)),
        JobState::Completed => (Value::numbers([2_u16, 17]), None),
        _ => (Value::numbers([2_u16]), None),
    };
    let percent = if ended { Some(100) } else { job.percent };
    Some(
        instance
            .with("InstanceID", job_instance_id(job.id))
            .with("Name", job.description.as_str())
            .with("ElementName", job.description.as_str())
            .with("JobState", job.state as u16)
            .with("JobStatus", job.detail.as_str())
            .with("OperationalStatus", status)
            .with_some("PercentComplete", percent.map(u16::from))
            .with_some("StartTime", timestamp(&job.started))
            .with("TimeBeforeRemoval", interval(REMOVAL_SECONDS))
            .with("DeleteOnCompletion", true)
            .with_some("ErrorCode", error)
            .with_some("ErrorDescription", error.map(|_| job.detail.as_str())),
    )
}
