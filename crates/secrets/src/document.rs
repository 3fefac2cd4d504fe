//! The JSON document of a database secret, as the rotation function reads and rewrites it.

use std::fmt;
use std::ops::Range;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::members::Members;
use crate::python;

/// Why a document cannot be used, in the words of AWS's rotation functions ("the reference").
///
/// [`DocumentError::error_type`] and [`DocumentError::reference_message`] give what the reference
/// reports as `errorType` and `errorMessage`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DocumentError {
    /// Python's `KeyError`: something is missing, or `engine` is not one of PostgreSQL's.
    #[error("{0}")]
    Key(String),
    /// Python's `ValueError`: something is there with a value that cannot be used.
    #[error("{0}")]
    Value(String),
    /// Python's `ValueError` too, whose message does not say what it is about.
    #[error("{name} is not usable, a whole number is accepted: {message}")]
    Number {
        /// The key or the setting.
        name: &'static str,
        /// The reference's message.
        message: String,
    },
    /// The text is not JSON. Only the position is told, for the text is secret.
    #[error("secret is not valid json: line {line} column {column}")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
}

impl DocumentError {
    /// The exception class that the reference raises.
    pub const fn error_type(&self) -> &'static str {
        match self {
            Self::Key(_) => "KeyError",
            Self::Value(_) | Self::Number { .. } => "ValueError",
            Self::NotJson { .. } => "JSONDecodeError",
        }
    }

    /// Says what a value that is no number belongs to.
    pub(crate) fn about(self, name: &'static str) -> Self {
        match self {
            Self::Value(message) => Self::Number { name, message },
            other => other,
        }
    }

    /// The message as Python prints it, which puts that of a `KeyError` in quotes.
    pub fn reference_message(&self) -> String {
        match self {
            Self::Key(message) => python::repr(message),
            Self::Value(message) | Self::Number { message, .. } => message.clone(),
            Self::NotJson { .. } => self.to_string(),
        }
    }
}

/// What the secret says about TLS (`ssl`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ssl {
    /// `true`, or `"true"` in any case: TLS or nothing.
    Required,
    /// `false`, or `"false"` in any case: no TLS.
    Disabled,
    /// Missing or anything else. The reference tries TLS and after any failure plaintext.
    Unspecified,
}

/// A database secret that satisfies the reference's rules for a single user.
#[derive(Clone)]
#[non_exhaustive]
pub struct DatabaseSecret {
    /// `postgres` or `aurora-postgresql`.
    pub engine: String,
    /// Host name of the database.
    pub host: String,
    /// TCP port; 5432 where the secret has none.
    pub port: u16,
    /// Database to connect to; `postgres` where the secret has none, the user's name where it says
    /// `null` (which libpq takes for "not given").
    pub dbname: String,
    /// The role whose password this is.
    pub username: String,
    /// The password.
    pub password: SecretString,
    /// What the secret says about TLS. Writable: a login with an older version uses the current
    /// version's value.
    pub ssl: Ssl,
    /// ARN of the secret of the master user, if the secret names one.
    pub masterarn: Option<String>,
    text: SecretString,
    password_spans: Vec<Range<usize>>,
}

const DEFAULT_PORT: u16 = 5432;
const DEFAULT_DBNAME: &str = "postgres";
const ENGINES: [&str; 2] = ["postgres", "aurora-postgresql"];

