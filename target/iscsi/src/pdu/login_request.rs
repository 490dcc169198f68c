//! Login Request (RFC 7143 §11.12), from the initiator. Fields as they stand on the wire; which values
//! are allowed when is for `login` to say.

use nom::IResult;
use nom::Parser;
use nom::bytes::complete::take;
use nom::number::complete::{be_u16, be_u32, u8 as byte};

use super::Bhs;

/// A stage of the login phase as CSG and NSG name it (RFC 7143 §11.12.3). Two bits on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoginStage(pub u8);

impl LoginStage {
    /// 0: the ends authenticate each other.
    pub const SECURITY_NEGOTIATION: Self = Self(0);
    /// 1: the ends settle on operational parameters.
    pub const LOGIN_OPERATIONAL_NEGOTIATION: Self = Self(1);
    /// 3: the login phase is over. Only an NSG can be this.
    pub const FULL_FEATURE_PHASE: Self = Self(3);
}

/// An initiator session identifier (RFC 7143 §11.12.5): opaque to a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Isid(pub [u8; 6]);

/// A Login Request without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginRequest {
    /// T: the initiator is ready to go to `next_stage` (RFC 7143 §11.12.1).
    pub transit: bool,
    /// C: the text goes on in the next request (RFC 7143 §11.12.2).
    pub text_continues: bool,
    /// CSG.
    pub current_stage: LoginStage,
    /// NSG; of no meaning without T.
    pub next_stage: LoginStage,
    /// The highest protocol version that the initiator supports (RFC 7143 §11.12.4).
    pub version_max: u8,
    /// The lowest.
    pub version_min: u8,
    /// TotalAHSLength in four-byte words; a Login Request has no additional headers.
    pub total_ahs_length: u8,
    /// ISID.
    pub isid: Isid,
    /// TSIH: 0 for a new session (RFC 7143 §11.12.6).
    pub tsih: u16,
    /// Initiator Task Tag: to be echoed.
    pub initiator_task_tag: u32,
    /// Connection ID (RFC 7143 §11.12.7).
    pub cid: u16,
    /// CmdSN: of a new session, the number of its first command (RFC 7143 §11.12.8).
    pub cmd_sn: u32,
    /// ExpStatSN (RFC 7143 §11.12.9).
    pub exp_stat_sn: u32,
}

impl LoginRequest {
    /// The opcode, without the I bit.
    pub const OPCODE: u8 = 0x03;

    /// Reads the fields; `None` if this is another PDU. Reserved fields are ignored, and so is the I
    /// bit: the initiator must set it, and nothing depends on it.
    #[must_use]
    pub fn parse(bhs: &Bhs) -> Option<Self> {
        fields(bhs).ok().map(|(_, request)| request)
    }
}

fn fields(bhs: &[u8]) -> IResult<&[u8], LoginRequest> {
    let (rest, opcode) = byte(bhs)?;
    if opcode & 0x3f != LoginRequest::OPCODE {
        return Err(nom::Err::Error(nom::error::make_error(
            bhs,
            nom::error::ErrorKind::Tag,
        )));
    }
    let (rest, (flags, version_max, version_min, total_ahs_length)) =
        (byte, byte, byte, byte).parse(rest)?;
    let (rest, (_data_segment_length, isid, tsih)) =
        (take(3usize), take(6usize), be_u16).parse(rest)?;
    let (rest, (initiator_task_tag, cid, _reserved, cmd_sn, exp_stat_sn)) =
        (be_u32, be_u16, be_u16, be_u32, be_u32).parse(rest)?;
    let mut octets = [0; 6];
    octets
        .iter_mut()
        .zip(isid)
        .for_each(|(to, from)| *to = *from);
    let request = LoginRequest {
        transit: flags & 0x80 != 0,
        text_continues: flags & 0x40 != 0,
        current_stage: LoginStage(flags >> 2 & 0x03),
        next_stage: LoginStage(flags & 0x03),
        version_max,
        version_min,
        total_ahs_length,
        isid: Isid(octets),
        tsih,
        initiator_task_tag,
        cid,
        cmd_sn,
        exp_stat_sn,
    };
    Ok((rest, request))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdu::BHS_LEN;

    #[test]
    fn every_field_is_read_from_its_place() {
        let mut bhs: Bhs = std::array::from_fn(|i| i.to_le_bytes()[0]);
        bhs[0] = 0x43;
        bhs[1] = 0x87;
        let request = LoginRequest::parse(&bhs).unwrap();
        let expected = LoginRequest {
            transit: true,
            text_continues: false,
            current_stage: LoginStage::LOGIN_OPERATIONAL_NEGOTIATION,
            next_stage: LoginStage::FULL_FEATURE_PHASE,
            version_max: 2,
            version_min: 3,
            total_ahs_length: 4,
            isid: Isid([8, 9, 10, 11, 12, 13]),
            tsih: 0x0e0f,
            initiator_task_tag: 0x1011_1213,
            cid: 0x1415,
            cmd_sn: 0x1819_1a1b,
            exp_stat_sn: 0x1c1d_1e1f,
        };
        assert_eq!(request, expected);
    }

    #[test]
    fn the_immediate_bit_makes_no_difference_and_another_opcode_is_no_login() {
        let mut bhs = [0; BHS_LEN];
        for opcode in 0..=255u8 {
            bhs[0] = opcode;
            assert_eq!(
                LoginRequest::parse(&bhs).is_some(),
                opcode & 0x3f == 0x03,
                "{opcode:#x}"
            );
        }
    }
}
