//! A database server that is not what it should be. It answers as it is told and keeps all that it is sent.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

/// What a client sends first: eight bytes, "do you have TLS?".
pub const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// What Amazon RDS asks and answers before it changes a role where password commands are restricted.
const MEMBERS_ONLY: &str = "\
DO $$ BEGIN IF NOT pg_has_role('rds_password', 'MEMBER') THEN \
RAISE insufficient_privilege USING MESSAGE = 'must be a member of rds_password to alter passwords'; \
END IF; END $$; ";

/// How an impostor behaves to every client.
#[derive(Clone)]
pub enum Manner {
    /// It shows this certificate, and refuses whoever takes it for what it says.
    Certificate(Arc<ServerConfig>),
    /// It shows this certificate, and refuses every login with this SQLSTATE, whatever the password.
    Refuses(Arc<ServerConfig>, &'static str),
    /// It shows this certificate, and hands on what is within TLS to a server that takes plaintext.
    Tunnel(Arc<ServerConfig>, SocketAddr),
    /// As [`Manner::Tunnel`], and leaves passwords to the members of `rds_password`, as `rds.restrict_password_commands` does.
    RestrictedTunnel(Arc<ServerConfig>, SocketAddr),
    /// It says that it has no TLS, asks for the password in plain text, and refuses it with this SQLSTATE.
    Plaintext(&'static str),
    /// It says that it has no TLS, and hands everything on to a server.
    Relay(SocketAddr),
    /// It answers with something else than PostgreSQL does.
    Nonsense,
    /// It hangs up.
    HangUp,
}

/// What a client sent over one connection.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// The bytes on the wire.
    pub wire: Vec<u8>,
    /// What came out of TLS.
    pub within_tls: Vec<u8>,
    /// The password, if it was told.
    pub password: Option<String>,
}

/// The impostor; its port closes when it is dropped.
pub struct Impostor {
    pub port: u16,
    manner: Arc<Mutex<Manner>>,
    heard: Arc<Mutex<Vec<Heard>>>,
    acceptor: AbortHandle,
}

impl Impostor {
    pub async fn start(manner: Manner) -> Self {
        Self::at((Ipv4Addr::LOCALHOST, 0).into(), manner).await
    }

    /// As [`Impostor::start`], at an address that somebody expects.
    pub async fn at(address: SocketAddr, manner: Manner) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (manner, heard) = (
            Arc::new(Mutex::new(manner)),
            Arc::<Mutex<Vec<_>>>::default(),
        );
        let (told, keep) = (Arc::clone(&manner), Arc::clone(&heard));
        let acceptor = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = {
                    let mut all = keep.lock().unwrap();
                    all.push(Heard::default());
                    all.len() - 1
                };
                let (heard, manner) = (Arc::clone(&keep), told.lock().unwrap().clone());
                let client = Recorded {
                    inner: client,
                    heard,
                    number,
                };
                tokio::spawn(client.serve(manner));
            }
        });
        Self {
            port,
            manner,
            heard,
            acceptor: acceptor.abort_handle(),
        }
    }

    /// Behaves otherwise from now on, and forgets what it has heard.
    pub fn turn(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
        self.heard.lock().unwrap().clear();
    }

    /// What it was sent, by connection.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

/// A server's TLS with a certificate in PEM and its key.
pub fn shows(certificate: &rcgen::Certificate, key: &rcgen::KeyPair) -> Arc<ServerConfig> {
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    Arc::new(config)
}

/// The message `ErrorResponse`.
fn refusal(sqlstate: &str) -> Vec<u8> {
    let fields = format!("SFATAL\0VFATAL\0C{sqlstate}\0Mthe impostor refuses\0\0");
    [vec![b'E'], with_length(fields.as_bytes())].concat()
}

/// The rest of a message whose length counts itself.
async fn message_behind_length(from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let length = usize::try_from(from.read_u32().await?).unwrap();
    let mut message = vec![0; length - 4];
    from.read_exact(&mut message).await?;
    Ok(message)
}

fn with_length(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len() + 4).unwrap();
    [&length.to_be_bytes(), message].concat()
}

/// A client's connection, which keeps what the client sends.
struct Recorded {
    inner: TcpStream,
    heard: Arc<Mutex<Vec<Heard>>>,
    number: usize,
}

