//! What the transport alone allows: messages of the sizes that iSCSI's are of, over one TCP connection, between two processes
//! that do nothing with them. Knows no iSCSI.
//!
//! `pingpong serve sleeping|polling REQUEST REPLY` listens on a port of loopback, prints its number, and answers each REQUEST
//! bytes with REPLY bytes until the other side has gone. All that has come is answered with one call, as a target does.
//! `pingpong ask PORT REQUEST REPLY DEPTH SECONDS` keeps DEPTH requests under way, sleeps when there is nothing to receive, and
//! prints how many were answered, in how many seconds, and three percentiles of the times in microseconds.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Bytes taken from the socket at once.
const ROOM: usize = 512 << 10;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", how @ ("sleeping" | "polling"), request, reply] => {
            serve(how == "polling", request.parse()?, reply.parse()?)
        }
        ["ask", port, request, reply, depth, seconds] => {
            let sizes = (request.parse()?, reply.parse()?);
            let longest = Duration::from_secs(seconds.parse()?);
            ask(port.parse()?, sizes, depth.parse()?, longest)
        }
        _ => Err("pingpong serve sleeping|polling REQUEST REPLY, or ask PORT REQUEST REPLY DEPTH SECONDS".into()),
    }
}

fn serve(polls: bool, request: usize, reply: usize) -> Outcome<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?.port());
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(polls)?;
    let mut room = vec![0; ROOM];
    let answers = vec![7; reply * (ROOM / request.max(1)).clamp(1, (8 << 20) / reply.max(1) + 1)];
    let mut come = 0;
    loop {
        match stream.read(&mut room) {
            Ok(0) => return Ok(()),
            Ok(more) => come += more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::hint::spin_loop();
                continue;
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let mut due = come / request * reply;
        come %= request;
        while due > 0 {
            match stream.write(&answers[..due.min(answers.len())]) {
                Ok(sent) => due -= sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
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
