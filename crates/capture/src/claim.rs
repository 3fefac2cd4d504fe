//! Claim checks: events that say where in S3 their body lies, or that of a request or response in them, and objects that
//! hold events.
//!
//! Only buckets that an operator has named are read, or an event could have this function read what its sender may not. What
//! an event itself says of its conversation, its user and its time counts; the object adds what it leaves out.

use archive::{ArchiveError, Location};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use conversation::{Caller, Raw, Sanitized, layout, sanitize};
use sha2::{Digest as _, Sha256};

use crate::source::s3::Upload;
use crate::unpack::{UnpackError, unpack};

/// The field of an event that says where its body lies.
const BODY_REF: &str = "body_ref";

/// Why the object that an event names is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// Name the object as accepted.
    #[error(
        "`body_ref` is not accepted, accepted: an object with the texts `bucket` and `key`, and if given `version_id`, `sha256` in hexadecimal or Base64, and a number `bytes`"
    )]
    Reference,
    /// As the operator, name the bucket in `CLAIM_CHECK_BUCKETS`.
    #[error("the bucket is not one of `CLAIM_CHECK_BUCKETS`")]
    Bucket,
    /// Put the object below the prefix of the sender's own tenant.
    #[error("a sender by HTTP may name objects below `t=TENANT/` of the own tenant only")]
    Prefix,
    /// Make several smaller objects of it.
    #[error("the object has more than 33554432 bytes")]
    TooLarge,
    /// Send the event again with what the object holds: the object is another one than that which the event means.
    #[error(
        "the object is not the one that `body_ref` describes: its size or its SHA-256 is another one"
    )]
    Changed,
    /// Repair the object.
    #[error("the object cannot be unpacked")]
    Packed(#[source] UnpackError),
    /// Put the body itself into the object.
    #[error("the object refers to another object")]
    Chained,
    /// Put the object there, or let the function's role read it; else try again.
    #[error("the object cannot be read")]
    Fetch(#[source] ArchiveError),
}

/// An object to be read, and what is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) location: Location,
    sha256: Option<[u8; 32]>,
    bytes: Option<u64>,
}

/// What an event leaves to objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outside {
    /// All of it.
    Event(Claim),
    /// What was sent, or answered, or both: one claim for each.
    Bodies(Vec<(Body, Claim)>),
}

/// A place in a line of Bedrock's model invocation log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    side: &'static str,
    field: &'static str,
    /// Where its address stands, which Bedrock writes for bodies of more than 100 KB (Amazon Bedrock User Guide, "Model
    /// invocation logging").
    address: &'static str,
}

const BODIES: [Body; 2] = [
    Body {
        side: "input",
        field: "inputBodyJson",
        address: "inputBodyS3Path",
    },
    Body {
        side: "output",
        field: "outputBodyJson",
        address: "outputBodyS3Path",
    },
];

/// The claims of an event; `None` for an event that has its body with it.
pub(crate) fn of_event(event: &Raw<'_>) -> Option<Result<Outside, ClaimError>> {
    match event.get(BODY_REF) {
        // `null` is the same as absent; anything else is for the adapters to judge.
        Some(reference) if reference.entries().is_some() => {
            let claim = read(reference).ok_or(ClaimError::Reference);
            Some(claim.map(Outside::Event))
        }
        _ => {
            let bodies: Vec<_> = BODIES
                .into_iter()
                .filter_map(|body| Some((body, body.claim(event)?)))
                .collect();
            (!bodies.is_empty()).then_some(Ok(Outside::Bodies(bodies)))
        }
    }
}

impl Body {
    fn claim(self, event: &Raw<'_>) -> Option<Claim> {
        if event.get("schemaType")?.string()? != "ModelInvocationLog" {
            return None;
        }
        let side = event.get(self.side)?;
        if is_said(side, self.field) {
            return None;
        }
        // What is no such address is for the adapter to judge.
        let address = side.get(self.address)?.string()?;
        let (bucket, key) = address.strip_prefix("s3://")?.split_once('/')?;
        Some(Claim::of_location(Location {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            version_id: None,
        }))
    }
}

