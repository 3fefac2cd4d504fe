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
    let text = |name: &str| rules.get(name).and_then(Value::as_str);
    let (days, schedule) = (
        rules.get("AutomaticallyAfterDays"),
        text("ScheduleExpression"),
    );
    let wrong = match (days, schedule) {
        (Some(_), Some(_)) => {
            "You can specify either AutomaticallyAfterDays or ScheduleExpression, but not both."
        }
        (Some(days), None) if !days.as_i64().is_some_and(|days| (1..=1000).contains(&days)) => {
            "AutomaticallyAfterDays must be between 1 and 1000."
        }
        (None, Some(schedule)) if !is_schedule(schedule) => {
            "ScheduleExpression must be rate() of at least 4 hours, or cron() with six fields."
        }
        _ if text("Duration").is_some_and(|duration| !is_duration(duration)) => {
            "Duration must be a number of hours such as 3h."
        }
        _ => return Ok(()),
    };
    Err(ApiError::invalid_parameter(wrong))
}

fn is_schedule(expression: &str) -> bool {
    let fields = |name: &str| {
        let fields = expression.strip_prefix(name)?.strip_prefix('(')?;
        Some(fields.strip_suffix(')')?.split_whitespace())
    };
    if let Some(fields) = fields("cron") {
        return fields.count() == 6;
    }
    let Some(mut fields) = fields("rate") else {
        return false;
    };
    let number: Option<u32> = fields.next().and_then(|number| number.parse().ok());
    let hours = match fields.next() {
        Some("hour" | "hours") => number,
        Some("day" | "days") => number.map(|days| days.saturating_mul(24)),
        _ => None,
    };
    fields.next().is_none() && hours.is_some_and(|hours| hours >= 4)
}

fn is_duration(text: &str) -> bool {
    let hours = text.strip_suffix('h').and_then(|hours| hours.parse().ok());
    hours.is_some_and(|hours: u8| (1..=24).contains(&hours))
}
