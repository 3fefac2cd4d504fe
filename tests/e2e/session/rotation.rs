//! Before, in and after the gap of a rotation, and with secrets that do not open the database.

use aurora_session::{Event, Session, SessionError, Stage};
use local::Flight;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Key, PATIENCE, SECRET, chain, connecting, counted, nothing_opens, soon};

async fn connect(session: Session) -> Result<(), SessionError> {
    session.connect(soon()).await.map(drop)
}

#[tokio::test]
async fn connects_succeed_before_in_and_after_the_gap() {
    let key = Key::new("gap").await;
    let session = key.session();
    let old = key.version(Stage::Current).unwrap();
    session.connect(soon()).await.unwrap();
    assert_eq!(session.accepted().unwrap().version_id, old);

    let next = key.next();
    let new = key.put_pending(&next).await;
    session.connect(soon()).await.unwrap();
    assert_eq!(
        session.accepted().unwrap().version_id,
        old,
        "the database does not know the new password yet"
    );

    key.set_password(&next).await;
    session.connect(soon()).await.unwrap();
    assert_eq!(session.accepted().unwrap().version_id, new);
    let cold = key.session();
    cold.connect(soon()).await.unwrap();
    assert_eq!(cold.counters().logins.pending, 1, "begun in the gap");

    key.promote(&new).await;
    session.connect(soon()).await.unwrap();
    let cold = key.session();
    cold.connect(soon()).await.unwrap();
    assert_eq!(cold.counters().refusals.total(), 0, "begun after the gap");

    let counters = session.counters();
    assert_eq!(counters.failed_connects, 0);
    assert_eq!(counters.refusals.total(), 1, "one refusal per rotation");
}

#[tokio::test]
async fn ten_rotations_cost_no_connect() {
    let key = Key::new("ten").await;
    let session = key.session();
    for rotation in 0..10 {
        let version = key.rotate_into_the_gap().await;
        session.connect(soon()).await.unwrap();
        key.promote(&version).await;
        session.connect(soon()).await.unwrap();
        assert_eq!(
            session.accepted().unwrap().version_id,
            version,
            "rotation {rotation}"
        );
    }
    let counters = session.counters();
    assert_eq!(counters.failed_connects, 0);
    assert!(counters.refusals.total() <= 10, "{counters:?}");
}

/// Two logins are under way when the first refusal arrives; nobody tries that version any more, and one task asks for all.
#[tokio::test]
async fn tasks_that_fail_together_search_once() {
    const TASKS: usize = 64;
    let key = Key::new("herd").await;
    let session = key.session();
    session.connect(soon()).await.unwrap();
    key.rotate_into_the_gap().await;
    let (before, reads) = (session.counters(), key.reads());

    let tasks: JoinSet<_> = (0..TASKS).map(|_| connect(session.clone())).collect();
    for outcome in tasks.join_all().await {
        outcome.unwrap();
    }
    let counters = session.counters();
    let refused = key.refused_logins(&session);
    assert!((1..=2).contains(&refused), "{refused} refused logins");
    assert_eq!(counters.refreshes - before.refreshes, 1);
    // Current, which has been refused, and pending.
    assert_eq!(key.reads() - reads, 2, "reads of the secret");
    assert_eq!(counters.failed_connects, 0);
}

/// All that fails together fails once: what one task has found refused, no other tries.
#[tokio::test]
async fn tasks_that_find_no_version_try_each_once() {
    const TASKS: usize = 64;
    let key = Key::new("vain").await;
    let pending = key.put_pending(&key.next()).await;
    key.promote(&pending).await;
    key.put_pending(&key.next()).await;
    let session = key.session();
    key.set_password(&key.next()).await;
    let mut tasks: JoinSet<_> = (0..TASKS).map(|_| connect(session.clone())).collect();
    counted(&session, "a session that watches the labels", |counters| {
        counters.waits > 0
    })
    .await;
    tasks.abort_all();
    while tasks.join_next().await.is_some() {}
    for _ in 0..3 {
        let failed = nothing_opens(&session).await;
        assert_eq!(failed.code(), "NO_VERSION_ACCEPTED", "{}", chain(&failed));
    }
    assert_eq!(
        key.refused_logins(&session),
        3,
        "current, pending and previous"
    );
}

