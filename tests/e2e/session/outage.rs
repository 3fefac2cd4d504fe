//! When Secrets Manager or the database does not answer.

use std::time::Duration;

use aurora_session::RunError;
use local::Fault;
use tokio::time::Instant;

use super::{Key, SECRET, chain, connecting, counted, nothing_opens, soon, within};

/// What a caller on a busy machine may have to wait beyond its deadline.
const TOLERANCE: Duration = Duration::from_secs(10);

/// Expects that a call which began at `started` ended at its deadline, not before and not much later.
#[track_caller]
fn assert_ended_at(started: Instant, deadline: Instant) {
    let (took, allowed) = (started.elapsed(), deadline - started);
    assert!(
        took + Duration::from_millis(100) >= allowed && took <= allowed + TOLERANCE,
        "took {took:?} of {allowed:?}"
    );
}

/// Whose password still works needs no Secrets Manager. How long the outage lasts has no part in it: nothing that the session
/// knows of the secret ends by itself.
#[tokio::test]
async fn without_secrets_manager_a_known_password_goes_on_working() {
    let key = Key::new("noapi").await;
    let (session, proxy) = key.session_by_api_proxy().await;
    session.warm_up(soon()).await.unwrap();
    for fault in [Fault::Refuse, Fault::BlackHole, Fault::Reset] {
        proxy.set(fault).await;
        proxy.cut();
        for _ in 0..5 {
            session.connect(soon()).await.unwrap();
        }
        key.terminate_connections().await;
        let work = session.run(true, soon(), async |client| {
            client.batch_execute("SELECT 1").await
        });
        work.await.unwrap();
    }
    let counters = session.counters();
    assert_eq!(counters.failed_connects, 0);
    assert_eq!(
        counters.secret_reads, 1,
        "only the first login asked for it"
    );
}

/// A rotation meanwhile needs it; the connect waits until it is back.
#[tokio::test]
async fn an_outage_of_secrets_manager_in_the_gap_is_waited_for() {
    let key = Key::new("apigap").await;
    let (session, proxy) = key.session_by_api_proxy().await;
    session.connect(soon()).await.unwrap();
    key.rotate_into_the_gap().await;
    proxy.set(Fault::Refuse).await;
    proxy.cut();
    let connecting = connecting(&session);
    counted(&session, "a session that waits", |counters| {
        counters.waits > 0
    })
    .await;
    proxy.set(Fault::Pass).await;
    connecting.await.unwrap().unwrap();
    assert_eq!(session.counters().failed_connects, 0);
}

/// The SDK's own tries come to an end before the throttling does.
#[tokio::test]
async fn throttling_in_the_gap_is_waited_for() {
    let key = Key::new("throttled").await;
    let session = key.session();
    session.connect(soon()).await.unwrap();
    key.rotate_into_the_gap().await;
    let manager = key.stack.secrets_manager();
    manager.fail_next(5, "ThrottlingException");
    session.connect(soon()).await.unwrap();
    let counters = session.counters();
    assert_eq!((counters.waits, counters.failed_connects), (1, 0));
    assert_eq!(key.refused_logins(&session), 1);
}

/// Its own deadline comes while another task is at it, so that is whose reason it tells.
#[tokio::test]
async fn who_waits_behind_an_outage_learns_of_it() {
    let key = Key::new("behind").await;
    let (session, proxy) = key.session_by_api_proxy().await;
    proxy.set(Fault::Refuse).await;
    let first = connecting(&session);
    counted(&session, "a session that waits", |counters| {
        counters.waits > 0
    })
    .await;
    let failed = session.connect(within(Duration::from_millis(50))).await;
    let failed = failed.expect_err("no secret, no login");
    assert_eq!(failed.code(), "SECRET_UNREADABLE", "{}", chain(&failed));
    proxy.set(Fault::Pass).await;
    first.await.unwrap().unwrap();
}

/// The password that was known is refused, and the API that has the new one is away.
#[tokio::test]
async fn an_outage_in_the_gap_and_the_refusal_are_both_named() {
    let key = Key::new("both").await;
    let (session, proxy) = key.session_by_api_proxy().await;
    session.connect(soon()).await.unwrap();
    key.rotate_into_the_gap().await;
    proxy.set(Fault::Refuse).await;
    proxy.cut();
    let told = chain(&nothing_opens(&session).await);
    for reason in ["28P01", "GetSecretValue", "DispatchFailure", SECRET] {
        assert!(told.contains(reason), "{reason} is missing: {told}");
    }
}

