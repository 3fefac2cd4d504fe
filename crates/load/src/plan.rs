//! What is to be run.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// One run: who connects how, through which rotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// How the function rotates.
    pub strategy: Strategy,
    /// How the connectors log in.
    pub policy: Policy,
    /// How many of them connect at the same time.
    pub connectors: usize,
    /// How many rotations there are, one after the other.
    pub rotations: usize,
    /// How long Secrets Manager waits between `testSecret` and `finishSecret`: by so much the gap is longer than the steps.
    #[serde(rename = "pause_seconds", serialize_with = "seconds")]
    pub pause: Duration,
}

/// How the function rotates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The one user gets a new password.
    SingleUser,
    /// Of two users, the one that is not current gets a new password and becomes current.
    AlternatingUsers,
}

/// How the connectors log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Through one session that all of them share.
    Session,
    /// With a cached `AWSCURRENT`, which is read once more after a refusal. A second refusal is a failed connect.
    RefreshOnce,
}

impl Strategy {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::SingleUser, Self::AlternatingUsers];

    /// What `ROTATION_STRATEGY` is set to.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SingleUser => "single-user",
            Self::AlternatingUsers => "alternating-users",
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strategy = match self.strategy {
            Strategy::SingleUser => "single user",
            Strategy::AlternatingUsers => "alternating users",
        };
        let policy = match self.policy {
            Policy::Session => "session",
            Policy::RefreshOnce => "refresh once",
        };
        write!(f, "{strategy}, {} s, {policy}", self.pause.as_secs_f64())
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}
