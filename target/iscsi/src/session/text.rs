//! Text requests in full feature phase: SendTargets and what else may still be said (RFC 7143 §6.4,
//! §11.10, §11.11, appendix C). One exchange at a time and
//! connection.

use super::Session;
use super::connection::ConnectionId;
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
        }
    }
}

impl TextExchange {
    /// Forgets everything: the next request begins a new exchange.
    pub(super) fn reset(&mut self) {
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
        let asked = self.connections.iter_mut().find(|connection| {
            matches!(connection.text.state, State::Asked { tag, .. } if tag == request)
        });
        // The initiator may have begun another exchange meanwhile, or the connection is gone.
        let Some(connection) = asked else { return };
        let on = connection.id;
        if let State::Asked {
            mut answers, last, ..
        } = std::mem::replace(&mut connection.text.state, State::Idle)
        {
            for target in targets {
                answers.push(Key::TargetName.name(), target.name);
                for (address, group) in target.addresses {
                    answers.push(Key::TargetAddress.name(), format!("{address},{group}"));
                }
            }
            self.send_text(on, OutgoingText::new(&answers), last);
        }
    }

    pub(super) fn handle_text(&mut self, on: ConnectionId, pdu: &RawPdu) {
        let header = TextRequest::parse(&pdu.bhs);
        if header.initiator_task_tag == RESERVED_TAG || header.last && header.text_continues {
            return self.reject_pdu(on, Reason::INVALID_PDU_FIELD, pdu);
        }
        let Some(connection) = self.connections.get_mut(on) else {
            return;
        };
        let text = &mut connection.text;
        if header.target_transfer_tag == RESERVED_TAG {
            // A new exchange; what was left of an old one is forgotten (RFC 7143 §11.10.4).
            text.reset();
            text.initiator_task_tag = header.initiator_task_tag;
        } else if text.expected_tag != Some(header.target_transfer_tag)
            || text.initiator_task_tag != header.initiator_task_tag
        {
            return self.reject_pdu(on, Reason::INVALID_PDU_FIELD, pdu);
        }
        text.expected_tag = None;
        match std::mem::replace(&mut text.state, State::Idle) {
            State::Sending {
                text: outgoing,
                last,
            } => {
                if pdu.data.is_empty() {
                    self.send_text(on, outgoing, last);
                } else {
                    text.reset();
                    self.reject_pdu(on, Reason::PROTOCOL_ERROR, pdu);
                }
            }
            State::Idle | State::Asked { .. } => self.take_text(on, &header, pdu),
        }
    }

    fn take_text(&mut self, on: ConnectionId, header: &TextRequest, pdu: &RawPdu) {
        let Some(connection) = self.connections.get_mut(on) else {
            return;
        };
        let assembler = &mut connection.text.assembler;
        match assembler.push(&pdu.data, header.text_continues) {
            Ok(Some(pairs)) => self.answer_text(on, &pairs, header.last),
            // More is coming: an empty response asks for it (RFC 7143 §6.2).
            Ok(None) => self.send_text(on, OutgoingText::default(), false),
            Err(_) => {
                connection.text.reset();
                self.reject_pdu(on, Reason::PROTOCOL_ERROR, pdu);
            }
        }
    }

    fn answer_text(&mut self, on: ConnectionId, pairs: &TextPairs, last: bool) {
        let request = pairs
            .get(Key::SendTargets.name())
            .map(|value| self.send_targets(value));
        let Some(connection) = self.connections.get_mut(on) else {
            return;
        };
        let mut answers = answer_text_request(pairs, &mut connection.parameters);
        if request == Some(None) {
            answers.push(Key::SendTargets.name(), REJECT);
        }
        let Some(request) = request.flatten() else {
            return self.send_text(on, OutgoingText::new(&answers), last);
        };
        let tag = TextTag(self.next_text);
        self.next_text = self.next_text.wrapping_add(1);
        connection.text.state = State::Asked { tag, answers, last };
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
    fn send_text(&mut self, on: ConnectionId, mut text: OutgoingText, last: bool) {
        let most = self.retention_of(on);
        let Some(connection) = self.connections.get_mut(on) else {
            return;
        };
        let (segment, more) = text.next_segment(connection.segment_limit());
        let ends = last && !more;
        let target_transfer_tag = if ends {
            RESERVED_TAG
        } else {
            connection.take_tag()
        };
        let stat_sn = connection.take_stat_sn();
        let response = TextResponse {
            last: ends,
            text_continues: more,
            lun: [0; 8],
            initiator_task_tag: connection.text.initiator_task_tag,
            target_transfer_tag,
            stat_sn,
            exp_cmd_sn: self.window.expected(),
            max_cmd_sn: self.window.advertise(),
        };
        connection.send_status(stat_sn, response.encode(segment.len()), segment, most);
        connection.text.expected_tag = (!ends).then_some(target_transfer_tag);
        connection.text.state = if more {
            State::Sending { text, last }
        } else {
            State::Idle
        };
    }
}
