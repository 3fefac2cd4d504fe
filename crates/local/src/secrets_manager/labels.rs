//! Staging labels: which version of a secret each of them sits on, and how AWS lets them move.
//!
//! The rules are those of the Secrets Manager API reference (`PutSecretValue`, `UpdateSecretVersionStage`). That a label
//! sits on at most one version holds by construction: the map is from label to version.

use std::collections::BTreeMap;

use crate::aws_json::ApiError;

pub(crate) const CURRENT: &str = "AWSCURRENT";
pub(crate) const PENDING: &str = "AWSPENDING";
pub(crate) const PREVIOUS: &str = "AWSPREVIOUS";

/// The labels of one secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Labels {
    holders: BTreeMap<String, String>,
}

impl Labels {
    /// The version that a label sits on.
    pub(super) fn holder(&self, label: &str) -> Option<&str> {
        self.holders.get(label).map(String::as_str)
    }

    /// The labels of a version; none means deprecated.
    pub(super) fn of(&self, version: &str) -> Vec<String> {
        self.holders
            .iter()
            .filter(|(_, holder)| *holder == version)
            .map(|(label, _)| label.clone())
            .collect()
    }

    /// Puts a label on a version, taking it from any other. `AWSPREVIOUS` goes to the version that `AWSCURRENT` leaves.
    pub(super) fn attach(&mut self, label: &str, version: &str) {
        let left = self.holders.insert(label.to_owned(), version.to_owned());
        if let Some(left) = left.filter(|left| label == CURRENT && left != version) {
            self.holders.insert(PREVIOUS.to_owned(), left);
        }
    }

    /// Takes a label away.
    pub(super) fn detach(&mut self, label: &str) {
        self.holders.remove(label);
    }

    /// `UpdateSecretVersionStage`: moves a label to a version, or only takes it from one. Nothing changes on an error.
    pub(super) fn update(
        &mut self,
        label: &str,
        to: Option<&str>,
        from: Option<&str>,
    ) -> Result<(), ApiError> {
        let holder = self.holder(label);
        match (to, from) {
            (None, None) => Err(ApiError::invalid_parameter(
                "You must specify MoveToVersionId, RemoveFromVersionId or both.",
            )),
            (Some(to), _) if holder == Some(to) => Ok(()),
            (_, Some(from)) if holder != Some(from) => Err(ApiError::invalid_parameter(format!(
                "The staging label {label} isn't attached to version {from} that you specified in RemoveFromVersionId."
            ))),
            (Some(_), None) if holder.is_some() => Err(ApiError::invalid_parameter(format!(
                "The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to version \
                 {}, so you must explicitly reference that version in RemoveFromVersionId.",
                holder.unwrap_or_default()
            ))),
            (None, Some(_)) if label == CURRENT => Err(ApiError::invalid_parameter(
                "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.",
            )),
            (Some(to), _) => {
                self.attach(label, to);
                Ok(())
            }
            (None, Some(_)) => {
                self.detach(label);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(holders: &[(&str, &str)]) -> Labels {
        let holders = holders
            .iter()
            .map(|(label, version)| ((*label).to_owned(), (*version).to_owned()))
            .collect();
        Labels { holders }
    }

    #[track_caller]
    fn check(
        label: &str,
        to: Option<&str>,
        from: Option<&str>,
        expected: Result<&[(&str, &str)], &str>,
    ) {
        let before = labels(&[(CURRENT, "b"), (PENDING, "c"), (PREVIOUS, "a")]);
        let mut after = before.clone();
        match (after.update(label, to, from), expected) {
            (Ok(()), Ok(expected)) => assert_eq!(after, labels(expected)),
            (Err(refused), Err(sentence)) => {
                assert_eq!(refused.code, "InvalidParameterException");
                assert!(refused.message.contains(sentence), "{refused}");
                assert_eq!(after, before, "a refused move changes nothing");
            }
            (got, _) => panic!("{got:?}, but expected {expected:?}"),
        }
    }

    #[test]
    fn current_moves_and_previous_follows_it() {
        check(
            CURRENT,
            Some("c"),
            Some("b"),
            Ok(&[(CURRENT, "c"), (PENDING, "c"), (PREVIOUS, "b")]),
        );
        check(
            CURRENT,
            Some("a"),
            Some("b"),
            Ok(&[(CURRENT, "a"), (PENDING, "c"), (PREVIOUS, "b")]),
        );
    }

    #[test]
    fn moving_a_held_label_must_name_its_holder() {
        check(
            CURRENT,
            Some("c"),
            None,
            Err("RemoveFromVersionId can't be empty"),
        );
        check(
            CURRENT,
            Some("c"),
            Some("a"),
            Err("isn't attached to version a"),
        );
        check(
            PENDING,
            Some("b"),
            None,
            Err("RemoveFromVersionId can't be empty"),
        );
    }

    #[test]
    fn current_cannot_be_removed_only_and_others_can() {
        check(CURRENT, None, Some("b"), Err("can't be completely removed"));
        check(
            PENDING,
            None,
            Some("c"),
            Ok(&[(CURRENT, "b"), (PREVIOUS, "a")]),
        );
        check(PENDING, None, Some("b"), Err("isn't attached to version b"));
        check(PENDING, None, None, Err("You must specify"));
    }

    #[test]
    fn a_move_to_where_the_label_is_changes_nothing() {
        check(
            CURRENT,
            Some("b"),
            None,
            Ok(&[(CURRENT, "b"), (PENDING, "c"), (PREVIOUS, "a")]),
        );
        check(
            CURRENT,
            Some("b"),
            Some("b"),
            Ok(&[(CURRENT, "b"), (PENDING, "c"), (PREVIOUS, "a")]),
        );
    }

    #[test]
    fn a_free_or_new_label_needs_no_holder() {
        check(
            "MINE",
            Some("a"),
            None,
            Ok(&[
                (CURRENT, "b"),
                (PENDING, "c"),
                (PREVIOUS, "a"),
                ("MINE", "a"),
            ]),
        );
        check(
            "MINE",
            Some("a"),
            Some("b"),
            Err("isn't attached to version b"),
        );
    }

    #[test]
    fn the_first_current_leaves_no_previous() {
        let mut first = Labels::default();
        first.attach(CURRENT, "a");
        assert_eq!(first, labels(&[(CURRENT, "a")]));
        first.attach(CURRENT, "a");
        assert_eq!(
            first,
            labels(&[(CURRENT, "a")]),
            "attaching it again is no move"
        );
    }
}
