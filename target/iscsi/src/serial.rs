//! Serial number arithmetic for CmdSN, StatSN, DataSN and R2TSN (RFC 7143 §4.2.2, RFC 1982 with 32
//! bits). Knows nothing of what is numbered.

use std::fmt;

/// A 32-bit number that wraps around, ordered by RFC 1982: `a` is before `b` when the way from `a` up
/// to `b` is shorter than 2^31.
///
/// There is no `Ord`: the relation isn't transitive, and a pair that is 2^31 apart has no order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SerialNumber(pub u32);

impl SerialNumber {
    /// The number that comes `count` later.
    #[must_use]
    #[inline]
    pub const fn plus(self, count: u32) -> Self {
        Self(self.0.wrapping_add(count))
    }

    /// The number that comes `count` earlier.
    #[must_use]
    #[inline]
    pub const fn minus(self, count: u32) -> Self {
        Self(self.0.wrapping_sub(count))
    }

    /// The next number.
    #[must_use]
    #[inline]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// How many steps lead up from `earlier` to `self`, modulo 2^32.
    #[must_use]
    #[inline]
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// Whether `self` comes before `other`. False for equal numbers and for a pair 2^31 apart.
    #[must_use]
    #[inline]
    pub const fn is_before(self, other: Self) -> bool {
        let way = other.since(self);
        way != 0 && way < 1 << 31
    }

    /// Whether `self` comes after `other`.
    #[must_use]
    #[inline]
    pub const fn is_after(self, other: Self) -> bool {
        other.is_before(self)
    }

    /// The later of the two.
    #[must_use]
    #[inline]
    pub const fn later(self, other: Self) -> Self {
        if self.is_before(other) { other } else { self }
    }
}

impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn order_survives_the_wrap_around() {
        let last = SerialNumber(u32::MAX);
        let first = SerialNumber(0);
        assert!(last.is_before(first));
        assert!(first.is_after(last));
        assert_eq!(last.next(), first);
        assert_eq!(first.minus(1), last);
        assert_eq!(first.since(last), 1);
        assert_eq!(last.later(first), first);
    }

    #[test]
    fn numbers_half_a_circle_apart_have_no_order() {
        let (a, b) = (SerialNumber(5), SerialNumber(5 + (1 << 31)));
        assert!(!a.is_before(b) && !b.is_before(a));
        assert!(SerialNumber(5).is_before(SerialNumber(4 + (1 << 31))));
    }

    proptest! {
        #[test]
        fn adding_less_than_half_a_circle_goes_forward(n: u32, count in 1_u32..(1 << 31)) {
            let n = SerialNumber(n);
            prop_assert!(n.is_before(n.plus(count)));
            prop_assert!(!n.plus(count).is_before(n));
            prop_assert_eq!(n.plus(count).since(n), count);
            prop_assert_eq!(n.plus(count).minus(count), n);
            prop_assert_eq!(n.later(n.plus(count)), n.plus(count));
        }
    }
}
