//! The tree of a family: which snapshots a volume has, and what was cloned from what. Knows names alone.

use std::collections::HashSet;

use tidelock_admin::v1::{CloneOf, Snapshot, Volume};

use crate::size::format_size;

/// What hangs on what in the volume's family, and how much each of its newest snapshots has for itself.
/// Snapshots of others are there if they have clones. Empty for a volume that shares nothing.
pub(crate) fn family_tree(volume: &Volume, newest: &[Snapshot], clones: &[CloneOf]) -> String {
    let Some(family) = &volume.family else {
        return String::new();
    };
    let members: HashSet<&str> = family.volumes.iter().map(String::as_str).collect();
    let clones: Vec<&CloneOf> = clones
        .iter()
        .filter(|clone| members.contains(clone.name.as_str()) && !clone.origin.copied)
        .collect();
    let is_root = |name: &str| {
        !clones
            .iter()
            .any(|clone| clone.name == name && members.contains(clone.origin.volume.as_str()))
    };
    let mut tree = Tree {
        volume,
        newest,
        clones: &clones,
        seen: HashSet::new(),
        text: String::from("\nfamily\n"),
    };
    let (roots, others): (Vec<&str>, Vec<&str>) = family
        .volumes
        .iter()
        .map(String::as_str)
        .partition(|name| is_root(name));
    // The name of a deleted volume may have been given to a clone of its clone: then no root leads there.
    for name in roots.into_iter().chain(others) {
        tree.add(name);
    }
    tree.text
}

struct Tree<'a> {
    volume: &'a Volume,
    newest: &'a [Snapshot],
    clones: &'a [&'a CloneOf],
    seen: HashSet<&'a str>,
    text: String,
}

impl<'a> Tree<'a> {
    /// A volume with all that hangs on it. With a stack of its own, as clones of clones have no limit.
    fn add(&mut self, root: &'a str) {
        let mut left = vec![(0, Line::Volume(root))];
        while let Some((depth, line)) = left.pop() {
            let indent = "  ".repeat(depth + 1);
            match line {
                Line::Text(text) => self.text.push_str(&format!("{indent}{text}\n")),
                Line::Volume(name) if self.seen.insert(name) => {
                    self.text.push_str(&format!("{indent}{name}\n"));
                    let below = self.below(name);
                    left.extend(below.into_iter().rev().map(|(by, line)| (depth + by, line)));
                }
                Line::Volume(_) => {}
            }
        }
    }

    /// The snapshots of a volume, each with its clones, the newest first; and how much deeper each line is.
    fn below(&self, name: &'a str) -> Vec<(usize, Line<'a>)> {
        let mut lines = Vec::new();
        let mut told = HashSet::new();
        if name == self.volume.name {
            for snapshot in self.newest {
                let own = snapshot.exclusive_bytes.map_or_else(
                    || "unknown how much is its own".into(),
                    |bytes| format!("{} its own", format_size(bytes)),
                );
                lines.push((1, Line::Text(format!("@{}  {own}", snapshot.name))));
                lines.extend(self.clones_of(name, &snapshot.name, false));
                told.insert((snapshot.name.as_str(), false));
            }
            let snapshots = self
                .volume
                .family
                .as_ref()
                .map_or(0, |family| family.snapshots);
            let more = snapshots.saturating_sub(self.newest.len() as u64);
            if more > 0 {
                lines.push((
                    1,
                    Line::Text(format!("{more} older: `tidelock snapshot list {name}`")),
                ));
            }
        }
        for clone in self.clones {
            let origin = &clone.origin;
            if origin.volume == name && told.insert((&origin.snapshot, origin.deleted)) {
                let deleted = if origin.deleted { "  deleted" } else { "" };
                lines.push((1, Line::Text(format!("@{}{deleted}", origin.snapshot))));
                lines.extend(self.clones_of(name, &origin.snapshot, origin.deleted));
            }
        }
        lines
    }

    fn clones_of(
        &self,
        volume: &str,
        snapshot: &str,
        deleted: bool,
    ) -> impl Iterator<Item = (usize, Line<'a>)> {
        let of = |clone: &&&CloneOf| {
            let origin = &clone.origin;
            origin.volume == volume && origin.snapshot == snapshot && origin.deleted == deleted
        };
        let found: Vec<_> = self.clones.iter().filter(of).collect();
        found
            .into_iter()
            .map(|clone| (2, Line::Volume(clone.name.as_str())))
    }
}

enum Line<'a> {
    Volume(&'a str),
    Text(String),
}
