use aurora_session::RunError;
use store::Unstorable;

use super::*;
use crate::item::Outcome;

const GOOD: &str = r#"{"conversation_id":"c","user_input":"q","assistant_output":"a"}"#;
const NO_JSON: &str = "{\"user_input\": ";
const UNKNOWN: &str = r#"{"hello":"world"}"#;
const REFUSED: &str = r#"{"eventSource":"aws:kafka","records":{}}"#;
const INVALID: &str = r#"{"schema":"llm.capture/1","conversation_id":7,"messages":[]}"#;

/// A batch of messages, each in a group of a FIFO queue.
fn messages(groups_and_bodies: &[(&str, &str)]) -> Batch {
    let records: Vec<_> = groups_and_bodies
        .iter()
        .enumerate()
        .map(|(number, (group, body))| {
            serde_json::json!({
                "messageId": format!("m-{number}"), "body": body, "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:events.fifo",
                "attributes": {"MessageGroupId": group, "SentTimestamp": "1763892000123"},
            })
        })
        .collect();
    let sent = serde_json::json!({"Records": records}).to_string();
    Batch::read(payload(sent), "request", &Intake::default()).unwrap()
}

/// What the runtime makes of this text.
pub(crate) fn payload(text: impl Into<String>) -> Box<RawValue> {
    RawValue::from_string(text.into()).unwrap()
}

pub(crate) const STORED: fn() -> Result<Put, CaptureError> =
    || Ok(Put::Stored { version_id: None });

const NOT_ASKED: fn() -> Result<Put, CaptureError> = || panic!("there is nothing to put");
const NO_ROWS: fn() -> Result<Status, CaptureError> = || panic!("rows need their object first");
const LATE: CaptureError = CaptureError::Late { step: "a test" };

fn already_stored(same_content: bool) -> Put {
    Put::AlreadyStored {
        version_id: None,
        same_content,
    }
}

fn archive(batch: &mut Batch, put: impl Fn(usize) -> Result<Put, CaptureError>) {
    let objects = batch.to_archive();
    batch.archived(
        objects
            .into_iter()
            .map(|(position, _)| (position, put(position.item))),
    );
}

fn ingest(batch: &mut Batch, status: impl Fn(Position) -> Result<Status, CaptureError>) {
    let captures = batch.to_ingest();
    let positions: Vec<_> = captures.into_iter().map(|(position, _)| position).collect();
    batch.ingested(
        positions
            .into_iter()
            .map(|position| (position, status(position))),
    );
}

fn quarantine(batch: &mut Batch, put: impl Fn(usize) -> Result<Put, CaptureError>) {
    let objects = batch.to_quarantine();
    batch.quarantined(
        objects
            .into_iter()
            .map(|(position, object)| (position, object.key.clone(), put(position.item))),
    );
}

/// Carries a batch all the way, as the function does.
pub(crate) fn carry(
    batch: &mut Batch,
    put: impl Fn(usize) -> Result<Put, CaptureError>,
    status: impl Fn(Position) -> Result<Status, CaptureError>,
) {
    archive(batch, put);
    quarantine(batch, |_| STORED());
    ingest(batch, status);
    quarantine(batch, |_| STORED());
}

/// What became of each item, in a word.
pub(crate) fn outcomes(batch: &Batch) -> String {
    let outcome = |item: &Item| match item.outcome() {
        Outcome::Kept => "kept",
        Outcome::PutAside(reason, _) => reason.name(),
        Outcome::Failed(error) => error.code(),
        Outcome::Skipped(_) => "skipped",
    };
    batch
        .items()
        .iter()
        .map(outcome)
        .collect::<Vec<_>>()
        .join(" ")
}

/// What becomes of a message that meets these answers of S3 and of the database.
#[track_caller]
fn check(
    body: &str,
    put: fn() -> Result<Put, CaptureError>,
    status: fn() -> Result<Status, CaptureError>,
    expected: &str,
) {
    let mut batch = messages(&[("g", body)]);
    carry(&mut batch, |_| put(), |_| status());
    assert_eq!(outcomes(&batch), expected);
}

