//! Two logins of one application, of which one is in use while the other gets a new password.
//!
//! Both are usable and may change what either has made, because the sessions of one of them act as the other
//! (`ALTER ROLE .. SET role`): there is only one owner.

mod survey;

use std::fmt;

use tokio::time::Instant;
use tokio_postgres::{Client, Transaction};

use crate::Retry;
use crate::role::change::MEMBERSHIP_OPTIONS;
use crate::role::{RoleError, RoleName, SetPasswordError, password, setup};
use crate::statement::{self, Fill, fill, pair as sql};
use crate::verifier::Verifier;
use survey::Survey;

/// Two logins of one application.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The login that is in use.
    pub current: RoleName,
    /// The login that is to get a password; it is made where it is missing.
    pub pending: RoleName,
    /// Whether the sessions of one act as the other, so that what either makes belongs to the same role.
    pub one_owner: bool,
}

/// One thing that was done to make a pair of two roles; prints as what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PairChange {
    /// The role was missing.
    Create(RoleName),
    /// The role lacked the privileges of the other, or the right to act as it.
    Join {
        /// The member.
        role: RoleName,
        /// The role that it is a member of.
        owner: RoleName,
    },
    /// What the role owned in this database belongs to the other.
    HandOver {
        /// The member.
        role: RoleName,
        /// The owner by now.
        owner: RoleName,
        /// Whether the user logged in had to become a member for that moment.
        become_member: bool,
    },
    /// The role's sessions act as the other.
    ActAs {
        /// The member.
        role: RoleName,
        /// Whom it acts as.
        owner: RoleName,
    },
    /// The role's sessions begin with a setting of the other's: PostgreSQL does not hand settings on to members.
    CopySetting {
        /// The role.
        role: RoleName,
        /// Name of the setting.
        setting: String,
        /// Its value, or the items of a list.
        values: Vec<String>,
    },
}

const DOING: &str = "set the password of the alternate user";
/// As in [`crate::role::apply`], for the roles belong to every database of the cluster.
const MAX_ATTEMPTS: u32 = 5;

/// Sets the password of a pair's pending login, and makes the two a pair where they are not yet; returns what that took.
///
/// All of it is one transaction under the same lock as [`crate::role::set_password`]'s, with `check` called inside, and
/// ends at `deadline`. The user logged in has to administer both roles: since PostgreSQL 16 with `ADMIN OPTION`.
///
/// A role that exists already keeps what it is: it only becomes a member where the current login's name is the shorter
/// one's, so that nobody gets the rights of a role which happens to have the name that was made up.
///
/// Repeating it changes nothing but the verifier's salt.
pub async fn set_alternate_password<E, C>(
    client: &mut Client,
    pair: &Pair,
    verifier: &Verifier,
    deadline: Instant,
    check: C,
) -> Result<Vec<PairChange>, SetPasswordError<E>>
where
    C: AsyncFn() -> Result<(), E>,
    E: std::error::Error + 'static,
{
    for _ in 1..MAX_ATTEMPTS {
        match attempt_once(client, pair, verifier, deadline, &check).await {
            Err(SetPasswordError::Role(error)) if setup::is_in_the_way(&error) => {}
            outcome => return outcome,
        }
    }
    attempt_once(client, pair, verifier, deadline, &check).await
}

async fn attempt_once<E, C>(
    client: &mut Client,
    pair: &Pair,
    verifier: &Verifier,
    deadline: Instant,
    check: &C,
) -> Result<Vec<PairChange>, SetPasswordError<E>>
where
    C: AsyncFn() -> Result<(), E>,
    E: std::error::Error + 'static,
{
    let swap = async |transaction: &Transaction<'_>| {
        let survey = Survey::read(transaction, pair)
            .await
            .map_err(|error| RoleError::of(DOING, error))?;
        let mut done = Vec::new();
        for change in survey.changes(pair)? {
            if change.make(transaction, &survey).await? {
                done.push(change);
            }
        }
        let set_password = password::set_statement(&pair.pending, verifier);
        run(transaction, &set_password, &survey, &pair.pending).await?;
        Ok(done)
    };
    password::under_lock(client, &pair.pending, DOING, deadline, check, swap).await
}

/// Runs a statement; where it is refused and the user logged in does not administer `role`, that is the reason.
async fn run(
    transaction: &Transaction<'_>,
    statement: &str,
    survey: &Survey,
    role: &RoleName,
) -> Result<(), RoleError> {
    let refused = match transaction.batch_execute(statement).await {
        Ok(()) => return Ok(()),
        Err(error) => RoleError::of(DOING, error),
    };
    let administers = survey.state(role).is_none_or(|state| state.administered);
    Err(match refused {
        RoleError::PermissionDenied { message, .. }
            if survey.version_num >= MEMBERSHIP_OPTIONS && !administers =>
        {
            RoleError::AdminOptionMissing {
                doing: DOING,
                message,
                repair: fill(
                    sql::GRANT_ADMIN,
                    &[
                        ("group", role.fill()),
                        ("role", Fill::Identifier(&survey.user)),
                    ],
                ),
            }
        }
        refused => refused,
    })
}

