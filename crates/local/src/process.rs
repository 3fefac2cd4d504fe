//! Child processes: who they run as, how they die with us, how to know one again.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde::{Deserialize, Serialize};

use crate::{Error, background, wait};

/// `nobody` on every Linux.
const UNPRIVILEGED: u32 = 65534;

/// How many ports a server is started on: somebody else may take one between our asking for a free one and its bind.
pub(crate) const PORTS_TRIED: u32 = 5;

/// Whom a server runs as: PostgreSQL refuses to run as root, and no server needs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunAs {
    Ourselves,
    Nobody,
}

impl RunAs {
    /// Whom servers run as: an unprivileged user when we are root, else ourselves.
    pub(crate) fn for_servers() -> Self {
        if geteuid().is_root() {
            Self::Nobody
        } else {
            Self::Ourselves
        }
    }

    /// Whether this user can run `program`; false when a folder above it may not be entered.
    pub(crate) fn can_run(self, program: &Path, argument: &str) -> bool {
        let mut command = Command::new(program);
        command
            .arg(argument)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.apply(&mut command);
        command.status().is_ok_and(|status| status.success())
    }

    /// Gives a file or folder to this user.
    pub(crate) fn own(self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Ourselves => Ok(()),
            Self::Nobody => {
                std::os::unix::fs::chown(path, Some(UNPRIVILEGED), Some(UNPRIVILEGED)).map_err(
                    Error::io(format!("give {} to the unprivileged user", path.display())),
                )
            }
        }
    }

    fn apply(self, command: &mut Command) {
        if self == Self::Nobody {
            command.uid(UNPRIVILEGED).gid(UNPRIVILEGED);
        }
    }
}

/// One process and no later one of the same number: its id and when it started, in clock ticks since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    start_time: u64,
}

impl Identity {
    /// Who runs under `pid` now; `None` when nobody does, or only a zombie.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
            .map(|start_time| Self { pid, start_time })
    }

    /// This very process.
    pub(crate) fn ours() -> Option<Self> {
        Self::of(rustix::process::getpid().as_raw_nonzero().get())
    }

    pub(crate) fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Sends a signal, if the process is still the one that was meant.
    pub(crate) fn signal(self, signal: Signal) {
        if self.is_alive()
            && let Some(pid) = Pid::from_raw(self.pid)
        {
            // It may end between the two lines; then there is nothing to signal.
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits until it has ended.
    pub(crate) fn ended(self, deadline: Duration) -> Result<(), wait::TimedOut> {
        wait::blocking_until(format!("the end of process {}", self.pid), deadline, || {
            (!self.is_alive()).then_some(())
        })
    }
}

/// Field 22 of `/proc/PID/stat` (proc(5)). The command name in field 2 may hold blanks and parentheses: count behind it.
fn parse_stat(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// A command line to be run as a child that dies with us.
#[derive(Debug, Clone)]
pub(crate) struct CommandLine {
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    folder: PathBuf,
    run_as: RunAs,
    farewell: Signal,
}

impl CommandLine {
    /// A program with an empty environment, run from `/`, killed when this process dies.
    pub(crate) fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            variables: Vec::new(),
            folder: PathBuf::from("/"),
            run_as: RunAs::Ourselves,
            farewell: Signal::KILL,
        }
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(
            arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        self
    }

    pub(crate) fn variable(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.variables
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }

    pub(crate) fn run_as(mut self, run_as: RunAs) -> Self {
        self.run_as = run_as;
        self
    }

    /// The signal that the kernel sends it when we die without a word.
    pub(crate) fn farewell(mut self, signal: Signal) -> Self {
        self.farewell = signal;
        self
    }

    /// A line that can be pasted into a shell to see the same failure.
    pub(crate) fn to_paste(&self) -> String {
        let mut words = Vec::new();
        if self.run_as == RunAs::Nobody {
            words.push(format!(
                "setpriv --reuid={UNPRIVILEGED} --regid={UNPRIVILEGED} --clear-groups"
            ));
        }
        words.push("env -i".to_owned());
        words.extend(self.variables.iter().map(|(name, value)| {
            format!(
                "{}={}",
                name.to_string_lossy(),
                quoted(&value.to_string_lossy())
            )
        }));
        words.push(quoted(&self.program.to_string_lossy()));
        words.extend(
            self.arguments
                .iter()
                .map(|argument| quoted(&argument.to_string_lossy())),
        );
        words.join(" ")
    }

    /// Starts it with its output appended to `log`.
    pub(crate) async fn spawn_with_log(&self, log: &Path) -> Result<Running, Error> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .and_then(|file| Ok((file.try_clone()?, file)))
            .map_err(Error::io(format!("open {}", log.display())))?;
        let mut command = self.command();
        command.stdout(output.0).stderr(output.1);
        let doing = format!("start {}", self.program.display());
        let child = background::run(async move { command.spawn() })
            .await
            .map_err(|source| self.spawn_error(doing, source))?;
        Ok(Running {
            child,
            farewell: self.farewell,
        })
    }

    /// Starts it with its output piped; must be called on the background thread.
    pub(crate) fn spawn_piped(&self) -> Result<tokio::process::Child, Error> {
        let mut command = tokio::process::Command::from(self.command());
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
            .spawn()
            .map_err(|source| self.spawn_error(format!("start {}", self.program.display()), source))
    }

    /// Runs it to its end.
    pub(crate) async fn output(&self) -> Result<Output, Error> {
        let mut command = tokio::process::Command::from(self.command());
        command.kill_on_drop(true);
        let doing = format!("run {}", self.program.display());
        background::run(async move { command.output().await })
            .await
            .map_err(|source| self.spawn_error(doing, source))
    }

    /// The kernel's `PR_SET_PDEATHSIG` is set by setpriv, because setting it between fork and exec takes unsafe code.
    fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command
            .arg("--pdeathsig")
            .arg(signal_name(self.farewell))
            .arg("--")
            .arg(&self.program)
            .args(&self.arguments);
        command
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.folder).stdin(Stdio::null());
        self.run_as.apply(&mut command);
        command
    }

    fn spawn_error(&self, doing: String, source: io::Error) -> Error {
        if source.kind() == io::ErrorKind::NotFound && self.folder.is_dir() {
            return Error::Missing {
                what: "the program `setpriv` is missing".to_owned(),
                remedy: "`apt-get install util-linux` brings it".to_owned(),
            };
        }
        Error::Io { doing, source }
    }
}

