//! Versions and labels.

use serde_json::{Value, json};

use super::{FUNCTION, World, put, token, update};

#[test]
fn the_token_is_the_version_id() {
    let world = World::with_secret();
    let got = world.ok("GetSecretValue", &json!({"SecretId": "app"}));
    assert_eq!(got["VersionId"], token("a"));
    assert_eq!(got["VersionStages"], json!(["AWSCURRENT"]));
    world.refused(
        "PutSecretValue",
        &json!({"SecretId": "app", "SecretString": "x"}),
        "InvalidParameterException",
    );
    let short = json!({"SecretId": "app", "SecretString": "x", "ClientRequestToken": "short"});
    world.refused("PutSecretValue", &short, "InvalidParameterException");
}

#[test]
fn a_repeated_create_is_harmless_and_another_is_refused() {
    let world = World::with_secret();
    let same = json!({"Name": "app", "ClientRequestToken": token("a"), "SecretString": "one"});
    world.ok("CreateSecret", &same);
    let other_value =
        json!({"Name": "app", "ClientRequestToken": token("a"), "SecretString": "two"});
    world.refused("CreateSecret", &other_value, "ResourceExistsException");
    let other_token =
        json!({"Name": "app", "ClientRequestToken": token("b"), "SecretString": "one"});
    world.refused("CreateSecret", &other_token, "ResourceExistsException");
    let name = json!({"Name": "a b", "ClientRequestToken": token("a"), "SecretString": "one"});
    world.refused("CreateSecret", &name, "InvalidParameterException");
}

#[test]
fn a_repeated_put_changes_neither_value_nor_labels() {
    let world = World::with_secret();
    world.put("b", "two", Value::Null);
    world.put("b", "two", json!(["AWSPENDING"]));
    world.check(&[("a", &["AWSPREVIOUS"]), ("b", &["AWSCURRENT"])]);
    world.refused(
        "PutSecretValue",
        &put("b", "three", Value::Null),
        "ResourceExistsException",
    );
    assert_eq!(world.text("AWSCURRENT"), "two");
}

#[test]
fn a_pending_version_with_a_value_is_never_overwritten() {
    let world = World::with_secret();
    world.rotate("b");
    world.put("b", "two", json!(["AWSPENDING"]));
    world.refused(
        "PutSecretValue",
        &put("b", "three", json!(["AWSPENDING"])),
        "ResourceExistsException",
    );
    assert_eq!(world.text("AWSPENDING"), "two");
}

#[test]
fn of_concurrent_puts_with_one_token_exactly_one_wins() {
    for _ in 0..30 {
        let world = World::with_secret();
        world.rotate("b");
        let manager = &world.manager;
        let won = std::thread::scope(|scope| {
            let puts: Vec<_> = (0..8)
                .map(|number| {
                    let request = put("b", &number.to_string(), json!(["AWSPENDING"])).to_string();
                    scope
                        .spawn(move || manager.answer("PutSecretValue", request.as_bytes()).is_ok())
                })
                .collect();
            puts.into_iter()
                .filter_map(|put| put.join().ok())
                .filter(|won| *won)
                .count()
        });
        assert_eq!(won, 1);
    }
}

#[test]
fn a_put_without_stages_moves_current_and_previous_follows() {
    let world = World::with_secret();
    world.put("b", "two", Value::Null);
    world.put("c", "three", Value::Null);
    world.check(&[("b", &["AWSPREVIOUS"]), ("c", &["AWSCURRENT"])]);
    assert_eq!(
        (world.text("AWSCURRENT"), world.text("AWSPREVIOUS")),
        (json!("three"), json!("two"))
    );
}

#[test]
fn a_label_sits_on_one_version_only() {
    let world = World::with_secret();
    world.put("b", "two", json!(["AWSPENDING"]));
    world.put("c", "three", json!(["AWSPENDING"]));
    world.check(&[("a", &["AWSCURRENT"]), ("c", &["AWSPENDING"])]);
}

#[test]
fn moving_current_keeps_pending_and_takes_previous_along() {
    let world = World::with_secret();
    world.put("b", "two", json!(["AWSPENDING"]));
    world.ok(
        "UpdateSecretVersionStage",
        &update("AWSCURRENT", Some("b"), Some("a")),
    );
    world.check(&[
        ("a", &["AWSPREVIOUS"]),
        ("b", &["AWSCURRENT", "AWSPENDING"]),
    ]);
}

#[test]
fn a_refused_move_changes_nothing() {
    let world = World::with_secret();
    world.put("b", "two", json!(["AWSPENDING"]));
    for (request, code) in [
        (
            update("AWSCURRENT", Some("b"), None),
            "InvalidParameterException",
        ),
        (
            update("AWSCURRENT", Some("b"), Some("b")),
            "InvalidParameterException",
        ),
        (
            update("AWSCURRENT", None, Some("a")),
            "InvalidParameterException",
        ),
        (
            update("AWSCURRENT", Some("z"), Some("a")),
            "ResourceNotFoundException",
        ),
    ] {
        world.refused("UpdateSecretVersionStage", &request, code);
        world.check(&[("a", &["AWSCURRENT"]), ("b", &["AWSPENDING"])]);
    }
}

