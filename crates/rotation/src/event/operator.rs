//! The operator's orders: events of a direct invoke, each of which is read as it serialises.

use serde::Serialize;
use serde_json::Value;

use super::{Event, EventError, Fields, text};

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

/// The order to report on a secret's labels and ages; serialises as the event of a direct invoke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "Step", rename = "audit", rename_all = "PascalCase")]
pub struct AuditEvent {
    /// Name or ARN of the secret.
    pub secret_id: String,
}

/// The order to make the version current that the database accepts; serialises as the event of a direct invoke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "Step", rename = "recover", rename_all = "PascalCase")]
pub struct RecoverEvent {
    /// Name or ARN of the secret.
    pub secret_id: String,
    /// Whether to report only what would be done.
    pub dry_run: bool,
}

/// The order to look for what would make a rotation fail; serialises as the event of a direct invoke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "Step", rename = "preflight", rename_all = "PascalCase")]
pub struct PreflightEvent {
    /// Name or ARN of the secret.
    pub secret_id: String,
}

impl Fields {
    pub(super) fn migrate(self) -> Result<MigrateEvent, EventError> {
        Ok(MigrateEvent {
            dry_run: self.dry_run()?,
            secret_id: text("SecretId", self.secret_id)?,
            master_secret_id: match self.master_secret_id {
                None | Some(Value::Null) => None,
                id => Some(text("MasterSecretId", id)?),
            },
        })
    }

    pub(super) fn audit(self) -> Result<Event, EventError> {
        let secret_id = text("SecretId", self.secret_id)?;
        Ok(Event::Audit(AuditEvent { secret_id }))
    }

    pub(super) fn recover(self) -> Result<Event, EventError> {
        Ok(Event::Recover(RecoverEvent {
            dry_run: self.dry_run()?,
            secret_id: text("SecretId", self.secret_id)?,
        }))
    }

    pub(super) fn preflight(self) -> Result<Event, EventError> {
        let secret_id = text("SecretId", self.secret_id)?;
        Ok(Event::Preflight(PreflightEvent { secret_id }))
    }

    /// Anything but a truth value is refused: who writes `"true"` wants nothing to be changed.
    fn dry_run(&self) -> Result<bool, EventError> {
        match self.dry_run {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(dry_run)) => Ok(dry_run),
            Some(_) => Err(EventError::Invalid("DryRun")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(event: &Value, secret: Option<&str>) -> Result<Event, EventError> {
        Event::parse(&serde_json::value::to_raw_value(event).unwrap(), secret)
    }

    #[track_caller]
    fn check_read(order: &impl Serialize, written: &str) -> Event {
        let event = serde_json::to_value(order).unwrap();
        assert_eq!(event.to_string(), written);
        parse(&event, None).unwrap()
    }

    #[test]
    fn an_order_is_read_as_it_is_written() {
        let order = MigrateEvent {
            secret_id: "app".to_owned(),
            master_secret_id: Some("master".to_owned()),
            dry_run: true,
        };
        let read = check_read(
            &order,
            r#"{"DryRun":true,"MasterSecretId":"master","SecretId":"app","Step":"migrate"}"#,
        );
        assert!(matches!(read, Event::Migrate(read) if read == order));
        let order = AuditEvent {
            secret_id: "app".to_owned(),
        };
        let read = check_read(&order, r#"{"SecretId":"app","Step":"audit"}"#);
        assert!(matches!(read, Event::Audit(read) if read == order));
        let order = RecoverEvent {
            secret_id: "app".to_owned(),
            dry_run: true,
        };
        let read = check_read(
            &order,
            r#"{"DryRun":true,"SecretId":"app","Step":"recover"}"#,
        );
        assert!(matches!(read, Event::Recover(read) if read == order));
        let order = PreflightEvent {
            secret_id: "app".to_owned(),
        };
        let read = check_read(&order, r#"{"SecretId":"app","Step":"preflight"}"#);
        assert!(matches!(read, Event::Preflight(read) if read == order));
    }

    #[test]
    fn a_schedule_need_not_name_the_secret() {
        for step in ["audit", "recover", "preflight"] {
            let event = parse(&json!({"Step": step}), Some("ours")).unwrap();
            assert_eq!((event.step(), event.secret_id()), (step, "ours"));
            let named = json!({"Step": step, "SecretId": "app"});
            assert_eq!(parse(&named, Some("ours")).unwrap().secret_id(), "app");
            let error = parse(&json!({"Step": step}), None).unwrap_err();
            assert_eq!(error, EventError::Missing("SecretId"));
        }
        // It changes most of all.
        let error = parse(&json!({"Step": "migrate"}), Some("ours")).unwrap_err();
        assert_eq!(error, EventError::Missing("SecretId"));
    }

    #[test]
    fn a_dry_run_is_not_misread() {
        for step in ["migrate", "recover"] {
            let event = json!({"Step": step, "SecretId": "app", "DryRun": "yes"});
            let error = parse(&event, None).unwrap_err();
            assert_eq!(error, EventError::Invalid("DryRun"));
        }
    }
}
