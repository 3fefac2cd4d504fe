//! What an operator decides about this function.

use std::time::Duration;

use aurora::verifier::PasswordEncryption;
use aurora::{Tls, Trust};
use secrets::{DatabaseSecret, DocumentError, PasswordRules, PasswordSettings, SecretDescription};
use startup::config::{ConfigError, Reader};
use startup::environment::{self, Environment};
use startup::https::HttpsRoots;
use startup::metrics;

use crate::decide::{self, Expected, Refusal, RotationStrategy};

const DEFAULT_CONNECT_BUDGET: Duration = Duration::from_secs(8);
const CONNECT_BUDGET_SECONDS: std::ops::RangeInclusive<u64> = 1..=900;
const DEFAULT_RECOVERY_VERSIONS: u32 = 5;
/// As many unlabelled versions as the service promises to keep.
const MOST_RECOVERY_VERSIONS: u32 = 100;

/// The function's configuration; holds no secret.
#[derive(Clone, Debug)]
pub struct Config {
    /// Endpoint of Secrets Manager instead of the region's.
    pub secrets_manager_endpoint: Option<String>,
    /// What a new password is made of. Kept as a result, because the reference notices a `PASSWORD_LENGTH` that is no
    /// number in `createSecret` only.
    pub password_rules: Result<PasswordRules, DocumentError>,
    /// Who makes a new password up.
    pub password_source: PasswordSource,
    /// Whether `setSecret` logs in with the new password and moves `AWSCURRENT`, too.
    pub fast_promotion: bool,
    /// What a user of the new password has to be able to run.
    pub probe_sql: Option<String>,
    /// The reader that has to accept a new password before the label moves.
    pub reader_host: Option<String>,
    /// How a rotation changes the password; `None` if nobody has chosen, which a secret that may have been rotated with
    /// alternating users needs.
    pub strategy: Option<RotationStrategy>,
    /// Whether of two alternating users the one acts as the other, so that both own the same things.
    pub shared_ownership: bool,
    /// Whether of two alternating users each is granted what only the other has.
    pub copy_grants: bool,
    /// The application that the master may repair, and whose database it may set up.
    pub expected: Option<Expected>,
    /// How many versions without a label a search for the password may log in with.
    pub recovery_versions: u32,
    /// Kind of the verifier, instead of the server's own.
    pub password_encryption: Option<PasswordEncryption>,
    /// What to do about a database server without TLS.
    pub tls: Tls,
    /// Roots of trust instead of those of Amazon RDS.
    pub trust: Option<Trust>,
    /// Time that a connect may take, within the invocation's own.
    pub connect_budget: Duration,
    /// Roots of trust for HTTPS to AWS.
    pub https_roots: HttpsRoots,
    /// CloudWatch namespace of the metrics.
    pub metrics_namespace: String,
    /// Database host instead of the secret's.
    pub host: Option<String>,
    /// Database port instead of the secret's.
    pub port: Option<u16>,
    /// Database name instead of the secret's.
    pub dbname: Option<String>,
    /// The secret of an operator's step that names none, and the only one that is rotated where the master may set up its
    /// database.
    pub secret: Option<String>,
    /// The only secret that the step `migrate` takes for the master's.
    pub bootstrap_secret: Option<String>,
}

/// Where new passwords come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// `GetRandomPassword`, as in the reference.
    Api,
    /// The operating system's random source, which needs no permission and no call.
    Local,
}

impl Config {
    /// Whether a secret with this ARN and this name is another than the configured one.
    pub(crate) fn is_other_secret(&self, arn: &str, name: &str) -> bool {
        let configured = self.secret.as_deref();
        configured.is_some_and(|configured| configured != arn && configured != name)
    }

    /// Why a step about this secret, of which `read` was read, is refused before any login.
    pub(crate) fn stranger(
        &self,
        secret: &SecretDescription,
        read: Option<&DatabaseSecret>,
    ) -> Option<Refusal> {
        let other_secret = self.is_other_secret(&secret.arn, &secret.name);
        decide::stranger(self.expected.as_ref(), other_secret, read)
    }

