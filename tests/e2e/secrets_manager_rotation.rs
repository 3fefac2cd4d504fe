//! `RotateSecret` of the local Secrets Manager against what AWS documents.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::RotationRulesType;
use local::lambda::Function;
use local::secrets_manager::Step;

use crate::secrets_manager::{ONE, THREE, TWO, code, get, move_label, stack, stages};
use crate::system::{PATIENCE, ROTATION, System};

/// AWSPENDING exists before it has a value; failure leaves it; another rotation is refused until the first is cleared.
#[tokio::test]
async fn a_rotation_that_fails_stays_pending() {
    let (stack, client) = stack().await;
    client
        .create_secret()
        .name("s")
        .client_request_token(ONE)
        .secret_string("one")
        .send()
        .await
        .unwrap();
    let function = Function::binary(ROTATION, "/bin/false");
    stack.functions().define(function).unwrap();
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:";
    let rotate = |name: &str, token: &str| {
        let rules = RotationRulesType::builder()
            .automatically_after_days(30)
            .build();
        let request = client
            .rotate_secret()
            .secret_id("s")
            .rotation_lambda_arn(format!("{arn}{name}"));
        request
            .rotation_rules(rules)
            .client_request_token(token)
            .send()
    };
    let unconfigured = client
        .rotate_secret()
        .secret_id("s")
        .send()
        .await
        .map(drop)
        .map_err(code);
    assert_eq!(unconfigured, Err("InvalidRequestException".to_owned()));
    assert!(
        rotate("nowhere", TWO).await.is_err(),
        "an unknown function is refused before anything changes"
    );
    assert_eq!(stages(&client, TWO).await, None);

    let hold = stack.secrets_manager().hold_before(Step::CreateSecret);
    assert_eq!(
        rotate(ROTATION, TWO).await.unwrap().version_id(),
        Some(TWO),
        "it answers before the function runs"
    );
    local::wait::until("the rotation at its first step", PATIENCE, async || {
        let rotations = stack.secrets_manager().rotations();
        rotations
            .last()
            .is_some_and(|rotation| rotation.waiting_before == Some(Step::CreateSecret))
            .then_some(())
    })
    .await
    .unwrap();
    assert_eq!(
        stages(&client, TWO).await,
        Some(vec!["AWSPENDING".to_owned()])
    );
    assert_eq!(
        get(&client, Some(TWO), Some("AWSPENDING")).await,
        Err("ResourceNotFoundException".to_owned())
    );
    assert_eq!(
        get(&client, None, None).await.unwrap(),
        "one",
        "AWSCURRENT is what a plain read gets, also now"
    );
    drop(hold);
    local::wait::until("the end of the failed rotation", PATIENCE, async || {
        stack
            .secrets_manager()
            .rotations()
            .last()
            .filter(|rotation| rotation.ended.is_some())
            .map(drop)
    })
    .await
    .unwrap();
    assert_eq!(
        stages(&client, TWO).await,
        Some(vec!["AWSPENDING".to_owned()]),
        "failure leaves the label"
    );
    let second = rotate(ROTATION, THREE).await.map(drop).map_err(code);
    assert_eq!(
        second,
        Err("InvalidRequestException".to_owned()),
        "a previous rotation is in progress"
    );
    move_label(&client, "AWSPENDING", None, Some(TWO))
        .await
        .unwrap();
    assert!(rotate(ROTATION, THREE).await.is_ok());
}

#[tokio::test]
async fn a_finished_rotation_frees_awspending_and_an_immediate_test_keeps_the_value() {
    let system = System::start("conformance").await;
    system.rotate().await;
    assert!(system.version("AWSPENDING").is_none());
    let current = system.version("AWSCURRENT");
    let client = Client::new(&system.stack.sdk_config());
    let rules = RotationRulesType::builder()
        .automatically_after_days(30)
        .build();
    let request = client
        .rotate_secret()
        .secret_id(crate::system::SECRET)
        .rotation_rules(rules)
        .rotate_immediately(false);
    request.send().await.unwrap();
    let tested = local::wait::until("the test run", PATIENCE, async || {
        system
            .stack
            .secrets_manager()
            .rotations()
            .into_iter()
            .last()
            .filter(|rotation| rotation.test_only && rotation.ended.is_some())
    })
    .await
    .unwrap();
    assert_eq!(
        tested.steps.iter().map(|run| run.step).collect::<Vec<_>>(),
        [Step::TestSecret]
    );
    assert!(tested.succeeded(), "{tested:?}");
    assert_eq!(system.version("AWSCURRENT"), current);
    assert!(
        system.version("AWSPENDING").is_none(),
        "the temporary label is gone"
    );
}
