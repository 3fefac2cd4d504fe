//! The story of every rotation: which steps ran when, with what outcome. It holds no value of a secret.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// A step of the rotation function's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Puts the new version's value.
    CreateSecret,
    /// Sets it in the database.
    SetSecret,
    /// Logs in with it.
    TestSecret,
    /// Moves `AWSCURRENT` to it.
    FinishSecret,
}

impl Step {
    /// All of them, in the order in which they are called.
    pub const ALL: [Self; 4] = [
        Self::CreateSecret,
        Self::SetSecret,
        Self::TestSecret,
        Self::FinishSecret,
    ];

    /// The name in the event.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CreateSecret => "createSecret",
            Self::SetSecret => "setSecret",
            Self::TestSecret => "testSecret",
            Self::FinishSecret => "finishSecret",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let accepted = || Self::ALL.map(Self::as_str).join(", ");
        Self::ALL
            .into_iter()
            .find(|step| step.as_str() == name)
            .ok_or_else(|| format!("no step is called {name}; accepted: {}", accepted()))
    }
}

/// How a step or a whole rotation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Outcome {
    /// As it should.
    Succeeded,
    /// The function answered with an error, or could not be asked; `AWSPENDING` stays where it is.
    Failed {
        /// The function's `errorType`, or the Invoke API's exception.
        error_type: String,
        /// Its message.
        message: String,
    },
    /// `CancelRotateSecret` or `DeleteSecret` came in between.
    Cancelled,
}

/// One call of the function.
#[derive(Debug, Clone, Serialize)]
pub struct StepRun {
    /// Which step.
    pub step: Step,
    /// When the function was called.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// When it answered.
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended: Option<OffsetDateTime>,
    /// How; `None` while it runs.
    pub outcome: Option<Outcome>,
}

/// One rotation of one secret.
#[derive(Debug, Clone, Serialize)]
pub struct Rotation {
    /// The secret's name.
    pub secret: String,
    /// The version that is to become current: the request's token.
    pub version_id: String,
    /// Whether only `testSecret` runs (`RotateImmediately=false`).
    pub test_only: bool,
    /// When it was asked for.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// When it was over.
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended: Option<OffsetDateTime>,
    /// The step before which it waits at the moment, because it was told to pause there.
    pub waiting_before: Option<Step>,
    /// The calls so far.
    pub steps: Vec<StepRun>,
    /// How it ended; `None` while it runs.
    pub outcome: Option<Outcome>,
}

impl Rotation {
    /// The call of a step, if it has begun.
    pub fn step(&self, step: Step) -> Option<&StepRun> {
        self.steps.iter().find(|run| run.step == step)
    }

    /// Whether it is over and all went well.
    pub fn succeeded(&self) -> bool {
        self.outcome == Some(Outcome::Succeeded)
    }
}