impl DatabaseSecret {
    /// Reads the document with the reference's single-user rules, checked in its order: `engine`,
    /// then the presence of `host`, `username`, `password`.
    ///
    /// A `port` that is no number is found here, where the reference finds it at the first login.
    pub fn parse(text: &SecretString) -> Result<Self, DocumentError> {
        let json = text.expose_secret();
        let members = Members::parse(json)?.unwrap_or_default();

        let engine = match members.value("engine")? {
            Some(Value::String(engine)) if ENGINES.contains(&engine.as_str()) => engine,
            _ => {
                return Err(DocumentError::Key(
                    "Database engine must be set to 'postgres' in order to use this rotation lambda"
                        .to_owned(),
                ));
            }
        };
        for key in ["host", "username", "password"] {
            if members.raw(key).is_none() {
                return Err(missing(key));
            }
        }
        let required = |key| members.string(key)?.ok_or_else(|| missing(key));

        let username = required("username")?;
        let dbname = match members.raw("dbname") {
            None => DEFAULT_DBNAME.to_owned(),
            Some("null") => username.clone(),
            Some(_) => required("dbname")?,
        };
        Ok(Self {
            engine,
            host: required("host")?,
            port: port(&members)?.unwrap_or(DEFAULT_PORT),
            dbname,
            username,
            password: required("password")?.into(),
            ssl: ssl(&members)?,
            masterarn: members.filled_string("masterarn")?,
            text: text.clone(),
            password_spans: members.spans("password", json),
        })
    }

    /// The document with another password and every other byte as it was: unknown keys, the order
    /// of keys, the text of numbers, white space.
    ///
    /// Should the document have several members `password`, all are replaced: readers differ in
    /// which of them counts.
    pub fn with_password(&self, password: &SecretString) -> SecretString {
        let literal = Zeroizing::new(Value::from(password.expose_secret()).to_string());
        let old = self.text.expose_secret();

        // Sized so that it never grows: a reallocation would leave a copy of the text behind.
        let mut new = String::with_capacity(old.len() + self.password_spans.len() * literal.len());
        let mut copied = 0;
        for span in &self.password_spans {
            new.push_str(&old[copied..span.start]);
            new.push_str(&literal);
            copied = span.end;
        }
        new.push_str(&old[copied..]);
        new.into()
    }

    /// The first key, `username` and `password` apart, that the two documents do not agree about.
    ///
    /// Compared by JSON value, so that a document that was only formatted anew does not differ.
    pub fn differs_beyond_credentials(&self, other: &Self) -> Option<String> {
        let (mine, theirs) = (self.members(), other.members());
        mine.keys()
            .chain(theirs.keys())
            .filter(|key| !matches!(*key, "username" | "password"))
            .find(|key| !same_value(mine.raw(key), theirs.raw(key)))
            .map(str::to_owned)
    }

    /// Cannot fail any more after [`DatabaseSecret::parse`].
    fn members(&self) -> Members<'_> {
        Members::parse(self.text.expose_secret())
            .ok()
            .flatten()
            .unwrap_or_default()
    }
}

fn missing(key: &str) -> DocumentError {
    DocumentError::Key(format!("{key} key is missing from secret JSON"))
}

pub(crate) fn port(members: &Members<'_>) -> Result<Option<u16>, DocumentError> {
    members
        .value("port")?
        .map(|value| {
            let number = python::integer_value(&value).map_err(|error| error.about("port"))?;
            u16::try_from(number)
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| DocumentError::Value(format!("port is not in 1 to 65535: {number}")))
        })
        .transpose()
}

fn ssl(members: &Members<'_>) -> Result<Ssl, DocumentError> {
    Ok(match members.value("ssl")? {
        Some(Value::Bool(true)) => Ssl::Required,
        Some(Value::Bool(false)) => Ssl::Disabled,
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ssl::Required,
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ssl::Disabled,
        _ => Ssl::Unspecified,
    })
}

fn same_value(one: Option<&str>, other: Option<&str>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            let parse = |raw| serde_json::from_str::<Value>(raw).ok();
            one == other || parse(one).is_some_and(|value| Some(value) == parse(other))
        }
        (None, None) => true,
        _ => false,
    }
}

