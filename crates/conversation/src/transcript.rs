//! From what was said to messages: identity, direction, and what belongs to the answer only.

use crate::capture::{Direction, Message, Part};
use crate::identity::{self, Chain, Link};
use crate::json::Json;
use crate::usage::Usage;

/// A message as an adapter reads it.
pub(crate) struct Said {
    pub(crate) message_id: Option<String>,
    pub(crate) parent_message_id: Option<String>,
    pub(crate) direction: Option<Direction>,
    pub(crate) role: String,
    pub(crate) name: Option<String>,
    pub(crate) parts: Vec<Part>,
    /// What makes the id in the place of all parts but reasoning: a hash of what a client sends again of them.
    pub(crate) identity: Option<[u8; 32]>,
    /// Whether it is another answer in the place of the message before it.
    pub(crate) alternative: bool,
    pub(crate) finish_reason: Option<String>,
    pub(crate) metadata: Json,
}

/// What an event says of its answer, beside the messages.
#[derive(Default)]
pub(crate) struct Exchange<'a> {
    pub(crate) model: Option<&'a str>,
    pub(crate) provider: Option<&'a str>,
    pub(crate) finish_reasons: &'a [String],
    pub(crate) usage: Usage,
}

/// Makes the messages of one event.
pub(crate) fn messages(
    said: Vec<Said>,
    mut chain: Chain<'_>,
    exchange: &Exchange<'_>,
) -> Vec<Message> {
    let directions = directions(&said);
    let outputs = directions
        .iter()
        .filter(|direction| **direction == Direction::Output)
        .count();
    let mut output = 0;
    said.into_iter()
        .zip(directions)
        .zip(0..)
        .map(|((said, direction), ordinal)| {
            let content_sha256 = identity::sha256(said.parts.iter().map(Part::json));
            let link = Link {
                given_id: said.message_id,
                given_parent: said.parent_message_id,
                role: &said.role,
                parts: &said.parts,
                content_sha256,
                identity: said.identity,
                alternative: said.alternative,
            };
            let plain_ids = chain.plain_link(ordinal, &link);
            let (message_id, parent_message_id) = chain.link(ordinal, link);
            let is_output = direction == Direction::Output;
            output += usize::from(is_output);
            let is_last_output = is_output && output == outputs;
            let reason = || match exchange.finish_reasons {
                reasons if reasons.len() == outputs => reasons.get(output.checked_sub(1)?),
                reasons if is_last_output => reasons.last(),
                _ => None,
            };
            Message {
                message_id,
                parent_message_id,
                plain_ids,
                ordinal,
                direction,
                role: said.role,
                name: said.name,
                content_sha256,
                parts: said.parts,
                model: exchange.model.filter(|_| is_output).map(str::to_owned),
                provider: exchange.provider.filter(|_| is_output).map(str::to_owned),
                finish_reason: said
                    .finish_reason
                    .or_else(|| reason().filter(|_| is_output).cloned()),
                usage: if is_last_output {
                    exchange.usage
                } else {
                    Usage::default()
                },
                metadata: said.metadata,
            }
        })
        .collect()
}

