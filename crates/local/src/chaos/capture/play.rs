//! Plays a script.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_postgres::Client;

use super::script::{Act, At, Kind, Link, Script, Trouble, What};
use super::{Broken, Played};
use crate::lambda::{InvokeError, Invoked};
use crate::stack::CAPTURE;
use crate::stack::template::{Deployment, Referred};
use crate::{Database, Error, FaultProxy, Stack, Stop};

/// Shorter than what AWS gives, so that a lost answer costs little; long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(4);
/// As many deliveries as there are at once, and one more that the service may still be about.
const ENVIRONMENTS: usize = 4;
/// How often the whole queue is delivered when nothing is disturbed any more. Once should do; time may run out on a busy
/// machine, and a killed function's session may still hold a lock.
const ROUNDS: u32 = 5;
/// What a queue says when it was sent.
pub(super) const SENT: (&str, &str) = ("1795428000000", "2026-11-23");

/// One who plays a script at a time, with a function, a bucket and proxies of its own.
pub(super) struct Player {
    pub(super) stack: Arc<Stack>,
    pub(super) rows: Client,
    pub(super) objects: aws_sdk_s3::Client,
    pub(super) bucket: String,
    function: String,
    s3: FaultProxy,
    link: FaultProxy,
}

/// A run under way.
pub(super) struct Run<'a> {
    pub(super) player: &'a Player,
    pub(super) script: &'a Script,
    rng: Rng,
    /// What the queue holds, by position in the script.
    waiting: BTreeSet<usize>,
    played: Played,
}

/// Deliveries under way, each with the positions of its messages.
type Deliveries = JoinSet<(Vec<usize>, Result<Invoked, InvokeError>)>;

impl Player {
    pub(super) async fn enter(
        stack: &Arc<Stack>,
        database: &Database,
        secret: &str,
        number: usize,
    ) -> Result<Self, Error> {
        let player = Self {
            stack: Arc::clone(stack),
            rows: database.superuser().await?,
            objects: aws_sdk_s3::Client::new(&stack.sdk_config()),
            bucket: stack.bucket("chaos").await?,
            function: format!("{CAPTURE}-{number}"),
            s3: FaultProxy::start(stack.gateway().address()).await?,
            link: FaultProxy::start(stack.server().address()).await?,
        };
        let referred = Referred {
            bucket: &player.bucket,
            ..Referred::new(database, secret)
        };
        let function = stack
            .function(CAPTURE, Deployment::Existing, &referred)?
            .named(&player.function)
            .variable("AWS_ENDPOINT_URL_S3", player.s3.endpoint())
            .variable("AWS_LAMBDA_LOG_LEVEL", "ERROR")
            .variable("DB_PORT", player.link.port().to_string())
            .concurrency(ENVIRONMENTS)
            .timeout(TIMEOUT);
        stack.functions().define(function)?;
        Ok(player)
    }

    /// Plays a script to its end, or to the first broken promise.
    pub(super) async fn play(&self, script: &Script) -> Result<Played, Error> {
        let mut run = Run {
            player: self,
            script,
            rng: Rng::with_seed(script.seed),
            waiting: (0..script.messages.len()).collect(),
            played: Played {
                kind: script.kind(),
                ..Played::default()
            },
        };
        let ended = run.play().await;
        self.stack.gateway().clear_calls();
        match ended {
            Ok(()) => {}
            Err(Broken::Promise(what)) => run.played.violation = Some(what),
            Err(Broken::Stack(error)) => return Err(error),
        }
        Ok(run.played)
    }
}

