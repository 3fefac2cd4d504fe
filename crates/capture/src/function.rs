//! The function between its invocations, and the effects of one.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use archive::{Archive, Put};
use aurora_session::{RunError, SdkConfig, SecretsManager, Session, SessionError};
use conversation::Object;
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde_json::value::RawValue;
use startup::environment::DEFAULT_DB_NAME;
use store::{Archived, Prepared, Statements, Status, StoreError};
use time::OffsetDateTime;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::batch::{self, Batch};
use crate::claim::{Claim, ClaimError};
use crate::config::{Config, Durability, Pooler};
use crate::error::CaptureError;
use crate::intake::Intake;
use crate::item::{Entry, Progress};
use crate::redaction::{KeyError, Keyed};
use crate::reply::Reply;
use crate::report::{self, Times};
use crate::unpack;

/// `application_name` of the database connection.
const APPLICATION_NAME: &str = "conversation-capture";
/// Puts under way at the same time: S3 answers in tens of milliseconds, and each put holds a copy of its body.
const CONCURRENT_PUTS: usize = 16;
/// Bytes of objects after which no further one is read in an invocation: what is left comes again by itself, when those that
/// were read are done with.
const FETCHED_BYTES: usize = unpack::MAX_BYTES;
/// Time kept back for the answer, so that it is given before the margin begins and not just then.
const ANSWERING: Duration = Duration::from_millis(100);
/// Time for connecting during the init phase, which the service ends after 10 s: a database that is asleep must not use
/// it up.
const WARM_UP: Duration = Duration::from_secs(2);

/// The function `conversation-capture`: what an execution environment keeps between invocations.
pub struct Function {
    config: Config,
    archive: Archive,
    session: Session,
    prepared: Prepared,
    keyed: Keyed,
}

impl Function {
    /// Makes the function. Connects to nothing.
    ///
    /// # Errors
    /// [`SessionError`] if the session's settings cannot be used.
    pub fn new(config: Config, aws: &SdkConfig) -> Result<Self, SessionError> {
        let secrets = SecretsManager::new(aws, None);
        let mut session = Session::builder(secrets.clone(), &config.secret_id)
            .application_name(APPLICATION_NAME)
            .default_dbname(DEFAULT_DB_NAME)
            .observer(report::session_event);
        if let Some(host) = &config.host {
            session = session.host(host);
        }
        if let Some(port) = config.port {
            session = session.port(port);
        }
        if let Some(dbname) = &config.dbname {
            session = session.dbname(dbname);
        }
        if let Some(trust) = &config.trust {
            session = session.trust(trust.clone());
        }
        Ok(Self {
            archive: Archive::new(aws, &config.bucket),
            session: session.build()?,
            prepared: Prepared::new(),
            keyed: Keyed::new(secrets),
            config,
        })
    }

    /// Connects to the database while the service still counts it as start-up. Never fatal: the first invocation tries
    /// again, and meanwhile the archive may work. Nothing with `DURABILITY=s3`, which leaves the database alone.
    pub async fn warm_up(&self) {
        let is_archive_all = self.config.durability == Durability::Archive;
        let deadline = Instant::now() + WARM_UP;
        // What fails here is told by the first invocation, which needs the key.
        let (_, connected) = tokio::join!(self.intake(deadline), async {
            if is_archive_all {
                return Ok(());
            }
            self.session.warm_up(deadline).await
        });
        if let Err(error) = connected {
            tracing::info!(
                error_code = error.code(),
                error = startup::report::chain(&error),
                "not connected to the database yet"
            );
        }
    }

    /// Handles one invocation: captures what it brought and answers as its source expects.
    ///
    /// Doing so again for the same events changes nothing: the archive's keys and the ledger make it so.
    ///
    /// # Errors
    /// A direct invocation fails if its event was not kept, any invocation if its payload holds no items: with the code
    /// and the message of a [`CaptureError`]. Messages of a queue fail one by one, in the reply. It is not the error
    /// itself, because the runtime logs its `Debug`, and that of the driver quotes rows.
    pub async fn handle(&self, event: LambdaEvent<Box<RawValue>>) -> Result<Reply, Diagnostic> {
        let started = Instant::now();
        let LambdaEvent { payload, context } = event;
        let deadline = startup::deadline::of(&context) - ANSWERING;
        let request_id = &context.request_id;
        let read = |intake: &Intake| {
            Batch::read(payload, request_id, intake)
                .map_err(CaptureError::Source)
                .inspect_err(report::unread)
        };
        let (batch, times) = match self.intake(deadline).await {
            Ok(intake) => {
                let mut batch = read(&intake)?;
                self.fetch(&mut batch, &intake, deadline).await;
                let times = self.capture(&mut batch, deadline).await;
                (batch, times)
            }
            // The source is told in its own way. Nothing is put anywhere, for nothing is redacted.
            Err(error) => {
                let mut batch = read(&self.config.intake)?;
                batch.give_up(&error);
                (batch, Times::default())
            }
        };
        let namespace = &self.config.metrics_namespace;
        report::handled(&batch, times, started.elapsed(), namespace);
        Ok(Reply::to(batch, now())?)
    }