/// Where no message names a direction, the answer is what the assistant says at the end.
fn directions(said: &[Said]) -> Vec<Direction> {
    let told = said.iter().any(|said| said.direction.is_some());
    let answer = said
        .iter()
        .rposition(|said| said.role != "assistant")
        .map_or(0, |last_other| last_other + 1);
    said.iter()
        .enumerate()
        .map(|(position, said)| match said.direction {
            Some(direction) => direction,
            None if !told && position >= answer => Direction::Output,
            None => Direction::Input,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::capture::History;

    fn said(role: &str, text: &str) -> Said {
        Said {
            message_id: None,
            parent_message_id: None,
            direction: None,
            role: role.to_owned(),
            name: None,
            parts: vec![Part::text(text.to_owned())],
            identity: None,
            alternative: false,
            finish_reason: None,
            metadata: Json::empty_object(),
        }
    }

    fn reasoning(text: &str) -> Part {
        let kind = ("type", Json::from("reasoning"));
        Part::from_json(Json::object([kind, ("content", Json::from(text))])).expect("a part")
    }

    fn full(said: Vec<Said>) -> Vec<Message> {
        messages(
            said,
            Chain::new("t", "c", "e", History::Full),
            &Exchange::default(),
        )
    }

    fn ids(messages: &[Message]) -> Vec<&str> {
        messages
            .iter()
            .map(|message| message.message_id.as_str())
            .collect()
    }

    fn turns(texts: &[&str]) -> Vec<Said> {
        texts
            .iter()
            .zip(["user", "assistant"].iter().cycle())
            .map(|(text, role)| said(role, text))
            .collect()
    }

    #[test]
    fn a_chain_is_rooted_in_its_conversation() {
        let one = |tenant, conversation| {
            let chain = Chain::new(tenant, conversation, "e", History::Full);
            messages(turns(&["hi"]), chain, &Exchange::default())
                .remove(0)
                .message_id
        };
        assert_eq!(one("t", "c"), one("t", "c"));
        assert_ne!(one("t", "c"), one("t", "d"));
        assert_ne!(one("t", "c"), one("u", "c"));
        assert_ne!(
            one("tc", ""),
            one("t", "c"),
            "fields do not run into each other"
        );
    }

    #[test]
    fn equal_texts_at_different_places_are_different_messages() {
        let messages = full(turns(&["yes", "yes", "yes", "yes"]));
        let mut ids = ids(&messages);
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 4);
    }

    #[test]
    fn an_edited_turn_begins_a_branch() {
        let (before, after) = (
            full(turns(&["a", "b", "c", "d"])),
            full(turns(&["a", "b", "x", "d"])),
        );
        assert_eq!(ids(&before)[..2], ids(&after)[..2]);
        assert_ne!(before[2].message_id, after[2].message_id);
        assert_ne!(before[3].message_id, after[3].message_id);
        assert_eq!(before[2].parent_message_id, after[2].parent_message_id);
        assert_eq!(
            after[3].parent_message_id.as_deref(),
            Some(after[2].message_id.as_str())
        );
    }

    #[test]
    fn system_messages_stand_beside_the_chain() {
        let with = |system: &str| {
            let mut all = turns(&["a", "b"]);
            all.insert(0, said("system", system));
            full(all)
        };
        let (monday, tuesday) = (with("It is Monday."), with("It is Tuesday."));
        assert_ne!(monday[0].message_id, tuesday[0].message_id);
        assert_eq!(ids(&monday)[1..], ids(&tuesday)[1..]);
        assert_eq!(ids(&monday)[1..], ids(&full(turns(&["a", "b"])))[..]);
        assert_eq!(monday[1].parent_message_id, None);
    }

    #[test]
    fn reasoning_need_not_be_sent_again() {
        let mut answer = turns(&["a", "b"]);
        answer[1].parts.insert(0, reasoning("hm"));
        assert_eq!(ids(&full(answer)), ids(&full(turns(&["a", "b"]))));
    }

    #[test]
    fn alternatives_have_one_parent() {
        let mut choices = turns(&["a", "b"]);
        choices.push(Said {
            alternative: true,
            ..said("assistant", "c")
        });
        let alone = full(vec![said("user", "a"), said("assistant", "c")]);
        let both = full(choices);
        assert_eq!(both[2].parent_message_id, both[1].parent_message_id);
        assert_eq!(both[2].message_id, alone[1].message_id);
        // Without a message before them there is nothing that they could share.
        let answers = || {
            vec![
                said("assistant", "b"),
                Said {
                    alternative: true,
                    ..said("assistant", "c")
                },
            ]
        };
        let first = full(answers());
        assert_eq!(
            first[1].parent_message_id.as_deref(),
            Some(first[0].message_id.as_str())
        );
    }

    #[test]
    fn what_is_not_sent_again_makes_no_id() {
        let hash = identity::sha256([Part::text("b".to_owned()).json()]);
        let mut cited = turns(&["a", "b", "c"]);
        let kind = ("type", Json::from("text"));
        cited[1].parts = vec![
            Part::from_json(Json::object([
                kind,
                ("content", Json::from("b")),
                ("citations", Json::from("u")),
            ]))
            .expect("a part"),
        ];
        cited[1].identity = Some(hash);
        assert_eq!(ids(&full(cited)), ids(&full(turns(&["a", "b", "c"]))));
    }

    #[test]
    fn given_ids_are_links_of_the_chain() {
        let mut given = turns(&["a", "b", "c"]);
        given[1].message_id = Some("m-2".to_owned());
        let messages = full(given);
        assert_eq!(messages[1].message_id, "m-2");
        assert_eq!(messages[2].parent_message_id.as_deref(), Some("m-2"));
        assert_ne!(
            messages[2].message_id,
            full(turns(&["a", "b", "c"]))[2].message_id
        );
    }

    #[test]
    fn one_id_for_two_messages_loses_neither() {
        let mut shared = turns(&["a", "b", "c"]);
        shared[1].message_id = Some("m".to_owned());
        shared[2].message_id = Some("m".to_owned());
        assert_eq!(ids(&full(shared))[1..], ["m", "m#2"]);
        let reminders = full(vec![
            said("system", "brief"),
            said("user", "a"),
            said("system", "brief"),
        ]);
        assert_eq!(
            reminders[2].message_id,
            format!("{}#2", reminders[0].message_id)
        );
    }

    #[test]
    fn new_messages_without_ids_are_numbered_in_their_event() {
        let delta = messages(
            turns(&["a", "b"]),
            Chain::new("t", "c", "e-7", History::Delta),
            &Exchange::default(),
        );
        assert_eq!(ids(&delta), ["e-7-0", "e-7-1"]);
        assert_eq!(delta[1].parent_message_id.as_deref(), Some("e-7-0"));
    }

    #[track_caller]
    fn check_directions(roles: &[&str], expected: &str) {
        let said: Vec<_> = roles.iter().map(|role| said(role, "x")).collect();
        let letters: String = directions(&said)
            .iter()
            .map(|direction| {
                if *direction == Direction::Output {
                    'o'
                } else {
                    'i'
                }
            })
            .collect();
        assert_eq!(letters, expected, "{roles:?}");
    }

    #[test]
    fn the_answer_is_what_the_assistant_says_at_the_end() {
        check_directions(&["user", "assistant"], "io");
        check_directions(
            &["user", "assistant", "user", "assistant", "assistant"],
            "iiioo",
        );
        check_directions(&["user", "assistant", "user"], "iii");
        check_directions(&["assistant"], "o");
        check_directions(&[], "");
    }

    #[test]
    fn what_belongs_to_the_answer_is_on_the_answer_only() {
        let reasons = ["stop".to_owned()];
        let usage = Usage {
            input_tokens: Some(3),
            ..Usage::default()
        };
        let exchange = Exchange {
            model: Some("m"),
            provider: Some("p"),
            finish_reasons: &reasons,
            usage,
        };
        let chain = || Chain::new("t", "c", "e", History::Full);
        let two = messages(turns(&["a", "b"]), chain(), &exchange);
        assert_eq!(
            (
                two[0].model.as_deref(),
                two[0].finish_reason.as_deref(),
                two[0].usage
            ),
            (None, None, Usage::default())
        );
        assert_eq!(
            (
                two[1].model.as_deref(),
                two[1].finish_reason.as_deref(),
                two[1].usage
            ),
            (Some("m"), Some("stop"), usage)
        );
        // One reason for an answer of several messages is that of the last.
        let several = messages(
            vec![said("assistant", "a"), said("assistant", "b")],
            chain(),
            &exchange,
        );
        assert_eq!(several[0].finish_reason, None);
        assert_eq!(several[1].finish_reason.as_deref(), Some("stop"));
        assert_eq!(
            several
                .iter()
                .filter(|message| message.usage != Usage::default())
                .count(),
            1
        );
    }

    proptest! {
        #[test]
        fn a_history_sent_again_keeps_its_ids(texts in proptest::collection::vec("[ab]{0,2}", 1..12), more in 0_usize..4) {
            let texts: Vec<_> = texts.iter().map(String::as_str).collect();
            let longer: Vec<_> = texts.iter().copied().chain(std::iter::repeat_n("next", more)).collect();
            let (before, after) = (full(turns(&texts)), full(turns(&longer)));
            prop_assert_eq!(ids(&before), &ids(&after)[..before.len()]);
        }
    }
}
