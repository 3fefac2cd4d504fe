//! An application's roles, and how a database gets them.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::Client;

use crate::Retry;
use crate::role::password;
use crate::role::survey::Survey;
use crate::role::{Change, RoleError, RoleName};
use crate::verifier::Verifier;

/// The roles of one application and what they may do.
#[derive(Clone, Debug)]
pub struct Roles {
    /// Owns the schema's objects; nobody logs in as it.
    pub owner: RoleName,
    /// Holds the grants; nobody logs in as it.
    pub group: RoleName,
    /// Members of the group that log in.
    pub logins: Vec<LoginRole>,
    /// The schema of the tables; it has to exist.
    pub schema: String,
}

/// A role that logs in.
#[derive(Clone, Debug)]
pub struct LoginRole {
    /// Its name.
    pub name: RoleName,
    /// Password to set; `None` leaves that of an existing role, and a new role without one.
    pub verifier: Option<Verifier>,
    /// Limits of its sessions.
    pub limits: SessionLimits,
}

/// Time-outs that a role's sessions start with. PostgreSQL does not hand them on to member roles. A
/// limit that the role has already, of whatever value, is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// `statement_timeout`, 30 s by default.
    pub statement: Duration,
    /// `lock_timeout`, 5 s by default.
    pub lock: Duration,
    /// `idle_in_transaction_session_timeout`, 30 s by default.
    pub idle_in_transaction: Duration,
    /// `idle_session_timeout`, 60 s by default, so that an idle client does not keep Aurora awake.
    pub idle_session: Duration,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            statement: Duration::from_secs(30),
            lock: Duration::from_secs(5),
            idle_in_transaction: Duration::from_secs(30),
            idle_session: Duration::from_mins(1),
        }
    }
}

impl SessionLimits {
    /// Each limit with the name of its setting.
    pub(super) fn settings(self) -> [(&'static str, Duration); 4] {
        [
            ("statement_timeout", self.statement),
            ("lock_timeout", self.lock),
            (
                "idle_in_transaction_session_timeout",
                self.idle_in_transaction,
            ),
            ("idle_session_timeout", self.idle_session),
        ]
    }
}

/// How long to wait for a lock of other work, somebody who sets up the same database included.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// What has to change until everything is as `roles` wants it; reads only. Nothing, if nothing has
/// to, apart from passwords to set, which cannot be read back.
pub async fn plan(client: &Client, roles: &Roles) -> Result<Vec<Change>, RoleError> {
    let survey = Survey::read(client, roles)
        .await
        .map_err(|error| RoleError::of("read the roles and grants", error))?;
    Ok(survey.changes(roles))
}

/// So often somebody who sets up another database of the cluster may be in the way: the roles are the
/// cluster's, and an advisory lock is the database's.
const ATTEMPTS: u32 = 5;

/// Makes everything as `roles` wants it, in one transaction, and returns what was done.
///
/// Call it before the migrations (roles, default privileges) and again after them (grants on tables
/// that had been there before). Repeating it changes nothing; the names of the roles make it so.
pub async fn apply(client: &mut Client, roles: &Roles) -> Result<Vec<Change>, RoleError> {
    for _ in 1..ATTEMPTS {
        match apply_once(client, roles).await {
            Err(error) if is_in_the_way(&error) => {}
            done => return done,
        }
    }
    apply_once(client, roles).await
}

/// Whether somebody else made the same change at the same moment, so that another look finds it made:
/// the role (42710, or 23505 from the index of role names), a membership (23505), or the row of a role,
/// which [`crate::state`] knows for a conflict.
pub(super) fn is_in_the_way(error: &RoleError) -> bool {
    matches!(
        error,
        RoleError::Database { sqlstate, retry, .. }
            if *retry == Retry::Now || matches!(sqlstate.as_str(), "42710" | "23505")
    )
}

async fn apply_once(client: &mut Client, roles: &Roles) -> Result<Vec<Change>, RoleError> {
    let of = |error| RoleError::of("prepare the change of the roles", error);
    let transaction = client.transaction().await.map_err(of)?;
    password::lock(&transaction, &roles.owner, Instant::now() + TIME_LIMIT)
        .await
        .map_err(of)?;
    let survey = Survey::read(transaction.client(), roles)
        .await
        .map_err(of)?;
    let changes = survey.changes(roles);
    for change in &changes {
        for statement in change.statements(survey.version_num) {
            transaction
                .batch_execute(&statement)
                .await
                .map_err(|error| RoleError::of(change.doing(), error))?;
        }
    }
    match transaction.commit().await {
        Ok(()) => Ok(changes),
        Err(error) if error.as_db_error().is_some() => {
            Err(RoleError::of("commit the change of the roles", error))
        }
        Err(error) => Err(RoleError::CommitUnknown(Some(error))),
    }
}
