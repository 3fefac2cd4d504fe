//! The command line: verbs, options, help.

mod archived;

use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::NonEmptyStringValueParser;
use clap::error::ErrorKind;
use clap::{ArgGroup, Args, CommandFactory as _, Parser, Subcommand};

use crate::failure::{Exit, Failure};
use crate::help;
use crate::label::Label;
pub(crate) use archived::{Archived, DAY, Replay, Sweep};

/// operates the database, its secret and its rotation
#[derive(Debug, Parser)]
#[command(name = "turnkeep", version, max_term_width = 120, after_help = help::EXIT_CODES)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    disable_help_flag = true,
    disable_version_flag = true
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) options: Options,
    /// print help; `-h` prints less
    #[arg(short, long, global = true, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// print the version
    #[arg(short = 'V', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb accepts; AWS options are spelled as the AWS CLI spells them.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Options {
    /// AWS region
    #[arg(long, global = true, value_name = "REGION", help_heading = "AWS options", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) region: Option<String>,
    /// profile of the shared AWS configuration files
    #[arg(long, global = true, value_name = "NAME", help_heading = "AWS options", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) profile: Option<String>,
    /// endpoint of every AWS service
    #[arg(long, global = true, value_name = "URL", help_heading = "AWS options", value_parser = url)]
    pub(crate) endpoint_url: Option<String>,
    /// name or ARN of the application's secret; otherwise `TURNKEEP_SECRET`, then `${PROJECT_NAME:-ial}-aurora-master-secret`
    #[arg(long, global = true, value_name = "ID", help_heading = "Database options", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) secret: Option<String>,
    /// database host; otherwise `DB_HOST`, then the secret's
    #[arg(long, global = true, value_name = "HOST", help_heading = "Database options", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) host: Option<String>,
    /// database port; otherwise `DB_PORT`, then the secret's, then 5432
    #[arg(long, global = true, value_name = "PORT", help_heading = "Database options", value_parser = |text: &str| number(text, 1_u16, u16::MAX))]
    pub(crate) port: Option<u16>,
    /// database name; otherwise `DB_NAME`, then the secret's, then `ial_conversations`
    #[arg(long, global = true, value_name = "NAME", help_heading = "Database options", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) dbname: Option<String>,
    /// PEM file with the roots that the server's certificate must chain to; otherwise `DB_CA_BUNDLE`, then the built-in Amazon
    /// RDS roots
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Database options"
    )]
    pub(crate) ca_bundle: Option<PathBuf>,
    /// seconds that the verb may take, 1 to 3600; otherwise no limit for `replay` and `sweep`, 600 for `rotate --wait` and
    /// `--follow`, 300 for `create-tables`, and for the rest, and to connect, `CONNECT_BUDGET_SECONDS` or 8
    #[arg(long, global = true, value_name = "SECONDS", value_parser = |text: &str| number(text, 1_u64, 3600))]
    pub(crate) timeout: Option<u64>,
    /// print one JSON document, also for a failure
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// log more on standard error; twice for debug
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// log in as the application does and report TLS, versions, tables and latency; writes nothing
    #[command(after_help = help::TEST_EXAMPLES, after_long_help = help::with_document(help::TEST_EXAMPLES, help::TEST_DOCUMENT))]
    Test,
    /// create or repair tables, and with the master secret roles, grants and the application's secret
    ///
    /// Without `--master-secret` the secret's own user does it, as far as its rights reach. What exists is left as it is or
    /// repaired, so that a second run is safe. A new password is stored in Secrets Manager before the database learns it.
    /// The database itself must exist
    #[command(after_help = help::CREATE_TABLES_EXAMPLES, after_long_help = help::with_document(help::CREATE_TABLES_EXAMPLES, help::CREATE_TABLES_DOCUMENT))]
    CreateTables(CreateTables),
    /// rotate the application's secret through its rotation function
    #[command(after_help = help::ROTATE_EXAMPLES, after_long_help = help::with_document(help::ROTATE_EXAMPLES, help::ROTATE_DOCUMENT))]
    Rotate(Rotate),
    /// report labels, ages and what needs attention of the secret; reads no value of it
    ///
    /// It asks Secrets Manager from here and needs neither the function nor the database
    #[command(after_help = help::AUDIT_EXAMPLES, after_long_help = help::with_document(help::AUDIT_EXAMPLES, help::AUDIT_DOCUMENT))]
    Audit,
    /// look for what would make a rotation fail, and name the repair of each finding; changes nothing
    ///
    /// The rotation function goes the way of a rotation: secret, key, password, network, TLS, login, role, and the master's
    /// rights where it knows the master's secret
    #[command(after_help = help::PREFLIGHT_EXAMPLES, after_long_help = help::with_document(help::PREFLIGHT_EXAMPLES, help::PREFLIGHT_DOCUMENT))]
    Preflight(Preflight),
    /// make the version of the secret current that the database accepts, where labels and database have come apart
    ///
    /// The rotation function tries AWSCURRENT, AWSPENDING, AWSPREVIOUS and then versions without a label. It changes no
    /// password, and where the database accepts none of them it moves no label
    #[command(after_help = help::RECOVER_EXAMPLES, after_long_help = help::with_document(help::RECOVER_EXAMPLES, help::RECOVER_DOCUMENT))]
    Recover(Recover),
    /// show the credentials in use, the password masked
    #[command(after_help = help::CREDENTIALS_EXAMPLES, after_long_help = help::with_document(help::CREDENTIALS_EXAMPLES, help::CREDENTIALS_DOCUMENT))]
    Credentials(Credentials),
    /// bring the archive's objects into the database: rebuild an empty one, or load what `DURABILITY=s3` has left
    ///
    /// What is there already is left alone, so that it may be repeated and cut off anywhere. What was refused stays refused
    #[command(after_help = help::REPLAY_EXAMPLES, after_long_help = help::with_document(help::REPLAY_EXAMPLES, help::REPLAY_DOCUMENT))]
    Replay(Replay),
    /// find and repair what archive and database do not have in common, in both directions, and wrong counters
    ///
    /// Objects without rows are stored. Objects and media that are missing or altered are restored from the bucket's older versions
    #[command(after_help = help::SWEEP_EXAMPLES, after_long_help = help::with_document(help::SWEEP_EXAMPLES, help::SWEEP_DOCUMENT))]
    Sweep(Sweep),
    /// run a program with working credentials in its environment
    ///
    /// The credentials are proven by a login first, so that in the middle of a rotation the program gets the password
    /// that works
    #[command(after_help = help::EXEC_EXAMPLES)]
    Exec(Exec),
}

