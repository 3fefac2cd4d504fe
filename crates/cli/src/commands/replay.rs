//! `turnkeep replay`: brings the archive's objects into the database.

use serde::Serialize;

use crate::access::Access;
use crate::args;
use crate::failure::{Exit, Failure};
use crate::loading;
use crate::loading::loader::{Judgement, Loader};
use crate::loading::mark::Mark;
use crate::loading::reader::Reader;
use crate::loading::refused::Refused;
use crate::loading::rows::Rows;
use crate::loading::scope::{Leaf, Scope};
use crate::loading::tally::{LeftOut, Tally};
use crate::loading::walk::Walk;
use crate::output::{Output, Report, table};
use crate::progress::{self, Meter, per_second};

#[derive(Debug, Serialize)]
struct Replayed {
    bucket: String,
    dry_run: bool,
    objects: usize,
    #[serde(flatten)]
    tally: Tally,
    left_out: Vec<LeftOut>,
    elapsed_ms: u64,
    events_per_second: u64,
    #[serde(skip)]
    rows: Vec<(&'static str, String)>,
}

/// Replays.
pub(crate) async fn run(
    access: &Access,
    options: &args::Replay,
    output: Output,
) -> Result<Exit, Failure> {
    let archived = &options.archived;
    let archive = loading::archive(access, archived)?;
    let scope = Scope::new(archived, options.prefix.as_deref());
    let task = format!("replay of {}, {}", archive.bucket(), scope.describe());
    let mut mark = Mark::open(archived.resume.as_ref(), task)?;
    let after = mark.place().1.first().cloned();
    let rows = Rows::new(access, &archive)?;
    let refused = Refused::read(&archive, archived.concurrency);
    let refused = progress::watch("the quarantine", refused).await?;
    let leaves = progress::watch("the folders of the archive", scope.leaves(&archive)).await?;

    let judgement = Judgement {
        ownership: access.settings.ownership,
        trusts_nameless: true,
        dry_run: archived.dry_run,
    };
    let mut loader = Loader::new(&archive, &rows, judgement);
    let mut reader = Reader::new(&archive, archived.concurrency);
    let mut meter = Meter::start();
    let mut walk = Walk::new(&archive, leaves.clone(), after.clone());
    while let Some(folder) = walk.folder().await? {
        rows.check_time()?;
        for entry in folder.entries {
            if refused.has(&entry.key) {
                continue;
            }
            while reader.is_full() {
                step(&mut reader, &mut loader, &mut mark, &mut meter).await?;
            }
            reader.read(entry);
        }
        reader.done(folder.last_key);
    }
    while step(&mut reader, &mut loader, &mut mark, &mut meter).await? {}
    loader.store().await?;
    for key in refused.keys().filter(|key| is_among(&leaves, key)) {
        reader.read(key.clone().into());
        if reader.is_full() {
            loader
                .judge(&mut reader, &refused, scope.is_whole())
                .await?;
        }
    }
    loader
        .judge(&mut reader, &refused, scope.is_whole())
        .await?;

    let replayed = Replayed::new(archive.bucket(), archived.dry_run, loader, &meter);
    if replayed.is_complete() {
        mark.remove()?;
    }
    output.report(&replayed)?;
    Ok(if replayed.is_complete() || archived.dry_run {
        Exit::Done
    } else {
        Exit::Attention
    })
}

/// Hands one step on from the reader to the loader; `false` if there is none.
async fn step(
    reader: &mut Reader,
    loader: &mut Loader<'_>,
    mark: &mut Mark,
    meter: &mut Meter,
) -> Result<bool, Failure> {
    let Some(step) = reader.next().await? else {
        return Ok(false);
    };
    loader.take(step).await?;
    if let Some(place) = loader.place() {
        mark.keep("objects", &[place])?;
    }
    meter.tell(|elapsed| {
        let (objects, events) = (loader.tally.objects(), loader.tally.events());
        let rate = per_second(events, elapsed);
        let place = loader.place().unwrap_or("the begin");
        format!("{objects} objects, {rate} events/s, at {place}")
    });
    Ok(true)
}

fn is_among(leaves: &[Leaf], key: &str) -> bool {
    leaves.iter().any(|leaf| key.starts_with(&leaf.prefix))
}

impl Replayed {
    fn new(bucket: &str, dry_run: bool, loader: Loader<'_>, meter: &Meter) -> Self {
        let Loader {
            tally, left_outs, ..
        } = loader;
        let elapsed = meter.elapsed();
        Self {
            bucket: bucket.to_owned(),
            dry_run,
            objects: tally.objects(),
            events_per_second: per_second(tally.events(), elapsed),
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            rows: left_outs.rows(),
            left_out: left_outs.named,
            tally,
        }
    }

