//! The command line and the environment as one: an option wins over its variable.

use std::path::PathBuf;
use std::time::Duration;

use startup::config::{ConfigError, Reader};
use startup::environment::{
    CONNECT_BUDGET_SECONDS, CONVERSATIONS_BUCKET, DB_CA_BUNDLE, DB_HOST, DB_NAME, DB_PORT,
    Environment, OWNERSHIP, PROJECT_NAME, TURNKEEP_SECRET,
};
use startup::https::HttpsRoots;
use store::Ownership;

use crate::args::Options;

/// The project name of the original, from which its secret's name is made.
const DEFAULT_PROJECT: &str = "ial";
const DEFAULT_CONNECT_BUDGET: Duration = Duration::from_secs(8);

/// What the verbs work with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Name or ARN of the application's secret.
    pub(crate) secret: String,
    /// Database host, if not the secret's.
    pub(crate) host: Option<String>,
    /// Database port, if not the secret's.
    pub(crate) port: Option<u16>,
    /// Database name, if not the secret's.
    pub(crate) dbname: Option<String>,
    /// Roots of trust, if not the built-in ones.
    pub(crate) ca_bundle: Option<PathBuf>,
    /// Roots of trust for HTTPS to AWS.
    pub(crate) https_roots: HttpsRoots,
    /// Bucket of the archive.
    pub(crate) bucket: Option<String>,
    /// What happens to an event of another user.
    pub(crate) ownership: Ownership,
    /// What one connect may take where no `--timeout` is given.
    pub(crate) connect_budget: Duration,
    /// `--timeout`.
    pub(crate) timeout: Option<Duration>,
}

impl Settings {
    /// Puts options over variables; a variable that an option replaces is not looked at.
    pub(crate) fn new(options: &Options, environment: &Environment) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(environment);
        let secret = match &options.secret {
            Some(secret) => Some(secret.clone()),
            None => reader.optional(&TURNKEEP_SECRET),
        };
        let secret = match secret {
            Some(secret) => secret,
            None => format!("{}-aurora-master-secret", project(&mut reader)),
        };
        let settings = Self {
            secret,
            host: options.host.clone().or_else(|| reader.optional(&DB_HOST)),
            port: options.port.or_else(|| {
                reader.with(&DB_PORT, |text| text.parse().ok().filter(|port| *port > 0))
            }),
            dbname: options.dbname.clone().or_else(|| reader.optional(&DB_NAME)),
            ca_bundle: options
                .ca_bundle
                .clone()
                .or_else(|| reader.optional(&DB_CA_BUNDLE).map(PathBuf::from)),
            https_roots: HttpsRoots::of_command(&mut reader),
            bucket: reader.optional(&CONVERSATIONS_BUCKET),
            ownership: reader.choice(
                &OWNERSHIP,
                &[
                    ("enforce", Ownership::Enforce),
                    ("record", Ownership::Record),
                ],
                Ownership::Enforce,
            ),
            connect_budget: reader
                .with(&CONNECT_BUDGET_SECONDS, |text| {
                    text.parse()
                        .ok()
                        .filter(|seconds| (1..=900).contains(seconds))
                })
                .map_or(DEFAULT_CONNECT_BUDGET, Duration::from_secs),
            timeout: options.timeout.map(Duration::from_secs),
        };
        reader.finish(settings)
    }

    /// What a verb that connects once may take.
    pub(crate) fn connect_time(&self) -> Duration {
        self.timeout.unwrap_or(self.connect_budget)
    }
}

fn project(reader: &mut Reader<'_>) -> String {
    reader
        .with(&PROJECT_NAME, |text| {
            text.chars()
                .all(|character| character.is_ascii_alphanumeric() || "-_".contains(character))
                .then(|| text.to_owned())
        })
        .unwrap_or_else(|| DEFAULT_PROJECT.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_secret(option: Option<&str>, environment: &Environment, expected: &str) {
        let options = Options {
            secret: option.map(str::to_owned),
            ..Options::default()
        };
        let settings = Settings::new(&options, environment).unwrap();
        assert_eq!(settings.secret, expected);
    }

    #[test]
    fn the_secret_is_the_option_then_the_variable_then_the_original_projects() {
        let both = Environment::from([("TURNKEEP_SECRET", "mine"), ("PROJECT_NAME", "shop")]);
        let project = Environment::from([("PROJECT_NAME", "shop")]);
        check_secret(Some("given"), &both, "given");
        check_secret(None, &both, "mine");
        check_secret(None, &project, "shop-aurora-master-secret");
        check_secret(None, &Environment::default(), "ial-aurora-master-secret");
    }

    #[test]
    fn every_bad_variable_is_named_unless_an_option_replaces_it() {
        let environment = Environment::from([
            ("PROJECT_NAME", "no spaces"),
            ("DB_PORT", "0"),
            ("CONNECT_BUDGET_SECONDS", "1000"),
        ]);
        let error = Settings::new(&Options::default(), &environment).unwrap_err();
        assert_eq!(error.problems().len(), 3, "{error}");
        let options = Options {
            secret: Some("given".to_owned()),
            port: Some(6432),
            ..Options::default()
        };
        let error = Settings::new(&options, &environment).unwrap_err();
        assert_eq!(error.problems().len(), 1, "{error}");
    }

    #[test]
    fn a_timeout_replaces_the_connect_budget() {
        let environment = Environment::from([("CONNECT_BUDGET_SECONDS", "45")]);
        let settings = Settings::new(&Options::default(), &environment).unwrap();
        assert_eq!(settings.connect_time(), Duration::from_secs(45));
        let options = Options {
            timeout: Some(3),
            ..Options::default()
        };
        let settings = Settings::new(&options, &environment).unwrap();
        assert_eq!(settings.connect_time(), Duration::from_secs(3));
    }
}
