//! finishSecret, and what holds across the steps.

use local::secrets_manager::Step;
use serde_json::json;

use super::went_well;
use crate::system::{PATIENCE, ROTATION, SECRET, System};

#[tokio::test]
async fn f1_a_crash_before_the_label_moves_is_repeated() {
    let system = System::start("f1").await;
    let token = system.begun().await;
    system.go_on(&token, &["setSecret", "testSecret"]).await;
    let stop = system
        .stack
        .gateway()
        .stop_before("UpdateSecretVersionStage");
    system.killed_at(stop, "finishSecret", &token).await;
    assert!(system.opens("AWSPENDING").await);
    assert_ne!(system.version("AWSCURRENT").as_deref(), Some(&*token));
    system.go_on(&token, &["finishSecret"]).await;
}

#[tokio::test]
async fn f2_a_move_whose_answer_is_lost_is_found_done() {
    let system = System::start("f2").await;
    let token = system.begun().await;
    system.go_on(&token, &["setSecret", "testSecret"]).await;
    let stop = system
        .stack
        .gateway()
        .stop_after("UpdateSecretVersionStage");
    system.killed_at(stop, "finishSecret", &token).await;
    assert_eq!(system.version("AWSCURRENT").as_deref(), Some(&*token));
    system.whole_rotation(&token).await;

    // And when only the answer is lost, the same invocation finds out.
    let token = system.begun().await;
    system.go_on(&token, &["setSecret", "testSecret"]).await;
    let mut stop = system
        .stack
        .gateway()
        .stop_after("UpdateSecretVersionStage");
    let call = tokio::spawn(system.invoke(ROTATION, &system.step("finishSecret", &token).await));
    stop.reached(PATIENCE).await.unwrap();
    stop.cut();
    went_well(&call.await.unwrap());
    system.go_on(&token, &["finishSecret"]).await;
}

/// Somebody moved AWSCURRENT between the look at the labels and the move.
#[tokio::test]
async fn f3_a_label_that_somebody_moved_is_looked_at_again() {
    let system = System::start("f3").await;
    system.announce("CURRENT_CHANGED");
    for accepted in [true, false] {
        let token = system.begun().await;
        system.go_on(&token, &["setSecret", "testSecret"]).await;
        let mut stop = system
            .stack
            .gateway()
            .stop_before("UpdateSecretVersionStage");
        let call =
            tokio::spawn(system.invoke(ROTATION, &system.step("finishSecret", &token).await));
        stop.reached(PATIENCE).await.unwrap();
        // Their value; and in the second case their password in the database too.
        let theirs = system.new_credentials();
        system
            .edit_secret(|secret| {
                secret["password"] = json!(secrecy::ExposeSecret::expose_secret(&theirs.password));
            })
            .await;
        let current = system.version("AWSCURRENT");
        if !accepted {
            system.stack.server().set_password(&theirs).await.unwrap();
        }
        drop(stop);
        let invoked = call.await.unwrap();
        let payload = String::from_utf8_lossy(&invoked.payload).into_owned();
        assert_eq!(invoked.function_error.is_none(), accepted, "{payload}");
        if accepted {
            system.go_on(&token, &["finishSecret"]).await;
        } else {
            assert!(payload.contains("CURRENT_CHANGED"), "{payload}");
            assert_eq!(system.version("AWSCURRENT"), current, "their label stays");
            assert!(system.opens("AWSCURRENT").await);
        }
    }
}

/// A late or repeated finishSecret must not make a password current that the database never got.
#[tokio::test]
async fn f4_finish_without_set_moves_nothing() {
    let system = System::start("f4").await;
    system.announce("PENDING_REFUSED");
    let current = system.version("AWSCURRENT");
    let token = system.begun().await;
    let (_, message) = system
        .refused(ROTATION, &system.step("finishSecret", &token).await)
        .await;
    assert!(message.contains("pending"), "{message}");
    assert_eq!(system.version("AWSCURRENT"), current);
    assert!(system.opens("AWSCURRENT").await);
}

#[tokio::test]
async fn f5_the_pending_label_is_left_to_the_service() {
    let system = System::start("f5").await;
    let token = system.begun().await;
    for step in ["setSecret", "testSecret", "finishSecret"] {
        system.step_succeeds(step, &token).await;
    }
    assert_eq!(system.version("AWSCURRENT").as_deref(), Some(&*token));
    assert_eq!(system.version("AWSPENDING").as_deref(), Some(&*token));
    // It may stay there: another rotation begins all the same.
    let next = system.begun().await;
    system.whole_rotation(&next).await;
    assert_eq!(system.version("AWSPREVIOUS").as_deref(), Some(&*token));
}

#[tokio::test]
async fn x1_a_second_rotation_is_refused_by_the_service_until_the_first_is_over() {
    let system = System::start("x1").await;
    let client = aws_sdk_secretsmanager::Client::new(&system.stack.sdk_config());
    let (token, hold) = system.rotation_before(Step::FinishSecret).await;
    let refused = client
        .rotate_secret()
        .secret_id(SECRET)
        .send()
        .await
        .unwrap_err();
    let refused = refused.into_service_error();
    assert!(refused.is_invalid_request_exception(), "{refused}");
    drop(hold);
    let over = system
        .stack
        .secrets_manager()
        .rotation_over(&token, PATIENCE)
        .await
        .unwrap();
    assert_eq!(
        over.outcome,
        Some(local::secrets_manager::Outcome::Succeeded)
    );
    system.rotate().await;
}

#[tokio::test]
async fn x6_every_step_may_be_repeated() {
    let system = System::start("x6").await;
    let token = system.begin();
    for step in [
        "createSecret",
        "createSecret",
        "setSecret",
        "setSecret",
        "testSecret",
        "testSecret",
        "create_secret",
    ] {
        system.step_succeeds(step, &token).await;
    }
    let pending = system.secret("AWSPENDING").unwrap();
    for step in [
        "finishSecret",
        "finishSecret",
        "createSecret",
        "setSecret",
        "testSecret",
    ] {
        system.step_succeeds(step, &token).await;
    }
    assert_eq!(system.secret("AWSCURRENT").unwrap(), pending);
    assert!(system.opens("AWSCURRENT").await);
}

/// A warm environment knows nothing of the invocation before, neither a secret nor a session.
#[tokio::test]
async fn x7_nothing_is_kept_between_invocations() {
    let system = System::start("x7").await;
    let token = system.begun().await;
    system.step_succeeds("setSecret", &token).await;
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1";
    local::wait::until("the end of the function's sessions", PATIENCE, async || {
        (system.number(sessions, &[&system.application]).await == 0).then_some(())
    })
    .await
    .unwrap();
    system.go_on(&token, &["testSecret", "finishSecret"]).await;
    // Password and secret change behind the back of the environment, which stays warm.
    let theirs = system.new_credentials();
    system.stack.server().set_password(&theirs).await.unwrap();
    system
        .edit_secret(|secret| {
            secret["password"] = json!(secrecy::ExposeSecret::expose_secret(&theirs.password));
        })
        .await;
    let before = system.stack.functions().environments(ROTATION);
    let refused = system.refused_logins();
    let token = system.begun().await;
    system
        .go_on(&token, &["setSecret", "testSecret", "finishSecret"])
        .await;
    let after = system.stack.functions().environments(ROTATION);
    assert_eq!(
        before[0].stream, after[0].stream,
        "it was the same environment"
    );
    assert_eq!(
        system.refused_logins() - refused,
        1,
        "only the new password, before it was set"
    );
}
