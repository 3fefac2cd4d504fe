//! From what came to the items of a batch: cleaned, taken out of its envelopes, read and adapted.

mod lines;

use std::ops::ControlFlow;
use std::sync::Arc;

use conversation::{
    AdaptError, Caller, Capture, Delivery, Document, Layout, Raw, Redactor, Sanitized, adapt,
    sanitize,
};

use crate::claim::{self, Body, Claim, ClaimError, Outside};
use crate::error::CaptureError;
use crate::item::{Arrived, Item};
use crate::source::envelope::{self, Inner};
use crate::source::s3::{Notice, Upload};
use crate::source::{Content, Http, Record, RequestError, SourceError};

/// What an operator decides about what comes in.
#[derive(Clone, Debug, Default)]
pub struct Intake {
    /// Keys and bodies of the archive.
    pub layout: Layout,
    /// Takes out what may not be kept; `None` if everything may.
    pub redactor: Option<Arc<Redactor>>,
    /// Who may send by HTTP.
    pub http: Http,
    /// Buckets whose objects may hold events (`CLAIM_CHECK_BUCKETS`).
    pub claim_check_buckets: Vec<String>,
    /// Key of Bedrock's `requestMetadata` that names the conversation, instead of the usual one.
    pub bedrock_conversation_key: Option<String>,
}

impl Intake {
    /// The captures of an event, with ids of the right kind: text that is not stored is hashed with a key.
    fn captures<'a>(
        &'a self,
        document: Document<'a>,
        delivery: &Delivery,
    ) -> Result<Vec<Capture>, AdaptError> {
        let document = match &self.bedrock_conversation_key {
            Some(key) => document.with_bedrock_conversation_key(key),
            None => document,
        };
        match &self.redactor {
            Some(redactor) => adapt::captures_keyed(document, delivery, redactor.key()),
            None => adapt::captures(document, delivery),
        }
    }
}

/// An event of which some or all lies in objects.
pub(crate) struct Claimed {
    /// The objects: at least one.
    pub(crate) claims: Vec<Claim>,
    /// What of the event each of them is; none for all of it, in one object.
    bodies: Vec<Body>,
    /// The event that refers to them; `None` where a notification does.
    referring: Option<String>,
    /// Who has sent that, if anybody knows.
    caller: Option<Caller>,
}

/// Takes a direct invocation's payload, which has been `repaired`, read and found to be no envelope. The item gets it as its
/// input later, when nobody reads in it any more.
pub(crate) fn direct(
    repaired: Sanitized,
    document: Result<Document<'_>, AdaptError>,
    request_id: &str,
    intake: &Intake,
) -> Item {
    let arrived = Arrived {
        record_id: None,
        group: None,
        delivery: Delivery::direct(Some(request_id)),
        input: Vec::new(),
    };
    let claim = claim_of(document.as_ref().ok(), &Sender::default(), false, intake);
    if let Some(claim) = claim {
        return claimed(arrived, repaired, claim);
    }
    let captures = document.and_then(|document| intake.captures(document, &arrived.delivery));
    Item::read(arrived, repaired, captures, intake)
}

/// The objects that an event says it lies in, if they may be read.
fn claim_of(
    document: Option<&Document<'_>>,
    sender: &Sender<'_>,
    is_one_of_several: bool,
    intake: &Intake,
) -> Option<Result<Claimed, ClaimError>> {
    let event = document?.root();
    let outside = claim::of_event(event)?;
    let claimed = |outside: Outside| {
        let (bodies, claims) = match outside {
            Outside::Event(_) if sender.is_object => return Err(ClaimError::Chained),
            Outside::Event(claim) => (Vec::new(), vec![claim]),
            Outside::Bodies(bodies) => bodies.into_iter().unzip(),
        };
        for claim in &claims {
            claim.check(&intake.claim_check_buckets, sender.caller)?;
        }
        Ok(Claimed {
            claims,
            bodies,
            referring: Some(sender.completed(event, is_one_of_several)),
            caller: sender.caller.cloned(),
        })
    };
    Some(outside.and_then(claimed))
}

fn claimed(arrived: Arrived, repaired: Sanitized, claimed: Result<Claimed, ClaimError>) -> Item {
    match claimed {
        Ok(claimed) => Item::claimed(arrived, repaired, claimed),
        Err(error) => Item::failed(arrived, repaired, error.into()),
    }
}

