//! Labels and ages of a secret, without its value: what the operator's step `audit` and `turnkeep audit` report.
//!
//! [`run`] asks `DescribeSecret` and `ListSecretVersionIds` and nothing else, so that whoever may read no secret may
//! still look after one; [`audit`] decides what needs attention.

use std::collections::BTreeMap;
use std::fmt;

use secrets::{RotationRules, SecretDescription, SecretsError, SecretsManager, Stage, VersionInfo};
use serde::{Deserialize, Serialize};
use startup::metrics::Metrics;
use time::{Duration, OffsetDateTime};

use crate::finding::Finding;

/// How long a version may be pending: a rotation takes seconds, and longer only while it is repeated.
const PENDING_PATIENCE: Duration = Duration::HOUR;

/// What there is to know about a secret; serialises as the reply of the function's step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The secret's name.
    pub name: String,
    /// The secret's ARN.
    pub arn: String,
    /// Whether rotation is on.
    pub rotation_enabled: bool,
    /// The rotation function.
    pub rotation_function_arn: Option<String>,
    /// When rotations are to happen: `30 days`, or the expression.
    pub rotation_rule: Option<String>,
    /// When a rotation last succeeded.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_rotated_at: Option<OffsetDateTime>,
    /// The end of the time in which the next rotation is to happen.
    #[serde(with = "time::serde::rfc3339::option")]
    pub next_rotation_at: Option<OffsetDateTime>,
    /// When the secret was scheduled for deletion.
    #[serde(with = "time::serde::rfc3339::option")]
    pub deleted_at: Option<OffsetDateTime>,
    /// Whole days since the password was last changed, as far as that is known.
    pub age_days: Option<u64>,
    /// Every version with a label, newest first.
    pub versions: Vec<Version>,
    /// The version that is pending and not current: a rotation is under way, or stopped before its end.
    pub pending: Option<Pending>,
    /// How many versions have no label but still a value; unknown where versions may not be listed.
    pub deprecated: Option<usize>,
    /// What needs attention.
    pub findings: Vec<Finding>,
}

/// A version with its labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its id.
    pub version_id: String,
    /// Its labels.
    pub stages: Vec<String>,
    /// When it was made; unknown where versions may not be listed.
    #[serde(with = "time::serde::rfc3339::option")]
    pub created_at: Option<OffsetDateTime>,
}

/// A version that is pending and not current.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Its id.
    pub version_id: String,
    /// Whole hours since it was made, or at least since anything about the secret was changed.
    pub age_hours: Option<u64>,
}

/// Asks Secrets Manager about a secret and says what needs attention. Reads no value and changes nothing.
///
/// # Errors
/// What `DescribeSecret` answered. That versions may not be listed is no error: the report then lacks their dates.
pub async fn run(secrets: &SecretsManager, secret_id: &str) -> Result<Report, SecretsError> {
    let description = secrets.describe(secret_id).await?;
    let versions = match secrets.versions(secret_id, true).await {
        Ok(versions) => Some(versions),
        Err(error) => {
            tracing::debug!(
                error = startup::report::chain(&error),
                "versions are not listed"
            );
            None
        }
    };
    Ok(audit(&description, versions.as_deref(), now()))
}

/// Says what is known of a secret, and what of it needs attention. `versions` are all of them, if they may be listed.
pub fn audit(
    description: &SecretDescription,
    versions: Option<&[VersionInfo]>,
    now: OffsetDateTime,
) -> Report {
    let created = |id: &str| {
        let version = versions?.iter().find(|version| version.version_id == id)?;
        version.created_at
    };
    let current = description.version_with(Stage::Current);
    // A secret that never was rotated is as old as its value.
    let changed = description
        .last_rotated_at
        .or_else(|| current.and_then(created))
        .or(description.created_at);
    let pending = description
        .version_with(Stage::Pending)
        .filter(|pending| Some(*pending) != current)
        .map(|version_id| Pending {
            version_id: version_id.to_owned(),
            age_hours: created(version_id)
                .or(description.last_changed_at)
                .map(|since| whole(now - since, Duration::HOUR)),
        });
    let mut report = Report {
        name: description.name.clone(),
        arn: description.arn.clone(),
        rotation_enabled: description.rotation_enabled == Some(true),
        rotation_function_arn: description.rotation_function_arn.clone(),
        rotation_rule: description.rotation_rules.as_ref().and_then(rule),
        last_rotated_at: description.last_rotated_at,
        next_rotation_at: description.next_rotation_at,
        deleted_at: description.deleted_at,
        age_days: changed.map(|since| whole(now - since, Duration::DAY)),
        versions: labelled(&description.versions, created),
        pending,
        deprecated: versions.map(|versions| {
            let without = |version: &&VersionInfo| version.stages.is_empty();
            versions.iter().filter(without).count()
        }),
        findings: Vec::new(),
    };
    report.findings = findings(description, &report, now);
    report
}

