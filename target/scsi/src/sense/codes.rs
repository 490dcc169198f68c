//! Sense keys and additional sense codes by the names that SPC-5 gives them.

/// The sense key (SPC-5, table "Sense key descriptions").
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub struct SenseKey(pub u8);

impl SenseKey {
    /// Nothing to report.
    pub const NO_SENSE: Self = Self(0x0);
    /// The logical unit can't be accessed.
    pub const NOT_READY: Self = Self(0x2);
    /// Data could not be read or written because of the medium.
    pub const MEDIUM_ERROR: Self = Self(0x3);
    /// A failure that has nothing to do with the medium.
    pub const HARDWARE_ERROR: Self = Self(0x4);
    /// The CDB or its parameter data is wrong.
    pub const ILLEGAL_REQUEST: Self = Self(0x5);
    /// Something happened to the logical unit that the initiator has to know.
    pub const UNIT_ATTENTION: Self = Self(0x6);
    /// The medium is protected.
    pub const DATA_PROTECT: Self = Self(0x7);
    /// A copy operation ended before its end.
    pub const COPY_ABORTED: Self = Self(0xa);
    /// The device server gave the command up; the initiator may try again.
    pub const ABORTED_COMMAND: Self = Self(0xb);
    /// Data does not match the medium.
    pub const MISCOMPARE: Self = Self(0xe);
}

/// Additional sense code and its qualifier (SPC-5 annex F).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub struct AdditionalSense {
    /// ADDITIONAL SENSE CODE.
    pub code: u8,
    /// ADDITIONAL SENSE CODE QUALIFIER.
    pub qualifier: u8,
}

impl AdditionalSense {
    /// A code and its qualifier.
    #[must_use]
    pub const fn new(code: u8, qualifier: u8) -> Self {
        Self { code, qualifier }
    }
}

macro_rules! additional_sense {
    ($($name:ident = $code:literal, $qualifier:literal;)*) => {
        #[allow(missing_docs, reason = "the names are the standard's own descriptions")]
        impl AdditionalSense {
            $(pub const $name: Self = Self::new($code, $qualifier);)*
        }
    };
}

