//! Captures that run all through a rotation, and the disturbance around them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use crate::Functions;
use crate::stack::CAPTURE;

/// Conversations that go on during the rotation, each with one event at a time.
const CONVERSATIONS: usize = 4;
/// How often the idle environments are retired, so that the next event needs a new connection.
const RETIRE_EVERY: Duration = Duration::from_millis(120);
/// Every so many retirements, environments are killed in the middle of their work instead.
const KILL_EVERY: u32 = 8;

/// What became of the events of one or more conversations.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Conversation and the number of its events that were acknowledged.
    pub(super) acknowledged: Vec<(String, u64)>,
    /// Deliveries that were repeated because the environment had been killed under them.
    pub(super) redelivered: u64,
    /// Every other failure, in the function's words: there must be none.
    pub(super) failures: Vec<String>,
    /// Environments killed in the middle of their work.
    pub(super) killed: usize,
}

/// Running captures.
pub(super) struct Traffic {
    functions: Functions,
    stop: Arc<AtomicBool>,
    workers: JoinSet<Tally>,
    killed: usize,
}

impl Traffic {
    pub(super) fn start(functions: &Functions) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut workers = JoinSet::new();
        for number in 1..=CONVERSATIONS {
            workers.spawn(converse(
                functions.clone(),
                format!("demo-live-{number}"),
                Arc::clone(&stop),
            ));
        }
        Self {
            functions: functions.clone(),
            stop,
            workers,
            killed: 0,
        }
    }

    /// Retires and kills environments until `work` is done.
    pub(super) async fn disturb_until<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut ticks = tokio::time::interval(RETIRE_EVERY);
        let mut round = 0;
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = ticks.tick() => {
                    round += 1;
                    if round % KILL_EVERY == 0 {
                        self.killed += self.functions.kill_busy(CAPTURE);
                    } else {
                        self.functions.retire(CAPTURE);
                    }
                }
            }
        }
    }

    /// Lets the last events end and counts.
    pub(super) async fn stop(mut self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut total = Tally {
            killed: self.killed,
            ..Tally::default()
        };
        while let Some(ended) = self.workers.join_next().await {
            match ended {
                Ok(tally) => {
                    total.acknowledged.extend(tally.acknowledged);
                    total.redelivered += tally.redelivered;
                    total.failures.extend(tally.failures);
                }
                Err(panic) => total.failures.push(panic.to_string()),
            }
        }
        total.acknowledged.sort();
        total
    }
}

/// Sends one turn after the other; a turn whose environment was killed is delivered again, as a queue would.
async fn converse(functions: Functions, conversation: String, stop: Arc<AtomicBool>) -> Tally {
    let mut tally = Tally::default();
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let event = json!({
            "schema": "llm.capture/1",
            "event_id": format!("{conversation}-{turn}"),
            "conversation_id": conversation,
            "occurred_at": "2026-11-23T12:00:00Z",
            "history": "delta",
            "messages": [
                {"direction": "input", "role": "user", "parts": [{"type": "text", "content": format!("Turn {turn}?")}]},
                {"direction": "output", "role": "assistant", "parts": [{"type": "text", "content": format!("Turn {turn}.")}]},
            ],
        })
        .to_string();
        loop {
            let failure = match functions.invoke(CAPTURE, event.clone().into_bytes()).await {
                Ok(invoked) if invoked.function_error.is_none() => break,
                Ok(invoked) => String::from_utf8_lossy(&invoked.payload).into_owned(),
                Err(refused) => refused.to_string(),
            };
            if !failure.contains("Runtime.ExitError") {
                tally.failures.push(failure);
                tally.acknowledged.push((conversation, turn - 1));
                return tally;
            }
            tally.redelivered += 1;
        }
    }
    tally.acknowledged.push((conversation, turn));
    tally
}
