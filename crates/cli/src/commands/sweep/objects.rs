//! Objects without a row.

use archive::Entry;
use conversation::{Ids, Place};

use super::{OBJECTS, Sweep};
use crate::failure::Failure;
use crate::loading::loader::{Judgement, Loader};
use crate::loading::reader::{Object, Reader, Step};
use crate::loading::refused::Refused;
use crate::loading::walk::Walk;
use crate::progress;

/// Objects whose rows are looked up together.
const PAGE: usize = 500;

/// Stores the rows of every object that has none.
pub(super) async fn sweep(sweep: &mut Sweep<'_>, after: Vec<String>) -> Result<(), Failure> {
    let leaves = sweep.scope.leaves(sweep.archive);
    let leaves = progress::watch("the folders of the archive", leaves).await?;
    let judgement = Judgement {
        ownership: sweep.access.settings.ownership,
        trusts_nameless: false,
        dry_run: sweep.options.dry_run,
    };
    let mut orphans = Orphans {
        loader: Loader::new(sweep.archive, sweep.rows, judgement),
        reader: Reader::new(sweep.archive, sweep.options.concurrency),
        refused: None,
        judged_last: Vec::new(),
    };
    let mut walk = Walk::new(sweep.archive, leaves, after.into_iter().next());
    let mut page = Vec::new();
    while let Some(folder) = walk.folder().await? {
        sweep.rows.check_time()?;
        page.extend(folder.entries);
        if page.len() < PAGE {
            continue;
        }
        let checked = page.len();
        orphans.look(sweep, std::mem::take(&mut page)).await?;
        sweep.totals.objects.checked += checked;
        if orphans.loader.tally.failed == 0 && orphans.judged_last.is_empty() {
            sweep.mark.keep(OBJECTS, &[&folder.last_key])?;
        }
        let (checked, without_rows) = (
            sweep.totals.objects.checked,
            sweep.totals.objects.without_rows,
        );
        sweep.meter.tell(|_| {
            let last_key = folder.last_key;
            format!("{checked} objects checked, {without_rows} without rows, at {last_key}")
        });
    }
    sweep.totals.objects.checked += page.len();
    orphans.look(sweep, page).await?;
    orphans.end(sweep).await
}

/// Objects that the ledger does not know.
struct Orphans<'a> {
    loader: Loader<'a>,
    reader: Reader,
    /// Read when the first orphan is found: most sweeps find none.
    refused: Option<Refused>,
    judged_last: Vec<String>,
}

impl Orphans<'_> {
    /// Finds those among a page of objects, and stores them.
    async fn look(&mut self, sweep: &mut Sweep<'_>, page: Vec<Entry>) -> Result<(), Failure> {
        for entry in unknown(sweep, page).await? {
            while self.reader.is_full() {
                self.step(sweep).await?;
            }
            self.reader.read(entry);
        }
        while self.step(sweep).await? {}
        self.loader.store().await
    }

    async fn step(&mut self, sweep: &mut Sweep<'_>) -> Result<bool, Failure> {
        let Some(step) = self.reader.next().await? else {
            return Ok(false);
        };
        let Step::Object(object) = step else {
            self.loader.take(step).await?;
            return Ok(true);
        };
        // The key may stand for ids that only the object tells.
        if !has_ids(&object) && is_known(sweep, &object).await? {
            return Ok(true);
        }
        sweep.totals.objects.without_rows += 1;
        if self.refused.is_none() {
            let refused = Refused::read(sweep.archive, sweep.options.concurrency);
            self.refused = Some(progress::watch("the quarantine", refused).await?);
        }
        if self
            .refused
            .as_ref()
            .is_some_and(|refused| refused.has(&object.key))
        {
            self.judged_last.push(object.key);
            return Ok(true);
        }
        self.loader.take(Step::Object(object)).await?;
        Ok(true)
    }

    /// Has those judged that were refused before, and counts all.
    async fn end(mut self, sweep: &mut Sweep<'_>) -> Result<(), Failure> {
        let refused = self.refused.take().unwrap_or_default();
        for key in std::mem::take(&mut self.judged_last) {
            self.reader.read(key.into());
            if self.reader.is_full() {
                self.loader
                    .judge(&mut self.reader, &refused, sweep.scope.is_whole())
                    .await?;
            }
        }
        self.loader
            .judge(&mut self.reader, &refused, sweep.scope.is_whole())
            .await?;
        sweep.totals.objects.tally = self.loader.tally;
        sweep.totals.left_outs.add(self.loader.left_outs);
        Ok(())
    }
}

/// Those that have no row by the ids in their keys, or whose keys tell no ids.
async fn unknown(sweep: &Sweep<'_>, mut page: Vec<Entry>) -> Result<Vec<Entry>, Failure> {
    let ids = page.iter().filter_map(|entry| Place::of(&entry.key)?.ids());
    let ids: Vec<Ids<'_>> = ids.collect();
    let mut known = sweep.rows.known(&ids).await?.into_iter();
    page.retain(|entry| match Place::of(&entry.key).and_then(Place::ids) {
        Some(_) => known.next().is_none_or(|known| known.ledger.is_none()),
        None => true,
    });
    Ok(page)
}

fn has_ids(object: &Object) -> bool {
    Place::of(&object.key).and_then(Place::ids).is_some()
}

async fn is_known(sweep: &Sweep<'_>, object: &Object) -> Result<bool, Failure> {
    let known = sweep.rows.known(&[object.ids()]).await?.pop();
    Ok(known.is_some_and(|known| known.ledger.is_some()))
}