impl Report {
    /// The word for the log, and what a program branches on.
    pub fn outcome(&self) -> &'static str {
        if self.findings.is_empty() {
            "ok"
        } else {
            "needs_attention"
        }
    }

    /// Adds what alarms watch. A missing `SecretAgeDays` is a reason for an alarm, too.
    pub(crate) fn measure(&self, metrics: &mut Metrics) {
        if let Some(days) = self.age_days {
            metrics.quantity("SecretAgeDays", days);
        }
        let pending = self.pending.as_ref();
        let hours = pending.and_then(|pending| pending.age_hours);
        metrics.quantity("PendingAgeHours", hours.unwrap_or_default());
        metrics.count("AuditFindings", self.findings.len() as u64);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "audited {}: ", self.name)?;
        match self.age_days {
            Some(days) => write!(f, "{days} day(s) since the last rotation")?,
            None => f.write_str("age unknown")?,
        }
        if let Some(pending) = &self.pending {
            write!(f, ", version {} is pending", pending.version_id)?;
        }
        match self.findings.as_slice() {
            [] => f.write_str(", nothing needs attention"),
            findings => write!(f, ", needs attention: {}", crate::finding::line(findings)),
        }
    }
}

fn findings(description: &SecretDescription, report: &Report, now: OffsetDateTime) -> Vec<Finding> {
    let id = &report.arn;
    let mut findings = Vec::new();
    if report.deleted_at.is_some() {
        findings.push(Finding::error(
            "SECRET_DELETED",
            "the secret is scheduled for deletion, so that nobody can read it",
            format!("restore it: aws secretsmanager restore-secret --secret-id {id}"),
        ));
    }
    if description.version_with(Stage::Current).is_none() {
        findings.push(Finding::error(
            "NO_CURRENT_VALUE",
            "no version has the label `AWSCURRENT`",
            format!("have it put where the database says: turnkeep recover --secret {id}"),
        ));
    }
    if let Some(pending) = &report.pending
        && pending
            .age_hours
            .is_some_and(|hours| hours >= whole(PENDING_PATIENCE, Duration::HOUR))
    {
        findings.push(stuck(id, pending));
    }
    match description.rotation_enabled {
        Some(true) => findings.extend(overdue(report, description.rotation_rules.as_ref(), now)),
        Some(false) => {
            let function = report.rotation_function_arn.as_deref().unwrap_or("ARN");
            findings.push(Finding::error(
                "ROTATION_OFF",
                "rotation is switched off",
                format!(
                    "make sure that the current version is the database's, then switch it on: turnkeep recover --secret {id} && turnkeep rotate --secret {id} --function {function} --wait"
                ),
            ));
        }
        None => findings.push(Finding::error(
            "ROTATION_NOT_CONFIGURED",
            "no rotation function is configured",
            format!("configure it: turnkeep rotate --secret {id} --function ARN --days 30 --wait"),
        )),
    }
    findings
}

/// What to do about a version that stays pending.
pub(crate) fn stuck(secret_id: &str, pending: &Pending) -> Finding {
    let Pending {
        version_id,
        age_hours,
    } = pending;
    let since = age_hours.map_or_else(String::new, |hours| format!(" for {hours} hour(s)"));
    Finding::error(
        "PENDING_STUCK",
        format!("version {version_id} has been pending{since}: a rotation stopped before its end"),
        format!(
            "find the cause with `turnkeep preflight --secret {secret_id}`, then let the rotation go on: aws secretsmanager rotate-secret --secret-id {secret_id} --client-request-token {version_id}"
        ),
    )
}

fn overdue(report: &Report, rules: Option<&RotationRules>, now: OffsetDateTime) -> Option<Finding> {
    // The day on which it is due may pass to its end.
    let by_rule = rules.and_then(interval).zip(report.age_days);
    let by_rule = by_rule.is_some_and(|(days, age)| age > days + 1);
    let by_date = report.next_rotation_at.is_some_and(|next| next < now);
    (by_date || by_rule).then(|| {
        Finding::error(
            "ROTATION_OVERDUE",
            "the time in which the secret was to be rotated is over",
            format!(
                "find the cause with `turnkeep preflight --secret {0}`, then rotate: turnkeep rotate --secret {0} --wait",
                report.arn
            ),
        )
    })
}

fn rule(rules: &RotationRules) -> Option<String> {
    let days = rules.days.map(|days| format!("{days} days"));
    days.or_else(|| rules.schedule.clone())
}

/// The whole days between two rotations; `None` where only the service knows them.
fn interval(rules: &RotationRules) -> Option<u64> {
    if let Some(days) = rules.days {
        return u64::try_from(days).ok();
    }
    let rate = rules.schedule.as_deref()?.trim();
    let rate = rate.strip_prefix("rate(")?.strip_suffix(')')?;
    let (number, unit) = rate.trim().split_once(' ')?;
    let number: u64 = number.parse().ok()?;
    match unit.trim() {
        "day" | "days" => Some(number),
        "hour" | "hours" => Some(number.div_ceil(24)),
        _ => None,
    }
}

fn labelled(
    labels: &BTreeMap<String, Vec<String>>,
    created: impl Fn(&str) -> Option<OffsetDateTime>,
) -> Vec<Version> {
    let mut versions: Vec<_> = labels
        .iter()
        .map(|(version_id, stages)| Version {
            version_id: version_id.clone(),
            stages: stages.clone(),
            created_at: created(version_id),
        })
        .collect();
    versions.sort_by_key(|version| std::cmp::Reverse(version.created_at));
    versions
}

/// How many whole units a time has; a clock that is behind the service's counts as none.
fn whole(time: Duration, unit: Duration) -> u64 {
    u64::try_from(time.whole_seconds() / unit.whole_seconds()).unwrap_or_default()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the edge where the ages are counted from; what decides gets the time"
)]
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

#[cfg(test)]
mod tests;