additional_sense! {
    NONE = 0x00, 0x00;
    OPERATION_IN_PROGRESS = 0x00, 0x16;
    LOGICAL_UNIT_IS_IN_PROCESS_OF_BECOMING_READY = 0x04, 0x01;
    LOGICAL_UNIT_NOT_READY_INITIALIZING_COMMAND_REQUIRED = 0x04, 0x02;
    LOGICAL_UNIT_NOT_READY_MANUAL_INTERVENTION_REQUIRED = 0x04, 0x03;
    LOGICAL_UNIT_NOT_READY_FORMAT_IN_PROGRESS = 0x04, 0x04;
    LOGICAL_UNIT_NOT_ACCESSIBLE_ASYMMETRIC_ACCESS_STATE_TRANSITION = 0x04, 0x0a;
    LOGICAL_UNIT_NOT_ACCESSIBLE_TARGET_PORT_IN_STANDBY = 0x04, 0x0b;
    LOGICAL_UNIT_NOT_ACCESSIBLE_TARGET_PORT_IN_UNAVAILABLE = 0x04, 0x0c;
    LOGICAL_UNIT_NOT_READY_SANITIZE_IN_PROGRESS = 0x04, 0x1b;
    UNREACHABLE_COPY_TARGET = 0x08, 0x04;
    WRITE_ERROR = 0x0c, 0x00;
    THIRD_PARTY_DEVICE_FAILURE = 0x0d, 0x01;
    COPY_TARGET_DEVICE_NOT_REACHABLE = 0x0d, 0x02;
    INCORRECT_COPY_TARGET_DEVICE_TYPE = 0x0d, 0x03;
    COPY_TARGET_DEVICE_DATA_UNDERRUN = 0x0d, 0x04;
    INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT = 0x0e, 0x03;
    UNRECOVERED_READ_ERROR = 0x11, 0x00;
    PARAMETER_LIST_LENGTH_ERROR = 0x1a, 0x00;
    MISCOMPARE_DURING_VERIFY_OPERATION = 0x1d, 0x00;
    INVALID_COMMAND_OPERATION_CODE = 0x20, 0x00;
    LOGICAL_BLOCK_ADDRESS_OUT_OF_RANGE = 0x21, 0x00;
    INVALID_TOKEN_OPERATION_UNSUPPORTED_TOKEN_TYPE = 0x23, 0x01;
    INVALID_TOKEN_OPERATION_TOKEN_UNKNOWN = 0x23, 0x04;
    INVALID_TOKEN_OPERATION_TOKEN_EXPIRED = 0x23, 0x07;
    INVALID_TOKEN_OPERATION_TOKEN_CANCELLED = 0x23, 0x08;
    INVALID_TOKEN_OPERATION_TOKEN_DELETED = 0x23, 0x09;
    INVALID_TOKEN_OPERATION_INVALID_TOKEN_LENGTH = 0x23, 0x0a;
    INVALID_FIELD_IN_CDB = 0x24, 0x00;
    LOGICAL_UNIT_NOT_SUPPORTED = 0x25, 0x00;
    INVALID_FIELD_IN_PARAMETER_LIST = 0x26, 0x00;
    INVALID_RELEASE_OF_PERSISTENT_RESERVATION = 0x26, 0x04;
    TOO_MANY_TARGET_DESCRIPTORS = 0x26, 0x06;
    UNSUPPORTED_TARGET_DESCRIPTOR_TYPE_CODE = 0x26, 0x07;
    TOO_MANY_SEGMENT_DESCRIPTORS = 0x26, 0x08;
    UNSUPPORTED_SEGMENT_DESCRIPTOR_TYPE_CODE = 0x26, 0x09;
    UNEXPECTED_INEXACT_SEGMENT = 0x26, 0x0a;
    INLINE_DATA_LENGTH_EXCEEDED = 0x26, 0x0b;
    COPY_SEGMENT_GRANULARITY_VIOLATION = 0x26, 0x0d;
    WRITE_PROTECTED = 0x27, 0x00;
    LOGICAL_UNIT_SOFTWARE_WRITE_PROTECTED = 0x27, 0x02;
    SPACE_ALLOCATION_FAILED_WRITE_PROTECT = 0x27, 0x07;
    NOT_READY_TO_READY_CHANGE_MEDIUM_MAY_HAVE_CHANGED = 0x28, 0x00;
    POWER_ON_RESET_OR_BUS_DEVICE_RESET_OCCURRED = 0x29, 0x00;
    BUS_DEVICE_RESET_FUNCTION_OCCURRED = 0x29, 0x03;
    I_T_NEXUS_LOSS_OCCURRED = 0x29, 0x07;
    MODE_PARAMETERS_CHANGED = 0x2a, 0x01;
    RESERVATIONS_PREEMPTED = 0x2a, 0x03;
    RESERVATIONS_RELEASED = 0x2a, 0x04;
    REGISTRATIONS_PREEMPTED = 0x2a, 0x05;
    ASYMMETRIC_ACCESS_STATE_CHANGED = 0x2a, 0x06;
    IMPLICIT_ASYMMETRIC_ACCESS_STATE_TRANSITION_FAILED = 0x2a, 0x07;
    CAPACITY_DATA_HAS_CHANGED = 0x2a, 0x09;
    COMMANDS_CLEARED_BY_ANOTHER_INITIATOR = 0x2f, 0x00;
    MEDIUM_FORMAT_CORRUPTED = 0x31, 0x00;
    FORMAT_COMMAND_FAILED = 0x31, 0x01;
    SANITIZE_COMMAND_FAILED = 0x31, 0x03;
    COMMANDS_CLEARED_BY_DEVICE_SERVER = 0x2f, 0x02;
    SOME_COMMANDS_CLEARED_BY_ISCSI_PROTOCOL_EVENT = 0x47, 0x7f;
    THIN_PROVISIONING_SOFT_THRESHOLD_REACHED = 0x38, 0x07;
    SAVING_PARAMETERS_NOT_SUPPORTED = 0x39, 0x00;
    INQUIRY_DATA_HAS_CHANGED = 0x3f, 0x03;
    DEVICE_IDENTIFIER_CHANGED = 0x3f, 0x05;
    REPORTED_LUNS_DATA_HAS_CHANGED = 0x3f, 0x0e;
    INTERNAL_TARGET_FAILURE = 0x44, 0x00;
    INVALID_MESSAGE_ERROR = 0x49, 0x00;
    INSUFFICIENT_REGISTRATION_RESOURCES = 0x55, 0x04;
    INSUFFICIENT_RESOURCES_TO_CREATE_ROD = 0x55, 0x0d;
    SET_TARGET_PORT_GROUPS_COMMAND_FAILED = 0x67, 0x0a;
}