/// Options of `create-tables`.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("privileged").args(["master_secret", "function"]).multiple(true))]
pub(crate) struct CreateTables {
    /// secret of the master user, with which roles and grants are created or repaired
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) master_secret: Option<String>,
    /// login role of the application, for a secret that is created
    #[arg(long, value_name = "NAME", requires = "create_secret", default_value = "ial_app", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) app_user: String,
    /// create the application's secret, with a random password, if it does not exist; host, port and name of the
    /// database go into it
    #[arg(long, requires = "privileged")]
    pub(crate) create_secret: bool,
    /// run it inside the rotation function, which reaches a database in a private network
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) function: Option<String>,
    /// only report what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Options of `rotate`.
#[derive(Args, Debug)]
pub(crate) struct Rotate {
    /// follow the rotation to its end, with progress on standard error
    #[arg(long)]
    pub(crate) wait: bool,
    /// start nothing; follow the rotation that is in progress, or the one that makes this version
    #[expect(
        clippy::option_option,
        reason = "clap's type for an option whose value may be left out"
    )]
    #[arg(long, value_name = "VERSION", num_args = 0..=1, conflicts_with_all = ["wait", "function", "days"], value_parser = NonEmptyStringValueParser::new())]
    pub(crate) follow: Option<Option<String>>,
    /// ARN of the rotation function to set; needed the first time
    #[arg(long, value_name = "ARN", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) function: Option<String>,
    /// days between rotations to set, 1 to 1000
    #[arg(long, value_name = "DAYS", value_parser = |text: &str| number(text, 1_u16, 1000))]
    pub(crate) days: Option<u16>,
}

