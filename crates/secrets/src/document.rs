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

    /// Whether both have the same password.
    pub fn has_password_of(&self, other: &Self) -> bool {
        self.password.expose_secret() == other.password.expose_secret()
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
mod tests;
