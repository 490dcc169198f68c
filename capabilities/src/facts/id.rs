//! By which numbers facts and answers name things. What they are called is the caller's.

use std::fmt;

macro_rules! id {
    ($(#[$meta:meta])* $type:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub u128);

        impl fmt::Display for $type {
            /// Written as a UUID is.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let id = self.0;
                write!(
                    f,
                    "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
                    id >> 96,
                    id >> 80 & 0xFFFF,
                    id >> 64 & 0xFFFF,
                    id >> 48 & 0xFFFF,
                    id & 0xFFFF_FFFF_FFFF,
                )
            }
        }
    };
}

id! {
    /// A volume or a snapshot, here or at a peer: its UUID.
    ElementId
}
id! {
    /// A replication group.
    GroupId
}
id! {
    /// A daemon that replicates with this one.
    PeerId
}
