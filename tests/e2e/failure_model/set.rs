//! setSecret: crashes, lost answers, calls at once, and what earlier calls have left.

use local::proxy::Flight;
use local::{Credentials, Fault};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::went_well;
use crate::system::{PATIENCE, ROTATION, SECRET, System};

#[tokio::test]
async fn s1_a_crash_before_the_commit_changes_nothing() {
    let system = System::start("s1").await;
    let between = system.between().await;
    let token = system.begun().await;
    system.cool();
    // In the login that is refused, in the one that works, and at each statement up to the change itself.
    let logins = [1, between.login, between.login + 1];
    let statements = between.lock - 3..between.commit;
    for nth in logins.into_iter().chain(statements) {
        let stop = between.proxy.stop_at(Flight::Answer, nth);
        system.killed_at(stop, "setSecret", &token).await;
        assert!(
            system.nothing_has_changed().await,
            "killed before answer {nth} of {}",
            between.commit
        );
    }
    system.whole_rotation(&token).await;
}

#[tokio::test]
async fn s2_a_crash_after_the_commit_leaves_a_password_that_opens() {
    let system = System::start("s2").await;
    let between = system.between().await;
    let token = system.begun().await;
    system.cool();
    let stop = between.proxy.stop_at(Flight::Answer, between.commit);
    system.killed_at(stop, "setSecret", &token).await;
    assert!(system.opens("AWSPENDING").await && !system.opens("AWSCURRENT").await);
    let verifier = system.verifier().await;
    system.whole_rotation(&token).await;
    assert_eq!(system.verifier().await, verifier, "it was not set again");
}

#[tokio::test]
async fn s3_a_commit_whose_answer_is_lost_is_decided_by_a_login() {
    let system = System::start("s3").await;
    let between = system.between().await;
    // Around the commit: the change, the commit, and what follows; a request is lost, or its answer.
    for flight in [Flight::Request, Flight::Answer] {
        for nth in between.commit - 2..=between.commit {
            let token = system.begun().await;
            system.cool();
            let mut stop = between.proxy.stop_at(flight, nth);
            let call =
                tokio::spawn(system.invoke(ROTATION, &system.step("setSecret", &token).await));
            stop.reached(PATIENCE).await.unwrap();
            stop.cut();
            let invoked = call.await.unwrap();
            let payload = String::from_utf8_lossy(&invoked.payload);
            assert_eq!(
                invoked.function_error, None,
                "{flight:?} {nth} of {}: {payload}",
                between.commit
            );
            assert!(system.opens("AWSPENDING").await);
            system.go_on(&token, &["testSecret", "finishSecret"]).await;
        }
    }
}

#[tokio::test]
async fn s4_two_at_once_wait_for_each_other() {
    let system = System::start("s4").await;
    let between = system.between().await;
    let token = system.begun().await;
    system.cool();
    let event = system.step("setSecret", &token).await;
    let mut stop = between.proxy.stop_at(Flight::Answer, between.commit - 1);
    let first = tokio::spawn(system.invoke(ROTATION, &event));
    stop.reached(PATIENCE).await.unwrap();
    let second = tokio::spawn(system.invoke(ROTATION, &event));
    system.somebody_waits_for_a_lock(&system.application).await;
    drop(stop);
    for call in [first, second] {
        went_well(&call.await.unwrap());
    }
    system.go_on(&token, &["testSecret", "finishSecret"]).await;
}

/// The call has checked the labels, stands still, and meanwhile a newer rotation sets its password.
#[tokio::test]
async fn s5_a_late_call_does_not_overwrite_a_newer_password() {
    let system = System::start("s5").await;
    system.announce("VERSION_NOT_PENDING");
    let between = system.between().await;
    // Before the lock is asked for: in the login, and at each statement up to the lock.
    for nth in [between.lock - 3, between.lock - 2, between.lock - 1] {
        let late = system.begun().await;
        system.cool();
        let mut stop = between.proxy.stop_at(Flight::Answer, nth);
        let call = tokio::spawn(system.invoke(ROTATION, &system.step("setSecret", &late).await));
        stop.reached(PATIENCE).await.unwrap();
        system.whole_rotation(&late).await;
        let newer = system.begun().await;
        system
            .go_on(&newer, &["setSecret", "testSecret", "finishSecret"])
            .await;
        let verifier = system.verifier().await;
        drop(stop);
        let invoked = call.await.unwrap();
        let payload = String::from_utf8_lossy(&invoked.payload).into_owned();
        assert!(invoked.function_error.is_some(), "answer {nth}: {payload}");
        assert!(
            payload.contains("not set as AWSPENDING"),
            "answer {nth}: {payload}"
        );
        assert_eq!(system.verifier().await, verifier, "answer {nth}");
        assert!(system.opens("AWSCURRENT").await);
    }
}

