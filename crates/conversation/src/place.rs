//! What the key of an archived capture tells without the object.

use crate::layout::{CONVERSATIONS, is_replacement};

/// The parts of a key; ids as they stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    tenant: &'a str,
    conversation: &'a str,
    event: &'a str,
}

/// The ids of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ids<'a> {
    /// The tenant.
    pub tenant_id: &'a str,
    /// The conversation.
    pub conversation_id: &'a str,
    /// The event.
    pub event_id: &'a str,
}

impl<'a> Place<'a> {
    /// Reads a key of either layout; `None` if it is the key of nothing that we archive.
    pub fn of(key: &'a str) -> Option<Self> {
        let key = key.strip_suffix(".json")?;
        match key.strip_prefix(CONVERSATIONS) {
            Some(key) => Self::of_turn(key),
            None => Self::of_legacy(key.strip_prefix(LEGACY)?),
        }
    }

    /// The ids, unless one of them stands here by a likeness and a hash: then only the object knows.
    pub fn ids(self) -> Option<Ids<'a>> {
        let segments = [self.tenant, self.conversation, self.event];
        (!segments.into_iter().any(is_replacement)).then_some(Ids {
            tenant_id: self.tenant,
            conversation_id: self.conversation,
            event_id: self.event,
        })
    }

    fn of_turn(key: &'a str) -> Option<Self> {
        let mut segments = key.split('/');
        let tenant = segments.next()?.strip_prefix("t=")?;
        let date = segments.next()?.strip_prefix("dt=")?;
        let conversation = segments.next()?.strip_prefix("c=")?;
        let file = segments.next()?;
        let event = if date == UNDATED {
            file
        } else {
            let (clock, event) = file.split_once('-')?;
            is_number(clock, 9).then_some(event)?
        };
        segments.next().is_none().then_some(Self {
            tenant,
            conversation,
            event,
        })
    }

    fn of_legacy(key: &'a str) -> Option<Self> {
        let mut segments: Vec<_> = key.split('/').collect();
        let tenant = match segments.first()?.strip_prefix("t=") {
            Some(tenant) => {
                segments.remove(0);
                tenant
            }
            None => "default",
        };
        let is_date =
            |year, month, day| is_number(year, 4) && is_number(month, 2) && is_number(day, 2);
        match *segments.as_slice() {
            [undated, conversation, event] if undated == UNDATED => Some(Self {
                tenant,
                conversation,
                event,
            }),
            [year, month, day, conversation, event] if is_date(year, month, day) => Some(Self {
                tenant,
                conversation,
                event,
            }),
            _ => None,
        }
    }
}

/// Prefix of all captures of [`Layout::Legacy`](crate::Layout::Legacy), and of those of the other layout.
const LEGACY: &str = "conversations/";

/// What stands in the place of the date for an event that has no time.
const UNDATED: &str = "undated";

fn is_number(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, expected: Option<[&str; 3]>) {
        let ids = Place::of(key).and_then(Place::ids);
        let found = ids.map(|ids| [ids.tenant_id, ids.conversation_id, ids.event_id]);
        assert_eq!(found, expected, "{key}");
    }

    #[test]
    fn ids_are_read_from_keys_that_have_them() {
        check(
            "conversations/v1/t=default/dt=2026-11-23/c=c-1/100000123-e-1.json",
            Some(["default", "c-1", "e-1"]),
        );
        check(
            "conversations/v1/t=a/dt=undated/c=c-1/100000123-e-1.json",
            Some(["a", "c-1", "100000123-e-1"]),
        );
        check(
            "conversations/2026/11/23/c-1/e-1.json",
            Some(["default", "c-1", "e-1"]),
        );
        check(
            "conversations/t=a/2026/11/23/c-1/e-1.json",
            Some(["a", "c-1", "e-1"]),
        );
        check(
            "conversations/undated/c-1/e-1.json",
            Some(["default", "c-1", "e-1"]),
        );
        check(
            "conversations/v1/t=default/dt=2026-11-23/c=a_b_c14cddc033f64b9d/100000123-e-1.json",
            None,
        );
        check(
            "conversations/v1/t=default/dt=2026-11-23/c=c-1/100000123-e_c14cddc033f64b9d.json",
            None,
        );
    }

    #[test]
    fn what_is_no_key_of_ours_has_no_place() {
        for key in [
            "conversations/2025/11/23/c-1.json",
            "conversations/v1/t=default/dt=2026-11-23/c=c-1/e-1.json",
            "conversations/v1/t=default/dt=2026-11-23/c=c-1/100000123-e-1.json.gz",
            "conversations/v1/t=default/dt=2026-11-23/c=c-1/x/100000123-e-1.json",
            "quarantine/v1/dt=2026-11-23/sqs/e-1.json",
            "conversations/",
        ] {
            assert_eq!(Place::of(key), None, "{key}");
        }
    }
}
