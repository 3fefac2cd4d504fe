//! PostgreSQL as Amazon Aurora runs it.
//!
//! Which server certificate to trust ([`Trust`]), one login attempt and why it failed ([`log_in`],
//! [`LoginError`]), what an SQLSTATE asks of the caller ([`state`]), password verifiers
//! ([`verifier`]), the database's roles ([`role`]) and what may keep one from working ([`account`],
//! [`probe`]). Everything about retries, secrets and
//! rotation is left to the callers; no password ever becomes part of an SQL text.

pub mod account;
mod error;
mod handshake;
mod login;
pub mod probe;
pub mod role;
mod roots;
pub mod server;
pub mod state;
pub mod statement;
mod trust;
pub mod verifier;

pub use error::{LoginError, Place, Transport, Waiting};
pub use login::{Credentials, Login, Target, Tls, log_in};
pub use state::Retry;
pub use trust::{Trust, TrustError};
