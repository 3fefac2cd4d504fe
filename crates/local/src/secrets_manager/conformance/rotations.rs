//! Rotations, as far as `RotateSecret` decides about them.

use serde_json::{Value, json};

use super::{FUNCTION, World, put, token, update};

#[test]
fn a_rotation_reserves_an_empty_pending_version_before_anything_is_called() {
    let world = World::with_secret();
    assert_eq!(world.rotate("b")["VersionId"], token("b"));
    world.check(&[("a", &["AWSCURRENT"]), ("b", &["AWSPENDING"])]);
    let pending = json!({"SecretId": "app", "VersionId": token("b"), "VersionStage": "AWSPENDING"});
    world.refused("GetSecretValue", &pending, "ResourceNotFoundException");
    assert_eq!(
        world.ok("GetSecretValue", &json!({"SecretId": "app"}))["SecretString"],
        "one"
    );
    world.put("b", "two", json!(["AWSPENDING"]));
    assert_eq!(world.text("AWSPENDING"), "two");
    assert_eq!(
        world.ok("GetSecretValue", &json!({"SecretId": "app"}))["SecretString"],
        "one",
        "not the pending one"
    );
}

#[test]
fn a_rotation_needs_a_function_that_is_there() {
    let world = World::with_secret();
    let request = |function: Value| json!({"SecretId": "app", "ClientRequestToken": token("b"), "RotationLambdaARN": function});
    world.refused(
        "RotateSecret",
        &request(Value::Null),
        "InvalidRequestException",
    );
    world.refused(
        "RotateSecret",
        &request(json!(
            "arn:aws:lambda:us-east-1:000000000000:function:other"
        )),
        "ResourceNotFoundException",
    );
    world.check(&[("a", &["AWSCURRENT"])]);
    let described = world.ok("DescribeSecret", &json!({"SecretId": "app"}));
    assert!(
        described["RotationEnabled"].is_null(),
        "a refused rotation configures nothing"
    );
}

#[test]
fn a_rotation_in_progress_refuses_another_and_goes_on_with_its_own_token() {
    let world = World::with_secret();
    world.rotate("b");
    let other =
        json!({"SecretId": "app", "ClientRequestToken": token("c"), "RotationLambdaARN": FUNCTION});
    world.refused("RotateSecret", &other, "InvalidRequestException");
    world.rotate("b");
    assert_eq!(
        world.manager.rotations().len(),
        1,
        "it was under way already"
    );
    world.check(&[("a", &["AWSCURRENT"]), ("b", &["AWSPENDING"])]);
}

#[test]
fn pending_on_the_current_version_is_a_finished_rotation() {
    let world = World::with_secret();
    world.ok(
        "UpdateSecretVersionStage",
        &update("AWSPENDING", Some("a"), None),
    );
    world.check(&[("a", &["AWSCURRENT", "AWSPENDING"])]);
    world.rotate("b");
    world.check(&[("a", &["AWSCURRENT"]), ("b", &["AWSPENDING"])]);
}

#[test]
fn the_token_of_a_finished_rotation_starts_no_other() {
    let world = World::with_secret();
    world.rotate("a");
    assert_eq!(world.manager.rotations().len(), 0);
    world.put("b", "two", Value::Null);
    world.put("c", "three", Value::Null);
    let deprecated =
        json!({"SecretId": "app", "ClientRequestToken": token("a"), "RotationLambdaARN": FUNCTION});
    world.refused("RotateSecret", &deprecated, "InvalidParameterException");
}

#[test]
fn rules_are_stored_and_shown_and_wrong_ones_refused() {
    let world = World::with_secret();
    let with = |rules: Value| json!({"SecretId": "app", "ClientRequestToken": token("b"), "RotationLambdaARN": FUNCTION, "RotationRules": rules});
    for rules in [
        json!({"AutomaticallyAfterDays": 0}),
        json!({"AutomaticallyAfterDays": 1001}),
        json!({"AutomaticallyAfterDays": 30, "ScheduleExpression": "rate(30 days)"}),
    ] {
        world.refused("RotateSecret", &with(rules), "InvalidParameterException");
    }
    world.ok("RotateSecret", &with(json!({"AutomaticallyAfterDays": 30})));
    let described = world.ok("DescribeSecret", &json!({"SecretId": "app"}));
    assert_eq!(described["RotationEnabled"], true);
    assert_eq!(described["RotationLambdaARN"], FUNCTION);
    assert_eq!(
        described["RotationRules"],
        json!({"AutomaticallyAfterDays": 30})
    );
    assert!(described["NextRotationDate"].is_number());
}

#[test]
fn a_cancelled_rotation_leaves_its_labels() {
    let world = World::with_secret();
    world.refused(
        "CancelRotateSecret",
        &json!({"SecretId": "app"}),
        "InvalidRequestException",
    );
    world.rotate("b");
    assert_eq!(
        world.ok("CancelRotateSecret", &json!({"SecretId": "app"}))["VersionId"],
        token("b")
    );
    assert_eq!(
        world.ok("DescribeSecret", &json!({"SecretId": "app"}))["RotationEnabled"],
        false
    );
    world.check(&[("a", &["AWSCURRENT"]), ("b", &["AWSPENDING"])]);
}

#[test]
fn a_rotation_token_must_be_that_of_the_rotation() {
    let world = World::with_secret();
    world.rotate("b");
    let mut request = put("b", "two", json!(["AWSPENDING"]));
    request["RotationToken"] = json!("00000000-0000-0000-0000-000000000000");
    world.refused("PutSecretValue", &request, "InvalidParameterException");
}
