//! The session and its settings.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use aurora::{Login, Tls, Trust, state};
use secrets::SecretsManager;
use tokio::time::{Instant, timeout_at};

use crate::kept::{Connection, Kept};
use crate::observer::Observer;
use crate::searcher::{Searcher, Settings};
use crate::version::Place;
use crate::{Counters, Document, Event, RunError, SecretVersion, SessionError, Source};

/// A database session that survives rotation. Clones share the kept connection, what is known of the
/// secret, and the counters.
#[derive(Clone)]
pub struct Session {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) searcher: Searcher,
    kept: Kept,
}

/// Settings of a [`Session`].
#[must_use]
pub struct Builder {
    source: Source,
    settings: Settings,
    trust: Option<Trust>,
    observer: Option<Observer>,
}

impl Session {
    /// Settings for the secret of Secrets Manager with this ARN or name; else as
    /// [`Session::from_source`].
    pub fn builder(manager: SecretsManager, secret_id: impl Into<String>) -> Builder {
        Self::from_source(Source::secrets_manager(manager, secret_id))
    }

    /// Starts with the defaults: host, port and database name from the secret, the roots of Amazon
    /// RDS, TLS required.
    pub fn from_source(source: Source) -> Builder {
        Builder {
            source,
            settings: Settings {
                place: Place::default(),
                tls: Tls::Require,
                application_name: "aurora-session".to_owned(),
            },
            trust: None,
            observer: None,
        }
    }

    /// Opens a connection of the caller's own, through any rotation.
    ///
    /// Logs in with the version of the secret that the database accepted last; if that is refused,
    /// finds the one it accepts now ([`crate::fallback`]). Waits for a server that is not ready. Gives
    /// up at `deadline`. Dropping the future leaves nothing behind.
    pub async fn connect(&self, deadline: Instant) -> Result<Login, SessionError> {
        self.shared.searcher.connect(deadline).await
    }

    /// Logs in once with a version of the caller's own, at the place and in the way of the session's
    /// settings: for who wants to know whether the database accepts it. It is no business of the
    /// session otherwise, which neither counts nor keeps anything of it.
    ///
    /// A refusal is [`SessionError::Login`].
    pub async fn log_in_once(
        &self,
        document: &Document,
        deadline: Instant,
    ) -> Result<Login, SessionError> {
        let searcher = &self.shared.searcher;
        searcher.log_in_once(document, deadline).await
    }

    /// Runs `work` on the kept connection, which is opened, checked and replaced as needed.
    ///
    /// If the connection breaks meanwhile, it is replaced and, when `idempotent` says that doing
    /// `work` twice is as good as once, `work` runs once more. At `deadline` it is dropped. So it is
    /// when the caller drops the future; what the server was doing then, it may finish.
    ///
    /// Tasks that call this at the same time share the connection (their statements are pipelined),
    /// so `work` must not open a transaction, nor keep the connection; for that there is
    /// [`Session::connect`].
    pub async fn run<T, E, F, W>(
        &self,
        idempotent: bool,
        deadline: Instant,
        work: F,
    ) -> Result<T, RunError<E>>
    where
        F: Fn(Connection) -> W,
        W: Future<Output = Result<T, E>>,
        E: Error + 'static,
    {
        let Shared { searcher, kept } = &*self.shared;
        let mut is_second = false;
        loop {
            let connection = kept
                .connection(searcher, deadline)
                .await
                .map_err(RunError::Session)?;
            let loan = connection.lend();
            let Ok(outcome) = timeout_at(deadline, work(connection.clone())).await else {
                // The server may be at it still; whoever comes next must not wait behind it.
                kept.discard(&connection);
                return Err(RunError::TimedOut);
            };
            loan.end();
            match outcome {
                Err(error) if connection.is_closed() || ends_connection(&error) => {
                    kept.discard(&connection);
                    searcher.tell(&Event::Replaced);
                    if !idempotent || is_second {
                        return Err(RunError::Work(error));
                    }
                    is_second = true;
                }
                outcome => return outcome.map_err(RunError::Work),
            }
        }
    }

    /// Opens the kept connection ahead of the first [`Session::run`].
    pub async fn warm_up(&self, deadline: Instant) -> Result<(), SessionError> {
        let Shared { searcher, kept } = &*self.shared;
        kept.connection(searcher, deadline).await.map(drop)
    }

    /// The version of the secret that the database accepted last, and where it was used; `None` before
    /// the first login.
    pub fn accepted(&self) -> Option<Arc<SecretVersion>> {
        self.shared.searcher.accepted()
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.shared.searcher.counts().snapshot()
    }
}

/// Whether the driver says, somewhere in the chain of causes, that the connection is of no more use.
fn ends_connection(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return state::ends_connection(error);
        }
        cause = error.source();
    }
    false
}

impl Builder {
    /// Host name of the database, instead of the secret's.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.settings.place.host = Some(host.into());
        self
    }

    /// TCP port, instead of the secret's or 5432.
    pub fn port(mut self, port: u16) -> Self {
        self.settings.place.port = Some(port);
        self
    }

    /// Database name, instead of the secret's or `postgres`.
    pub fn dbname(mut self, dbname: impl Into<String>) -> Self {
        self.settings.place.dbname = Some(dbname.into());
        self
    }

    /// Database name where neither [`Builder::dbname`] nor the secret names one, instead of `postgres`.
    pub fn default_dbname(mut self, dbname: impl Into<String>) -> Self {
        self.settings.place.default_dbname = Some(dbname.into());
        self
    }

    /// Roots of trust, instead of those of Amazon RDS.
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = Some(trust);
        self
    }

    /// What to do about a server without TLS.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.settings.tls = tls;
        self
    }

    /// `application_name` of the connections.
    pub fn application_name(mut self, name: impl Into<String>) -> Self {
        self.settings.application_name = name.into();
        self
    }

    /// Called for every [`Event`], on the task that caused it; must not block.
    pub fn observer(mut self, observer: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Builds the session. Neither connects nor reads the secret.
    pub fn build(self) -> Result<Session, SessionError> {
        let trust = match self.trust {
            Some(trust) => trust,
            None => Trust::amazon_rds().map_err(SessionError::Trust)?,
        };
        let searcher = Searcher::new(self.source, self.settings, trust, self.observer);
        Ok(Session {
            shared: Arc::new(Shared {
                searcher,
                kept: Kept::default(),
            }),
        })
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("accepted", &self.accepted())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio_postgres::Error as DriverError;

    use super::*;

    /// What a multi-threaded runtime asks of a task; `AsyncFn` could lose it.
    #[expect(dead_code, reason = "compiling it is the test")]
    fn futures_can_be_spawned(session: Session, deadline: Instant) {
        fn spawnable<T: Send + 'static>(_: T) {}
        spawnable(async move {
            let statement = String::from("SELECT 1");
            session.warm_up(deadline).await?;
            session
                .run(true, deadline, async |client| {
                    client.batch_execute(&statement).await?;
                    client.check_connection().await
                })
                .await
                .ok();
            session.connect(deadline).await
        });
    }

    #[test]
    fn a_connection_error_is_found_behind_other_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] DriverError);

        let timeout = DriverError::__private_api_timeout();
        assert!(!ends_connection(&Outer(timeout)));
        assert!(!ends_connection(&fmt::Error));
    }
}
