//! Residual counts: what a command would have moved against what the initiator expected
//! (RFC 7143 §11.4.5).

/// How far a transfer missed the expected length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Residual {
    /// There was more.
    pub(super) overflow: bool,
    /// There was less.
    pub(super) underflow: bool,
    /// By how many bytes; more than 2^32 - 1 are given as that.
    pub(super) count: u32,
}

impl Residual {
    #[inline]
    pub(super) fn new(expected: u32, moved: u64) -> Self {
        let expected = u64::from(expected);
        Self {
            overflow: moved > expected,
            underflow: moved < expected,
            count: u32::try_from(moved.abs_diff(expected)).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_an_overflow_and_less_an_underflow() {
        let residual = |overflow, underflow, count| Residual {
            overflow,
            underflow,
            count,
        };
        assert_eq!(Residual::new(512, 512), residual(false, false, 0));
        assert_eq!(Residual::new(512, 1_024), residual(true, false, 512));
        assert_eq!(Residual::new(512, 36), residual(false, true, 476));
        assert_eq!(Residual::new(0, u64::MAX), residual(true, false, u32::MAX));
    }
}
