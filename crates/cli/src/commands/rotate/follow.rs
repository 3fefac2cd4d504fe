//! What a series of looks at a secret says about its rotation. Pure: the clock and the calls are the caller's.

use secrets::{SecretDescription, Stage};
use serde::Serialize;

/// Looks in a row without a label until its loss is believed: Secrets Manager answers eventually consistently.
const LOOKS_UNTIL_LOST: u8 = 3;

/// One look at a secret during a rotation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    /// Whether the new version has AWSPENDING.
    pub(crate) pending: bool,
    /// Whether the new version has AWSCURRENT.
    pub(crate) current: bool,
    /// Whether rotation is switched on.
    pub(crate) enabled: bool,
    /// Whether the new version has a value; `None` if that may not be read.
    pub(crate) has_value: Option<bool>,
}

/// What changed between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    /// The service made the new version, still empty.
    Pending,
    /// The function stored the new password: createSecret is done.
    Value,
    /// The function moved AWSCURRENT: finishSecret is done.
    Current,
}

/// Where a rotation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Under way, as far as one can see.
    Going,
    /// The new version is current.
    Done,
    /// It will not go on.
    Stopped(Reason),
}

/// Why a rotation is not waited for any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// It was not done in time; the service may still go on.
    Timeout,
    /// Rotation was switched off meanwhile (`CancelRotateSecret`).
    Cancelled,
    /// AWSPENDING was taken off the new version, which never became current.
    LabelRemoved,
}

/// The first step of the rotation function whose effect is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Step {
    /// There is no new password yet.
    #[serde(rename = "createSecret")]
    Create,
    /// The database does not take the new password yet.
    #[serde(rename = "setSecret")]
    Set,
    /// The database takes it, and AWSCURRENT is still to be moved. That the function stopped in testSecret already cannot
    /// be seen, because that step changes nothing.
    #[serde(rename = "finishSecret")]
    Finish,
}

/// Follows one rotation by its version id.
#[derive(Debug, Default)]
pub(crate) struct Follow {
    seen_pending: bool,
    seen_value: bool,
    seen_current: bool,
    looks_without_label: u8,
    looks_disabled: u8,
}

impl Look {
    /// What a description says about version `version_id`.
    pub(crate) fn of(
        description: &SecretDescription,
        version_id: &str,
        has_value: Option<bool>,
    ) -> Self {
        Self {
            pending: description.has(version_id, Stage::Pending),
            current: description.has(version_id, Stage::Current),
            enabled: description.rotation_enabled == Some(true),
            has_value,
        }
    }
}

impl Follow {
    /// Takes in one look; returns what is new, in the order in which it happened.
    pub(crate) fn observe(&mut self, look: &Look) -> Vec<Change> {
        let mut changes = Vec::new();
        if (look.pending || look.current) && !self.seen_pending {
            self.seen_pending = true;
            changes.push(Change::Pending);
        }
        if (look.has_value == Some(true) || look.current) && !self.seen_value {
            self.seen_value = true;
            changes.push(Change::Value);
        }
        if look.current && !self.seen_current {
            self.seen_current = true;
            changes.push(Change::Current);
        }
        self.looks_without_label = if look.pending || !self.seen_pending {
            0
        } else {
            self.looks_without_label.saturating_add(1)
        };
        self.looks_disabled = if look.enabled {
            0
        } else {
            self.looks_disabled.saturating_add(1)
        };
        changes
    }

    /// Whether the new version is known to have a value.
    pub(crate) fn has_value(&self) -> bool {
        self.seen_value
    }

    /// Where the rotation stands after the looks so far.
    pub(crate) fn standing(&self) -> Standing {
        if self.seen_current {
            Standing::Done
        } else if self.looks_disabled >= LOOKS_UNTIL_LOST {
            Standing::Stopped(Reason::Cancelled)
        } else if self.looks_without_label >= LOOKS_UNTIL_LOST {
            Standing::Stopped(Reason::LabelRemoved)
        } else {
            Standing::Going
        }
    }
}

