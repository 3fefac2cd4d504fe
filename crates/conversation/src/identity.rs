//! Ids that are the same on every delivery of the same thing.
//!
//! The rules are in the documentation of the crate.
//!
//! Hashes here are plain SHA-256 where they cover the text as it is stored: they tell nothing that the store does not
//! tell itself. Those over text that is redacted before it is stored are made with an [`IdentityKey`].

use std::collections::HashSet;

use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::capture::{History, Part};
use crate::delivery::Delivery;
use crate::instant;
use crate::json::{Draft, Json, MAX_DEPTH, Raw};
use crate::redact::IdentityKey;

/// How long an id may be, in bytes: three of them make a key of a PostgreSQL index, whose rows end at 2704 bytes.
pub(crate) const ID_MAX_BYTES: usize = 512;

/// An id short enough to be a key: a longer one is cut, and the SHA-256 of the whole is appended.
pub(crate) fn bounded_id(id: &str) -> String {
    if id.len() <= ID_MAX_BYTES {
        return id.to_owned();
    }
    let hash = hex::encode(Sha256::digest(id));
    let room = ID_MAX_BYTES - hash.len() - 1;
    format!("{}~{hash}", &id[..id.floor_char_boundary(room)])
}

/// Where an event stands in its delivery.
pub(crate) struct Place<'a> {
    pub(crate) delivery: &'a Delivery,
    /// Position in the delivery, if that holds several events.
    pub(crate) ordinal: Option<usize>,
    /// Position in the event, if that is a batch of records.
    pub(crate) record: Option<usize>,
    /// The event itself, as JSON.
    pub(crate) text: &'a str,
    /// What hashes are made with, if the text is not stored as it is.
    pub(crate) key: Option<&'a IdentityKey>,
}

impl Place<'_> {
    /// The event's id: its own; the id under which it was published; the provider's; that of the delivery.
    pub(crate) fn event_id(
        &self,
        event_id: Option<String>,
        response_id: Option<&str>,
    ) -> serde_json::Result<String> {
        let is_published =
            self.delivery.id.is_some() && self.delivery.source.names_what_was_published();
        let providers = response_id.filter(|_| !is_published).map(bounded_id);
        if let Some(id) = event_id.or(providers) {
            return Ok(id);
        }
        let of_delivery = if let Some(id) = &self.delivery.id {
            id.clone()
        } else {
            let time = self.delivery.time.map(instant::rfc3339).unwrap_or_default();
            let event = Json::keep(&Raw::read(self.text)?, MAX_DEPTH)?;
            format!(
                "h:{}",
                hex::encode(digest(self.key, "event", &[&event.canonical(), &time]))
            )
        };
        let positions = [self.ordinal, self.record].into_iter().flatten();
        Ok(bounded_id(&positions.fold(of_delivery, |id, position| {
            format!("{id}#{position}")
        })))
    }

    /// When the event happened, from what the event itself says first.
    pub(crate) fn occurred_at(&self, event: Option<OffsetDateTime>) -> Option<OffsetDateTime> {
        event.or(self.delivery.time)
    }
}

/// The conversation of an event that names none: the same on every delivery of that event.
pub(crate) fn conversation_id(event_id: &str) -> String {
    let hash = hex::encode(Sha256::digest(event_id));
    format!("c-{}", &hash[..32])
}

/// SHA-256 over the canonical JSON of an event as it is stored, but for what may differ between two sends of it: its time,
/// which a producer may take anew for every try, and the event id, under which it is compared.
pub(crate) fn fingerprint(mut event: Draft<'_>) -> [u8; 32] {
    if let Draft::Object(entries) = &mut event {
        entries.retain(|(key, _)| !matches!(*key, "event_id" | "occurred_at"));
    }
    event.canonical_sha256()
}

/// The id of an implementation that brings none.
pub(crate) fn implementation_id(event_id: &str, ordinal: usize) -> String {
    bounded_id(&format!("{event_id}-impl-{ordinal}"))
}

/// SHA-256 of the canonical JSON of an array of these.
pub(crate) fn sha256<'a>(items: impl IntoIterator<Item = &'a Json>) -> [u8; 32] {
    Json::canonical_sha256(items)
}

/// [`sha256`] of objects with these entries.
pub(crate) fn sha256_of_objects<'a>(
    objects: impl IntoIterator<Item = &'a [(String, Json)]>,
) -> [u8; 32] {
    Json::canonical_sha256_of_objects(objects)
}

/// Gives every message of one event its id and its parent.
pub(crate) struct Chain<'a> {
    tenant_id: &'a str,
    conversation_id: &'a str,
    event_id: &'a str,
    history: History,
    key: Option<&'a IdentityKey>,
    /// The same chain without the key, if there is one.
    plain: Option<Box<Self>>,
    previous: Option<String>,
    /// What `previous` follows.
    before: Option<String>,
    taken: Taken,
}

