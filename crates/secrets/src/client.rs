//! The calls to Secrets Manager.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::primitives::DateTime;
use aws_sdk_secretsmanager::types::{ReplicationStatusType, RotationRulesType, StatusType};
use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;

use crate::error::{classify, incomplete};
use crate::secret::{
    Created, Replica, Replication, RotateRequest, RotationRules, RotationToken, SecretDescription,
    SecretValue, Version, VersionInfo,
};
use crate::{PasswordRules, SecretsError, Stage};

/// A client of Secrets Manager; clones share one connection pool.
///
/// Time-outs and retries are those of the [`SdkConfig`] it was made from. A secret is named by its
/// ARN or its name in every call.
#[derive(Clone, Debug)]
pub struct SecretsManager {
    client: Client,
}

impl SecretsManager {
    /// A client of the service in `config`'s region, or at `endpoint` if one is given.
    pub fn new(config: &SdkConfig, endpoint: Option<&str>) -> Self {
        let mut builder = aws_sdk_secretsmanager::config::Builder::from(config);
        if let Some(endpoint) = endpoint {
            builder = builder.endpoint_url(endpoint);
        }
        Self {
            client: Client::from_conf(builder.build()),
        }
    }

    /// Reads one version (`GetSecretValue`).
    pub async fn get(
        &self,
        secret_id: &str,
        version: Version<'_>,
    ) -> Result<SecretValue, SecretsError> {
        const OPERATION: &str = "GetSecretValue";
        let (id, stage) = match version {
            Version::Stage(stage) => (None, Some(stage)),
            Version::Id(id) => (Some(id), None),
            Version::IdAndStage { id, stage } => (Some(id), Some(stage)),
        };
        let output = self
            .client
            .get_secret_value()
            .secret_id(secret_id)
            .set_version_id(id.map(str::to_owned))
            .set_version_stage(stage.map(|stage| stage.as_str().to_owned()))
            .send()
            .await
            .map_err(|error| classify(OPERATION, error))?;
        Ok(SecretValue {
            arn: present(OPERATION, "ARN", output.arn)?,
            name: present(OPERATION, "Name", output.name)?,
            version_id: present(OPERATION, "VersionId", output.version_id)?,
            stages: output.version_stages.unwrap_or_default(),
            secret_string: output.secret_string.map(SecretString::from),
        })
    }

