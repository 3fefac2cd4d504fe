//! Every environment variable of Turnkeep, and the one place that reads the environment.
//!
//! Start reading at [`VARIABLES`]: `docs/environment.md` is generated from it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One documented environment variable.
#[derive(Debug)]
pub struct Variable {
    /// The name that documentation uses and that wins over the aliases.
    pub name: &'static str,
    /// Names of the programs that Turnkeep replaces; the first one that is set counts when [`Variable::name`] is not.
    pub aliases: &'static [&'static str],
    /// The parts that read it: `capture`, `rotation`, `cli`.
    pub read_by: &'static str,
    /// What is accepted, in words, as an error message says it.
    pub accepted: &'static str,
    /// What holds when it is unset or empty, in words.
    pub default: &'static str,
    /// One sentence on what it decides.
    pub purpose: &'static str,
}

macro_rules! variables {
    ($($(#[doc = $doc:literal])+ $constant:ident = {
        aliases: $aliases:expr, read_by: $read_by:literal, accepted: $accepted:literal, default: $default:literal $(,)?
    };)+) => {
        $(
            $(#[doc = $doc])+
            pub const $constant: Variable = Variable {
                name: stringify!($constant),
                aliases: &$aliases,
                read_by: $read_by,
                accepted: $accepted,
                default: $default,
                purpose: concat!($($doc),+),
            };
        )+
        /// Every variable that a Turnkeep binary reads, in the order of the reference page.
        pub const VARIABLES: &[Variable] = &[$($constant),+];
    };
}

variables! {
    /// Name or ARN of the secret that holds the application's database credentials.
    TURNKEEP_SECRET = {
        aliases: [], read_by: "capture, rotation, cli", accepted: "a secret name or ARN",
        default: "`${PROJECT_NAME}-aurora-master-secret`; rotation: the one that the event names",
    };
    /// Project name of the original function, from which its secret's name is made.
    PROJECT_NAME = {
        aliases: [], read_by: "capture, cli", accepted: "letters, digits, `-` and `_`", default: "`ial`",
    };
    /// Database host, instead of the one in the secret.
    DB_HOST = {
        aliases: ["AURORA_ENDPOINT"], read_by: "capture, rotation, cli", accepted: "a DNS name or an IP address",
        default: "from the secret",
    };
    /// Database port, instead of the one in the secret.
    DB_PORT = {
        aliases: ["AURORA_PORT"], read_by: "capture, rotation, cli", accepted: "a number from 1 to 65535",
        default: "from the secret, else 5432",
    };
    /// Database name, instead of the one in the secret.
    DB_NAME = {
        aliases: ["DATABASE_NAME"], read_by: "capture, rotation, cli", accepted: "a database name",
        default: "from the secret, else `ial_conversations`; the four steps of a rotation: else `postgres`, as AWS's function",
    };
    /// PEM file with the roots that a database server's certificate must chain to.
    DB_CA_BUNDLE = {
        aliases: [], read_by: "capture, rotation, cli", accepted: "the path of a readable PEM file",
        default: "the built-in Amazon RDS roots",
    };
    /// Whether a transaction pooler stands before the database, so that no named statement may be used.
    DB_POOLER = {
        aliases: [], read_by: "capture", accepted: "`none` or `transaction`", default: "`none`",
    };
    /// Bucket of the archive.
    CONVERSATIONS_BUCKET = {
        aliases: ["S3_CONVERSATIONS_BUCKET"], read_by: "capture, cli", accepted: "a bucket name",
        default: "required by capture, `turnkeep replay` and `turnkeep sweep`",
    };
    /// Layout of the archive's keys and bodies.
    S3_LAYOUT = {
        aliases: [], read_by: "capture", accepted: "`turn` or `legacy`", default: "`turn`",
    };
    /// When an event counts as kept: with its rows, or with its object alone.
    DURABILITY = {
        aliases: [], read_by: "capture",
        accepted: "`rows`, or `s3` for rows that `turnkeep sweep` or `turnkeep replay` brings in", default: "`rows`",
    };
    /// What happens to an event of another user for a conversation that has an owner.
    OWNERSHIP = {
        aliases: [], read_by: "capture, cli", accepted: "`enforce` or `record`", default: "`enforce`",
    };
    /// What is taken out of events before anything is stored, and how.
    REDACTION = {
        aliases: [], read_by: "capture",
        accepted: "`off`, `mask`, `hash` or `drop`, or all of it as JSON: `docs/capture.md`, Redaction",
        default: "`off`",
    };
    /// Name or ARN of the secret whose text, of at least 32 characters, is the key of hashes over text that is redacted.
    IDENTITY_KEY_SECRET = {
        aliases: [], read_by: "capture", accepted: "a secret name or ARN", default: "none; required when redaction is on",
    };
    /// Buckets whose objects may hold events: by an event's `body_ref`, or by a notification of S3.
    CLAIM_CHECK_BUCKETS = {
        aliases: [], read_by: "capture", accepted: "names of buckets with commas between them, not the archive's own",
        default: "none: such events are refused",
    };
    /// Key of `requestMetadata` under which callers of Bedrock name the conversation.
    BEDROCK_CONVERSATION_KEY = {
        aliases: [], read_by: "capture", accepted: "a key of Bedrock's `requestMetadata`", default: "`conversation_id`",
    };
    /// What holds for an HTTP request that no authorizer has let in: it is refused, or taken at its word as a queue's message is.
    HTTP_AUTHORIZER = {
        aliases: [], read_by: "capture", accepted: "`required` or `none`", default: "`required`",
    };
    /// Where in the `requestContext` of an HTTP request the user stands, which is never taken from the body.
    HTTP_USER = {
        aliases: [], read_by: "capture", accepted: "names with points between them, such as `authorizer.jwt.claims.email`",
        default: "the subject of the token, the Cognito identity, the IAM user or role, or the `principalId`",
    };
    /// Where in the `requestContext` of an HTTP request the tenant stands, which is never taken from the body.
    HTTP_TENANT = {
        aliases: [], read_by: "capture", accepted: "names with points between them, such as `authorizer.jwt.claims.org_id`",
        default: "none: all belong to the tenant `default`",
    };
    /// Seconds that one connect may take, login attempts and waits included.
    CONNECT_BUDGET_SECONDS = {
        aliases: [], read_by: "capture, rotation, cli", accepted: "a number from 1 to 900", default: "8",
    };
    /// CloudWatch namespace of a function's metrics, so that those of two stacks in one account are told apart.
    METRICS_NAMESPACE = {
        aliases: [], read_by: "capture, rotation", accepted: "a CloudWatch namespace", default: "`Turnkeep`",
    };
    /// Endpoint of Secrets Manager for the rotation function.
    SECRETS_MANAGER_ENDPOINT = {
        aliases: [], read_by: "rotation", accepted: "a URL", default: "the region's endpoint",
    };
    /// Characters that a new password never has, as `GetRandomPassword` takes them.
    EXCLUDE_CHARACTERS = {
        aliases: [], read_by: "rotation", accepted: "any characters, or none", default: "`:/@\"'\\`",
    };
    /// Length of a new password in characters; `createSecret` refuses settings that give less than 80 bits.
    PASSWORD_LENGTH = {
        aliases: [], read_by: "rotation", accepted: "a whole number", default: "32",
    };
    /// Whether a new password has no digits.
    EXCLUDE_NUMBERS = {
        aliases: [], read_by: "rotation", accepted: "`true`, `1`, `y` or `yes`; all else is false", default: "false",
    };
    /// Whether a new password has no punctuation.
    EXCLUDE_PUNCTUATION = {
        aliases: [], read_by: "rotation", accepted: "`true`, `1`, `y` or `yes`; all else is false", default: "false",
    };
    /// Whether a new password has no upper-case letters.
    EXCLUDE_UPPERCASE = {
        aliases: [], read_by: "rotation", accepted: "`true`, `1`, `y` or `yes`; all else is false", default: "false",
    };
    /// Whether a new password has no lower-case letters.
    EXCLUDE_LOWERCASE = {
        aliases: [], read_by: "rotation", accepted: "`true`, `1`, `y` or `yes`; all else is false", default: "false",
    };
    /// Whether a new password has at least one character of each type that is not excluded.
    REQUIRE_EACH_INCLUDED_TYPE = {
        aliases: [], read_by: "rotation", accepted: "`true`, `1`, `y` or `yes`; all else is false", default: "true",
    };
    /// How a rotation changes the password.
    ROTATION_STRATEGY = {
        aliases: [], read_by: "rotation",
        accepted: "`single-user` or `alternating-users`",
        default: "`single-user`; must be set where the secret has a `masterarn`",
    };
    /// Logins that `setSecret` may try with versions that have no label, where the database refuses those that have one.
    RECOVERY_VERSIONS = {
        aliases: [], read_by: "rotation", accepted: "a number from 0 to 100; 0 switches the search off", default: "5",
    };
    /// Whether the sessions of the second of two alternating users act as the first, so that what either makes belongs to both.
    SHARED_OWNERSHIP = {
        aliases: [], read_by: "rotation", accepted: "`true` or `false`", default: "`true`",
    };
    /// Whether each of two alternating users is granted what only the other has, as far as the master may grant it.
    COPY_GRANTS = {
        aliases: [], read_by: "rotation", accepted: "`true` or `false`", default: "`false`: differences are only logged",
    };
    /// Whether a database server without TLS is refused.
    REQUIRE_TLS = {
        aliases: [], read_by: "rotation", accepted: "`true` or `false`", default: "`true`",
    };
    /// Whether `setSecret` logs in with the new password and moves `AWSCURRENT` at once, so that the gap between the two is milliseconds.
    FAST_PROMOTION = {
        aliases: [], read_by: "rotation", accepted: "`true` or `false`", default: "`false`",
    };
    /// Statement that a user of the new password has to be able to run, in a transaction that is read-only and rolled back,
    /// before `AWSCURRENT` moves.
    PROBE_SQL = {
        aliases: [], read_by: "rotation", accepted: "one SQL statement without parameters, such as `EXPLAIN INSERT …`",
        default: "none: a login is enough",
    };
    /// Host of a reader that has to accept the new password before `AWSCURRENT` moves; its port and database are the writer's.
    READER_HOST = {
        aliases: [], read_by: "rotation", accepted: "a DNS name or an IP address", default: "none: no reader is asked",
    };
    /// Source of new passwords.
    PASSWORD_SOURCE = {
        aliases: [], read_by: "rotation", accepted: "`api` (`GetRandomPassword`) or `local` (the operating system's random source)",
        default: "`api`",
    };
    /// Kind of the verifier that a rotation stores instead of the password.
    PASSWORD_ENCRYPTION = {
        aliases: [], read_by: "rotation", accepted: "`scram-sha-256` or `md5`", default: "the server's own setting of this name",
    };
    /// Secret of the master user, with which the `migrate` step makes roles.
    BOOTSTRAP_SECRET = {
        aliases: [], read_by: "rotation", accepted: "a secret name or ARN", default: "none: the secret's own user migrates",
    };
    /// The application's user, or the first of two: with it and `DB_HOST`, a secret's `masterarn` repairs a lost password; with
    /// `TURNKEEP_SECRET` and `BOOTSTRAP_SECRET` as well, the first rotation sets up an empty database, and no other secret is
    /// rotated.
    BOOTSTRAP_USER = {
        aliases: [], read_by: "rotation", accepted: "a user name", default: "none: the master repairs nothing",
    };
    /// PEM file with the roots that the certificates of AWS's endpoints must chain to, as the AWS CLI has it.
    AWS_CA_BUNDLE = {
        aliases: [], read_by: "capture, rotation, cli", accepted: "the path of a readable PEM file",
        default: "functions: the built-in roots of Amazon Trust Services (in the China and isolated partitions the system's); cli: the system's roots",
    };
    /// Access key of a function's role: where it is set, its credentials are looked for nowhere but in the environment.
    AWS_ACCESS_KEY_ID = {
        aliases: [], read_by: "capture, rotation", accepted: "set by Lambda", default: "the SDK's chain of providers",
    };
    /// Region, in which the SDK looks for AWS's endpoints, and by which a function knows who signs for them.
    AWS_REGION = {
        aliases: [], read_by: "capture, rotation, cli", accepted: "the name of a region", default: "functions: set by Lambda; cli: from the profile",
    };
    /// Level of Turnkeep's own log lines; other crates' lines are kept at `WARN`, so that no payload is printed.
    AWS_LAMBDA_LOG_LEVEL = {
        aliases: ["RUST_LOG"], read_by: "capture, rotation", accepted: "`TRACE`, `DEBUG`, `INFO`, `WARN` or `ERROR`", default: "`INFO`",
    };
    /// Format of the log.
    AWS_LAMBDA_LOG_FORMAT = {
        aliases: [], read_by: "capture, rotation", accepted: "`Text` or `JSON`", default: "`Text`",
    };
}

/// Database of the original, where neither [`DB_NAME`] nor the secret names one.
pub const DEFAULT_DB_NAME: &str = "ial_conversations";

/// The process's environment, read once.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Reads the environment of this process; `main` calls it once. A value that is not UTF-8 counts as unset.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the environment"
    )]
    pub fn of_this_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
        )
    }

    /// Returns the value of a variable or of its first alias that is set. An empty value counts as unset, because a
    /// template cannot leave a variable out by condition as easily as empty.
    pub fn value(&self, variable: &Variable) -> Option<&str> {
        self.named(variable).map(|(_, value)| value)
    }

    /// Returns the value of a variable as it is set, be it empty: what AWS's function sees of its own variables.
    pub fn as_set(&self, variable: &Variable) -> Option<&str> {
        self.0.get(variable.name).map(String::as_str)
    }

    /// Returns the name under which a variable is set, and its value.
    pub fn named(&self, variable: &Variable) -> Option<(&'static str, &str)> {
        std::iter::once(variable.name)
            .chain(variable.aliases.iter().copied())
            .find_map(|name| {
                Some((
                    name,
                    self.0.get(name).filter(|value| !value.is_empty())?.as_str(),
                ))
            })
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }
}

