//! The socket under a connection with another daemon. TLS reads a socket 4 KiB at a time, which is a system call for each
//! block that a host writes, and 64 for each part of a copy: it is given what was read of it before, as much as there was.

use tokio::io::BufReader;
use tokio::net::TcpStream;

/// Bytes that are read at once.
const READ_BYTES: usize = 64 << 10;

/// See the module. What is written isn't kept back.
pub(super) type Socket = BufReader<TcpStream>;

/// A connection that was just made.
pub(super) fn socket(stream: TcpStream) -> Socket {
    // Answers are waited for; a stream that can't be told so is slower, no more.
    let _ = stream.set_nodelay(true);
    BufReader::with_capacity(READ_BYTES, stream)
}
