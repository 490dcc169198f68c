//! What happens, as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use tidelock_admin::v1;
use tokio::sync::broadcast::error::RecvError;

use crate::admin_server::router::Shared;
use crate::admin_server::stopped;

/// A silent stream gets a comment this often, so that a client that has gone is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(in crate::admin_server) async fn stream(
    State(shared): State<Shared>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (events, stop) = (shared.control.events(), shared.stop);
    let stream = unfold((events, stop), |(mut events, mut stop)| async move {
        let event = tokio::select! {
            () = stopped(&mut stop) => return None,
            event = events.recv() => event,
        };
        let event = match event {
            Ok(event) => event,
            Err(RecvError::Lagged(count)) => missed(count),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok(encode(&event)), (events, stop)))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

fn missed(count: u64) -> v1::Event {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let at_unix_ms = now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    v1::Event {
        at_unix_ms,
        kind: v1::EventKind::Missed { count },
    }
}

fn encode(event: &v1::Event) -> Event {
    let name = event.kind.name();
    // Plain structures always have a JSON form.
    Event::default()
        .event(name)
        .json_data(event)
        .unwrap_or_else(|_| Event::default().event(name))
}
