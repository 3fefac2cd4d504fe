//! Logging in with whichever version of the secret the database accepts.
//!
//! One task at a time searches, in a [`Pass`], while the others wait for what it finds.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aurora::{Login, LoginError, Retry, Tls, Trust};
use secrets::Stage;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};

use crate::counters::Counts;
use crate::knowledge::Knowledge;
use crate::observer::Observer;
use crate::pass::Pass;
use crate::source::{Reading, Source};
use crate::version::Place;
use crate::{Document, Event, SecretVersion, SessionError, SourceError, backoff};

/// One login attempt, so that a server that accepts TCP and is then silent does not use up all time.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// So many tasks log in at most, and so many logins are refused when the version that they trust has
/// become outdated, however many connect at that moment.
const LOGINS_AT_A_TIME: usize = 2;

/// What the session was told about the database.
pub(crate) struct Settings {
    pub(crate) place: Place,
    pub(crate) tls: Tls,
    pub(crate) application_name: String,
}

pub(crate) struct Searcher {
    source: Source,
    settings: Settings,
    trust: Trust,
    observer: Option<Observer>,
    counts: Counts,
    knowledge: Knowledge,
    /// For the tasks that log in.
    logins: Semaphore,
    /// Held by the task that searches.
    turn: Mutex<()>,
    told_pending_denied: AtomicBool,
}

impl Searcher {
    pub(crate) fn new(
        source: Source,
        settings: Settings,
        trust: Trust,
        observer: Option<Observer>,
    ) -> Self {
        Self {
            source,
            settings,
            trust,
            observer,
            counts: Counts::default(),
            knowledge: Knowledge::default(),
            logins: Semaphore::new(LOGINS_AT_A_TIME),
            turn: Mutex::default(),
            told_pending_denied: AtomicBool::new(false),
        }
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The version that the database accepted last.
    pub(crate) fn accepted(&self) -> Option<Arc<SecretVersion>> {
        self.knowledge.accepted()
    }

    /// Counts an event and tells the observer.
    pub(crate) fn tell(&self, event: &Event<'_>) {
        self.counts.count(event);
        if let Some(observer) = &self.observer {
            observer(event);
        }
    }

    /// Logs in, through any rotation.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<Login, SessionError> {
        // A future of a known size and depth: what the caller builds around it is compiled with it.
        let connecting: Pin<Box<dyn Future<Output = _> + Send + '_>> =
            Box::pin(self.trust_or_search(deadline));
        connecting
            .await
            .inspect_err(|error| self.tell_failed(error))
    }

    /// For a task that waited in vain for another one's connection.
    pub(crate) fn out_of_time(&self) -> SessionError {
        let error = self.waited_in_vain(None);
        self.tell_failed(&error);
        error
    }

    fn tell_failed(&self, error: &SessionError) {
        self.tell(&Event::ConnectFailed {
            error_code: error.code(),
        });
    }

    /// As long as nobody has been refused, tasks log in with the version that a search has found, a few
    /// at a time. The first refusal ends that; then one task searches for all.
    async fn trust_or_search(&self, deadline: Instant) -> Result<Login, SessionError> {
        // Kept until the end: who is refused must not wait behind all the others a second time.
        let Ok(_permit) = timeout_at(deadline, self.logins.acquire()).await else {
            return Err(self.waited_in_vain(None));
        };
        let mut refusal = None;
        loop {
            if let Some(version) = self.knowledge.trusted() {
                match self.log_in(&version, deadline).await {
                    Ok(login) => return Ok(login),
                    Err(error) if error.is_refused() => refusal = Some(error),
                    Err(error) => return Err(SessionError::Login(error)),
                }
            }
            let Ok(_turn) = timeout_at(deadline, self.turn.lock()).await else {
                return Err(self.waited_in_vain(refusal));
            };
            if self.knowledge.trusted().is_none() {
                self.tell(&Event::SearchBegun);
                return Pass::new(self, deadline, refusal).run().await;
            }
            // Another task has found a version that works while this one waited.
        }
    }

