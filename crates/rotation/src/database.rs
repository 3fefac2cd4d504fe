//! Logging in to the database within an invocation's time.

use std::cell::Cell;
use std::time::Duration;

use aurora::{Credentials, LoginError, Retry, Target, Tls, Trust};
use secrets::{DatabaseSecret, Ssl};
use tokio::time::Instant;

use crate::config::Config;
use crate::error::RotationError;
use crate::finding::Finding;
use crate::rds_proxy;
use crate::step::Progress;

/// Name of our sessions in `pg_stat_activity`.
const APPLICATION_NAME: &str = "secret-rotation";
/// What one attempt may take, as in the reference; a longer one would leave no time for another address or server.
const ATTEMPT: Duration = Duration::from_secs(5);
/// What is kept back of an invocation's time for saying why a login failed; a second in all with what the handler keeps.
const RESERVE: Duration = Duration::from_millis(300);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How this function reaches databases.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) trust: Trust,
    tls: Tls,
    budget: Duration,
    host: Option<String>,
    port: Option<u16>,
    dbname: Option<String>,
}

/// What a login brought.
pub(crate) enum Answer {
    Accepted(aurora::Login),
    /// SQLSTATE 28P01 or 28000, and nothing else.
    Refused(LoginError),
}

/// The secret forbids TLS, and the configuration demands it.
#[derive(Debug)]
pub(crate) struct PlaintextRefused;

impl Database {
    pub(crate) fn new(config: &Config, trust: Trust) -> Self {
        Self {
            trust,
            tls: config.tls,
            budget: config.connect_budget,
            host: config.host.clone(),
            port: config.port,
            dbname: config.dbname.clone(),
        }
    }

    /// Where the database of `secret` is: what is configured wins.
    pub(crate) fn target(&self, secret: &DatabaseSecret) -> Target {
        Target {
            host: self.host.as_ref().unwrap_or(&secret.host).clone(),
            port: self.port.unwrap_or(secret.port),
            dbname: self.dbname.as_ref().unwrap_or(&secret.dbname).clone(),
        }
    }

    /// What to do about a server without TLS, for a secret that says `ssl`.
    ///
    /// `"ssl": false` is no order to avoid TLS where the server has it, unlike in the reference.
    pub(crate) fn tls(&self, ssl: Ssl) -> Result<Tls, PlaintextRefused> {
        match (ssl, self.tls) {
            (Ssl::Required, _) => Ok(Tls::Require),
            (Ssl::Disabled, Tls::Require) => Err(PlaintextRefused),
            (Ssl::Disabled | Ssl::Unspecified, tls) => Ok(tls),
        }
    }

    /// What to do about a server without TLS, where no secret says anything.
    pub(crate) fn default_tls(&self) -> Tls {
        self.tls
    }

    /// When a connect that begins now has to be over, in an invocation that ends at `deadline`.
    pub(crate) fn connect_deadline(&self, deadline: Instant) -> Instant {
        // The reference's 30 s without a word were the time-out of the function, which says nothing.
        let now = Instant::now();
        (now + self.budget).min(deadline.checked_sub(RESERVE).unwrap_or(now))
    }

    /// Logs in, and tries again for as long as there is time and the failure may pass. The login, its attempts and a refusal
    /// are counted.
    ///
    /// # Errors
    /// What the server or the network said; a time-out only if nothing better was ever said.
    pub(crate) async fn log_in(
        &self,
        target: &Target,
        credentials: &Credentials,
        tls: Tls,
        deadline: Instant,
        progress: &Progress,
    ) -> Result<Answer, LoginError> {
        count(&progress.logins);
        let answer = self
            .log_in_within(
                target,
                credentials,
                tls,
                self.connect_deadline(deadline),
                &progress.login_attempts,
            )
            .await;
        if !matches!(answer, Ok(Answer::Accepted(_)))
            && let Some(finding) = rds_proxy::of_host(&target.host)
        {
            let Finding {
                message, repair, ..
            } = &finding;
            progress.warn(&finding.code, format!("{message}; {repair}"));
        }
        if let Ok(Answer::Refused(error)) = &answer {
            tracing::debug!(
                host = target.host,
                sqlstate = error.sqlstate(),
                "login refused"
            );
            count(&progress.refused_logins);
        }
        answer
    }

    async fn log_in_within(
        &self,
        target: &Target,
        credentials: &Credentials,
        tls: Tls,
        deadline: Instant,
        attempts: &Cell<u32>,
    ) -> Result<Answer, LoginError> {
        let mut pause = FIRST_PAUSE;
        let mut best: Option<LoginError> = None;
        loop {
            let attempt = (Instant::now() + ATTEMPT).min(deadline);
            count(attempts);
            let error = match aurora::log_in(
                target,
                credentials,
                &self.trust,
                tls,
                APPLICATION_NAME,
                attempt,
            )
            .await
            {
                Ok(login) => return Ok(Answer::Accepted(login)),
                Err(error) if error.is_refused() => return Ok(Answer::Refused(error)),
                Err(error) => error,
            };
            let lasting = error.retry() == Retry::Never;
            let error = match best.take() {
                Some(best) if matches!(error, LoginError::TimedOut { .. }) => best,
                _ => error,
            };
            if lasting || Instant::now() + pause >= deadline {
                return Err(error);
            }
            best = Some(error);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl From<PlaintextRefused> for RotationError {
    fn from(PlaintextRefused: PlaintextRefused) -> Self {
        Self::PlaintextRefused
    }
}

fn count(counter: &Cell<u32>) {
    counter.set(counter.get() + 1);
}