/// An object that S3 tells of, if it may be read.
fn uploaded(mut arrived: Arrived, upload: Upload, intake: &Intake) -> Item {
    let claim = Claim::of_upload(&upload);
    arrived.delivery = upload.delivery;
    let checked = claim.check(&intake.claim_check_buckets, None);
    let found = checked.map(|()| Claimed {
        claims: vec![claim],
        bodies: Vec::new(),
        referring: None,
        caller: None,
    });
    claimed(arrived, Sanitized::default(), found)
}

/// Reads what objects turned out to hold, in the order of their claims, and adds it to `items`.
pub(crate) fn fetched(
    (mut arrived, repaired, claimed): (Arrived, Sanitized, Claimed),
    objects: Result<Vec<Vec<u8>>, CaptureError>,
    intake: &Intake,
    items: &mut Vec<Item>,
) {
    let objects = match objects {
        Ok(objects) => objects,
        Err(error) => return items.push(Item::failed(arrived, repaired, error)),
    };
    let mut sender = Sender {
        caller: claimed.caller.as_ref(),
        is_object: true,
        referring: claimed.referring.as_deref(),
    };
    if claimed.bodies.is_empty() {
        // One object, of up to 32 MiB: moved and not copied.
        arrived.input = objects.into_iter().next().unwrap_or_default();
        return parts(arrived, repaired, &sender, intake, items);
    }
    let bodies = claimed.bodies.into_iter().zip(objects).collect();
    let referring = sender.referring.take().unwrap_or_default();
    let (event, in_bodies) = claim::embodied(referring, bodies);
    arrived.input = event.into_bytes();
    let repaired = repaired.and(in_bodies);
    items.push(part(arrived, repaired, &sender, false, intake));
}

/// Reads a record, in which this was `repaired`, whatever envelopes its event came in, and adds what is in it to `items`.
pub(crate) fn record(record: Record, repaired: Sanitized, intake: &Intake, items: &mut Vec<Item>) {
    let arrived = |input| Arrived {
        record_id: record.id,
        group: record.group,
        delivery: record.delivery,
        input,
    };
    let failed = |arrived, error| Item::failed(arrived, repaired, error);
    items.push(match record.content {
        Content::Event(input) => return unwrapped(arrived(input), repaired, intake, items),
        Content::Nothing(why) => Item::skipped(arrived(Vec::new()), why),
        Content::Unreadable(problem) => {
            failed(arrived(Vec::new()), CaptureError::Record { problem })
        }
        Content::Refused(error) => failed(arrived(Vec::new()), error.into()),
        Content::Request(body, caller) => {
            let sender = Sender {
                caller: caller.as_ref(),
                is_object: false,
                referring: None,
            };
            return parts(arrived(body), repaired, &sender, intake, items);
        }
    });
}

/// What stands behind an input besides the input.
#[derive(Default)]
struct Sender<'a> {
    /// Who it is, if anybody knows.
    caller: Option<&'a Caller>,
    /// Whether the input is an object.
    is_object: bool,
    /// The event that refers to it.
    referring: Option<&'a str>,
}

impl Sender<'_> {
    /// An event of the input, with what the event says that refers to it.
    fn completed(&self, event: &Raw<'_>, is_one_of_several: bool) -> String {
        match self.referring {
            Some(referring) => claim::completed(event, referring, is_one_of_several),
            None => event.text().to_owned(),
        }
    }
}

/// Reads an input that may hold several events: each of them is an item, and none of them spoils another.
fn parts(
    mut arrived: Arrived,
    outer: Sanitized,
    sender: &Sender<'_>,
    intake: &Intake,
    items: &mut Vec<Item>,
) {
    let Some(parts) = lines::split(&arrived.input) else {
        return items.push(part(arrived, outer, sender, false, intake));
    };
    let is_one = parts.len() == 1;
    let referring = sender.referring.filter(|_| !is_one);
    if let Some(id) = referring.and_then(claim::event_id) {
        arrived.delivery.id = Some(id);
    }
    for (ordinal, one) in parts.into_iter().enumerate() {
        let repaired = one.repaired.and(outer);
        let mut one = arrived.with(one.text);
        if !is_one {
            one.delivery = one.delivery.numbered(ordinal);
        }
        items.push(part(one, repaired, sender, !is_one, intake));
    }
}

/// Reads one event that is in no envelope.
fn part(
    arrived: Arrived,
    outer: Sanitized,
    sender: &Sender<'_>,
    is_one_of_several: bool,
    intake: &Intake,
) -> Item {
    let clean = sanitize::clean(&arrived.input).out_of(outer);
    let repaired = clean.sanitized();
    let document = Document::read(&clean);
    if let Some(claim) = claim_of(document.as_ref().ok(), sender, is_one_of_several, intake) {
        drop(document);
        drop(clean);
        return claimed(arrived, repaired, claim);
    }
    let captures = match document {
        Ok(document) => captures_of(
            &document,
            repaired,
            &arrived.delivery,
            sender,
            is_one_of_several,
            intake,
        ),
        Err(error) => Ok(Err(error)),
    };
    drop(clean);
    match captures {
        Ok(captures) => Item::read(arrived, repaired, captures, intake),
        Err(error) => Item::failed(arrived, repaired, error),
    }
}