#[test]
fn an_id_and_a_label_must_name_the_same_version() {
    let world = World::with_secret();
    world.put("b", "two", json!(["AWSPENDING"]));
    let both = |version: &str, stage: &str| json!({"SecretId": "app", "VersionId": token(version), "VersionStage": stage});
    assert_eq!(
        world.ok("GetSecretValue", &both("b", "AWSPENDING"))["SecretString"],
        "two"
    );
    world.refused(
        "GetSecretValue",
        &both("b", "AWSCURRENT"),
        "InvalidRequestException",
    );
    world.refused(
        "GetSecretValue",
        &both("z", "AWSPENDING"),
        "ResourceNotFoundException",
    );
    let unheld = json!({"SecretId": "app", "VersionStage": "AWSPREVIOUS"});
    world.refused("GetSecretValue", &unheld, "ResourceNotFoundException");
}

#[test]
fn deprecated_versions_are_readable_by_id_and_listed_on_request_only() {
    let world = World::with_secret();
    world.put("b", "two", Value::Null);
    world.put("c", "three", Value::Null);
    world.put("d", "four", json!(["AWSPENDING"]));
    let by_id = world.ok(
        "GetSecretValue",
        &json!({"SecretId": "app", "VersionId": token("a")}),
    );
    assert_eq!(by_id["SecretString"], "one");
    assert_eq!(by_id["VersionStages"], json!([]));
    world.check(&[
        ("b", &["AWSPREVIOUS"]),
        ("c", &["AWSCURRENT"]),
        ("d", &["AWSPENDING"]),
    ]);
    let count = |request: &Value| {
        world.ok("ListSecretVersionIds", request)["Versions"]
            .as_array()
            .map(Vec::len)
    };
    assert_eq!(count(&json!({"SecretId": "app"})), Some(3));
    assert_eq!(
        count(&json!({"SecretId": "app", "IncludeDeprecated": true})),
        Some(4)
    );
    let page = world.ok(
        "ListSecretVersionIds",
        &json!({"SecretId": "app", "MaxResults": 2}),
    );
    assert_eq!(page["NextToken"], "2");
    assert_eq!(
        count(&json!({"SecretId": "app", "MaxResults": 2, "NextToken": "2"})),
        Some(1)
    );
    let wrong = json!({"SecretId": "app", "NextToken": "x"});
    world.refused("ListSecretVersionIds", &wrong, "InvalidNextTokenException");
}

#[test]
fn a_secret_is_found_by_name_arn_and_partial_arn() {
    let world = World::with_secret();
    let arn = world.ok("DescribeSecret", &json!({"SecretId": "app"}))["ARN"]
        .as_str()
        .expect("an ARN")
        .to_owned();
    let (partial, suffix) = arn.rsplit_once('-').expect("a suffix");
    assert_eq!(suffix.len(), 6);
    for id in [arn.as_str(), partial] {
        assert_eq!(
            world.ok("DescribeSecret", &json!({"SecretId": id}))["Name"],
            "app"
        );
    }
    world.refused(
        "DescribeSecret",
        &json!({"SecretId": "ap"}),
        "ResourceNotFoundException",
    );
}

#[test]
fn a_deleted_secret_refuses_everything_until_it_is_restored() {
    let world = World::with_secret();
    world.refused(
        "DeleteSecret",
        &json!({"SecretId": "app", "RecoveryWindowInDays": 3}),
        "InvalidParameterException",
    );
    let both =
        json!({"SecretId": "app", "RecoveryWindowInDays": 7, "ForceDeleteWithoutRecovery": true});
    world.refused("DeleteSecret", &both, "InvalidParameterException");
    world.ok("DeleteSecret", &json!({"SecretId": "app"}));
    world.refused(
        "GetSecretValue",
        &json!({"SecretId": "app"}),
        "InvalidRequestException",
    );
    world.refused(
        "PutSecretValue",
        &put("b", "two", Value::Null),
        "InvalidRequestException",
    );
    let rotate =
        json!({"SecretId": "app", "ClientRequestToken": token("b"), "RotationLambdaARN": FUNCTION});
    world.refused("RotateSecret", &rotate, "InvalidRequestException");
    let again = json!({"Name": "app", "ClientRequestToken": token("a"), "SecretString": "one"});
    world.refused("CreateSecret", &again, "InvalidRequestException");
    assert!(world.ok("DescribeSecret", &json!({"SecretId": "app"}))["DeletedDate"].is_number());
    world.ok("RestoreSecret", &json!({"SecretId": "app"}));
    assert_eq!(world.text("AWSCURRENT"), "one");
    world.ok(
        "DeleteSecret",
        &json!({"SecretId": "app", "ForceDeleteWithoutRecovery": true}),
    );
    world.refused(
        "DescribeSecret",
        &json!({"SecretId": "app"}),
        "ResourceNotFoundException",
    );
}

#[test]
fn what_is_not_there_names_what_is() {
    let world = World::with_secret();
    world.refused("ListSecrets", &json!({}), "UnsupportedOperationException");
    let refused = world
        .manager
        .answer("TagResource", b"{}")
        .expect_err("a refusal");
    assert!(refused.message.contains("GetSecretValue"), "{refused}");
    world.refused(
        "GetSecretValue",
        &json!("not an object"),
        "SerializationException",
    );
}
