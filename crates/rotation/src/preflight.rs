//! What would make a rotation fail, found before one does: the operator's step `preflight`.
//!
//! `run` goes the way of a rotation without changing anything: it reads the secret, asks for a password as
//! `createSecret` does, logs in and looks at the role, and where a master's secret is configured it looks at that, too.
//! Every finding comes with its repair; what they are made of is decided in `findings`, by functions over values.

mod findings;

use std::fmt;

use aurora::role::{self, RoleName};
use aurora::{Credentials, LoginError, account, server};
use secrets::{DatabaseSecret, SecretDescription, SecretValue, SecretsManager, Stage, Version};
use serde::{Deserialize, Serialize};
use startup::metrics::Metrics;
use tokio::time::Instant;

use crate::audit;
use crate::config::PasswordSource;
use crate::database::Answer;
use crate::decide::{MasterPlace, MasterValue, RotationStrategy};
use crate::error::RotationError;
use crate::finding::{Finding, Severity, line};
use crate::handler::Rotation;
use crate::master::Masters;
use crate::rds_proxy;
use crate::recover::Recovering;
use crate::step::Progress;

pub(crate) use findings::{Subject, of_session};

/// What was found; serialises as the reply of the function's step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The secret, as the event names it.
    pub secret_id: String,
    /// What would make a rotation fail, and what may do so one day.
    pub findings: Vec<Finding>,
    /// What could not be looked at because of a finding.
    pub unchecked: Vec<String>,
}

/// Parts of the check that need what another one brings.
const DATABASE: &str = "the login, the server and the role";
const SECRET: &str = "the secret's value";
const MASTER: &str = "the master's rights";

/// What a preflight works with, and what it has found so far.
struct Preflight<'a> {
    rotation: &'a Rotation,
    deadline: Instant,
    progress: &'a Progress,
    report: Report,
}

/// Looks for what would make a rotation fail. Changes nothing, so that it can be repeated.
///
/// That the secret cannot be read or the database not be reached is a finding and no error.
pub(crate) async fn run(
    rotation: &Rotation,
    secret_id: &str,
    deadline: Instant,
    progress: &Progress,
) -> Report {
    let mut preflight = Preflight {
        rotation,
        deadline,
        progress,
        report: Report {
            secret_id: secret_id.to_owned(),
            findings: Vec::new(),
            unchecked: Vec::new(),
        },
    };
    preflight.look().await;
    let mut report = preflight.report;
    // What fails comes first.
    report
        .findings
        .sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    report
}

