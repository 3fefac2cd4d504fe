//! The connection that a session keeps open.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aurora::Login;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::Client;

use crate::searcher::Searcher;
use crate::{Event, SessionError};

/// A connection used more recently than this is taken to be alive.
pub(crate) const FRESH: Duration = Duration::from_secs(5);
/// How long one that was idle longer, or was abandoned, may take to prove that it is alive.
pub(crate) const CHECK_TIMEOUT: Duration = Duration::from_millis(300);

/// At most one connection, shared by all tasks.
#[derive(Default)]
pub(crate) struct Kept {
    connection: Mutex<Option<Connection>>,
    /// Held while a connection is checked or opened, so that tasks do not open one each.
    opening: tokio::sync::Mutex<()>,
}

/// The connection that a session keeps open, on loan to [`crate::Session::run`]'s work; dereferences to
/// the driver's client. Clones are the same connection.
///
/// By value and not as `&Client`, because a closure that returns a future which borrows its argument
/// cannot yet be known to be `Send`, and could not run on a multi-threaded runtime.
#[derive(Clone)]
pub struct Connection(Arc<Open>);

struct Open {
    login: Login,
    last_used: Mutex<Instant>,
    /// Somebody left while the server was at work for them; it may be still.
    abandoned: AtomicBool,
}

/// Marks the connection as abandoned unless the work came to its end.
pub(crate) struct Loan<'a>(Option<&'a Connection>);

impl Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.0.login.client
    }
}

impl Kept {
    /// The kept connection if it is alive, or a new one.
    pub(crate) async fn connection(
        &self,
        searcher: &Searcher,
        deadline: Instant,
    ) -> Result<Connection, SessionError> {
        if let Some(connection) = self.current().filter(Connection::is_fresh) {
            return Ok(connection);
        }
        let Ok(_opening) = timeout_at(deadline, self.opening.lock()).await else {
            return Err(searcher.out_of_time());
        };
        if let Some(connection) = self.current() {
            if connection.is_fresh() || connection.is_alive().await {
                return Ok(connection);
            }
            self.discard(&connection);
            searcher.tell(&Event::Replaced);
        }
        let connection = Connection(Arc::new(Open {
            login: searcher.connect(deadline).await?,
            last_used: Mutex::new(Instant::now()),
            abandoned: AtomicBool::new(false),
        }));
        *self.lock() = Some(connection.clone());
        Ok(connection)
    }

    /// Lets go of `connection`; others that use it at the moment keep it open until they are done.
    pub(crate) fn discard(&self, connection: &Connection) {
        let mut kept = self.lock();
        if kept
            .as_ref()
            .is_some_and(|kept| Arc::ptr_eq(&kept.0, &connection.0))
        {
            *kept = None;
        }
    }

    fn current(&self) -> Option<Connection> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Connection>> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// To be held while work is done on the connection.
    pub(crate) fn lend(&self) -> Loan<'_> {
        Loan(Some(self))
    }

    fn is_fresh(&self) -> bool {
        !self.is_closed()
            && !self.0.abandoned.load(Ordering::Relaxed)
            && self.last_used().elapsed() <= FRESH
    }

    async fn is_alive(&self) -> bool {
        if self.is_closed() {
            return false;
        }
        let answered = timeout(CHECK_TIMEOUT, self.check_connection()).await;
        let alive = matches!(answered, Ok(Ok(())));
        if alive {
            *self.last_used() = Instant::now();
            self.0.abandoned.store(false, Ordering::Relaxed);
        }
        alive
    }

    fn last_used(&self) -> MutexGuard<'_, Instant> {
        self.0
            .last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loan<'_> {
    /// The server has answered.
    pub(crate) fn end(mut self) {
        if let Some(connection) = self.0.take() {
            *connection.last_used() = Instant::now();
        }
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.0 {
            connection.0.abandoned.store(true, Ordering::Relaxed);
        }
    }
}
