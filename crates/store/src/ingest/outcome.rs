//! What became of an item.

use thiserror::Error;

/// What became of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Its rows are there, and were not before.
    Stored,
    /// The same event was stored before: nothing changed.
    Duplicate,
    /// Another event was stored under the same tenant, conversation and event id before: keep this one in quarantine.
    Conflict,
    /// The conversation belongs to somebody else: keep the event in quarantine. It stays refused when it is delivered
    /// again.
    Foreign,
    /// The person or the conversation was erased: remove the object. Nothing was written, not even in the ledger.
    Erased,
    /// The database cannot hold this content, whatever one does: let the source keep it for a human.
    Unstorable(Unstorable),
}

impl Status {
    /// The status as one word, stable for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::Foreign => "foreign",
            Self::Erased => "erased",
            Self::Unstorable(_) => "unstorable",
        }
    }

    /// Reads the statement's answer.
    pub(super) fn parse(word: &str) -> Option<Self> {
        [
            Self::Stored,
            Self::Duplicate,
            Self::Conflict,
            Self::Foreign,
            Self::Erased,
        ]
        .into_iter()
        .find(|status| status.as_str() == word)
    }
}

/// Why the database cannot hold an item. It never says what the item contains.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unstorable {
    /// PostgreSQL stores no U+0000. Cleaning the input replaces it, so this is an error of ours.
    #[error("character U+0000 in `{field}`")]
    Nul {
        /// The column.
        field: &'static str,
    },
    /// A number beyond the range of its column.
    #[error("number out of range in `{field}`")]
    Range {
        /// The column.
        field: &'static str,
    },
    /// The server refused the item, sent alone, for what it contains: a limit that we do not know.
    #[error("the database refuses the content; sqlstate: {sqlstate}")]
    Content {
        /// The SQLSTATE: of class 22 or 54, or 23514.
        sqlstate: String,
    },
}
