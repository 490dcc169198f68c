//! The closed set of keys that mean something to an iSCSI target over TCP (RFC 7143 §12, §13). A key
//! that isn't here is answered with `NotUnderstood`.

macro_rules! keys {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// A key of RFC 7143 by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Key { $($(#[$doc])* $variant,)+ }

        impl Key {
            /// Every key, in the order of the declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name as it stands on the wire.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The key of this name; names are case-sensitive.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

keys! {
    /// RFC 7143 §12.1.
    AuthMethod = "AuthMethod",
    /// RFC 7143 §12.1.3: algorithms.
    ChapA = "CHAP_A",
    /// RFC 7143 §12.1.3: identifier.
    ChapI = "CHAP_I",
    /// RFC 7143 §12.1.3: challenge.
    ChapC = "CHAP_C",
    /// RFC 7143 §12.1.3: name.
    ChapN = "CHAP_N",
    /// RFC 7143 §12.1.3: response.
    ChapR = "CHAP_R",
    /// RFC 7143 §13.1.
    HeaderDigest = "HeaderDigest",
    /// RFC 7143 §13.1.
    DataDigest = "DataDigest",
    /// RFC 7143 §13.2.
    MaxConnections = "MaxConnections",
    /// RFC 7143 §13.3.
    SendTargets = "SendTargets",
    /// RFC 7143 §13.4.
    TargetName = "TargetName",
    /// RFC 7143 §13.5.
    InitiatorName = "InitiatorName",
    /// RFC 7143 §13.6.
    TargetAlias = "TargetAlias",
    /// RFC 7143 §13.7.
    InitiatorAlias = "InitiatorAlias",
    /// RFC 7143 §13.8.
    TargetAddress = "TargetAddress",
    /// RFC 7143 §13.9.
    TargetPortalGroupTag = "TargetPortalGroupTag",
    /// RFC 7143 §13.10.
    InitialR2T = "InitialR2T",
    /// RFC 7143 §13.11.
    ImmediateData = "ImmediateData",
    /// RFC 7143 §13.12.
    MaxRecvDataSegmentLength = "MaxRecvDataSegmentLength",
    /// RFC 7143 §13.13.
    MaxBurstLength = "MaxBurstLength",
    /// RFC 7143 §13.14.
    FirstBurstLength = "FirstBurstLength",
    /// RFC 7143 §13.15.
    DefaultTime2Wait = "DefaultTime2Wait",
    /// RFC 7143 §13.16.
    DefaultTime2Retain = "DefaultTime2Retain",
    /// RFC 7143 §13.17.
    MaxOutstandingR2T = "MaxOutstandingR2T",
    /// RFC 7143 §13.18.
    DataPDUInOrder = "DataPDUInOrder",
    /// RFC 7143 §13.19.
    DataSequenceInOrder = "DataSequenceInOrder",
    /// RFC 7143 §13.20.
    ErrorRecoveryLevel = "ErrorRecoveryLevel",
    /// RFC 7143 §13.21.
    SessionType = "SessionType",
    /// RFC 7143 §13.23.
    TaskReporting = "TaskReporting",
    /// RFC 7143 §13.24.
    IscsiProtocolLevel = "iSCSIProtocolLevel",
    /// Obsolete, still to be answered (RFC 7143 §13.25).
    IfMarker = "IFMarker",
    /// Obsolete, still to be answered (RFC 7143 §13.25).
    OfMarker = "OFMarker",
    /// Obsolete, still to be answered (RFC 7143 §13.25).
    IfMarkInt = "IFMarkInt",
    /// Obsolete, still to be answered (RFC 7143 §13.25).
    OfMarkInt = "OFMarkInt",
}

impl Key {
    /// Whether this is one of the keys by which the ends authenticate each other: they have a place in
    /// the security stage only (RFC 7143 §12).
    #[must_use]
    pub fn is_security(self) -> bool {
        matches!(
            self,
            Self::AuthMethod | Self::ChapA | Self::ChapI | Self::ChapC | Self::ChapN | Self::ChapR
        )
    }
}

/// A set of keys, for telling that one comes again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeySet(u64);

impl KeySet {
    /// Adds a key; false if it was there already.
    pub(crate) fn insert(&mut self, key: Key) -> bool {
        let bit = 1u64 << (key as u8);
        let new = self.0 & bit == 0;
        self.0 |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_found_by_its_name() {
        for key in Key::ALL {
            assert_eq!(Key::from_name(key.name()), Some(*key));
        }
        assert_eq!(Key::from_name("initialR2T"), None);
        assert_eq!(Key::from_name("X-com.example.key"), None);
    }

    #[test]
    fn a_key_set_holds_every_key_apart() {
        assert!(Key::ALL.len() <= 64, "KeySet has 64 places");
        let mut set = KeySet::default();
        for key in Key::ALL {
            assert!(set.insert(*key), "{key:?}");
            assert!(!set.insert(*key), "{key:?}");
        }
    }
}
