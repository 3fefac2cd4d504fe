//! Each event ten times, in random batches, by sixteen environments at once: each sender is told the truth, and rows, object
//! versions and counters are as if everything had come once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use local::canary::said;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::capture::turn;
use crate::capture_sources::request;
use crate::system::{CAPTURE, System};

const DELIVERIES: usize = 10;
const WORKERS: usize = 16;

/// An event, and the user whose request brings it.
#[derive(Clone)]
struct Sent {
    user: &'static str,
    /// What tells it from all others.
    name: String,
    event: Value,
}

/// What became of each delivery of an event.
type Told = BTreeMap<String, Vec<String>>;

fn sent(user: &'static str, event: Value, version: &str) -> Sent {
    let id = event["event_id"].as_str().unwrap();
    Sent {
        user,
        name: format!("{id} of {user}{version}"),
        event,
    }
}

/// Delivers everything ten times, and keeps what each delivery was answered.
async fn deliver(system: &System, events: &[Sent], rng: &mut fastrand::Rng) -> Told {
    let mut deliveries = Vec::new();
    for user in events.iter().map(|sent| sent.user).collect::<BTreeSet<_>>() {
        let own = || events.iter().filter(|sent| sent.user == user).cloned();
        let mut all: Vec<Sent> = (0..DELIVERIES).flat_map(|_| own()).collect();
        rng.shuffle(&mut all);
        let mut rest = all.as_slice();
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(rng.usize(1..=rest.len().min(10)));
            deliveries.push((user, batch.to_vec()));
            rest = after;
        }
    }
    rng.shuffle(&mut deliveries);
    let at_once = Arc::new(Semaphore::new(WORKERS));
    let mut workers = JoinSet::new();
    for (user, batch) in deliveries {
        let list: Vec<&Value> = batch.iter().map(|sent| &sent.event).collect();
        let body = json!(list).to_string();
        let invocation = system.invoke(CAPTURE, &request(&json!({"sub": said(user)}), &body));
        let at_once = Arc::clone(&at_once);
        workers.spawn(async move {
            let _permit = at_once.acquire().await.unwrap();
            (batch, invocation.await)
        });
    }
    let mut told = Told::new();
    while let Some(answered) = workers.join_next().await {
        let (batch, invoked) = answered.unwrap();
        let response: Value = serde_json::from_slice(&invoked.payload).unwrap();
        let body: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
        let answers = match body["events"].as_array() {
            Some(answers) => answers.clone(),
            None => vec![body],
        };
        assert_eq!(answers.len(), batch.len());
        for (sent, answer) in batch.into_iter().zip(answers) {
            let word = answer["errorType"].as_str().or(answer["status"].as_str());
            told.entry(sent.name)
                .or_default()
                .push(word.unwrap().to_owned());
        }
    }
    told
}

/// Stored once, and a duplicate from then on.
fn is_stored(words: &[String]) -> bool {
    let of = |word: &str| words.iter().filter(|one| *one == word).count();
    (of("stored"), of("duplicate")) == (1, DELIVERIES - 1)
}

fn is_always(words: &[String], word: &str) -> bool {
    words.len() == DELIVERIES && words.iter().all(|one| one == word)
}

#[tokio::test]
async fn ten_deliveries_by_sixteen_environments_are_one_in_effect() {
    let system = System::start("workers").await;
    system.announce(r#""outcome":"conflict""#);
    system.announce(r#""outcome":"foreign""#);
    let mut rng = fastrand::Rng::with_seed(20_261_126);
    let mut events = Vec::new();
    for conversation in 0..6 {
        for number in 0..10 {
            events.push(sent("ana", turn(&format!("c{conversation}"), number), ""));
        }
    }
    let mut contested = Vec::new();
    for number in 0..8 {
        let mut other = turn("contested", number);
        other["messages"][0]["parts"][0]["content"] = json!(said("something else"));
        let pair = [
            sent("ana", turn("contested", number), ""),
            sent("ana", other, ", other"),
        ];
        contested.push(pair.clone().map(|sent| sent.name));
        events.extend(pair);
    }
    let mut raced = Vec::new();
    for conversation in 0..4 {
        let conversation = format!("raced{conversation}");
        let of = |user: &'static str, from: usize| {
            let turns = (from..from + 3).map(|number| sent(user, turn(&conversation, number), ""));
            turns.collect::<Vec<_>>()
        };
        let pair = [of("ana", 0), of("eve", 3)];
        raced.push(
            pair.clone()
                .map(|sent| sent.into_iter().map(|sent| sent.name).collect::<Vec<_>>()),
        );
        events.extend(pair.into_iter().flatten());
    }
    let told = deliver(&system, &events, &mut rng).await;
    let stored: Vec<&String> = told
        .iter()
        .filter(|(_, words)| is_stored(words))
        .map(|(name, _)| name)
        .collect();
    for [one, other] in &contested {
        let words = [&told[one], &told[other]];
        assert!(
            words.iter().any(|words| is_stored(words))
                && words
                    .iter()
                    .any(|words| is_always(words, "Capture.Conflict")),
            "{one} and {other}: {words:?}"
        );
    }
    for users in &raced {
        let all =
            |names: &[String], is: fn(&[String]) -> bool| names.iter().all(|name| is(&told[name]));
        let is_foreign: fn(&[String]) -> bool = |words| is_always(words, "Capture.Foreign");
        let [ana, eve] = users;
        assert!(
            (all(ana, is_stored) && all(eve, is_foreign))
                || (all(eve, is_stored) && all(ana, is_foreign)),
            "{:?}",
            ana.iter()
                .chain(eve)
                .map(|name| (name, &told[name]))
                .collect::<Vec<_>>()
        );
    }
    let expected = 60 + contested.len() + 3 * raced.len();
    assert_eq!(stored.len(), expected, "{told:?}");
    let expected = i64::try_from(expected).unwrap();
    let ledger = "SELECT count(*) FROM capture_events WHERE outcome = 'stored'";
    assert_eq!(system.number(ledger, &[]).await, expected);
    assert_eq!(system.messages().await, 2 * expected);
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(system.number(deadlocks, &[]).await, 0);
    system.assert_counters_are_exact().await;
    system.assert_one_version_each().await;
}

impl System {
    /// No object has a second version.
    async fn assert_one_version_each(&self) {
        let objects = self.objects("").await.len();
        assert_eq!(self.object_versions().await, objects);
    }
}
