//! Text requests in full feature phase: SendTargets and what else may still be said (RFC 7143 §6.4,
//! §11.10, §11.11, appendix C). One exchange at a time.

use super::Session;
use super::event::{Event, SendTargets, TargetRecord, TextTag};
use super::reject::Reason;
use crate::negotiation::answer_text_request;
use crate::pdu::text_request::TextRequest;
use crate::pdu::text_response::TextResponse;
use crate::pdu::{RESERVED_TAG, RawPdu};
use crate::text::{Assembler, Key, MAX_TEXT_LENGTH, OutgoingText, REJECT, TextPairs};

/// The exchange under way, if any.
#[derive(Debug)]
pub(super) struct TextExchange {
    assembler: Assembler,
    state: State,
    /// The Target Transfer Tag that the next request has to carry; `None`: only a new exchange may
    /// begin.
    expected_tag: Option<u32>,
    initiator_task_tag: u32,
    next_tag: u32,
}

#[derive(Debug)]
enum State {
    /// The next request, of this exchange or of a new one.
    Idle,
    /// The shell looks for targets; then these answers go out with them.
    Asked {
        tag: TextTag,
        answers: TextPairs,
        last: bool,
    },
    /// The initiator asks for the rest of a long answer.
    Sending { text: OutgoingText, last: bool },
}

impl Default for TextExchange {
    fn default() -> Self {
        Self {
            assembler: Assembler::new(MAX_TEXT_LENGTH),
            state: State::Idle,
            expected_tag: None,
            initiator_task_tag: RESERVED_TAG,
            next_tag: 0,
        }
    }
}

impl TextExchange {
    /// Forgets everything: the next request begins a new exchange.
    fn reset(&mut self) {
        self.assembler.reset();
        self.state = State::Idle;
        self.expected_tag = None;
    }
}

impl Session {
    /// The shell's answer to [`Event::SendTargets`]: every target with its addresses.
    pub fn send_targets_reply(&mut self, request: TextTag, targets: Vec<TargetRecord>) {
        if self.closed {
            return;
        }
        match std::mem::replace(&mut self.text.state, State::Idle) {
            State::Asked {
                tag,
                mut answers,
                last,
            } if tag == request => {
                for target in targets {
                    answers.push(Key::TargetName.name(), target.name);
                    for (address, group) in target.addresses {
                        answers.push(Key::TargetAddress.name(), format!("{address},{group}"));
                    }
                }
                self.send_text(OutgoingText::new(&answers), last);
            }
            // The initiator has begun another exchange meanwhile.
            state => self.text.state = state,
        }
    }

    pub(super) fn handle_text(&mut self, pdu: &RawPdu) {
        let header = TextRequest::parse(&pdu.bhs);
        if header.initiator_task_tag == RESERVED_TAG || header.last && header.text_continues {
            return self.reject_pdu(Reason::INVALID_PDU_FIELD, pdu);
        }
        if header.target_transfer_tag == RESERVED_TAG {
            // A new exchange; what was left of an old one is forgotten (RFC 7143 §11.10.4).
            self.text.reset();
            self.text.initiator_task_tag = header.initiator_task_tag;
        } else if self.text.expected_tag != Some(header.target_transfer_tag)
            || self.text.initiator_task_tag != header.initiator_task_tag
        {
            return self.reject_pdu(Reason::INVALID_PDU_FIELD, pdu);
        }
        self.text.expected_tag = None;
        match std::mem::replace(&mut self.text.state, State::Idle) {
            State::Sending { text, last } => {
                if pdu.data.is_empty() {
                    self.send_text(text, last);
                } else {
                    self.text.reset();
                    self.reject_pdu(Reason::PROTOCOL_ERROR, pdu);
                }
            }
            State::Idle | State::Asked { .. } => self.take_text(&header, pdu),
        }
    }

    fn take_text(&mut self, header: &TextRequest, pdu: &RawPdu) {
        match self.text.assembler.push(&pdu.data, header.text_continues) {
            Ok(Some(pairs)) => self.answer_text(&pairs, header.last),
            // More is coming: an empty response asks for it (RFC 7143 §6.2).
            Ok(None) => self.send_text(OutgoingText::default(), false),
            Err(_) => {
                self.text.reset();
                self.reject_pdu(Reason::PROTOCOL_ERROR, pdu);
            }
        }
    }

    fn answer_text(&mut self, pairs: &TextPairs, last: bool) {
        let mut answers = answer_text_request(pairs, &mut self.parameters);
        let request = match pairs.get(Key::SendTargets.name()) {
            None => None,
            Some(value) => {
                let request = self.send_targets(value);
                if request.is_none() {
                    answers.push(Key::SendTargets.name(), REJECT);
                }
                request
            }
        };
        let Some(request) = request else {
            return self.send_text(OutgoingText::new(&answers), last);
        };
        let tag = TextTag(self.text.next_tag);
        self.text.next_tag = self.text.next_tag.wrapping_add(1);
        self.text.state = State::Asked { tag, answers, last };
        self.events.push_back(Event::SendTargets { tag, request });
    }

    /// Which targets may be asked for here (RFC 7143, appendix C): in a normal session only the
    /// session's own.
    fn send_targets(&self, value: &str) -> Option<SendTargets> {
        match (value, &self.target_name) {
            ("All", None) => Some(SendTargets::All),
            ("All", Some(_)) | ("", None) => None,
            ("", Some(_)) => Some(SendTargets::Current),
            (name, Some(own)) if !name.eq_ignore_ascii_case(own) => None,
            (name, _) => Some(SendTargets::Named(name.to_owned())),
        }
    }

    /// Sends as much of the text as the initiator takes at a time. `last`: the initiator has nothing
    /// more to say, so that our last segment ends the exchange.
    fn send_text(&mut self, mut text: OutgoingText, last: bool) {
        let limit = self.parameters.initiator_max_recv_data_segment_length as usize;
        let (segment, more) = text.next_segment(limit);
        let ends = last && !more;
        let target_transfer_tag = if ends {
            RESERVED_TAG
        } else {
            self.connection.take_tag()
        };
        let response = TextResponse {
            last: ends,
            text_continues: more,
            lun: [0; 8],
            initiator_task_tag: self.text.initiator_task_tag,
            target_transfer_tag,
            stat_sn: self.connection.take_stat_sn(),
            exp_cmd_sn: self.window.expected(),
            max_cmd_sn: self.window.advertise(),
        };
        self.connection
            .tx
            .push(response.encode(segment.len()), segment);
        self.text.expected_tag = (!ends).then_some(target_transfer_tag);
        self.text.state = if more {
            State::Sending { text, last }
        } else {
            State::Idle
        };
    }
}
