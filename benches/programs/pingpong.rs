//! What the transport alone allows: messages of the sizes that iSCSI's are of, over one TCP connection, between two processes
//! that do nothing with them. Knows no iSCSI.
//!
//! `pingpong serve sleeping|polling REQUEST REPLY [FILE read|write BLOCK sequence|random]` listens on a port of loopback, prints its
//! number, and answers each REQUEST bytes with REPLY bytes until the other side has gone. All that has come is answered with one
//! call, as a target does. With FILE, a block of it is read for each reply, or written from each request, behind what a header
//! takes of them.
//! `pingpong ask PORT REQUEST REPLY DEPTH SECONDS` keeps DEPTH requests under way, sleeps when there is nothing to receive, and
//! prints how many were answered, in how many seconds, and three percentiles of the times in microseconds.

use std::collections::VecDeque;
use std::error::Error;
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Bytes taken from the socket at once.
const ROOM: usize = 512 << 10;
/// Replies sent with one call, where each has a buffer of its own.
const BUFFERS: usize = 32;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", how @ ("sleeping" | "polling"), request, reply] => {
            let reply = reply.parse()?;
            serve(how == "polling", request.parse()?, reply, &mut Constant::new(reply))
        }
        ["serve", how @ ("sleeping" | "polling"), request, reply, file, what @ ("read" | "write"), block, order @ ("sequence" | "random")] => {
            let (request, reply, block): (_, usize, usize) = (request.parse()?, reply.parse()?, block.parse()?);
            let file = File::options().read(true).write(true).open(file)?;
            let blocks = file.metadata()?.len() / block as u64;
            if blocks == 0 || block > if what == "write" { request } else { reply } {
                return Err("a block has to fit into the file and into the message".into());
            }
            let places = Places { next: 1, blocks, block, is_random: order == "random" };
            if what == "write" {
                serve(how == "polling", request, reply, &mut Written { file, places, replies: Constant::new(reply) })
            } else {
                let buffers = vec![vec![7; reply]; BUFFERS];
                serve(how == "polling", request, reply, &mut FromFile { file, places, buffers })
            }
        }
        ["ask", port, request, reply, depth, seconds] => {
            let sizes = (request.parse()?, reply.parse()?);
            let longest = Duration::from_secs(seconds.parse()?);
            ask(port.parse()?, sizes, depth.parse()?, longest)
        }
        _ => Err("pingpong serve sleeping|polling REQUEST REPLY [FILE read|write BLOCK sequence|random], or ask PORT REQUEST REPLY DEPTH SECONDS".into()),
    }
}

/// What is done for a request, and what it is answered with.
trait Service {
    /// Some requests have come.
    fn take(&mut self, requests: &[u8], each: usize) -> io::Result<()>;
    /// Answers them.
    fn answer(&mut self, stream: &TcpStream, count: usize) -> io::Result<()>;
}

/// Nothing is done, and the answer is always the same.
struct Constant {
    replies: Vec<u8>,
    reply: usize,
}

/// The answers are read from a file.
struct FromFile {
    file: File,
    places: Places,
    /// Of whole replies.
    buffers: Vec<Vec<u8>>,
}

/// What comes is written to a file.
struct Written {
    file: File,
    places: Places,
    replies: Constant,
}

impl Constant {
    fn new(reply: usize) -> Self {
        Self { replies: vec![7; reply * ((8 << 20) / reply.max(1)).clamp(1, ROOM / 48)], reply }
    }
}

impl Service for Constant {
    fn take(&mut self, _: &[u8], _: usize) -> io::Result<()> {
        Ok(())
    }

    fn answer(&mut self, stream: &TcpStream, count: usize) -> io::Result<()> {
        let mut due = count * self.reply;
        while due > 0 {
            let length = due.min(self.replies.len());
            send(stream, &mut [IoSlice::new(&self.replies[..length])])?;
            due -= length;
        }
        Ok(())
    }
}

impl Service for FromFile {
    fn take(&mut self, _: &[u8], _: usize) -> io::Result<()> {
        Ok(())
    }