    /// Whether everything is in the database that may be.
    fn is_complete(&self) -> bool {
        self.tally.original + self.tally.unreadable + self.tally.failed == 0
    }
}

impl Report for Replayed {
    fn outcome(&self) -> &'static str {
        match (self.dry_run, self.is_complete()) {
            (true, _) => "planned",
            (false, true) => "ok",
            (false, false) => "incomplete",
        }
    }

    fn text(&self) -> String {
        let Tally {
            stored,
            duplicate,
            conflict,
            foreign,
            erased,
            original,
            unreadable,
            failed,
        } = &self.tally;
        let would = if self.dry_run { "would be " } else { "" };
        let mut rows = vec![
            ("bucket", self.bucket.clone()),
            (
                "objects",
                format!("{} in {:.1} s", self.objects, seconds(self.elapsed_ms)),
            ),
            ("stored", format!("{would}{stored}")),
            ("there already", duplicate.to_string()),
        ];
        rows.extend(
            [
                (
                    "refused",
                    conflict + foreign,
                    format!("{conflict} of an event id that is taken, {foreign} of another user"),
                ),
                (
                    "erased",
                    *erased,
                    format!("{erased} of an erased user or conversation, not brought back"),
                ),
                (
                    "original",
                    *original,
                    format!("{original} of the original capture function, skipped"),
                ),
                ("unreadable", *unreadable, unreadable.to_string()),
                ("failed", *failed, failed.to_string()),
            ]
            .into_iter()
            .filter(|(_, number, _)| *number > 0)
            .map(|(name, _, sentence)| (name, sentence)),
        );
        rows.extend(self.rows.clone());
        if *failed > 0 {
            rows.push((
                "next",
                "run it again: what is stored is not stored twice".to_owned(),
            ));
        }
        table(&rows)
    }
}

pub(crate) fn seconds(milliseconds: u64) -> f64 {
    std::time::Duration::from_millis(milliseconds).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loading::tally::LeftOuts;
    use crate::output::document;

    fn sample() -> Replayed {
        let tally = Tally {
            stored: 300,
            duplicate: 4,
            conflict: 1,
            foreign: 2,
            unreadable: 1,
            ..Tally::default()
        };
        let mut left_outs = LeftOuts::default();
        left_outs.push(LeftOut {
            key: "conversations/a.json".to_owned(),
            reason: "newer",
            message: "written by a later version".to_owned(),
        });
        Replayed {
            bucket: "b".to_owned(),
            dry_run: false,
            objects: tally.objects(),
            events_per_second: per_second(tally.events(), std::time::Duration::from_millis(250)),
            elapsed_ms: 250,
            rows: left_outs.rows(),
            left_out: left_outs.named,
            tally,
        }
    }

    #[test]
    fn a_person_reads_what_was_brought_in_and_what_was_not() {
        insta::assert_snapshot!(sample().text(), @r"
        bucket         b
        objects        308 in 0.2 s
        stored         300
        there already  4
        refused        1 of an event id that is taken, 2 of another user
        unreadable     1
        left out       conversations/a.json: written by a later version
        ");
    }

    #[test]
    fn a_program_reads_a_document() {
        insta::assert_snapshot!(document(sample().outcome(), &sample()).unwrap(), @r#"{"outcome":"incomplete","bucket":"b","dry_run":false,"objects":308,"stored":300,"duplicate":4,"conflict":1,"foreign":2,"erased":0,"original":0,"unreadable":1,"failed":0,"left_out":[{"key":"conversations/a.json","reason":"newer","message":"written by a later version"}],"elapsed_ms":250,"events_per_second":1228}"#);
    }
}
