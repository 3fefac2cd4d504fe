//! Objects that are not what they were: told by their checksum, brought back from S3's own versions.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use conversation::Object;
use sha2::{Digest as _, Sha256};

use crate::error::{Operation, http_status};
use crate::{Archive, ArchiveError};

/// What became of an object that was to be brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// The version with these bytes is the current one again; what was put over it is an older version now.
    Restored,
    /// The bucket keeps no version with these bytes.
    Lost,
}

/// What was put at some time.
struct Version {
    body: Vec<u8>,
    content_type: Option<String>,
}

impl Archive {
    /// SHA-256 of the object under `key`, as S3 keeps it, or else computed from its bytes; `None` if there is no object.
    pub async fn sha256(&self, key: &str) -> Result<Option<[u8; 32]>, ArchiveError> {
        self.sha256_of(key, None).await
    }

    /// Makes the version of `key` current that has these bytes, if the bucket keeps one. Safe to repeat: an object that has
    /// them already stays as it is.
    pub async fn restore(&self, key: &str, sha256: &[u8; 32]) -> Result<Repair, ArchiveError> {
        if self.sha256(key).await?.as_ref() == Some(sha256) {
            return Ok(Repair::Restored);
        }
        for version_id in self.versions(key).await? {
            if self.sha256_of(key, Some(&version_id)).await?.as_ref() != Some(sha256) {
                continue;
            }
            let Version { body, content_type } = self.version(key, &version_id).await?;
            let found: [u8; 32] = Sha256::digest(&body).into();
            if found == *sha256 {
                self.put_over(key, body, sha256, content_type).await?;
                return Ok(Repair::Restored);
            }
        }
        Ok(Repair::Lost)
    }

    /// Puts `object` whatever lies under its key: for an object that was there, is not as it was, and was made again.
    pub async fn put_back(&self, object: &Object) -> Result<(), ArchiveError> {
        let content_type = Some(object.content_type.to_owned());
        self.put_over(
            &object.key,
            object.body.clone(),
            &object.sha256,
            content_type,
        )
        .await
    }

    async fn put_over(
        &self,
        key: &str,
        body: Vec<u8>,
        sha256: &[u8; 32],
        content_type: Option<String>,
    ) -> Result<(), ArchiveError> {
        let operation = Operation::new("PutObject", &self.bucket, key);
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .checksum_sha256(BASE64.encode(sha256))
            .set_content_type(content_type)
            .body(ByteStream::from(body))
            .send()
            .await;
        put.map(drop).map_err(|error| operation.failed(error))
    }

    async fn sha256_of(
        &self,
        key: &str,
        version_id: Option<&str>,
    ) -> Result<Option<[u8; 32]>, ArchiveError> {
        let operation = Operation::new("HeadObject", &self.bucket, key);
        let answer = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(key)
            .set_version_id(version_id.map(str::to_owned))
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await;
        let head = match answer {
            Ok(head) => head,
            Err(error) if http_status(&error) == Some(404) => return Ok(None),
            Err(error) => return Err(operation.failed(error)),
        };
        let kept = head
            .checksum_sha256
            .and_then(|text| BASE64.decode(text).ok());
        if let Some(sha256) = kept.and_then(|bytes| bytes.try_into().ok()) {
            return Ok(Some(sha256));
        }
        // Put by something that asked for another checksum, or none: only the bytes can tell.
        let body = match version_id {
            Some(version_id) => {
                let version = self.version(key, version_id).await;
                version.map(|version| version.body)
            }
            None => self.get(key).await.map(|stored| stored.body),
        };
        match body {
            Ok(body) => Ok(Some(Sha256::digest(&body).into())),
            Err(ArchiveError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn version(&self, key: &str, version_id: &str) -> Result<Version, ArchiveError> {
        let operation = Operation::new("GetObject", &self.bucket, key);
        let answer = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .version_id(version_id)
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
            .map_err(|error| operation.failed(error))?;
        let content_type = answer.content_type;
        let body = answer
            .body
            .collect()
            .await
            .map_err(|error| operation.body_lost(error))?;
        Ok(Version {
            body: body.to_vec(),
            content_type,
        })
    }

    /// Ids of all versions of an object, the newest first.
    async fn versions(&self, key: &str) -> Result<Vec<String>, ArchiveError> {
        let operation = Operation::new("ListObjectVersions", &self.bucket, key);
        let (mut versions, mut marker) = (Vec::new(), (None, None));
        loop {
            let answer = self
                .client
                .list_object_versions()
                .bucket(&self.bucket)
                .prefix(key)
                .set_key_marker(marker.0)
                .set_version_id_marker(marker.1)
                .send()
                .await
                .map_err(|error| operation.failed(error))?;
            let found = answer.versions.unwrap_or_default().into_iter();
            let of_key = found.filter(|version| version.key.as_deref() == Some(key));
            versions.extend(of_key.filter_map(|version| version.version_id));
            // Of longer keys that begin like this one nobody wants to know.
            let is_over = answer.next_key_marker.as_deref() != Some(key);
            if answer.is_truncated != Some(true) || is_over {
                return Ok(versions);
            }
            marker = (answer.next_key_marker, answer.next_version_id_marker);
        }
    }
}
