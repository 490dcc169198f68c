//! Indications: who wants to be told of what (filters, destinations, subscriptions), what has happened since the last look,
//! and the messages that tell of it. Whoever carries them to their destinations is elsewhere.

mod events;
mod export;
mod query;
mod subscribers;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use events::{Event, Seen};
use subscribers::Subscribers;
pub(crate) use subscribers::is_kept;

use crate::error::Result;
use crate::given::GivenInstance;
use crate::instance::Instance;
use crate::model::{Model, Refused};
use crate::path::InstancePath;
use crate::view::View;

/// Refused calls that nobody was told of yet.
const REFUSED_MAX: usize = 64;

/// A message for a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where: a URL.
    pub destination: String,
    /// The body of a POST with the headers CIMExport (`MethodRequest`) and CIMExportMethod (`ExportIndication`).
    pub body: String,
}

/// All that is known of indications.
#[derive(Debug, Default)]
pub(crate) struct Indications {
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    subscribers: Subscribers,
    /// What was there at the last look, if anybody wanted to know.
    seen: Option<Seen>,
    refused: VecDeque<(String, Refused)>,
    messages: u64,
}

impl Indications {
    fn book(&self) -> MutexGuard<'_, Book> {
        // What it holds is whole between any two statements.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is anybody to be told.
    pub(crate) fn has_subscribers(&self) -> bool {
        self.book().subscribers.has_any()
    }

    /// Notes that a method was refused.
    pub(crate) fn refused(&self, method: &str, refused: &Refused) {
        let mut book = self.book();
        if !book.subscribers.has_any() {
            return;
        }
        if book.refused.len() >= REFUSED_MAX {
            book.refused.pop_front();
        }
        book.refused.push_back((method.to_owned(), refused.clone()));
    }

    /// Filters, destinations or subscriptions.
    pub(crate) fn instances(&self, class: &str) -> Vec<Instance> {
        self.book().subscribers.instances(class)
    }

    /// Adds one, durably.
    pub(crate) fn create(
        &self,
        given: &GivenInstance,
        system: &str,
        model: &dyn Model,
    ) -> Result<InstancePath> {
        let mut book = self.book();
        let mut changed = book.subscribers.clone();
        let path = changed.create(given, system, &|url| model.check_listener(url))?;
        keep(&changed, model)?;
        book.subscribers = changed;
        Ok(path)
    }

    /// Removes one, durably.
    pub(crate) fn delete(&self, path: &InstancePath, model: &dyn Model) -> Result<()> {
        let mut book = self.book();
        let mut changed = book.subscribers.clone();
        changed.delete(path)?;
        keep(&changed, model)?;
        book.subscribers = changed;
        Ok(())
    }

    /// Takes up those that were kept.
    pub(crate) fn restore(&self, text: &str) -> Result<()> {
        self.book().subscribers = Subscribers::from_text(text)?;
        Ok(())
    }

    /// What has happened since the last look; `at` is the moment in RFC 3339.
    pub(crate) fn observe(&self, model: &dyn Model, at: &str) -> Vec<Delivery> {
        let mut book = self.book();
        let wanted = book.subscribers.wanted();
        if wanted.is_empty() {
            book.seen = None;
            book.refused.clear();
            return Vec::new();
        }
        let view = View::new(model, self);
        let now = Seen::look(&view, &wanted);
        let mut events = match &book.seen {
            Some(before) => before.differences(&now),
            None => Vec::new(),
        };
        let refused = std::mem::take(&mut book.refused);
        events.extend(refused.iter().filter_map(|it| Event::refused(&view, it)));
        book.seen = Some(now);
        book.tell(&events, at, &view)
    }
}

impl Book {
    fn tell(&mut self, events: &[Event], at: &str, view: &View<'_>) -> Vec<Delivery> {
        let mut all = Vec::new();
        for event in events {
            for destination in self.subscribers.who_wants(event) {
                self.messages += 1;
                all.push(Delivery {
                    destination,
                    body: export::message(self.messages, &event.instance(at, self.messages, view)),
                });
            }
        }
        all
    }
}

fn keep(subscribers: &Subscribers, model: &dyn Model) -> Result<()> {
    model
        .keep_subscriptions(&subscribers.to_text())
        .map_err(|reason| {
            let text = format!("it can't be kept: {reason}");
            crate::error::CimError::new(crate::error::StatusCode::Failed, text)
        })
}
