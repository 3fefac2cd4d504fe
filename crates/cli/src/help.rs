//! What `--help` says beyond the options: examples, exit codes, and the documents of `--json`.

pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the operation failed
  2  the command line or the environment is not accepted
  3  rotate: the rotation is not configured, in progress, or stopped before its end
  4  AWS or the database cannot be reached
  5  AWS denies access, or the database refuses the credentials
  6  test: the database answers, but its tables are not ready
  7  audit: something needs attention; preflight: a rotation would fail; replay: not everything was
     brought in; sweep: something could not be repaired, or with --dry-run is to be repaired
`exec` ends with the program's own code, 128+n after signal n, 126 or 127 if it cannot be started

Environment (an option wins over its variable):
  TURNKEEP_SECRET, PROJECT_NAME, DB_HOST, DB_PORT, DB_NAME, DB_CA_BUNDLE, CONNECT_BUDGET_SECONDS,
  CONVERSATIONS_BUCKET, OWNERSHIP, and the AWS_* variables and files of every AWS program

Examples:
  turnkeep test
  turnkeep create-tables --master-secret rds!cluster-1234 --create-secret --host db.example.com
  turnkeep preflight && turnkeep rotate --wait
  turnkeep audit
  turnkeep sweep --since 2026-11-01
  turnkeep exec -- psql -c 'SELECT count(*) FROM conversations'";

pub(crate) const TEST_EXAMPLES: &str = "\
Examples:
  turnkeep test
  turnkeep test --json | jq -r .tls.version
  turnkeep test --timeout 60                   # Aurora may have to wake up
  turnkeep test --host localhost --port 15432  # through a tunnel whose name the certificate has";

pub(crate) const CREATE_TABLES_EXAMPLES: &str = "\
Examples:
  turnkeep create-tables --dry-run
  turnkeep create-tables
  turnkeep create-tables --master-secret rds!cluster-1234 --create-secret --host db.example.com
  turnkeep create-tables --function secret-rotation  # the database is in a private network";

pub(crate) const ROTATE_EXAMPLES: &str = "\
Examples:
  turnkeep rotate --function ARN --days 30 --wait  # the first time
  turnkeep rotate --wait
  turnkeep rotate --wait --timeout 900 --json | jq -r .outcome
  turnkeep rotate --follow                         # somebody else started it";

pub(crate) const AUDIT_EXAMPLES: &str = "\
Examples:
  turnkeep audit
  turnkeep audit --json | jq -r '.findings[].repair'
  turnkeep audit --secret other || echo 'look after it'";

pub(crate) const PREFLIGHT_EXAMPLES: &str = "\
Examples:
  turnkeep preflight
  turnkeep preflight --function secret-rotation  # the secret has no rotation function yet
  turnkeep preflight --json | jq -r '.findings[].repair'";

pub(crate) const RECOVER_EXAMPLES: &str = "\
Examples:
  turnkeep recover --dry-run
  turnkeep recover
  turnkeep recover --json | jq -r '.version_id, .next'";

pub(crate) const CREDENTIALS_EXAMPLES: &str = "\
Examples:
  turnkeep credentials
  turnkeep credentials --json | jq -r .username
  turnkeep credentials --stage pending         # what a rotation is about to make current
  turnkeep credentials --show-password         # on a terminal; for a program: turnkeep exec";

pub(crate) const REPLAY_EXAMPLES: &str = "\
Examples:
  turnkeep replay --dry-run
  turnkeep replay --resume replay.state        # goes on there if it was cut off
  turnkeep replay --since 2026-11-01 --tenant acme
  turnkeep replay --json | jq -r '.left_out[].key'";

pub(crate) const SWEEP_EXAMPLES: &str = "\
Examples:
  turnkeep sweep --dry-run
  turnkeep sweep
  turnkeep sweep --since 2026-11-01            # every night, of the last days
  turnkeep sweep --json | jq -r '.left_out[] | .reason + \" \" + .key'";

pub(crate) const EXEC_EXAMPLES: &str = "\
The program gets PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD, PGSSLMODE=verify-full and
PGSSLROOTCERT in its environment and nowhere else; PGHOSTADDR and PGSERVICE are taken out of it,
because they would take the password to another server

Examples:
  turnkeep exec -- psql
  turnkeep exec -- pg_dump --schema-only --file schema.sql
  turnkeep exec -- python3 -c 'import psycopg; print(psycopg.connect().info.user)'";

