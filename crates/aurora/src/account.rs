//! What may keep the login of a role from working, or its password from being changed.
//!
//! What PostgreSQL answers like a wrong password (an expired role, one that may not log in) shows only once somebody is
//! logged in: the role itself while it still can, or the master user. Each repair is a statement for an administrator,
//! which nothing here executes.

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::role::RoleName;
use crate::statement::{self, Fill, fill};

/// The role logged in as, seen by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Seconds until `rolvaliduntil`; `None` without a limit.
    pub expires_in: Option<i64>,
    /// `rolconnlimit`; `None` without a limit.
    pub connection_limit: Option<i32>,
    /// Its sessions now, this one included.
    pub connections: i64,
    /// Whether the server would make an md5 verifier of a password.
    pub makes_md5: bool,
    /// Whether `rds.restrict_password_commands` is on and the role is no member of `rds_password`, so that it may not
    /// change a password, its own included (42501).
    pub may_not_change_passwords: bool,
}

/// Asks what concerns the role logged in as; one statement that any role may run.
pub async fn describe(client: &Client) -> Result<Account, tokio_postgres::Error> {
    let row = client.query_typed_one(statement::ACCOUNT, &[]).await?;
    let limit: i32 = row.try_get(1)?;
    Ok(Account {
        expires_in: row.try_get(0)?,
        connection_limit: (limit >= 0).then_some(limit),
        connections: row.try_get(2)?,
        makes_md5: row.try_get(3)?,
        may_not_change_passwords: row.try_get(4)?,
    })
}

/// Whether the user logged in may change `role`'s password; `None` if there is no such role.
///
/// Since PostgreSQL 16 `CREATEROLE` is not enough: it takes `ADMIN OPTION` on the role, which its creator has.
pub async fn may_administer(
    client: &Client,
    role: &RoleName,
) -> Result<Option<bool>, tokio_postgres::Error> {
    let row = client
        .query_typed_opt(statement::MAY_ADMINISTER, &[(&role.as_str(), Type::TEXT)])
        .await?;
    row.map(|row| row.try_get(0)).transpose()
}

/// The statement with which a role never expires.
pub fn without_expiry(role: &RoleName) -> String {
    of_role(statement::REPAIR_EXPIRY, role)
}

/// The statement with which a role has no limit of connections.
pub fn without_connection_limit(role: &RoleName) -> String {
    of_role(statement::REPAIR_CONNECTION_LIMIT, role)
}

/// The statement that lets a role log in.
pub fn with_login(role: &RoleName) -> String {
    of_role(statement::ALLOW_LOGIN, role)
}

/// The statement that lets a role change passwords where `rds.restrict_password_commands` is on.
pub fn with_password_commands(role: &RoleName) -> String {
    of_role(statement::REPAIR_PASSWORD_COMMANDS, role)
}

/// The statement that lets `administrator` change `role`'s password.
pub fn with_administrator(role: &RoleName, administrator: &RoleName) -> String {
    fill(
        statement::REPAIR_ADMINISTRATOR,
        &[
            ("role", Fill::Identifier(role.as_str())),
            ("administrator", Fill::Identifier(administrator.as_str())),
        ],
    )
}

/// The statement that makes a database.
pub fn new_database(name: &str) -> String {
    fill(
        statement::REPAIR_DATABASE,
        &[("database", Fill::Identifier(name))],
    )
}

fn of_role(statement: &str, role: &RoleName) -> String {
    fill(statement, &[("role", Fill::Identifier(role.as_str()))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repairs_name_the_role_in_quotes() {
        let role = RoleName::new("Ana \"the\" App").unwrap();
        let master = RoleName::new("ial_admin").unwrap();
        let repairs = [
            without_expiry(&role),
            without_connection_limit(&role),
            with_login(&role),
            with_password_commands(&role),
            with_administrator(&role, &master),
            new_database("talks"),
        ];
        assert_eq!(
            repairs,
            [
                r#"ALTER ROLE "Ana ""the"" App" VALID UNTIL 'infinity'"#,
                r#"ALTER ROLE "Ana ""the"" App" CONNECTION LIMIT -1"#,
                r#"ALTER ROLE "Ana ""the"" App" LOGIN"#,
                r#"GRANT rds_password TO "Ana ""the"" App""#,
                r#"GRANT "Ana ""the"" App" TO "ial_admin" WITH ADMIN OPTION"#,
                r#"CREATE DATABASE "talks""#,
            ]
        );
    }
}
