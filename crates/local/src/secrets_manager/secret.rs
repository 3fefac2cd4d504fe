//! One secret: its versions and what may be done with them. Pure: the time is a value, nothing waits.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;

use super::labels::{CURRENT, Labels, PENDING};
use crate::aws_json::ApiError;

/// What a version holds.
#[derive(Clone)]
pub(super) enum Content {
    Text(SecretString),
    Binary(Vec<u8>),
}

impl Content {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one.expose_secret() == other.expose_secret(),
            (Self::Binary(one), Self::Binary(other)) => one == other,
            _ => false,
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content([REDACTED])")
    }
}

/// A version; without content it is what a rotation reserves before `createSecret` has put the value.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) id: String,
    pub(super) created: OffsetDateTime,
    pub(super) content: Option<Content>,
}

/// How a secret is rotated.
#[derive(Debug, Clone)]
pub(super) struct RotationSetup {
    pub(super) enabled: bool,
    pub(super) function_arn: String,
    /// `RotationRules` as it was given.
    pub(super) rules: Option<serde_json::Value>,
}

/// What a call of `RotateSecret` is to lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// The four steps, for the version that has been reserved.
    Rotate,
    /// `testSecret` only, for a version that is removed again.
    TestOnly,
    /// Nothing: the token's rotation is over.
    Done,
}

/// Which version a reader wants.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted<'a> {
    pub(super) version_id: Option<&'a str>,
    pub(super) stage: Option<&'a str>,
}

/// A secret.
#[derive(Debug, Clone)]
pub(super) struct Secret {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) description: Option<String>,
    pub(super) kms_key_id: Option<String>,
    pub(super) tags: serde_json::Value,
    pub(super) created: OffsetDateTime,
    pub(super) changed: OffsetDateTime,
    pub(super) rotated: Option<OffsetDateTime>,
    /// When it is to be deleted for good; set while it is marked for deletion.
    pub(super) deletion: Option<OffsetDateTime>,
    pub(super) rotation: Option<RotationSetup>,
    pub(super) labels: Labels,
    pub(super) versions: Vec<Version>,
    /// What `DescribeSecret` says of replicas: the status by region.
    pub(super) replicas: BTreeMap<String, String>,
}

