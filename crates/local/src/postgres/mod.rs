//! A throw-away PostgreSQL, as close to Aurora as a stock server gets: TLS only, SCRAM only, an own certificate authority,
//! a master role that is no superuser.
//!
//! [`PostgresOptions`] say how, [`Postgres::start`] prepares a data folder and starts the server in it, [`Server`] is what
//! everyone else needs to know about it. The server stops when [`Postgres`] is dropped.

mod binaries;
mod cluster;
mod server;

use std::fmt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use crate::lock::lock;
use crate::process::Running;
use crate::{Checkout, Error};
use cluster::Cluster;
pub use server::{Credentials, Database, Server, managed_secret};
pub(crate) use server::{ServerFile, unique, verifier};

/// How long a server may take to accept a login; initdb and a first start take about a second together.
const START: Duration = Duration::from_mins(1);

/// How a server is to be made.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    pub(crate) binaries: Option<PathBuf>,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) authentication: Option<String>,
}

impl PostgresOptions {
    /// The folder with `postgres` and `initdb` (what `PG_BIN` names). Without it the pinned package of the checkout is
    /// taken, and else the newest server found below `/usr/lib/postgresql`; each at least version 15.
    #[must_use]
    pub fn binaries(mut self, folder: impl Into<PathBuf>) -> Self {
        self.binaries = Some(folder.into());
        self
    }

    /// Adds a line to `postgresql.conf`, for example `log_statement`, `all`; wins over what is set here.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces the lines of `pg_hba.conf`, which let nobody in but by TLS and SCRAM.
    #[must_use]
    pub fn authentication(mut self, lines: &str) -> Self {
        self.authentication = Some(lines.to_owned());
        self
    }
}

/// A running server of ours.
pub struct Postgres {
    server: Server,
    // Dropped before the data folder that it works in.
    running: Mutex<Running>,
    cluster: Cluster,
}

impl Postgres {
    /// Makes a data folder and starts a server in it, on a free port of 127.0.0.1.
    ///
    /// The server runs as an unprivileged user when we are root. A failure prints the command line to paste and the end
    /// of the server's log.
    pub async fn start(checkout: &Checkout, options: &PostgresOptions) -> Result<Self, Error> {
        let cluster = Cluster::prepare(checkout, options).await?;
        let (running, server) = cluster.start(START).await?;
        server.create_master().await?;
        Ok(Self {
            server,
            running: Mutex::new(running),
            cluster,
        })
    }

    /// How to reach it.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The process id of its first process.
    pub fn pid(&self) -> u32 {
        lock(&self.running).id()
    }

    /// Ends the server at once, as a crash would: clients see a closed connection, later a refused one.
    pub fn stop(&self) {
        lock(&self.running).stop();
    }

    /// Starts the server again in the same data folder and on the same port, after [`Postgres::stop`].
    pub async fn restart(&self) -> Result<(), Error> {
        self.stop();
        let running = self.cluster.restart(&self.server, START).await?;
        *lock(&self.running) = running;
        Ok(())
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
