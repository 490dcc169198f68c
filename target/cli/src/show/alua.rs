//! Access states as text.

use tidelock_admin::v1::{AccessState, AlteredBy, AsymmetricAccess, GroupAccess};

use crate::render::{table, yes_no};

pub(crate) fn asymmetric_access(access: &AsymmetricAccess) -> String {
    let row = |group: &GroupAccess| {
        let state = match group.state {
            AccessState::ActiveOptimized => "active-optimized",
            AccessState::ActiveNonOptimized => "active-non-optimized",
            AccessState::Standby => "standby",
            AccessState::Unavailable => "unavailable",
            AccessState::Transitioning => "transitioning",
            _ => "unknown",
        };
        let altered_by = match group.altered_by {
            None => "-",
            Some(AlteredBy::Host) => "host",
            Some(AlteredBy::Daemon) => "daemon",
            Some(_) => "unknown",
        };
        let ports = group.ports.iter();
        let ports: Vec<_> = ports
            .map(|port| format!("{} of {}", port.relative_port, port.target))
            .collect();
        [
            group.group.to_string(),
            state.to_owned(),
            yes_no(group.preferred),
            altered_by.to_owned(),
            if ports.is_empty() {
                "-".to_owned()
            } else {
                ports.join(", ")
            },
        ]
    };
    table(
        [
            "GROUP",
            "STATE",
            "PREFERRED",
            "ALTERED BY",
            "RELATIVE PORTS",
        ],
        &[0],
        access.groups.iter().map(row),
    )
}