/// Options of `preflight`.
#[derive(Args, Debug)]
pub(crate) struct Preflight {
    /// the rotation function; otherwise the one that rotates the secret
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) function: Option<String>,
}

/// Options of `recover`.
#[derive(Args, Debug)]
pub(crate) struct Recover {
    /// only report what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// the rotation function; otherwise the one that rotates the secret
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) function: Option<String>,
}

/// Options of `credentials`.
#[derive(Args, Debug)]
pub(crate) struct Credentials {
    /// which version to show, by its label; `pending` exists only while a rotation is under way
    #[arg(long, value_enum, value_name = "LABEL", default_value = "current")]
    pub(crate) stage: Label,
    /// show the password; refused unless standard output is a terminal
    #[arg(long)]
    pub(crate) show_password: bool,
}

/// Arguments of `exec`.
#[derive(Args, Debug)]
pub(crate) struct Exec {
    /// the program and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CMD"
    )]
    pub(crate) command: Vec<OsString>,
}

impl Arguments {
    /// Reads a command line.
    pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let arguments = Self::try_parse_from(arguments)?;
        match arguments.without_effect() {
            Some(sentence) => Err(Self::command().error(ErrorKind::ArgumentConflict, sentence)),
            None => Ok(arguments),
        }
    }

    /// Options that would have no effect, which clap cannot find out by itself.
    fn without_effect(&self) -> Option<&'static str> {
        let Options {
            host,
            port,
            dbname,
            ca_bundle,
            ..
        } = &self.options;
        let elsewhere = host.is_some() || port.is_some() || dbname.is_some();
        match &self.verb {
            Verb::CreateTables(create) if create.function.is_some() => {
                if ca_bundle.is_some() {
                    Some(
                        "--ca-bundle has no effect with --function: the function has its own roots of trust",
                    )
                } else if elsewhere && !create.create_secret {
                    Some(
                        "--host, --port and --dbname have no effect with --function, unless --create-secret \
                         writes them into a new secret",
                    )
                } else {
                    None
                }
            }
            Verb::Audit if elsewhere || ca_bundle.is_some() => Some(
                "--host, --port, --dbname and --ca-bundle have no effect here: audit does not ask the database",
            ),
            Verb::Recover(_) | Verb::Preflight(_) if elsewhere || ca_bundle.is_some() => Some(
                "--host, --port, --dbname and --ca-bundle have no effect here: the function has settings of its own",
            ),
            _ => None,
        }
    }
}

/// Whether `--json` is among the arguments of `turnkeep` itself, also where the others cannot be read.
pub(crate) fn asks_for_json(arguments: &[OsString]) -> bool {
    let own = arguments.iter().take_while(|argument| *argument != "--");
    own.into_iter().any(|argument| argument == "--json")
}

/// A command line that is not accepted, as a failure; `--help` and `--version` are none.
pub(crate) fn refusal(error: &clap::Error) -> Option<Failure> {
    let text = error.render().to_string();
    let sentence = text.strip_prefix("error: ").unwrap_or(&text);
    let sentence: Vec<_> = sentence
        .lines()
        .take_while(|line| !line.is_empty())
        .collect();
    let words: Vec<_> = sentence
        .iter()
        .flat_map(|line| line.split_whitespace())
        .collect();
    let failure = Failure::new(Exit::Usage, "Usage", words.join(" "));
    error.use_stderr().then(|| failure.next("turnkeep --help"))
}

fn number<N>(text: &str, least: N, most: N) -> Result<N, String>
where
    N: Copy + FromStr + PartialOrd + Display,
{
    let number = text.parse().ok();
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("a whole number from {least} to {most} is accepted"))
}

