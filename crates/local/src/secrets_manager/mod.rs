//! Secrets Manager on loopback, with AWS's label rules and a rotation that really calls the function.
//!
//! No emulator that can be had rotates faithfully, and the labels are what a rotation function is judged by. So this is
//! ours, and it is small: the operations in `operations::ACCEPTED` and nothing more; everything lives in memory. The
//! rules are pure and are tested beside their code: `labels` (which version a label sits on), `secret` (versions and
//! what a rotation may do to them), `vault` (finding and making secrets). `rotation` drives the function's four steps.
//!
//! What differs from AWS: nothing is eventually consistent, a failed rotation is not tried again by itself and none is
//! started by its schedule, deprecated versions are never purged, there are no quotas, replicas are a status that tests set, and who asks is never
//! checked.

pub(crate) mod labels;
mod operations;
mod password;
mod rotation;
mod secret;
mod timeline;
mod vault;

#[cfg(test)]
mod conformance;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::aws_json::ApiError;
use crate::clock::now;
use crate::lambda::Functions;
use crate::lock::lock;
use crate::wait::{self, TimedOut};
use secret::{Content, Wanted};
pub use timeline::{Outcome, Rotation, Step, StepRun};
use vault::{NewSecret, Vault};

/// The Secrets Manager of one stack; clones are the same one.
#[derive(Clone)]
pub struct SecretsManager {
    shared: Arc<Shared>,
}

struct Shared {
    vault: Mutex<Vault>,
    functions: Functions,
    /// Every rotation there was, in order of their begin; none is ever removed.
    rotations: Mutex<Vec<Rotation>>,
    /// The rotation token of the rotation that runs, by the secret's ARN.
    rotation_tokens: Mutex<BTreeMap<String, SecretString>>,
    demands_token: AtomicBool,
    pauses: Mutex<BTreeMap<Step, Duration>>,
    /// How many hold a rotation before a step.
    holds: watch::Sender<BTreeMap<Step, u32>>,
    refusals: Mutex<Vec<Rule>>,
    drivers: Mutex<Vec<AbortHandle>>,
}

/// A scripted refusal.
struct Rule {
    id: Uuid,
    operation: String,
    stage: Option<String>,
    error: ApiError,
}

impl SecretsManager {
    pub(crate) fn new(functions: Functions) -> Self {
        Self {
            shared: Arc::new(Shared {
                vault: Mutex::default(),
                functions,
                rotations: Mutex::default(),
                rotation_tokens: Mutex::default(),
                demands_token: AtomicBool::default(),
                pauses: Mutex::default(),
                holds: watch::Sender::new(BTreeMap::new()),
                refusals: Mutex::default(),
                drivers: Mutex::default(),
            }),
        }
    }

    /// Creates a secret without going through the API; its ARN.
    pub fn create(&self, name: &str, text: &SecretString) -> Result<String, ApiError> {
        let new = NewSecret {
            name: name.to_owned(),
            token: Uuid::new_v4().to_string(),
            content: Some(Content::Text(text.clone())),
            ..NewSecret::default()
        };
        let suffix = Uuid::new_v4().simple().to_string();
        let mut vault = lock(&self.shared.vault);
        vault
            .create(new, suffix.get(..6).unwrap_or(&suffix), now())
            .map(|secret| secret.arn.clone())
    }

    /// The text that a label's version holds; `None` where `GetSecretValue` would find none.
    pub fn text(&self, secret_id: &str, stage: &str) -> Option<SecretString> {
        let vault = lock(&self.shared.vault);
        let secret = vault.find(secret_id).ok()?;
        match secret
            .get(Wanted {
                stage: Some(stage),
                version_id: None,
            })
            .ok()?
            .1
        {
            Content::Text(text) => Some(text.clone()),
            Content::Binary(_) => None,
        }
    }

    /// The texts of all versions of all secrets, deprecated ones too.
    pub fn texts(&self) -> Vec<SecretString> {
        lock(&self.shared.vault).texts().cloned().collect()
    }

    /// Every version of a secret with its labels, in order of creation; deprecated ones have none.
    pub fn stages(&self, secret_id: &str) -> Vec<(String, Vec<String>)> {
        let vault = lock(&self.shared.vault);
        let Ok(secret) = vault.find(secret_id) else {
            return Vec::new();
        };
        secret
            .versions
            .iter()
            .map(|version| (version.id.clone(), secret.labels.of(&version.id)))
            .collect()
    }

    /// Makes every rotation wait this long before `step`; zero takes the pause away.
    pub fn pause_before(&self, step: Step, pause: Duration) {
        lock(&self.shared.pauses).insert(step, pause);
    }

    /// Makes every rotation wait before `step` until the returned guard is dropped. [`Rotation::waiting_before`] tells
    /// when one has arrived there.
    pub fn hold_before(&self, step: Step) -> Hold {
        self.shared
            .holds
            .send_modify(|holds| *holds.entry(step).or_default() += 1);
        Hold {
            shared: Arc::clone(&self.shared),
            step,
        }
    }

