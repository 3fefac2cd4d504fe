//! `recover`: the version that the database accepts becomes current.

use local::Credentials;
use local::secrets_manager::Step;
use local::{Fault, FaultProxy};
use serde_json::{Value, json};

use super::document;
use crate::system::{PATIENCE, ROTATION, SECRET, System, event};

impl System {
    /// Labels by version.
    fn labels(&self) -> Vec<(String, Vec<String>)> {
        self.stack.secrets_manager().stages(SECRET)
    }
}

fn credentials(secret: &Value) -> Credentials {
    let text = |key: &str| secret[key].as_str().unwrap().to_owned();
    Credentials::new(text("username"), text("password"))
}

/// Rotation is cancelled when the database has the new password already: every later step is refused, AWSCURRENT too.
#[tokio::test]
async fn x2_what_a_cancelled_rotation_left_behind_becomes_current() {
    let system = System::start("x2").await;
    let (token, hold) = system.rotation_before(Step::FinishSecret).await;
    let client = aws_sdk_secretsmanager::Client::new(&system.stack.sdk_config());
    let cancel = client.cancel_rotate_secret().secret_id(SECRET);
    cancel.send().await.unwrap();
    drop(hold);
    let manager = system.stack.secrets_manager();
    let ended = manager.rotation_over(&token, PATIENCE).await.unwrap();
    assert!(!ended.succeeded() && !system.opens("AWSCURRENT").await);

    let before = system.labels();
    let planned = system
        .turnkeep(&["recover", "--dry-run", "--json", "--function", ROTATION])
        .await;
    let planned = document(&planned, 0);
    assert_eq!(
        (&planned["outcome"], &planned["version_id"]),
        (&json!("planned"), &json!(token))
    );
    assert_eq!(system.labels(), before, "a dry run only tells");

    // The function is the one that the secret names.
    let recovered = document(&system.turnkeep(&["recover", "--json"]).await, 0);
    assert_eq!(recovered["outcome"], "recovered");
    assert_eq!(recovered["found"], "AWSPENDING");
    let next = recovered["next"].as_str().unwrap();
    assert!(next.contains("turnkeep rotate --secret"), "{next}");
    assert_eq!(system.version("AWSCURRENT").unwrap(), token);
    assert!(system.opens("AWSCURRENT").await);

    let again = document(&system.turnkeep(&["recover", "--json"]).await, 0);
    assert_eq!(again["outcome"], "nothing_to_recover");
    assert_eq!(again["refused_logins"], 0);
    system.rotate().await;
    assert!(system.opens("AWSCURRENT").await);
}

#[tokio::test]
async fn s10_a_version_whose_label_was_taken_off_becomes_current() {
    let system = System::start("s10recover").await;
    system.announce("VERSION_WITHOUT_STAGE");
    let (token, hold) = system.rotation_before(Step::FinishSecret).await;
    system.remove_pending(&token).await;
    drop(hold);
    let manager = system.stack.secrets_manager();
    manager.rotation_over(&token, PATIENCE).await.unwrap();
    assert!(!system.opens("AWSCURRENT").await);
    let mut order = event("rotation-recover.json");
    let planned = system.ordered(&order).await;
    assert_eq!(planned["dry_run"], true);
    order["DryRun"] = json!(false);
    let report = system.ordered(&order).await;
    assert_eq!(
        (&report["version_id"], &report["found"]),
        (&json!(token), &json!("without a label"))
    );
    assert!(system.opens("AWSCURRENT").await);
    let log = system.stack.functions().log(ROTATION);
    let told = |line: &str| line.contains(&token) && line.contains("was made current");
    assert!(log.iter().any(|line| told(&line.text)), "the log names it");
    system.rotate().await;
}

/// Of six versions without a label the database has the oldest that may be tried.
#[tokio::test]
async fn s13_a_database_from_a_snapshot_finds_its_version() {
    let system = System::start("s13").await;
    let mut secrets = Vec::new();
    for _ in 0..8 {
        secrets.push((
            system.version("AWSCURRENT").unwrap(),
            system.secret("AWSCURRENT").unwrap(),
        ));
        system.rotate().await;
    }
    // The newest of these is AWSPREVIOUS; behind it come those without a label.
    let restore = async |(version, secret): &(String, Value)| {
        let server = system.stack.server();
        server.set_password(&credentials(secret)).await.unwrap();
        version.clone()
    };
    let oldest = restore(&secrets[2]).await;
    let output = system.turnkeep(&["recover", "--json"]).await;
    let report = document(&output, 0);
    assert_eq!(report["version_id"], json!(oldest));
    assert_eq!(report["refused_logins"], 6, "current, previous and four");
    assert!(system.opens("AWSCURRENT").await);
}

#[tokio::test]
async fn s11_what_nobody_knows_moves_no_label_and_names_the_repair() {
    let system = System::start("s11recover").await;
    system.announce("DB_PASSWORD_UNKNOWN");
    system.rotate().await;
    let by_hand = format!("ALTER ROLE {} PASSWORD 'made by hand'", system.application);
    let superuser = system.database.superuser().await.unwrap();
    superuser.batch_execute(&by_hand).await.unwrap();
    let before = system.labels();
    let failed = document(&system.turnkeep(&["recover", "--json"]).await, 5);
    let message = failed["error"]["message"].as_str().unwrap();
    assert_eq!(failed["error"]["code"], "DB_PASSWORD_UNKNOWN");
    assert!(
        message.contains("turnkeep create-tables") && message.contains("--master-secret"),
        "{message}"
    );
    assert_eq!(system.labels(), before);
    // What it names does repair it.
    system.create_tables().await;
    assert!(system.opens("AWSCURRENT").await);
}

/// Only a refused login is a reason to try another password.
#[tokio::test]
async fn a_server_that_does_not_answer_costs_no_guess() {
    let system = System::start("recoverpaused").await;
    system.announce("DATABASE_TIMED_OUT");
    system.rotate().await;
    let proxy = FaultProxy::start(system.database_address()).await.unwrap();
    proxy.set(Fault::BlackHole).await;
    system.define_rotation(&[
        ("DB_PORT", &proxy.port().to_string()),
        ("CONNECT_BUDGET_SECONDS", "2"),
    ]);
    let before = system.labels();
    let failed = document(&system.turnkeep(&["recover", "--json"]).await, 4);
    assert_eq!(failed["error"]["code"], "DATABASE_TIMED_OUT");
    assert_eq!(proxy.counters().accepted, 1);
    assert_eq!(system.labels(), before);
}
