//! moto: the parts of AWS that it imitates faithfully (S3, SQS, RDS, STS), as a server on loopback.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::leftovers::Workplace;
use crate::process::{CommandLine, PORTS_TRIED, RunAs, Running, free_address, tail};
use crate::stack::{ACCOUNT, REGION};
use crate::{Checkout, Error, gateway};

/// Python needs up to two seconds to load moto on a busy machine.
const START: Duration = Duration::from_mins(1);

/// A running moto server; it stops when dropped.
#[derive(Debug)]
pub struct Moto {
    address: SocketAddr,
    log: PathBuf,
    _running: Running,
    _workplace: Workplace,
}

impl Moto {
    /// Starts the moto of the checkout's private environment on a free port of 127.0.0.1.
    pub async fn start(checkout: &Checkout) -> Result<Self, Error> {
        let program = checkout.tools().join("bin/moto_server");
        if !program.is_file() {
            return Err(Error::Missing {
                what: format!("moto is not installed: {}", program.display()),
                remedy: "`make tools` installs it".to_owned(),
            });
        }
        // The private environment may borrow its Python from a home folder that the unprivileged user may not enter.
        let unprivileged = RunAs::for_servers();
        let python = checkout.tools().join("bin/python3");
        let run_as = if unprivileged.can_run(&python, "-V") {
            unprivileged
        } else {
            RunAs::Ourselves
        };
        let workplace = Workplace::new(checkout, "moto", run_as)?;
        let log = workplace.path().join("server.log");
        let mut tried = 1;
        loop {
            let address = free_address()?;
            let command = CommandLine::new(&program)
                .args([
                    "-H",
                    &address.ip().to_string(),
                    "-p",
                    &address.port().to_string(),
                ])
                .variable("HOME", workplace.path())
                .variable("LC_ALL", "C.UTF-8")
                .variable("PATH", "/usr/bin:/bin")
                .variable("PYTHONDONTWRITEBYTECODE", "1")
                .variable("MOTO_ACCOUNT_ID", ACCOUNT)
                .variable("AWS_DEFAULT_REGION", REGION)
                .folder(workplace.path())
                .run_as(run_as);
            let mut running = command.spawn_with_log(&log).await?;
            workplace.process(running.id())?;
            let started = Instant::now();
            let ended = loop {
                // Somebody else may have taken the port, and may be a moto too: ours says so when it has it.
                if tail(&log, 30).contains("Running on")
                    && gateway::answers(address, "/moto-api/").await
                {
                    return Ok(Self {
                        address,
                        log,
                        _running: running,
                        _workplace: workplace,
                    });
                }
                let ended = running.ended();
                if ended.is_some() || started.elapsed() > START {
                    break ended;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            };
            let log = tail(&log, 30);
            if tried < PORTS_TRIED && log.contains("Address already in use") {
                tried += 1;
                continue;
            }
            return Err(Error::Start {
                server: "moto",
                reason: ended.map_or_else(
                    || format!("no answer in {} s", START.as_secs()),
                    |status| format!("it ended with {status}"),
                ),
                command: command.to_paste(),
                log,
            });
        }
    }

    /// Everything it has logged so far.
    pub fn log(&self) -> Result<String, Error> {
        let bytes =
            fs::read(&self.log).map_err(Error::io(format!("read {}", self.log.display())))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
