//! `turnkeep-local` as a developer uses it, each test in a checkout of its own.

mod with;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use local::canary;
use local::{Checkout, Stack, StackOptions, wait};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::system::{PATIENCE, succeeded};

/// What makes a folder a checkout for `turnkeep-local`: its marker, and the installed tools.
struct Scratch {
    folder: TempDir,
    /// Where the release binaries are.
    binaries: PathBuf,
}

impl Scratch {
    async fn new() -> Self {
        // Only a stack knows where the binaries to be tested are.
        let stack = Stack::start(StackOptions::from_environment().unwrap());
        let binaries = stack.await.unwrap().function_directory().to_owned();
        let folder = tempfile::tempdir().unwrap();
        // The unprivileged user of the servers must be able to go through it.
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        fs::create_dir_all(folder.path().join("crates/local")).unwrap();
        fs::write(folder.path().join("crates/local/Cargo.toml"), "").unwrap();
        fs::create_dir(folder.path().join(".turnkeep")).unwrap();
        let tools = Checkout::find().unwrap().tools();
        symlink(tools, folder.path().join(".turnkeep/tools")).unwrap();
        Self { folder, binaries }
    }

    fn run(&self) -> PathBuf {
        Checkout::at(self.folder.path()).run()
    }

    /// Runs `turnkeep-local` to its end.
    async fn local(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().await.unwrap()
    }

    /// With the environment of the tests: `PG_BIN` may name the PostgreSQL to use.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.binaries.join("turnkeep-local"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Starts the stack; what it printed to be pasted.
    async fn up(&self) -> String {
        let up = self.local(&["up"]).await;
        succeeded(&up);
        expect_no_canary(&up);
        let exports = text(&up.stdout);
        assert!(
            exports.lines().all(|line| line.starts_with("export ")),
            "a shell could not evaluate this:\n{exports}"
        );
        exports
    }

    /// Runs a line in a shell that has evaluated what `turnkeep-local env` prints.
    async fn in_shell(&self, line: &str) -> Output {
        let program = self.binaries.join("turnkeep-local");
        let script = format!("eval \"$('{}' env)\"\n{line}", program.display());
        Command::new("/bin/sh")
            .args(["-euc", &script])
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.folder.path())
            .kill_on_drop(true)
            .output()
            .await
            .inspect(expect_no_canary)
            .unwrap()
    }

    /// Logs in to the database of the stack, by the secret of the stack.
    async fn expect_usable(&self) {
        succeeded(&self.in_shell("turnkeep test").await);
    }

    /// The process that keeps the stack running.
    fn supervisor(&self) -> Option<Process> {
        let state = fs::read(self.run().join("up.json")).ok()?;
        let state: Value = serde_json::from_slice(&state).unwrap();
        let pid = state["supervisor"]["pid"].as_i64().unwrap();
        Process::of(i32::try_from(pid).unwrap())
    }

    /// The temporary folders of its servers.
    fn folders(&self) -> Vec<PathBuf> {
        let notes = fs::read_dir(self.run().join("notes")).unwrap();
        notes
            .map(|note| {
                let note = fs::read(note.unwrap().path()).unwrap();
                let note: Value = serde_json::from_slice(&note).unwrap();
                PathBuf::from(note["folder"].as_str().unwrap())
            })
            .collect()
    }
}

impl Drop for Scratch {
    /// A test that has failed must not leave a stack behind, and one that has not must not leave a password in a log.
    fn drop(&mut self) {
        if let Some(supervisor) = self.supervisor() {
            supervisor.signal(Signal::TERM);
        }
        if let Ok(logs) = fs::read_dir(self.run().join("logs"))
            && !std::thread::panicking()
        {
            for log in logs {
                let log = log.unwrap().path();
                let lines = text(&fs::read(&log).unwrap());
                let finds = canary::search(&log.display().to_string(), &lines);
                assert_eq!(finds, []);
            }
        }
    }
}

#[track_caller]
fn expect_no_canary(output: &Output) {
    for stream in [&output.stdout, &output.stderr] {
        assert_eq!(canary::search("an output", &text(stream)), []);
    }
}

/// One process and no later one of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: i32,
    parent: i32,
    /// In clock ticks since the boot.
    started: u64,
}

impl Process {
    /// Who runs under `pid`; a zombie does not.
    fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // proc(5): the name in field 2 may hold anything, so that counting begins behind it, with field 3.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let alive = !matches!(fields[0], "Z" | "X");
        alive.then(|| Self {
            pid,
            parent: fields[1].parse().unwrap(),
            started: fields[19].parse().unwrap(),
        })
    }

    /// Its parent may have changed meanwhile.
    fn is_alive(self) -> bool {
        Self::of(self.pid).is_some_and(|now| now.started == self.started)
    }

    fn signal(self, signal: Signal) {
        if self.is_alive() {
            kill_process(Pid::from_raw(self.pid).unwrap(), signal).unwrap();
        }
    }

    fn all() -> Vec<Self> {
        let entries = fs::read_dir("/proc").unwrap();
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(Self::of)
            .collect()
    }

    /// Those whose current directory is a folder or below it.
    fn working_in(folder: &Path) -> Vec<Self> {
        let within = |one: &Self| {
            let current = fs::read_link(format!("/proc/{}/cwd", one.pid));
            current.is_ok_and(|current| current.starts_with(folder))
        };
        Self::all().into_iter().filter(within).collect()
    }

    /// It and all that it has started.
    fn family(self) -> Vec<Self> {
        let all = Self::all();
        let mut family = vec![self];
        let mut next = 0;
        while let Some(parent) = family.get(next).copied() {
            family.extend(all.iter().filter(|one| one.parent == parent.pid));
            next += 1;
        }
        family
    }

    fn program(self) -> String {
        let command = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        text(&command).replace('\0', " ")
    }
}

