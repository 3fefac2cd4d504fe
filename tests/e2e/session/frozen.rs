//! Work on a connection that died while nobody looked, as it does while a function is frozen.

use std::cell::Cell;

use aurora_session::{Counters, Session};
use local::{Fault, StackOptions};

use super::{Key, PATIENCE, counted, soon};

/// Runs idempotent work; how often it was begun.
async fn work(session: &Session) -> u32 {
    let begun = Cell::new(0);
    let outcome = session.run(true, soon(), async |client| {
        begun.set(begun.get() + 1);
        client.batch_execute("SELECT 1").await
    });
    outcome.await.unwrap();
    begun.get()
}

/// Works on a session whose connection is dead: a second one is opened, with the password that is known, and the work is
/// begun once on each at most.
async fn assert_heals(session: &Session) {
    let before = session.counters();
    let begun = work(session).await;
    assert!((1..=2).contains(&begun), "begun {begun} times");
    let counters = session.counters();
    let replaced = |counters: &Counters| counters.replaced_connections;
    assert_eq!(replaced(&counters), replaced(&before) + 1);
    assert_eq!(counters.logins.total(), before.logins.total() + 1);
    assert_eq!(counters.secret_reads, before.secret_reads);
    assert_eq!(
        (counters.refusals.total(), counters.failed_connects),
        (0, 0)
    );
    assert_eq!(work(session).await, 1);
    assert_eq!(session.counters(), counters, "it is whole again");
}

#[tokio::test]
async fn a_connection_that_was_reset_is_replaced() {
    let key = Key::new("reset").await;
    let (session, proxy) = key.session_by_proxy().await;
    session.warm_up(soon()).await.unwrap();
    for _ in 0..5 {
        proxy.cut();
        let closed = local::wait::until("a proxy without connections", PATIENCE, async || {
            (proxy.counters().open == 0).then_some(())
        });
        closed.await.unwrap();
        assert_heals(&session).await;
    }
}

#[tokio::test]
async fn a_connection_that_was_terminated_is_replaced() {
    let key = Key::new("terminated").await;
    let session = key.session();
    session.warm_up(soon()).await.unwrap();
    for _ in 0..5 {
        key.terminate_connections().await;
        assert_heals(&session).await;
    }
}

/// The role's own limit, which lets a paused Aurora sleep while a function is frozen.
#[tokio::test]
async fn a_connection_that_was_idle_too_long_is_replaced() {
    let key = Key::new("idle").await;
    let role = &key.first.username;
    let limit = format!("ALTER ROLE {role} SET idle_session_timeout = '10ms'");
    let no_limit = format!("ALTER ROLE {role} RESET idle_session_timeout");
    for _ in 0..3 {
        key.superuser.batch_execute(&limit).await.unwrap();
        let session = key.session();
        session.warm_up(soon()).await.unwrap();
        let ended = local::wait::until("the end of an idle connection", PATIENCE, async || {
            (key.connections().await == 0).then_some(())
        });
        ended.await.unwrap();
        key.superuser.batch_execute(&no_limit).await.unwrap();
        assert_heals(&session).await;
    }
}

#[tokio::test]
async fn a_server_that_was_restarted_is_logged_in_to_again() {
    let options = StackOptions::from_environment().unwrap();
    let key = Key::with(options.own_postgres(|postgres| postgres), "restart").await;
    let server = key.stack.own_postgres().unwrap();
    let session = key.session();
    session.warm_up(soon()).await.unwrap();
    for _ in 0..2 {
        server.restart().await.unwrap();
        assert_heals(&session).await;
    }

    // While it is down, too.
    server.stop();
    let working = {
        let session = session.clone();
        tokio::spawn(async move {
            let work = session.run(true, soon(), async |client| {
                client.batch_execute("SELECT 1").await
            });
            work.await
        })
    };
    counted(&session, "a login that is repeated", |counters| {
        counters.login_retries > 0
    })
    .await;
    server.restart().await.unwrap();
    working.await.unwrap().unwrap();
    assert_eq!(session.counters().failed_connects, 0);
}

/// The server may have done it: only the caller knows whether doing it again is right.
#[tokio::test]
async fn work_that_is_not_idempotent_is_begun_once() {
    let key = Key::new("begun").await;
    let (session, proxy) = key.session_by_proxy().await;
    session.warm_up(soon()).await.unwrap();
    proxy.set(Fault::CutBeforeAnswer(1)).await;
    let begun = Cell::new(0);
    let outcome = session.run(false, soon(), async |client| {
        begun.set(begun.get() + 1);
        client.batch_execute("SELECT 1").await
    });
    outcome
        .await
        .expect_err("nobody learns whether it was done");
    assert_eq!(begun.get(), 1);
    proxy.set(Fault::Pass).await;
    assert_eq!(work(&session).await, 1);
}
