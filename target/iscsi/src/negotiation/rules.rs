//! One rule per operational key: its kind, its range, its result function, and where it belongs
//! (RFC 7143 §13). Knows nothing of what came before.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use crate::parameters::{
    DigestPolicy, LocalParameters, MAX_LENGTH, MAX_TIME, MIN_LENGTH, Parameters, TaskReporting,
};
use crate::text::{Boolean, Key, REJECT, list, numerical};

/// Lengths in bytes.
const LENGTHS: RangeInclusive<u32> = MIN_LENGTH..=MAX_LENGTH;
/// Times in seconds.
const TIMES: RangeInclusive<u32> = 0..=MAX_TIME as u32;

/// What goes back for an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Value(Cow<'static, str>),
    /// A declaration needs no answer.
    None,
}

impl From<&'static str> for Answer {
    fn from(value: &'static str) -> Self {
        Self::Value(Cow::Borrowed(value))
    }
}

/// An offer that ends the login (RFC 7143 §7.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unacceptable {
    Declaration,
    List,
}

/// How a key is negotiated.
pub(super) struct Rule {
    /// LO: settled on the first connection of a session only.
    pub(super) leading_only: bool,
    /// Irrelevant in discovery sessions.
    pub(super) normal_only: bool,
    kind: Kind,
}

enum Kind {
    /// The first entry of the offerer's list that our policy allows.
    Digest {
        policy: fn(&LocalParameters) -> DigestPolicy,
        set: fn(&mut Parameters, bool),
    },
    Boolean {
        select: fn(bool, bool) -> bool,
        ours: fn(&LocalParameters) -> bool,
        set: fn(&mut Parameters, bool),
    },
    Number {
        range: RangeInclusive<u32>,
        select: fn(u32, u32) -> u32,
        ours: fn(&LocalParameters, &Parameters) -> u32,
        set: fn(&mut Parameters, u32),
    },
    /// A number that is told, not negotiated.
    Declaration {
        range: RangeInclusive<u32>,
        set: fn(&mut Parameters, u32),
    },
    /// The first entry of the offerer's list that we know: we can do all of them.
    TaskReporting,
    /// Markers are gone from the protocol: `No`, and `Reject` if it isn't even a boolean.
    Marker,
    /// The intervals of markers.
    Rejected,
}

impl Rule {
    /// Settles the key. A value that isn't admissible is answered with `Reject`, and the default holds
    /// (RFC 7143 §6.2.2).
    pub(super) fn apply(
        &self,
        value: &str,
        local: &LocalParameters,
        agreed: &mut Parameters,
    ) -> Result<Answer, Unacceptable> {
        let answer = match &self.kind {
            Kind::Digest { policy, set } => {
                let digest = choose_digest(value, policy(local)).ok_or(Unacceptable::List)?;
                set(agreed, digest);
                Answer::from(if digest { "CRC32C" } else { "None" })
            }
            Kind::Boolean { select, ours, set } => match Boolean::parse(value) {
                Some(Boolean(offer)) => {
                    let result = select(offer, ours(local));
                    set(agreed, result);
                    Answer::from(Boolean(result).as_str())
                }
                None => Answer::from(REJECT),
            },
            Kind::Number {
                range,
                select,
                ours,
                set,
            } => match number_in(value, range) {
                Some(offer) => {
                    let result = select(offer, ours(local, agreed));
                    set(agreed, result);
                    Answer::Value(result.to_string().into())
                }
                None => Answer::from(REJECT),
            },
            Kind::Declaration { range, set } => {
                let declared = number_in(value, range).ok_or(Unacceptable::Declaration)?;
                set(agreed, declared);
                Answer::None
            }
            Kind::TaskReporting => match list(value).find_map(TaskReporting::from_wire) {
                Some(result) => {
                    agreed.task_reporting = result;
                    Answer::from(result.as_str())
                }
                None => Answer::from(REJECT),
            },
            Kind::Marker if Boolean::parse(value).is_some() => Answer::from("No"),
            Kind::Marker | Kind::Rejected => Answer::from(REJECT),
        };
        Ok(answer)
    }
}

/// The rule of a key; `None` if it is not operational.
pub(super) fn rule(key: Key) -> Option<Rule> {
    digest_rule(key)
        .or_else(|| boolean_rule(key))
        .or_else(|| number_rule(key))
        .or_else(|| other_rule(key))
}

fn digest_rule(key: Key) -> Option<Rule> {
    let kind = match key {
        Key::HeaderDigest => Kind::Digest {
            policy: |l| l.header_digest,
            set: |p, v| p.header_digest = v,
        },
        Key::DataDigest => Kind::Digest {
            policy: |l| l.data_digest,
            set: |p, v| p.data_digest = v,
        },
        _ => return None,
    };
    Some(Rule {
        leading_only: false,
        normal_only: false,
        kind,
    })
}

