//! The books of what is under way: few entries that come and go with every write. They are in a row in memory, so that keeping
//! them takes none, and looking through all of them next to no time. Know nothing of what they are about.

use std::collections::{BTreeSet, VecDeque};

use smallvec::SmallVec;

use crate::id::{NodeId, OperationId};

/// Entries by their keys, in their order. Made for keys that come in order, and go nearly in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Book<K, T>(VecDeque<(K, T)>);

impl<K, T> Default for Book<K, T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<K: Ord + Copy, T> Book<K, T> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where it is, or belongs.
    fn place(&self, key: K) -> Result<usize, usize> {
        self.0.binary_search_by_key(&key, |it| it.0)
    }

    /// Enters something; what was there under this key is replaced.
    pub(super) fn insert(&mut self, key: K, it: T) {
        if self.0.back().is_none_or(|last| last.0 < key) {
            self.0.push_back((key, it));
            return;
        }
        match self.place(key) {
            Ok(at) => {
                if let Some(entry) = self.0.get_mut(at) {
                    entry.1 = it;
                }
            }
            Err(at) => self.0.insert(at, (key, it)),
        }
    }

    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut T> {
        let at = self.place(key).ok()?;
        self.0.get_mut(at).map(|it| &mut it.1)
    }

    pub(super) fn remove(&mut self, key: K) -> Option<T> {
        let at = self.place(key).ok()?;
        self.0.remove(at).map(|it| it.1)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, it)| it)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, it)| it)
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        self.0.retain_mut(|(_, it)| keep(it));
    }
}

/// Some peers: hardly ever more than two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Nodes(SmallVec<[NodeId; 2]>);

impl Nodes {
    pub(super) fn insert(&mut self, node: NodeId) {
        if let Err(at) = self.0.binary_search(&node) {
            self.0.insert(at, node);
        }
    }

    pub(super) fn remove(&mut self, node: NodeId) {
        if let Ok(at) = self.0.binary_search(&node) {
            self.0.remove(at);
        }
    }

    /// Whether none of those is among these.
    pub(super) fn has_none_of(&self, nodes: &BTreeSet<NodeId>) -> bool {
        !self.0.iter().any(|it| nodes.contains(it))
    }
}

/// Operations of the disk that aren't answered, by their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Operations<T> {
    /// The last one isn't empty.
    places: Vec<Option<T>>,
    /// The first empty one, or the one behind all.
    free: usize,
}

impl<T> Default for Operations<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: 0,
        }
    }
}

impl<T> Operations<T> {
    /// Gives it the first free number, so that histories that lead to the same state are the same.
    pub(super) fn insert(&mut self, it: T) -> OperationId {
        let number = self.free;
        match self.places.get_mut(number) {
            Some(place) => *place = Some(it),
            None => self.places.push(Some(it)),
        }
        let behind = self.places.iter().skip(number + 1);
        let taken = behind.take_while(|it| it.is_some()).count();
        self.free = number + 1 + taken;
        OperationId(number as u64)
    }

    pub(super) fn get(&self, operation: OperationId) -> Option<&T> {
        let at = usize::try_from(operation.0).ok()?;
        self.places.get(at)?.as_ref()
    }

    pub(super) fn remove(&mut self, operation: OperationId) -> Option<T> {
        let at = usize::try_from(operation.0).ok()?;
        let it = self.places.get_mut(at)?.take()?;
        while self.places.last().is_some_and(Option::is_none) {
            self.places.pop();
        }
        self.free = self.free.min(at);
        Some(it)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_book_is_a_map(changes in prop::collection::vec((any::<bool>(), 0_u64..12), 0..60)) {
            let (mut book, mut map) = (Book::default(), BTreeMap::new());
            for (number, (enters, key)) in changes.into_iter().enumerate() {
                if enters {
                    book.insert(key, number);
                    map.insert(key, number);
                } else {
                    prop_assert_eq!(book.remove(key), map.remove(&key));
                }
                prop_assert_eq!(book.get_mut(key).copied(), map.get(&key).copied());
                prop_assert!(book.values().eq(map.values()));
            }
        }

        #[test]
        fn the_first_free_number_is_given(changes in prop::collection::vec((any::<bool>(), 0_u64..12), 0..60)) {
            let (mut operations, mut map) = (Operations::default(), BTreeMap::new());
            for (enters, number) in changes {
                if enters {
                    let first = (0..).find(|it| !map.contains_key(it)).unwrap();
                    prop_assert_eq!(operations.insert(first), OperationId(first));
                    map.insert(first, first);
                } else {
                    prop_assert_eq!(operations.remove(OperationId(number)), map.remove(&number));
                }
                prop_assert_eq!(operations.get(OperationId(number)).copied(), map.get(&number).copied());
            }
            // Equal contents are equal, however they came about.
            let mut anew = Operations::default();
            let end = map.keys().next_back().map_or(0, |it| it + 1);
            for number in 0..end {
                anew.insert(number);
            }
            for number in (0..end).filter(|it| !map.contains_key(it)) {
                anew.remove(OperationId(number));
            }
            prop_assert_eq!(anew, operations);
        }
    }
}
