//! SCSI Ports VPD page (SPC-5): every target port through which the logical unit can be reached.

use crate::commands::inquiry::vpd::designators;
use crate::nexus::TargetPort;

/// The page's length field has two bytes: ports for which it has no room are left out.
const MAX: usize = u16::MAX as usize;

/// A designation descriptor for each of `ports`. What an initiator port is called depends on who
/// asks, and there is none in a port that is a target's only.
pub(super) fn body(ports: &[TargetPort]) -> Vec<u8> {
    let mut body = Vec::new();
    for port in ports {
        let mut name = Vec::new();
        designators::push_port_name(&mut name, port);
        let length = u16::try_from(name.len()).unwrap_or(0);
        if body.len() + 12 + name.len() > MAX {
            break;
        }
        body.extend([0, 0]);
        body.extend(port.relative_port_identifier.to_be_bytes());
        // INITIATOR PORT TRANSPORTID LENGTH, between reserved bytes.
        body.extend([0; 6]);
        body.extend(length.to_be_bytes());
        body.extend(name);
    }
    body
}
