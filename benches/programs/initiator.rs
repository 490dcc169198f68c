//! An initiator that does as little as one can: it reads or writes in sequence, with digests or without, and looks at no data.
//! Digests cost it next to nothing (those of what it writes are always the same, and it believes those of what it reads), so
//! that what they cost is what they cost the target.
//!
//! `initiator PORT TARGET LUN read|write BLOCK DEPTH SECONDS plain|digests` prints how many commands were answered, in how many
//! seconds, and three percentiles of the times in microseconds. It is for a target of ours on loopback: whatever it doesn't
//! expect ends it.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Bytes of a basic header segment (RFC 7143 §11.2.1).
const HEADER: usize = 48;
const LOGIN_REQUEST: u8 = 0x43;
const SCSI_COMMAND: u8 = 0x01;
const DATA_OUT: u8 = 0x05;
const LOGIN_RESPONSE: u8 = 0x23;
const SCSI_RESPONSE: u8 = 0x21;
const DATA_IN: u8 = 0x25;
const R2T: u8 = 0x31;
/// Blocks of this many bytes are what its commands count in.
const SECTOR: usize = 512;
/// Its sequence goes round in so many bytes.
const SPAN: usize = 512 << 20;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [port, target, lun, what @ ("read" | "write"), block, depth, seconds, how @ ("plain" | "digests")] = words[..] else {
        return Err("initiator PORT TARGET LUN read|write BLOCK DEPTH SECONDS plain|digests".into());
    };
    let stream = TcpStream::connect(("127.0.0.1", port.parse()?))?;
    stream.set_nodelay(true)?;
    let block = block.parse()?;
    let mut session = Session {
        stream,
        digests: false,
        lun: lun.parse()?,
        data: if what == "write" { vec![0x5a; block] } else { Vec::new() },
        digest_of_data: 0,
        immediate: 0,
        next: 1,
        heard: 1,
        block,
        at: 0,
    };
    session.digest_of_data = crc32c(&session.data);
    session.log_in(target, how == "digests")?;
    session.run(depth.parse()?, Duration::from_secs(seconds.parse()?))
}

struct Session {
    stream: TcpStream,
    digests: bool,
    lun: u8,
    /// What is written.
    data: Vec<u8>,
    digest_of_data: u32,
    /// Bytes of it that go with a command.
    immediate: usize,
    /// CmdSN of the next command.
    next: u32,
    /// ExpStatSN.
    heard: u32,
    block: usize,
    /// The byte at which the next command begins.
    at: usize,
}

/// One PDU, as far as anybody is interested.
struct Answer {
    header: [u8; HEADER],
    data: Vec<u8>,
}

impl Session {
    fn log_in(&mut self, target: &str, digests: bool) -> Outcome<()> {
        let digest = if digests { "CRC32C" } else { "None" };
        let keys = [
            "InitiatorName=iqn.2026-11.test.tidelock:bench", "SessionType=Normal", "InitialR2T=No", "ImmediateData=Yes",
            "MaxRecvDataSegmentLength=1048576", "MaxBurstLength=1048576", "FirstBurstLength=1048576", "ErrorRecoveryLevel=0",
        ];
        let mut text = keys.map(|key| format!("{key}\0")).concat();
        text += &format!("TargetName={target}\0HeaderDigest={digest}\0DataDigest={digest}\0");
        let mut header = [0; HEADER];
        // From operational negotiation (1) to full feature (3) at once.
        (header[0], header[1]) = (LOGIN_REQUEST, 0x80 | 1 << 2 | 3);
        put(&mut header, 5, &(text.len() as u32).to_be_bytes()[1..]);
        // ISID of a random kind, and the first CmdSN.
        header[8] = 0x80;
        put(&mut header, 24, &self.next.to_be_bytes());
        self.send(&header, text.as_bytes(), 0)?;
        let mut told = String::new();
        let answer = self.receive()?;
        if answer.header[0] != LOGIN_RESPONSE || answer.header[36] != 0 || answer.header[1] & 0x83 != 0x83 {
            return Err(format!("the login was answered by {:02x?}", answer.header).into());
        }
        told += std::str::from_utf8(&answer.data)?;
        let value = |key: &str| told.split('\0').find_map(|it| it.strip_prefix(key)?.strip_prefix('='));
        for key in ["HeaderDigest", "DataDigest"] {
            if value(key) != Some(digest) {
                return Err(format!("{key} is {:?}, not {digest}", value(key)).into());
            }
        }
        let most = |key| value(key).and_then(|it| it.parse::<usize>().ok());
        let least = most("MaxRecvDataSegmentLength").unwrap_or(8192).min(most("FirstBurstLength").unwrap_or(65_536));
        self.immediate = if value("ImmediateData") == Some("No") { 0 } else { least };
        self.digests = digests;
        Ok(())
    }

