//! One step on the way to the roles that an application wants.

use std::fmt;
use std::time::Duration;

use crate::role::RoleName;
use crate::statement::{self, Fill, fill};
use crate::verifier::Verifier;

/// One thing that is not yet as [`crate::role::Roles`] wants it; prints as what is to be done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// The role is missing.
    CreateRole {
        /// The role.
        role: RoleName,
        /// Whether it logs in.
        login: bool,
    },
    /// The role exists but may not log in.
    AllowLogin(RoleName),
    /// The user logged in cannot act as the owner.
    BecomeMember(RoleName),
    /// The group may not connect to the database.
    GrantConnect {
        /// The group.
        role: RoleName,
        /// The database.
        database: String,
    },
    /// The owner may not create in the schema, or the group not use it.
    GrantSchema {
        /// Owner or group.
        role: RoleName,
        /// The schema.
        schema: String,
        /// Whether it may create.
        create: bool,
    },
    /// What the owner creates later is not granted to the group.
    GrantFuture {
        /// The owner.
        owner: RoleName,
        /// The group.
        role: RoleName,
        /// The schema.
        schema: String,
        /// What kind of relation.
        kind: Relation,
    },
    /// Something that the owner has is not granted to the group.
    GrantRelation {
        /// The owner.
        owner: RoleName,
        /// The group.
        role: RoleName,
        /// The schema.
        schema: String,
        /// Name of the table or sequence.
        relation: String,
        /// Which of the two it is.
        kind: Relation,
    },
    /// The login does not have the privileges of the group.
    JoinGroup {
        /// The login.
        role: RoleName,
        /// The group.
        group: RoleName,
    },
    /// The login's sessions have no such limit.
    LimitSessions {
        /// The login.
        role: RoleName,
        /// Name of the setting.
        setting: &'static str,
        /// Its value; PostgreSQL counts in milliseconds.
        limit: Duration,
    },
    /// The login has to have this password; whether it has cannot be read.
    SetPassword {
        /// The login.
        role: RoleName,
        /// Its verifier.
        verifier: Verifier,
    },
}

/// What privileges are granted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `SELECT`, `INSERT`, `UPDATE`, `DELETE`.
    Table,
    /// `USAGE`.
    Sequence,
}

/// From this version on a member has options of its own, and who creates a role is no member of it.
pub(super) const MEMBERSHIP_OPTIONS: i32 = 160_000;

