//! What a client says to PostgreSQL, read between the two: a proxy that ends TLS on both sides.
//!
//! It shows the client the server's own certificate. So the client's channel binding (`tls-server-end-point`, RFC 5929), a
//! hash of that certificate, holds through it, and the login is the real one.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use local::Server;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::script::Bytes;

/// `SSLRequest` (PostgreSQL documentation, "Message Formats").
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A running recorder; it stops when it is dropped.
pub(crate) struct Recorder {
    address: SocketAddr,
    said: Arc<Mutex<Vec<u8>>>,
    acceptor: AbortHandle,
}

/// The statement of a connection, and the parameters of each of its executions.
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) types: Vec<u32>,
    pub(crate) parameters: Vec<Vec<Option<Bytes>>>,
}

impl Recorder {
    /// Starts one before a server.
    pub(crate) async fn start(server: &Server) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let ends = Arc::new(Ends::new(server)?);
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let acceptor = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (ends, heard) = (Arc::clone(&ends), Arc::clone(&heard));
                // What goes wrong here the program sees as a failed login, and says so.
                tokio::spawn(async move { ends.relay(client, &heard).await });
            }
        });
        Ok(Self {
            address,
            said,
            acceptor: acceptor.abort_handle(),
        })
    }

    /// Where clients connect.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The one statement with parameters that was said so far; there must be one connection only.
    pub(crate) fn statement(&self) -> Result<Statement> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        parse(&said)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

struct Ends {
    server: SocketAddr,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

impl Ends {
    fn new(server: &Server) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let (certificate, key) = server.certificate_and_key();
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_file_iter(&server.ca_file)? {
            roots.add(root?)?;
        }
        let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&key)
            .with_context(|| format!("read {}, as root or the server's user", key.display()))?;
        let to_client = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        let to_server = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            server: server.address(),
            acceptor: TlsAcceptor::from(Arc::new(to_client)),
            connector: TlsConnector::from(Arc::new(to_server)),
        })
    }

    async fn relay(&self, mut client: TcpStream, heard: &Mutex<Vec<u8>>) -> Result<()> {
        let mut request = [0; SSL_REQUEST.len()];
        client.read_exact(&mut request).await?;
        ensure!(request == SSL_REQUEST, "the client does not ask for TLS");
        client.write_all(b"S").await?;
        let client = self.acceptor.accept(client).await?;
        let mut server = TcpStream::connect(self.server).await?;
        server.write_all(&SSL_REQUEST).await?;
        ensure!(server.read_u8().await? == b'S', "the server has no TLS");
        let name = ServerName::from(self.server.ip());
        let server = self.connector.connect(name, server).await?;
        let (mut from_client, mut to_client) = tokio::io::split(client);
        let (mut from_server, mut to_server) = tokio::io::split(server);
        let questions = async {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let length = from_client.read(&mut buffer).await?;
                let bytes = buffer.get(..length).unwrap_or_default();
                if bytes.is_empty() {
                    return to_server.shutdown().await;
                }
                heard
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(bytes);
                to_server.write_all(bytes).await?;
                to_server.flush().await?;
            }
        };
        let answers = tokio::io::copy(&mut from_server, &mut to_client);
        tokio::try_join!(questions, async { answers.await.map(drop) })?;
        Ok(())
    }
}

/// Reads what a client said on one connection: a start-up message, then messages with a type and a length.
fn parse(said: &[u8]) -> Result<Statement> {
    let mut rest = Reader(said);
    let startup = rest.length()?;
    rest.bytes(startup)?;
    let mut found: Option<(String, Statement)> = None;
    while !rest.0.is_empty() {
        let kind = rest.bytes(1)?;
        let length = rest.length()?;
        let mut message = Reader(rest.bytes(length)?);
        match kind {
            b"P" => {
                let (name, sql) = (message.text()?, message.text()?);
                let types = (0..message.number_of()?)
                    .map(|_| Ok(message.number()?.cast_unsigned()))
                    .collect::<Result<Vec<_>>>()?;
                if !types.is_empty() {
                    ensure!(found.is_none(), "a second statement was prepared: {sql}");
                    let parameters = Vec::new();
                    found = Some((
                        name,
                        Statement {
                            sql,
                            types,
                            parameters,
                        },
                    ));
                }
            }
            b"B" => {
                let (_portal, name) = (message.text()?, message.text()?);
                let Some((_, statement)) = found.as_mut().filter(|(known, _)| *known == name)
                else {
                    bail!("an unknown statement was executed: {name}");
                };
                for _ in 0..message.number_of()? {
                    ensure!(message.bytes(2)? == [0, 1], "a parameter in text format");
                }
                let values = (0..message.number_of()?).map(|_| message.value());
                statement.parameters.push(values.collect::<Result<_>>()?);
            }
            _ => {}
        }
    }
    let (_, statement) = found.context("no statement was prepared")?;
    Ok(statement)
}

/// Reads the parts of messages.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self
            .0
            .split_at_checked(length)
            .context("a message is cut off")?;
        self.0 = rest;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.bytes(4)?.try_into()?))
    }

    /// A length that counts itself.
    fn length(&mut self) -> Result<usize> {
        Ok(usize::try_from(self.number()? - 4)?)
    }

    /// How many of something follow.
    fn number_of(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.bytes(2)?.try_into()?))
    }

    fn text(&mut self) -> Result<String> {
        let length = self.0.iter().position(|byte| *byte == 0);
        let bytes = self.bytes(length.context("a text has no end")?)?;
        self.bytes(1)?;
        Ok(String::from_utf8(bytes.to_vec())?)
    }

    fn value(&mut self) -> Result<Option<Bytes>> {
        match usize::try_from(self.number()?) {
            Ok(length) => Ok(Some(Bytes(self.bytes(length)?.to_vec()))),
            // -1 is NULL.
            Err(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: &[u8], body: &[u8]) -> Vec<u8> {
        let length = i32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [kind, &length, body].concat()
    }

    #[test]
    fn the_statement_and_its_parameters_are_read() {
        let said = [
            message(b"", b"startup"),
            message(b"p", b"SCRAM"),
            message(b"P", b"s0\0SELECT $1, $2\0\0\x02\0\0\0\x17\0\0\0\x19"),
            message(b"S", b""),
            message(
                b"B",
                b"\0s0\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\0",
            ),
            message(b"E", b"\0\0\0\0\0"),
        ]
        .concat();
        let statement = parse(&said).unwrap();
        assert_eq!(statement.sql, "SELECT $1, $2");
        assert_eq!(statement.types, [23, 25]);
        assert_eq!(statement.parameters, [[Some(Bytes(b"x".to_vec())), None]]);
        assert!(parse(&said[..said.len() - 1]).is_err());
    }
}
