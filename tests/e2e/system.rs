//! A deployed system of a test's own: database with tables, application's secret, bucket, both functions.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use local::canary;
use local::lambda::Invoked;
use local::stack::template::{Deployment, Referred};
pub use local::stack::{CAPTURE, ROTATION};
use local::{Credentials, Database, Function, Stack, StackOptions};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::process::Command;
use tokio_postgres::types::ToSql;

use crate::evidence::Evidence;

/// Name of the application's secret, as a user who names nothing gets it.
pub const SECRET: &str = "ial-aurora-master-secret";
/// ARN of the rotation function.
pub const ROTATION_ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:secret-rotation";

/// What most tests lay over the template's variables; `deployed` does not.
const LAID_OVER: [(&str, &str); 1] = [
    // The template's waits for a cluster that has paused. Whoever takes the database away would wait as long each time.
    ("CONNECT_BUDGET_SECONDS", "8"),
];

/// A system as `turnkeep create-tables` leaves it.
pub struct System {
    pub stack: Stack,
    pub database: Database,
    pub bucket: String,
    /// ARN of the master user's secret.
    pub master_secret: String,
    /// Name of the application's login role: roles are shared by the databases of a server, so each test has its own.
    pub application: String,
    evidence: Arc<Evidence>,
}

impl System {
    /// Starts a stack and an empty database with the master user's secret; no tables, no application's secret.
    pub async fn empty(hint: &str) -> Self {
        Self::with(StackOptions::from_environment().unwrap(), hint).await
    }

    /// As [`System::empty`], with options for the stack.
    pub async fn with(options: StackOptions, hint: &str) -> Self {
        let stack = Stack::start(options).await.unwrap();
        let database = stack.database(hint).await.unwrap();
        let bucket = stack.bucket(hint).await.unwrap();
        let master_secret = stack.master_secret().unwrap();
        let application = format!("app_{}", database.name);
        let system = Self {
            stack,
            database,
            bucket,
            master_secret,
            application,
            evidence: Arc::default(),
        };
        system.define_capture(&[]);
        system.define_rotation(&[]);
        system
    }

    /// Starts a whole system: `turnkeep create-tables` has made tables, roles and the application's secret.
    pub async fn start(hint: &str) -> Self {
        let system = Self::empty(hint).await;
        system.create_tables().await;
        system
    }

    /// Makes tables, roles and the application's secret with `turnkeep`.
    pub async fn create_tables(&self) {
        let port = self.database.server.port.to_string();
        let arguments = [
            "create-tables",
            "--master-secret",
            &self.master_secret,
            "--create-secret",
            "--app-user",
            &self.application,
            "--host",
            &self.database.server.host,
            "--port",
            &port,
            "--dbname",
            &self.database.name,
        ];
        succeeded(&self.turnkeep(&arguments).await);
    }

    /// Defines `conversation-capture` as the template does, with variables of the test besides.
    pub fn define_capture(&self, variables: &[(&str, &str)]) {
        let function = self.capture_function();
        let function = function.variables(variables.iter().copied());
        self.stack.functions().define(function).unwrap();
    }

    /// As [`System::define_capture`], for `secret-rotation`.
    pub fn define_rotation(&self, variables: &[(&str, &str)]) {
        let function = self.rotation_function();
        let function = function.variables(variables.iter().copied());
        self.stack.functions().define(function).unwrap();
    }

    /// `conversation-capture` as the template has it, but for [`LAID_OVER`].
    pub fn capture_function(&self) -> Function {
        let function = self.function(CAPTURE, Deployment::Existing);
        function.variables(LAID_OVER).concurrency(16)
    }

    /// `secret-rotation` as the template has it for a secret of a single user, what most tests are about, but for
    /// [`LAID_OVER`].
    pub fn rotation_function(&self) -> Function {
        let function = self.function(ROTATION, Deployment::Existing);
        function.variables(LAID_OVER)
    }