fn url(text: &str) -> Result<String, &'static str> {
    if text.starts_with("http://") || text.starts_with("https://") {
        Ok(text.to_owned())
    } else {
        Err("a URL that starts with `http://` or `https://` is accepted")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments, clap::Error> {
        let words = line.split(' ').filter(|word| !word.is_empty());
        Arguments::read(std::iter::once("turnkeep").chain(words).map(OsString::from))
    }

    #[track_caller]
    fn check_refused(line: &str, sentence: &str) {
        let error = read(line).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
        assert!(error.to_string().contains(sentence), "{line}: {error}");
    }

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_command_line_that_is_not_accepted_is_a_failure_for_programs_too() {
        let arguments = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(asks_for_json(&arguments("turnkeep test --port x --json")));
        assert!(!asks_for_json(&arguments("turnkeep exec -- jq --json")));

        let failure = refusal(&read("create-tables --create-secret").unwrap_err()).unwrap();
        assert_eq!((failure.exit(), failure.code()), (Exit::Usage, "Usage"));
        assert_eq!(
            failure.message(),
            "the following required arguments were not provided: <--master-secret <ID>|--function <NAME>>"
        );
        assert!(refusal(&read("--help").unwrap_err()).is_none());
    }

    #[test]
    fn options_stand_before_and_after_the_verb() {
        for line in [
            "--region eu-west-1 --json test",
            "test --json --region eu-west-1",
        ] {
            let arguments = read(line).unwrap();
            assert_eq!(arguments.options.region.as_deref(), Some("eu-west-1"));
            assert!(arguments.options.json);
        }
    }

    #[test]
    fn everything_behind_the_program_is_the_programs() {
        for line in ["exec psql --json -c x", "exec -- psql --json -c x"] {
            let arguments = read(line).unwrap();
            assert!(!arguments.options.json);
            let Verb::Exec(exec) = arguments.verb else {
                panic!("not exec: {line}");
            };
            assert_eq!(exec.command, ["psql", "--json", "-c", "x"]);
        }
    }

    #[test]
    fn what_is_not_accepted_is_answered_with_what_is() {
        check_refused("", "Usage: turnkeep");
        check_refused("tset", "a similar subcommand exists: 'test'");
        for line in ["test --port 0", "test --port 65536", "test --port many"] {
            check_refused(line, "a whole number from 1 to 65535 is accepted");
        }
        check_refused("test --timeout 0", "a whole number from 1 to 3600 is");
        check_refused("test --secret=", "a value is required");
        check_refused(
            "test --endpoint-url localhost:1",
            "`http://` or `https://` is accepted",
        );
        check_refused(
            "rotate --function arn --days 0",
            "a whole number from 1 to 1000 is accepted",
        );
        check_refused("rotate --follow --wait", "cannot be used with");
        check_refused("create-tables --create-secret", "--master-secret");
        check_refused(
            "create-tables --master-secret m --app-user a",
            "--create-secret",
        );
        check_refused(
            "create-tables --function f --ca-bundle f",
            "has no effect with --function",
        );
        check_refused(
            "create-tables --function f --host h",
            "have no effect with --function",
        );
        check_refused("recover --host h", "settings of its own");
        check_refused("preflight --ca-bundle f", "settings of its own");
        check_refused("audit --host h", "does not ask the database");
        check_refused("exec", "<CMD>");
    }

    #[test]
    fn a_rotation_is_followed_with_and_without_its_version() {
        let follow = |line| match read(line).unwrap().verb {
            Verb::Rotate(rotate) => rotate.follow,
            verb => panic!("not rotate: {verb:?}"),
        };
        assert_eq!(follow("rotate"), None);
        assert_eq!(follow("rotate --follow"), Some(None));
        assert_eq!(follow("rotate --follow v2"), Some(Some("v2".to_owned())));
    }

    #[test]
    fn a_secret_can_be_created_beside_the_function() {
        assert!(read("create-tables --function f --create-secret --host h").is_ok());
        assert!(read("create-tables --master-secret m --function f").is_ok());
    }

    #[test]
    fn help_of_every_verb() {
        let mut command = Arguments::command().term_width(100);
        command.build();
        insta::assert_snapshot!("help", command.render_long_help());
        for verb in command.get_subcommands_mut() {
            let name = format!("help_{}", verb.get_name().replace('-', "_"));
            insta::assert_snapshot!(name, verb.render_long_help());
        }
    }
}
