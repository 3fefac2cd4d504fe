//! A pool of connections for `deadpool`, each opened through any rotation.

use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use tokio::time::{Instant, timeout};
use tokio_postgres::Client;

use crate::kept::{CHECK_TIMEOUT, FRESH};
use crate::{Event, Session, SessionError};

/// Opens the connections of a `deadpool` pool with a [`Session`], and looks at them before they are
/// handed out again.
///
/// A connection that is closed, or was idle for 5 s and does not answer within 300 ms, is replaced. One
/// that works is not, whatever happens to the secret: PostgreSQL asks for the password only at login.
///
/// ```
/// use std::time::Duration;
///
/// use aurora_session::Session;
/// use aurora_session::pool::{Connector, Pool};
///
/// # fn example(session: Session) -> Result<Pool, Box<dyn std::error::Error>> {
/// let pool = Pool::builder(Connector::new(session, Duration::from_secs(8)))
///     .max_size(16)
///     .build()?;
/// # Ok(pool)
/// # }
/// ```
///
/// The pool then needs neither a `create_timeout` nor a runtime of its own; with one, the shorter of
/// the two times counts, and the session's errors say more.
#[derive(Debug)]
pub struct Connector {
    session: Session,
    create: Duration,
    max_age: Option<Duration>,
}

/// A `deadpool` pool of connections.
pub type Pool = deadpool::managed::Pool<Connector>;
/// A connection of a [`Pool`], which takes it back when it is dropped; dereferences to the driver's
/// client.
pub type Object = deadpool::managed::Object<Connector>;

impl Connector {
    /// Opens a connection within `create`: the deadline of [`Session::connect`].
    pub fn new(session: Session, create: Duration) -> Self {
        Self {
            session,
            create,
            max_age: None,
        }
    }

    /// Replaces connections that are older when they are handed out again, so that a pool finds new
    /// members of a cluster, for example. Without this they live until they break.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// The session that opens the connections, for its counters.
    pub fn session(&self) -> &Session {
        &self.session
    }
}

impl Manager for Connector {
    type Type = Client;
    type Error = SessionError;

    async fn create(&self) -> Result<Client, SessionError> {
        let deadline = Instant::now() + self.create;
        Ok(self.session.connect(deadline).await?.client)
    }

    async fn recycle(&self, client: &mut Client, metrics: &Metrics) -> RecycleResult<SessionError> {
        if self.max_age.is_some_and(|max_age| metrics.age() > max_age) {
            return Err(RecycleError::message("the connection is too old"));
        }
        if is_alive(client, metrics.last_used()).await {
            return Ok(());
        }
        self.session.shared.searcher.tell(&Event::Replaced);
        Err(RecycleError::message("the connection is dead"))
    }
}

async fn is_alive(client: &Client, idle: Duration) -> bool {
    if client.is_closed() || idle <= FRESH {
        return !client.is_closed();
    }
    let answered = timeout(CHECK_TIMEOUT, client.check_connection()).await;
    matches!(answered, Ok(Ok(())))
}
