//! One item of an invocation on its way to an outcome. Decisions only, no effects.
//!
//! The way is the same for every source: read, archived, kept. It ends early in one of two ways. An item is *put aside*
//! when delivering it again would end the same; it *fails* when the source must deliver it again.

mod memory;
mod redacted;

use std::sync::Arc;

use archive::Put;
use conversation::{AdaptError, Capture, Delivery, Object, Quarantine, Redactor, Sanitized};
use store::Status;

use crate::claim::Claim;
use crate::error::CaptureError;
use crate::intake::{Claimed, Intake};

/// What is handled or fails as one, and what was made of it.
pub(crate) struct Item {
    arrived: Arrived,
    repaired: Sanitized,
    /// Its captures; more than one if the event is a list.
    entries: Vec<Entry>,
    verdict: Verdict,
    /// What it was redacted by.
    redactor: Option<Arc<Redactor>>,
}

/// An input as it came.
pub(crate) struct Arrived {
    /// Id of its record, by which the source is told that it failed.
    pub(crate) record_id: Option<String>,
    /// Group within which the source promises order.
    pub(crate) group: Option<String>,
    pub(crate) delivery: Delivery,
    pub(crate) input: Vec<u8>,
}

impl Arrived {
    /// Another input of the same record.
    pub(crate) fn with(&self, input: Vec<u8>) -> Self {
        Self {
            record_id: self.record_id.clone(),
            group: self.group.clone(),
            delivery: self.delivery.clone(),
            input,
        }
    }
}

/// One capture on its way.
pub(crate) struct Entry {
    /// What was captured.
    pub(crate) capture: Capture,
    /// What archives it; shared with the task that puts it. Without its body once that lies in the bucket.
    pub(crate) object: Arc<Object>,
    /// How many bytes its body has.
    pub(crate) bytes: usize,
    /// What that names and has to lie in the bucket before.
    pub(crate) media: Vec<Arc<Object>>,
    /// Its fingerprint without redaction.
    plain: [u8; 32],
    /// How far it has come.
    pub(crate) progress: Progress,
}

/// How far a capture has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It was read.
    Read,
    /// Another object lies under its key, which may be the same event by another policy of redaction.
    Differs,
    /// Its object lies in the bucket.
    Archived {
        /// S3's version id of the object.
        version_id: Option<String>,
    },
    /// Its rows are stored too.
    Kept {
        /// Whether they were stored before this delivery.
        duplicate: bool,
    },
    /// Its object lies in the bucket, and its rows are somebody else's business.
    Deferred,
    /// Its object lies in the bucket, and the database has judged that its rows stay out.
    Refused,
    /// It stays out of the rows; the item's verdict says why.
    Out,
}

/// Why an input is put aside: delivered again, it would end the same way.
#[derive(Debug)]
pub(crate) enum Reason {
    /// It is not JSON.
    Unreadable(AdaptError),
    /// Its event id belongs to other content.
    Conflict {
        /// The event id.
        event_id: String,
    },
    /// Its conversation belongs to another user.
    Foreign {
        /// The event id.
        event_id: String,
    },
}

