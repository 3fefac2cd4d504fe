//! createSecret.

use local::canary;
use local::secrets_manager::Step;
use serde_json::{Value, json};

use crate::system::{PATIENCE, ROTATION, ROTATION_ARN, SECRET, System};

#[tokio::test]
async fn c1_a_crash_before_the_put_costs_another_password() {
    let system = System::start("c1").await;
    let token = system.begin();
    let stop = system.stack.gateway().stop_before("PutSecretValue");
    system.killed_at(stop, "createSecret", &token).await;
    assert_eq!(system.secret("AWSPENDING"), None);
    system.whole_rotation(&token).await;
}

#[tokio::test]
async fn c2_a_put_whose_answer_is_lost_is_found_again() {
    let system = System::start("c2").await;
    let token = system.begin();
    let stop = system.stack.gateway().stop_after("PutSecretValue");
    system.killed_at(stop, "createSecret", &token).await;
    let made = system.secret("AWSPENDING").unwrap();
    system.whole_rotation(&token).await;
    assert_eq!(system.secret("AWSCURRENT").unwrap(), made);

    // And when only the answer is lost, the same invocation finds out.
    let token = system.begin();
    let gateway = system.stack.gateway();
    let mut stop = gateway.stop_after("PutSecretValue");
    let call = tokio::spawn(system.invoke(ROTATION, &system.step("createSecret", &token).await));
    stop.reached(PATIENCE).await.unwrap();
    let made = system.secret("AWSPENDING").unwrap();
    stop.cut();
    assert_eq!(call.await.unwrap().function_error, None);
    assert_eq!(system.secret("AWSPENDING").unwrap(), made);
}

#[tokio::test]
async fn c3_of_two_at_once_the_loser_takes_what_the_winner_stored() {
    let system = System::start("c3").await;
    let token = system.begin();
    let mut stop = system.stack.gateway().stop_before("PutSecretValue");
    let loser = tokio::spawn(system.invoke(ROTATION, &system.step("createSecret", &token).await));
    stop.reached(PATIENCE).await.unwrap();
    system.step_succeeds("createSecret", &token).await;
    let made = system.secret("AWSPENDING").unwrap();
    drop(stop);
    let loser = loser.await.unwrap();
    assert_eq!(
        loser.function_error,
        None,
        "{}",
        String::from_utf8_lossy(&loser.payload)
    );
    assert_eq!(system.secret("AWSPENDING").unwrap(), made);
    system.whole_rotation(&token).await;
}

#[tokio::test]
async fn c4_a_late_read_is_repeated_for_a_while() {
    let system = System::start("c4").await;
    system.announce("PENDING_NOT_VISIBLE");
    let token = system.begin();
    system.stack.secrets_manager().show_late(4);
    system.step_succeeds("createSecret", &token).await;
    let made = system.secret("AWSPENDING").unwrap();
    system.step_succeeds("createSecret", &token).await;
    assert_eq!(system.secret("AWSPENDING").unwrap(), made);
    system.whole_rotation(&token).await;

    // Not for ever: the service repeats the step.
    let token = system.begin();
    system.stack.secrets_manager().show_late(9);
    system.step_succeeds("createSecret", &token).await;
    let (code, message) = system
        .refused(ROTATION, &system.step("createSecret", &token).await)
        .await;
    assert_eq!(code, "PENDING_NOT_VISIBLE", "{message}");
    // By now the reads that were late are used up, or the next attempts use them up.
    local::wait::until("the value", PATIENCE, async || {
        let invoked = system
            .invoke(ROTATION, &system.step("createSecret", &token).await)
            .await;
        invoked.function_error.is_none().then_some(())
    })
    .await
    .unwrap();
    system.whole_rotation(&token).await;
}

#[tokio::test]
async fn c5_a_pending_value_that_is_no_secret_is_named_with_the_command_that_removes_it() {
    let system = System::start("c5").await;
    system.announce("PENDING_INVALID");
    let client = aws_sdk_secretsmanager::Client::new(&system.stack.sdk_config());
    let without_host = json!({"engine": "postgres", "username": "u", "password": canary::PASSWORD});
    for value in [
        format!("no json but {}", canary::PASSWORD),
        without_host.to_string(),
    ] {
        let token = system.begin();
        let put = client
            .put_secret_value()
            .secret_id(SECRET)
            .client_request_token(&token);
        put.version_stages("AWSPENDING")
            .secret_string(value)
            .send()
            .await
            .unwrap();
        for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
            let (code, message) = system
                .refused(ROTATION, &system.step(step, &token).await)
                .await;
            assert_eq!(code, "PENDING_INVALID", "{step}: {message}");
            let command = format!(
                "aws secretsmanager update-secret-version-stage --secret-id {} --version-stage AWSPENDING --remove-from-version-id {token}",
                system.secret_arn().await
            );
            assert!(message.contains(&command), "{step}: {message}");
        }
        system.remove_pending(&token).await;
    }
    system.rotate().await;
}

#[tokio::test]
async fn c6_a_secret_without_a_value_is_named() {
    let system = System::start("c6").await;
    system.announce("NO_CURRENT_VALUE");
    let client = aws_sdk_secretsmanager::Client::new(&system.stack.sdk_config());
    let created = client
        .create_secret()
        .name("without-a-value")
        .send()
        .await
        .unwrap();
    let _hold = system
        .stack
        .secrets_manager()
        .hold_before(Step::CreateSecret);
    let rotate = client.rotate_secret().secret_id("without-a-value");
    let started = rotate
        .rotation_lambda_arn(ROTATION_ARN)
        .send()
        .await
        .unwrap();
    let event = json!({
        "Step": "createSecret",
        "SecretId": created.arn().unwrap(),
        "ClientRequestToken": started.version_id().unwrap(),
    });
    let (code, message) = system.refused(ROTATION, &event).await;
    assert_eq!(code, "NO_CURRENT_VALUE");
    assert!(message.contains(created.arn().unwrap()), "{message}");
}

/// The label would take the operator's edit back with it.
#[tokio::test]
async fn c7_an_edit_of_the_current_version_is_not_lost() {
    let system = System::start("c7").await;
    system.announce("CURRENT_CHANGED");
    let token = system.begun().await;
    system
        .edit_secret(|secret| secret["owner"] = json!("the team"))
        .await;
    let (code, message) = system
        .refused(ROTATION, &system.step("setSecret", &token).await)
        .await;
    assert_eq!(code, "CURRENT_CHANGED", "{message}");
    assert!(
        message.contains("`owner`") && message.contains(&token),
        "{message}"
    );
    assert!(system.nothing_has_changed().await);
    system.remove_pending(&token).await;
    system.rotate().await;
    let current: Value = system.secret("AWSCURRENT").unwrap();
    assert_eq!(current["owner"], "the team");
    assert!(system.opens("AWSCURRENT").await);
}
