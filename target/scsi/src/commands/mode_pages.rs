//! The mode pages of a logical unit as bytes, in the four variants that MODE SENSE can ask for
//! (SPC-5 and SBC-4, "Mode parameters").

use crate::mode::{ModeParameters, ModeSaving};
use crate::unit::LogicalUnit;

pub(crate) const READ_WRITE_ERROR_RECOVERY: u8 = 0x01;
pub(crate) const CACHING: u8 = 0x08;
pub(crate) const CONTROL: u8 = 0x0a;
pub(crate) const INFORMATIONAL_EXCEPTIONS: u8 = 0x1c;
/// Stands for all pages.
pub(crate) const ALL_PAGES: u8 = 0x3f;

/// The subpage of a page that has no subpages, or of the page itself.
pub(crate) const NO_SUBPAGE: u8 = 0x00;
/// The subpage of Control that is the Control Extension mode page.
const CONTROL_EXTENSION: u8 = 0x01;
/// The subpage of Informational Exceptions Control that is the Logical Block Provisioning mode page.
const LOGICAL_BLOCK_PROVISIONING: u8 = 0x02;

/// All pages and subpages in ascending order, as "all pages" returns them.
pub(crate) const PAGES: [(u8, u8); 6] = [
    (READ_WRITE_ERROR_RECOVERY, NO_SUBPAGE),
    (CACHING, NO_SUBPAGE),
    (CONTROL, NO_SUBPAGE),
    (CONTROL, CONTROL_EXTENSION),
    (INFORMATIONAL_EXCEPTIONS, NO_SUBPAGE),
    (INFORMATIONAL_EXCEPTIONS, LOGICAL_BLOCK_PROVISIONING),
];

/// Parameters Saveable, in the first byte of a page.
const PS: u8 = 0x80;
/// The page has a subpage code and a length of two bytes.
pub(crate) const SPF: u8 = 0x40;
/// Caching page, byte 2.
const WCE: u8 = 0x04;
/// Control page, byte 2.
const D_SENSE: u8 = 0x04;
/// Control page, byte 4.
const SWP: u8 = 0x08;

/// Which values MODE SENSE returns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PageControl {
    /// The values in force.
    Current,
    /// Ones where MODE SELECT can change something.
    Changeable,
    /// The values that nobody has changed.
    Default,
    /// The values that a reset brings back.
    Saved,
}

impl PageControl {
    /// The two bits of the CDB.
    pub(crate) fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0b00 => Self::Current,
            0b01 => Self::Changeable,
            0b10 => Self::Default,
            _ => Self::Saved,
        }
    }
}

/// The page `code` with its header of two bytes, or the subpage with one of four; `None` when there is
/// no such page.
pub(crate) fn page(
    unit: &LogicalUnit,
    current: ModeParameters,
    (code, subpage): (u8, u8),
    control: PageControl,
) -> Option<Vec<u8>> {
    let changeable = ModeParameters {
        write_cache: true,
        descriptor_sense: true,
        software_write_protect: true,
    };
    let (parameters, fixed) = match control {
        PageControl::Current => (current, true),
        PageControl::Changeable => (changeable, false),
        PageControl::Default => (unit.config().default_mode(), true),
        PageControl::Saved => (unit.saved_mode(), true),
    };
    let body = match (code, subpage) {
        (READ_WRITE_ERROR_RECOVERY, NO_SUBPAGE) => error_recovery(unit, fixed),
        (CACHING, NO_SUBPAGE) => caching(parameters),
        (CONTROL, NO_SUBPAGE) => self::control(parameters, fixed),
        (CONTROL, CONTROL_EXTENSION) => control_extension(fixed),
        (INFORMATIONAL_EXCEPTIONS, NO_SUBPAGE) => informational_exceptions(fixed),
        (INFORMATIONAL_EXCEPTIONS, LOGICAL_BLOCK_PROVISIONING) if unit.config().thin => {
            provisioning(unit, fixed)
        }
        _ => return None,
    };
    let saveable = match unit.config().mode_saving {
        ModeSaving::Supported(_) => PS,
        ModeSaving::NotSupported => 0,
    };
    let mut page = Vec::with_capacity(body.len() + 4);
    if subpage == NO_SUBPAGE {
        page.extend([saveable | code, u8::try_from(body.len()).unwrap_or(0)]);
    } else {
        page.extend([saveable | SPF | code, subpage]);
        page.extend(u16::try_from(body.len()).unwrap_or(0).to_be_bytes());
    }
    page.extend(body);
    Some(page)
}

