//! One login attempt.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::net::lookup_host;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::{Client, Config};

use crate::handshake::{Progress, Watched};
use crate::state::Meaning;
use crate::{LoginError, Place, Transport, Trust, Waiting};

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Host name (it must match the server's certificate) or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Name of the database.
    pub dbname: String,
}

/// Who logs in.
#[derive(Clone)]
pub struct Credentials {
    /// Role name.
    pub username: String,
    /// Its password.
    pub password: SecretString,
}

/// What to do about a server without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Fail with [`LoginError::NoTls`].
    Require,
    /// Go on in plaintext, but only if the server itself answers that it has no TLS; never after a
    /// failed handshake or login.
    AllowPlaintextIfServerHasNone,
}

/// An open session. Its connection is driven by a task that ends when [`Login::client`] is dropped.
#[derive(Debug)]
#[non_exhaustive]
pub struct Login {
    /// The driver's client.
    pub client: Client,
    /// Whether the session is encrypted. [`crate::server::describe`] knows version and cipher.
    pub encrypted: bool,
}

/// For one address of possibly several; a server that is there answers within milliseconds.
const TCP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long sent data may stay unacknowledged before the kernel gives the connection up.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;

/// Logs in once and gives up at `deadline`.
///
/// Several addresses of one host name are tried in turn only until one accepts TCP, so that a wrong
/// password costs one refused login. No statement is sent, neither before nor after.
pub async fn log_in(
    target: &Target,
    credentials: &Credentials,
    trust: &Trust,
    tls: Tls,
    application_name: &str,
    deadline: Instant,
) -> Result<Login, LoginError> {
    let attempt = Attempt {
        target,
        config: config(target, credentials, tls, application_name),
        trust,
        tls,
        progress: Progress::new(),
    };
    match timeout_at(deadline, attempt.run()).await {
        Ok(outcome) => outcome,
        Err(_) => Err(attempt.timed_out()),
    }
}

struct Attempt<'a> {
    target: &'a Target,
    config: Config,
    trust: &'a Trust,
    tls: Tls,
    progress: Progress,
}

impl Attempt<'_> {
    async fn run(&self) -> Result<Login, LoginError> {
        let Target { host, port, .. } = self.target;
        let addresses = lookup_host((host.as_str(), *port))
            .await
            .map_err(|error| self.unreachable(error))?;

        let mut failure = self.unreachable(io::Error::new(
            io::ErrorKind::NotFound,
            "the host name has no address",
        ));
        for address in addresses {
            self.progress.reach(Waiting::Tcp);
            match self.connect(address).await {
                Ok(login) => return Ok(login),
                Err(error) => failure = error,
            }
            if self.progress.waiting() != Waiting::Tcp {
                break;
            }
        }
        Err(failure)
    }

    async fn connect(&self, address: SocketAddr) -> Result<Login, LoginError> {
        let mut config = self.config.clone();
        config.hostaddr(address.ip());
        let connector = Watched::new(self.trust.connector(), self.progress.clone());
        let (client, connection) = config
            .connect(connector)
            .await
            .map_err(|error| self.classify(error))?;

        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %cause(&error), "connection ended");
            }
        });
        Ok(Login {
            client,
            encrypted: self.progress.waiting() == Waiting::Authentication,
        })
    }

    fn classify(&self, error: tokio_postgres::Error) -> LoginError {
        let mut place = self.place();
        if let Some(answer) = error.as_db_error() {
            // The driver goes on in plaintext without a word, but only then is there an SQLSTATE.
            if place.transport == Transport::Unsettled {
                place.transport = Transport::Plaintext;
            }
            let sqlstate = answer.code().code().to_owned();
            let message = answer.message().to_owned();
            return LoginError::answered(place, sqlstate, message);
        }
        if let Some(reason) = tls_reason(&error) {
            return LoginError::of_tls(place, reason);
        }
        let waiting = self.progress.waiting();
        let closed = error.is_closed();
        match io_cause(error) {
            Ok(source) if waiting == Waiting::Tcp && source.kind() == io::ErrorKind::TimedOut => {
                LoginError::TimedOut { place, waiting }
            }
            // The connector's "invalid dns name".
            Ok(source)
                if waiting == Waiting::TlsHandshake
                    && source.kind() == io::ErrorKind::InvalidInput =>
            {
                LoginError::Handshake {
                    place,
                    reason: source.to_string(),
                }
            }
            Ok(source) => LoginError::Unreachable { place, source },
            Err(_) if closed => LoginError::Unreachable {
                place,
                source: io::ErrorKind::UnexpectedEof.into(),
            },
            // What is left in this phase is the driver's own "server does not support TLS".
            Err(_) if waiting == Waiting::TlsAnswer && self.tls == Tls::Require => {
                LoginError::NoTls { place }
            }
            Err(source) => LoginError::Protocol { place, source },
        }
    }

    fn timed_out(&self) -> LoginError {
        LoginError::TimedOut {
            place: self.place(),
            waiting: self.progress.waiting(),
        }
    }

    fn unreachable(&self, source: io::Error) -> LoginError {
        LoginError::Unreachable {
            place: self.place(),
            source,
        }
    }

    fn place(&self) -> Place {
        Place {
            host: self.target.host.clone(),
            port: self.target.port,
            transport: match self.progress.waiting() {
                Waiting::Authentication => Transport::Tls,
                _ => Transport::Unsettled,
            },
        }
    }
}