    fn send(&mut self, header: &[u8; HEADER], data: &[u8], digest: u32) -> Outcome<()> {
        let mut bytes = Vec::with_capacity(HEADER + 8 + data.len() + 3);
        bytes.extend(header);
        if self.digests {
            bytes.extend(crc32c(header).to_le_bytes());
        }
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        if self.digests && !data.is_empty() {
            bytes.extend(digest.to_le_bytes());
        }
        Ok(self.stream.write_all(&bytes)?)
    }

    fn receive(&mut self) -> Outcome<Answer> {
        let mut header = [0; HEADER];
        self.stream.read_exact(&mut header)?;
        let length = u32::from_be_bytes([0, header[5], header[6], header[7]]) as usize;
        let digest = if self.digests { 4 } else { 0 };
        let behind = length.next_multiple_of(4) + if length > 0 { digest } else { 0 };
        let mut data = vec![0; digest + behind];
        self.stream.read_exact(&mut data)?;
        data.drain(..digest);
        data.truncate(length);
        self.heard = self.heard.max(number(&header, 24).wrapping_add(1));
        Ok(Answer { header, data })
    }

    fn begin(&mut self, tag: u32) -> Outcome<()> {
        let mut header = [0; HEADER];
        let writes = !self.data.is_empty();
        (header[0], header[1]) = (SCSI_COMMAND, if writes { 0xa0 } else { 0xc0 });
        header[9] = self.lun;
        put(&mut header, 16, &tag.to_be_bytes());
        put(&mut header, 20, &(self.block as u32).to_be_bytes());
        put(&mut header, 24, &self.next.to_be_bytes());
        put(&mut header, 28, &self.heard.to_be_bytes());
        // READ(10) and WRITE(10).
        header[32] = if writes { 0x2a } else { 0x28 };
        put(&mut header, 34, &((self.at / SECTOR) as u32).to_be_bytes());
        put(&mut header, 39, &((self.block / SECTOR) as u16).to_be_bytes());
        self.next = self.next.wrapping_add(1);
        self.at = (self.at + self.block) % SPAN;
        let immediate = self.immediate.min(self.data.len());
        put(&mut header, 5, &(immediate as u32).to_be_bytes()[1..]);
        self.send_data(header, 0, immediate)
    }

    fn send_data(&mut self, header: [u8; HEADER], from: usize, length: usize) -> Outcome<()> {
        let data = std::mem::take(&mut self.data);
        let part = &data[from..from + length];
        let digest = if length == data.len() { self.digest_of_data } else { crc32c(part) };
        let sent = self.send(&header, part, digest);
        self.data = data;
        sent
    }

    fn data_out(&mut self, asked: &[u8; HEADER]) -> Outcome<()> {
        let (from, length) = (number(asked, 40) as usize, number(asked, 44) as usize);
        let mut header = [0; HEADER];
        (header[0], header[1]) = (DATA_OUT, 0x80);
        put(&mut header, 5, &(length as u32).to_be_bytes()[1..]);
        put(&mut header, 8, &asked[8..24]);
        put(&mut header, 28, &self.heard.to_be_bytes());
        put(&mut header, 40, &(from as u32).to_be_bytes());
        self.send_data(header, from, length)
    }

    fn run(&mut self, depth: usize, longest: Duration) -> Outcome<()> {
        let begun = Instant::now();
        let mut since = vec![begun; depth];
        for tag in 0..depth {
            self.begin(tag as u32)?;
        }
        let (mut times, mut first) = (Vec::new(), true);
        while begun.elapsed() < longest {
            let answer = self.receive()?;
            let header = answer.header;
            let is_over = match header[0] {
                // The S bit: the status comes with the last data.
                DATA_IN => header[1] & 1 != 0,
                SCSI_RESPONSE => true,
                R2T => {
                    self.data_out(&header)?;
                    false
                }
                other => return Err(format!("an answer of type {other:#04x}").into()),
            };
            if !is_over {
                continue;
            }
            // To the first commands it says that it has just been switched on.
            if header[3] != 0 && !std::mem::take(&mut first) {
                return Err(format!("a command ended with status {:#04x}", header[3]).into());
            }
            let tag = number(&header, 16);
            let now = Instant::now();
            let begun = since.get_mut(tag as usize).ok_or("an answer to no command")?;
            times.push((now - std::mem::replace(begun, now)).as_nanos() as u64);
            self.begin(tag)?;
        }
        let seconds = begun.elapsed().as_secs_f64();
        times.sort_unstable();
        let part = |of_1000: usize| {
            let at = (times.len() * of_1000 / 1000).min(times.len().saturating_sub(1));
            times.get(at).map_or(0.0, |ns| *ns as f64 / 1e3)
        };
        println!("{} {seconds} {} {} {}", times.len(), part(500), part(990), part(999));
        Ok(())
    }
}

fn put(header: &mut [u8; HEADER], at: usize, bytes: &[u8]) {
    header[at..at + bytes.len()].copy_from_slice(bytes);
}

fn number(header: &[u8; HEADER], at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

/// Castagnoli's polynomial, bit by bit: headers are short, and data is summed up once.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| sum >> 1 ^ 0x82f6_3b78 & (sum & 1).wrapping_neg())
    })
}
