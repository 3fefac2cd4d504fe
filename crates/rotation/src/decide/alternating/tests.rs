//! Each path of the alternating users, and of the master.

use secrets::DatabaseSecret;

use super::*;
use crate::decide::{
    Change, Done, Expected, Labels, MasterPlace, MasterValue, Search, Standing, Store, Value,
    decide,
};

const ARN: &str = "arn:master";

fn rotating() -> Labels {
    Labels {
        rotation_off: false,
        version: Standing::Pending,
        current_version: Some("v1".to_owned()),
    }
}

fn of(username: &str, extra: &str) -> Value {
    let json = format!(
        r#"{{"engine":"postgres","host":"db","username":"{username}","password":"x"{extra}}}"#
    );
    Value::Read(Box::new(
        DatabaseSecret::parse_alternating(&json.into()).unwrap(),
    ))
}

pub(super) fn with_master(username: &str) -> Value {
    of(username, r#","masterarn":"arn:master""#)
}

/// `setSecret` of `current` and `pending`, whose password the database refuses.
fn pending_refused(current: Value, pending: Value) -> Known {
    let mut known = Known::new(rotating()).with_strategy(Some(RotationStrategy::AlternatingUsers));
    known.read(Stage::Current, current);
    known.read(Stage::Pending, pending);
    known.logged_in(Stage::Pending, Login::Refused);
    known
}

/// As [`pending_refused`], and the database accepts the current version.
fn current_accepted() -> Known {
    let mut known = pending_refused(with_master("app"), with_master("app_clone"));
    known.logged_in(Stage::Current, Login::Accepted);
    known
}

#[track_caller]
fn check(known: &Known, expected: &Action) {
    assert_eq!(&decide("setSecret", known), expected);
}

#[track_caller]
fn check_refused(known: &Known, expected: Refusal) {
    check(known, &Action::Refuse(expected));
}

#[test]
fn create_needs_a_name_that_is_short_enough() {
    for (username, expected) in [
        ("a".repeat(57), Action::Store),
        ("a".repeat(58), Action::Refuse(Refusal::CloneName)),
        (format!("{}_clone", "a".repeat(57)), Action::Store),
    ] {
        let mut known =
            Known::new(rotating()).with_strategy(Some(RotationStrategy::AlternatingUsers));
        known.read(Stage::Current, with_master(&username));
        known.read(Stage::Pending, Value::Absent);
        assert_eq!(decide("createSecret", &known), expected, "{username}");
        let mut stored = known.clone();
        stored.stored(Store::Taken);
        stored.read(Stage::Pending, with_master(&username));
        assert_eq!(
            decide("createSecret", &stored),
            Action::Done(Done::AlreadyStored)
        );
    }
}

#[test]
fn the_master_sets_the_other_users_password_behind_a_login_with_the_current_one() {
    let mut known = pending_refused(with_master("app"), with_master("app_clone"));
    check(&known, &Action::LogIn(Stage::Current));
    known.logged_in(Stage::Current, Login::Accepted);
    check(&known, &Action::ReadMaster(Stage::Current));
    known.read_master(Stage::Current, MasterValue::Read(MasterPlace::Same));
    check(&known, &Action::LogInMaster(Stage::Current));
    known.logged_in_master(Stage::Current, Login::Accepted);
    check(&known, &Action::ChangeAsMaster(Stage::Current));
    let mut lost = known.clone();
    lost.changed(Change::Unknown);
    check(&lost, &Action::LogIn(Stage::Pending));
    lost.logged_in(Stage::Pending, Login::Refused);
    check(&lost, &Action::LogIn(Stage::Current));
    known.changed(Change::Committed);
    check(
        &known,
        &Action::Done(Done::Set {
            username: "app_clone".to_owned(),
        }),
    );
}

#[test]
fn a_user_that_does_not_take_turns_with_the_current_one_is_refused() {
    for (current, pending) in [
        ("app", "app"),
        ("app", "other_clone"),
        ("app_clone", "app_clone"),
    ] {
        check_refused(
            &pending_refused(with_master(current), with_master(pending)),
            Refusal::OtherThanClone {
                pending: pending.to_owned(),
                current: current.to_owned(),
            },
        );
    }
}

#[test]
fn nobody_gets_the_master_to_work_for_a_user_whose_password_he_does_not_know() {
    let mut known = pending_refused(with_master("app"), with_master("app_clone"));
    known.logged_in(Stage::Current, Login::Refused);
    check_refused(&known, Refusal::CurrentRefused);
}

#[test]
fn a_master_is_needed_and_has_to_be_this_databases() {
    let mut nameless = pending_refused(of("app", ""), of("app_clone", ""));
    nameless.logged_in(Stage::Current, Login::Accepted);
    check_refused(&nameless, Refusal::NoMaster);
    let mut elsewhere = current_accepted();
    elsewhere.read_master(
        Stage::Current,
        MasterValue::Read(MasterPlace::Elsewhere {
            host: "other".to_owned(),
        }),
    );
    check_refused(
        &elsewhere,
        Refusal::OtherMaster {
            current: "db".to_owned(),
            master: "other".to_owned(),
        },
    );
}

#[test]
fn s20_the_masters_pending_version_is_tried_where_its_current_one_is_refused() {
    let refused = Refusal::MasterRefused {
        secret: ARN.to_owned(),
    };
    let mut known = current_accepted();
    known.read_master(Stage::Current, MasterValue::Read(MasterPlace::Same));
    known.logged_in_master(Stage::Current, Login::Refused);
    check(&known, &Action::ReadMaster(Stage::Pending));
    let mut absent = known.clone();
    absent.read_master(Stage::Pending, MasterValue::Absent);
    check_refused(&absent, refused.clone());
    known.read_master(Stage::Pending, MasterValue::Read(MasterPlace::Same));
    check(&known, &Action::LogInMaster(Stage::Pending));
    let mut accepted = known.clone();
    accepted.logged_in_master(Stage::Pending, Login::Accepted);
    check(&accepted, &Action::ChangeAsMaster(Stage::Pending));
    known.logged_in_master(Stage::Pending, Login::Refused);
    check_refused(&known, refused);
}

fn expected(host: &str, username: &str) -> Expected {
    Expected {
        host: host.to_owned(),
        username: username.to_owned(),
        master: None,
    }
}

#[test]
fn s11_the_master_repairs_the_application_that_is_expected_and_no_other() {
    let unknown = |strategy| {
        let pending = match strategy {
            RotationStrategy::SingleUser => "app",
            RotationStrategy::AlternatingUsers => "app_clone",
        };
        let mut known = pending_refused(with_master("app"), with_master(pending));
        known = known.with_strategy(Some(strategy));
        known.logged_in(Stage::Current, Login::Refused);
        known.read(Stage::Previous, Value::Absent);
        known.logged_in(Stage::Pending, Login::Refused);
        known
    };
    let search = Refusal::PasswordUnknown(Search::Off);
    for (strategy, refusal) in [
        (RotationStrategy::SingleUser, search),
        (RotationStrategy::AlternatingUsers, Refusal::CurrentRefused),
    ] {
        let others = [expected("db", "other"), expected("elsewhere", "app")].map(Some);
        for other in [None].into_iter().chain(others) {
            check_refused(
                &unknown(strategy).with_expected(other, false),
                refusal.clone(),
            );
        }
        let mut nameless = unknown(strategy).with_expected(Some(expected("db", "app")), false);
        nameless.read(Stage::Current, of("app", ""));
        nameless.read(
            Stage::Pending,
            of(
                if strategy == RotationStrategy::SingleUser {
                    "app"
                } else {
                    "app_clone"
                },
                "",
            ),
        );
        check_refused(&nameless, refusal);

        let mut known = unknown(strategy).with_expected(Some(expected("DB", "app")), false);
        check(&known, &Action::ReadMaster(Stage::Current));
        known.read_master(Stage::Current, MasterValue::Read(MasterPlace::Same));
        known.logged_in_master(Stage::Current, Login::Accepted);
        check(&known, &Action::ChangeAsMaster(Stage::Current));
    }
}

#[test]
fn the_master_sets_up_a_database_once_and_only_for_the_application_that_is_expected() {
    let bootstrap = || {
        Some(Expected {
            master: Some(ARN.to_owned()),
            ..expected("db", "app")
        })
    };
    let mut known = pending_refused(with_master("app"), with_master("app_clone"));
    known.logged_in(Stage::Current, Login::Refused);
    let mut known = known.with_expected(bootstrap(), false);
    known.read_master(Stage::Current, MasterValue::Read(MasterPlace::Same));
    known.logged_in_master(Stage::Current, Login::Accepted);
    check(&known, &Action::SetUp(Stage::Current));
    known.set_up();
    check(&known, &Action::LogIn(Stage::Current));
    let mut still = known.clone();
    still.logged_in(Stage::Current, Login::Refused);
    check(&still, &Action::ChangeAsMaster(Stage::Current));

    let stranger = |current: Value, other_secret, what| {
        let known = Known::new(rotating()).with_strategy(Some(RotationStrategy::AlternatingUsers));
        let mut known = known.with_expected(bootstrap(), other_secret);
        known.read(Stage::Current, current);
        for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
            assert_eq!(
                decide(step, &known),
                Action::Refuse(Refusal::NotExpected(what))
            );
        }
    };
    stranger(with_master("app"), true, "ARN");
    stranger(Value::Unread, true, "ARN");
    stranger(with_master("other"), false, "username");
    stranger(of("app", ""), false, "masterarn");
    stranger(
        of("app", r#","host":"elsewhere","masterarn":"arn:master""#),
        false,
        "host",
    );
}

#[test]
fn s16_the_master_sets_what_the_user_may_not() {
    let mut known = pending_refused(with_master("app"), with_master("app"))
        .with_strategy(Some(RotationStrategy::SingleUser));
    known.logged_in(Stage::Current, Login::Accepted);
    check(&known, &Action::ChangePassword(Stage::Current));
    known.changed(Change::Forbidden);
    check_refused(&known, Refusal::ChangeForbidden);
    let known = known.with_expected(Some(expected("db", "app")), false);
    check(&known, &Action::ReadMaster(Stage::Current));
}
