//! What makes a pair of two roles, by what is known of them.

use super::survey::{State, items};
use super::*;

fn name(name: &str) -> RoleName {
    RoleName::new(name).unwrap()
}

fn pair(current: &str, pending: &str) -> Pair {
    Pair {
        current: name(current),
        pending: name(pending),
        one_owner: true,
    }
}

fn with(settings: &[&str]) -> State {
    State {
        privileged: false,
        settings: settings.iter().map(ToString::to_string).collect(),
        administered: true,
        inherited: false,
    }
}

/// The clone as a member of the first user, with these settings and this many objects here and elsewhere.
fn complete(settings: &[&str], owned: (i64, i64)) -> Survey {
    Survey {
        version_num: 170_000,
        user: "master".to_owned(),
        roles: vec![
            ("x".to_owned(), with(&[])),
            ("x_clone".to_owned(), with(settings)),
        ],
        memberships: vec![("x_clone".to_owned(), true)],
        owned,
    }
}

#[track_caller]
fn check(survey: &Survey, pair: &Pair, expected: &[&str]) {
    let changes = survey.changes(pair).unwrap();
    let sentences: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(sentences, expected);
}

#[test]
fn a_missing_clone_is_made_and_acts_as_the_first_user() {
    let survey = Survey {
        roles: vec![(
            "x".to_owned(),
            with(&["role=boss", "lock_timeout=5s", "search_path=a, \"B c\""]),
        )],
        ..Survey::default()
    };
    check(
        &survey,
        &pair("x", "x_clone"),
        &[
            r#"create role "x_clone" with login"#,
            r#"make "x_clone" a member of "x""#,
            r#"let "x_clone" act as "x""#,
            r#"set lock_timeout of "x_clone""#,
            r#"set search_path of "x_clone""#,
        ],
    );
}

#[test]
fn who_is_related_already_stays_so_in_both_directions() {
    let survey = complete(&["role=x"], (0, 0));
    check(&survey, &pair("x", "x_clone"), &[]);
    check(&survey, &pair("x_clone", "x"), &[]);
    let survey = complete(&["role=somebody_else"], (3, 0));
    check(&survey, &pair("x", "x_clone"), &[]);
}

#[test]
fn a_clone_of_awss_function_hands_over_what_it_owns() {
    let act = [r#"let "x_clone" act as "x""#];
    let both = [r#"hand over what "x_clone" owns to "x""#, act[0]];
    for names in [("x", "x_clone"), ("x_clone", "x")] {
        let pair = pair(names.0, names.1);
        check(&complete(&[], (0, 0)), &pair, &act);
        check(&complete(&[], (2, 0)), &pair, &both);
        // Out of our reach: the objects would be out of the application's as well.
        check(&complete(&[], (2, 1)), &pair, &[]);
        let two_owners = Pair {
            one_owner: false,
            ..pair
        };
        check(&complete(&[], (2, 0)), &two_owners, &[]);
    }
}

#[test]
fn a_membership_without_the_right_to_act_is_completed() {
    let mut survey = complete(&["role=x"], (0, 0));
    survey.memberships = vec![("x_clone".to_owned(), false)];
    check(
        &survey,
        &pair("x", "x_clone"),
        &[r#"make "x_clone" a member of "x""#],
    );
}

#[test]
fn somebody_elses_role_is_not_taken_for_the_alternate_user() {
    let mut survey = complete(&[], (0, 0));
    survey.memberships.clear();
    let refused = |survey: &Survey, pair: &Pair| matches!(survey.changes(pair), Err(RoleError::NotAPair(role)) if role == pair.pending);
    // `x_clone` in a secret that somebody else could write would give him `x`.
    assert!(refused(&survey, &pair("x_clone", "x")));
    assert!(!refused(&survey, &pair("x", "x_clone")));
    survey.roles[1].1.privileged = true;
    assert!(refused(&survey, &pair("x", "x_clone")));
}

#[test]
fn statements_fit_the_servers_version() {
    let join = PairChange::Join {
        role: name("c"),
        owner: name("o"),
    };
    assert_eq!(
        join.statements(150_018),
        [r#"ALTER ROLE "c" INHERIT"#, r#"GRANT "o" TO "c""#]
    );
    assert_eq!(
        join.statements(160_000),
        [r#"GRANT "o" TO "c" WITH INHERIT TRUE, SET TRUE"#]
    );
    let hand_over = PairChange::HandOver {
        role: name("c"),
        owner: name("o"),
        become_member: true,
    };
    assert_eq!(
        hand_over.statements(170_000),
        [
            r#"GRANT "c" TO CURRENT_USER WITH INHERIT TRUE, SET TRUE"#,
            r#"REASSIGN OWNED BY "c" TO "o""#,
            r#"REVOKE "c" FROM CURRENT_USER"#,
        ]
    );
    let setting = PairChange::CopySetting {
        role: name("c"),
        setting: "search_path".to_owned(),
        values: items(r#""$user", public, "It""s""#),
    };
    assert_eq!(
        setting.statements(170_000),
        [r#"ALTER ROLE "c" SET "search_path" = '$user', 'public', 'It"s'"#]
    );
}
