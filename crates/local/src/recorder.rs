//! What clients say to PostgreSQL, read between the two: a proxy that ends TLS on both sides.
//!
//! It shows the clients the server's own certificate. So their channel binding (`tls-server-end-point`, RFC 5929), a hash
//! of that certificate, holds through it, and the login is the real one.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::lock::lock;
use crate::{Error, Server, background};

/// `SSLRequest` (PostgreSQL documentation, "Message Formats").
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A running recorder; it stops when it is dropped.
#[derive(Debug)]
pub struct Recorder {
    port: u16,
    /// The bytes of each connection's client.
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    acceptor: AbortHandle,
}

/// What a client says at once (PostgreSQL documentation, "Message Formats").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which message it is; the start-up message alone has no letter.
    pub kind: Option<char>,
    /// What comes behind its length.
    pub body: Vec<u8>,
}

impl Recorder {
    /// Starts one before a server, on a free port of 127.0.0.1.
    pub async fn start(server: &Server) -> Result<Self, Error> {
        let ends = Arc::new(Ends::new(server)?);
        let heard = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let shared = Arc::clone(&heard);
        let (port, acceptor) = background::run(async move {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let port = listener.local_addr()?.port();
            let acceptor = tokio::spawn(accept(listener, ends, shared)).abort_handle();
            Ok((port, acceptor))
        })
        .await
        .map_err(Error::io("start a recorder"))?;
        Ok(Self {
            port,
            heard,
            acceptor,
        })
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What each client has said so far, by connection.
    pub fn said(&self) -> Vec<Vec<Message>> {
        lock(&self.heard)
            .iter()
            .map(|said| messages(said))
            .collect()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn accept(listener: TcpListener, ends: Arc<Ends>, heard: Arc<Mutex<Vec<Vec<u8>>>>) {
    while let Ok((client, _)) = listener.accept().await {
        let number = {
            let mut all = lock(&heard);
            all.push(Vec::new());
            all.len() - 1
        };
        let (ends, heard) = (Arc::clone(&ends), Arc::clone(&heard));
        let note = move |bytes: &[u8]| {
            if let Some(said) = lock(&heard).get_mut(number) {
                said.extend_from_slice(bytes);
            }
        };
        // What goes wrong here the client sees as a failed login, and says so.
        tokio::spawn(async move { ends.relay(client, note).await });
    }
}

struct Ends {
    server: SocketAddr,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

impl Ends {
    fn new(server: &Server) -> Result<Self, Error> {
        let (certificate, key) = server.certificate_and_key();
        let unusable = |path: &Path, reason: String| Error::Setting {
            name: path.display().to_string(),
            reason,
        };
        let read = |path: &Path| {
            CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| unusable(path, error.to_string()))
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(read(&server.ca_file)?);
        let chain = read(&certificate)?;
        let private = PrivateKeyDer::from_pem_file(&key).map_err(|error| {
            let reason = format!("readable for root and the server's user only: {error}");
            unusable(&key, reason)
        })?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let to_client = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                let config = config.with_no_client_auth();
                config.with_single_cert(chain, private)
            })
            .map_err(|error| unusable(&certificate, error.to_string()))?;
        let to_server = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&server.ca_file, error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            server: server.address(),
            acceptor: TlsAcceptor::from(Arc::new(to_client)),
            connector: TlsConnector::from(Arc::new(to_server)),
        })
    }

    /// Moves everything between the two ends until one closes.
    async fn relay(&self, mut client: TcpStream, note: impl Fn(&[u8])) -> io::Result<()> {
        let mut request = [0; SSL_REQUEST.len()];
        client.read_exact(&mut request).await?;
        if request != SSL_REQUEST {
            return Err(io::Error::other("the client does not ask for TLS"));
        }
        client.write_all(b"S").await?;
        let client = self.acceptor.accept(client).await?;
        let mut server = TcpStream::connect(self.server).await?;
        server.write_all(&SSL_REQUEST).await?;
        if server.read_u8().await? != b'S' {
            return Err(io::Error::other("the server has no TLS"));
        }
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
                note(bytes);
                to_server.write_all(bytes).await?;
                to_server.flush().await?;
            }
        };
        let answers = tokio::io::copy(&mut from_server, &mut to_client);
        tokio::try_join!(questions, async { answers.await.map(drop) })?;
        Ok(())
    }
}

/// The whole messages of what a client said: one for the start, then messages with a letter.
fn messages(said: &[u8]) -> Vec<Message> {
    let mut found = Vec::new();
    let mut rest = said;
    loop {
        let (kind, behind) = match (found.is_empty(), rest.split_first()) {
            (true, _) => (None, rest),
            (false, Some((letter, behind))) => (Some(char::from(*letter)), behind),
            (false, None) => return found,
        };
        // The length counts itself.
        let Some((length, behind)) = behind.split_first_chunk::<4>() else {
            return found;
        };
        let length = usize::try_from(u32::from_be_bytes(*length).saturating_sub(4));
        let Some((body, behind)) = length
            .ok()
            .and_then(|length| behind.split_at_checked(length))
        else {
            return found;
        };
        found.push(Message {
            kind,
            body: body.to_vec(),
        });
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_far_as_they_are_whole() {
        let said = b"\0\0\0\x09startp\0\0\0\x09SCRAMQ\0\0\0\x06hi";
        let message = |kind, body: &[u8]| Message {
            kind,
            body: body.to_vec(),
        };
        assert_eq!(
            messages(said),
            [
                message(None, b"start"),
                message(Some('p'), b"SCRAM"),
                message(Some('Q'), b"hi")
            ]
        );
        assert_eq!(messages(&said[..said.len() - 1]).len(), 2);
        assert_eq!(messages(&said[..19]).len(), 2);
        assert_eq!(messages(b""), []);
    }
}