impl Secret {
    pub(super) fn version(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == id)
    }

    /// Refuses what cannot be done with a secret that is marked for deletion.
    pub(super) fn in_use(&self) -> Result<(), ApiError> {
        match self.deletion {
            None => Ok(()),
            Some(_) => Err(ApiError::invalid_request(
                "You can't perform this operation on the secret because it was marked for deletion.",
            )),
        }
    }

    /// `GetSecretValue`.
    pub(super) fn get(&self, wanted: Wanted<'_>) -> Result<(&Version, &Content), ApiError> {
        self.in_use()?;
        let no_value = |kind: &str, value: &str| {
            ApiError::not_found(format!(
                "Secrets Manager can't find the specified secret value for {kind}: {value}"
            ))
        };
        let (version, missing) = match (wanted.version_id, wanted.stage) {
            (Some(id), stage) => {
                let version = self.version(id).ok_or_else(|| no_value("VersionId", id))?;
                if stage.is_some_and(|stage| self.labels.holder(stage) != Some(id)) {
                    return Err(ApiError::invalid_request(
                        "You provided a VersionStage that is not associated to the provided VersionId.",
                    ));
                }
                // AWS names the label when one was given, and only else the id.
                (
                    version,
                    stage.map_or_else(
                        || no_value("VersionId", id),
                        |stage| no_value("staging label", stage),
                    ),
                )
            }
            (None, stage) => {
                let stage = stage.unwrap_or(CURRENT);
                let held = self.labels.holder(stage).and_then(|id| self.version(id));
                (
                    held.ok_or_else(|| no_value("staging label", stage))?,
                    no_value("staging label", stage),
                )
            }
        };
        version
            .content
            .as_ref()
            .map(|content| (version, content))
            .ok_or(missing)
    }

    /// `PutSecretValue`: the token is the version's id, which makes a repeated call harmless.
    pub(super) fn put(
        &mut self,
        token: &str,
        content: Content,
        stages: Option<&[String]>,
        now: OffsetDateTime,
    ) -> Result<(), ApiError> {
        self.in_use()?;
        let first = self
            .versions
            .iter()
            .all(|version| version.content.is_none());
        match self.versions.iter_mut().find(|version| version.id == token) {
            Some(Version {
                content: Some(held),
                ..
            }) if held.is_same(&content) => return Ok(()),
            Some(Version {
                content: Some(_), ..
            }) => {
                return Err(ApiError::exists(format!(
                    "You can't use ClientRequestToken {token} because that value is already in use for a version of secret {}.",
                    self.arn
                )));
            }
            Some(reserved) => reserved.content = Some(content),
            None => self.versions.push(Version {
                id: token.to_owned(),
                created: now,
                content: Some(content),
            }),
        }
        for stage in stages.unwrap_or(&[CURRENT.to_owned()]) {
            self.labels.attach(stage, token);
        }
        if first && self.labels.holder(CURRENT).is_none() {
            self.labels.attach(CURRENT, token);
        }
        self.changed = now;
        Ok(())
    }

    /// `UpdateSecretVersionStage`.
    pub(super) fn update_stage(
        &mut self,
        label: &str,
        to: Option<&str>,
        from: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<(), ApiError> {
        self.in_use()?;
        for id in [to, from].into_iter().flatten() {
            if self.version(id).is_none() {
                return Err(ApiError::not_found(format!(
                    "Secrets Manager can't find the specified secret version: {id}"
                )));
            }
        }
        self.labels.update(label, to, from)?;
        self.changed = now;
        Ok(())
    }

    /// `RotateSecret` as far as it is decided before it answers. On success the secret is set up for the rotation, and
    /// the version `token` is reserved with `AWSPENDING` on it; on an error nothing has changed.
    pub(super) fn admit_rotation(
        &mut self,
        token: &str,
        setup: RotationSetup,
        immediately: bool,
        now: OffsetDateTime,
    ) -> Result<Admission, ApiError> {
        self.in_use()?;
        let pending = self
            .labels
            .holder(PENDING)
            .filter(|pending| self.labels.holder(CURRENT) != Some(pending));
        if let Some(pending) = pending {
            if pending != token {
                return Err(ApiError::invalid_request(
                    "A previous rotation isn't complete. That rotation will be reattempted.",
                ));
            }
            self.rotation = Some(setup);
            return Ok(Admission::Rotate);
        }
        if self.version(token).is_some() {
            if self.labels.holder(CURRENT) == Some(token) {
                return Ok(Admission::Done);
            }
            return Err(ApiError::invalid_parameter(format!(
                "You can't use ClientRequestToken {token} because that value is already in use for a version of secret {}.",
                self.arn
            )));
        }
        let content = if immediately {
            None
        } else {
            self.get(Wanted::default())
                .ok()
                .map(|(_, content)| content.clone())
        };
        self.rotation = Some(setup);
        self.versions.push(Version {
            id: token.to_owned(),
            created: now,
            content,
        });
        self.labels.attach(PENDING, token);
        Ok(if immediately {
            Admission::Rotate
        } else {
            Admission::TestOnly
        })
    }

    /// After `finishSecret` has answered: true when the version is current, and then `AWSPENDING` is gone from it.
    pub(super) fn complete_rotation(&mut self, token: &str, now: OffsetDateTime) -> bool {
        if self.labels.holder(CURRENT) != Some(token) {
            return false;
        }
        if self.labels.holder(PENDING) == Some(token) {
            self.labels.detach(PENDING);
        }
        self.rotated = Some(now);
        true
    }

    /// After the test of `RotateImmediately=false`: the reserved version goes, whatever the test has said.
    pub(super) fn end_test(&mut self, token: &str) {
        if self.labels.of(token) == [PENDING] {
            self.labels.detach(PENDING);
            self.versions.retain(|version| version.id != token);
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::secrets_manager::labels::PREVIOUS;

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

    fn text(value: &str) -> Content {
        Content::Text(SecretString::from(value.to_owned()))
    }

    fn setup() -> RotationSetup {
        RotationSetup {
            enabled: true,
            function_arn: "f".to_owned(),
            rules: None,
        }
    }

    fn secret() -> Secret {
        let mut secret = Secret {
            name: "app".to_owned(),
            arn: "arn".to_owned(),
            description: None,
            kms_key_id: None,
            tags: serde_json::Value::Null,
            created: NOW,
            changed: NOW,
            rotated: None,
            deletion: None,
            rotation: None,
            labels: Labels::default(),
            versions: Vec::new(),
            replicas: BTreeMap::new(),
        };
        secret
            .put("a", text("one"), None, NOW)
            .expect("a first version");
        secret
    }

    #[test]
    fn a_successful_rotation_ends_without_pending() {
        let mut secret = secret();
        assert_eq!(
            secret.admit_rotation("b", setup(), true, NOW),
            Ok(Admission::Rotate)
        );
        secret
            .put("b", text("two"), Some(&[PENDING.to_owned()]), NOW)
            .expect("the value");
        assert!(
            !secret.complete_rotation("b", NOW),
            "finishSecret has moved nothing yet"
        );
        assert_eq!(
            secret.labels.holder(PENDING),
            Some("b"),
            "a failed rotation stays pending"
        );
        secret
            .update_stage(CURRENT, Some("b"), Some("a"), NOW)
            .expect("the move");
        assert!(secret.complete_rotation("b", NOW));
        assert_eq!(secret.labels.holder(PENDING), None);
        assert_eq!(secret.labels.holder(PREVIOUS), Some("a"));
        assert_eq!(secret.rotated, Some(NOW));
    }

    #[test]
    fn a_test_of_the_configuration_has_the_current_value_and_leaves_nothing() {
        let mut secret = secret();
        assert_eq!(
            secret.admit_rotation("b", setup(), false, NOW),
            Ok(Admission::TestOnly)
        );
        let wanted = Wanted {
            stage: Some(PENDING),
            version_id: Some("b"),
        };
        let (_, content) = secret.get(wanted).expect("a temporary value");
        assert!(content.is_same(&text("one")));
        secret.end_test("b");
        assert!(secret.version("b").is_none());
        assert_eq!(secret.labels.holder(PENDING), None);
        assert_eq!(secret.labels.holder(CURRENT), Some("a"));
    }

    #[test]
    fn a_failed_rotation_goes_on_with_its_token() {
        let mut secret = secret();
        assert_eq!(
            secret.admit_rotation("b", setup(), true, NOW),
            Ok(Admission::Rotate)
        );
        assert_eq!(
            secret.admit_rotation("b", setup(), true, NOW),
            Ok(Admission::Rotate)
        );
        assert!(secret.admit_rotation("c", setup(), true, NOW).is_err());
        assert!(
            secret.version("c").is_none(),
            "a refused rotation reserves nothing"
        );
    }

    #[test]
    fn the_first_version_is_current_whatever_label_it_was_given() {
        let mut secret = secret();
        secret.versions.clear();
        secret.labels = Labels::default();
        secret
            .put("a", text("one"), Some(&[PENDING.to_owned()]), NOW)
            .expect("a first version");
        assert_eq!(secret.labels.of("a"), [CURRENT, PENDING]);
    }
}
