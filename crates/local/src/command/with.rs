//! `with`: servers for one command, shared by all the processes that it starts.

use std::ffi::OsString;
use std::process::ExitCode;

use rustix::process::Signal;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::{Parts, progress};
use crate::leftovers::{Workplace, write_whole};
use crate::postgres::ServerFile;
use crate::process::{Identity, RunAs};
use crate::stack::{FUNCTIONS_VARIABLE, MOTO_VARIABLE, POSTGRES_VARIABLE};
use crate::{Checkout, Error, Moto, Postgres};

pub(super) async fn with(
    checkout: &Checkout,
    parts: &Parts,
    command: &[OsString],
) -> Result<ExitCode, Error> {
    let Some((program, arguments)) = command.split_first() else {
        return Ok(ExitCode::FAILURE);
    };
    // Before anything is started: a signal must not leave servers behind.
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::io("listen for signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::io("listen for signals"))?;
    let options = parts.options(checkout);
    progress("starting PostgreSQL and moto");
    let started = async {
        tokio::try_join!(
            Postgres::start(checkout, options.postgres_options()),
            Moto::start(checkout)
        )
    };
    let (postgres, moto) = tokio::select! {
        servers = started => servers?,
        _ = terminate.recv() => return Ok(ExitCode::FAILURE),
        _ = interrupt.recv() => return Ok(ExitCode::FAILURE),
    };
    let workplace = Workplace::new(checkout, "with", RunAs::Ourselves)?;
    let file = workplace.path().join("postgres.json");
    write_whole(
        &file,
        &serde_json::to_vec(&ServerFile::from(postgres.server())).unwrap_or_default(),
    )?;
    let mut child = Command::new(program)
        .args(arguments)
        .env(POSTGRES_VARIABLE, &file)
        .env(MOTO_VARIABLE, moto.address().to_string())
        .env(FUNCTIONS_VARIABLE, options.functions())
        .spawn()
        .map_err(Error::io(format!("run {}", program.display())))?;
    let identity = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Identity::of);
    loop {
        tokio::select! {
            status = child.wait() => {
                let status = status.map_err(Error::io(format!("wait for {}", program.display())))?;
                return Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from));
            }
            // The terminal sends the command its own; we only must not go before it.
            _ = interrupt.recv() => {}
            _ = terminate.recv() => if let Some(identity) = identity { identity.signal(Signal::TERM) },
        }
    }
}
