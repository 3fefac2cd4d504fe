//! What became of objects, counted; and what was left out, by name.

use serde::Serialize;
use store::Status;

/// How many are named; the others are counted.
const NAMED: usize = 100;
/// How many of them a person reads.
const SHOWN: usize = 20;

/// What became of objects.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Tally {
    pub(crate) stored: usize,
    pub(crate) duplicate: usize,
    pub(crate) conflict: usize,
    pub(crate) foreign: usize,
    pub(crate) erased: usize,
    pub(crate) original: usize,
    pub(crate) unreadable: usize,
    pub(crate) failed: usize,
}

/// Something that was left out, and why.
#[derive(Debug, Serialize)]
pub(crate) struct LeftOut {
    pub(crate) key: String,
    /// A stable word.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// What was left out, the first of it by name.
#[derive(Debug, Default)]
pub(crate) struct LeftOuts {
    pub(crate) named: Vec<LeftOut>,
    more: usize,
}

impl Tally {
    /// All of them.
    pub(crate) fn objects(&self) -> usize {
        let Self {
            stored,
            duplicate,
            conflict,
            foreign,
            erased,
            original,
            unreadable,
            failed,
        } = self;
        stored + duplicate + conflict + foreign + erased + original + unreadable + failed
    }

    /// Events of which the database knows.
    pub(crate) fn events(&self) -> usize {
        self.stored + self.duplicate + self.conflict + self.foreign
    }

    /// Counts what the database answered.
    pub(crate) fn count(&mut self, status: &Status) {
        match status {
            Status::Stored => self.stored += 1,
            Status::Duplicate => self.duplicate += 1,
            Status::Conflict => self.conflict += 1,
            Status::Foreign => self.foreign += 1,
            Status::Erased => self.erased += 1,
            Status::Unstorable(_) => self.failed += 1,
        }
    }

    /// Counts what was left out before the database was asked.
    pub(crate) fn left_out(&mut self, reason: &str) {
        match reason {
            "original" => self.original += 1,
            "failed" | "gone" => self.failed += 1,
            _ => self.unreadable += 1,
        }
    }
}

impl LeftOuts {
    pub(crate) fn push(&mut self, left: LeftOut) {
        if self.named.len() < NAMED {
            self.named.push(left);
        } else {
            self.more += 1;
        }
    }

    /// Takes those of another part.
    pub(crate) fn add(&mut self, others: Self) {
        for left in others.named {
            self.push(left);
        }
        self.more += others.more;
    }

    /// Rows for a table: the first of them, and how many there are besides.
    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        let shown = self.named.iter().take(SHOWN);
        let mut rows: Vec<_> = shown
            .map(|left| ("left out", format!("{}: {}", left.key, left.message)))
            .collect();
        let others = self.named.len().saturating_sub(SHOWN) + self.more;
        if others > 0 {
            rows.push((
                "left out",
                format!("{others} more, the first of them with --json"),
            ));
        }
        rows
    }
}
