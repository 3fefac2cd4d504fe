//! Turnkeep on a laptop: the servers that production has, as real as they can be had on loopback.
//!
//! [`Stack`] composes it: a PostgreSQL of its own ([`Postgres`]: TLS only, SCRAM only), an AWS API on one port
//! ([`Gateway`]: Secrets Manager with AWS's label rules and a rotation that calls the function, Lambda that runs release
//! binaries, moto for S3, SQS and RDS), and [`FaultProxy`] between any two of them. Nothing here is ever deployed and
//! nothing listens anywhere but on loopback.
//!
//! Two rules shape the code. Every server runs on one background thread of this library, so that a test or a program may
//! block its own thread while it waits for a child process that talks to the stack. And nothing outlives its owner: what
//! is started is stopped on drop, dies with the process when that is killed, and what even that leaves on disk is removed
//! by the next run in the same checkout.
//!
//! Start reading at [`stack`]; the label rules are in `secrets_manager::labels`.

mod aws_json;
mod background;
pub mod canary;
mod certificate;
pub mod chaos;
mod checkout;
mod clock;
pub mod command;
pub mod demo;
mod error;
pub mod gateway;
pub mod lambda;
mod leftovers;
mod lock;
mod logs;
mod moto;
pub mod postgres;
mod process;
pub mod proxy;
mod recorder;
pub mod secrets_manager;
pub mod stack;
mod stop;
mod stub_s3;
pub mod wait;

pub use aws_json::ApiError;
pub use checkout::Checkout;
pub use error::Error;
pub use gateway::Gateway;
pub use lambda::{Function, Functions};
pub use moto::Moto;
pub use postgres::{Credentials, Database, Postgres, PostgresOptions, Server};
pub use proxy::{Fault, FaultProxy, Flight};
pub use recorder::{Message, Recorder};
pub use secrets_manager::SecretsManager;
pub use stack::{Stack, StackOptions};
pub use stop::Stop;
pub use stub_s3::{PutObject, StubS3};
