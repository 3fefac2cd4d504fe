//! `turnkeep sweep`: finds and repairs what archive and database do not have in common.
//!
//! First the objects: what has no row in the ledger is stored. Then the ledger: an object that is missing or has other
//! bytes is restored from the bucket's versions; then the media that messages name, likewise. Then the counters. Each part goes on
//! where it was cut off.

mod counters;
mod events;
mod media;
mod objects;
mod report;

use std::collections::VecDeque;

use archive::{Archive, ArchiveError};

use self::report::{Swept, Totals};
use crate::access::Access;
use crate::args::{self, Archived};
use crate::failure::{Exit, Failure};
use crate::loading;
use crate::loading::mark::Mark;
use crate::loading::rows::Rows;
use crate::loading::scope::Scope;
use crate::loading::tally::LeftOut;
use crate::output::Output;
use crate::progress::Meter;

/// The parts, as the file of `--resume` names them.
const OBJECTS: &str = "objects";
const EVENTS: &str = "events";
const MEDIA: &str = "media";
const COUNTERS: &str = "counters";
/// In their order.
const PARTS: [&str; 4] = [OBJECTS, EVENTS, MEDIA, COUNTERS];

/// What the parts work with.
struct Sweep<'a> {
    access: &'a Access,
    options: &'a Archived,
    archive: &'a Archive,
    rows: &'a Rows,
    scope: Scope,
    mark: Mark,
    meter: Meter,
    totals: Totals,
}

impl Sweep<'_> {
    fn leave(&mut self, key: String, reason: &'static str, message: impl Into<String>) {
        let message = message.into();
        self.totals.left_outs.push(LeftOut {
            key,
            reason,
            message,
        });
    }

    /// Asks S3 what lies under the key of each, some at the same time; in their order.
    async fn looked<T: Send + 'static>(
        &self,
        items: Vec<T>,
        key_and_sha256: fn(&T) -> (&str, &[u8]),
    ) -> Vec<(T, Result<Found, ArchiveError>)> {
        let mut waiting = items.into_iter();
        let mut under_way = VecDeque::new();
        let mut looked = Vec::with_capacity(waiting.len());
        loop {
            while under_way.len() < self.options.concurrency
                && let Some(item) = waiting.next()
            {
                let archive = self.archive.clone();
                under_way.push_back(tokio::spawn(async move {
                    let (key, sha256) = key_and_sha256(&item);
                    let found = found(&archive, key, sha256).await;
                    (item, found)
                }));
            }
            match under_way.pop_front() {
                None => return looked,
                Some(task) => match task.await {
                    Ok(item) => looked.push(item),
                    // Nothing cancels these tasks.
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
            }
        }
    }
}

/// Why one object failed; what will be the same for every object ends the sweep.
fn why(error: ArchiveError) -> Result<String, Failure> {
    if matches!(error, ArchiveError::AccessDenied(_)) {
        return Err(error.into());
    }
    Ok(startup::report::chain(&error))
}

/// What lies where something should lie.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Right,
    Missing,
    Altered,
}

async fn found(archive: &Archive, key: &str, sha256: &[u8]) -> Result<Found, ArchiveError> {
    Ok(match archive.sha256(key).await? {
        None => Found::Missing,
        Some(found) if found.as_slice() == sha256 => Found::Right,
        Some(_) => Found::Altered,
    })
}

/// Sweeps.
pub(crate) async fn run(
    access: &Access,
    options: &args::Sweep,
    output: Output,
) -> Result<Exit, Failure> {
    let options = &options.archived;
    let archive = loading::archive(access, options)?;
    let scope = Scope::new(options, None);
    let task = format!("sweep of {}, {}", archive.bucket(), scope.describe());
    let mark = Mark::open(options.resume.as_ref(), task)?;
    let (part, after) = mark.place();
    let (part, after) = (part.to_owned(), after.to_vec());
    let rows = Rows::new(access, &archive)?;
    let mut sweep = Sweep {
        access,
        options,
        archive: &archive,
        rows: &rows,
        scope,
        mark,
        meter: Meter::start(),
        totals: Totals::default(),
    };
    let of = |name: &str| {
        if part == name {
            after.clone()
        } else {
            Vec::new()
        }
    };
    let is_left = |name: &str| {
        let mut left = PARTS
            .iter()
            .skip_while(|done| !part.is_empty() && **done != part);
        left.any(|left| *left == name)
    };
    if is_left(OBJECTS) {
        objects::sweep(&mut sweep, of(OBJECTS)).await?;
    }
    if is_left(EVENTS) {
        events::sweep(&mut sweep, of(EVENTS)).await?;
    }
    if is_left(MEDIA) {
        media::sweep(&mut sweep, of(MEDIA)).await?;
    }
    counters::sweep(&mut sweep, of(COUNTERS)).await?;

    let Sweep {
        mark,
        meter,
        totals,
        ..
    } = sweep;
    let swept = Swept::new(archive.bucket(), options.dry_run, totals, meter.elapsed());
    if swept.is_done() {
        mark.remove()?;
    }
    output.report(&swept)?;
    Ok(if swept.is_well() {
        Exit::Done
    } else {
        Exit::Attention
    })
}
