//! Plays a script.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::promise::Seen;
use super::scene::{Master, Scene};
use super::script::{Act, Call, Link, Script, What};
use super::{Broken, Played, Strategy};
use crate::lambda::{InvokeError, Invoked};
use crate::secrets_manager::Step;
use crate::stack::ROTATION;
use crate::stack::template::{Deployment, Referred};
use crate::{Database, Error, FaultProxy, Function, Stack, Stop};

/// Shorter than what AWS gives, so that a lost answer costs little; long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_BUDGET_SECONDS: &str = "3";

/// One who plays a script at a time, with functions, roles and proxies of its own.
pub(super) struct Player {
    pub(super) stack: Arc<Stack>,
    pub(super) scene: Scene,
    number: usize,
    api: FaultProxy,
    link: FaultProxy,
}

/// A run under way.
pub(super) struct Run<'a> {
    pub(super) player: &'a Player,
    pub(super) strategy: Strategy,
    pub(super) function: String,
    pub(super) secret_arn: String,
    master: Option<Master>,
    pub(super) seed: u64,
    /// The tokens of the rotations, the newest last.
    tokens: Vec<String>,
    standing: Vec<Standing>,
    /// What is there while nothing has happened.
    pub(super) first: Seen,
    /// Whether the database refuses `AWSCURRENT` then.
    pub(super) first_refused: bool,
    /// Somebody has taken the label off under calls that still stand, and may go on by it.
    overtaken: bool,
    /// Whether the database accepts a version's password, by that and by the user's verifier.
    pub(super) accepted: HashMap<(String, Option<String>), bool>,
    played: Played,
}

/// A call that stands still over further acts.
struct Standing {
    step: Step,
    until: usize,
    stop: Stop,
    calls: Calls,
}

type Calls = JoinSet<Result<Invoked, InvokeError>>;

impl Player {
    pub(super) async fn enter(
        stack: &Arc<Stack>,
        database: &Database,
        number: usize,
    ) -> Result<Self, Error> {
        let player = Self {
            stack: Arc::clone(stack),
            scene: Scene::build(database).await?,
            number,
            api: FaultProxy::start(stack.gateway().address()).await?,
            link: FaultProxy::start(stack.server().address()).await?,
        };
        for strategy in Strategy::ALL {
            for fast in [false, true] {
                stack.functions().define(player.function(strategy, fast)?)?;
            }
        }
        Ok(player)
    }

    /// Plays a script to its end, or to the first broken promise. Behind one the player is of no further use: what runs of
    /// it may go on for a while.
    pub(super) async fn play(&self, script: &Script) -> Result<Played, Error> {
        let mut run = self.set(script).await?;
        let ended = run.play(script).await;
        if ended.is_err() {
            self.stack.functions().kill(&run.function);
        }
        let master_arn = run.master.as_ref().map(|master| &master.secret_arn);
        for arn in [Some(&run.secret_arn), master_arn].into_iter().flatten() {
            self.stack.secrets_manager().forget(arn);
        }
        self.stack.gateway().clear_calls();
        match ended {
            Ok(()) => {}
            Err(Broken::Promise(what)) => run.played.violation = Some(what),
            Err(Broken::Stack(error)) => return Err(error),
        }
        Ok(run.played)
    }

