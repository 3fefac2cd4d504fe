//! Roles, tables and grants of the conversation database: what the operator's step `migrate` and the command
//! `turnkeep create-tables` do.
//!
//! [`run`] takes an open session of the master user, or of the application's own user where that one may do it, and can
//! be repeated at any time: what is there already stays. It reads no secret; who calls it says which credentials the
//! application has.

mod report;

use aurora::role::{self, LoginRole, RoleError, RoleName, Roles, SessionLimits, SetPasswordError};
use aurora::{Credentials, LoginError, Target, Tls, Trust, server, verifier};
use tokio::time::Instant;
use tokio_postgres::Client;

pub use report::{Migration, MigrationAction, Password, Report};

use report::migrations;

/// Role that owns the schema's objects; nobody logs in as it.
pub const OWNER: &str = "turnkeep_owner";
/// Role that holds the grants and that every application login is a member of; nobody logs in as it.
pub const GROUP: &str = "turnkeep_writer";
/// Schema of the tables.
const SCHEMA: &str = "public";
/// Name of the sessions that try the application's login, in `pg_stat_activity`.
const APPLICATION_NAME: &str = "turnkeep migrate";

/// What the database shall be set up for.
#[derive(Debug)]
pub struct Setup {
    /// The application's login and its password: what `AWSCURRENT` holds, or what was made up for a new secret.
    pub application: Credentials,
    /// What `AWSPENDING` holds while a rotation is not complete. A password that the database accepts is left alone, so
    /// that setting up in the middle of a rotation does not undo it.
    pub pending: Option<Credentials>,
    /// How the application reaches the database.
    pub access: Access,
    /// Whether to report only what would be done.
    pub dry_run: bool,
}

/// How a database is reached.
#[derive(Clone, Debug)]
pub struct Access {
    /// Where it is.
    pub target: Target,
    /// Roots of trust for its certificate.
    pub trust: Trust,
    /// What to do about a server without TLS.
    pub tls: Tls,
    /// When to give up.
    pub deadline: Instant,
}