/// Begins something that may fail without ending the transaction.
pub(super) async fn begin_attempt(transaction: &Transaction<'_>) -> Result<(), RoleError> {
    let result = transaction.batch_execute(sql::SAVEPOINT).await;
    result.map_err(|error| RoleError::of(DOING, error))
}

/// Ends [`begin_attempt`].
pub(super) async fn end_attempt(
    transaction: &Transaction<'_>,
    succeeded: bool,
) -> Result<(), RoleError> {
    if !succeeded {
        let result = transaction.batch_execute(sql::ROLLBACK_TO_SAVEPOINT).await;
        result.map_err(|error| RoleError::of(DOING, error))?;
    }
    let result = transaction.batch_execute(sql::RELEASE_SAVEPOINT).await;
    result.map_err(|error| RoleError::of(DOING, error))
}

impl PairChange {
    /// Makes the change; `false` if it is one that the pair can do without, and the server refused it.
    async fn make(
        &self,
        transaction: &Transaction<'_>,
        survey: &Survey,
    ) -> Result<bool, RoleError> {
        let optional = matches!(self, Self::CopySetting { .. });
        if optional {
            // A setting that only a superuser may set must not keep the password from being changed.
            begin_attempt(transaction).await?;
        }
        for statement in self.statements(survey.version_num) {
            match run(transaction, &statement, survey, self.administered()).await {
                Err(error) if optional && error.retry() == Retry::Never => {
                    end_attempt(transaction, false).await?;
                    return Ok(false);
                }
                outcome => outcome?,
            }
        }
        if optional {
            end_attempt(transaction, true).await?;
        }
        Ok(true)
    }

    /// The role that the user logged in has to administer for it.
    fn administered(&self) -> &RoleName {
        match self {
            Self::Create(role)
            | Self::HandOver { role, .. }
            | Self::ActAs { role, .. }
            | Self::CopySetting { role, .. } => role,
            Self::Join { owner, .. } => owner,
        }
    }

    fn statements(&self, version_num: i32) -> Vec<String> {
        let since_16 = version_num >= MEMBERSHIP_OPTIONS;
        let templates: &[&str] = match self {
            Self::Create(_) => &[statement::CREATE_LOGIN],
            Self::Join { .. } if since_16 => &[statement::JOIN_OWNER_SINCE_16],
            Self::Join { .. } => &[statement::INHERIT, statement::JOIN_GROUP],
            Self::HandOver {
                become_member: true,
                ..
            } if since_16 => &[
                statement::BECOME_MEMBER_SINCE_16,
                sql::REASSIGN_OWNED,
                sql::LEAVE_ROLE,
            ],
            Self::HandOver {
                become_member: true,
                ..
            } => &[
                statement::BECOME_MEMBER,
                sql::REASSIGN_OWNED,
                sql::LEAVE_ROLE,
            ],
            Self::HandOver { .. } => &[sql::REASSIGN_OWNED],
            Self::ActAs { .. } => &[sql::ACT_AS],
            Self::CopySetting { .. } => &[statement::LIMIT_SESSIONS],
        };
        let names = match self {
            Self::Create(role) => vec![("role", role.fill())],
            Self::Join { role, owner } => vec![("role", role.fill()), ("group", owner.fill())],
            Self::HandOver { role, owner, .. } | Self::ActAs { role, owner } => {
                vec![("role", role.fill()), ("owner", owner.fill())]
            }
            Self::CopySetting {
                role,
                setting,
                values,
            } => vec![
                ("role", role.fill()),
                ("setting", Fill::Identifier(setting)),
                ("value", Fill::Literals(values)),
            ],
        };
        let filled = templates.iter().map(|template| fill(template, &names));
        filled.collect()
    }
}

impl fmt::Display for PairChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(role) => write!(f, "create role {} with login", role.quoted()),
            Self::Join { role, owner } => {
                write!(f, "make {} a member of {}", role.quoted(), owner.quoted())
            }
            Self::HandOver { role, owner, .. } => write!(
                f,
                "hand over what {} owns to {}",
                role.quoted(),
                owner.quoted()
            ),
            Self::ActAs { role, owner } => {
                write!(f, "let {} act as {}", role.quoted(), owner.quoted())
            }
            Self::CopySetting { role, setting, .. } => {
                write!(f, "set {setting} of {}", role.quoted())
            }
        }
    }
}

#[cfg(test)]
mod tests;
