//! One search for the version of the secret that the database accepts.
//!
//! [`fallback`] decides what to try; here it is done, and what was learnt is written down at each
//! step for the task that may have to go on.

use std::sync::Arc;

use aurora::{Login, LoginError};
use secrets::{Retry, Stage};
use tokio::time::{Instant, timeout_at};

use crate::fallback::{self, Outcome, Search, Try};
use crate::searcher::{Searcher, pause};
use crate::{Event, SecretVersion, SessionError, SourceError};

pub(crate) struct Pass<'a> {
    searcher: &'a Searcher,
    deadline: Instant,
    /// What [`Try::LogIn`] logs in with.
    at_hand: Option<Arc<SecretVersion>>,
    /// What the others have to stand in for.
    current: Option<Arc<SecretVersion>>,
    refusal: Option<LoginError>,
    /// Why a version could not be read.
    unread: Option<SourceError>,
}

impl<'a> Pass<'a> {
    /// `refusal` is what sent the caller here, if something did.
    pub(crate) fn new(
        searcher: &'a Searcher,
        deadline: Instant,
        refusal: Option<LoginError>,
    ) -> Self {
        Self {
            searcher,
            deadline,
            at_hand: None,
            current: searcher.accepted(),
            refusal,
            unread: None,
        }
    }

    /// Searches until a login succeeds or the deadline comes.
    pub(crate) async fn run(mut self) -> Result<Login, SessionError> {
        let (mut search, mut what) = self.begin();
        loop {
            let knowledge = self.searcher.knowledge();
            knowledge.note(&search, self.unread.as_ref());
            let outcome = match what {
                Try::LogIn => match self.log_in().await? {
                    Some(login) => return Ok(login),
                    None => self.refused(),
                },
                Try::Read(stage) => match self.read(stage).await? {
                    Some(outcome) => outcome,
                    None => return Err(self.failure()),
                },
                Try::Wait { round } => {
                    self.searcher.tell(&Event::Waiting);
                    if !pause(round, self.deadline).await {
                        return Err(self.failure());
                    }
                    if knowledge.forget_outdated(Instant::now()) {
                        (search, what) = self.begin();
                        continue;
                    }
                    Outcome::Waited
                }
                Try::GiveUp => return Err(self.failure()),
            };
            (search, what) = fallback::next(search, outcome);
        }
    }

    /// Goes on from where another task stopped a moment ago, or begins with what was accepted last.
    fn begin(&mut self) -> (Search, Try) {
        if let Some(search) = self.searcher.knowledge().search_left(Instant::now()) {
            let (refusal, unread) = self.searcher.knowledge().reasons();
            self.refusal = self.refusal.take().or(refusal);
            self.unread = unread;
            return fallback::resume(search);
        }
        self.at_hand = self.searcher.accepted();
        let cached = self.at_hand.as_deref();
        fallback::start(cached.map(|version| version.version_id.as_str()))
    }

    /// `None` if the login was refused.
    async fn log_in(&mut self) -> Result<Option<Login>, SessionError> {
        let Some(version) = self.at_hand.take() else {
            return Ok(None);
        };
        match self.searcher.log_in(&version, self.deadline).await {
            Ok(login) => {
                self.searcher.knowledge().accept(&version);
                Ok(Some(login))
            }
            Err(error) if error.is_refused() => {
                self.refusal = Some(error);
                Ok(None)
            }
            Err(error) => Err(SessionError::Login(error)),
        }
    }

    fn refused(&self) -> Outcome<'_> {
        let sqlstate = self.refusal.as_ref().and_then(LoginError::sqlstate);
        Outcome::Refused {
            sqlstate: sqlstate.unwrap_or_default(),
        }
    }

    /// `None` if the deadline came first.
    async fn read(&mut self, stage: Stage) -> Result<Option<Outcome<'_>>, SessionError> {
        let Ok(answer) = timeout_at(self.deadline, self.searcher.read(stage)).await else {
            // The error still says for whom the caller has waited.
            let source = self.searcher.source();
            self.unread.get_or_insert_with(|| source.no_answer());
            return Ok(None);
        };
        let reading = match answer {
            Ok(Some(reading)) => reading,
            Ok(None) => return Ok(Some(Outcome::Absent)),
            Err(error) => return Ok(Some(self.not_read(stage, error))),
        };
        self.unread = self.unread.take().filter(|error| !is_outage(error));
        let version = match self.searcher.version(stage, reading) {
            Ok(version) => Arc::new(version),
            Err(error) if stage == Stage::Current => return Err(error),
            // Nothing to log in with; what the rotation makes of it is not this client's business.
            Err(_) => return Ok(Some(Outcome::Absent)),
        };
        if stage == Stage::Current {
            self.current = Some(Arc::clone(&version));
        }
        let stands_in = self
            .current
            .as_ref()
            .is_some_and(|current| version.secret.stands_in_for(&current.secret));
        let version = self.at_hand.insert(version);
        Ok(Some(Outcome::Found {
            version_id: &version.version_id,
            stands_in,
        }))
    }

    fn not_read(&mut self, stage: Stage, error: SourceError) -> Outcome<'static> {
        let outcome = if is_outage(&error) {
            Outcome::Unavailable
        } else {
            Outcome::Denied
        };
        if (stage, outcome) == (Stage::Pending, Outcome::Denied) {
            self.searcher.tell_pending_denied(&error);
        }
        self.unread = Some(error);
        outcome
    }

    fn failure(self) -> SessionError {
        self.searcher.failure(self.refusal, self.unread)
    }
}

/// Whether the source may answer the same question later.
fn is_outage(error: &SourceError) -> bool {
    error.retry() != Retry::Never
}
