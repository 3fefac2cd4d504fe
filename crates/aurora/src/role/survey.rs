//! What a database has of an application's roles, and what it lacks.

use std::collections::BTreeMap;

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::role::{Change, LoginRole, Relation, Roles};
use crate::statement;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// `server_version_num`.
    pub(super) version_num: i32,
    superuser: bool,
    database: String,
    roles: BTreeMap<String, State>,
    /// Kind (`r` for tables, `S` for sequences) and privilege that the group gets on what the owner
    /// will create.
    future: Vec<(String, String)>,
    /// What the owner has and the group may not fully use.
    ungranted: Vec<(String, Relation)>,
}

/// A role that exists.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one row of answers, each independent of the others"
)]
struct State {
    can_login: bool,
    settings: Vec<String>,
    can_be_assumed: bool,
    has_group: bool,
    may_connect: bool,
    may_use_schema: bool,
    may_create: bool,
}

const TABLE_PRIVILEGES: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];
const SEQUENCE_PRIVILEGES: [&str; 1] = ["USAGE"];

impl Survey {
    /// Looks; writes nothing.
    pub(super) async fn read(
        client: &Client,
        roles: &Roles,
    ) -> Result<Self, tokio_postgres::Error> {
        let (owner, group, schema) = (
            roles.owner.as_str(),
            roles.group.as_str(),
            roles.schema.as_str(),
        );
        let me = client.query_typed_one(statement::WHO_AM_I, &[]).await?;
        let names: Vec<&str> = [owner, group]
            .into_iter()
            .chain(roles.logins.iter().map(|login| login.name.as_str()))
            .collect();
        let states = client
            .query_typed(
                statement::ROLE_STATES,
                &[
                    (&names, Type::TEXT_ARRAY),
                    (&schema, Type::TEXT),
                    (&group, Type::TEXT),
                ],
            )
            .await?;
        let household = &[
            (&owner as _, Type::TEXT),
            (&schema as _, Type::TEXT),
            (&group as _, Type::TEXT),
        ];
        let future = client
            .query_typed(statement::DEFAULT_PRIVILEGES, household)
            .await?;
        let ungranted = client
            .query_typed(statement::UNGRANTED_RELATIONS, household)
            .await?;

        let mut survey = Self {
            superuser: me.try_get(0)?,
            version_num: me.try_get(1)?,
            database: me.try_get(2)?,
            ..Self::default()
        };
        for row in states {
            let state = State {
                can_login: row.try_get(1)?,
                settings: row.try_get(2)?,
                can_be_assumed: row.try_get(3)?,
                has_group: row.try_get(4)?,
                may_connect: row.try_get(5)?,
                may_use_schema: row.try_get(6)?,
                may_create: row.try_get(7)?,
            };
            survey.roles.insert(row.try_get(0)?, state);
        }
        for row in future {
            survey.future.push((row.try_get(0)?, row.try_get(1)?));
        }
        for row in ungranted {
            let is_sequence: bool = row.try_get(1)?;
            let kind = if is_sequence {
                Relation::Sequence
            } else {
                Relation::Table
            };
            survey.ungranted.push((row.try_get(0)?, kind));
        }
        Ok(survey)
    }

    /// What is to be done, in an order that works.
    pub(super) fn changes(&self, roles: &Roles) -> Vec<Change> {
        let mut changes = self.changes_of_grants(roles);
        for login in &roles.logins {
            self.add_changes_of_login(login, roles, &mut changes);
        }
        changes
    }

    fn changes_of_grants(&self, roles: &Roles) -> Vec<Change> {
        let (owner, group, schema) = (&roles.owner, &roles.group, &roles.schema);
        let has = |role: &str, what: fn(&State) -> bool| self.roles.get(role).is_some_and(what);
        let mut changes = Vec::new();
        for role in [owner, group] {
            if !has(role.as_str(), |_| true) {
                changes.push(Change::CreateRole {
                    role: role.clone(),
                    login: false,
                });
            }
        }
        if !self.superuser && !has(owner.as_str(), |owner| owner.can_be_assumed) {
            changes.push(Change::BecomeMember(owner.clone()));
        }
        if !has(group.as_str(), |group| group.may_connect) {
            changes.push(Change::GrantConnect {
                role: group.clone(),
                database: self.database.clone(),
            });
        }
        let owner_has_schema = has(owner.as_str(), |owner| {
            owner.may_create && owner.may_use_schema
        });
        let group_has_schema = has(group.as_str(), |group| group.may_use_schema);
        for (role, create, has_schema) in [
            (owner, true, owner_has_schema),
            (group, false, group_has_schema),
        ] {
            if !has_schema {
                changes.push(Change::GrantSchema {
                    role: role.clone(),
                    schema: schema.clone(),
                    create,
                });
            }
        }
        for (kind, privileges) in [
            (Relation::Table, TABLE_PRIVILEGES.as_slice()),
            (Relation::Sequence, SEQUENCE_PRIVILEGES.as_slice()),
        ] {
            if !self.grants_future(kind, privileges) {
                changes.push(Change::GrantFuture {
                    owner: owner.clone(),
                    role: group.clone(),
                    schema: schema.clone(),
                    kind,
                });
            }
        }
        for (relation, kind) in &self.ungranted {
            changes.push(Change::GrantRelation {
                owner: owner.clone(),
                role: group.clone(),
                schema: schema.clone(),
                relation: relation.clone(),
                kind: *kind,
            });
        }
        changes
    }

