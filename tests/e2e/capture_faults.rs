//! `conversation-capture` where something breaks: the item fails with its reason, and delivering it again completes it.

use std::time::{Duration, Instant};

use local::canary::said;
use local::{Fault, FaultProxy, StackOptions};
use serde_json::Value;

use crate::capture::{batch, failures, turn};
use crate::system::{CAPTURE, PATIENCE, System};

impl System {
    /// Puts a proxy between conversation-capture and the database.
    async fn proxied_database(&self) -> FaultProxy {
        let proxy = FaultProxy::start(self.database_address()).await.unwrap();
        self.define_capture(&[("DB_PORT", &proxy.port().to_string())]);
        proxy
    }
}

#[tokio::test]
async fn a_database_that_is_away_fails_the_items_and_redelivery_completes_them() {
    let system = System::start("dbaway").await;
    system.announce("Capture.DatabaseUnavailable");
    let proxy = system.proxied_database().await;
    proxy.set(Fault::Refuse).await;
    let delivery = batch(&[turn("a", 1).to_string(), turn("b", 1).to_string()]);
    assert_eq!(failures(&system.capture(&delivery).await), ["m-0", "m-1"]);
    let (code, message) = system.refused(CAPTURE, &turn("c", 1)).await;
    assert_eq!(code, "Capture.DatabaseUnavailable", "{message}");
    assert_eq!(
        system.objects("conversations/").await.len(),
        3,
        "S3 has them meanwhile"
    );
    assert_eq!(system.messages().await, 0);

    proxy.set(Fault::Pass).await;
    assert_eq!(failures(&system.capture(&delivery).await), [""; 0]);
    assert_eq!(
        (system.messages().await, system.object_versions().await),
        (4, 3)
    );
}

#[tokio::test]
async fn a_database_that_never_answers_is_named_before_the_deadline() {
    let system = System::start("silent").await;
    let proxy = system.proxied_database().await;
    system.capture(&turn("c", 1)).await;
    proxy.set(Fault::BlackHole).await;
    proxy.cut();
    let started = Instant::now();
    let (code, message) = system.refused(CAPTURE, &turn("c", 2)).await;
    assert!(
        ["Capture.DatabaseUnavailable", "Capture.DeadlineReached"].contains(&code.as_str()),
        "{code}: {message}"
    );
    system.announce(&code);
    assert!(
        started.elapsed() < Duration::from_secs(29),
        "the reason came before the function's timeout"
    );
    proxy.set(Fault::Pass).await;
    assert_eq!(system.capture(&turn("c", 2)).await["status"], "stored");
}

#[tokio::test]
async fn without_s3_nothing_is_acknowledged_and_no_row_is_written() {
    let system = System::start("s3away").await;
    system.announce("Capture.ArchiveUnavailable");
    let proxy = FaultProxy::start(system.stack.gateway().address())
        .await
        .unwrap();
    system.define_capture(&[("AWS_ENDPOINT_URL_S3", &proxy.endpoint())]);
    proxy.set(Fault::Refuse).await;
    assert_eq!(
        system.refused(CAPTURE, &turn("c", 1)).await.0,
        "Capture.ArchiveUnavailable"
    );
    assert_eq!(
        failures(
            &system
                .capture(&batch(&[format!("{{not json: {}", said("anything"))]))
                .await
        ),
        ["m-0"],
        "it could not be put aside"
    );
    assert_eq!(
        system
            .number("SELECT count(*) FROM capture_events", &[])
            .await,
        0
    );
    proxy.set(Fault::Pass).await;
    assert_eq!(system.capture(&turn("c", 1)).await["status"], "stored");
}

#[tokio::test]
async fn a_killed_environment_loses_nothing() {
    let system = System::start("killed").await;
    system.announce_unless(
        "Capture.DatabaseUnavailable",
        "it is killed before it gives the database up",
    );
    let proxy = system.proxied_database().await;
    for (number, fault) in [
        Fault::BlackHole,
        Fault::CutBeforeAnswer(1),
        Fault::CutBeforeAnswer(2),
        Fault::CutBeforeAnswer(3),
        Fault::SwallowAnswer(4),
    ]
    .into_iter()
    .enumerate()
    {
        system.stack.functions().retire(CAPTURE);
        proxy.set(fault).await;
        let invocation = tokio::spawn(system.invoke(CAPTURE, &turn("c", number)));
        local::wait::until("the event in S3", PATIENCE, async || {
            (system.objects("conversations/").await.len() > number).then_some(())
        })
        .await
        .unwrap();
        system.stack.functions().kill(CAPTURE);
        invocation.await.unwrap();
        proxy.set(Fault::Pass).await;
        proxy.cut();
        let reply = system.capture(&turn("c", number)).await;
        assert!(
            ["stored", "duplicate"].contains(&reply["status"].as_str().unwrap()),
            "{reply}"
        );
    }
    assert_eq!(
        (system.messages().await, system.object_versions().await),
        (10, 5)
    );
    system.assert_counters_are_exact().await;
}

#[tokio::test]
async fn a_connection_that_died_while_idle_is_replaced() {
    let system = System::start("thaw").await;
    system.capture(&turn("c", 1)).await;
    let terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'conversation-capture'";
    assert!(system.number(terminate, &[]).await >= 1);
    assert_eq!(system.capture(&turn("c", 2)).await["status"], "stored");
}

/// The server goes away while the statement waits in it, and comes back.
#[tokio::test]
async fn a_server_that_restarts_in_a_statement_costs_a_delivery() {
    let options = StackOptions::from_environment().unwrap();
    let system = System::with(options.own_postgres(|postgres| postgres), "restart").await;
    system.create_tables().await;
    system.announce_unless(
        "Capture.DatabaseUnavailable",
        "the session has replaced its connection in time",
    );
    system.capture(&turn("c", 1)).await;
    let other = system.database.superuser().await.unwrap();
    other
        .batch_execute("BEGIN; LOCK TABLE messages IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let delivery = batch(&[turn("c", 2).to_string()]);
    let invocation = tokio::spawn(system.invoke(CAPTURE, &delivery));
    let superuser = system.database.superuser().await.unwrap();
    local::wait::until("a statement that waits for the lock", PATIENCE, async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        let waiting: i64 = superuser.query_one(waiting, &[]).await.unwrap().get(0);
        (waiting > 0).then_some(())
    })
    .await
    .unwrap();
    system
        .stack
        .own_postgres()
        .unwrap()
        .restart()
        .await
        .unwrap();
    let invoked = invocation.await.unwrap();
    let reply: Value = serde_json::from_slice(&invoked.payload).unwrap();
    let failed = failures(&reply);
    assert!(failed.is_empty() || failed == ["m-0"], "{reply}");
    if failed.is_empty() {
        assert_eq!(system.messages().await, 4, "acknowledged, so it is there");
    }
    assert_eq!(failures(&system.capture(&delivery).await), [""; 0]);
    assert_eq!(
        (system.messages().await, system.object_versions().await),
        (4, 2)
    );
    system.assert_counters_are_exact().await;
}
