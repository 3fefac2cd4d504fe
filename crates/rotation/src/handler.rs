//! One invocation from event to reply, and the one place that logs how it went.

use std::time::Duration;

use aurora::{Trust, TrustError};
use lambda_runtime::LambdaEvent;
use secrets::{SdkConfig, SecretsManager};
use serde_json::value::RawValue;
use startup::deadline;
use startup::metrics::Metrics;
use tokio::time::{Instant, timeout_at};

use crate::config::Config;
use crate::database::Database;
use crate::decide::Done;
use crate::error::RotationError;
use crate::event::Event;
use crate::operator::{self, Reply};
use crate::step::{Progress, Rotating};

/// What a step keeps back of the invocation's time, so that it can say itself why it gave up.
const RESERVE: Duration = Duration::from_millis(200);

/// The function: everything that outlives an invocation. That is neither a secret nor a connection to a database.
#[derive(Debug)]
pub struct Rotation {
    pub(crate) config: Config,
    pub(crate) secrets: SecretsManager,
    pub(crate) aws: SdkConfig,
    pub(crate) database: Database,
}

enum Success {
    Step(Done),
    Operator(Box<Reply>),
}

impl Rotation {
    /// Makes the function; nothing is called yet.
    ///
    /// # Errors
    /// [`TrustError`] if the built-in roots of trust cannot be read.
    pub fn new(config: Config, aws: &SdkConfig) -> Result<Self, TrustError> {
        let trust = match &config.trust {
            Some(trust) => trust.clone(),
            None => Trust::amazon_rds()?,
        };
        Ok(Self {
            secrets: SecretsManager::new(aws, config.secrets_manager_endpoint.as_deref()),
            aws: aws.clone(),
            database: Database::new(&config, trust),
            config,
        })
    }

    /// Handles one event: `null` for a step of a rotation, as the service expects, and a report for an operator's.
    ///
    /// # Errors
    /// [`RotationError`], before the invocation's time is over.
    pub async fn handle(
        &self,
        event: LambdaEvent<Box<RawValue>>,
    ) -> Result<Option<Reply>, RotationError> {
        let started = Instant::now();
        let deadline = deadline::of(&event.context);
        let progress = Progress::default();
        let parsed = Event::parse(&event.payload, self.config.secret.as_deref());
        let result = match &parsed {
            Ok(event) => timeout_at(deadline, self.carry_out(event, deadline, &progress))
                .await
                .unwrap_or_else(|_| {
                    Err(RotationError::OutOfTime {
                        doing: progress.doing.get(),
                    })
                }),
            Err(error) => Err(error.clone().into()),
        };
        let namespace = &self.config.metrics_namespace;
        report(
            parsed.as_ref().ok(),
            &result,
            started.elapsed(),
            &progress,
            namespace,
        );
        result.map(|success| match success {
            Success::Step(_) => None,
            Success::Operator(reply) => Some(*reply),
        })
    }

    async fn carry_out(
        &self,
        event: &Event,
        deadline: Instant,
        progress: &Progress,
    ) -> Result<Success, RotationError> {
        let deadline = deadline.checked_sub(RESERVE).unwrap_or(deadline);
        let reply = match event {
            Event::Rotation(event) => {
                let rotating = Rotating {
                    config: &self.config,
                    secrets: &self.secrets,
                    aws: &self.aws,
                    database: &self.database,
                    event,
                    deadline,
                    progress,
                    key: None,
                    session: None,
                    refused: None,
                    forbidden: None,
                    masters: Vec::new(),
                };
                return Box::pin(rotating.run()).await.map(Success::Step);
            }
            Event::Migrate(event) => {
                Box::pin(operator::migrate(self, event, deadline, progress)).await
            }
            Event::Audit(event) => Box::pin(operator::audit(self, event, progress)).await,
            Event::Recover(event) => {
                Box::pin(operator::recover(self, event, deadline, progress)).await
            }
            Event::Preflight(event) => {
                Ok(Box::pin(operator::preflight(self, event, deadline, progress)).await)
            }
        };
        let reply = reply?;
        for finding in reply.findings() {
            progress.warn(&finding.code, finding.message.clone());
        }
        Ok(Success::Operator(Box::new(reply)))
    }
}

