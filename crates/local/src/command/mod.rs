//! The verbs of `turnkeep-local`.

mod chaos;
mod supervisor;
mod up;
mod watch;
mod with;

use std::ffi::OsString;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::error::chain;
use crate::stack::{BINARIES_VARIABLE, FUNCTIONS_VARIABLE};
use crate::{Checkout, Error, StackOptions, demo};

const EXAMPLES: &str = "\
Examples:
  turnkeep-local up                                # then paste what it prints, or:
  eval \"$(turnkeep-local env)\"
  cargo lambda invoke $INVOKE conversation-capture --data-file events/direct-canonical.json
  aws s3 ls --recursive \"s3://$CONVERSATIONS_BUCKET\"
  turnkeep-local with -- cargo nextest run         # servers for one command
  turnkeep-local down

The edit-and-try loop: `cargo lambda watch` runs the function that is being edited, and the rotation calls it there:
  eval \"$(turnkeep-local env)\"; cargo lambda watch --invoke-address 127.0.0.1 --invoke-port 9001
  turnkeep-local watch secret-rotation 127.0.0.1:9001
  turnkeep rotate --wait
  turnkeep-local watch secret-rotation --off";

/// runs what Turnkeep needs of AWS on loopback: PostgreSQL, Secrets Manager, Lambda, S3
#[derive(Debug, Parser)]
#[command(name = "turnkeep-local", version, max_term_width = 120, after_help = EXAMPLES, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// start the stack in the background and print the environment to paste; a second time only the latter
    Up(Parts),
    /// stop the stack that `up` has started
    Down,
    /// print the environment of the stack that `up` has started
    Env,
    /// start PostgreSQL and moto, run a command that finds them, stop them; fails if a test's password is in their logs
    With {
        #[command(flatten)]
        parts: Parts,
        /// the command and its arguments
        #[arg(required = true, last = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// show the main job on a throw-away stack: tables, captures, a rotation under load, and what it all left
    Demo(Parts),
    /// cut, delay, double and kill rotations at random, and check after each act that nobody is locked out
    RotationChaos {
        #[command(flatten)]
        parts: Parts,
        #[command(flatten)]
        numbers: chaos::Numbers,
        /// by which strategy; of both, each run's seed chooses
        #[arg(long, value_enum, default_value_t = chaos::Strategies::Both)]
        strategy: chaos::Strategies,
    },
    /// cut, delay, double and kill deliveries of a queue at random, and check that nothing acknowledged is lost or doubled
    CaptureChaos {
        #[command(flatten)]
        parts: Parts,
        #[command(flatten)]
        numbers: chaos::Numbers,
    },
    /// hand a function's invocations on to `cargo lambda watch`, or take them back
    Watch {
        /// name of the function
        #[arg(value_name = "NAME")]
        function: String,
        /// where `cargo lambda watch` listens, such as 127.0.0.1:9001
        #[arg(required_unless_present = "off")]
        address: Option<SocketAddr>,
        /// run the release binary again
        #[arg(long, conflicts_with = "address")]
        off: bool,
    },
    /// run the stack in the foreground
    #[command(hide = true)]
    Supervise(Parts),
}

/// What may be chosen.
#[derive(Args, Debug, Clone, Default)]
struct Parts {
    /// folder with the release binaries; otherwise the folder of this program if it is one, then `target/release`
    #[arg(long, value_name = "DIR", env = FUNCTIONS_VARIABLE)]
    functions: Option<OsString>,
    /// folder with `postgres` and `initdb`, at least version 15; otherwise the pinned one, then the newest of the machine
    #[arg(long, value_name = "DIR", env = BINARIES_VARIABLE)]
    postgres: Option<OsString>,
}

impl Parts {
    fn options(&self, checkout: &Checkout) -> StackOptions {
        let mut options = StackOptions::new(checkout.clone());
        if let Some(folder) = folder(self.functions.as_ref()).or_else(beside_us) {
            options = options.function_directory(folder);
        }
        if let Some(folder) = folder(self.postgres.as_ref()) {
            options = options.own_postgres(|postgres| postgres.binaries(folder));
        }
        options
    }
}

/// An empty variable counts as unset, as everywhere.
fn folder(named: Option<&OsString>) -> Option<PathBuf> {
    named
        .filter(|folder| !folder.is_empty())
        .map(|folder| absolute(folder.as_ref()))
}

/// Reads the command line and does what it says.
pub async fn run() -> ExitCode {
    let Arguments { verb } = Arguments::parse();
    let done = match Checkout::find() {
        Ok(checkout) => dispatch(&checkout, verb).await,
        Err(refused) => Err(refused),
    };
    done.unwrap_or_else(|failed| {
        progress(&format!("error: {}", chain(&failed)));
        ExitCode::FAILURE
    })
}

async fn dispatch(checkout: &Checkout, verb: Verb) -> Result<ExitCode, Error> {
    match verb {
        Verb::Up(parts) => up::up(checkout, &parts).await,
        Verb::Down => up::down(checkout),
        Verb::Env => up::env(checkout),
        Verb::With { parts, command } => with::with(checkout, &parts, &command).await,
        Verb::Watch {
            function, address, ..
        } => watch::watch(checkout, &function, address).await,
        Verb::Demo(parts) => Ok(demonstrate(checkout, &parts).await),
        Verb::RotationChaos {
            parts,
            numbers,
            strategy,
        } => chaos::rotations(parts.options(checkout), numbers, strategy).await,
        Verb::CaptureChaos { parts, numbers } => {
            chaos::captures(parts.options(checkout), numbers).await
        }
        Verb::Supervise(parts) => supervisor::supervise(checkout, &parts).await,
    }
}

/// The folder of this program, if it was built for release: then the functions are beside it, wherever cargo builds.
fn beside_us() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    program
        .parent()
        .filter(|folder| folder.ends_with("release"))
        .map(Path::to_owned)
}

async fn demonstrate(checkout: &Checkout, parts: &Parts) -> ExitCode {
    match demo::run(checkout, parts.options(checkout)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(broken) => {
            progress(&format!("error: {broken:#}"));
            ExitCode::FAILURE
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Says what goes on, to the person.
fn progress(line: &str) {
    // Nobody may be reading any more.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints what is to be pasted or piped.
fn print(text: &str) -> Result<(), Error> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(Error::io("write to standard output"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `PG_BIN=` in front of a command is how a shell unsets it for once.
    #[test]
    fn an_empty_folder_counts_as_unset() {
        let parsed = Arguments::try_parse_from(["turnkeep-local", "demo", "--postgres", ""]);
        let Ok(Verb::Demo(parts)) = parsed.map(|parsed| parsed.verb) else {
            panic!("an empty folder is refused");
        };
        assert_eq!(folder(parts.postgres.as_ref()), None);
    }
}
