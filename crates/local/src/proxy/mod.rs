//! A TCP proxy that misbehaves as it is told: between a function and PostgreSQL, or before the gateway.
//!
//! What it counts and cuts by is the *flight*: the bytes of one side until the other side speaks. TLS hides where messages
//! end, but a request and its answer are one flight each; a client that sends two statements without waiting sends one
//! flight. A PostgreSQL login by TLS 1.3 and SCRAM takes five answers (TLS offered, handshake, SASL, SASL, ready), and a sixth
//! where the server asks for another key share first (its default `ssl_ecdh_curve` does): measure it by the counters.

mod relay;

use std::collections::VecDeque;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use crate::lock::lock;
use crate::stop::{Stop, Stops};
use crate::{Error, background};
use relay::Relay;

/// What the proxy does to connections. Numbers count from when the fault is set, or from the begin of the connection if
/// that is later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing.
    Pass,
    /// Holds every flight back for this long, in both directions.
    Delay(Duration),
    /// Accepts and moves no byte: what a security group that drops packets looks like.
    BlackHole,
    /// Refuses connections (`ECONNREFUSED`), as a stopped server does. Open connections go on; the port stays ours.
    Refuse,
    /// Accepts and resets.
    Reset,
    /// Resets after this many bytes of the client have passed.
    CutAfterClientBytes(u64),
    /// Resets after this many bytes of the server have passed.
    CutAfterServerBytes(u64),
    /// Resets instead of delivering the n-th answer, counted from 1: the request has had its effect, nobody learns of it.
    CutBeforeAnswer(u64),
    /// Delivers neither the n-th answer, counted from 1, nor any later one, and keeps the connection open.
    SwallowAnswer(u64),
}

/// The bytes of one side until the other side speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flight {
    /// Of a client.
    Request,
    /// Of the server.
    Answer,
}

impl fmt::Display for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::Answer => "answer",
        })
    }
}

/// What has passed through a proxy, over all its connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted, those that were reset at once included.
    pub accepted: u64,
    /// Connections open now.
    pub open: u64,
    /// Flights of clients: requests, as far as each waits for its answer.
    pub client_flights: u64,
    /// Flights of the server, swallowed ones included.
    pub server_flights: u64,
    /// Bytes from clients.
    pub client_bytes: u64,
    /// Bytes from the server, swallowed ones included.
    pub server_bytes: u64,
}

/// The proxy; dropping it closes its port and resets its connections.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    state: Arc<State>,
    commands: mpsc::UnboundedSender<Command>,
    acceptor: AbortHandle,
}

/// What the handle, the acceptor and the connections share.
#[derive(Debug)]
struct State {
    upstream: SocketAddr,
    /// What happens to every connection that has no fault of its own.
    setting: watch::Sender<Setting>,
    /// Faults for the next connections, one each.
    next: Mutex<VecDeque<Fault>>,
    paused: watch::Sender<bool>,
    /// Counts the calls of [`FaultProxy::cut`].
    cuts: watch::Sender<u64>,
    counters: Mutex<Counters>,
    stops: Stops<Flight>,
}

/// A fault, and how many were set before it: setting the same one again begins a new count.
#[derive(Debug, Clone, Copy)]
struct Setting {
    fault: Fault,
    number: u64,
}

struct Command {
    fault: Fault,
    done: oneshot::Sender<()>,
}

impl FaultProxy {
    /// Starts a proxy to `upstream` on a free port of 127.0.0.1.
    pub async fn start(upstream: SocketAddr) -> Result<Self, Error> {
        let (commands, inbox) = mpsc::unbounded_channel();
        let state = Arc::new(State {
            upstream,
            setting: watch::Sender::new(Setting {
                fault: Fault::Pass,
                number: 0,
            }),
            next: Mutex::default(),
            paused: watch::Sender::new(false),
            cuts: watch::Sender::new(0),
            counters: Mutex::default(),
            stops: Stops::default(),
        });
        let shared = Arc::clone(&state);
        let (address, acceptor) = background::run(async move {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let address = listener.local_addr()?;
            let acceptor = tokio::spawn(accept(listener, address, shared, inbox)).abort_handle();
            Ok((address, acceptor))
        })
        .await
        .map_err(Error::io("start a proxy"))?;
        Ok(Self {
            address,
            state,
            commands,
            acceptor,
        })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port where clients connect.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The address as an HTTP endpoint.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Applies a fault to the open connections and to all that come; it is in effect on return.
    pub async fn set(&self, fault: Fault) {
        let (done, applied) = oneshot::channel();
        if self.commands.send(Command { fault, done }).is_ok() {
            let _ = applied.await;
        }
    }

    /// Applies a fault to the next connection only; calls queue up. [`Fault::Refuse`] acts as [`Fault::Reset`] here,
    /// because a single connection cannot be refused.
    pub fn next(&self, fault: Fault) {
        lock(&self.state.next).push_back(fault);
    }

    /// Resets all open connections.
    pub fn cut(&self) {
        self.state.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Moves no byte until [`FaultProxy::resume`].
    pub fn pause(&self) {
        self.state.paused.send_replace(true);
    }

    /// Goes on after [`FaultProxy::pause`]; nothing is lost.
    pub fn resume(&self) {
        self.state.paused.send_replace(false);
    }

    /// Makes the n-th flight of a side stand still, counted from 1 and from now over all connections, until what is returned
    /// is dropped or cut.
    pub fn stop_at(&self, flight: Flight, nth: u64) -> Stop {
        self.state.stops.plan(flight, nth)
    }

    /// What has passed so far.
    pub fn counters(&self) -> Counters {
        *lock(&self.state.counters)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.cut();
    }
}

async fn accept(
    listener: TcpListener,
    address: SocketAddr,
    state: Arc<State>,
    mut commands: mpsc::UnboundedReceiver<Command>,
) {
    let mut listener = Some(listener);
    // A bound socket that does not listen: the kernel refuses connections, and nobody else can take the port.
    let mut held = None;
    loop {
        tokio::select! {
            command = commands.recv() => {
                let Some(Command { fault, done }) = command else { return };
                if fault == Fault::Refuse {
                    drop(listener.take());
                    if held.is_none() {
                        held = bind(address).ok();
                    }
                } else if listener.is_none() {
                    listener = held.take().map_or_else(|| bind(address), Ok).and_then(|socket| socket.listen(1024)).ok();
                }
                state.setting.send_modify(|setting| *setting = Setting { fault, number: setting.number + 1 });
                // Whoever asked may have gone meanwhile.
                let _ = done.send(());
            }
            Some(client) = next_client(listener.as_ref()) => {
                lock(&state.counters).accepted += 1;
                let own = lock(&state.next).pop_front();
                tokio::spawn(Relay::new(Arc::clone(&state), own).run(client));
            }
        }
    }
}

async fn next_client(listener: Option<&TcpListener>) -> Option<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.ok().map(|(client, _)| client),
        None => std::future::pending().await,
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // The port's old connections may still be open.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
