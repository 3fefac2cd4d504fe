//! The Lambda function `conversation-capture`: a captured exchange comes in, its object lies in S3, its rows in
//! PostgreSQL.
//!
//! Start at [`Function::handle`]. `source` tells where the payload comes from and what its records are, `intake` makes
//! items of them, `item` and `batch` decide what becomes of each, `function` does it, `reply` answers and `report` logs.
//!
//! This function never answers with success for an event that is not stored, never lets one event of a batch spoil
//! another, and never writes to a log what was said or by whom.

mod batch;
mod claim;
mod config;
mod error;
mod function;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod intake;
mod item;
mod redaction;
mod reply;
mod report;
#[cfg(test)]
mod samples;
mod source;
mod tally;
mod unpack;

pub use claim::ClaimError;
pub use config::{Config, Durability, Pooler};
pub use error::CaptureError;
pub use function::Function;
pub use intake::Intake;
pub use redaction::{KeyError, Redaction};
pub use reply::Reply;
pub use source::{Http, RequestError, SourceError};
pub use unpack::UnpackError;