impl Change {
    /// For an error message: "cannot .."; without names, which the server's message has.
    pub(super) fn doing(&self) -> &'static str {
        match self {
            Self::CreateRole { .. } => "create the role",
            Self::AllowLogin(_) => "allow the role to log in",
            Self::BecomeMember(_) => "become a member of the owner role",
            Self::GrantConnect { .. } => "grant the use of the database",
            Self::GrantSchema { .. } => "grant the use of the schema",
            Self::GrantFuture { .. } => "grant the use of relations to come",
            Self::GrantRelation { .. } => "grant the use of the relation",
            Self::JoinGroup { .. } => "make the role a member of the group",
            Self::LimitSessions { .. } => "limit the role's sessions",
            Self::SetPassword { .. } => "set the password of the role",
        }
    }

    /// The statements that do it, for a server of this `server_version_num`.
    pub(super) fn statements(&self, version_num: i32) -> Vec<String> {
        let names = self.names();
        self.templates(version_num >= MEMBERSHIP_OPTIONS)
            .iter()
            .map(|template| fill(template, &names))
            .collect()
    }

    fn templates(&self, since_16: bool) -> &'static [&'static str] {
        use statement as sql;

        match self {
            Self::CreateRole { login: false, .. } => &[sql::CREATE_ROLE],
            Self::CreateRole { login: true, .. } => &[sql::CREATE_LOGIN],
            Self::AllowLogin(_) => &[sql::ALLOW_LOGIN],
            Self::BecomeMember(_) if since_16 => &[sql::BECOME_MEMBER_SINCE_16],
            Self::BecomeMember(_) => &[sql::BECOME_MEMBER],
            Self::GrantConnect { .. } => &[sql::GRANT_CONNECT],
            Self::GrantSchema { create: true, .. } => &[sql::GRANT_SCHEMA_CREATE],
            Self::GrantSchema { create: false, .. } => &[sql::GRANT_SCHEMA_USAGE],
            // What the owner has, or will have, is the owner's to grant.
            Self::GrantFuture { kind, .. } => match kind {
                Relation::Table => &[sql::SET_LOCAL_ROLE, sql::DEFAULT_TABLES, sql::RESET_ROLE],
                Relation::Sequence => {
                    &[sql::SET_LOCAL_ROLE, sql::DEFAULT_SEQUENCES, sql::RESET_ROLE]
                }
            },
            Self::GrantRelation { kind, .. } => match kind {
                Relation::Table => &[sql::SET_LOCAL_ROLE, sql::GRANT_TABLE, sql::RESET_ROLE],
                Relation::Sequence => &[sql::SET_LOCAL_ROLE, sql::GRANT_SEQUENCE, sql::RESET_ROLE],
            },
            Self::JoinGroup { .. } if since_16 => &[sql::JOIN_GROUP_SINCE_16],
            Self::JoinGroup { .. } => &[sql::INHERIT, sql::JOIN_GROUP],
            Self::LimitSessions { .. } => &[sql::LIMIT_SESSIONS],
            Self::SetPassword { .. } => &[sql::SET_PASSWORD],
        }
    }

    fn names(&self) -> Vec<(&'static str, Fill<'_>)> {
        match self {
            Self::CreateRole { role, .. } | Self::AllowLogin(role) | Self::BecomeMember(role) => {
                vec![("role", role.fill())]
            }
            Self::GrantConnect { role, database } => vec![
                ("role", role.fill()),
                ("database", Fill::Identifier(database)),
            ],
            Self::GrantSchema { role, schema, .. } => {
                vec![("role", role.fill()), ("schema", Fill::Identifier(schema))]
            }
            Self::GrantFuture {
                owner,
                role,
                schema,
                ..
            } => vec![
                ("owner", owner.fill()),
                ("role", role.fill()),
                ("schema", Fill::Identifier(schema)),
            ],
            Self::GrantRelation {
                owner,
                role,
                schema,
                relation,
                ..
            } => vec![
                ("owner", owner.fill()),
                ("role", role.fill()),
                ("schema", Fill::Identifier(schema)),
                ("relation", Fill::Identifier(relation)),
            ],
            Self::JoinGroup { role, group } => {
                vec![("role", role.fill()), ("group", group.fill())]
            }
            Self::LimitSessions {
                role,
                setting,
                limit,
            } => vec![
                ("role", role.fill()),
                ("setting", Fill::Identifier(setting)),
                ("value", Fill::Number(limit.as_millis())),
            ],
            Self::SetPassword { role, verifier } => vec![
                ("role", role.fill()),
                ("verifier", Fill::Literal(verifier.expose())),
            ],
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table => "table",
            Self::Sequence => "sequence",
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateRole { role, login } => {
                let with = if *login { " with login" } else { "" };
                write!(f, "create role {}{with}", role.quoted())
            }
            Self::AllowLogin(role) => write!(f, "allow {} to log in", role.quoted()),
            Self::BecomeMember(role) => {
                write!(f, "make the user logged in a member of {}", role.quoted())
            }
            Self::GrantConnect { role, database } => {
                write!(f, "let {} connect to database {database:?}", role.quoted())
            }
            Self::GrantSchema {
                role,
                schema,
                create,
            } => {
                let what = if *create { "create in" } else { "use" };
                write!(f, "let {} {what} schema {schema:?}", role.quoted())
            }
            Self::GrantFuture {
                owner,
                role,
                schema,
                kind,
            } => write!(
                f,
                "let {} use every {kind} that {} will create in schema {schema:?}",
                role.quoted(),
                owner.quoted()
            ),
            Self::GrantRelation {
                role,
                relation,
                kind,
                ..
            } => write!(f, "let {} use {kind} {relation:?}", role.quoted()),
            Self::JoinGroup { role, group } => {
                write!(f, "make {} a member of {}", role.quoted(), group.quoted())
            }
            Self::LimitSessions {
                role,
                setting,
                limit,
            } => write!(
                f,
                "set {setting} of {} to {} ms",
                role.quoted(),
                limit.as_millis()
            ),
            Self::SetPassword { role, .. } => write!(f, "set the password of {}", role.quoted()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> RoleName {
        RoleName::new(name).unwrap()
    }

    #[test]
    fn membership_has_options_since_16() {
        let become_member = Change::BecomeMember(name("o"));
        assert_eq!(
            become_member.statements(150_018),
            ["GRANT \"o\" TO CURRENT_USER"]
        );
        assert_eq!(
            become_member.statements(160_000),
            ["GRANT \"o\" TO CURRENT_USER WITH INHERIT TRUE, SET TRUE"]
        );
        let join = Change::JoinGroup {
            role: name("l"),
            group: name("g"),
        };
        assert_eq!(
            join.statements(150_018),
            ["ALTER ROLE \"l\" INHERIT", "GRANT \"g\" TO \"l\""]
        );
        assert_eq!(
            join.statements(170_000),
            ["GRANT \"g\" TO \"l\" WITH INHERIT TRUE"]
        );
    }

    #[test]
    fn the_owner_grants_what_it_has() {
        let grant = Change::GrantRelation {
            owner: name("o"),
            role: name("g"),
            schema: "public".to_owned(),
            relation: "odd\"name".to_owned(),
            kind: Relation::Table,
        };
        assert_eq!(
            grant.statements(170_000),
            [
                "SET LOCAL ROLE \"o\"",
                "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE \"public\".\"odd\"\"name\" TO \"g\"",
                "RESET ROLE"
            ]
        );
    }

    #[test]
    fn names_and_values_are_quoted() {
        let limit = Change::LimitSessions {
            role: name("a\"b"),
            setting: "lock_timeout",
            limit: Duration::from_secs(5),
        };
        assert_eq!(
            limit.statements(170_000),
            ["ALTER ROLE \"a\"\"b\" SET \"lock_timeout\" = 5000"]
        );
    }
}
