//! What `turnkeep create-tables` did.

use aurora::Target;
use rotation::migrate::{MigrationAction, Password, Report as Migrated};
use serde::Serialize;

use crate::output::{Report, table};

/// What was done to the application's secret and to the database.
#[derive(Debug, Serialize)]
pub(super) struct Created {
    secret: Secret,
    /// Where it was done; unknown if the function did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<Database>,
    /// The function that did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<String>,
    #[serde(flatten)]
    migrated: Migrated,
}

#[derive(Debug, Serialize)]
struct Secret {
    id: String,
    state: SecretState,
}

/// Whether the application's secret was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SecretState {
    /// It was.
    Found,
    /// It was made now.
    Created,
    /// It would be made.
    WouldCreate,
}

/// Where a database is.
#[derive(Debug, Serialize)]
pub(super) struct Database {
    host: String,
    port: u16,
    dbname: String,
}

impl Database {
    pub(super) fn new(target: &Target) -> Self {
        Self {
            host: target.host.clone(),
            port: target.port,
            dbname: target.dbname.clone(),
        }
    }
}

impl Created {
    pub(super) fn new(
        state: SecretState,
        secret_id: String,
        database: Option<Database>,
        function: Option<String>,
        migrated: Migrated,
    ) -> Self {
        Self {
            secret: Secret {
                id: secret_id,
                state,
            },
            database,
            function,
            migrated,
        }
    }
}

impl Report for Created {
    fn outcome(&self) -> &'static str {
        if self.migrated.dry_run {
            "planned"
        } else {
            "ok"
        }
    }

    fn text(&self) -> String {
        let Migrated {
            dry_run,
            application,
            roles,
            password,
            handed_over,
            migrations,
        } = &self.migrated;
        let mut rows = Vec::new();
        match (&self.database, &self.function) {
            (Some(database), _) => rows.push((
                "database",
                format!("{}:{}/{}", database.host, database.port, database.dbname),
            )),
            (None, Some(function)) => rows.push(("function", function.clone())),
            (None, None) => {}
        }
        rows.push((
            "secret",
            format!(
                "{}: {}",
                self.secret.id,
                match self.secret.state {
                    SecretState::Found => "found",
                    SecretState::Created => "created",
                    SecretState::WouldCreate => "would be created",
                }
            ),
        ));
        if roles.is_empty() {
            rows.push(("roles", "as they should be".to_owned()));
        }
        rows.extend(roles.iter().map(|change| ("role", change.clone())));
        rows.push((
            "password",
            format!(
                "of {application}: {}",
                match (password, dry_run) {
                    (Password::Kept, _) => "kept, the database takes it",
                    (Password::Set, false) => "set to the secret's",
                    (Password::Set, true) => "would be set to the secret's",
                }
            ),
        ));
        rows.extend(handed_over.iter().map(|name| {
            let sentence = if *dry_run {
                "would become the owner role's"
            } else {
                "became the owner role's"
            };
            ("table", format!("{name}: {sentence}"))
        }));
        rows.extend(migrations.iter().map(|migration| {
            let sentence = match (migration.action, dry_run) {
                (MigrationAction::AlreadyApplied, _) => "applied before",
                (MigrationAction::Applied, false) => "applied",
                (MigrationAction::Applied, true) => "would be applied",
            };
            (
                "migration",
                format!("{} {}: {sentence}", migration.version, migration.name),
            )
        }));
        table(&rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::document;
    use rotation::migrate::Migration;

    fn migration(version: i32, name: &str, action: MigrationAction) -> Migration {
        Migration {
            version,
            name: name.to_owned(),
            action,
        }
    }

    fn created(state: SecretState, dry_run: bool) -> Created {
        let database = Database {
            host: "db.example.com".to_owned(),
            port: 5432,
            dbname: "ial_conversations".to_owned(),
        };
        let migrated = Migrated {
            dry_run,
            application: "ial_app".to_owned(),
            roles: vec!["create role \"turnkeep_owner\"".to_owned()],
            password: Password::Set,
            handed_over: vec!["messages".to_owned()],
            migrations: vec![
                migration(1, "original", MigrationAction::AlreadyApplied),
                migration(2, "turns", MigrationAction::Applied),
            ],
        };
        Created::new(state, "app".to_owned(), Some(database), None, migrated)
    }

    #[test]
    fn a_person_reads_what_was_done() {
        insta::assert_snapshot!(created(SecretState::Created, false).text(), @r#"
        database   db.example.com:5432/ial_conversations
        secret     app: created
        role       create role "turnkeep_owner"
        password   of ial_app: set to the secret's
        table      messages: became the owner role's
        migration  1 original: applied before
        migration  2 turns: applied
        "#);
        insta::assert_snapshot!(created(SecretState::WouldCreate, true).text(), @r#"
        database   db.example.com:5432/ial_conversations
        secret     app: would be created
        role       create role "turnkeep_owner"
        password   of ial_app: would be set to the secret's
        table      messages: would become the owner role's
        migration  1 original: applied before
        migration  2 turns: would be applied
        "#);
    }

    #[test]
    fn a_person_reads_that_nothing_was_left_to_do() {
        let mut created = created(SecretState::Found, false);
        created.database = None;
        created.function = Some("secret-rotation".to_owned());
        created.migrated.roles.clear();
        created.migrated.handed_over.clear();
        created.migrated.password = Password::Kept;
        created.migrated.migrations.truncate(1);
        insta::assert_snapshot!(created.text(), @r"
        function   secret-rotation
        secret     app: found
        roles      as they should be
        password   of ial_app: kept, the database takes it
        migration  1 original: applied before
        ");
    }

    #[test]
    fn a_program_reads_a_document() {
        let created = created(SecretState::WouldCreate, true);
        insta::assert_snapshot!(document(created.outcome(), &created).unwrap(), @r#"{"outcome":"planned","secret":{"id":"app","state":"would_create"},"database":{"host":"db.example.com","port":5432,"dbname":"ial_conversations"},"dry_run":true,"application":"ial_app","roles":["create role \"turnkeep_owner\""],"password":"set","handed_over":["messages"],"migrations":[{"version":1,"name":"original","action":"already_applied"},{"version":2,"name":"turns","action":"applied"}]}"#);
    }
}
