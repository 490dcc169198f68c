//! Designators of the Device Identification VPD page (SPC-5): who the unit, the port and the
//! device are.

use crate::commands::inquiry::ascii;
use crate::config::Identity;
use crate::copy::Designation;
use crate::nexus::TargetPort;

/// ISCSI, as the protocol of a port's designator (SPC-5).
const PROTOCOL_ISCSI: u8 = 0x5;

#[derive(Clone, Copy)]
enum CodeSet {
    Binary = 1,
    Ascii = 2,
    Utf8 = 3,
}

#[derive(Clone, Copy)]
enum Association {
    LogicalUnit = 0,
    TargetPort = 1,
    TargetDevice = 2,
}

#[derive(Clone, Copy)]
enum DesignatorType {
    T10VendorId = 1,
    Naa = 3,
    RelativeTargetPort = 4,
    TargetPortGroup = 5,
    ScsiName = 8,
}

/// All designators of `identity` as seen through `port`.
pub(crate) fn all(identity: &Identity, port: &TargetPort) -> Vec<u8> {
    let mut page = Vec::with_capacity(256);
    push(
        &mut page,
        CodeSet::Binary,
        Association::LogicalUnit,
        DesignatorType::Naa,
        &identity.naa,
    );
    let mut t10 = ascii::<8>(&identity.vendor).to_vec();
    let serial = identity.serial.chars().count().min(32);
    t10.extend(ascii::<32>(&identity.serial).into_iter().take(serial));
    push(
        &mut page,
        CodeSet::Ascii,
        Association::LogicalUnit,
        DesignatorType::T10VendorId,
        &t10,
    );
    let [high, low] = port.relative_port_identifier.to_be_bytes();
    push(
        &mut page,
        CodeSet::Binary,
        Association::TargetPort,
        DesignatorType::RelativeTargetPort,
        &[0, 0, high, low],
    );
    let [high, low] = port.target_port_group.to_be_bytes();
    push(
        &mut page,
        CodeSet::Binary,
        Association::TargetPort,
        DesignatorType::TargetPortGroup,
        &[0, 0, high, low],
    );
    push_port_name(&mut page, port);
    push(
        &mut page,
        CodeSet::Utf8,
        Association::TargetDevice,
        DesignatorType::ScsiName,
        &scsi_name(&port.target_name),
    );
    page
}

/// The designation descriptor of the target device: its SCSI name, padded as a token of a copy manager
/// has it.
pub(crate) fn target_device_designator(port: &TargetPort) -> Vec<u8> {
    const LEAST: usize = 128;
    let mut bytes = Vec::with_capacity(LEAST);
    push(
        &mut bytes,
        CodeSet::Utf8,
        Association::TargetDevice,
        DesignatorType::ScsiName,
        &scsi_name(&port.target_name),
    );
    bytes.resize(bytes.len().max(LEAST), 0);
    bytes
}

/// Whether `designation` is one of those that the page gives to the logical unit itself.
pub(crate) fn names_unit(identity: &Identity, designation: &Designation) -> bool {
    // Who the port is makes no difference to the unit's own designators.
    let page = all(identity, &TargetPort::default());
    let mut rest = page.as_slice();
    while let Some(([code_set, kind, _, length], tail)) = rest.split_first_chunk() {
        let Some((designator, next)) = tail.split_at_checked(usize::from(*length)) else {
            return false;
        };
        let same = (code_set & 0x0f, kind >> 4 & 0x03, kind & 0x0f)
            == (
                designation.code_set,
                designation.association,
                designation.designator_type,
            );
        if same
            && designation.association == Association::LogicalUnit as u8
            && designator == designation.designator.as_slice()
        {
            return true;
        }
        rest = next;
    }
    false
}

/// The designator with the port's name, which is the target's with the portal group tag behind it
/// (RFC 7143 §4.4.2).
pub(super) fn push_port_name(page: &mut Vec<u8>, port: &TargetPort) {
    let name = format!("{},t,0x{:04x}", port.target_name, port.target_port_group);
    push(
        page,
        CodeSet::Utf8,
        Association::TargetPort,
        DesignatorType::ScsiName,
        &scsi_name(&name),
    );
}

/// A SCSI name string: null-terminated and padded to a multiple of four (SPC-5).
fn scsi_name(name: &str) -> Vec<u8> {
    const MAX: usize = 252;
    let mut bytes: Vec<u8> = name.bytes().take(MAX).collect();
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn push(
    page: &mut Vec<u8>,
    code_set: CodeSet,
    association: Association,
    kind: DesignatorType,
    designator: &[u8],
) {
    const PIV: u8 = 0x80;
    let (protocol, piv) = match association {
        Association::LogicalUnit => (0, 0),
        Association::TargetPort | Association::TargetDevice => (PROTOCOL_ISCSI, PIV),
    };
    page.push(protocol << 4 | code_set as u8);
    page.push(piv | (association as u8) << 4 | kind as u8);
    page.push(0);
    page.push(u8::try_from(designator.len()).unwrap_or(u8::MAX));
    page.extend(designator);
}
