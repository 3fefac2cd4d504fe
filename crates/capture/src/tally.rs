//! What an invocation came to, in numbers.

use crate::item::{Item, Outcome, Progress, Reason};

/// What became of the items of an invocation, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Items that came.
    pub(crate) items: u64,
    /// Captures whose rows are new.
    pub(crate) stored: u64,
    /// Captures whose rows were there before.
    pub(crate) duplicate: u64,
    /// Captures that are archived and whose rows are left to somebody else.
    pub(crate) deferred: u64,
    /// Items put aside because their event id belongs to other content.
    pub(crate) conflict: u64,
    /// Items put aside because their conversation belongs to another user.
    pub(crate) foreign: u64,
    /// Items put aside for any reason.
    pub(crate) quarantined: u64,
    /// Items that their source must deliver again.
    pub(crate) failed: u64,
    /// Items with nothing to store in them.
    pub(crate) skipped: u64,
    /// Items in which characters had to be replaced.
    pub(crate) sanitized: u64,
    /// Places in which something was taken out.
    pub(crate) redactions: u64,
}

impl Tally {
    /// Counts.
    pub(crate) fn of(items: &[Item]) -> Self {
        let mut tally = Self::default();
        for item in items {
            tally.items += 1;
            tally.sanitized += u64::from(!item.repaired().is_clean());
            tally.redactions += item.redactions();
            for entry in item.entries() {
                match entry.progress {
                    Progress::Kept { duplicate: false } => tally.stored += 1,
                    Progress::Kept { duplicate: true } => tally.duplicate += 1,
                    Progress::Deferred => tally.deferred += 1,
                    Progress::Read
                    | Progress::Differs
                    | Progress::Archived { .. }
                    | Progress::Refused
                    | Progress::Out => {}
                }
            }
            match item.outcome() {
                Outcome::Kept => {}
                Outcome::PutAside(reason, _) => {
                    tally.quarantined += 1;
                    match reason {
                        Reason::Unreadable(_) => {}
                        Reason::Conflict { .. } => tally.conflict += 1,
                        Reason::Foreign { .. } => tally.foreign += 1,
                    }
                }
                Outcome::Failed(_) => tally.failed += 1,
                Outcome::Skipped(_) => tally.skipped += 1,
            }
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use store::Status;

    use super::*;
    use crate::batch::Batch;
    use crate::batch::tests::{STORED, carry, payload};
    use crate::intake::Intake;

    #[test]
    fn everything_that_came_is_counted() {
        let bodies = [
            r#"{"user_input":"new"}"#,
            r#"{"user_input":"cut emoji \ud83d"}"#,
            r#"{"user_input":"repeated"}"#,
            r#"{"user_input":"foreign"}"#,
            r#"{"user_input":"conflict"}"#,
            r#"{"hello":"unknown"}"#,
            "no JSON",
        ];
        let records = bodies.iter().enumerate().map(|(number, body)| {
            serde_json::json!({"messageId": format!("m-{number}"), "body": body, "eventSource": "aws:sqs"})
        });
        let sent = serde_json::json!({"Records": records.collect::<Vec<_>>()}).to_string();
        let mut batch = Batch::read(payload(sent), "request", &Intake::default()).unwrap();
        carry(
            &mut batch,
            |_| STORED(),
            |at| {
                Ok(match at.item {
                    0 | 1 => Status::Stored,
                    2 => Status::Duplicate,
                    3 => Status::Foreign,
                    4 => Status::Conflict,
                    item => panic!("item {item} has no rows"),
                })
            },
        );
        let expected = Tally {
            items: 7,
            stored: 2,
            duplicate: 1,
            deferred: 0,
            conflict: 1,
            foreign: 1,
            quarantined: 3,
            failed: 1,
            skipped: 0,
            sanitized: 1,
            redactions: 0,
        };
        assert_eq!(Tally::of(batch.items()), expected);
    }
}
