//! Login Response (RFC 7143 §11.13), from the target: its header.

use super::login_request::{Isid, LoginStage};
use super::{BHS_LEN, Bhs};
use crate::login::LoginStatus;

/// A Login Response without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginResponse {
    /// T: go to `next_stage` (RFC 7143 §11.13.6).
    pub transit: bool,
    /// C: the text goes on in the next response (RFC 7143 §11.13.7).
    pub text_continues: bool,
    /// CSG.
    pub current_stage: LoginStage,
    /// NSG; sent as 0 without T.
    pub next_stage: LoginStage,
    /// Length of the text in bytes, below 2^24.
    pub data_segment_length: u32,
    /// ISID of the request.
    pub isid: Isid,
    /// TSIH: the session's in the last response of a successful login, else that of the request
    /// (RFC 7143 §11.13.3).
    pub tsih: u16,
    /// Initiator Task Tag of the request.
    pub initiator_task_tag: u32,
    /// StatSN.
    pub stat_sn: u32,
    /// ExpCmdSN.
    pub exp_cmd_sn: u32,
    /// MaxCmdSN.
    pub max_cmd_sn: u32,
    /// Status-Class and Status-Detail (RFC 7143 §11.13.5).
    pub status: LoginStatus,
}

impl LoginResponse {
    /// The opcode.
    pub const OPCODE: u8 = 0x23;

    /// The header as it goes on the wire. Version-max and Version-active are 0x00, the only version
    /// there is (RFC 7143 §11.13.1, §11.13.2).
    #[must_use]
    pub fn encode(&self) -> Bhs {
        let next_stage = if self.transit {
            self.next_stage.0 & 0x03
        } else {
            0
        };
        let flags = u8::from(self.transit) << 7
            | u8::from(self.text_continues) << 6
            | (self.current_stage.0 & 0x03) << 2
            | next_stage;
        let mut bhs = [0; BHS_LEN];
        let fields: [(usize, &[u8]); 10] = [
            (0, &[Self::OPCODE, flags, 0, 0]),
            // The top byte is TotalAHSLength: zero, as a length has 24 bits.
            (4, &(self.data_segment_length & 0x00ff_ffff).to_be_bytes()),
            (8, &self.isid.0),
            (14, &self.tsih.to_be_bytes()),
            (16, &self.initiator_task_tag.to_be_bytes()),
            (24, &self.stat_sn.to_be_bytes()),
            (28, &self.exp_cmd_sn.to_be_bytes()),
            (32, &self.max_cmd_sn.to_be_bytes()),
            (36, &[self.status.class, self.status.detail]),
            (38, &[0; 10]),
        ];
        for (offset, field) in fields {
            bhs.iter_mut()
                .skip(offset)
                .zip(field)
                .for_each(|(to, from)| *to = *from);
        }
        bhs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response() -> LoginResponse {
        LoginResponse {
            transit: true,
            text_continues: false,
            current_stage: LoginStage::LOGIN_OPERATIONAL_NEGOTIATION,
            next_stage: LoginStage::FULL_FEATURE_PHASE,
            data_segment_length: 0x01_0203,
            isid: Isid([8, 9, 10, 11, 12, 13]),
            tsih: 0x0e0f,
            initiator_task_tag: 0x1011_1213,
            stat_sn: 0x1819_1a1b,
            exp_cmd_sn: 0x1c1d_1e1f,
            max_cmd_sn: 0x2021_2223,
            status: LoginStatus::SUCCESS,
        }
    }

    #[test]
    fn every_field_stands_in_its_place() {
        let mut expected: Bhs = [0; BHS_LEN];
        expected[..8].copy_from_slice(&[0x23, 0x87, 0, 0, 0, 1, 2, 3]);
        expected[8..20].copy_from_slice(&(8..20).collect::<Vec<u8>>());
        expected[24..36].copy_from_slice(&(24..36).collect::<Vec<u8>>());
        assert_eq!(response().encode(), expected);
    }

    #[test]
    fn a_status_is_two_bytes_and_without_t_there_is_no_next_stage() {
        let refused = LoginResponse {
            transit: false,
            status: LoginStatus::AUTHENTICATION_FAILURE,
            ..response()
        };
        let bhs = refused.encode();
        assert_eq!(bhs[1], 0x04);
        assert_eq!(bhs[36..38], [0x02, 0x01]);
    }

    #[test]
    fn a_response_that_continues_says_so() {
        let bhs = LoginResponse {
            transit: false,
            text_continues: true,
            ..response()
        }
        .encode();
        assert_eq!(bhs[1], 0x44);
    }
}