#[test]
fn a_good_item_is_kept_once_and_again() {
    let there = || Ok(already_stored(true));
    check(GOOD, STORED, || Ok(Status::Stored), "kept");
    check(GOOD, STORED, || Ok(Status::Duplicate), "kept");
    check(GOOD, there, || Ok(Status::Stored), "kept");
    check(GOOD, there, || Ok(Status::Duplicate), "kept");
}

#[test]
fn the_object_of_another_event_is_not_named_as_refused() {
    let mut batch = messages(&[("g", GOOD)]);
    archive(&mut batch, |_| Ok(already_stored(false)));
    let aside = batch.to_quarantine();
    let aside = String::from_utf8_lossy(&aside[0].1.body).into_owned();
    assert!(!aside.contains("refused"), "{aside}");
}

#[test]
fn rows_that_are_left_to_somebody_else_keep_nothing_back() {
    let mut batch = messages(&[("g", GOOD), ("g", NO_JSON), ("g", UNKNOWN), ("g", GOOD)]);
    archive(&mut batch, |_| STORED());
    quarantine(&mut batch, |_| STORED());
    batch.defer();
    assert_eq!(
        outcomes(&batch),
        "kept not_json Capture.UnknownShape Capture.HeldBack"
    );
    assert!(batch.to_ingest().is_empty());
}

#[test]
fn what_would_end_the_same_again_is_put_aside() {
    let other_content = || Ok(already_stored(false));
    check(NO_JSON, NOT_ASKED, NO_ROWS, "not_json");
    check(GOOD, other_content, NO_ROWS, "conflict");
    check(GOOD, STORED, || Ok(Status::Conflict), "conflict");
    check(GOOD, STORED, || Ok(Status::Foreign), "foreign");
}

#[test]
fn what_a_person_or_time_can_mend_is_delivered_again() {
    let nul = || Ok(Status::Unstorable(Unstorable::Nul { field: "content" }));
    let no_answer = || Err(CaptureError::Database(Arc::new(RunError::TimedOut)));
    check(UNKNOWN, NOT_ASKED, NO_ROWS, "Capture.UnknownShape");
    check(INVALID, NOT_ASKED, NO_ROWS, "Capture.InvalidField");
    check(REFUSED, NOT_ASKED, NO_ROWS, "Capture.SourceNotAccepted");
    check(GOOD, || Err(LATE), NO_ROWS, "Capture.DeadlineReached");
    check(GOOD, STORED, no_answer, "Capture.DatabaseUnavailable");
    check(GOOD, STORED, nul, "Capture.Unstorable");
    check(GOOD, STORED, || Ok(Status::Erased), "Capture.Erased");
}

#[test]
fn an_input_that_cannot_be_put_aside_is_delivered_again() {
    let mut batch = messages(&[("g", NO_JSON)]);
    quarantine(&mut batch, |_| Err(LATE));
    assert_eq!(outcomes(&batch), "Capture.DeadlineReached");
}

#[test]
fn what_was_left_on_its_way_is_never_kept() {
    let mut batch = messages(&[("g", GOOD), ("h", NO_JSON)]);
    assert_eq!(outcomes(&batch), "Capture.Unfinished Capture.Unfinished");
    archive(&mut batch, |_| STORED());
    assert_eq!(outcomes(&batch), "Capture.Unfinished Capture.Unfinished");
}

#[test]
fn one_item_does_not_touch_another() {
    let bodies = [
        ("a", GOOD),
        ("b", NO_JSON),
        ("c", UNKNOWN),
        ("d", GOOD),
        ("e", GOOD),
    ];
    let mut batch = messages(&bodies);
    let put = |item| if item == 3 { Err(LATE) } else { STORED() };
    let status = |at: Position| {
        Ok(if at.item == 4 {
            Status::Foreign
        } else {
            Status::Stored
        })
    };
    carry(&mut batch, put, status);
    assert_eq!(
        outcomes(&batch),
        "kept not_json Capture.UnknownShape Capture.DeadlineReached foreign"
    );
}

