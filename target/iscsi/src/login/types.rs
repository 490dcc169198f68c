//! What a login exchanges with the shell around it: who asks, what the shell decides, what is to be
//! sent, and what a login ends with.

use bytes::Bytes;
use smallvec::SmallVec;

use super::LoginStatus;
use crate::auth::ChapPolicy;
use crate::parameters::{LocalParameters, Parameters};
use crate::pdu::Bhs;

/// Random bytes for one login; fresh for every connection, from a cryptographic generator.
#[derive(Clone)]
pub struct LoginEntropy {
    /// The challenge that the initiator will have to answer.
    pub challenge: [u8; 32],
    /// The identifier that goes with it.
    pub identifier: u8,
}

impl std::fmt::Debug for LoginEntropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LoginEntropy")
    }
}

/// What a login wants next.
#[derive(Debug)]
pub enum LoginStep {
    /// Send this, then wait for the next PDU.
    Respond(LoginReply),
    /// Look up the target and whether this initiator may use it, then call
    /// [`Login::authorize`](super::Login::authorize) or [`Login::refuse`](super::Login::refuse).
    Authorize(LoginIdentity),
    /// Authenticated and negotiated: register the session (with reinstatement, RFC 7143 §6.3.5), then
    /// call [`Login::established`](super::Login::established) or
    /// [`Login::refuse`](super::Login::refuse).
    Establish(LoginIdentity),
    /// Send the reply, then the connection is in full feature phase.
    Complete {
        /// The last Login Response.
        reply: LoginReply,
        /// What the session begins with.
        session: LoggedIn,
    },
    /// Send this, then close.
    Fail(LoginReply),
    /// Close without a word.
    Drop(LoginDrop),
}

/// PDUs to send, in order: ready for a transmit queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginReply {
    /// Headers with their data segments.
    pub pdus: SmallVec<[(Bhs, Bytes); 1]>,
}

/// Why a connection is closed without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginDrop {
    /// The first PDU of a connection has to be a Login Request (RFC 7143 §6.3).
    #[error("the first PDU is not a Login Request: opcode {opcode:#04x}")]
    NotALogin {
        /// Opcode of the PDU, without the I bit.
        opcode: u8,
    },
    /// A PDU came while the login waited for the shell, or after it had ended.
    #[error("a PDU came out of turn: the last Login Request was not answered yet")]
    OutOfTurn,
}

/// Normal or discovery (RFC 7143 §13.21).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SessionType {
    /// For SCSI commands to one target.
    #[default]
    Normal,
    /// For SendTargets only.
    Discovery,
}

/// Who logs in to what: from the first Login Request of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginIdentity {
    /// InitiatorName as sent, at most 223 bytes, no control characters or spaces.
    pub initiator_name: String,
    /// InitiatorAlias, if any, at most 255 bytes, without control characters; for people to read.
    pub initiator_alias: Option<String>,
    /// TargetName as sent; always there in a normal session.
    pub target_name: Option<String>,
    /// SessionType.
    pub session_type: SessionType,
    /// ISID.
    pub isid: [u8; 6],
    /// TSIH: 0 for a new session (which may reinstate an old one of the same ISID), else the session
    /// that this connection wants to join. In [`LoggedIn`]: the session's own.
    pub tsih: u16,
    /// Connection ID.
    pub cid: u16,
}

/// The shell's answer to [`LoginStep::Authorize`].
#[derive(Clone, Debug)]
pub enum Authorization {
    /// This initiator may log in, on these terms.
    Accept(Access),
    /// It may not.
    Refuse(LoginStatus),
}

/// The terms on which an initiator may log in.
#[derive(Clone, Debug)]
pub struct Access {
    /// The CHAP that it has to pass, if any. Without it, the only AuthMethod is None.
    pub chap: Option<ChapPolicy>,
    /// Tag of the portal group through which it came (RFC 7143 §13.9).
    pub target_portal_group_tag: u16,
    /// TargetAlias to declare, if any, at most 255 bytes (RFC 7143 §13.6).
    pub target_alias: Option<String>,
    /// Parameters of this target, in place of those the login began with.
    pub local: Option<LocalParameters>,
    /// Where the initiator is to go instead, once it has proved who it is.
    pub redirect: Option<Redirect>,
}

/// Where a target is instead (RFC 7143 §11.13.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Value of TargetAddress: a domain name, an IPv4 address or an IPv6 address in brackets, with
    /// `:port` unless it is 3260. Without a portal group tag, which has to be left out here
    /// (RFC 7143 §13.8).
    pub address: String,
    /// For good: initiators may remember it.
    pub permanent: bool,
}

/// What a login ends with when all went well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedIn {
    /// Who logged in to what; `tsih` is the session's.
    pub identity: LoginIdentity,
    /// What was negotiated. For a connection that joined an existing session only the connection-wide
    /// ones count: digests and MaxRecvDataSegmentLength.
    pub parameters: Parameters,
    /// CmdSN of the next non-immediate command: ExpCmdSN.
    pub cmd_sn: u32,
    /// The MaxCmdSN that the last Login Response gave.
    pub max_cmd_sn: u32,
    /// StatSN of the next response to send.
    pub stat_sn: u32,
    /// ExpStatSN of the initiator's last request.
    pub exp_stat_sn: u32,
}