fn config(target: &Target, credentials: &Credentials, tls: Tls, application_name: &str) -> Config {
    let mut config = Config::new();
    config
        .host(&target.host)
        .port(target.port)
        .dbname(&target.dbname)
        .user(&credentials.username)
        .password(credentials.password.expose_secret())
        .application_name(application_name)
        .ssl_mode(match tls {
            Tls::Require => SslMode::Require,
            Tls::AllowPlaintextIfServerHasNone => SslMode::Prefer,
        })
        .channel_binding(ChannelBinding::Prefer)
        .connect_timeout(TCP_TIMEOUT)
        .tcp_user_timeout(TCP_USER_TIMEOUT)
        .keepalives_idle(KEEPALIVE_IDLE)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .keepalives_retries(KEEPALIVE_RETRIES);
    config
}

fn tls_reason(error: &tokio_postgres::Error) -> Option<&rustls::Error> {
    error
        .source()?
        .downcast_ref::<io::Error>()?
        .get_ref()?
        .downcast_ref()
}

fn io_cause(error: tokio_postgres::Error) -> Result<io::Error, tokio_postgres::Error> {
    if !error.source().is_some_and(<dyn Error>::is::<io::Error>) {
        return Err(error);
    }
    let source = error
        .into_source()
        .and_then(|source| source.downcast().ok());
    Ok(source.map_or_else(|| io::ErrorKind::Other.into(), |source| *source))
}

/// SQLSTATE and message instead of the driver's bare "db error", and no detail, which may hold data.
fn cause(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(answer), _) => format!("{}: {}", answer.code().code(), answer.message()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

impl LoginError {
    fn answered(place: Place, sqlstate: String, message: String) -> Self {
        match Meaning::of_code(&sqlstate) {
            Meaning::Refused => Self::Refused {
                place,
                sqlstate,
                message,
            },
            Meaning::Starting => Self::Starting {
                place,
                sqlstate,
                message,
            },
            Meaning::TooManyConnections => Self::TooManyConnections {
                place,
                sqlstate,
                message,
            },
            Meaning::UnknownDatabase => Self::UnknownDatabase {
                place,
                sqlstate,
                message,
            },
            _ => Self::Database {
                place,
                sqlstate,
                message,
            },
        }
    }

    fn of_tls(place: Place, reason: &rustls::Error) -> Self {
        let (is_certificate, reason) = (
            matches!(reason, rustls::Error::InvalidCertificate(_)),
            reason.to_string(),
        );
        if is_certificate {
            Self::Certificate { place, reason }
        } else {
            Self::Handshake { place, reason }
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