    /// What is taken in, and how, with the key of redaction if there is any.
    async fn intake(&self, deadline: Instant) -> Result<Cow<'_, Intake>, Arc<KeyError>> {
        let intake = &self.config.intake;
        let Some(redaction) = &self.config.redaction else {
            return Ok(Cow::Borrowed(intake));
        };
        let redactor = self.keyed.redactor(redaction, deadline).await;
        Ok(Cow::Owned(Intake {
            redactor: Some(redactor.map_err(Arc::new)?),
            ..intake.clone()
        }))
    }

    /// Reads the objects that events lie in, one after the other: each is as large as it likes, and the memory is shared. What
    /// they hold may have its bodies elsewhere, and these have none.
    async fn fetch(&self, batch: &mut Batch, intake: &Intake, deadline: Instant) {
        let started = Instant::now();
        let fetch_by = started + deadline.saturating_duration_since(started) / 2;
        let mut room = FETCHED_BYTES;
        loop {
            let claims = batch.to_fetch();
            if claims.is_empty() {
                return;
            }
            let mut objects = Vec::with_capacity(claims.len());
            for (position, claim) in claims {
                let object = if room == 0 {
                    Err(CaptureError::NoRoom)
                } else {
                    self.object(&claim, fetch_by).await
                };
                room = room.saturating_sub(object.as_ref().map_or(0, Vec::len));
                objects.push((position, object));
            }
            batch.fetched(objects, intake);
        }
    }

    async fn object(&self, claim: &Claim, deadline: Instant) -> Result<Vec<u8>, CaptureError> {
        let fetched = self.archive.fetch(&claim.location, unpack::MAX_BYTES);
        match timeout_at(deadline, fetched).await {
            Ok(Ok(Some(object))) => claim.open(object).map_err(Into::into),
            Ok(Ok(None)) => Err(ClaimError::TooLarge.into()),
            Ok(Err(error)) => Err(ClaimError::Fetch(error).into()),
            Err(_) => Err(CaptureError::Late {
                step: "reading the object with the event",
            }),
        }
    }

    /// Carries every item as far as it goes: archive first, then rows, so that no row names an object that is not there.
    async fn capture(&self, batch: &mut Batch, deadline: Instant) -> Times {
        let started = Instant::now();
        // A part of the time is the database's: a batch that S3 is slow with would else be delivered again and again
        // without ever coming further.
        let archive_by = started + deadline.saturating_duration_since(started) * 2 / 3;
        let has_rows = self.config.durability == Durability::Rows;
        let is_anything_to_store = has_rows && batch.has_to_archive();
        // Connecting takes long after a thaw, and longer while the database wakes up: S3 need not wait for that.
        let ((), connected) = tokio::join!(self.archive(batch, archive_by), async {
            if is_anything_to_store {
                self.connect(deadline).await
            } else {
                Ok(())
            }
        });
        let archived = Instant::now();
        self.put_aside(batch, archive_by).await;
        let ingesting = Instant::now();
        if has_rows {
            self.ingest(batch, connected, deadline).await;
        } else {
            batch.defer();
        }
        let ingested = Instant::now();
        self.put_aside(batch, deadline).await;
        Times {
            archive: archived - started,
            database: ingested - ingesting,
        }
    }

    /// Media first, so that no object names what is not there.
    async fn archive(&self, batch: &mut Batch, deadline: Instant) {
        let media = batch.media_to_archive();
        let puts = self.put_all(media, deadline, "archiving media").await;
        batch.media_archived(puts.into_iter().map(|(items, _, put)| (items, put)));
        let objects = batch.to_archive();
        let puts = self.put_all(objects, deadline, "archiving").await;
        batch.archived(puts.into_iter().map(|(position, _, put)| (position, put)));
        self.compare(batch, deadline).await;
    }

    /// Reads the objects of events that came before by another policy of redaction: seldom any, and then after each change.
    async fn compare(&self, batch: &mut Batch, deadline: Instant) {
        for (position, key) in batch.to_compare() {
            let stored = match timeout_at(deadline, self.archive.get(&key)).await {
                Ok(stored) => stored.map_err(|error| CaptureError::Archive(Arc::new(error))),
                Err(_) => Err(CaptureError::Late {
                    step: "comparing with the object that is there",
                }),
            };
            batch.compared(position, stored, self.config.intake.layout);
        }
    }

    async fn put_aside(&self, batch: &mut Batch, deadline: Instant) {
        let inputs = batch.to_quarantine();
        let puts = self
            .put_all(inputs, deadline, "putting the input aside")
            .await;
        batch.quarantined(
            puts.into_iter()
                .map(|(position, object, put)| (position, object.key.clone(), put)),
        );
    }

    /// Puts all objects, some of them at the same time, and tells what became of each and of whose it is.
    async fn put_all<P: Send + 'static>(
        &self,
        objects: Vec<(P, Arc<Object>)>,
        deadline: Instant,
        step: &'static str,
    ) -> Vec<(P, Arc<Object>, Result<Put, CaptureError>)> {
        let mut waiting = objects.into_iter();
        let mut under_way = JoinSet::new();
        let mut done = Vec::new();
        loop {
            while under_way.len() < CONCURRENT_PUTS
                && let Some((of, object)) = waiting.next()
            {
                // Even a put that is given up at once costs time, and a batch may have thousands.
                if Instant::now() >= deadline {
                    done.push((of, object, Err(CaptureError::Late { step })));
                    continue;
                }
                let archive = self.archive.clone();
                under_way.spawn(async move {
                    let put = match timeout_at(deadline, archive.put(&object)).await {
                        Ok(put) => put.map_err(|error| CaptureError::Archive(Arc::new(error))),
                        Err(_) => Err(CaptureError::Late { step }),
                    };
                    (of, object, put)
                });
            }
            match under_way.join_next().await {
                Some(Ok(put)) => done.push(put),
                // Nothing cancels these tasks: it panicked, and the runtime reports that for the whole invocation.
                Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
                None => return done,
            }
        }
    }

    /// Opens the kept connection, or makes sure that it is alive.
    async fn connect(&self, deadline: Instant) -> Result<(), SessionError> {
        let connect_by = deadline.min(Instant::now() + self.config.connect_budget);
        self.session.warm_up(connect_by).await
    }

    /// Stores the rows of all archived captures, with one statement unless they are large: [`batch::statements`].
    async fn ingest(
        &self,
        batch: &mut Batch,
        connected: Result<(), SessionError>,
        deadline: Instant,
    ) {
        let captures = batch.to_ingest();
        let mut possible = connected.map_err(|error| Arc::new(RunError::Session(error)));
        let mut rows = Vec::with_capacity(captures.len());
        for some in batch::statements(&captures) {
            let positions = some.iter().map(|(position, _)| *position);
            let stored = match possible {
                Ok(()) => {
                    let items: Vec<_> = some.iter().map(|(_, entry)| self.row(entry)).collect();
                    self.statuses(&items, deadline).await.map_err(Arc::new)
                }
                Err(error) => Err(error),
            };
            match &stored {
                Ok(statuses) => rows.extend(positions.zip(statuses.iter().cloned().map(Ok))),
                Err(error) => {
                    let failed = || Err(CaptureError::Database(Arc::clone(error)));
                    rows.extend(positions.map(|position| (position, failed())));
                }
            }
            // What failed once would only use up the time again, and order counts within a group.
            possible = stored.map(drop);
        }
        batch.ingested(rows);
    }

    fn row<'a>(&'a self, entry: &'a Entry) -> store::Item<'a> {
        let version_id = match &entry.progress {
            Progress::Archived { version_id } => version_id.as_deref(),
            _ => None,
        };
        let archived = Archived::new(self.archive.bucket(), &entry.object, version_id);
        store::Item {
            capture: &entry.capture,
            archived: Archived {
                bytes: entry.bytes,
                ..archived
            },
        }
    }

    async fn statuses(
        &self,
        items: &[store::Item<'_>],
        deadline: Instant,
    ) -> Result<Vec<Status>, RunError<StoreError>> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let statements = match self.config.pooler {
            Pooler::None => Statements::Named(&self.prepared),
            Pooler::Transaction => Statements::Unnamed,
        };
        let ownership = self.config.ownership;
        // The session's own limit comes first, because it also drops the connection, behind whose unfinished statement
        // the next invocation would wait.
        let session_first = deadline + Duration::from_secs(1);
        self.session
            .run(true, deadline, async |client| {
                store::ingest(&client, items, ownership, statements, session_first).await
            })
            .await
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the original's reply tells when the event was handled"
)]
fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
