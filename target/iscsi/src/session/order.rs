//! The order of arrival: commands are dealt with in CmdSN order, immediate ones at once, and PDUs
//! without a CmdSN as they come (RFC 7143 §4.2.2.1). Then each PDU goes to its room.

use super::connection::ConnectionId;
use super::early::{EARLY_BYTES_MAX, Full, Next};
use super::reject::Reason;
use super::window::Admission;
use super::{CloseReason, Session};
use crate::pdu::data_out::DataOut;
use crate::pdu::login_request::LoginRequest;
use crate::pdu::logout_request::LogoutRequest;
use crate::pdu::nop_out::NopOut;
use crate::pdu::scsi_command::ScsiCommand;
use crate::pdu::snack::Snack;
use crate::pdu::task_management_request::TaskManagementRequest;
use crate::pdu::text_request::TextRequest;
use crate::pdu::{RawPdu, is_immediate, opcode};
use crate::serial::SerialNumber;

impl Session {
    #[inline]
    pub(super) fn order(&mut self, on: ConnectionId, pdu: &mut RawPdu) {
        match opcode(&pdu.bhs) {
            DataOut::OPCODE if !self.is_discovery() => self.handle_data_out(on, pdu),
            Snack::OPCODE if !self.is_discovery() => self.handle_snack(on, pdu),
            ScsiCommand::OPCODE
            | NopOut::OPCODE
            | TaskManagementRequest::OPCODE
            | TextRequest::OPCODE
            | LogoutRequest::OPCODE => {
                if is_immediate(&pdu.bhs) {
                    self.deliver(on, pdu);
                } else {
                    self.admit(on, pdu);
                }
            }
            _ => self.refuse(on, pdu),
        }
    }

    #[inline]
    fn admit(&mut self, on: ConnectionId, pdu: &mut RawPdu) {
        match self.window.admit(cmd_sn(pdu)) {
            Admission::Due => {
                self.window.advance();
                self.deliver(on, pdu);
                self.follow_up();
            }
            Admission::Early(distance) => {
                let most = self.early_limit();
                match self.early.keep(most, distance, on, pdu) {
                    Ok(()) => {}
                    Err(Full) => self.drop_connection(on, CloseReason::TooFarAhead),
                }
            }
            // A duplicate, or beyond MaxCmdSN: silently ignored.
            Admission::Outside => {}
        }
    }

    /// Bytes that PDUs may hold while they wait. With several connections, or when lost commands are
    /// sent again, a gap is nothing unusual, and all that the window allows may come before it is
    /// filled.
    fn early_limit(&self) -> usize {
        if self.parameters.max_connections > 1 || self.recovery_level() > 0 {
            let burst = self.parameters.first_burst_length as usize;
            EARLY_BYTES_MAX.max(burst * self.window.width() as usize)
        } else {
            EARLY_BYTES_MAX
        }
    }

    /// ExpCmdSN has gone one up: what waited for that has its turn.
    #[inline]
    pub(super) fn follow_up(&mut self) {
        if !self.early.is_empty() {
            let next = self.early.step();
            self.deliver_early(next);
        }
        if self.functions.are_waiting() {
            self.resume_functions();
        }
    }

    /// Delivers PDUs that came ahead of their turn until another one is missing.
    pub(super) fn deliver_early(&mut self, mut next: Next) {
        while !self.closed {
            match next {
                Next::Wait => return,
                Next::Skip => self.window.advance(),
                Next::Deliver(mut waiting) => {
                    self.window.advance();
                    self.deliver(waiting.on, &mut waiting.pdu);
                }
            }
            next = self.early.step();
        }
    }

    /// A PDU whose turn has come.
    #[inline]
    fn deliver(&mut self, on: ConnectionId, pdu: &mut RawPdu) {
        let opcode = opcode(&pdu.bhs);
        if self.is_discovery()
            && matches!(opcode, ScsiCommand::OPCODE | TaskManagementRequest::OPCODE)
        {
            // RFC 7143 §4.3: a discovery session is for SendTargets and logout.
            return self.reject_pdu(on, Reason::COMMAND_NOT_SUPPORTED, pdu);
        }
        match opcode {
            ScsiCommand::OPCODE => self.handle_scsi_command(on, pdu),
            NopOut::OPCODE => self.handle_nop_out(on, pdu),
            TaskManagementRequest::OPCODE => self.handle_task_management(on, pdu),
            TextRequest::OPCODE => self.handle_text(on, pdu),
            _ => self.handle_logout(on, pdu),
        }
    }

    /// A PDU that has no place in this session.
    #[cold]
    fn refuse(&mut self, on: ConnectionId, pdu: &RawPdu) {
        match opcode(&pdu.bhs) {
            LoginRequest::OPCODE => {
                // RFC 7143 §4.2.4: a Login Request in full feature phase is a protocol error.
                self.reject_pdu(on, Reason::PROTOCOL_ERROR, pdu);
                self.drop_connection(on, CloseReason::UnexpectedLogin);
            }
            // RFC 7143 §7.4.1: discovery sessions have ErrorRecoveryLevel 0.
            Snack::OPCODE => self.reject_pdu(on, Reason::PROTOCOL_ERROR, pdu),
            DataOut::OPCODE => self.reject_pdu(on, Reason::COMMAND_NOT_SUPPORTED, pdu),
            _ => {
                // Whoever numbered it as the next command will not send another with that number.
                let due =
                    !is_immediate(&pdu.bhs) && self.window.admit(cmd_sn(pdu)) == Admission::Due;
                if due {
                    self.window.advance();
                }
                self.reject_pdu(on, Reason::COMMAND_NOT_SUPPORTED, pdu);
                if due {
                    self.follow_up();
                }
            }
        }
    }
}

/// CmdSN stands in the same place in every PDU that has one (RFC 7143 §11.2).
#[inline]
fn cmd_sn(pdu: &RawPdu) -> SerialNumber {
    ScsiCommand::parse(&pdu.bhs).cmd_sn
}
