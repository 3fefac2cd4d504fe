//! Redaction: what may not be kept is taken out before anything is stored, logged or answered.
//!
//! Start at [`Redactor`]. `policy` says what is looked for, `view` reads a text through its escapes, `scan` and `own` find,
//! and `event` goes through a capture.
//!
//! Ids and fingerprints are made before, of the whole text, and with a key ([`IdentityKey`]): a message that is sent again
//! is found again though its text is not stored, and the hash tells nothing to who does not have the key.

mod earlier;
mod event;
mod input;
mod key;
mod kind;
mod own;
mod policy;
mod scan;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;

use crate::adapt::AdaptError;
use kind::{Kind, Mode};
use policy::Policy;
use view::View;

pub use input::Input;
pub use key::IdentityKey;
pub use policy::Policies;

/// Takes out what may not be kept. Doing so again changes nothing.
#[derive(Clone, Debug)]
pub struct Redactor {
    policies: Policies,
    key: IdentityKey,
}

/// How much of which kind was taken out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redactions(BTreeMap<String, u32>);

/// What was done to an event before it was stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redaction {
    /// Id of the policy: the same for the same policy.
    pub policy: String,
    /// What was taken out.
    pub redactions: Redactions,
}

impl Redactions {
    /// The number of places in which something was taken out.
    pub fn total(&self) -> u64 {
        self.0.values().copied().map(u64::from).sum()
    }

    /// The numbers by kind, in the order of the names.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, u32)> {
        self.0.iter().map(|(kind, count)| (kind.as_str(), *count))
    }

    pub(crate) fn add(&mut self, kind: &str, count: u32) {
        let sum = self.0.entry(kind.to_owned()).or_default();
        *sum = sum.saturating_add(count);
    }
}

impl Redactor {
    /// A redactor by these policies.
    pub fn new(policies: Policies, key: IdentityKey) -> Self {
        Self { policies, key }
    }

    /// The key of the hashes over unredacted text.
    pub fn key(&self) -> &IdentityKey {
        &self.key
    }

    /// The error without what it may quote: names of an event's fields.
    #[must_use]
    pub fn error(&self, error: AdaptError) -> AdaptError {
        match error {
            AdaptError::UnknownShape { found, accepted } => {
                let mut pass = self.pass(self.policies.of_all(std::iter::empty()), "");
                let found = pass.text(found);
                AdaptError::UnknownShape { found, accepted }
            }
            error => error,
        }
    }

    fn pass<'a>(&'a self, policy: &'a Policy, tenant_id: &'a str) -> Pass<'a> {
        Pass {
            policy,
            key: &self.key,
            tenant_id,
            redactions: Redactions::default(),
        }
    }
}

/// One way through a text or an event, by one policy.
struct Pass<'a> {
    policy: &'a Policy,
    key: &'a IdentityKey,
    tenant_id: &'a str,
    redactions: Redactions,
}

/// A find in a view; what an operator looks for goes before what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Own(usize),
    Known(Kind),
}

#[derive(Clone, Copy, Debug)]
struct Find {
    start: usize,
    end: usize,
    what: What,
}

/// Base64 of at least this length is bytes and no text: a picture must not be changed because some of it looks like a word.
const BYTES_MIN_LENGTH: usize = 512;

impl Pass<'_> {
    /// The text without what was found; the text itself if that is nothing.
    fn text(&mut self, text: String) -> String {
        match self.bytes(text.as_bytes()) {
            // Whole characters are taken out of UTF-8, and ASCII is put in.
            Some(redacted) => String::from_utf8(redacted)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
            None => text,
        }
    }

    /// As [`Pass::text`]; `None` if nothing was found.
    fn bytes(&mut self, text: &[u8]) -> Option<Vec<u8>> {
        let is_idle = self.policy.kinds.is_empty() && self.policy.own.is_none();
        if is_idle || is_media(text) {
            return None;
        }
        let view = View::of(text);
        let finds = self.find(view.bytes());
        if finds.is_empty() {
            return None;
        }
        let mut redacted = Vec::with_capacity(text.len());
        let mut kept = 0;
        for find in finds {
            let (start, end) = (view.origin(find.start), view.origin(find.end));
            redacted.extend_from_slice(text.get(kept..start).unwrap_or_default());
            let found = view.bytes().get(find.start..find.end).unwrap_or_default();
            redacted.extend_from_slice(self.replacement(find.what, found).as_bytes());
            kept = end;
        }
        redacted.extend_from_slice(text.get(kept..).unwrap_or_default());
        Some(redacted)
    }

    /// What is in a view, in its order, and none of it in the place of another.
    fn find(&self, view: &[u8]) -> Vec<Find> {
        let mut all = Vec::new();
        if !self.policy.kinds.is_empty() {
            all.extend(
                scan::scan(view, self.policy.kinds)
                    .into_iter()
                    .map(|span| Find {
                        start: span.start,
                        end: span.end,
                        what: What::Known(span.kind),
                    }),
            );
        }
        if let Some(own) = &self.policy.own {
            all.extend(own.find(view).into_iter().map(|(start, end, number)| Find {
                start,
                end,
                what: What::Own(number),
            }));
        }
        all.sort_unstable_by_key(|find| (find.start, find.end, find.what));
        let mut apart: Vec<Find> = Vec::with_capacity(all.len());
        for find in all {
            match apart.last_mut() {
                // Two in one place are taken out together: of neither may a part be left.
                Some(last) if find.start < last.end => {
                    last.end = last.end.max(find.end);
                    last.what = last.what.min(find.what);
                }
                _ => apart.push(find),
            }
        }
        apart
    }

    fn replacement(&mut self, what: What, found: &[u8]) -> String {
        let (name, mode, normal) = match what {
            What::Known(kind) => {
                let mode = self.policy.mode_of(kind).unwrap_or(Mode::Mask);
                (kind.as_str(), mode, kind.normal(found))
            }
            What::Own(number) => {
                let (name, mode) = self.policy.own(number).unwrap_or(("own", Mode::Mask));
                (name, mode, String::from_utf8_lossy(found).into_owned())
            }
        };
        self.redactions.add(name, 1);
        match mode {
            Mode::Mask => format!("[{name}]"),
            Mode::Hash => {
                let fields = [self.tenant_id, name, &normal].map(str::as_bytes);
                let hash = self.key.digest("redaction", &fields);
                format!("[{name}:{}]", kind::letters(&hash))
            }
            Mode::Drop => "[]".to_owned(),
        }
    }
}

fn is_media(text: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    text.len() >= BYTES_MIN_LENGTH && text.iter().all(is_base64)
}