    /// As [`SecretsManager::get`], with `None` for a version that is not there: no such label, no
    /// value yet, or an id that does not have the label asked for.
    ///
    /// A secret that does not exist gives `None` too: the service does not tell these apart.
    pub async fn find(
        &self,
        secret_id: &str,
        version: Version<'_>,
    ) -> Result<Option<SecretValue>, SecretsError> {
        match self.get(secret_id, version).await {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads labels, rotation settings and dates (`DescribeSecret`).
    pub async fn describe(&self, secret_id: &str) -> Result<SecretDescription, SecretsError> {
        const OPERATION: &str = "DescribeSecret";
        let output = self
            .client
            .describe_secret()
            .secret_id(secret_id)
            .send()
            .await
            .map_err(|error| classify(OPERATION, error))?;
        Ok(SecretDescription {
            arn: present(OPERATION, "ARN", output.arn)?,
            name: present(OPERATION, "Name", output.name)?,
            rotation_enabled: output.rotation_enabled,
            rotation_function_arn: output.rotation_lambda_arn,
            rotation_rules: output.rotation_rules.map(|rules| RotationRules {
                days: rules.automatically_after_days,
                schedule: rules.schedule_expression,
            }),
            versions: output
                .version_ids_to_stages
                .unwrap_or_default()
                .into_iter()
                .collect(),
            kms_key_id: output.kms_key_id,
            deleted_at: output.deleted_date.as_ref().and_then(instant),
            created_at: output.created_date.as_ref().and_then(instant),
            last_changed_at: output.last_changed_date.as_ref().and_then(instant),
            last_rotated_at: output.last_rotated_date.as_ref().and_then(instant),
            next_rotation_at: output.next_rotation_date.as_ref().and_then(instant),
            tags: output
                .tags
                .unwrap_or_default()
                .into_iter()
                .filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())))
                .collect(),
            replicas: output
                .replication_status
                .unwrap_or_default()
                .into_iter()
                .filter_map(replica)
                .collect(),
        })
    }

    /// Stores `text` as version `token` with the label `AWSPENDING` and no other (`PutSecretValue`).
    ///
    /// The same token with the same text has no further effect; with another text it is
    /// [`SecretsError::AlreadyExists`].
    pub async fn put_pending(
        &self,
        secret_id: &str,
        token: &str,
        rotation_token: Option<&RotationToken>,
        text: &SecretString,
    ) -> Result<(), SecretsError> {
        self.client
            .put_secret_value()
            .secret_id(secret_id)
            .client_request_token(token)
            .set_rotation_token(rotation_token.map(|token| token.expose().to_owned()))
            .secret_string(text.expose_secret())
            .version_stages(Stage::Pending.as_str())
            .send()
            .await
            .map(drop)
            .map_err(|error| classify("PutSecretValue", error))
    }

    /// Moves `AWSCURRENT` from one version to another (`UpdateSecretVersionStage`).
    ///
    /// The service moves `AWSPREVIOUS` to `from_version`, and answers
    /// [`SecretsError::InvalidParameter`] if `AWSCURRENT` is not on `from_version` any more.
    pub async fn move_current(
        &self,
        secret_id: &str,
        to_version: &str,
        from_version: Option<&str>,
    ) -> Result<(), SecretsError> {
        self.update_stage(secret_id, Stage::Current, Some(to_version), from_version)
            .await
    }

    /// Takes a label off a version (`UpdateSecretVersionStage`).
    pub async fn remove_stage(
        &self,
        secret_id: &str,
        stage: Stage,
        from_version: &str,
    ) -> Result<(), SecretsError> {
        self.update_stage(secret_id, stage, None, Some(from_version))
            .await
    }

    async fn update_stage(
        &self,
        secret_id: &str,
        stage: Stage,
        to_version: Option<&str>,
        from_version: Option<&str>,
    ) -> Result<(), SecretsError> {
        self.client
            .update_secret_version_stage()
            .secret_id(secret_id)
            .version_stage(stage.as_str())
            .set_move_to_version_id(to_version.map(str::to_owned))
            .set_remove_from_version_id(from_version.map(str::to_owned))
            .send()
            .await
            .map(drop)
            .map_err(|error| classify("UpdateSecretVersionStage", error))
    }

    /// Has the service make up a password (`GetRandomPassword`).
    pub async fn random_password(
        &self,
        rules: &PasswordRules,
    ) -> Result<SecretString, SecretsError> {
        const OPERATION: &str = "GetRandomPassword";
        let output = self
            .client
            .get_random_password()
            .exclude_characters(&rules.exclude_characters)
            .password_length(rules.length)
            .exclude_numbers(rules.exclude_numbers)
            .exclude_punctuation(rules.exclude_punctuation)
            .exclude_uppercase(rules.exclude_uppercase)
            .exclude_lowercase(rules.exclude_lowercase)
            .require_each_included_type(rules.require_each_included_type)
            .send()
            .await
            .map_err(|error| classify(OPERATION, error))?;
        present(OPERATION, "RandomPassword", output.random_password).map(SecretString::from)
    }

    /// Lists all versions, newest first (`ListSecretVersionIds`).
    ///
    /// Deprecated versions have no label but still a value; the service keeps at least the 100
    /// newest and all of the last 24 hours.
    pub async fn versions(
        &self,
        secret_id: &str,
        include_deprecated: bool,
    ) -> Result<Vec<VersionInfo>, SecretsError> {
        let mut pages = self
            .client
            .list_secret_version_ids()
            .secret_id(secret_id)
            .include_deprecated(include_deprecated)
            .into_paginator()
            .send();
        let mut versions = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("ListSecretVersionIds", error))?;
            versions.extend(
                page.versions
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|version| {
                        Some(VersionInfo {
                            version_id: version.version_id?,
                            stages: version.version_stages.unwrap_or_default(),
                            created_at: version.created_date.as_ref().and_then(instant),
                        })
                    }),
            );
        }
        versions.sort_by_key(|version| std::cmp::Reverse(version.created_at));
        Ok(versions)
    }

    /// Makes a secret (`CreateSecret`); [`SecretsError::AlreadyExists`] if the name is taken.
    pub async fn create(
        &self,
        name: &str,
        text: &SecretString,
        description: &str,
    ) -> Result<Created, SecretsError> {
        const OPERATION: &str = "CreateSecret";
        let output = self
            .client
            .create_secret()
            .name(name)
            .description(description)
            .secret_string(text.expose_secret())
            .send()
            .await
            .map_err(|error| classify(OPERATION, error))?;
        Ok(Created {
            arn: present(OPERATION, "ARN", output.arn)?,
            name: present(OPERATION, "Name", output.name)?,
            version_id: present(OPERATION, "VersionId", output.version_id)?,
        })
    }

    /// Starts a rotation, or configures it, and returns the id of the version it makes
    /// (`RotateSecret`). The rotation itself goes on after the answer.
    pub async fn rotate(
        &self,
        secret_id: &str,
        request: RotateRequest,
    ) -> Result<String, SecretsError> {
        const OPERATION: &str = "RotateSecret";
        let rules = request.days.map(|days| {
            RotationRulesType::builder()
                .automatically_after_days(days.into())
                .build()
        });
        let output = self
            .client
            .rotate_secret()
            .secret_id(secret_id)
            .set_client_request_token(request.token)
            .set_rotation_lambda_arn(request.function_arn)
            .set_rotation_rules(rules)
            .set_rotate_immediately(request.immediately)
            .send()
            .await
            .map_err(|error| classify(OPERATION, error))?;
        present(OPERATION, "VersionId", output.version_id)
    }
}

fn replica(status: ReplicationStatusType) -> Option<Replica> {
    Some(Replica {
        region: status.region?,
        status: match status.status {
            Some(StatusType::InSync) => Replication::InSync,
            Some(StatusType::Failed) => Replication::Failed,
            // A status that this SDK does not know is no promise.
            _ => Replication::InProgress,
        },
    })
}

fn present<T>(operation: &'static str, field: &str, value: Option<T>) -> Result<T, SecretsError> {
    value.ok_or_else(|| incomplete(operation, field))
}

fn instant(time: &DateTime) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(time.as_nanos()).ok()
}
