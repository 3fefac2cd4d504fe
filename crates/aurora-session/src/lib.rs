#![doc = include_str!("../README.md")]

mod backoff;
mod counters;
mod error;
pub mod fallback;
mod kept;
mod knowledge;
mod observer;
mod pass;
#[cfg(feature = "deadpool")]
pub mod pool;
mod searcher;
mod session;
mod source;
mod version;

pub use aurora::{Login, Target, Tls, Trust};
pub use counters::{ByStage, Counters};
pub use error::{RunError, SessionError};
pub use kept::Connection;
pub use observer::Event;
pub use secrets::{SdkConfig, SecretString, SecretsError, SecretsManager, Stage, Version};
pub use session::{Builder, Session};
pub use source::{Document, Source, SourceError};
pub use version::SecretVersion;
