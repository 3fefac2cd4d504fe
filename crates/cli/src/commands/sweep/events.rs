//! Rows of the ledger whose objects are not there, or are not what they were.

use archive::{ArchiveError, Repair};
use conversation::{Ids, Object, Rows};
use store::sweep::{Claim, LedgerPlace};

use super::{EVENTS, Found, Sweep, why};
use crate::failure::Failure;

/// Rows of one statement.
const PAGE: i64 = 500;

/// Asks S3 for the checksum of every object that the ledger names, and restores what is not as it was.
pub(super) async fn sweep(sweep: &mut Sweep<'_>, after: Vec<String>) -> Result<(), Failure> {
    let part = sweep.scope.part();
    let mut place = match <[String; 3]>::try_from(after) {
        Ok([conversation_id, tenant_id, event_id]) => LedgerPlace {
            conversation_id,
            tenant_id,
            event_id,
        },
        Err(_) => LedgerPlace::default(),
    };
    loop {
        let page = sweep.rows.ledger(&part, &place, PAGE).await?;
        let is_last = i64::try_from(page.len()).is_ok_and(|length| length < PAGE);
        if let Some(last) = page.last() {
            place.clone_from(&last.place);
        }
        look(sweep, page).await?;
        if sweep.totals.events.failed == 0 {
            let place = [&place.conversation_id, &place.tenant_id, &place.event_id];
            sweep.mark.keep(EVENTS, &place.map(String::as_str))?;
        }
        if is_last {
            return Ok(());
        }
        let events = &sweep.totals.events;
        let (checked, astray) = (events.checked, events.missing + events.altered);
        sweep.meter.tell(|_| {
            let at = &place.conversation_id;
            format!("{checked} events checked, {astray} without their object, at conversation {at}")
        });
    }
}

async fn look(sweep: &mut Sweep<'_>, page: Vec<Claim>) -> Result<(), Failure> {
    sweep.totals.events.checked += page.len();
    let is_here = |claim: &Claim| claim.s3_bucket == sweep.archive.bucket();
    let (here, elsewhere): (Vec<_>, Vec<_>) = page.into_iter().partition(is_here);
    for claim in elsewhere {
        sweep.totals.events.elsewhere += 1;
        let message = format!("its object is in bucket {}", claim.s3_bucket);
        sweep.leave(claim.s3_key, "elsewhere", message);
    }
    let looked = sweep.looked(here, |claim| (&claim.s3_key, &claim.body_sha256));
    for (claim, found) in looked.await {
        match found {
            Ok(found) => repair(sweep, claim, found).await?,
            Err(error) => failed(sweep, claim, error)?,
        }
    }
    Ok(())
}

async fn repair(sweep: &mut Sweep<'_>, claim: Claim, found: Found) -> Result<(), Failure> {
    let events = &mut sweep.totals.events;
    let (reason, message) = match found {
        Found::Right => return Ok(()),
        Found::Missing => {
            events.missing += 1;
            (
                "missing",
                "its object is not there, the bucket has no version of it, and its rows do not tell all of it",
            )
        }
        Found::Altered => {
            events.altered += 1;
            (
                "altered",
                "its object has other bytes, the bucket has no version with those that were stored, and its rows do not tell them",
            )
        }
    };
    if sweep.options.dry_run {
        return Ok(());
    }
    let Ok(sha256) = <[u8; 32]>::try_from(claim.body_sha256.as_slice()) else {
        sweep.leave(claim.s3_key, reason, message);
        return Ok(());
    };
    match sweep.archive.restore(&claim.s3_key, &sha256).await {
        Ok(Repair::Restored) => sweep.totals.events.restored += 1,
        Ok(Repair::Lost) => {
            if let Some(object) = of_rows(sweep, &claim, &sha256).await? {
                match sweep.archive.put_back(&object).await {
                    Ok(()) => sweep.totals.events.rebuilt += 1,
                    Err(error) => failed(sweep, claim, error)?,
                }
            } else {
                sweep.totals.events.lost += 1;
                sweep.leave(claim.s3_key, reason, message);
            }
        }
        Err(error) => failed(sweep, claim, error)?,
    }
    Ok(())
}

/// The object made again of its rows, if that gives the same bytes.
async fn of_rows(
    sweep: &Sweep<'_>,
    claim: &Claim,
    sha256: &[u8; 32],
) -> Result<Option<Object>, Failure> {
    let Some(told) = sweep.rows.told(&claim.place).await? else {
        return Ok(None);
    };
    let rows = Rows {
        ids: Ids {
            tenant_id: &claim.place.tenant_id,
            conversation_id: &claim.place.conversation_id,
            event_id: &claim.place.event_id,
        },
        owner: told.owner.as_deref(),
        occurred_at: told.occurred_at,
        usage: told.usage,
        told: &told.told,
        messages: &told.messages,
        implementations: &told.implementations,
    };
    Ok(rows.object(&claim.s3_key, sha256))
}

fn failed(sweep: &mut Sweep<'_>, claim: Claim, error: ArchiveError) -> Result<(), Failure> {
    let message = why(error)?;
    sweep.totals.events.failed += 1;
    sweep.leave(claim.s3_key, "failed", message);
    Ok(())
}
