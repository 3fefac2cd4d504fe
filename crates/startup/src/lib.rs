//! What every Turnkeep binary does before its first event: environment, configuration, logging, AWS configuration,
//! deadlines, error reports and metrics.
//!
//! A binary's `main` takes an [`environment::Environment`] once, hands it to its own configuration through a
//! [`config::Reader`], starts [`logging`] and loads one AWS configuration with [`aws::load`]. Nothing below `main` knows a
//! variable's name. This crate never talks to a database and knows no secret.

pub mod aws;
pub mod config;
pub mod deadline;
pub mod environment;
pub mod https;
pub mod logging;
pub mod memory;
pub mod metrics;
pub mod report;
