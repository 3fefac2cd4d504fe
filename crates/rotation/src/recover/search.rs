//! What of the [`Walk`] over a secret's versions is an operator's own: who is looked for, and what was tried in vain.

use secrets::DatabaseSecret;

use crate::decide::{Next, Search, Walk};

/// What the alternating-users strategy appends to the name of the second user.
const CLONE_SUFFIX: &str = "_clone";

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

/// Decides what comes next: the first version that is a database secret says who logs in, and where.
pub(super) fn next(walk: &Walk) -> Next {
    let expected = walk.first_secret();
    walk.next(|secret| expected.is_some_and(|expected| is_same_application(secret, expected)))
}

impl Fruitless {
    /// What a walk has tried, which came to nothing by `search`.
    pub(super) fn of(walk: &Walk, search: Search) -> Self {
        Self {
            login: walk
                .first_secret()
                .map(|secret| (secret.username.clone(), secret.host.clone())),
            refused: walk.refused(|_| true),
            unlabelled: match search {
                Search::Fruitless { versions, .. } => Some(versions),
                Search::Off | Search::Denied => None,
            },
        }
    }
}

fn is_same_application(secret: &DatabaseSecret, expected: &DatabaseSecret) -> bool {
    expected.host.eq_ignore_ascii_case(&secret.host)
        && base(&expected.username) == base(&secret.username)
}

/// Both logins of an alternating pair have one base.
fn base(username: &str) -> &str {
    username.strip_suffix(CLONE_SUFFIX).unwrap_or(username)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use secrets::Stage;

    use super::*;
    use crate::decide::{Listing, Login, Origin, Value};

    fn labels(versions: &[(&str, &str)]) -> BTreeMap<String, Vec<String>> {
        let versions = versions.iter();
        versions
            .map(|(id, stage)| ((*id).to_owned(), vec![(*stage).to_owned()]))
            .collect()
    }

    /// A secret between `setSecret` and `finishSecret`.
    fn in_the_gap(logins_allowed: u32) -> Walk {
        let labels = labels(&[
            ("v1", "AWSPREVIOUS"),
            ("v2", "AWSCURRENT"),
            ("v3", "AWSPENDING"),
        ]);
        Walk::new(logins_allowed).with_labels(&labels)
    }

    fn of(username: &str, host: &str, password: &str) -> Value {
        let json = format!(
            r#"{{"engine":"postgres","host":"{host}","username":"{username}","password":"{password}"}}"#
        );
        Value::Read(Box::new(DatabaseSecret::parse(&json.into()).unwrap()))
    }

    fn list(walk: &mut Walk, ids: &[&str]) {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        walk.listed(Listing::Versions(ids));
    }

    #[track_caller]
    fn check(walk: &Walk, expected: &Next) {
        assert_eq!(&next(walk), expected);
    }

    #[track_caller]
    fn check_fruitless(walk: &Walk, refused: u32, unlabelled: Option<usize>) {
        let Next::Nothing(search) = next(walk) else {
            panic!("something is left to do: {walk:?}");
        };
        let login = walk.first_secret();
        let expected = Fruitless {
            login: login.map(|_| ("app".to_owned(), "db".to_owned())),
            refused,
            unlabelled,
        };
        assert_eq!(Fruitless::of(walk, search), expected);
    }

    /// Reads the version that comes next, as the user of the secret, and tries it.
    #[track_caller]
    fn refuse(walk: &mut Walk, version_id: &str) {
        check(walk, &Next::Read(version_id.to_owned()));
        walk.read(version_id, of("app", "db", version_id));
        check(walk, &Next::LogIn(version_id.to_owned()));
        walk.logged_in(version_id, Login::Refused);
    }

    #[test]
    fn labels_are_tried_in_the_order_of_a_rotation() {
        let mut walk = in_the_gap(5);
        refuse(&mut walk, "v2");
        refuse(&mut walk, "v3");
        refuse(&mut walk, "v1");
        check(&walk, &Next::List);
    }

    #[test]
    fn an_accepted_version_ends_the_search() {
        let mut walk = in_the_gap(5);
        refuse(&mut walk, "v2");
        walk.read("v3", of("app", "db", "v3"));
        walk.logged_in("v3", Login::Accepted);
        check(&walk, &Next::Accepted("v3".to_owned()));
        assert_eq!(walk.origin("v3"), Some(Origin::Label(Stage::Pending)));
    }

    #[test]
    fn versions_without_a_label_follow_as_many_as_are_allowed() {
        let mut walk = in_the_gap(2);
        for version in ["v2", "v3", "v1"] {
            refuse(&mut walk, version);
        }
        list(&mut walk, &["v3", "v2", "v1", "o9", "o8", "o7"]);
        refuse(&mut walk, "o9");
        refuse(&mut walk, "o8");
        check_fruitless(&walk, 5, Some(3));
    }

    #[test]
    fn without_the_right_to_list_the_labels_are_all() {
        for (logins_allowed, denied) in [(5, true), (0, false)] {
            let mut walk = in_the_gap(logins_allowed);
            for version in ["v2", "v3", "v1"] {
                refuse(&mut walk, version);
            }
            if denied {
                walk.listed(Listing::Denied);
            }
            check_fruitless(&walk, 3, None);
        }
    }

    #[test]
    fn what_cannot_open_the_database_costs_no_login() {
        let mut walk = in_the_gap(5);
        refuse(&mut walk, "v2");
        for (version, value) in [
            ("v3", Value::Absent),
            ("v1", of("app", "elsewhere", "other")),
        ] {
            check(&walk, &Next::Read(version.to_owned()));
            walk.read(version, value);
        }
        list(&mut walk, &["o9", "o8", "o7"]);
        walk.read("o9", of("somebody", "db", "other"));
        // The copy of the current version that a test of the configuration leaves.
        walk.read("o8", of("app", "db", "v2"));
        check(&walk, &Next::Read("o7".to_owned()));
    }

    #[test]
    fn the_other_user_of_an_alternating_pair_is_the_same_application() {
        let mut walk = in_the_gap(5);
        refuse(&mut walk, "v2");
        walk.read("v3", of("app_clone", "DB", "new"));
        check(&walk, &Next::LogIn("v3".to_owned()));
    }

    #[test]
    fn a_current_version_that_is_no_database_secret_does_not_end_the_search() {
        let mut walk = in_the_gap(5);
        walk.read("v2", Value::Absent);
        refuse(&mut walk, "v3");
        walk.read("v1", of("app", "db", "old"));
        check(&walk, &Next::LogIn("v1".to_owned()));
        check_fruitless(&Walk::new(0), 0, None);
    }
}
