//! Secrets Manager on loopback, with AWS's label rules and a rotation that really calls the function.
//!
//! No emulator that can be had rotates faithfully, and the labels are what a rotation function is judged by. So this is
//! ours, and it is small: the operations in `operations::ACCEPTED` and nothing more; everything lives in memory. The
//! rules are pure and are tested beside their code: `labels` (which version a label sits on), `secret` (versions and
//! what a rotation may do to them), `vault` (finding and making secrets). `rotation` drives the function's four steps.
//!
//! What differs from AWS: nothing is eventually consistent unless a test asks for it, a failed rotation is not tried again by
//! itself and none is started by its schedule, deprecated versions are never purged, there are no quotas, replicas are a
//! status that tests set, and who asks is never checked.

pub(crate) mod labels;
mod operations;
mod password;
mod rotation;
mod script;
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
use script::{Rule, Script};
use secret::{Admission, Content, RotationSetup, Wanted};
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
    script: Script,
    drivers: Mutex<Vec<AbortHandle>>,
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
                script: Script::default(),
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

    /// Stores a text as the version with this label, as an operator does.
    pub(crate) fn put(&self, secret_id: &str, text: &SecretString, label: &str) {
        if let Ok(secret) = lock(&self.shared.vault).find_mut(secret_id) {
            let (token, content) = (Uuid::new_v4().to_string(), Content::Text(text.clone()));
            // A token of its own and a secret in use leave nothing to refuse.
            let _ = secret.put(&token, content, Some(&[label.to_owned()]), now());
        }
    }

    /// Makes the pending version current, as the owner of a secret does that no function rotates.
    pub(crate) fn promote_pending(&self, secret_id: &str) {
        if let Ok(secret) = lock(&self.shared.vault).find_mut(secret_id) {
            let pending = secret.labels.holder(labels::PENDING).map(str::to_owned);
            let current = secret.labels.holder(labels::CURRENT).map(str::to_owned);
            // Both versions are there, and nobody else moves this secret's labels.
            let _ = secret.update_stage(
                labels::CURRENT,
                pending.as_deref(),
                current.as_deref(),
                now(),
            );
        }
    }

    /// Takes `AWSPENDING` off a version that is not current, as an operator does.
    pub(crate) fn take_pending(&self, secret_id: &str) {
        if let Ok(secret) = lock(&self.shared.vault).find_mut(secret_id) {
            let pending = secret.labels.holder(labels::PENDING).map(str::to_owned);
            let current = secret.labels.holder(labels::CURRENT).map(str::to_owned);
            if pending != current {
                // Without the label there is nothing to take.
                let _ = secret.update_stage(labels::PENDING, None, pending.as_deref(), now());
            }
        }
    }

    /// Deletes a secret at once.
    pub(crate) fn forget(&self, secret_id: &str) {
        // It may be gone already.
        let _ = lock(&self.shared.vault).delete(secret_id, None, now());
    }

    /// The text of a version, with or without labels.
    pub fn text_of(&self, secret_id: &str, version_id: &str) -> Option<SecretString> {
        let vault = lock(&self.shared.vault);
        match &vault.find(secret_id).ok()?.version(version_id)?.content {
            Some(Content::Text(text)) => Some(text.clone()),
            Some(Content::Binary(_)) | None => None,
        }
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
        let message = format!("{operation} is refused because a test wants it");
        self.refuse_saying(operation, stage, code, &message)
    }

    /// As [`SecretsManager::refuse`], in the service's own words.
    pub fn refuse_saying(
        &self,
        operation: &str,
        stage: Option<&str>,
        code: &str,
        message: &str,
    ) -> Refusal {
        self.refuse_by(Rule {
            id: Uuid::new_v4(),
            operation: Some(operation.to_owned()),
            stage: stage.map(str::to_owned),
            by_id_alone: false,
            error: ApiError::new(code, message),
            left: None,
        })
    }

    /// Refuses to read versions by their ids alone, as a policy does that allows the value of certain labels only.
    pub fn refuse_unlabelled(&self) -> Refusal {
        let message = "no identity-based policy allows the secretsmanager:GetSecretValue action";
        self.refuse_by(Rule {
            id: Uuid::new_v4(),
            operation: Some("GetSecretValue".to_owned()),
            stage: None,
            by_id_alone: true,
            error: ApiError::new("AccessDeniedException", message),
            left: None,
        })
    }

    fn refuse_by(&self, rule: Rule) -> Refusal {
        let id = rule.id;
        self.shared.script.add(rule);
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

    /// Answers the next calls, whatever they are, with an AWS exception, such as `ThrottlingException`.
    pub fn fail_next(&self, calls: u32, code: &str) {
        self.shared.script.add(Rule {
            id: Uuid::new_v4(),
            operation: None,
            stage: None,
            by_id_alone: false,
            error: ApiError::new(code, "this call fails because a test wants it"),
            left: Some(calls),
        });
    }

    /// Shows what the next write changes only after that many reads: every operation of AWS is eventually consistent.
    pub fn show_late(&self, reads: u32) {
        self.shared.script.be_late(reads);
    }

    /// Reserves a version for a rotation whose steps the caller calls, as `RotateSecret` does before it calls the first.
    pub fn reserve(
        &self,
        secret_id: &str,
        token: &str,
        function_arn: &str,
    ) -> Result<(), ApiError> {
        let setup = RotationSetup {
            enabled: true,
            function_arn: function_arn.to_owned(),
            rules: None,
        };
        let mut vault = lock(&self.shared.vault);
        match vault
            .find_mut(secret_id)?
            .admit_rotation(token, setup, true, now())?
        {
            Admission::Done => Err(ApiError::invalid_request("the rotation is over already")),
            Admission::Rotate | Admission::TestOnly => Ok(()),
        }
    }

    /// Ends a rotation whose steps the caller has called; false when its version is not current.
    pub fn complete(&self, secret_id: &str, token: &str) -> bool {
        let mut vault = lock(&self.shared.vault);
        vault
            .find_mut(secret_id)
            .is_ok_and(|secret| secret.complete_rotation(token, now()))
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
        match self.shared.script.refusal(operation, body) {
            Some(refused) => Err(refused),
            None => operations::answer(self, operation, body),
        }
    }

    /// Stops rotations under way, as the end of the world does.
    pub(crate) fn shut_down(&self) {
        for driver in lock(&self.shared.drivers).drain(..) {
            driver.abort();
        }
    }

    /// What a read of the API sees.
    fn seen<T>(&self, look: impl FnOnce(&Vault) -> T) -> T {
        self.shared.script.read(&lock(&self.shared.vault), look)
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
        self.shared.script.remove(self.id);
    }
}

impl std::fmt::Debug for SecretsManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretsManager").finish_non_exhaustive()
    }
}
