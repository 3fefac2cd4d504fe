//! An answer of Anthropic's as the events of its stream, which is how Bedrock's log has it.

use crate::json::{Json, MAX_DEPTH, Raw};

type Entries = Vec<(String, Json)>;

/// The response that the events of a stream add up to, as its text; `None` for what is no such stream, or a stream with
/// anything in it that would have no place in the response.
pub(in crate::adapt) fn response(events: &Raw<'_>) -> Option<String> {
    let mut stream = Stream::default();
    for event in events.items()? {
        let Json::Object(event) = Json::keep(event, MAX_DEPTH).ok()? else {
            return None;
        };
        stream.take(event)?;
    }
    stream.response().map(|response| response.to_string())
}

#[derive(Default)]
struct Stream {
    message: Option<Entries>,
    blocks: Vec<Entries>,
    /// What else the events said, and that said more than once.
    rest: Vec<Json>,
}

impl Stream {
    fn take(&mut self, mut event: Entries) -> Option<()> {
        let kind = text(remove(&mut event, "type")?)?;
        match kind.as_str() {
            "message_start" if self.message.is_none() => {
                let mut message = object(remove(&mut event, "message")?)?;
                if !remove(&mut message, "content").is_none_or(|content| content.is_empty()) {
                    return None;
                }
                self.message = Some(message);
            }
            "content_block_start" => {
                let is_next = number(remove(&mut event, "index")?)? == self.blocks.len();
                let block = object(remove(&mut event, "content_block")?)?;
                is_next.then(|| self.blocks.push(block))?;
            }
            "content_block_delta" => {
                let index = number(remove(&mut event, "index")?)?;
                let delta = object(remove(&mut event, "delta")?)?;
                extend(self.blocks.get_mut(index)?, delta)?;
            }
            "content_block_stop" => {
                let index = number(remove(&mut event, "index")?)?;
                self.blocks.get(index)?;
            }
            "message_delta" => {
                let delta = object(remove(&mut event, "delta")?)?;
                let counts = remove(&mut event, "usage").map_or(Some(Vec::new()), object)?;
                let message = self.message.as_mut()?;
                let mut usage = remove(message, "usage").map_or(Some(Vec::new()), object)?;
                // Counts of a later event include those of an earlier one.
                let earlier = replace(&mut usage, counts);
                message.push(("usage".to_owned(), Json::Object(usage)));
                for (key, entries) in [("usage", earlier), ("message", replace(message, delta))] {
                    if !entries.is_empty() {
                        self.rest.push(Json::object([(key, Json::Object(entries))]));
                    }
                }
            }
            "message_stop" | "ping" => {}
            _ => return None,
        }
        if !event.is_empty() {
            self.rest.push(Json::Object(event));
        }
        Some(())
    }

    fn response(self) -> Option<Json> {
        let mut message = self.message?;
        let blocks = self.blocks.into_iter().map(Json::Object).collect();
        message.push(("content".to_owned(), Json::Array(blocks)));
        if !self.rest.is_empty() {
            message.push(("stream".to_owned(), Json::Array(self.rest)));
        }
        Some(Json::Object(message))
    }
}

/// Adds what a delta brings to its block.
fn extend(block: &mut Entries, mut delta: Entries) -> Option<()> {
    let kind = text(remove(&mut delta, "type")?)?;
    let (piece, key) = match kind.as_str() {
        "text_delta" => ("text", "text"),
        "thinking_delta" => ("thinking", "thinking"),
        "signature_delta" => ("signature", "signature"),
        // Text that is JSON when it is whole.
        "input_json_delta" => ("partial_json", "input"),
        "citations_delta" => ("citation", "citations"),
        _ => return None,
    };
    let piece = remove(&mut delta, piece)?;
    if !delta.is_empty() {
        return None;
    }
    let place = block.iter().rposition(|(name, _)| name == key);
    let place = place.unwrap_or_else(|| {
        block.push((key.to_owned(), Json::Null));
        block.len() - 1
    });
    let (_, value) = block.get_mut(place)?;
    if key == "citations" {
        if let Json::Array(citations) = value {
            citations.push(piece);
        } else {
            *value = Json::Array(vec![piece]);
        }
        return Some(());
    }
    let piece = text(piece)?;
    match value {
        Json::String(said) => said.push_str(&piece),
        empty if empty.is_empty() || *empty == Json::Null => *empty = Json::String(piece),
        _ => return None,
    }
    Some(())
}

/// Puts `newer` in the place of entries with the same keys, and gives back those that had another value.
fn replace(entries: &mut Entries, newer: Entries) -> Entries {
    let mut replaced = Vec::new();
    for (key, value) in newer {
        let earlier = remove(entries, &key);
        replaced.extend(
            earlier
                .filter(|earlier| *earlier != Json::Null && *earlier != value)
                .map(|earlier| (key.clone(), earlier)),
        );
        entries.push((key, value));
    }
    replaced
}

fn remove(entries: &mut Entries, key: &str) -> Option<Json> {
    let position = entries.iter().rposition(|(name, _)| name == key)?;
    Some(entries.remove(position).1)
}

fn object(json: Json) -> Option<Entries> {
    match json {
        Json::Object(entries) => Some(entries),
        _ => None,
    }
}

fn text(json: Json) -> Option<String> {
    match json {
        Json::String(text) => Some(text),
        _ => None,
    }
}

fn number(json: Json) -> Option<usize> {
    match json {
        Json::Number(digits) => digits.parse().ok(),
        _ => None,
    }
}
