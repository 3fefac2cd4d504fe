//! The rebuild of an empty database, whole and cut off in the middle.

use serde_json::Value;
use tokio_postgres::Client;

use super::corpus;
use crate::store::rows::{assert_counters, assert_same, dump};
use crate::system::{PATIENCE, System, succeeded};

impl System {
    /// Runs `turnkeep` with `--json` and returns its document and its exit code.
    pub async fn document(&self, arguments: &[&str]) -> (Value, i32) {
        let arguments = [arguments, &["--json"]].concat();
        let output = self.turnkeep(&arguments).await;
        let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
            panic!("no document: {}", String::from_utf8_lossy(&output.stderr));
        });
        (document, output.status.code().unwrap())
    }

    /// Empties all tables, as a new database has them.
    pub async fn empty_tables(&self) {
        let client = self.database.superuser().await.unwrap();
        client
            .batch_execute("TRUNCATE conversations CASCADE")
            .await
            .unwrap();
    }

    /// A connection that has executed `statements`, and holds their locks until it is dropped.
    pub async fn held(&self, statements: &str) -> Client {
        let client = self.database.superuser().await.unwrap();
        client.batch_execute(statements).await.unwrap();
        client
    }

    /// Starts `turnkeep` and kills it as soon as it has written the file of `--resume`.
    pub async fn killed(&self, arguments: &[&str], state: &str) {
        let mut running = self.command(arguments).spawn().unwrap();
        local::wait::until("the place that it has reached", 4 * PATIENCE, async || {
            std::fs::exists(state).unwrap().then_some(())
        })
        .await
        .unwrap();
        running.kill().await.unwrap();
    }

    async fn events(&self) -> i64 {
        self.number("SELECT count(*) FROM capture_events", &[])
            .await
    }
}

/// A system with rows to rebuild, and these rows.
async fn filled(hint: &str) -> (System, String) {
    let system = System::start(hint).await;
    for warning in corpus::WARNINGS {
        system.announce(warning);
    }
    corpus::send(&system).await;
    let client = system.database.superuser().await.unwrap();
    let rows = dump(&client).await;
    assert!(system.events().await >= 300);
    (system, rows)
}

#[tokio::test]
async fn an_empty_database_gets_the_same_rows_from_s3() {
    let (system, rows) = filled("rebuild").await;
    let (events, objects) = (
        system.events().await,
        system.objects("conversations/").await.len(),
    );
    let client = system.database.superuser().await.unwrap();

    let (full, exit) = system.document(&["replay"]).await;
    assert_eq!((full["outcome"].as_str(), exit), (Some("ok"), 0), "{full}");
    assert_eq!(full["stored"], 0, "{full}");
    assert_same(&rows, &dump(&client).await, "replayed into a full database");

    system.empty_tables().await;
    let (planned, exit) = system.document(&["replay", "--dry-run"]).await;
    assert_eq!(
        (planned["outcome"].as_str(), exit),
        (Some("planned"), 0),
        "{planned}"
    );
    assert_eq!(system.events().await, 0, "a plan writes nothing");

    let (replayed, exit) = system.document(&["replay"]).await;
    assert_eq!(
        (replayed["outcome"].as_str(), exit),
        (Some("ok"), 0),
        "{replayed}"
    );
    assert_eq!(replayed["objects"], objects, "{replayed}");
    assert_eq!(replayed["foreign"], 3, "{replayed}");
    assert_eq!(replayed["conflict"], 1, "{replayed}");
    assert_eq!(
        replayed["duplicate"], 1,
        "one event has two objects: {replayed}"
    );
    assert_eq!(replayed["stored"], objects - 5, "{replayed}");
    assert_eq!(system.events().await, events);
    assert_same(&rows, &dump(&client).await, "rebuilt");
    assert_counters(&client).await;

    let (swept, exit) = system.document(&["sweep"]).await;
    assert_eq!(
        (swept["outcome"].as_str(), exit),
        (Some("clean"), 0),
        "{swept}"
    );
}

#[tokio::test]
async fn a_replay_that_is_killed_goes_on_where_it_was() {
    let (system, rows) = filled("killedreplay").await;
    let total = system.events().await;
    system.empty_tables().await;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let state = state.to_str().unwrap();
    let arguments = ["replay", "--resume", state];
    // A conversation of the last objects: their statement waits for this transaction, those before it are through.
    let waiting = "BEGIN; INSERT INTO conversations (conversation_id, tenant_id, last_message_at, last_event_id) VALUES ('undated-1', 'default', now(), '')";
    let held = system.held(waiting).await;
    system.killed(&arguments, state).await;
    let before = system.events().await;
    assert!(
        (1..total).contains(&before),
        "killed in the middle: {before} of {total}"
    );
    drop(held);

    let (replayed, exit) = system.document(&arguments).await;
    assert_eq!(
        (replayed["outcome"].as_str(), exit),
        (Some("ok"), 0),
        "{replayed}"
    );
    assert!(
        replayed["objects"].as_i64().unwrap() < total,
        "it did not begin anew: {replayed}"
    );
    assert!(!std::fs::exists(state).unwrap(), "all is done");
    let client = system.database.superuser().await.unwrap();
    assert_same(&rows, &dump(&client).await, "killed and gone on");
    assert_counters(&client).await;
}

/// A part of the archive is brought in by what its keys say, and what was refused stays out of it.
#[tokio::test]
async fn a_part_is_brought_in_by_tenant_day_and_conversation() {
    let (system, rows) = filled("parts").await;
    let distinct = "SELECT count(*) FROM capture_events WHERE tenant_id <> 'acme'";
    let of_day = "SELECT count(*) FROM capture_events WHERE occurred_at::date <> '2026-11-22'";
    system.empty_tables().await;
    let (replayed, _) = system.document(&["replay", "--tenant", "acme"]).await;
    assert_eq!(replayed["stored"], 5 * 20, "{replayed}");
    assert_eq!(system.number(distinct, &[]).await, 0);

    system.empty_tables().await;
    let day = ["replay", "--since", "2026-11-22", "--until", "2026-11-22"];
    let (replayed, exit) = system.document(&day).await;
    assert_eq!(
        (replayed["outcome"].as_str(), exit),
        (Some("ok"), 0),
        "{replayed}"
    );
    assert_eq!(
        (&replayed["foreign"], &replayed["conflict"]),
        (&1.into(), &1.into()),
        "{replayed}"
    );
    assert_eq!(system.number(of_day, &[]).await, 0);
    let refused = "SELECT count(*) FROM capture_events WHERE conversation_id = 'owned'";
    assert_eq!(
        system.number(refused, &[]).await,
        0,
        "what it is refused for is of another day"
    );

    let (replayed, _) = system
        .document(&["replay", "--conversation", "plain 1/é"])
        .await;
    let of_conversation = "SELECT count(*) FROM capture_events WHERE conversation_id = 'plain 1/é'";
    assert_eq!(system.number(of_conversation, &[]).await, 20, "{replayed}");
    let (replayed, _) = system
        .document(&[
            "replay",
            "--prefix",
            "conversations/v1/t=default/dt=undated/",
        ])
        .await;
    assert_eq!(replayed["stored"], 3, "{replayed}");

    succeeded(&system.turnkeep(&["replay"]).await);
    let client = system.database.superuser().await.unwrap();
    assert_same(&rows, &dump(&client).await, "part by part");
}
