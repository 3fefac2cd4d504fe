//! Which version the database accepts: the search, without the calls.
//!
//! The labels come first, in the order in which a rotation leaves them behind: `AWSCURRENT`, `AWSPENDING`, `AWSPREVIOUS`.
//! Then the versions without a label, newest first, as many as are allowed: each login that is refused is an entry in the
//! server's log, and perhaps a step towards a lock.

use std::collections::BTreeMap;
use std::fmt;

use secrets::{DatabaseSecret, Stage, VersionInfo};

use crate::decide::{Login, Value};

/// What the alternating-users strategy appends to the name of the second user.
const CLONE_SUFFIX: &str = "_clone";

/// The search for the version that the database accepts. The methods add an action's outcome.
#[derive(Clone, Debug)]
pub struct Search {
    tries: Vec<Try>,
    unlabelled: Option<Listed>,
    logins_allowed: u32,
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Read the version with this id.
    Read(String),
    /// Log in with the version that has this id.
    LogIn(String),
    /// List the versions that have no label.
    List,
    /// The database accepts the version with this id.
    Accepted(String),
    /// It accepts none that may be tried.
    Nothing(Fruitless),
}

/// Where a version was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// By a label.
    Label(Stage),
    /// Among those without a label.
    Unlabelled,
}

/// What was tried in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fruitless {
    /// The user and the host of the versions that were tried; nothing if none is a database secret.
    pub login: Option<(String, String)>,
    /// Refused logins.
    pub refused: u32,
    /// How many versions have no label; nothing if they may not be listed.
    pub unlabelled: Option<usize>,
}

#[derive(Clone, Debug)]
struct Try {
    version_id: String,
    origin: Origin,
    value: Value,
    login: Option<Login>,
}

#[derive(Clone, Copy, Debug)]
enum Listed {
    Found(usize),
    Denied,
}

impl Search {
    /// Starts with the labels of a secret. `logins_allowed` is for versions without a label.
    pub fn new(labels: &BTreeMap<String, Vec<String>>, logins_allowed: u32) -> Self {
        let mut search = Self {
            tries: Vec::new(),
            unlabelled: None,
            logins_allowed,
        };
        for stage in [Stage::Current, Stage::Pending, Stage::Previous] {
            let has = |stages: &[String]| stages.iter().any(|label| label == stage.as_str());
            let version = labels.iter().find(|(_, stages)| has(stages));
            if let Some((version_id, _)) = version {
                search.add(version_id, Origin::Label(stage));
            }
        }
        search
    }

    /// Decides what comes next.
    pub fn next(&self) -> Next {
        for one in &self.tries {
            let Value::Read(secret) = &one.value else {
                if matches!(one.value, Value::Unread) && self.may_try(one.origin) {
                    return Next::Read(one.version_id.clone());
                }
                continue;
            };
            match one.login {
                Some(Login::Accepted) => return Next::Accepted(one.version_id.clone()),
                None if self.may_try(one.origin) && self.is_worth_a_login(secret) => {
                    return Next::LogIn(one.version_id.clone());
                }
                Some(Login::Refused) | None => {}
            }
        }
        if self.unlabelled.is_none() && self.logins_allowed > 0 {
            return Next::List;
        }
        Next::Nothing(Fruitless {
            login: self
                .expected()
                .map(|secret| (secret.username.clone(), secret.host.clone())),
            refused: self.refused(|_| true),
            unlabelled: match self.unlabelled {
                Some(Listed::Found(number)) => Some(number),
                Some(Listed::Denied) | None => None,
            },
        })
    }

    /// Adds what reading a version brought.
    pub fn read(&mut self, version_id: &str, value: Value) {
        if let Some(one) = self.find_mut(version_id) {
            one.value = value;
        }
    }

    /// Adds what a login brought.
    pub fn logged_in(&mut self, version_id: &str, login: Login) {
        if let Some(one) = self.find_mut(version_id) {
            one.login = Some(login);
        }
    }

