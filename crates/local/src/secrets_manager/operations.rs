//! The operations as they go over the wire: documents in, documents out.

mod read;
mod rotate;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::SecretsManager;
use super::password::{self, PasswordRequest};
use super::secret::{Content, Secret};
use super::vault::NewSecret;
use crate::aws_json::{ApiError, parse};
use crate::clock::{epoch_seconds, now};
use crate::lock::lock;

/// What the local Secrets Manager can do.
pub(super) const ACCEPTED: [&str; 11] = [
    "CancelRotateSecret",
    "CreateSecret",
    "DeleteSecret",
    "DescribeSecret",
    "GetRandomPassword",
    "GetSecretValue",
    "ListSecretVersionIds",
    "PutSecretValue",
    "RestoreSecret",
    "RotateSecret",
    "UpdateSecretVersionStage",
];

/// The union of what the requests hold; each operation takes what its own has.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Request {
    secret_id: String,
    name: String,
    client_request_token: Option<String>,
    #[serde(deserialize_with = "secret")]
    secret_string: Option<SecretString>,
    #[serde(deserialize_with = "secret")]
    secret_binary: Option<SecretString>,
    description: Option<String>,
    kms_key_id: Option<String>,
    tags: Value,
    version_id: Option<String>,
    version_stage: Option<String>,
    version_stages: Option<Vec<String>>,
    #[serde(deserialize_with = "secret")]
    rotation_token: Option<SecretString>,
    move_to_version_id: Option<String>,
    remove_from_version_id: Option<String>,
    include_deprecated: bool,
    max_results: Option<usize>,
    next_token: Option<String>,
    #[serde(rename = "RotationLambdaARN")]
    rotation_lambda_arn: Option<String>,
    rotation_rules: Option<Value>,
    rotate_immediately: Option<bool>,
    recovery_window_in_days: Option<i64>,
    force_delete_without_recovery: bool,
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
    Option::<String>::deserialize(from).map(|text| text.map(SecretString::from))
}

impl Request {
    /// The token that becomes a version's id. SDKs make one up; whoever speaks raw HTTP has to.
    fn token(&self) -> Result<&str, ApiError> {
        match self.client_request_token.as_deref() {
            Some(token) if (32..=64).contains(&token.len()) => Ok(token),
            Some(_) => Err(ApiError::invalid_parameter(
                "ClientRequestToken must be 32-64 characters long.",
            )),
            None => Err(ApiError::invalid_parameter(
                "You must provide a ClientRequestToken value.",
            )),
        }
    }

    fn content(&self) -> Result<Option<Content>, ApiError> {
        match (&self.secret_string, &self.secret_binary) {
            (Some(_), Some(_)) => Err(ApiError::invalid_parameter(
                "You can't specify both a binary secret value and a string secret value.",
            )),
            (Some(text), None) if text.expose_secret().len() > 65536 => {
                Err(ApiError::invalid_parameter(
                    "The secret value must not be longer than 65536 bytes.",
                ))
            }
            (Some(text), None) => Ok(Some(Content::Text(text.clone()))),
            (None, Some(encoded)) => BASE64_STANDARD
                .decode(encoded.expose_secret())
                .map(|bytes| Some(Content::Binary(bytes)))
                .map_err(|_| ApiError::invalid_parameter("SecretBinary is not base64.")),
            (None, None) => Ok(None),
        }
    }
}

