//! Media that messages name and that are not there, or are not what they were.

use std::collections::HashSet;

use archive::{ArchiveError, Repair};
use conversation::layout;

use super::{Found, MEDIA, Sweep, why};
use crate::failure::Failure;

/// Conversations of one statement, which reads all that was said in them.
const PAGE: i64 = 50;

/// How many keys are kept in mind, so that what many conversations name is looked at once.
const KNOWN: usize = 100_000;

/// Media of a tenant.
struct Media {
    key: String,
    sha256: [u8; 32],
}

/// Asks S3 for the checksum of all media that messages name, and restores what is not as it was.
pub(super) async fn sweep(sweep: &mut Sweep<'_>, after: Vec<String>) -> Result<(), Failure> {
    let part = sweep.scope.part();
    let mut after = <[String; 2]>::try_from(after)
        .ok()
        .map(<(String, String)>::from);
    let mut known = HashSet::new();
    loop {
        if known.len() > KNOWN {
            known.clear();
        }
        let named = sweep.rows.media(&part, after.as_ref(), PAGE).await?;
        let media = named.media.into_iter().filter_map(|(tenant_id, key)| {
            // Whatever else a client has written there names nothing of ours.
            let sha256 = layout::media_sha256(&tenant_id, &key)?;
            known.insert(key.clone()).then_some(Media { key, sha256 })
        });
        look(sweep, media.collect()).await?;
        let Some((conversation_id, tenant_id)) = named.last else {
            return Ok(());
        };
        let media = &sweep.totals.media;
        if media.failed == 0 {
            sweep.mark.keep(MEDIA, &[&conversation_id, &tenant_id])?;
        }
        let (checked, astray) = (media.checked, media.missing + media.altered);
        sweep.meter.tell(|_| {
            format!(
                "{checked} media checked, {astray} not there, at conversation {conversation_id}"
            )
        });
        after = Some((conversation_id, tenant_id));
    }
}

async fn look(sweep: &mut Sweep<'_>, media: Vec<Media>) -> Result<(), Failure> {
    sweep.totals.media.checked += media.len();
    for (media, found) in sweep
        .looked(media, |media| (&media.key, &media.sha256))
        .await
    {
        match found {
            Ok(found) => repair(sweep, media, found).await?,
            Err(error) => failed(sweep, media, error)?,
        }
    }
    Ok(())
}

async fn repair(sweep: &mut Sweep<'_>, media: Media, found: Found) -> Result<(), Failure> {
    let totals = &mut sweep.totals.media;
    let (reason, message) = match found {
        Found::Right => return Ok(()),
        Found::Missing => {
            totals.missing += 1;
            (
                "missing",
                "a message names it, and the bucket has no version of it",
            )
        }
        Found::Altered => {
            totals.altered += 1;
            (
                "altered",
                "it has other bytes, and the bucket has no version with those that its key names",
            )
        }
    };
    if sweep.options.dry_run {
        return Ok(());
    }
    match sweep.archive.restore(&media.key, &media.sha256).await {
        Ok(Repair::Restored) => sweep.totals.media.restored += 1,
        Ok(Repair::Lost) => {
            sweep.totals.media.lost += 1;
            sweep.leave(media.key, reason, message);
        }
        Err(error) => failed(sweep, media, error)?,
    }
    Ok(())
}

fn failed(sweep: &mut Sweep<'_>, media: Media, error: ArchiveError) -> Result<(), Failure> {
    let message = why(error)?;
    sweep.totals.media.failed += 1;
    sweep.leave(media.key, "failed", message);
    Ok(())
}