    /// Reads the configuration, and the file of `DB_CA_BUNDLE`.
    ///
    /// # Errors
    /// Every problem at once, so that one deployment mends them all.
    pub fn from_environment(environment: &Environment) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(environment);
        let strategy = reader.choice(
            &environment::ROTATION_STRATEGY,
            &[
                ("single-user", Some(RotationStrategy::SingleUser)),
                (
                    "alternating-users",
                    Some(RotationStrategy::AlternatingUsers),
                ),
            ],
            None,
        );
        let host = reader.optional(&environment::DB_HOST);
        let username = reader.optional(&environment::BOOTSTRAP_USER);
        let secret = reader.optional(&environment::TURNKEEP_SECRET);
        let bootstrap_secret = reader.optional(&environment::BOOTSTRAP_SECRET);
        let config = Self {
            secrets_manager_endpoint: reader.with(&environment::SECRETS_MANAGER_ENDPOINT, |url| {
                (url.starts_with("https://") || url.starts_with("http://")).then(|| url.to_owned())
            }),
            password_rules: password_rules(environment),
            password_source: reader.choice(
                &environment::PASSWORD_SOURCE,
                &[
                    ("api", PasswordSource::Api),
                    ("local", PasswordSource::Local),
                ],
                PasswordSource::Api,
            ),
            fast_promotion: reader.choice(
                &environment::FAST_PROMOTION,
                &[("true", true), ("false", false)],
                false,
            ),
            probe_sql: reader.optional(&environment::PROBE_SQL),
            reader_host: reader.optional(&environment::READER_HOST),
            strategy,
            shared_ownership: reader.choice(
                &environment::SHARED_OWNERSHIP,
                &[("true", true), ("false", false)],
                true,
            ),
            copy_grants: reader.choice(
                &environment::COPY_GRANTS,
                &[("true", true), ("false", false)],
                false,
            ),
            expected: host.clone().zip(username).map(|(host, username)| Expected {
                host,
                username,
                master: secret.is_some().then(|| bootstrap_secret.clone()).flatten(),
            }),
            secret,
            recovery_versions: reader
                .with(&environment::RECOVERY_VERSIONS, |text| {
                    text.parse()
                        .ok()
                        .filter(|versions| *versions <= MOST_RECOVERY_VERSIONS)
                })
                .unwrap_or(DEFAULT_RECOVERY_VERSIONS),
            password_encryption: reader.choice(
                &environment::PASSWORD_ENCRYPTION,
                &[
                    ("scram-sha-256", Some(PasswordEncryption::ScramSha256)),
                    ("md5", Some(PasswordEncryption::Md5)),
                ],
                None,
            ),
            tls: reader.choice(
                &environment::REQUIRE_TLS,
                &[
                    ("true", Tls::Require),
                    ("false", Tls::AllowPlaintextIfServerHasNone),
                ],
                Tls::Require,
            ),
            trust: reader.file(&environment::DB_CA_BUNDLE, Trust::from_pem),
            connect_budget: reader
                .with(&environment::CONNECT_BUDGET_SECONDS, |text| {
                    text.parse()
                        .ok()
                        .filter(|seconds| CONNECT_BUDGET_SECONDS.contains(seconds))
                })
                .map_or(DEFAULT_CONNECT_BUDGET, Duration::from_secs),
            https_roots: HttpsRoots::of_function(&mut reader),
            metrics_namespace: reader
                .with(&environment::METRICS_NAMESPACE, metrics::namespace)
                .unwrap_or_else(|| metrics::NAMESPACE.to_owned()),
            host,
            port: reader.with(&environment::DB_PORT, |text| {
                text.parse().ok().filter(|port| *port != 0)
            }),
            dbname: reader.optional(&environment::DB_NAME),
            bootstrap_secret,
        };
        reader.finish(config)
    }
}