/// Answers one request.
pub(super) fn answer(
    manager: &SecretsManager,
    operation: &str,
    body: &[u8],
) -> Result<Value, ApiError> {
    if operation == "GetRandomPassword" {
        let request: PasswordRequest = parse(body)?;
        let password = password::generate(&request, &mut password::from_kernel())?;
        return Ok(json!({"RandomPassword": password.expose_secret()}));
    }
    let request: Request = parse(body)?;
    match operation {
        "CancelRotateSecret" => rotate::cancel(manager, &request),
        "CreateSecret" => create(manager, request),
        "DeleteSecret" => delete(manager, &request),
        "DescribeSecret" => {
            manager.seen(|vault| vault.find(&request.secret_id).map(read::describe))
        }
        "GetSecretValue" => manager.seen(|vault| read::get(vault, &request)),
        "ListSecretVersionIds" => manager.seen(|vault| read::list_versions(vault, &request)),
        "PutSecretValue" => put(manager, &request),
        "RestoreSecret" => {
            let mut vault = lock(&manager.shared.vault);
            let secret = vault.find_mut(&request.secret_id)?;
            secret.deletion = None;
            Ok(Value::Object(named(secret)))
        }
        "RotateSecret" => rotate::rotate(manager, &request),
        "UpdateSecretVersionStage" => {
            let mut vault = lock(&manager.shared.vault);
            manager.shared.script.write(&vault);
            let secret = vault.find_mut(&request.secret_id)?;
            let stage = request.version_stage.as_deref().unwrap_or_default();
            let (to, from) = (
                request.move_to_version_id.as_deref(),
                request.remove_from_version_id.as_deref(),
            );
            secret.update_stage(stage, to, from, now())?;
            Ok(Value::Object(named(secret)))
        }
        other => Err(ApiError::unsupported("Secrets Manager", other, &ACCEPTED)),
    }
}

fn create(manager: &SecretsManager, request: Request) -> Result<Value, ApiError> {
    check_name(&request.name)?;
    let content = request.content()?;
    let token = request.token()?.to_owned();
    let new = NewSecret {
        token: token.clone(),
        content: content.clone(),
        name: request.name,
        description: request.description,
        kms_key_id: request.kms_key_id,
        tags: request.tags,
    };
    let mut vault = lock(&manager.shared.vault);
    let secret = vault.create(new, &arn_suffix()?, now())?;
    let mut answer = named(secret);
    if content.is_some() {
        answer.insert("VersionId".to_owned(), token.into());
    }
    Ok(Value::Object(answer))
}

/// What a name given by a client may be made of; AWS's own secrets, such as `rds!cluster-…`, are not bound by it.
fn check_name(name: &str) -> Result<(), ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
    if (1..=512).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    Err(ApiError::invalid_parameter(
        "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
    ))
}

fn put(manager: &SecretsManager, request: &Request) -> Result<Value, ApiError> {
    let token = request.token()?;
    let content = request.content()?.ok_or_else(|| {
        ApiError::invalid_parameter("You must provide either SecretString or SecretBinary.")
    })?;
    let mut vault = lock(&manager.shared.vault);
    manager.shared.script.write(&vault);
    let secret = vault.find_mut(&request.secret_id)?;
    manager.check_rotation_token(&secret.arn, request.rotation_token.as_ref())?;
    secret.put(token, content, request.version_stages.as_deref(), now())?;
    let mut answer = named(secret);
    answer.insert("VersionId".to_owned(), token.into());
    answer.insert("VersionStages".to_owned(), secret.labels.of(token).into());
    Ok(Value::Object(answer))
}

fn delete(manager: &SecretsManager, request: &Request) -> Result<Value, ApiError> {
    let window = match (
        request.force_delete_without_recovery,
        request.recovery_window_in_days,
    ) {
        (true, Some(_)) => {
            return Err(ApiError::invalid_parameter(
                "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
            ));
        }
        (true, None) => None,
        (false, days) => Some(days.unwrap_or(30)),
    };
    let secret = lock(&manager.shared.vault).delete(&request.secret_id, window, now())?;
    let mut answer = named(&secret);
    answer.insert(
        "DeletionDate".to_owned(),
        secret.deletion.map(epoch_seconds).into(),
    );
    Ok(Value::Object(answer))
}

fn named(secret: &Secret) -> Map<String, Value> {
    let pairs = [("ARN", &secret.arn), ("Name", &secret.name)];
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.as_str().into()))
        .collect()
}

/// The six characters that make an ARN its own even when a name is used again.
fn arn_suffix() -> Result<String, ApiError> {
    let request: PasswordRequest = parse(br#"{"PasswordLength":6,"ExcludePunctuation":true}"#)?;
    password::generate(&request, &mut password::from_kernel())
        .map(|suffix| suffix.expose_secret().to_owned())
}
