//! The JSON document of a database secret, as the rotation function reads and rewrites it.

use std::fmt;
use std::ops::Range;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::members::Members;
use crate::python;

mod alternate;
mod error;
mod master;

pub(crate) use alternate::CLONE_SUFFIX;
pub use alternate::alternate_username;
pub use error::DocumentError;
pub use master::MasterSecret;

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

/// A database secret that satisfies the reference's rules for a single user or for alternating users.
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
        let members = Members::parse(text.expose_secret())?.unwrap_or_default();
        let engine = engine(&members)?;
        all_present(&members, &["host", "username", "password"])?;
        let username = required(&members, "username")?;
        let dbname = match members.raw("dbname") {
            Some("null") => username,
            _ => dbname(&members)?,
        };
        Self::read(text, &members, engine, dbname)
    }

    fn read(
        text: &SecretString,
        members: &Members<'_>,
        engine: String,
        dbname: String,
    ) -> Result<Self, DocumentError> {
        let required = |key| required(members, key);
        Ok(Self {
            engine,
            host: required("host")?,
            port: port(members)?.unwrap_or(DEFAULT_PORT),
            dbname,
            username: required("username")?,
            password: required("password")?.into(),
            ssl: ssl(members)?,
            masterarn: members.filled_string("masterarn")?,
            text: text.clone(),
        })
    }

    /// The document with another password and every other byte as it was: unknown keys, the order
    /// of keys, the text of numbers, white space.
    ///
    /// Should the document have several members `password`, all are replaced: readers differ in
    /// which of them counts.
    pub fn with_password(&self, password: &SecretString) -> SecretString {
        self.with(&[("password", password.expose_secret())])
    }

    /// The document with other strings as the values of these keys.
    fn with(&self, values: &[(&str, &str)]) -> SecretString {
        let old = self.text.expose_secret();
        let members = self.members();
        let mut edits: Vec<(Range<usize>, Zeroizing<String>)> = Vec::new();
        for (key, value) in values {
            let literal = Zeroizing::new(Value::from(*value).to_string());
            let spans = members.spans(key, old).into_iter();
            edits.extend(spans.map(|span| (span, literal.clone())));
        }
        edits.sort_by_key(|(span, _)| span.start);

        // Sized so that it never grows: a reallocation would leave a copy of the text behind.
        let literals: usize = edits.iter().map(|(_, literal)| literal.len()).sum();
        let mut new = String::with_capacity(old.len() + literals);
        let mut copied = 0;
        for (span, literal) in &edits {
            new.push_str(&old[copied..span.start]);
            new.push_str(literal);
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

fn engine(members: &Members<'_>) -> Result<String, DocumentError> {
    match members.value("engine")? {
        Some(Value::String(engine)) if ENGINES.contains(&engine.as_str()) => Ok(engine),
        _ => Err(DocumentError::Key(
            "Database engine must be set to 'postgres' in order to use this rotation lambda"
                .to_owned(),
        )),
    }
}

fn all_present(members: &Members<'_>, keys: &[&str]) -> Result<(), DocumentError> {
    let absent = keys.iter().find(|key| members.raw(key).is_none());
    absent.map_or(Ok(()), |key| Err(missing(key)))
}

fn required(members: &Members<'_>, key: &str) -> Result<String, DocumentError> {
    members.string(key)?.ok_or_else(|| missing(key))
}

fn dbname(members: &Members<'_>) -> Result<String, DocumentError> {
    match members.raw("dbname") {
        None => Ok(DEFAULT_DBNAME.to_owned()),
        Some(_) => required(members, "dbname"),
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
