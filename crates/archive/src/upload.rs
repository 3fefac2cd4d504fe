//! Objects that others have put, in buckets of theirs.

use aws_sdk_s3::types::ChecksumMode;

use crate::error::Operation;
use crate::{Archive, ArchiveError};

/// Where an object lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The version; `None` for the newest.
    pub version_id: Option<String>,
}

impl Archive {
    /// Reads an object of any bucket that the role may read; `None` if it has more than `max_bytes`, of which no more are
    /// read than that. S3's client compares the bytes with the checksum that S3 keeps, if it keeps one.
    pub async fn fetch(
        &self,
        location: &Location,
        max_bytes: usize,
    ) -> Result<Option<Vec<u8>>, ArchiveError> {
        let operation = Operation::new("GetObject", &location.bucket, &location.key);
        let answer = self
            .client
            .get_object()
            .bucket(&location.bucket)
            .key(&location.key)
            .set_version_id(location.version_id.clone())
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
            .map_err(|error| operation.failed(error))?;
        let told = answer
            .content_length
            .and_then(|told| usize::try_from(told).ok());
        if told.is_some_and(|told| told > max_bytes) {
            return Ok(None);
        }
        let mut stream = answer.body;
        let mut body = Vec::with_capacity(told.unwrap_or_default());
        while let Some(chunk) = stream
            .try_next()
            .await
            .map_err(|error| operation.body_lost(error))?
        {
            if body.len() + chunk.len() > max_bytes {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body))
    }
}
