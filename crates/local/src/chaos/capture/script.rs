//! What a queue holds and what happens to its deliveries in one run: made of a seed alone.

use std::fmt;

use fastrand::Rng;
use serde_json::{Value, json};

use super::chance;
use crate::canary::said;
use crate::proxy::Flight;

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Script {
    pub(super) seed: u64,
    /// What the queue holds.
    pub(super) messages: Vec<Message>,
    pub(super) acts: Vec<Act>,
}

/// A message of the queue.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) body: String,
}

/// What has to become of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is stored.
    Event(Event),
    /// It is put aside.
    NotJson,
    /// It is never taken.
    Unknown,
}

/// Where an event belongs, and what is said in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) conversation: String,
    pub(super) id: String,
    /// What is said in each of its turns, twice; the last is its own, and no other event's.
    pub(super) said: Vec<String>,
    /// Another event came under its id, so that only one of the two is stored and the other is put aside.
    pub(super) contested: bool,
}

/// Deliveries at once, and what is done to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Act {
    /// How many deliveries.
    pub(super) deliveries: usize,
    /// How many messages each brings, at most.
    pub(super) size: usize,
    pub(super) trouble: Option<Trouble>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) at: At,
    pub(super) what: What,
}

/// When it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// At the n-th flight, counted from 1.
    Flight(Link, Flight, u64),
    /// After so many milliseconds.
    Milliseconds(u64),
}

/// Whom the function speaks with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    S3,
    Database,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The environments are killed by SIGKILL; what stands still does not arrive.
    Kill,
    /// The connection is reset; where nothing stands still, all connections are.
    Cut,
    /// It arrives so many milliseconds later.
    Late(u64),
    /// It never arrives, and nobody says so.
    Lost,
}

impl Script {
    /// The script of a seed.
    pub(super) fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut messages = Vec::new();
        for conversation in 0..rng.usize(1..=3) {
            let is_full = chance(&mut rng, 40);
            let turns = rng.usize(1..=5);
            for turn in 0..turns {
                messages.push(event(seed, conversation, turn, is_full, "first"));
                if chance(&mut rng, 15) {
                    // Sent twice by its producer: another message, the same event.
                    messages.extend(messages.last().cloned());
                }
            }
            if chance(&mut rng, 20) {
                let turn = rng.usize(..turns);
                messages.push(event(seed, conversation, turn, is_full, "other"));
                contest(&mut messages);
            }
        }
        if chance(&mut rng, 25) {
            messages.push(Message {
                kind: Kind::NotJson,
                body: format!("{{{}", said("half of it")),
            });
        }
        if chance(&mut rng, 15) {
            messages.push(Message {
                kind: Kind::Unknown,
                body: json!({"nobody": said("knows this")}).to_string(),
            });
        }
        rng.shuffle(&mut messages);
        let acts = (0..rng.usize(2..=5)).map(|_| act(&mut rng)).collect();
        Self {
            seed,
            messages,
            acts,
        }
    }

    /// The tenant of the run.
    pub(super) fn tenant(&self) -> String {
        format!("chaos-{}", self.seed)
    }

    /// The id of a message of the queue.
    pub(super) fn message_id(&self, position: usize) -> String {
        format!("{}-{position}", self.seed)
    }

    /// What kind of run it is.
    pub(super) fn kind(&self) -> &'static str {
        let is_contested =
            |message: &Message| matches!(&message.kind, Kind::Event(event) if event.contested);
        if self.messages.iter().any(is_contested) {
            "with a contested id"
        } else {
            "of events that agree"
        }
    }
}