fn password_rules(environment: &Environment) -> Result<PasswordRules, DocumentError> {
    PasswordRules::from_settings(&PasswordSettings {
        exclude_characters: environment.as_set(&environment::EXCLUDE_CHARACTERS),
        length: environment.as_set(&environment::PASSWORD_LENGTH),
        exclude_numbers: environment.as_set(&environment::EXCLUDE_NUMBERS),
        exclude_punctuation: environment.as_set(&environment::EXCLUDE_PUNCTUATION),
        exclude_uppercase: environment.as_set(&environment::EXCLUDE_UPPERCASE),
        exclude_lowercase: environment.as_set(&environment::EXCLUDE_LOWERCASE),
        require_each_included_type: environment.as_set(&environment::REQUIRE_EACH_INCLUDED_TYPE),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_environment_is_a_configuration() {
        let config = Config::from_environment(&Environment::default()).unwrap();
        assert_eq!(config.tls, Tls::Require);
        assert_eq!(config.connect_budget, Duration::from_secs(8));
        assert_eq!(config.recovery_versions, 5);
        assert_eq!(config.strategy, None);
        assert_eq!(config.secrets_manager_endpoint, None);
        assert_eq!(config.password_rules, Ok(PasswordRules::default()));
    }

    #[test]
    fn the_references_variables_keep_their_meaning() {
        let environment = Environment::from([
            (
                "SECRETS_MANAGER_ENDPOINT",
                "https://secretsmanager.eu-west-2.amazonaws.com",
            ),
            ("PASSWORD_LENGTH", "48"),
            ("EXCLUDE_PUNCTUATION", "YES"),
            // The reference's parser takes `on` for false, here and for what is on by default.
            ("EXCLUDE_NUMBERS", "on"),
            ("REQUIRE_EACH_INCLUDED_TYPE", "on"),
        ]);
        let rules = Config::from_environment(&environment)
            .unwrap()
            .password_rules
            .unwrap();
        assert_eq!(rules.length, 48);
        assert!(rules.exclude_punctuation);
        assert!(!rules.exclude_numbers);
        assert!(!rules.require_each_included_type);
    }

    #[test]
    fn the_references_variables_count_as_set_even_when_empty() {
        let environment = Environment::from([
            ("EXCLUDE_CHARACTERS", ""),
            ("REQUIRE_EACH_INCLUDED_TYPE", ""),
        ]);
        let config = Config::from_environment(&environment).unwrap();
        let rules = config.password_rules.unwrap();
        assert_eq!(rules.exclude_characters, "");
        assert!(!rules.require_each_included_type);
    }

    #[test]
    fn a_wrong_password_length_does_not_stop_the_other_steps() {
        let environment = Environment::from([("PASSWORD_LENGTH", "long")]);
        let config = Config::from_environment(&environment).unwrap();
        assert_eq!(
            config.password_rules.unwrap_err().error_type(),
            "ValueError"
        );
    }

    #[test]
    fn the_strategy_counts_as_chosen_only_when_it_is_set() {
        let environment = Environment::from([("ROTATION_STRATEGY", "single-user")]);
        let config = Config::from_environment(&environment).unwrap();
        assert_eq!(config.strategy, Some(RotationStrategy::SingleUser));
    }

    #[test]
    fn the_master_repairs_only_what_is_named_whole() {
        let expected = |host, user| {
            let environment = Environment::from([("DB_HOST", host), ("BOOTSTRAP_USER", user)]);
            Config::from_environment(&environment).unwrap().expected
        };
        assert_eq!(expected("", ""), None);
        assert_eq!(expected("db", ""), None);
        assert_eq!(expected("", "app"), None);
        let both = expected("db", "app").unwrap();
        assert_eq!((both.host.as_str(), both.username.as_str()), ("db", "app"));
        assert_eq!(both.master, None);
    }

    #[test]
    fn the_master_sets_up_a_database_only_where_all_is_named() {
        let all = [
            ("DB_HOST", "db"),
            ("BOOTSTRAP_USER", "app"),
            ("BOOTSTRAP_SECRET", "arn:master"),
            ("TURNKEEP_SECRET", "app-secret"),
        ];
        let master = |variables| {
            let config = Config::from_environment(&Environment::from(variables)).unwrap();
            config.expected.and_then(|expected| expected.master)
        };
        assert_eq!(master(all).as_deref(), Some("arn:master"));
        for left_out in 0..all.len() {
            let mut variables = all;
            variables[left_out].1 = "";
            assert_eq!(master(variables), None, "{}", all[left_out].0);
        }
        let config = Config::from_environment(&Environment::from(all)).unwrap();
        let stranger = |name: &str, read: &str| {
            let mut secret = SecretDescription::default();
            secret.name = name.to_owned();
            let read = DatabaseSecret::parse(&read.to_owned().into()).ok();
            config.stranger(&secret, read.as_ref())
        };
        let refused = |what| Some(Refusal::NotExpected(what));
        let own = r#"{"engine":"postgres","host":"db","username":"app","password":"p","masterarn":"arn:master"}"#;
        assert_eq!(stranger("app-secret", ""), None);
        assert_eq!(stranger("app-secret", own), None);
        assert_eq!(stranger("other", own), refused("ARN"));
        let edited = own.replace(r#""app""#, r#""somebody""#);
        assert_eq!(stranger("app-secret", &edited), refused("username"));
    }

    #[test]
    fn what_is_not_in_this_version_is_refused_with_every_other_problem() {
        let environment = Environment::from([
            ("FAST_PROMOTION", "yes"),
            ("PASSWORD_SOURCE", "dice"),
            ("ROTATION_STRATEGY", "two-users"),
            ("REQUIRE_TLS", "no"),
            ("RECOVERY_VERSIONS", "101"),
            ("CONNECT_BUDGET_SECONDS", "0"),
            ("DB_PORT", "0"),
            ("SECRETS_MANAGER_ENDPOINT", "secretsmanager"),
        ]);
        let error = Config::from_environment(&environment).unwrap_err();
        insta::assert_snapshot!(error.problems().join("\n"), @r"
        `ROTATION_STRATEGY`: `two-users` is not accepted, accepted: `single-user` or `alternating-users`
        `SECRETS_MANAGER_ENDPOINT`: `secretsmanager` is not accepted, accepted: a URL
        `PASSWORD_SOURCE`: `dice` is not accepted, accepted: `api` (`GetRandomPassword`) or `local` (the operating system's random source)
        `FAST_PROMOTION`: `yes` is not accepted, accepted: `true` or `false`
        `RECOVERY_VERSIONS`: `101` is not accepted, accepted: a number from 0 to 100; 0 switches the search off
        `REQUIRE_TLS`: `no` is not accepted, accepted: `true` or `false`
        `CONNECT_BUDGET_SECONDS`: `0` is not accepted, accepted: a number from 1 to 900
        `DB_PORT`: `0` is not accepted, accepted: a number from 1 to 65535
        ");
    }
}
