//! What `audit` and `preflight` find: each thing with what repairs it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that an operator should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// A stable name.
    pub code: String,
    /// What it does to rotations.
    pub severity: Severity,
    /// What is so.
    pub message: String,
    /// What to do about it, with the command or the statement that does it.
    pub repair: String,
}

/// What a finding does to rotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// They go on, for now.
    Warning,
    /// They fail, or do not happen.
    Error,
}

impl Finding {
    /// Something that makes a rotation fail.
    pub(crate) fn error(code: &str, message: impl Into<String>, repair: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            severity: Severity::Error,
            message: message.into(),
            repair: repair.into(),
        }
    }

    /// Something that makes none fail yet.
    pub(crate) fn warning(
        code: &str,
        message: impl Into<String>,
        repair: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, message, repair)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}; {}", self.code, self.message, self.repair)
    }
}

/// Findings in one line, for a log.
pub(crate) fn line(findings: &[Finding]) -> String {
    let sentences: Vec<_> = findings.iter().map(ToString::to_string).collect();
    sentences.join(" | ")
}