impl Preflight<'_> {
    async fn look(&mut self) {
        self.passwords().await;
        self.progress.doing.set("read the labels");
        let secret_id = self.report.secret_id.clone();
        let description = match self.api().describe(&secret_id).await {
            Ok(description) => description,
            Err(error) => {
                self.add(findings::of_secrets(&error, &secret_id, None));
                self.skip(&[SECRET, DATABASE]);
                return;
            }
        };
        if self.is_stranger(&description, None) {
            self.skip(&[SECRET, DATABASE]);
            return;
        }
        let labels = audit::audit(&description, None, audit::now());
        self.report.findings.extend(of_labels(labels.findings));
        if description.deleted_at.is_some() {
            self.skip(&[SECRET, DATABASE]);
            return;
        }
        self.progress.doing.set("read the secret");
        let current = Version::Stage(Stage::Current);
        let value = match self.api().get(&secret_id, current).await {
            Ok(value) => value,
            Err(error) => {
                let key = description.kms_key_id.as_deref();
                self.add(findings::of_secrets(&error, &secret_id, key));
                self.skip(&[DATABASE]);
                return;
            }
        };
        let Some(secret) = self.document(&value) else {
            self.skip(&[DATABASE]);
            return;
        };
        self.database(&description, &secret).await;
    }

    /// Whether every step of the function refuses this secret, of which `read` was read.
    fn is_stranger(
        &mut self,
        description: &SecretDescription,
        read: Option<&DatabaseSecret>,
    ) -> bool {
        let refusal = self.rotation.config.stranger(description, read);
        if let Some(refusal) = &refusal {
            self.add(findings::not_expected(refusal, &self.report.secret_id));
        }
        refusal.is_some()
    }

    /// Whether `createSecret` would get a password.
    async fn passwords(&mut self) {
        self.progress.doing.set("ask for a password");
        let rules = match &self.rotation.config.password_rules {
            Ok(rules) => rules,
            Err(error) => {
                self.add(findings::of_rules(error));
                return;
            }
        };
        if let Err(error) = rules.check_strength() {
            self.add(findings::of_rules(&error));
            return;
        }
        if self.rotation.config.password_source == PasswordSource::Local {
            return;
        }
        if let Err(error) = self.api().random_password(rules).await {
            let secret_id = self.report.secret_id.clone();
            self.add(findings::of_secrets(&error, &secret_id, None));
        }
    }

    fn document(&mut self, value: &SecretValue) -> Option<DatabaseSecret> {
        let secret_id = self.report.secret_id.clone();
        let text = match value.text() {
            Ok(text) => text,
            Err(error) => {
                self.add(findings::of_problem(None, &error, &secret_id));
                return None;
            }
        };
        for problem in DatabaseSecret::problems(text) {
            self.add(findings::of_problem(
                problem.key,
                &problem.error,
                &secret_id,
            ));
        }
        let secret = DatabaseSecret::parse(text).ok()?;
        let chosen = self.rotation.config.strategy.is_some();
        self.report
            .findings
            .extend(findings::of_document(&secret, chosen));
        Some(secret)
    }

    /// Logs in as a rotation does, and looks at the server and the role.
    async fn database(&mut self, description: &SecretDescription, secret: &DatabaseSecret) {
        if self.is_stranger(description, Some(secret)) {
            self.skip(&[DATABASE]);
            return;
        }
        let database = &self.rotation.database;
        let Ok(tls) = database.tls(secret.ssl) else {
            self.add(findings::plaintext_refused(&self.report.secret_id));
            self.skip(&[DATABASE]);
            return;
        };
        let target = database.target(secret);
        self.report
            .findings
            .extend(rds_proxy::of_host(&target.host));
        let subject = Subject {
            secret_id: self.report.secret_id.clone(),
            username: secret.username.clone(),
            host: target.host.clone(),
            dbname: target.dbname.clone(),
            changes_own_password: self.rotation.config.strategy
                != Some(RotationStrategy::AlternatingUsers),
            password_encryption: self.rotation.config.password_encryption,
            next_rotation_in: description
                .next_rotation_at
                .map(|next| (next - audit::now()).whole_seconds()),
        };
        self.progress.doing.set("log in to the database");
        let credentials = Credentials {
            username: secret.username.clone(),
            password: secret.password.clone(),
        };
        let answer = database
            .log_in(&target, &credentials, tls, self.deadline, self.progress)
            .await;
        match answer {
            Ok(Answer::Accepted(session)) => {
                match look(&session, &subject).await {
                    Ok(found) => self.report.findings.extend(found),
                    Err(finding) => self.add(finding),
                }
                self.master(&subject, secret).await;
            }
            Ok(Answer::Refused(error)) => {
                self.refused(description, &subject, &error).await;
                self.master(&subject, secret).await;
            }
            Err(error) => {
                self.add(findings::of_login(&error, &subject));
                // Who cannot be reached cannot be asked as another user.
                self.skip(&[MASTER]);
            }
        }
    }

    /// The current version is refused: says which one is not, if any.
    async fn refused(
        &mut self,
        description: &SecretDescription,
        subject: &Subject,
        error: &LoginError,
    ) {
        let recovering = Recovering {
            rotation: self.rotation,
            secret_id: &subject.secret_id,
            dry_run: true,
            deadline: self.deadline,
            progress: self.progress,
        };
        let accepted = recovering.search(description).await.ok();
        let accepted = accepted.map(|(version_id, _)| version_id);
        self.add(findings::of_refusal(error, subject, accepted.as_deref()));
    }

    /// Looks at the rights of the master user, and with them at the role, where a rotation or a repair needs the master.
    async fn master(&mut self, subject: &Subject, secret: &DatabaseSecret) {
        let config = &self.rotation.config;
        let alternates = config.strategy == Some(RotationStrategy::AlternatingUsers);
        let configured = if alternates {
            &secret.masterarn
        } else {
            &config.bootstrap_secret
        };
        let Some(master_id) = configured.clone() else {
            if alternates {
                self.add(findings::no_master(&subject.secret_id));
            }
            return;
        };
        self.progress.doing.set("log in as the master user");
        match self
            .as_master(&master_id, subject, secret, alternates)
            .await
        {
            Ok(found) => self.report.findings.extend(found),
            Err(error) => {
                self.add(findings::of_master(&error, &master_id, alternates));
                self.skip(&[MASTER]);
            }
        }
    }

    async fn as_master(
        &self,
        master_id: &str,
        subject: &Subject,
        secret: &DatabaseSecret,
        alternates: bool,
    ) -> Result<Vec<Finding>, RotationError> {
        let Rotation {
            config,
            aws,
            database,
            ..
        } = self.rotation;
        let masters = Masters {
            config,
            aws,
            secrets: self.api(),
        };
        let (value, master) = masters.read(master_id, Stage::Current, secret).await?;
        let Some(master) = master else {
            return Ok(Vec::new());
        };
        if let MasterValue::Read(MasterPlace::Elsewhere { host }) = value {
            return Ok(vec![findings::master_elsewhere(&host, subject, alternates)]);
        }
        let tls = database.tls(master.ssl)?;
        let session = match database
            .log_in(
                &master.target,
                &master.credentials,
                tls,
                self.deadline,
                self.progress,
            )
            .await?
        {
            Answer::Accepted(session) => session,
            Answer::Refused(error) => return Err(error.into()),
        };
        let (Ok(role), Ok(user)) = (
            RoleName::new(&subject.username),
            RoleName::new(&master.credentials.username),
        ) else {
            return Ok(Vec::new());
        };
        let facts = role::facts(&session.client, &role).await?;
        let may = account::may_administer(&session.client, &role)
            .await
            .map_err(|source| RotationError::Statement {
                doing: "ask for the master's rights",
                source,
            })?;
        Ok(findings::as_master(
            facts.as_ref(),
            may,
            &role,
            &user,
            alternates,
        ))
    }

    /// Secrets Manager, for one call.
    fn api(&self) -> &SecretsManager {
        let calls = &self.progress.api_calls;
        calls.set(calls.get() + 1);
        &self.rotation.secrets
    }

    fn add(&mut self, finding: Finding) {
        self.report.findings.push(finding);
    }

    fn skip(&mut self, parts: &[&str]) {
        let parts = parts.iter().map(|part| (*part).to_owned());
        self.report.unchecked.extend(parts);
    }
}

