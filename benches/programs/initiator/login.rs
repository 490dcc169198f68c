//! The login: operational keys, in as many exchanges as the target wants, and commands until the unit is ready. Knows no
//! authentication.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::Outcome;
use crate::pdu::{self, HEADER, Header};

const OPERATIONAL: u8 = 1;
const FULL_FEATURE: u8 = 3;
/// More exchanges than any target needs.
const EXCHANGES: usize = 8;
/// What we offer for the lengths of data.
const LENGTH: usize = 1 << 20;
/// So many conditions a unit may have to tell about: that it was switched on, that its LUNs have changed.
const CONDITIONS: usize = 4;
const CHECK_CONDITION: u8 = 0x02;
const UNIT_ATTENTION: u8 = 0x06;

/// What the two sides have settled.
pub struct Agreed {
    pub digests: bool,
    /// The longest data segment that the target takes.
    pub segment: usize,
    /// Bytes that go with a command, at most.
    pub immediate: usize,
    /// Bytes that go without being asked for, at most, those that go with the command included.
    pub unsolicited: usize,
    /// CmdSN of the next command.
    pub next: u32,
    /// MaxCmdSN.
    pub most: u32,
    /// ExpStatSN.
    pub heard: u32,
}

pub fn log_in(mut stream: &TcpStream, target: &str, number: u16, digests: bool) -> Outcome<Agreed> {
    let digest = if digests { "CRC32C" } else { "None" };
    let mut text = [
        "InitiatorName=iqn.2026-11.test.tidelock:bench".into(), "SessionType=Normal".into(), format!("TargetName={target}"),
        format!("HeaderDigest={digest}"), format!("DataDigest={digest}"), "InitialR2T=No".into(), "ImmediateData=Yes".into(),
        format!("MaxRecvDataSegmentLength={LENGTH}"), format!("MaxBurstLength={LENGTH}"), format!("FirstBurstLength={LENGTH}"),
        "MaxOutstandingR2T=1".into(), "MaxConnections=1".into(), "ErrorRecoveryLevel=0".into(),
    ]
    .map(|key| format!("{key}\0"))
    .concat();
    let mut header = [0; HEADER];
    (header[0], header[1]) = (pdu::LOGIN_REQUEST, 0x80 | OPERATIONAL << 2 | FULL_FEATURE);
    // ISID of a random kind; sessions are told apart by its qualifier.
    header[8] = 0x80;
    pdu::put(&mut header, 12, &number.to_be_bytes());
    pdu::put_number(&mut header, 24, 1);
    let mut told = String::new();
    for _ in 0..EXCHANGES {
        pdu::put_length(&mut header, text.len());
        let mut bytes = [&header, text.as_bytes()].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        stream.write_all(&bytes)?;
        let (answer, data) = receive(stream, 0)?;
        told.push_str(std::str::from_utf8(&data)?);
        if answer[0] != pdu::LOGIN_RESPONSE || answer[36] != 0 {
            return Err(format!("the login was answered by {answer:02x?}").into());
        }
        let heard = pdu::number(&answer, 24).wrapping_add(1);
        // The T bit, and that it goes where we want to go.
        if answer[1] & 0x83 == 0x80 | FULL_FEATURE {
            let (next, most) = (pdu::number(&answer, 28), pdu::number(&answer, 32));
            return agreed(&told, digest, Agreed { digests, segment: 0, immediate: 0, unsolicited: 0, next, most, heard });
        }
        // It has more to say, or wants to be asked once more. TSIH isn't known before the end.
        text.clear();
        pdu::put_number(&mut header, 28, heard);
    }
    Err("the login doesn't end".into())
}

/// Asks the unit whether it is ready, until it has told all that it has to tell: that would cost commands that are measured.
pub fn wake(mut stream: &TcpStream, agreed: &mut Agreed, lun: u8) -> Outcome<()> {
    let digest = if agreed.digests { 4 } else { 0 };
    for _ in 0..CONDITIONS {
        // TEST UNIT READY, which is a CDB of zeros; the task is simple, and F set.
        let mut header = [0; HEADER];
        (header[0], header[1], header[9]) = (pdu::SCSI_COMMAND, 0x81, lun);
        pdu::put_number(&mut header, 24, agreed.next);
        pdu::put_number(&mut header, 28, agreed.heard);
        stream.write_all(&[&header[..], &pdu::crc32c(&header).to_le_bytes()[..digest]].concat())?;
        let (answer, data) = receive(stream, digest)?;
        if answer[0] != pdu::SCSI_RESPONSE || answer[2] != 0 {
            return Err(format!("whether it is ready was answered by {answer:02x?}").into());
        }
        agreed.next = agreed.next.wrapping_add(1);
        agreed.heard = pdu::number(&answer, 24).wrapping_add(1);
        agreed.most = pdu::number(&answer, 32);
        match answer[3] {
            0 => return Ok(()),
            CHECK_CONDITION if sense_key(&data) == Some(UNIT_ATTENTION) => {}
            status => return Err(format!("the unit isn't ready: status {status:#04x}, {data:02x?}").into()),
        }
    }
    Err("the unit has too much to tell".into())
}

fn receive(mut stream: &TcpStream, digest: usize) -> Outcome<(Header, Vec<u8>)> {
    let mut header = [0; HEADER];
    stream.read_exact(&mut header)?;
    let length = pdu::length(&header);
    let mut data = vec![0; digest + length.next_multiple_of(4) + if length > 0 { digest } else { 0 }];
    stream.read_exact(&mut data)?;
    Ok((header, data[digest..digest + length].to_vec()))
}

/// Of what comes with a status: a length, and sense data of fixed or of descriptor format.
fn sense_key(data: &[u8]) -> Option<u8> {
    let sense = data.get(2..)?;
    let at = if sense.first()? & 0x7f < 0x72 { 2 } else { 1 };
    sense.get(at).map(|key| key & 0x0f)
}

fn agreed(told: &str, digest: &str, so_far: Agreed) -> Outcome<Agreed> {
    let value = |key: &str| told.split('\0').find_map(|it| it.strip_prefix(key)?.strip_prefix('='));
    for key in ["HeaderDigest", "DataDigest"] {
        if value(key).unwrap_or("None") != digest {
            return Err(format!("{key} is {:?}, not {digest}", value(key)).into());
        }
    }
    let most = |key, default| value(key).map_or(Ok(default), str::parse::<usize>);
    let segment = most("MaxRecvDataSegmentLength", 8192)?;
    let burst = most("FirstBurstLength", 65_536)?.min(LENGTH);
    let immediate = if value("ImmediateData") == Some("No") { 0 } else { segment.min(burst) };
    // Unless the target says No as well it has to ask for everything else.
    let unsolicited = if value("InitialR2T") == Some("No") { burst } else { immediate };
    Ok(Agreed { segment, immediate, unsolicited, ..so_far })
}
