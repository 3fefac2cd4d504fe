//! Why a document cannot be used.

use thiserror::Error;

use crate::python;

/// Why a document cannot be used, in the words of AWS's rotation functions ("the reference").
///
/// [`DocumentError::error_type`] and [`DocumentError::reference_message`] give what the reference
/// reports as `errorType` and `errorMessage`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DocumentError {
    /// Python's `KeyError`: something is missing, or `engine` is not one of PostgreSQL's.
    #[error("{0}")]
    Key(String),
    /// Python's `ValueError`: something is there with a value that cannot be used.
    #[error("{0}")]
    Value(String),
    /// Python's `ValueError` too, whose message does not say what it is about.
    #[error("{name} is not usable, a whole number is accepted: {message}")]
    Number {
        /// The key or the setting.
        name: &'static str,
        /// The reference's message.
        message: String,
    },
    /// The text is not JSON. Only the position is told, for the text is secret.
    #[error("secret is not valid json: line {line} column {column}")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
}

impl DocumentError {
    /// The exception class that the reference raises.
    pub const fn error_type(&self) -> &'static str {
        match self {
            Self::Key(_) => "KeyError",
            Self::Value(_) | Self::Number { .. } => "ValueError",
            Self::NotJson { .. } => "JSONDecodeError",
        }
    }

    /// Says what a value that is no number belongs to.
    pub(crate) fn about(self, name: &'static str) -> Self {
        match self {
            Self::Value(message) => Self::Number { name, message },
            other => other,
        }
    }

    /// The message as Python prints it, which puts that of a `KeyError` in quotes.
    pub fn reference_message(&self) -> String {
        match self {
            Self::Key(message) => python::repr(message),
            Self::Value(message) | Self::Number { message, .. } => message.clone(),
            Self::NotJson { .. } => self.to_string(),
        }
    }
}
