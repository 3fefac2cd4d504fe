//! What the function is invoked with: a step of a rotation by Secrets Manager, or an operator's step by a direct invoke.

mod operator;

use secrets::RotationToken;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

pub use operator::{AuditEvent, MigrateEvent, PreflightEvent, RecoverEvent};

/// One invocation's order.
#[derive(Clone, Debug)]
pub enum Event {
    /// A step of a rotation.
    Rotation(RotationEvent),
    /// The operator's step `migrate`.
    Migrate(MigrateEvent),
    /// The operator's step `audit`.
    Audit(AuditEvent),
    /// The operator's step `recover`.
    Recover(RecoverEvent),
    /// The operator's step `preflight`.
    Preflight(PreflightEvent),
}

/// What Secrets Manager sends for each step of a rotation.
///
/// Calls are repeated, late and concurrent; the pair of secret and version is what makes a repetition harmless.
#[derive(Clone, Debug)]
pub struct RotationEvent {
    /// The step's name as sent, in the service's spelling (`createSecret`) even where it came as `create_secret`.
    pub step: String,
    /// ARN of the secret.
    pub secret_id: String,
    /// `ClientRequestToken`: the id of the version that is being made.
    pub version_id: String,
    /// Proof of the caller's identity for another account's secret; `PutSecretValue` gets it.
    pub rotation_token: Option<RotationToken>,
}

/// An event that says nothing to do, in the reference's words; the caller has to send another one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// A field is missing, null or empty.
    #[error("No value provided for \"{0}\".")]
    Missing(&'static str),
    /// A field is no text of printable ASCII characters.
    #[error("\"{0}\" contains invalid characters.")]
    Invalid(&'static str),
}

impl EventError {
    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) | Self::Invalid(_) => "INVALID_EVENT",
        }
    }
}

impl Event {
    /// Reads an event. Keys that are not known are ignored.
    ///
    /// An event with a `ClientRequestToken` is a rotation's, whatever its step; one without may name an operator's step.
    /// Those but `migrate` are about `secret` where they name none, so that a schedule need not know it.
    pub fn parse(json: &RawValue, secret: Option<&str>) -> Result<Self, EventError> {
        // What is not an object has none of the fields.
        let mut fields: Fields = serde_json::from_str(json.get()).unwrap_or_default();
        let step = fields.step.as_ref().and_then(Value::as_str);
        let operators = match step {
            _ if fields.client_request_token.is_some() => None,
            Some("migrate") => return fields.migrate().map(Self::Migrate),
            Some("audit") => Some(Fields::audit as fn(Fields) -> Result<Self, EventError>),
            Some("recover") => Some(Fields::recover as _),
            Some("preflight") => Some(Fields::preflight as _),
            _ => None,
        };
        match operators {
            Some(read) => {
                if matches!(fields.secret_id, None | Some(Value::Null)) {
                    fields.secret_id = secret.map(Value::from);
                }
                read(fields)
            }
            None => fields.rotation().map(Self::Rotation),
        }
    }

    /// The secret that the event is about.
    pub fn secret_id(&self) -> &str {
        match self {
            Self::Rotation(event) => &event.secret_id,
            Self::Migrate(event) => &event.secret_id,
            Self::Audit(event) => &event.secret_id,
            Self::Recover(event) => &event.secret_id,
            Self::Preflight(event) => &event.secret_id,
        }
    }

    /// The step's name.
    pub fn step(&self) -> &str {
        match self {
            Self::Rotation(event) => &event.step,
            Self::Migrate(_) => "migrate",
            Self::Audit(_) => "audit",
            Self::Recover(_) => "recover",
            Self::Preflight(_) => "preflight",
        }
    }

