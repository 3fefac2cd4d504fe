//! What a sweep has found, and what became of it.

use std::time::Duration;

use serde::Serialize;

use crate::commands::replay::seconds;
use crate::loading::tally::{LeftOut, LeftOuts, Tally};
use crate::output::{Report, table};

/// What the parts have counted.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) objects: Objects,
    pub(super) events: Events,
    pub(super) media: Media,
    pub(super) counters: Counters,
    pub(super) left_outs: LeftOuts,
}

/// Objects, and what became of those without rows.
#[derive(Debug, Default, Serialize)]
pub(super) struct Objects {
    pub(super) checked: usize,
    pub(super) without_rows: usize,
    #[serde(flatten)]
    pub(super) tally: Tally,
}

/// Rows of the ledger, and what became of those without their object.
#[derive(Debug, Default, Serialize)]
pub(super) struct Events {
    pub(super) checked: usize,
    pub(super) missing: usize,
    pub(super) altered: usize,
    pub(super) restored: usize,
    pub(super) rebuilt: usize,
    pub(super) lost: usize,
    pub(super) elsewhere: usize,
    pub(super) failed: usize,
}

/// Media that messages name, and what became of those that are not there.
#[derive(Debug, Default, Serialize)]
pub(super) struct Media {
    pub(super) checked: usize,
    pub(super) missing: usize,
    pub(super) altered: usize,
    pub(super) restored: usize,
    pub(super) lost: usize,
    pub(super) failed: usize,
}

