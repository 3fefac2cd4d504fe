//! The local Secrets Manager against what AWS documents, asked by the Rust SDK and by boto3.
//!
//! Sources of the rules: the API reference of each operation, and "Rotation by Lambda function" of the Secrets Manager
//! User Guide. What the emulators get wrong is here because a rotation is judged by it.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
use aws_sdk_secretsmanager::types::RotationRulesType;
use local::lambda::Function;
use local::{Stack, StackOptions};
use tokio::process::Command;

use crate::system::{ROTATION, succeeded};

pub const ONE: &str = "11111111-1111-4111-8111-111111111111";
pub const TWO: &str = "22222222-2222-4222-8222-222222222222";
pub const THREE: &str = "33333333-3333-4333-8333-333333333333";

pub async fn stack() -> (Stack, Client) {
    let stack = Stack::start(StackOptions::from_environment().unwrap())
        .await
        .unwrap();
    let client = Client::new(&stack.sdk_config());
    (stack, client)
}

/// The secret `s`, whose version [`ONE`] is current and holds "one".
pub async fn create(client: &Client) -> String {
    let request = client
        .create_secret()
        .name("s")
        .client_request_token(ONE)
        .secret_string("one");
    request.send().await.unwrap().arn().unwrap().to_owned()
}

/// The secret `s`, and a rotation function that fails.
pub async fn rotatable() -> (Stack, Client) {
    let (stack, client) = stack().await;
    create(&client).await;
    let function = Function::binary(ROTATION, "/bin/false");
    stack.functions().define(function).unwrap();
    (stack, client)
}

/// Rotates `s` to version `token`; the id of the version that is being made.
pub async fn rotate(
    client: &Client,
    token: &str,
    function: Option<&str>,
    rules: Option<RotationRulesType>,
) -> Result<String, String> {
    let request = client
        .rotate_secret()
        .secret_id("s")
        .client_request_token(token)
        .set_rotation_lambda_arn(function.map(Into::into))
        .set_rotation_rules(rules);
    let started = request.send().await.map_err(code)?;
    Ok(started.version_id().unwrap().to_owned())
}

pub async fn put(
    client: &Client,
    token: &str,
    text: &str,
    stage: Option<&str>,
) -> Result<Vec<String>, String> {
    let request = client
        .put_secret_value()
        .secret_id("s")
        .client_request_token(token)
        .secret_string(text);
    let request = match stage {
        Some(stage) => request.version_stages(stage),
        None => request,
    };
    let output = request.send().await.map_err(code)?;
    Ok(output.version_stages().to_vec())
}

pub async fn get(
    client: &Client,
    version: Option<&str>,
    stage: Option<&str>,
) -> Result<String, String> {
    let request = client
        .get_secret_value()
        .secret_id("s")
        .set_version_id(version.map(Into::into));
    let output = request
        .set_version_stage(stage.map(Into::into))
        .send()
        .await
        .map_err(code)?;
    Ok(output.secret_string().unwrap().to_owned())
}

pub async fn move_label(
    client: &Client,
    stage: &str,
    to: Option<&str>,
    from: Option<&str>,
) -> Result<(), String> {
    let request = client
        .update_secret_version_stage()
        .secret_id("s")
        .version_stage(stage);
    let request = request
        .set_move_to_version_id(to.map(Into::into))
        .set_remove_from_version_id(from.map(Into::into));
    request.send().await.map(drop).map_err(code)
}

