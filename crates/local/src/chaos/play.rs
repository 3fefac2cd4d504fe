//! Plays a script.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_postgres::Client;

use super::script::{Act, Call, Link, Script, Start, What};
use crate::lambda::{InvokeError, Invoked};
use crate::postgres::{unique, verifier};
use crate::secrets_manager::Step;
use crate::stack::ROTATION;
use crate::{Credentials, Database, Error, FaultProxy, Function, Stack, Stop};

/// Shorter than what AWS gives, so that a lost answer costs little; long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_BUDGET_SECONDS: &str = "3";
/// How often the labels and the password may change while it is looked at.
const LOOKS: u32 = 50;

/// One who plays a script at a time, with a function, a role and proxies of its own.
pub(super) struct Player {
    stack: Arc<Stack>,
    database: Database,
    /// The function as it is by default, and with fast promotion.
    functions: [String; 2],
    superuser: Client,
    api: FaultProxy,
    link: FaultProxy,
    /// What the database accepts at first, and another password that it does not.
    first: (Credentials, String),
    other: Credentials,
}

/// How a run went.
#[derive(Debug, Default)]
pub(super) struct Played {
    pub(super) invocations: u64,
    pub(super) killed: u64,
    pub(super) troubles: u64,
    pub(super) errors: Vec<String>,
    pub(super) violation: Option<String>,
}

/// A run under way.
struct Run<'a> {
    player: &'a Player,
    function: String,
    secret_arn: String,
    seed: u64,
    /// The tokens of the rotations, the newest last.
    tokens: Vec<String>,
    standing: Vec<Standing>,
    /// What is there while nothing has happened.
    first: Seen,
    /// Whether the database accepts a version's password, by that and by the verifier.
    accepted: HashMap<(String, String), bool>,
    played: Played,
}

/// A call that stands still over further acts.
struct Standing {
    until: usize,
    stop: Stop,
    calls: JoinSet<Result<Invoked, InvokeError>>,
}

/// What decides who gets in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    current: Option<String>,
    pending: Option<String>,
    verifier: String,
}

/// Why a run ends: a broken promise, or a stack that fails.
enum Broken {
    Promise(String),
    Stack(Error),
}

impl Player {
    pub(super) async fn enter(
        stack: &Arc<Stack>,
        database: &Database,
        number: usize,
    ) -> Result<Self, Error> {
        let first = stack.server().login_role("chaos", &[]).await?;
        let api = FaultProxy::start(stack.gateway().address()).await?;
        let functions = [ROTATION, "fast-rotation"].map(|name| format!("{name}-{number}"));
        let binary = stack.function_directory().join(ROTATION);
        let ca_file = stack.server().ca_file.to_string_lossy().into_owned();
        for (function, fast) in functions.iter().zip(["false", "true"]) {
            let definition = Function::binary(function, &binary)
                .variable("AWS_ENDPOINT_URL", api.endpoint())
                .variable("AWS_LAMBDA_LOG_FORMAT", "JSON")
                .variable("AWS_LAMBDA_LOG_LEVEL", "ERROR")
                .variable("CONNECT_BUDGET_SECONDS", CONNECT_BUDGET_SECONDS)
                .variable("DB_CA_BUNDLE", &ca_file)
                .variable("FAST_PROMOTION", fast)
                .timeout(TIMEOUT);
            stack.functions().define(definition)?;
        }
        Ok(Self {
            stack: Arc::clone(stack),
            database: database.clone(),
            functions,
            superuser: database.superuser().await?,
            api,
            link: FaultProxy::start(stack.server().address()).await?,
            other: Credentials::generate(&first.username),
            first: (first.clone(), verifier(&first)),
        })
    }

    /// Plays a script to its end, or to the first broken promise.
    pub(super) async fn play(&self, script: &Script) -> Result<Played, Error> {
        let mut run = self.set(script).await?;
        let ended = run.play(script).await;
        // What still stands is of no interest any more; what runs must not disturb the next run.
        run.standing.clear();
        if ended.is_err() {
            self.stack.functions().kill(&run.function);
        }
        self.stack.secrets_manager().forget(&run.secret_arn);
        self.stack.gateway().clear_calls();
        match ended {
            Ok(()) => {}
            Err(Broken::Promise(what)) => run.played.violation = Some(what),
            Err(Broken::Stack(error)) => return Err(error),
        }
        Ok(run.played)
    }

