//! An S3 that answers at once, for benchmarks: what a put costs here is what the program under test spends on it.
//!
//! It knows `PutObject` (with `If-None-Match: *`), `HeadObject`, `GetObject` and `ListObjectsV2`, and checks no signature. moto
//! does everything else, but takes milliseconds of its own for a put, in which every difference between two programs drowns.

mod listing;

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::Error;
use crate::lock::lock;

/// What the SDK encodes in a key.
const IN_A_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A running stub; it stops accepting when it is dropped.
#[derive(Debug)]
pub struct StubS3 {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// An object that was put, and what was said about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutObject {
    /// `/bucket/key` as in the request, percent-encoded.
    pub path: String,
    /// `Content-Type`.
    pub content_type: String,
    /// `x-amz-checksum-sha256`, base64.
    pub checksum_sha256: String,
    /// The bytes; empty unless [`StubS3::keep_bodies`] was asked for.
    pub body: Vec<u8>,
}

impl PutObject {
    /// The key, as whoever put it knows it.
    fn key(&self, bucket: &str) -> Option<String> {
        let key = self.path.strip_prefix(&format!("/{bucket}/"))?;
        Some(percent_decode_str(key).decode_utf8_lossy().into_owned())
    }
}

#[derive(Debug, Default)]
struct Shared {
    objects: Mutex<BTreeMap<String, PutObject>>,
    keeps_bodies: AtomicBool,
    has_ended: AtomicBool,
}

/// One request, its body read.
struct Request {
    method: String,
    path: String,
    /// Behind the path, decoded.
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl StubS3 {
    /// Starts it on a free port of 127.0.0.1, with a thread for each connection: a task on the stack's own thread would
    /// wait for whatever else that thread does.
    pub fn start() -> Result<Self, Error> {
        let doing = || Error::io("start the stub S3");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(doing())?;
        let address = listener.local_addr().map_err(doing())?;
        let shared = Arc::new(Shared::default());
        let of_threads = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if of_threads.has_ended.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&of_threads);
                // A client that breaks off has nothing to be told.
                std::thread::spawn(move || shared.serve(stream).ok());
            }
        });
        Ok(Self { address, shared })
    }

    /// What `AWS_ENDPOINT_URL_S3` is to be.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Keeps the bodies of the objects that are put from now on.
    pub fn keep_bodies(&self) {
        self.shared.keeps_bodies.store(true, Ordering::Relaxed);
    }

    /// Puts an object from within this process.
    pub fn put(&self, bucket: &str, key: &str, body: Vec<u8>, checksum_sha256: String) {
        let key = utf8_percent_encode(key, IN_A_PATH);
        let object = PutObject {
            path: format!("/{bucket}/{key}"),
            content_type: "application/json".to_owned(),
            checksum_sha256,
            body,
        };
        lock(&self.shared.objects).insert(object.path.clone(), object);
    }

    /// Takes away all objects of a bucket, in the order of their keys.
    pub fn take(&self, bucket: &str) -> Vec<PutObject> {
        let prefix = format!("/{bucket}/");
        lock(&self.shared.objects)
            .extract_if(.., |path, _| path.starts_with(&prefix))
            .map(|(_, object)| object)
            .collect()
    }
}

impl Drop for StubS3 {
    fn drop(&mut self) {
        self.shared.has_ended.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts, so that it sees it; without a connection nobody waits for it either.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut writer = stream.try_clone()?;
        let mut reader = BufReader::with_capacity(64 * 1024, stream);
        while let Some(request) = Request::read(&mut reader, &mut writer)? {
            writer.write_all(&self.answer(request))?;
        }
        Ok(())
    }

