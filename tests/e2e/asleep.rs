//! A database that is asleep: nothing is lost, no invocation outlives its time, and nobody has to do anything.

use std::time::{Duration, Instant};

use local::{Fault, FaultProxy};
use serde_json::Value;

use crate::capture::{batch, failures, turn};
use crate::system::{CAPTURE, System, succeeded};

/// How long the database is away.
const OUTAGE: Duration = Duration::from_secs(30);
/// What an invocation may take, and when it must have answered.
const TIMEOUT: Duration = Duration::from_secs(12);
const ANSWER: Duration = Duration::from_millis(11_500);
/// Events of the queue's message batches, and events that are sent directly.
const BATCHES: usize = 4;
const EVENTS: usize = 10;

impl System {
    /// A proxy before the database, through which a function of [`TIMEOUT`] connects.
    async fn sleepy(&self) -> FaultProxy {
        let proxy = FaultProxy::start(self.database_address()).await.unwrap();
        self.define_capture(&[("DB_PORT", &proxy.port().to_string())]);
        let functions = self.stack.functions();
        let function = functions.definition(CAPTURE).unwrap();
        functions.define(function.timeout(TIMEOUT)).unwrap();
        proxy
    }

    /// How long the invocations took, by Lambda's own reports.
    fn durations(&self) -> Vec<Duration> {
        let lines = self.stack.functions().log(CAPTURE).into_iter();
        let reports = lines.filter(|line| line.text.starts_with("REPORT "));
        let durations = reports.map(|line| {
            let (_, rest) = line.text.split_once(" Duration: ").unwrap();
            let milliseconds: f64 = rest.split(' ').next().unwrap().parse().unwrap();
            Duration::from_secs_f64(milliseconds / 1000.0)
        });
        durations.collect()
    }
}

/// A queue and a sender who send again whatever is not acknowledged.
struct Senders {
    batches: Vec<Value>,
    events: Vec<Value>,
}

impl Senders {
    fn new() -> Self {
        let batches = (0..BATCHES).map(|number| {
            let bodies: Vec<_> = (0..EVENTS)
                .map(|event| turn(&format!("queue-{number}"), event).to_string())
                .collect();
            batch(&bodies)
        });
        Self {
            batches: batches.collect(),
            events: (0..EVENTS).map(|number| turn("direct", number)).collect(),
        }
    }

    /// Sends all that is left at the same time, and forgets what was acknowledged; how many were not.
    async fn send(&mut self, system: &System) -> usize {
        let batches = self
            .batches
            .iter()
            .map(|batch| system.invoke(CAPTURE, batch));
        let batches: Vec<_> = batches.map(tokio::spawn).collect();
        // One direct event at a time, as a sender who waits for the answer.
        let direct = self
            .events
            .first()
            .map(|event| system.invoke(CAPTURE, event));
        if let Some(direct) = direct {
            let answered = direct.await;
            if answered.function_error.is_none() {
                self.events.remove(0);
            } else {
                assert_is_named(&answered.payload);
            }
        }
        let mut left = Vec::new();
        for (batch, sent) in std::mem::take(&mut self.batches).into_iter().zip(batches) {
            let answered = sent.await.unwrap();
            assert!(
                answered.function_error.is_none(),
                "a batch is answered item by item: {}",
                String::from_utf8_lossy(&answered.payload)
            );
            let reply: Value = serde_json::from_slice(&answered.payload).unwrap();
            let failed = failures(&reply);
            assert!(failed.is_empty() || failed.len() == EVENTS, "{reply}");
            if !failed.is_empty() {
                left.push(batch);
            }
        }
        self.batches = left;
        self.batches.len() + self.events.len()
    }
}

/// A failure tells its sender to try again, and why.
fn assert_is_named(payload: &[u8]) {
    let error: Value = serde_json::from_slice(payload).unwrap();
    let code = error["errorType"].as_str().unwrap();
    assert!(
        ["Capture.DatabaseUnavailable", "Capture.DeadlineReached"].contains(&code),
        "{error}"
    );
}