/// The same in the session of the master, who sets the password of one of two users. The call waits for the lock on the role
/// while a newer rotation sets another password, whose last steps are done by hand here.
#[tokio::test]
async fn s5_a_late_call_of_the_master_does_not_overwrite_a_newer_password() {
    let system = System::start("s5master").await;
    system.announce("VERSION_WITHOUT_STAGE");
    system.name_master(&system.master_secret.clone()).await;
    system.define_rotation(&[("ROTATION_STRATEGY", "alternating-users")]);
    system.rotate().await;
    system.rotate().await;
    let late = system.begun().await;
    let mut newer = system.secret("AWSPENDING").unwrap();
    let credentials = Credentials::generate(newer["username"].as_str().unwrap());
    newer["password"] = json!(credentials.password.expose_secret());

    let mut superuser = system.database.superuser().await.unwrap();
    let lock = superuser.transaction().await.unwrap();
    let take = "SELECT pg_advisory_xact_lock(1953853038, hashtext($1))";
    let user = credentials.username.as_str();
    lock.query(take, &[&user]).await.unwrap();
    let call = tokio::spawn(system.invoke(ROTATION, &system.step("setSecret", &late).await));
    let server = system.stack.server();
    system
        .somebody_waits_for_a_lock(&server.master().username)
        .await;
    server.set_password(&credentials).await.unwrap();
    system.put(SECRET, "AWSCURRENT", &newer).await;
    system.remove_pending(&late).await;
    lock.commit().await.unwrap();
    let payload = call.await.unwrap().payload;
    let payload = String::from_utf8_lossy(&payload).into_owned();
    assert!(payload.contains("has no stage for rotation"), "{payload}");
    assert!(system.opens("AWSCURRENT").await, "nothing was overwritten");
}

/// A call that stands still under the lock keeps newer ones waiting, and finds its label gone when it goes on.
#[tokio::test]
async fn s5_a_label_that_was_removed_under_the_lock_stops_the_change() {
    let system = System::start("s5lock").await;
    system.announce("VERSION_WITHOUT_STAGE");
    let between = system.between().await;
    let payload = system.loses_its_label_under_the_lock(&between).await;
    assert!(payload.contains("has no stage for rotation"), "{payload}");
    assert!(system.opens("AWSCURRENT").await, "the change was not begun");
}

#[tokio::test]
async fn s6_what_may_pass_is_waited_for_and_is_no_wrong_password() {
    let system = System::start("s6").await;
    system.announce("TOO_MANY_CONNECTIONS");
    system.announce("UNKNOWN_DATABASE");
    let between = system.between().await;
    let token = system.begun().await;
    let event = system.step("setSecret", &token).await;
    let refused = system.refused_logins();
    let (superuser, name) = (
        system.database.superuser().await.unwrap(),
        &system.database.name,
    );
    let limit = async |connections: i32| {
        let alter = format!("ALTER DATABASE {name} CONNECTION LIMIT {connections}");
        superuser.batch_execute(&alter).await.unwrap();
    };
    limit(0).await;
    let port = between.proxy.port().to_string();
    system.define_rotation(&[("DB_PORT", &port), ("CONNECT_BUDGET_SECONDS", "1")]);
    let (code, message) = system.refused(ROTATION, &event).await;
    // The server checks the password before it counts, so one is refused: the pending one, as it should be.
    assert_eq!(code, "TOO_MANY_CONNECTIONS", "{message}");
    assert!(
        message.contains("53300") && message.contains("(tls)"),
        "{message}"
    );
    assert_eq!(system.refused_logins() - refused, 1);
    limit(-1).await;
    system.define_rotation(&[("DB_PORT", &port), ("DB_NAME", "nowhere")]);
    let (code, message) = system.refused(ROTATION, &event).await;
    assert_eq!(code, "UNKNOWN_DATABASE", "{message}");
    assert!(
        message.contains("3D000") && message.contains("(tls)"),
        "{message}"
    );
    assert!(system.nothing_has_changed().await);
    // A server that starts meanwhile: the invocation waits for it.
    system.define_rotation(&[("DB_PORT", &port)]);
    for _ in 0..2 {
        between.proxy.next(Fault::Reset);
    }
    system.whole_rotation(&token).await;
}

