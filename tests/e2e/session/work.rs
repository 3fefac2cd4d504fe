//! Work on the kept connection while backends die.

use std::cell::Cell;

use aurora_session::{RunError, Session};
use tokio::task::JoinSet;
use tokio_postgres::error::SqlState;

use super::{Key, soon};

/// What ends its own connection, as a failover in the midst of work does.
const FATAL: &str = "SELECT pg_terminate_backend(pg_backend_pid())";

/// Runs work that dies with its connection the first `deaths` times; the outcome, and how often it was begun.
async fn dying_work(
    session: &Session,
    idempotent: bool,
    deaths: u32,
) -> (Result<(), RunError<tokio_postgres::Error>>, u32) {
    let begun = Cell::new(0);
    let outcome = session
        .run(idempotent, soon(), async |client| {
            begun.set(begun.get() + 1);
            let statement = if begun.get() <= deaths {
                FATAL
            } else {
                "SELECT 1"
            };
            client.batch_execute(statement).await
        })
        .await;
    (outcome, begun.get())
}

#[track_caller]
fn assert_terminated(outcome: Result<(), RunError<tokio_postgres::Error>>) {
    let Err(RunError::Work(error)) = outcome else {
        panic!("expected the work's own error, found {outcome:?}");
    };
    let known = error.code() == Some(&SqlState::ADMIN_SHUTDOWN) || error.is_closed();
    assert!(known, "{error:?}");
}

#[tokio::test]
async fn idempotent_work_is_repeated_once() {
    let key = Key::new("idempotent").await;
    let session = key.session();
    let (outcome, begun) = dying_work(&session, true, 1).await;
    outcome.unwrap();
    assert_eq!(begun, 2);

    let (outcome, begun) = dying_work(&session, true, u32::MAX).await;
    assert_terminated(outcome);
    assert_eq!(begun, 2, "once, not until it works");
    let (outcome, _) = dying_work(&session, true, 0).await;
    outcome.unwrap();
}

#[tokio::test]
async fn other_work_is_not_repeated() {
    let key = Key::new("once").await;
    let session = key.session();
    let (outcome, begun) = dying_work(&session, false, 1).await;
    assert_terminated(outcome);
    assert_eq!(begun, 1);
    let (outcome, begun) = dying_work(&session, false, 0).await;
    outcome.unwrap();
    assert_eq!(begun, 1, "the next work finds a new connection");
}

/// An error of the statement leaves the connection as good as it was.
#[tokio::test]
async fn an_error_of_the_work_keeps_the_connection() {
    let key = Key::new("error").await;
    let session = key.session();
    let outcome = session
        .run(true, soon(), async |client| {
            client.batch_execute("SELECT 1/0").await
        })
        .await;
    let Err(RunError::Work(error)) = outcome else {
        panic!("expected the work's own error, found {outcome:?}");
    };
    assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO));
    let (outcome, _) = dying_work(&session, true, 0).await;
    outcome.unwrap();
    let counters = session.counters();
    assert_eq!(
        (counters.logins.total(), counters.replaced_connections),
        (1, 0)
    );
}

/// In the gap of a rotation, when the connection of all tasks dies at once.
#[tokio::test]
async fn tasks_share_the_connection_that_replaces_theirs() {
    let key = Key::new("share").await;
    let session = key.session();
    session.warm_up(soon()).await.unwrap();
    key.rotate_into_the_gap().await;
    key.terminate_connections().await;
    let mut tasks = JoinSet::new();
    for _ in 0..32 {
        let session = session.clone();
        tasks.spawn(async move {
            let work = session.run(true, soon(), async |client| {
                client.batch_execute("SELECT 1").await
            });
            work.await
        });
    }
    for outcome in tasks.join_all().await {
        outcome.unwrap();
    }
    let counters = session.counters();
    assert_eq!(counters.logins.total(), 2, "one connection for all");
    assert_eq!(counters.refusals.total(), 1);
    assert_eq!(counters.failed_connects, 0);
}
