//! Talking to the service manager: ready, stopping, watchdog. Silent when there is none.

use std::time::Duration;

use sd_notify::NotifyState;

/// Tells the service manager that the portals are open.
pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Tells the service manager that the daemon drains and flushes.
pub fn stopping() {
    notify(&[
        NotifyState::Stopping,
        NotifyState::Status("draining sessions, flushing volumes"),
    ]);
}

/// Pats the watchdog at half its period for as long as it is polled, if the unit has one.
pub async fn watchdog() {
    let Some(period) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let mut ticks = tokio::time::interval((period / 2).max(Duration::from_millis(10)));
    loop {
        ticks.tick().await;
        notify(&[NotifyState::Watchdog]);
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager did not take a notice");
    }
}
