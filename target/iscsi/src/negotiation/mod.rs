//! Settles the operational parameters of a connection, key by key (RFC 7143 §6.2, §13). Takes offers,
//! gives answers; knows no PDU, no stage and nobody's name.
//!
//! This target offers nothing by itself but its own MaxRecvDataSegmentLength: several initiators fail a
//! login over a key that they did not ask about. What the initiator leaves out keeps its default.

mod full_feature;
mod rules;

pub use full_feature::answer_text_request;

use rules::{Answer, Rule};

use crate::login::{LoginFailure, SessionType, excerpt};
use crate::parameters::{DigestPolicy, LocalParameters, Parameters};
use crate::text::{IRRELEVANT, Key, KeySet, REJECT, TextPairs};

/// The state of one login's operational negotiation.
#[derive(Debug)]
pub(crate) struct Negotiation {
    local: LocalParameters,
    agreed: Parameters,
    seen: KeySet,
    session_type: SessionType,
    leading: bool,
    declared: bool,
}

impl Negotiation {
    /// Nothing settled yet. `leading` is whether this is the first connection of its session.
    pub(crate) fn new(local: &LocalParameters, session_type: SessionType, leading: bool) -> Self {
        let mut local = local.clamped();
        if session_type == SessionType::Discovery {
            // RFC 7143 §7.4.1: there is nothing to recover in a discovery session.
            local.error_recovery_level = 0;
        }
        Self {
            local,
            agreed: Parameters::default(),
            seen: KeySet::default(),
            session_type,
            leading,
            declared: false,
        }
    }

    /// Answers the operational keys of one text sequence, in their order, and declares our own
    /// MaxRecvDataSegmentLength the first time.
    ///
    /// # Errors
    /// What RFC 7143 §6.3 and §7.12 end a login for: a repeated key, a list without an acceptable entry,
    /// a declaration out of range.
    pub(crate) fn answer(
        &mut self,
        offers: &[(Key, &str)],
        answers: &mut TextPairs,
    ) -> Result<(), LoginFailure> {
        // FirstBurstLength depends on three other keys, which may stand behind it.
        let (bursts, others): (Vec<_>, Vec<_>) = offers
            .iter()
            .copied()
            .partition(|(key, _)| *key == Key::FirstBurstLength);
        for (key, value) in others.into_iter().chain(bursts) {
            match self.negotiate(key, value)? {
                Answer::Value(value) => answers.push(key.name(), value),
                Answer::None => {}
            }
        }
        self.declare(answers);
        Ok(())
    }

    /// The outcome.
    ///
    /// # Errors
    /// A digest that this target requires was not offered.
    pub(crate) fn finish(mut self) -> Result<Parameters, LoginFailure> {
        for (key, policy, agreed) in [
            (
                Key::HeaderDigest,
                self.local.header_digest,
                self.agreed.header_digest,
            ),
            (
                Key::DataDigest,
                self.local.data_digest,
                self.agreed.data_digest,
            ),
        ] {
            if policy == DigestPolicy::Required && !agreed {
                return Err(LoginFailure::NoCommonValue {
                    key: key.name(),
                    offer: "None".into(),
                });
            }
        }
        // FirstBurstLength must not exceed MaxBurstLength (RFC 7143 §13.14), not by its default either.
        self.agreed.first_burst_length = self
            .agreed
            .first_burst_length
            .min(self.agreed.max_burst_length);
        Ok(self.agreed)
    }

    fn negotiate(&mut self, key: Key, value: &str) -> Result<Answer, LoginFailure> {
        let Some(rule) = rules::rule(key) else {
            return Ok(Answer::from(REJECT));
        };
        if !self.seen.insert(key) {
            return Err(LoginFailure::Repeated { key: key.name() });
        }
        if self.is_irrelevant(key, &rule) {
            return Ok(Answer::from(IRRELEVANT));
        }
        if rule.leading_only && !self.leading {
            return Ok(Answer::from(REJECT));
        }
        rule.apply(value, &self.local, &mut self.agreed)
            .map_err(|error| match error {
                rules::Unacceptable::Declaration => LoginFailure::UnacceptableValue {
                    key: key.name(),
                    value: excerpt(value),
                },
                rules::Unacceptable::List => LoginFailure::NoCommonValue {
                    key: key.name(),
                    offer: excerpt(value),
                },
            })
    }

    fn is_irrelevant(&self, key: Key, rule: &Rule) -> bool {
        // RFC 7143 §13.14: no unsolicited data, no limit to it.
        let no_first_burst =
            key == Key::FirstBurstLength && self.agreed.initial_r2t && !self.agreed.immediate_data;
        no_first_burst || rule.normal_only && self.session_type == SessionType::Discovery
    }

    fn declare(&mut self, answers: &mut TextPairs) {
        if self.declared {
            return;
        }
        self.declared = true;
        let length = self.local.max_recv_data_segment_length;
        self.agreed.target_max_recv_data_segment_length = length;
        answers.push(Key::MaxRecvDataSegmentLength.name(), length.to_string());
    }
}

#[cfg(test)]
mod tests;
