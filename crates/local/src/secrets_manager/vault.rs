//! All secrets of one stack, and how a secret is found and made. Pure, as `secret`.

use std::collections::BTreeMap;

use secrecy::SecretString;
use time::{Duration, OffsetDateTime};

use super::labels::{CURRENT, Labels};
use super::secret::{Content, Secret, Version};
use crate::aws_json::ApiError;
use crate::stack::{ACCOUNT, REGION};

/// Secrets in order of creation.
#[derive(Debug, Clone, Default)]
pub(super) struct Vault {
    secrets: Vec<Secret>,
}

/// What `CreateSecret` is given.
#[derive(Debug, Default)]
pub(super) struct NewSecret {
    pub(super) name: String,
    pub(super) token: String,
    pub(super) content: Option<Content>,
    pub(super) description: Option<String>,
    pub(super) kms_key_id: Option<String>,
    pub(super) tags: serde_json::Value,
}

impl Vault {
    pub(super) fn find(&self, id: &str) -> Result<&Secret, ApiError> {
        self.position(id)
            .and_then(|position| self.secrets.get(position))
            .ok_or_else(unknown)
    }

    pub(super) fn find_mut(&mut self, id: &str) -> Result<&mut Secret, ApiError> {
        self.position(id)
            .and_then(|position| self.secrets.get_mut(position))
            .ok_or_else(unknown)
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &SecretString> {
        let versions = self.secrets.iter().flat_map(|secret| &secret.versions);
        versions.filter_map(|version| match &version.content {
            Some(Content::Text(text)) => Some(text),
            Some(Content::Binary(_)) | None => None,
        })
    }

    /// By name, by ARN, or by an ARN without its six random characters.
    fn position(&self, id: &str) -> Option<usize> {
        let by = |matches: &dyn Fn(&Secret) -> bool| self.secrets.iter().position(matches);
        by(&|secret| secret.name == id || secret.arn == id).or_else(|| {
            by(&|secret| {
                secret
                    .arn
                    .rsplit_once('-')
                    .is_some_and(|(partial, _)| partial == id)
            })
        })
    }

    /// `CreateSecret`: a repeated call with the same token and content is harmless.
    pub(super) fn create(
        &mut self,
        new: NewSecret,
        suffix: &str,
        now: OffsetDateTime,
    ) -> Result<&Secret, ApiError> {
        let mut secret = Secret {
            arn: format!(
                "arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{}-{suffix}",
                new.name
            ),
            name: new.name,
            description: new.description,
            kms_key_id: new.kms_key_id,
            tags: new.tags,
            created: now,
            changed: now,
            rotated: None,
            deletion: None,
            rotation: None,
            labels: Labels::default(),
            versions: Vec::new(),
            replicas: BTreeMap::new(),
        };
        if let Some(position) = self
            .secrets
            .iter()
            .position(|held| held.name == secret.name)
        {
            return self.create_again(position, &new.token, new.content, now);
        }
        if let Some(content) = new.content {
            secret.versions.push(Version {
                id: new.token.clone(),
                created: now,
                content: Some(content),
            });
            secret.labels.attach(CURRENT, &new.token);
        }
        self.secrets.push(secret);
        self.secrets.last().ok_or_else(unknown)
    }

    fn create_again(
        &self,
        position: usize,
        token: &str,
        content: Option<Content>,
        now: OffsetDateTime,
    ) -> Result<&Secret, ApiError> {
        let held = self.secrets.get(position).ok_or_else(unknown)?;
        if held.deletion.is_some() {
            return Err(ApiError::invalid_request(
                "You can't create this secret because a secret with this name is already scheduled for deletion.",
            ));
        }
        let refused = || {
            ApiError::exists(format!(
                "The operation failed because the secret {} already exists.",
                held.name
            ))
        };
        match content {
            Some(content) if held.version(token).is_some() => {
                held.clone()
                    .put(token, content, None, now)
                    .map_err(|_| refused())?;
                Ok(held)
            }
            _ => Err(refused()),
        }
    }

    /// `DeleteSecret`: at once, or marked with the end of the recovery window.
    pub(super) fn delete(
        &mut self,
        id: &str,
        window: Option<i64>,
        now: OffsetDateTime,
    ) -> Result<Secret, ApiError> {
        let position = self.position(id).ok_or_else(unknown)?;
        let Some(days) = window else {
            let mut secret = self.secrets.remove(position);
            secret.deletion = Some(now);
            return Ok(secret);
        };
        if !(7..=30).contains(&days) {
            return Err(ApiError::invalid_parameter(
                "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
            ));
        }
        let secret = self.find_mut(id)?;
        secret.in_use()?;
        secret.deletion = Some(now + Duration::days(days));
        Ok(secret.clone())
    }
}

fn unknown() -> ApiError {
    ApiError::not_found("Secrets Manager can't find the specified secret.")
}
