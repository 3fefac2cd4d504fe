//! The way to the secret and to the database that every verb uses.

use std::sync::Arc;
use std::time::Duration;

use aurora::{Login, Target, Trust};
use aurora_session::{Builder, Event, SecretVersion, Session};
use aws_config::SdkConfig;
use secrets::{LoginSecret, SecretsError, SecretsManager};
use startup::environment::DEFAULT_DB_NAME;
use tokio::time::{Instant, timeout_at};
use tracing::info;

use crate::failure::{Exit, Failure, NAME_THE_HOST};
use crate::progress;
use crate::settings::Settings;

/// PostgreSQL's port.
pub(crate) const DEFAULT_PORT: u16 = 5432;

/// AWS and the database, as the command line and the environment name them.
pub(crate) struct Access {
    /// Options and variables.
    pub(crate) settings: Settings,
    /// The AWS configuration.
    pub(crate) aws: SdkConfig,
    /// Secrets Manager.
    pub(crate) secrets: SecretsManager,
    started: Instant,
}

/// Where the database is, as far as settings and secret say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Host; neither settings nor secret have to name one.
    pub(crate) host: Option<String>,
    /// Port.
    pub(crate) port: u16,
    /// Database name.
    pub(crate) dbname: String,
}

/// A login that the database accepted, and with what.
pub(crate) struct Proven {
    /// The open session.
    pub(crate) login: Login,
    /// The version of the secret that was accepted, and where.
    pub(crate) version: Arc<SecretVersion>,
    /// Refused logins on the way.
    pub(crate) refusals: u64,
    /// What the way took: secret, TCP, TLS, login.
    pub(crate) took: Duration,
}

impl Access {
    /// Takes the present moment as the start of the verb.
    pub(crate) fn new(settings: Settings, aws: SdkConfig) -> Self {
        Self {
            secrets: SecretsManager::new(&aws, None),
            settings,
            aws,
            started: Instant::now(),
        }
    }

    /// What passed since the verb started.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// When the verb must be over, if it may take `time` and no `--timeout` says otherwise.
    pub(crate) fn deadline(&self, time: Duration) -> Instant {
        self.started + self.settings.timeout.unwrap_or(time)
    }

    /// When the verb must be over, if `--timeout` says so.
    pub(crate) fn end(&self) -> Option<Instant> {
        self.settings.timeout.map(|time| self.started + time)
    }

    /// When a connect must be over: a little before [`Access::within`] cuts it off, because the session's own reason says
    /// more.
    pub(crate) fn connect_deadline(&self) -> Instant {
        const MARGIN: Duration = Duration::from_millis(100);
        self.started + self.settings.connect_time().saturating_sub(MARGIN)
    }

    /// Runs calls on `what` until the end of the connect time, with signs of life.
    pub(crate) async fn within<T>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let time = self.settings.connect_time();
        match progress::watch(what, timeout_at(self.started + time, work)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::new(
                Exit::Unreachable,
                "Timeout",
                format!(
                    "no answer in time; waited for {what}, seconds: {}",
                    time.as_secs()
                ),
            )
            .next("give it more time with --timeout")),
        }
    }

    /// Where the database is that `secret` opens.
    pub(crate) fn place(&self, secret: &LoginSecret) -> Place {
        let settings = &self.settings;
        Place {
            host: settings.host.clone().or_else(|| secret.host.clone()),
            port: settings.port.or(secret.port).unwrap_or(DEFAULT_PORT),
            dbname: settings
                .dbname
                .clone()
                .or_else(|| secret.dbname.clone())
                .unwrap_or_else(|| DEFAULT_DB_NAME.to_owned()),
        }
    }

    /// The roots of trust.
    pub(crate) fn trust(&self) -> Result<Trust, Failure> {
        let Some(path) = &self.settings.ca_bundle else {
            return Ok(Trust::amazon_rds()?);
        };
        let named = |failure: Failure| failure.context(format!("cannot use {}", path.display()));
        let pem = std::fs::read(path).map_err(|error| {
            named(
                Failure::new(Exit::Usage, "Trust", error.to_string())
                    .next("name a readable PEM file with --ca-bundle or DB_CA_BUNDLE"),
            )
        })?;
        Trust::from_pem(&pem).map_err(|error| named(Failure::from(error)))
    }

    /// Logs in as an application does, through any rotation, and says with what.
    pub(crate) async fn prove(&self) -> Result<Proven, Failure> {
        let trust = self.trust()?;
        self.within("the secret and the database", self.log_in(trust))
            .await
    }

    /// Settings of a session for a secret, at the place that options and variables name.
    pub(crate) fn session(&self, secret_id: &str, trust: Trust) -> Builder {
        let settings = &self.settings;
        let mut builder = Session::builder(self.secrets.clone(), secret_id)
            .default_dbname(DEFAULT_DB_NAME)
            .trust(trust)
            .application_name("turnkeep")
            .observer(log);
        if let Some(host) = &settings.host {
            builder = builder.host(host);
        }
        if let Some(port) = settings.port {
            builder = builder.port(port);
        }
        if let Some(dbname) = &settings.dbname {
            builder = builder.dbname(dbname);
        }
        builder
    }

    async fn log_in(&self, trust: Trust) -> Result<Proven, Failure> {
        let session = self.session(&self.settings.secret, trust).build()?;
        let connecting = Instant::now();
        let login = session.connect(self.connect_deadline()).await?;
        let took = connecting.elapsed();
        let version = session.accepted().ok_or_else(|| {
            Failure::new(
                Exit::Failed,
                "NoVersion",
                "the session does not say what was accepted",
            )
        })?;
        Ok(Proven {
            login,
            version,
            refusals: session.counters().refusals.total(),
            took,
        })
    }
}

impl Place {
    /// The target of a login, for which a host is needed.
    pub(crate) fn target(self) -> Result<Target, Failure> {
        match self.host {
            Some(host) => Ok(Target {
                host,
                port: self.port,
                dbname: self.dbname,
            }),
            None => Err(
                Failure::new(Exit::Usage, "NoHost", "the secret names no database host")
                    .next(NAME_THE_HOST),
            ),
        }
    }
}

/// Logs what a session does on its way, which `-v` shows.
fn log(event: &Event<'_>) {
    match event {
        Event::LoggedIn { stage, version_id } => {
            info!(target: "turnkeep", stage = stage.as_str(), version_id, "login accepted");
        }
        Event::Refused {
            stage,
            version_id,
            sqlstate,
        } => {
            info!(target: "turnkeep", stage = stage.as_str(), version_id, sqlstate, "login refused");
        }
        Event::PendingDenied => {
            info!(target: "turnkeep", stage = "AWSPENDING", "the version may not be read");
        }
        Event::LoginRetried { error_code } => {
            info!(target: "turnkeep", error_code, "login repeated");
        }
        Event::Waiting => info!(target: "turnkeep", "waiting for a label to move"),
        // The one connection of a verb is not replaced.
        _ => {}
    }
}

/// A failed call, with the secret that it was about.
pub(crate) fn unreadable(secret_id: &str, error: SecretsError) -> Failure {
    Failure::from(error).context(format!("cannot read secret {secret_id}"))
}
