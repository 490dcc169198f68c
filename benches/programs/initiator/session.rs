//! One session: commands as far as there are places and the target's window allows, and what is answered.

use std::io::Read;
use std::net::TcpStream;
use std::time::Instant;

use crate::login::Agreed;
use crate::pdu::{self, HEADER, Header, NO_TAG};
use crate::sending::Sending;
use crate::{Job, Outcome};

/// Blocks of this many bytes are what commands count in.
pub const SECTOR: usize = 512;
/// The longest answer but Data-In; it has to be whole before it is looked at.
const ANSWER: usize = 16 << 10;
const READ_10: u8 = 0x28;
const WRITE_10: u8 = 0x2a;

pub struct Session {
    pub stream: TcpStream,
    /// Commands that were answered in time.
    pub answered: usize,
    /// Of each command in nanoseconds: until its answer, or until the end of the time if that came first.
    pub times: Vec<u32>,
    agreed: Agreed,
    lun: u8,
    sending: Sending,
    /// By task tag.
    commands: Vec<Command>,
    /// Tags of none.
    free: Vec<u32>,
    /// The block that the last command was about, or what the random one comes from.
    place: u64,
    /// What came last and isn't whole.
    rest: Vec<u8>,
    /// What is still to come of a Data-In.
    data: Data,
    state: State,
}

#[derive(Clone)]
struct Command {
    is_under_way: bool,
    since: Instant,
    /// The byte at which it begins.
    at: u64,
    /// How much has come of what it reads.
    come: usize,
}

#[derive(Default)]
struct Data {
    /// Where it belongs.
    at: u64,
    left: usize,
    /// Bytes behind it: padding and digest.
    behind: usize,
    /// The header, if it has the S bit: the status comes with these data, and the command is over when all of them are there.
    status: Option<Header>,
}

#[derive(PartialEq)]
enum State {
    Working,
    Leaving,
    Over,
}

impl Session {
    pub fn new(stream: TcpStream, agreed: Agreed, lun: u8, job: &Job, from: u64) -> Self {
        let none = Command { is_under_way: false, since: Instant::now(), at: 0, come: 0 };
        Self {
            stream,
            answered: 0,
            times: Vec::with_capacity(1 << 16),
            sending: Sending::new(agreed.digests),
            agreed,
            lun,
            commands: vec![none; job.depth],
            free: (0..job.depth as u32).rev().collect(),
            // Zero is where the generator doesn't get away from.
            place: if job.random { from.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 } else { from },
            rest: Vec::new(),
            data: Data::default(),
            state: State::Working,
        }
    }

    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    pub fn has_more_to_send(&self) -> bool {
        self.sending.has_more()
    }

    pub fn flush(&mut self, job: &Job) -> Outcome<()> {
        self.sending.flush(&self.stream, &job.data)
    }

    /// Takes what has come, and sends what is due then.
    pub fn receive(&mut self, room: &mut [u8], job: &Job, end: Instant) -> Outcome<()> {
        let kept = self.rest.len();
        room[..kept].copy_from_slice(&self.rest);
        let more = self.stream.read(&mut room[kept..])?;
        if more == 0 {
            if self.state != State::Leaving {
                return Err("the target has hung up".into());
            }
            // There are targets that hang up instead of saying that they have logged us out.
            self.state = State::Over;
        }
        let (come, now) = (&room[..kept + more], Instant::now());
        let mut taken = 0;
        while let Some(more) = self.take(&come[taken..], job, now, end)? {
            taken += more;
        }
        self.rest.clear();
        self.rest.extend_from_slice(&come[taken..]);
        if self.is_over() { Ok(()) } else { self.go_on(job, now, end) }
    }

    /// New commands, or the end.
    pub fn go_on(&mut self, job: &Job, now: Instant, end: Instant) -> Outcome<()> {
        if now < end {
            while !pdu::is_behind(self.agreed.most, self.agreed.next)
                && let Some(tag) = self.free.pop()
            {
                self.begin(tag, job, now);
            }
        } else if self.state == State::Working && self.free.len() == job.depth {
            let mut header = [0; HEADER];
            (header[0], header[1]) = (pdu::LOGOUT_REQUEST, 0x80);
            self.push(&mut header, job, 0, 0);
            self.state = State::Leaving;
        }
        self.flush(job)
    }