/// Why the database is not set up, by what the caller does next. What was done before stays, and a repetition goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// The application's secret names a login that must not be an application's: put another user name into it.
    #[error("`{username}` cannot be the application's login: {reason}")]
    ApplicationLogin {
        /// The user name in the secret.
        username: String,
        /// Why not.
        reason: &'static str,
    },
    /// The user logged in may not make roles or act as the owner: log in as the master user, or grant what is missing.
    #[error(
        "`{user}` lacks a right that setting up the database needs; log in as the master user, or grant it"
    )]
    MasterNeeded {
        /// The user logged in.
        user: String,
        /// What it may not do.
        #[source]
        source: RoleError,
    },
    /// A role cannot be made as it should be.
    #[error("the roles are not set up")]
    Role(#[source] RoleError),
    /// The application's login could not be tried for another reason than its password.
    #[error("the application's login cannot be tried")]
    Login(#[source] LoginError),
    /// The database refuses the application's login even with the password that was set just now.
    #[error("the database refuses `{username}` with the password that was set just now")]
    StillRefused {
        /// The application's login.
        username: String,
        /// The server's reason.
        #[source]
        source: LoginError,
    },
    /// The schema cannot be brought to the latest version.
    #[error("the schema is not migrated")]
    Schema(#[source] store::migrate::MigrateError),
    /// The server did not answer a question about itself.
    #[error("the server cannot be asked about itself")]
    Server(#[source] tokio_postgres::Error),
}

impl MigrateError {
    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ApplicationLogin { .. } => "APPLICATION_LOGIN",
            Self::MasterNeeded { .. } => "MASTER_NEEDED",
            Self::Role(source) => source.code(),
            Self::Login(source) => source.code(),
            Self::StillRefused { .. } => "STILL_REFUSED",
            Self::Schema(source) => source.code(),
            Self::Server(_) => "SERVER_UNKNOWN",
        }
    }
}

/// Makes the database as `setup` wants it, with the rights of the user that `client` is logged in as.
///
/// The roles come first, then the migrations in the owner's name, then the grants on tables that had been there before,
/// and the password last, so that nobody logs in to half a database. Repeating it changes nothing; the keys that make it
/// so are the names of the roles and the versions in `schema_migrations`.
pub async fn run(client: &mut Client, setup: &Setup) -> Result<Report, MigrateError> {
    let application = application_login(&setup.application.username)?;
    let user = server::describe(client)
        .await
        .map_err(MigrateError::Server)?
        .session_user;
    let own_user = user == application.as_str();
    let roles = roles(application.clone())?;
    let changes = role::plan(client, &roles)
        .await
        .map_err(MigrateError::Role)?;
    if own_user {
        // It may neither make roles nor act as the owner, and where the tables are current it need not.
        let plan = store::migrate::plan(client)
            .await
            .map_err(MigrateError::Schema)?;
        if plan.pending.is_empty() {
            return Ok(Report {
                dry_run: setup.dry_run,
                application: setup.application.username.clone(),
                roles: Vec::new(),
                password: Password::Kept,
                handed_over: Vec::new(),
                migrations: migrations(&plan.pending),
            });
        }
    } else {
        check_application(setup, &application, &changes).await?;
    }
    if setup.dry_run {
        return plan(client, setup, &changes, own_user).await;
    }

    let rights = |source| match source {
        RoleError::PermissionDenied { .. } => MigrateError::MasterNeeded {
            user: user.clone(),
            source,
        },
        source => MigrateError::Role(source),
    };
    let mut changes = role::apply(client, &roles).await.map_err(rights)?;
    let handed_over = store::migrate::hand_over(client, OWNER)
        .await
        .map_err(MigrateError::Schema)?;
    role::assume(client, &roles.owner).await.map_err(rights)?;
    let applied = store::migrate::apply(client).await;
    role::resume(client).await.map_err(MigrateError::Role)?;
    let applied = applied.map_err(MigrateError::Schema)?;
    changes.extend(role::apply(client, &roles).await.map_err(rights)?);
    let password = if own_user {
        Password::Kept
    } else {
        set_password(client, setup, &application).await?
    };
    Ok(Report {
        dry_run: false,
        application: setup.application.username.clone(),
        roles: sentences(&changes),
        password,
        handed_over,
        migrations: migrations(&applied.applied),
    })
}

async fn plan(
    client: &Client,
    setup: &Setup,
    changes: &[role::Change],
    own_user: bool,
) -> Result<Report, MigrateError> {
    let plan = store::migrate::plan(client)
        .await
        .map_err(MigrateError::Schema)?;
    let password = if own_user || accepted(setup).await? {
        Password::Kept
    } else {
        Password::Set
    };
    Ok(Report {
        dry_run: true,
        application: setup.application.username.clone(),
        roles: sentences(changes),
        password,
        handed_over: Vec::new(),
        migrations: migrations(&plan.pending),
    })
}

/// Checks that the application's secret names a role of its own: a caller who can write that secret must not get the
/// master to change the password of somebody else's role.
///
/// A role is the application's if it is still missing, a member of the group already, or opened by the secret.
async fn check_application(
    setup: &Setup,
    application: &RoleName,
    changes: &[role::Change],
) -> Result<(), MigrateError> {
    let missing = changes.iter().any(
        |change| matches!(change, role::Change::CreateRole { role, .. } if role == application),
    );
    let outside = changes.iter().any(
        |change| matches!(change, role::Change::JoinGroup { role, .. } if role == application),
    );
    if outside && !missing && !accepted(setup).await? {
        return Err(MigrateError::ApplicationLogin {
            username: application.as_str().to_owned(),
            reason: "the role exists, refuses the secret's password and is no member of `turnkeep_writer`; make it one, or choose another user name",
        });
    }
    Ok(())
}

fn application_login(username: &str) -> Result<RoleName, MigrateError> {
    match reserved(username) {
        None => RoleName::new(username).map_err(MigrateError::Role),
        Some(reason) => Err(MigrateError::ApplicationLogin {
            username: username.to_owned(),
            reason,
        }),
    }
}

fn reserved(username: &str) -> Option<&'static str> {
    if [OWNER, GROUP].contains(&username) {
        Some("nobody logs in as this role")
    } else if username.starts_with("pg_") {
        Some("PostgreSQL reserves names that begin with `pg_`")
    } else if username.starts_with("rds") {
        Some("Amazon RDS reserves names that begin with `rds`")
    } else {
        None
    }
}

