//! From what came to the items of a batch: cleaned, taken out of its envelopes, read and adapted.

mod lines;

use std::ops::ControlFlow;

use conversation::{
    AdaptError, Caller, Capture, Delivery, Document, Layout, Sanitized, adapt, sanitize,
};

use crate::error::CaptureError;
use crate::item::{Arrived, Item};
use crate::source::envelope::{self, Inner};
use crate::source::{Content, Http, Record, RequestError, SourceError};

/// What an operator decides about what comes in.
#[derive(Clone, Debug, Default)]
pub struct Intake {
    /// Keys and bodies of the archive.
    pub layout: Layout,
    /// Who may send by HTTP.
    pub http: Http,
}

/// Takes a direct invocation's payload, which has been `repaired`, read and found to be no envelope.
pub(crate) fn direct(
    payload: &str,
    repaired: Sanitized,
    document: Result<Document<'_>, AdaptError>,
    request_id: &str,
    layout: Layout,
) -> Item {
    let delivery = Delivery::direct(Some(request_id));
    let captures = document.and_then(|document| adapt::captures(document, &delivery));
    let arrived = Arrived {
        record_id: None,
        group: None,
        delivery,
        input: payload.into(),
    };
    Item::read(arrived, repaired, captures, layout)
}

/// Reads a record, whatever envelopes its event came in, and adds what is in it to `items`.
pub(crate) fn record(record: Record, intake: &Intake, items: &mut Vec<Item>) {
    let arrived = |input| Arrived {
        record_id: record.id,
        group: record.group,
        delivery: record.delivery,
        input,
    };
    let failed = |arrived, error| Item::failed(arrived, Sanitized::default(), error);
    items.push(match record.content {
        Content::Event(input) => unwrapped(arrived(input), intake.layout),
        Content::Nothing(why) => Item::skipped(arrived(Vec::new()), why),
        Content::Unreadable(problem) => {
            failed(arrived(Vec::new()), CaptureError::Record { problem })
        }
        Content::Refused(error) => failed(arrived(Vec::new()), error.into()),
        Content::Request(body, caller) => {
            return parts(arrived(body), caller.as_ref(), intake, items);
        }
    });
}

/// Reads an input that may hold several events: each of them is an item, and none of them spoils another.
fn parts(arrived: Arrived, caller: Option<&Caller>, intake: &Intake, items: &mut Vec<Item>) {
    let Some(parts) = lines::split(&arrived.input) else {
        items.push(part(arrived, Sanitized::default(), caller, intake));
        return;
    };
    let is_one = parts.texts.len() == 1;
    for (ordinal, input) in parts.texts.into_iter().enumerate() {
        let delivery = arrived.delivery.clone();
        let arrived = Arrived {
            record_id: arrived.record_id.clone(),
            group: arrived.group.clone(),
            delivery: if is_one {
                delivery
            } else {
                delivery.numbered(ordinal)
            },
            input,
        };
        items.push(part(arrived, parts.repaired, caller, intake));
    }
}

/// Reads one event that is in no envelope, as that of the caller if there is one.
fn part(arrived: Arrived, outer: Sanitized, caller: Option<&Caller>, intake: &Intake) -> Item {
    let clean = sanitize::clean(&arrived.input).out_of(outer);
    let repaired = clean.sanitized();
    let captures = match Document::read(&clean) {
        Ok(document) => captures_of(&document, repaired, &arrived.delivery, caller),
        Err(error) => Ok(Err(error)),
    };
    drop(clean);
    match captures {
        Ok(captures) => Item::read(arrived, repaired, captures, intake.layout),
        Err(error) => Item::failed(arrived, repaired, error),
    }
}

/// Who is told by the outer result that it may not be sent so, by the inner one that it is no event.
fn captures_of(
    document: &Document<'_>,
    repaired: Sanitized,
    delivery: &Delivery,
    caller: Option<&Caller>,
) -> Result<Result<Vec<Capture>, AdaptError>, CaptureError> {
    let event = document.root();
    if envelope::open(event)?.is_some() {
        let source_name = "a source that forwards them here by hand";
        return Err(SourceError::NotAccepted { source_name }.into());
    }
    let signed = match caller {
        Some(caller) => caller.sign(event),
        None => event.text().to_owned(),
    };
    let clean = sanitize::clean(signed.as_bytes()).out_of(repaired);
    let captures = Document::read(&clean).and_then(|event| adapt::captures(event, delivery));
    Ok(match (captures, caller) {
        (Ok(captures), Some(caller)) => {
            let own = captures.into_iter().map(|capture| caller.own(capture));
            Ok(own
                .collect::<Option<_>>()
                .ok_or(RequestError::OtherTenant)?)
        }
        (captures, _) => captures,
    })
}

fn unwrapped(mut arrived: Arrived, layout: Layout) -> Item {
    let mut outer = Sanitized::default();
    for _ in 0..=envelope::LAYERS {
        match event(arrived, outer, layout) {
            ControlFlow::Break(item) => return item,
            ControlFlow::Continue((inner, repaired)) => (arrived, outer) = (inner, repaired),
        }
    }
    Item::failed(arrived, outer, envelope::too_many().into())
}

/// Reads an event, or takes it out of the envelope that it turns out to be.
fn event(
    arrived: Arrived,
    outer: Sanitized,
    layout: Layout,
) -> ControlFlow<Item, (Arrived, Sanitized)> {
    let clean = sanitize::clean(&arrived.input).out_of(outer);
    let repaired = clean.sanitized();
    let document = Document::read(&clean);
    let opened = match &document {
        Ok(document) => envelope::open(document.root()),
        Err(_) => Ok(None),
    };
    let captures = match opened {
        Ok(None) => document.and_then(|document| adapt::captures(document, &arrived.delivery)),
        Ok(Some(Inner { body, delivery })) => {
            let inner = Arrived {
                record_id: arrived.record_id.clone(),
                group: arrived.group.clone(),
                delivery,
                input: body.into_bytes(),
            };
            return ControlFlow::Continue((inner, repaired));
        }
        Err(error) => {
            drop(document);
            drop(clean);
            return ControlFlow::Break(Item::failed(arrived, repaired, error.into()));
        }
    };
    drop(clean);
    ControlFlow::Break(Item::read(arrived, repaired, captures, layout))
}