/// The server has accepted it a moment before the password changed, and its answer takes its time.
#[tokio::test]
async fn a_login_that_was_under_way_restores_no_trust() {
    let key = Key::new("late").await;
    let (session, proxy) = key.session_by_proxy().await;
    let before = proxy.counters().server_flights;
    session.connect(soon()).await.unwrap();
    let answers = proxy.counters().server_flights - before;
    let mut last_answer = proxy.stop_at(Flight::Answer, answers);
    let late = connecting(&session);
    last_answer.reached(PATIENCE).await.unwrap();

    let new = key.rotate_into_the_gap().await;
    session.connect(soon()).await.unwrap();
    assert_eq!(key.refused_logins(&session), 1);
    drop(last_answer);
    late.await.unwrap().unwrap();
    assert_eq!(session.accepted().unwrap().version_id, new);
    session.connect(soon()).await.unwrap();
    assert_eq!(key.refused_logins(&session), 1);
}

#[tokio::test]
async fn who_may_not_read_pending_waits_for_the_end_of_the_rotation() {
    let key = Key::new("denied").await;
    let (told, mut events) = mpsc::unbounded_channel();
    let session = key
        .builder(key.manager())
        .observer(move |event| {
            let _ = told.send(match event {
                Event::PendingDenied => "denied",
                Event::Waiting => "waiting",
                Event::LoggedIn {
                    stage: Stage::Current,
                    ..
                } => "current",
                Event::Refused { .. } => "refused",
                Event::SearchBegun | Event::SecretRead { .. } => return,
                _ => "other",
            });
        })
        .build()
        .unwrap();
    let refusal = key.stack.secrets_manager().refuse(
        "GetSecretValue",
        Some("AWSPENDING"),
        "AccessDeniedException",
    );
    let version = key.rotate_into_the_gap().await;
    let connecting = connecting(&session);
    let mut seen = Vec::new();
    while seen.iter().filter(|event| **event == "waiting").count() < 2 {
        let event = tokio::time::timeout(PATIENCE, events.recv()).await;
        seen.push(event.expect("the session waits for the rotation").unwrap());
    }
    key.promote(&version).await;
    connecting.await.unwrap().unwrap();
    while let Ok(event) = events.try_recv() {
        seen.push(event);
    }
    seen.retain(|event| *event != "waiting");
    assert_eq!(seen, ["refused", "denied", "current"]);
    assert_eq!(
        key.refused_logins(&session),
        1,
        "the labels were watched, not the database"
    );
    assert_eq!(session.counters().failed_connects, 0);
    drop(refusal);
}

/// A label moved too early, or a database restored from a backup.
#[tokio::test]
async fn the_previous_version_opens_what_the_current_does_not() {
    let key = Key::new("previous").await;
    let version = key.put_pending(&key.next()).await;
    key.promote(&version).await;
    let session = key.session();
    session.connect(soon()).await.unwrap();
    let counters = session.counters();
    assert_eq!((counters.logins.previous, counters.logins.total()), (1, 1));
    assert_eq!(counters.refusals.current, 1);
    assert_eq!(session.accepted().unwrap().stage, Stage::Previous);
}

/// Somebody else's version under AWSPENDING is no way in, although the database would accept it.
#[tokio::test]
async fn a_pending_version_of_another_user_is_not_tried() {
    let key = Key::new("stranger").await;
    let stranger = key
        .stack
        .server()
        .login_role("stranger", &[])
        .await
        .unwrap();
    key.put_pending(&stranger).await;
    key.set_password(&key.next()).await;
    let session = key.session();
    let refused = nothing_opens(&session).await;
    assert_eq!(refused.code(), "NO_VERSION_ACCEPTED", "{}", chain(&refused));
    assert_eq!(session.counters().logins.total(), 0);
}