/// Waits until none of them is left.
async fn all_ended(family: &[Process]) {
    let ended = wait::until("the end of every process", PATIENCE, async || {
        family.iter().all(|one| !one.is_alive()).then_some(())
    });
    let ended = ended.await;
    let left: Vec<String> = family
        .iter()
        .filter(|one| one.is_alive())
        .map(|one| one.program())
        .collect();
    assert!(ended.is_ok(), "still there: {left:#?}");
}

#[track_caller]
fn expect_programs(family: &[Process], programs: &[&str]) {
    let running: Vec<String> = family.iter().map(|one| one.program()).collect();
    for program in programs {
        assert!(
            running.iter().any(|one| one.contains(program)),
            "{program} is not among {running:#?}"
        );
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn expect_refusal(output: &Output, words: &str) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(words), "no {words:?} in: {said}");
}

#[tokio::test]
async fn a_stack_stays_until_down_and_takes_everything_with_it() {
    let scratch = Scratch::new().await;
    expect_refusal(&scratch.local(&["env"]).await, "`turnkeep-local up`");
    succeeded(&scratch.local(&["down"]).await);

    let exports = scratch.up().await;
    let again = scratch.local(&["up"]).await;
    succeeded(&again);
    assert_eq!(text(&again.stdout), exports);
    assert!(text(&again.stderr).contains("running already"));
    assert_eq!(text(&scratch.local(&["env"]).await.stdout), exports);

    scratch.expect_usable().await;
    let event = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/direct-canonical.json");
    let invoke = format!(
        "cargo-lambda lambda invoke $INVOKE conversation-capture --data-file '{}'",
        event.display()
    );
    let captured = scratch.in_shell(&invoke).await;
    succeeded(&captured);
    let reply: Value = serde_json::from_slice(&captured.stdout).unwrap();
    assert_eq!(reply["status"], "stored");

    let family = scratch.supervisor().unwrap().family();
    let programs = [
        "supervise",
        "moto_server",
        "postgres",
        "conversation-capture",
    ];
    expect_programs(&family, &programs);
    let folders = scratch.folders();
    assert!(folders.len() >= 2 && folders.iter().all(|folder| folder.exists()));
    succeeded(&scratch.local(&["down"]).await);
    all_ended(&family).await;
    let left: Vec<_> = folders.iter().filter(|folder| folder.exists()).collect();
    assert!(left.is_empty() && scratch.folders().is_empty(), "{left:?}");
    expect_refusal(&scratch.local(&["env"]).await, "no stack is running");
}

#[tokio::test]
async fn two_checkouts_run_side_by_side() {
    let (one, other) = tokio::join!(Scratch::new(), Scratch::new());
    let (exports, other_exports) = tokio::join!(one.up(), other.up());
    assert_ne!(exports, other_exports);
    tokio::join!(one.expect_usable(), other.expect_usable());

    let family = one.supervisor().unwrap().family();
    succeeded(&one.local(&["down"]).await);
    all_ended(&family).await;
    other.expect_usable().await;
    assert_eq!(other.up().await, other_exports, "it was not started again");
    succeeded(&other.local(&["down"]).await);
}

#[tokio::test]
async fn a_killed_stack_leaves_nothing_that_hinders_the_next() {
    let scratch = Scratch::new().await;
    scratch.up().await;
    let first = scratch.supervisor().unwrap();
    let (family, folders) = (first.family(), scratch.folders());
    expect_programs(&family, &["supervise", "moto_server", "postgres"]);
    first.signal(Signal::KILL);
    all_ended(&family).await;
    expect_refusal(&scratch.local(&["env"]).await, "no stack is running");

    scratch.up().await;
    assert_ne!(scratch.supervisor().unwrap(), first);
    scratch.expect_usable().await;
    let left: Vec<_> = folders.iter().filter(|folder| folder.exists()).collect();
    assert!(left.is_empty(), "left by the first: {left:?}");
    succeeded(&scratch.local(&["down"]).await);
}

#[tokio::test]
async fn a_stack_that_is_killed_while_it_starts_leaves_as_little() {
    let scratch = Scratch::new().await;
    let mut up = scratch.command(&["up"]);
    let up = up.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let up = up.unwrap();
    let supervisor = wait::until("the preparation of a database", PATIENCE, async || {
        let here = Process::working_in(scratch.folder.path());
        let supervisor = here
            .iter()
            .find(|one| one.program().contains("supervise"))?;
        let prepares = |one: &Process| one.program().contains("initdb");
        let family = supervisor.family();
        family.iter().any(prepares).then_some(*supervisor)
    });
    supervisor.await.unwrap().signal(Signal::KILL);
    let ended = tokio::time::timeout(PATIENCE, up.wait_with_output()).await;
    expect_refusal(&ended.unwrap().unwrap(), "the stack did not start");
    let folders = scratch.folders();
    assert!(!folders.is_empty(), "what is left has to be known");
    for folder in &folders {
        wait::until("the end of who works there", PATIENCE, async || {
            Process::working_in(folder).is_empty().then_some(())
        })
        .await
        .unwrap();
    }

    scratch.up().await;
    scratch.expect_usable().await;
    let left: Vec<_> = folders.iter().filter(|folder| folder.exists()).collect();
    assert!(left.is_empty(), "left by the first: {left:?}");
    succeeded(&scratch.local(&["down"]).await);
}
