//! How far a login has got.
//!
//! The driver tells how a login failed but not in which phase, and it hides whether an open session
//! is encrypted. It asks for the TLS connector at fixed points, and this module watches those.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::Waiting;

/// Shared between a login and its connector.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Mutex<Waiting>>);

impl Progress {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Waiting::Dns)))
    }

    /// The phase that is under way.
    pub(crate) fn waiting(&self) -> Waiting {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `waiting` is under way from now on.
    pub(crate) fn reach(&self, waiting: Waiting) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = waiting;
    }
}

/// A rustls connector that reports its progress.
pub(crate) struct Watched<C> {
    inner: C,
    progress: Progress,
}

impl Watched<MakeRustlsConnect> {
    pub(crate) fn new(inner: MakeRustlsConnect, progress: Progress) -> Self {
        Self { inner, progress }
    }
}

impl<S, C> MakeTlsConnect<S> for Watched<C>
where
    C: MakeTlsConnect<S>,
    C::TlsConnect: TlsConnect<S, Error = io::Error>,
    <C::TlsConnect as TlsConnect<S>>::Future: Send + 'static,
    S: AsyncRead + AsyncWrite,
{
    type Stream = C::Stream;
    type TlsConnect = Watched<C::TlsConnect>;
    type Error = C::Error;

    /// The driver calls this once TCP is connected, before it asks the server for TLS.
    fn make_tls_connect(&mut self, domain: &str) -> Result<Self::TlsConnect, Self::Error> {
        self.progress.reach(Waiting::TlsAnswer);
        Ok(Watched {
            inner: self.inner.make_tls_connect(domain)?,
            progress: self.progress.clone(),
        })
    }
}

impl<S, C> TlsConnect<S> for Watched<C>
where
    C: TlsConnect<S, Error = io::Error>,
    C::Future: Send + 'static,
{
    type Stream = C::Stream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<C::Stream>> + Send>>;

    /// The driver calls this only if the server answers that it has TLS.
    fn connect(self, stream: S) -> Self::Future {
        self.progress.reach(Waiting::TlsHandshake);
        let handshake = self.inner.connect(stream);
        Box::pin(async move {
            let stream = handshake.await?;
            self.progress.reach(Waiting::Authentication);
            Ok(stream)
        })
    }
}