/// Returns the reference page of the environment as Markdown.
pub fn reference() -> String {
    let mut page = String::from(
        "# Environment\n\nGenerated by `cargo run -p startup --example environment`; a test compares it with the code.\n\
         The AWS SDK reads its own `AWS_*` variables besides.\n\n\
         | name | also accepted | read by | accepted values | default | what it decides |\n|---|---|---|---|---|---|\n",
    );
    for variable in VARIABLES {
        let aliases = match variable.aliases {
            [] => "-".to_owned(),
            names => names
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", "),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{}` | {aliases} | {} | {} | {} | {} |",
            variable.name,
            variable.read_by,
            variable.accepted,
            variable.default,
            variable.purpose.trim(),
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_page_is_the_generated_one() {
        assert_eq!(
            include_str!("../../../docs/environment.md"),
            reference(),
            "run: cargo run -p startup --example environment > docs/environment.md"
        );
    }

    #[test]
    fn the_name_wins_over_its_alias_and_empty_counts_as_unset() {
        let both = Environment::from([("DB_HOST", "new"), ("AURORA_ENDPOINT", "old")]);
        assert_eq!(both.value(&DB_HOST), Some("new"));
        let emptied = Environment::from([("DB_HOST", ""), ("AURORA_ENDPOINT", "old")]);
        assert_eq!(emptied.named(&DB_HOST), Some(("AURORA_ENDPOINT", "old")));
        assert_eq!(Environment::default().value(&DB_HOST), None);
        assert_eq!(emptied.as_set(&DB_HOST), Some(""));
    }

    #[test]
    fn no_name_is_used_twice() {
        let mut names: Vec<_> = VARIABLES
            .iter()
            .flat_map(|variable| {
                std::iter::once(variable.name).chain(variable.aliases.iter().copied())
            })
            .collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