    fn grants_future(&self, kind: Relation, privileges: &[&str]) -> bool {
        let object_type = match kind {
            Relation::Table => "r",
            Relation::Sequence => "S",
        };
        privileges.iter().all(|privilege| {
            self.future
                .iter()
                .any(|(kind, granted)| kind == object_type && granted == privilege)
        })
    }

    fn add_changes_of_login(&self, login: &LoginRole, roles: &Roles, changes: &mut Vec<Change>) {
        let role = &login.name;
        let state = self.roles.get(role.as_str());
        match state {
            None => changes.push(Change::CreateRole {
                role: role.clone(),
                login: true,
            }),
            Some(state) if !state.can_login => changes.push(Change::AllowLogin(role.clone())),
            Some(_) => {}
        }
        if !state.is_some_and(|state| state.has_group) {
            changes.push(Change::JoinGroup {
                role: role.clone(),
                group: roles.group.clone(),
            });
        }
        for (setting, limit) in login.limits.settings() {
            let is_set = state.is_some_and(|state| {
                let name = |entry: &String| entry.split('=').next() == Some(setting);
                state.settings.iter().any(name)
            });
            if !is_set {
                changes.push(Change::LimitSessions {
                    role: role.clone(),
                    setting,
                    limit,
                });
            }
        }
        if let Some(verifier) = &login.verifier {
            changes.push(Change::SetPassword {
                role: role.clone(),
                verifier: verifier.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::role::{RoleName, SessionLimits};
    use crate::verifier;

    use super::*;

    fn name(name: &str) -> RoleName {
        RoleName::new(name).unwrap()
    }

    fn wanted() -> Roles {
        Roles {
            owner: name("o"),
            group: name("g"),
            logins: vec![LoginRole {
                name: name("l"),
                verifier: None,
                limits: SessionLimits::default(),
            }],
            schema: "public".to_owned(),
        }
    }

    /// A database where nothing is left to do.
    fn complete() -> Survey {
        let mut survey = Survey {
            version_num: 170_000,
            database: "d".to_owned(),
            ..Survey::default()
        };
        let granted = |can_login, settings: &[&str]| State {
            can_login,
            settings: settings.iter().map(ToString::to_string).collect(),
            can_be_assumed: true,
            has_group: true,
            may_connect: true,
            may_use_schema: true,
            may_create: true,
        };
        let settings = [
            "search_path=public",
            "statement_timeout=5min",
            "lock_timeout=1",
            "idle_in_transaction_session_timeout=1",
            "idle_session_timeout=0",
        ];
        survey.roles.insert("o".to_owned(), granted(false, &[]));
        survey.roles.insert("g".to_owned(), granted(false, &[]));
        survey
            .roles
            .insert("l".to_owned(), granted(true, &settings));
        for privilege in TABLE_PRIVILEGES {
            survey.future.push(("r".to_owned(), privilege.to_owned()));
        }
        survey.future.push(("S".to_owned(), "USAGE".to_owned()));
        survey
    }

    #[track_caller]
    fn check(survey: &Survey, expected: &[&str]) {
        let changes = survey.changes(&wanted());
        let sentences: Vec<String> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(sentences, expected);
    }

    #[test]
    fn nothing_is_left_to_do_when_all_is_there() {
        check(&complete(), &[]);
    }

    #[test]
    fn an_empty_database_needs_everything_in_an_order_that_works() {
        let empty = Survey {
            database: "d".to_owned(),
            ..Survey::default()
        };
        check(
            &empty,
            &[
                "create role \"o\"",
                "create role \"g\"",
                "make the user logged in a member of \"o\"",
                "let \"g\" connect to database \"d\"",
                "let \"o\" create in schema \"public\"",
                "let \"g\" use schema \"public\"",
                "let \"g\" use every table that \"o\" will create in schema \"public\"",
                "let \"g\" use every sequence that \"o\" will create in schema \"public\"",
                "create role \"l\" with login",
                "make \"l\" a member of \"g\"",
                "set statement_timeout of \"l\" to 30000 ms",
                "set lock_timeout of \"l\" to 5000 ms",
                "set idle_in_transaction_session_timeout of \"l\" to 30000 ms",
                "set idle_session_timeout of \"l\" to 60000 ms",
            ],
        );
    }

    #[test]
    fn only_what_is_missing_is_done() {
        let mut survey = complete();
        survey.roles.get_mut("l").unwrap().can_login = false;
        survey.roles.get_mut("l").unwrap().settings.remove(2);
        survey.roles.get_mut("o").unwrap().can_be_assumed = false;
        survey.future.retain(|(_, privilege)| privilege != "DELETE");
        survey.ungranted.push(("m".to_owned(), Relation::Table));
        survey.ungranted.push(("s".to_owned(), Relation::Sequence));
        check(
            &survey,
            &[
                "make the user logged in a member of \"o\"",
                "let \"g\" use every table that \"o\" will create in schema \"public\"",
                "let \"g\" use table \"m\"",
                "let \"g\" use sequence \"s\"",
                "allow \"l\" to log in",
                "set lock_timeout of \"l\" to 5000 ms",
            ],
        );
    }

    #[test]
    fn a_superuser_needs_no_membership() {
        let mut survey = complete();
        survey.roles.get_mut("o").unwrap().can_be_assumed = false;
        survey.superuser = true;
        check(&survey, &[]);
    }

    #[test]
    fn a_password_is_set_each_time_and_never_shown() {
        let mut roles = wanted();
        roles.logins[0].verifier = Some(verifier::scram_sha_256(&"hunter2".into()));
        let changes = complete().changes(&roles);
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].to_string(), "set the password of \"l\"");
        assert!(!format!("{changes:?}").contains("SCRAM"));
    }
}