fn roles(application: RoleName) -> Result<Roles, MigrateError> {
    Ok(Roles {
        owner: RoleName::new(OWNER).map_err(MigrateError::Role)?,
        group: RoleName::new(GROUP).map_err(MigrateError::Role)?,
        logins: vec![LoginRole {
            name: application,
            verifier: None,
            limits: SessionLimits::default(),
        }],
        schema: SCHEMA.to_owned(),
    })
}

/// Sets the application's password unless the database accepts what its secret holds. Asked under the lock on the role
/// that a rotation takes as well, so that neither undoes the other.
async fn set_password(
    client: &mut Client,
    setup: &Setup,
    application: &RoleName,
) -> Result<Password, MigrateError> {
    let encryption = verifier::password_encryption(client)
        .await
        .map_err(MigrateError::Server)?;
    let Credentials { username, password } = &setup.application;
    let verifier = verifier::for_server(encryption, username, password);
    let check = async || match accepted(setup).await {
        Ok(true) => Err(Veto::Accepted),
        Ok(false) => Ok(()),
        Err(error) => Err(Veto::Failed(Box::new(error))),
    };
    let deadline = setup.access.deadline;
    match role::set_password(client, application, &verifier, deadline, check).await {
        Ok(()) => {}
        Err(SetPasswordError::Vetoed(Veto::Accepted)) => return Ok(Password::Kept),
        Err(SetPasswordError::Vetoed(Veto::Failed(error))) => return Err(*error),
        Err(SetPasswordError::Role(error)) => return Err(MigrateError::Role(error)),
    }
    match log_in(setup, &setup.application).await {
        Ok(_) => Ok(Password::Set),
        Err(source) if source.is_refused() => Err(MigrateError::StillRefused {
            username: username.clone(),
            source,
        }),
        Err(source) => Err(MigrateError::Login(source)),
    }
}

/// Why the password is not set after all.
#[derive(Debug, thiserror::Error)]
enum Veto {
    #[error("the database accepts the password already")]
    Accepted,
    #[error(transparent)]
    Failed(Box<MigrateError>),
}

/// Whether the database accepts what the application's secret holds, current or pending.
async fn accepted(setup: &Setup) -> Result<bool, MigrateError> {
    for credentials in std::iter::once(&setup.application).chain(&setup.pending) {
        match log_in(setup, credentials).await {
            Ok(_) => return Ok(true),
            Err(error) if error.is_refused() => {}
            Err(error) => return Err(MigrateError::Login(error)),
        }
    }
    Ok(false)
}

async fn log_in(setup: &Setup, credentials: &Credentials) -> Result<aurora::Login, LoginError> {
    let Access {
        target,
        trust,
        tls,
        deadline,
    } = &setup.access;
    aurora::log_in(
        target,
        credentials,
        trust,
        *tls,
        APPLICATION_NAME,
        *deadline,
    )
    .await
}

fn sentences(changes: &[role::Change]) -> Vec<String> {
    changes.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_reserved(username: &str) {
        assert!(
            matches!(
                application_login(username),
                Err(MigrateError::ApplicationLogin { .. })
            ),
            "{username}"
        );
    }

    #[test]
    fn a_role_of_the_servers_or_of_ours_is_no_application() {
        check_reserved(OWNER);
        check_reserved(GROUP);
        check_reserved("pg_monitor");
        check_reserved("rdsadmin");
        check_reserved("rds_superuser");
        assert!(application_login("ial_app").is_ok());
        assert!(matches!(
            application_login(""),
            Err(MigrateError::Role(RoleError::Name(_)))
        ));
    }
}
