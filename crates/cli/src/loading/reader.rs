//! Objects, read some at a time and given on in their order.

use std::collections::VecDeque;
use std::time::Duration;

use archive::{Archive, ArchiveError, Entry, Retry};
use conversation::{ArchivedError, Capture};
use time::OffsetDateTime;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::tally::LeftOut;

/// Bytes that may be under way: an object is up to 32 MiB.
const BYTES: u64 = 64 * 1024 * 1024;
/// How often an object is asked for, besides the client's own retries, and after what pauses.
const PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(9),
];

/// An object, and the capture in it.
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) capture: Capture,
    pub(crate) body: Vec<u8>,
    pub(crate) sha256: [u8; 32],
    pub(crate) version_id: Option<String>,
    pub(crate) put_at: Option<OffsetDateTime>,
}

/// What comes next.
pub(crate) enum Step {
    Object(Box<Object>),
    LeftOut(LeftOut),
    /// All up to this key was given on.
    Done(String),
}

/// Reads objects ahead of whoever takes them.
pub(crate) struct Reader {
    archive: Archive,
    concurrency: usize,
    queue: VecDeque<Slot>,
    under_way: usize,
    bytes: u64,
}

enum Slot {
    Reading(u64, JoinHandle<Result<Step, ArchiveError>>),
    Done(String),
}

impl Reader {
    /// Reads at most `concurrency` objects at a time.
    pub(crate) fn new(archive: &Archive, concurrency: usize) -> Self {
        Self {
            archive: archive.clone(),
            concurrency,
            queue: VecDeque::new(),
            under_way: 0,
            bytes: 0,
        }
    }

    /// Whether something must be taken before more is read.
    pub(crate) fn is_full(&self) -> bool {
        self.under_way >= self.concurrency || self.bytes >= BYTES
    }

    /// Begins to read an object.
    pub(crate) fn read(&mut self, entry: Entry) {
        self.under_way += 1;
        self.bytes += entry.bytes;
        let bytes = entry.bytes;
        let archive = self.archive.clone();
        let reading = tokio::spawn(async move { read(&archive, entry.key).await });
        self.queue.push_back(Slot::Reading(bytes, reading));
    }

    /// Notes that all up to this key has been given to [`Reader::read`].
    pub(crate) fn done(&mut self, key: String) {
        self.queue.push_back(Slot::Done(key));
    }

    /// The next one, in the order in which they were begun; `None` if none is under way.
    ///
    /// # Errors
    /// What will be the same for every object.
    pub(crate) async fn next(&mut self) -> Result<Option<Step>, ArchiveError> {
        match self.queue.pop_front() {
            None => Ok(None),
            Some(Slot::Done(key)) => Ok(Some(Step::Done(key))),
            Some(Slot::Reading(bytes, reading)) => {
                self.under_way -= 1;
                self.bytes -= bytes;
                match reading.await {
                    Ok(step) => step.map(Some),
                    // Nothing cancels these tasks.
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                }
            }
        }
    }
}

async fn read(archive: &Archive, key: String) -> Result<Step, ArchiveError> {
    let mut pauses = PAUSES.into_iter();
    let stored = loop {
        match (archive.get(&key).await, pauses.next()) {
            (Ok(stored), _) => break stored,
            (Err(error @ ArchiveError::AccessDenied(_)), _) => return Err(error),
            (Err(error), Some(pause)) if error.retry() == Retry::Later => {
                tracing::info!(target: "turnkeep", key, code = error.code(), "reading the object again");
                sleep(pause).await;
            }
            (Err(error), _) => {
                let reason = if matches!(error, ArchiveError::NotFound(_)) {
                    "gone"
                } else {
                    "failed"
                };
                let message = startup::report::chain(&error);
                return Ok(Step::LeftOut(LeftOut {
                    key,
                    reason,
                    message,
                }));
            }
        }
    };
    Ok(match Capture::from_archived(&key, &stored.body) {
        Ok(capture) => Step::Object(Box::new(Object {
            key,
            capture,
            sha256: stored.sha256,
            version_id: stored.version_id,
            put_at: stored.put_at,
            body: stored.body,
        })),
        Err(error) => Step::LeftOut(unreadable(key, &error)),
    })
}

fn unreadable(key: String, error: &ArchivedError) -> LeftOut {
    LeftOut {
        key,
        reason: error.code(),
        message: startup::report::chain(error),
    }
}
