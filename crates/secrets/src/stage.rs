//! The three staging labels that Secrets Manager moves by itself.

use std::fmt;

/// A staging label of AWS's own; a label sits on at most one version of a secret.
///
/// Moving [`Stage::Current`] moves [`Stage::Previous`] to the version it left (API reference of
/// `UpdateSecretVersionStage`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// `AWSCURRENT`: what a plain `GetSecretValue` answers with.
    Current,
    /// `AWSPENDING`: the version that a rotation is about to make current.
    Pending,
    /// `AWSPREVIOUS`: the last version that was current.
    Previous,
}

impl Stage {
    /// The label as the API spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "AWSCURRENT",
            Self::Pending => "AWSPENDING",
            Self::Previous => "AWSPREVIOUS",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
