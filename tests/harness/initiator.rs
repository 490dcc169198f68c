//! An iSCSI initiator for tests: blocking, one command at a time or PDU by PDU, able to misbehave.
//! Written from RFC 7143 alone, so that a misreading in the target isn't repeated here.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take before the test fails.
const ANSWER: Duration = Duration::from_secs(60);

/// Name that tests log in with.
pub(crate) const INITIATOR: &str = "iqn.2026-11.test.tidelock:initiator";

/// A PDU as it stands on the wire, digests off.
#[derive(Clone, Debug)]
pub(crate) struct Pdu {
    pub bhs: [u8; 48],
    pub data: Vec<u8>,
}

impl Pdu {
    /// A PDU of that opcode byte (with the I bit if wanted) and flags.
    pub(crate) fn new(opcode: u8, flags: u8) -> Self {
        let mut bhs = [0; 48];
        bhs[0] = opcode;
        bhs[1] = flags;
        Self {
            bhs,
            data: Vec::new(),
        }
    }

    /// Sets a 32-bit field.
    pub(crate) fn set(mut self, offset: usize, value: u32) -> Self {
        self.bhs[offset..offset + 4].copy_from_slice(&value.to_be_bytes());
        self
    }

    /// Sets the data segment and its length.
    pub(crate) fn with_data(mut self, data: &[u8]) -> Self {
        self.data = data.to_vec();
        let len = u32::try_from(data.len()).unwrap().to_be_bytes();
        self.bhs[5..8].copy_from_slice(&len[1..]);
        self
    }

    pub(crate) fn opcode(&self) -> u8 {
        self.bhs[0] & 0x3f
    }

    pub(crate) fn get(&self, offset: usize) -> u32 {
        u32::from_be_bytes(self.bhs[offset..offset + 4].try_into().unwrap())
    }

    /// The bytes of the PDU, padded.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.bhs.to_vec();
        bytes.extend_from_slice(&self.data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }
}

/// How a login ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoginFailure {
    pub class: u8,
    pub detail: u8,
}

/// The end of a SCSI command.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub status: u8,
    pub sense: Vec<u8>,
    pub data: Vec<u8>,
}

impl Answer {
    /// Sense key, ASC and ASCQ of fixed format sense.
    pub(crate) fn sense_code(&self) -> (u8, u8, u8) {
        let at = |index: usize| self.sense.get(index).copied().unwrap_or(0);
        (at(2) & 0xf, at(12), at(13))
    }

    pub(crate) fn assert_good(&self) -> &Self {
        assert_eq!(self.status, 0, "not GOOD: sense {:x?}", self.sense_code());
        self
    }
}

/// One connection.
pub(crate) struct Initiator {
    stream: TcpStream,
    pub cmd_sn: u32,
    pub exp_stat_sn: u32,
    pub max_cmd_sn: u32,
    pub tsih: u16,
    next_tag: u32,
}

/// What a login names.
pub(crate) struct LoginAs<'a> {
    pub initiator: &'a str,
    pub target: Option<&'a str>,
    pub isid: u8,
    pub tsih: u16,
}

impl Default for LoginAs<'_> {
    fn default() -> Self {
        Self {
            initiator: INITIATOR,
            target: Some(super::daemon::TARGET),
            isid: 1,
            tsih: 0,
        }
    }
}

impl Initiator {
    /// Connects and says nothing.
    pub(crate) fn connect(portal: SocketAddr) -> Self {
        Self::over(TcpStream::connect(portal).unwrap())
    }

