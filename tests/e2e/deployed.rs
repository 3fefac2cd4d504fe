//! A stack that was deployed a moment ago: an empty database, a secret with a password that no database has, and the two
//! functions with exactly what the template gives them (`local::stack::template`).
//!
//! The first rotation makes the roles and the tables through the master. Captures that come before it fail, and wait in the
//! queue until it is over: `queue` delivers to the real function, by the template's settings and a clock of its own. By
//! these a capture is received when it arrives and every `VisibilityTimeout` from then on: in a first rotation that takes
//! N seconds 1 + N / 360 times, and it is given up behind the `maxReceiveCount`th, so a first rotation may take
//! 15 * 360 = 5,400 seconds before one is lost to the dead letters. Its four steps have 4 * 90 seconds.
//!
//! What the first rotation must not be talked into is `alternating::bootstrap::hostile_events`, in the same environment.

mod queue;

use std::collections::BTreeSet;

use local::StackOptions;
use local::stack::template::{self, Deployment};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use store::migrate::MIGRATIONS;

use crate::capture::turn;
use crate::operator::document;
use crate::system::{CAPTURE, ROTATION, SECRET, System};
use queue::Queue;

/// A database's name in the template.
const DATABASE: &str = "ial_conversations";
/// The application's first user in the template.
const USER: &str = "ial_app";

impl System {
    /// What `sam deploy` leaves, up to the first rotation.
    async fn deployed() -> Self {
        let options = StackOptions::from_environment().unwrap();
        // Of its own, so that the users can have the template's names.
        let mut system = Self::with(options.own_postgres(|server| server), "deployed").await;
        system.database = system
            .stack
            .server()
            .create_database(DATABASE)
            .await
            .unwrap();
        USER.clone_into(&mut system.application);
        let secret = system.first_secret().to_string();
        system.stack.create_secret(SECRET, &secret.into()).unwrap();
        for name in [CAPTURE, ROTATION] {
            let function = system.function(name, Deployment::New);
            system.stack.functions().define(function).unwrap();
        }
        system
    }

    /// As CloudFormation makes it: the template's text, a generated password, and where the cluster is.
    fn first_secret(&self) -> Value {
        let text = self.database.secret(&self.new_credentials());
        let mut secret: Value = serde_json::from_str(text.expose_secret()).unwrap();
        let template = template::secret(&self.referred()).unwrap();
        for (name, value) in template.as_object().unwrap() {
            secret[name] = value.clone();
        }
        secret
    }

    /// Fails if a function has called what no endpoint of its VPC leads to.
    fn assert_only_endpoints_were_called(&self) {
        let reachable: BTreeSet<String> = template::reachable().unwrap().into_iter().collect();
        let calls = self.stack.gateway().calls();
        let of_functions = |name: &&str| [CAPTURE, ROTATION].contains(name);
        let mut called = BTreeSet::new();
        for call in &calls {
            if of_functions(&call.access_key.as_str()) {
                called.insert(call.service.to_lowercase());
            }
        }
        assert_eq!(called, reachable, "RDS, for one, cannot be asked");
    }
}

#[tokio::test]
async fn the_first_rotation_makes_everything_and_what_came_before_it_waited() {
    let system = System::deployed().await;
    system.announce("Capture.DatabaseUnavailable");
    let mut queue = Queue::new(template::queue().unwrap());
    for number in 0..3 {
        queue.send(&turn("early", number));
    }
    // It tries to log in for the whole of its budget, and answers before its own time is over.
    queue.deliver(&system).await;
    assert_eq!((queue.waiting(), queue.dead()), (3, 0));

    system.rotate().await;
    queue.send(&turn("early", 3));
    queue.pass_visibility_timeout();
    queue.deliver(&system).await;
    assert_eq!((queue.waiting(), queue.dead()), (0, 0));
    let messages = "SELECT count(*) FROM messages";
    assert_eq!(system.number(messages, &[]).await, 8);
    assert_eq!(system.objects("quarantine/").await, [""; 0]);

    let roles = "SELECT count(*) FROM pg_roles WHERE rolname = ANY ($1) AND rolcanlogin = $2";
    for (names, may_log_in) in [
        (["turnkeep_owner", "turnkeep_writer"], false),
        ([USER, "ial_app_clone"], true),
    ] {
        assert_eq!(system.number(roles, &[&&names[..], &may_log_in]).await, 2);
    }
    system.assert_only_endpoints_were_called();
}

/// A first rotation that takes as long as the queue waits, against the real function's failures.
#[tokio::test]
async fn a_capture_waits_for_an_hour_and_a_half_and_not_for_ever() {
    let system = System::deployed().await;
    system.announce("Capture.DatabaseUnavailable");
    // Each failure takes as long.
    let impatient = system.function(CAPTURE, Deployment::New);
    let impatient = impatient.variable("CONNECT_BUDGET_SECONDS", "1");
    system.stack.functions().define(impatient).unwrap();
    let settings = template::queue().unwrap();
    let seconds = u64::from(settings.max_receive_count - 1) * settings.visibility_timeout;
    assert_eq!(seconds, 5_400);
    let mut queue = Queue::new(settings.clone());
    queue.send(&turn("early", 0));
    for _ in 1..settings.max_receive_count {
        queue.deliver(&system).await;
        assert_eq!((queue.waiting(), queue.dead()), (1, 0));
        queue.pass_visibility_timeout();
    }
    let mut unlucky = queue.clone();
    unlucky.deliver(&system).await;
    unlucky.pass_visibility_timeout();
    unlucky.deliver(&system).await;
    assert_eq!((unlucky.waiting(), unlucky.dead()), (0, 1));

    system.rotate().await;
    queue.deliver(&system).await;
    assert_eq!((queue.waiting(), queue.dead()), (0, 0));
    assert_eq!(system.number("SELECT count(*) FROM messages", &[]).await, 2);
}

/// What is done, or to be done, with each migration.
fn actions(report: &Value) -> Vec<&str> {
    let migrations = report["migrations"].as_array().unwrap().iter();
    migrations
        .map(|one| one["action"].as_str().unwrap())
        .collect()
}

/// A newer version's migrations run inside the function, which alone reaches the database.
#[tokio::test]
async fn later_migrations_run_in_the_function() {
    let system = System::deployed().await;
    system.rotate().await;
    let create = ["create-tables", "--function", ROTATION, "--json"];
    let nothing = document(&system.turnkeep(&create).await, 0);
    assert_eq!(actions(&nothing), ["already_applied"; 2]);

    // The tables of the version before.
    let [first, ..] = MIGRATIONS else { panic!() };
    let older = format!(
        "SET ROLE turnkeep_owner;
         DROP TABLE implementations, messages, conversations, capture_events, erasures CASCADE;
         DELETE FROM schema_migrations WHERE version > 1;
         {}",
        first.sql
    );
    let superuser = system.database.superuser().await.unwrap();
    superuser.batch_execute(&older).await.unwrap();
    system.stack.gateway().clear_calls();
    let dry_run = [&create[..], &["--dry-run"]].concat();
    for arguments in [&dry_run[..], &create] {
        let report = document(&system.turnkeep(arguments).await, 0);
        assert_eq!(actions(&report), ["already_applied", "applied"]);
    }
    let stored = system.capture(&turn("c", 0)).await;
    assert_eq!(stored["status"], "stored");
    system.assert_only_endpoints_were_called();
}
