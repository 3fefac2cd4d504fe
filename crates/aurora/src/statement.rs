//! All SQL of this crate.
//!
//! `{name}` stands for something that PostgreSQL takes no parameter for; it is filled in quoted.
//! Whoever adds a constant adds it to [`STATEMENTS`], [`STATEMENTS_SINCE_16`] or [`STATEMENTS_OF_PAIRS`], so
//! that a test prepares it.

pub(crate) mod pair;

use postgres_protocol::escape::{escape_identifier, escape_literal};

pub use pair::STATEMENTS_OF_PAIRS;

/// Every statement that all supported versions of PostgreSQL know, for a test that prepares them.
/// [`sample`] fills in the names.
pub const STATEMENTS: &[&str] = &[
    DESCRIBE_SERVER,
    READ_ONLY,
    PASSWORD_ENCRYPTION,
    LIMIT_TRANSACTION,
    LOCK_ROLE,
    ROLE_FACTS,
    ACCOUNT,
    MAY_ADMINISTER,
    REPAIR_EXPIRY,
    REPAIR_CONNECTION_LIMIT,
    REPAIR_PASSWORD_COMMANDS,
    REPAIR_ADMINISTRATOR,
    REPAIR_DATABASE,
    SET_PASSWORD,
    SET_ROLE,
    SET_LOCAL_ROLE,
    RESET_ROLE,
    WHO_AM_I,
    ROLE_STATES,
    DEFAULT_PRIVILEGES,
    UNGRANTED_RELATIONS,
    CREATE_ROLE,
    CREATE_LOGIN,
    ALLOW_LOGIN,
    BECOME_MEMBER,
    INHERIT,
    JOIN_GROUP,
    LIMIT_SESSIONS,
    GRANT_CONNECT,
    GRANT_SCHEMA_CREATE,
    GRANT_SCHEMA_USAGE,
    DEFAULT_TABLES,
    DEFAULT_SEQUENCES,
    GRANT_TABLE,
    GRANT_SEQUENCE,
];

/// The same for what PostgreSQL knows since version 16.
pub const STATEMENTS_SINCE_16: &[&str] = &[
    BECOME_MEMBER_SINCE_16,
    JOIN_GROUP_SINCE_16,
    JOIN_OWNER_SINCE_16,
];

/// `pg_is_in_recovery()` is true on an Aurora reader; `transaction_read_only` also where somebody
/// switched writing off.
pub(crate) const DESCRIBE_SERVER: &str = "\
SELECT current_setting('server_version'), current_setting('server_version_num')::int4, \
       tls.version, tls.cipher, \
       pg_is_in_recovery() OR current_setting('transaction_read_only')::bool, \
       session_user::text, current_database()::text \
  FROM (SELECT pg_backend_pid() AS pid) AS me \
  LEFT JOIN pg_stat_ssl AS tls ON tls.pid = me.pid AND tls.ssl";

pub(crate) const READ_ONLY: &str =
    "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool";

pub(crate) const PASSWORD_ENCRYPTION: &str = "SELECT current_setting('password_encryption')";

/// Until the end of the transaction; in milliseconds.
pub(crate) const LIMIT_TRANSACTION: &str = "\
SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', $1, true)";

/// Held until the end of the transaction. The number tells our locks from other programs'; it is the
/// beginning of "turnkeep" in ASCII.
pub(crate) const LOCK_ROLE: &str = "SELECT pg_advisory_xact_lock(1953853038, hashtext($1))";

pub(crate) const ROLE_FACTS: &str = "\
SELECT rolcanlogin, rolconnlimit, \
       CASE WHEN isfinite(rolvaliduntil) THEN extract(epoch FROM rolvaliduntil - now())::int8 END \
  FROM pg_roles WHERE rolname = $1";

/// `rds.restrict_password_commands` and `rds_password` exist on Amazon RDS alone; elsewhere both count as absent. A setting's
/// truth is written as whoever set it wrote it.
pub(crate) const ACCOUNT: &str = "\
SELECT CASE WHEN isfinite(me.rolvaliduntil) \
            THEN extract(epoch FROM me.rolvaliduntil - now())::int8 END, \
       me.rolconnlimit, \
       (SELECT count(*) FROM pg_stat_activity AS a WHERE a.usename = me.rolname), \
       current_setting('password_encryption') = 'md5', \
       lower(coalesce(current_setting('rds.restrict_password_commands', true), '')) \
           IN ('on', 'true', '1', 'yes') \
       AND NOT coalesce(pg_has_role(me.oid, p.oid, 'MEMBER'), false) \
  FROM pg_roles AS me \
  LEFT JOIN pg_roles AS p ON p.rolname = 'rds_password' \
 WHERE me.rolname = session_user";

