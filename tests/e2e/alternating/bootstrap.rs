//! The first rotation on an empty database, and what it must not be talked into.

use std::net::SocketAddr;

use local::FaultProxy;
use local::secrets_manager::Step;
use local::stack::template::Deployment;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::capture::turn;
use crate::operator::found;
use crate::system::{ROTATION, SECRET, System};

impl System {
    /// The application's secret as a template makes it: with a password that no database has yet.
    fn new_secret(&self) -> Value {
        let credentials = self.new_credentials();
        let text = self.database.secret(&credentials);
        let mut secret: Value = serde_json::from_str(text.expose_secret()).unwrap();
        secret["masterarn"] = json!(self.master_secret);
        secret
    }

    /// Lets the first rotation set the database up, as in a new stack.
    fn allow_bootstrap(&self, strategy: &str, more: &[(&str, &str)]) {
        let function = self
            .function(ROTATION, Deployment::New)
            .variable("ROTATION_STRATEGY", strategy)
            .variables(more.iter().copied());
        self.stack.functions().define(function).unwrap();
    }

    /// Puts a version of a secret with this label; its id.
    pub async fn put(&self, secret_id: &str, stage: &str, secret: &Value) -> String {
        let client = aws_sdk_secretsmanager::Client::new(&self.stack.sdk_config());
        let put = client
            .put_secret_value()
            .secret_id(secret_id)
            .secret_string(secret.to_string())
            .version_stages(stage);
        put.send().await.unwrap().version_id().unwrap().to_owned()
    }
}

#[tokio::test]
async fn the_first_rotation_sets_an_empty_database_up() {
    for strategy in ["single-user", "alternating-users"] {
        let system = System::empty("bootstrap").await;
        let secret = system.new_secret().to_string();
        system.stack.create_secret(SECRET, &secret.into()).unwrap();
        system.allow_bootstrap(strategy, &[]);
        for number in 0..2 {
            system.rotate().await;
            assert!(system.opens("AWSCURRENT").await, "{strategy}");
            let stored = system.capture(&turn("c", number)).await;
            assert_eq!(stored["status"], "stored", "{strategy}");
        }
        let logins = "SELECT count(*) FROM pg_roles WHERE rolcanlogin AND rolname = ANY ($1)";
        let names = [
            system.application.clone(),
            format!("{}_clone", system.application),
        ];
        let expected = if strategy == "single-user" { 1 } else { 2 };
        assert_eq!(system.number(logins, &[&&names[..]]).await, expected);
    }
}

#[tokio::test]
async fn without_the_expected_secret_the_first_rotation_makes_nothing() {
    let system = System::empty("no_bootstrap").await;
    system.announce("CURRENT_REFUSED");
    let secret = system.new_secret().to_string();
    system.stack.create_secret(SECRET, &secret.into()).unwrap();
    system.define_rotation(&[
        ("ROTATION_STRATEGY", "alternating-users"),
        ("BOOTSTRAP_SECRET", &system.master_secret),
    ]);
    let (token, _hold) = system.rotation_before(Step::SetSecret).await;
    let (kind, _) = system
        .refused(ROTATION, &system.step("setSecret", &token).await)
        .await;
    assert_eq!(kind, "ValueError");
    let roles = "SELECT count(*) FROM pg_roles WHERE rolname = $1";
    assert_eq!(system.number(roles, &[&system.application]).await, 0);
}

/// An event that somebody sends who may invoke the function or write the secret, but must not get at the master's rights.
struct Hostile {
    name: &'static str,
    /// What is put as the current and as the pending version.
    current: Value,
    pending: Value,
    /// Step and token that differ from `setSecret` of the pending version.
    step: &'static str,
    token: Option<&'static str>,
    /// The code that is logged, and what the caller is told.
    code: &'static str,
    says: &'static str,
}

