//! The failure model of a rotation: each row has a test whose name begins with the row's id.
//!
//! Crashes and lost answers come from outside the function: a proxy before PostgreSQL, stops in the API, `kill -9`. The same
//! at random is `chaos`.
//!
//! | rows | where |
//! |---|---|
//! | C1 to C7 (createSecret) | `failure_model/create.rs` |
//! | S1 to S9 (setSecret: crashes, concurrency, what is left) | `failure_model/set.rs` |
//! | S12, S14, S16 to S18, S21 (setSecret: what it meets), T1, T3, X3 to X5 | `failure_model/meet.rs` |
//! | S10, S13 (a password without a label), S15 (a role that expires), F6 (replicas) | `rotation/recovery.rs`, `log.rs`, `replicas.rs` |
//! | S10, S11, S13, X2 (an operator's `recover`), C8 (a test of the configuration) | `operator/recover.rs`, `preflight.rs` |
//! | S19, S20, X8 (alternating users) | `alternating.rs`, `alternating/rotation.rs` |
//! | T2 (a reader that lags) | `failure_model/reader.rs` |
//! | F1 to F5 (finishSecret), X1, X6, X7 | `failure_model/finish.rs` |

mod create;
mod finish;
mod meet;
mod reader;
mod set;

use local::lambda::Invoked;
use local::{FaultProxy, Flight, StackOptions, Stop};
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::rotation_tls::Authority;
use crate::system::{PATIENCE, ROTATION, ROTATION_ARN, SECRET, System};

/// The rows that have a test.
const ROWS: [&str; 46] = [
    "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8",
    "s9", "s10", "s11", "s12", "s13", "s14", "s15", "s16", "s17", "s18", "s19", "s20", "s21", "t1",
    "t2", "t3", "f1", "f2", "f3", "f4", "f5", "f6", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8",
];

/// A database proxy that the rotation goes through, and which answer is which in the `setSecret` of a cold environment. (A
/// warm one knows already which key share the server wants, and saves a flight.)
pub struct Between {
    pub proxy: FaultProxy,
    /// How many answers one login has.
    pub login: u64,
    /// The one that says that the lock on the role is held.
    pub lock: u64,
    /// The one to the commit.
    pub commit: u64,
}

/// Expects an invocation to have ended well, else shows what it answered.
#[track_caller]
fn went_well(invoked: &Invoked) {
    let answer = String::from_utf8_lossy(&invoked.payload);
    assert_eq!(invoked.function_error, None, "{answer}");
}