/// `$1` role.
pub(crate) const MAY_ADMINISTER: &str = "\
SELECT me.rolsuper OR me.rolcreaterole \
       AND (current_setting('server_version_num')::int4 < 160000 \
            OR pg_has_role(me.oid, r.oid, 'MEMBER WITH ADMIN OPTION')) \
  FROM pg_roles AS r, pg_roles AS me \
 WHERE r.rolname = $1 AND me.rolname = current_user";

/// What an administrator is told to run.
pub(crate) const REPAIR_EXPIRY: &str = "ALTER ROLE {role} VALID UNTIL 'infinity'";
pub(crate) const REPAIR_CONNECTION_LIMIT: &str = "ALTER ROLE {role} CONNECTION LIMIT -1";
pub(crate) const REPAIR_PASSWORD_COMMANDS: &str = "GRANT rds_password TO {role}";
pub(crate) const REPAIR_ADMINISTRATOR: &str = "GRANT {role} TO {administrator} WITH ADMIN OPTION";
pub(crate) const REPAIR_DATABASE: &str = "CREATE DATABASE {database}";

/// Takes no parameters; `{verifier}` is a literal without anything to escape.
pub(crate) const SET_PASSWORD: &str = "ALTER ROLE {role} PASSWORD {verifier}";

pub(crate) const SET_ROLE: &str = "SET ROLE {role}";
pub(crate) const SET_LOCAL_ROLE: &str = "SET LOCAL ROLE {owner}";
pub(crate) const RESET_ROLE: &str = "RESET ROLE";

pub(crate) const WHO_AM_I: &str = "\
SELECT rolsuper, current_setting('server_version_num')::int4, current_database()::text \
  FROM pg_roles WHERE rolname = current_user";

/// `$1` names of the roles, `$2` schema, `$3` group. Since PostgreSQL 16 membership alone does not let
/// a role be assumed; before, there is no option to ask for.
pub(crate) const ROLE_STATES: &str = "\
SELECT r.rolname::text, r.rolcanlogin, coalesce(r.rolconfig, '{}'::text[]), \
       pg_has_role(current_user, r.oid, \
           CASE WHEN current_setting('server_version_num')::int4 >= 160000 \
                THEN 'SET' ELSE 'MEMBER' END), \
       coalesce(pg_has_role(r.oid, g.oid, 'USAGE'), false), \
       has_database_privilege(r.oid, current_database(), 'CONNECT'), \
       coalesce(has_schema_privilege(r.oid, n.oid, 'USAGE'), false), \
       coalesce(has_schema_privilege(r.oid, n.oid, 'CREATE'), false) \
  FROM pg_roles AS r \
  LEFT JOIN pg_roles AS g ON g.rolname = $3 \
  LEFT JOIN pg_namespace AS n ON n.nspname = $2 \
 WHERE r.rolname = ANY ($1)";

/// `$1` owner, `$2` schema, `$3` group.
pub(crate) const DEFAULT_PRIVILEGES: &str = "\
SELECT d.defaclobjtype::text, acl.privilege_type \
  FROM pg_default_acl AS d \
  JOIN pg_roles AS o ON o.oid = d.defaclrole \
  JOIN pg_namespace AS n ON n.oid = d.defaclnamespace \
 CROSS JOIN LATERAL aclexplode(d.defaclacl) AS acl \
  JOIN pg_roles AS g ON g.oid = acl.grantee \
 WHERE o.rolname = $1 AND n.nspname = $2 AND g.rolname = $3";

/// Relations of the owner that the group may not use as it should. `$1` owner, `$2` schema, `$3` group.
pub(crate) const UNGRANTED_RELATIONS: &str = "\
SELECT c.relname::text, c.relkind = 'S' \
  FROM pg_class AS c \
  JOIN pg_roles AS o ON o.oid = c.relowner \
  JOIN pg_namespace AS n ON n.oid = c.relnamespace \
  LEFT JOIN pg_roles AS g ON g.rolname = $3 \
 WHERE o.rolname = $1 AND n.nspname = $2 AND c.relkind IN ('r', 'p', 'S') \
   AND NOT coalesce( \
       CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(g.oid, c.oid, 'USAGE') \
            ELSE has_table_privilege(g.oid, c.oid, 'SELECT') \
             AND has_table_privilege(g.oid, c.oid, 'INSERT') \
             AND has_table_privilege(g.oid, c.oid, 'UPDATE') \
             AND has_table_privilege(g.oid, c.oid, 'DELETE') END, false) \
 ORDER BY c.relname";

pub(crate) const CREATE_ROLE: &str = "CREATE ROLE {role} NOLOGIN";
pub(crate) const CREATE_LOGIN: &str = "CREATE ROLE {role} LOGIN";
pub(crate) const ALLOW_LOGIN: &str = "ALTER ROLE {role} LOGIN";

pub(crate) const BECOME_MEMBER: &str = "GRANT {role} TO CURRENT_USER";
/// Who creates a role gets only the right to administer it.
pub(crate) const BECOME_MEMBER_SINCE_16: &str =
    "GRANT {role} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE";

