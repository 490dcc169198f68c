//! Sets of values of one map. Small and copied freely.

use std::fmt;
use std::marker::PhantomData;

use super::{Edition, ValueMap};

/// A set of values of one map, in the order of their numbers.
pub struct ValueSet<T> {
    /// Bit N is set if the value N is in it.
    bits: u128,
    of: PhantomData<fn() -> T>,
}

impl<T> ValueSet<T> {
    /// No values.
    pub const EMPTY: Self = Self::from_bits(0);

    /// The set with these bits, which the map's own code has made.
    pub(crate) const fn from_bits(bits: u128) -> Self {
        Self {
            bits,
            of: PhantomData,
        }
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// How many are in it.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.bits.count_ones()
    }

    /// What is in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self::from_bits(self.bits | other.bits)
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self::from_bits(self.bits & other.bits)
    }

    /// What is in this one and not in the other.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self::from_bits(self.bits & !other.bits)
    }
}

impl<T: ValueMap> ValueSet<T> {
    /// All values of the map.
    #[must_use]
    pub fn all() -> Self {
        T::ALL.iter().copied().collect()
    }

    /// Whether the value is in it.
    #[must_use]
    pub fn contains(self, value: T) -> bool {
        self.bits & (1 << value.value()) != 0
    }

    /// The set with this value as well.
    #[must_use]
    pub fn with(self, value: T) -> Self {
        Self::from_bits(self.bits | 1 << value.value())
    }

    /// The set without this value.
    #[must_use]
    pub fn without(self, value: T) -> Self {
        Self::from_bits(self.bits & !(1 << value.value()))
    }

    /// Only what an interface of that age may show.
    #[must_use]
    pub fn up_to(self, edition: Edition) -> Self {
        self.iter()
            .filter(|value| value.edition() <= edition)
            .collect()
    }

    /// The values, ascending.
    pub fn iter(self) -> impl Iterator<Item = T> {
        T::ALL
            .iter()
            .copied()
            .filter(move |value| self.contains(*value))
    }
}

impl<T: ValueMap> FromIterator<T> for ValueSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        values.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl<T> Clone for ValueSet<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for ValueSet<T> {}

impl<T> Default for ValueSet<T> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<T> PartialEq for ValueSet<T> {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
}

impl<T> Eq for ValueSet<T> {}

impl<T: ValueMap> fmt::Debug for ValueSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
