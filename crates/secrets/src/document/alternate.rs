//! The rules of the alternating-users strategy: two users, `name` and `name_clone`, of which one is current.

use secrecy::{ExposeSecret, SecretString};

use super::{DEFAULT_DBNAME, DatabaseSecret, DocumentError, all_present, dbname, engine};
use crate::members::Members;

/// What the strategy appends to the name of the second user.
pub(crate) const CLONE_SUFFIX: &str = "_clone";

/// The longest name of a role: `NAMEDATALEN` less the NUL at its end. Bytes, where the reference counts characters.
const MAX_NAME_BYTES: usize = 63;

/// The user that takes turns with `username`: `name_clone` for `name`, and the other way round.
///
/// # Errors
/// [`DocumentError::Value`] if the name would be longer than PostgreSQL takes it.
pub fn alternate_username(username: &str) -> Result<String, DocumentError> {
    if let Some(base) = username.strip_suffix(CLONE_SUFFIX) {
        return Ok(base.to_owned());
    }
    if username.len() + CLONE_SUFFIX.len() > MAX_NAME_BYTES {
        return Err(DocumentError::Value(
            "Unable to clone user, username length with _clone appended would exceed 63 characters"
                .to_owned(),
        ));
    }
    Ok(format!("{username}{CLONE_SUFFIX}"))
}

impl DatabaseSecret {
    /// As [`DatabaseSecret::parse`], with the reference's rules for alternating users: all keys are looked for before the
    /// engine is looked at, and a `dbname` of `null` counts as absent.
    pub fn parse_alternating(text: &SecretString) -> Result<Self, DocumentError> {
        let members = Members::parse(text.expose_secret())?.unwrap_or_default();
        all_present(&members, &["host", "username", "password", "engine"])?;
        let engine = engine(&members)?;
        let dbname = match members.raw("dbname") {
            Some("null") => DEFAULT_DBNAME.to_owned(),
            _ => dbname(&members)?,
        };
        Self::read(text, &members, engine, dbname)
    }

    /// As [`DatabaseSecret::with_password`], with another user name as well.
    pub fn with_username_and_password(
        &self,
        username: &str,
        password: &SecretString,
    ) -> SecretString {
        self.with(&[
            ("username", username),
            ("password", password.expose_secret()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_error(json: &str, message: &str) {
        let error = DatabaseSecret::parse_alternating(&json.into()).unwrap_err();
        assert_eq!(error.error_type(), "KeyError");
        assert_eq!(error.reference_message(), message);
    }

    #[test]
    fn keys_come_before_the_engine() {
        let missing = |key: &str| format!("'{key} key is missing from secret JSON'");
        check_error("{}", &missing("host"));
        check_error(r#"{"engine":"mysql","host":"h"}"#, &missing("username"));
        check_error(
            r#"{"host":"h","username":"u","engine":"x"}"#,
            &missing("password"),
        );
        check_error(
            r#"{"host":"h","username":"u","password":"p"}"#,
            &missing("engine"),
        );
        check_error(
            r#"{"host":"h","username":"u","password":"p","engine":null}"#,
            "\"Database engine must be set to 'postgres' in order to use this rotation lambda\"",
        );
    }

    #[test]
    fn a_null_for_the_database_counts_as_none() {
        let json =
            r#"{"host":"h","username":"u","password":"p","engine":"postgres","dbname":null}"#;
        let text = SecretString::from(json);
        assert_eq!(
            DatabaseSecret::parse_alternating(&text).unwrap().dbname,
            "postgres"
        );
        assert_eq!(DatabaseSecret::parse(&text).unwrap().dbname, "u");
    }

    #[test]
    fn user_and_password_change_and_nothing_else() {
        let json = "{ \"username\" :\"app\",\r\n \"x\": 1.50e+3, \"password\":\"old\", \"engine\":\"postgres\",\
            \"host\":\"app\", \"user\\u006eame\":\"app\" }";
        let secret = DatabaseSecret::parse_alternating(&json.into()).unwrap();
        let changed = secret.with_username_and_password("app_clone", &"n\"w".into());
        assert_eq!(
            changed.expose_secret(),
            "{ \"username\" :\"app_clone\",\r\n \"x\": 1.50e+3, \"password\":\"n\\\"w\", \"engine\":\"postgres\",\
            \"host\":\"app\", \"user\\u006eame\":\"app_clone\" }"
        );
        let changed = DatabaseSecret::parse_alternating(&changed).unwrap();
        assert_eq!(changed.differs_beyond_credentials(&secret), None);
    }

    #[track_caller]
    fn check_alternate(username: &str, alternate: &str) {
        assert_eq!(alternate_username(username).unwrap(), alternate);
    }

    #[test]
    fn the_two_users_take_turns() {
        check_alternate("app", "app_clone");
        check_alternate("app_clone", "app");
        check_alternate("app_clone_clone", "app_clone");
        check_alternate("_clone", "");
        check_alternate(&"a".repeat(57), &format!("{}_clone", "a".repeat(57)));
        // 63 bytes with the suffix already.
        check_alternate(&format!("{}_clone", "a".repeat(57)), &"a".repeat(57));
    }

    #[test]
    fn x8_the_limit_counts_bytes() {
        for username in ["a".repeat(58), "\u{fc}".repeat(29)] {
            let error = alternate_username(&username).unwrap_err();
            assert_eq!(error.error_type(), "ValueError");
            assert_eq!(
                error.reference_message(),
                "Unable to clone user, username length with _clone appended would exceed 63 characters"
            );
        }
        assert!(alternate_username(&"\u{fc}".repeat(28)).is_ok());
    }
}
