//! From what came to the items of a batch: cleaned, taken out of its envelopes, read and adapted.

use std::ops::ControlFlow;

use conversation::{AdaptError, Delivery, Document, Layout, Sanitized, adapt, sanitize};

use crate::error::CaptureError;
use crate::item::{Arrived, Item};
use crate::source::envelope::{self, Inner};
use crate::source::{Content, Record};

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

/// Reads a record, whatever envelopes its event came in.
pub(crate) fn record(record: Record, layout: Layout) -> Item {
    let arrived = |input| Arrived {
        record_id: record.id,
        group: record.group,
        delivery: record.delivery,
        input,
    };
    match record.content {
        Content::Event(input) => unwrapped(arrived(input), layout),
        Content::Nothing(why) => Item::skipped(arrived(Vec::new()), why),
        Content::Unreadable(problem) => Item::failed(
            arrived(Vec::new()),
            Sanitized::default(),
            CaptureError::Record { problem },
        ),
    }
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
