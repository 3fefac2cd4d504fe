//! Operations that change nothing.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use time::{Date, OffsetDateTime};

use super::{Request, named};
use crate::aws_json::ApiError;
use crate::clock::epoch_seconds;
use crate::secrets_manager::secret::{Content, RotationSetup, Secret, Wanted};
use crate::secrets_manager::vault::Vault;

pub(super) fn get(vault: &Vault, request: &Request) -> Result<Value, ApiError> {
    let secret = vault.find(&request.secret_id)?;
    let wanted = Wanted {
        version_id: request.version_id.as_deref(),
        stage: request.version_stage.as_deref(),
    };
    let (version, content) = secret.get(wanted)?;
    let mut answer = named(secret);
    answer.insert("VersionId".to_owned(), version.id.clone().into());
    answer.insert(
        "VersionStages".to_owned(),
        secret.labels.of(&version.id).into(),
    );
    answer.insert(
        "CreatedDate".to_owned(),
        epoch_seconds(version.created).into(),
    );
    match content {
        Content::Text(text) => {
            answer.insert("SecretString".to_owned(), text.expose_secret().into())
        }
        Content::Binary(bytes) => answer.insert(
            "SecretBinary".to_owned(),
            BASE64_STANDARD.encode(bytes).into(),
        ),
    };
    Ok(Value::Object(answer))
}

pub(super) fn describe(secret: &Secret) -> Value {
    let mut answer = named(secret);
    let mut add = |name: &str, value: Value| {
        if !value.is_null() {
            answer.insert(name.to_owned(), value);
        }
    };
    let stages: Map<String, Value> = secret
        .versions
        .iter()
        .map(|version| (version.id.clone(), secret.labels.of(&version.id)))
        .filter(|(_, labels)| !labels.is_empty())
        .map(|(id, labels)| (id, labels.into()))
        .collect();
    add("VersionIdsToStages", Value::Object(stages));
    add("Description", secret.description.clone().into());
    add("KmsKeyId", secret.kms_key_id.clone().into());
    add("Tags", secret.tags.clone());
    add("CreatedDate", epoch_seconds(secret.created).into());
    add("LastChangedDate", epoch_seconds(secret.changed).into());
    add("LastRotatedDate", secret.rotated.map(epoch_seconds).into());
    add("DeletedDate", secret.deletion.map(epoch_seconds).into());
    if let Some(rotation) = &secret.rotation {
        add("RotationEnabled", rotation.enabled.into());
        add("RotationLambdaARN", rotation.function_arn.clone().into());
        add("RotationRules", rotation.rules.clone().into());
        add(
            "NextRotationDate",
            next_rotation(secret, rotation).map(epoch_seconds).into(),
        );
    }
    let replica =
        |(region, status): (&String, &String)| json!({"Region": region, "Status": status});
    if !secret.replicas.is_empty() {
        let replicas: Vec<Value> = secret.replicas.iter().map(replica).collect();
        answer.insert("ReplicationStatus".to_owned(), replicas.into());
    }
    Value::Object(answer)
}

pub(super) fn list_versions(vault: &Vault, request: &Request) -> Result<Value, ApiError> {
    let secret = vault.find(&request.secret_id)?;
    let begin: usize = match request.next_token.as_deref().map(str::parse) {
        None => 0,
        Some(Ok(begin)) => begin,
        Some(Err(_)) => {
            return Err(ApiError::new(
                "InvalidNextTokenException",
                "The NextToken value is invalid.",
            ));
        }
    };
    let limit = request.max_results.unwrap_or(100);
    if !(1..=100).contains(&limit) {
        return Err(ApiError::invalid_parameter(
            "MaxResults must be between 1 and 100.",
        ));
    }
    let listed: Vec<Value> = secret
        .versions
        .iter()
        .map(|version| (version, secret.labels.of(&version.id)))
        .filter(|(_, labels)| request.include_deprecated || !labels.is_empty())
        .map(|(version, labels)| {
            let mut entry = Map::new();
            entry.insert("VersionId".to_owned(), version.id.clone().into());
            entry.insert(
                "CreatedDate".to_owned(),
                epoch_seconds(version.created).into(),
            );
            if !labels.is_empty() {
                entry.insert("VersionStages".to_owned(), labels.into());
            }
            Value::Object(entry)
        })
        .collect();
    let end = (begin + limit).min(listed.len());
    let mut answer = named(secret);
    answer.insert(
        "Versions".to_owned(),
        listed.get(begin..end).unwrap_or_default().into(),
    );
    if end < listed.len() {
        answer.insert("NextToken".to_owned(), end.to_string().into());
    }
    Ok(Value::Object(answer))
}

/// The end of the day that lies as many days after the last rotation as the rules say.
fn next_rotation(secret: &Secret, rotation: &RotationSetup) -> Option<OffsetDateTime> {
    let days = rotation
        .rules
        .as_ref()?
        .get("AutomaticallyAfterDays")?
        .as_i64()?;
    let due: Date = (secret.rotated.unwrap_or(secret.created) + time::Duration::days(days)).date();
    rotation
        .enabled
        .then(|| due.with_hms(23, 59, 59).ok())
        .flatten()
        .map(time::PrimitiveDateTime::assume_utc)
}