/// What an invocation's log line and metrics have in common.
struct Figures {
    elapsed: Duration,
    secrets_manager: Duration,
    database: Duration,
    api_calls: u32,
    logins: u32,
    login_attempts: u32,
    refused_logins: u32,
    gap_ms: Option<u64>,
    recovered_from: Option<String>,
    warning_code: Option<String>,
    warning: Option<String>,
}

impl Figures {
    fn of(progress: &Progress, elapsed: Duration) -> Self {
        let (secrets_manager, database) = progress.waited(Instant::now());
        let (warning_code, warning) = progress.warnings().unzip();
        Self {
            elapsed,
            secrets_manager,
            database,
            api_calls: progress.api_calls.get(),
            logins: progress.logins.get(),
            login_attempts: progress.login_attempts.get(),
            refused_logins: progress.refused_logins.get(),
            gap_ms: progress.gap().map(milliseconds),
            recovered_from: progress.recovered_from.borrow().clone(),
            warning_code,
            warning,
        }
    }
}

/// Writes the one line of an invocation. Its fields are those of `docs/rotation.md`.
macro_rules! line {
    ($level:ident, $figures:ident, $event:ident, $($rest:tt)+) => {
        tracing::$level!(
            step = $event.map_or("", Event::step),
            secret_arn = $event.map_or("", Event::secret_id),
            version_id = $event.and_then(Event::version_id),
            elapsed_ms = milliseconds($figures.elapsed),
            secrets_manager_ms = milliseconds($figures.secrets_manager),
            database_ms = milliseconds($figures.database),
            api_calls = $figures.api_calls,
            logins = $figures.logins,
            login_attempts = $figures.login_attempts,
            refused_logins = $figures.refused_logins,
            gap_ms = $figures.gap_ms,
            recovered_from = $figures.recovered_from.as_deref(),
            warning_code = $figures.warning_code.as_deref(),
            warning = $figures.warning.as_deref(),
            $($rest)+
        )
    };
}

/// Logs and counts how an invocation went. Neither the token nor a password is within its reach.
fn report(
    event: Option<&Event>,
    result: &Result<Success, RotationError>,
    elapsed: Duration,
    progress: &Progress,
    namespace: &str,
) {
    let secret_arn = event.map_or("", Event::secret_id);
    let version_id = event.and_then(Event::version_id);
    let figures = Figures::of(progress, elapsed);
    let mut metrics = Metrics::new(namespace, "secret-rotation");
    match result {
        Ok(success) => {
            let (outcome, message) = match success {
                Success::Step(done) => (
                    done.name(),
                    done.message(secret_arn, version_id.unwrap_or_default()),
                ),
                Success::Operator(reply) => (reply.outcome(), reply.to_string()),
            };
            if figures.warning.is_some() {
                line!(warn, figures, event, outcome, "{message}");
            } else {
                line!(info, figures, event, outcome, "{message}");
            }
            metrics.count("Succeeded", 1);
            if let Some(gap) = progress.gap() {
                metrics.duration("Gap", gap);
            }
            if progress.recovered_from.borrow().is_some() {
                metrics.count("PasswordRecovered", 1);
            }
            match success {
                Success::Step(Done::Set { .. }) => metrics.count("PasswordSet", 1),
                Success::Step(Done::Promoted) => metrics.count("Promoted", 1),
                Success::Step(Done::SetAndPromoted) => {
                    metrics.count("PasswordSet", 1);
                    metrics.count("Promoted", 1);
                }
                Success::Step(_) => {}
                Success::Operator(reply) => reply.measure(&mut metrics),
            }
        }
        Err(error) => {
            line!(
                error,
                figures,
                event,
                outcome = "failed",
                error_code = error.code(),
                sqlstate = error.sqlstate(),
                error = startup::report::chain(error),
                "the step failed"
            );
            metrics.count("Failed", 1);
        }
    }
    metrics.duration("StepDuration", elapsed);
    metrics.duration("SecretsManagerTime", figures.secrets_manager);
    metrics.duration("DatabaseTime", figures.database);
    metrics.count("ApiCalls", progress.api_calls.get().into());
    metrics.count("Logins", progress.logins.get().into());
    metrics.count("LoginAttempts", progress.login_attempts.get().into());
    metrics.count("RefusedLogins", progress.refused_logins.get().into());
    metrics.count("Warned", figures.warning.is_some().into());
    metrics.emit();
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
