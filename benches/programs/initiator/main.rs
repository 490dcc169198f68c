//! An initiator that does as little as one can, so that it is the target that is measured: all sessions are on one thread, nothing is
//! allocated for a command, what is due is sent with one call, what has come is taken with one, and nobody looks at data. Digests
//! cost it little (those of what it writes are summed up once, and it believes those of what it reads).
//!
//! `initiator PORT TARGET LUN read|write sequence|random BLOCK DEPTH SESSIONS SIZE SECONDS plain|digests [FILE]` works on the first
//! SIZE bytes of a LUN with blocks of 512, each session with DEPTH commands under way, and logs out. It prints how many commands
//! were answered, in how many seconds, three percentiles of their times in microseconds (50, 99, 99.9), what the session got that
//! got least as a part of a fair share, and the worst session's 99th percentile. What is under way when the time is over counts in
//! the percentiles with its age then, and not as answered. With FILE, the one that the LUN is in, it is slow:
//! all that is read is compared with it, and what a write has left there with what was to be written.
//! Whatever it doesn't expect ends it.

mod login;
mod pdu;
mod poll;
mod sending;
mod session;

use std::error::Error;
use std::fs::File;
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use session::Session;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Bytes taken from a socket at once. One room is enough for all sessions: what isn't whole is kept by each.
const ROOM: usize = 512 << 10;
/// A target that says nothing for so long has failed.
const SILENCE: Duration = Duration::from_secs(20);

/// What all sessions do.
struct Job {
    writes: bool,
    random: bool,
    /// Bytes of a command.
    block: usize,
    /// Commands under way, of each session.
    depth: usize,
    /// How many blocks there are.
    blocks: u64,
    /// What is written, the same everywhere.
    data: Vec<u8>,
    file: Option<File>,
}

impl Job {
    /// That the file holds these bytes there, if anybody wants to know.
    fn check(&self, at: u64, bytes: &[u8]) -> Outcome<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut held = vec![0; bytes.len()];
        file.read_exact_at(&mut held, at)?;
        if held == bytes { Ok(()) } else { Err(format!("the file holds something else in {} bytes at {at}", bytes.len()).into()) }
    }
}

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [
        port, target, lun, what @ ("read" | "write"), order @ ("sequence" | "random"), block, depth, sessions, size, seconds,
        how @ ("plain" | "digests"), ref file @ ..,
    ] = words[..]
    else {
        return Err("initiator PORT TARGET LUN read|write sequence|random BLOCK DEPTH SESSIONS SIZE SECONDS plain|digests [FILE]".into());
    };
    let (block, sessions, lun) = (block.parse::<usize>()?, sessions.parse::<u64>()?, lun.parse()?);
    let blocks = size.parse::<u64>()? / block as u64;
    if block == 0 || block % session::SECTOR != 0 || blocks == 0 || sessions == 0 {
        return Err("blocks are of whole sectors, and at least one has to fit; so has a session to be there".into());
    }
    let job = Job {
        writes: what == "write",
        random: order == "random",
        block,
        depth: depth.parse()?,
        blocks,
        // No part of it is like another, so that none can stand in another's place unseen.
        data: (0..block).map(|at| (at % 251) as u8 ^ (at / 4096) as u8).collect(),
        file: file.first().map(File::open).transpose()?,
    };
    let address = ("127.0.0.1", port.parse()?);
    let mut all = Vec::new();
    for number in 0..sessions {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        let mut agreed = login::log_in(&stream, target, number as u16, how == "digests")?;
        login::wake(&stream, &mut agreed, lun)?;
        all.push(Session::new(stream, agreed, lun, &job, number * (blocks / sessions)));
    }
    let seconds: u64 = seconds.parse()?;
    run(&mut all, &job, Duration::from_secs(seconds))?;
    let counts: Vec<usize> = all.iter().map(|it| it.answered).collect();
    report(&counts, all.into_iter().map(|it| it.times).collect(), seconds);
    Ok(())
}

fn run(sessions: &mut [Session], job: &Job, longest: Duration) -> Outcome<()> {
    let mut room = vec![0; ROOM];
    let begun = Instant::now();
    let end = begun + longest;
    if let [session] = sessions {
        // As the other side of pingpong does it: the two are compared.
        session.go_on(job, begun, end)?;
        while !session.is_over() {
            session.receive(&mut room, job, end)?;
        }
        return Ok(());
    }
    for session in sessions.iter_mut() {
        session.stream.set_nonblocking(true)?;
        session.go_on(job, begun, end)?;
    }
    let mut watched = Vec::with_capacity(sessions.len());
    while sessions.iter().any(|it| !it.is_over()) {
        watched.clear();
        watched.extend(sessions.iter().map(|it| poll::Watched::new(&it.stream, it.is_over(), it.has_more_to_send())));
        poll::wait(&mut watched, SILENCE)?;
        for (session, watched) in sessions.iter_mut().zip(&watched) {
            if watched.can_send() {
                session.flush(job)?;
            }
            if watched.has_come() {
                session.receive(&mut room, job, end)?;
            }
        }
    }
    Ok(())
}

fn report(counts: &[usize], mut times: Vec<Vec<u32>>, seconds: u64) {
    let count: usize = counts.iter().sum();
    let least = counts.iter().min().map_or(0, |it| it * counts.len());
    // A session that could send nothing waited all the time.
    let worst = times.iter_mut().map(|it| percentile(it, 990)).fold(0.0, f64::max);
    let mut all = times.concat();
    let [p50, p99, p999] = [500, 990, 999].map(|part| percentile(&mut all, part));
    println!("{count} {seconds} {p50} {p99} {p999} {} {worst}", least as f64 / count.max(1) as f64);
}

/// In microseconds.
fn percentile(times: &mut [u32], of_1000: usize) -> f64 {
    times.sort_unstable();
    let at = (times.len() * of_1000 / 1000).min(times.len().saturating_sub(1));
    times.get(at).map_or(f64::INFINITY, |ns| f64::from(*ns) / 1e3)
}