    /// Connects from an address of this machine's and says nothing.
    pub(crate) fn connect_from(from: std::net::IpAddr, portal: SocketAddr) -> Self {
        use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
        let family = if from.is_ipv4() {
            AddressFamily::INET
        } else {
            AddressFamily::INET6
        };
        let socket = socket(family, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddr::new(from, 0)).unwrap();
        connect(&socket, &portal).unwrap();
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(ANSWER)).unwrap();
        stream.set_write_timeout(Some(ANSWER)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            cmd_sn: 1,
            exp_stat_sn: 0,
            max_cmd_sn: 1,
            tsih: 0,
            next_tag: 1,
        }
    }

    /// Logs in to the harness's target without authentication.
    pub(crate) fn log_in(portal: SocketAddr) -> Self {
        Self::log_in_as(portal, &LoginAs::default()).unwrap()
    }

    /// Logs in as somebody.
    pub(crate) fn log_in_as(portal: SocketAddr, who: &LoginAs<'_>) -> Result<Self, LoginFailure> {
        let mut this = Self::connect(portal);
        this.finish_login(who)?;
        Ok(this)
    }

    /// Logs in over a connection that is there.
    pub(crate) fn finish_login(&mut self, who: &LoginAs<'_>) -> Result<(), LoginFailure> {
        let reply = self
            .login_exchange(who)
            .expect("the connection was dropped during login");
        let (class, detail) = (reply.bhs[36], reply.bhs[37]);
        if class != 0 {
            return Err(LoginFailure { class, detail });
        }
        assert_eq!(
            reply.bhs[1] & 0x83,
            0x83,
            "not in full feature phase: {:x?}",
            reply.bhs
        );
        Ok(())
    }

    /// Sends one Login Request that goes straight to full feature phase, and returns the answer.
    pub(crate) fn login_exchange(&mut self, who: &LoginAs<'_>) -> io::Result<Pdu> {
        let mut text = format!("InitiatorName={}\0", who.initiator);
        match who.target {
            Some(target) => text.push_str(&format!("TargetName={target}\0SessionType=Normal\0")),
            None => text.push_str("SessionType=Discovery\0"),
        }
        text.push_str("HeaderDigest=None\0DataDigest=None\0InitialR2T=No\0ImmediateData=Yes\0");
        text.push_str("MaxRecvDataSegmentLength=262144\0MaxBurstLength=1048576\0");
        text.push_str("FirstBurstLength=65536\0ErrorRecoveryLevel=0\0MaxConnections=1\0");
        // Transit from operational negotiation to full feature phase.
        let pdu = self.login_request(0x87, who, text.as_bytes());
        self.send(&pdu)?;
        let reply = self.receive()?;
        self.tsih = u16::from_be_bytes([reply.bhs[14], reply.bhs[15]]);
        if who.tsih != 0 {
            // The order of commands is that of the session, which goes on.
            self.cmd_sn = reply.get(28);
        }
        Ok(reply)
    }

    /// A Login Request with those flags and that text.
    pub(crate) fn login_request(&self, flags: u8, who: &LoginAs<'_>, text: &[u8]) -> Pdu {
        let mut pdu = Pdu::new(0x43, flags)
            .with_data(text)
            .set(16, 0)
            .set(24, self.cmd_sn);
        // A random-format ISID (RFC 7143 §11.12.5).
        pdu.bhs[8..14].copy_from_slice(&[0x80, 0, 0, 0, 0, who.isid]);
        pdu.bhs[14..16].copy_from_slice(&who.tsih.to_be_bytes());
        pdu.set(28, self.exp_stat_sn)
    }

    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    pub(crate) fn send(&mut self, pdu: &Pdu) -> io::Result<()> {
        self.stream.write_all(&pdu.bytes())
    }

    /// The next PDU; an error at the end of the stream.
    pub(crate) fn receive(&mut self) -> io::Result<Pdu> {
        let mut bhs = [0; 48];
        self.stream.read_exact(&mut bhs)?;
        let len = u32::from_be_bytes([0, bhs[5], bhs[6], bhs[7]]) as usize;
        let mut skip = vec![0; usize::from(bhs[4]) * 4];
        self.stream.read_exact(&mut skip)?;
        let mut data = vec![0; len.next_multiple_of(4)];
        self.stream.read_exact(&mut data)?;
        data.truncate(len);
        let pdu = Pdu { bhs, data };
        let has_status = match pdu.opcode() {
            0x25 => bhs[1] & 1 != 0,
            0x31 => false,
            0x20 => pdu.get(16) != u32::MAX,
            _ => true,
        };
        if has_status {
            self.exp_stat_sn = pdu.get(24).wrapping_add(1);
        }
        self.max_cmd_sn = pdu.get(32);
        Ok(pdu)
    }

    /// Whether the target closes the connection (after whatever it still says).
    pub(crate) fn is_dropped(&mut self) -> bool {
        loop {
            match self.receive() {
                Ok(_) => {}
                Err(error) => {
                    let timed_out = matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    );
                    return !timed_out;
                }
            }
        }
    }

    /// A new initiator task tag.
    pub(crate) fn tag(&mut self) -> u32 {
        self.next_tag += 1;
        self.next_tag
    }

    /// A SCSI Command PDU for `lun` with the next CmdSN.
    pub(crate) fn command(&mut self, lun: u8, cdb: &[u8], flags: u8, expected: u32) -> Pdu {
        let tag = self.tag();
        let mut pdu = Pdu::new(0x01, 0x81 | flags)
            .set(16, tag)
            .set(20, expected)
            .set(24, self.cmd_sn)
            .set(28, self.exp_stat_sn);
        pdu.bhs[9] = lun;
        pdu.bhs[32..32 + cdb.len()].copy_from_slice(cdb);
        self.cmd_sn = self.cmd_sn.wrapping_add(1);
        pdu
    }

    /// Runs a command that reads up to `expected` bytes.
    pub(crate) fn read_command(&mut self, lun: u8, cdb: &[u8], expected: u32) -> Answer {
        let flags = if expected > 0 { 0x40 } else { 0 };
        let pdu = self.command(lun, cdb, flags, expected);
        self.send(&pdu).unwrap();
        self.finish(pdu.get(16), &[]).unwrap()
    }

    /// Runs a command that writes `data`, as immediate data as far as it fits, else on request.
    pub(crate) fn write_command(&mut self, lun: u8, cdb: &[u8], data: &[u8]) -> Answer {
        let expected = u32::try_from(data.len()).unwrap();
        let immediate = &data[..data.len().min(65_536)];
        let pdu = self.command(lun, cdb, 0x20, expected).with_data(immediate);
        self.send(&pdu).unwrap();
        self.finish(pdu.get(16), data).unwrap()
    }

    /// Collects what belongs to a task until its status; answers R2Ts from `data` and NOP-Ins.
    pub(crate) fn finish(&mut self, tag: u32, data: &[u8]) -> io::Result<Answer> {
        let mut read = Vec::new();
        loop {
            let pdu = self.receive()?;
            match pdu.opcode() {
                0x25 => {
                    assert_eq!(pdu.get(16), tag);
                    let offset = pdu.get(40) as usize;
                    read.resize(read.len().max(offset + pdu.data.len()), 0);
                    read[offset..offset + pdu.data.len()].copy_from_slice(&pdu.data);
                    if pdu.bhs[1] & 1 != 0 {
                        return Ok(Answer {
                            status: pdu.bhs[3],
                            sense: Vec::new(),
                            data: read,
                        });
                    }
                }
                0x21 => {
                    assert_eq!(pdu.get(16), tag);
                    let sense = pdu.data.get(2..).unwrap_or_default().to_vec();
                    return Ok(Answer {
                        status: pdu.bhs[3],
                        sense,
                        data: read,
                    });
                }
                0x31 => self.answer_r2t(&pdu, data)?,
                0x20 => self.answer_nop(&pdu)?,
                other => panic!("an unexpected PDU {other:#x}: {:x?}", pdu.bhs),
            }
        }
    }

    /// Sends what an R2T asks for.
    pub(crate) fn answer_r2t(&mut self, r2t: &Pdu, data: &[u8]) -> io::Result<()> {
        let (offset, len) = (r2t.get(40) as usize, r2t.get(44) as usize);
        let wanted = &data[offset..offset + len];
        let mut sent = 0;
        for (data_sn, part) in (0..).zip(wanted.chunks(65_536)) {
            let last = sent + part.len() == len;
            let mut pdu = Pdu::new(0x05, if last { 0x80 } else { 0 })
                .with_data(part)
                .set(16, r2t.get(16))
                .set(20, r2t.get(20))
                .set(28, self.exp_stat_sn)
                .set(36, data_sn)
                .set(40, u32::try_from(offset + sent).unwrap());
            pdu.bhs[8..16].copy_from_slice(&r2t.bhs[8..16]);
            self.send(&pdu)?;
            sent += part.len();
        }
        Ok(())
    }

    /// Answers a NOP-In that wants an answer.
    pub(crate) fn answer_nop(&mut self, nop: &Pdu) -> io::Result<()> {
        if nop.get(20) == u32::MAX {
            return Ok(());
        }
        let mut pdu = Pdu::new(0x40, 0x80)
            .set(16, u32::MAX)
            .set(20, nop.get(20))
            .set(24, self.cmd_sn)
            .set(28, self.exp_stat_sn);
        pdu.bhs[8..16].copy_from_slice(&nop.bhs[8..16]);
        self.send(&pdu)
    }

    /// TEST UNIT READY until no unit attention is left.
    pub(crate) fn settle(&mut self, lun: u8) {
        for _ in 0..8 {
            if self.read_command(lun, &[0; 6], 0).status == 0 {
                return;
            }
        }
        panic!("LUN {lun} isn't ready");
    }

    /// READ(16) of whole 512-byte blocks.
    pub(crate) fn read(&mut self, lun: u8, lba: u64, blocks: u32) -> Answer {
        self.read_command(lun, &cdb16(0x88, lba, blocks, false), blocks * 512)
    }

    /// WRITE(16) of whole 512-byte blocks.
    pub(crate) fn write(&mut self, lun: u8, lba: u64, data: &[u8], fua: bool) -> Answer {
        let blocks = u32::try_from(data.len() / 512).unwrap();
        self.write_command(lun, &cdb16(0x8a, lba, blocks, fua), data)
    }

    /// SYNCHRONIZE CACHE(16) of everything.
    pub(crate) fn flush(&mut self, lun: u8) -> Answer {
        self.read_command(lun, &cdb16(0x91, 0, 0, false), 0)
    }

    /// READ CAPACITY(16): the number of blocks.
    pub(crate) fn capacity(&mut self, lun: u8) -> u64 {
        let mut cdb = cdb16(0x9e, 0, 32, false);
        cdb[1] = 0x10;
        let answer = self.read_command(lun, &cdb, 32);
        answer.assert_good();
        u64::from_be_bytes(answer.data[..8].try_into().unwrap()) + 1
    }

    /// A NOP-Out ping; returns the echo.
    pub(crate) fn ping(&mut self, data: &[u8]) -> io::Result<Pdu> {
        let tag = self.tag();
        let pdu = Pdu::new(0x40, 0x80)
            .with_data(data)
            .set(16, tag)
            .set(20, u32::MAX)
            .set(24, self.cmd_sn)
            .set(28, self.exp_stat_sn);
        self.send(&pdu)?;
        loop {
            let reply = self.receive()?;
            if reply.opcode() == 0x20 && reply.get(16) == tag {
                return Ok(reply);
            }
        }
    }

    /// Logs out; true if the target agreed.
    pub(crate) fn log_out(&mut self) -> bool {
        let tag = self.tag();
        let pdu = Pdu::new(0x46, 0x80)
            .set(16, tag)
            .set(24, self.cmd_sn)
            .set(28, self.exp_stat_sn);
        self.send(&pdu).unwrap();
        let reply = self.receive().unwrap();
        reply.opcode() == 0x26 && reply.bhs[2] == 0
    }
}

/// A 16-byte CDB with an 8-byte address and a 4-byte length.
pub(crate) fn cdb16(opcode: u8, lba: u64, length: u32, fua: bool) -> [u8; 16] {
    let mut cdb = [0; 16];
    cdb[0] = opcode;
    cdb[1] = if fua { 0x08 } else { 0 };
    cdb[2..10].copy_from_slice(&lba.to_be_bytes());
    cdb[10..14].copy_from_slice(&length.to_be_bytes());
    cdb
}
