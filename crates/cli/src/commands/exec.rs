//! `turnkeep exec`: a program of any language, with credentials that work.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use aurora::Target;
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret as _;
use secrets::LoginSecret;
use tempfile::NamedTempFile;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::access::{Access, Proven};
use crate::args;
use crate::failure::{Exit, Failure};

/// Settings of libpq that outweigh `PGHOST` and would take the password to another server.
const LEADING_ELSEWHERE: [&str; 2] = ["PGHOSTADDR", "PGSERVICE"];

/// The roots of trust as a file, which libpq needs; a temporary one is removed when this is dropped.
enum Roots {
    Named(PathBuf),
    BuiltIn(NamedTempFile),
}

/// Runs the program and ends as it ends.
///
/// It is a child and not a replacement of this process, because the file with the built-in roots has to be removed after
/// it. It shares the terminal's process group, so that Ctrl-C reaches it directly; what only this process gets (SIGTERM,
/// SIGHUP) is handed on.
pub(crate) async fn run(access: &Access, options: &args::Exec) -> Result<Exit, Failure> {
    let Some((program, arguments)) = options.command.split_first() else {
        return Err(Failure::new(
            Exit::Usage,
            "NoProgram",
            "no program is named",
        ));
    };
    let Proven { login, version, .. } = access.prove().await?;
    // The program opens its own; this one would only hold a place.
    drop(login);
    let roots = Roots::new(access.settings.ca_bundle.as_deref())?;

    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(environment(&version.target, &version.secret, roots.path()));
    for name in LEADING_ELSEWHERE {
        command.env_remove(name);
    }
    let status = supervise(command)
        .await
        .map_err(|error| not_run(program, &error))?;
    Ok(Exit::Program(code(status)))
}

/// The variables of libpq for one login.
fn environment(
    target: &Target,
    secret: &LoginSecret,
    roots: &Path,
) -> [(&'static str, OsString); 7] {
    [
        ("PGHOST", target.host.clone().into()),
        ("PGPORT", target.port.to_string().into()),
        ("PGDATABASE", target.dbname.clone().into()),
        ("PGUSER", secret.username.clone().into()),
        ("PGPASSWORD", secret.password.expose_secret().into()),
        ("PGSSLMODE", "verify-full".into()),
        ("PGSSLROOTCERT", roots.into()),
    ]
}

async fn supervise(mut command: Command) -> io::Result<ExitStatus> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    // Taken, so that Ctrl-C and Ctrl-\ end the program and not the one that waits for it.
    let _interrupt = signal(SignalKind::interrupt())?;
    let _quit = signal(SignalKind::quit())?;
    let mut child = command.spawn()?;
    loop {
        tokio::select! {
            status = child.wait() => return status,
            _ = terminate.recv() => hand_on(&child, Signal::TERM),
            _ = hang_up.recv() => hand_on(&child, Signal::HUP),
        }
    }
}

fn hand_on(child: &Child, signal: Signal) {
    let process = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    if let Some(process) = process {
        // It may have ended this moment, which the wait will tell.
        let _ = kill_process(process, signal);
    }
}

/// Returns the exit code as a shell gives it: the program's own, or 128 and the number of the signal that ended it.
fn code(status: ExitStatus) -> u8 {
    let code = match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    };
    u8::try_from(code).unwrap_or(1)
}

/// Codes as a shell has them.
fn not_run(program: &OsStr, error: &io::Error) -> Failure {
    let (code, name) = match error.kind() {
        io::ErrorKind::NotFound => (127, "ProgramNotFound"),
        _ => (126, "ProgramNotRun"),
    };
    Failure::new(
        Exit::Program(code),
        name,
        format!("cannot run `{}`: {error}", program.display()),
    )
}

impl Roots {
    fn new(named: Option<&Path>) -> io::Result<Self> {
        if let Some(path) = named {
            // The program may change its directory before it connects.
            return Ok(Self::Named(std::path::absolute(path)?));
        }
        let mut file = tempfile::Builder::new()
            .prefix("turnkeep-roots-")
            .suffix(".pem")
            .tempfile()?;
        file.write_all(aurora::Trust::amazon_rds_pem().as_bytes())?;
        file.flush()?;
        Ok(Self::BuiltIn(file))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Named(path) => path,
            Self::BuiltIn(file) => file.path(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_code(raw: i32, expected: u8) {
        assert_eq!(code(ExitStatus::from_raw(raw)), expected);
    }

    #[test]
    fn a_program_ends_with_its_own_code_or_128_and_its_signal() {
        // The raw status of wait(2): the code in the second byte, the signal in the first.
        check_code(0, 0);
        check_code(7 << 8, 7);
        check_code(255 << 8, 255);
        check_code(2, 130);
        check_code(15, 143);
    }

    #[test]
    fn the_environment_is_libpqs() {
        let target = Target {
            host: "db.example.com".to_owned(),
            port: 5432,
            dbname: "ial_conversations".to_owned(),
        };
        let text = r#"{"username":"ial_app","password":"p w'd\""}"#;
        let secret = LoginSecret::parse(&text.to_owned().into()).unwrap();
        let lines: Vec<_> = environment(&target, &secret, Path::new("/tmp/roots.pem"))
            .into_iter()
            .map(|(name, value)| format!("{name}={}", value.display()))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        PGHOST=db.example.com
        PGPORT=5432
        PGDATABASE=ial_conversations
        PGUSER=ial_app
        PGPASSWORD=p w'd"
        PGSSLMODE=verify-full
        PGSSLROOTCERT=/tmp/roots.pem
        "#);
    }

    #[test]
    fn the_built_in_roots_are_a_private_file_as_long_as_they_are_needed() {
        use std::os::unix::fs::PermissionsExt as _;
        let roots = Roots::new(None).unwrap();
        let path = roots.path().to_owned();
        assert!(
            std::fs::read_to_string(&path)
                .unwrap()
                .contains("-----BEGIN CERTIFICATE-----")
        );
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(roots);
        assert!(!path.exists());
    }

    #[test]
    fn named_roots_stay_where_they_are_and_are_found_from_any_directory() {
        let roots = Roots::new(Some(Path::new("roots.pem"))).unwrap();
        assert!(roots.path().is_absolute());
        assert!(roots.path().ends_with("roots.pem"));
    }

    #[test]
    fn a_program_that_cannot_run_ends_as_in_a_shell() {
        let code = |kind| not_run(OsStr::new("psql"), &kind).exit().code();
        assert_eq!(code(io::ErrorKind::NotFound.into()), 127);
        assert_eq!(code(io::ErrorKind::PermissionDenied.into()), 126);
    }
}
