//! The functions as the template deploys them, and the queue and the secret that they begin with.
//!
//! `functions.json` is what the evaluated template says: `make docs-template` writes it, `make check-template` compares it.
//! What only a deployment knows stands there in angle brackets and is filled in from [`Referred`]. What a function is told
//! here all the same that no template tells it is `laid_over`, and nothing else; a test says itself what it changes.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::{Database, Error, Function};

const DOCUMENT: &str = include_str!("functions.json");

/// What is there before the template is deployed, as far as it decides what the functions are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deployment {
    /// Nothing: two users take turns, and the first rotation makes them through the master.
    New,
    /// A cluster and a secret without a master, as AWS's function for a single user leaves them.
    Existing,
}

/// What the template refers to. What is empty must not be referred to.
#[derive(Debug, Clone, Copy)]
pub struct Referred<'a> {
    /// The cluster's database.
    pub database: &'a Database,
    /// Name or ARN of the application's secret.
    pub secret: &'a str,
    /// ARN of the master's secret.
    pub master_secret: &'a str,
    /// The archive.
    pub bucket: &'a str,
    /// The application's user instead of the template's: see `laid_over`.
    pub user: Option<&'a str>,
}

impl<'a> Referred<'a> {
    /// A database and its application's secret, with the template's user.
    pub fn new(database: &'a Database, secret: &'a str) -> Self {
        Self {
            database,
            secret,
            master_secret: "",
            bucket: "",
            user: None,
        }
    }

    /// A text of the template with its references filled in.
    fn fill_in(&self, text: &str) -> Result<String, Error> {
        let reference = text
            .strip_prefix('<')
            .and_then(|text| text.strip_suffix('>'));
        let Some(reference) = reference else {
            return Ok(text.to_owned());
        };
        let server = &self.database.server;
        let value = match reference {
            "Cluster.Endpoint.Address" | "ExistingClusterHost" => server.host.clone(),
            "DatabasePort" => server.port.to_string(),
            "DatabaseName" => self.database.name.clone(),
            "ApplicationSecretAddress" | "ExistingSecretArn" => self.secret.to_owned(),
            "Cluster.MasterUserSecret.SecretArn" => self.master_secret.to_owned(),
            "ConversationsBucket" => self.bucket.to_owned(),
            _ => String::new(),
        };
        if value.is_empty() {
            return Err(Error::Setting {
                name: reference.to_owned(),
                reason: "the template refers to it, and nothing local is in its place".to_owned(),
            });
        }
        Ok(value)
    }
}

/// How the template's queue delivers what `conversation-capture` could not keep.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Queue {
    /// Messages in one batch.
    pub batch_size: usize,
    /// How often a message is received before it goes to the dead letters.
    pub max_receive_count: u32,
    /// Whether a reply may name the messages that failed.
    pub reports_items: bool,
    /// Seconds until a message that was received, and neither kept nor given up, is there again.
    pub visibility_timeout: u64,
}

#[derive(Deserialize)]
struct Document {
    functions: Functions,
    queue: Queue,
    reachable: Vec<String>,
    secret: Value,
}

#[derive(Deserialize)]
struct Functions {
    new: BTreeMap<String, Settings>,
    existing: BTreeMap<String, Settings>,
}

/// What the template says of a function.
#[derive(Deserialize)]
struct Settings {
    log_format: String,
    log_level: String,
    memory: u32,
    timeout: u64,
    variables: BTreeMap<String, String>,
}

/// The queue of the captures.
pub fn queue() -> Result<Queue, Error> {
    Ok(document()?.queue)
}

/// The services that an endpoint of the VPC leads to, by the names in their addresses: the functions reach no other.
pub fn reachable() -> Result<Vec<String>, Error> {
    Ok(document()?.reachable)
}

/// The application's secret of a new stack, without the password that Secrets Manager adds and what its attachment to the
/// cluster adds.
pub fn secret(referred: &Referred<'_>) -> Result<Value, Error> {
    let mut secret = document()?.secret;
    for value in secret
        .as_object_mut()
        .into_iter()
        .flat_map(|it| it.values_mut())
    {
        if let Value::String(text) = value {
            *text = referred.fill_in(text)?;
        }
    }
    Ok(secret)
}

