//! The operator's step `migrate`: finds the credentials that [`migrate::run`] works with, and refuses what a caller could
//! misuse the master's rights for.

use aurora::{Credentials, Target};
use secrets::{LoginSecret, SecretValue, Stage, Version};
use tokio::time::Instant;

use crate::config::Config;
use crate::database::Answer;
use crate::error::RotationError;
use crate::event::MigrateEvent;
use crate::handler::Rotation;
use crate::migrate::{self, Access, Report, Setup};
use crate::step::Progress;

/// Database that is set up where neither the configuration nor the secret names one.
const DEFAULT_DBNAME: &str = "ial_conversations";
const DEFAULT_PORT: u16 = 5432;

/// An order to migrate that is refused before any login. The caller mends the event, the secret or the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The event names a master secret, but the function is configured with another one or with none.
    #[error(
        "the function is not configured to use this secret for the master's; set `BOOTSTRAP_SECRET` to it, or leave `MasterSecretId` out: {0}"
    )]
    MasterNotConfigured(String),
    /// Neither the configuration nor a secret that may say so names a host.
    #[error("no host is known for the database; set `DB_HOST`")]
    HostUnknown,
    /// A secret is for another host than the one that the function may set up.
    #[error("the {whose} secret is for another host than the one to set up, {expected}: {found}")]
    OtherHost {
        /// `application's` or `master's`.
        whose: &'static str,
        /// The host to set up.
        expected: String,
        /// The host in the secret.
        found: String,
    },
}

impl OrderError {
    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MasterNotConfigured(_) => "MASTER_NOT_CONFIGURED",
            Self::HostUnknown => "HOST_UNKNOWN",
            Self::OtherHost { .. } => "OTHER_HOST",
        }
    }
}

/// Carries out the order. Repeating it changes nothing.
pub(crate) async fn migrate(
    rotation: &Rotation,
    event: &MigrateEvent,
    deadline: Instant,
    progress: &Progress,
) -> Result<Report, RotationError> {
    let Rotation {
        config,
        secrets,
        database,
        ..
    } = rotation;
    let master_id = master_secret(config, event)?;
    progress.doing.set("read the secrets");
    let application = secrets
        .get(&event.secret_id, Version::Stage(Stage::Current))
        .await?;
    let application = read(&application, Stage::Current)?;
    // Half a rotation must not keep the database from being set up: a pending version that cannot be used counts as none.
    let pending = secrets
        .find(&event.secret_id, Version::Stage(Stage::Pending))
        .await?
        .and_then(|value| read(&value, Stage::Pending).ok())
        .filter(|pending| pending.stands_in_for(&application));
    let master = match master_id {
        Some(id) => {
            let value = secrets.get(id, Version::Stage(Stage::Current)).await?;
            Some(read(&value, Stage::Current)?)
        }
        None => None,
    };
    let target = target(config, &application, master.as_ref())?;
    progress.doing.set("log in to the database");
    let acting = credentials(master.as_ref().unwrap_or(&application));
    let mut session = match database
        .log_in(&target, &acting, database.default_tls(), deadline, progress)
        .await?
    {
        Answer::Accepted(session) => session,
        Answer::Refused(error) => return Err(error.into()),
    };
    progress.doing.set("set up the database");
    let setup = Setup {
        application: credentials(&application),
        pending: pending.as_ref().map(credentials),
        access: Access {
            target,
            trust: database.trust.clone(),
            tls: database.default_tls(),
            deadline,
        },
        dry_run: event.dry_run,
    };
    Ok(migrate::run(&mut session.client, &setup).await?)
}

/// The master's secret is what the function is configured with. An event may only repeat it: otherwise whoever may invoke
/// the function could have it use any secret that it may read.
fn master_secret<'a>(
    config: &'a Config,
    event: &MigrateEvent,
) -> Result<Option<&'a str>, OrderError> {
    let configured = config.bootstrap_secret.as_deref();
    match &event.master_secret_id {
        Some(asked) if Some(asked.as_str()) != configured => {
            Err(OrderError::MasterNotConfigured(asked.clone()))
        }
        _ => Ok(configured),
    }
}

/// Where the database is. The master's password goes to the configured host or to the one in the master's own secret, and
/// never to one that only the application's secret names.
fn target(
    config: &Config,
    application: &LoginSecret,
    master: Option<&LoginSecret>,
) -> Result<Target, OrderError> {
    let host = match (&config.host, master) {
        (Some(configured), _) => Some(configured),
        (None, Some(master)) => master.host.as_ref(),
        (None, None) => application.host.as_ref(),
    }
    .ok_or(OrderError::HostUnknown)?;
    let secrets = [("application's", Some(application)), ("master's", master)];
    for (whose, secret) in secrets {
        if let Some(found) = secret.and_then(|secret| secret.host.as_ref())
            && !found.eq_ignore_ascii_case(host)
        {
            return Err(OrderError::OtherHost {
                whose,
                expected: host.clone(),
                found: found.clone(),
            });
        }
    }
    let port = config.port.or(application.port);
    let dbname = config.dbname.as_ref().or(application.dbname.as_ref());
    Ok(Target {
        host: host.clone(),
        port: port
            .or(master.and_then(|master| master.port))
            .unwrap_or(DEFAULT_PORT),
        dbname: dbname.map_or_else(|| DEFAULT_DBNAME.to_owned(), Clone::clone),
    })
}