fn hostile(system: &System) -> Vec<Hostile> {
    let good = system.new_secret();
    let clone = |secret: &Value| {
        let mut clone = secret.clone();
        clone["username"] = json!(format!("{}_clone", secret["username"].as_str().unwrap()));
        clone
    };
    let edited = |key: &str, value: Value| {
        let mut secret = good.clone();
        secret[key] = value;
        secret
    };
    let master = json!(system.stack.server().master().username);
    let event = |name, current: Value, pending: Value| Hostile {
        name,
        current,
        pending,
        step: "setSecret",
        token: None,
        code: "NOT_EXPECTED",
        says: "configured for one application",
    };
    let both = |name, key, value| {
        let secret = edited(key, value);
        event(name, secret.clone(), clone(&secret))
    };
    let whole = || event("", good.clone(), clone(&good));
    vec![
        both("another host", "host", json!("localhost")),
        both("another user", "username", json!("somebody")),
        both("the master as the user", "username", master),
        both(
            "another master",
            "masterarn",
            json!("arn:aws:secretsmanager:us-east-1:000000000000:secret:evil"),
        ),
        both("no master", "masterarn", Value::Null),
        event("a pending version for another host", good.clone(), {
            let mut pending = clone(&good);
            pending["host"] = json!("localhost");
            pending
        }),
        event(
            "a pending version for another user",
            good.clone(),
            clone(&edited("username", json!("somebody"))),
        ),
        Hostile {
            name: "a promotion of another user",
            step: "finishSecret",
            ..event(
                "",
                good.clone(),
                clone(&edited("username", json!("somebody"))),
            )
        },
        Hostile {
            name: "a test of another host",
            step: "testSecret",
            ..event("", good.clone(), clone(&edited("host", json!("localhost"))))
        },
        Hostile {
            name: "another engine",
            code: "CURRENT_INVALID",
            says: "Database engine must be set",
            ..both("", "engine", json!("mysql"))
        },
        Hostile {
            name: "a version that was superseded",
            token: Some("AWSPREVIOUS"),
            code: "VERSION_NOT_PENDING",
            says: "not set as AWSPENDING",
            ..whole()
        },
        Hostile {
            name: "a version that does not exist",
            token: Some("nowhere"),
            code: "VERSION_WITHOUT_STAGE",
            says: "has no stage",
            ..whole()
        },
        Hostile {
            name: "a step that does not exist",
            step: "dropSecret",
            code: "INVALID_STEP",
            says: "Invalid step parameter",
            ..whole()
        },
    ]
}

#[tokio::test]
async fn hostile_events_are_refused_before_any_connection() {
    let system = System::empty("hostile").await;
    let first = system.new_secret().to_string();
    system.stack.create_secret(SECRET, &first.into()).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], system.database.server.port));
    let proxy = FaultProxy::start(address).await.unwrap();
    system.allow_bootstrap(
        "alternating-users",
        &[("DB_PORT", &proxy.port().to_string())],
    );
    let events = hostile(&system);
    for event in &events {
        system.announce(event.code);
        system.put(SECRET, "AWSCURRENT", &event.current).await;
        let pending = system.put(SECRET, "AWSPENDING", &event.pending).await;
        let token = match event.token {
            None => pending,
            Some("AWSPREVIOUS") => system.version("AWSPREVIOUS").unwrap(),
            Some(other) => other.to_owned(),
        };
        let (_, message) = system
            .refused(ROTATION, &system.step(event.step, &token).await)
            .await;
        assert!(message.contains(event.says), "{}: {message}", event.name);
    }

    // Another secret that looks the same, and another master for the step `migrate`.
    let foreign = system.new_secret();
    let foreign_arn = system
        .stack
        .create_secret("foreign", &foreign.to_string().into())
        .unwrap();
    let token = system.put(&foreign_arn, "AWSPENDING", &foreign).await;
    system.announce("MASTER_NOT_CONFIGURED");
    for event in [
        json!({"Step": "setSecret", "SecretId": foreign_arn, "ClientRequestToken": token}),
        json!({"Step": "migrate", "SecretId": SECRET, "MasterSecretId": foreign_arn}),
    ] {
        system.refused(ROTATION, &event).await;
    }
    // The operator's steps that log in, for that secret and for one that was edited.
    let mut edited = system.new_secret();
    edited["username"] = json!("somebody");
    system.put(SECRET, "AWSCURRENT", &edited).await;
    for (secret_id, what) in [(foreign_arn.as_str(), "ARN"), (SECRET, "username")] {
        let order = |step: &str| json!({"Step": step, "SecretId": secret_id});
        let (code, message) = system.refused(ROTATION, &order("recover")).await;
        assert_eq!(code, "NOT_EXPECTED", "{message}");
        assert!(message.ends_with(what), "{message}");
        let report = system.ordered(&order("preflight")).await;
        assert!(found(&report).contains(&"NOT_EXPECTED"), "{report}");
        assert!(!report["unchecked"].as_array().unwrap().is_empty());
    }
    assert!(events.len() + 2 >= 12);
    assert_eq!(proxy.counters().accepted, 0);
    let roles = "SELECT count(*) FROM pg_roles WHERE rolname ~ $1";
    assert_eq!(system.number(roles, &[&system.application]).await, 0);
}
