//! Connections that haven't logged in yet: no more than a limit, and when it is reached the one that
//! has waited longest goes, so that a flood of silent connections doesn't keep anybody out.

use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::Notify;

/// The half-open connections of one reactor.
#[derive(Debug, Default)]
pub struct HalfOpen {
    waiting: BTreeMap<u64, Rc<Notify>>,
    next: u64,
}

impl HalfOpen {
    /// Adds a connection and sends the oldest away while there are more than `limit`. Returns the
    /// number to give to `remove`, and what is notified when this one is sent away itself.
    pub fn add(&mut self, limit: usize) -> (u64, Rc<Notify>) {
        let number = self.next;
        self.next += 1;
        let gone = Rc::new(Notify::new());
        self.waiting.insert(number, Rc::clone(&gone));
        while self.waiting.len() > limit.max(1) {
            if let Some((_, oldest)) = self.waiting.pop_first() {
                oldest.notify_one();
            }
        }
        (number, gone)
    }

    /// Takes a connection off: it has logged in or ended.
    pub fn remove(&mut self, number: u64) {
        self.waiting.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn beyond_the_limit_the_oldest_goes_and_the_newest_stays() {
        let mut half_open = HalfOpen::default();
        let (_, first) = half_open.add(2);
        let (second_number, second) = half_open.add(2);
        let _third = half_open.add(2);
        first.notified().await;
        half_open.remove(second_number);
        let _fourth = half_open.add(2);
        let nothing = tokio::time::timeout(std::time::Duration::ZERO, second.notified()).await;
        assert!(nothing.is_err());
    }
}
