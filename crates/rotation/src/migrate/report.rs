//! What setting up a database reports.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What was done, or would be; the reply of the function's step `migrate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// The application's login.
    pub application: String,
    /// Changes of roles, memberships, limits and grants, each as a sentence; empty when all was as it should be.
    pub roles: Vec<String>,
    /// What became of the password of the application's login.
    pub password: Password,
    /// Tables of an older set-up that became the owner role's; a dry run does not know them.
    pub handed_over: Vec<String>,
    /// Every migration that this version knows, in order.
    pub migrations: Vec<Migration>,
}

/// What became of the password of the application's login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Password {
    /// The database accepts what the secret holds.
    Kept,
    /// It was set to what the secret holds, or would be.
    Set,
}

/// One migration of the schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// Its number.
    pub version: i32,
    /// What it does.
    pub name: String,
    /// What became of it.
    pub action: MigrationAction,
}

/// What became of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MigrationAction {
    /// It had been applied before.
    AlreadyApplied,
    /// It was applied now, or would be.
    Applied,
}

/// Every migration that this version knows; `applied` are those of now.
pub(super) fn migrations(applied: &[&store::migrate::Migration]) -> Vec<Migration> {
    store::migrate::MIGRATIONS
        .iter()
        .map(|migration| Migration {
            version: migration.version,
            name: migration.name.to_owned(),
            action: if applied.iter().any(|done| done.version == migration.version) {
                MigrationAction::Applied
            } else {
                MigrationAction::AlreadyApplied
            },
        })
        .collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let applied = self
            .migrations
            .iter()
            .filter(|migration| migration.action == MigrationAction::Applied)
            .count();
        write!(
            f,
            "{}: {} change(s) of roles, {} table(s) handed over, {applied} migration(s), password {}",
            if self.dry_run { "would make" } else { "made" },
            self.roles.len(),
            self.handed_over.len(),
            match self.password {
                Password::Kept => "kept",
                Password::Set => "set",
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_json_and_as_a_line() {
        let mut migrations = migrations(&[&store::migrate::MIGRATIONS[0]]);
        migrations.truncate(2);
        let report = Report {
            dry_run: false,
            application: "ial_app".to_owned(),
            roles: vec!["create role \"ial_app\" with login".to_owned()],
            password: Password::Set,
            handed_over: vec!["messages".to_owned()],
            migrations,
        };
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
        insta::assert_snapshot!(json, @r#"{"dry_run":false,"application":"ial_app","roles":["create role \"ial_app\" with login"],"password":"set","handed_over":["messages"],"migrations":[{"version":1,"name":"original","action":"applied"},{"version":2,"name":"turnkeep","action":"already_applied"}]}"#);
        insta::assert_snapshot!(report, @"made: 1 change(s) of roles, 1 table(s) handed over, 1 migration(s), password set");
    }
}
