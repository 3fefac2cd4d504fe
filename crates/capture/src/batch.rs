//! All items of an invocation: which work is next, and where its results go.

mod media;

use std::collections::BTreeSet;
use std::sync::Arc;

use archive::{Put, Stored};
use conversation::{Clean, Document, Layout, Object, Sanitized, Source, sanitize};
use serde_json::value::RawValue;
use store::Status;

use crate::claim::Claim;
use crate::error::CaptureError;
use crate::intake::{self, Intake};
use crate::item::{Entry, Item, Progress};
use crate::redaction::KeyError;
use crate::source::{self, Answer, Payload, SourceError};

/// What one invocation brought, in its order.
pub(crate) struct Batch {
    source: &'static str,
    answer: Answer,
    items: Vec<Item>,
}

/// Where a capture stands in its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) item: usize,
    pub(crate) entry: usize,
}

impl Batch {
    /// Reads the payload of one invocation. One item that cannot be read does not touch the others.
    ///
    /// # Errors
    /// [`SourceError`] if there are no items to speak of.
    pub(crate) fn read(
        payload: Box<RawValue>,
        request_id: &str,
        intake: &Intake,
    ) -> Result<Self, SourceError> {
        let clean = sanitize::clean_json(&payload);
        let document = Document::read(&clean);
        let unwrapped = match &document {
            Ok(document) => source::unwrap(document.root(), request_id, &intake.http)?,
            Err(_) => Payload::Direct,
        };
        let mut batch = match unwrapped {
            Payload::Direct => {
                let repaired = clean.sanitized();
                let item = intake::direct(repaired, document, request_id, intake);
                drop(clean);
                Self {
                    source: Source::Direct.as_str(),
                    answer: Answer::Event,
                    items: vec![
                        item.that_came_as(Box::<str>::from(payload).into_string().into_bytes()),
                    ],
                }
            }
            Payload::Records(records) => {
                let mut items = Vec::with_capacity(records.all.len());
                let repaired = repaired(&clean, document.as_ref().ok(), records.all.len());
                // The records hold what is in it, and captures need the memory.
                drop(document);
                drop(clean);
                drop(payload);
                for (record, repaired) in records.all.into_iter().zip(repaired) {
                    intake::record(record, repaired, intake, &mut items);
                }
                Self {
                    source: records.word,
                    answer: records.answer,
                    items,
                }
            }
        };
        batch.hold_groups_back();
        Ok(batch)
    }

