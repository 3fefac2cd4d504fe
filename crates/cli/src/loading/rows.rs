//! The database, for hours: through rotations, failovers and a server that is asleep for a while.

use std::time::Duration;

use archive::Archive;
use aurora_session::{Connection, RunError, Session};
use conversation::Ids;
use store::sweep::{self, Claim, Counted, Known, LedgerPlace, NamedMedia, Part, Told};
use store::{Archived, Item, Ownership, Statements, Status, StoreError};
use tokio::time::{Instant, sleep};

use super::reader::Object;
use crate::access::Access;
use crate::failure::{Exit, Failure};
use crate::progress;

/// What one statement may take, the way to the database included: longer than a database needs to wake up.
const STATEMENT: Duration = Duration::from_mins(1);
/// How often a statement is tried while the database is away, and after what pause.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(2);

/// A connection that is replaced when it breaks.
pub(crate) struct Rows {
    session: Session,
    bucket: String,
    /// When the verb must be over, if `--timeout` says so.
    end: Option<Instant>,
}

impl Rows {
    /// Connects to nothing yet.
    pub(crate) fn new(access: &Access, archive: &Archive) -> Result<Self, Failure> {
        let session = access
            .session(&access.settings.secret, access.trust()?)
            .build()?;
        Ok(Self {
            session,
            bucket: archive.bucket().to_owned(),
            end: access.end(),
        })
    }

    /// Stores the rows of `objects`, as capture does. Repeating it changes nothing.
    pub(crate) async fn ingest(
        &self,
        objects: &[&Object],
        ownership: Ownership,
    ) -> Result<Vec<Status>, Failure> {
        if objects.is_empty() {
            return Ok(Vec::new());
        }
        let items: Vec<Item<'_>> = objects.iter().map(|object| self.item(object)).collect();
        let items = items.as_slice();
        self.run(async |client| {
            // The session's own limit comes first.
            let deadline = Instant::now() + 2 * STATEMENT;
            store::ingest(&client, items, ownership, Statements::Unnamed, deadline).await
        })
        .await
    }

    /// What is known of these events, in their order.
    pub(crate) async fn known(&self, ids: &[Ids<'_>]) -> Result<Vec<Known>, Failure> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let tenants: Vec<_> = ids.iter().map(|ids| ids.tenant_id).collect();
        let conversations: Vec<_> = ids.iter().map(|ids| ids.conversation_id).collect();
        let events: Vec<_> = ids.iter().map(|ids| ids.event_id).collect();
        let (tenants, conversations, events) = (&tenants, &conversations, &events);
        self.run(async |client| sweep::known(&client, tenants, conversations, events).await)
            .await
    }

    /// A page of the ledger.
    pub(crate) async fn ledger(
        &self,
        part: &Part,
        after: &LedgerPlace,
        limit: i64,
    ) -> Result<Vec<Claim>, Failure> {
        self.run(async |client| sweep::ledger(&client, part, after, limit).await)
            .await
    }

    /// All that the rows of an event say, if they are all there.
    pub(crate) async fn told(&self, place: &LedgerPlace) -> Result<Option<Told>, Failure> {
        self.run(async |client| sweep::told(&client, place).await)
            .await
    }

    /// The media that a page of conversations names.
    pub(crate) async fn media(
        &self,
        part: &Part,
        after: Option<&(String, String)>,
        limit: i64,
    ) -> Result<NamedMedia, Failure> {
        let bucket = self.bucket.as_str();
        self.run(async |client| sweep::media(&client, bucket, part, after, limit).await)
            .await
    }

    /// Counts a page of conversations again.
    pub(crate) async fn counters(
        &self,
        part: &Part,
        after: Option<&(String, String)>,
        limit: i64,
        repairs: bool,
    ) -> Result<Counted, Failure> {
        self.run(async |client| sweep::counters(&client, part, after, limit, repairs).await)
            .await
    }

    /// Whether a `--timeout` has passed.
    pub(crate) fn check_time(&self) -> Result<(), Failure> {
        match self.end {
            Some(end) if Instant::now() >= end => Err(Failure::new(
                Exit::Unreachable,
                "Timeout",
                "the time is up; what was stored stays",
            )
            .next(
                "run it again with a longer --timeout, and with --resume to go on where it stopped",
            )),
            _ => Ok(()),
        }
    }

    fn item<'a>(&'a self, object: &'a Object) -> Item<'a> {
        Item {
            capture: &object.capture,
            archived: Archived {
                bucket: &self.bucket,
                key: &object.key,
                version_id: object.version_id.as_deref(),
                sha256: &object.sha256,
                bytes: object.body.len(),
                at: object.put_at,
            },
        }
    }

    /// Runs a statement that may be repeated, and repeats it while the database is away.
    async fn run<T, F, W>(&self, work: F) -> Result<T, Failure>
    where
        F: Fn(Connection) -> W,
        W: Future<Output = Result<T, StoreError>>,
    {
        let mut attempt = 1;
        loop {
            self.check_time()?;
            let deadline = Instant::now() + STATEMENT;
            let deadline = self.end.map_or(deadline, |end| end.min(deadline));
            let ran = self.session.run(true, deadline, &work);
            match progress::watch("the database", ran).await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    let failure = failure(error);
                    if failure.exit() != Exit::Unreachable || attempt == ATTEMPTS {
                        return Err(failure);
                    }
                    tracing::info!(target: "turnkeep", code = failure.code(), "trying the statement again");
                    sleep(PAUSE).await;
                    attempt += 1;
                }
            }
        }
    }
}

fn failure(error: RunError<StoreError>) -> Failure {
    match error {
        RunError::Session(error) => error.into(),
        RunError::Work(error) => error.into(),
        error => Failure::new(Exit::Unreachable, "Timeout", startup::report::chain(&error)),
    }
}