/// Conversations, and those whose counters were wrong.
#[derive(Debug, Default, Serialize)]
pub(super) struct Counters {
    pub(super) checked: usize,
    pub(super) wrong: usize,
    pub(super) repaired: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct Swept {
    bucket: String,
    dry_run: bool,
    objects: Objects,
    events: Events,
    media: Media,
    counters: Counters,
    left_out: Vec<LeftOut>,
    elapsed_ms: u64,
    #[serde(skip)]
    rows: Vec<(&'static str, String)>,
}

impl Swept {
    pub(super) fn new(bucket: &str, dry_run: bool, totals: Totals, elapsed: Duration) -> Self {
        Self {
            bucket: bucket.to_owned(),
            dry_run,
            objects: totals.objects,
            events: totals.events,
            media: totals.media,
            counters: totals.counters,
            rows: totals.left_outs.rows(),
            left_out: totals.left_outs.named,
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Whether another run would not go further.
    pub(super) fn is_done(&self) -> bool {
        self.objects.tally.failed + self.events.failed + self.media.failed == 0
    }

    /// Whether archive and database agree.
    pub(super) fn is_well(&self) -> bool {
        self.is_done() && self.is_kept() && !(self.dry_run && self.has_findings())
    }

    /// Whether nothing was found that could not be repaired.
    fn is_kept(&self) -> bool {
        let Tally {
            erased, unreadable, ..
        } = self.objects.tally;
        let lost = self.events.lost + self.media.lost;
        erased + unreadable + lost + self.events.elsewhere == 0
    }

    fn has_findings(&self) -> bool {
        let astray = [
            self.objects.without_rows,
            self.events.missing + self.events.altered,
            self.media.missing + self.media.altered,
            self.counters.wrong,
        ];
        astray.iter().any(|number| *number > 0)
    }
}

impl Report for Swept {
    fn outcome(&self) -> &'static str {
        if !self.is_done() || !self.is_kept() {
            "incomplete"
        } else if !self.has_findings() {
            "clean"
        } else if self.dry_run {
            "planned"
        } else {
            "repaired"
        }
    }

    fn text(&self) -> String {
        let Self {
            objects,
            events,
            media,
            counters,
            ..
        } = self;
        let Tally {
            stored,
            duplicate,
            conflict,
            foreign,
            erased,
            original,
            unreadable,
            failed,
        } = objects.tally;
        let (of_objects, of_counters) = if self.dry_run {
            ("would be stored", "would be repaired".to_owned())
        } else {
            ("stored", format!("repaired: {}", counters.repaired))
        };
        let mut rows = vec![
            (
                "bucket",
                format!(
                    "{}, swept in {:.1} s",
                    self.bucket,
                    seconds(self.elapsed_ms)
                ),
            ),
            (
                "objects",
                format!(
                    "{}, without rows: {}",
                    objects.checked, objects.without_rows
                ),
            ),
        ];
        let of_orphans = [
            (of_objects, stored),
            ("stored meanwhile", duplicate),
            ("refused for their event id", conflict),
            ("refused, of another user", foreign),
            ("of an erased user or conversation", erased),
            ("of the original capture function", original),
            ("unreadable", unreadable),
            ("failed", failed),
        ];
        rows.extend(found(of_orphans));
        let astray = events.missing + events.altered;
        rows.push((
            "events",
            format!("{}, without their object: {astray}", events.checked),
        ));
        let of_astray = [
            ("missing", events.missing),
            ("altered", events.altered),
            ("restored", events.restored),
            ("made again of their rows", events.rebuilt),
            ("lost: their rows are what is left", events.lost),
            ("in another bucket", events.elsewhere),
            ("failed", events.failed),
        ];
        rows.extend(found(of_astray));
        let astray = media.missing + media.altered;
        rows.push(("media", format!("{}, not there: {astray}", media.checked)));
        rows.extend(found([
            ("missing", media.missing),
            ("altered", media.altered),
            ("restored", media.restored),
            ("lost", media.lost),
            ("failed", media.failed),
        ]));
        rows.push((
            "counters",
            match counters.wrong {
                0 => format!("of {} conversations, all right", counters.checked),
                wrong => format!(
                    "of {} conversations, wrong: {wrong}, {of_counters}",
                    counters.checked
                ),
            },
        ));
        rows.extend(self.rows.clone());
        if !self.is_done() {
            rows.push(("next", "run it again: what is repaired stays so".to_owned()));
        }
        table(&rows)
    }
}

/// What there is some of, a line each.
fn found<const N: usize>(
    counts: [(&'static str, usize); N],
) -> impl Iterator<Item = (&'static str, String)> {
    let some = counts.into_iter().filter(|(_, number)| *number > 0);
    some.map(|(what, number)| ("", format!("{number} {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::document;

    fn sample(dry_run: bool) -> Swept {
        let mut totals = Totals::default();
        totals.objects.checked = 1000;
        totals.objects.without_rows = 20;
        totals.objects.tally.stored = 20;
        totals.events.checked = 980;
        totals.events.missing = 20;
        totals.events.restored = if dry_run { 0 } else { 20 };
        totals.media.checked = 12;
        totals.media.altered = 1;
        totals.media.restored = usize::from(!dry_run);
        totals.counters.checked = 7;
        totals.counters.wrong = 1;
        totals.counters.repaired = usize::from(!dry_run);
        Swept::new("b", dry_run, totals, Duration::from_millis(1250))
    }

    #[test]
    fn a_person_reads_what_was_found_and_repaired() {
        insta::assert_snapshot!(sample(false).text(), @r"
        bucket    b, swept in 1.2 s
        objects   1000, without rows: 20
                  20 stored
        events    980, without their object: 20
                  20 missing
                  20 restored
        media     12, not there: 1
                  1 altered
                  1 restored
        counters  of 7 conversations, wrong: 1, repaired: 1
        ");
    }

    #[test]
    fn a_program_reads_a_document() {
        let swept = sample(false);
        insta::assert_snapshot!(document(swept.outcome(), &swept).unwrap(), @r#"{"outcome":"repaired","bucket":"b","dry_run":false,"objects":{"checked":1000,"without_rows":20,"stored":20,"duplicate":0,"conflict":0,"foreign":0,"erased":0,"original":0,"unreadable":0,"failed":0},"events":{"checked":980,"missing":20,"altered":0,"restored":20,"rebuilt":0,"lost":0,"elsewhere":0,"failed":0},"media":{"checked":12,"missing":0,"altered":1,"restored":1,"lost":0,"failed":0},"counters":{"checked":7,"wrong":1,"repaired":1},"left_out":[],"elapsed_ms":1250}"#);
    }

    #[test]
    fn what_is_lost_or_only_found_is_not_well() {
        assert!(sample(false).is_well());
        assert!(!sample(true).is_well());
        assert_eq!(sample(true).outcome(), "planned");
        let mut lost = sample(false);
        lost.events.lost = 1;
        assert!(!lost.is_well());
        assert_eq!(lost.outcome(), "incomplete");
        let mut lost = sample(false);
        lost.media.lost = 1;
        assert_eq!(lost.outcome(), "incomplete");
        let mut failed = sample(false);
        failed.media.failed = 1;
        assert!(!failed.is_done());
        let swept = Swept::new("b", true, Totals::default(), Duration::ZERO);
        assert!(swept.is_well());
        assert_eq!(swept.outcome(), "clean");
    }
}
