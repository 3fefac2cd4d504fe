//! What lies in the bucket, in the order of the keys' bytes.

use aws_sdk_s3::primitives::DateTime;
use time::OffsetDateTime;

use crate::error::Operation;
use crate::{Archive, ArchiveError};

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The objects: at most 1000.
    pub entries: Vec<Entry>,
    /// What to give to [`Archive::list`] for the next page; `None` if this is the last.
    pub next: Option<String>,
}

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Size of the object in bytes.
    pub bytes: u64,
    /// When it was put, to the second; S3 always tells it.
    pub put_at: Option<OffsetDateTime>,
}

/// An object that is known by its key alone.
impl From<String> for Entry {
    fn from(key: String) -> Self {
        Self {
            key,
            bytes: 0,
            put_at: None,
        }
    }
}

impl Archive {
    /// Lists the objects whose keys start with `prefix`, a page at a time: `next` is `None` at first, then what the
    /// last page gave. With `after`, only keys behind that one.
    pub async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        next: Option<&str>,
    ) -> Result<Page, ArchiveError> {
        let operation = Operation::new("ListObjectsV2", &self.bucket, prefix);
        let answer = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(prefix)
            .set_start_after(after.map(str::to_owned))
            .set_continuation_token(next.map(str::to_owned))
            .send()
            .await
            .map_err(|error| operation.failed(error))?;
        let entries = answer.contents.unwrap_or_default().into_iter();
        let entries = entries.filter_map(|object| {
            Some(Entry {
                bytes: object
                    .size
                    .and_then(|size| size.try_into().ok())
                    .unwrap_or_default(),
                put_at: object.last_modified.and_then(instant),
                key: object.key?,
            })
        });
        Ok(Page {
            entries: entries.collect(),
            next: answer.next_continuation_token,
        })
    }

    /// The folders directly below `prefix`, which ends with `/` as they do.
    pub async fn folders(&self, prefix: &str) -> Result<Vec<String>, ArchiveError> {
        let operation = Operation::new("ListObjectsV2", &self.bucket, prefix);
        let (mut folders, mut next) = (Vec::new(), None);
        loop {
            let answer = self
                .client
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(prefix)
                .delimiter("/")
                .set_continuation_token(next)
                .send()
                .await
                .map_err(|error| operation.failed(error))?;
            let found = answer.common_prefixes.unwrap_or_default().into_iter();
            folders.extend(found.filter_map(|folder| folder.prefix));
            next = answer.next_continuation_token;
            if next.is_none() {
                return Ok(folders);
            }
        }
    }
}

/// The SDK's clock type in ours.
pub(crate) fn instant(time: DateTime) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(time.as_nanos()).ok()
}
