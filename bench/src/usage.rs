//! The resource usage of a process.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

/// The usage of the process with this id.
pub struct Usage(u32);

impl Usage {
    /// Of this process.
    pub fn of(pid: u32) -> Self {
        Self(pid)
    }

    /// The user and system CPU time so far, ended threads included.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let clock = clock_getcpuclockid(Pid::from_raw(self.0.try_into()?))?;
        Ok(Duration::from(clock.now()?))
    }

    /// The current memory in bytes.
    pub fn memory(&self) -> anyhow::Result<u64> {
        self.status("VmRSS:")
    }

    /// The peak memory in bytes.
    pub fn peak_memory(&self) -> anyhow::Result<u64> {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context(name.to_owned())?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    }
}
