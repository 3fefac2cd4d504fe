//! Redaction of a capture, field by field.

use std::collections::HashSet;

use super::{Pass, Redaction, Redactor};
use crate::capture::{Capture, Implementation, Message, Part};
use crate::identity;
use crate::json::Json;

impl Redactor {
    /// The capture as it may be stored, by the policy of its tenant.
    ///
    /// All that somebody may have written is looked at: text, arguments, metadata, keys of objects. Names of things are
    /// not, since rows would not be found by another name: the ids of tenant, conversation, event, user, message,
    /// implementation, response and trace.
    #[must_use]
    pub fn capture(&self, capture: Capture) -> Capture {
        let policy = self.policies.of(&capture.tenant_id);
        let tenant_id = capture.tenant_id.clone();
        let mut pass = self.pass(policy, &tenant_id);
        let fingerprint = match &capture.redaction {
            // It was made with a key, before a text that is not here any more was taken out.
            Some(_) => capture.fingerprint,
            None => self.fingerprint(capture.fingerprint),
        };
        let mut redactions = capture.redaction.clone().unwrap_or_default().redactions;
        let mut redacted = pass.capture(capture);
        for (kind, count) in pass.redactions.entries() {
            redactions.add(kind, count);
        }
        redacted.fingerprint = fingerprint;
        redacted.redaction = Some(Redaction {
            policy: policy.id.clone(),
            redactions,
        });
        redacted
    }

    /// The fingerprint under which a capture is known that has `plain` without a key.
    fn fingerprint(&self, plain: [u8; 32]) -> [u8; 32] {
        self.key.digest("fingerprint", &[&plain])
    }
}

impl Pass<'_> {
    fn capture(&mut self, mut capture: Capture) -> Capture {
        for text in [
            &mut capture.operation,
            &mut capture.provider,
            &mut capture.request_model,
            &mut capture.response_model,
        ] {
            *text = text.take().map(|text| self.text(text));
        }
        for text in capture.finish_reasons.iter_mut().chain(&mut capture.tags) {
            self.replace(text);
        }
        capture.error = capture.error.map(|error| self.json(error));
        capture.context = self.json(capture.context);
        capture.metadata = self.json(capture.metadata);
        capture.system_instructions = self.parts(capture.system_instructions);
        let (model, provider) = (capture.model().map(str::to_owned), &capture.provider);
        for message in &mut capture.messages {
            self.message(message);
            // What they have is said of the whole exchange.
            message.model = message.model.take().and(model.clone());
            message.provider = message.provider.take().and(provider.clone());
        }
        let implementations = capture.implementations.into_iter();
        capture.implementations = implementations
            .map(|made| self.implementation(made))
            .collect();
        capture
    }

    fn message(&mut self, message: &mut Message) {
        message.plain_ids = None;
        let before = self.redactions.total();
        message.parts = self.parts(std::mem::take(&mut message.parts));
        if self.redactions.total() > before {
            message.content_sha256 = identity::sha256(message.parts.iter().map(Part::json));
        }
        self.replace(&mut message.role);
        for text in [&mut message.name, &mut message.finish_reason] {
            *text = text.take().map(|text| self.text(text));
        }
        message.metadata = self.json(std::mem::replace(&mut message.metadata, Json::Null));
    }

    fn implementation(&mut self, mut made: Implementation) -> Implementation {
        self.replace(&mut made.implementation_type);
        for text in [
            &mut made.file_path,
            &mut made.functionality,
            &mut made.code_snippet,
            &mut made.language,
        ] {
            *text = text.take().map(|text| self.text(text));
        }
        made.metadata = self.json(made.metadata);
        made.sealed()
    }

    fn parts(&mut self, parts: Vec<Part>) -> Vec<Part> {
        let parts = parts.into_iter();
        parts
            .map(|part| part.map(|entries| self.entries(entries, Some("type"))))
            .collect()
    }

    pub(super) fn json(&mut self, json: Json) -> Json {
        match json {
            Json::String(text) => Json::String(self.text(text)),
            Json::Number(number) => self.number(number),
            Json::Array(items) => {
                let items = items.into_iter();
                Json::Array(items.map(|item| self.json(item)).collect())
            }
            Json::Object(entries) => Json::Object(self.entries(entries, None)),
            other @ (Json::Null | Json::Bool(_)) => other,
        }
    }

    /// A number of a card may come as a number; what is left of it is a text.
    fn number(&mut self, number: String) -> Json {
        match self.bytes(number.as_bytes()) {
            Some(redacted) => Json::String(String::from_utf8_lossy(&redacted).into_owned()),
            None => Json::Number(number),
        }
    }

    /// Keys are text too, of an object by whose keys people are named. Two that become the same are told apart, since of equal
    /// keys one would be lost.
    fn entries(
        &mut self,
        entries: Vec<(String, Json)>,
        kept_key: Option<&str>,
    ) -> Vec<(String, Json)> {
        let before = self.redactions.total();
        let entries: Vec<_> = entries
            .into_iter()
            .map(|(key, value)| {
                let keys_before = self.redactions.total();
                let is_kept = kept_key == Some(key.as_str());
                let key = if is_kept { key } else { self.text(key) };
                let is_new = self.redactions.total() > keys_before;
                (is_new, key, self.json(value))
            })
            .collect();
        if self.redactions.total() == before {
            return entries
                .into_iter()
                .map(|(_, key, value)| (key, value))
                .collect();
        }
        let mut taken: HashSet<String> = entries
            .iter()
            .filter(|(is_new, ..)| !is_new)
            .map(|(_, key, _)| key.clone())
            .collect();
        entries
            .into_iter()
            .map(|(is_new, key, value)| {
                let key = if is_new {
                    unused(&key, &mut taken)
                } else {
                    key
                };
                (key, value)
            })
            .collect()
    }

    fn replace(&mut self, text: &mut String) {
        *text = self.text(std::mem::take(text));
    }
}

/// `key`, or `key#2` and so on.
fn unused(key: &str, taken: &mut HashSet<String>) -> String {
    let mut unused = key.to_owned();
    let mut copy = 1;
    while !taken.insert(unused.clone()) {
        copy += 1;
        unused = format!("{key}#{copy}");
    }
    unused
}