impl Run<'_> {
    async fn play(&mut self) -> Result<(), Broken> {
        for (number, act) in self.script.acts.iter().enumerate() {
            let at = format!("act {}, {act}", number + 1);
            self.act(act, &at).await?;
        }
        self.deliver_the_rest().await?;
        self.check_all().await
    }

    async fn act(&mut self, act: &Act, at: &str) -> Result<(), Broken> {
        let mut deliveries = JoinSet::new();
        for _ in 0..act.deliveries {
            let batch = self.receive(act.size);
            self.deliver(&mut deliveries, batch);
        }
        let mut coming = act.trouble.map(|trouble| self.plan(trouble));
        loop {
            let comes = async {
                match &mut coming {
                    Some(coming) => coming.comes_true().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                answer = deliveries.join_next() => match answer {
                    Some(answer) => self.hear(answer, at).await?,
                    None => return Ok(()),
                },
                () = comes => {
                    let Some(Coming { what, link, stop, .. }) = coming.take() else { continue };
                    self.played.troubles += 1;
                    match what {
                        What::Kill => {
                            let killed = self.player.stack.functions().kill(&self.player.function);
                            self.played.killed += u64::try_from(killed).unwrap_or_default();
                            if let Some(stop) = stop {
                                stop.cut();
                            }
                        }
                        What::Cut => {
                            self.played.cut += 1;
                            match stop {
                                Some(stop) => stop.cut(),
                                None => self.player.proxy(link).cut(),
                            }
                        }
                        What::Late(milliseconds) => {
                            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                        }
                        What::Lost => {
                            while let Some(answer) = deliveries.join_next().await {
                                self.hear(answer, at).await?;
                            }
                            if let Some(stop) = stop {
                                stop.cut();
                            }
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    fn plan(&mut self, Trouble { at, what }: Trouble) -> Coming {
        match at {
            At::Milliseconds(after) => Coming {
                what,
                link: if self.rng.bool() {
                    Link::S3
                } else {
                    Link::Database
                },
                stop: None,
                after: Duration::from_millis(after),
            },
            At::Flight(link, flight, nth) => Coming {
                what,
                link,
                stop: Some(self.player.proxy(link).stop_at(flight, nth)),
                after: Duration::ZERO,
            },
        }
    }

    /// Some of what waits, in any order. It goes on waiting, so that deliveries at once may bring the same, as those of a
    /// queue sometimes do.
    fn receive(&mut self, size: usize) -> Vec<usize> {
        let mut batch: Vec<usize> = self.waiting.iter().copied().collect();
        self.rng.shuffle(&mut batch);
        batch.truncate(size);
        batch
    }

    fn deliver(&mut self, deliveries: &mut Deliveries, batch: Vec<usize>) {
        if batch.is_empty() {
            return;
        }
        self.played.invocations += 1;
        let records = batch.iter().filter_map(|position| {
            let message = self.script.messages.get(*position)?;
            Some(json!({
                "messageId": self.script.message_id(*position),
                "receiptHandle": "AQEB",
                "body": message.body,
                "attributes": {"SentTimestamp": SENT.0},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:conversations",
            }))
        });
        let event = json!({"Records": records.collect::<Vec<_>>()}).to_string();
        let functions = self.player.stack.functions().clone();
        let function = self.player.function.clone();
        deliveries.spawn(async move { (batch, functions.invoke(&function, event).await) });
    }

    /// Takes off the queue what a delivery has acknowledged, and looks whether it is stored.
    async fn hear(
        &mut self,
        answer: Result<(Vec<usize>, Result<Invoked, InvokeError>), tokio::task::JoinError>,
        at: &str,
    ) -> Result<(), Broken> {
        let (batch, answer) = match answer {
            Ok(answered) => answered,
            Err(ended) => std::panic::resume_unwind(ended.into_panic()),
        };
        let handled = match answer {
            Ok(invoked) => self.handled(batch, &invoked, at)?,
            Err(refused) => {
                self.played.errors.push(refused.code().to_owned());
                Vec::new()
            }
        };
        for position in handled {
            self.check_acknowledged(position, at).await?;
            self.waiting.remove(&position);
        }
        Ok(())
    }

    /// What the queue forgets after this answer.
    fn handled(
        &mut self,
        batch: Vec<usize>,
        invoked: &Invoked,
        at: &str,
    ) -> Result<Vec<usize>, Broken> {
        let answer: Value = serde_json::from_slice(&invoked.payload).unwrap_or_default();
        if invoked.function_error.is_some() {
            let error_type = answer.get("errorType").and_then(Value::as_str);
            let error_type = error_type.unwrap_or("an error without a type");
            self.played.errors.push(error_type.to_owned());
            return Ok(Vec::new());
        }
        let failures = answer.get("batchItemFailures").and_then(Value::as_array);
        let Some(failures) = failures else {
            return Err(Broken::Promise(format!("{at}: no answer for a queue")));
        };
        if !failures.is_empty() {
            self.played.errors.push("batchItemFailures".to_owned());
        }
        let failed = |position: &usize| {
            let id = self.script.message_id(*position);
            failures.contains(&json!({"itemIdentifier": id}))
        };
        Ok(batch
            .into_iter()
            .filter(|position| !failed(position))
            .collect())
    }

    /// Delivers what the queue holds until it holds nothing but what nobody takes.
    async fn deliver_the_rest(&mut self) -> Result<(), Broken> {
        let invocations = self.played.invocations;
        for round in 1..=ROUNDS {
            let waiting: Vec<usize> = self.waiting.iter().copied().collect();
            for batch in waiting.chunks(10) {
                let mut deliveries = JoinSet::new();
                self.deliver(&mut deliveries, batch.to_vec());
                while let Some(answer) = deliveries.join_next().await {
                    self.hear(answer, &format!("round {round} of the rest"))
                        .await?;
                }
            }
        }
        self.played.invocations = invocations;
        let mut left = self
            .waiting
            .iter()
            .filter_map(|at| self.script.messages.get(*at));
        match left.find(|message| message.kind != Kind::Unknown) {
            None => Ok(()),
            Some(message) => Err(Broken::Promise(format!(
                "the function still refuses {:?}, and nothing is disturbed any more",
                message.kind
            ))),
        }
    }
}

/// Something that is about to happen.
struct Coming {
    what: What,
    link: Link,
    stop: Option<Stop>,
    after: Duration,
}

impl Coming {
    async fn comes_true(&mut self) {
        match &mut self.stop {
            Some(stop) => stop.comes_true().await,
            None => tokio::time::sleep(self.after).await,
        }
    }
}

impl Player {
    fn proxy(&self, link: Link) -> &FaultProxy {
        match link {
            Link::S3 => &self.s3,
            Link::Database => &self.link,
        }
    }
}