/// Gives a function what the template gives it.
pub(super) fn apply(
    function: Function,
    deployment: Deployment,
    referred: &Referred<'_>,
) -> Result<Function, Error> {
    let functions = document()?.functions;
    let mut functions = match deployment {
        Deployment::New => functions.new,
        Deployment::Existing => functions.existing,
    };
    let settings = functions
        .remove(&function.name)
        .ok_or_else(|| Error::NoFunction(function.name.clone()))?;
    let mut variables = BTreeMap::new();
    for (name, value) in &settings.variables {
        variables.insert(name.clone(), referred.fill_in(value)?);
    }
    variables.extend(laid_over(&settings, referred));
    Ok(function
        .variables(variables)
        .timeout(Duration::from_secs(settings.timeout))
        .memory(settings.memory))
}

/// The variables that differ here from the template's, besides the AWS API's address, its region and its credentials, which
/// every local process is given.
///
/// | variable | why |
/// |---|---|
/// | `DB_CA_BUNDLE` | the local server's certificate has a root of its own, not one of Amazon RDS |
/// | `BOOTSTRAP_USER` | a server's roles are shared by its databases, so tests that share a server have each a user of their own |
/// | `AWS_LAMBDA_LOG_FORMAT`, `AWS_LAMBDA_LOG_LEVEL` | Lambda sets them, from the template's `LoggingConfig` |
fn laid_over(settings: &Settings, referred: &Referred<'_>) -> Vec<(String, String)> {
    let roots = referred.database.server.ca_file.to_string_lossy();
    let mut variables = vec![
        ("DB_CA_BUNDLE".to_owned(), roots.into_owned()),
        (
            "AWS_LAMBDA_LOG_FORMAT".to_owned(),
            settings.log_format.clone(),
        ),
        (
            "AWS_LAMBDA_LOG_LEVEL".to_owned(),
            settings.log_level.clone(),
        ),
    ];
    let has_user = settings
        .variables
        .get("BOOTSTRAP_USER")
        .is_some_and(|user| !user.is_empty());
    if let Some(user) = referred.user.filter(|_| has_user) {
        variables.push(("BOOTSTRAP_USER".to_owned(), user.to_owned()));
    }
    variables
}

fn document() -> Result<Document, Error> {
    serde_json::from_str(DOCUMENT).map_err(|wrong| Error::Setting {
        name: "functions.json".to_owned(),
        reason: wrong.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::{Credentials, Server};
    use crate::stack::{CAPTURE, ROTATION};

    fn database() -> Database {
        Database {
            server: Server {
                host: "127.0.0.1".to_owned(),
                port: 6000,
                version: 17,
                ca_file: "/roots.pem".into(),
                log_file: "/log".into(),
                superuser: Credentials::generate("superuser"),
                master: Credentials::generate("master"),
            },
            name: "conversations".to_owned(),
        }
    }

    #[test]
    fn every_reference_of_the_template_has_something_local_in_its_place() {
        let database = database();
        let referred = Referred {
            master_secret: "arn:master",
            bucket: "archive",
            user: Some("app_7"),
            ..Referred::new(&database, "arn:secret")
        };
        let applied = |name, deployment| {
            let function = Function::binary(name, "/bin/false");
            apply(function, deployment, &referred).expect("it is whole")
        };
        let capture = applied(CAPTURE, Deployment::New);
        assert_eq!(
            capture.variables,
            applied(CAPTURE, Deployment::Existing).variables
        );
        let new = applied(ROTATION, Deployment::New).variables;
        assert_eq!(new["DB_PORT"], "6000");
        assert_eq!(new["TURNKEEP_SECRET"], "arn:secret");
        assert_eq!(new["BOOTSTRAP_SECRET"], "arn:master");
        assert_eq!(new["BOOTSTRAP_USER"], "app_7");
        let existing = applied(ROTATION, Deployment::Existing).variables;
        assert_eq!(existing["BOOTSTRAP_USER"], "", "there is no master");
        assert_eq!(
            secret(&referred).expect("it is whole")["masterarn"],
            "arn:master"
        );
        for variables in [&capture.variables, &new, &existing] {
            assert!(variables.values().all(|value| !value.contains('<')));
        }
    }

    #[test]
    fn what_is_referred_to_and_not_there_is_named() {
        let database = database();
        let function = Function::binary(CAPTURE, "/bin/false");
        let refused = apply(
            function,
            Deployment::New,
            &Referred::new(&database, "secret"),
        );
        let refused = refused.expect_err("no bucket is given").to_string();
        assert!(refused.starts_with("ConversationsBucket:"), "{refused}");
    }
}