/// Read-Write Error Recovery mode page (SBC-4): threshold notification is enabled (LBPERE) where there
/// are thresholds.
fn error_recovery(unit: &LogicalUnit, fixed: bool) -> Vec<u8> {
    const LBPERE: u8 = 0x80;
    let mut body = vec![0; 10];
    set(
        &mut body,
        7,
        if fixed && unit.config().thin {
            LBPERE
        } else {
            0
        },
    );
    body
}

/// Logical Block Provisioning mode page (SBC-4): one soft threshold, for what is available. All nexuses
/// are told when it is reached (SITUA is zero).
fn provisioning(unit: &LogicalUnit, fixed: bool) -> Vec<u8> {
    const ENABLED: u8 = 0x80;
    /// Soft, armed decreasing.
    const TYPE_AND_ARMING: u8 = 0x00;
    const AVAILABLE_LBA_MAPPING_RESOURCE: u8 = 0x01;
    let mut body = vec![0; 12];
    let count = unit.soft_threshold();
    let enabled = if count > 0 { ENABLED } else { 0 };
    if fixed {
        body.extend([
            enabled | TYPE_AND_ARMING,
            AVAILABLE_LBA_MAPPING_RESOURCE,
            0,
            0,
        ]);
        body.extend(count.to_be_bytes());
    } else {
        body.extend([0; 8]);
    }
    body
}

/// Caching mode page (SBC-4): nothing but WCE is under the initiator's control.
fn caching(parameters: ModeParameters) -> Vec<u8> {
    let mut body = vec![0; 18];
    set(&mut body, 2, if parameters.write_cache { WCE } else { 0 });
    body
}

/// Control mode page (SPC-5): every nexus has a task set of its own (TST), SIMPLE commands may be
/// reordered freely, and tasks that another nexus aborts end without a status.
fn control(parameters: ModeParameters, fixed: bool) -> Vec<u8> {
    const TASK_SET_PER_NEXUS: u8 = 0x20;
    const GLTSD: u8 = 0x02;
    const UNRESTRICTED_REORDERING: u8 = 0x10;
    /// In units of 100 ms.
    const BUSY_TIMEOUT_PERIOD: u16 = 300;
    let mut body = vec![0; 10];
    let d_sense = if parameters.descriptor_sense {
        D_SENSE
    } else {
        0
    };
    let constant = if fixed { TASK_SET_PER_NEXUS | GLTSD } else { 0 };
    set(&mut body, 2, d_sense | constant);
    set(
        &mut body,
        3,
        if fixed { UNRESTRICTED_REORDERING } else { 0 },
    );
    set(
        &mut body,
        4,
        if parameters.software_write_protect {
            SWP
        } else {
            0
        },
    );
    if fixed {
        let [high, low] = BUSY_TIMEOUT_PERIOD.to_be_bytes();
        set(&mut body, 8, high);
        set(&mut body, 9, low);
    }
    body
}

/// Control Extension mode page (SPC-5): the device clock is set by other means than commands (TCMOS), and
/// by no command (SCSIP is zero).
fn control_extension(fixed: bool) -> Vec<u8> {
    const TCMOS: u8 = 0x04;
    let mut body = vec![0; 28];
    if let Some(flags) = body.first_mut() {
        *flags = if fixed { TCMOS } else { 0 };
    }
    body
}

/// Informational Exceptions Control mode page (SPC-5): there are none to report.
fn informational_exceptions(fixed: bool) -> Vec<u8> {
    const DEXCPT: u8 = 0x08;
    let mut body = vec![0; 10];
    set(&mut body, 2, if fixed { DEXCPT } else { 0 });
    body
}

/// Sets the byte at `offset` of the page, as the standard counts: the header is bytes 0 and 1.
fn set(body: &mut [u8], offset: usize, value: u8) {
    if let Some(byte) = offset.checked_sub(2).and_then(|at| body.get_mut(at)) {
        *byte = value;
    }
}

/// Takes the changeable parameters of `page` over into `parameters`.
pub(crate) fn apply(page: &[u8], parameters: &mut ModeParameters) {
    let bit = |at: usize, mask: u8| page.get(at).is_some_and(|byte| byte & mask != 0);
    match page.first().map(|code| code & (SPF | ALL_PAGES)) {
        Some(CACHING) => parameters.write_cache = bit(2, WCE),
        Some(CONTROL) => {
            parameters.descriptor_sense = bit(2, D_SENSE);
            parameters.software_write_protect = bit(4, SWP);
        }
        _ => {}
    }
}