fn signal_name(signal: Signal) -> &'static str {
    if signal == Signal::QUIT {
        "QUIT"
    } else {
        "KILL"
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A server that runs; dropping it stops it.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    farewell: Signal,
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end by its farewell signal, and kills it when it does not.
    pub(crate) fn stop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        if let Some(identity) = i32::try_from(self.child.id()).ok().and_then(Identity::of) {
            identity.signal(self.farewell);
        }
        if wait::blocking_until("its end", Duration::from_secs(10), || self.ended()).is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An address of loopback that is free at the moment; somebody else may take it before it is bound again, so that the
/// caller tries another.
pub(crate) fn free_address() -> Result<SocketAddr, Error> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .and_then(|listener| listener.local_addr())
        .map_err(Error::io("find a free port"))
}

/// The last lines of a log file, for an error message.
pub(crate) fn tail(log: &Path, lines: usize) -> String {
    let text = fs::read(log)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..)
        .unwrap_or_default()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start_and_a_zombie_is_nobody() {
        let stat = |state: &str| {
            format!("7 (a (b) c) {state} 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0")
        };
        assert_eq!(parse_stat(&stat("S")), Some(4242));
        assert_eq!(parse_stat(&stat("Z")), None);
        assert_eq!(parse_stat("nonsense"), None);
    }

    #[test]
    fn our_own_process_is_alive_and_another_start_time_is_not_it() {
        let ours = Identity::ours().expect("our own /proc entry");
        assert!(ours.is_alive());
        assert!(
            !Identity {
                start_time: ours.start_time + 1,
                ..ours
            }
            .is_alive()
        );
    }

    #[test]
    fn a_command_line_can_be_pasted() {
        let line = CommandLine::new("/usr/bin/true")
            .arg("-c")
            .arg("it's")
            .variable("LC_ALL", "C")
            .to_paste();
        assert_eq!(line, r"env -i LC_ALL=C /usr/bin/true -c 'it'\''s'");
    }
}
