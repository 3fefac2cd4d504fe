//! The secret of a master user.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::{DatabaseSecret, DocumentError, required};
use crate::members::Members;

/// The secret of a master user, as the reference takes it.
#[derive(Clone)]
pub enum MasterSecret {
    /// What RDS itself manages, and rotates: exactly the keys `username` and `password`. Tags of the secret say where.
    Managed {
        /// The master user.
        username: String,
        /// Its password.
        password: SecretString,
    },
    /// A database secret like any other.
    Complete(Box<DatabaseSecret>),
}

impl MasterSecret {
    /// Reads the document; by the rules of [`DatabaseSecret::parse_alternating`] unless RDS manages it.
    pub fn parse(text: &SecretString) -> Result<Self, DocumentError> {
        let members = Members::parse(text.expose_secret())?.unwrap_or_default();
        let mut keys: Vec<_> = members.keys().collect();
        keys.sort_unstable();
        if keys == ["password", "username"] {
            return Ok(Self::Managed {
                username: required(&members, "username")?,
                password: required(&members, "password")?.into(),
            });
        }
        let secret = DatabaseSecret::parse_alternating(text)?;
        Ok(Self::Complete(Box::new(secret)))
    }
}

impl fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Managed { username, .. } => f
                .debug_struct("Managed")
                .field("username", username)
                .finish_non_exhaustive(),
            Self::Complete(secret) => f.debug_tuple("Complete").field(secret).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_two_keys_are_a_secret_that_rds_manages() {
        let parse = |json: &str| MasterSecret::parse(&json.into());
        let managed = parse(r#"{"password":"hunter2","username":"m"}"#).unwrap();
        assert!(matches!(&managed, MasterSecret::Managed { username, .. } if username == "m"));
        assert!(!format!("{managed:?}").contains("hunter2"));
        let complete = r#"{"username":"m","password":"p","host":"h","engine":"aurora-postgresql"}"#;
        assert!(matches!(parse(complete), Ok(MasterSecret::Complete(_))));
        for (json, message) in [
            (
                r#"{"username":"m","password":"p","note":""}"#,
                "host key is missing from secret JSON",
            ),
            (
                r#"{"username":"m"}"#,
                "host key is missing from secret JSON",
            ),
        ] {
            assert_eq!(parse(json).unwrap_err().to_string(), message, "{json}");
        }
    }
}