    /// Adds all versions of the secret, newest first; `None` if they may not be listed.
    pub fn listed(&mut self, versions: Option<&[VersionInfo]>) {
        let Some(versions) = versions else {
            self.unlabelled = Some(Listed::Denied);
            return;
        };
        let before = self.tries.len();
        for version in versions {
            self.add(&version.version_id, Origin::Unlabelled);
        }
        self.unlabelled = Some(Listed::Found(self.tries.len() - before));
    }

    /// What was read of a version.
    pub fn secret(&self, version_id: &str) -> Option<&DatabaseSecret> {
        match &self.find(version_id)?.value {
            Value::Read(secret) => Some(secret),
            Value::Unread | Value::Absent => None,
        }
    }

    /// Where a version was found.
    pub fn origin(&self, version_id: &str) -> Option<Origin> {
        self.find(version_id).map(|one| one.origin)
    }

    /// A version is tried once, where it comes first.
    fn add(&mut self, version_id: &str, origin: Origin) {
        if self.find(version_id).is_none() {
            self.tries.push(Try {
                version_id: version_id.to_owned(),
                origin,
                value: Value::Unread,
                login: None,
            });
        }
    }

    fn may_try(&self, origin: Origin) -> bool {
        let unlabelled = |origin| origin == Origin::Unlabelled;
        !unlabelled(origin) || self.refused(unlabelled) < self.logins_allowed
    }

    /// Whether a login as the expected user, with a password that was not refused yet, would be tried.
    fn is_worth_a_login(&self, secret: &DatabaseSecret) -> bool {
        let is_expected = self.expected().is_some_and(|expected| {
            expected.host.eq_ignore_ascii_case(&secret.host)
                && base(&expected.username) == base(&secret.username)
        });
        let mut refused = self
            .tries
            .iter()
            .filter(|one| one.login == Some(Login::Refused))
            .filter_map(|one| self.secret(&one.version_id));
        is_expected && !refused.any(|tried| tried.has_password_of(secret))
    }

    /// The first version that is a database secret says who logs in, and where: `AWSCURRENT`, if it is one.
    fn expected(&self) -> Option<&DatabaseSecret> {
        self.tries
            .iter()
            .find_map(|one| self.secret(&one.version_id))
    }

    fn refused(&self, counts: impl Fn(Origin) -> bool) -> u32 {
        let refused = self
            .tries
            .iter()
            .filter(|one| counts(one.origin) && one.login == Some(Login::Refused));
        u32::try_from(refused.count()).unwrap_or(u32::MAX)
    }

    fn find(&self, version_id: &str) -> Option<&Try> {
        self.tries.iter().find(|one| one.version_id == version_id)
    }

    fn find_mut(&mut self, version_id: &str) -> Option<&mut Try> {
        let mut tries = self.tries.iter_mut();
        tries.find(|one| one.version_id == version_id)
    }
}