/// Before PostgreSQL 16, whether privileges are inherited is a property of the member.
pub(crate) const INHERIT: &str = "ALTER ROLE {role} INHERIT";
pub(crate) const JOIN_GROUP: &str = "GRANT {group} TO {role}";
pub(crate) const JOIN_GROUP_SINCE_16: &str = "GRANT {group} TO {role} WITH INHERIT TRUE";

/// Who inherits an owner's privileges need not be able to act as the owner, nor the other way round.
pub(crate) const JOIN_OWNER_SINCE_16: &str = "GRANT {group} TO {role} WITH INHERIT TRUE, SET TRUE";

/// `{setting}` is a name out of a fixed list, or that of a setting which another role has.
pub(crate) const LIMIT_SESSIONS: &str = "ALTER ROLE {role} SET {setting} = {value}";

pub(crate) const GRANT_CONNECT: &str = "GRANT CONNECT ON DATABASE {database} TO {role}";
pub(crate) const GRANT_SCHEMA_CREATE: &str = "GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}";
pub(crate) const GRANT_SCHEMA_USAGE: &str = "GRANT USAGE ON SCHEMA {schema} TO {role}";

pub(crate) const DEFAULT_TABLES: &str = "\
ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} \
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}";
pub(crate) const DEFAULT_SEQUENCES: &str =
    "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT USAGE ON SEQUENCES TO {role}";

pub(crate) const GRANT_TABLE: &str =
    "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE {schema}.{relation} TO {role}";
pub(crate) const GRANT_SEQUENCE: &str = "GRANT USAGE ON SEQUENCE {schema}.{relation} TO {role}";

/// What a placeholder is filled with.
pub(crate) enum Fill<'a> {
    Identifier(&'a str),
    Literal(&'a str),
    Literals(&'a [String]),
    Number(u128),
}

/// The statement with its placeholders replaced by quoted identifiers and literals.
pub(crate) fn fill(statement: &str, values: &[(&str, Fill<'_>)]) -> String {
    let mut filled = String::with_capacity(statement.len() + 32 * values.len());
    let mut rest = statement;
    // In one pass, so that braces inside a value are never taken for a placeholder.
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let value = after.split_once('}').and_then(|(name, behind)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some((value, behind))
        });
        if let Some((value, behind)) = value {
            filled.push_str(&match value {
                Fill::Identifier(text) => escape_identifier(text),
                Fill::Literal(text) => escape_literal(text),
                Fill::Literals(texts) => {
                    let literals: Vec<_> = texts.iter().map(|text| escape_literal(text)).collect();
                    literals.join(", ")
                }
                Fill::Number(number) => number.to_string(),
            });
            rest = behind;
        } else {
            filled.push('{');
            rest = after;
        }
    }
    filled.push_str(rest);
    filled
}

/// The statement with an example for each placeholder, so that it can be prepared.
pub fn sample(statement: &str) -> String {
    fill(
        statement,
        &[
            ("role", Fill::Identifier("sample_role")),
            ("owner", Fill::Identifier("sample_owner")),
            ("administrator", Fill::Identifier("sample_administrator")),
            ("group", Fill::Identifier("sample_group")),
            ("schema", Fill::Identifier("public")),
            ("database", Fill::Identifier("sample_database")),
            ("relation", Fill::Identifier("sample_relation")),
            ("setting", Fill::Identifier("statement_timeout")),
            ("value", Fill::Number(1)),
            ("verifier", Fill::Literal("SCRAM-SHA-256$1:AA==$AA==:AA==")),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_and_never_filled_in_twice() {
        let statement = fill(
            SET_PASSWORD,
            &[
                ("role", Fill::Identifier("a\"{verifier}b")),
                ("verifier", Fill::Literal("it's")),
            ],
        );
        assert_eq!(
            statement,
            "ALTER ROLE \"a\"\"{verifier}b\" PASSWORD 'it''s'"
        );
    }

    #[test]
    fn braces_that_are_no_placeholder_stay() {
        assert!(fill(ROLE_STATES, &[]).contains("'{}'::text[]"));
    }

    #[test]
    fn every_placeholder_has_an_example() {
        let all = STATEMENTS.iter().chain(STATEMENTS_SINCE_16);
        for statement in all.chain(STATEMENTS_OF_PAIRS) {
            assert!(
                !sample(statement).replace("'{}'", "").contains('{'),
                "{statement}"
            );
        }
    }

    #[test]
    fn the_lists_are_complete() {
        let constants = |source: &str| {
            source
                .lines()
                .filter(|line| line.starts_with("pub(crate) const "))
                .count()
        };
        assert_eq!(
            STATEMENTS.len() + STATEMENTS_SINCE_16.len(),
            constants(include_str!("statement.rs"))
        );
        assert_eq!(
            STATEMENTS_OF_PAIRS.len(),
            constants(include_str!("statement/pair.rs"))
        );
    }
}