/// What a database does that is asleep, in the ways in which it can be.
async fn sleep_and_wake(hint: &str, fault: Fault) {
    let system = System::start(hint).await;
    system.announce_unless("Capture.DatabaseUnavailable", "the time is up first");
    system.announce_unless("Capture.DeadlineReached", "the database fails first");
    let proxy = system.sleepy().await;
    // A connection that is open when the database falls asleep.
    system.capture(&turn("before", 0)).await;
    proxy.set(fault).await;
    if fault == Fault::Refuse {
        proxy.cut();
    }
    let mut senders = Senders::new();
    let asleep = Instant::now();
    while asleep.elapsed() < OUTAGE {
        let left = senders.send(&system).await;
        assert_eq!(
            left,
            BATCHES + EVENTS,
            "nothing is acknowledged that has no rows"
        );
    }
    let archived = system.objects("conversations/").await.len();
    assert!(
        archived > BATCHES * EVENTS,
        "S3 has them meanwhile: {archived}"
    );
    proxy.set(Fault::Pass).await;
    // The last ones that were sent in vain may have left connections that nobody answers.
    let awake = Instant::now();
    while senders.send(&system).await > 0 {
        assert!(
            awake.elapsed() < 4 * TIMEOUT,
            "it did not recover by itself"
        );
    }
    let events = i64::try_from(BATCHES * EVENTS + EVENTS + 1).unwrap();
    let stored = "SELECT count(*) FROM capture_events WHERE outcome = 'stored'";
    assert_eq!(system.number(stored, &[]).await, events);
    assert_eq!(system.messages().await, 2 * events);
    assert_eq!(
        i64::try_from(system.object_versions().await).unwrap(),
        events
    );
    system.assert_counters_are_exact().await;
    let longest = system.durations().into_iter().max().unwrap();
    assert!(
        longest <= ANSWER,
        "an invocation took {longest:?} of {TIMEOUT:?}"
    );
}

#[tokio::test]
async fn a_database_that_refuses_for_half_a_minute_costs_nothing() {
    sleep_and_wake("refuses", Fault::Refuse).await;
}

#[tokio::test]
async fn a_database_that_stalls_for_half_a_minute_costs_nothing() {
    sleep_and_wake("stalls", Fault::BlackHole).await;
}

/// With `DURABILITY=s3` the database is not even asked, and the sweep brings in what was acknowledged meanwhile.
#[tokio::test]
async fn what_is_acknowledged_after_s3_is_brought_in_later() {
    let system = System::start("deferred").await;
    let proxy = FaultProxy::start(system.database_address()).await.unwrap();
    system.define_capture(&[("DB_PORT", &proxy.port().to_string()), ("DURABILITY", "s3")]);
    let reply = system.capture(&turn("c", 0)).await;
    assert_eq!(reply["status"], "archived", "{reply}");
    let legacy = crate::system::event("direct-legacy-minimal.json");
    let mut legacy = legacy;
    legacy["user_input"] = local::canary::said("q").into();
    let reply = system.capture(&legacy).await;
    assert_eq!(
        reply["db_stored"],
        serde_json::json!({"success": false, "deferred": true}),
        "{reply}"
    );
    let bodies: Vec<_> = (1..5).map(|number| turn("c", number).to_string()).collect();
    for _ in 0..2 {
        assert_eq!(failures(&system.capture(&batch(&bodies)).await), [""; 0]);
    }
    assert_eq!(
        proxy.counters().accepted,
        0,
        "nobody has asked the database"
    );
    let log = system.stack.functions().log(CAPTURE);
    assert!(
        log.iter().any(|line| line.text.contains(r#""Deferred""#)),
        "the metric"
    );
    assert_eq!(system.messages().await, 0);
    succeeded(&system.turnkeep(&["sweep"]).await);
    let stored = "SELECT count(*) FROM capture_events WHERE outcome = 'stored'";
    assert_eq!(system.number(stored, &[]).await, 6);
    system.assert_counters_are_exact().await;
    let (swept, exit) = system.document(&["sweep"]).await;
    assert_eq!(
        (swept["outcome"].as_str(), exit),
        (Some("clean"), 0),
        "{swept}"
    );
}
