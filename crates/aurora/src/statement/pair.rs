//! The SQL of two logins that belong together.

/// Every statement of this file, for a test that prepares them.
pub const STATEMENTS_OF_PAIRS: &[&str] = &[
    PAIR_STATES,
    PAIR_MEMBERSHIPS,
    OWNED_OBJECTS,
    ACT_AS,
    LEAVE_ROLE,
    REASSIGN_OWNED,
    GRANT_ADMIN,
    SAVEPOINT,
    ROLLBACK_TO_SAVEPOINT,
    RELEASE_SAVEPOINT,
    DIFFERENT_GRANTS,
    DIFFERENT_MEMBERSHIPS,
    DIFFERENT_DEFAULT_PRIVILEGES,
    DIFFERENT_SETTINGS,
    DIFFERENT_ATTRIBUTES,
];

/// `$1` names of the roles. On a superuser, and on a role that the user logged in has made since PostgreSQL 16, there is
/// always the option.
pub(crate) const PAIR_STATES: &str = "\
SELECT r.rolname::text, r.rolsuper OR r.rolcreaterole OR r.rolreplication OR r.rolbypassrls, \
       coalesce(r.rolconfig, '{}'::text[]), \
       pg_has_role(current_user, r.oid, 'MEMBER WITH ADMIN OPTION'), \
       pg_has_role(current_user, r.oid, 'USAGE'), \
       current_setting('server_version_num')::int4, current_user::text \
  FROM pg_roles AS r WHERE r.rolname = ANY ($1)";

/// Who of the roles `$1` is a member of another, and with which options.
pub(crate) const PAIR_MEMBERSHIPS: &str = "\
SELECT m.rolname::text, \
       pg_has_role(m.oid, r.oid, 'USAGE') \
       AND pg_has_role(m.oid, r.oid, \
           CASE WHEN current_setting('server_version_num')::int4 >= 160000 \
                THEN 'SET' ELSE 'MEMBER' END) \
  FROM pg_roles AS m JOIN pg_roles AS r ON r.oid <> m.oid \
 WHERE m.rolname = ANY ($1) AND r.rolname = ANY ($1) AND pg_has_role(m.oid, r.oid, 'MEMBER')";

/// What a role owns in this database, and in others.
pub(crate) const OWNED_OBJECTS: &str = "\
SELECT count(*) FILTER (WHERE b.datname = current_database()), \
       count(*) FILTER (WHERE b.datname <> current_database()) \
  FROM pg_shdepend AS d \
  JOIN pg_roles AS r ON r.oid = d.refobjid \
  LEFT JOIN pg_database AS b ON b.oid = d.dbid \
 WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o' AND r.rolname = $1";

/// The role's sessions begin with `SET ROLE`.
pub(crate) const ACT_AS: &str = "ALTER ROLE {role} SET role TO {owner}";
pub(crate) const LEAVE_ROLE: &str = "REVOKE {role} FROM CURRENT_USER";
pub(crate) const REASSIGN_OWNED: &str = "REASSIGN OWNED BY {role} TO {owner}";
/// For somebody who reads an error: what repairs it.
pub(crate) const GRANT_ADMIN: &str = "GRANT {group} TO {role} WITH ADMIN OPTION";

pub(crate) const SAVEPOINT: &str = "SAVEPOINT turnkeep";
pub(crate) const ROLLBACK_TO_SAVEPOINT: &str = "ROLLBACK TO SAVEPOINT turnkeep";
pub(crate) const RELEASE_SAVEPOINT: &str = "RELEASE SAVEPOINT turnkeep";

