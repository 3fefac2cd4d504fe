//! AWS Secrets Manager and the JSON document of a database secret.
//!
//! This is the only crate that calls Secrets Manager. It never connects to a database, never
//! decides what to do with a version, and hands out no SDK type.
//!
//! Start reading at [`SecretsManager`] for the calls, at [`DatabaseSecret`] for the document that a
//! rotation function rewrites, and at [`LoginSecret`] for what a client needs of it.

mod client;
mod document;
mod error;
mod login;
mod members;
mod password;
mod problem;
mod python;
mod secret;
mod stage;

pub use aws_config::SdkConfig;
pub use client::SecretsManager;
pub use document::{DatabaseSecret, DocumentError, MasterSecret, Ssl, alternate_username};
pub use error::{Failure, Retry, SecretsError};
pub use login::LoginSecret;
pub use password::{MINIMUM_BITS, PasswordError, PasswordRules, PasswordSettings};
pub use problem::Problem;
pub use secrecy::SecretString;
pub use secret::{
    Created, Replica, Replication, RotateRequest, RotationRules, RotationToken, SecretDescription,
    SecretValue, Version, VersionInfo,
};
pub use stage::Stage;
