//! What must be so after every step.

use super::*;

impl World {
    /// By which number and as which command the next write is known, if it is of one block.
    pub(in crate::tests) fn next_write(&self) -> (u32, CommandId) {
        (self.ghost.next(), CommandId(self.next_command))
    }

    /// Whether a command hasn't been answered, and its node hasn't crashed.
    pub(in crate::tests) fn is_under_way(&self, command: CommandId) -> bool {
        self.hosts.contains_key(&command)
    }

    pub(super) fn check(&mut self) {
        let found = (0..self.nodes.len()).find_map(|node| self.check_node(node).err());
        let found = found.or_else(|| self.check_pairs().err());
        if let Some(found) = found {
            self.wrong.get_or_insert(found);
        }
    }

    /// Whoever has to be asked answers; late answers count for nothing, and that is for the node to see.
    pub(super) fn permit(&mut self, node: usize) {
        if let Some((number, answered)) = &mut self.nodes[node].asked {
            let number = *number;
            *answered = true;
            self.event(node, Event::MayGoOnAlone(number));
        }
    }

    pub(super) fn alone(&mut self, node: usize) {
        let permitted = self.nodes[node].asked.take().is_some_and(|(_, it)| it);
        self.permitted += u32::from(permitted);
        if self.setup.asks_before_alone && !permitted {
            self.wrong = Some(format!("node {node} goes on alone and may not"));
        }
    }

    fn check_node(&self, node: usize) -> Result<(), String> {
        let it = &self.nodes[node];
        if it.durable.record.lineage.is_empty() {
            return Ok(());
        }
        let engine_receives = it
            .engine
            .as_ref()
            .is_some_and(|it| it.keeper().record().receiving.is_some());
        match (it.durable.record.receiving, it.disk.snapshot()) {
            // What it would go back to.
            (Some(receiving), Some(snapshot)) if receiving.snapshot => {
                self.ghost
                    .check(node, "its safety snapshot", snapshot, true)
            }
            (Some(_), _) => Ok(()),
            (None, _) if engine_receives => Ok(()),
            (None, _) => {
                self.ghost
                    .check(node, "what would survive", it.disk.durable(), true)?;
                if it.engine.is_some() {
                    self.ghost
                        .check(node, "what it holds", it.disk.current(), false)?;
                }
                Ok(())
            }
        }
    }

    /// Ends that agree to be in step have the same content, as soon as nothing is on its way.
    fn check_pairs(&self) -> Result<(), String> {
        for ((a, b), link) in &self.links {
            let (Some(first), Some(second)) = (self.engine(*a), self.engine(*b)) else {
                continue;
            };
            let in_step = |x: &Engine, y: &Engine, a: usize, b: usize| {
                *x.keeper().standing(id(b)) == Standing::InStep
                    && *y.keeper().standing(id(a)) == Standing::Following
            };
            if !in_step(first, second, *a, *b) && !in_step(second, first, *b, *a) {
                continue;
            }
            let idle = |node: usize| {
                self.nodes[node].operations.is_empty() && self.nodes[node].journal.is_empty()
            };
            let quiet = link.queues.iter().all(VecDeque::is_empty) && idle(*a) && idle(*b);
            let (one, other) = (self.nodes[*a].disk.current(), self.nodes[*b].disk.current());
            if quiet && one != other {
                return Err(format!(
                    "{a} and {b} say that they are in step: {one:?}, {other:?}"
                ));
            }
        }
        Ok(())
    }

    /// A target has become the source in the place of another one that may differ from it: in nothing that was promised.
    pub(super) fn check_taken_over(&mut self, node: usize, before: &Record) {
        self.taken_over += 1;
        let content = self.nodes[node].disk.current().to_vec();
        for other in (0..self.nodes.len()).filter(|it| *it != node) {
            let is_same = |it: &Engine| {
                let theirs = it.keeper().record();
                theirs.role == Role::Target
                    && theirs.receiving.is_none()
                    && theirs.lineage == before.lineage
            };
            let same = self.engine(other).is_some_and(is_same);
            if let Err(wrong) = self.ghost.check(other, "it was taken over", &content, true)
                && same
            {
                self.wrong.get_or_insert(wrong);
            }
        }
    }
}
