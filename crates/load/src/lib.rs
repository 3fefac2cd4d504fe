//! Clients that connect without pause while real rotations run, and what became of their connects.
//!
//! [`run`] has a number of connectors of one program open connections one after the other, while the binary of
//! `secret-rotation` turns the key of their secret again and again on the local stack. The connectors log in as a [`Policy`]
//! says: through one [`aurora_session::Session`] that they share, as a Rust program does, or as the libraries do that read
//! `AWSCURRENT` once more and then fail. Every connect is noted; [`Summary`] tells those that met a gap from the others.
//!
//! Where a gap lies is not guessed: it begins when PostgreSQL says that it has committed the new password, and ends when the
//! local Secrets Manager has answered the move of `AWSCURRENT` ([`Turn`]). Both clocks are this machine's.
//!
//! Nothing here judges or prints. The benchmark's program (`make rotation-load`) does both and may look at times; an end-to-end
//! test looks at counts.

mod client;
mod clock;
mod connectors;
mod plan;
mod record;
mod refresh_once;
mod run;
mod setting;
mod summary;

pub use aurora_session::Stage;
pub use plan::{Plan, Policy, Strategy};
pub use record::{Connect, Run, Turn};
pub use run::run;
pub use setting::Setting;
pub use summary::{ByStage, Latency, PerTurn, Summary, met_a_gap, stage};
