//! What an operator decides about this function.

use std::time::Duration;

use aurora_session::Trust;
use conversation::{Layout, Policies};
use startup::config::{ConfigError, Reader};
use startup::environment::{self, Environment};
use startup::https::HttpsRoots;
use startup::metrics;
use store::Ownership;

use crate::intake::Intake;
use crate::redaction::Redaction;
use crate::source::Http;

/// Project name of the original, from which the secret's name is made where neither is set.
const DEFAULT_PROJECT: &str = "ial";
const DEFAULT_CONNECT_BUDGET: Duration = Duration::from_secs(8);
const CONNECT_BUDGET_SECONDS: std::ops::RangeInclusive<u64> = 1..=900;

/// The function's configuration; holds no secret.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name or ARN of the secret with the database credentials.
    pub secret_id: String,
    /// Database host instead of the secret's.
    pub host: Option<String>,
    /// Database port instead of the secret's.
    pub port: Option<u16>,
    /// Database name instead of the secret's.
    pub dbname: Option<String>,
    /// Roots of trust instead of those of Amazon RDS.
    pub trust: Option<Trust>,
    /// What stands between this function and the database.
    pub pooler: Pooler,
    /// Bucket of the archive.
    pub bucket: String,
    /// When an event counts as kept.
    pub durability: Durability,
    /// What is taken, and how it is archived.
    pub intake: Intake,
    /// What is taken out before anything is stored; `None` for nothing.
    pub redaction: Option<Redaction>,
    /// What happens to an event of another user.
    pub ownership: Ownership,
    /// Time that a connect may take, within the invocation's own.
    pub connect_budget: Duration,
    /// Roots of trust for HTTPS to AWS.
    pub https_roots: HttpsRoots,
    /// CloudWatch namespace of the metrics.
    pub metrics_namespace: String,
}

/// What stands between this function and the database (`DB_POOLER`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooler {
    /// Nothing, or a pooler that gives a session its own connection: statements are prepared once a session.
    None,
    /// A transaction pooler, which may run every statement on another connection: no statement has a name.
    Transaction,
}

/// When an event counts as kept (`DURABILITY`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// With its rows.
    Rows,
    /// With its object: `turnkeep sweep` or `turnkeep replay` brings the rows in, and the database is left alone.
    Archive,
}

impl Config {
    /// Reads the configuration, and the file of `DB_CA_BUNDLE`.
    ///
    /// # Errors
    /// Every problem at once, so that one deployment mends them all.
    pub fn from_environment(environment: &Environment) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(environment);
        let bucket = reader.required(&environment::CONVERSATIONS_BUCKET);
        let config = Self {
            secret_id: secret_id(&mut reader),
            host: reader.optional(&environment::DB_HOST),
            port: reader.with(&environment::DB_PORT, |text| {
                text.parse().ok().filter(|port| *port != 0)
            }),
            dbname: reader.optional(&environment::DB_NAME),
            trust: reader.file(&environment::DB_CA_BUNDLE, Trust::from_pem),
            pooler: reader.choice(
                &environment::DB_POOLER,
                &[("none", Pooler::None), ("transaction", Pooler::Transaction)],
                Pooler::None,
            ),
            intake: intake(&mut reader, &bucket),
            bucket,
            redaction: redaction(&mut reader),
            durability: reader.choice(
                &environment::DURABILITY,
                &[("rows", Durability::Rows), ("s3", Durability::Archive)],
                Durability::Rows,
            ),
            ownership: reader.choice(
                &environment::OWNERSHIP,
                &[
                    ("enforce", Ownership::Enforce),
                    ("record", Ownership::Record),
                ],
                Ownership::Enforce,
            ),
            connect_budget: reader
                .with(&environment::CONNECT_BUDGET_SECONDS, |text| {
                    text.parse()
                        .ok()
                        .filter(|seconds| CONNECT_BUDGET_SECONDS.contains(seconds))
                })
                .map_or(DEFAULT_CONNECT_BUDGET, Duration::from_secs),
            https_roots: HttpsRoots::of_function(&mut reader),
            metrics_namespace: reader
                .with(&environment::METRICS_NAMESPACE, metrics::namespace)
                .unwrap_or_else(|| metrics::NAMESPACE.to_owned()),
        };
        reader.finish(config)
    }
}

