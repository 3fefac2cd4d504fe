//! `RotateSecret` of the local Secrets Manager against what AWS documents.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::RotationRulesType;
use local::lambda::Function;
use local::secrets_manager::Step;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::secrets_manager::{
    ONE, THREE, TWO, code, create, get, move_label, rotatable, rotate, stack, stages,
};
use crate::system::{PATIENCE, ROTATION, ROTATION_ARN, System};

/// AWSPENDING exists before it has a value; failure leaves it; another rotation is refused until the first is cleared.
#[tokio::test]
async fn a_rotation_that_fails_stays_pending() {
    let (stack, client) = rotatable().await;
    let unconfigured = rotate(&client, TWO, None, None).await;
    assert_eq!(unconfigured, Err("InvalidRequestException".to_owned()));
    let nowhere = format!("{ROTATION_ARN}-nowhere");
    assert!(
        rotate(&client, TWO, Some(&nowhere), None).await.is_err(),
        "an unknown function is refused before anything changes"
    );
    assert_eq!(stages(&client, TWO).await, None);

    let hold = stack.secrets_manager().hold_before(Step::CreateSecret);
    let days = RotationRulesType::builder()
        .automatically_after_days(30)
        .build();
    assert_eq!(
        rotate(&client, TWO, Some(ROTATION_ARN), Some(days)).await,
        Ok(TWO.to_owned()),
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
    assert_eq!(
        rotate(&client, THREE, None, None).await,
        Err("InvalidRequestException".to_owned()),
        "a previous rotation is in progress"
    );
    move_label(&client, "AWSPENDING", None, Some(TWO))
        .await
        .unwrap();
    assert!(rotate(&client, THREE, None, None).await.is_ok());
}

#[tokio::test]
async fn a_rotation_in_progress_goes_on_with_its_own_token_only() {
    let (_stack, client) = rotatable().await;
    let started = rotate(&client, TWO, Some(ROTATION_ARN), None).await;
    assert_eq!(started, Ok(TWO.to_owned()));
    for function in [Some(ROTATION_ARN), None] {
        assert_eq!(
            rotate(&client, THREE, function, None).await,
            Err("InvalidRequestException".to_owned()),
            "a previous rotation is in progress"
        );
    }
    let described = client.describe_secret().secret_id("s").send();
    assert_eq!(
        described.await.unwrap().rotation_lambda_arn(),
        Some(ROTATION_ARN),
        "a refused rotation forgets nothing"
    );
    assert_eq!(
        rotate(&client, TWO, None, None).await,
        Ok(TWO.to_owned()),
        "with its own token it is tried again"
    );
    assert_eq!(stages(&client, THREE).await, None);
}

#[tokio::test]
async fn awspending_on_the_current_version_is_no_rotation_in_progress() {
    let (stack, client) = rotatable().await;
    move_label(&client, "AWSPENDING", Some(ONE), None)
        .await
        .unwrap();
    let own = rotate(&client, ONE, Some(ROTATION_ARN), None).await;
    assert_eq!(own, Ok(ONE.to_owned()));
    assert!(
        stack.secrets_manager().rotations().is_empty(),
        "the current version's token starts none"
    );
    let next = rotate(&client, TWO, Some(ROTATION_ARN), None).await;
    assert_eq!(next, Ok(TWO.to_owned()));
    assert_eq!(
        stages(&client, ONE).await,
        Some(vec!["AWSCURRENT".to_owned()])
    );
    assert_eq!(
        stages(&client, TWO).await,
        Some(vec!["AWSPENDING".to_owned()])
    );
}

#[tokio::test]
async fn rules_that_aws_does_not_take_are_refused_and_configure_nothing() {
    let (_stack, client) = rotatable().await;
    let rules = RotationRulesType::builder;
    let schedule = |expression: &str| rules().schedule_expression(expression).build();
    for wrong in [
        rules().automatically_after_days(0).build(),
        rules().automatically_after_days(1001).build(),
        rules()
            .automatically_after_days(30)
            .schedule_expression("rate(30 days)")
            .build(),
        rules().automatically_after_days(30).duration("3").build(),
        schedule("every 30 days"),
        schedule("rate(3 hours)"),
        schedule("rate(30 weeks)"),
        schedule("cron(0 16 1,15 *)"),
    ] {
        let shown = format!("{wrong:?}");
        assert_eq!(
            rotate(&client, TWO, Some(ROTATION_ARN), Some(wrong)).await,
            Err("InvalidParameterException".to_owned()),
            "{shown}"
        );
    }
    let described = client.describe_secret().secret_id("s").send();
    assert_eq!(described.await.unwrap().rotation_enabled(), None);
    for right in [
        rules()
            .automatically_after_days(1000)
            .duration("3h")
            .build(),
        schedule("rate(4 hours)"),
        schedule("cron(0 16 1,15 * ? *)"),
    ] {
        let shown = format!("{right:?}");
        assert_eq!(
            rotate(&client, TWO, Some(ROTATION_ARN), Some(right.clone())).await,
            Ok(TWO.to_owned()),
            "{shown}"
        );
        let described = client.describe_secret().secret_id("s").send();
        assert_eq!(described.await.unwrap().rotation_rules(), Some(&right));
    }
}

#[tokio::test]
async fn a_step_is_told_which_version_of_which_secret_it_is_about() {
    let (stack, client) = stack().await;
    let secret_arn = create(&client).await;
    let watcher = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let function = Function::watched(ROTATION, watcher.local_addr().unwrap());
    stack.functions().define(function).unwrap();
    rotate(&client, TWO, Some(ROTATION_ARN), None)
        .await
        .unwrap();

    let (mut connection, _) = tokio::time::timeout(PATIENCE, watcher.accept())
        .await
        .expect("the first step")
        .unwrap();
    let mut received = Vec::new();
    let event: Value = tokio::time::timeout(PATIENCE, async {
        loop {
            assert_ne!(connection.read_buf(&mut received).await.unwrap(), 0);
            let text = String::from_utf8_lossy(&received);
            let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
            if let Some(Ok(event)) = body.map(serde_json::from_str) {
                break event;
            }
        }
    })
    .await
    .expect("its event");
    assert_eq!(event["Step"], "createSecret");
    assert_eq!(event["SecretId"], secret_arn);
    assert_eq!(event["ClientRequestToken"], TWO);
    let token = event["RotationToken"].as_str().unwrap();
    let put = |token: &str| {
        let request = client
            .put_secret_value()
            .secret_id("s")
            .client_request_token(TWO);
        let request = request.secret_string("two").version_stages("AWSPENDING");
        request.rotation_token(token).send()
    };
    assert_eq!(
        put(ONE).await.map(drop).map_err(code),
        Err("InvalidParameterException".to_owned()),
        "another rotation's token"
    );
    assert_eq!(put(token).await.map(drop).map_err(code), Ok(()));
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
    let hold = system.stack.secrets_manager().hold_before(Step::TestSecret);
    request.send().await.unwrap();
    assert_eq!(
        system.secret("AWSPENDING"),
        system.secret("AWSCURRENT"),
        "a temporary version has the value that is current"
    );
    drop(hold);
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
