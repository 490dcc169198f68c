//! The wire side of a login: the header fields that stay the same, the numbers that count, the text as
//! it comes in and goes out in pieces. Knows no key.

use bytes::Bytes;
use smallvec::smallvec;

use super::{LoginFailure, LoginReply, LoginStatus};
use crate::parameters::LocalParameters;
use crate::pdu::DataSegment;
use crate::pdu::login_request::{Isid, LoginRequest, LoginStage};
use crate::pdu::login_response::LoginResponse;
use crate::text::{Assembler, DEFAULT_SEGMENT_LENGTH, MAX_TEXT_LENGTH, OutgoingText, TextPairs};

/// The most Login Requests that one login may take. Mutual CHAP takes five; the rest is for text in
/// small pieces.
pub const MAX_REQUESTS: u16 = 128;

/// A Login Request that was checked against those before it, with the text that it completed.
#[derive(Debug)]
pub(super) struct Request {
    /// Where the initiator wants to go, if it does.
    pub(super) transit_to: Option<LoginStage>,
    pub(super) pairs: TextPairs,
}

/// One connection's exchange of Login PDUs.
#[derive(Debug)]
pub(super) struct Exchange {
    first: LoginRequest,
    initiator_task_tag: u32,
    stage: LoginStage,
    requests: u16,
    text_left: usize,
    incoming: Assembler,
    outgoing: OutgoingText,
    stat_sn: u32,
    exp_stat_sn: u32,
    command_window: u16,
    /// ExpCmdSN and MaxCmdSN of the session that the connection joins, once they are known.
    joined: Option<(u32, u32)>,
}

impl Exchange {
    /// Begins with the first request of a connection. Its values hold for the whole login phase
    /// (RFC 7143 §11.12.5 to §11.12.8). StatSN begins where the initiator expects it.
    pub(super) fn new(first: LoginRequest, local: &LocalParameters) -> Self {
        Self {
            initiator_task_tag: first.initiator_task_tag,
            stage: first.current_stage,
            requests: 0,
            text_left: MAX_TEXT_LENGTH,
            incoming: Assembler::new(MAX_TEXT_LENGTH),
            outgoing: OutgoingText::default(),
            stat_sn: first.exp_stat_sn,
            exp_stat_sn: first.exp_stat_sn,
            command_window: local.command_window,
            joined: None,
            first,
        }
    }

    /// Checks a request's header and takes its text; `None` while more text is to come.
    pub(super) fn receive(
        &mut self,
        request: &LoginRequest,
        data: &DataSegment,
    ) -> Result<Option<Request>, LoginFailure> {
        self.initiator_task_tag = request.initiator_task_tag;
        self.exp_stat_sn = request.exp_stat_sn;
        self.check_limits(data)?;
        self.check_header(request)?;
        if self.is_sending() && (!data.is_empty() || request.text_continues) {
            return Err(LoginFailure::TextOutOfTurn);
        }
        let transit_to = request.transit.then_some(request.next_stage);
        let pairs = self.incoming.push(data, request.text_continues)?;
        Ok(pairs.map(|pairs| Request { transit_to, pairs }))
    }

