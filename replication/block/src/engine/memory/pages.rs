//! Bytes that are mostly zeros: pages, of which only those exist that were written.

use std::collections::BTreeMap;
use std::io;

pub(super) const PAGE: usize = 4096;
/// What is written or lost together.
const SECTOR: usize = 512;

#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    len: u64,
    pages: BTreeMap<u64, Box<[u8; PAGE]>>,
}

impl Pages {
    pub(super) fn new(len: u64) -> Self {
        Self {
            len,
            pages: BTreeMap::new(),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let first = len.div_ceil(PAGE as u64);
            self.pages.split_off(&first);
            let rest = len % PAGE as u64;
            if let Some(page) = self.pages.get_mut(&(len / PAGE as u64))
                && let Some(gone) = usize::try_from(rest).ok().and_then(|at| page.get_mut(at..))
            {
                gone.fill(0);
            }
        }
        self.len = len;
    }

    /// The pages of a range, each with the range of it; an error behind the end.
    fn parts(
        &self,
        offset: u64,
        length: usize,
    ) -> io::Result<impl Iterator<Item = (u64, std::ops::Range<usize>)> + use<>> {
        let end = offset.checked_add(length as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut at = offset;
        let mut left = length;
        Ok(std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let within = usize::try_from(at % PAGE as u64).unwrap_or(0);
            let count = left.min(PAGE - within);
            let part = (at / PAGE as u64, within..within + count);
            at += count as u64;
            left -= count;
            Some(part)
        }))
    }

    pub(super) fn read(&self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        let mut rest = to;
        for (page, within) in self.parts(offset, rest.len())? {
            let (now, later) = rest.split_at_mut(within.len());
            match self.pages.get(&page).and_then(|page| page.get(within)) {
                Some(bytes) => now.copy_from_slice(bytes),
                None => now.fill(0),
            }
            rest = later;
        }
        Ok(())
    }

    pub(super) fn write(&mut self, offset: u64, from: &[u8]) -> io::Result<()> {
        let mut rest = from;
        for (page, within) in self.parts(offset, rest.len())? {
            let (now, later) = rest.split_at(within.len());
            let page = self
                .pages
                .entry(page)
                .or_insert_with(|| Box::new([0; PAGE]));
            if let Some(bytes) = page.get_mut(within) {
                bytes.copy_from_slice(now);
            }
            rest = later;
        }
        Ok(())
    }

    pub(super) fn zero(&mut self, offset: u64, length: usize) -> io::Result<()> {
        for (page, within) in self.parts(offset, length)? {
            if within.len() == PAGE {
                self.pages.remove(&page);
            } else if let Some(bytes) = self.pages.get_mut(&page).and_then(|it| it.get_mut(within))
            {
                bytes.fill(0);
            }
        }
        Ok(())
    }

    /// Numbers of the pages that a range touches.
    pub(super) fn touched(offset: u64, length: u64) -> std::ops::Range<u64> {
        let page = PAGE as u64;
        offset / page..offset.saturating_add(length).div_ceil(page)
    }

    /// Makes a page what it is in `other`, sector by sector where `keep` says so.
    pub(super) fn take(&mut self, number: u64, other: &Self, mut keep: impl FnMut() -> bool) {
        if !self.pages.contains_key(&number) && !other.pages.contains_key(&number) {
            return;
        }
        let zeros = [0; PAGE];
        let from = other.pages.get(&number).map_or(&zeros, |page| &**page);
        let to = self
            .pages
            .entry(number)
            .or_insert_with(|| Box::new([0; PAGE]));
        for (to, from) in to.chunks_mut(SECTOR).zip(from.chunks(SECTOR)) {
            if keep() {
                to.copy_from_slice(from);
            }
        }
    }
}
