//! Thin cover of `epoll` and `timerfd`.

use std::io;
use std::os::fd::RawFd;

/// Set of file descriptors, each with a token.
pub struct Poller {
    fd: RawFd,
    events: Vec<libc::epoll_event>,
}

/// Readiness of a file descriptor.
pub struct Ready {
    pub token: u64,
    pub writable: bool,
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

impl Poller {
    /// Empty set that reports at most so many descriptors at a time.
    pub fn new(at_once: usize) -> io::Result<Self> {
        // SAFETY: the call takes a constant.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Poller { fd, events: vec![libc::epoll_event { events: 0, u64: 0 }; at_once] })
    }

    /// File descriptor of the set itself, so that another set can contain it.
    pub fn fd(&self) -> RawFd {
        self.fd
    }

    /// Adds a descriptor.
    pub fn add(&self, fd: RawFd, token: u64, write: bool) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, write)
    }

    /// Changes whether a descriptor is watched for writing.
    pub fn modify(&self, fd: RawFd, token: u64, write: bool) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, token, write)
    }

    fn control(&self, operation: i32, fd: RawFd, token: u64, write: bool) -> io::Result<()> {
        let events = (libc::EPOLLIN | if write { libc::EPOLLOUT } else { 0 }) as u32;
        let mut event = libc::epoll_event { events, u64: token };
        // SAFETY: the event outlives the call.
        check(unsafe { libc::epoll_ctl(self.fd, operation, fd, &mut event) }).map(drop)
    }

    /// Waits for at most so many milliseconds, and lists what is ready in `ready`.
    pub fn wait(&mut self, timeout_ms: i32, ready: &mut Vec<Ready>) -> io::Result<()> {
        let (events, size) = (self.events.as_mut_ptr(), self.events.len() as i32);
        // SAFETY: the kernel fills at most `size` events of the buffer.
        let count = match check(unsafe { libc::epoll_wait(self.fd, events, size, timeout_ms) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            result => result? as usize,
        };
        ready.clear();
        ready.extend(self.events[..count].iter().map(|event| {
            let (events, token) = (event.events, event.u64);
            let failed = (libc::EPOLLERR | libc::EPOLLHUP) as u32;
            Ready { token, writable: events & (libc::EPOLLOUT as u32 | failed) != 0 }
        }));
        Ok(())
    }
}

/// Timer that makes a descriptor readable at a time.
pub struct Timer(RawFd);

impl Timer {
    /// Timer that is not set.
    pub fn new() -> io::Result<Self> {
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: the call takes constants.
        check(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) }).map(Timer)
    }

    /// File descriptor of the timer.
    pub fn fd(&self) -> RawFd {
        self.0
    }

    /// Sets the timer to so many nanoseconds from now, and clears what it has reported.
    pub fn set(&self, nanoseconds: u64) -> io::Result<()> {
        let at = nanoseconds.max(1);
        let value = libc::timespec {
            tv_sec: (at / 1_000_000_000) as i64,
            tv_nsec: (at % 1_000_000_000) as i64,
        };
        let none = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let spec = libc::itimerspec { it_interval: none, it_value: value };
        // SAFETY: the specification outlives the call.
        check(unsafe { libc::timerfd_settime(self.0, 0, &spec, std::ptr::null_mut()) }).map(drop)
    }
}
