//! Where situations are played: a stack, a database, and the function under test.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use local::{Function, StackOptions, canary};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::file::Situation;
use super::names::Names;
use super::observe::{Observer, observation};
use super::wire::{self, Wire};
use crate::system::{ROTATION, ROTATION_ARN, System};

/// Who plays.
pub enum Player {
    /// `secret-rotation`.
    Ours,
    /// A program that runs AWS's function.
    Reference(PathBuf),
}

/// What the situations of a group share.
pub struct Scene {
    pub system: System,
    pub wire: Wire,
    pub master: tokio_postgres::Client,
    client: Client,
    observer: Observer,
    player: Player,
    /// Variables of every situation.
    variables: BTreeMap<String, String>,
    /// Those that the function has now.
    defined: Option<BTreeMap<String, String>>,
    /// Passwords by the name of their placeholder, each with its verifier.
    passwords: BTreeMap<String, (String, String)>,
    two_users: bool,
    number: u32,
}

impl Scene {
    /// Starts everything for a group.
    pub async fn start(group: &str, two_users: bool, plaintext: bool, player: Player) -> Self {
        let options = StackOptions::from_environment().unwrap();
        let options = if plaintext {
            options.own_postgres(|server| {
                server.authentication("host all all 127.0.0.1/32 scram-sha-256\n")
            })
        } else {
            options
        };
        let system = System::with(options, &format!("dropin{group}")).await;
        let wire = Wire::start(system.stack.gateway().address()).await;
        if group == "master" {
            wire::wake_rds(system.stack.gateway().address()).await;
        }
        let mut variables = BTreeMap::from(
            [
                ("AWS_ENDPOINT_URL_SECRETS_MANAGER", wire.endpoint.as_str()),
                ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
                (
                    "DB_CA_BUNDLE",
                    &system.database.server.ca_file.to_string_lossy(),
                ),
                ("SECRETS_MANAGER_ENDPOINT", &wire.endpoint),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        if two_users {
            let strategy = (
                "ROTATION_STRATEGY".to_owned(),
                "alternating-users".to_owned(),
            );
            variables.extend([strategy]);
        }
        let mut observer = Observer::of(&system).await;
        let mut passwords = BTreeMap::new();
        for version in ["current", "previous", "pending", "other"] {
            let role = system.stack.server().login_role(version, &[]).await;
            let role = role.unwrap();
            let name = format!("{version} password");
            let verifier = observer.know(&role.username, &name).await;
            let password = role.password.expose_secret().to_owned();
            passwords.insert(name, (password, verifier));
        }
        Self {
            client: Client::new(&system.stack.sdk_config()),
            master: system.database.master().await.unwrap(),
            observer,
            passwords,
            system,
            wire,
            player,
            variables,
            defined: None,
            two_users,
            number: 0,
        }
    }

    /// Plays a situation; what was observed of each step of the function.
    pub async fn play(&mut self, situation: &Situation) -> Vec<Value> {
        let given = &situation.given;
        let mut names = self.names(given);
        self.define(given, &names);
        self.make_role(given, &names).await;
        for statement in given["sql"].as_array().into_iter().flatten() {
            self.run(&names.fill(statement.as_str().unwrap())).await;
        }
        self.make_secret(given, &mut names).await;
        let secret = names.get("arn");
        let mut before = self.observer.look(&self.system, &secret, &mut names).await;
        let mut observed = Vec::new();
        for step in &situation.steps {
            let step = match step {
                Value::String(step) => json!({"step": step}),
                other => other.clone(),
            };
            if step["step"].is_string() {
                let event = event(&step, &names);
                self.system.stack.gateway().clear_calls();
                self.wire.take();
                let invoked = self.system.invoke(ROTATION, &event).await;
                let calls = self.calls(&names);
                let after = self.observer.look(&self.system, &secret, &mut names).await;
                observed.push(observation(&invoked, &calls, &before, &after, &names));
                before = after;
            } else {
                self.meanwhile(&step, &secret, &mut names).await;
                before = self.observer.look(&self.system, &secret, &mut names).await;
            }
        }
        observed
    }

    /// What others do between two steps.
    async fn meanwhile(&self, step: &Value, secret: &str, names: &mut Names) {
        if let Some(statement) = step["sql"].as_str() {
            self.run(&names.fill(statement)).await;
        } else if step["put"].is_object() {
            let text = self.document(&step["put"], "current", names);
            let put = self.client.put_secret_value().secret_id(secret);
            let put = put.secret_string(text).send().await.unwrap();
            names.add("edited", put.version_id().unwrap());
        } else if let Some(stage) = step["unlabel"].as_str() {
            self.unlabel(secret, &names.get("pending"), stage).await;
        } else if step["delete"] == true {
            let delete = self.client.delete_secret().secret_id(secret);
            delete.send().await.unwrap();
        } else {
            panic!("nobody knows what to do: {step}");
        }
    }

    fn names(&mut self, given: &Value) -> Names {
        self.number += 1;
        let server = &self.system.database.server;
        let mut names = Names::default();
        names.add("user", format!("dropin{}", digits(14)));
        names.add("database", &self.system.database.name);
        names.add("host", &server.host);
        names.add("port", server.port.to_string());
        names.add("mark", canary::PASSWORD);
        names.add("master", &server.master().username);
        names.add("master password", server.master().password.expose_secret());
        names.add("pending", format!("aaaaaaaa-{}", digits(27)));
        names.add("unknown", format!("bbbbbbbb-{}", digits(27)));
        for (name, (password, _)) in &self.passwords {
            names.add(name, password);
        }
        let user = names.fill(given["user"].as_str().unwrap_or("<user>"));
        names.user = user;
        names
    }

    /// Defines the function anew where its environment is another one.
    fn define(&mut self, given: &Value, names: &Names) {
        let mut variables = self.variables.clone();
        for (name, value) in given["environment"].as_object().into_iter().flatten() {
            match value.as_str() {
                Some(value) => variables.insert(name.clone(), names.fill(value)),
                None => variables.remove(name),
            };
        }
        if self.defined.as_ref() == Some(&variables) {
            return;
        }
        let program = match &self.player {
            Player::Ours => self.system.binary(ROTATION),
            Player::Reference(program) => program.clone(),
        };
        let function = Function::binary(ROTATION, program)
            .variables(variables.clone())
            .timeout(Duration::from_mins(1));
        self.system.stack.functions().define(function).unwrap();
        self.defined = Some(variables);
    }

    async fn make_role(&self, given: &Value, names: &Names) {
        let has = given["database"].as_str().unwrap_or("current");
        if has == "no role" {
            return;
        }
        // A verifier of SCRAM is bound to no role, and a new one takes time.
        let (_, verifier) = &self.passwords[&format!("{has} password")];
        let quoted = names.user.replace('"', "\"\"");
        self.run(&format!(
            "CREATE ROLE \"{quoted}\" LOGIN PASSWORD '{verifier}'"
        ))
        .await;
    }

    async fn run(&self, statement: &str) {
        let done = self.master.batch_execute(statement).await;
        done.unwrap_or_else(|refused| panic!("{statement}: {:?}", refused.as_db_error()));
    }

    async fn make_secret(&mut self, given: &Value, names: &mut Names) {
        let name = format!("drop-in-{}", self.number);
        if self.two_users || !given["master"].is_null() {
            let text = master_document(&given["master"], names);
            let mut create = self
                .client
                .create_secret()
                .name(format!("{name}-of-the-master"));
            for (key, value) in given["tags"].as_object().into_iter().flatten() {
                let tag = aws_sdk_secretsmanager::types::Tag::builder();
                create = create.tags(tag.key(key).value(value.as_str().unwrap()).build());
            }
            let created = create.secret_string(text).send().await.unwrap();
            names.add("master arn", created.arn().unwrap());
        }
        names.add("name", &name);
        let create = self.client.create_secret().name(&name);
        if given["current"]["binary"] == true {
            let blob = aws_sdk_secretsmanager::primitives::Blob::new(*b"binary");
            let created = create.secret_binary(blob).send().await.unwrap();
            names.add("arn", created.arn().unwrap());
            names.add("current", created.version_id().unwrap());
            self.reserve(&name, names);
            return;
        }
        let versions = ["previous", "current"].map(|version| {
            let wanted = version == "current" || !given[version].is_null();
            (version, wanted && given[version] != "none")
        });
        let mut made = false;
        for (version, _) in versions.into_iter().filter(|(_, wanted)| *wanted) {
            let text = self.document(&given[version], version, names);
            let id = if made {
                let put = self.client.put_secret_value().secret_id(&name);
                let put = put.secret_string(text).send().await.unwrap();
                put.version_id().unwrap().to_owned()
            } else {
                let created = create.clone().secret_string(text).send().await.unwrap();
                names.add("arn", created.arn().unwrap());
                created.version_id().unwrap().to_owned()
            };
            names.add(version, id);
            made = true;
        }
        if !made {
            let created = create.send().await.unwrap();
            names.add("arn", created.arn().unwrap());
        }
        if !given["unlabelled"].is_null() {
            let text = self.document(&given["unlabelled"], "other", names);
            let put = self.client.put_secret_value().secret_id(&name);
            let put = put.version_stages("AWSPENDING").secret_string(text);
            let version = put.send().await.unwrap().version_id().unwrap().to_owned();
            self.unlabel(&name, &version, "AWSPENDING").await;
            names.add("unlabelled", version);
        }
        let rotation = given["rotation"].as_str().unwrap_or("on");
        let token = names.get("pending");
        if rotation != "never" {
            self.reserve(&name, names);
        }
        if !given["pending"].is_null() {
            let text = self.document(&given["pending"], "pending", names);
            let put = self.client.put_secret_value().secret_id(&name);
            let put = put
                .client_request_token(&token)
                .version_stages("AWSPENDING");
            put.secret_string(text).send().await.unwrap();
        }
        if rotation == "off" {
            let cancel = self.client.cancel_rotate_secret().secret_id(&name);
            cancel.send().await.unwrap();
        }
    }

    /// As the service does before it calls the first step.
    fn reserve(&self, secret: &str, names: &Names) {
        let manager = self.system.stack.secrets_manager();
        let token = names.get("pending");
        manager.reserve(secret, &token, ROTATION_ARN).unwrap();
    }

    async fn unlabel(&self, secret: &str, version: &str, stage: &str) {
        let request = self.client.update_secret_version_stage().secret_id(secret);
        let request = request.version_stage(stage).remove_from_version_id(version);
        request.send().await.unwrap();
    }

    /// The value of a version: that of a database secret, with the changes that `given` names.
    fn document(&self, given: &Value, version: &str, names: &Names) -> String {
        let mut base = json!({
            "dbname": "<database>", "engine": "postgres", "host": "<host>", "password": format!("<{version} password>"),
            "port": "<port>", "username": names.user,
        });
        if self.two_users {
            base["masterarn"] = "<master arn>".into();
            if version == "pending" {
                base["username"] = alternate(&names.user).into();
            }
        }
        document(base, given, names)
    }

    /// What the function called, each with its parameters and the error that it got.
    fn calls(&self, names: &Names) -> Vec<String> {
        let mut heard = self.wire.take().into_iter();
        let calls = self.system.stack.gateway().calls().into_iter().map(|call| {
            let mut text = match call.service.as_str() {
                "SecretsManager" => {
                    let (operation, parameters) = heard.next().unwrap_or_default();
                    assert_eq!(operation, call.operation, "both listen to the same");
                    wire::words(&operation, parameters, names)
                }
                service => format!("{} {}", service.to_uppercase(), call.operation),
            };
            if let Some(error) = call.error {
                text = format!("{text}: {error}");
            }
            text
        });
        calls.collect()
    }
}

/// The other one of two users.
pub fn alternate(user: &str) -> String {
    let first = user.strip_suffix("_clone").map(str::to_owned);
    first.unwrap_or_else(|| format!("{user}_clone"))
}

fn master_document(given: &Value, names: &Names) -> String {
    let base = json!({
        "engine": "postgres", "host": "<host>", "password": "<master password>", "port": "<port>",
        "username": "<master>",
    });
    document(base, given, names)
}

fn event(step: &Value, names: &Names) -> Value {
    let token = names.get(step["token"].as_str().unwrap_or("pending"));
    let mut event =
        json!({"Step": step["step"], "SecretId": names.get("arn"), "ClientRequestToken": token});
    let members = event.as_object_mut().unwrap();
    for (key, value) in step["set"].as_object().into_iter().flatten() {
        members.insert(key.clone(), names.fill_value(value));
    }
    if let Some(key) = step["without"].as_str() {
        members.remove(key);
    }
    event
}

fn document(mut base: Value, given: &Value, names: &Names) -> String {
    if let Some(text) = given["text"].as_str() {
        return names.fill(text);
    }
    let members = base.as_object_mut().unwrap();
    for (key, value) in given["set"].as_object().into_iter().flatten() {
        members.insert(key.clone(), value.clone());
    }
    for key in given["without"].as_array().into_iter().flatten() {
        members.remove(key.as_str().unwrap());
    }
    // Written as Python does, so that only what is meant to be is different.
    let member = |(key, value): (&String, &Value)| {
        format!("{}: {}", Value::from(key.as_str()), names.fill_value(value))
    };
    let members: Vec<String> = members.iter().map(member).collect();
    format!("{{{}}}", members.join(", "))
}

fn digits(count: usize) -> String {
    (0..count)
        .map(|_| char::from(b'0' + fastrand::u8(..10)))
        .collect()
}
