//! A release binary under the Runtime API, and what the kernel says that it used.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use local::StubS3;

use crate::runtime_api::RuntimeApi;

/// What is to be measured, and how it is started.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) binary: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) variables: BTreeMap<String, String>,
    /// Where what it prints goes: a file, because a pipe would wake somebody who reads it.
    pub(crate) log: PathBuf,
}

/// A running program that has asked for work.
pub(crate) struct Process {
    child: Child,
    runtime_api: RuntimeApi,
    log: PathBuf,
    /// From just before the process was made to its first question for work.
    pub(crate) started_in: Duration,
}

impl Program {
    /// Has it put its objects into another stub.
    pub(crate) fn s3(&mut self, s3: &StubS3) {
        let endpoint = ("AWS_ENDPOINT_URL_S3".to_owned(), s3.endpoint());
        self.variables.extend([endpoint]);
    }

    /// Starts it and waits until it asks for work.
    pub(crate) fn start(&self) -> Result<Process> {
        let runtime_api = RuntimeApi::start()?;
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.binary);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(&self.variables)
            .env("AWS_LAMBDA_RUNTIME_API", runtime_api.address().to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", self.name)
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let began = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("start {}", self.binary.display()))?;
        // From here on it ends with this value.
        let mut process = Process {
            child,
            log: self.log.clone(),
            started_in: Duration::ZERO,
            runtime_api,
        };
        process.started_in = process.next()? - began;
        Ok(process)
    }
}

impl Process {
    /// Has it handle an event and waits until it asks for the next one; how long the answer took.
    pub(crate) fn invoke(&mut self, event: &[u8]) -> Result<Duration> {
        let answered = self.runtime_api.invoke(event);
        let took = answered.with_context(|| self.last_words())?;
        self.next()?;
        Ok(took)
    }

    /// The CPU time that its threads have used since it was made, once it is idle.
    ///
    /// `/proc/PID/task/TID/schedstat` is exact to the nanosecond but for the time slice that is being used, so that we look
    /// only when every thread sleeps. `/proc/PID/stat` counts ticks of 10 ms, more than a whole start takes.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let tasks = PathBuf::from(format!("/proc/{}/task", self.child.id()));
        local::wait::blocking_until("the program to be idle", Duration::from_secs(5), || {
            tasks_sleep(&tasks).then_some(())
        })?;
        let mut nanoseconds = 0;
        for task in fs::read_dir(&tasks)? {
            let schedstat = fs::read_to_string(task?.path().join("schedstat"))?;
            let used = schedstat.split(' ').next().unwrap_or_default();
            nanoseconds += used.parse::<u64>().context("schedstat is not a number")?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// The most memory that it has had resident so far, in KiB.
    pub(crate) fn peak_memory(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let words = line.and_then(|line| line.split_whitespace().next());
        words
            .and_then(|word| word.parse::<u32>().ok())
            .map(f64::from)
            .context("no VmHWM in /proc/PID/status")
    }

    /// All that programs of its name have written to their log.
    pub(crate) fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(&self.log)?).into_owned())
    }

    fn next(&mut self) -> Result<Instant> {
        let asked = self.runtime_api.next();
        asked.with_context(|| self.last_words())
    }

    /// The end of its log, for an error.
    fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().collect();
        let last = lines
            .get(lines.len().saturating_sub(5)..)
            .unwrap_or_default();
        format!("the program's last lines: {}", last.join(" | "))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tasks_sleep(tasks: &Path) -> bool {
    let Ok(entries) = fs::read_dir(tasks) else {
        return false;
    };
    entries.map_while(Result::ok).all(|task| {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest);
        state.is_some_and(|rest| rest.starts_with('S'))
    })
}