    fn begin(&mut self, tag: u32, job: &Job, now: Instant) {
        let block = if job.random {
            // Marsaglia's xorshift.
            self.place ^= self.place << 13;
            self.place ^= self.place >> 7;
            self.place ^= self.place << 17;
            self.place % job.blocks
        } else {
            let block = self.place;
            self.place = (block + 1) % job.blocks;
            block
        };
        let at = block * job.block as u64;
        self.commands[tag as usize] = Command { is_under_way: true, since: now, at, come: 0 };
        let mut header = [0; HEADER];
        header[9] = self.lun;
        pdu::put_number(&mut header, 16, tag);
        pdu::put_number(&mut header, 20, job.block as u32);
        header[32] = if job.writes { WRITE_10 } else { READ_10 };
        pdu::put_number(&mut header, 34, (at / SECTOR as u64) as u32);
        pdu::put(&mut header, 39, &((job.block / SECTOR) as u16).to_be_bytes());
        let length = if job.writes { job.block } else { 0 };
        let (immediate, unsolicited) = (length.min(self.agreed.immediate), length.min(self.agreed.unsolicited));
        // A simple task; F: no data follows unasked.
        let direction = if job.writes { 0x20 } else { 0x40 };
        let is_all = if immediate == unsolicited { 0x80 } else { 0 };
        (header[0], header[1]) = (pdu::SCSI_COMMAND, is_all | direction | 1);
        self.push(&mut header, job, 0, immediate);
        self.agreed.next = self.agreed.next.wrapping_add(1);
        if unsolicited > immediate {
            let lun_and_tag = header[8..20].try_into().unwrap_or_default();
            self.push_data(lun_and_tag, NO_TAG, job, immediate, unsolicited);
        }
    }

    /// Fills in what all requests have, and queues it.
    fn push(&mut self, header: &mut Header, job: &Job, from: usize, to: usize) {
        if header[0] != pdu::DATA_OUT {
            pdu::put_number(header, 24, self.agreed.next);
        }
        pdu::put_number(header, 28, self.agreed.heard);
        self.sending.push(header, &job.data, from..to);
    }

    /// Data-Outs of one sequence.
    fn push_data(&mut self, lun_and_tag: [u8; 12], transfer: u32, job: &Job, mut from: usize, end: usize) {
        for number in 0.. {
            let to = end.min(from + self.agreed.segment);
            let mut header = [0; HEADER];
            (header[0], header[1]) = (pdu::DATA_OUT, if to == end { 0x80 } else { 0 });
            pdu::put(&mut header, 8, &lun_and_tag);
            pdu::put_number(&mut header, 20, transfer);
            pdu::put_number(&mut header, 36, number);
            pdu::put_number(&mut header, 40, from as u32);
            self.push(&mut header, job, from, to);
            if to == end {
                return;
            }
            from = to;
        }
    }

