//! One text of one user, as the first capture function of `IaL` took it: bare, or as the `body` of a request.
//!
//! What is not of the expected type is kept like every unknown key, because the original took no notice of it.

use super::envelope::{Told, assemble};
use super::{AdaptError, Adapter, Arrival, Fields, parts};
use crate::capture::{Capture, Direction, History, Shape};
use crate::instant;
use crate::json::{Json, Kind, MAX_DEPTH, Raw};
use crate::sanitize;
use crate::transcript::Said;

pub(super) const ADAPTER: Adapter = Adapter {
    accepts: "with `text` and `user`",
    recognises: |event| match event.peek("body") {
        Some(body) if body.kind() == Kind::Object => body.get("text").is_some(),
        Some(body) if body.kind() == Kind::String => {
            let text = body.string().unwrap_or_default();
            let clean = sanitize::clean(text.as_bytes());
            Raw::read(clean.text()).is_ok_and(|body| body.get("text").is_some())
        }
        _ => event.mentions("text") && event.mentions("user"),
    },
    adapt,
};

fn adapt(mut event: Fields<'_>, arrival: &Arrival<'_>) -> Result<Vec<Capture>, AdaptError> {
    let mut told = Told::default();
    let capture = match event.raw("body") {
        None => said(event, arrival, Shape::Text, told)?,
        Some(body) if body.kind() == Kind::String => {
            let text = body.decoded()?;
            let clean = sanitize::clean(text.as_bytes());
            let body = Fields::read("body", Raw::read(clean.text())?)?;
            told.sanitized = clean.sanitized();
            told.keep("request", event)?;
            said(body, arrival, Shape::TextInBody, told)?
        }
        Some(body) => {
            let body = Fields::read("body", body)?;
            told.keep("request", event)?;
            said(body, arrival, Shape::TextInBody, told)?
        }
    };
    Ok(vec![capture])
}

fn said(
    mut event: Fields<'_>,
    arrival: &Arrival<'_>,
    shape: Shape,
    mut told: Told,
) -> Result<Capture, AdaptError> {
    let time = event.peek_text("timestamp");
    told.time = time.and_then(|text| instant::parse(&text).or_else(|| instant::parse_naive(&text)));
    told.user_id = event.id_or_leave("user");
    told.history = Some(History::Delta);
    let project = event.fields_or_leave("metadata")?;
    let context = project
        .map(|fields| fields.rest(MAX_DEPTH - 1))
        .transpose()?;
    told.context = Some(Json::Object(context.unwrap_or_default()));
    let parts = match event.raw("text") {
        Some(raw) => parts::of_client(&raw)?,
        None => Vec::new(),
    };
    if !parts.is_empty() {
        told.said.push(Said {
            message_id: None,
            parent_message_id: None,
            direction: Some(Direction::Input),
            role: "user".to_owned(),
            name: None,
            parts,
            identity: None,
            alternative: false,
            finish_reason: None,
            metadata: Json::empty_object(),
        });
    }
    assemble(event, arrival, shape, told)
}
