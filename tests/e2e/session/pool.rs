//! A pool of connections, opened by a session.

use std::sync::Arc;
use std::time::Duration;

use aurora_session::pool::{Connector, Object, Pool};
use local::{Credentials, Fault};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio_postgres::Client;

use super::{Key, PATIENCE, soon};

const ROTATIONS: usize = 50;
const WORKERS: usize = 8;

fn pool(connector: Connector, max_size: usize) -> Pool {
    Pool::builder(connector).max_size(max_size).build().unwrap()
}

async fn backend(client: &Client) -> i32 {
    let asked = client.query_one("SELECT pg_backend_pid()", &[]).await;
    asked.unwrap().get(0)
}

/// A password, and the statement that gives it to the role by its verifier: in an unoptimised program making a verifier takes as
/// long as all else that a rotation does.
async fn password(key: &Key) -> (Credentials, String) {
    let credentials = key.next();
    key.set_password(&credentials).await;
    let stored = "SELECT format('ALTER ROLE %I PASSWORD %L', rolname, rolpassword) FROM pg_authid WHERE rolname = $1";
    let row = key
        .superuser
        .query_one(stored, &[&credentials.username])
        .await
        .unwrap();
    (credentials, row.get(0))
}

/// Works through all rotations in transactions that each last for as many of them; how many it has committed.
///
/// The barrier is passed twice for each rotation: before it begins, with the transaction open, and after it has ended.
async fn work(pool: Pool, barrier: Arc<Barrier>, rotations_each: usize) -> usize {
    let mut committed = 0;
    let mut rotation = 0;
    while rotation < ROTATIONS {
        let mut client = pool.get().await.unwrap();
        let transaction = client.transaction().await.unwrap();
        for _ in 0..rotations_each.min(ROTATIONS - rotation) {
            let insert = "INSERT INTO work DEFAULT VALUES";
            assert_eq!(transaction.execute(insert, &[]).await.unwrap(), 1);
            barrier.wait().await;
            barrier.wait().await;
            rotation += 1;
        }
        transaction.commit().await.unwrap();
        committed += 1;
    }
    committed
}

#[tokio::test]
async fn fifty_rotations_kill_no_transaction_of_a_pool() {
    let key = Key::new("pool").await;
    let create = format!(
        "CREATE TABLE work (); GRANT INSERT ON work TO {}",
        key.first.username
    );
    key.superuser.batch_execute(&create).await.unwrap();
    let passwords = [password(&key).await, password(&key).await];
    key.set_password(&key.first).await;
    let session = key.session();
    let pool = pool(Connector::new(session.clone(), PATIENCE), WORKERS + 1);
    let barrier = Arc::new(Barrier::new(WORKERS + 1));
    let workers: JoinSet<_> = (0..WORKERS)
        .map(|worker| work(pool.clone(), Arc::clone(&barrier), worker % 4 + 1))
        .collect();
    for rotation in 0..ROTATIONS {
        barrier.wait().await;
        let (next, give) = &passwords[rotation % 2];
        let version = key.put_pending(next).await;
        key.superuser.batch_execute(give).await.unwrap();
        // One more than the workers need has to be opened now, and does not come back.
        let fresh = Object::take(pool.get().await.unwrap());
        backend(&fresh).await;
        key.promote(&version).await;
        barrier.wait().await;
    }
    let committed: usize = workers.join_all().await.into_iter().sum();
    let expected: usize = (0..WORKERS)
        .map(|worker| ROTATIONS.div_ceil(worker % 4 + 1))
        .sum();
    assert_eq!(committed, expected);
    let rows = key.superuser.query_one("SELECT count(*) FROM work", &[]);
    let rows: i64 = rows.await.unwrap().get(0);
    assert_eq!(usize::try_from(rows).unwrap(), WORKERS * ROTATIONS);

    let counters = session.counters();
    // None was opened in the place of another, but of one that did not answer within 300 ms.
    let opened = u64::try_from(WORKERS + ROTATIONS).unwrap() + counters.replaced_connections;
    assert_eq!(counters.logins.total(), opened);
    assert_eq!(counters.failed_connects, 0);
    let refused = key.refused_logins(&session);
    assert_eq!(refused, 50, "one refusal for each rotation");
}

#[tokio::test]
async fn a_pool_hands_out_no_dead_connection() {
    let key = Key::new("deadpool").await;
    let session = key.session();
    let pool = pool(Connector::new(session.clone(), PATIENCE), 1);
    let first = backend(&pool.get().await.unwrap()).await;
    assert_eq!(backend(&pool.get().await.unwrap()).await, first);
    key.terminate_connections().await;
    local::wait::until(
        "a connection that is known to be closed",
        PATIENCE,
        async || {
            let client = pool.get().await.unwrap();
            let asked = client.query_one("SELECT pg_backend_pid()", &[]).await;
            asked
                .ok()
                .map(|row| assert_ne!(row.get::<_, i32>(0), first))
        },
    )
    .await
    .unwrap();
    let counters = session.counters();
    assert_eq!(counters.logins.total(), 2);
    assert_eq!(counters.replaced_connections, 1);
}

#[tokio::test]
async fn a_pool_replaces_what_is_too_old() {
    let key = Key::new("old").await;
    let session = key.session();
    let connector = Connector::new(session.clone(), PATIENCE).max_age(Duration::ZERO);
    let pool = pool(connector, 1);
    let first = backend(&pool.get().await.unwrap()).await;
    assert_ne!(backend(&pool.get().await.unwrap()).await, first);
    assert_eq!(session.counters().logins.total(), 2);
}

#[tokio::test]
async fn a_pool_says_why_it_has_no_connection() {
    let key = Key::new("nopool").await;
    let (session, proxy) = key.session_by_proxy().await;
    session.connect(soon()).await.unwrap();
    proxy.set(Fault::Refuse).await;
    let pool = pool(Connector::new(session, Duration::from_millis(200)), 1);
    let Err(refused) = pool.get().await else {
        panic!("the database cannot be reached");
    };
    let told = refused.to_string();
    assert!(told.contains("no connection to the database"), "{told}");
}