impl Change {
    /// The change in words.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Pending => "the new version is pending",
            Self::Value => "it has a value: createSecret is done",
            Self::Current => "it is current: finishSecret is done",
        }
    }
}

impl Reason {
    /// The reason in words.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Timeout => "the time is over",
            Self::Cancelled => "rotation was switched off meanwhile",
            Self::LabelRemoved => "AWSPENDING was taken off the new version",
        }
    }
}

impl Step {
    /// The step that is missing, from what is known of the new version; `None` if that is not enough.
    pub(crate) fn missing(has_value: Option<bool>, database_accepts: Option<bool>) -> Option<Self> {
        match (has_value, database_accepts) {
            (Some(false), _) => Some(Self::Create),
            (Some(true), Some(false)) => Some(Self::Set),
            (Some(true), Some(true)) => Some(Self::Finish),
            _ => None,
        }
    }

    /// The step in words.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Create => "createSecret is not done: the new version has no value",
            Self::Set => {
                "setSecret is not done: the new version has a value, which the database refuses"
            }
            Self::Finish => {
                "finishSecret is not done: the database takes the new password, which is not current yet"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: Look = Look {
        pending: true,
        current: false,
        enabled: true,
        has_value: Some(false),
    };
    const NOTHING: Look = Look {
        pending: false,
        current: false,
        enabled: true,
        has_value: Some(false),
    };

    fn valued() -> Look {
        Look {
            has_value: Some(true),
            ..EMPTY
        }
    }

    fn current() -> Look {
        Look {
            current: true,
            ..valued()
        }
    }

    #[track_caller]
    fn check(looks: &[Look], changes: &[Change], standing: Standing) {
        let mut follow = Follow::default();
        let seen: Vec<_> = looks.iter().flat_map(|look| follow.observe(look)).collect();
        assert_eq!(seen, changes);
        assert_eq!(follow.standing(), standing);
    }

    #[test]
    fn a_rotation_is_followed_to_its_end() {
        use Change::{Current, Pending, Value};
        check(
            &[NOTHING, EMPTY, EMPTY, valued(), current()],
            &[Pending, Value, Current],
            Standing::Done,
        );
        check(&[current()], &[Pending, Value, Current], Standing::Done);
        check(&[EMPTY, valued()], &[Pending, Value], Standing::Going);
    }

    #[test]
    fn a_value_that_may_not_be_read_is_not_claimed() {
        let unknown = Look {
            has_value: None,
            ..EMPTY
        };
        check(&[unknown], &[Change::Pending], Standing::Going);
    }

    #[test]
    fn a_version_not_seen_yet_is_not_lost() {
        check(&[NOTHING, NOTHING, NOTHING, NOTHING], &[], Standing::Going);
    }

    #[test]
    fn a_label_counts_as_removed_after_three_looks_without_it() {
        let pending = [Change::Pending];
        check(&[EMPTY, NOTHING, NOTHING], &pending, Standing::Going);
        check(
            &[EMPTY, NOTHING, NOTHING, EMPTY, NOTHING],
            &pending,
            Standing::Going,
        );
        check(
            &[EMPTY, NOTHING, NOTHING, NOTHING],
            &pending,
            Standing::Stopped(Reason::LabelRemoved),
        );
    }

    #[test]
    fn a_cancelled_rotation_ends_the_wait() {
        let off = Look {
            enabled: false,
            ..EMPTY
        };
        check(
            &[off.clone(), off.clone(), off],
            &[Change::Pending],
            Standing::Stopped(Reason::Cancelled),
        );
    }

    #[test]
    fn the_missing_step_follows_from_value_and_login() {
        assert_eq!(Step::missing(Some(false), None), Some(Step::Create));
        assert_eq!(Step::missing(Some(true), Some(false)), Some(Step::Set));
        assert_eq!(Step::missing(Some(true), Some(true)), Some(Step::Finish));
        assert_eq!(Step::missing(Some(true), None), None);
        assert_eq!(Step::missing(None, None), None);
    }
}
