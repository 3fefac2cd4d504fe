//! Operations that set up, start and end rotations.

use serde_json::Value;

use super::{Request, named};
use crate::aws_json::ApiError;
use crate::clock::now;
use crate::lock::lock;
use crate::secrets_manager::labels::PENDING;
use crate::secrets_manager::secret::{Admission, RotationSetup};
use crate::secrets_manager::{SecretsManager, rotation};

pub(super) fn rotate(manager: &SecretsManager, request: &Request) -> Result<Value, ApiError> {
    let token = request.token()?;
    if let Some(rules) = &request.rotation_rules {
        check_rules(rules)?;
    }
    let mut vault = lock(&manager.shared.vault);
    let secret = vault.find_mut(&request.secret_id)?;
    secret.in_use()?;
    let held = secret.rotation.clone();
    let function_arn = request
        .rotation_lambda_arn
        .clone()
        .or_else(|| held.as_ref().map(|setup| setup.function_arn.clone()))
        .ok_or_else(|| {
            ApiError::invalid_request(
                "No Lambda rotation function ARN is associated with this secret.",
            )
        })?;
    if !manager.shared.functions.knows(&function_arn) {
        return Err(ApiError::not_found(format!(
            "Lambda does not exist or could not be accessed: {function_arn}"
        )));
    }
    let rules = request
        .rotation_rules
        .clone()
        .or_else(|| held.and_then(|setup| setup.rules));
    let setup = RotationSetup {
        enabled: true,
        function_arn,
        rules,
    };
    let admission = secret.admit_rotation(
        token,
        setup,
        request.rotate_immediately.unwrap_or(true),
        now(),
    )?;
    if admission != Admission::Done {
        rotation::begin(manager, secret, token, admission == Admission::TestOnly);
    }
    let mut answer = named(secret);
    answer.insert("VersionId".to_owned(), token.into());
    Ok(Value::Object(answer))
}

pub(super) fn cancel(manager: &SecretsManager, request: &Request) -> Result<Value, ApiError> {
    let mut vault = lock(&manager.shared.vault);
    let secret = vault.find_mut(&request.secret_id)?;
    secret.in_use()?;
    let Some(setup) = &mut secret.rotation else {
        return Err(ApiError::invalid_request(
            "Rotation is not enabled for this secret.",
        ));
    };
    setup.enabled = false;
    let mut answer = named(secret);
    // The version that a rotation under way has reserved; the labels stay as they are.
    if let Some(pending) = secret.labels.holder(PENDING) {
        answer.insert("VersionId".to_owned(), pending.into());
    }
    Ok(Value::Object(answer))
}

fn check_rules(rules: &Value) -> Result<(), ApiError> {
    let (days, schedule) = (
        rules.get("AutomaticallyAfterDays"),
        rules.get("ScheduleExpression"),
    );
    match (days, schedule) {
        (Some(_), Some(_)) => Err(ApiError::invalid_parameter(
            "You can specify either AutomaticallyAfterDays or ScheduleExpression, but not both.",
        )),
        (Some(days), None) if !days.as_i64().is_some_and(|days| (1..=1000).contains(&days)) => Err(
            ApiError::invalid_parameter("AutomaticallyAfterDays must be between 1 and 1000."),
        ),
        _ => Ok(()),
    }
}
