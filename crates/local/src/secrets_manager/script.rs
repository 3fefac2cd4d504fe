//! What a test wants of the service besides what AWS documents: refusals, and reads that are late.

use std::sync::Mutex;

use serde_json::Value;
use uuid::Uuid;

use super::vault::Vault;
use crate::aws_json::ApiError;
use crate::lock::lock;

/// The script of one Secrets Manager.
#[derive(Default)]
pub(super) struct Script {
    rules: Mutex<Vec<Rule>>,
    lateness: Mutex<Lateness>,
}

/// A scripted refusal.
pub(super) struct Rule {
    pub(super) id: Uuid,
    /// Every one, if none is named.
    pub(super) operation: Option<String>,
    /// Requests that name this label; all, if none is named.
    pub(super) stage: Option<String>,
    /// Only requests that name a version by its id and no label.
    pub(super) by_id_alone: bool,
    pub(super) error: ApiError,
    /// How often it still applies; `None` for ever.
    pub(super) left: Option<u32>,
}

#[derive(Default)]
struct Lateness {
    /// How many reads do not see what the next write changes.
    next: u32,
    /// What they see instead, and how many of them are left.
    before: Option<(Vault, u32)>,
}

impl Script {
    pub(super) fn add(&self, rule: Rule) {
        lock(&self.rules).push(rule);
    }

    pub(super) fn remove(&self, id: Uuid) {
        lock(&self.rules).retain(|rule| rule.id != id);
    }

    /// The refusal that this request meets.
    pub(super) fn refusal(&self, operation: &str, body: &[u8]) -> Option<ApiError> {
        let mut rules = lock(&self.rules);
        if rules.is_empty() {
            return None;
        }
        let request: Value = serde_json::from_slice(body).ok()?;
        let stage = request.get("VersionStage").and_then(Value::as_str);
        let rule = rules.iter_mut().find(|rule| {
            rule.operation.as_deref().is_none_or(|one| one == operation)
                && (rule.stage.is_none() || rule.stage.as_deref() == stage)
                && !(rule.by_id_alone && (stage.is_some() || request.get("VersionId").is_none()))
                && rule.left != Some(0)
        })?;
        rule.left = rule.left.map(|left| left - 1);
        Some(rule.error.clone())
    }

    /// Has that many reads not see what the next write changes.
    pub(super) fn be_late(&self, reads: u32) {
        lock(&self.lateness).next = reads;
    }

    /// Before a write.
    pub(super) fn write(&self, vault: &Vault) {
        let mut lateness = lock(&self.lateness);
        let reads = std::mem::take(&mut lateness.next);
        if reads > 0 {
            lateness.before = Some((vault.clone(), reads));
        }
    }

    /// What a read sees of `vault`.
    pub(super) fn read<T>(&self, vault: &Vault, look: impl FnOnce(&Vault) -> T) -> T {
        let mut lateness = lock(&self.lateness);
        let Some((before, reads)) = &mut lateness.before else {
            return look(vault);
        };
        let seen = look(before);
        *reads -= 1;
        if *reads == 0 {
            lateness.before = None;
        }
        seen
    }
}
