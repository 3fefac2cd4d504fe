//! Rows of the ledger whose objects are not there, or are not what they were.

use std::collections::VecDeque;

use archive::{Archive, ArchiveError, Repair};
use conversation::{Ids, Object, Rows};
use store::sweep::{Claim, LedgerPlace};
use tokio::task::JoinHandle;

use super::{EVENTS, Sweep};
use crate::failure::Failure;
use crate::loading::tally::LeftOut;

/// Rows of one statement.
const PAGE: i64 = 500;

/// What lies where a row says that its object lies.
enum Found {
    Right,
    Missing,
    Altered,
    Elsewhere,
}

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
    let mut waiting = page.into_iter();
    let mut under_way: VecDeque<JoinHandle<(Claim, Result<Found, ArchiveError>)>> = VecDeque::new();
    loop {
        while under_way.len() < sweep.options.concurrency
            && let Some(claim) = waiting.next()
        {
            let archive = sweep.archive.clone();
            under_way.push_back(tokio::spawn(async move {
                let found = found(&archive, &claim).await;
                (claim, found)
            }));
        }
        let (claim, found) = match under_way.pop_front() {
            None => return Ok(()),
            Some(looked) => match looked.await {
                Ok(looked) => looked,
                // Nothing cancels these tasks.
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
        };
        sweep.totals.events.checked += 1;
        match found {
            Ok(Found::Right) => {}
            Ok(found) => repair(sweep, claim, &found).await?,
            Err(error) => failed(sweep, claim, error)?,
        }
    }
}

async fn found(archive: &Archive, claim: &Claim) -> Result<Found, ArchiveError> {
    if claim.s3_bucket != archive.bucket() {
        return Ok(Found::Elsewhere);
    }
    Ok(match archive.sha256(&claim.s3_key).await? {
        None => Found::Missing,
        Some(sha256) if sha256.as_slice() == claim.body_sha256 => Found::Right,
        Some(_) => Found::Altered,
    })
}

async fn repair(sweep: &mut Sweep<'_>, claim: Claim, found: &Found) -> Result<(), Failure> {
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
        Found::Elsewhere => {
            events.elsewhere += 1;
            let message = format!("its object is in bucket {}", claim.s3_bucket);
            leave(sweep, claim, "elsewhere", message);
            return Ok(());
        }
    };
    if sweep.options.dry_run {
        return Ok(());
    }
    let Ok(sha256) = <[u8; 32]>::try_from(claim.body_sha256.as_slice()) else {
        leave(sweep, claim, reason, message.to_owned());
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
                leave(sweep, claim, reason, message.to_owned());
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

/// One object may fail; what will be the same for every object ends the sweep.
fn failed(sweep: &mut Sweep<'_>, claim: Claim, error: ArchiveError) -> Result<(), Failure> {
    if matches!(error, ArchiveError::AccessDenied(_)) {
        return Err(error.into());
    }
    sweep.totals.events.failed += 1;
    leave(sweep, claim, "failed", startup::report::chain(&error));
    Ok(())
}

fn leave(sweep: &mut Sweep<'_>, claim: Claim, reason: &'static str, message: String) {
    let key = claim.s3_key;
    sweep.totals.left_outs.push(LeftOut {
        key,
        reason,
        message,
    });
}