/// The other user of an alternating pair is.
#[tokio::test]
async fn a_pending_version_of_the_alternate_user_is_tried() {
    let key = Key::new("alternate").await;
    let mut clone = key.next();
    clone.username = format!("{}_clone", key.first.username);
    let create = format!("CREATE ROLE {} LOGIN", clone.username);
    key.superuser.batch_execute(&create).await.unwrap();
    key.set_password(&clone).await;
    key.put_pending(&clone).await;
    key.set_password(&key.next()).await;
    let session = key.session();
    session.connect(soon()).await.unwrap();
    assert_eq!(session.accepted().unwrap().secret.username, clone.username);
}

#[tokio::test]
async fn a_refused_version_is_not_tried_again_while_the_labels_stay() {
    let key = Key::new("stubborn").await;
    // Neither AWSCURRENT nor AWSPREVIOUS opens the database.
    let version = key.put_pending(&key.next()).await;
    key.promote(&version).await;
    let right = key.next();
    key.set_password(&right).await;
    let session = key.session();
    let refused = nothing_opens(&session).await;
    assert_eq!(refused.code(), "NO_VERSION_ACCEPTED", "{}", chain(&refused));
    assert_eq!(key.refused_logins(&session), 2, "each version once");

    let reads = session.counters().secret_reads;
    nothing_opens(&session).await;
    assert_eq!(
        key.refused_logins(&session),
        2,
        "the next connect goes on watching"
    );
    assert!(
        session.counters().secret_reads > reads,
        "it watches the labels"
    );

    let waiting = connecting(&session);
    let version = key.put_pending(&right).await;
    key.promote(&version).await;
    waiting.await.unwrap().unwrap();
    assert_eq!(session.accepted().unwrap().version_id, version);
}

/// 28000 has nothing to do with the password: the second one ends the search long before the deadline.
#[tokio::test]
async fn a_role_that_may_not_log_in_ends_the_search() {
    let key = Key::new("nologin").await;
    let version = key.put_pending(&key.first).await;
    key.promote(&version).await;
    let forbid = format!("ALTER ROLE {} NOLOGIN", key.first.username);
    key.superuser.batch_execute(&forbid).await.unwrap();
    let session = key.session();
    let refused = session.connect(soon()).await;
    let refused = refused.expect_err("the role may not log in");
    assert!(
        matches!(&refused, SessionError::Refused { source, .. } if source.sqlstate() == Some("28000")),
        "{}",
        chain(&refused)
    );
    let counters = session.counters();
    assert_eq!(
        (counters.refusals.total(), counters.waits),
        (2, 0),
        "there is nothing to wait for"
    );
}

/// Who reads the error needs both: the database's reason, and that of the API that kept the right version back.
#[tokio::test]
async fn the_last_error_names_both_reasons() {
    let key = Key::new("reasons").await;
    let session = key.session();
    session.connect(soon()).await.unwrap();
    key.rotate_into_the_gap().await;
    let refusal = key.stack.secrets_manager().refuse(
        "GetSecretValue",
        Some("AWSPENDING"),
        "AccessDeniedException",
    );
    let told = chain(&nothing_opens(&session).await);
    for reason in ["28P01", "GetSecretValue", "AccessDeniedException", SECRET] {
        assert!(told.contains(reason), "{reason} is missing: {told}");
    }
    drop(refusal);
}

#[tokio::test]
async fn an_open_connection_survives_a_rotation() {
    let key = Key::new("open").await;
    let session = key.session();
    let backend = async || -> i32 {
        let asked = session.run(true, soon(), async |client| {
            client.query_one("SELECT pg_backend_pid()", &[]).await
        });
        asked.await.unwrap().get(0)
    };
    let own = session.connect(soon()).await.unwrap();
    let before = backend().await;
    let version = key.rotate_into_the_gap().await;
    assert_eq!(backend().await, before, "in the gap");
    key.promote(&version).await;
    assert_eq!(backend().await, before, "after the rotation");
    own.client.batch_execute("SELECT 1").await.unwrap();
    let counters = session.counters();
    assert_eq!(
        counters.logins.total(),
        2,
        "the caller's own and the kept one"
    );
    assert_eq!(
        (counters.refusals.total(), counters.replaced_connections),
        (0, 0)
    );
}
