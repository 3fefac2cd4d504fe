//! Each path through [`decide`], one row of the failure model at a time.

use secrets::{DatabaseSecret, Stage};

use super::*;

mod promotion;

const TOKEN: &str = "v2";

/// The labels in the middle of a rotation of version `v2`.
fn rotating() -> Labels {
    Labels {
        rotation_off: false,
        version: Standing::Pending,
        current_version: Some("v1".to_owned()),
    }
}

fn known() -> Known {
    Known::new(rotating())
}

fn secret(json: &str) -> Value {
    Value::Read(Box::new(
        DatabaseSecret::parse(&json.to_owned().into()).unwrap(),
    ))
}

fn of(username: &str, host: &str, extra: &str) -> Value {
    secret(&format!(
        r#"{{"engine":"postgres","host":"{host}","username":"{username}","password":"x"{extra}}}"#
    ))
}

fn plain() -> Value {
    of("app", "db", "")
}

/// What is known in `setSecret` when current and pending are read and the database refuses the pending password.
fn pending_refused() -> Known {
    let mut known = known();
    known.read(Stage::Current, plain());
    known.read(Stage::Pending, plain());
    known.logged_in(Stage::Pending, Login::Refused);
    known
}

/// As [`pending_refused`], with the current password refused as well and this previous version.
fn all_refused_but(previous: Value) -> Known {
    let mut known = pending_refused();
    known.logged_in(Stage::Current, Login::Refused);
    known.read(Stage::Previous, previous);
    known
}

#[track_caller]
fn check(step: &str, known: &Known, expected: &Action) {
    assert_eq!(&decide(step, known), expected);
}

#[track_caller]
fn check_refused(step: &str, known: &Known, expected: Refusal) {
    check(step, known, &Action::Refuse(expected));
}

#[test]
fn the_preamble_is_checked_in_the_order_of_the_reference() {
    let labels = |change: fn(&mut Labels)| {
        let mut labels = rotating();
        change(&mut labels);
        Known::new(labels)
    };
    let off = labels(|labels| {
        labels.rotation_off = true;
        labels.version = Standing::Unlisted;
    });
    check_refused("nonsense", &off, Refusal::RotationOff);
    let unlisted = labels(|labels| {
        labels.version = Standing::Unlisted;
    });
    check_refused("nonsense", &unlisted, Refusal::NoStage);
    // Whatever the step says: even with a step that does not exist, a version that is current is a success.
    let current = labels(|labels| labels.version = Standing::Current);
    check("nonsense", &current, &Action::Done(Done::AlreadyCurrent));
    let superseded = labels(|labels| labels.version = Standing::Other);
    check_refused("nonsense", &superseded, Refusal::NotPending);
    check_refused(
        "nonsense",
        &known(),
        Refusal::InvalidStep("nonsense".to_owned()),
    );
}

#[test]
fn create_stores_a_version_once() {
    let mut known = known();
    check("createSecret", &known, &Action::Read(Stage::Current));
    known.read(Stage::Current, plain());
    check("createSecret", &known, &Action::Store);
    known.stored(Store::Stored);
    check("createSecret", &known, &Action::Done(Done::Stored));
}

#[test]
fn c2_a_version_that_has_a_value_keeps_it() {
    let mut known = known();
    known.read(Stage::Current, plain());
    known.stored(Store::Taken);
    check("createSecret", &known, &Action::Read(Stage::Pending));
    known.read(Stage::Pending, plain());
    check("createSecret", &known, &Action::Done(Done::AlreadyStored));
}

#[test]
fn c3_c4_the_loser_of_a_race_reads_what_the_winner_stored() {
    let mut known = known();
    known.read(Stage::Current, plain());
    known.stored(Store::Taken);
    check("createSecret", &known, &Action::Read(Stage::Pending));
    // Not visible yet.
    known.read(Stage::Pending, Value::Absent);
    check("createSecret", &known, &Action::Read(Stage::Pending));
    let mut seen = known.clone();
    seen.read(Stage::Pending, plain());
    check("createSecret", &seen, &Action::Done(Done::AlreadyStored));
    // Never visible: the reads are bounded.
    for _ in 0..3 {
        known.read(Stage::Pending, Value::Absent);
    }
    check_refused("createSecret", &known, Refusal::PendingNotVisible);
}

#[test]
fn c6_without_a_current_value_there_is_nothing_to_rotate() {
    for step in ["createSecret", "setSecret"] {
        let mut known = known();
        known.read(Stage::Current, Value::Absent);
        check_refused(step, &known, Refusal::NoCurrentValue);
    }
}

