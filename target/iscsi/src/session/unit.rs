//! Logical units as far as a session tells them apart: by the LUNs on the wire. Knows none of them.

/// Which logical units something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// One, by its LUN in one form.
    Unit([u8; 8]),
    /// All of them.
    All,
}

impl Scope {
    /// The logical unit with that LUN. A number below 256 can come in two forms (SAM-5 §4.7.7): as
    /// a peripheral device, and in the flat space.
    #[inline]
    pub(super) fn of(mut lun: [u8; 8]) -> Self {
        if lun[0] == 0x40 {
            lun[0] = 0;
        }
        Self::Unit(lun)
    }

    /// Whether a task for that LUN is meant.
    #[inline]
    pub(super) fn has(self, lun: [u8; 8]) -> bool {
        self.overlaps(Self::of(lun))
    }

    /// Whether both mean the same logical unit, or one of them all.
    #[inline]
    pub(super) fn overlaps(self, other: Self) -> bool {
        self == other || self == Self::All || other == Self::All
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_the_same_in_both_forms_of_its_lun() {
        let peripheral = Scope::of([0, 7, 0, 0, 0, 0, 0, 0]);
        assert!(peripheral.has([0x40, 7, 0, 0, 0, 0, 0, 0]));
        assert!(!peripheral.has([0x41, 7, 0, 0, 0, 0, 0, 0]));
        assert!(!peripheral.has([0, 8, 0, 0, 0, 0, 0, 0]));
        assert!(Scope::All.has([0x41, 7, 0, 0, 0, 0, 0, 0]));
        assert!(peripheral.overlaps(Scope::All));
    }
}