pub async fn stages(client: &Client, version: &str) -> Option<Vec<String>> {
    let described = client
        .describe_secret()
        .secret_id("s")
        .send()
        .await
        .unwrap();
    let mut stages = described.version_ids_to_stages()?.get(version)?.clone();
    stages.sort();
    Some(stages)
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` calls")]
pub fn code<E: ProvideErrorMetadata>(error: E) -> String {
    error.code().unwrap_or("no answer").to_owned()
}

#[tokio::test]
async fn a_token_names_its_version_and_is_used_once() {
    let (_stack, client) = stack().await;
    let create = |token: &str, text: &str| {
        client
            .create_secret()
            .name("s")
            .client_request_token(token)
            .secret_string(text)
            .send()
    };
    assert_eq!(create(ONE, "one").await.unwrap().version_id(), Some(ONE));
    assert_eq!(
        create(ONE, "one").await.map(drop).map_err(code),
        Ok(()),
        "the same again is not an error"
    );
    assert_eq!(
        create(TWO, "two").await.map(drop).map_err(code),
        Err("ResourceExistsException".to_owned())
    );

    assert_eq!(
        put(&client, TWO, "two", Some("AWSPENDING")).await,
        Ok(vec!["AWSPENDING".to_owned()])
    );
    assert!(put(&client, TWO, "two", Some("AWSPENDING")).await.is_ok());
    assert_eq!(
        put(&client, TWO, "other", Some("AWSPENDING")).await,
        Err("ResourceExistsException".to_owned())
    );
    assert_eq!(
        get(&client, None, Some("AWSPENDING")).await.unwrap(),
        "two",
        "a refused put changes nothing"
    );
}

#[tokio::test]
async fn a_label_sits_on_one_version() {
    let (_stack, client) = stack().await;
    create(&client).await;
    put(&client, TWO, "two", Some("AWSPENDING")).await.unwrap();
    put(&client, THREE, "three", Some("AWSPENDING"))
        .await
        .unwrap();
    assert_eq!(
        stages(&client, THREE).await,
        Some(vec!["AWSPENDING".to_owned()])
    );
    assert_eq!(
        stages(&client, TWO).await,
        None,
        "a version without a label is not described"
    );
    assert_eq!(
        get(&client, Some(TWO), None).await.unwrap(),
        "two",
        "but it can be read by its id"
    );

    let listed = client
        .list_secret_version_ids()
        .secret_id("s")
        .send()
        .await
        .unwrap();
    assert_eq!(listed.versions().len(), 2);
    let all = client
        .list_secret_version_ids()
        .secret_id("s")
        .include_deprecated(true)
        .send()
        .await
        .unwrap();
    assert_eq!(all.versions().len(), 3);
}

#[tokio::test]
async fn awsprevious_follows_awscurrent() {
    let (_stack, client) = stack().await;
    create(&client).await;
    put(&client, TWO, "two", Some("AWSPENDING")).await.unwrap();
    let refused = Err("InvalidParameterException".to_owned());
    assert_eq!(
        move_label(&client, "AWSCURRENT", Some(TWO), None).await,
        refused,
        "it must say where the label is"
    );
    assert_eq!(
        move_label(&client, "AWSCURRENT", Some(TWO), Some(TWO)).await,
        refused
    );
    assert_eq!(
        move_label(&client, "AWSCURRENT", None, Some(ONE)).await,
        refused,
        "a secret always has a current version"
    );
    assert!(
        move_label(&client, "AWSCURRENT", Some(THREE), Some(ONE))
            .await
            .is_err(),
        "there is no such version"
    );
    assert_eq!(
        get(&client, None, None).await.unwrap(),
        "one",
        "refused moves change nothing"
    );

    move_label(&client, "AWSCURRENT", Some(TWO), Some(ONE))
        .await
        .unwrap();
    assert_eq!(
        stages(&client, ONE).await,
        Some(vec!["AWSPREVIOUS".to_owned()])
    );
    assert_eq!(
        stages(&client, TWO).await,
        Some(vec!["AWSCURRENT".to_owned(), "AWSPENDING".to_owned()])
    );
    put(&client, THREE, "three", None).await.unwrap();
    assert_eq!(
        get(&client, None, None).await.unwrap(),
        "three",
        "a put without a label moves AWSCURRENT"
    );
    assert_eq!(
        get(&client, None, Some("AWSPREVIOUS")).await.unwrap(),
        "two"
    );
}

#[tokio::test]
async fn id_and_stage_must_name_one_version() {
    let (_stack, client) = stack().await;
    create(&client).await;
    put(&client, TWO, "two", Some("AWSPENDING")).await.unwrap();
    assert_eq!(
        get(&client, Some(TWO), Some("AWSPENDING")).await.unwrap(),
        "two"
    );
    let mismatch = get(&client, Some(TWO), Some("AWSCURRENT"))
        .await
        .unwrap_err();
    assert!(
        ["ResourceNotFoundException", "InvalidRequestException"].contains(&mismatch.as_str()),
        "{mismatch}"
    );
    assert_eq!(
        get(&client, None, Some("AWSPREVIOUS")).await,
        Err("ResourceNotFoundException".to_owned())
    );
}

#[tokio::test]
async fn a_deleted_secret_answers_nothing_until_it_is_restored() {
    let (_stack, client) = stack().await;
    create(&client).await;
    client.delete_secret().secret_id("s").send().await.unwrap();
    assert_eq!(
        get(&client, None, None).await,
        Err("InvalidRequestException".to_owned())
    );
    assert_eq!(
        put(&client, TWO, "two", None).await,
        Err("InvalidRequestException".to_owned())
    );
    assert!(
        client
            .describe_secret()
            .secret_id("s")
            .send()
            .await
            .unwrap()
            .deleted_date()
            .is_some()
    );
    client.restore_secret().secret_id("s").send().await.unwrap();
    assert_eq!(get(&client, None, None).await.unwrap(), "one");
}

#[tokio::test]
async fn random_passwords_obey_their_rules() {
    let (_stack, client) = stack().await;
    let request = client
        .get_random_password()
        .password_length(64)
        .exclude_punctuation(true)
        .exclude_characters("abc0");
    let password = request
        .send()
        .await
        .unwrap()
        .random_password()
        .unwrap()
        .to_owned();
    assert_eq!(password.len(), 64);
    assert!(
        password
            .chars()
            .all(|c| c.is_ascii_alphanumeric() && !"abc0".contains(c)),
        "{password}"
    );
    let few = client
        .get_random_password()
        .password_length(4)
        .send()
        .await
        .unwrap()
        .random_password()
        .unwrap()
        .to_owned();
    let has = |test: fn(&char) -> bool| few.chars().any(|c| test(&c));
    assert!(
        has(char::is_ascii_lowercase)
            && has(char::is_ascii_uppercase)
            && has(char::is_ascii_digit)
            && has(char::is_ascii_punctuation),
        "each type is in: {few}"
    );
    let impossible = client
        .get_random_password()
        .password_length(3)
        .send()
        .await
        .map(drop)
        .map_err(code);
    assert_eq!(
        impossible,
        Err("InvalidParameterException".to_owned()),
        "three characters cannot be of four types"
    );
}

/// The same rules through the client that most people have.
#[tokio::test]
async fn boto3_sees_the_same_service() {
    let (stack, _client) = stack().await;
    // Its rotations stay where they begin: with an empty version that is pending.
    let function = Function::binary(ROTATION, "/bin/false");
    stack.functions().define(function).unwrap();
    let python = local::Checkout::find().unwrap().tools().join("bin/python");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/boto3_conformance.py");
    let output = Command::new(python)
        .arg(script)
        .env_clear()
        .envs(stack.environment())
        .output()
        .await
        .unwrap();
    succeeded(&output);
}
