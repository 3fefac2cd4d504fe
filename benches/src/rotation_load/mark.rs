//! What the picture's marks look like and mean.

use load::{Connect, Stage, Turn, stage};

/// What a connect is drawn as; the shape says as much as the colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Current,
    Pending,
    Previous,
    Failed,
    /// Around another mark.
    Refused,
}

impl Mark {
    /// Rings last, so that they lie above what they are around.
    pub(super) const ALL: [Self; 5] = [
        Self::Current,
        Self::Pending,
        Self::Previous,
        Self::Failed,
        Self::Refused,
    ];

    pub(super) fn is_of(self, turns: &[Turn], connect: &Connect) -> bool {
        match self {
            Self::Current => stage(turns, connect) == Some(Stage::Current),
            Self::Pending => stage(turns, connect) == Some(Stage::Pending),
            Self::Previous => stage(turns, connect) == Some(Stage::Previous),
            Self::Failed => connect.outcome.is_err(),
            // A failed one has been refused anyhow.
            Self::Refused => connect.refused > 0 && connect.outcome.is_ok(),
        }
    }

    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Pending => "pending",
            Self::Previous => "previous",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }

    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Current => "logged in with AWSCURRENT",
            Self::Pending => "with AWSPENDING",
            Self::Previous => "with AWSPREVIOUS",
            Self::Failed => "failed connect",
            Self::Refused => "a login was refused on the way",
        }
    }

    /// A disc, a diamond, a triangle, a cross, a ring.
    pub(super) fn path(self, x: f64, y: f64) -> String {
        let (x, y) = match self {
            Self::Current => (x - 2.4, y),
            Self::Pending => (x, y - 3.4),
            Self::Previous | Self::Failed => (x - 3.0, y - 3.0),
            Self::Refused => (x - 6.0, y),
        };
        let shape = match self {
            Self::Current => "a2.4 2.4 0 1 0 4.8 0a2.4 2.4 0 1 0-4.8 0",
            Self::Pending => "l3.4 3.4-3.4 3.4-3.4-3.4z",
            Self::Previous => "h6l-3 6z",
            Self::Failed => "l6 6m0-6l-6 6",
            Self::Refused => "a6 6 0 1 0 12 0a6 6 0 1 0-12 0",
        };
        format!("M{x:.1} {y:.1}{shape}")
    }
}