impl<'a> Chain<'a> {
    pub(crate) fn new(
        tenant_id: &'a str,
        conversation_id: &'a str,
        event_id: &'a str,
        history: History,
    ) -> Self {
        Self {
            tenant_id,
            conversation_id,
            event_id,
            history,
            key: None,
            plain: None,
            previous: None,
            before: None,
            taken: Taken::default(),
        }
    }

    /// With ids that are made with this key.
    pub(crate) fn keyed(self, key: Option<&'a IdentityKey>) -> Self {
        let plain = key.map(|_| {
            let Self {
                tenant_id,
                conversation_id,
                event_id,
                history,
                ..
            } = self;
            Box::new(Self::new(tenant_id, conversation_id, event_id, history))
        });
        Self { key, plain, ..self }
    }

    /// Id and parent that the message has without a key, if there is one: to be asked for each message before its link.
    pub(crate) fn plain_link(&mut self, ordinal: i32, message: &Link<'_>) -> Option<Ids> {
        let plain = self.plain.as_mut()?;
        Some(plain.link(ordinal, message.clone()))
    }

    /// Id and parent of the message at `ordinal`.
    ///
    /// A system message has no place in the chain: a system prompt that changes with every turn must not make a
    /// branch of all that follows.
    pub(crate) fn link(&mut self, ordinal: i32, message: Link<'_>) -> Ids {
        let system = matches!(message.role, "system" | "developer");
        let previous = match &self.before {
            _ if system => None,
            Some(before) if message.alternative => Some(before.clone()),
            _ => self.previous.clone(),
        };
        let id = match &message.given_id {
            Some(id) => id.clone(),
            None if self.history == History::Delta => {
                bounded_id(&format!("{}-{ordinal}", self.event_id))
            }
            None => self.derived(previous.as_deref(), &message),
        };
        let id = self.taken.unused(&id);
        if !system {
            self.before.clone_from(&previous);
            self.previous = Some(id.clone());
        }
        (id, message.given_parent.or(previous))
    }

    /// Reasoning is not hashed: most clients do not send it again, and the answer must still be found.
    fn derived(&self, previous: Option<&str>, message: &Link<'_>) -> String {
        let is_said = |part: &&Part| part.kind() != "reasoning";
        let said = if let Some(identity) = message.identity {
            identity
        } else if message.parts.iter().all(|part| is_said(&part)) {
            message.content_sha256
        } else {
            sha256(message.parts.iter().filter(is_said).map(Part::json))
        };
        let fields = [
            self.tenant_id,
            self.conversation_id,
            previous.unwrap_or_default(),
            message.role,
            &hex::encode(said),
        ];
        format!("h:{}", hex::encode(digest(self.key, "message", &fields)))
    }
}

/// Ids that are given out in one event.
#[derive(Default)]
pub(crate) struct Taken(HashSet<String>);

impl Taken {
    /// `id`, or `id#2` and so on if it is taken.
    ///
    /// Some providers give one id to several messages of an answer, and a system message may be repeated word for
    /// word. Under one id, one of them would be lost.
    pub(crate) fn unused(&mut self, id: &str) -> String {
        let mut unused = id.to_owned();
        let mut copy = 1;
        while !self.0.insert(unused.clone()) {
            copy += 1;
            unused = bounded_id(&format!("{id}#{copy}"));
        }
        unused
    }
}

/// Id and parent of a message.
pub(crate) type Ids = (String, Option<String>);

/// What the chain needs to know of a message.
#[derive(Clone)]
pub(crate) struct Link<'a> {
    pub(crate) given_id: Option<String>,
    pub(crate) given_parent: Option<String>,
    pub(crate) role: &'a str,
    pub(crate) parts: &'a [Part],
    /// [`sha256`] of `parts`, which its maker needs too.
    pub(crate) content_sha256: [u8; 32],
    /// What is hashed in the place of `parts`.
    pub(crate) identity: Option<[u8; 32]>,
    /// Whether it follows what the message before it follows.
    pub(crate) alternative: bool,
}

/// SHA-256, or HMAC with it, over fields that cannot run into each other, for one purpose.
fn digest(key: Option<&IdentityKey>, purpose: &str, fields: &[&str]) -> [u8; 32] {
    if let Some(key) = key {
        let fields: Vec<_> = fields.iter().map(|field| field.as_bytes()).collect();
        return key.digest(purpose, &fields);
    }
    let mut hash = Sha256::new();
    for field in std::iter::once(&purpose).chain(fields) {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    hash.finalize().into()
}