    async fn set<'a>(&'a self, script: &Script) -> Result<Run<'a>, Error> {
        let (first, verifier) = &self.first;
        let alter = format!("ALTER ROLE {} PASSWORD '{verifier}'", first.username);
        let set = self.superuser.batch_execute(&alter).await;
        set.map_err(Error::database("set the first password"))?;
        let text = |one: &Credentials| self.database.secret_at("127.0.0.1", self.link.port(), one);
        let secrets_manager = self.stack.secrets_manager();
        let (older, newer) = match script.start {
            Start::New => (first, None),
            Start::Rotated => (&self.other, Some(first)),
            Start::WrongCurrent => (first, Some(&self.other)),
        };
        let name = unique("chaos");
        let secret_arn = self.stack.create_secret(&name, &text(older))?;
        if let Some(newer) = newer {
            secrets_manager.put(&secret_arn, &text(newer));
        }
        let [usual, fast] = &self.functions;
        let mut run = Run {
            player: self,
            function: if script.fast { fast } else { usual }.clone(),
            secret_arn,
            seed: script.seed,
            tokens: Vec::new(),
            standing: Vec::new(),
            first: Seen::default(),
            accepted: HashMap::new(),
            played: Played::default(),
        };
        run.first = run.look().await?;
        Ok(run)
    }

    fn proxy(&self, link: Link) -> &FaultProxy {
        match link {
            Link::Api => &self.api,
            Link::Database => &self.link,
        }
    }
}

