//! `turnkeep sweep`: finds and repairs what archive and database do not have in common.
//!
//! First the objects: what has no row in the ledger is stored. Then the ledger: an object that is missing or has other
//! bytes is restored from the bucket's versions. Then the counters. Each part goes on where it was cut off.

mod counters;
mod events;
mod objects;
mod report;

use archive::Archive;

use self::report::{Swept, Totals};
use crate::access::Access;
use crate::args::{self, Archived};
use crate::failure::{Exit, Failure};
use crate::loading;
use crate::loading::mark::Mark;
use crate::loading::rows::Rows;
use crate::loading::scope::Scope;
use crate::output::Output;
use crate::progress::Meter;

/// The parts, as the file of `--resume` names them.
const OBJECTS: &str = "objects";
const EVENTS: &str = "events";
const COUNTERS: &str = "counters";

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
    if part.is_empty() || part == OBJECTS {
        objects::sweep(&mut sweep, of(OBJECTS)).await?;
    }
    if part != COUNTERS {
        events::sweep(&mut sweep, of(EVENTS)).await?;
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
