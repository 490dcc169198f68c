//! By which numbers the ends of a mirror name things. Knows no rules.

use std::fmt;

macro_rules! uuid {
    ($(#[$meta:meta])* $type:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub u128);

        impl fmt::Display for $type {
            /// Thirty-two hexadecimal digits.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }
    };
}

uuid! {
    /// One end: a volume's copy in one daemon.
    NodeId
}
uuid! {
    /// What is mirrored. All ends of a mirror have the same.
    MirrorId
}
uuid! {
    /// A generation of the content, see [`crate::generation`].
    GenerationId
}
uuid! {
    /// One run of a daemon: drawn anew at each start.
    Incarnation
}

/// A command of a host, as the caller numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// Something that was asked of the disk and will be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub u64);
