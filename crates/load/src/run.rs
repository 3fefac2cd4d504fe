//! One run: connectors, and rotations one after the other.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use local::secrets_manager::Step;
use secrets::{LoginSecret, RotateRequest};
use tokio::time::interval;

use crate::clock::Clock;
use crate::connectors::Connectors;
use crate::setting::Key;
use crate::{Plan, Run, Setting, Turn};

/// How long anything may take that a free machine does in a second.
const PATIENCE: Duration = Duration::from_mins(3);

/// So many connects each connector ends between two rotations, so that each of them meets every rotation, and so that there
/// are connects outside of gaps. The first may have begun before.
const CONNECTS_BETWEEN: u64 = 3;

/// How often to say how far it is.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Runs a plan; `told` hears every few seconds how far it is.
///
/// # Errors
/// If a rotation fails or something takes too long. A failed connect is none: it is noted.
pub async fn run(setting: &Setting, plan: Plan, told: impl Fn(&str)) -> Result<Run> {
    let key = setting.key(plan.strategy).await?;
    let secrets_manager = setting.stack().secrets_manager();
    secrets_manager.pause_before(Step::FinishSecret, plan.pause);
    let clock = Clock::start();
    let connectors = Connectors::start(plan.connectors, key.client(plan.policy)?, clock);
    let done = AtomicUsize::new(0);
    let driver = Driver {
        setting,
        plan,
        key: &key,
        clock,
        connectors: &connectors,
        done: &done,
    };
    let turns = {
        let mut driving = pin!(driver.drive());
        let mut ticks = interval(TELL_EVERY);
        // The first is at once.
        ticks.tick().await;
        loop {
            tokio::select! {
                turns = &mut driving => break turns?,
                _ = ticks.tick() => told(&driver.progress()),
            }
        }
    };
    let notes = connectors.stop().await?;
    Ok(Run {
        plan,
        connects: notes.connects,
        turns,
        first_failure: notes.failure.map(|(_, text)| text),
        elapsed: clock.now(),
    })
}

struct Driver<'a> {
    setting: &'a Setting,
    plan: Plan,
    key: &'a Key,
    clock: Clock,
    connectors: &'a Connectors,
    done: &'a AtomicUsize,
}

impl Driver<'_> {
    async fn drive(&self) -> Result<Vec<Turn>> {
        self.connectors.connect(CONNECTS_BETWEEN, PATIENCE).await?;
        let mut turns = Vec::new();
        while turns.len() < self.plan.rotations {
            turns.push(self.turn().await?);
            self.done.store(turns.len(), Ordering::Relaxed);
        }
        Ok(turns)
    }

    async fn turn(&self) -> Result<Turn> {
        let Key {
            manager,
            secret_arn,
            function_arn,
            ..
        } = self.key;
        let stack = self.setting.stack();
        stack.gateway().clear_calls();
        let before = self.connectors.counts();
        let request = RotateRequest {
            function_arn: Some(function_arn.clone()),
            days: Some(30),
            ..RotateRequest::default()
        };
        let version_id = manager.rotate(secret_arn, request).await?;
        let rotation = stack
            .secrets_manager()
            .rotation_over(&version_id, PATIENCE + self.plan.pause)
            .await?;
        ensure!(rotation.succeeded(), "a rotation failed: {rotation:?}");
        let committed = self.committed(&version_id).await?;
        let moved = self.moved()?;
        self.connectors.connect(CONNECTS_BETWEEN, PATIENCE).await?;
        let after = self.connectors.counts();
        Ok(Turn {
            version_id,
            committed,
            moved,
            refused: after.refused - before.refused,
            reads: after.reads - before.reads,
        })
    }

    /// When the database got the password of a version.
    async fn committed(&self, version_id: &str) -> Result<Duration> {
        let stack = self.setting.stack();
        let text = stack
            .secrets_manager()
            .text_of(&self.key.secret_arn, version_id)
            .context("the new version has no value")?;
        let user = LoginSecret::parse(&text)?.username;
        let changed = stack.server().role_changed_at(&user).await?;
        Ok(self.clock.of(changed))
    }

    /// When `AWSCURRENT` had been moved last.
    fn moved(&self) -> Result<Duration> {
        let calls = self.setting.stack().gateway().calls();
        let last = calls
            .iter()
            .rev()
            .filter(|call| call.error.is_none())
            .find(|call| call.operation == "UpdateSecretVersionStage")
            .context("the rotation has moved no label")?;
        Ok(self.clock.of(last.started + last.elapsed))
    }

    fn progress(&self) -> String {
        let (connects, failed) = self.connectors.progress();
        format!(
            "{}: {} of {} rotations, {connects} connects, {failed} failed",
            self.plan,
            self.done.load(Ordering::Relaxed),
            self.plan.rotations
        )
    }
}
