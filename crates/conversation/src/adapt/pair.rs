//! A provider's request with its response, as a client has both at hand: `{"request": …, "response": …}`, and round them the
//! keys of the canonical event.

use super::envelope::{Told, assemble};
use super::{AdaptError, Arrival, Fields};
use crate::capture::{Capture, Shape};
use crate::json::Raw;

/// How requests and responses of one interface are read. What is not asked for ends in `metadata.extra`.
pub(super) struct Provider {
    pub(super) shape: Shape,
    /// OpenTelemetry's name of who usually serves it.
    pub(super) name: &'static str,
    /// Whether something is a response of this interface.
    pub(super) answered: fn(&Raw<'_>) -> bool,
    pub(super) request: Read,
    pub(super) response: Read,
}

type Read = fn(Fields<'_>, &mut Told) -> Result<(), AdaptError>;

impl Provider {
    pub(super) fn recognises(&self, event: &Fields<'_>) -> bool {
        event.peek("response").is_some_and(self.answered)
    }

    pub(super) fn adapt(
        &self,
        mut event: Fields<'_>,
        arrival: &Arrival<'_>,
    ) -> Result<Vec<Capture>, AdaptError> {
        const ACCEPTED: &str = "the request that the `response` answers";
        let request = event
            .fields("request")?
            .ok_or_else(|| event.missing("request", ACCEPTED))?;
        let mut told = Told {
            operation: Some("chat".to_owned()),
            provider: Some(self.name.to_owned()),
            conversation_id: conversation_id(&request),
            ..Told::default()
        };
        (self.request)(request, &mut told)?;
        if let Some(response) = event.fields("response")? {
            (self.response)(response, &mut told)?;
        }
        Ok(vec![assemble(event, arrival, self.shape, told)?])
    }
}

/// The conversation that a client names in what its provider lets it say of a request: `metadata` of `OpenAI`,
/// `requestMetadata` of Bedrock.
fn conversation_id(request: &Fields<'_>) -> Option<String> {
    let named = |key| request.peek(key)?.get("conversation_id")?.string();
    let id = named("metadata").or_else(|| named("requestMetadata"))?;
    (!id.is_empty()).then(|| crate::identity::bounded_id(&id))
}

/// Whether `raw` is an object whose `key` is the string `word`.
pub(super) fn says(raw: &Raw<'_>, key: &str, word: &str) -> bool {
    raw.get(key)
        .and_then(Raw::string)
        .is_some_and(|said| said == word)
}