#[test]
fn a_master_in_the_secret_asks_for_a_chosen_strategy() {
    let with_master = || of("app", "db", r#","masterarn":"arn:master""#);
    let mut default = known();
    default.read(Stage::Current, with_master());
    check_refused("createSecret", &default, Refusal::StrategyNotChosen);
    check_refused("setSecret", &default, Refusal::StrategyNotChosen);
    let mut chosen = Known::new(rotating()).with_strategy(Some(RotationStrategy::SingleUser));
    chosen.read(Stage::Current, with_master());
    check("createSecret", &chosen, &Action::Store);
}

#[test]
fn set_changes_the_password_in_the_current_versions_session() {
    let mut known = known();
    check("setSecret", &known, &Action::Read(Stage::Current));
    known.read(Stage::Current, plain());
    check("setSecret", &known, &Action::Read(Stage::Pending));
    known.read(Stage::Pending, plain());
    check("setSecret", &known, &Action::LogIn(Stage::Pending));
    known.logged_in(Stage::Pending, Login::Refused);
    check("setSecret", &known, &Action::LogIn(Stage::Current));
    known.logged_in(Stage::Current, Login::Accepted);
    check("setSecret", &known, &Action::ChangePassword(Stage::Current));
    known.changed(Change::Committed);
    check(
        "setSecret",
        &known,
        &Action::Done(Done::Set {
            username: "app".to_owned(),
        }),
    );
}

#[test]
fn s2_s9_a_password_that_the_database_has_already_is_left_alone() {
    let mut known = pending_refused();
    known.logged_in(Stage::Pending, Login::Accepted);
    check("setSecret", &known, &Action::Done(Done::AlreadySet));
}

#[test]
fn s3_a_login_tells_whether_a_commit_without_an_answer_took_place() {
    let mut known = pending_refused();
    known.logged_in(Stage::Current, Login::Accepted);
    known.changed(Change::Unknown);
    check("setSecret", &known, &Action::LogIn(Stage::Pending));
    let mut took_place = known.clone();
    took_place.logged_in(Stage::Pending, Login::Accepted);
    check(
        "setSecret",
        &took_place,
        &Action::Done(Done::Set {
            username: "app".to_owned(),
        }),
    );
    // It did not: once more, and not for ever.
    known.logged_in(Stage::Pending, Login::Refused);
    check("setSecret", &known, &Action::LogIn(Stage::Current));
    known.changed(Change::Unknown);
    known.changed(Change::Unknown);
    known.logged_in(Stage::Pending, Login::Refused);
    check_refused("setSecret", &known, Refusal::ChangeUnknown);
}

#[test]
fn s5_a_late_call_notices_under_the_lock_that_its_turn_is_over() {
    let mut known = pending_refused();
    known.logged_in(Stage::Current, Login::Accepted);
    let overtaken = |change: fn(&mut Labels)| {
        let mut labels = rotating();
        change(&mut labels);
        let mut known = known.clone();
        known.changed(Change::Overtaken(labels));
        known
    };
    let superseded = overtaken(|labels| labels.version = Standing::Other);
    check_refused("setSecret", &superseded, Refusal::NotPending);
    let finished = overtaken(|labels| labels.version = Standing::Current);
    check("setSecret", &finished, &Action::Done(Done::AlreadyCurrent));
}

#[test]
fn another_user_or_host_is_never_logged_in_to() {
    let mut known = pending_refused();
    known.read(Stage::Current, of("other", "elsewhere", ""));
    check_refused(
        "setSecret",
        &known,
        Refusal::OtherUser {
            pending: "app".to_owned(),
            current: "other".to_owned(),
        },
    );
    known.read(Stage::Current, of("app", "elsewhere", ""));
    check_refused(
        "setSecret",
        &known,
        Refusal::OtherHost {
            pending: "db".to_owned(),
            current: "elsewhere".to_owned(),
        },
    );
}

#[test]
fn c7_an_edit_of_the_current_version_stops_the_change() {
    let mut known = pending_refused();
    known.read(Stage::Current, of("app", "db", r#","dbname":"talks""#));
    check_refused(
        "setSecret",
        &known,
        Refusal::CurrentEdited {
            key: "dbname".to_owned(),
        },
    );
    // Behind the change it is too late to stop: the database has the password.
    known.logged_in(Stage::Pending, Login::Accepted);
    check("setSecret", &known, &Action::Done(Done::AlreadySet));
}

#[test]
fn s12_s13_the_previous_version_is_the_last_candidate() {
    let mut known = pending_refused();
    known.logged_in(Stage::Current, Login::Refused);
    check("setSecret", &known, &Action::Read(Stage::Previous));
    known.read(Stage::Previous, plain());
    check("setSecret", &known, &Action::LogIn(Stage::Previous));
    let mut accepted = known.clone();
    accepted.logged_in(Stage::Previous, Login::Accepted);
    check(
        "setSecret",
        &accepted,
        &Action::ChangePassword(Stage::Previous),
    );
    known.logged_in(Stage::Previous, Login::Refused);
    check("setSecret", &known, &Action::LogIn(Stage::Pending));
    known.logged_in(Stage::Pending, Login::Refused);
    check_refused("setSecret", &known, Refusal::PasswordUnknown(Search::Off));
}

/// Two calls at once: the other one commits between this one's first login and its second.
#[test]
fn s4_a_password_that_was_set_meanwhile_is_found() {
    let mut known = all_refused_but(Value::Absent);
    check("setSecret", &known, &Action::LogIn(Stage::Pending));
    known.logged_in(Stage::Pending, Login::Accepted);
    check("setSecret", &known, &Action::Done(Done::AlreadySet));
}

#[test]
fn s14_a_previous_version_of_another_user_or_host_is_not_tried() {
    for previous in [
        of("other", "db", ""),
        of("app", "elsewhere", ""),
        Value::Absent,
    ] {
        let mut known = all_refused_but(previous);
        known.logged_in(Stage::Pending, Login::Refused);
        check_refused("setSecret", &known, Refusal::PasswordUnknown(Search::Off));
    }
}

#[test]
fn test_logs_in_and_asks_something() {
    let mut known = known();
    check("testSecret", &known, &Action::Read(Stage::Pending));
    known.read(Stage::Pending, plain());
    check("testSecret", &known, &Action::LogIn(Stage::Pending));
    let mut refused = known.clone();
    refused.logged_in(Stage::Pending, Login::Refused);
    check_refused("testSecret", &refused, Refusal::PendingRefused);
    known.logged_in(Stage::Pending, Login::Accepted);
    check("testSecret", &known, &Action::Probe);
    let mut lost = known.clone();
    lost.probed(Probe::Lost);
    check("testSecret", &lost, &Action::LogIn(Stage::Pending));
    known.probed(Probe::Answered);
    check("testSecret", &known, &Action::Done(Done::Tested));
}

#[test]
fn finish_logs_in_right_before_it_moves_the_label() {
    let mut known = known();
    check("finishSecret", &known, &Action::Read(Stage::Pending));
    known.read(Stage::Pending, plain());
    check("finishSecret", &known, &Action::LogIn(Stage::Pending));
    known.logged_in(Stage::Pending, Login::Accepted);
    check(
        "finishSecret",
        &known,
        &Action::MoveCurrent {
            from: Some("v1".to_owned()),
        },
    );
    known.moved(Move::Moved);
    check("finishSecret", &known, &Action::Done(Done::Promoted));
}

#[test]
fn f4_finish_does_not_promote_what_the_database_refuses() {
    let mut known = known();
    known.read(Stage::Pending, plain());
    known.logged_in(Stage::Pending, Login::Refused);
    check_refused("finishSecret", &known, Refusal::PendingRefused);
    let mut empty = self::known();
    empty.read(Stage::Pending, Value::Absent);
    check_refused("finishSecret", &empty, Refusal::NoPendingValue);
}

#[test]
fn f3_a_label_that_others_move_goes_to_what_the_database_accepts() {
    let mut known = known();
    known.read(Stage::Pending, plain());
    known.logged_in(Stage::Pending, Login::Accepted);
    let mut moved_away = rotating();
    moved_away.current_version = Some("v3".to_owned());
    known.moved(Move::Lost(moved_away.clone()));
    check("finishSecret", &known, &Action::LogIn(Stage::Pending));
    let mut refused = known.clone();
    refused.logged_in(Stage::Pending, Login::Refused);
    check_refused("finishSecret", &refused, Refusal::CurrentMoved);
    known.logged_in(Stage::Pending, Login::Accepted);
    check(
        "finishSecret",
        &known,
        &Action::MoveCurrent {
            from: Some("v3".to_owned()),
        },
    );
    known.moved(Move::Lost(moved_away.clone()));
    known.moved(Move::Lost(moved_away));
    known.logged_in(Stage::Pending, Login::Accepted);
    check_refused("finishSecret", &known, Refusal::CurrentMoved);
}

#[test]
fn f2_a_move_whose_answer_was_lost_is_a_success() {
    let mut known = known();
    known.read(Stage::Pending, plain());
    known.logged_in(Stage::Pending, Login::Accepted);
    let mut moved = rotating();
    moved.version = Standing::Current;
    moved.current_version = Some(TOKEN.to_owned());
    known.moved(Move::Lost(moved));
    check("finishSecret", &known, &Action::Done(Done::AlreadyCurrent));
}