/// A turn; of a conversation that is sent in full it has all that was said before it.
fn event(seed: u64, conversation: usize, turn: usize, is_full: bool, version: &str) -> Message {
    let conversation = format!("c{conversation}");
    let words = |turn: usize, version: &str| {
        said(format!(
            "run {seed}, {conversation}, turn {turn}, {version}"
        ))
    };
    let before = if is_full { 0..turn } else { 0..0 };
    let mut said_in: Vec<String> = before.map(|turn| words(turn, "first")).collect();
    said_in.push(words(turn, version));
    let messages: Vec<Value> = said_in
        .iter()
        .flat_map(|words| [("user", words, "question"), ("assistant", words, "answer")])
        .map(|(role, words, what)| {
            json!({"role": role, "parts": [{"type": "text", "content": format!("{words}, {what}")}]})
        })
        .collect();
    let id = format!("{conversation}-{turn}");
    let body = json!({
        "schema": "llm.capture/1",
        "tenant_id": format!("chaos-{seed}"),
        "conversation_id": conversation,
        "event_id": id,
        "user_id": said("u"),
        "occurred_at": format!("2026-11-23T10:{turn:02}:00Z"),
        "history": if is_full { "full" } else { "delta" },
        "messages": messages,
    });
    Message {
        kind: Kind::Event(Event {
            conversation,
            id,
            said: said_in,
            contested: false,
        }),
        body: body.to_string(),
    }
}

/// Marks all that has the id of the last one.
fn contest(messages: &mut [Message]) {
    let Some(Kind::Event(last)) = messages.last().map(|message| message.kind.clone()) else {
        return;
    };
    for message in messages {
        if let Kind::Event(event) = &mut message.kind
            && (&event.conversation, &event.id) == (&last.conversation, &last.id)
        {
            event.contested = true;
        }
    }
}

fn act(rng: &mut Rng) -> Act {
    Act {
        deliveries: rng.usize(1..=3),
        size: rng.usize(1..=10),
        trouble: chance(rng, 80).then(|| trouble(rng)),
    }
}

fn trouble(rng: &mut Rng) -> Trouble {
    let at = if chance(rng, 35) {
        At::Milliseconds(rng.u64(..120))
    } else {
        let flight = if rng.bool() {
            Flight::Request
        } else {
            Flight::Answer
        };
        // As many flights as there may be; where there are fewer, nothing happens.
        if rng.bool() {
            At::Flight(Link::S3, flight, rng.u64(1..=10))
        } else {
            At::Flight(Link::Database, flight, rng.u64(1..=12))
        }
    };
    let what = match rng.u32(..100) {
        0..50 => What::Kill,
        50..82 => What::Cut,
        82..97 => What::Late(rng.u64(1..=60)),
        _ => What::Lost,
    };
    Trouble { at, what }
}

impl Event {
    /// What no other event has said.
    pub(super) fn own_words(&self) -> &str {
        self.said.last().map_or("", String::as_str)
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}, {} messages, {}",
            self.seed,
            self.messages.len(),
            self.kind()
        )?;
        for (number, act) in self.acts.iter().enumerate() {
            writeln!(f, "  {}. {act}", number + 1)?;
        }
        Ok(())
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} deliveries of up to {} messages",
            self.deliveries, self.size
        )?;
        let Some(Trouble { at, what }) = self.trouble else {
            return Ok(());
        };
        match at {
            At::Milliseconds(after) => write!(f, ", after {after} ms: ")?,
            At::Flight(link, flight, nth) => {
                let link = match link {
                    Link::S3 => "S3",
                    Link::Database => "the database",
                };
                write!(f, ", {flight} {nth} of {link}: ")?;
            }
        }
        match what {
            What::Kill => f.write_str("the function is killed"),
            What::Cut => f.write_str("the connection is reset"),
            What::Late(milliseconds) => write!(f, "{milliseconds} ms late"),
            What::Lost => f.write_str("never arrives"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_script() {
        for seed in 0..100 {
            assert_eq!(Script::of(seed), Script::of(seed));
        }
        assert_ne!(Script::of(1).acts, Script::of(2).acts);
    }

    #[test]
    fn a_thousand_scripts_have_every_kind_of_trouble_and_of_message() {
        let scripts: Vec<Script> = (0..1000).map(Script::of).collect();
        let all: String = scripts.iter().map(Script::to_string).collect();
        for part in [
            "3 deliveries",
            "killed",
            "reset",
            "ms late",
            "never arrives",
            "after 1",
            "request 1 of S3",
            "answer 12 of the database",
            "contested",
            "agree",
        ] {
            assert!(all.contains(part), "{part}");
        }
        let messages = || scripts.iter().flat_map(|script| &script.messages);
        assert!(messages().any(|message| message.kind == Kind::NotJson));
        assert!(messages().any(|message| message.kind == Kind::Unknown));
        assert!(messages().any(|message| message.body.contains(r#""history":"full""#)));
    }
}
