//! Getting a ring: the best way that this kernel has, found by trying, and why there is none.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::OnceLock;
use std::time::Duration;

use io_uring::{IoUring, Probe, opcode, types};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use thiserror::Error;

use crate::engine::Waker;

/// Operations that one ring can hold at most.
pub(super) const DEPTH_MAX: u32 = 16_384;
/// Entries of the submission queue at most: what is more is submitted in several steps.
const SUBMISSION_MAX: u32 = 512;
/// Kernel threads that may wait for files at a time. The default, four per processor, could all be
/// held up by a few files that hang, and healthy files would wait behind them.
const WORKERS_MAX: u32 = 128;

/// How completions get from the kernel to the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingMode {
    /// `SINGLE_ISSUER | DEFER_TASKRUN` (Linux 6.1): posted when the thread asks, in a batch.
    Deferred,
    /// `COOP_TASKRUN` (Linux 5.19): posted at the next transition into the kernel.
    Cooperative,
    /// Posted by interrupting the thread.
    Plain,
}

impl RingMode {
    /// Name for status pages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Deferred => "SINGLE_ISSUER, DEFER_TASKRUN",
            Self::Cooperative => "COOP_TASKRUN",
            Self::Plain => "no task-run flags",
        }
    }
}

/// Why this host has no io_uring for us.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// `io_uring_setup` was refused.
    #[error("io_uring_setup is refused: {0}{hint}", hint = hint(.0))]
    Refused(#[source] io::Error),
    /// Something that every operation needs is missing.
    #[error("this kernel's io_uring has no {0}")]
    Lacks(&'static str),
    /// The ring was set up but doesn't tell when something has finished.
    #[error("this kernel's io_uring doesn't announce completions")]
    Silent,
}

fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            " (see the sysctl kernel.io_uring_disabled, and the container's seccomp profile)"
        }
        Some(libc::ENOSYS) => " (the kernel or the container's seccomp profile lacks it)",
        Some(libc::ENOMEM) => " (locked memory: see RLIMIT_MEMLOCK)",
        Some(libc::EMFILE | libc::ENFILE) => " (see the limit of open files)",
        _ => "",
    }
}

/// Finds out, once per process, which kind of ring this host has.
///
/// # Errors
/// None that would do.
pub fn probe() -> Result<RingMode, Unavailable> {
    static MODE: OnceLock<RingMode> = OnceLock::new();
    if let Some(mode) = MODE.get() {
        return Ok(*mode);
    }
    let mut last = Unavailable::Silent;
    for mode in [RingMode::Deferred, RingMode::Cooperative, RingMode::Plain] {
        match announces(mode) {
            Ok(()) => return Ok(*MODE.get_or_init(|| mode)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Sets a ring up for `depth` operations.
pub(super) fn ring(mode: RingMode, depth: u32, notifier: &Waker) -> Result<IoUring, Unavailable> {
    let submission = depth.next_power_of_two().min(SUBMISSION_MAX);
    let mut builder = IoUring::builder();
    // Twice the operations: a cancellation or wake-up must not push one out.
    builder.setup_cqsize((depth.next_power_of_two() * 2).max(submission * 2));
    builder.setup_clamp();
    match mode {
        RingMode::Deferred => {
            builder.setup_single_issuer().setup_defer_taskrun();
            builder.setup_taskrun_flag().setup_submit_all();
        }
        RingMode::Cooperative => {
            builder
                .setup_coop_taskrun()
                .setup_taskrun_flag()
                .setup_submit_all();
        }
        RingMode::Plain => {}
    }
    let ring = builder.build(submission).map_err(Unavailable::Refused)?;
    check(&ring)?;
    let notifier = notifier.as_fd().as_raw_fd();
    ring.submitter()
        .register_eventfd(notifier)
        .map_err(Unavailable::Refused)?;
    // Both only make things better; older kernels go without.
    let _ = ring
        .submitter()
        .register_iowq_max_workers(&mut [WORKERS_MAX, 0]);
    let _ = ring.submitter().register_ring_fd();
    Ok(ring)
}

fn check(ring: &IoUring) -> Result<(), Unavailable> {
    let params = ring.params();
    if !params.is_feature_nodrop() {
        return Err(Unavailable::Lacks("IORING_FEAT_NODROP"));
    }
    if !params.is_feature_submit_stable() {
        return Err(Unavailable::Lacks("IORING_FEAT_SUBMIT_STABLE"));
    }
    if !params.is_feature_ext_arg() {
        return Err(Unavailable::Lacks("IORING_FEAT_EXT_ARG"));
    }
    let mut known = Probe::new();
    ring.submitter()
        .register_probe(&mut known)
        .map_err(Unavailable::Refused)?;
    let needed = [
        (opcode::Read::CODE, "IORING_OP_READ"),
        (opcode::Write::CODE, "IORING_OP_WRITE"),
        (opcode::Writev::CODE, "IORING_OP_WRITEV"),
        (opcode::Fsync::CODE, "IORING_OP_FSYNC"),
        (opcode::Fallocate::CODE, "IORING_OP_FALLOCATE"),
        (opcode::AsyncCancel::CODE, "IORING_OP_ASYNC_CANCEL"),
    ];
    match needed.iter().find(|(code, _)| !known.is_supported(*code)) {
        Some((_, name)) => Err(Unavailable::Lacks(name)),
        None => Ok(()),
    }
}

/// Whether a ring tells when an operation finishes later: the reactors sleep until it does.
fn announces(mode: RingMode) -> Result<(), Unavailable> {
    let notifier = Waker::new().map_err(Unavailable::Refused)?;
    let mut ring = ring(mode, 8, &notifier)?;
    let soon = types::Timespec::from(Duration::from_millis(1));
    let entry = opcode::Timeout::new(&soon).build();
    // SAFETY: the kernel copies the time while it takes the entry (IORING_FEAT_SUBMIT_STABLE is
    // required above), and `soon` outlives the submission in the next statement.
    if unsafe { ring.submission().push(&entry) }.is_err() {
        return Err(Unavailable::Silent);
    }
    ring.submit().map_err(Unavailable::Refused)?;
    let patience = Timespec {
        tv_sec: 2,
        tv_nsec: 0,
    };
    let readable = poll(
        &mut [PollFd::new(&notifier, PollFlags::IN)],
        Some(&patience),
    );
    if readable.is_ok_and(|count| count == 1) {
        Ok(())
    } else {
        Err(Unavailable::Silent)
    }
}
