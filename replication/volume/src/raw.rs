//! The raw format: the image is the file, byte for byte, and any tool can read it.

use smallvec::smallvec;

use crate::{Geometry, Piece, Plan, Range, RangeError};

/// The identity map over a geometry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawMap {
    geometry: Geometry,
}

impl RawMap {
    /// The map of a volume of this geometry.
    #[must_use]
    pub fn new(geometry: Geometry) -> Self {
        Self { geometry }
    }

    /// The geometry it covers.
    #[must_use]
    pub fn geometry(self) -> Geometry {
        self.geometry
    }

    /// Where to read a range from.
    ///
    /// # Errors
    /// The range isn't of whole blocks inside the volume.
    pub fn plan_read(self, range: Range) -> Result<Plan, RangeError> {
        self.plan(range)
    }

    /// Where to write a range to. A raw volume is written in place, always.
    ///
    /// # Errors
    /// The range isn't of whole blocks inside the volume.
    pub fn plan_write(self, range: Range) -> Result<Plan, RangeError> {
        self.plan(range)
    }

    fn plan(self, range: Range) -> Result<Plan, RangeError> {
        self.geometry.check(range)?;
        if range.length == 0 {
            return Ok(Plan::new());
        }
        Ok(smallvec![Piece::Home {
            offset: range.offset,
            length: range.length
        }])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::BlockSize;

    #[test]
    fn an_empty_range_needs_no_piece() {
        let map = RawMap::new(Geometry::new(BlockSize::B512, 4096).unwrap());
        assert!(
            map.plan_read(Range {
                offset: 512,
                length: 0
            })
            .unwrap()
            .is_empty()
        );
    }

    proptest! {
        #[test]
        fn a_plan_covers_its_range_exactly_or_is_refused(
            blocks in 1_u64..1 << 20,
            offset in any::<u64>(),
            length in any::<u64>(),
            whole in any::<bool>(),
        ) {
            let bytes = blocks * 512;
            let map = RawMap::new(Geometry::new(BlockSize::B512, bytes).unwrap());
            let cut = |value: u64| if whole { value % (bytes * 2) / 512 * 512 } else { value };
            let range = Range { offset: cut(offset), length: cut(length) };
            let end = u128::from(range.offset) + u128::from(range.length);
            let legal = end <= u128::from(bytes)
                && range.offset.is_multiple_of(512)
                && range.length.is_multiple_of(512);
            match map.plan_write(range) {
                Ok(plan) => {
                    prop_assert!(legal);
                    prop_assert_eq!(plan.iter().map(|p| p.length()).sum::<u64>(), range.length);
                    if let Some(Piece::Home { offset, .. }) = plan.first() {
                        prop_assert_eq!(*offset, range.offset);
                    }
                }
                Err(_) => prop_assert!(!legal),
            }
        }
    }
}
