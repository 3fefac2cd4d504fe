//! The key of redaction, from its secret to the redactor.

use std::sync::Arc;

use aurora_session::{SecretsError, SecretsManager, Stage, Version};
use conversation::{IdentityKey, Policies, Redactor};
use secrecy::ExposeSecret as _;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

/// What an operator wants to be taken out (`REDACTION`), and the secret with the key of its hashes (`IDENTITY_KEY_SECRET`).
#[derive(Clone, Debug)]
pub struct Redaction {
    /// What is taken out.
    pub policies: Policies,
    /// Name or ARN of the secret.
    pub key_secret: String,
}

/// Why there is no key: without one nothing is taken in, since nothing could be redacted or told from what came before.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The secret was not read.
    #[error("secret {secret_id} was not read")]
    Secret {
        /// Name or ARN of the secret.
        secret_id: String,
        /// What Secrets Manager says.
        source: Box<SecretsError>,
    },
    /// It has no text that makes a key: put at least 32 random characters into it.
    #[error(
        "secret {secret_id} has no text of at least {} bytes",
        IdentityKey::MIN_BYTES
    )]
    Short {
        /// Name or ARN of the secret.
        secret_id: String,
    },
    /// The time ran out first.
    #[error("the time ran out before secret {secret_id} was read")]
    Late {
        /// Name or ARN of the secret.
        secret_id: String,
    },
}

/// The redactor of an execution environment, made once. A key that changes would make other hashes of the same text, so it is
/// not read again.
pub(crate) struct Keyed {
    secrets: SecretsManager,
    redactor: OnceCell<Arc<Redactor>>,
}

impl Keyed {
    pub(crate) fn new(secrets: SecretsManager) -> Self {
        Self {
            secrets,
            redactor: OnceCell::new(),
        }
    }

    /// The redactor; reads the key if nobody has yet.
    pub(crate) async fn redactor(
        &self,
        redaction: &Redaction,
        deadline: Instant,
    ) -> Result<Arc<Redactor>, KeyError> {
        let read = || async {
            let key = self.key(&redaction.key_secret, deadline).await?;
            Ok::<_, KeyError>(Arc::new(Redactor::new(redaction.policies.clone(), key)))
        };
        self.redactor.get_or_try_init(read).await.cloned()
    }

    async fn key(&self, secret_id: &str, deadline: Instant) -> Result<IdentityKey, KeyError> {
        let secret_id = secret_id.to_owned();
        let current = Version::Stage(Stage::Current);
        let value = match timeout_at(deadline, self.secrets.get(&secret_id, current)).await {
            Ok(Ok(value)) => value,
            Ok(Err(error)) => {
                let source = Box::new(error);
                return Err(KeyError::Secret { secret_id, source });
            }
            Err(_) => return Err(KeyError::Late { secret_id }),
        };
        let text = value.secret_string.as_ref();
        text.and_then(|text| IdentityKey::new(text.expose_secret().as_bytes()))
            .ok_or(KeyError::Short { secret_id })
    }
}
