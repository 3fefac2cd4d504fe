//! What the function is invoked with: a step of a rotation by Secrets Manager, or an operator's step by a direct invoke.

use secrets::RotationToken;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// Operator's steps that later versions have; each is refused by name, so that nobody takes silence for success.
const STEPS_TO_COME: [&str; 3] = ["preflight", "recover", "audit"];

/// One invocation's order.
#[derive(Clone, Debug)]
pub enum Event {
    /// A step of a rotation.
    Rotation(RotationEvent),
    /// The operator's step `migrate`.
    Migrate(MigrateEvent),
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

/// The order to set up or migrate the database; serialises as the event of a direct invoke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "Step", rename = "migrate", rename_all = "PascalCase")]
pub struct MigrateEvent {
    /// Name or ARN of the application's secret.
    pub secret_id: String,
    /// The master's secret, to make sure that the function uses the one which is meant; it must be the one that the
    /// function is configured with (`BOOTSTRAP_SECRET`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_secret_id: Option<String>,
    /// Whether to report only what would be done.
    pub dry_run: bool,
}

/// An event that says nothing to do; the caller has to send another one.
///
/// The first two speak as the reference does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// A field is missing, null or empty.
    #[error("No value provided for \"{0}\".")]
    Missing(&'static str),
    /// A field is no text of printable ASCII characters.
    #[error("\"{0}\" contains invalid characters.")]
    Invalid(&'static str),
    /// An operator's step that this version does not have.
    #[error(
        "the step `{0}` is not in this version, accepted: `createSecret`, `setSecret`, `testSecret`, `finishSecret` or `migrate`"
    )]
    NotInThisVersion(&'static str),
}

impl EventError {
    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) | Self::Invalid(_) => "INVALID_EVENT",
            Self::NotInThisVersion(_) => "STEP_NOT_AVAILABLE",
        }
    }
}

impl Event {
    /// Reads an event. Keys that are not known are ignored.
    ///
    /// An event with a `ClientRequestToken` is a rotation's, whatever its step; one without may name an operator's step.
    pub fn parse(json: &RawValue) -> Result<Self, EventError> {
        // What is not an object has none of the fields.
        let fields: Fields = serde_json::from_str(json.get()).unwrap_or_default();
        if fields.client_request_token.is_none() {
            let step = fields.step.as_ref().and_then(Value::as_str);
            if step == Some("migrate") {
                return fields.migrate().map(Self::Migrate);
            }
            if let Some(name) = STEPS_TO_COME.into_iter().find(|name| step == Some(name)) {
                return Err(EventError::NotInThisVersion(name));
            }
        }
        fields.rotation().map(Self::Rotation)
    }

    /// The secret that the event is about.
    pub fn secret_id(&self) -> &str {
        match self {
            Self::Rotation(event) => &event.secret_id,
            Self::Migrate(event) => &event.secret_id,
        }
    }

    /// The step's name.
    pub fn step(&self) -> &str {
        match self {
            Self::Rotation(event) => &event.step,
            Self::Migrate(_) => "migrate",
        }
    }

    /// The version that a rotation is making.
    pub fn version_id(&self) -> Option<&str> {
        match self {
            Self::Rotation(event) => Some(&event.version_id),
            Self::Migrate(_) => None,
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

    fn migrate(self) -> Result<MigrateEvent, EventError> {
        Ok(MigrateEvent {
            secret_id: text("SecretId", self.secret_id)?,
            master_secret_id: match self.master_secret_id {
                None | Some(Value::Null) => None,
                id => Some(text("MasterSecretId", id)?),
            },
            dry_run: match self.dry_run {
                None | Some(Value::Null) => false,
                Some(Value::Bool(dry_run)) => dry_run,
                Some(_) => return Err(EventError::Invalid("DryRun")),
            },
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
        Event::parse(&serde_json::value::to_raw_value(event).unwrap())
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
    fn an_operators_step_comes_without_a_version() {
        let Ok(Event::Migrate(event)) =
            parse(&json!({"Step": "migrate", "SecretId": "app", "DryRun": true}))
        else {
            panic!("no event of an operator");
        };
        assert!(event.dry_run);
        assert_eq!(event.master_secret_id, None);
        // With a version it is a rotation's event, and its step is refused behind the preamble.
        check_rotation(
            &json!({"Step": "migrate", "SecretId": "arn", "ClientRequestToken": "v2"}),
            "migrate",
        );
    }

    #[test]
    fn what_this_version_does_not_have_is_named() {
        check_refused(
            &json!({"Step": "recover", "SecretId": "app"}),
            "the step `recover` is not in this version, accepted: `createSecret`, `setSecret`, `testSecret`, `finishSecret` or `migrate`",
        );
        check_refused(
            &json!({"Step": "migrate", "SecretId": "app", "DryRun": "yes"}),
            "\"DryRun\" contains invalid characters.",
        );
    }

    #[test]
    fn the_order_to_migrate_is_read_as_it_is_written() {
        let order = MigrateEvent {
            secret_id: "app".to_owned(),
            master_secret_id: Some("master".to_owned()),
            dry_run: true,
        };
        let event = serde_json::to_value(&order).unwrap();
        insta::assert_snapshot!(event, @r#"{"DryRun":true,"MasterSecretId":"master","SecretId":"app","Step":"migrate"}"#);
        let Ok(Event::Migrate(read)) = parse(&event) else {
            panic!("no event of an operator");
        };
        assert_eq!(read, order);
    }
}