/// What is decided about an item as a whole.
enum Verdict {
    /// Nothing: its captures decide.
    Open,
    ToPutAside(Reason),
    PutAside {
        reason: Reason,
        key: String,
    },
    Failed(CaptureError),
    /// There is nothing to store.
    Skipped(&'static str),
    /// An object has what is to be stored.
    Claimed(Box<Claimed>),
}

/// What became of an item.
#[derive(Debug)]
pub(crate) enum Outcome<'a> {
    /// All its captures are stored: the source may forget it.
    Kept,
    /// Its input lies in quarantine: a queue may forget it, a direct sender is told.
    PutAside(&'a Reason, &'a str),
    /// The source must deliver it again.
    Failed(&'a CaptureError),
    /// There was nothing to store, for this reason: the source may forget it.
    Skipped(&'static str),
}

impl Item {
    /// An item whose event was `repaired` and read.
    pub(crate) fn read(
        arrived: Arrived,
        repaired: Sanitized,
        captures: Result<Vec<Capture>, AdaptError>,
        intake: &Intake,
    ) -> Self {
        let redactor = intake.redactor.clone();
        let (entries, verdict) = match captures {
            Ok(captures) => {
                let entries = captures.into_iter();
                let entries = entries.map(|capture| Entry::new(capture, intake));
                (entries.collect(), Verdict::Open)
            }
            Err(error @ AdaptError::NotJson { .. }) => {
                (Vec::new(), Verdict::ToPutAside(Reason::Unreadable(error)))
            }
            Err(error) => {
                let error = Self::error(error, redactor.as_deref());
                (Vec::new(), Verdict::Failed(error))
            }
        };
        Self {
            arrived,
            repaired,
            entries,
            verdict,
            redactor,
        }
    }

    /// With this as its input.
    pub(crate) fn that_came_as(mut self, input: Vec<u8>) -> Self {
        self.arrived.input = input;
        self
    }

    /// An item of which no event was made.
    pub(crate) fn failed(arrived: Arrived, repaired: Sanitized, error: CaptureError) -> Self {
        Self {
            arrived,
            repaired,
            entries: Vec::new(),
            verdict: Verdict::Failed(error),
            redactor: None,
        }
    }

    /// An item whose event lies in an object.
    pub(crate) fn claimed(arrived: Arrived, repaired: Sanitized, claimed: Claimed) -> Self {
        Self {
            arrived,
            repaired,
            entries: Vec::new(),
            verdict: Verdict::Claimed(Box::new(claimed)),
            redactor: None,
        }
    }

    /// An item with nothing to store in it.
    pub(crate) fn skipped(arrived: Arrived, why: &'static str) -> Self {
        Self {
            arrived,
            repaired: Sanitized::default(),
            entries: Vec::new(),
            verdict: Verdict::Skipped(why),
            redactor: None,
        }
    }

    /// By which the source is told that the item failed; `None` where it asks for nothing like that.
    pub(crate) fn record_id(&self) -> Option<&str> {
        self.arrived.record_id.as_deref()
    }

    /// Group within which the source promises order, if it does.
    pub(crate) fn group(&self) -> Option<&str> {
        self.arrived.group.as_deref()
    }

    /// What had to be repaired before the item could be read.
    pub(crate) fn repaired(&self) -> Sanitized {
        self.repaired
    }

    /// Its captures; none if it could not be read.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The objects that are to be read before anything else is done.
    pub(crate) fn claims(&self) -> &[Claim] {
        match &self.verdict {
            Verdict::Claimed(claimed) => &claimed.claims,
            _ => &[],
        }
    }

    /// Gives away what is known of the object; the item itself if none is to be read.
    pub(crate) fn into_claimed(self) -> Result<(Arrived, Sanitized, Claimed), Box<Self>> {
        match self.verdict {
            Verdict::Claimed(claimed) => Ok((self.arrived, self.repaired, *claimed)),
            verdict => Err(Box::new(Self { verdict, ..self })),
        }
    }

    /// Whether nothing more is to be done for its captures.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.verdict, Verdict::Failed(_))
    }

    /// Lets the source deliver the item again. The first error stays; what was put aside before is found again then.
    pub(crate) fn fail(&mut self, error: CaptureError) {
        if !self.has_failed() {
            self.verdict = Verdict::Failed(error);
        }
    }

    /// As [`Item::fail`], in the place of an earlier error too, which may quote the event.
    pub(crate) fn give_up(&mut self, error: CaptureError) {
        if !matches!(self.verdict, Verdict::Skipped(_)) {
            self.verdict = Verdict::Failed(error);
        }
    }

    fn put_aside(&mut self, reason: Reason) {
        if matches!(self.verdict, Verdict::Open) {
            self.verdict = Verdict::ToPutAside(reason);
        }
    }

    /// Takes note of what became of the put of a capture.
    pub(crate) fn archived(&mut self, entry: usize, put: Result<Put, CaptureError>) {
        let may_have_been_redacted = self.may_have_been_redacted();
        let Some(entry) = self.entries.get_mut(entry) else {
            return;
        };
        match put {
            Ok(
                Put::Stored { version_id }
                | Put::AlreadyStored {
                    version_id,
                    same_content: true,
                },
            ) => {
                entry.progress = Progress::Archived { version_id };
                entry.let_body_go();
            }
            Ok(Put::AlreadyStored {
                same_content: false,
                ..
            }) if may_have_been_redacted => entry.progress = Progress::Differs,
            Ok(Put::AlreadyStored {
                same_content: false,
                ..
            }) => {
                entry.progress = Progress::Out;
                let event_id = entry.capture.event_id.clone();
                self.put_aside(Reason::Conflict { event_id });
            }
            Err(error) => self.fail(error),
        }
    }

    /// Takes note of what became of the rows of a capture.
    pub(crate) fn ingested(&mut self, entry: usize, status: Result<Status, CaptureError>) {
        let Some(entry) = self.entries.get_mut(entry) else {
            return;
        };
        let event_id = entry.capture.event_id.clone();
        let status = match status {
            Ok(status) => status,
            Err(error) => return self.fail(error),
        };
        entry.progress = match status {
            Status::Stored => Progress::Kept { duplicate: false },
            Status::Duplicate => Progress::Kept { duplicate: true },
            Status::Conflict | Status::Foreign => Progress::Refused,
            Status::Erased | Status::Unstorable(_) => Progress::Out,
        };
        match status {
            Status::Stored | Status::Duplicate => {}
            Status::Conflict => self.put_aside(Reason::Conflict { event_id }),
            Status::Foreign => self.put_aside(Reason::Foreign { event_id }),
            Status::Erased => {
                let key = entry.object.key.clone();
                self.fail(CaptureError::Erased { event_id, key });
            }
            Status::Unstorable(reason) => self.fail(CaptureError::Unstorable(reason)),
        }
    }

    /// Takes note that the rows of what is archived are left to somebody else.
    pub(crate) fn defer(&mut self) {
        for entry in &mut self.entries {
            if matches!(entry.progress, Progress::Archived { .. }) {
                entry.progress = Progress::Deferred;
            }
        }
    }

    /// The object that keeps the input, if it is to be put aside and was not yet.
    pub(crate) fn quarantine(&self) -> Option<Object> {
        let Verdict::ToPutAside(reason) = &self.verdict else {
            return None;
        };
        let (input, redactions) = self.input();
        let is_refused = |entry: &&Entry| entry.progress == Progress::Refused;
        let refused = self.entries.iter().filter(is_refused);
        let refused: Vec<_> = refused.map(|entry| entry.object.key.as_str()).collect();
        let quarantine = Quarantine {
            delivery: &self.arrived.delivery,
            reason: reason.name(),
            message: &reason.sentence(),
            input: &input,
            redactions,
            refused: &refused,
        };
        Some(quarantine.object())
    }

    /// Takes note of what became of the put of the input.
    pub(crate) fn quarantined(&mut self, key: &str, put: Result<Put, CaptureError>) {
        if let Err(error) = put {
            return self.fail(error);
        }
        self.verdict = match std::mem::replace(&mut self.verdict, Verdict::Open) {
            Verdict::ToPutAside(reason) => Verdict::PutAside {
                reason,
                key: key.to_owned(),
            },
            other => other,
        };
    }

    /// What became of the item, once everything was tried: never [`Outcome::Kept`] unless all of it is.
    pub(crate) fn outcome(&self) -> Outcome<'_> {
        match &self.verdict {
            Verdict::Failed(error) => Outcome::Failed(error),
            Verdict::PutAside { reason, key } => Outcome::PutAside(reason, key),
            Verdict::Skipped(why) => Outcome::Skipped(why),
            Verdict::Open if self.entries.iter().all(Entry::is_kept) => Outcome::Kept,
            Verdict::Open | Verdict::ToPutAside(_) | Verdict::Claimed(_) => {
                Outcome::Failed(&CaptureError::Unfinished)
            }
        }
    }