fn boolean_rule(key: Key) -> Option<Rule> {
    const OR: fn(bool, bool) -> bool = |a, b| a || b;
    const AND: fn(bool, bool) -> bool = |a, b| a && b;
    let kind = match key {
        Key::InitialR2T => Kind::Boolean {
            select: OR,
            ours: |l| l.initial_r2t,
            set: |p, v| p.initial_r2t = v,
        },
        Key::ImmediateData => Kind::Boolean {
            select: AND,
            ours: |l| l.immediate_data,
            set: |p, v| p.immediate_data = v,
        },
        // Out of order is never done here.
        Key::DataPDUInOrder => Kind::Boolean {
            select: OR,
            ours: |_| true,
            set: |p, v| p.data_pdu_in_order = v,
        },
        Key::DataSequenceInOrder => Kind::Boolean {
            select: OR,
            ours: |_| true,
            set: |p, v| p.data_sequence_in_order = v,
        },
        _ => return None,
    };
    Some(Rule {
        leading_only: true,
        normal_only: true,
        kind,
    })
}

fn number_rule(key: Key) -> Option<Rule> {
    let (normal_only, kind) = match key {
        // RFC 7143 is level 1; a result of 0 asks for nothing else.
        Key::IscsiProtocolLevel => (true, minimum(0..=31, |_, _| 1, |_, _| {})),
        Key::ErrorRecoveryLevel => (false, error_recovery_level()),
        Key::MaxConnections => (true, max_connections()),
        Key::MaxOutstandingR2T => (true, max_outstanding_r2t()),
        Key::MaxBurstLength => (true, max_burst_length()),
        Key::FirstBurstLength => (true, first_burst_length()),
        Key::DefaultTime2Wait => (false, default_time2wait()),
        Key::DefaultTime2Retain => (false, default_time2retain()),
        _ => return None,
    };
    Some(Rule {
        leading_only: true,
        normal_only,
        kind,
    })
}

fn error_recovery_level() -> Kind {
    let set = |p: &mut Parameters, v| p.error_recovery_level = u8::try_from(v).unwrap_or(0);
    minimum(0..=2, |l, _| l.error_recovery_level.into(), set)
}

fn max_connections() -> Kind {
    let set = |p: &mut Parameters, v| p.max_connections = narrow(v);
    minimum(1..=65_535, |l, _| l.max_connections.into(), set)
}

fn max_outstanding_r2t() -> Kind {
    let set = |p: &mut Parameters, v| p.max_outstanding_r2t = narrow(v);
    minimum(1..=65_535, |l, _| l.max_outstanding_r2t.into(), set)
}

fn max_burst_length() -> Kind {
    minimum(
        LENGTHS,
        |l, _| l.max_burst_length,
        |p, v| p.max_burst_length = v,
    )
}

fn first_burst_length() -> Kind {
    let set = |p: &mut Parameters, v| p.first_burst_length = v;
    // Not above MaxBurstLength, as far as that is settled (RFC 7143 §13.14).
    minimum(
        LENGTHS,
        |l, agreed| l.first_burst_length.min(agreed.max_burst_length),
        set,
    )
}

fn default_time2wait() -> Kind {
    Kind::Number {
        range: TIMES,
        select: u32::max,
        ours: |l, _| l.default_time2wait.into(),
        set: |p, v| p.default_time2wait = narrow(v),
    }
}

fn default_time2retain() -> Kind {
    let set = |p: &mut Parameters, v| p.default_time2retain = narrow(v);
    minimum(TIMES, |l, _| l.default_time2retain.into(), set)
}

fn other_rule(key: Key) -> Option<Rule> {
    let (leading_only, normal_only, kind) = match key {
        Key::MaxRecvDataSegmentLength => (
            false,
            false,
            Kind::Declaration {
                range: LENGTHS,
                set: |p, v| p.initiator_max_recv_data_segment_length = v,
            },
        ),
        Key::TaskReporting => (true, true, Kind::TaskReporting),
        Key::IfMarker | Key::OfMarker => (false, false, Kind::Marker),
        Key::IfMarkInt | Key::OfMarkInt => (false, false, Kind::Rejected),
        _ => return None,
    };
    Some(Rule {
        leading_only,
        normal_only,
        kind,
    })
}

fn minimum(
    range: RangeInclusive<u32>,
    ours: fn(&LocalParameters, &Parameters) -> u32,
    set: fn(&mut Parameters, u32),
) -> Kind {
    Kind::Number {
        range,
        select: u32::min,
        ours,
        set,
    }
}

fn choose_digest(offers: &str, policy: DigestPolicy) -> Option<bool> {
    list(offers).find_map(|offer| match offer {
        "CRC32C" if policy != DigestPolicy::Disabled => Some(true),
        "None" if policy != DigestPolicy::Required => Some(false),
        _ => None,
    })
}

fn number_in(value: &str, range: &RangeInclusive<u32>) -> Option<u32> {
    let number = u32::try_from(numerical(value)?).ok()?;
    range.contains(&number).then_some(number)
}

/// For results whose range ends at or below 65535.
fn narrow(result: u32) -> u16 {
    u16::try_from(result).unwrap_or(u16::MAX)
}