    /// The word for where all of it came from.
    pub(crate) fn source(&self) -> &'static str {
        self.source
    }

    /// What the source understands of an answer.
    pub(crate) fn answer(&self) -> Answer {
        self.answer
    }

    /// The items in the order of the payload.
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    /// Gives the items away.
    pub(crate) fn into_items(self) -> Vec<Item> {
        self.items
    }

    /// The objects that are to be read before anything else is done, each with the position of its item.
    pub(crate) fn to_fetch(&self) -> Vec<(usize, Claim)> {
        let items = self.items.iter().enumerate();
        items
            .flat_map(|(position, item)| {
                let claims = item.claims().iter();
                claims.map(move |claim| (position, claim.clone()))
            })
            .collect()
    }

    /// Puts what was read of objects in the place of the items that named them; both are in the order of the items. Some of it
    /// may name objects in turn.
    pub(crate) fn fetched(
        &mut self,
        objects: Vec<(usize, Result<Vec<u8>, CaptureError>)>,
        intake: &Intake,
    ) {
        let mut objects = objects.into_iter().peekable();
        for (position, item) in std::mem::take(&mut self.items).into_iter().enumerate() {
            let is_its_own = |(of, _): &(usize, _)| *of == position;
            let own = std::iter::from_fn(|| objects.next_if(is_its_own));
            let own: Vec<_> = own.map(|(_, object)| object).collect();
            match item.into_claimed() {
                Ok(claimed) if own.is_empty() => {
                    let (arrived, repaired, _) = claimed;
                    let unfinished = CaptureError::Unfinished;
                    self.items.push(Item::failed(arrived, repaired, unfinished));
                }
                Ok(claimed) => {
                    let own = own.into_iter().collect();
                    intake::fetched(claimed, own, intake, &mut self.items);
                }
                Err(item) => self.items.push(*item),
            }
        }
        self.hold_groups_back();
    }

    /// Has everything come again that says anything, whatever it was found to be: there is no key to redact it with.
    pub(crate) fn give_up(&mut self, error: &Arc<KeyError>) {
        for item in &mut self.items {
            item.give_up(CaptureError::Key(Arc::clone(error)));
        }
    }

    /// Whether there are captures that are to be archived.
    pub(crate) fn has_to_archive(&self) -> bool {
        let mut left = self.entries(|entry| entry.progress == Progress::Read);
        left.next().is_some()
    }

    /// The objects of captures that are to be archived.
    pub(crate) fn to_archive(&self) -> Vec<(Position, Arc<Object>)> {
        self.entries(|entry| entry.progress == Progress::Read)
            .map(|(position, entry)| (position, Arc::clone(&entry.object)))
            .collect()
    }

    /// Takes note of what became of puts.
    pub(crate) fn archived(
        &mut self,
        puts: impl IntoIterator<Item = (Position, Result<Put, CaptureError>)>,
    ) {
        for (position, put) in puts {
            if let Some(item) = self.items.get_mut(position.item) {
                item.archived(position.entry, put);
            }
        }
        self.hold_groups_back();
    }

    /// The keys under which another object lies than was to be put, to be read and compared.
    pub(crate) fn to_compare(&self) -> Vec<(Position, String)> {
        self.entries(|entry| entry.progress == Progress::Differs)
            .map(|(position, entry)| (position, entry.object.key.clone()))
            .collect()
    }

    /// Takes note of the object that lies under the key of a capture.
    pub(crate) fn compared(
        &mut self,
        position: Position,
        stored: Result<Stored, CaptureError>,
        layout: Layout,
    ) {
        if let Some(item) = self.items.get_mut(position.item) {
            item.compared(position.entry, stored, layout);
        }
        self.hold_groups_back();
    }

    /// The captures whose rows are to be stored.
    pub(crate) fn to_ingest(&self) -> Vec<(Position, &Entry)> {
        self.entries(|entry| matches!(entry.progress, Progress::Archived { .. }))
            .collect()
    }

    /// Takes note that the rows of what is archived are left to somebody else.
    pub(crate) fn defer(&mut self) {
        for item in &mut self.items {
            item.defer();
        }
    }

    /// Takes note of what became of rows.
    pub(crate) fn ingested(
        &mut self,
        rows: impl IntoIterator<Item = (Position, Result<Status, CaptureError>)>,
    ) {
        for (position, status) in rows {
            if let Some(item) = self.items.get_mut(position.item) {
                item.ingested(position.entry, status);
            }
        }
        self.hold_groups_back();
    }

    /// The objects of inputs that are to be put aside.
    pub(crate) fn to_quarantine(&self) -> Vec<(Position, Arc<Object>)> {
        let quarantine = |(position, item): (usize, &Item)| {
            Some((
                Position {
                    item: position,
                    entry: 0,
                },
                Arc::new(item.quarantine()?),
            ))
        };
        self.items
            .iter()
            .enumerate()
            .filter_map(quarantine)
            .collect()
    }

    /// Takes note of what became of the puts of inputs, by key.
    pub(crate) fn quarantined(
        &mut self,
        puts: impl IntoIterator<Item = (Position, String, Result<Put, CaptureError>)>,
    ) {
        for (position, key, put) in puts {
            if let Some(item) = self.items.get_mut(position.item) {
                item.quarantined(&key, put);
            }
        }
        self.hold_groups_back();
    }

    /// Captures of items that have not failed.
    fn entries(&self, wanted: impl Fn(&Entry) -> bool) -> impl Iterator<Item = (Position, &Entry)> {
        let live = self
            .items
            .iter()
            .enumerate()
            .filter(|(_, item)| !item.has_failed());
        live.flat_map(|(item, value)| {
            value
                .entries()
                .iter()
                .enumerate()
                .map(move |(entry, value)| (Position { item, entry }, value))
        })
        .filter(move |(_, entry)| wanted(entry))
    }

    /// Fails what comes after a failed item of the same ordered group, so that the queue delivers all of it again in
    /// order.
    fn hold_groups_back(&mut self) {
        let mut stopped = BTreeSet::new();
        for item in &mut self.items {
            let Some(group) = item.group() else { continue };
            if stopped.contains(group) {
                item.fail(CaptureError::HeldBack);
            } else if item.has_failed() {
                stopped.insert(group.to_owned());
            }
        }
    }
}

/// How many bytes of objects have their rows in one statement. The driver holds a statement twice, and for as long as its
/// connection lives.
const STATEMENT_BYTES: usize = 1024 * 1024;

/// Splits captures for the statements that store them, in their order: nearly always into one.
pub(crate) fn statements<'a, 'b>(
    captures: &'b [(Position, &'a Entry)],
) -> Vec<&'b [(Position, &'a Entry)]> {
    let mut rest = captures;
    let mut statements = Vec::new();
    while !rest.is_empty() {
        let mut bytes = 0_usize;
        let fits = |(_, entry): &&(Position, &Entry)| {
            bytes = bytes.saturating_add(entry.bytes);
            bytes <= STATEMENT_BYTES
        };
        let length = rest.iter().take_while(fits).count().max(1);
        let (statement, others) = rest.split_at(length.min(rest.len()));
        statements.push(statement);
        rest = others;
    }
    statements
}

/// What had to be repaired in each of so many records. Of one record nothing is said by its neighbours: what is said of an
/// event stands in its object, which has to be the same in whatever company the event comes again.
fn repaired(clean: &Clean<'_>, document: Option<&Document<'_>>, records: usize) -> Vec<Sanitized> {
    let root = document.map(Document::root);
    let listed = root.and_then(|root| root.items().or_else(|| root.get("Records")?.items()));
    match listed {
        Some(listed) if listed.len() == records => {
            let listed = listed.iter();
            listed
                .map(|record| clean.repaired_in(record.text()))
                .collect()
        }
        _ => vec![clean.sanitized(); records],
    }
}

#[cfg(test)]
pub(crate) mod tests;
