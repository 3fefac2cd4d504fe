//! Each path of the alternating users, and a model of two users' passwords.

use std::collections::BTreeMap;

use proptest::prelude::*;
use secrets::DatabaseSecret;

use super::*;
use crate::decide::{
    Change, Done, Expected, Labels, MasterPlace, MasterValue, Move, Probe, Search, Standing, Store,
    Value, decide,
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

fn with_master(username: &str) -> Value {
    of(username, r#","masterarn":"arn:master""#)
}

/// `setSecret` of `current` and `pending`, whose password the database refuses.
fn pending_refused(current: Value, pending: Value) -> Known {
    let mut known = Known::new(rotating(), true).with_strategy(RotationStrategy::AlternatingUsers);
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
            Known::new(rotating(), true).with_strategy(RotationStrategy::AlternatingUsers);
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

fn expected(host: &str, username: &str) -> Option<Expected> {
    Some(Expected {
        host: host.to_owned(),
        username: username.to_owned(),
    })
}

#[test]
fn s11_the_master_repairs_the_application_that_is_expected_and_no_other() {
    let unknown = |strategy| {
        let pending = match strategy {
            RotationStrategy::SingleUser => "app",
            RotationStrategy::AlternatingUsers => "app_clone",
        };
        let mut known = pending_refused(with_master("app"), with_master(pending));
        known = known.with_strategy(strategy);
        known.logged_in(Stage::Current, Login::Refused);
        known.read(Stage::Previous, Value::Absent);
        known
    };
    let search = Refusal::PasswordUnknown(Search::Off);
    for (strategy, refusal) in [
        (RotationStrategy::SingleUser, search),
        (RotationStrategy::AlternatingUsers, Refusal::CurrentRefused),
    ] {
        for other in [None, expected("db", "other"), expected("elsewhere", "app")] {
            check_refused(&unknown(strategy).with_repair(other), refusal.clone());
        }
        let mut nameless = unknown(strategy).with_repair(expected("db", "app"));
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

        let mut known = unknown(strategy).with_repair(expected("DB", "app"));
        check(&known, &Action::ReadMaster(Stage::Current));
        known.read_master(Stage::Current, MasterValue::Read(MasterPlace::Same));
        known.logged_in_master(Stage::Current, Login::Accepted);
        check(&known, &Action::ChangeAsMaster(Stage::Current));
    }
}

#[test]
fn s16_the_master_sets_what_the_user_may_not() {
    let mut known = pending_refused(with_master("app"), with_master("app"))
        .with_strategy(RotationStrategy::SingleUser);
    known.logged_in(Stage::Current, Login::Accepted);
    check(&known, &Action::ChangePassword(Stage::Current));
    known.changed(Change::Forbidden);
    check_refused(&known, Refusal::ChangeForbidden);
    let known = known.with_repair(expected("db", "app"));
    check(&known, &Action::ReadMaster(Stage::Current));
}

/// Secrets Manager and two roles, as far as one rotation touches them.
#[derive(Debug)]
struct World {
    /// Users and passwords of the versions that have a value.
    versions: BTreeMap<&'static str, (&'static str, u32)>,
    current: &'static str,
    pending: Option<&'static str>,
    /// Passwords of the roles that exist.
    roles: BTreeMap<&'static str, u32>,
    fresh: u32,
}

const NEW: &str = "new";

impl World {
    fn new(username: &'static str, other: Option<u32>) -> Self {
        let mut roles = BTreeMap::from([(username, 1)]);
        roles.extend(other.map(|password| (alternate(username), password)));
        Self {
            versions: BTreeMap::from([("old", (username, 1))]),
            current: "old",
            pending: Some(NEW),
            roles,
            fresh: 10,
        }
    }

    fn labels(&self) -> Labels {
        Labels {
            rotation_off: false,
            version: if self.current == NEW {
                Standing::Current
            } else if self.pending == Some(NEW) {
                Standing::Pending
            } else {
                Standing::Unlisted
            },
            current_version: Some(self.current.to_owned()),
        }
    }

    fn id(&self, stage: Stage) -> Option<&'static str> {
        match stage {
            Stage::Current => Some(self.current),
            Stage::Pending => Some(NEW),
            Stage::Previous => None,
        }
    }

    fn opens(&self, stage: Stage) -> bool {
        let version = self.id(stage).and_then(|id| self.versions.get(id));
        version.is_some_and(|(username, password)| self.roles.get(username) == Some(password))
    }

    /// Runs one invocation, which dies before the effect with this number.
    fn run(
        &mut self,
        step: &str,
        dies_before: usize,
        answer_lost: bool,
    ) -> Option<Result<Done, Refusal>> {
        let mut known =
            Known::new(self.labels(), true).with_strategy(RotationStrategy::AlternatingUsers);
        let mut effects = 0;
        for _ in 0..100 {
            let login = |accepted| {
                if accepted {
                    Login::Accepted
                } else {
                    Login::Refused
                }
            };
            let action = decide(step, &known);
            if matches!(
                action,
                Action::Store | Action::ChangeAsMaster(_) | Action::MoveCurrent { .. }
            ) {
                if effects == dies_before {
                    return None;
                }
                effects += 1;
            }
            match action {
                Action::Read(stage) => {
                    let version = self.id(stage).and_then(|id| self.versions.get(id));
                    let value =
                        version.map_or(Value::Absent, |(username, _)| with_master(username));
                    known.read(stage, value);
                }
                Action::Store => {
                    let (username, _) = self.versions[self.current];
                    self.fresh += 1;
                    self.versions.insert(NEW, (alternate(username), self.fresh));
                    known.stored(Store::Stored);
                }
                Action::LogIn(stage) => known.logged_in(stage, login(self.opens(stage))),
                Action::ReadMaster(stage) => {
                    known.read_master(stage, MasterValue::Read(MasterPlace::Same));
                }
                Action::LogInMaster(stage) => known.logged_in_master(stage, Login::Accepted),
                Action::ChangeAsMaster(_) => {
                    assert!(
                        self.opens(Stage::Current),
                        "the master worked for a stranger"
                    );
                    let (username, password) = self.versions[NEW];
                    self.roles.insert(username, password);
                    known.changed(if answer_lost {
                        Change::Unknown
                    } else {
                        Change::Committed
                    });
                }
                Action::Probe => known.probed(Probe::Answered),
                Action::MoveCurrent { .. } => {
                    self.current = NEW;
                    known.moved(if answer_lost {
                        Move::Lost(self.labels())
                    } else {
                        Move::Moved
                    });
                }
                Action::Done(done) => return Some(Ok(done)),
                Action::Refuse(refusal) => return Some(Err(refusal)),
                other => panic!("{step} does {other:?}"),
            }
            // Nobody ever meets a refused current password: that is what the strategy is for.
            assert!(self.opens(Stage::Current), "{self:?}");
        }
        panic!("{step} does not end: {known:?}");
    }
}

fn alternate(username: &str) -> &'static str {
    if username == "app" {
        "app_clone"
    } else {
        "app"
    }
}

proptest! {
    #[test]
    fn the_current_version_opens_the_database_at_every_moment(
        username in prop::sample::select(vec!["app", "app_clone"]),
        other in prop::option::of(2..4_u32),
        steps in prop::collection::vec(
            (
                prop::sample::select(vec!["createSecret", "setSecret", "testSecret", "finishSecret"]),
                0..3_usize,
                any::<bool>(),
            ),
            0..12,
        ),
    ) {
        let mut world = World::new(username, other);
        for (step, dies_before, answer_lost) in steps {
            world.run(step, dies_before, answer_lost);
        }
        for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
            let answer = world.run(step, 100, false);
            prop_assert!(matches!(answer, Some(Ok(_))), "{step}: {answer:?}");
        }
        prop_assert_eq!(world.current, NEW);
        prop_assert_eq!(world.versions[NEW].0, alternate(username));
        // The old session's user goes on, and its password too.
        prop_assert_eq!(world.roles[username], 1);
    }
}
