//! The search for the password among versions that no label names.
//!
//! A label that was taken off after `setSecret`, or a database that was restored from a snapshot, leaves the database with a
//! password that only such a version holds. The service keeps the value of at least the newest hundred of them (API
//! reference of `PutSecretValue`).

use std::fmt;

use secrets::{DatabaseSecret, Stage, VersionInfo};

use super::walk::Next;
use super::{Action, Known, Refusal, Value, is_same_login};

/// What listing the versions brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// The ids of those that may be searched, newest first.
    Versions(Vec<String>),
    /// The function's role may not list them.
    Denied,
}

/// How far the search went before it was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// It is switched off.
    Off,
    /// The function's role may not list the versions.
    Denied,
    /// Every version that may be tried was refused, or as many as are allowed.
    Fruitless {
        /// Logins that were tried.
        logins: u32,
        /// Versions without a label that there are.
        versions: usize,
    },
}

impl Listing {
    /// Those of a secret's versions, newest first, that neither one of AWS's labels names nor the event.
    ///
    /// What AWS's labels name was tried before, or is not to be tried; a label of somebody's own does not matter.
    pub fn of(versions: &[VersionInfo], version_id: &str) -> Self {
        let labels = [Stage::Current, Stage::Pending, Stage::Previous].map(Stage::as_str);
        let free = versions.iter().filter(|version| {
            let mut stages = version.stages.iter();
            version.version_id != version_id && !stages.any(|stage| labels.contains(&&**stage))
        });
        Self::Versions(free.map(|version| version.version_id.clone()).collect())
    }
}

/// Decides what the search does next. The database has refused the versions that have labels.
pub(super) fn search(known: &Known, pending: &DatabaseSecret) -> Action {
    let labelled = [&known.current, &known.previous, &known.pending];
    let next = known.orphans.next(|secret| {
        let is_labelled = labelled
            .iter()
            .any(|value| matches!(value, Value::Read(tried) if tried.has_password_of(secret)));
        is_same_login(secret, pending) && !is_labelled
    });
    match next {
        Next::List => Action::List,
        Next::Read(id) => Action::ReadVersion(id),
        Next::LogIn(id) => Action::LogInVersion(id),
        Next::Accepted(id) => Action::Recover(id),
        Next::Nothing(search) => Action::Refuse(Refusal::PasswordUnknown(search)),
    }
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str(
                "versions without a label were not tried, because `RECOVERY_VERSIONS` is 0",
            ),
            Self::Denied => f.write_str(
                "versions without a label were not tried, because the function's role may not call ListSecretVersionIds",
            ),
            Self::Fruitless { logins, versions } => write!(
                f,
                "versions without a label, of which tried for this user and host and refused: {versions}, {logins}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{Change, Labels, Login, Standing, decide};

    fn of(username: &str, host: &str, password: &str) -> Value {
        let json = format!(
            r#"{{"engine":"postgres","host":"{host}","username":"{username}","password":"{password}"}}"#
        );
        Value::Read(Box::new(DatabaseSecret::parse(&json.into()).unwrap()))
    }

    /// What is known in `setSecret` when the database refuses every version that has a label.
    fn labelled_refused(logins_allowed: u32) -> Known {
        let labels = Labels {
            rotation_off: false,
            version: Standing::Pending,
            current_version: Some("v1".to_owned()),
        };
        let mut known = Known::new(labels).with_recovery(logins_allowed);
        for (stage, password) in [
            (Stage::Current, "c"),
            (Stage::Pending, "p"),
            (Stage::Previous, "o"),
        ] {
            known.read(stage, of("app", "db", password));
            known.logged_in(stage, Login::Refused);
        }
        // Once more, after all others.
        known.logged_in(Stage::Pending, Login::Refused);
        known
    }

    fn listed(logins_allowed: u32, ids: &[&str]) -> Known {
        let mut known = labelled_refused(logins_allowed);
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        known.listed(Listing::Versions(ids));
        known
    }

    #[track_caller]
    fn check(known: &Known, expected: &Action) {
        assert_eq!(&decide("setSecret", known), expected);
    }

    #[track_caller]
    fn check_unknown(known: &Known, search: Search) {
        check(known, &Action::Refuse(Refusal::PasswordUnknown(search)));
    }

    #[test]
    fn s10_s13_a_version_without_a_label_opens_the_database() {
        check(&labelled_refused(5), &Action::List);
        let mut known = listed(5, &["v9", "v8"]);
        check(&known, &Action::ReadVersion("v9".to_owned()));
        known.read_version("v9", of("app", "db", "9"));
        check(&known, &Action::LogInVersion("v9".to_owned()));
        known.logged_in_version("v9", Login::Refused);
        check(&known, &Action::ReadVersion("v8".to_owned()));
        known.read_version("v8", of("app", "db", "8"));
        known.logged_in_version("v8", Login::Accepted);
        check(&known, &Action::Recover("v8".to_owned()));
        let mut unknown = known.clone();
        unknown.changed(Change::Unknown);
        check(&unknown, &Action::LogIn(Stage::Pending));
        known.changed(Change::Committed);
        assert!(matches!(decide("setSecret", &known), Action::Done(_)));
    }

    #[test]
    fn the_search_is_off_denied_or_bounded() {
        check_unknown(&labelled_refused(0), Search::Off);
        let mut denied = labelled_refused(5);
        denied.listed(Listing::Denied);
        check_unknown(&denied, Search::Denied);
        let none = Search::Fruitless {
            logins: 0,
            versions: 0,
        };
        check_unknown(&listed(5, &[]), none);
        let mut bounded = listed(1, &["v9", "v8"]);
        bounded.read_version("v9", of("app", "db", "9"));
        bounded.logged_in_version("v9", Login::Refused);
        let one = Search::Fruitless {
            logins: 1,
            versions: 2,
        };
        check_unknown(&bounded, one);
    }

    #[test]
    fn what_cannot_open_the_database_costs_no_login() {
        let mut known = listed(1, &["a", "b", "c", "d", "e"]);
        known.read_version("a", of("other", "db", "9"));
        known.read_version("b", of("app", "elsewhere", "9"));
        known.read_version("c", Value::Absent);
        // The copy of the current version that a test of the configuration leaves.
        known.read_version("d", of("app", "db", "c"));
        check(&known, &Action::ReadVersion("e".to_owned()));
        known.read_version("e", of("app", "db", "9"));
        check(&known, &Action::LogInVersion("e".to_owned()));
    }

    #[test]
    fn one_password_is_tried_once() {
        let mut known = listed(5, &["a", "b"]);
        known.read_version("a", of("app", "db", "9"));
        known.logged_in_version("a", Login::Refused);
        known.read_version("b", of("app", "db", "9"));
        let one = Search::Fruitless {
            logins: 1,
            versions: 2,
        };
        check_unknown(&known, one);
    }
}
