//! One connection through the proxy.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::{Counters, Fault, Flight, State};
use crate::lock::lock;
use crate::stop::Onward;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

/// What has passed on this connection.
#[derive(Debug, Clone, Copy, Default)]
struct Passed {
    client_bytes: u64,
    server_bytes: u64,
    server_flights: u64,
}

#[derive(Debug)]
struct Progress {
    passed: Passed,
    /// What had passed when the fault in effect was set.
    base: Passed,
    /// The number of that fault.
    setting: u64,
    speaker: Option<Side>,
}

pub(super) struct Relay {
    state: Arc<State>,
    own: Option<Fault>,
    progress: Mutex<Progress>,
}

/// What becomes of bytes that have been read.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Pass,
    /// Passes the first bytes only, then resets.
    Cut(usize),
    Swallow,
}

/// Why a connection is over.
enum End {
    Closed,
    Reset,
}

impl Relay {
    pub(super) fn new(state: Arc<State>, own: Option<Fault>) -> Self {
        let setting = state.setting.borrow().number;
        let progress = Progress {
            passed: Passed::default(),
            base: Passed::default(),
            setting,
            speaker: None,
        };
        Self {
            state,
            own,
            progress: Mutex::new(progress),
        }
    }

    pub(super) async fn run(self, mut client: TcpStream) {
        if matches!(self.fault(), Fault::Reset | Fault::Refuse) {
            reset(client);
            return;
        }
        let Ok(mut server) = TcpStream::connect(self.state.upstream).await else {
            reset(client);
            return;
        };
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        lock(&self.state.counters).open += 1;
        let mut cuts = self.state.cuts.subscribe();
        let end = {
            let (client_reads, client_writes) = client.split();
            let (server_reads, server_writes) = server.split();
            tokio::select! {
                end = async {
                    tokio::try_join!(
                        self.pump(Side::Client, client_reads, server_writes),
                        self.pump(Side::Server, server_reads, client_writes),
                    )
                } => if end.is_ok() { End::Closed } else { End::Reset },
                _ = cuts.changed() => End::Reset,
                () = self.reset_by_fault() => End::Reset,
            }
        };
        lock(&self.state.counters).open -= 1;
        if matches!(end, End::Reset) {
            reset(client);
            reset(server);
        }
    }

    /// Moves what one side says to the other until it has said all; an error ends the connection.
    async fn pump(
        &self,
        side: Side,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
    ) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = from.read(&mut buffer).await?;
            if length == 0 {
                return to.shutdown().await;
            }
            let bytes = buffer.get(..length).unwrap_or_default();
            let turn = self.note(side, length);
            if turn && self.stand_still(side).await == Onward::Cut {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            self.hold_back(turn).await;
            match self.verdict(side, length) {
                Verdict::Pass => to.write_all(bytes).await?,
                Verdict::Swallow => {}
                Verdict::Cut(keep) => {
                    to.write_all(bytes.get(..keep).unwrap_or_default()).await?;
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
            }
        }
    }

    /// Counts; true when this begins a flight.
    fn note(&self, side: Side, length: usize) -> bool {
        let mut progress = lock(&self.progress);
        let setting = self.state.setting.borrow().number;
        if progress.setting != setting {
            progress.setting = setting;
            progress.base = progress.passed;
        }
        let turn = progress.speaker != Some(side);
        progress.speaker = Some(side);
        let (bytes, flight) = (length as u64, u64::from(turn));
        let mut all = lock(&self.state.counters);
        let Counters {
            client_flights,
            server_flights,
            client_bytes,
            server_bytes,
            ..
        } = &mut *all;
        match side {
            Side::Client => {
                progress.passed.client_bytes += bytes;
                *client_bytes += bytes;
                *client_flights += flight;
            }
            Side::Server => {
                progress.passed.server_bytes += bytes;
                progress.passed.server_flights += flight;
                *server_bytes += bytes;
                *server_flights += flight;
            }
        }
        turn
    }

    /// Waits where somebody wants this flight to.
    async fn stand_still(&self, side: Side) -> Onward {
        let flight = match side {
            Side::Client => Flight::Request,
            Side::Server => Flight::Answer,
        };
        match self.state.stops.come(&flight) {
            Some(here) => here.stand().await,
            None => Onward::Pass,
        }
    }

