//! What the stack's process has used.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

/// A process that somebody else started.
pub struct Process(u32);

impl Process {
    pub fn of(pid: u32) -> Self {
        Self(pid)
    }

    /// The CPU time of all its threads until now, in user and kernel.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let clock = clock_getcpuclockid(Pid::from_raw(self.0.try_into()?))?;
        Ok(Duration::from(clock.now()?))
    }

    /// The memory that it has now, in bytes.
    pub fn memory(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    }
}
