//! `ListObjectsV2`: what a bucket holds, a page at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::PutObject;

/// Objects and folders of one page.
const PAGE: usize = 1000;

/// One entry of a listing.
enum Entry<'a> {
    Object(&'a PutObject),
    Folder,
}

/// The answer to a request with this query. The token of the next page is the last key or folder of this one.
pub(super) fn of<'a>(
    bucket: &str,
    objects: impl Iterator<Item = &'a PutObject>,
    query: &BTreeMap<String, String>,
) -> String {
    let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let (prefix, delimiter) = (text("prefix"), text("delimiter"));
    let token = text("continuation-token");
    let after = if token.is_empty() {
        text("start-after")
    } else {
        token
    };
    let mut entries: BTreeMap<String, Entry<'a>> = BTreeMap::new();
    let mut folders = BTreeSet::new();
    for object in objects {
        let Some(key) = object.key(bucket).filter(|key| key.starts_with(prefix)) else {
            continue;
        };
        let end = (!delimiter.is_empty())
            .then(|| key[prefix.len()..].find(delimiter))
            .flatten();
        match end {
            Some(end) => {
                folders.insert(key[..prefix.len() + end + delimiter.len()].to_owned());
            }
            None => {
                entries.insert(key, Entry::Object(object));
            }
        }
    }
    entries.extend(folders.into_iter().map(|folder| (folder, Entry::Folder)));
    let mut rest = entries
        .into_iter()
        .filter(|(name, _)| name.as_str() > after);
    let page: Vec<_> = rest.by_ref().take(PAGE).collect();
    let next = page
        .last()
        .filter(|_| rest.next().is_some())
        .map(|(name, _)| name);
    document(bucket, &page, next)
}

fn document(bucket: &str, page: &[(String, Entry<'_>)], next: Option<&String>) -> String {
    let mut body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Name>{bucket}</Name><KeyCount>{}</KeyCount><MaxKeys>{PAGE}</MaxKeys><IsTruncated>{}</IsTruncated>",
        page.len(),
        next.is_some()
    );
    for (name, entry) in page {
        // Keys of ours hold nothing that XML would want escaped. Writing to a String cannot fail.
        let _ = match entry {
            Entry::Object(object) => write!(
                body,
                "<Contents><Key>{name}</Key><LastModified>2026-11-23T10:00:00.000Z</LastModified><ETag>\"stub\"</ETag>\
                 <Size>{}</Size></Contents>",
                object.body.len()
            ),
            Entry::Folder => write!(
                body,
                "<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
            ),
        };
    }
    if let Some(next) = next {
        let _ = write!(
            body,
            "<NextContinuationToken>{next}</NextContinuationToken>"
        );
    }
    body + "</ListBucketResult>"
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::Client;
    use aws_sdk_s3::primitives::ByteStream;

    use crate::StubS3;
    use crate::stack::sdk_config;

    #[tokio::test]
    async fn a_bucket_is_listed_by_prefix_page_and_folder() {
        let stub = StubS3::start().unwrap();
        let client = Client::new(&sdk_config(&stub.endpoint()));
        for number in 0..1010 {
            let key = format!("a/d={}/k{number:04}", number % 3);
            let put = client.put_object().bucket("b").key(key);
            put.body(ByteStream::from_static(b"x"))
                .send()
                .await
                .unwrap();
        }
        let list = || client.list_objects_v2().bucket("b").prefix("a/");
        let first = list().send().await.unwrap();
        assert_eq!(
            (first.contents().len(), first.is_truncated()),
            (1000, Some(true))
        );
        assert_eq!(first.contents()[0].key(), Some("a/d=0/k0000"));
        let next = first.next_continuation_token().unwrap();
        let second = list().continuation_token(next).send().await.unwrap();
        assert_eq!(
            (second.contents().len(), second.is_truncated()),
            (10, Some(false))
        );
        let after = list().start_after("a/d=2/k1000").send().await.unwrap();
        assert_eq!(after.contents().len(), 3);
        let folders = list().delimiter("/").send().await.unwrap();
        let folders: Vec<_> = folders
            .common_prefixes()
            .iter()
            .filter_map(|it| it.prefix())
            .collect();
        assert_eq!(folders, ["a/d=0/", "a/d=1/", "a/d=2/"]);
    }
}
