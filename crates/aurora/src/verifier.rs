//! What PostgreSQL stores instead of a password.

use std::fmt;

use postgres_protocol::password;
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Client;

use crate::statement;

/// A password verifier as `ALTER ROLE .. PASSWORD` takes it: the server stores it as it is, so that
/// the password itself is in no statement, log or view of the server.
///
/// Contains only characters that need no escaping in an SQL literal. Enough of a secret not to be
/// printed: it can be guessed at offline, and an md5 verifier is as good as the password.
#[derive(Clone)]
pub struct Verifier(SecretString);

/// The server's `password_encryption` setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordEncryption {
    /// `scram-sha-256`, the default since PostgreSQL 14.
    ScramSha256,
    /// `md5`, for clients that cannot do better.
    Md5,
}

/// A SCRAM-SHA-256 verifier with a random salt and PostgreSQL's 4096 rounds.
pub fn scram_sha_256(password: &SecretString) -> Verifier {
    Verifier(password::scram_sha_256(password.expose_secret().as_bytes()).into())
}

/// An md5 verifier; it is bound to the role's name.
pub fn md5(username: &str, password: &SecretString) -> Verifier {
    Verifier(password::md5(password.expose_secret().as_bytes(), username).into())
}

/// A verifier of the kind the server would make itself.
pub fn for_server(
    encryption: PasswordEncryption,
    username: &str,
    password: &SecretString,
) -> Verifier {
    match encryption {
        PasswordEncryption::ScramSha256 => scram_sha_256(password),
        PasswordEncryption::Md5 => md5(username, password),
    }
}

/// Asks the server which kind of verifier it makes itself.
pub async fn password_encryption(
    client: &Client,
) -> Result<PasswordEncryption, tokio_postgres::Error> {
    let setting: String = client
        .query_typed_one(statement::PASSWORD_ENCRYPTION, &[])
        .await?
        .try_get(0)?;
    Ok(if setting == "md5" {
        PasswordEncryption::Md5
    } else {
        PasswordEncryption::ScramSha256
    })
}

impl Verifier {
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scram_verifier_has_the_form_the_server_recognizes_and_a_salt_of_its_own() {
        let (one, other) = (scram_sha_256(&"it's".into()), scram_sha_256(&"it's".into()));
        assert!(one.expose().starts_with("SCRAM-SHA-256$4096:"));
        assert_ne!(one.expose(), other.expose());
    }

    #[test]
    fn an_md5_verifier_is_the_documented_hash() {
        // `md5` and the hash of password and user name, one after the other.
        assert_eq!(
            md5("postgres", &"password".into()).expose(),
            "md532e12f215ba27cb750c9e093ce4b5127"
        );
    }

    #[test]
    fn no_verifier_needs_escaping() {
        for verifier in [scram_sha_256(&"p'\\\"".into()), md5("u'", &"p'\\\"".into())] {
            let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=$:-".contains(&byte);
            assert!(verifier.expose().bytes().all(harmless));
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let verifier = scram_sha_256(&"hunter2".into());
        assert_eq!(format!("{verifier:?}"), "Verifier([redacted])");
    }
}
