//! Who may migrate, what concurrent runs do, and which histories are refused.

use store::migrate::{self, MigrateError, State};
use store::{Ownership, Status};

use super::events::{Sample, turn};
use super::{number, stack, store_all};

/// An owner without rights beyond its schema migrates; a writer with row grants ingests and reads.
#[tokio::test]
async fn ordinary_roles_suffice() {
    let stack = stack().await;
    let database = stack.database("roles").await.unwrap();
    let mut client = database.superuser().await.unwrap();
    let name = &database.name;
    client
        .batch_execute(&format!(
            "CREATE ROLE {name}_owner NOLOGIN; CREATE ROLE {name}_writer NOLOGIN;
             GRANT USAGE, CREATE ON SCHEMA public TO {name}_owner; GRANT USAGE ON SCHEMA public TO {name}_writer;
             SET ROLE {name}_owner"
        ))
        .await
        .unwrap();

    let plan = migrate::plan(&client).await.unwrap();
    assert_eq!(plan.state, State::Empty);
    assert_eq!(plan.pending.len(), migrate::MIGRATIONS.len());
    let report = migrate::apply(&mut client).await.unwrap();
    assert_eq!(report.before, State::Empty);
    assert_eq!(report.applied.len(), migrate::MIGRATIONS.len());
    assert_eq!(migrate::state(&client).await.unwrap(), State::Current);
    let again = migrate::apply(&mut client).await.unwrap();
    assert_eq!(again.before, State::Current);
    assert!(
        again.applied.is_empty(),
        "nothing is applied twice: {again:?}"
    );

    client
        .batch_execute(&format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}_writer; SET ROLE {name}_writer"
        ))
        .await
        .unwrap();
    assert_eq!(migrate::state(&client).await.unwrap(), State::Current);
    let sample = Sample::new(&turn("c", "e1", Some("u"), 0));
    assert_eq!(
        store_all(&client, &[&sample], Ownership::Enforce).await,
        [Status::Stored]
    );
    let read = store::read::conversation(&client, "default", "c")
        .await
        .unwrap();
    assert!(read.is_some(), "the writer reads what it wrote");
}

#[tokio::test]
async fn eight_runs_at_once_apply_every_migration_once() {
    let stack = stack().await;
    let database = stack.database("concurrent").await.unwrap();
    let mut runs = Vec::new();
    for _ in 0..8 {
        let mut client = database.superuser().await.unwrap();
        runs.push(tokio::spawn(
            async move { migrate::apply(&mut client).await },
        ));
    }
    let mut applied = Vec::new();
    for run in runs {
        let report = run.await.unwrap().unwrap();
        applied.extend(report.applied.iter().map(|migration| migration.version));
    }
    applied.sort_unstable();
    assert_eq!(applied, (1..=migrate::LATEST).collect::<Vec<_>>());
}

/// Expects `plan` and `apply` to refuse what `change` makes of a migrated database, with the code of the error.
async fn refuses(change: &str, code: &str) {
    let stack = stack().await;
    let (_, mut client) = super::migrated(&stack, "history").await;
    client.batch_execute(change).await.unwrap();
    let planned = migrate::plan(&client).await.unwrap_err();
    assert_eq!(planned.code(), code, "plan: {planned:?}");
    let applied = migrate::apply(&mut client).await.unwrap_err();
    assert_eq!(applied.code(), code, "apply: {applied:?}");
}

#[tokio::test]
async fn an_edited_migration_is_refused() {
    refuses(
        "UPDATE schema_migrations SET checksum = 'x' WHERE version = 2",
        "migration_edited",
    )
    .await;
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    refuses(
        "INSERT INTO schema_migrations VALUES (99, 'later', 'y')",
        "schema_newer",
    )
    .await;
}

#[tokio::test]
async fn a_gap_in_the_history_is_refused() {
    refuses(
        "DELETE FROM schema_migrations WHERE version = 1",
        "schema_gap",
    )
    .await;
}

#[tokio::test]
async fn a_history_of_another_program_is_refused() {
    refuses(
        "DROP TABLE schema_migrations; CREATE TABLE schema_migrations (version bigint, dirty bool)",
        "schema_foreign_table",
    )
    .await;
}

#[tokio::test]
async fn a_table_of_another_program_is_left_alone() {
    let stack = stack().await;
    let database = stack.database("foreign").await.unwrap();
    let mut client = database.superuser().await.unwrap();
    client
        .batch_execute("CREATE TABLE conversations (id uuid PRIMARY KEY)")
        .await
        .unwrap();
    let refused = migrate::apply(&mut client).await.unwrap_err();
    assert!(
        matches!(&refused, MigrateError::ForeignTable { table } if table == "conversations"),
        "{refused:?}"
    );
    let made = "SELECT count(*) FROM pg_class WHERE relname IN ('messages', 'schema_migrations')";
    assert_eq!(number(&client, made).await, 0, "tables made all the same");
}
