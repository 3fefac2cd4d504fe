//! From what came to the items of a batch: cleaned, taken out of its envelopes, read and adapted.

use std::ops::ControlFlow;

use conversation::{AdaptError, Delivery, Document, Layout, Sanitized, adapt, sanitize};

use crate::item::Item;
use crate::source::Record;
use crate::source::envelope::{self, Inner};

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
    let record = Record {
        id: None,
        group: None,
        delivery,
        body: payload.into(),
    };
    Item::read(record, repaired, captures, layout)
}

/// Reads a record, whatever envelopes its event came in.
pub(crate) fn record(mut record: Record, layout: Layout) -> Item {
    let mut outer = Sanitized::default();
    for _ in 0..=envelope::LAYERS {
        match event(record, outer, layout) {
            ControlFlow::Break(item) => return item,
            ControlFlow::Continue((inner, repaired)) => (record, outer) = (inner, repaired),
        }
    }
    Item::failed(record, outer, envelope::too_many().into())
}

/// Reads an event, or takes it out of the envelope that it turns out to be.
fn event(
    record: Record,
    outer: Sanitized,
    layout: Layout,
) -> ControlFlow<Item, (Record, Sanitized)> {
    let clean = sanitize::clean(&record.body).out_of(outer);
    let repaired = clean.sanitized();
    let document = Document::read(&clean);
    let opened = match &document {
        Ok(document) => envelope::open(document.root()),
        Err(_) => Ok(None),
    };
    let captures = match opened {
        Ok(None) => document.and_then(|document| adapt::captures(document, &record.delivery)),
        Ok(Some(Inner { body, delivery })) => {
            let inner = Record {
                id: record.id.clone(),
                group: record.group.clone(),
                delivery,
                body: body.into_bytes(),
            };
            return ControlFlow::Continue((inner, repaired));
        }
        Err(error) => {
            drop(document);
            drop(clean);
            return ControlFlow::Break(Item::failed(record, repaired, error.into()));
        }
    };
    drop(clean);
    ControlFlow::Break(Item::read(record, repaired, captures, layout))
}
