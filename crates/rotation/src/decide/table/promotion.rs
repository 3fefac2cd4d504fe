//! Fast promotion, and the wait for replicas.

use super::*;

/// What is known in `setSecret` with fast promotion when the password has just been changed.
fn changed_for_promotion() -> Known {
    let mut known = pending_refused().with_fast_promotion(true);
    known.logged_in(Stage::Current, Login::Accepted);
    check("setSecret", &known, &Action::ChangePassword(Stage::Current));
    known.changed(Change::Committed);
    known
}

#[test]
fn fast_promotion_logs_in_and_moves_the_label_within_set() {
    let mut known = changed_for_promotion();
    check("setSecret", &known, &Action::LogIn(Stage::Pending));
    known.logged_in(Stage::Pending, Login::Accepted);
    let from = Some("v1".to_owned());
    check("setSecret", &known, &Action::MoveCurrent { from });
    known.moved(Move::Moved);
    check("setSecret", &known, &Action::Done(Done::SetAndPromoted));
}

/// The invocation before it died between the change and the label.
#[test]
fn fast_promotion_goes_on_where_it_was_cut_off() {
    let mut known = pending_refused().with_fast_promotion(true);
    known.logged_in(Stage::Pending, Login::Accepted);
    let from = Some("v1".to_owned());
    check("setSecret", &known, &Action::MoveCurrent { from });
}

#[test]
fn fast_promotion_has_the_guards_of_finish() {
    let mut refused = changed_for_promotion();
    refused.logged_in(Stage::Pending, Login::Refused);
    check_refused("setSecret", &refused, Refusal::PendingRefused);
    let mut moved = changed_for_promotion();
    moved.logged_in(Stage::Pending, Login::Accepted);
    let mut labels = rotating();
    labels.current_version = Some("v3".to_owned());
    moved.moved(Move::Lost(labels.clone()));
    check("setSecret", &moved, &Action::LogIn(Stage::Pending));
    let mut refused = moved.clone();
    refused.logged_in(Stage::Pending, Login::Refused);
    check_refused("setSecret", &refused, Refusal::CurrentMoved);
    moved.logged_in(Stage::Pending, Login::Accepted);
    let from = Some("v3".to_owned());
    check("setSecret", &moved, &Action::MoveCurrent { from });
    labels.version = Standing::Unlisted;
    moved.moved(Move::Lost(labels));
    check_refused("setSecret", &moved, Refusal::NoStage);
}

fn behind() -> Replicas {
    Replicas {
        behind: vec!["eu-west-1".to_owned()],
        failed: Vec::new(),
    }
}

#[test]
fn f6_replicas_are_waited_for_before_the_password_is_changed() {
    let known = pending_refused().with_replicas(behind());
    check("setSecret", &known, &Action::AwaitReplicas);
    let mut in_sync = known.clone();
    in_sync.waited(rotating(), Replicas::default());
    check("setSecret", &in_sync, &Action::LogIn(Stage::Current));
    let mut late = known.clone();
    late.waited(rotating(), behind());
    let regions = vec!["eu-west-1".to_owned()];
    check_refused("setSecret", &late, Refusal::ReplicasBehind(regions));
    // Waiting takes time, in which the labels may move.
    let mut overtaken = known;
    let mut labels = rotating();
    labels.version = Standing::Unlisted;
    overtaken.waited(labels, Replicas::default());
    check_refused("setSecret", &overtaken, Refusal::NoStage);
}

#[test]
fn f6_a_failed_replica_is_not_waited_for() {
    let failed = Replicas {
        behind: Vec::new(),
        failed: vec!["eu-west-1".to_owned()],
    };
    let known = pending_refused().with_replicas(failed);
    check("setSecret", &known, &Action::LogIn(Stage::Current));
}

/// Behind the change every moment costs clients that read `AWSCURRENT` alone, so the wait ends with the label's move.
#[test]
fn f6_replicas_are_waited_for_before_the_label_and_not_for_ever() {
    let mut known = known().with_replicas(behind());
    known.read(Stage::Pending, plain());
    check("finishSecret", &known, &Action::AwaitReplicas);
    known.waited(rotating(), behind());
    check("finishSecret", &known, &Action::LogIn(Stage::Pending));
    known.logged_in(Stage::Pending, Login::Accepted);
    let from = Some("v1".to_owned());
    check("finishSecret", &known, &Action::MoveCurrent { from });
}

/// The label waits for the operator's statement, whichever step moves it.
#[test]
fn t3_the_operators_statement_is_run_before_the_label_moves() {
    let mut known = changed_for_promotion().with_probe_sql(true);
    known.logged_in(Stage::Pending, Login::Accepted);
    check("setSecret", &known, &Action::RunProbeSql);
    known.probed_by_operator(Probe::Lost);
    check("setSecret", &known, &Action::LogIn(Stage::Pending));
    known.logged_in(Stage::Pending, Login::Accepted);
    known.probed_by_operator(Probe::Answered);
    let from = Some("v1".to_owned());
    check("setSecret", &known, &Action::MoveCurrent { from });

    let mut known = self::known().with_probe_sql(true);
    known.read(Stage::Pending, plain());
    known.logged_in(Stage::Pending, Login::Accepted);
    check("testSecret", &known, &Action::Probe);
    known.probed(Probe::Answered);
    check("testSecret", &known, &Action::RunProbeSql);
    known.probed_by_operator(Probe::Answered);
    check("testSecret", &known, &Action::Done(Done::Tested));
}

#[test]
fn t2_the_label_waits_until_a_reader_accepts_the_password() {
    let from = || Some("v1".to_owned());
    for (step, known) in [
        ("setSecret", changed_for_promotion()),
        ("finishSecret", known()),
    ] {
        let mut known = known.with_reader(true);
        known.read(Stage::Pending, plain());
        // Not before the writer has: what nobody has set, no reader will ever know.
        check(step, &known, &Action::LogIn(Stage::Pending));
        known.logged_in(Stage::Pending, Login::Accepted);
        check(step, &known, &Action::AwaitReader);
        let answered = |answer| {
            let mut known = known.clone();
            known.reader_answered(answer);
            known
        };
        let at_once = answered(ReaderAnswer::AtOnce);
        check(step, &at_once, &Action::MoveCurrent { from: from() });
        let mut late = answered(ReaderAnswer::Late(rotating()));
        check(step, &late, &Action::LogIn(Stage::Pending));
        late.logged_in(Stage::Pending, Login::Accepted);
        check(step, &late, &Action::MoveCurrent { from: from() });
        let never = answered(ReaderAnswer::Never);
        check_refused(step, &never, Refusal::ReaderBehind);
        let mut labels = rotating();
        labels.version = Standing::Unlisted;
        let overtaken = answered(ReaderAnswer::Late(labels));
        check_refused(step, &overtaken, Refusal::NoStage);
    }
}
