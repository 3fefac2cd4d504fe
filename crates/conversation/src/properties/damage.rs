//! Events that are nearly right.

use proptest::prelude::*;
use serde_json::Value;

use super::{any_json, event};

/// An event in which one value somewhere is another one.
pub(super) fn damaged_event() -> impl Strategy<Value = Value> {
    (event(), any_json(), any::<prop::sample::Index>()).prop_map(|(mut event, other, place)| {
        let place = place.index(nodes(&event));
        replace(&mut event, place, &mut Some(other));
        event
    })
}

fn children(value: &mut Value) -> Vec<&mut Value> {
    match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(entries) => entries.values_mut().collect(),
        _ => Vec::new(),
    }
}

fn nodes(value: &Value) -> usize {
    1 + children(&mut value.clone())
        .into_iter()
        .map(|child| nodes(child))
        .sum::<usize>()
}

/// Puts `other` at the place with this number, and says how many places there were to go on.
fn replace(value: &mut Value, place: usize, other: &mut Option<Value>) -> usize {
    if place == 0 {
        *value = other.take().unwrap_or_default();
        return 0;
    }
    let mut left = place - 1;
    for child in children(value) {
        if other.is_none() {
            break;
        }
        let size = nodes(child);
        if left < size {
            return replace(child, left, other);
        }
        left -= size;
    }
    left
}