fn intake(reader: &mut Reader<'_>, bucket: &str) -> Intake {
    let claim_check_buckets = reader.with(&environment::CLAIM_CHECK_BUCKETS, |text| {
        let names = text.split(',').map(|name| name.trim().to_owned());
        // An event that names an object of the archive would copy another tenant's conversation into the sender's.
        let is_accepted = |name: &String| !name.is_empty() && name != bucket;
        let names: Vec<String> = names.collect();
        names.iter().all(is_accepted).then_some(names)
    });
    Intake {
        claim_check_buckets: claim_check_buckets.unwrap_or_default(),
        bedrock_conversation_key: reader.optional(&environment::BEDROCK_CONVERSATION_KEY),
        layout: reader
            .with(&environment::S3_LAYOUT, Layout::parse)
            .unwrap_or_default(),
        redactor: None,
        http: Http {
            is_open: reader.choice(
                &environment::HTTP_AUTHORIZER,
                &[("required", false), ("none", true)],
                false,
            ),
            user: reader.optional(&environment::HTTP_USER),
            tenant: reader.optional(&environment::HTTP_TENANT),
        },
    }
}

fn redaction(reader: &mut Reader<'_>) -> Option<Redaction> {
    let text = reader.optional(&environment::REDACTION)?;
    match Policies::parse(&text) {
        Ok(None) => None,
        Ok(Some(policies)) => Some(Redaction {
            policies,
            key_secret: reader.required(&environment::IDENTITY_KEY_SECRET),
        }),
        Err(problems) => {
            for problem in problems {
                reader.problem(&environment::REDACTION, &problem);
            }
            None
        }
    }
}