impl fmt::Debug for DatabaseSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseSecret")
            .field("engine", &self.engine)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("dbname", &self.dbname)
            .field("username", &self.username)
            .field("ssl", &self.ssl)
            .field("masterarn", &self.masterarn)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FULL: &str = r#"{"engine":"aurora-postgresql","host":"db.example","port":5432,
        "username":"ial_app","password":"old","dbname":"ial_conversations"}"#;

    fn parse(json: &str) -> Result<DatabaseSecret, DocumentError> {
        DatabaseSecret::parse(&json.into())
    }

    #[track_caller]
    fn check_error(json: &str, error_type: &str, message: &str) {
        let error = parse(json).unwrap_err();
        assert_eq!(error.error_type(), error_type);
        assert_eq!(error.reference_message(), message);
    }

    #[test]
    fn a_number_that_is_none_is_told_by_its_key() {
        let error = parse(
            r#"{"engine":"postgres","host":"h","username":"u","password":"p","port":"many"}"#,
        );
        assert_eq!(
            error.unwrap_err().to_string(),
            "port is not usable, a whole number is accepted: invalid literal for int() with base 10: 'many'"
        );
    }

    #[test]
    fn the_reference_rules_and_messages_in_their_order() {
        const ENGINE: &str =
            "\"Database engine must be set to 'postgres' in order to use this rotation lambda\"";
        check_error("{}", "KeyError", ENGINE);
        check_error("[]", "KeyError", ENGINE);
        check_error(r#"{"engine":"mysql"}"#, "KeyError", ENGINE);
        check_error(r#"{"engine":null,"host":"h"}"#, "KeyError", ENGINE);
        check_error(r#"{"engine":"Postgres"}"#, "KeyError", ENGINE);
        check_error(
            r#"{"engine":"postgres","password":"p"}"#,
            "KeyError",
            "'host key is missing from secret JSON'",
        );
        check_error(
            r#"{"engine":"postgres","host":"h"}"#,
            "KeyError",
            "'username key is missing from secret JSON'",
        );
        check_error(
            r#"{"engine":"postgres","host":"h","username":"u"}"#,
            "KeyError",
            "'password key is missing from secret JSON'",
        );
        check_error(
            r#"{"engine":"postgres","host":"h","username":"u","password":"p","port":"x"}"#,
            "ValueError",
            "invalid literal for int() with base 10: 'x'",
        );
        check_error(
            r#"{"engine":"postgres","host":"h","username":"u","password":"p","port":65536}"#,
            "ValueError",
            "port is not in 1 to 65535: 65536",
        );
        check_error(
            r#"{"engine":"postgres","host":1,"username":"u","password":"p"}"#,
            "ValueError",
            "host is not a string",
        );
        check_error(
            "{\"engine\":\n hunter2}",
            "JSONDecodeError",
            "secret is not valid json: line 2 column 2",
        );
        check_error(
            "",
            "JSONDecodeError",
            "secret is not valid json: line 1 column 0",
        );
    }

    #[test]
    fn defaults_and_forms_of_the_optional_keys() {
        let full = parse(FULL).unwrap();
        assert_eq!(
            (full.port, full.dbname.as_str(), full.ssl, &full.masterarn),
            (5432, "ial_conversations", Ssl::Unspecified, &None)
        );

        let base = r#"{"engine":"postgres","host":"h","username":"u","password":"p""#;
        let with = |more: &str| parse(&format!("{base}{more}}}")).unwrap();
        assert_eq!(with("").port, 5432);
        assert_eq!(with(r#","port":"6543""#).port, 6543);
        assert_eq!(with(r#","port":6543.0"#).port, 6543);
        assert_eq!(with("").dbname, "postgres");
        assert_eq!(with(r#","dbname":null"#).dbname, "u");
        assert_eq!(
            with(r#","masterarn":"arn:x""#).masterarn.as_deref(),
            Some("arn:x")
        );
        for (json, ssl) in [
            ("true", Ssl::Required),
            ("\"TRUE\"", Ssl::Required),
            ("false", Ssl::Disabled),
            ("\"False\"", Ssl::Disabled),
            ("\"yes\"", Ssl::Unspecified),
            ("1", Ssl::Unspecified),
            ("null", Ssl::Unspecified),
        ] {
            assert_eq!(with(&format!(r#","ssl":{json}"#)).ssl, ssl, "{json}");
        }
        // The last of several members counts.
        assert_eq!(with(r#","username":"v""#).username, "v");
    }

    #[test]
    fn only_the_password_changes() {
        let json = "{ \"x\" : 1.50e+3 ,\r\n\t\"pass\\u0077ord\":\"o\\\"ld\", \"engine\":\"postgres\",\
            \"ü\":[ ], \"host\":\"h\",\"username\":\"u\", \"password\" :\"old\"}";
        let new = parse(json).unwrap().with_password(&"n\"\\ü\n".into());
        assert_eq!(
            new.expose_secret(),
            "{ \"x\" : 1.50e+3 ,\r\n\t\"pass\\u0077ord\":\"n\\\"\\\\ü\\n\", \"engine\":\"postgres\",\
            \"ü\":[ ], \"host\":\"h\",\"username\":\"u\", \"password\" :\"n\\\"\\\\ü\\n\"}"
        );
    }

    #[track_caller]
    fn check_difference(other: &str, expected: Option<&str>) {
        let (one, other) = (parse(FULL).unwrap(), parse(other).unwrap());
        assert_eq!(one.differs_beyond_credentials(&other).as_deref(), expected);
        assert_eq!(other.differs_beyond_credentials(&one).as_deref(), expected);
    }

    #[test]
    fn documents_are_compared_by_value_and_without_the_credentials() {
        check_difference(FULL, None);
        check_difference(
            r#"{ "dbname":"ial_conversations", "password":"new", "username":"ial_app_clone",
                "port":5432, "host":"db\u002eexample", "engine":"aurora-postgresql" }"#,
            None,
        );
        check_difference(&FULL.replace("db.example", "db2.example"), Some("host"));
        check_difference(&FULL.replace("5432", "\"5432\""), Some("port"));
        check_difference(&FULL.replace("\"port\":5432,", ""), Some("port"));
        check_difference(&FULL.replace('}', ",\"note\":null}"), Some("note"));
    }

    #[test]
    fn debug_shows_no_password() {
        let secret = parse(&FULL.replace("old", "hunter2")).unwrap();
        assert!(!format!("{secret:?}").contains("hunter2"));
    }

    /// One member: how its key is written, and its value.
    fn member() -> impl Strategy<Value = (String, String)> {
        let value = prop_oneof![
            any::<f64>()
                .prop_filter("finite", |n| n.is_finite())
                .prop_map(|n| format!("{n:e}")),
            any::<i128>().prop_map(|n| n.to_string()),
            any::<String>().prop_map(|text| Value::from(text).to_string()),
            Just("null".to_owned()),
            Just("[ 1, {\"password\": 2} ]".to_owned()),
            Just("\"\\ud800\"".to_owned()),
        ];
        ("x[a-zé]{0,6}", value).prop_map(|(key, value)| (format!("\"{key}\""), value))
    }

    proptest! {
        #[test]
        fn all_but_the_password_survives_byte_for_byte(
            before in prop::collection::vec(member(), 0..4),
            after in prop::collection::vec(member(), 0..4),
            space in "[ \t\r\n]{0,3}",
            old in any::<String>(),
            new in any::<String>(),
        ) {
            let fixed = r#""engine":"postgres","host":"h","username":"u""#;
            let document = |password: &str| {
                let mut members: Vec<String> = before.iter().map(|(k, v)| format!("{k}:{space}{v}")).collect();
                members.push(fixed.to_owned());
                members.push(format!("\"password\"{space}:{space}{}", Value::from(password)));
                members.extend(after.iter().map(|(k, v)| format!("{k}{space}:{v}")));
                format!("{space}{{{space}{}{space}}}{space}", members.join(&format!("{space},")))
            };
            let secret = parse(&document(&old)).unwrap();
            let changed = secret.with_password(&new.as_str().into());
            let expected = document(&new);
            prop_assert_eq!(changed.expose_secret(), expected.as_str());

            let changed = DatabaseSecret::parse(&changed).unwrap();
            prop_assert_eq!(changed.password.expose_secret(), new.as_str());
            prop_assert_eq!(changed.differs_beyond_credentials(&secret), None);
        }
    }
}
