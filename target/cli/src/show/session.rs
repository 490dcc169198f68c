//! Sessions as text.

use tidelock_admin::v1::Session;

use crate::render::{duration, table};
use crate::size::format_size;

pub(crate) fn sessions(sessions: &[Session], now_unix_ms: u64) -> String {
    if sessions.is_empty() {
        return "no sessions\n".into();
    }
    let row = |session: &Session| {
        let digests = match (session.header_digest, session.data_digest) {
            (false, false) => "-",
            (true, false) => "header",
            (false, true) => "data",
            (true, true) => "both",
        };
        [
            session.id.to_string(),
            session.initiator.clone(),
            session
                .target
                .clone()
                .unwrap_or_else(|| "(discovery)".into()),
            from(session),
            duration(now_unix_ms.saturating_sub(session.since_unix_ms) / 1_000),
            digests.into(),
            session.commands.to_string(),
            format_size(session.read_bytes),
            format_size(session.written_bytes),
        ]
    };
    let header = [
        "ID",
        "INITIATOR",
        "TARGET",
        "FROM",
        "FOR",
        "DIGESTS",
        "COMMANDS",
        "READ",
        "WRITTEN",
    ];
    table(header, &[0, 6, 7, 8], sessions.iter().map(row))
}

/// Where it comes from: all its connections, if there are several.
fn from(session: &Session) -> String {
    match session.connections.as_slice() {
        [] | [_] => session.peer.clone(),
        several => several.join(", "),
    }
}
