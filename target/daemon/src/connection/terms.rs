//! What a session is set up with: the daemon's settings, with what its target and the entry of the
//! access list set laid over them, and never more than memory allows. Decides nothing about access.

use std::time::Duration;

use tidelock_catalog::{DigestUse, SessionParameters};
use tidelock_iscsi::parameters::{DigestPolicy, LocalParameters};

use crate::config::Config;
use crate::reactor::Local;

/// Commands that may come right behind the login; the session opens its window as it has room.
const FIRST_WINDOW: u32 = 8;

/// The terms of one session that the login doesn't negotiate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long a connection may be silent before it is sent a NOP-In; zero for never.
    pub nop_interval: Duration,
    /// How long the answer may take.
    pub nop_timeout: Duration,
    /// Commands that it may have outstanding, whatever memory there is.
    pub queue_depth: u32,
}

impl Terms {
    /// The daemon's settings with `parameters` laid over them.
    #[must_use]
    pub fn new(config: &Config, parameters: &SessionParameters) -> Self {
        let seconds = |given: Option<u32>, otherwise| {
            given.map_or(otherwise, |given| Duration::from_secs(given.into()))
        };
        Self {
            nop_interval: seconds(parameters.nop_interval, config.nop_interval),
            nop_timeout: seconds(parameters.nop_timeout, config.nop_timeout),
            queue_depth: parameters.queue_depth.unwrap_or(config.command_window),
        }
    }
}

/// What we declare and offer in a login to a target whose parameters these are.
#[must_use]
pub(super) fn local_parameters(local: &Local, parameters: &SessionParameters) -> LocalParameters {
    let depth = Terms::new(&local.shared.config, parameters).queue_depth;
    let base = local.shared.local_parameters(FIRST_WINDOW.min(depth));
    let offer = local.unsolicited_offer();
    let base = LocalParameters {
        first_burst_length: base.first_burst_length.min(offer),
        ..base
    };
    // A session that may send more than its share unasked could hold all receive memory with commands
    // that aren't complete; the window alone can't prevent that, as it has to leave room for some.
    laid_over(base, parameters, local.unsolicited_limit())
}

fn laid_over(base: LocalParameters, set: &SessionParameters, unsolicited: u32) -> LocalParameters {
    let max_burst_length = set.max_burst_length.unwrap_or(base.max_burst_length);
    let first_burst_length = match set.first_burst_length {
        Some(length) => length.min(unsolicited),
        None => base.first_burst_length,
    };
    LocalParameters {
        header_digest: set.header_digest.map_or(base.header_digest, policy),
        data_digest: set.data_digest.map_or(base.data_digest, policy),
        // A segment that is half received holds memory as well.
        max_recv_data_segment_length: match set.max_recv_data_segment_length {
            Some(length) => length.min(unsolicited.max(base.max_recv_data_segment_length)),
            None => base.max_recv_data_segment_length,
        },
        max_burst_length,
        first_burst_length: first_burst_length.min(max_burst_length),
        initial_r2t: set.initial_r2t.unwrap_or(base.initial_r2t),
        immediate_data: set.immediate_data.unwrap_or(base.immediate_data),
        max_outstanding_r2t: set
            .max_outstanding_r2t
            .map_or(base.max_outstanding_r2t, |most| {
                u16::try_from(most).unwrap_or(u16::MAX)
            }),
        ..base
    }
}

fn policy(digest: DigestUse) -> DigestPolicy {
    match digest {
        DigestUse::Required => DigestPolicy::Required,
        DigestUse::Allowed => DigestPolicy::Any,
        DigestUse::Off => DigestPolicy::Disabled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_holds_and_the_rest_is_as_before() {
        let base = LocalParameters::default();
        let nothing = SessionParameters::default();
        assert_eq!(laid_over(base.clone(), &nothing, 65_536), base);
        let set = SessionParameters {
            header_digest: Some(DigestUse::Required),
            data_digest: Some(DigestUse::Off),
            max_burst_length: Some(8_192),
            immediate_data: Some(false),
            initial_r2t: Some(true),
            max_outstanding_r2t: Some(4),
            ..nothing
        };
        let expected = LocalParameters {
            header_digest: DigestPolicy::Required,
            data_digest: DigestPolicy::Disabled,
            max_burst_length: 8_192,
            first_burst_length: 8_192,
            immediate_data: false,
            initial_r2t: true,
            max_outstanding_r2t: 4,
            ..base.clone()
        };
        assert_eq!(laid_over(base, &set, 65_536), expected);
    }

    #[test]
    fn no_more_comes_unasked_than_memory_allows() {
        let set = SessionParameters {
            max_burst_length: Some(16_777_215),
            first_burst_length: Some(16_777_215),
            max_recv_data_segment_length: Some(16_777_215),
            ..SessionParameters::default()
        };
        let laid = laid_over(LocalParameters::default(), &set, 100_000);
        let daemons_own = LocalParameters::default().max_recv_data_segment_length;
        assert_eq!(laid.max_recv_data_segment_length, daemons_own);
        let roomy = laid_over(LocalParameters::default(), &set, 1 << 20);
        assert_eq!(roomy.max_recv_data_segment_length, 1 << 20);
        assert_eq!(laid.max_burst_length, 16_777_215);
        assert_eq!(laid.first_burst_length, 100_000);
    }
}
