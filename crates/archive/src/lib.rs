//! The S3 copy: every object is put once, never rewritten, and can be told from any other by its SHA-256.
//!
//! The only S3 code of the project. Encryption is the bucket's business: its default (SSE-KMS with a bucket key)
//! applies because no put names another. Start at [`Archive::put`].

mod endpoint;
mod error;
mod listing;
mod repair;
mod signing;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::StalledStreamProtectionConfig;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use conversation::Object;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use endpoint::EndpointOfBucket;
pub use error::{ArchiveError, Failure, Retry};
use error::{Operation, http_status};
pub use listing::{Entry, Page};
pub use repair::Repair;
use signing::SignedByChecksum;
pub use upload::Location;

/// One bucket, written by conditional puts.
#[derive(Clone, Debug)]
pub struct Archive {
    client: Client,
    bucket: String,
}

/// What became of a put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// The object is there now, and was not before.
    Stored {
        /// S3's version id; `None` if the bucket has no versioning.
        version_id: Option<String>,
    },
    /// There was an object under this key already, and it is untouched.
    AlreadyStored {
        /// S3's version id of that object; `None` if the bucket has no versioning, and for media, which nobody asks for.
        version_id: Option<String>,
        /// Whether it has the bytes that were to be put: a repeated delivery, not another event.
        same_content: bool,
    },
}

/// An object as it was read, its checksum verified by S3's client.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    /// The bytes.
    pub body: Vec<u8>,
    /// SHA-256 of `body`, computed from what was read.
    pub sha256: [u8; 32],
    /// S3's version id; `None` if the bucket has no versioning.
    pub version_id: Option<String>,
    /// When it was put, to the second; S3 always tells it.
    pub put_at: Option<OffsetDateTime>,
}

/// Shows the size, never the body.
impl std::fmt::Debug for Stored {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Stored")
            .field("bytes", &self.body.len())
            .field("version_id", &self.version_id)
            .finish_non_exhaustive()
    }
}

/// The body of an object, which a request shares instead of copying it.
struct Body(Arc<Object>);

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.0.body
    }
}

/// One try: long enough for the largest event of a Lambda (6 MB) on its slowest network share.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// All tries of one call together. The caller's deadline may end it earlier.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(12);
/// The same as that of the process's other clients: clients of one [`SdkConfig`] whose connections are limited alike share
/// a connector, and reading its roots of trust is a part of every start.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_ATTEMPTS: u32 = 3;

/// Waits between puts of a key that another writer is putting at the same moment. That writer ends within one
/// attempt, and then the next put is answered with 412, so few and short waits do.
const CONTENTION_WAITS: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(150),
    Duration::from_millis(450),
    Duration::from_millis(1350),
];

impl Archive {
    /// The archive in `bucket`. Connects to nothing.
    pub fn new(config: &SdkConfig, bucket: impl Into<String>) -> Self {
        let bucket = bucket.into();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        // A put that stands still ends with its try, so that nobody else need watch how fast it goes.
        let watched = StalledStreamProtectionConfig::enabled()
            .upload_enabled(false)
            .build();
        let config = aws_sdk_s3::config::Builder::from(config)
            .timeout_config(timeouts)
            .stalled_stream_protection(watched)
            .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
            .endpoint_resolver(EndpointOfBucket::new(&bucket))
            .interceptor(SignedByChecksum)
            .build();
        Self {
            client: Client::from_conf(config),
            bucket,
        }
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Puts `object` unless its key is taken; a capture, media and a quarantined input alike.
    ///
    /// Safe to repeat: the key is what makes it so. S3 compares the body with `object.sha256` and keeps that
    /// checksum, which later tells a repeated delivery from another event without reading the body.
    pub async fn put(&self, object: &Arc<Object>) -> Result<Put, ArchiveError> {
        let operation = Operation::new("PutObject", &self.bucket, &object.key);
        let mut waits = CONTENTION_WAITS.into_iter();
        loop {
            let error = match self.put_once(object).await {
                Ok(version_id) => return Ok(Put::Stored { version_id }),
                Err(error) => error,
            };
            // By status, since gateways and emulators disagree on the code's spelling.
            match http_status(&error) {
                Some(412) if object.is_named_by_content() => {
                    return Ok(Put::AlreadyStored {
                        version_id: None,
                        same_content: true,
                    });
                }
                // The key is taken. A key that is free again at the next look was deleted in between: put once more.
                Some(412) => {
                    if let Some(existing) = self.existing(object).await? {
                        return Ok(existing);
                    }
                }
                Some(409) if error.code() == Some("ConditionalRequestConflict") => {}
                _ => return Err(operation.failed(error)),
            }
            let Some(wait) = waits.next() else {
                return Err(operation.contended(error));
            };
            tracing::debug!(key = object.key, "another writer is busy with this key");
            tokio::time::sleep(wait).await;
        }
    }

    /// Reads an object. Fails with [`ArchiveError::Unavailable`] if its bytes do not match the checksum S3 keeps.
    pub async fn get(&self, key: &str) -> Result<Stored, ArchiveError> {
        let operation = Operation::new("GetObject", &self.bucket, key);
        let answer = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
            .map_err(|error| operation.failed(error))?;
        let version_id = answer.version_id;
        let put_at = answer.last_modified.and_then(listing::instant);
        let body = answer
            .body
            .collect()
            .await
            .map_err(|error| operation.body_lost(error))?
            .to_vec();
        let sha256 = Sha256::digest(&body).into();
        Ok(Stored {
            body,
            sha256,
            version_id,
            put_at,
        })
    }

    async fn put_once(&self, object: &Arc<Object>) -> Result<Option<String>, PutError> {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(&object.key)
            .if_none_match("*")
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .checksum_sha256(BASE64.encode(object.sha256))
            .content_type(object.content_type)
            .body(ByteStream::from(Bytes::from_owner(Body(Arc::clone(
                object,
            )))))
            .send()
            .await
            .map(|answer| answer.version_id)
    }

    /// What lies under the key of `object`; `None` if nothing does any more.
    async fn existing(&self, object: &Object) -> Result<Option<Put>, ArchiveError> {
        let operation = Operation::new("HeadObject", &self.bucket, &object.key);
        let answer = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(&object.key)
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await;
        let head = match answer {
            Ok(head) => head,
            Err(error) if http_status(&error) == Some(404) => return Ok(None),
            Err(error) => return Err(operation.failed(error)),
        };
        let (same_content, version_id) = match head.checksum_sha256 {
            Some(checksum) => (checksum == BASE64.encode(object.sha256), head.version_id),
            // Written by something else, for example a restore with `aws s3 cp`: only the bytes can tell.
            None => match self.get(&object.key).await {
                Ok(stored) => (stored.sha256 == object.sha256, stored.version_id),
                Err(ArchiveError::NotFound(_)) => return Ok(None),
                Err(error) => return Err(error),
            },
        };
        Ok(Some(Put::AlreadyStored {
            version_id,
            same_content,
        }))
    }
}

type PutError = aws_sdk_s3::error::SdkError<aws_sdk_s3::operation::put_object::PutObjectError>;