    /// A function as the template has it, but for what `local::stack::template` lists.
    pub fn function(&self, name: &str, deployment: Deployment) -> Function {
        self.stack
            .function(name, deployment, &self.referred())
            .unwrap()
    }

    /// What the template refers to.
    pub fn referred(&self) -> Referred<'_> {
        Referred {
            master_secret: &self.master_secret,
            bucket: &self.bucket,
            user: Some(&self.application),
            ..Referred::new(&self.database, SECRET)
        }
    }

    /// Credentials for the application's role, as a secret made by a template would hold them.
    pub fn new_credentials(&self) -> Credentials {
        Credentials::generate(&self.application)
    }

    /// Address of the PostgreSQL server, for a proxy before it.
    pub fn database_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.database.server.port))
    }

    /// Runs the release binary `turnkeep` to its end.
    pub async fn turnkeep(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().await.unwrap();
        self.saw(&format!("the output of turnkeep {arguments:?}"), &output);
        output
    }

    /// Keeps the output of a [`System::command`] for the search for canaries.
    pub fn saw(&self, sink: &str, output: &Output) {
        self.evidence.saw(sink, &output.stdout);
        self.evidence.saw(sink, &output.stderr);
    }

    /// Announces that a function warns or reports an error, by a part of the line such as an error code.
    pub fn announce(&self, fragment: &str) {
        self.evidence.announce(fragment, None);
    }

    /// As [`System::announce`], for a line that is missing where what `unless` says comes first.
    pub fn announce_unless(&self, fragment: &str, unless: &str) {
        self.evidence.announce(fragment, Some(unless));
    }

    /// The release binary `turnkeep` with the environment that `make up` prints.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.binary("turnkeep"));
        command
            .args(arguments)
            .env_clear()
            .envs(self.stack.environment())
            .env("PATH", "/usr/bin:/bin")
            .env("TURNKEEP_SECRET", SECRET)
            .env("CONVERSATIONS_BUCKET", &self.bucket)
            .env("DB_CA_BUNDLE", &self.database.server.ca_file)
            .kill_on_drop(true);
        command
    }

    /// Path of a release binary.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.stack.function_directory().join(name)
    }

    /// Invokes `conversation-capture` and expects a reply.
    #[track_caller]
    pub fn capture(&self, event: &Value) -> impl Future<Output = Value> + use<> {
        let invoked = self.invoke(CAPTURE, event);
        let caller = std::panic::Location::caller();
        async move {
            let invoked = invoked.await;
            assert!(
                invoked.function_error.is_none(),
                "{caller}: conversation-capture failed: {}",
                String::from_utf8_lossy(&invoked.payload)
            );
            serde_json::from_slice(&invoked.payload).unwrap()
        }
    }

    /// Invokes a function and expects an error: its `errorType` and `errorMessage`.
    pub async fn refused(&self, function: &str, event: &Value) -> (String, String) {
        let invoked = self.invoke(function, event).await;
        let payload = String::from_utf8_lossy(&invoked.payload).into_owned();
        assert!(
            invoked.function_error.is_some(),
            "{function} was expected to fail, it answered: {payload}"
        );
        let error: Value = serde_json::from_str(&payload).unwrap();
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        (text("errorType"), text("errorMessage"))
    }

    /// Invokes a function.
    #[track_caller]
    pub fn invoke(&self, function: &str, event: &Value) -> impl Future<Output = Invoked> + use<> {
        self.deliver(function, event.to_string())
    }

    /// Invokes a function with a payload that need not be clean JSON.
    #[track_caller]
    pub fn deliver(
        &self,
        function: &str,
        payload: String,
    ) -> impl Future<Output = Invoked> + use<> {
        assert!(
            function != CAPTURE || !canary::search("the event", &payload).is_empty(),
            "nobody could find this event in a log, let it say something with `canary::said`: {payload}"
        );
        let (functions, evidence) = (self.stack.functions().clone(), Arc::clone(&self.evidence));
        let function = function.to_owned();
        async move {
            let invoked = functions
                .invoke(&function, payload.into_bytes())
                .await
                .unwrap();
            evidence.saw(format!("a reply of {function}"), &invoked.payload);
            invoked
        }
    }

    /// The one number that a query answers with, read as superuser.
    pub async fn number(&self, query: &str, parameters: &[&(dyn ToSql + Sync)]) -> i64 {
        let client = self.database.superuser().await.unwrap();
        client.query_one(query, parameters).await.unwrap().get(0)
    }

    /// The value of the application's secret that holds `stage`, parsed.
    pub fn secret(&self, stage: &str) -> Option<Value> {
        let text: SecretString = self.stack.secrets_manager().text(SECRET, stage)?;
        Some(serde_json::from_str(text.expose_secret()).unwrap())
    }

    /// The version of the application's secret that holds `stage`.
    pub fn version(&self, stage: &str) -> Option<String> {
        let versions = self.stack.secrets_manager().stages(SECRET);
        versions.into_iter().find_map(|(version, stages)| {
            stages.iter().any(|held| held == stage).then_some(version)
        })
    }

    /// Rotates the application's secret with `turnkeep rotate --wait` and expects success.
    pub async fn rotate(&self) {
        succeeded(
            &self
                .turnkeep(&[
                    "rotate",
                    "--function",
                    ROTATION_ARN,
                    "--days",
                    "30",
                    "--wait",
                ])
                .await,
        );
    }
}

