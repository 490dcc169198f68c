//! Whole logins without a socket: a fake initiator that builds Login Requests by hand, and a fake shell
//! that answers what the login asks.

mod chap;
mod initiators;
mod properties;
mod protocol;
mod redirect;
mod text;

use bytes::Bytes;

use super::*;
use crate::auth::{ChapPolicy, Secret};
use crate::pdu::{BHS_LEN, Bhs};
use crate::text::TextPairs;

const CHALLENGE: [u8; 32] = [0xc5; 32];
const IDENTIFIER: u8 = 0x2a;
const INITIATOR: &str = "iqn.2001-04.com.example:host";
const TARGET: &str = "iqn.2001-04.com.example:disk";
const NORMAL: &str = "InitiatorName=iqn.2001-04.com.example:host\n\
                      TargetName=iqn.2001-04.com.example:disk\nSessionType=Normal";

/// CSG or NSG.
const SECURITY: u8 = 0;
const OPERATIONAL: u8 = 1;
const FULL_FEATURE: u8 = 3;

fn entropy() -> LoginEntropy {
    LoginEntropy {
        challenge: CHALLENGE,
        identifier: IDENTIFIER,
    }
}

fn open_access() -> Access {
    Access {
        chap: None,
        target_portal_group_tag: 1,
        target_alias: None,
        local: None,
        redirect: None,
    }
}

fn chap_access() -> Access {
    let chap = ChapPolicy {
        user: "host-user".into(),
        secret: Secret::from("host-secret-123"),
        mutual: None,
    };
    Access {
        chap: Some(chap),
        ..open_access()
    }
}

fn mutual_access() -> Access {
    let mut access = chap_access();
    if let Some(chap) = &mut access.chap {
        chap.mutual = Some(("disk-user".into(), Secret::from("disk-secret-456")));
    }
    access
}

/// Builds a Login Request; pairs stand one to a line.
#[derive(Clone, Copy)]
struct Request<'a> {
    csg: u8,
    nsg: Option<u8>,
    text: &'a str,
    continues: bool,
    tsih: u16,
    task_tag: u32,
    cid: u16,
    isid: [u8; 6],
    version_min: u8,
}

fn request<'a>(csg: u8, nsg: Option<u8>, text: &'a str) -> Request<'a> {
    Request {
        csg,
        nsg,
        text,
        continues: false,
        tsih: 0,
        task_tag: 0x1000_0001,
        cid: 5,
        isid: [0x40, 0, 1, 0x37, 0, 0],
        version_min: 0,
    }
}

impl Request<'_> {
    fn pdu(self) -> RawPdu {
        let mut bhs: Bhs = [0; BHS_LEN];
        bhs[0] = 0x43;
        bhs[1] = u8::from(self.nsg.is_some()) << 7
            | u8::from(self.continues) << 6
            | self.csg << 2
            | self.nsg.unwrap_or(0);
        bhs[3] = self.version_min;
        bhs[8..14].copy_from_slice(&self.isid);
        bhs[14..16].copy_from_slice(&self.tsih.to_be_bytes());
        bhs[16..20].copy_from_slice(&self.task_tag.to_be_bytes());
        bhs[20..22].copy_from_slice(&self.cid.to_be_bytes());
        bhs[24..28].copy_from_slice(&123u32.to_be_bytes());
        bhs[28..32].copy_from_slice(&77u32.to_be_bytes());
        RawPdu {
            bhs,
            ahs: Bytes::new(),
            data: Bytes::from(lines(self.text)).into(),
        }
    }
}

/// One pair to a line becomes one pair to a NUL. A text that ends in a backslash has no last NUL.
fn lines(text: &str) -> Vec<u8> {
    match text.strip_suffix('\\') {
        Some(cut) => cut.replace('\n', "\0").into_bytes(),
        None if text.is_empty() => Vec::new(),
        None => format!("{}\0", text.replace('\n', "\0")).into_bytes(),
    }
}

/// A Login Response as an initiator reads it.
#[derive(Debug, PartialEq, Eq)]
struct Response {
    transit: bool,
    continues: bool,
    csg: u8,
    nsg: u8,
    tsih: u16,
    stat_sn: u32,
    status: LoginStatus,
    /// One pair to a line.
    text: String,
    raw: Bytes,
}

