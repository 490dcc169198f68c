//! Where the fields of a basic header segment stand. Each PDU's layout is written down once, and both
//! directions come from it. Knows no PDU by name.

use super::{BHS_LEN, Bhs};
use crate::serial::SerialNumber;

/// A field of fixed length in a basic header segment, big-endian (RFC 7143 §11.2).
pub(super) trait Field: Sized {
    /// Reads the field that begins at byte `AT`.
    fn get<const AT: usize>(bhs: &Bhs) -> Self;
    /// Writes it.
    fn put<const AT: usize>(self, bhs: &mut Bhs);
}

#[inline]
#[allow(
    clippy::indexing_slicing,
    reason = "the bound is checked when this is compiled"
)]
fn load<const AT: usize, const LEN: usize>(bhs: &Bhs) -> [u8; LEN] {
    const { assert!(AT + LEN <= BHS_LEN) };
    let mut bytes = [0; LEN];
    bytes.copy_from_slice(&bhs[AT..AT + LEN]);
    bytes
}

#[inline]
#[allow(
    clippy::indexing_slicing,
    reason = "the bound is checked when this is compiled"
)]
fn store<const AT: usize, const LEN: usize>(bhs: &mut Bhs, bytes: [u8; LEN]) {
    const { assert!(AT + LEN <= BHS_LEN) };
    bhs[AT..AT + LEN].copy_from_slice(&bytes);
}

macro_rules! integer_field {
    ($($integer:ty),+) => {$(
        impl Field for $integer {
            #[inline]
            fn get<const AT: usize>(bhs: &Bhs) -> Self {
                Self::from_be_bytes(load::<AT, { size_of::<Self>() }>(bhs))
            }

            #[inline]
            fn put<const AT: usize>(self, bhs: &mut Bhs) {
                store::<AT, { size_of::<Self>() }>(bhs, self.to_be_bytes());
            }
        }
    )+};
}

integer_field!(u8, u16, u32);

impl<const LEN: usize> Field for [u8; LEN] {
    #[inline]
    fn get<const AT: usize>(bhs: &Bhs) -> Self {
        load::<AT, LEN>(bhs)
    }

    #[inline]
    fn put<const AT: usize>(self, bhs: &mut Bhs) {
        store::<AT, LEN>(bhs, self);
    }
}

impl Field for SerialNumber {
    #[inline]
    fn get<const AT: usize>(bhs: &Bhs) -> Self {
        Self(u32::get::<AT>(bhs))
    }

    #[inline]
    fn put<const AT: usize>(self, bhs: &mut Bhs) {
        self.0.put::<AT>(bhs);
    }
}

/// Declares a PDU by its layout: `flags` are single bits (byte, mask), `code` is a number in the low
/// bits of byte 1, `fields` begin at a byte. `fixed` are the bits of byte 1 that are always one.
macro_rules! pdu {
    (
        $(#[$doc:meta])*
        $name:ident = $opcode:literal, fixed $fixed:literal;
        flags { $($(#[$flag_doc:meta])* $flag:ident = $byte:literal & $mask:literal;)* }
        $(code { $(#[$code_doc:meta])* $code:ident & $code_mask:literal; })?
        fields { $($(#[$field_doc:meta])* $field:ident: $type:ty = $at:literal;)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$flag_doc])* pub $flag: bool,)*
            $($(#[$code_doc])* pub $code: u8,)?
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $name {
            /// The opcode, without the I bit (RFC 7143 §11.2.1.2).
            pub const OPCODE: u8 = $opcode;

            /// Reads the fields of a header. The opcode isn't looked at, and reserved bits are
            /// ignored; which values are allowed is for `session` to say.
            #[must_use]
            #[inline]
            pub fn parse(bhs: &$crate::pdu::Bhs) -> Self {
                Self {
                    $($flag: bhs[$byte] & $mask != 0,)*
                    $($code: bhs[1] & $code_mask,)?
                    $($field: <$type as $crate::pdu::layout::Field>::get::<$at>(bhs),)*
                }
            }

            /// The header of the PDU with a data segment of `data_segment_length` bytes, below 2^24,
            /// and no additional headers.
            #[must_use]
            #[inline]
            pub fn encode(&self, data_segment_length: usize) -> $crate::pdu::Bhs {
                let mut bhs = $crate::pdu::header($opcode, $fixed, data_segment_length);
                $(if self.$flag { bhs[$byte] |= $mask; })*
                $(bhs[1] |= self.$code & $code_mask;)?
                $(<$type as $crate::pdu::layout::Field>::put::<$at>(self.$field, &mut bhs);)*
                bhs
            }
        }
    };
}

pub(super) use pdu;
