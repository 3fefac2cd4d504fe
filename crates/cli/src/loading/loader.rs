//! Rows of objects, stored by the statement that capture uses.

use archive::Archive;
use conversation::Ids;
use store::{Ownership, Status};

use super::reader::{Object, Reader, Step};
use super::refused::{Reason, Refused, Verdict};
use super::rows::Rows;
use super::tally::{LeftOut, LeftOuts, Tally};
use crate::failure::Failure;

/// Events of one statement, and bytes of their objects: the statement is the cheaper the more it brings, up to here.
const EVENTS: usize = 250;
const BYTES: usize = 4 * 1024 * 1024;

/// How objects are judged that the database does not know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judgement {
    /// What happens to another user's event.
    pub(crate) ownership: Ownership,
    /// Whether an event that names no user is stored though its conversation has an owner: it was, unless quarantine says
    /// otherwise, and came before the owner did.
    pub(crate) trusts_nameless: bool,
    /// Whether nothing is written.
    pub(crate) dry_run: bool,
}

/// Takes objects and stores them in batches.
pub(crate) struct Loader<'a> {
    archive: &'a Archive,
    rows: &'a Rows,
    judgement: Judgement,
    batch: Vec<Object>,
    bytes: usize,
    /// The last key that was given on before the batch began, and after it.
    done: Option<String>,
    /// Up to where all is stored; stays behind the first object that could not be read.
    stored_up_to: Option<String>,
    is_held_up: bool,
    pub(crate) tally: Tally,
    pub(crate) left_outs: LeftOuts,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(archive: &'a Archive, rows: &'a Rows, judgement: Judgement) -> Self {
        Self {
            archive,
            rows,
            judgement,
            batch: Vec::new(),
            bytes: 0,
            done: None,
            stored_up_to: None,
            is_held_up: false,
            tally: Tally::default(),
            left_outs: LeftOuts::default(),
        }
    }

    /// Up to which key all is done.
    pub(crate) fn place(&self) -> Option<&str> {
        self.stored_up_to.as_deref()
    }

    /// Takes a step of the reader; stores what has gathered once it is enough.
    pub(crate) async fn take(&mut self, step: Step) -> Result<(), Failure> {
        match step {
            Step::Object(object) => {
                self.bytes += object.body.len();
                self.batch.push(*object);
                if self.batch.len() >= EVENTS || self.bytes >= BYTES {
                    self.store().await?;
                }
            }
            Step::LeftOut(left) => self.leave_out(left),
            Step::Done(key) => {
                self.done = Some(key);
                if self.batch.is_empty() {
                    self.move_on();
                }
            }
        }
        Ok(())
    }

    /// Stores what has gathered.
    pub(crate) async fn store(&mut self) -> Result<(), Failure> {
        let batch = std::mem::take(&mut self.batch);
        self.bytes = 0;
        if self.judgement.dry_run {
            self.look(&batch).await?;
        } else {
            let Judgement {
                ownership,
                trusts_nameless,
                ..
            } = self.judgement;
            let is_first = |object: &&Object| trusts_nameless && object.capture.user_id.is_none();
            let (nameless, others): (Vec<_>, Vec<_>) = batch.iter().partition(is_first);
            self.ingest(&nameless, Ownership::Record).await?;
            self.ingest(&others, ownership).await?;
        }
        self.move_on();
        Ok(())
    }

    /// Has objects judged that were refused before, once all others are stored.
    pub(crate) async fn judge(
        &mut self,
        reader: &mut Reader,
        refused: &Refused,
        is_all: bool,
    ) -> Result<(), Failure> {
        while let Some(step) = reader.next().await? {
            let object = match step {
                Step::Object(object) => *object,
                Step::LeftOut(left) => {
                    self.leave_out(left);
                    continue;
                }
                Step::Done(_) => continue,
            };
            let known = self
                .rows
                .known(&[object.ids()])
                .await?
                .pop()
                .unwrap_or_default();
            let reason = refused.reason(&object.key).unwrap_or(Reason::Foreign);
            match reason.verdict(&object.capture, &known, is_all) {
                Verdict::Judge if !self.judgement.dry_run => {
                    self.ingest(&[&object], Ownership::Enforce).await?;
                }
                Verdict::Judge | Verdict::Leave => match reason {
                    Reason::Foreign => self.tally.foreign += 1,
                    Reason::Conflict => self.tally.conflict += 1,
                },
            }
        }
        Ok(())
    }

    async fn ingest(&mut self, objects: &[&Object], ownership: Ownership) -> Result<(), Failure> {
        let statuses = self.rows.ingest(objects, ownership).await?;
        for (object, status) in objects.iter().zip(statuses) {
            let status = self.settled(object, status).await?;
            self.tally.count(&status);
            let left_out = match &status {
                Status::Stored | Status::Duplicate | Status::Conflict | Status::Foreign => continue,
                Status::Erased => (
                    "erased",
                    "the user or the conversation was erased: remove the object".to_owned(),
                ),
                Status::Unstorable(reason) => ("unstorable", reason.to_string()),
            };
            self.left_outs.push(LeftOut {
                key: object.key.clone(),
                reason: left_out.0,
                message: left_out.1,
            });
        }
        Ok(())
    }

    /// What a refusal comes to: kept for the next rebuild, unless the object is the one that its row names.
    async fn settled(&self, object: &Object, status: Status) -> Result<Status, Failure> {
        let reason = match status {
            Status::Conflict => Reason::Conflict,
            Status::Foreign => Reason::Foreign,
            status => return Ok(status),
        };
        let known = self
            .rows
            .known(&[object.ids()])
            .await?
            .pop()
            .unwrap_or_default();
        let is_its_own = known.ledger.is_some_and(|held| {
            held.outcome == "stored"
                && held.s3_key == object.key
                && held.body_sha256 == object.sha256
        });
        if is_its_own {
            return Ok(Status::Duplicate);
        }
        reason.put_aside(self.archive, object).await?;
        Ok(status)
    }

    /// Counts what would become of objects.
    async fn look(&mut self, objects: &[Object]) -> Result<(), Failure> {
        let ids: Vec<Ids<'_>> = objects.iter().map(Object::ids).collect();
        for known in self.rows.known(&ids).await? {
            match known.ledger {
                None => self.tally.stored += 1,
                Some(held) if held.outcome == "foreign" => self.tally.foreign += 1,
                Some(_) => self.tally.duplicate += 1,
            }
        }
        Ok(())
    }

    fn leave_out(&mut self, left: LeftOut) {
        // What could not be read now may be later; what is no capture never will be.
        self.is_held_up |= left.reason == "failed";
        self.tally.left_out(left.reason);
        self.left_outs.push(left);
    }

    fn move_on(&mut self) {
        if !self.is_held_up && self.done.is_some() {
            self.stored_up_to = self.done.take();
        }
    }
}

impl Object {
    pub(crate) fn ids(&self) -> Ids<'_> {
        Ids {
            tenant_id: &self.capture.tenant_id,
            conversation_id: &self.capture.conversation_id,
            event_id: &self.capture.event_id,
        }
    }
}
