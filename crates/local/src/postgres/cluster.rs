//! A data folder with its configuration, and the server started in it.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use secrecy::ExposeSecret;

use super::binaries::Binaries;
use super::{Credentials, PostgresOptions, Server};
use crate::certificate::Certificates;
use crate::error::chain;
use crate::leftovers::Workplace;
use crate::process::{CommandLine, PORTS_TRIED, RunAs, Running, free_address};
use crate::{Checkout, Error};

/// Whom the server's certificate names; the last is what an Aurora cluster's endpoint looks like.
const NAMES: [&str; 3] = [
    "localhost",
    "127.0.0.1",
    "demo.cluster-abc.us-east-1.rds.amazonaws.com",
];

/// No local, no plaintext and no other method: a client that forgets TLS or SCRAM fails here as it would on RDS with
/// `rds.force_ssl`.
const HBA: &str = "hostssl all all 127.0.0.1/32 scram-sha-256\nhostnossl all all all reject\n";

/// A prepared data folder.
pub(crate) struct Cluster {
    workplace: Workplace,
    binaries: Binaries,
    run_as: RunAs,
    superuser: Credentials,
}

impl Cluster {
    pub(crate) async fn prepare(
        checkout: &Checkout,
        options: &PostgresOptions,
    ) -> Result<Self, Error> {
        let run_as = RunAs::for_servers();
        let found = Binaries::find(checkout, options.binaries.as_deref())?;
        let workplace = Workplace::new(checkout, "postgres", run_as)?;
        let binaries = found.within_reach(run_as, &workplace.path().join("install"))?;
        let cluster = Self {
            workplace,
            binaries,
            run_as,
            superuser: Credentials::generate("postgres"),
        };
        cluster.write_certificates()?;
        cluster.initialize().await?;
        cluster.configure(options)?;
        Ok(cluster)
    }

    /// Starts the server on a free port and waits until it accepts a login.
    pub(crate) async fn start(&self, deadline: Duration) -> Result<(Running, Server), Error> {
        let mut tried = 1;
        loop {
            let server = Server {
                host: Ipv4Addr::LOCALHOST.to_string(),
                port: free_address()?.port(),
                version: self.binaries.version,
                ca_file: self.path("ca.pem"),
                log_file: self.log(),
                superuser: self.superuser.clone(),
                master: Credentials::generate("ial_admin"),
            };
            match self.restart(&server, deadline).await {
                Ok(running) => return Ok((running, server)),
                Err(Error::Start { log, .. })
                    if tried < PORTS_TRIED && log.contains("Address already in use") =>
                {
                    tried += 1;
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Starts the server where `server` says it is.
    pub(crate) async fn restart(
        &self,
        server: &Server,
        deadline: Duration,
    ) -> Result<Running, Error> {
        let command = self
            .command("postgres")
            .arg("-D")
            .arg(self.path("data"))
            .args(["-p", &server.port.to_string()])
            // A quick end that cleans up its shared memory, when we die without a word.
            .farewell(Signal::QUIT);
        // Only what this start says may decide about it.
        let log_begin = fs::metadata(self.log()).map_or(0, |log| log.len());
        let mut running = command.spawn_with_log(&self.log()).await?;
        self.workplace.process(running.id())?;
        let started = Instant::now();
        loop {
            let Err(refused) = server.superuser("postgres").await else {
                return Ok(running);
            };
            let ended = running.ended();
            if ended.is_none() && started.elapsed() < deadline {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
            running.stop();
            let log = fs::read(self.log()).unwrap_or_default();
            let since = log
                .get(usize::try_from(log_begin).unwrap_or_default()..)
                .unwrap_or_default();
            return Err(Error::Start {
                server: "postgres",
                reason: ended.map_or_else(
                    || chain(&refused),
                    |status| format!("it ended with {status}"),
                ),
                command: command.to_paste(),
                log: String::from_utf8_lossy(since).into_owned(),
            });
        }
    }

    fn write_certificates(&self) -> Result<(), Error> {
        let certificates = Certificates::generate(&NAMES)?;
        self.write("ca.pem", &certificates.authority, 0o644)?;
        self.write("server.crt", &certificates.server, 0o644)?;
        self.write("server.key", &certificates.server_key, 0o600)
    }

    async fn initialize(&self) -> Result<(), Error> {
        self.write("password", self.superuser.password.expose_secret(), 0o600)?;
        let command = self
            .command("initdb")
            .arg("-D")
            .arg(self.path("data"))
            .args([
                "-U",
                &self.superuser.username,
                "-A",
                "scram-sha-256",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ])
            .arg("--pwfile")
            .arg(self.path("password"));
        let output = command.output().await?;
        // The password file has done its work.
        fs::remove_file(self.path("password")).map_err(Error::io("remove the password file"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::Start {
            server: "postgres",
            reason: format!("initdb ended with {}", output.status),
            command: command.to_paste(),
            log: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    fn configure(&self, options: &PostgresOptions) -> Result<(), Error> {
        let (certificate, key) = (self.path("server.crt"), self.path("server.key"));
        let mut settings: Vec<(&str, &str)> = vec![
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", ""),
            ("max_connections", "200"),
            ("ssl", "on"),
            ("ssl_min_protocol_version", "TLSv1.2"),
            ("ssl_cert_file", certificate.to_str().unwrap_or_default()),
            ("ssl_key_file", key.to_str().unwrap_or_default()),
            ("password_encryption", "scram-sha-256"),
            ("shared_preload_libraries", "pg_stat_statements"),
            // Of every test's database, so that they can be searched when all tests are over.
            ("pg_stat_statements.max", "50000"),
            // The data is thrown away, and a killed process loses nothing. Never `synchronous_commit`: without it a server that is
            // killed forgets what it has acknowledged.
            ("fsync", "off"),
            ("full_page_writes", "off"),
            ("log_line_prefix", "%m [%p] %q%u@%d "),
            ("log_timezone", "UTC"),
            ("timezone", "UTC"),
        ];
        settings.extend(
            options
                .settings
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        let mut text = String::from(
            "# What initdb proposes, then what the local stack wants.\ninclude 'initdb.conf'\n",
        );
        for (name, value) in settings {
            let _ = writeln!(
                text,
                "{name} = '{}'",
                value.replace('\\', r"\\").replace('\'', "''")
            );
        }
        let proposed = self.path("data/postgresql.conf");
        fs::rename(&proposed, self.path("data/initdb.conf"))
            .map_err(Error::io(format!("move {}", proposed.display())))?;
        self.write("data/postgresql.conf", &text, 0o600)?;
        let authentication = options.authentication.as_deref().unwrap_or(HBA);
        self.write("data/pg_hba.conf", authentication, 0o600)
    }

    fn command(&self, program: &str) -> CommandLine {
        CommandLine::new(self.binaries.program(program))
            .variable("HOME", self.workplace.path())
            .variable("LC_ALL", "C")
            .folder(self.workplace.path())
            .run_as(self.run_as)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.workplace.path().join(name)
    }

    fn log(&self) -> PathBuf {
        self.path("server.log")
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> Result<(), Error> {
        let path = self.path(name);
        let doing = || format!("write {}", path.display());
        fs::write(&path, text).map_err(Error::io(doing()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(Error::io(doing()))?;
        self.run_as.own(&path)
    }
}
