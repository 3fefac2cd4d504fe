//! A version of the secret and the database that it leads to.

use aurora::{Credentials, Target};
use secrets::{LoginSecret, Stage};

use crate::SessionError;
use crate::source::Reading;

/// A version of the secret, and where its credentials are used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SecretVersion {
    /// ARN of the secret, or the name of its [`crate::Source::function`].
    pub arn: String,
    /// Id of the version.
    pub version_id: String,
    /// The label it had when it was read.
    pub stage: Stage,
    /// What it holds.
    pub secret: LoginSecret,
    /// Host, port and database: the session's settings, else the secret's.
    pub target: Target,
}

/// Where the settings say that the database is.
#[derive(Debug, Default)]
pub(crate) struct Place {
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) dbname: Option<String>,
    /// What to take where neither the settings nor the secret name a database.
    pub(crate) default_dbname: Option<String>,
}

const DEFAULT_PORT: u16 = 5432;
const DEFAULT_DBNAME: &str = "postgres";

impl SecretVersion {
    pub(crate) fn new(
        secret_id: &str,
        stage: Stage,
        reading: Reading,
        place: &Place,
    ) -> Result<Self, SessionError> {
        let secret = reading.secret.map_err(|source| SessionError::Document {
            secret_id: secret_id.to_owned(),
            source,
        })?;
        let target = place.resolve(&secret).ok_or_else(|| SessionError::NoHost {
            secret_id: secret_id.to_owned(),
        })?;
        Ok(Self {
            arn: reading.arn,
            version_id: reading.version_id,
            stage,
            secret,
            target,
        })
    }

    pub(crate) fn credentials(&self) -> Credentials {
        Credentials {
            username: self.secret.username.clone(),
            password: self.secret.password.clone(),
        }
    }
}

impl Place {
    /// The settings win, for they may know a way that the secret does not, such as a tunnel.
    fn resolve(&self, secret: &LoginSecret) -> Option<Target> {
        Some(Target {
            host: self.host.clone().or_else(|| secret.host.clone())?,
            port: self.port.or(secret.port).unwrap_or(DEFAULT_PORT),
            dbname: self
                .dbname
                .clone()
                .or_else(|| secret.dbname.clone())
                .or_else(|| self.default_dbname.clone())
                .unwrap_or_else(|| DEFAULT_DBNAME.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(place: &Place, json: &str, expected: Option<(&str, u16, &str)>) {
        let secret = LoginSecret::parse(&json.into()).unwrap();
        let target = place.resolve(&secret);
        let target = target.as_ref();
        assert_eq!(
            target.map(|target| (target.host.as_str(), target.port, target.dbname.as_str())),
            expected
        );
    }

    #[test]
    fn settings_win_over_the_secret_and_the_secret_over_defaults() {
        let bare = r#"{"username":"u","password":"p"}"#;
        let full = r#"{"username":"u","password":"p","host":"s","port":1,"dbname":"d"}"#;
        let unset = Place::default();
        let set = Place {
            host: Some("h".to_owned()),
            port: Some(2),
            dbname: Some("e".to_owned()),
            default_dbname: Some("f".to_owned()),
        };
        check(&unset, bare, None);
        check(&unset, full, Some(("s", 1, "d")));
        check(&set, bare, Some(("h", 2, "e")));
        check(&set, full, Some(("h", 2, "e")));
        let host = Place {
            host: Some("h".to_owned()),
            ..Place::default()
        };
        check(&host, bare, Some(("h", 5432, "postgres")));
        let with_default = Place {
            default_dbname: Some("f".to_owned()),
            ..host
        };
        check(&with_default, bare, Some(("h", 5432, "f")));
        check(&with_default, full, Some(("h", 1, "d")));
    }
}
