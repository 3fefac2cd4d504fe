//! The Lambda function that rotates the database secret, and the operator's steps that need the master secret.
//!
//! A drop-in for AWS's function for PostgreSQL with a single user: it takes the same event, environment and secret, moves
//! the same labels and reports the same errors. Start reading at [`decide`], which holds every decision and touches
//! nothing; [`Rotation`] carries the decisions out against Secrets Manager and the database. [`migrate`] is the operator's
//! step that makes roles and tables, [`audit`] the one that looks after labels and ages, [`recover`] the one that repairs them, [`preflight`] the one that finds what would make a rotation fail; the command `turnkeep` calls them
//! too.
//!
//! Nothing is kept between two invocations: neither a secret nor a connection.

pub mod audit;
mod config;
mod database;
pub mod decide;
mod error;
pub mod event;
pub mod finding;
mod handler;
mod master;
pub mod migrate;
mod operator;
pub mod preflight;
mod rds_proxy;
pub mod recover;
mod step;

pub use config::Config;
pub use error::RotationError;
pub use handler::Rotation;
pub use master::{InstancesError, MasterError};
pub use operator::{OrderError, Reply};