impl System {
    /// Puts a proxy between the rotation and the database, and looks what the server has done at each answer of a rotation
    /// without faults.
    pub async fn between(&self) -> Between {
        let proxy = FaultProxy::start(self.database_address()).await.unwrap();
        self.define_rotation(&[("DB_PORT", &proxy.port().to_string())]);
        let login = self.login_flights(&proxy).await;
        let token = self.begun().await;
        // One question on one connection: what stands still has its own time-outs.
        let superuser = self.database.superuser().await.unwrap();
        let look = async || {
            let query = "SELECT rolpassword, (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted
                AND database = (SELECT oid FROM pg_database WHERE datname = $2)) FROM pg_authid WHERE rolname = $1";
            let parameters = &[&self.application, &self.database.name];
            let row = superuser
                .query_one(query, &[parameters[0], parameters[1]])
                .await
                .unwrap();
            (row.get::<_, String>(0), row.get::<_, i64>(1) > 0)
        };
        let (verifier, _) = look().await;
        let mut locked_at = None;
        let (mut nth, mut stop) = (1, proxy.stop_at(Flight::Answer, 1));
        let call = tokio::spawn(self.invoke(ROTATION, &self.step("setSecret", &token).await));
        let commit = loop {
            stop.reached(PATIENCE).await.unwrap();
            let (seen, locked) = look().await;
            if locked_at.is_none() && locked {
                locked_at = Some(nth);
            }
            if seen != verifier {
                break nth;
            }
            nth += 1;
            stop = proxy.stop_at(Flight::Answer, 1);
        };
        drop(stop);
        assert_eq!(call.await.unwrap().function_error, None);
        self.go_on(&token, &["testSecret", "finishSecret"]).await;
        self.cool();
        Between {
            proxy,
            login,
            lock: locked_at.unwrap(),
            commit,
        }
    }

    /// A whole system whose server also takes plaintext: that of an impostor which ends its clients' TLS.
    pub async fn for_tunnels(hint: &str) -> Self {
        let options = StackOptions::from_environment()
            .unwrap()
            .own_postgres(|server| {
                server.authentication("host all all 127.0.0.1/32 scram-sha-256\n")
            });
        let system = Self::with(options, hint).await;
        system.create_tables().await;
        system
    }

    /// A file with the roots of the server and of `authority`.
    pub fn roots_and(&self, authority: &Authority) -> NamedTempFile {
        let roots = std::fs::read_to_string(&self.database.server.ca_file).unwrap();
        let bundle = NamedTempFile::new_in(self.stack.log_directory()).unwrap();
        std::fs::write(bundle.path(), format!("{roots}\n{}", authority.pem)).unwrap();
        bundle
    }

    /// Lets the next invocation be a cold start.
    pub fn cool(&self) {
        self.stack.functions().retire(ROTATION);
    }

    /// How many answers of the server a login takes.
    pub async fn login_flights(&self, proxy: &FaultProxy) -> u64 {
        let before = proxy.counters().server_flights;
        let mut server = self.database.server.clone();
        server.port = proxy.port();
        let client = server.superuser(&self.database.name).await.unwrap();
        let flights = proxy.counters().server_flights - before;
        drop(client);
        flights
    }

    /// Begins a rotation whose steps the test calls.
    pub fn begin(&self) -> String {
        let token = format!("by-hand-{}", digits());
        let secrets_manager = self.stack.secrets_manager();
        secrets_manager
            .reserve(SECRET, &token, ROTATION_ARN)
            .unwrap();
        token
    }

    /// Begins a rotation and makes its password.
    pub async fn begun(&self) -> String {
        let token = self.begin();
        self.step_succeeds("createSecret", &token).await;
        token
    }

    /// Expects these steps to succeed; with `finishSecret` among them the rotation is over.
    pub async fn go_on(&self, token: &str, steps: &[&str]) {
        for step in steps {
            self.step_succeeds(step, token).await;
        }
        if steps.contains(&"finishSecret") {
            assert!(self.stack.secrets_manager().complete(SECRET, token));
            assert_eq!(self.version("AWSCURRENT").as_deref(), Some(token));
            assert!(self.opens("AWSCURRENT").await);
        }
    }

    /// All four steps, as the service calls them again after a failure.
    pub async fn whole_rotation(&self, token: &str) {
        self.go_on(
            token,
            &["createSecret", "setSecret", "testSecret", "finishSecret"],
        )
        .await;
    }

    /// Invokes a step and kills the function `here`; what stands there does not go on.
    pub async fn killed_at(&self, mut here: Stop, step: &str, token: &str) {
        let call = tokio::spawn(self.invoke(ROTATION, &self.step(step, token).await));
        here.reached(PATIENCE).await.unwrap();
        self.stack.functions().kill(ROTATION);
        here.cut();
        let payload = call.await.unwrap().payload;
        let error: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(error["errorType"], "Runtime.ExitError", "{step}: {error}");
    }

    /// Takes the label off a rotation whose `setSecret` holds the lock on the role, and expects that step to fail; what it
    /// answers.
    pub async fn loses_its_label_under_the_lock(&self, between: &Between) -> String {
        let token = self.begun().await;
        self.cool();
        let mut stop = between.proxy.stop_at(Flight::Answer, between.lock);
        let call = tokio::spawn(self.invoke(ROTATION, &self.step("setSecret", &token).await));
        stop.reached(PATIENCE).await.unwrap();
        self.remove_pending(&token).await;
        drop(stop);
        let invoked = call.await.unwrap();
        assert!(invoked.function_error.is_some(), "{token}");
        String::from_utf8_lossy(&invoked.payload).into_owned()
    }

    /// Whether the database still accepts what is current, and not what is being made.
    pub async fn nothing_has_changed(&self) -> bool {
        self.opens("AWSCURRENT").await && !self.opens("AWSPENDING").await
    }
}

/// 32 characters that nobody used.
fn digits() -> String {
    (0..32).map(|_| fastrand::digit(10)).collect()
}

#[test]
fn each_row_has_a_test_that_begins_with_its_id() {
    let root = local::Checkout::find().unwrap().root().join("tests/e2e");
    let (mut folders, mut sources) = (vec![root], String::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources += &std::fs::read_to_string(path).unwrap();
            }
        }
    }
    for row in ROWS {
        let name = format!("async fn {row}_");
        assert!(sources.contains(&name), "row {row} has no test");
    }
}
