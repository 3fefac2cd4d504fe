//! `with`: servers for one command, shared by all the processes that it starts.
//!
//! What these servers wrote down belongs to no single test, so it is searched for canaries here, when the command has
//! ended: a password or a text in it makes a run fail that has succeeded else.

use std::ffi::OsString;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

use super::{Parts, progress};
use crate::canary::Find;
use crate::canary::servers::Watch;
use crate::error::chain;
use crate::leftovers::{Workplace, write_whole};
use crate::postgres::ServerFile;
use crate::process::{Identity, RunAs};
use crate::stack::{FUNCTIONS_VARIABLE, MOTO_VARIABLE, POSTGRES_VARIABLE};
use crate::{Checkout, Error, Moto, Postgres};

/// Between two looks at what the server is doing: often enough to meet the last statement of most connections.
const GLANCE: Duration = Duration::from_millis(250);

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
    let mut watch = Watch::begin(postgres.server()).await?;
    let mut glances = tokio::time::interval(GLANCE);
    glances.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
    let ended = loop {
        tokio::select! {
            status = child.wait() => break status.map_err(Error::io(format!("wait for {}", program.display())))?,
            _ = glances.tick() => watch.look().await,
            // The terminal sends the command its own; we only must not go before it.
            _ = interrupt.recv() => {}
            _ = terminate.recv() => if let Some(identity) = identity { identity.signal(Signal::TERM) },
        }
    };
    verdict(ended, watch.end(postgres.server(), &moto).await)
}

/// What the whole run comes to: the command's own failure, or that of the search.
fn verdict(ended: ExitStatus, searched: Result<Vec<Find>, Error>) -> Result<ExitCode, Error> {
    let code = ended.code().and_then(|code| u8::try_from(code).ok());
    let code = code.map_or(ExitCode::FAILURE, ExitCode::from);
    match searched {
        Ok(finds) if finds.is_empty() => Ok(code),
        Ok(finds) if ended.success() => Err(Error::Canaries(finds)),
        Err(refused) if ended.success() => Err(refused),
        // It is told besides, but what the command says comes first.
        Ok(finds) => {
            progress(&Error::Canaries(finds).to_string());
            Ok(code)
        }
        Err(refused) => {
            progress(&format!("not searched for canaries: {}", chain(&refused)));
            Ok(code)
        }
    }
}