/// Privileges on objects that one of the roles `$1` was granted and the other has neither directly nor as a member or as
/// one of the public; with the statement that grants it to the other.
pub(crate) const DIFFERENT_GRANTS: &str = "\
WITH pair AS ( \
    SELECT r.oid, r.rolname, o.oid AS other, o.rolname AS other_name \
      FROM pg_roles AS r JOIN pg_roles AS o ON o.oid <> r.oid \
     WHERE r.rolname = ANY ($1) AND o.rolname = ANY ($1)), \
granted AS ( \
    SELECT CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END AS kind, \
           format('%I.%I', n.nspname, c.relname) AS object, acl.privilege_type AS privilege, \
           acl.grantee, c.relowner AS owner \
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
     CROSS JOIN LATERAL aclexplode(c.relacl) AS acl \
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') \
    UNION ALL \
    SELECT 'table', format('%I.%I', n.nspname, c.relname), \
           format('%s (%I)', acl.privilege_type, a.attname), acl.grantee, c.relowner \
      FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid \
      JOIN pg_namespace AS n ON n.oid = c.relnamespace \
     CROSS JOIN LATERAL aclexplode(a.attacl) AS acl WHERE NOT a.attisdropped \
    UNION ALL \
    SELECT 'schema', format('%I', n.nspname), acl.privilege_type, acl.grantee, n.nspowner \
      FROM pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS acl \
    UNION ALL \
    SELECT 'database', format('%I', d.datname), acl.privilege_type, acl.grantee, d.datdba \
      FROM pg_database AS d CROSS JOIN LATERAL aclexplode(d.datacl) AS acl \
    UNION ALL \
    SELECT 'routine', format('%I.%I(%s)', n.nspname, p.proname, \
                             pg_get_function_identity_arguments(p.oid)), \
           acl.privilege_type, acl.grantee, p.proowner \
      FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace \
     CROSS JOIN LATERAL aclexplode(p.proacl) AS acl \
    UNION ALL \
    SELECT 'type', format('%I.%I', n.nspname, t.typname), \
           acl.privilege_type, acl.grantee, t.typowner \
      FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace \
     CROSS JOIN LATERAL aclexplode(t.typacl) AS acl) \
SELECT p.rolname::text, g.kind, g.object, g.privilege, \
       format('GRANT %s ON %s %s TO %I', g.privilege, upper(g.kind), g.object, p.other_name) \
  FROM granted AS g JOIN pair AS p ON p.oid = g.grantee \
 WHERE NOT pg_has_role(p.other, g.owner, 'USAGE') \
   AND NOT EXISTS ( \
       SELECT FROM granted AS h \
        WHERE h.kind = g.kind AND h.object = g.object AND h.privilege = g.privilege \
          AND (h.grantee = 0 OR pg_has_role(p.other, h.grantee, 'USAGE'))) \
 ORDER BY 1, 2, 3, 4";

/// The same for memberships in other roles.
pub(crate) const DIFFERENT_MEMBERSHIPS: &str = "\
SELECT r.rolname::text, 'membership', format('%I', g.rolname), 'MEMBER', \
       format('GRANT %I TO %I', g.rolname, o.rolname) \
  FROM pg_auth_members AS m \
  JOIN pg_roles AS r ON r.oid = m.member \
  JOIN pg_roles AS g ON g.oid = m.roleid \
  JOIN pg_roles AS o ON o.oid <> r.oid \
 WHERE r.rolname = ANY ($1) AND o.rolname = ANY ($1) AND g.oid <> o.oid \
   AND NOT pg_has_role(o.oid, g.oid, 'MEMBER') \
 GROUP BY r.rolname, g.rolname, o.rolname ORDER BY 1, 3";