    fn answer(&self, request: Request) -> Vec<u8> {
        let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
        let mut objects = lock(&self.objects);
        match (request.method.as_str(), objects.get(&request.path)) {
            ("PUT", Some(_)) if header("if-none-match") == "*" => error(
                "412 Precondition Failed",
                "PreconditionFailed",
                "At least one of the pre-conditions you specified did not hold",
            )
            .into(),
            ("PUT", _) => {
                let object = PutObject {
                    path: request.path.clone(),
                    content_type: header("content-type"),
                    checksum_sha256: header("x-amz-checksum-sha256"),
                    body: if self.keeps_bodies.load(Ordering::Relaxed) {
                        request.body
                    } else {
                        Vec::new()
                    },
                };
                let answer = found(&object, 0);
                objects.insert(request.path, object);
                answer.into()
            }
            ("HEAD", Some(object)) => found(object, object.body.len()).into(),
            ("HEAD", None) => b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(),
            ("GET", Some(object)) => {
                let mut answer = found(object, object.body.len()).into_bytes();
                answer.extend_from_slice(&object.body);
                answer
            }
            ("GET", None) if request.query.contains_key("list-type") => {
                let bucket = request.path.trim_matches('/');
                ok(&listing::of(bucket, objects.values(), &request.query)).into()
            }
            ("GET", None) => error("404 Not Found", "NoSuchKey", "no such key").into(),
            _ => error(
                "501 Not Implemented",
                "NotImplemented",
                "the stub S3 knows PutObject, HeadObject, GetObject and ListObjectsV2",
            )
            .into(),
        }
    }
}

impl Request {
    /// Reads the next request of a connection; `None` at its end.
    fn read(reader: &mut BufReader<TcpStream>, writer: &mut TcpStream) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_ascii_whitespace();
        let method = words.next().unwrap_or_default().to_owned();
        let target = words.next().unwrap_or_default();
        // The SDK names the operation behind it (`?x-id=PutObject`).
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path.to_owned();
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let query = query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect();
        let mut headers = BTreeMap::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim_end().split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        if headers.get("expect").is_some_and(|it| it == "100-continue") {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let length = headers.get("content-length").map_or(Ok(0), |length| {
            length.parse::<usize>().map_err(io::Error::other)
        })?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        Ok(Some(Self {
            method,
            path,
            query,
            headers,
            body,
        }))
    }
}

/// The head of an answer about an object; a body of so many bytes follows, or is only spoken of.
fn found(object: &PutObject, bytes: usize) -> String {
    let checksum = match object.checksum_sha256.as_str() {
        "" => String::new(),
        checksum => format!("x-amz-checksum-sha256: {checksum}\r\n"),
    };
    format!(
        "HTTP/1.1 200 OK\r\nx-amz-version-id: 1\r\netag: \"stub\"\r\nlast-modified: Mon, 23 Nov 2026 10:00:00 GMT\r\n\
         {checksum}content-length: {bytes}\r\n\r\n"
    )
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

fn error(status: &str, code: &str, message: &str) -> String {
    let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/xml\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::Client;
    use aws_sdk_s3::primitives::ByteStream;

    use super::*;
    use crate::stack::sdk_config;

    #[tokio::test]
    async fn a_key_is_put_once_and_then_found() {
        let stub = StubS3::start().unwrap();
        stub.keep_bodies();
        let client = Client::new(&sdk_config(&stub.endpoint()));
        let put = async |body: &'static str| {
            client
                .put_object()
                .bucket("b")
                .key("k 1")
                .if_none_match("*")
                .checksum_sha256("p5N7ZLjKpY8Dchu2us9ceMsjX+vg5wsbhM2ZVBRhoI4=")
                .body(ByteStream::from_static(body.as_bytes()))
                .send()
                .await
        };
        put("first").await.unwrap();
        let refused = put("second").await.unwrap_err();
        assert_eq!(
            refused.raw_response().map(|it| it.status().as_u16()),
            Some(412)
        );
        let head = client.head_object().bucket("b").key("k 1").send().await;
        assert_eq!(head.unwrap().version_id(), Some("1"));
        let body = b"second".to_vec();
        stub.put("b", "a/t=x/k-1.json", body.clone(), String::new());
        let got = client
            .get_object()
            .bucket("b")
            .key("a/t=x/k-1.json")
            .send()
            .await;
        assert_eq!(got.unwrap().body.collect().await.unwrap().to_vec(), body);
        let got = client.get_object().bucket("b").key("k 1").send().await;
        let body = got.unwrap().body.collect().await.unwrap();
        assert_eq!(body.to_vec(), b"first");
        let kept = stub.take("b");
        assert_eq!(
            (kept.len(), kept[1].path.as_str(), kept[1].body.as_slice()),
            (2, "/b/k%201", b"first".as_slice())
        );
        assert_eq!(stub.take("b"), []);
    }
}
