//! How a login went, as a Login Response says it (RFC 7143 §11.13.5).

use std::fmt;

/// Status-Class and Status-Detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LoginStatus {
    /// 0 success, 1 redirection, 2 the initiator's fault, 3 the target's.
    pub class: u8,
    /// What exactly, within the class.
    pub detail: u8,
}

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)+) => {
        impl LoginStatus {
            $($(#[$doc])* pub const $name: Self = Self::from_code($code);)+

            /// What the standard calls it; a status that isn't in it has no name.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self.code() { $($code => Some($text),)+ _ => None }
            }
        }
    };
}

statuses! {
    /// The login goes on, or is complete.
    SUCCESS = 0x0000, "success";
    /// The target is elsewhere for now: TargetAddress in the response says where.
    TARGET_MOVED_TEMPORARILY = 0x0101, "target moved temporarily";
    /// The target is elsewhere for good: TargetAddress in the response says where.
    TARGET_MOVED_PERMANENTLY = 0x0102, "target moved permanently";
    /// A protocol error, or something that has no status of its own.
    INITIATOR_ERROR = 0x0200, "initiator error";
    /// The initiator could not be authenticated, or authentication is asked for and not offered.
    AUTHENTICATION_FAILURE = 0x0201, "authentication failure";
    /// The initiator may not use this target.
    AUTHORIZATION_FAILURE = 0x0202, "authorization failure";
    /// There is no such target. Initiators give up on this: never for a target that still loads.
    NOT_FOUND = 0x0203, "target not found";
    /// The target is gone and no other address is known.
    TARGET_REMOVED = 0x0204, "target removed";
    /// The initiator speaks no version that we speak.
    UNSUPPORTED_VERSION = 0x0205, "unsupported version";
    /// The session has all the connections it may have.
    TOO_MANY_CONNECTIONS = 0x0206, "too many connections";
    /// InitiatorName or TargetName is missing.
    MISSING_PARAMETER = 0x0207, "missing parameter";
    /// The session can't include this connection.
    CANNOT_INCLUDE_IN_SESSION = 0x0208, "can't include in session";
    /// The target doesn't support this type of session.
    SESSION_TYPE_NOT_SUPPORTED = 0x0209, "session type not supported";
    /// The TSIH names no session of this initiator.
    SESSION_DOES_NOT_EXIST = 0x020a, "session does not exist";
    /// A PDU other than a Login Request during login.
    INVALID_DURING_LOGIN = 0x020b, "invalid during login";
    /// Something is broken here.
    TARGET_ERROR = 0x0300, "target error";
    /// Not now; initiators try again.
    SERVICE_UNAVAILABLE = 0x0301, "service unavailable";
    /// Not enough resources now; initiators try again.
    OUT_OF_RESOURCES = 0x0302, "out of resources";
}

impl LoginStatus {
    /// Class and detail as one number, 0xCCDD.
    #[must_use]
    pub const fn code(self) -> u16 {
        u16::from_be_bytes([self.class, self.detail])
    }

    const fn from_code(code: u16) -> Self {
        let [class, detail] = code.to_be_bytes();
        Self { class, detail }
    }
}

impl fmt::Display for LoginStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name().unwrap_or("unknown login status");
        write!(f, "{name} ({:#06x})", self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_prints_its_name_and_its_code() {
        assert_eq!(
            LoginStatus::NOT_FOUND.to_string(),
            "target not found (0x0203)"
        );
        assert_eq!(
            LoginStatus {
                class: 9,
                detail: 9
            }
            .to_string(),
            "unknown login status (0x0909)"
        );
        assert_eq!(
            LoginStatus::OUT_OF_RESOURCES,
            LoginStatus {
                class: 3,
                detail: 2
            }
        );
    }
}