#[tokio::test]
async fn s7_a_server_that_takes_no_writes_is_left_for_another_or_named() {
    let system = System::start("s7").await;
    system.announce("READ_ONLY_TARGET");
    let token = system.begun().await;
    let event = system.step("setSecret", &token).await;
    let superuser = system.database.superuser().await.unwrap();
    let read_only = async |setting: &str| {
        let alter = format!(
            "ALTER ROLE {} SET default_transaction_read_only = {setting}",
            system.application
        );
        superuser.batch_execute(&alter).await.unwrap();
    };
    read_only("on").await;
    system.define_rotation(&[("CONNECT_BUDGET_SECONDS", "2")]);
    let (code, message) = system.refused(ROTATION, &event).await;
    assert_eq!(code, "READ_ONLY_TARGET", "{message}");
    assert!(
        message.contains("25006") && message.contains(&system.database.server.host),
        "{message}"
    );
    assert!(system.nothing_has_changed().await);
    // The failover ends while the invocation waits for it.
    system.define_rotation(&[("CONNECT_BUDGET_SECONDS", "30")]);
    let refusals = || {
        let log = system.stack.server().log().unwrap();
        let own = format!("{}@", system.application);
        let refused = |line: &&str| line.contains(&own) && line.contains("read-only transaction");
        log.lines().filter(refused).count()
    };
    let before = refusals();
    let call = tokio::spawn(system.invoke(ROTATION, &event));
    local::wait::until("another try", PATIENCE, async || {
        (refusals() > before).then_some(())
    })
    .await
    .unwrap();
    read_only("off").await;
    went_well(&call.await.unwrap());
    system.go_on(&token, &["testSecret", "finishSecret"]).await;
}

#[tokio::test]
async fn s8_a_rotation_that_failed_before_the_change_goes_on() {
    let system = System::start("s8").await;
    system.announce("DATABASE_UNREACHABLE");
    let between = system.between().await;
    let port = between.proxy.port().to_string();
    system.define_rotation(&[("DB_PORT", &port), ("CONNECT_BUDGET_SECONDS", "1")]);
    let token = system.begun().await;
    between.proxy.set(Fault::Refuse).await;
    let (code, _) = system
        .refused(ROTATION, &system.step("setSecret", &token).await)
        .await;
    assert_eq!(code, "DATABASE_UNREACHABLE");
    let made = system.secret("AWSPENDING").unwrap();
    assert!(system.nothing_has_changed().await);
    between.proxy.set(Fault::Pass).await;
    system.whole_rotation(&token).await;
    assert_eq!(
        system.secret("AWSCURRENT").unwrap(),
        made,
        "the same password"
    );
}

#[tokio::test]
async fn s9_a_rotation_that_failed_after_the_change_goes_on() {
    let system = System::start("s9").await;
    system.announce("DATABASE_UNREACHABLE");
    let between = system.between().await;
    let port = between.proxy.port().to_string();
    system.define_rotation(&[("DB_PORT", &port), ("CONNECT_BUDGET_SECONDS", "1")]);
    let token = system.begun().await;
    system.step_succeeds("setSecret", &token).await;
    between.proxy.set(Fault::Refuse).await;
    let (code, _) = system
        .refused(ROTATION, &system.step("testSecret", &token).await)
        .await;
    assert_eq!(code, "DATABASE_UNREACHABLE");
    between.proxy.set(Fault::Pass).await;
    let verifier = system.verifier().await;
    system.whole_rotation(&token).await;
    assert_eq!(system.verifier().await, verifier, "it was not set again");
}

impl System {
    /// What the database has instead of the application's password.
    pub async fn verifier(&self) -> String {
        let client = self.database.superuser().await.unwrap();
        let query = "SELECT rolpassword FROM pg_authid WHERE rolname = $1";
        client
            .query_one(query, &[&self.application])
            .await
            .unwrap()
            .get(0)
    }

    async fn somebody_waits_for_a_lock(&self, user: &str) {
        let query = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND datname = $2 AND wait_event_type = 'Lock'";
        local::wait::until("a session that waits for a lock", PATIENCE, async || {
            (self.number(query, &[&user, &self.database.name]).await > 0).then_some(())
        })
        .await
        .unwrap();
    }
}
