//! The search for the password among versions that no label names.
//!
//! A label that was taken off after `setSecret`, or a database that was restored from a snapshot, leaves the database with a
//! password that only such a version holds. The service keeps the value of at least the newest hundred of them (API
//! reference of `PutSecretValue`).

use std::fmt;

use secrets::{DatabaseSecret, Stage, VersionInfo};

use super::{Action, Known, Login, Refusal, Value, is_same_login};

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

/// What is known of the versions without a label.
#[derive(Clone, Debug, Default)]
pub(super) struct Orphans {
    pub(super) logins_allowed: u32,
    pub(super) listing: Option<Listing>,
    seen: Vec<Orphan>,
}

#[derive(Clone, Debug)]
struct Orphan {
    id: String,
    value: Value,
    login: Option<Login>,
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

impl Orphans {
    pub(super) fn read(&mut self, id: &str, value: Value) {
        self.seen.push(Orphan {
            id: id.to_owned(),
            value,
            login: None,
        });
    }

    pub(super) fn logged_in(&mut self, id: &str, login: Login) {
        if let Some(orphan) = self.seen.iter_mut().find(|orphan| orphan.id == id) {
            orphan.login = Some(login);
        }
    }

    pub(super) fn forget_logins(&mut self) {
        for orphan in &mut self.seen {
            orphan.login = None;
        }
    }

    pub(super) fn secret(&self, id: &str) -> Option<&DatabaseSecret> {
        match &self.orphan(id)?.value {
            Value::Read(secret) => Some(secret),
            Value::Unread | Value::Absent => None,
        }
    }

    fn orphan(&self, id: &str) -> Option<&Orphan> {
        self.seen.iter().find(|orphan| orphan.id == id)
    }

    fn logins(&self) -> u32 {
        let tried = self.seen.iter().filter(|orphan| orphan.login.is_some());
        u32::try_from(tried.count()).unwrap_or(u32::MAX)
    }

    /// Whether the database has refused this password already, under another id.
    fn was_refused(&self, secret: &DatabaseSecret) -> bool {
        let refused = self
            .seen
            .iter()
            .filter(|orphan| orphan.login == Some(Login::Refused));
        refused
            .filter_map(|orphan| self.secret(&orphan.id))
            .any(|tried| tried.has_password_of(secret))
    }
}

/// Decides what the search does next. The database has refused the versions that have labels.
pub(super) fn search(known: &Known, pending: &DatabaseSecret) -> Action {
    let orphans = &known.orphans;
    let refuse = |search| Action::Refuse(Refusal::PasswordUnknown(search));
    if orphans.logins_allowed == 0 {
        return refuse(Search::Off);
    }
    let versions = match &orphans.listing {
        None => return Action::List,
        Some(Listing::Denied) => return refuse(Search::Denied),
        Some(Listing::Versions(versions)) => versions,
    };
    let labelled = [&known.current, &known.previous, &known.pending];
    let logins = orphans.logins();
    for id in versions {
        let exhausted = logins >= orphans.logins_allowed;
        let Some(orphan) = orphans.orphan(id) else {
            if exhausted {
                break;
            }
            return Action::ReadVersion(id.clone());
        };
        let Value::Read(secret) = &orphan.value else {
            continue;
        };
        match orphan.login {
            Some(Login::Accepted) => return Action::Recover(id.clone()),
            Some(Login::Refused) => {}
            None => {
                let is_labelled = labelled.iter().any(
                    |value| matches!(value, Value::Read(tried) if tried.has_password_of(secret)),
                );
                // A refused login is an entry in the server's log, and perhaps a step towards a lock.
                let worth_a_login =
                    is_same_login(secret, pending) && !is_labelled && !orphans.was_refused(secret);
                if worth_a_login && !exhausted {
                    return Action::LogInVersion(id.clone());
                }
            }
        }
    }
    refuse(Search::Fruitless {
        logins,
        versions: versions.len(),
    })
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
    use crate::decide::{Change, Labels, Standing, decide};

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