fn read(reply: &LoginReply) -> Response {
    let [(bhs, data)] = reply.pdus.as_slice() else {
        panic!("one response at a time: {reply:?}")
    };
    let word = |at: usize| u32::from_be_bytes(bhs[at..at + 4].try_into().unwrap());
    assert_eq!(bhs[0], 0x23);
    assert_eq!(bhs[2..4], [0, 0], "version 0x00 is the only one");
    assert_eq!(word(4), u32::try_from(data.len()).unwrap());
    assert!(
        data.len() <= 8_192,
        "before full feature phase 8192 bytes are the limit"
    );
    assert_eq!(bhs[8..14], [0x40, 0, 1, 0x37, 0, 0]);
    assert_eq!(word(28), 123, "ExpCmdSN: login requests take no number");
    let response = Response {
        transit: bhs[1] & 0x80 != 0,
        continues: bhs[1] & 0x40 != 0,
        csg: bhs[1] >> 2 & 3,
        nsg: bhs[1] & 3,
        tsih: u16::from_be_bytes([bhs[14], bhs[15]]),
        stat_sn: word(24),
        status: LoginStatus {
            class: bhs[36],
            detail: bhs[37],
        },
        text: TextPairs::parse(data).map_or_else(
            |_| String::from("(part of a text)"),
            |pairs| {
                let pairs = pairs
                    .iter()
                    .map(|pair| format!("{}={}", pair.key, pair.value));
                pairs.collect::<Vec<_>>().join("\n")
            },
        ),
        raw: data.clone(),
    };
    assert!(!(response.transit && response.continues));
    response
}

/// What the initiator sees of one request.
#[derive(Debug)]
enum Seen {
    Response(Response),
    LoggedIn(Response, LoggedIn),
    Refused(Response, LoginFailure),
    Dropped(LoginDrop),
}

/// A login with a shell that lets everybody in on the given terms.
struct Target {
    login: Login,
    access: Access,
    identity: Option<LoginIdentity>,
}

impl Target {
    fn new(access: Access) -> Self {
        let login = Login::new(LocalParameters::default(), entropy());
        Self {
            login,
            access,
            identity: None,
        }
    }

    fn send(&mut self, request: Request<'_>) -> Seen {
        self.send_pdu(request.pdu())
    }

    fn send_pdu(&mut self, pdu: RawPdu) -> Seen {
        let mut step = self.login.handle(pdu);
        loop {
            step = match step {
                LoginStep::Authorize(identity) => {
                    assert_eq!(self.identity.replace(identity), None, "asked once");
                    self.login
                        .authorize(Authorization::Accept(self.access.clone()))
                }
                LoginStep::Establish(identity) => {
                    assert_eq!(self.identity.as_ref(), Some(&identity));
                    self.login.established(0x0102)
                }
                LoginStep::Respond(reply) => return Seen::Response(read(&reply)),
                LoginStep::Complete { reply, session } => {
                    return Seen::LoggedIn(read(&reply), session);
                }
                LoginStep::Fail(reply) => {
                    let failure = self.login.failure().expect("a reason for the log").clone();
                    return Seen::Refused(read(&reply), failure);
                }
                LoginStep::Drop(reason) => return Seen::Dropped(reason),
            };
        }
    }

    /// Sends a request that the login goes on after.
    fn expect_response(&mut self, request: Request<'_>) -> Response {
        match self.send(request) {
            Seen::Response(response) => {
                assert_eq!(response.status, LoginStatus::SUCCESS);
                response
            }
            other => panic!("expected a response, got {other:?}"),
        }
    }

    /// Sends the request that completes the login.
    fn expect_login(&mut self, request: Request<'_>) -> (Response, LoggedIn) {
        match self.send(request) {
            Seen::LoggedIn(response, session) => {
                assert_eq!(response.status, LoginStatus::SUCCESS);
                assert!(response.transit);
                assert_eq!(response.nsg, FULL_FEATURE);
                assert_eq!(response.tsih, 0x0102);
                assert_eq!(session.identity.tsih, 0x0102);
                assert_eq!(session.stat_sn, response.stat_sn.wrapping_add(1));
                assert_eq!(session.cmd_sn, 123);
                (response, session)
            }
            other => panic!("expected the end of the login, got {other:?}"),
        }
    }

    /// Sends a request that ends the login with this status.
    fn expect_refusal(&mut self, request: Request<'_>, status: LoginStatus) -> LoginFailure {
        match self.send(request) {
            Seen::Refused(response, failure) => {
                assert_eq!(response.status, status, "{failure}");
                assert!(!response.transit);
                assert_eq!(response.text.is_empty(), status.class != 1);
                failure
            }
            other => panic!("expected {status}, got {other:?}"),
        }
    }
}
