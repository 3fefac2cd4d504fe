//! What the database has refused, as the quarantine tells it.
//!
//! Which of two users owns a conversation, and which of two events has an id, is a matter of arrival, of which an empty
//! database knows nothing. What was refused lies in quarantine with the key of its object, so that it stays refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use archive::{Archive, ArchiveError};
use conversation::layout::QUARANTINE;
use conversation::{Capture, Delivery, Quarantine, Redactions};
use serde::Deserialize;
use store::sweep::Known;
use tokio::task::JoinSet;

use super::reader::Object;

/// Why an object's rows were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Its conversation belongs to another user.
    Foreign,
    /// Its event id belongs to other content.
    Conflict,
}

/// What is to be done with an object whose rows were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Have the database judge it: it will come to the same end as before.
    Judge,
    /// Leave it alone: what it was refused for is not there.
    Leave,
}

/// Keys of objects whose rows were refused.
#[derive(Debug, Default)]
pub(crate) struct Refused(BTreeMap<String, Reason>);

/// What matters of an object in quarantine.
#[derive(Deserialize)]
struct PutAside {
    reason: String,
    #[serde(default)]
    refused: Vec<String>,
}

impl Refused {
    /// Reads the whole quarantine, some objects at a time.
    pub(crate) async fn read(archive: &Archive, concurrency: usize) -> Result<Self, ArchiveError> {
        let mut refused = BTreeMap::new();
        let mut next = None;
        loop {
            let page = archive.list(QUARANTINE, None, next.as_deref()).await?;
            let mut waiting = page.entries.into_iter();
            let mut reading = JoinSet::new();
            loop {
                while reading.len() < concurrency
                    && let Some(entry) = waiting.next()
                {
                    let archive = archive.clone();
                    reading.spawn(async move { archive.get(&entry.key).await });
                }
                let stored = match reading.join_next().await {
                    None => break,
                    Some(Ok(Err(ArchiveError::NotFound(_)))) => continue,
                    Some(Ok(stored)) => stored?,
                    // Nothing cancels these tasks.
                    Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
                };
                refused.extend(keys(&stored.body));
            }
            next = page.next;
            if next.is_none() {
                return Ok(Self(refused));
            }
        }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(crate) fn reason(&self, key: &str) -> Option<Reason> {
        self.0.get(key).copied()
    }

    /// All of them, in the order of keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }
}

impl Reason {
    /// The word in quarantine, as capture writes it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::Conflict => "conflict",
        }
    }

    /// Puts an object's content aside, so that whoever rebuilds the database the next time knows.
    pub(crate) async fn put_aside(
        self,
        archive: &Archive,
        object: &Object,
    ) -> Result<(), ArchiveError> {
        let delivery = Delivery {
            id: Some(object.capture.event_id.clone()),
            time: object.capture.occurred_at,
            ..Delivery::archived()
        };
        let message = match self {
            Self::Foreign => "the conversation of the event belongs to another user",
            Self::Conflict => "other content was captured under the event's id before",
        };
        let quarantine = Quarantine {
            delivery: &delivery,
            reason: self.as_str(),
            message,
            input: &object.body,
            // The archive holds nothing that has still to be taken out.
            redactions: Redactions::default(),
            refused: &[&object.key],
        };
        let object = Arc::new(quarantine.object());
        archive.put(&object).await.map(drop)
    }

    /// What is to be done with an object that was refused for this reason, by what the database knows once all others are in
    /// it; `is_all` tells whether those were all that the archive has.
    pub(crate) fn verdict(self, capture: &Capture, known: &Known, is_all: bool) -> Verdict {
        let comes_to_the_same = match self {
            Self::Foreign => {
                known.ledger.is_some() || known.owner.is_some() && known.owner != capture.user_id
            }
            // The event that had the id first may be the very same object, where an id was used twice for one text.
            Self::Conflict => known.ledger.is_some() || is_all,
        };
        if comes_to_the_same {
            Verdict::Judge
        } else {
            Verdict::Leave
        }
    }
}

fn keys(body: &[u8]) -> Vec<(String, Reason)> {
    // What cannot be read here is no capture's, such as an input that a person has put aside.
    let Ok(aside) = serde_json::from_slice::<PutAside>(body) else {
        return Vec::new();
    };
    let reason = match aside.reason.as_str() {
        "foreign" => Reason::Foreign,
        "conflict" => Reason::Conflict,
        _ => return Vec::new(),
    };
    aside.refused.into_iter().map(|key| (key, reason)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_from_what_was_refused_and_from_nothing_else() {
        let body = br#"{"schema":"turnkeep.quarantine/1","reason":"foreign","message":"m","source":"sqs","input":"{}","refused":["a","b"]}"#;
        assert_eq!(
            keys(body),
            [
                ("a".to_owned(), Reason::Foreign),
                ("b".to_owned(), Reason::Foreign)
            ]
        );
        assert_eq!(keys(br#"{"reason":"conflict","input":"x"}"#), []);
        assert_eq!(keys(br#"{"reason":"not_json","refused":["a"]}"#), []);
        assert_eq!(keys(b"{"), []);
    }
}