    /// Waits while nothing may move.
    async fn hold_back(&self, turn: bool) {
        if let Fault::Delay(delay) = self.fault()
            && turn
        {
            tokio::time::sleep(delay).await;
        }
        // The senders live in the state that we hold, so these waits end by their condition only.
        let _ = self
            .state
            .paused
            .subscribe()
            .wait_for(|paused| !paused)
            .await;
        if self.own == Some(Fault::BlackHole) {
            std::future::pending::<()>().await;
        }
        if self.own.is_none() {
            let _ = self
                .state
                .setting
                .subscribe()
                .wait_for(|setting| setting.fault != Fault::BlackHole)
                .await;
        }
    }

    fn verdict(&self, side: Side, length: usize) -> Verdict {
        let progress = lock(&self.progress);
        decide(
            self.fault(),
            side,
            length as u64,
            progress.passed,
            progress.base,
        )
    }

    /// Ends when a fault is set that resets open connections.
    async fn reset_by_fault(&self) {
        if self.own.is_some() {
            return std::future::pending().await;
        }
        let _ = self
            .state
            .setting
            .subscribe()
            .wait_for(|setting| setting.fault == Fault::Reset)
            .await;
    }

    fn fault(&self) -> Fault {
        self.own
            .unwrap_or_else(|| self.state.setting.borrow().fault)
    }
}

/// What becomes of `length` bytes that `side` said; `passed` counts them already.
fn decide(fault: Fault, side: Side, length: u64, passed: Passed, base: Passed) -> Verdict {
    let after = |limit: u64, total: u64| {
        if total < limit {
            return Verdict::Pass;
        }
        let keep = limit.saturating_sub(total - length).min(length);
        Verdict::Cut(usize::try_from(keep).unwrap_or(usize::MAX))
    };
    let answer = passed.server_flights - base.server_flights;
    match (fault, side) {
        (Fault::CutAfterClientBytes(limit), Side::Client) => {
            after(limit, passed.client_bytes - base.client_bytes)
        }
        (Fault::CutAfterServerBytes(limit), Side::Server) => {
            after(limit, passed.server_bytes - base.server_bytes)
        }
        (Fault::CutBeforeAnswer(n), Side::Server) if answer >= n => Verdict::Cut(0),
        (Fault::SwallowAnswer(n), Side::Server) if answer >= n => Verdict::Swallow,
        _ => Verdict::Pass,
    }
}

/// Ends a connection by RST, as a killed peer or a stateful firewall does.
fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
    drop(stream);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fault: Fault, side: Side, length: u64, passed: Passed, verdict: &Verdict) {
        assert_eq!(
            &decide(fault, side, length, passed, Passed::default()),
            verdict,
            "{fault:?}"
        );
    }

    #[test]
    fn cuts_fall_where_they_are_told() {
        let client = Passed {
            client_bytes: 100,
            ..Passed::default()
        };
        check(
            Fault::CutAfterClientBytes(101),
            Side::Client,
            40,
            client,
            &Verdict::Pass,
        );
        check(
            Fault::CutAfterClientBytes(100),
            Side::Client,
            40,
            client,
            &Verdict::Cut(40),
        );
        check(
            Fault::CutAfterClientBytes(70),
            Side::Client,
            40,
            client,
            &Verdict::Cut(10),
        );
        check(
            Fault::CutAfterClientBytes(0),
            Side::Client,
            100,
            client,
            &Verdict::Cut(0),
        );
        check(
            Fault::CutAfterClientBytes(0),
            Side::Server,
            100,
            client,
            &Verdict::Pass,
        );
        let server = Passed {
            server_bytes: 9,
            server_flights: 2,
            ..Passed::default()
        };
        check(
            Fault::CutBeforeAnswer(3),
            Side::Server,
            9,
            server,
            &Verdict::Pass,
        );
        check(
            Fault::CutBeforeAnswer(2),
            Side::Server,
            9,
            server,
            &Verdict::Cut(0),
        );
        check(
            Fault::SwallowAnswer(1),
            Side::Server,
            9,
            server,
            &Verdict::Swallow,
        );
    }

    #[test]
    fn a_fault_counts_from_when_it_is_set() {
        let base = Passed {
            server_flights: 5,
            ..Passed::default()
        };
        let fifth = decide(Fault::CutBeforeAnswer(1), Side::Server, 1, base, base);
        assert_eq!(
            fifth,
            Verdict::Pass,
            "the answer under way when the fault was set passes"
        );
        let sixth = Passed {
            server_flights: 6,
            ..base
        };
        assert_eq!(
            decide(Fault::CutBeforeAnswer(1), Side::Server, 1, sixth, base),
            Verdict::Cut(0)
        );
    }
}
