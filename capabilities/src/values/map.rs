//! What all value maps have in common, and the macro that writes them. Knows no map itself.

use std::fmt;

use thiserror::Error;

/// The age of an interface: which values may appear on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Edition {
    /// The class texts of CIM 2.28 and 2.29, which the MSISCSITARGET classes go back to.
    V2_29,
    /// CIM 2.49.
    V2_49,
}

/// A number that the map doesn't have, or reserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{value} is no value of {map} that this service knows")]
pub struct NotInMap {
    /// The map's name.
    pub map: &'static str,
    /// The number.
    pub value: u16,
}

/// A value map of the model.
pub trait ValueMap: Copy + Eq + fmt::Debug + fmt::Display + TryFrom<u16> + 'static {
    /// The property or parameter whose values these are.
    const MAP: &'static str;
    /// All values, in ascending order.
    const ALL: &'static [Self];
    /// The number, below 128.
    fn value(self) -> u16;
    /// The name as the schema writes it.
    fn name(self) -> &'static str;
    /// The first edition that has it.
    fn edition(self) -> Edition;
}

/// Writes a value map: the type, its numbers and names, and how to read one from a number.
macro_rules! value_map {
    (
        $(#[$meta:meta])*
        $type:ident, $map:literal {
            $( $(#[$about:meta])* $variant:ident = $value:literal $name:literal $($edition:ident)?, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum $type {
            $( #[doc = concat!(stringify!($value), " ", $name, ".")] $(#[$about])* $variant = $value, )+
        }

        impl $type {
            /// All values, in ascending order.
            pub const ALL: &[Self] = &[$( Self::$variant, )+];

            /// The number in the schema.
            #[must_use]
            pub const fn value(self) -> u16 {
                self as u16
            }

            /// The name in the schema.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }

            /// The first edition that has it.
            #[must_use]
            pub const fn edition(self) -> crate::values::Edition {
                match self {
                    $( Self::$variant => crate::values::map::edition_of!($($edition)?), )+
                }
            }

            /// A set of values.
            #[must_use]
            pub const fn set(values: &[Self]) -> crate::values::ValueSet<Self> {
                let mut bits = 0;
                let mut rest = values;
                while let [first, others @ ..] = rest {
                    bits |= 1 << first.value();
                    rest = others;
                }
                crate::values::ValueSet::from_bits(bits)
            }
        }

        // Sets of values are bits of a u128.
        $( const _: () = assert!($value < 128); )+

        impl crate::values::ValueMap for $type {
            const MAP: &'static str = $map;
            const ALL: &'static [Self] = Self::ALL;

            fn value(self) -> u16 {
                self.value()
            }

            fn name(self) -> &'static str {
                self.name()
            }

            fn edition(self) -> crate::values::Edition {
                self.edition()
            }
        }

        impl TryFrom<u16> for $type {
            type Error = crate::values::NotInMap;

            fn try_from(value: u16) -> Result<Self, crate::values::NotInMap> {
                match value {
                    $( $value => Ok(Self::$variant), )+
                    _ => Err(crate::values::NotInMap { map: $map, value }),
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

/// The edition of a value: the old one unless the map says otherwise.
macro_rules! edition_of {
    () => {
        crate::values::Edition::V2_29
    };
    ($edition:ident) => {
        crate::values::Edition::$edition
    };
}

pub(crate) use {edition_of, value_map};
