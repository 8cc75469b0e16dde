//! Clock, CPU times and limits of this machine.

use std::time::Instant;

/// Allows as many open files as the system lets a process have.
pub fn raise_file_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a valid structure.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

/// Monotonic clock that begins at 0.
pub struct Clock(Instant);

impl Clock {
    /// Clock that begins now.
    pub fn start() -> Self {
        Clock(Instant::now())
    }

    /// Time since the beginning, in nanoseconds.
    pub fn now(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

/// CPU time that processes have used, in seconds, in the steps of the kernel (10 ms).
pub fn cpu_seconds(pids: &[u32]) -> f64 {
    // SAFETY: the call takes a constant.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
    let used = pids.iter().filter_map(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        Some(fields[11].parse::<f64>().ok()? + fields[12].parse::<f64>().ok()?)
    });
    used.sum::<f64>() / ticks
}

/// CPU time that all programs of the machine have used, and that its host took, in seconds.
pub fn machine_seconds() -> f64 {
    // SAFETY: the call takes a constant.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let times: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    // User, nice, system, interrupts, steal; no idle times. Interrupts count for programs, too.
    [0, 1, 2, 5, 6, 7].iter().filter_map(|index| times.get(*index)).sum::<f64>() / ticks
}

/// Memory that processes have in RAM, in bytes.
pub fn resident_bytes(pids: &[u32]) -> f64 {
    let sizes = pids.iter().filter_map(|pid| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    });
    sizes.sum::<f64>() * 1024.0
}