fn secret_id(reader: &mut Reader<'_>) -> String {
    let project = reader
        .with(&environment::PROJECT_NAME, |text| {
            let accepted = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            text.bytes().all(accepted).then(|| text.to_owned())
        })
        .unwrap_or_else(|| DEFAULT_PROJECT.to_owned());
    reader
        .optional(&environment::TURNKEEP_SECRET)
        .unwrap_or_else(|| format!("{project}-aurora-master-secret"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUCKET: (&str, &str) = ("CONVERSATIONS_BUCKET", "bucket");

    #[test]
    fn a_bucket_is_enough() {
        let config = Config::from_environment(&Environment::from([BUCKET])).unwrap();
        assert_eq!(config.secret_id, "ial-aurora-master-secret");
        assert_eq!(
            (config.host, config.port, config.dbname),
            (None, None, None)
        );
        assert_eq!(config.pooler, Pooler::None);
        assert_eq!(config.intake.layout, Layout::Turn);
        assert_eq!(config.intake.http, Http::default());
        assert_eq!(config.ownership, Ownership::Enforce);
        assert_eq!(config.durability, Durability::Rows);
        assert_eq!(config.connect_budget, Duration::from_secs(8));
    }

    #[test]
    fn the_names_of_the_original_are_accepted() {
        let config = Config::from_environment(&Environment::from([
            ("PROJECT_NAME", "mine"),
            ("AURORA_ENDPOINT", "db.example"),
            ("AURORA_PORT", "5433"),
            ("DATABASE_NAME", "talks"),
            ("S3_CONVERSATIONS_BUCKET", "old-bucket"),
        ]))
        .unwrap();
        assert_eq!(config.secret_id, "mine-aurora-master-secret");
        assert_eq!(config.host.as_deref(), Some("db.example"));
        assert_eq!(config.port, Some(5433));
        assert_eq!(config.dbname.as_deref(), Some("talks"));
        assert_eq!(config.bucket, "old-bucket");
    }

    #[test]
    fn redaction_is_off_or_has_a_key() {
        let read = |policy: &str| {
            let key = ("IDENTITY_KEY_SECRET", "key");
            Config::from_environment(&Environment::from([BUCKET, ("REDACTION", policy), key]))
        };
        assert!(read("off").unwrap().redaction.is_none());
        assert_eq!(read("mask").unwrap().redaction.unwrap().key_secret, "key");
        insta::assert_snapshot!(read(r#"{"mode":"hide","kind":1}"#).unwrap_err().problems().join("\n"), @r#"
        `REDACTION`: `kind` is not known; accepted: `mode`, `kinds`, `patterns`, `tenants`, accepted: `off`, `mask`, `hash` or `drop`, or all of it as JSON: `docs/capture.md`, Redaction
        `REDACTION`: `mode` is not accepted: "hide"; accepted: `off`, `mask`, `hash` or `drop`, accepted: `off`, `mask`, `hash` or `drop`, or all of it as JSON: `docs/capture.md`, Redaction
        "#);
    }

    #[test]
    fn the_secret_that_is_named_wins_over_the_project() {
        let environment =
            Environment::from([BUCKET, ("TURNKEEP_SECRET", "app"), ("PROJECT_NAME", "mine")]);
        assert_eq!(
            Config::from_environment(&environment).unwrap().secret_id,
            "app"
        );
    }

    #[test]
    fn buckets_for_claim_checks_are_named_and_never_the_archive() {
        let with = |buckets| {
            Config::from_environment(&Environment::from([
                BUCKET,
                ("CLAIM_CHECK_BUCKETS", buckets),
            ]))
        };
        let config = with("uploads, exports").unwrap();
        assert_eq!(config.intake.claim_check_buckets, ["uploads", "exports"]);
        let error = with("uploads,bucket").unwrap_err();
        insta::assert_snapshot!(error.problems().join("\n"), @"`CLAIM_CHECK_BUCKETS`: `uploads,bucket` is not accepted, accepted: names of buckets with commas between them, not the archive's own");
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let error = Config::from_environment(&Environment::from([
            ("PROJECT_NAME", "a b"),
            ("DB_PORT", "0"),
            ("DB_POOLER", "session"),
            ("DB_CA_BUNDLE", "/nonexistent/roots.pem"),
            ("S3_LAYOUT", "flat"),
            ("HTTP_AUTHORIZER", "optional"),
            ("CLAIM_CHECK_BUCKETS", "uploads,"),
            ("DURABILITY", "s4"),
            ("OWNERSHIP", "none"),
            ("REDACTION", "mask"),
            ("CONNECT_BUDGET_SECONDS", "0"),
        ]))
        .unwrap_err();
        insta::assert_snapshot!(error.problems().join("\n"), @r#"
        `CONVERSATIONS_BUCKET`: is not set, accepted: a bucket name
        `PROJECT_NAME`: `a b` is not accepted, accepted: letters, digits, `-` and `_`
        `DB_PORT`: `0` is not accepted, accepted: a number from 1 to 65535
        `DB_CA_BUNDLE`: `/nonexistent/roots.pem` cannot be used: No such file or directory (os error 2), accepted: the path of a readable PEM file
        `DB_POOLER`: `session` is not accepted, accepted: `none` or `transaction`
        `CLAIM_CHECK_BUCKETS`: `uploads,` is not accepted, accepted: names of buckets with commas between them, not the archive's own
        `S3_LAYOUT`: `flat` is not accepted, accepted: `turn` or `legacy`
        `HTTP_AUTHORIZER`: `optional` is not accepted, accepted: `required` or `none`
        `IDENTITY_KEY_SECRET`: is not set, accepted: a secret name or ARN
        `DURABILITY`: `s4` is not accepted, accepted: `rows`, or `s3` for rows that `turnkeep sweep` or `turnkeep replay` brings in
        `OWNERSHIP`: `none` is not accepted, accepted: `enforce` or `record`
        `CONNECT_BUDGET_SECONDS`: `0` is not accepted, accepted: a number from 1 to 900
        "#);
    }
}