/// The event with these bodies in it, and what had to be repaired in them. Bytes that are no JSON are a part of their own, as
/// an image that a model has made.
pub(crate) fn embodied(referring: &str, bodies: Vec<(Body, Vec<u8>)>) -> (String, Sanitized) {
    let mut repaired = Sanitized::default();
    let mut texts = Vec::with_capacity(bodies.len());
    for (body, bytes) in bodies {
        let clean = sanitize::clean(&bytes);
        let text = if Raw::read(clean.text()).is_ok() {
            repaired = repaired.and(clean.sanitized());
            clean.text().to_owned()
        } else {
            let content = BASE64.encode(&bytes);
            format!(r#"[{{"type":"blob","content":"{content}"}}]"#)
        };
        texts.push((body, text));
    }
    let event = texts
        .iter()
        .fold(referring.to_owned(), |event, (body, text)| {
            body.put(&event, text).unwrap_or(event)
        });
    (event, repaired)
}

impl Body {
    /// The event with this text in this place; `None` if it has no such place.
    fn put(self, event: &str, text: &str) -> Option<String> {
        let event = Raw::read(event).ok()?;
        let side = with(event.get(self.side)?, self.field, text)?;
        with(&event, self.side, &side)
    }
}

/// An object with this field, whatever it said there before.
fn with(object: &Raw<'_>, name: &str, value: &str) -> Option<String> {
    let others = object.entries()?.iter();
    let others = others.filter(|(key, _)| key != name);
    let others = others.map(|(key, value)| (key.as_ref(), value.text()));
    Some(written(others.chain([(name, value)])))
}

/// An object of fields whose values are JSON.
fn written<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let fields: Vec<String> = fields
        .filter_map(|(key, value)| Some(format!("{}:{value}", serde_json::to_string(key).ok()?)))
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn is_said(object: &Raw<'_>, key: &str) -> bool {
    object.get(key).is_some_and(|value| value.text() != "null")
}

fn read(reference: &Raw<'_>) -> Option<Claim> {
    let text = |key: &str| match reference.get(key).map(Raw::text) {
        None | Some("null") => Some(None),
        Some(_) => reference.get(key)?.string().map(Some),
    };
    let named = |key: &str| text(key)?.filter(|name| !name.is_empty());
    Some(Claim {
        location: Location {
            bucket: named("bucket")?,
            key: named("key")?,
            version_id: text("version_id")?,
        },
        sha256: match text("sha256")? {
            None => None,
            Some(hash) => Some(sha256(&hash)?),
        },
        bytes: match reference.get("bytes").map(Raw::text) {
            None | Some("null") => None,
            Some(number) => Some(number.parse().ok()?),
        },
    })
}

fn sha256(text: &str) -> Option<[u8; 32]> {
    let bytes = hex::decode(text).or_else(|_| BASE64.decode(text)).ok()?;
    bytes.try_into().ok()
}

impl Claim {
    /// The object of a notification.
    pub(crate) fn of_upload(upload: &Upload) -> Self {
        Self::of_location(Location {
            bucket: upload.bucket.clone(),
            key: upload.key.clone(),
            version_id: upload.version_id.clone(),
        })
    }

    fn of_location(location: Location) -> Self {
        Self {
            location,
            sha256: None,
            bytes: None,
        }
    }

    /// Whether the object may be read for whoever names it.
    pub(crate) fn check(
        &self,
        buckets: &[String],
        caller: Option<&Caller>,
    ) -> Result<(), ClaimError> {
        if !buckets.contains(&self.location.bucket) {
            return Err(ClaimError::Bucket);
        }
        let own = caller.map(|caller| layout::tenant_prefix(caller.tenant_id()));
        match own {
            Some(own) if !self.location.key.starts_with(&own) => Err(ClaimError::Prefix),
            _ => Ok(()),
        }
    }

    /// What the object holds, if it is the one that is meant.
    pub(crate) fn open(&self, object: Vec<u8>) -> Result<Vec<u8>, ClaimError> {
        let is_meant = self.bytes.is_none_or(|bytes| bytes == object.len() as u64)
            && self
                .sha256
                .is_none_or(|sha256| sha256 == <[u8; 32]>::from(Sha256::digest(&object)));
        if !is_meant {
            return Err(ClaimError::Changed);
        }
        unpack(object).map_err(ClaimError::Packed)
    }
}

/// The event id of an event that refers to an object.
pub(crate) fn event_id(referring: &str) -> Option<String> {
    let id = Raw::read(referring).ok()?.get("event_id")?.string()?;
    (!id.is_empty()).then_some(id)
}

/// An event of an object, with what the event says that refers to it. What is no object stays as it is.
///
/// Where several events are in the object the `event_id` can be that of none: it is not taken over.
pub(crate) fn completed(event: &Raw<'_>, referring: &str, is_one_of_several: bool) -> String {
    let referring = Raw::read(referring).ok();
    let said = referring.as_ref().and_then(Raw::entries);
    let (Some(own), Some(said), Some(referring)) = (event.entries(), said, &referring) else {
        return event.text().to_owned();
    };
    let is_said = |key: &str| {
        key != BODY_REF && !(is_one_of_several && key == "event_id") && is_said(referring, key)
    };
    let said = said.iter().filter(|(key, _)| is_said(key));
    let own = own.iter().filter(|(key, _)| !is_said(key));
    written(
        said.chain(own)
            .map(|(key, value)| (key.as_ref(), value.text())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(event: &str) -> Option<Result<Outside, ClaimError>> {
        of_event(&Raw::read(event).unwrap())
    }

    fn found(event: &str) -> Claim {
        match claim(event).expect("a claim").expect("a sound one") {
            Outside::Event(claim) => claim,
            Outside::Bodies(_) => panic!("bodies"),
        }
    }

    #[test]
    fn an_event_names_its_object() {
        let hash = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        let found = found(&format!(
            r#"{{"body_ref":{{"bucket":"b","key":"k","version_id":null,"sha256":"{hash}","bytes":3,"etag":"x"}}}}"#
        ));
        assert_eq!(found.location.bucket, "b");
        assert_eq!(found.location.version_id, None);
        assert_eq!(found.open(b"foo".to_vec()).unwrap(), b"foo");
        assert!(matches!(
            found.open(b"bar".to_vec()),
            Err(ClaimError::Changed)
        ));
        assert!(matches!(
            found.open(b"fooo".to_vec()),
            Err(ClaimError::Changed)
        ));
    }

    #[test]
    fn what_is_no_reference_is_told_and_what_is_none_at_all_is_left() {
        for reference in [
            "{}",
            r#"{"bucket":"b"}"#,
            r#"{"bucket":"","key":"k"}"#,
            r#"{"bucket":"b","key":7}"#,
            r#"{"bucket":"b","key":"k","sha256":"abc"}"#,
            r#"{"bucket":"b","key":"k","bytes":-1}"#,
        ] {
            let claim = claim(&format!(r#"{{"body_ref":{reference}}}"#));
            assert!(
                matches!(claim, Some(Err(ClaimError::Reference))),
                "{reference}"
            );
        }
        for event in [
            r#"{"body_ref":null}"#,
            r#"{"body_ref":"s3://b/k"}"#,
            "{}",
            "[]",
        ] {
            assert!(claim(event).is_none(), "{event}");
        }
    }

    #[test]
    fn only_named_buckets_and_the_callers_own_prefix_are_read() {
        let buckets = ["b".to_owned()];
        let at = |bucket: &str, key: &str| {
            found(&format!(
                r#"{{"body_ref":{{"bucket":"{bucket}","key":"{key}"}}}}"#
            ))
        };
        let caller = Caller::new(Some("t/1"), "u");
        let own = format!("{}k", layout::tenant_prefix("t/1"));
        assert!(at("b", "k").check(&buckets, None).is_ok());
        assert!(at("b", &own).check(&buckets, Some(&caller)).is_ok());
        assert!(matches!(
            at("b", "k").check(&buckets, Some(&caller)),
            Err(ClaimError::Prefix)
        ));
        assert!(matches!(
            at("c", "k").check(&buckets, None),
            Err(ClaimError::Bucket)
        ));
        assert!(matches!(
            at("b", "k").check(&[], None),
            Err(ClaimError::Bucket)
        ));
    }

    #[test]
    fn a_line_of_bedrocks_log_names_the_bodies_that_it_leaves_out() {
        let line = r#"{"schemaType":"ModelInvocationLog","input":{"inputBodyJson":null,"inputBodyS3Path":"s3://b/in.json.gz"},"output":{"outputBodyS3Path":"s3://b/out/x"}}"#;
        let Some(Ok(Outside::Bodies(bodies))) = claim(line) else {
            panic!("no bodies")
        };
        let keys: Vec<_> = bodies
            .iter()
            .map(|(_, claim)| claim.location.key.as_str())
            .collect();
        assert_eq!(keys, ["in.json.gz", "out/x"]);
        let bytes = [br#"{"a":"\u0000"}"#.to_vec(), b"\x89PNG".to_vec()];
        let bodies = bodies.into_iter().map(|(body, _)| body).zip(bytes);
        let (event, repaired) = embodied(line, bodies.collect());
        assert_eq!(
            event,
            r#"{"schemaType":"ModelInvocationLog","input":{"inputBodyS3Path":"s3://b/in.json.gz","inputBodyJson":{"a":"\ufffd"}},"output":{"outputBodyS3Path":"s3://b/out/x","outputBodyJson":[{"type":"blob","content":"iVBORw=="}]}}"#
        );
        assert_eq!(repaired.total(), 1);
        assert!(claim(&event).is_none(), "it has its bodies with it");
        for other in [
            r#"{"schemaType":"ModelInvocationLog","input":{"inputBodyS3Path":"https://b/k"}}"#,
            r#"{"schemaType":"ModelInvocationLog","input":{"inputBodyS3Path":7}}"#,
            r#"{"schemaType":"Other","input":{"inputBodyS3Path":"s3://b/k"}}"#,
        ] {
            assert!(claim(other).is_none(), "{other}");
        }
    }

    #[track_caller]
    fn check_completed(event: &str, is_one_of_several: bool, expected: &str) {
        let referring = r#"{"schema":"llm.capture/1","event_id":"e","user_id":null,"user_id":"u","messages":null,"body_ref":{"bucket":"b","key":"k"}}"#;
        assert_eq!(event_id(referring).as_deref(), Some("e"));
        let event = Raw::read(event).unwrap();
        assert_eq!(completed(&event, referring, is_one_of_several), expected);
    }

    #[test]
    fn what_the_referring_event_says_counts_and_the_object_adds_the_rest() {
        check_completed(
            r#"{"messages":[1],"user_id":"x","event_id":"y"}"#,
            false,
            r#"{"schema":"llm.capture/1","event_id":"e","user_id":null,"user_id":"u","messages":[1]}"#,
        );
        check_completed(
            r#"{"event_id":"y"}"#,
            true,
            r#"{"schema":"llm.capture/1","user_id":null,"user_id":"u","event_id":"y"}"#,
        );
        check_completed("7", false, "7");
    }
}
