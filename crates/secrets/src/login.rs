//! What a client of the database needs of a secret.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::DocumentError;
use crate::document::{CLONE_SUFFIX, port};
use crate::members::Members;

/// The part of a database secret that a client logs in with.
///
/// Lenient on purpose: only `username` and `password` are required, so that the secret of an
/// RDS-managed master user, which holds nothing else, serves as well. Where the database is then
/// comes from settings.
#[derive(Clone)]
#[non_exhaustive]
pub struct LoginSecret {
    /// The role to log in as.
    pub username: String,
    /// Its password.
    pub password: SecretString,
    /// Host name, if the secret has one.
    pub host: Option<String>,
    /// TCP port, if the secret has one.
    pub port: Option<u16>,
    /// Database name, if the secret has one.
    pub dbname: Option<String>,
}

impl LoginSecret {
    /// Reads the document of a secret.
    pub fn parse(text: &SecretString) -> Result<Self, DocumentError> {
        let members = Members::parse(text.expose_secret())?.unwrap_or_default();
        let required = |key: &str| {
            members
                .string(key)?
                .ok_or_else(|| DocumentError::Key(format!("{key} key is missing from secret JSON")))
        };
        Ok(Self {
            username: required("username")?,
            password: required("password")?.into(),
            host: members.filled_string("host")?,
            port: match members.raw("port") {
                Some("null") => None,
                _ => port(&members)?,
            },
            dbname: members.filled_string("dbname")?,
        })
    }

    /// Whether a login with `other` reaches the same host as the same user, or as the other user of
    /// an alternating pair (`name` and `name_clone`).
    pub fn stands_in_for(&self, other: &Self) -> bool {
        let base = |name: &str| name.strip_suffix(CLONE_SUFFIX).unwrap_or(name).to_owned();
        self.host == other.host && base(&self.username) == base(&other.username)
    }
}

impl fmt::Debug for LoginSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginSecret")
            .field("username", &self.username)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("dbname", &self.dbname)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<LoginSecret, DocumentError> {
        LoginSecret::parse(&json.into())
    }

    #[test]
    fn username_and_password_are_enough() {
        let secret = parse(r#"{"username":"u","password":"p"}"#).unwrap();
        assert_eq!(
            (secret.host, secret.port, secret.dbname),
            (None, None, None)
        );
        let secret = parse(
            r#"{"username":"u","password":"p","host":"","port":"6543","dbname":null,"engine":"x"}"#,
        )
        .unwrap();
        assert_eq!(
            (secret.host, secret.port, secret.dbname),
            (None, Some(6543), None)
        );
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (json, message) in [
            ("[]", "username key is missing from secret JSON"),
            (
                r#"{"username":"u"}"#,
                "password key is missing from secret JSON",
            ),
            (
                r#"{"username":7,"password":"p"}"#,
                "username is not a string",
            ),
            (
                r#"{"username":"u","password":"p","port":0}"#,
                "port is not in 1 to 65535: 0",
            ),
            ("plain", "secret is not valid json: line 1 column 1"),
        ] {
            assert_eq!(parse(json).unwrap_err().to_string(), message, "{json}");
        }
    }

    #[track_caller]
    fn check_stand_in(username: &str, host: &str, expected: bool) {
        let secret = |username: &str, host: &str| {
            parse(&format!(
                r#"{{"username":"{username}","password":"p","host":"{host}"}}"#
            ))
            .unwrap()
        };
        let current = secret("app", "db");
        assert_eq!(secret(username, host).stands_in_for(&current), expected);
        assert_eq!(current.stands_in_for(&secret(username, host)), expected);
    }

    #[test]
    fn the_same_user_and_its_clone_stand_in_for_each_other() {
        check_stand_in("app", "db", true);
        check_stand_in("app_clone", "db", true);
        check_stand_in("app_clone_clone", "db", false);
        check_stand_in("other", "db", false);
        check_stand_in("app", "db2", false);
    }

    #[test]
    fn debug_shows_no_password() {
        let secret = parse(r#"{"username":"u","password":"hunter2"}"#).unwrap();
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