    /// What stands at the beginning of these bytes; how many it has, or none if too few have come.
    fn take(&mut self, bytes: &[u8], job: &Job, now: Instant, end: Instant) -> Outcome<Option<usize>> {
        if self.data.left + self.data.behind > 0 {
            let length = self.data.left.min(bytes.len());
            let behind = self.data.behind.min(bytes.len() - length);
            job.check(self.data.at, &bytes[..length])?;
            self.data.at += length as u64;
            self.data.left -= length;
            self.data.behind -= behind;
            self.end_data(job, now, end)?;
            return Ok((length + behind > 0).then_some(length + behind));
        }
        let Some((header, _)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
        let digest = if self.agreed.digests { 4 } else { 0 };
        let length = pdu::length(header);
        let head = HEADER + 4 * usize::from(header[4]) + digest;
        let behind = length.next_multiple_of(4) - length + if length > 0 { digest } else { 0 };
        if header[0] == pdu::DATA_IN {
            if bytes.len() < head {
                return Ok(None);
            }
            self.data_in(header, length, behind, job, now, end)?;
            return Ok(Some(head));
        }
        let whole = head + length + behind;
        if whole > ANSWER {
            return Err(format!("an answer of {whole} bytes").into());
        }
        let Some(data) = bytes.get(head..whole) else { return Ok(None) };
        self.answer(header, &data[..length], job, now, end)?;
        Ok(Some(whole))
    }

    fn data_in(&mut self, header: &Header, length: usize, behind: usize, job: &Job, now: Instant, end: Instant) -> Outcome<()> {
        let command = self.command(header)?;
        // Whatever is read once is read in order: DataPDUInOrder and DataSequenceInOrder are never given away.
        if pdu::number(header, 40) as usize != command.come || command.come + length > job.block {
            return Err(format!("{length} bytes at {}, after {}", pdu::number(header, 40), command.come).into());
        }
        let at = command.at + command.come as u64;
        command.come += length;
        let status = (header[1] & 1 != 0).then_some(*header);
        self.data = Data { at, left: length, behind, status };
        self.note_window(header);
        self.end_data(job, now, end)
    }

    /// The end of the command, if all of the data that its status came with are there.
    fn end_data(&mut self, job: &Job, now: Instant, end: Instant) -> Outcome<()> {
        match self.data.status {
            Some(header) if self.data.left + self.data.behind == 0 => {
                self.data.status = None;
                self.end(&header, &[], job, now, end)
            }
            _ => Ok(()),
        }
    }

    fn answer(&mut self, header: &Header, data: &[u8], job: &Job, now: Instant, end: Instant) -> Outcome<()> {
        self.note_window(header);
        match header[0] {
            pdu::SCSI_RESPONSE if header[2] == 0 => self.end(header, data, job, now, end),
            pdu::R2T => {
                self.command(header)?;
                let (from, length) = (pdu::number(header, 40) as usize, pdu::number(header, 44) as usize);
                if length == 0 || from + length > job.data.len() {
                    return Err(format!("an R2T for {length} bytes at {from}").into());
                }
                let lun_and_tag = header[8..20].try_into().unwrap_or_default();
                self.push_data(lun_and_tag, pdu::number(header, 20), job, from, from + length);
                Ok(())
            }
            pdu::NOP_IN => {
                let asks = pdu::number(header, 20) != NO_TAG;
                if asks {
                    let mut answer = [0; HEADER];
                    (answer[0], answer[1]) = (pdu::NOP_OUT, 0x80);
                    pdu::put(&mut answer, 8, &header[8..16]);
                    pdu::put_number(&mut answer, 16, NO_TAG);
                    pdu::put(&mut answer, 20, &header[20..24]);
                    self.push(&mut answer, job, 0, 0);
                }
                Ok(())
            }
            pdu::LOGOUT_RESPONSE if self.state == State::Leaving && header[2] == 0 => {
                self.state = State::Over;
                Ok(())
            }
            _ => Err(format!("an answer that isn't expected: {header:02x?}").into()),
        }
    }

    /// A command is over.
    fn end(&mut self, header: &Header, data: &[u8], job: &Job, now: Instant, end: Instant) -> Outcome<()> {
        self.agreed.heard = pdu::number(header, 24).wrapping_add(1);
        let command = self.command(header)?;
        command.is_under_way = false;
        let (at, come, time) = (command.at, command.come, now.min(end) - command.since);
        self.free.push(pdu::number(header, 16));
        if header[3] != 0 {
            return Err(format!("a command at {at} ended with status {:#04x}, {data:02x?}", header[3]).into());
        }
        if header[1] & 0x06 != 0 || come != if job.writes { 0 } else { job.block } {
            return Err(format!("a command at {at} ended with {come} bytes and flags {:#04x}", header[1]).into());
        }
        job.check(at, &job.data[..if job.writes { job.block } else { 0 }])?;
        self.answered += usize::from(now < end);
        self.times.push(u32::try_from(time.as_nanos()).unwrap_or(u32::MAX));
        Ok(())
    }

    fn command(&mut self, header: &Header) -> Outcome<&mut Command> {
        let tag = pdu::number(header, 16);
        let command = self.commands.get_mut(tag as usize).filter(|it| it.is_under_way);
        command.ok_or_else(|| format!("an answer to no command: {header:02x?}").into())
    }

    /// MaxCmdSN, which never goes back (RFC 7143 §4.2.2.1).
    fn note_window(&mut self, header: &Header) {
        let most = pdu::number(header, 32);
        if pdu::is_behind(self.agreed.most, most) {
            self.agreed.most = most;
        }
    }
}