fn read(value: &SecretValue, stage: Stage) -> Result<LoginSecret, RotationError> {
    value
        .text()
        .and_then(LoginSecret::parse)
        .map_err(|source| RotationError::Unusable {
            stage,
            secret_id: value.arn.clone(),
            version_id: value.version_id.clone(),
            source,
        })
}

fn credentials(secret: &LoginSecret) -> Credentials {
    Credentials {
        username: secret.username.clone(),
        password: secret.password.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use startup::environment::Environment;

    const MANAGED: &str = r#"{"username":"postgres","password":"m"}"#;

    fn secret(text: &str) -> LoginSecret {
        LoginSecret::parse(&text.to_owned().into()).unwrap()
    }

    fn config<const N: usize>(variables: [(&str, &str); N]) -> Config {
        Config::from_environment(&Environment::from(variables)).unwrap()
    }

    fn order(master: Option<&str>) -> MigrateEvent {
        MigrateEvent {
            secret_id: "app".to_owned(),
            master_secret_id: master.map(str::to_owned),
            dry_run: false,
        }
    }

    #[test]
    fn only_the_configured_master_secret_is_used() {
        let configured = config([("BOOTSTRAP_SECRET", "rds-master")]);
        assert_eq!(
            master_secret(&configured, &order(None)),
            Ok(Some("rds-master"))
        );
        assert_eq!(
            master_secret(&configured, &order(Some("rds-master"))),
            Ok(Some("rds-master"))
        );
        assert_eq!(
            master_secret(&configured, &order(Some("somebody-elses"))),
            Err(OrderError::MasterNotConfigured("somebody-elses".to_owned()))
        );
        assert_eq!(
            master_secret(&config([]), &order(Some("rds-master"))),
            Err(OrderError::MasterNotConfigured("rds-master".to_owned()))
        );
        assert_eq!(master_secret(&config([]), &order(None)), Ok(None));
    }

    #[track_caller]
    fn check_host(
        configured: Option<&str>,
        application: &str,
        master: Option<&str>,
        expected: Result<&str, OrderError>,
    ) {
        let config = match configured {
            Some(host) => config([("DB_HOST", host)]),
            None => config([]),
        };
        let found = target(&config, &secret(application), master.map(secret).as_ref());
        assert_eq!(found.map(|target| target.host), expected.map(str::to_owned));
    }

    #[test]
    fn the_masters_password_goes_nowhere_but_to_the_expected_host() {
        let on_db = r#"{"username":"app","password":"a","host":"db"}"#;
        let elsewhere = r#"{"username":"app","password":"a","host":"evil"}"#;
        let master_on_db = r#"{"username":"postgres","password":"m","host":"DB"}"#;
        let other = |whose, expected: &str, found: &str| OrderError::OtherHost {
            whose,
            expected: expected.to_owned(),
            found: found.to_owned(),
        };
        check_host(Some("db"), on_db, Some(MANAGED), Ok("db"));
        check_host(Some("db"), on_db, Some(master_on_db), Ok("db"));
        check_host(None, on_db, Some(master_on_db), Ok("DB"));
        check_host(None, on_db, None, Ok("db"));
        check_host(
            Some("db"),
            elsewhere,
            Some(MANAGED),
            Err(other("application's", "db", "evil")),
        );
        check_host(
            None,
            elsewhere,
            Some(master_on_db),
            Err(other("application's", "DB", "evil")),
        );
        check_host(
            Some("new-db"),
            r#"{"username":"app","password":"a"}"#,
            Some(master_on_db),
            Err(other("master's", "new-db", "DB")),
        );
        check_host(None, on_db, Some(MANAGED), Err(OrderError::HostUnknown));
    }

    #[test]
    fn port_and_database_come_from_the_configuration_before_the_secret() {
        let application =
            secret(r#"{"username":"app","password":"a","host":"db","port":6432,"dbname":"talks"}"#);
        let named = target(&config([]), &application, None).unwrap();
        assert_eq!((named.port, named.dbname.as_str()), (6432, "talks"));
        let configured = config([("DB_PORT", "5433"), ("DB_NAME", "other")]);
        let configured = target(&configured, &application, None).unwrap();
        assert_eq!(
            (configured.port, configured.dbname.as_str()),
            (5433, "other")
        );
        let bare = secret(r#"{"username":"app","password":"a","host":"db"}"#);
        let bare = target(&config([]), &bare, None).unwrap();
        assert_eq!(
            (bare.port, bare.dbname.as_str()),
            (5432, "ial_conversations")
        );
    }
}
