//! From the archive to the database, for the verbs that bring objects in.
//!
//! [`scope`] says which objects, [`walk`] lists them, [`reader`] gets them, some at a time and in their order, and [`loader`]
//! stores their rows by the statement that capture uses. [`refused`] knows what must stay out.

pub(crate) mod loader;
pub(crate) mod mark;
pub(crate) mod reader;
pub(crate) mod refused;
pub(crate) mod rows;
pub(crate) mod scope;
pub(crate) mod tally;
pub(crate) mod walk;

use archive::{Archive, ArchiveError, Retry};

use crate::access::Access;
use crate::args::Archived;
use crate::failure::{Exit, Failure};

/// The archive that the command line or the environment names.
pub(crate) fn archive(access: &Access, options: &Archived) -> Result<Archive, Failure> {
    let bucket = options.bucket.as_ref().or(access.settings.bucket.as_ref());
    let bucket = bucket.ok_or_else(|| {
        Failure::new(Exit::Usage, "NoBucket", "no bucket is named")
            .next("name the archive's bucket with --bucket or CONVERSATIONS_BUCKET")
    })?;
    Ok(Archive::new(&access.aws, bucket))
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        let (exit, hint) = match &error {
            ArchiveError::NotFound(_) => (
                Exit::Failed,
                Some("name the archive's bucket with --bucket or CONVERSATIONS_BUCKET"),
            ),
            ArchiveError::AccessDenied(_) => (
                Exit::Refused,
                Some(
                    "allow s3:ListBucket, s3:GetObject and s3:PutObject, and kms:Decrypt on the bucket's key, in the policy of this identity: aws sts get-caller-identity",
                ),
            ),
            error if error.retry() == Retry::Later => {
                (Exit::Unreachable, Some(crate::failure::AWS_ACCESS))
            }
            _ => (Exit::Failed, None),
        };
        let code = error.code().to_owned();
        Self::caused(exit, &code, error).with(hint)
    }
}
