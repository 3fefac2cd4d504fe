//! A PostgreSQL session that survives the rotation of its password.
//!
//! Between the moment a rotation changes the password in the database and the moment it moves
//! `AWSCURRENT`, a client that only knows `AWSCURRENT` cannot log in. [`Session`] bridges that gap:
//! it keeps one connection open, heals it, and when a login is refused finds the version of the
//! secret that the database accepts ([`fallback`]). An open connection is never dropped because of a
//! rotation: PostgreSQL asks for the password only at login.
//!
//! Secrets Manager is asked only for the first login and after a refused one, by one task for all, so
//! an outage of it harms nobody whose password still works. A deadline is the caller's and ends
//! everything; a dropped future leaves no task behind. No password is logged, printed or part of an
//! error.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use aurora_session::{Session, SecretsManager};
//! use tokio::time::Instant;
//!
//! # async fn example(config: &aurora_session::SdkConfig) -> Result<(), Box<dyn std::error::Error>> {
//! let session = Session::builder(SecretsManager::new(config, None), "my-app/database")
//!     .dbname("orders")
//!     .application_name("my-app")
//!     .build()?;
//!
//! let deadline = Instant::now() + Duration::from_secs(8);
//! let count: i64 = session
//!     .run(true, deadline, async |client| {
//!         let row = client.query_typed_one("SELECT count(*) FROM orders", &[]).await?;
//!         row.try_get(0)
//!     })
//!     .await?;
//! # let _ = count;
//! # Ok(())
//! # }
//! ```

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
pub use secrets::{SdkConfig, SecretString, SecretsManager, Stage};
pub use session::{Builder, Session};
pub use source::{Document, Source, SourceError};
pub use version::SecretVersion;
