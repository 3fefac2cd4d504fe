//! Every statement of the product is one that the server understands.

use aurora::statement::{STATEMENTS, STATEMENTS_OF_PAIRS, STATEMENTS_SINCE_16, sample};
use local::{Stack, StackOptions};
use store::migrate;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

async fn stack() -> Stack {
    Stack::start(StackOptions::from_environment().unwrap())
        .await
        .unwrap()
}

#[track_caller]
fn assert_prepares(name: &str, prepared: Result<tokio_postgres::Statement, tokio_postgres::Error>) {
    if let Err(error) = prepared {
        let reason = error.as_db_error().map(ToString::to_string);
        panic!(
            "the server does not understand {name}: {}",
            reason.unwrap_or_else(|| error.to_string())
        );
    }
}

async fn prepares(client: &Client, name: &str, statement: &str) {
    assert_prepares(name, client.prepare(statement).await);
}

#[tokio::test]
async fn the_conversation_databases_statements_fit_its_tables() {
    let stack = stack().await;
    let database = stack.database("statements").await.unwrap();
    let mut client = database.superuser().await.unwrap();
    migrate::apply(&mut client).await.unwrap();
    for (name, statement) in store::STATEMENTS {
        prepares(&client, name, statement).await;
    }
}

#[tokio::test]
async fn the_roles_statements_are_understood() {
    let stack = stack().await;
    let client = stack.server().superuser("postgres").await.unwrap();
    for statement in STATEMENTS.iter().chain(STATEMENTS_OF_PAIRS) {
        prepares(&client, statement, &sample(statement)).await;
    }
    for statement in STATEMENTS_SINCE_16 {
        let prepared = client.prepare(&sample(statement)).await;
        if stack.server().version >= 16 {
            assert_prepares(statement, prepared);
        } else {
            // Else it belongs to the statements for all versions.
            let code = prepared.err().and_then(|error| error.code().cloned());
            assert_eq!(code, Some(SqlState::SYNTAX_ERROR), "{statement}");
        }
    }
}
