//! What there is to know about a secret and its versions.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;

use crate::{DocumentError, Stage};

/// Which version of a secret to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version<'a> {
    /// The version with this label.
    Stage(Stage),
    /// The version with this id, labelled or not.
    Id(&'a str),
    /// The version with this id, if it has this label.
    IdAndStage {
        /// Version id.
        id: &'a str,
        /// The label it must have.
        stage: Stage,
    },
}

/// The value of one version of a secret.
#[derive(Clone)]
#[non_exhaustive]
pub struct SecretValue {
    /// ARN of the secret.
    pub arn: String,
    /// Name of the secret.
    pub name: String,
    /// Id of the version.
    pub version_id: String,
    /// All labels of the version, in AWS's spelling.
    pub stages: Vec<String>,
    /// The text; `None` for a binary secret. Most callers want [`SecretValue::text`].
    pub secret_string: Option<SecretString>,
}

/// What is known about a secret without reading its value.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SecretDescription {
    /// ARN of the secret.
    pub arn: String,
    /// Name of the secret.
    pub name: String,
    /// Whether rotation is on; `None` if it never was configured.
    pub rotation_enabled: Option<bool>,
    /// ARN of the rotation function.
    pub rotation_function_arn: Option<String>,
    /// When rotations are to happen; `None` if it never was configured.
    pub rotation_rules: Option<RotationRules>,
    /// Every labelled version with its labels.
    pub versions: BTreeMap<String, Vec<String>>,
    /// The KMS key; `None` for `aws/secretsmanager`.
    pub kms_key_id: Option<String>,
    /// When the secret was scheduled for deletion.
    pub deleted_at: Option<OffsetDateTime>,
    /// When the secret was made.
    pub created_at: Option<OffsetDateTime>,
    /// When a value, a label or a setting last changed.
    pub last_changed_at: Option<OffsetDateTime>,
    /// When a rotation last succeeded, or a value was last put by hand.
    pub last_rotated_at: Option<OffsetDateTime>,
    /// When the next rotation is due.
    pub next_rotation_at: Option<OffsetDateTime>,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
    /// Copies of the secret in other regions.
    pub replicas: Vec<Replica>,
}

/// A copy of the secret in another region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// The region.
    pub region: String,
    /// How far its copy is.
    pub status: Replication,
}

/// How far a replica is behind, as the service says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replication {
    /// `InSync`: it has what the primary secret has.
    InSync,
    /// `InProgress`: it is getting there.
    InProgress,
    /// `Failed`: it stays behind until somebody mends it.
    Failed,
}

/// When a secret is to be rotated: by a number of days or by an expression, never both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RotationRules {
    /// `AutomaticallyAfterDays`.
    pub days: Option<i64>,
    /// `ScheduleExpression`: `rate(..)` or `cron(..)` in UTC.
    pub schedule: Option<String>,
}

/// One version of a secret, labelled or deprecated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionInfo {
    /// Id of the version.
    pub version_id: String,
    /// Its labels; empty for a deprecated version.
    pub stages: Vec<String>,
    /// When it was made.
    pub created_at: Option<OffsetDateTime>,
}

/// A secret that was made just now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Created {
    /// ARN of the secret.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// Id of its first version, which is `AWSCURRENT`.
    pub version_id: String,
}

/// What `RotateSecret` is asked for.
#[derive(Clone, Debug, Default)]
pub struct RotateRequest {
    /// Rotation function to set; `None` keeps the configured one.
    pub function_arn: Option<String>,
    /// Days between rotations to set, 1 to 1000; `None` keeps the configured schedule.
    pub days: Option<u16>,
    /// `Some(false)` only tests the configuration now and rotates at the next scheduled time.
    pub immediately: Option<bool>,
    /// Id of the version to make; the SDK makes one up when it is `None`. A repetition with the same
    /// token has no further effect.
    pub token: Option<String>,
}

/// The `RotationToken` of a rotation event: proof of the caller's identity for a function that acts
/// with an assumed role or from another account. Never printed.
#[derive(Clone)]
pub struct RotationToken(SecretString);

impl SecretValue {
    /// The text, or the reference's `KeyError: 'SecretString'` for a binary secret.
    pub fn text(&self) -> Result<&SecretString, DocumentError> {
        self.secret_string
            .as_ref()
            .ok_or_else(|| DocumentError::Key("SecretString".to_owned()))
    }

    /// Whether the version had this label when it was read.
    pub fn has(&self, stage: Stage) -> bool {
        self.stages.iter().any(|label| label == stage.as_str())
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretValue")
            .field("arn", &self.arn)
            .field("version_id", &self.version_id)
            .field("stages", &self.stages)
            .finish_non_exhaustive()
    }
}

impl SecretDescription {
    /// Id of the version with this label.
    pub fn version_with(&self, stage: Stage) -> Option<&str> {
        self.versions
            .iter()
            .find(|(_, labels)| labels.iter().any(|label| label == stage.as_str()))
            .map(|(id, _)| id.as_str())
    }

    /// Whether version `version_id` has this label.
    pub fn has(&self, version_id: &str, stage: Stage) -> bool {
        self.versions
            .get(version_id)
            .is_some_and(|labels| labels.iter().any(|label| label == stage.as_str()))
    }
}

impl RotationToken {
    /// Wraps the token of an event.
    pub fn new(token: impl Into<SecretString>) -> Self {
        Self(token.into())
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for RotationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RotationToken([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_secret_is_the_reference_key_error() {
        let value = SecretValue {
            arn: "arn".to_owned(),
            name: "name".to_owned(),
            version_id: "v1".to_owned(),
            stages: vec!["AWSCURRENT".to_owned()],
            secret_string: None,
        };
        let error = value.text().unwrap_err();
        assert_eq!(
            (error.error_type(), error.reference_message().as_str()),
            ("KeyError", "'SecretString'")
        );
        assert!(value.has(Stage::Current) && !value.has(Stage::Pending));
    }

    #[test]
    fn debug_shows_neither_token_nor_text() {
        let value = SecretValue {
            arn: "arn".to_owned(),
            name: "name".to_owned(),
            version_id: "v1".to_owned(),
            stages: Vec::new(),
            secret_string: Some("hunter2".into()),
        };
        let token = RotationToken::new("hunter2");
        assert!(!format!("{value:?} {token:?}").contains("hunter2"));
    }
}