impl System {
    /// What must not be, in words; the functions have ended after it.
    fn problems(&self) -> Vec<String> {
        let (functions, secrets_manager) = (self.stack.functions(), self.stack.secrets_manager());
        let written: BTreeMap<String, usize> = functions
            .names()
            .into_iter()
            .map(|name| (name.clone(), functions.log(&name).len()))
            .collect();
        let ended = self.stack.end();
        let mut problems: Vec<String> = ended.err().iter().map(ToString::to_string).collect();
        let log = |(name, before): (String, usize)| {
            let lines = functions.log(&name).into_iter().enumerate();
            // Whoever was about to start for a rotation that a test let go on has been killed by us.
            let own = lines.filter(|(number, line)| {
                *number < before || !line.text.starts_with("INIT_REPORT ")
            });
            let own = own.map(|(_, line)| line).collect();
            (name, own)
        };
        let logs: Vec<_> = written.into_iter().map(log).collect();
        // What Secrets Manager keeps of the functions' replies to it.
        let rotations = format!("{:?}", secrets_manager.rotations());
        self.evidence.saw("a reply of a step", rotations.as_bytes());
        if let Some(own) = self.stack.own_postgres() {
            let log = own.server().log();
            let log = log.unwrap_or_else(|refused| refused.to_string());
            self.evidence.saw("the log of PostgreSQL", log.as_bytes());
        }
        problems.extend(self.evidence.problems(&logs));
        let marked = |text: &SecretString| text.expose_secret().contains(canary::PASSWORD);
        if !secrets_manager.texts().iter().all(marked) {
            problems
                .push("a password has no mark, so that nobody could find it in a log".to_owned());
        }
        problems
    }
}

impl Drop for System {
    /// What holds for every test; a test that has failed already has more to say.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let problems = self.problems();
            assert!(problems.is_empty(), "{}", problems.join("\n"));
        }
    }
}

/// How long a test waits for something that takes milliseconds on a free machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Expects a command to have ended well, else shows what it said.
#[track_caller]
pub fn succeeded(output: &Output) {
    assert!(
        output.status.success(),
        "ended with {}\nstandard output:\n{}\nstandard error:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

/// A sample event of `events/`.
pub fn event(file: &str) -> Value {
    let path = local::Checkout::find()
        .unwrap()
        .root()
        .join("events")
        .join(file);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
