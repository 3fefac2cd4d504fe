//! `up`, `down`, `env`: a stack that goes on when the command has ended.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use super::supervisor::State;
use super::{Parts, print, progress};
use crate::process::{Identity, tail};
use crate::{Checkout, Error, wait};

/// A first start makes a database and loads Python.
const START: Duration = Duration::from_mins(3);

const STOP: Duration = Duration::from_secs(30);

pub(super) async fn up(checkout: &Checkout, parts: &Parts) -> Result<ExitCode, Error> {
    if State::read(checkout).is_some() {
        progress("the stack is running already");
        return env(checkout);
    }
    let log = checkout.run().join("up.log");
    fs::create_dir_all(checkout.run())
        .map_err(Error::io(format!("create {}", checkout.run().display())))?;
    let mut lines = Tail(
        File::create(&log)
            .and_then(|_| File::open(&log))
            .map_err(Error::io("open the stack's log"))?,
    );
    let mut supervisor = start_supervisor(checkout, parts, &log)?;
    let ended = wait::until("the stack to be ready", START, async || {
        lines.show();
        if State::read(checkout).is_some() {
            return Some(None);
        }
        supervisor.try_wait().ok().flatten().map(Some)
    })
    .await;
    lines.show();
    if ended.is_err() {
        end(&supervisor);
    }
    match ended? {
        None => env(checkout),
        Some(status) => Err(Error::Start {
            server: "the stack",
            reason: format!("it ended with {status}"),
            command: "turnkeep-local supervise".to_owned(),
            log: tail(&log, 5),
        }),
    }
}

pub(super) fn down(checkout: &Checkout) -> Result<ExitCode, Error> {
    let Some(state) = State::read(checkout) else {
        progress("no stack is running");
        return Ok(ExitCode::SUCCESS);
    };
    state.supervisor.signal(Signal::TERM);
    state.supervisor.ended(STOP)?;
    progress("stopped");
    Ok(ExitCode::SUCCESS)
}

pub(super) fn env(checkout: &Checkout) -> Result<ExitCode, Error> {
    let Some(state) = State::read(checkout) else {
        return Err(Error::Missing {
            what: "no stack is running in this checkout".to_owned(),
            remedy: "`turnkeep-local up` starts one".to_owned(),
        });
    };
    print(&state.exports())?;
    let flags = if state.invoke_default { "" } else { "$INVOKE " };
    progress("in another terminal, after pasting this or `eval \"$(turnkeep-local env)\"`:");
    progress(&format!(
        "  cargo lambda invoke {flags}conversation-capture --data-file events/direct-canonical.json"
    ));
    progress("  turnkeep test");
    progress(&format!("logs: {}", checkout.run().join("logs").display()));
    Ok(ExitCode::SUCCESS)
}

/// Starts ourselves again, in a session of its own, so that neither Ctrl-C nor the end of the terminal reaches it.
fn start_supervisor(
    checkout: &Checkout,
    parts: &Parts,
    log: &std::path::Path,
) -> Result<Child, Error> {
    let program = std::env::current_exe().map_err(Error::io("find our own program"))?;
    let output = File::options()
        .append(true)
        .open(log)
        .and_then(|file| Ok((file.try_clone()?, file)));
    let (stdout, stderr) = output.map_err(Error::io("open the stack's log"))?;
    let mut command = Command::new("setsid");
    command
        .arg(program)
        .arg("supervise")
        .current_dir(checkout.root());
    for (option, folder) in [
        ("--functions", &parts.functions),
        ("--postgres", &parts.postgres),
    ] {
        if let Some(folder) = super::folder(folder.as_ref()) {
            command.arg(option).arg(folder);
        }
    }
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    command
        .spawn()
        .map_err(Error::io("start the stack's process"))
}

/// Ends a supervisor that has not become ready.
fn end(supervisor: &Child) {
    if let Some(process) = i32::try_from(supervisor.id()).ok().and_then(Identity::of) {
        process.signal(Signal::TERM);
    }
}

/// Shows what is written to a file meanwhile.
struct Tail(File);

impl Tail {
    fn show(&mut self) {
        let mut text = String::new();
        let begin = self.0.stream_position().unwrap_or_default();
        if self.0.read_to_string(&mut text).is_err() {
            return;
        }
        // A line that is not complete is shown the next time.
        let complete = text.rfind('\n').map_or(0, |end| end + 1);
        let _ = self.0.seek(SeekFrom::Start(begin + complete as u64));
        for line in text.get(..complete).unwrap_or_default().lines() {
            progress(line);
        }
    }
}