    /// Refuses an operation with an AWS exception until the returned guard is dropped; with a `stage`, only requests
    /// that name it in `VersionStage`.
    pub fn refuse(&self, operation: &str, stage: Option<&str>, code: &str) -> Refusal {
        let id = Uuid::new_v4();
        let error = ApiError::new(
            code,
            format!("{operation} is refused because a test wants it"),
        );
        let rule = Rule {
            id,
            operation: operation.to_owned(),
            stage: stage.map(str::to_owned),
            error,
        };
        lock(&self.shared.refusals).push(rule);
        Refusal {
            shared: Arc::clone(&self.shared),
            id,
        }
    }

    /// Refuses from now on to store a rotation's value for a caller who does not show the rotation's token, as AWS does for
    /// a function that acts from another account.
    pub fn demand_rotation_token(&self) {
        self.shared.demands_token.store(true, Ordering::Relaxed);
    }

    /// The token of the rotation of a secret that is under way.
    pub fn rotation_token(&self, secret_id: &str) -> Option<SecretString> {
        let arn = lock(&self.shared.vault).find(secret_id).ok()?.arn.clone();
        lock(&self.shared.rotation_tokens).get(&arn).cloned()
    }

    /// Has `DescribeSecret` say that a secret has a replica with this status: `InSync`, `InProgress` or `Failed`. Nothing is
    /// copied anywhere.
    pub fn replicate(&self, secret_id: &str, region: &str, status: &str) -> Result<(), ApiError> {
        let mut vault = lock(&self.shared.vault);
        let secret = vault.find_mut(secret_id)?;
        secret.replicas.insert(region.to_owned(), status.to_owned());
        Ok(())
    }

    /// Every rotation so far, in order of their begin.
    pub fn rotations(&self) -> Vec<Rotation> {
        lock(&self.shared.rotations).clone()
    }

    /// Waits until the last rotation of this version is over, well or badly.
    pub async fn rotation_over(
        &self,
        version_id: &str,
        deadline: Duration,
    ) -> Result<Rotation, TimedOut> {
        wait::until(
            format!("the end of the rotation to version {version_id}"),
            deadline,
            async || {
                let mut rotations = self.rotations();
                rotations.retain(|rotation| rotation.version_id == version_id);
                rotations
                    .pop()
                    .filter(|rotation| rotation.outcome.is_some())
            },
        )
        .await
    }

    /// Answers one request of the API.
    pub(crate) fn answer(&self, operation: &str, body: &[u8]) -> Result<Value, ApiError> {
        self.scripted_refusal(operation, body)
            .map_or_else(|| operations::answer(self, operation, body), Err)
    }

    /// Stops rotations under way, as the end of the world does.
    pub(crate) fn shut_down(&self) {
        for driver in lock(&self.shared.drivers).drain(..) {
            driver.abort();
        }
    }

    fn scripted_refusal(&self, operation: &str, body: &[u8]) -> Option<ApiError> {
        let rules = lock(&self.shared.refusals);
        if rules.is_empty() {
            return None;
        }
        let request: Value = serde_json::from_slice(body).ok()?;
        let stage = request.get("VersionStage").and_then(Value::as_str);
        let applies = |rule: &&Rule| {
            rule.operation == operation && (rule.stage.is_none() || rule.stage.as_deref() == stage)
        };
        rules.iter().find(applies).map(|rule| rule.error.clone())
    }

    /// AWS uses the token to tell who writes when the function has assumed a role. A wrong one is a bug of the caller.
    fn check_rotation_token(
        &self,
        arn: &str,
        presented: Option<&SecretString>,
    ) -> Result<(), ApiError> {
        let tokens = lock(&self.shared.rotation_tokens);
        let Some(presented) = presented else {
            let demanded = self.shared.demands_token.load(Ordering::Relaxed);
            return if demanded && tokens.contains_key(arn) {
                Err(ApiError::new(
                    "AccessDeniedException",
                    "A RotationToken is demanded because a test wants it",
                ))
            } else {
                Ok(())
            };
        };
        if tokens
            .get(arn)
            .is_some_and(|token| token.expose_secret() == presented.expose_secret())
        {
            return Ok(());
        }
        Err(ApiError::invalid_parameter(
            "The RotationToken is not that of a rotation of this secret that is under way.",
        ))
    }
}

/// Holds rotations back before a step, until it is dropped.
#[must_use = "the hold ends when this is dropped"]
pub struct Hold {
    shared: Arc<Shared>,
    step: Step,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shared.holds.send_modify(|holds| {
            let left = holds.get(&self.step).map_or(0, |count| count - 1);
            if left == 0 {
                holds.remove(&self.step);
            } else {
                holds.insert(self.step, left);
            }
        });
    }
}

/// Refuses an operation, until it is dropped.
#[must_use = "the refusal ends when this is dropped"]
pub struct Refusal {
    shared: Arc<Shared>,
    id: Uuid,
}

impl Drop for Refusal {
    fn drop(&mut self) {
        lock(&self.shared.refusals).retain(|rule| rule.id != self.id);
    }
}

impl std::fmt::Debug for SecretsManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretsManager").finish_non_exhaustive()
    }
}
