//! Parameters of sessions, between the words of the API and those of the catalog.

use tidelock_admin::v1;
use tidelock_catalog::{DigestUse, SessionParameters};

/// What a request sets. A number that doesn't fit is out of range for the catalog as well.
pub(super) fn parse(given: &v1::SessionParameters) -> SessionParameters {
    let digest = |digest: Option<v1::DigestUse>| {
        digest.map(|digest| match digest {
            v1::DigestUse::Required => DigestUse::Required,
            v1::DigestUse::Allowed => DigestUse::Allowed,
            v1::DigestUse::Off => DigestUse::Off,
        })
    };
    let number =
        |number: Option<u64>| number.map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    SessionParameters {
        header_digest: digest(given.header_digest),
        data_digest: digest(given.data_digest),
        max_recv_data_segment_length: number(given.max_recv_data_segment_length),
        max_burst_length: number(given.max_burst_length),
        first_burst_length: number(given.first_burst_length),
        initial_r2t: given.initial_r2t,
        immediate_data: given.immediate_data,
        max_outstanding_r2t: number(given.max_outstanding_r2t),
        nop_interval: number(given.nop_interval),
        nop_timeout: number(given.nop_timeout),
        max_sessions: number(given.max_sessions),
        queue_depth: number(given.queue_depth),
    }
}

/// What is set.
pub(super) fn view(set: SessionParameters) -> v1::SessionParameters {
    let digest = |digest: Option<DigestUse>| {
        digest.map(|digest| match digest {
            DigestUse::Required => v1::DigestUse::Required,
            DigestUse::Allowed => v1::DigestUse::Allowed,
            DigestUse::Off => v1::DigestUse::Off,
        })
    };
    v1::SessionParameters {
        header_digest: digest(set.header_digest),
        data_digest: digest(set.data_digest),
        max_recv_data_segment_length: set.max_recv_data_segment_length.map(u64::from),
        max_burst_length: set.max_burst_length.map(u64::from),
        first_burst_length: set.first_burst_length.map(u64::from),
        initial_r2t: set.initial_r2t,
        immediate_data: set.immediate_data,
        max_outstanding_r2t: set.max_outstanding_r2t.map(u64::from),
        nop_interval: set.nop_interval.map(u64::from),
        nop_timeout: set.nop_timeout.map(u64::from),
        max_sessions: set.max_sessions.map(u64::from),
        queue_depth: set.queue_depth.map(u64::from),
    }
}
