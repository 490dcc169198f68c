//! poll(2), which std has but doesn't show.

use std::ffi::{c_int, c_short, c_ulong};
use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Duration;

use crate::Outcome;

const POLLIN: c_short = 0x1;
const POLLOUT: c_short = 0x4;

/// `struct pollfd`.
#[repr(C)]
pub struct Watched {
    fd: c_int,
    events: c_short,
    revents: c_short,
}

unsafe extern "C" {
    fn poll(watched: *mut Watched, count: c_ulong, milliseconds: c_int) -> c_int;
}

impl Watched {
    pub fn new(stream: &TcpStream, is_over: bool, has_more_to_send: bool) -> Self {
        // The kernel passes over those with a negative number.
        let fd = if is_over { -1 } else { stream.as_raw_fd() };
        Self { fd, events: POLLIN | if has_more_to_send { POLLOUT } else { 0 }, revents: 0 }
    }

    pub fn can_send(&self) -> bool {
        self.revents & POLLOUT != 0
    }

    /// Or something has failed, which reading tells.
    pub fn has_come(&self) -> bool {
        self.revents & !POLLOUT != 0
    }
}

pub fn wait(watched: &mut [Watched], longest: Duration) -> Outcome<()> {
    // SAFETY: the pointer is to as many entries, laid out as C lays them out, which nobody else has while the call lasts.
    let ready = unsafe { poll(watched.as_mut_ptr(), watched.len() as c_ulong, longest.as_millis() as c_int) };
    match ready {
        0 => Err("the target says nothing any more".into()),
        1.. => Ok(()),
        _ => Err(io::Error::last_os_error().into()),
    }
}