impl Run<'_> {
    async fn play(&mut self, script: &Script) -> Result<(), Broken> {
        for (number, act) in script.acts.iter().enumerate() {
            match act {
                Act::Begin { tidy } => self.begin(*tidy),
                Act::Call(call) => self.call(call, number).await?,
                Act::TakeLabel => {
                    let secrets_manager = self.player.stack.secrets_manager();
                    secrets_manager.take_pending(&self.secret_arn);
                    // Whoever did that has the state that follows; a rotation has to find its way out of it.
                    self.first = self.look().await?;
                }
            }
            self.let_go(number).await?;
            let after = format!("act {}, {act}", number + 1);
            self.check(&after).await?;
        }
        self.let_go(usize::MAX).await?;
        self.check("the last act").await?;
        self.rotate_normally().await
    }

    /// What the service does; while a rotation is not over it goes on with that one.
    fn begin(&mut self, tidy: bool) {
        let secrets_manager = self.player.stack.secrets_manager();
        if let Some(last) = self.tokens.last().filter(|_| tidy) {
            secrets_manager.complete(&self.secret_arn, last);
        }
        let token = format!("{:016x}-rotation-{:06}", self.seed, self.tokens.len());
        if secrets_manager
            .reserve(&self.secret_arn, &token, &self.function)
            .is_ok()
        {
            self.tokens.push(token);
        }
    }

    async fn call(&mut self, call: &Call, number: usize) -> Result<(), Broken> {
        let back = usize::from(call.outdated);
        let Some(token) = self.tokens.iter().rev().nth(back).cloned() else {
            return Ok(());
        };
        let mut stop = call.trouble.map(|trouble| {
            let proxy = self.player.proxy(trouble.link);
            (trouble.what, proxy.stop_at(trouble.flight, trouble.nth))
        });
        let mut calls = JoinSet::new();
        for _ in 0..call.copies {
            self.invoke(&mut calls, call.step, &token);
        }
        loop {
            let reached = async {
                match &mut stop {
                    Some((_, stop)) => stop.comes_true().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                answer = calls.join_next() => match answer {
                    Some(answer) => self.hear(answer)?,
                    None => return Ok(()),
                },
                () = reached => {
                    let Some((what, here)) = stop.take() else { continue };
                    self.played.troubles += 1;
                    match what {
                        What::Cut => here.cut(),
                        What::Kill => {
                            let functions = self.player.stack.functions();
                            let killed = functions.kill(&self.function);
                            self.played.killed += u64::try_from(killed).unwrap_or_default();
                            here.cut();
                        }
                        What::Late(milliseconds) => {
                            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                        }
                        What::Outlived(acts) => {
                            self.standing.push(Standing { until: number + acts, stop: here, calls });
                            return Ok(());
                        }
                        What::Lost => {
                            while let Some(answer) = calls.join_next().await {
                                self.hear(answer)?;
                            }
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    fn invoke(
        &mut self,
        calls: &mut JoinSet<Result<Invoked, InvokeError>>,
        step: Step,
        token: &str,
    ) {
        let event = json!({"Step": step.as_str(), "SecretId": self.secret_arn, "ClientRequestToken": token});
        let (functions, function) = (self.player.stack.functions().clone(), self.function.clone());
        self.played.invocations += 1;
        calls.spawn(async move { functions.invoke(&function, event.to_string()).await });
    }

    /// Lets the calls go on that were to stand until this act, and waits for their ends.
    async fn let_go(&mut self, number: usize) -> Result<(), Broken> {
        let (due, rest) = std::mem::take(&mut self.standing)
            .into_iter()
            .partition(|one| one.until <= number);
        self.standing = rest;
        for Standing {
            stop, mut calls, ..
        } in due
        {
            drop(stop);
            while let Some(answer) = calls.join_next().await {
                self.hear(answer)?;
            }
        }
        Ok(())
    }

    /// An error is an answer like another, but for one that should never get out.
    fn hear(
        &mut self,
        answer: Result<Result<Invoked, InvokeError>, tokio::task::JoinError>,
    ) -> Result<(), Broken> {
        let error = match answer {
            Ok(Ok(invoked)) => match error_of(&invoked) {
                Some(error) => error,
                None => return Ok(()),
            },
            Ok(Err(refused)) => (refused.code().to_owned(), String::new()),
            Err(ended) => std::panic::resume_unwind(ended.into_panic()),
        };
        let (error_type, message) = error;
        if message.contains("XX000") {
            return Err(Broken::Promise(format!("a conflict got out: {message}")));
        }
        self.played.errors.push(error_type);
        Ok(())
    }

    /// Whether `AWSCURRENT` or `AWSPENDING` opens the database, or nothing has happened yet.
    async fn check(&mut self, after: &str) -> Result<(), Broken> {
        for _ in 0..LOOKS {
            let seen = self.look().await?;
            let opens = self.accepts(seen.current.as_ref(), &seen).await?
                || self.accepts(seen.pending.as_ref(), &seen).await?;
            let unchanged =
                seen.verifier == self.first.verifier && seen.current == self.first.current;
            if opens || unchanged {
                return Ok(());
            }
            // It may have changed between the two looks.
            if self.look().await? == seen {
                return Err(Broken::Promise(format!(
                    "after {after}: the database accepts neither AWSCURRENT nor AWSPENDING"
                )));
            }
        }
        Err(Broken::Promise(format!("after {after}: it never rests")))
    }

    /// The rotation that is not over, if there is one, and then another.
    async fn rotate_normally(&mut self) -> Result<(), Broken> {
        let (stack, arn) = (Arc::clone(&self.player.stack), self.secret_arn.clone());
        let seen = self.look().await?;
        let left = seen.pending.filter(|id| Some(id) != seen.current.as_ref());
        let token = format!("{:016x}-normal-rotation", self.seed);
        for (which, token) in [
            left.map(|token| ("the rotation that was left", token)),
            Some(("a normal rotation", token)),
        ]
        .into_iter()
        .flatten()
        {
            let refused = |reason: String| Broken::Promise(format!("{which} failed: {reason}"));
            stack
                .secrets_manager()
                .reserve(&arn, &token, &self.function)
                .map_err(|error| refused(error.to_string()))?;
            for step in Step::ALL {
                let mut calls = JoinSet::new();
                self.invoke(&mut calls, step, &token);
                self.played.invocations -= 1;
                match calls.join_next().await {
                    Some(Ok(Ok(invoked))) => {
                        if let Some((error_type, message)) = error_of(&invoked) {
                            return Err(refused(format!("{step}: {error_type}: {message}")));
                        }
                    }
                    other => return Err(refused(format!("{step}: {other:?}"))),
                }
            }
            if !stack.secrets_manager().complete(&arn, &token) {
                return Err(refused("AWSCURRENT is not on its version".to_owned()));
            }
            let seen = self.look().await?;
            if !self.accepts(seen.current.as_ref(), &seen).await? {
                return Err(refused("the database refuses AWSCURRENT".to_owned()));
            }
        }
        Ok(())
    }

    async fn look(&self) -> Result<Seen, Error> {
        let query = "SELECT rolpassword FROM pg_authid WHERE rolname = $1";
        let role = &self.player.first.0.username;
        let row = self.player.superuser.query_one(query, &[role]).await;
        let row = row.map_err(Error::database("read the verifier"))?;
        let stages = self.player.stack.secrets_manager().stages(&self.secret_arn);
        let with = |label: &str| {
            let held = |stages: &Vec<String>| stages.iter().any(|stage| stage == label);
            let found = stages.iter().find(|(_, stages)| held(stages));
            found.map(|(id, _)| id.clone())
        };
        Ok(Seen {
            current: with("AWSCURRENT"),
            pending: with("AWSPENDING"),
            verifier: row.get(0),
        })
    }

    /// Logs in, unless it did with the same password against the same verifier.
    async fn accepts(&mut self, version: Option<&String>, seen: &Seen) -> Result<bool, Error> {
        let Some(version) = version else {
            return Ok(false);
        };
        let key = (version.clone(), seen.verifier.clone());
        if let Some(known) = self.accepted.get(&key) {
            return Ok(*known);
        }
        let secrets_manager = self.player.stack.secrets_manager();
        let Some(text) = secrets_manager.text_of(&self.secret_arn, version) else {
            return Ok(false);
        };
        let secret: Value = serde_json::from_str(text.expose_secret()).unwrap_or_default();
        let member = |name: &str| text_in(&secret, name);
        let credentials = Credentials::new(member("username"), member("password"));
        let accepted = self.player.database.connect(&credentials).await.is_ok();
        self.accepted.insert(key, accepted);
        Ok(accepted)
    }
}

/// Type and message of a function's error.
fn error_of(invoked: &Invoked) -> Option<(String, String)> {
    invoked.function_error.as_ref()?;
    let document: Value = serde_json::from_slice(&invoked.payload).unwrap_or_default();
    Some((
        text_in(&document, "errorType"),
        text_in(&document, "errorMessage"),
    ))
}

fn text_in(document: &Value, member: &str) -> String {
    let text = document.get(member).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Stack(error)
    }
}