/// Who is told by the outer result that it may not be sent so, by the inner one that it is no event.
fn captures_of(
    document: &Document<'_>,
    repaired: Sanitized,
    delivery: &Delivery,
    sender: &Sender<'_>,
    is_one_of_several: bool,
    intake: &Intake,
) -> Result<Result<Vec<Capture>, AdaptError>, CaptureError> {
    let event = document.root();
    if envelope::open(event)?.is_some() {
        let source_name = "a source that forwards them here by hand";
        return Err(SourceError::NotAccepted { source_name }.into());
    }
    let event = sender.completed(event, is_one_of_several);
    let event = match sender.caller {
        Some(caller) => signed(caller, &event),
        None => event,
    };
    let clean = sanitize::clean(event.as_bytes()).out_of(repaired);
    let captures = Document::read(&clean).and_then(|event| intake.captures(event, delivery));
    Ok(match (captures, sender.caller) {
        (Ok(captures), Some(caller)) => {
            let own = captures.into_iter().map(|capture| caller.own(capture));
            Ok(own
                .collect::<Option<_>>()
                .ok_or(RequestError::OtherTenant)?)
        }
        (captures, _) => captures,
    })
}

/// The event as its caller may send it; what cannot be read any more is for the adapters to tell.
fn signed(caller: &Caller, event: &str) -> String {
    Raw::read(event).map_or_else(|_| event.to_owned(), |event| caller.sign(&event))
}

fn unwrapped(mut arrived: Arrived, mut outer: Sanitized, intake: &Intake, items: &mut Vec<Item>) {
    for _ in 0..=envelope::LAYERS {
        match event(arrived, outer, intake) {
            ControlFlow::Break(item) => return items.push(item),
            ControlFlow::Continue(Inside::Layer(inner, repaired)) => {
                (arrived, outer) = (inner, repaired);
            }
            ControlFlow::Continue(Inside::Notices(arrived, notices)) => {
                return items.extend(notices.into_iter().map(|notice| {
                    let arrived = arrived.with(Vec::new());
                    match notice {
                        Notice::Created(upload) => uploaded(arrived, upload, intake),
                        Notice::Other(why) => Item::skipped(arrived, why),
                    }
                }));
            }
        }
    }
    items.push(Item::failed(arrived, outer, envelope::too_many().into()));
}

/// What is in an envelope, if it is not an event.
enum Inside {
    /// An event or one more envelope, and what had to be repaired above it.
    Layer(Arrived, Sanitized),
    /// What S3 tells, and how that came.
    Notices(Arrived, Vec<Notice>),
}

/// Reads an event, or takes it out of the envelope that it turns out to be.
fn event(arrived: Arrived, outer: Sanitized, intake: &Intake) -> ControlFlow<Item, Inside> {
    let clean = sanitize::clean(&arrived.input).out_of(outer);
    let repaired = clean.sanitized();
    let document = Document::read(&clean);
    let opened = match &document {
        Ok(document) => envelope::open(document.root()),
        Err(_) => Ok(None),
    };
    let inner = match opened {
        Ok(None) => {
            let claim = claim_of(document.as_ref().ok(), &Sender::default(), false, intake);
            let captures = match claim {
                None => document.and_then(|event| intake.captures(event, &arrived.delivery)),
                Some(claim) => {
                    drop(document);
                    drop(clean);
                    return ControlFlow::Break(claimed(arrived, repaired, claim));
                }
            };
            drop(clean);
            return ControlFlow::Break(Item::read(arrived, repaired, captures, intake));
        }
        Ok(Some(inner)) => Ok(inner),
        Err(error) => Err(error),
    };
    drop(document);
    drop(clean);
    match inner {
        Ok(Inner::Body(body, delivery)) => {
            let mut inner = arrived.with(body.into_bytes());
            inner.delivery = delivery;
            ControlFlow::Continue(Inside::Layer(inner, repaired))
        }
        Ok(Inner::Notices(notices)) => ControlFlow::Continue(Inside::Notices(arrived, notices)),
        Err(error) => ControlFlow::Break(Item::failed(arrived, repaired, error.into())),
    }
}
