//! The security stage (RFC 7143 §12): AuthMethod, then CHAP step by step. Each state takes what it
//! expects and becomes the next one. Knows no PDU.

use subtle::ConstantTimeEq;

use super::{LoginEntropy, LoginFailure, excerpt};
use crate::auth::{
    ChapAlgorithm, ChapPolicy, MAX_CHALLENGE_LENGTH, Secret, decode_binary, encode_hex,
};
use crate::text::{Key, MAX_VALUE_LENGTH, REJECT, TextPairs, list, numerical};

/// The security keys of one request.
#[derive(Debug, Default)]
pub(super) struct SecurityKeys<'a> {
    pub(super) auth_method: Option<&'a str>,
    chap_a: Option<&'a str>,
    chap_i: Option<&'a str>,
    chap_c: Option<&'a str>,
    chap_n: Option<&'a str>,
    chap_r: Option<&'a str>,
}

impl<'a> SecurityKeys<'a> {
    /// Sorts them out; none may come twice.
    pub(super) fn new(keys: &[(Key, &'a str)]) -> Result<Self, LoginFailure> {
        let mut sorted = Self::default();
        for (key, value) in keys {
            let slot = match key {
                Key::AuthMethod => &mut sorted.auth_method,
                Key::ChapA => &mut sorted.chap_a,
                Key::ChapI => &mut sorted.chap_i,
                Key::ChapC => &mut sorted.chap_c,
                Key::ChapN => &mut sorted.chap_n,
                Key::ChapR => &mut sorted.chap_r,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(LoginFailure::Repeated { key: key.name() });
            }
        }
        Ok(sorted)
    }

    fn chap(&self) -> [(Key, Option<&'a str>); 5] {
        [
            (Key::ChapA, self.chap_a),
            (Key::ChapI, self.chap_i),
            (Key::ChapC, self.chap_c),
            (Key::ChapN, self.chap_n),
            (Key::ChapR, self.chap_r),
        ]
    }

    fn only(&self, allowed: &[Key]) -> bool {
        self.chap()
            .iter()
            .all(|(key, value)| value.is_none() || allowed.contains(key))
    }
}

/// How far authentication has come.
#[derive(Debug)]
pub(super) enum Security {
    ExpectAuthMethod(ExpectAuthMethod),
    ExpectAlgorithms(ExpectAlgorithms),
    ExpectResponse(ExpectResponse),
    /// Nothing left to prove.
    Done,
}

impl Security {
    pub(super) fn new(policy: Option<ChapPolicy>, entropy: LoginEntropy) -> Self {
        Self::ExpectAuthMethod(ExpectAuthMethod { policy, entropy })
    }

    /// Whether the initiator may leave the security stage, or skip it.
    pub(super) fn may_leave(&self) -> bool {
        match self {
            Self::ExpectAuthMethod(state) => state.policy.is_none(),
            Self::ExpectAlgorithms(_) | Self::ExpectResponse(_) => false,
            Self::Done => true,
        }
    }

    /// Takes the keys of one request and adds the answers.
    pub(super) fn handle(
        self,
        keys: &SecurityKeys<'_>,
        answers: &mut TextPairs,
    ) -> Result<Self, LoginFailure> {
        match self {
            Self::ExpectAuthMethod(state) => state.handle(keys, answers),
            _ if keys.auth_method.is_some() => Err(LoginFailure::Repeated {
                key: Key::AuthMethod.name(),
            }),
            Self::ExpectAlgorithms(state) => state.handle(keys, answers),
            Self::ExpectResponse(state) => state.handle(keys, answers),
            Self::Done => {
                reject_chap(keys, answers);
                Ok(Self::Done)
            }
        }
    }
}

/// The initiator has not said yet which methods it can do.
#[derive(Debug)]
pub(super) struct ExpectAuthMethod {
    policy: Option<ChapPolicy>,
    entropy: LoginEntropy,
}

impl ExpectAuthMethod {
    fn handle(
        self,
        keys: &SecurityKeys<'_>,
        answers: &mut TextPairs,
    ) -> Result<Security, LoginFailure> {
        let Some(offer) = keys.auth_method else {
            reject_chap(keys, answers);
            return Ok(Security::ExpectAuthMethod(self));
        };
        let wanted = if self.policy.is_some() {
            "CHAP"
        } else {
            "None"
        };
        if !list(offer).any(|method| method == wanted) {
            return Err(LoginFailure::NoAuthMethod {
                offer: excerpt(offer),
                wanted,
            });
        }
        answers.push(Key::AuthMethod.name(), wanted);
        let Some(policy) = self.policy else {
            reject_chap(keys, answers);
            return Ok(Security::Done);
        };
        let next = ExpectAlgorithms {
            policy,
            entropy: self.entropy,
        };
        // CHAP_A belongs into the next request, but nothing is lost by taking it right away.
        if keys.chap_a.is_some() {
            return next.handle(keys, answers);
        }
        if !keys.only(&[]) {
            return Err(LoginFailure::ChapProtocol(
                "an answer came before the challenge",
            ));
        }
        Ok(Security::ExpectAlgorithms(next))
    }
}

/// CHAP was chosen; the initiator names its algorithms.
#[derive(Debug)]
pub(super) struct ExpectAlgorithms {
    policy: ChapPolicy,
    entropy: LoginEntropy,
}

impl ExpectAlgorithms {
    fn handle(
        self,
        keys: &SecurityKeys<'_>,
        answers: &mut TextPairs,
    ) -> Result<Security, LoginFailure> {
        let offer = keys
            .chap_a
            .ok_or(LoginFailure::ChapProtocol("CHAP_A is missing"))?;
        if !keys.only(&[Key::ChapA]) {
            return Err(LoginFailure::ChapProtocol(
                "an answer came before the challenge",
            ));
        }
        let algorithm = list(offer)
            .filter_map(numerical)
            .find_map(ChapAlgorithm::from_number)
            .ok_or_else(|| LoginFailure::NoChapAlgorithm {
                offer: excerpt(offer),
            })?;
        answers.push(Key::ChapA.name(), algorithm.number().to_string());
        answers.push(Key::ChapI.name(), self.entropy.identifier.to_string());
        answers.push(Key::ChapC.name(), encode_hex(&self.entropy.challenge));
        let Self { policy, entropy } = self;
        Ok(Security::ExpectResponse(ExpectResponse {
            policy,
            entropy,
            algorithm,
        }))
    }
}

/// The challenge is out; the initiator answers it, and may send one of its own.
#[derive(Debug)]
pub(super) struct ExpectResponse {
    policy: ChapPolicy,
    entropy: LoginEntropy,
    algorithm: ChapAlgorithm,
}

impl ExpectResponse {
    fn handle(
        self,
        keys: &SecurityKeys<'_>,
        answers: &mut TextPairs,
    ) -> Result<Security, LoginFailure> {
        if keys.chap_a.is_some() {
            return Err(LoginFailure::Repeated {
                key: Key::ChapA.name(),
            });
        }
        let name = keys
            .chap_n
            .ok_or(LoginFailure::ChapProtocol("CHAP_N is missing"))?;
        let response = keys
            .chap_r
            .ok_or(LoginFailure::ChapProtocol("CHAP_R is missing"))?;
        let counter_challenge = match (keys.chap_i, keys.chap_c) {
            (Some(identifier), Some(challenge)) => Some(self.challenge(identifier, challenge)?),
            (None, None) => None,
            _ => return Err(LoginFailure::ChapProtocol("CHAP_I and CHAP_C go together")),
        };
        self.verify(name, response)?;
        if let Some((identifier, challenge)) = counter_challenge {
            let (user, secret) = self
                .policy
                .mutual
                .as_ref()
                .ok_or(LoginFailure::ChapNotMutual)?;
            let response = self.algorithm.response(identifier, secret, &challenge);
            answers.push(Key::ChapN.name(), user);
            answers.push(Key::ChapR.name(), encode_hex(&response));
        }
        Ok(Security::Done)
    }

    /// Reads the initiator's own challenge. It must not be ours: whoever sends that back wants us to
    /// answer it for them (RFC 7143 §9.2.1).
    fn challenge(&self, identifier: &str, challenge: &str) -> Result<(u8, Vec<u8>), LoginFailure> {
        let identifier = numerical(identifier)
            .and_then(|identifier| u8::try_from(identifier).ok())
            .ok_or(LoginFailure::ChapProtocol(
                "CHAP_I is not a number below 256",
            ))?;
        let challenge = decode_binary(challenge, MAX_CHALLENGE_LENGTH).ok_or(
            LoginFailure::ChapProtocol("CHAP_C is not a binary value of 1 to 1024 bytes"),
        )?;
        if challenge == self.entropy.challenge {
            return Err(LoginFailure::ChapReflected);
        }
        Ok((identifier, challenge))
    }

    /// Checks name and response together: neither the answer nor its time tells which one was wrong.
    fn verify(&self, name: &str, response: &str) -> Result<(), LoginFailure> {
        if name.len() > MAX_VALUE_LENGTH {
            return Err(LoginFailure::ChapProtocol(
                "CHAP_N is longer than 255 bytes",
            ));
        }
        let response = decode_binary(response, ChapAlgorithm::MAX_RESPONSE_LENGTH).ok_or(
            LoginFailure::ChapProtocol("CHAP_R is not a binary value of up to 32 bytes"),
        )?;
        let name_right = name.as_bytes().ct_eq(self.policy.user.as_bytes());
        let response_right = self.expected(&self.policy.secret).ct_eq(&response);
        if !bool::from(name_right & response_right) {
            return Err(LoginFailure::ChapWrong);
        }
        // RFC 7143 §9.2.1: the response must not be the one that we would have given.
        let same =
            |(_, secret): &(String, Secret)| bool::from(self.expected(secret).ct_eq(&response));
        if self.policy.mutual.as_ref().is_some_and(same) {
            return Err(LoginFailure::ChapSameSecret);
        }
        Ok(())
    }

    fn expected(&self, secret: &Secret) -> Vec<u8> {
        let LoginEntropy {
            challenge,
            identifier,
        } = &self.entropy;
        self.algorithm.response(*identifier, secret, challenge)
    }
}

/// CHAP keys where there is no CHAP.
fn reject_chap(keys: &SecurityKeys<'_>, answers: &mut TextPairs) {
    for (key, value) in keys.chap() {
        if value.is_some() {
            answers.push(key.name(), REJECT);
        }
    }
}
