//! Who sends an event, as somebody says who can be trusted with it: an authorizer, and not the event.

use crate::capture::Capture;
use crate::identity::bounded_id;
use crate::json::{Json, Raw};

/// The tenant of a caller who belongs to none, as of an event that names none.
const NO_TENANT: &str = "default";

/// Keys by which an event would say who sends it.
const SAID_BY_THE_EVENT: [&str; 2] = ["tenant_id", "user_id"];

/// The sender of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    tenant_id: String,
    user_id: String,
}

impl Caller {
    /// A user, and the tenant that the user belongs to.
    pub fn new(tenant_id: Option<&str>, user_id: &str) -> Self {
        Self {
            tenant_id: bounded_id(tenant_id.unwrap_or(NO_TENANT)),
            user_id: bounded_id(user_id),
        }
    }

    /// The tenant.
    pub fn tenant_id(&self) -> &str {
        &self.tenant_id
    }

    /// The event as this caller may send it: in place of what it says of its sender stands this one. What is no object
    /// stays as it is.
    pub fn sign(&self, event: &Raw<'_>) -> String {
        let Some(entries) = event.entries() else {
            return event.text().to_owned();
        };
        let mut signed = String::with_capacity(event.text().len() + 128);
        let mut put = |key: &str, value: &str| {
            signed.push(if signed.is_empty() { '{' } else { ',' });
            signed.push_str(&Json::from(key).to_string());
            signed.push(':');
            signed.push_str(value);
        };
        for (key, value) in entries {
            if !SAID_BY_THE_EVENT.contains(&key.as_ref()) {
                put(key, value.text());
            }
        }
        put(
            "tenant_id",
            &Json::from(self.tenant_id.as_str()).to_string(),
        );
        put("user_id", &Json::from(self.user_id.as_str()).to_string());
        signed.push('}');
        signed
    }

    /// The capture of a signed event as this caller's; `None` if it belongs to another tenant all the same, by the words
    /// of its shape.
    pub fn own(&self, mut capture: Capture) -> Option<Capture> {
        if capture.tenant_id != self.tenant_id {
            return None;
        }
        capture.user_id = Some(self.user_id.clone());
        Some(capture.sealed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapt::captures_of;
    use crate::delivery::Delivery;

    #[track_caller]
    fn check(event: &str, expected: &str) {
        let caller = Caller::new(Some("t-1"), "u-\"1\"");
        assert_eq!(caller.sign(&Raw::read(event).expect("JSON")), expected);
    }

    fn captured(event: &str) -> Capture {
        let captures = captures_of(event.as_bytes(), &Delivery::direct(Some("r-1")));
        captures.expect("a known shape").remove(0)
    }

    #[test]
    fn what_an_event_says_of_its_sender_does_not_count() {
        check(
            r#"{"user_id":"boss","a":[1, 2],"tenant_id":{"x":1},"user_id":"boss"}"#,
            r#"{"a":[1, 2],"tenant_id":"t-1","user_id":"u-\"1\""}"#,
        );
        check("{}", r#"{"tenant_id":"t-1","user_id":"u-\"1\""}"#);
        check("[1]", "[1]");
    }

    #[test]
    fn a_signed_event_is_the_callers() {
        let caller = Caller::new(None, "u-1");
        let event =
            r#"{"conversation_id":"c","user_id":"boss","tenant_id":"t-2","user_input":"q"}"#;
        let signed = caller.sign(&Raw::read(event).expect("JSON"));
        let capture = caller.own(captured(&signed)).expect("the caller's");
        assert_eq!(capture.tenant_id, "default");
        assert_eq!(capture.user_id.as_deref(), Some("u-1"));
        // As if the caller had said so.
        let honest =
            r#"{"conversation_id":"c","user_id":"u-1","tenant_id":"default","user_input":"q"}"#;
        assert!(capture == captured(honest));
    }

    #[test]
    fn a_capture_of_another_tenant_or_user_is_not_taken_over() {
        let event =
            r#"{"conversation_id":"c","tenant_id":"t-2","user_id":"boss","user_input":"q"}"#;
        let capture = captured(event);
        assert!(
            Caller::new(Some("t-1"), "u-1")
                .own(capture.clone())
                .is_none()
        );
        let own = Caller::new(Some("t-2"), "u-1").own(capture.clone());
        let own = own.expect("the same tenant");
        assert_eq!(own.user_id.as_deref(), Some("u-1"));
        assert_ne!(own.fingerprint, capture.fingerprint);
    }
}