#[test]
fn what_is_repaired_in_the_outermost_json_is_counted_on_its_own_record() {
    // No `Value` holds half a surrogate pair, so the mark is put into the text.
    let record = |id: &str, body: &str| {
        format!(
            r#"{{"messageId":"{id}","body":"{{\"user_input\":\"{body}\"}}","eventSource":"aws:sqs"}}"#
        )
    };
    let sent = |first: &str| {
        format!(
            r#"{{"Records":[{},{},{}]}}"#,
            record("m-0", first),
            record("m-1", "sound"),
            record("m-2", r"\ufffd"),
        )
    };
    let read =
        |first: &str| Batch::read(payload(sent(first)), "request", &Intake::default()).unwrap();
    let (broken, sound) = (read(r"cut \ud83d"), read("whole"));
    let repaired = broken.items().iter().map(|item| item.repaired().total());
    assert_eq!(repaired.collect::<Vec<_>>(), [1, 0, 0]);
    let object = |batch: &Batch, item: usize| batch.items()[item].entries()[0].object.body.clone();
    assert_eq!(
        object(&broken, 1),
        object(&sound, 1),
        "the same in any company"
    );
    let first = String::from_utf8(object(&broken, 0)).unwrap();
    assert!(first.contains(r#""sanitized":{"surrogate":1}"#), "{first}");
}

#[test]
fn what_is_repaired_in_one_event_of_a_request_is_not_told_of_the_others() {
    let request = |body: &str| {
        let request = serde_json::json!({
            "version": "2.0", "body": body, "headers": {"content-type": "application/json"},
            "requestContext": {
                "requestId": "r-1", "timeEpoch": 1_795_428_000_123_i64, "http": {"method": "POST"},
                "authorizer": {"jwt": {"claims": {"sub": "u-1"}}},
            },
        });
        Batch::read(payload(request.to_string()), "request", &Intake::default()).unwrap()
    };
    let sound = r#"{"event_id":"e","conversation_id":"c","user_input":"sound"}"#;
    let several = request(&format!(r#"[{{"user_input":"cut \ud83d"}},{sound}]"#));
    let repaired = several.items().iter().map(|item| item.repaired().total());
    assert_eq!(repaired.collect::<Vec<_>>(), [1, 0]);
    let alone = request(sound);
    let object = |batch: &Batch, item: usize| batch.items()[item].entries()[0].object.body.clone();
    assert_eq!(
        object(&several, 1),
        object(&alone, 0),
        "it may be sent again alone"
    );
}

/// An event with one image in Base64 that is large enough for an object of its own.
fn seen(conversation: &str, tenant: &str, letter: &str) -> String {
    let image = letter.repeat(12_000);
    format!(
        r#"{{"schema":"llm.capture/1","conversation_id":"{conversation}","tenant_id":"{tenant}","messages":[
            {{"role":"user","parts":[{{"type":"blob","content":"{image}"}},{{"type":"blob","content":"{image}"}}]}}]}}"#
    )
}

#[test]
fn each_content_is_put_once_for_a_tenant_and_before_what_names_it() {
    let bodies = [
        seen("c", "t", "A"),
        seen("d", "t", "A"),
        seen("c", "u", "A"),
        seen("e", "t", "B"),
        GOOD.to_owned(),
    ];
    let bodies: Vec<_> = ["a", "b", "c", "d", "e"]
        .into_iter()
        .zip(bodies.iter().map(String::as_str))
        .collect();
    let mut batch = messages(&bodies);
    let needed = batch.media_to_archive().into_iter();
    let mut needed: Vec<_> = needed.map(|(items, _)| items).collect();
    needed.sort();
    assert_eq!(needed, [vec![0, 1], vec![2], vec![3]]);

    let puts = batch.media_to_archive().into_iter().map(|(items, _)| {
        let put = match items.as_slice() {
            [2] => Ok(already_stored(true)),
            [3] => STORED(),
            _ => Err(LATE),
        };
        (items, put)
    });
    let puts: Vec<_> = puts.collect();
    batch.media_archived(puts);
    let named: Vec<_> = batch.to_archive().iter().map(|(at, _)| at.item).collect();
    assert_eq!(named, [2, 3, 4], "no object names what is not there");
    carry(&mut batch, |_| STORED(), |_| Ok(Status::Stored));
    assert_eq!(
        outcomes(&batch),
        "Capture.DeadlineReached Capture.DeadlineReached kept kept kept"
    );
}

#[test]
fn a_failure_holds_back_the_rest_of_its_group_and_no_other() {
    let bodies = [
        ("a", GOOD),
        ("a", UNKNOWN),
        ("b", GOOD),
        ("a", GOOD),
        ("a", UNKNOWN),
        ("b", GOOD),
    ];
    let mut batch = messages(&bodies);
    let objects = batch.to_archive();
    let archived: Vec<_> = objects.iter().map(|(position, _)| position.item).collect();
    assert_eq!(
        archived,
        [0, 2, 5],
        "what is held back is not stored before what it waits for"
    );
    let put = |item| if item == 2 { Err(LATE) } else { STORED() };
    carry(&mut batch, put, |_| Ok(Status::Stored));
    assert_eq!(
        outcomes(&batch),
        "kept Capture.UnknownShape Capture.DeadlineReached Capture.HeldBack Capture.UnknownShape Capture.HeldBack"
    );
}

#[test]
fn what_was_put_aside_holds_nothing_back() {
    let mut batch = messages(&[("a", NO_JSON), ("a", GOOD)]);
    carry(&mut batch, |_| STORED(), |_| Ok(Status::Stored));
    assert_eq!(outcomes(&batch), "not_json kept");
}

#[test]
fn a_refused_event_of_a_list_puts_the_whole_input_aside_and_the_others_are_kept() {
    let list = r#"[{"event_id":"e-1","conversation_id":"c","user_input":"q"},
        {"event_id":"e-2","conversation_id":"d","user_input":"r"}]"#;
    let mut batch = Batch::read(payload(list), "request", &Intake::default()).unwrap();
    let status = |at: Position| {
        Ok(if at.entry == 1 {
            Status::Foreign
        } else {
            Status::Stored
        })
    };
    archive(&mut batch, |_| STORED());
    ingest(&mut batch, status);
    let aside = batch.to_quarantine();
    let aside = String::from_utf8_lossy(&aside[0].1.body).into_owned();
    let key = "conversations/v1/t=default/dt=undated/c=d/e-2.json";
    assert!(
        aside.ends_with(&format!(r#""refused":["{key}"]}}"#)),
        "whoever rebuilds the database leaves out what was refused, and nothing else: {aside}"
    );
    quarantine(&mut batch, |_| STORED());
    assert_eq!(outcomes(&batch), "foreign");
    let progress: Vec<_> = batch.items()[0]
        .entries()
        .iter()
        .map(|entry| &entry.progress)
        .collect();
    assert_eq!(
        progress,
        [&Progress::Kept { duplicate: false }, &Progress::Refused]
    );
}

#[test]
fn rows_of_large_events_go_in_several_statements_in_their_order() {
    let event = |kilobytes: usize| {
        serde_json::json!({"conversation_id": "c", "user_input": "q".repeat(kilobytes * 1000)})
            .to_string()
    };
    let bodies = [400, 400, 400, 2000, 1].map(event);
    let mut batch = messages(&bodies.each_ref().map(|body| ("g", body.as_str())));
    let objects = batch.to_archive().into_iter();
    let puts: Vec<_> = objects.map(|(position, _)| (position, STORED())).collect();
    batch.archived(puts);
    let captures = batch.to_ingest();
    let together: Vec<Vec<usize>> = statements(&captures)
        .into_iter()
        .map(|some| some.iter().map(|(position, _)| position.item).collect())
        .collect();
    assert_eq!(together, [vec![0, 1], vec![2], vec![3], vec![4]]);
    assert!(statements(&[]).is_empty());
}

#[test]
fn a_body_is_let_go_once_it_lies_in_the_bucket() {
    let mut batch = messages(&[("g", GOOD), ("h", GOOD)]);
    let bytes = |batch: &Batch, item: usize| {
        let entry = &batch.items()[item].entries()[0];
        (entry.bytes, entry.object.body.len())
    };
    let (size, _) = bytes(&batch, 0);
    let positions: Vec<_> = batch.to_archive().into_iter().map(|(of, _)| of).collect();
    batch.archived([(positions[0], STORED()), (positions[1], Err(LATE))]);
    assert_eq!(bytes(&batch, 0), (size, 0));
    assert_eq!(bytes(&batch, 1), (size, size), "it was not put");
}
