//! What the public libraries do: a cached `AWSCURRENT`, read once more after a refusal.
//!
//! The login itself is the session's (`aurora::log_in`), so that nothing but the policy is different.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use aurora::{Credentials, Login, LoginError, Target, Tls, Trust};
use secrets::{LoginSecret, SecretsManager, Stage, Version};
use tokio::time::Instant;

use crate::client::{Attempt, Counts, Failure};

/// One program's cache of a secret.
pub(crate) struct RefreshOnce {
    manager: SecretsManager,
    secret_arn: String,
    trust: Trust,
    cached: Mutex<Option<Arc<Cached>>>,
    reads: AtomicU64,
    refused: AtomicU64,
}

struct Cached {
    version_id: String,
    target: Target,
    credentials: Credentials,
}

impl RefreshOnce {
    pub(crate) fn new(manager: SecretsManager, secret_arn: String, trust: Trust) -> Self {
        Self {
            manager,
            secret_arn,
            trust,
            cached: Mutex::default(),
            reads: AtomicU64::default(),
            refused: AtomicU64::default(),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            refused: self.refused.load(Ordering::Relaxed),
            reads: self.reads.load(Ordering::Relaxed),
        }
    }

    pub(crate) async fn connect(&self, deadline: Instant) -> Attempt {
        let mut refused = 0;
        let outcome = self.try_twice(deadline, &mut refused).await;
        Attempt { outcome, refused }
    }

    async fn try_twice(&self, deadline: Instant, refused: &mut u32) -> Result<String, Failure> {
        let cached = match self.cached() {
            Some(cached) => cached,
            None => self.read().await?,
        };
        match self.log_in(&cached, deadline, refused).await {
            Ok(_) => Ok(cached.version_id.clone()),
            Err(error) if error.is_refused() => {
                let fresh = self.read().await?;
                let again = self.log_in(&fresh, deadline, refused).await;
                again.map_err(not_logged_in)?;
                Ok(fresh.version_id.clone())
            }
            Err(error) => Err(not_logged_in(error)),
        }
    }

    async fn log_in(
        &self,
        cached: &Cached,
        deadline: Instant,
        refused: &mut u32,
    ) -> Result<Login, LoginError> {
        let outcome = aurora::log_in(
            &cached.target,
            &cached.credentials,
            &self.trust,
            Tls::Require,
            "refresh-once",
            deadline,
        )
        .await;
        if outcome.as_ref().is_err_and(LoginError::is_refused) {
            *refused += 1;
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    fn cached(&self) -> Option<Arc<Cached>> {
        let cached = self.cached.lock();
        cached.unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn read(&self) -> Result<Arc<Cached>, Failure> {
        let read = self.read_current().await;
        let read = read.map_err(|reason| Failure {
            code: "SECRET_UNREADABLE",
            reason,
        })?;
        let cached = self.cached.lock();
        *cached.unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&read));
        Ok(read)
    }

    async fn read_current(&self) -> Result<Arc<Cached>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let current = Version::Stage(Stage::Current);
        let value = self.manager.get(&self.secret_arn, current).await?;
        let secret = LoginSecret::parse(value.text()?)?;
        Ok(Arc::new(Cached {
            version_id: value.version_id,
            target: Target {
                host: secret.host.context("the secret has no host")?,
                port: secret.port.context("the secret has no port")?,
                dbname: secret.dbname.context("the secret has no dbname")?,
            },
            credentials: Credentials {
                username: secret.username,
                password: secret.password,
            },
        }))
    }
}

fn not_logged_in(error: LoginError) -> Failure {
    Failure {
        code: error.code(),
        reason: error.into(),
    }
}