pub(crate) const TEST_DOCUMENT: &str = r#"
{"outcome": "ok" or "not_ready",
 "secret": {"arn", "version_id", "stage": its label, "refused_logins"},
 "database": {"host", "port", "dbname", "username", "server_version", "read_only"},
 "tls": {"version", "cipher"},
 "schema": {"state": "current", "behind", "empty", "original", "newer", "foreign" or "inconsistent",
            "applied": [{"version", "name"}], "pending": [{"version", "name"}], "reason"},
 "latency_ms": {"connect", "round_trip"}}"#;

pub(crate) const CREATE_TABLES_DOCUMENT: &str = r#"
{"outcome": "ok" or "planned",
 "secret": {"id", "state": "found", "created" or "would_create"},
 "database": {"host", "port", "dbname"}, or "function": its name,
 "dry_run", "application": the login role, "roles": [a sentence for each change],
 "password": "kept" or "set", "handed_over": [tables that became the owner role's],
 "migrations": [{"version", "name", "action": "already_applied" or "applied"}]}"#;

pub(crate) const ROTATE_DOCUMENT: &str = r#"
{"outcome": "started", "rotated" or "stopped",
 "secret": {"name", "arn"}, "version_id", "elapsed_ms",
 "timeline": [{"elapsed_ms", "change": "pending", "value" or "current"}],
 "stopped": {"reason": "timeout", "cancelled" or "label_removed",
             "step": "createSecret", "setSecret" or "finishSecret": the first not done, or null,
             "has_value", "database_accepts": true, false or null,
             "log": {"group", "lines": [], "unreadable": why not}, "next"}}"#;

pub(crate) const AUDIT_DOCUMENT: &str = r#"
{"outcome": "ok" or "needs_attention", "name", "arn",
 "rotation_enabled", "rotation_function_arn", "rotation_rule", "last_rotated_at", "next_rotation_at",
 "deleted_at", "age_days": since the password was last changed,
 "versions": [{"version_id", "stages": [], "created_at"}],
 "pending": {"version_id", "age_hours"}: a rotation under way or stopped, or null,
 "deprecated": how many versions have no label, or null if they may not be listed,
 "findings": [{"code", "severity": "warning" or "error", "message", "repair"}]}"#;

pub(crate) const PREFLIGHT_DOCUMENT: &str = r#"
{"outcome": "ready", "ready_with_warnings" or "not_ready", "secret_id",
 "findings": [{"code", "severity": "error" (a rotation would fail) or "warning", "message", "repair"}],
 "unchecked": [what could not be looked at because of a finding]}"#;

pub(crate) const RECOVER_DOCUMENT: &str = r#"
{"outcome": "nothing_to_recover", "recovered" or "planned", "dry_run", "secret_arn",
 "current": "kept" or "moved", "version_id": what the database accepts,
 "found": its label, or "without a label", "current_before", "refused_logins",
 "next": what is left to do, or null}"#;

pub(crate) const CREDENTIALS_DOCUMENT: &str = r#"
{"outcome": "ok", "secret": {"name", "arn"}, "version_id", "stages": [],
 "host", "port", "dbname", "username", "password": masked unless it is to be shown,
 "rotation": {"enabled", "function_arn"}, "versions": [{"version_id", "stages": []}]}"#;

pub(crate) const REPLAY_DOCUMENT: &str = r#"
{"outcome": "ok", "incomplete" or "planned", "bucket", "dry_run",
 "objects": how many were looked at, "stored", "duplicate": were there already,
 "conflict", "foreign": stay refused, "erased": stay out, "original": of the first capture function,
 "unreadable", "failed", "left_out": [{"key", "reason", "message"}], the first 100 of the last three,
 "elapsed_ms", "events_per_second"}"#;

pub(crate) const SWEEP_DOCUMENT: &str = r#"
{"outcome": "clean", "repaired", "incomplete" or "planned", "bucket", "dry_run",
 "objects": {"checked", "without_rows", "stored", "duplicate", "conflict", "foreign", "erased", "original",
             "unreadable", "failed"},
 "events": {"checked", "missing": their objects are not there, "altered", "restored", "rebuilt": of
            their rows, "lost", "elsewhere": in another bucket, "failed"},
 "media": {"checked": that messages name, "missing", "altered", "restored", "lost", "failed"},
 "counters": {"checked": conversations, "wrong", "repaired"},
 "left_out": [{"key", "reason", "message"}], the first 100, "elapsed_ms"}"#;

/// Puts a verb's document before its examples.
pub(crate) fn with_document(examples: &str, document: &str) -> String {
    format!("With --json:{document}\nor {FAILURE_DOCUMENT}\n\n{examples}")
}

const FAILURE_DOCUMENT: &str = r#"{"outcome": "failed", "error": {"code", "message", "hint"}}"#;
