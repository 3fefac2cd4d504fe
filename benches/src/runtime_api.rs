//! The Lambda Runtime API for one process, in one thread: what stands between the clock and the program is two socket calls.
//!
//! The local stack's own Runtime API would do the same work, but hands every message through tasks, and what it costs is in
//! every figure.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};

/// How long a program may take to say anything: enough for any build on any machine, so that only a program that is stuck
/// meets it.
const PATIENCE: Duration = Duration::from_mins(1);

/// What an invocation may take, as the program is told.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The Runtime API of one process.
pub(crate) struct RuntimeApi {
    listener: TcpListener,
    address: SocketAddr,
    connection: Option<Connection>,
    invocations: u64,
}

struct Connection {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

struct Request {
    path: String,
    body: Vec<u8>,
    arrived: Instant,
}

impl RuntimeApi {
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            connection: None,
            invocations: 0,
        })
    }

    /// What `AWS_LAMBDA_RUNTIME_API` is to be.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the program asks for work; when that was.
    pub(crate) fn next(&mut self) -> Result<Instant> {
        let request = self.request()?;
        ensure!(
            request.path.ends_with("/invocation/next"),
            "expected the question for work, got {}: {}",
            request.path,
            String::from_utf8_lossy(&request.body)
        );
        Ok(request.arrived)
    }

    /// Gives the program, which has asked for work, an event; how long it took from the event's first byte on the wire to
    /// the answer's last one.
    ///
    /// Fails if it answers with an error. Whether a batch's reply names failed items is not looked at here: what is missing
    /// in the end shows in the database.
    pub(crate) fn invoke(&mut self, event: &[u8]) -> Result<Duration> {
        self.invocations += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", self.invocations);
        let head = head(&id, event.len())?;
        let connection = self.connection.as_mut().context("nobody asked for work")?;
        let began = Instant::now();
        connection.writer.write_all(head.as_bytes())?;
        connection.writer.write_all(event)?;
        let request = self.request()?;
        let accepted = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
        let connection = self.connection.as_mut().context("the program has gone")?;
        connection.writer.write_all(accepted.as_bytes())?;
        ensure!(
            request.path.ends_with("/response"),
            "the invocation failed ({}): {}",
            request.path,
            String::from_utf8_lossy(&request.body)
        );
        Ok(request.arrived - began)
    }

    /// The program's next request. It has one connection at a time, and opens a new one when it likes.
    fn request(&mut self) -> Result<Request> {
        loop {
            let connection = match &mut self.connection {
                Some(connection) => connection,
                none => none.insert(Connection::accept(&self.listener)?),
            };
            match connection.request()? {
                Some(request) => return Ok(request),
                None => self.connection = None,
            }
        }
    }
}

impl Connection {
    fn accept(listener: &TcpListener) -> Result<Self> {
        // A listener has no timeout of its own; a program that ends instead of connecting is seen by its log.
        listener.set_nonblocking(true)?;
        let stream = local::wait::blocking_until("a connection of the program", PATIENCE, || {
            listener.accept().ok().map(|(stream, _)| stream)
        })?;
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            writer: stream.try_clone()?,
            reader: BufReader::with_capacity(64 * 1024, stream),
        })
    }

    fn request(&mut self) -> Result<Option<Request>> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut headers = BTreeMap::new();
        loop {
            let mut header = String::new();
            self.reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim_end().split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        if headers.contains_key("transfer-encoding") {
            bail!("a chunked request, which this Runtime API does not read: {path}");
        }
        let length = headers
            .get("content-length")
            .map_or(Ok(0), |it| it.parse())?;
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body)?;
        Ok(Some(Request {
            path,
            body,
            arrived: Instant::now(),
        }))
    }
}

/// The head of an answer to `next` (Lambda developer guide, "Lambda runtime API").
#[expect(
    clippy::disallowed_methods,
    reason = "the Runtime API gives the deadline as wall-clock time"
)]
fn head(id: &str, length: usize) -> Result<String> {
    let deadline = (SystemTime::now() + TIMEOUT).duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nlambda-runtime-aws-request-id: {id}\r\n\
         lambda-runtime-deadline-ms: {}\r\nlambda-runtime-invoked-function-arn: \
         arn:aws:lambda:us-east-1:000000000000:function:measured\r\ncontent-length: {length}\r\n\r\n",
        deadline.as_millis()
    ))
}
