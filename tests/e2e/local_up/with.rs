//! `turnkeep-local with`: how its command ended, and what its servers should not have written down.

use std::path::PathBuf;
use std::process::Stdio;

use local::canary::{PASSWORD, said};
use local::{Checkout, wait};
use rustix::process::Signal;

use super::{Process, Scratch, all_ended, expect_programs, expect_refusal, text};
use crate::cli::psql;
use crate::system::{PATIENCE, succeeded};

#[tokio::test]
async fn with_passes_on_how_its_command_ended() {
    let scratch = Scratch::new().await;
    let see = r#"test -s "$TURNKEEP_LOCAL_POSTGRES" && test -n "$TURNKEEP_LOCAL_MOTO" && exit 7"#;
    let ended = scratch.local(&["with", "--", "sh", "-c", see]).await;
    assert_eq!(ended.status.code(), Some(7), "{}", text(&ended.stderr));
    let ended = scratch.local(&["with", "--", "false"]).await;
    assert_eq!(ended.status.code(), Some(1), "{}", text(&ended.stderr));
    succeeded(&scratch.local(&["with", "--", "true"]).await);
    let missing = scratch.local(&["with", "--", "no-such-command"]).await;
    expect_refusal(&missing, "no-such-command");
    assert_eq!(scratch.folders(), [""; 0].map(PathBuf::from));
}

/// A password in a server's log fails what has succeeded, and is told besides where the command has failed itself.
#[tokio::test]
async fn with_finds_what_its_servers_should_not_have_written() {
    let scratch = Scratch::new().await;
    let leak = format!(
        r#"log=$(sed 's/.*"log_file":"\([^"]*\)".*/\1/' "$TURNKEEP_LOCAL_POSTGRES") && echo "login with {PASSWORD}7" >> "$log""#
    );
    let ended = scratch.local(&["with", "--", "sh", "-c", &leak]).await;
    expect_refusal(&ended, "the log of PostgreSQL, line ");
    let told = format!("(the mark `{PASSWORD}`, plain): login with {PASSWORD}7");
    expect_refusal(&ended, &told);
    let failing = format!("{leak}; exit 7");
    let ended = scratch.local(&["with", "--", "sh", "-c", &failing]).await;
    assert_eq!(ended.status.code(), Some(7));
    assert!(
        text(&ended.stderr).contains(&told),
        "{}",
        text(&ended.stderr)
    );
}

/// A statement that is over leaves `pg_stat_activity` with its connection.
#[tokio::test]
async fn with_watches_what_its_server_does() {
    // Until the server has been looked at once more, while this very statement runs.
    let statement = format!(
        "DO $$ DECLARE looks bigint; BEGIN /* {} */
             SELECT sum(calls) INTO looks FROM pg_stat_statements WHERE query LIKE 'SELECT query FROM pg_stat_activity%';
             WHILE (SELECT sum(calls) FROM pg_stat_statements WHERE query LIKE 'SELECT query FROM pg_stat_activity%')
                 < coalesce(looks, 0) + 2 LOOP PERFORM pg_sleep(0.01); END LOOP;
         END $$",
        said("hello")
    );
    let script = "import json, os, sys; server = json.load(open(os.environ['TURNKEEP_LOCAL_POSTGRES'])); user, password = server['superuser']; os.execve(sys.argv[1], [sys.argv[1], f'host=127.0.0.1 port={server[\"port\"]} user={user} dbname=postgres sslmode=require', '-c', sys.argv[2]], {'PGPASSWORD': password})";
    let python = Checkout::find().unwrap().tools().join("bin/python");
    let (python, psql) = (python.to_str().unwrap(), psql());
    let psql = psql.to_str().unwrap();
    let scratch = Scratch::new().await;
    let ended = scratch
        .local(&["with", "--", python, "-c", script, psql, &statement])
        .await;
    expect_refusal(&ended, "\npg_stat_activity, line ");
    expect_refusal(&ended, "\npg_stat_statements, line ");
}

#[tokio::test]
async fn with_ends_its_command_and_its_servers_when_it_is_told_to() {
    let scratch = Scratch::new().await;
    // It reads for as long as we hold the other end.
    let mut with = scratch.command(&["with", "--", "cat"]);
    let mut with = with.stdin(Stdio::piped()).spawn().unwrap();
    let _held = with.stdin.take();
    let pid = i32::try_from(with.id().unwrap()).unwrap();
    let family = wait::until("the command to run", PATIENCE, async || {
        let family = Process::of(pid)?.family();
        let runs = family.iter().any(|one| one.program() == "cat ");
        runs.then_some(family)
    });
    let family = family.await.unwrap();
    expect_programs(&family, &["with -- cat", "moto_server", "postgres"]);
    family[0].signal(Signal::TERM);
    let status = tokio::time::timeout(PATIENCE, with.wait()).await;
    let status = status.expect("it goes on").unwrap();
    assert_eq!(status.code(), Some(1), "its command has not succeeded");
    all_ended(&family).await;
    assert_eq!(scratch.folders(), [""; 0].map(PathBuf::from));
}