    async fn set<'a>(&'a self, script: &Script) -> Result<Run<'a>, Error> {
        let scene = self.scene.set(script, &self.stack, self.link.port());
        let (secret_arn, mut master) = scene.await?;
        if let Some(master) = master.as_mut().filter(|_| script.master_in_gap) {
            self.scene.rotate_master(master, &self.stack).await?;
        }
        let mut run = Run {
            player: self,
            strategy: script.strategy,
            function: self.name(script.strategy, script.fast),
            secret_arn,
            master,
            seed: script.seed,
            tokens: Vec::new(),
            standing: Vec::new(),
            first: Seen::default(),
            first_refused: false,
            overtaken: false,
            accepted: HashMap::new(),
            played: Played {
                kind: script.strategy.as_str(),
                ..Played::default()
            },
        };
        run.begin_to_watch().await?;
        Ok(run)
    }

    /// The function of this player, as it is by default or with fast promotion.
    fn function(&self, strategy: Strategy, fast: bool) -> Result<Function, Error> {
        let name = self.name(strategy, fast);
        let referred = Referred::new(&self.scene.database, &name);
        let function = self
            .stack
            .function(ROTATION, Deployment::Existing, &referred)?
            .named(&name)
            .variable("AWS_ENDPOINT_URL", self.api.endpoint())
            .variable("AWS_LAMBDA_LOG_LEVEL", "ERROR")
            .variable("CONNECT_BUDGET_SECONDS", CONNECT_BUDGET_SECONDS)
            .variable("DB_PORT", self.link.port().to_string())
            .variable("FAST_PROMOTION", fast.to_string())
            .variable("ROTATION_STRATEGY", strategy.to_string())
            // Each run has a secret of its own.
            .variable("TURNKEEP_SECRET", "")
            .timeout(TIMEOUT);
        let [user, _] = self.scene.users();
        Ok(match strategy {
            Strategy::SingleUser => function,
            // It repairs what somebody typed wrongly.
            Strategy::AlternatingUsers => function.variable("BOOTSTRAP_USER", user),
        })
    }

    fn name(&self, strategy: Strategy, fast: bool) -> String {
        let fast = if fast { "-fast" } else { "" };
        format!("{ROTATION}-{strategy}{fast}-{}", self.number)
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
                Act::TakeLabel => self.take_label().await?,
                Act::RotateMaster => self.rotate_master().await?,
            }
            self.let_go(number).await?;
            let after = format!("after act {}, {act}", number + 1);
            self.watch(&after).await?;
        }
        self.let_go(usize::MAX).await?;
        self.watch("after the last act").await?;
        self.rotate_normally().await
    }

    /// Looks whether what must hold does; what calls do whose label was taken away under them is the taker's business.
    async fn watch(&mut self, when: &str) -> Result<(), Broken> {
        if !self.overtaken {
            return self.check(when).await;
        }
        self.overtaken = !self.standing.is_empty();
        Ok(self.begin_to_watch().await?)
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

    /// Whoever takes a label off has the state that follows; a rotation has to find its way out of it.
    async fn take_label(&mut self) -> Result<(), Error> {
        let seen = self.look().await?;
        // `PutSecretValue` takes no condition: a stalled one would take the label back from a later rotation, and no decision
        // can help that.
        let creates = |one: &Standing| one.step == Step::CreateSecret;
        if !seen.is_under_way() || self.standing.iter().any(creates) {
            return Ok(());
        }
        let secrets_manager = self.player.stack.secrets_manager();
        secrets_manager.take_pending(&self.secret_arn);
        self.overtaken |= !self.standing.is_empty();
        self.begin_to_watch().await
    }

    async fn rotate_master(&mut self) -> Result<(), Error> {
        match &mut self.master {
            Some(master) => {
                let Player { scene, stack, .. } = self.player;
                scene.rotate_master(master, stack).await
            }
            None => Ok(()),
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
                    self.watch(&format!("while this stands still: {call}")).await?;
                    match what {
                        What::Cut => {
                            self.played.cut += 1;
                            here.cut();
                        }
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
                            self.standing.push(Standing {
                                step: call.step,
                                until: number + acts,
                                stop: here,
                                calls,
                            });
                            return Ok(());
                        }
                        What::Lost => {
                            while let Some(answer) = calls.join_next().await {
                                self.hear(answer)?;
                            }
                            here.cut();
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    fn invoke(&mut self, calls: &mut Calls, step: Step, token: &str) {
        self.played.invocations += 1;
        calls.spawn(self.invocation(step, token));
    }

    /// One call of the function.
    pub(super) fn invocation(
        &self,
        step: Step,
        token: &str,
    ) -> impl Future<Output = Result<Invoked, InvokeError>> + use<> {
        let event = json!({"Step": step.as_str(), "SecretId": self.secret_arn, "ClientRequestToken": token});
        let (functions, function) = (self.player.stack.functions().clone(), self.function.clone());
        async move { functions.invoke(&function, event.to_string()).await }
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
}

/// Type and message of a function's error.
pub(super) fn error_of(invoked: &Invoked) -> Option<(String, String)> {
    invoked.function_error.as_ref()?;
    let document: Value = serde_json::from_slice(&invoked.payload).unwrap_or_default();
    Some((
        text_in(&document, "errorType"),
        text_in(&document, "errorMessage"),
    ))
}

pub(super) fn text_in(document: &Value, member: &str) -> String {
    let text = document.get(member).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}
