//! Drives a rotation: calls the function's steps one after the other, and stops at the first that fails.

use std::sync::Arc;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use uuid::Uuid;

use super::secret::Secret;
use super::timeline::{Outcome, Rotation, Step, StepRun};
use super::{SecretsManager, Shared};
use crate::background;
use crate::clock::now;
use crate::lambda::InvokeError;
use crate::lock::lock;

/// Starts a rotation of `secret` to the version `token`, unless it is under way already.
///
/// The caller holds the vault's lock, so that the version is reserved and its rotation is known in one step.
pub(super) fn begin(manager: &SecretsManager, secret: &Secret, token: &str, test_only: bool) {
    let shared = Arc::clone(&manager.shared);
    let mut rotations = lock(&shared.rotations);
    if rotations
        .iter()
        .any(|one| one.secret == secret.name && one.version_id == token && one.outcome.is_none())
    {
        return;
    }
    let number = rotations.len();
    rotations.push(Rotation {
        secret: secret.name.clone(),
        version_id: token.to_owned(),
        test_only,
        started: now(),
        ended: None,
        waiting_before: None,
        steps: Vec::new(),
        outcome: None,
    });
    drop(rotations);
    let rotation_token = SecretString::from(Uuid::new_v4().to_string());
    lock(&shared.rotation_tokens).insert(secret.arn.clone(), rotation_token.clone());
    let driver = Driver {
        shared: Arc::clone(&shared),
        number,
        secret_arn: secret.arn.clone(),
        function_arn: secret
            .rotation
            .as_ref()
            .map(|setup| setup.function_arn.clone())
            .unwrap_or_default(),
        version_id: token.to_owned(),
        rotation_token,
        test_only,
    };
    let task = background::handle().spawn(driver.drive());
    lock(&shared.drivers).push(task.abort_handle());
}

struct Driver {
    shared: Arc<Shared>,
    /// The place of this rotation in the timeline.
    number: usize,
    secret_arn: String,
    function_arn: String,
    version_id: String,
    rotation_token: SecretString,
    test_only: bool,
}

impl Driver {
    async fn drive(self) {
        let steps: &[Step] = if self.test_only {
            &[Step::TestSecret]
        } else {
            &Step::ALL
        };
        let mut outcome = Outcome::Succeeded;
        for &step in steps {
            self.wait_before(step).await;
            outcome = if self.is_wanted() {
                self.call(step).await
            } else {
                Outcome::Cancelled
            };
            if outcome != Outcome::Succeeded {
                break;
            }
        }
        self.end(outcome);
    }

    async fn wait_before(&self, step: Step) {
        let mut holds = self.shared.holds.subscribe();
        let pause = lock(&self.shared.pauses)
            .get(&step)
            .copied()
            .unwrap_or_default();
        if pause.is_zero() && !holds.borrow().contains_key(&step) {
            return;
        }
        self.note(|rotation| rotation.waiting_before = Some(step));
        tokio::time::sleep(pause).await;
        // The sender lives in what we share: only the end of the hold ends this.
        let _ = holds.wait_for(|holds| !holds.contains_key(&step)).await;
        self.note(|rotation| rotation.waiting_before = None);
    }

    /// False once the rotation has been cancelled or the secret deleted.
    fn is_wanted(&self) -> bool {
        let vault = lock(&self.shared.vault);
        let secret = vault
            .find(&self.secret_arn)
            .ok()
            .filter(|secret| secret.deletion.is_none());
        secret
            .and_then(|secret| secret.rotation.as_ref())
            .is_some_and(|setup| setup.enabled)
    }

    async fn call(&self, step: Step) -> Outcome {
        self.note(|rotation| {
            rotation.steps.push(StepRun {
                step,
                started: now(),
                ended: None,
                outcome: None,
            });
        });
        let event = json!({
            "Step": step.as_str(),
            "SecretId": self.secret_arn,
            "ClientRequestToken": self.version_id,
            "RotationToken": self.rotation_token.expose_secret(),
        });
        let answer = self
            .shared
            .functions
            .invoke(&self.function_arn, Bytes::from(event.to_string()))
            .await;
        let outcome = match answer {
            Ok(invoked) if invoked.function_error.is_none() => Outcome::Succeeded,
            Ok(invoked) => failure(&invoked.payload),
            Err(refused) => not_called(&refused),
        };
        self.note(|rotation| {
            if let Some(run) = rotation.steps.last_mut() {
                run.ended = Some(now());
                run.outcome = Some(outcome.clone());
            }
        });
        outcome
    }

    fn end(&self, mut outcome: Outcome) {
        lock(&self.shared.rotation_tokens).remove(&self.secret_arn);
        if let Ok(secret) = lock(&self.shared.vault).find_mut(&self.secret_arn) {
            if self.test_only {
                secret.end_test(&self.version_id);
            } else if outcome == Outcome::Succeeded
                && !secret.complete_rotation(&self.version_id, now())
            {
                outcome = Outcome::Failed {
                    error_type: "NotCurrent".to_owned(),
                    message: "finishSecret has answered, but AWSCURRENT is not on the new version"
                        .to_owned(),
                };
            }
        }
        self.note(|rotation| {
            rotation.ended = Some(now());
            rotation.outcome = Some(outcome);
        });
    }

    fn note(&self, change: impl FnOnce(&mut Rotation)) {
        if let Some(rotation) = lock(&self.shared.rotations).get_mut(self.number) {
            change(rotation);
        }
    }
}

/// What the function's error document says.
fn failure(payload: &[u8]) -> Outcome {
    let document: Value = serde_json::from_slice(payload).unwrap_or_default();
    let text = |name: &str| {
        document
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Outcome::Failed {
        error_type: text("errorType"),
        message: text("errorMessage"),
    }
}

fn not_called(refused: &InvokeError) -> Outcome {
    Outcome::Failed {
        error_type: refused.code().to_owned(),
        message: refused.to_string(),
    }
}