/// Both logins of an alternating pair have one base.
fn base(username: &str) -> &str {
    username.strip_suffix(CLONE_SUFFIX).unwrap_or(username)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(stage) => stage.fmt(f),
            Self::Unlabelled => f.write_str("without a label"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(versions: &[(&str, &str)]) -> BTreeMap<String, Vec<String>> {
        let versions = versions.iter();
        versions
            .map(|(id, stage)| ((*id).to_owned(), vec![(*stage).to_owned()]))
            .collect()
    }

    /// A secret between `setSecret` and `finishSecret`.
    fn in_the_gap(logins_allowed: u32) -> Search {
        let labels = labels(&[
            ("v1", "AWSPREVIOUS"),
            ("v2", "AWSCURRENT"),
            ("v3", "AWSPENDING"),
        ]);
        Search::new(&labels, logins_allowed)
    }

    fn of(username: &str, host: &str, password: &str) -> Value {
        let json = format!(
            r#"{{"engine":"postgres","host":"{host}","username":"{username}","password":"{password}"}}"#
        );
        Value::Read(Box::new(DatabaseSecret::parse(&json.into()).unwrap()))
    }

    fn list(search: &mut Search, ids: &[&str]) {
        let version = |id: &&str| {
            let mut version = VersionInfo::default();
            version.version_id = (*id).to_owned();
            version
        };
        let versions: Vec<_> = ids.iter().map(version).collect();
        search.listed(Some(&versions));
    }

    #[track_caller]
    fn check(search: &Search, expected: &Next) {
        assert_eq!(&search.next(), expected);
    }

    /// Reads the version that comes next, as the user of the secret, and tries it.
    #[track_caller]
    fn refuse(search: &mut Search, version_id: &str) {
        check(search, &Next::Read(version_id.to_owned()));
        search.read(version_id, of("app", "db", version_id));
        check(search, &Next::LogIn(version_id.to_owned()));
        search.logged_in(version_id, Login::Refused);
    }

    #[test]
    fn labels_are_tried_in_the_order_of_a_rotation() {
        let mut search = in_the_gap(5);
        refuse(&mut search, "v2");
        refuse(&mut search, "v3");
        refuse(&mut search, "v1");
        check(&search, &Next::List);
    }

    #[test]
    fn an_accepted_version_ends_the_search() {
        let mut search = in_the_gap(5);
        refuse(&mut search, "v2");
        search.read("v3", of("app", "db", "v3"));
        search.logged_in("v3", Login::Accepted);
        check(&search, &Next::Accepted("v3".to_owned()));
        assert_eq!(search.origin("v3"), Some(Origin::Label(Stage::Pending)));
    }

    #[test]
    fn versions_without_a_label_follow_as_many_as_are_allowed() {
        let mut search = in_the_gap(2);
        for version in ["v2", "v3", "v1"] {
            refuse(&mut search, version);
        }
        list(&mut search, &["v3", "v2", "v1", "o9", "o8", "o7"]);
        refuse(&mut search, "o9");
        refuse(&mut search, "o8");
        let fruitless = Fruitless {
            login: Some(("app".to_owned(), "db".to_owned())),
            refused: 5,
            unlabelled: Some(3),
        };
        check(&search, &Next::Nothing(fruitless));
    }

    #[test]
    fn without_the_right_to_list_the_labels_are_all() {
        for (logins_allowed, denied) in [(5, true), (0, false)] {
            let mut search = in_the_gap(logins_allowed);
            for version in ["v2", "v3", "v1"] {
                refuse(&mut search, version);
            }
            if denied {
                search.listed(None);
            }
            let fruitless = Fruitless {
                login: Some(("app".to_owned(), "db".to_owned())),
                refused: 3,
                unlabelled: None,
            };
            check(&search, &Next::Nothing(fruitless));
        }
    }

    #[test]
    fn what_cannot_open_the_database_costs_no_login() {
        let mut search = in_the_gap(5);
        refuse(&mut search, "v2");
        for (version, value) in [
            ("v3", Value::Absent),
            ("v1", of("app", "elsewhere", "other")),
        ] {
            check(&search, &Next::Read(version.to_owned()));
            search.read(version, value);
        }
        list(&mut search, &["o9", "o8", "o7"]);
        search.read("o9", of("somebody", "db", "other"));
        // The copy of the current version that a test of the configuration leaves.
        search.read("o8", of("app", "db", "v2"));
        check(&search, &Next::Read("o7".to_owned()));
    }

    #[test]
    fn the_other_user_of_an_alternating_pair_is_the_same_application() {
        let mut search = in_the_gap(5);
        refuse(&mut search, "v2");
        search.read("v3", of("app_clone", "DB", "new"));
        check(&search, &Next::LogIn("v3".to_owned()));
    }

    #[test]
    fn a_current_version_that_is_no_database_secret_does_not_end_the_search() {
        let mut search = in_the_gap(5);
        search.read("v2", Value::Absent);
        refuse(&mut search, "v3");
        search.read("v1", of("app", "db", "old"));
        check(&search, &Next::LogIn("v1".to_owned()));
        let mut nothing = Search::new(&BTreeMap::new(), 0);
        check(
            &nothing,
            &Next::Nothing(Fruitless {
                login: None,
                refused: 0,
                unlabelled: None,
            }),
        );
        nothing.listed(None);
    }
}