    /// Whether an answer is not all sent yet.
    pub(super) fn is_sending(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// The stage that holds.
    pub(super) fn stage(&self) -> LoginStage {
        self.stage
    }

    pub(super) fn isid(&self) -> Isid {
        self.first.isid
    }

    pub(super) fn tsih(&self) -> u16 {
        self.first.tsih
    }

    pub(super) fn cid(&self) -> u16 {
        self.first.cid
    }

    /// ExpCmdSN: login requests are immediate and take no number (RFC 7143 §11.12.8).
    pub(super) fn cmd_sn(&self) -> u32 {
        self.first.cmd_sn
    }

    pub(super) fn max_cmd_sn(&self) -> u32 {
        self.numbers().1
    }

    /// The connection joins a session that has these numbers now.
    pub(super) fn join(&mut self, exp_cmd_sn: u32, max_cmd_sn: u32) {
        self.joined = Some((exp_cmd_sn, max_cmd_sn));
    }

    /// ExpStatSN of the first request: with a TSIH, what the initiator has of the connection that it
    /// reinstates (RFC 7143 §11.12.9).
    pub(super) fn first_exp_stat_sn(&self) -> u32 {
        self.first.exp_stat_sn
    }

    /// ExpCmdSN and MaxCmdSN. The numbers of a session that is to be joined aren't known here: until
    /// they are, MaxCmdSN is below ExpCmdSN - 1, which tells the initiator to ignore both (RFC 7143
    /// §4.2.2.1).
    fn numbers(&self) -> (u32, u32) {
        let first = self.first.cmd_sn;
        match self.joined {
            Some(numbers) => numbers,
            None if self.first.tsih != 0 => (first, first.wrapping_sub(2)),
            None => {
                let window = u32::from(self.command_window.max(1));
                (first, first.wrapping_add(window - 1))
            }
        }
    }

    /// StatSN of the next PDU.
    pub(super) fn stat_sn(&self) -> u32 {
        self.stat_sn
    }

    pub(super) fn exp_stat_sn(&self) -> u32 {
        self.exp_stat_sn
    }

    /// From now on the window of a target's own parameters holds.
    pub(super) fn set_command_window(&mut self, window: u16) {
        self.command_window = window;
    }

    /// Queues an answer, to be sent by [`Self::respond`] in as many pieces as it takes.
    pub(super) fn queue(&mut self, pairs: &TextPairs) {
        self.outgoing = OutgoingText::new(pairs);
    }

    /// Whether the next response can hold all that is queued: only then may it have the T bit.
    pub(super) fn fits(&self) -> bool {
        self.outgoing.len() <= DEFAULT_SEGMENT_LENGTH
    }

    /// The next response, without the T bit.
    pub(super) fn respond(&mut self) -> LoginReply {
        let (text, continues) = self.outgoing.next_segment(DEFAULT_SEGMENT_LENGTH);
        let response = LoginResponse {
            text_continues: continues,
            ..self.response(text.len())
        };
        self.send(&response, text)
    }

    /// The last response of a stage: all of what is queued, with the T bit; `next` holds from now on.
    pub(super) fn transit(&mut self, next: LoginStage, tsih: u16) -> LoginReply {
        let (text, _) = self.outgoing.next_segment(DEFAULT_SEGMENT_LENGTH);
        let response = LoginResponse {
            transit: true,
            next_stage: next,
            tsih,
            ..self.response(text.len())
        };
        self.stage = next;
        self.send(&response, text)
    }

    /// A response that ends the login, with what goes with its status.
    pub(super) fn fail(&mut self, status: LoginStatus, text: &TextPairs) -> LoginReply {
        // What was to be said before is of no use any more.
        self.queue(text);
        let (text, _) = self.outgoing.next_segment(DEFAULT_SEGMENT_LENGTH);
        self.outgoing = OutgoingText::default();
        let response = LoginResponse {
            status,
            ..self.response(text.len())
        };
        self.send(&response, text)
    }

    fn response(&self, text_length: usize) -> LoginResponse {
        LoginResponse {
            transit: false,
            text_continues: false,
            current_stage: self.stage,
            next_stage: self.stage,
            // At most DEFAULT_SEGMENT_LENGTH.
            data_segment_length: u32::try_from(text_length).unwrap_or(0),
            isid: self.first.isid,
            tsih: self.first.tsih,
            initiator_task_tag: self.initiator_task_tag,
            stat_sn: self.stat_sn,
            exp_cmd_sn: self.numbers().0,
            max_cmd_sn: self.numbers().1,
            status: LoginStatus::SUCCESS,
        }
    }

    fn send(&mut self, response: &LoginResponse, text: Bytes) -> LoginReply {
        self.stat_sn = self.stat_sn.wrapping_add(1);
        LoginReply {
            pdus: smallvec![(response.encode(), text)],
        }
    }

    fn check_limits(&mut self, data: &DataSegment) -> Result<(), LoginFailure> {
        self.requests = self.requests.saturating_add(1);
        if self.requests > MAX_REQUESTS {
            return Err(LoginFailure::TooManyRequests {
                limit: MAX_REQUESTS,
            });
        }
        let too_long = crate::text::TextError::TooLong {
            limit: MAX_TEXT_LENGTH,
        };
        self.text_left = self.text_left.checked_sub(data.len()).ok_or(too_long)?;
        Ok(())
    }

    fn check_header(&self, request: &LoginRequest) -> Result<(), LoginFailure> {
        if request.version_min > 0 {
            return Err(LoginFailure::Version {
                version_min: request.version_min,
            });
        }
        if request.total_ahs_length != 0 {
            return Err(LoginFailure::AdditionalHeader);
        }
        let same = [
            ("ISID", request.isid == self.first.isid),
            ("TSIH", request.tsih == self.first.tsih),
            ("CID", request.cid == self.first.cid),
        ];
        if let Some((field, _)) = same.into_iter().find(|(_, same)| !same) {
            return Err(LoginFailure::FieldChanged { field });
        }
        if request.transit && request.text_continues {
            return Err(LoginFailure::TransitWhileContinued);
        }
        check_stage(request, self.stage)
    }
}

/// CSG is the stage that holds; NSG, with T, is a later one (RFC 7143 §11.12.3). 2 is reserved.
fn check_stage(request: &LoginRequest, stage: LoginStage) -> Result<(), LoginFailure> {
    let (csg, nsg) = (request.current_stage, request.next_stage);
    let known =
        csg == LoginStage::SECURITY_NEGOTIATION || csg == LoginStage::LOGIN_OPERATIONAL_NEGOTIATION;
    let reachable = nsg > csg
        && (nsg == LoginStage::LOGIN_OPERATIONAL_NEGOTIATION
            || nsg == LoginStage::FULL_FEATURE_PHASE);
    if known && csg == stage && (!request.transit || reachable) {
        return Ok(());
    }
    Err(LoginFailure::Stage {
        csg: csg.0,
        nsg: nsg.0,
        transit: request.transit,
    })
}