    /// The version that a rotation is making.
    pub fn version_id(&self) -> Option<&str> {
        match self {
            Self::Rotation(event) => Some(&event.version_id),
            Self::Migrate(_) | Self::Audit(_) | Self::Recover(_) | Self::Preflight(_) => None,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Fields {
    step: Option<Value>,
    secret_id: Option<Value>,
    client_request_token: Option<Value>,
    rotation_token: Option<Value>,
    master_secret_id: Option<Value>,
    dry_run: Option<Value>,
}

impl Fields {
    fn rotation(self) -> Result<RotationEvent, EventError> {
        let secret_id = text("SecretId", self.secret_id)?;
        let version_id = text("ClientRequestToken", self.client_request_token)?;
        let step = text("Step", self.step)?;
        let rotation_token = match self.rotation_token {
            None | Some(Value::Null) => None,
            token => Some(RotationToken::new(text("RotationToken", token)?)),
        };
        Ok(RotationEvent {
            step: service_spelling(step),
            secret_id,
            version_id,
            rotation_token,
        })
    }
}

fn text(name: &'static str, value: Option<Value>) -> Result<String, EventError> {
    match value {
        None | Some(Value::Null) => Err(EventError::Missing(name)),
        Some(Value::String(text)) if text.is_empty() => Err(EventError::Missing(name)),
        Some(Value::String(text)) if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) => {
            Ok(text)
        }
        Some(_) => Err(EventError::Invalid(name)),
    }
}

/// The user guide writes `create_secret` where the service sends `createSecret`.
fn service_spelling(step: String) -> String {
    match step.as_str() {
        "create_secret" => "createSecret".to_owned(),
        "set_secret" => "setSecret".to_owned(),
        "test_secret" => "testSecret".to_owned(),
        "finish_secret" => "finishSecret".to_owned(),
        _ => step,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(event: &Value) -> Result<Event, EventError> {
        Event::parse(
            &serde_json::value::to_raw_value(event).unwrap(),
            Some("ours"),
        )
    }

    #[track_caller]
    fn check_rotation(event: &Value, step: &str) {
        let Ok(Event::Rotation(event)) = parse(event) else {
            panic!("no event of a rotation: {:?}", parse(event));
        };
        assert_eq!(event.step, step);
        assert_eq!(
            (event.secret_id.as_str(), event.version_id.as_str()),
            ("arn", "v2")
        );
    }

    #[track_caller]
    fn check_refused(event: &Value, message: &str) {
        assert_eq!(parse(event).unwrap_err().to_string(), message);
    }

    #[test]
    fn both_spellings_of_a_step_are_the_same_step() {
        for (sent, step) in [
            ("createSecret", "createSecret"),
            ("create_secret", "createSecret"),
            ("set_secret", "setSecret"),
            ("test_secret", "testSecret"),
            ("finish_secret", "finishSecret"),
            ("Create_Secret", "Create_Secret"),
        ] {
            check_rotation(
                &json!({"Step": sent, "SecretId": "arn", "ClientRequestToken": "v2", "Unknown": {"a": 1}}),
                step,
            );
        }
    }

    #[test]
    fn fields_are_checked_in_the_order_of_the_reference() {
        check_refused(&json!({}), "No value provided for \"SecretId\".");
        check_refused(&json!("text"), "No value provided for \"SecretId\".");
        check_refused(
            &json!({"SecretId": "arn"}),
            "No value provided for \"ClientRequestToken\".",
        );
        check_refused(
            &json!({"SecretId": "arn", "ClientRequestToken": ""}),
            "No value provided for \"ClientRequestToken\".",
        );
        check_refused(
            &json!({"SecretId": "arn", "ClientRequestToken": "v2", "Step": null}),
            "No value provided for \"Step\".",
        );
        check_refused(
            &json!({"SecretId": "ärn", "ClientRequestToken": "v2", "Step": "setSecret"}),
            "\"SecretId\" contains invalid characters.",
        );
        check_refused(
            &json!({"SecretId": "arn", "ClientRequestToken": "v2\n", "Step": "setSecret"}),
            "\"ClientRequestToken\" contains invalid characters.",
        );
        check_refused(
            &json!({"SecretId": "arn", "ClientRequestToken": 2, "Step": "setSecret"}),
            "\"ClientRequestToken\" contains invalid characters.",
        );
    }

    #[test]
    fn the_rotation_token_is_taken_and_never_printed() {
        let event = parse(&json!({
            "Step": "createSecret", "SecretId": "arn", "ClientRequestToken": "v2", "RotationToken": "proof-of-identity",
        }))
        .unwrap();
        let Event::Rotation(rotation) = &event else {
            panic!("no event of a rotation");
        };
        assert!(rotation.rotation_token.is_some());
        assert!(!format!("{event:?}").contains("proof-of-identity"));
    }

    #[test]
    fn an_event_with_a_version_names_only_the_steps_of_the_service() {
        for step in ["migrate", "audit", "recover", "preflight"] {
            // It is refused behind the preamble, as every step that the service does not have.
            check_rotation(
                &json!({"Step": step, "SecretId": "arn", "ClientRequestToken": "v2"}),
                step,
            );
        }
        check_refused(
            &json!({"Step": "createSecret", "SecretId": "arn"}),
            "No value provided for \"ClientRequestToken\".",
        );
    }
}