impl Recorded {
    async fn serve(mut self, manner: Manner) {
        let mut request = [0; 8];
        if matches!(manner, Manner::HangUp) || self.read_exact(&mut request).await.is_err() {
            return;
        }
        assert_eq!(
            request, TLS_REQUEST,
            "a client that may use TLS asks for it first"
        );
        let _ = match manner {
            Manner::Certificate(config) => self.shake_hands(config).await,
            Manner::Refuses(config, sqlstate) => self.refuse_within_tls(config, sqlstate).await,
            Manner::Tunnel(config, upstream) => self.tunnel(config, upstream).await,
            Manner::RestrictedTunnel(config, upstream) => self.restrict(config, upstream).await,
            Manner::Plaintext(sqlstate) => self.refuse(sqlstate).await,
            Manner::Relay(upstream) => self.relay(upstream).await,
            Manner::Nonsense => self.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await,
            Manner::HangUp => Ok(()),
        };
    }

    async fn shake_hands(mut self, config: Arc<ServerConfig>) -> std::io::Result<()> {
        self.write_all(b"S").await?;
        let (heard, number) = (Arc::clone(&self.heard), self.number);
        let mut tls = TlsAcceptor::from(config).accept(self).await?;
        let mut buffer = [0; 1024];
        while let Ok(length @ 1..) = tls.read(&mut buffer).await {
            let within = &buffer[..length];
            heard.lock().unwrap()[number].within_tls.extend(within);
        }
        Ok(())
    }

    async fn refuse_within_tls(
        mut self,
        config: Arc<ServerConfig>,
        sqlstate: &str,
    ) -> std::io::Result<()> {
        self.write_all(b"S").await?;
        let mut tls = TlsAcceptor::from(config).accept(self).await?;
        message_behind_length(&mut tls).await?;
        tls.write_all(&refusal(sqlstate)).await?;
        tls.shutdown().await
    }

    async fn tunnel(
        mut self,
        config: Arc<ServerConfig>,
        upstream: SocketAddr,
    ) -> std::io::Result<()> {
        self.write_all(b"S").await?;
        let mut tls = TlsAcceptor::from(config).accept(self).await?;
        let mut server = TcpStream::connect(upstream).await?;
        tokio::io::copy_bidirectional(&mut tls, &mut server)
            .await
            .map(drop)
    }

    async fn restrict(
        mut self,
        config: Arc<ServerConfig>,
        upstream: SocketAddr,
    ) -> std::io::Result<()> {
        self.write_all(b"S").await?;
        let tls = TlsAcceptor::from(config).accept(self).await?;
        let (mut from_client, mut to_client) = tokio::io::split(tls);
        let (mut from_server, mut to_server) = TcpStream::connect(upstream).await?.into_split();
        let answers = async {
            tokio::io::copy(&mut from_server, &mut to_client)
                .await
                .map(drop)
        };
        let questions = async {
            // The startup message alone has no kind.
            let startup = message_behind_length(&mut from_client).await?;
            to_server.write_all(&with_length(&startup)).await?;
            loop {
                let kind = from_client.read_u8().await?;
                let mut message = message_behind_length(&mut from_client).await?;
                if kind == b'Q' && message.starts_with(b"ALTER ROLE ") {
                    message.splice(..0, MEMBERS_ONLY.bytes());
                }
                let message = [vec![kind], with_length(&message)].concat();
                to_server.write_all(&message).await?;
            }
        };
        tokio::select! {
            ended = answers => ended,
            ended = questions => ended,
        }
    }

    async fn refuse(mut self, sqlstate: &str) -> std::io::Result<()> {
        self.write_all(b"N").await?;
        message_behind_length(&mut self).await?;
        // AuthenticationCleartextPassword.
        self.write_all(&[b'R', 0, 0, 0, 8, 0, 0, 0, 3]).await?;
        let kind = self.read_u8().await?;
        let message = message_behind_length(&mut self).await?;
        if kind == b'p' {
            let password = String::from_utf8_lossy(&message)
                .trim_end_matches('\0')
                .to_owned();
            self.heard.lock().unwrap()[self.number].password = Some(password);
        }
        self.write_all(&refusal(sqlstate)).await?;
        self.shutdown().await
    }

    async fn relay(mut self, upstream: SocketAddr) -> std::io::Result<()> {
        self.write_all(b"N").await?;
        let mut server = TcpStream::connect(upstream).await?;
        tokio::io::copy_bidirectional(&mut self, &mut server)
            .await
            .map(drop)
    }
}

impl AsyncRead for Recorded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let mut all = self.heard.lock().unwrap();
        if let Some(heard) = all.get_mut(self.number) {
            heard.wire.extend(&buffer.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, buffer)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
