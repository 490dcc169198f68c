//! Any bytes as a request in CIM-XML: refused by a name of DSP0200, or answered in XML that can be read again. The
//! daemon behind it refuses all changes.

use std::sync::OnceLock;
use std::time::Duration;

use tidelock_capabilities::facts::{AssociationKey, ElementId};
use tidelock_capabilities::service::{Answer, SupportedOperations};
use tidelock_capabilities::values::{
    ConnectionFeature, CopyState, LocalOrRemote, MethodName, Mode, Operation, ProgressStatus,
    ReplicationType, ReturnCode, SyncType, ValueSet,
};
use tidelock_capabilities::{BuiltCapabilities, BuiltType, SynchronizationSupported, TargetSupply};
use tidelock_wbem::model::{
    GroupChange, Health, Inventory, Made, MadeGroup, Model, Modification, NewGroupReplica,
    NewReplica, Point, Question, Refused, StorageAssociation, StorageElement, System,
};
use tidelock_wbem::{Incoming, Limits, Server, xml};

/// The whole input is the body of a request.
pub fn check(input: &[u8]) {
    let incoming = Incoming {
        cim_operation: Some("MethodCall"),
        cim_method: None,
        user: "user",
        host: "host",
        body: input,
    };
    let answer = Server::default().answer(&incoming, &Nobody, Duration::ZERO);
    match answer.status {
        200 => {
            let limits = Limits {
                bytes: 1 << 24,
                ..Limits::default()
            };
            xml::read(answer.body.as_bytes(), &limits).expect("what was written can be read");
        }
        400 | 501 => {
            assert!(answer.cim_error.is_some());
            assert!(answer.body.len() < 4_096, "an endless error message");
        }
        other => panic!("status {other}"),
    }
}

/// A daemon of a volume with a snapshot, in which nothing can be done.
struct Nobody;

fn refused() -> Refused {
    Refused::new(ReturnCode::Failed, "nothing is done here")
}

fn element(id: u128, snapshot: bool) -> StorageElement {
    StorageElement {
        id: ElementId(id),
        name: format!("element {id}"),
        snapshot,
        naa: None,
        size_bytes: 1 << 20,
        block_size: 512,
        health: Health::Ok,
        peer: None,
    }
}

impl Model for Nobody {
    fn inventory(&self) -> Inventory {
        let key = AssociationKey {
            system_element: ElementId(1),
            synced_element: ElementId(2),
        };
        Inventory {
            system: System {
                name: "host".to_owned(),
                ready: true,
                version: "0".to_owned(),
            },
            elements: vec![element(1, false), element(2, true)],
            associations: vec![StorageAssociation {
                key,
                sync_type: SyncType::Snapshot,
                mode: Mode::Synchronous,
                copy_state: CopyState::Synchronized,
                progress_status: ProgressStatus::Completed,
                percent_synced: None,
                when_synced: None,
                stops_hosts: None,
                locality: LocalOrRemote::Local,
            }],
            ..Inventory::default()
        }
    }

    fn built(&self) -> &BuiltCapabilities {
        static BUILT: OnceLock<BuiltCapabilities> = OnceLock::new();
        BUILT.get_or_init(|| BuiltCapabilities {
            types: vec![BuiltType {
                methods: MethodName::set(&[MethodName::CreateElementReplica]),
                ..BuiltType::new(
                    ReplicationType::SynchronousSnapshotLocal,
                    TargetSupply::Created,
                )
            }],
            ..BuiltCapabilities::default()
        })
    }

    fn synchronization_supported(&self, _: &Question) -> SynchronizationSupported {
        SynchronizationSupported {
            return_code: ReturnCode::NotSupported,
            sync_types: Vec::new(),
            modes: Vec::new(),
            local_element_role: Vec::new(),
        }
    }

    fn operations_for(&self, _: AssociationKey) -> Answer<SupportedOperations> {
        Err(ReturnCode::InvalidParameter)
    }

    fn admit_operation(&self, _: AssociationKey, _: Operation, _: bool) -> Result<(), Refused> {
        Ok(())
    }

    fn create_element_replica(&self, _: &NewReplica) -> Result<Made, Refused> {
        Err(refused())
    }

    fn create_aspect(&self, _: &NewReplica) -> Result<Made, Refused> {
        Err(refused())
    }

    fn connection_features(&self, _: &Point) -> Answer<ValueSet<ConnectionFeature>> {
        Err(ReturnCode::InvalidParameter)
    }

    fn create_group_replica(&self, _: &NewGroupReplica) -> Result<MadeGroup, Refused> {
        Err(refused())
    }

    fn modify(&self, _: &Modification) -> Result<Option<u64>, Refused> {
        Err(refused())
    }

    fn modify_group(&self, _: &str, _: &str, _: Operation, _: bool) -> Result<(), Refused> {
        Err(refused())
    }

    fn change_group(&self, _: &GroupChange) -> Result<(), Refused> {
        Err(refused())
    }

    fn all_of(&self, _: &str, _: &[u64]) -> u64 {
        0
    }

    fn check_listener(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn keep_subscriptions(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn cancel_job(&self, _: u64) -> bool {
        false
    }

    fn note(&self, _: &str, refused: &Refused) -> u64 {
        assert!(refused.reason.len() < 4_096, "an endless reason");
        7
    }
}
