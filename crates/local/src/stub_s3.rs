//! An S3 that answers at once, for benchmarks: what a put costs here is what the program under test spends on it.
//!
//! It knows `PutObject` (with `If-None-Match: *`) and `HeadObject`, and checks no signature. moto does everything else,
//! but takes milliseconds of its own for a put, in which every difference between two programs drowns.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::Error;
use crate::lock::lock;

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
            writer.write_all(self.answer(request).as_bytes())?;
        }
        Ok(())
    }

    fn answer(&self, request: Request) -> String {
        let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
        let mut objects = lock(&self.objects);
        match (request.method.as_str(), objects.get(&request.path)) {
            ("PUT", Some(_)) if header("if-none-match") == "*" => error(
                "412 Precondition Failed",
                "PreconditionFailed",
                "At least one of the pre-conditions you specified did not hold",
            ),
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
                let answer = found(&object);
                objects.insert(request.path, object);
                answer
            }
            ("HEAD", Some(object)) => found(object),
            ("HEAD", None) => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
            _ => error(
                "501 Not Implemented",
                "NotImplemented",
                "the stub S3 knows PutObject and HeadObject",
            ),
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
        let path = target.split('?').next().unwrap_or_default().to_owned();
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
            headers,
            body,
        }))
    }
}

fn found(object: &PutObject) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nx-amz-version-id: 1\r\netag: \"stub\"\r\nx-amz-checksum-sha256: {}\r\ncontent-length: 0\r\n\r\n",
        object.checksum_sha256
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
                .checksum_sha256("aa")
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
        let kept = stub.take("b");
        assert_eq!(
            (kept.len(), kept[0].path.as_str(), kept[0].body.as_slice()),
            (1, "/b/k%201", b"first".as_slice())
        );
        assert_eq!(stub.take("b"), []);
    }
}
