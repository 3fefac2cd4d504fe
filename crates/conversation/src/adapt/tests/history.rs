//! Clients that send all that was said with every call: each message is one row, whatever they make of the answers.

use std::collections::BTreeSet;
use std::slice;

use serde_json::{Value, json};

use super::one;
use crate::capture::Capture;

/// How one interface is spoken: what a client sends, what it gets, and what it makes of that for the next call.
pub(super) struct Client {
    pub(super) name: &'static str,
    pub(super) asks: fn(&str) -> Value,
    /// The answer within its response, as `event` wants it.
    pub(super) answers: fn(&str) -> Value,
    /// The answer, as it is sent again with the call of this number: marks move on.
    pub(super) again: fn(&str, usize) -> Value,
    /// The event of a call in conversation `c`: the history, the answer, and which call it is.
    pub(super) event: fn(&[Value], &Value, usize) -> Value,
}

pub(super) fn read(event: &Value) -> Capture {
    one(&event.to_string())
}

pub(super) fn ids(capture: &Capture) -> Vec<&str> {
    let messages = capture.messages.iter();
    messages
        .map(|message| message.message_id.as_str())
        .collect()
}

/// The answer of the first call, and its re-sent form in the second one, are one message.
#[track_caller]
pub(super) fn check_again(
    event: fn(&[Value], &Value, usize) -> Value,
    answer: &Value,
    again: &[Value],
) {
    let question = json!({"role": "user", "content": [{"type": "text", "text": "q"}]});
    let first = read(&event(slice::from_ref(&question), answer, 1));
    let history: Vec<_> = std::iter::once(&question).chain(again).cloned().collect();
    let second = read(&event(&history, answer, 2));
    assert_eq!(ids(&second)[..2], ids(&first)[..], "{again:?}");
}

impl Client {
    /// The capture of the call that is answered with the last answer of a chat.
    fn call(&self, said: &[(&str, &str)]) -> Capture {
        let (last, before) = said.split_last().expect("something is said");
        let call = said.len();
        let mut history = Vec::new();
        for (question, answer) in before {
            history.push((self.asks)(question));
            history.push((self.again)(answer, call));
        }
        history.push((self.asks)(last.0));
        read(&(self.event)(&history, &(self.answers)(last.1), call))
    }

    pub(super) fn keeps_the_laws(&self) {
        self.makes_a_hundred_messages_of_fifty_turns();
        self.keeps_equal_texts_apart();
        self.branches_where_a_turn_is_edited();
        self.has_the_ids_of_the_canonical_event();
    }

    fn makes_a_hundred_messages_of_fifty_turns(&self) {
        let texts: Vec<_> = (0..50)
            .map(|turn| (format!("q{turn}"), format!("a{turn}")))
            .collect();
        let said: Vec<_> = texts
            .iter()
            .map(|(question, answer)| (question.as_str(), answer.as_str()))
            .collect();
        let mut all = BTreeSet::new();
        for turns in 1..=said.len() {
            let capture = self.call(&said[..turns]);
            assert_eq!(capture.messages.len(), 2 * turns, "{}", self.name);
            all.extend(ids(&capture).into_iter().map(str::to_owned));
            assert_eq!(all.len(), 2 * turns, "{}: call {turns}", self.name);
        }
    }

    fn keeps_equal_texts_apart(&self) {
        let capture = self.call(&[("yes", "yes"); 4]);
        let distinct: BTreeSet<_> = ids(&capture).into_iter().collect();
        assert_eq!(distinct.len(), 8, "{}", self.name);
    }

    fn branches_where_a_turn_is_edited(&self) {
        let before = self.call(&[("a", "b"), ("c", "d"), ("e", "f")]);
        let edited = self.call(&[("a", "b"), ("x", "d"), ("e", "f")]);
        assert_eq!(ids(&before)[..2], ids(&edited)[..2], "{}", self.name);
        for place in 2..6 {
            assert_ne!(ids(&before)[place], ids(&edited)[place], "{}", self.name);
        }
        for capture in [&before, &edited] {
            let parent = capture.messages[2].parent_message_id.as_deref();
            assert_eq!(parent, Some(ids(&before)[1]), "{}", self.name);
        }
        let regenerated = self.call(&[("a", "b"), ("c", "y")]);
        assert_eq!(ids(&before)[..3], ids(&regenerated)[..3], "{}", self.name);
        assert_ne!(ids(&before)[3], ids(&regenerated)[3], "{}", self.name);
    }

    /// One conversation may be told in several shapes.
    fn has_the_ids_of_the_canonical_event(&self) {
        let message =
            |(role, text)| json!({"role": role, "parts": [{"type": "text", "content": text}]});
        let said = [
            ("user", "a"),
            ("assistant", "b"),
            ("user", "c"),
            ("assistant", "d"),
        ];
        let canonical = json!({"schema": "llm.capture/1", "conversation_id": "c", "messages": said.map(message)});
        assert_eq!(
            ids(&self.call(&[("a", "b"), ("c", "d")])),
            ids(&read(&canonical)),
            "{}",
            self.name
        );
    }
}