/// What an audit finds, of which not everything keeps a rotation from succeeding.
fn of_labels(findings: Vec<Finding>) -> impl Iterator<Item = Finding> {
    const CONSEQUENCES: [&str; 2] = ["ROTATION_NOT_CONFIGURED", "ROTATION_OVERDUE"];
    findings.into_iter().map(|finding| {
        let severity = if CONSEQUENCES.contains(&finding.code.as_str()) {
            Severity::Warning
        } else {
            finding.severity
        };
        Finding {
            severity,
            ..finding
        }
    })
}

/// Looks at the server and the role in an open session.
pub(crate) async fn look(
    session: &aurora::Login,
    subject: &Subject,
) -> Result<Vec<Finding>, Finding> {
    let unknown = |error: tokio_postgres::Error| findings::unanswered(&error, subject);
    let read_only = server::is_read_only(&session.client)
        .await
        .map_err(unknown)?;
    let account = account::describe(&session.client).await.map_err(unknown)?;
    Ok(of_session(read_only, &account, session.encrypted, subject))
}

impl Report {
    /// The word for the log, and what a program branches on.
    pub fn outcome(&self) -> &'static str {
        let fails = |finding: &Finding| finding.severity == Severity::Error;
        match self.findings.as_slice() {
            [] => "ready",
            found if found.iter().any(fails) => "not_ready",
            _ => "ready_with_warnings",
        }
    }

    /// Adds what alarms watch.
    pub(crate) fn measure(&self, metrics: &mut Metrics) {
        metrics.count("PreflightFindings", self.findings.len() as u64);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.findings.is_empty() {
            return f.write_str("nothing was found that would make a rotation fail");
        }
        write!(f, "found: {}", line(&self.findings))?;
        if self.unchecked.is_empty() {
            Ok(())
        } else {
            write!(f, "; not looked at: {}", self.unchecked.join(", "))
        }
    }
}
