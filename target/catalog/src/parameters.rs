//! What sessions are set up with, where a target or an access list's entry says other than the daemon's
//! settings do. Only values and their ranges: negotiates nothing.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Whether sessions have CRC32C over headers or data (RFC 7143 §13.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DigestUse {
    /// A login without it fails.
    Required,
    /// As the initiator prefers.
    Allowed,
    /// Never.
    Off,
}

macro_rules! parameters {
    ($($(#[$doc:meta])* $field:ident: $type:ty;)+) => {
        /// Parameters of sessions; what isn't set is as the next one says that is asked: an entry of an
        /// access list, then its target, then the daemon's settings.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct SessionParameters {
            $(
                $(#[$doc])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )+
        }

        impl SessionParameters {
            /// The names of all.
            pub const NAMES: &[&str] = &[$(stringify!($field)),+];

            /// What holds where `self` has been asked first and `base` next.
            #[must_use]
            pub fn over(self, base: Self) -> Self {
                Self { $($field: self.$field.or(base.$field)),+ }
            }

            /// Sets one to nothing.
            ///
            /// # Errors
            /// There is none of that name.
            pub fn reset(&mut self, name: &str) -> Result<(), ParameterError> {
                match name {
                    $(stringify!($field) => self.$field = None,)+
                    _ => {
                        let name = name.chars().take(64).collect();
                        return Err(ParameterError::Unknown { name });
                    }
                }
                Ok(())
            }
        }
    };
}

parameters! {
    /// CRC32C over headers.
    header_digest: DigestUse;
    /// CRC32C over data.
    data_digest: DigestUse;
    /// The longest data segment that we receive, 512 to 2^24-1 bytes (RFC 7143 §13.12). A session gets
    /// less when the daemon's memory is short.
    max_recv_data_segment_length: u32;
    /// The most of MaxBurstLength, 512 to 2^24-1 bytes (RFC 7143 §13.13).
    max_burst_length: u32;
    /// The most of FirstBurstLength, 512 to 2^24-1 bytes, and not above `max_burst_length`
    /// (RFC 7143 §13.14). A session gets less when the daemon's memory is short.
    first_burst_length: u32;
    /// Insist that data is asked for; `false` leaves it to the initiator (RFC 7143 §13.10).
    initial_r2t: bool;
    /// Whether commands may carry data, if the initiator wants that (RFC 7143 §13.11).
    immediate_data: bool;
    /// The most of MaxOutstandingR2T, 1 to 65535 (RFC 7143 §13.17).
    max_outstanding_r2t: u32;
    /// Seconds of silence after which the initiator is pinged, 0 (never) to 600.
    nop_interval: u32;
    /// Seconds that the answer to a ping may take, 1 to 600.
    nop_timeout: u32;
    /// For a target: sessions that it may have; for an entry: sessions that one of its initiators may
    /// have with the target. 1 to 32768.
    max_sessions: u32;
    /// Commands that a session may have outstanding, 1 to 1024. Fewer when the daemon's memory is short.
    queue_depth: u32;
}

/// Lengths in bytes (RFC 7143 §13.12 to §13.14).
const LENGTHS: RangeInclusive<u32> = 512..=0xff_ffff;

impl SessionParameters {
    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether every one is in its range and they fit together.
    ///
    /// # Errors
    /// One that isn't, or doesn't.
    pub fn check(&self) -> Result<(), ParameterError> {
        let ranges = [
            (
                "max_recv_data_segment_length",
                self.max_recv_data_segment_length,
                LENGTHS,
            ),
            ("max_burst_length", self.max_burst_length, LENGTHS),
            ("first_burst_length", self.first_burst_length, LENGTHS),
            ("max_outstanding_r2t", self.max_outstanding_r2t, 1..=65_535),
            ("nop_interval", self.nop_interval, 0..=600),
            ("nop_timeout", self.nop_timeout, 1..=600),
            ("max_sessions", self.max_sessions, 1..=32_768),
            ("queue_depth", self.queue_depth, 1..=1_024),
        ];
        for (name, value, range) in ranges {
            if let Some(value) = value.filter(|value| !range.contains(value)) {
                let (low, high) = range.into_inner();
                return Err(ParameterError::OutOfRange {
                    name,
                    value,
                    low,
                    high,
                });
            }
        }
        if let (Some(first), Some(most)) = (self.first_burst_length, self.max_burst_length)
            && first > most
        {
            return Err(ParameterError::FirstBurst { first, most });
        }
        Ok(())
    }
}

/// Why parameters can't be set.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// There is none of that name.
    #[error("there is no parameter {name:?}: there are {}", SessionParameters::NAMES.join(", "))]
    Unknown {
        /// The name, cut to a length that is fit for a message.
        name: String,
    },
    /// A value that it can't have.
    #[error("{name} can't be {value}: it goes from {low} to {high}")]
    OutOfRange {
        /// Which one.
        name: &'static str,
        /// What was asked for.
        value: u32,
        /// The lowest value.
        low: u32,
        /// The highest value.
        high: u32,
    },
    /// More unsolicited data than a burst has (RFC 7143 §13.14).
    #[error(
        "first_burst_length ({first}) can't be more than max_burst_length ({most}) (RFC 7143 §13.14)"
    )]
    FirstBurst {
        /// FirstBurstLength.
        first: u32,
        /// MaxBurstLength.
        most: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_of_each_range_are_in_it_and_their_neighbours_are_not() {
        type Set = fn(&mut SessionParameters, u32);
        let cases: [(Set, u32, u32); 8] = [
            (
                |p, v| p.max_recv_data_segment_length = Some(v),
                512,
                16_777_215,
            ),
            (|p, v| p.max_burst_length = Some(v), 512, 16_777_215),
            (|p, v| p.first_burst_length = Some(v), 512, 16_777_215),
            (|p, v| p.max_outstanding_r2t = Some(v), 1, 65_535),
            (|p, v| p.nop_interval = Some(v), 0, 600),
            (|p, v| p.nop_timeout = Some(v), 1, 600),
            (|p, v| p.max_sessions = Some(v), 1, 32_768),
            (|p, v| p.queue_depth = Some(v), 1, 1_024),
        ];
        for (set, low, high) in cases {
            let check = |value: u32| {
                let mut parameters = SessionParameters::default();
                set(&mut parameters, value);
                parameters.check()
            };
            assert_eq!((check(low), check(high)), (Ok(()), Ok(())));
            for value in [low.checked_sub(1), Some(high + 1), Some(u32::MAX)] {
                let Some(value) = value else { continue };
                let error = check(value).unwrap_err().to_string();
                assert!(error.contains(&format!("from {low} to {high}")), "{error}");
            }
        }
    }

    #[test]
    fn the_first_burst_is_not_longer_than_a_burst() {
        let parameters = |first, most| SessionParameters {
            first_burst_length: Some(first),
            max_burst_length: Some(most),
            ..SessionParameters::default()
        };
        assert_eq!(parameters(4_096, 4_096).check(), Ok(()));
        let error = parameters(4_097, 4_096).check().unwrap_err();
        assert_eq!(
            error,
            ParameterError::FirstBurst {
                first: 4_097,
                most: 4_096
            }
        );
    }

    #[test]
    fn what_is_set_first_holds_and_every_name_can_be_reset() {
        let base = SessionParameters {
            queue_depth: Some(8),
            nop_interval: Some(5),
            ..SessionParameters::default()
        };
        let mut entry = SessionParameters {
            queue_depth: Some(2),
            initial_r2t: Some(true),
            ..SessionParameters::default()
        };
        let both = entry.over(base);
        assert_eq!(both.queue_depth, Some(2));
        assert_eq!(both.nop_interval, Some(5));
        assert_eq!(both.initial_r2t, Some(true));
        for name in SessionParameters::NAMES {
            entry.reset(name).unwrap();
        }
        assert!(entry.is_empty());
        let error = entry.reset("queue-depth").unwrap_err().to_string();
        assert!(error.contains("header_digest, data_digest"), "{error}");
    }
}