    /// Logs in with one version; repeats that while the server or the network is not ready.
    pub(crate) async fn log_in(
        &self,
        version: &Arc<SecretVersion>,
        deadline: Instant,
    ) -> Result<Login, LoginError> {
        let mut round = 0;
        loop {
            let try_until = deadline.min(Instant::now() + LOGIN_TIMEOUT);
            let outcome = self.try_log_in(version, try_until).await;
            let (stage, version_id) = (version.stage, version.version_id.as_str());
            match outcome {
                Ok(login) => {
                    self.tell(&Event::LoggedIn { stage, version_id });
                    return Ok(login);
                }
                Err(error) if error.is_refused() => {
                    self.knowledge.refuse(version, &error, Instant::now());
                    self.tell(&Event::Refused {
                        stage,
                        version_id,
                        sqlstate: error.sqlstate().unwrap_or_default(),
                    });
                    return Err(error);
                }
                Err(error) if error.retry() == Retry::Never => return Err(error),
                Err(error) => {
                    if !pause(round, deadline).await {
                        return Err(error);
                    }
                    round += 1;
                    self.tell(&Event::LoginRetried {
                        error_code: error.code(),
                    });
                }
            }
        }
    }

    /// Logs in with a version that is none of the source's.
    pub(crate) async fn log_in_once(
        &self,
        document: &Document,
        deadline: Instant,
    ) -> Result<Login, SessionError> {
        let reading = self.source.reading(document);
        let version = self.version(Stage::Current, reading)?;
        let outcome = self.try_log_in(&version, deadline).await;
        outcome.map_err(SessionError::Login)
    }

    async fn try_log_in(
        &self,
        version: &SecretVersion,
        deadline: Instant,
    ) -> Result<Login, LoginError> {
        aurora::log_in(
            &version.target,
            &version.credentials(),
            &self.trust,
            self.settings.tls,
            &self.settings.application_name,
            deadline,
        )
        .await
    }

    /// Reads the version with a label.
    pub(crate) async fn read(&self, stage: Stage) -> Result<Option<Reading>, SourceError> {
        self.tell(&Event::SecretRead { stage });
        self.source.read(stage).await
    }

    /// What a version means to this session.
    pub(crate) fn version(
        &self,
        stage: Stage,
        reading: Reading,
    ) -> Result<SecretVersion, SessionError> {
        SecretVersion::new(self.source.name(), stage, reading, &self.settings.place)
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    pub(crate) fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    /// Most likely the client's policy lacks a permission, which costs it waiting during rotations.
    pub(crate) fn tell_pending_denied(&self, error: &SourceError) {
        if !self.told_pending_denied.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                error_code = error.code(),
                "AWSPENDING cannot be read: logins during a rotation wait for its end"
            );
            self.tell(&Event::PendingDenied);
        }
    }

    /// For a task at whose deadline others were still at it: what they have met.
    fn waited_in_vain(&self, refusal: Option<LoginError>) -> SessionError {
        let (last_refusal, unread) = self.knowledge.reasons();
        self.failure(refusal.or(last_refusal), unread)
    }

    /// The last reasons, in one error.
    pub(crate) fn failure(
        &self,
        refusal: Option<LoginError>,
        unread: Option<SourceError>,
    ) -> SessionError {
        let secret_id = self.source.name().to_owned();
        match (refusal, unread) {
            (Some(source), unread) => SessionError::Refused {
                secret_id,
                source,
                unread: unread.map(Box::new),
            },
            (None, Some(source)) => SessionError::Secret { secret_id, source },
            (None, None) => SessionError::TimedOut,
        }
    }
}

/// Sleeps for the pause of `round`; `false` at once if there is no time for another try after it.
pub(crate) async fn pause(round: u32, deadline: Instant) -> bool {
    let remains = deadline.saturating_duration_since(Instant::now());
    let Some(pause) = backoff::pause(round, fastrand::f64(), remains) else {
        return false;
    };
    sleep(pause).await;
    true
}
