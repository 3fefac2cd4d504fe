//! `secret-rotation` where something is wrong: the reason is named, and no label moves to a password that opens nothing.

use std::time::{Duration, Instant};

use local::secrets_manager::Step;
use local::{Fault, FaultProxy};
use serde_json::json;

use crate::system::{ROTATION, SECRET, System};

impl System {
    /// Writes the proxy's port into the application's secret.
    async fn point_secret_at(&self, proxy: &FaultProxy) {
        let mut secret = self.secret("AWSCURRENT").unwrap();
        secret["port"] = json!(proxy.port());
        let client = aws_sdk_secretsmanager::Client::new(&self.stack.sdk_config());
        client
            .put_secret_value()
            .secret_id(SECRET)
            .secret_string(secret.to_string())
            .send()
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_cancelled_rotation_is_refused() {
    let system = System::start("cancelled").await;
    system.announce("ROTATION_OFF");
    let (token, _hold) = system.rotation_before(Step::SetSecret).await;
    let client = aws_sdk_secretsmanager::Client::new(&system.stack.sdk_config());
    client
        .cancel_rotate_secret()
        .secret_id(SECRET)
        .send()
        .await
        .unwrap();
    let expected = format!(
        "Secret {} is not enabled for rotation",
        system.secret_arn().await
    );
    let event = system.step("setSecret", &token).await;
    assert_eq!(
        system.refused(ROTATION, &event).await,
        ("ValueError".to_owned(), expected)
    );
    assert!(system.opens("AWSCURRENT").await);
}

#[tokio::test]
async fn a_database_that_never_answers_is_told_from_a_wrong_password() {
    let system = System::start("paused").await;
    system.announce("DATABASE_TIMED_OUT");
    let proxy = FaultProxy::start(system.database_address()).await.unwrap();
    system.point_secret_at(&proxy).await;
    system.define_rotation(&[
        ("DB_PORT", &proxy.port().to_string()),
        ("CONNECT_BUDGET_SECONDS", "3"),
    ]);
    let (token, _hold) = system.rotation_before(Step::SetSecret).await;
    proxy.set(Fault::BlackHole).await;
    let started = Instant::now();
    let (code, message) = system
        .refused(ROTATION, &system.step("setSecret", &token).await)
        .await;
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "it took {:?}",
        started.elapsed()
    );
    assert!(
        !message.contains("Unable to log into database"),
        "{code}: {message}"
    );
    assert_eq!(
        proxy.counters().accepted,
        1,
        "a server that does not answer costs one try, not one for each password"
    );
    proxy.set(Fault::Pass).await;
    system.step_succeeds("setSecret", &token).await;
}

#[tokio::test]
async fn a_password_that_nobody_knows_is_an_error_that_changes_nothing() {
    let system = System::start("unknown").await;
    system.announce("DB_PASSWORD_UNKNOWN");
    let superuser = system.database.superuser().await.unwrap();
    superuser
        .batch_execute(&format!(
            "ALTER ROLE {} PASSWORD 'made by hand'",
            system.application
        ))
        .await
        .unwrap();
    let current = system.version("AWSCURRENT");
    let (token, _hold) = system.rotation_before(Step::SetSecret).await;
    let (code, message) = system
        .refused(ROTATION, &system.step("setSecret", &token).await)
        .await;
    let expected = format!(
        "Unable to log into database with previous, current, or pending secret of secret arn {}",
        system.secret_arn().await
    );
    assert!(message.starts_with(&expected), "{code}: {message}");
    assert_eq!(system.version("AWSCURRENT"), current);
}

/// What this version does not have is refused when the function starts, with everything else that is wrong.
#[tokio::test]
async fn a_wrong_configuration_fails_the_init_phase_with_every_problem() {
    let system = System::start("config").await;
    system.announce("ConfigError");
    system.define_rotation(&[
        ("ROTATION_STRATEGY", "two-users"),
        ("REQUIRE_TLS", "perhaps"),
        ("CONNECT_BUDGET_SECONDS", "soon"),
    ]);
    let (_, message) = system.refused(ROTATION, &json!({})).await;
    let log: String = system
        .stack
        .functions()
        .log(ROTATION)
        .iter()
        .map(|line| line.text.clone())
        .collect();
    for name in ["ROTATION_STRATEGY", "REQUIRE_TLS", "CONNECT_BUDGET_SECONDS"] {
        assert!(
            message.contains(name) || log.contains(name),
            "{name} in {message} or {log}"
        );
    }
}