/// Who leaves in the midst of a search leaves what it has learnt to the next one.
#[tokio::test]
async fn a_task_that_is_dropped_while_it_searches_harms_nobody() {
    let key = Key::new("dropped").await;
    let (session, proxy) = key.session_by_api_proxy().await;
    session.connect(soon()).await.unwrap();
    key.rotate_into_the_gap().await;
    proxy.set(Fault::BlackHole).await;
    let searching = connecting(&session);
    counted(&session, "a question to Secrets Manager", |counters| {
        counters.secret_reads == 2
    })
    .await;
    searching.abort();
    let cancelled = searching.await.expect_err("it cannot have found anything");
    assert!(cancelled.is_cancelled(), "{cancelled}");

    proxy.set(Fault::Pass).await;
    proxy.cut();
    session.connect(soon()).await.unwrap();
    assert_eq!(
        key.refused_logins(&session),
        1,
        "the next task knows what was refused"
    );
}

#[tokio::test]
async fn without_secrets_manager_the_first_login_says_so() {
    let key = Key::new("noapifirst").await;
    let (session, proxy) = key.session_by_api_proxy().await;
    proxy.set(Fault::Refuse).await;
    let (started, deadline) = (Instant::now(), within(Duration::from_secs(2)));
    let failed = session
        .connect(deadline)
        .await
        .expect_err("no secret, no login");
    assert!(started.elapsed() <= deadline - started + TOLERANCE);
    assert_eq!(failed.code(), "SECRET_UNREADABLE", "{}", chain(&failed));
    assert!(chain(&failed).contains(SECRET), "{}", chain(&failed));
}

#[tokio::test]
async fn a_silent_secrets_manager_is_named_at_the_deadline() {
    let key = Key::new("silentapi").await;
    let (session, proxy) = key.session_by_api_proxy().await;
    proxy.set(Fault::BlackHole).await;
    let failed = session
        .connect(within(Duration::from_millis(500)))
        .await
        .expect_err("no secret, no login");
    assert_eq!(failed.code(), "SECRET_UNREADABLE", "{}", chain(&failed));
    assert!(
        chain(&failed).contains("GetSecretValue"),
        "{}",
        chain(&failed)
    );
}

#[tokio::test]
async fn a_silent_database_is_named_at_the_deadline() {
    let key = Key::new("silent").await;
    let (session, proxy) = key.session_by_proxy().await;
    proxy.set(Fault::BlackHole).await;
    let (started, deadline) = (Instant::now(), within(Duration::from_secs(2)));
    let failed = session
        .connect(deadline)
        .await
        .expect_err("a silent database");
    assert_ended_at(started, deadline);
    let told = chain(&failed);
    assert!(
        told.contains("did not answer in time") && told.contains(&proxy.port().to_string()),
        "it says who was silent: {told}"
    );
    assert_eq!(session.counters().failed_connects, 1);
}

/// It is unknown what the server did, so the caller learns that, and the next one does not wait behind it.
#[tokio::test]
async fn work_without_an_answer_ends_at_the_deadline_and_harms_nobody_after_it() {
    let key = Key::new("swallowed").await;
    let (session, proxy) = key.session_by_proxy().await;
    session.warm_up(soon()).await.unwrap();
    proxy.set(Fault::SwallowAnswer(1)).await;
    let (started, deadline) = (Instant::now(), within(Duration::from_secs(2)));
    let outcome = session
        .run(true, deadline, async |client| {
            client.batch_execute("SELECT 1").await
        })
        .await;
    assert!(matches!(outcome, Err(RunError::TimedOut)), "{outcome:?}");
    assert_ended_at(started, deadline);

    proxy.set(Fault::Pass).await;
    session
        .run(true, soon(), async |client| {
            client.batch_execute("SELECT 1").await
        })
        .await
        .unwrap();
    assert_eq!(
        session.counters().logins.total(),
        2,
        "the connection was replaced"
    );
}

/// A server that is starting or out of reach for a moment is waited for.
#[tokio::test]
async fn a_database_that_comes_back_in_time_costs_no_connect() {
    let key = Key::new("comesback").await;
    let (session, proxy) = key.session_by_proxy().await;
    proxy.set(Fault::Refuse).await;
    let connecting = connecting(&session);
    counted(&session, "a login that is repeated", |counters| {
        counters.login_retries > 0
    })
    .await;
    proxy.set(Fault::Pass).await;
    connecting.await.unwrap().unwrap();
    assert_eq!(session.counters().failed_connects, 0);
}
