//! Notifications of Amazon S3 that an object was created, which is then the event or has several in it.

use conversation::{Delivery, Raw};
use percent_encoding::percent_decode_str;

use super::string;

pub(super) const NAME: &str = "Amazon S3";

/// An object that holds events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// `None` for the newest.
    pub(crate) version_id: Option<String>,
    /// What is said of it; the same whatever way the notification came.
    pub(crate) delivery: Delivery,
}

/// What a notification tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    Created(Upload),
    /// Nothing that holds an event.
    Other(&'static str),
}

/// Whether S3 has only tried whether it may notify.
pub(super) fn is_test(event: &Raw<'_>) -> bool {
    string(event, "Event").as_deref() == Some("s3:TestEvent")
}

/// One record of a notification (Amazon S3 User Guide, "Event message structure"); `None` for what is none.
pub(super) fn notice(record: &Raw<'_>) -> Option<Notice> {
    let name = string(record, "eventName")?;
    let s3 = record.get("s3")?;
    let object = s3.get("object")?;
    // Here, and not through EventBridge, the key is written as in a form.
    let key = string(object, "key")?.replace('+', " ");
    let key = percent_decode_str(&key).decode_utf8().ok()?.into_owned();
    Some(created(
        name.starts_with("ObjectCreated:"),
        string(s3.get("bucket")?, "name")?,
        key,
        object,
        ["versionId", "eTag"],
        string(record, "eventTime").as_deref(),
    ))
}

/// The same as EventBridge tells it; `None` for another event of the bus.
pub(super) fn notice_of_bus(event: &Raw<'_>) -> Option<Notice> {
    if string(event, "source").as_deref() != Some("aws.s3") {
        return None;
    }
    let detail = event.get("detail")?;
    let object = detail.get("object")?;
    Some(created(
        string(event, "detail-type").as_deref() == Some("Object Created"),
        string(detail.get("bucket")?, "name")?,
        string(object, "key")?,
        object,
        ["version-id", "etag"],
        string(event, "time").as_deref(),
    ))
}

/// An object is named by its version, else by its entity tag: S3 may tell of one creation twice.
fn created(
    is_created: bool,
    bucket: String,
    key: String,
    object: &Raw<'_>,
    [version_id, etag]: [&str; 2],
    time: Option<&str>,
) -> Notice {
    if !is_created {
        return Notice::Other("an object was not created");
    }
    if key.ends_with('/') && object.get("size").map(Raw::text) == Some("0") {
        return Notice::Other("an object is a folder");
    }
    let version_id = string(object, version_id).filter(|id| !id.is_empty());
    let version = version_id.clone().or_else(|| string(object, etag));
    let id = format!("s3://{bucket}/{key}#{}", version.unwrap_or_default());
    Notice::Created(Upload {
        delivery: Delivery::upload(&id, time),
        bucket,
        key,
        version_id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, object: &str) -> Notice {
        let record = format!(
            r#"{{"eventVersion":"2.1","eventSource":"aws:s3","eventTime":"2026-11-23T10:00:00.250Z","eventName":"{name}",
                "s3":{{"bucket":{{"name":"uploads"}},"object":{object}}}}}"#
        );
        notice(&Raw::read(&record).unwrap()).expect("a record of S3")
    }

    fn upload(notice: Notice) -> Upload {
        match notice {
            Notice::Created(upload) => upload,
            Notice::Other(why) => panic!("{why}"),
        }
    }

    #[test]
    fn a_created_object_is_named_by_its_version() {
        let found = upload(record(
            "ObjectCreated:Put",
            r#"{"key":"a+b/%C3%A9%2B.json","size":5,"eTag":"e","versionId":"v"}"#,
        ));
        assert_eq!(
            (found.bucket.as_str(), found.key.as_str()),
            ("uploads", "a b/é+.json")
        );
        assert_eq!(found.version_id.as_deref(), Some("v"));
        assert_eq!(
            found.delivery.id.as_deref(),
            Some("s3://uploads/a b/é+.json#v")
        );
        assert_eq!(
            found.delivery.time.unwrap().unix_timestamp_nanos(),
            1_795_428_000_000_000_000
        );
        let unversioned = upload(record("ObjectCreated:Put", r#"{"key":"k","eTag":"e"}"#));
        assert_eq!(unversioned.version_id, None);
        assert_eq!(unversioned.delivery.id.as_deref(), Some("s3://uploads/k#e"));
    }

    #[test]
    fn a_bus_tells_of_the_same_object() {
        let event = r#"{"source":"aws.s3","detail-type":"Object Created","time":"2026-11-23T10:00:00Z",
            "detail":{"bucket":{"name":"uploads"},"object":{"key":"a b/é+.json","size":5,"etag":"e","version-id":"v"}}}"#;
        let found = upload(notice_of_bus(&Raw::read(event).unwrap()).expect("of S3"));
        assert_eq!(found.key, "a b/é+.json");
        assert_eq!(
            found.delivery.id.as_deref(),
            Some("s3://uploads/a b/é+.json#v")
        );
        let other = r#"{"source":"app","detail-type":"Object Created","detail":{"bucket":{"name":"b"},"object":{"key":"k"}}}"#;
        assert_eq!(notice_of_bus(&Raw::read(other).unwrap()), None);
    }

    #[test]
    fn what_is_not_created_or_a_folder_is_nothing() {
        for (name, object) in [
            ("ObjectRemoved:Delete", r#"{"key":"k","size":5}"#),
            ("ObjectCreated:Put", r#"{"key":"folder/","size":0}"#),
        ] {
            assert!(matches!(record(name, object), Notice::Other(_)), "{name}");
        }
    }
}
