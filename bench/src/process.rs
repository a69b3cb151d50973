//! A function as a process.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bench::usage::Usage;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::runtime_api::{Answered, RuntimeApi};

/// A running function.
pub struct Process {
    api: RuntimeApi,
    child: Child,
    spawned_at: Instant,
    expected: String,
}

impl Process {
    /// Starts a command as Lambda does. Every response must contain `expected`, because an error response is cheap.
    pub fn start(
        command: &[String],
        environment: &BTreeMap<String, String>,
        expected: &str,
    ) -> anyhow::Result<Self> {
        let api = RuntimeApi::start()?;
        let (program, arguments) = command.split_first().context("no command")?;
        let spawned_at = Instant::now();
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", api.address().as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
            ])
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| program.clone())?;
        Ok(Self { api, child, spawned_at, expected: expected.to_owned() })
    }

    /// Waits until the process requests its first event, and returns the time since its start.
    pub fn ready(&mut self) -> anyhow::Result<Duration> {
        let child = &mut self.child;
        let ready_at = self.api.ready(|| matches!(child.try_wait(), Ok(None)))?;
        Ok(ready_at - self.spawned_at)
    }

    /// Sends events one after the other and returns the responses.
    pub fn answers(&mut self, events: Vec<Vec<u8>>) -> anyhow::Result<Vec<Answered>> {
        let child = &mut self.child;
        let answers = self.api.answers(events, || matches!(child.try_wait(), Ok(None)))?;
        for answer in &answers {
            let text = String::from_utf8_lossy(&answer.body);
            ensure!(text.contains(&self.expected), "the response lacks {:?}: {text}", self.expected);
        }
        Ok(answers)
    }

    /// The resources that it has used so far.
    pub fn usage(&self) -> Usage {
        Usage::of(self.child.id())
    }

    /// Terminates the process and waits for it, because a profiler writes its results at the end.
    pub fn end(mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(self.child.id().try_into()?), Signal::SIGTERM)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
