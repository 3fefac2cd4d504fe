//! The application's secret: found, or made.

use std::io;

use secrecy::{ExposeSecret as _, SecretString};
use secrets::{LoginSecret, PasswordRules, SecretsError, Stage, Version};
use serde::Serialize;
use startup::environment::DEFAULT_DB_NAME;

use super::report::SecretState;
use crate::access::{Access, DEFAULT_PORT};
use crate::args;
use crate::failure::{Exit, Failure, NAME_THE_HOST};

const ENGINE: &str = "aurora-postgresql";
const DESCRIPTION: &str = "Database login of Turnkeep's capture function";

/// What the application logs in with.
pub(super) struct Application {
    /// The current version.
    pub(super) login: LoginSecret,
    /// Whether it was there.
    pub(super) state: SecretState,
}

/// The secret's document, with the keys that AWS's rotation functions require and in their usual order.
#[derive(Serialize)]
struct Document<'a> {
    engine: &'a str,
    host: &'a str,
    port: u16,
    username: &'a str,
    password: &'a str,
    dbname: &'a str,
}

impl Application {
    /// Reads the application's secret. Where there is none it is made with a random password, if that is asked for;
    /// the database learns the password only afterwards, so that a crash in between never leaves a password which
    /// nobody knows.
    pub(super) async fn find_or_create(
        access: &Access,
        options: &args::CreateTables,
        master: Option<&LoginSecret>,
    ) -> Result<Self, Failure> {
        match read(access).await {
            Ok(login) => Ok(Self {
                login,
                state: SecretState::Found,
            }),
            Err(Unread::Missing(_)) if options.create_secret => {
                create(access, options, master).await
            }
            Err(Unread::Missing(error)) => Err(Failure::from(error)
                .next("name another secret with --secret, or have it made with --create-secret")),
            Err(Unread::Other(failure)) => Err(failure),
        }
    }

    /// What a rotation that is not complete would make current.
    pub(super) async fn pending(&self, access: &Access) -> Result<Option<LoginSecret>, Failure> {
        if self.state != SecretState::Found {
            return Ok(None);
        }
        let found = access
            .secrets
            .find(&access.settings.secret, Version::Stage(Stage::Pending))
            .await?;
        Ok(match found {
            Some(value) => Some(LoginSecret::parse(value.text()?)?),
            None => None,
        })
    }
}

enum Unread {
    Missing(SecretsError),
    Other(Failure),
}

async fn read(access: &Access) -> Result<LoginSecret, Unread> {
    let secret_id = &access.settings.secret;
    let value = access
        .secrets
        .get(secret_id, Version::Stage(Stage::Current))
        .await
        .map_err(|error| match error {
            SecretsError::NotFound(_) => Unread::Missing(error),
            error => Unread::Other(error.into()),
        })?;
    value.text().and_then(LoginSecret::parse).map_err(|error| {
        Unread::Other(Failure::from(error).context(format!("cannot use secret {secret_id}")))
    })
}

async fn create(
    access: &Access,
    options: &args::CreateTables,
    master: Option<&LoginSecret>,
) -> Result<Application, Failure> {
    let name = &access.settings.secret;
    if name.starts_with("arn:") {
        return Err(Failure::new(
            Exit::Usage,
            "SecretName",
            format!("there is no secret {name}, and one cannot be created by its ARN"),
        )
        .next("give it a name with --secret"));
    }
    let settings = &access.settings;
    let host = settings
        .host
        .as_deref()
        .or(master.and_then(|master| master.host.as_deref()))
        .ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                "NoHost",
                "no database host is known for the new secret",
            )
            .next(NAME_THE_HOST)
        })?;
    let port = settings.port.or(master.and_then(|master| master.port));
    let password = access
        .secrets
        .random_password(&PasswordRules::default())
        .await?;
    let text = Document {
        engine: ENGINE,
        host,
        port: port.unwrap_or(DEFAULT_PORT),
        username: &options.app_user,
        password: password.expose_secret(),
        dbname: settings.dbname.as_deref().unwrap_or(DEFAULT_DB_NAME),
    }
    .text()?;
    let login = LoginSecret::parse(&text)?;
    if options.dry_run {
        return Ok(Application {
            login,
            state: SecretState::WouldCreate,
        });
    }
    match access.secrets.create(name, &text, DESCRIPTION).await {
        Ok(_) => Ok(Application {
            login,
            state: SecretState::Created,
        }),
        // Somebody was faster; theirs counts.
        Err(SecretsError::AlreadyExists(_)) => match read(access).await {
            Ok(login) => Ok(Application {
                login,
                state: SecretState::Found,
            }),
            Err(Unread::Missing(error)) => Err(error.into()),
            Err(Unread::Other(failure)) => Err(failure),
        },
        Err(error) => Err(error.into()),
    }
}

impl Document<'_> {
    fn text(&self) -> io::Result<SecretString> {
        Ok(serde_json::to_string(self)?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_what_awss_rotation_functions_take() {
        let text = Document {
            engine: ENGINE,
            host: "db.example.com",
            port: DEFAULT_PORT,
            username: "ial_app",
            password: r#"a"b\c"#,
            dbname: DEFAULT_DB_NAME,
        }
        .text()
        .unwrap();
        insta::assert_snapshot!(text.expose_secret(), @r#"{"engine":"aurora-postgresql","host":"db.example.com","port":5432,"username":"ial_app","password":"a\"b\\c","dbname":"ial_conversations"}"#);
        let secret = secrets::DatabaseSecret::parse(&text).unwrap();
        assert_eq!(secret.password.expose_secret(), r#"a"b\c"#);
    }
}