/// The same for privileges on what is yet to be made: those that one of the roles is to get, and those that others are to
/// get on what it makes, unless the other makes it in its name (`$2`).
pub(crate) const DIFFERENT_DEFAULT_PRIVILEGES: &str = "\
WITH pair AS ( \
    SELECT r.oid, r.rolname, o.oid AS other, o.rolname AS other_name \
      FROM pg_roles AS r JOIN pg_roles AS o ON o.oid <> r.oid \
     WHERE r.rolname = ANY ($1) AND o.rolname = ANY ($1)), \
future AS ( \
    SELECT d.defaclrole AS maker, d.defaclnamespace AS schema, \
           CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' \
               WHEN 'f' THEN 'ROUTINES' WHEN 'T' THEN 'TYPES' ELSE 'SCHEMAS' END AS objects, \
           acl.grantee, acl.privilege_type AS privilege \
      FROM pg_default_acl AS d CROSS JOIN LATERAL aclexplode(d.defaclacl) AS acl \
     WHERE acl.grantee <> d.defaclrole), \
found AS ( \
    SELECT p.rolname, f.maker, f.schema, f.objects, f.privilege, p.other AS new_grantee, \
           f.maker AS new_maker, 'default privilege' AS kind \
      FROM future AS f JOIN pair AS p ON p.oid = f.grantee \
     WHERE f.maker <> p.other AND NOT EXISTS ( \
           SELECT FROM future AS h \
            WHERE h.maker = f.maker AND h.schema = f.schema AND h.objects = f.objects \
              AND h.privilege = f.privilege \
              AND (h.grantee = 0 OR pg_has_role(p.other, h.grantee, 'USAGE'))) \
    UNION ALL \
    SELECT p.rolname, f.maker, f.schema, f.objects, f.privilege, f.grantee, p.other, \
           'default privilege of its own' \
      FROM future AS f JOIN pair AS p ON p.oid = f.maker \
     WHERE NOT $2 AND f.grantee <> p.other AND NOT EXISTS ( \
           SELECT FROM future AS h \
            WHERE h.maker = p.other AND h.schema = f.schema AND h.objects = f.objects \
              AND h.privilege = f.privilege AND h.grantee = f.grantee)) \
SELECT f.rolname::text, f.kind, \
       concat_ws(' ', f.objects, 'of', quote_ident(m.rolname), 'in schema ' || quote_ident(n.nspname)), \
       f.privilege, \
       format('ALTER DEFAULT PRIVILEGES FOR ROLE %I %s GRANT %s ON %s TO %s', a.rolname, \
              'IN SCHEMA ' || quote_ident(n.nspname), f.privilege, f.objects, \
              coalesce(quote_ident(b.rolname), 'PUBLIC')) \
  FROM found AS f \
  JOIN pg_roles AS m ON m.oid = f.maker \
  JOIN pg_roles AS a ON a.oid = f.new_maker \
  LEFT JOIN pg_roles AS b ON b.oid = f.new_grantee \
  LEFT JOIN pg_namespace AS n ON n.oid = f.schema \
 ORDER BY 1, 2, 3, 4";

/// Settings that the roles' sessions begin with and that differ, in this database or in all. Which role one acts as is no
/// difference.
pub(crate) const DIFFERENT_SETTINGS: &str = "\
WITH setting AS ( \
    SELECT r.rolname, s.setdatabase, split_part(c.entry, '=', 1) AS name, c.entry \
      FROM pg_db_role_setting AS s \
      JOIN pg_roles AS r ON r.oid = s.setrole AND r.rolname = ANY ($1) \
      LEFT JOIN pg_database AS d ON d.oid = s.setdatabase \
     CROSS JOIN LATERAL unnest(s.setconfig) AS c(entry) \
     WHERE (s.setdatabase = 0 OR d.datname = current_database()) \
       AND split_part(c.entry, '=', 1) <> 'role') \
SELECT s.rolname::text, 'setting', s.name, \
       CASE WHEN o.name IS NULL THEN 'SET' ELSE 'ANOTHER VALUE' END, NULL::text \
  FROM setting AS s \
  LEFT JOIN setting AS o ON o.rolname <> s.rolname AND o.setdatabase = s.setdatabase \
       AND o.name = s.name \
 WHERE o.name IS NULL OR (o.entry <> s.entry AND s.rolname < o.rolname) \
 ORDER BY 1, 3";

pub(crate) const DIFFERENT_ATTRIBUTES: &str = "\
WITH attribute AS ( \
    SELECT r.rolname, a.key, a.value \
      FROM pg_roles AS r \
     CROSS JOIN LATERAL jsonb_each_text(jsonb_build_object( \
           'superuser', r.rolsuper, 'inherit', r.rolinherit, 'createrole', r.rolcreaterole, \
           'createdb', r.rolcreatedb, 'login', r.rolcanlogin, 'replication', r.rolreplication, \
           'bypassrls', r.rolbypassrls, 'connection limit', r.rolconnlimit, \
           'valid until', r.rolvaliduntil)) AS a \
     WHERE r.rolname = ANY ($1)) \
SELECT a.rolname::text, 'attribute', a.key, coalesce(a.value, 'none'), NULL::text \
  FROM attribute AS a \
  JOIN attribute AS b ON b.key = a.key AND b.rolname > a.rolname \
 WHERE b.value IS DISTINCT FROM a.value ORDER BY 1, 3";