    /// Gives its captures to the reply of a direct invocation, all of them kept, or the error to fail with.
    pub(crate) fn finish(self) -> Result<Vec<Entry>, CaptureError> {
        match self.verdict {
            Verdict::Open if self.entries.iter().all(Entry::is_kept) => Ok(self.entries),
            Verdict::Skipped(_) => Ok(Vec::new()),
            Verdict::Open | Verdict::ToPutAside(_) | Verdict::Claimed(_) => {
                Err(CaptureError::Unfinished)
            }
            Verdict::Failed(error) => Err(error),
            Verdict::PutAside { reason, key } => Err(match reason {
                Reason::Unreadable(source) => CaptureError::Unreadable { key, source },
                Reason::Conflict { event_id } => CaptureError::Conflict { event_id, key },
                Reason::Foreign { event_id } => CaptureError::Foreign { event_id, key },
            }),
        }
    }
}

impl Entry {
    fn is_kept(&self) -> bool {
        matches!(self.progress, Progress::Kept { .. } | Progress::Deferred)
    }
}

impl Progress {
    /// The word in a reply.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Differs => "differs",
            Self::Archived { .. } | Self::Deferred => "archived",
            Self::Kept { duplicate: false } => "stored",
            Self::Kept { duplicate: true } => "duplicate",
            Self::Refused | Self::Out => "out",
        }
    }
}

impl Reason {
    /// Stable name, in quarantine objects and in the log.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Unreadable(error) => error.code(),
            Self::Conflict { .. } => "conflict",
            Self::Foreign { .. } => "foreign",
        }
    }

    /// The reason in a sentence, without any text of the input.
    fn sentence(&self) -> String {
        match self {
            Self::Unreadable(error) => error.to_string(),
            Self::Conflict { event_id } => {
                format!("other content was captured under event id `{event_id}` before")
            }
            Self::Foreign { event_id } => {
                format!("the conversation of event `{event_id}` belongs to another user")
            }
        }
    }
}
