//! From a CDB to a plan.

use tidelock_scsi::{
    BlockSize, Command, Identity, LogicalUnit, LogicalUnitConfig, LuNexus, NexusId, NexusInfo,
    Plan, TargetPort, TaskAttribute,
};

/// A logical unit and one nexus.
pub struct Served {
    unit: LogicalUnit,
    nexus: LuNexus,
}

/// A unit of 1 TiB whose first attentions have been told.
#[must_use]
pub fn served() -> Served {
    let identity = Identity::new(0x1234_5678, "serial");
    let unit = LogicalUnit::new(LogicalUnitConfig::new(identity, BlockSize::B512, 1 << 31));
    let nexus = unit.attach(NexusInfo {
        id: NexusId(1),
        initiator_port: "iqn.2026-11.test:host,i,0x000000000001".to_owned(),
        target_port: TargetPort {
            target_name: "iqn.2026-11.test:target".to_owned(),
            relative_port_identifier: 1,
            target_port_group: 1,
        },
        read_only: false,
    });
    let mut served = Served { unit, nexus };
    for _ in 0..4 {
        // TEST UNIT READY.
        let _ = begin(&mut served, &[0; 6], 0, (false, false));
    }
    served
}

fn begin(
    served: &mut Served,
    cdb: &[u8],
    expected_length: u32,
    (read, write): (bool, bool),
) -> Plan {
    let command = Command {
        cdb,
        expected_length,
        read,
        write,
        attribute: TaskAttribute::Simple,
        luns: &[0],
    };
    served.unit.begin(&mut served.nexus, &command)
}

/// READ(16) of 4 KiB.
///
/// # Panics
/// It isn't an operation: a defect of the bench.
pub fn read(served: &mut Served) -> Plan {
    let cdb = [0x88, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0, 0];
    let plan = begin(served, &cdb, 4_096, (true, false));
    assert!(matches!(plan, Plan::Execute { .. }), "{plan:?}");
    plan
}

/// WRITE(10) of 4 KiB: what comes before its data.
///
/// # Panics
/// It wants no data: a defect of the bench.
pub fn write(served: &mut Served) -> Plan {
    let plan = begin(
        served,
        &[0x2a, 0, 0, 1, 0, 0, 0, 0, 8, 0],
        4_096,
        (false, true),
    );
    assert!(matches!(plan, Plan::NeedData { .. }), "{plan:?}");
    plan
}

/// INQUIRY, the standard page: a reply that is made on the spot.
///
/// # Panics
/// It isn't answered: a defect of the bench.
pub fn inquiry(served: &mut Served) -> Plan {
    let plan = begin(served, &[0x12, 0, 0, 0, 96, 0], 96, (true, false));
    assert!(matches!(plan, Plan::Done(_)), "{plan:?}");
    plan
}