    fn answer(&mut self, stream: &TcpStream, mut count: usize) -> io::Result<()> {
        while count > 0 {
            let now = count.min(BUFFERS);
            for buffer in &mut self.buffers[..now] {
                let header = buffer.len() - self.places.block;
                self.file.read_exact_at(&mut buffer[header..], self.places.next())?;
            }
            let mut slices = [IoSlice::new(&[]); BUFFERS];
            for (slice, buffer) in slices.iter_mut().zip(&self.buffers) {
                *slice = IoSlice::new(buffer);
            }
            send(stream, &mut slices[..now])?;
            count -= now;
        }
        Ok(())
    }
}

impl Service for Written {
    fn take(&mut self, requests: &[u8], each: usize) -> io::Result<()> {
        for request in requests.chunks_exact(each) {
            self.file.write_all_at(&request[each - self.places.block..], self.places.next())?;
        }
        Ok(())
    }

    fn answer(&mut self, stream: &TcpStream, count: usize) -> io::Result<()> {
        self.replies.answer(stream, count)
    }
}

/// Which block of a file is next.
struct Places {
    next: u64,
    blocks: u64,
    block: usize,
    is_random: bool,
}

impl Places {
    /// The byte at which it begins.
    fn next(&mut self) -> u64 {
        if self.is_random {
            // Marsaglia's xorshift.
            self.next ^= self.next << 13;
            self.next ^= self.next >> 7;
            self.next ^= self.next << 17;
        } else {
            self.next += 1;
        }
        self.next % self.blocks * self.block as u64
    }
}

fn send(mut stream: &TcpStream, mut slices: &mut [IoSlice]) -> io::Result<()> {
    while !slices.is_empty() {
        match stream.write_vectored(slices) {
            Ok(sent) => IoSlice::advance_slices(&mut slices, sent),
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn serve(polls: bool, request: usize, reply: usize, service: &mut dyn Service) -> Outcome<()> {
    if request == 0 || reply == 0 {
        return Err("messages have at least a byte".into());
    }
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?.port());
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(polls)?;
    let mut room = vec![0; ROOM + request];
    let (mut begun, mut come) = (0, 0);
    loop {
        match stream.read(&mut room[come..]) {
            Ok(0) => return Ok(()),
            Ok(more) => come += more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::hint::spin_loop();
                continue;
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let whole = (come - begun) / request;
        let end = begun + whole * request;
        service.take(&room[begun..end], request)?;
        match service.answer(&stream, whole) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        begun = end;
        // No request is in two pieces, and no read gets less room than one takes.
        if begun == come {
            (begun, come) = (0, 0);
        } else if room.len() - come < request {
            room.copy_within(begun..come, 0);
            (begun, come) = (0, come - begun);
        }
    }
}

fn ask(port: u16, (request, reply): (usize, usize), depth: usize, longest: Duration) -> Outcome<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let requests = vec![1; request * depth];
    let mut room = vec![0; ROOM];
    let (mut under_way, mut times) = (VecDeque::with_capacity(depth), Vec::new());
    let begun = Instant::now();
    stream.write_all(&requests)?;
    under_way.extend(std::iter::repeat_n(begun, depth));
    let mut come = 0;
    while begun.elapsed() < longest {
        let more = stream.read(&mut room)?;
        if more == 0 {
            return Err("the server has gone".into());
        }
        come += more;
        let (answered, now) = (come / reply, Instant::now());
        come %= reply;
        for since in under_way.drain(..answered.min(depth)) {
            times.push(u32::try_from((now - since).as_nanos()).unwrap_or(u32::MAX));
        }
        stream.write_all(&requests[..answered * request])?;
        under_way.extend(std::iter::repeat_n(now, answered));
    }
    let seconds = begun.elapsed().as_secs_f64();
    times.sort_unstable();
    let part = |of_1000: usize| {
        let at = (times.len() * of_1000 / 1000).min(times.len().saturating_sub(1));
        times.get(at).map_or(0.0, |ns| f64::from(*ns) / 1e3)
    };
    println!("{} {seconds} {} {} {}", times.len(), part(500), part(990), part(999));
    Ok(())
}
