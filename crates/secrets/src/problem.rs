//! Everything that is wrong with a document, where [`DatabaseSecret::parse`] stops at the first.

use secrecy::{ExposeSecret, SecretString};

use crate::document::{DatabaseSecret, DocumentError, port};
use crate::members::Members;

/// One thing that keeps a document from being a database secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The key that it is about; nothing if it is about the document.
    pub key: Option<&'static str>,
    /// What is wrong.
    pub error: DocumentError,
}

const REQUIRED: [&str; 3] = ["host", "username", "password"];

impl DatabaseSecret {
    /// Says all that keeps `text` from being a database secret; nothing if it is one.
    pub fn problems(text: &SecretString) -> Vec<Problem> {
        let Err(first) = Self::parse(text) else {
            return Vec::new();
        };
        let members = match Members::parse(text.expose_secret()) {
            Ok(members) => members.unwrap_or_default(),
            Err(error) => return vec![Problem { key: None, error }],
        };
        let mut problems = Vec::new();
        let mut add = |key, error| {
            problems.push(Problem {
                key: Some(key),
                error,
            });
        };
        // It is looked at before everything else.
        if matches!(&first, DocumentError::Key(message) if message.contains("engine")) {
            add("engine", first.clone());
        }
        for key in REQUIRED {
            match members.string(key) {
                Ok(Some(_)) => {}
                Ok(None) => add(
                    key,
                    DocumentError::Key(format!("{key} key is missing from secret JSON")),
                ),
                Err(error) => add(key, error),
            }
        }
        if let Err(error) = port(&members) {
            add("port", error);
        }
        if problems.is_empty() {
            // A key that is not required, such as `dbname`, has a value that cannot be used.
            problems.push(Problem {
                key: None,
                error: first,
            });
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: &[(Option<&str>, &str)]) {
        let problems = DatabaseSecret::problems(&json.to_owned().into());
        let found: Vec<_> = problems
            .iter()
            .map(|problem| (problem.key, problem.error.to_string()))
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(key, message)| (*key, (*message).to_owned()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        check(
            r#"{"engine":"postgres","host":"db","username":"u","password":"p"}"#,
            &[],
        );
        check(
            r#"{"host":7,"password":"p","port":"many"}"#,
            &[
                (
                    Some("engine"),
                    "Database engine must be set to 'postgres' in order to use this rotation lambda",
                ),
                (Some("host"), "host is not a string"),
                (Some("username"), "username key is missing from secret JSON"),
                (
                    Some("port"),
                    "port is not usable, a whole number is accepted: invalid literal for int() with base 10: 'many'",
                ),
            ],
        );
        check(
            r#"{"engine":"postgres","host":"db","username":"u","password":"p","dbname":7}"#,
            &[(None, "dbname is not a string")],
        );
        check(
            "no json",
            &[(None, "secret is not valid json: line 1 column 2")],
        );
    }
}
