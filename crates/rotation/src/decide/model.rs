//! [`decide`] against a model of the labels and of the role's password: any order of steps, each cut off anywhere.

use std::collections::BTreeMap;

use proptest::prelude::*;
use secrets::{DatabaseSecret, Stage};

use super::*;

/// More actions than any step takes: whoever needs more goes round in circles.
const MANY: usize = 100;
const TOKEN: &str = "new";

/// Secrets Manager and the database, as far as one rotation of one user touches them.
#[derive(Debug)]
struct World {
    /// Passwords of the versions that have a value.
    passwords: BTreeMap<&'static str, u32>,
    current: &'static str,
    previous: Option<&'static str>,
    pending: Option<&'static str>,
    /// The role's password.
    role: u32,
    /// The next password that nobody had.
    fresh: u32,
}

/// How far a step gets before its invocation dies. What it had done by then stays.
#[derive(Clone, Copy, Debug)]
struct Cut {
    after_effects: usize,
    /// Whether an effect's answer may be lost: the password is changed, and the step learns that it does not know.
    answer_lost: bool,
}

impl World {
    fn new(role: Stage) -> Self {
        let passwords = BTreeMap::from([("old", 1), ("older", 2)]);
        Self {
            role: match role {
                Stage::Previous => 2,
                Stage::Current | Stage::Pending => 1,
            },
            passwords,
            current: "old",
            previous: Some("older"),
            pending: Some(TOKEN),
            fresh: 3,
        }
    }

    fn labels(&self) -> Labels {
        Labels {
            rotation_off: false,
            version: if self.current == TOKEN {
                Standing::Current
            } else if self.pending == Some(TOKEN) {
                Standing::Pending
            } else {
                Standing::Unlisted
            },
            current_version: Some(self.current.to_owned()),
        }
    }

    fn password(&self, stage: Stage) -> Option<u32> {
        let version = match stage {
            Stage::Current => Some(self.current),
            Stage::Pending => Some(TOKEN),
            Stage::Previous => self.previous,
        }?;
        self.passwords.get(version).copied()
    }

    fn value(&self, stage: Stage) -> Value {
        self.password(stage).map_or(Value::Absent, |password| {
            let json = format!(
                r#"{{"engine":"postgres","host":"db","username":"app","password":"{password}"}}"#
            );
            Value::Read(Box::new(DatabaseSecret::parse(&json.into()).unwrap()))
        })
    }

    /// Runs one invocation and returns its answer, or nothing if it was cut off.
    fn run(&mut self, step: &str, cut: Option<Cut>) -> Option<Result<Done, Refusal>> {
        let mut known = Known::new(self.labels(), false);
        let mut effects = 0;
        for _ in 0..MANY {
            if cut.is_some_and(|cut| effects >= cut.after_effects) {
                return None;
            }
            let answer_lost = cut.is_some_and(|cut| cut.answer_lost);
            match decide(step, &known) {
                Action::Read(stage) => known.read(stage, self.value(stage)),
                Action::Store => {
                    effects += 1;
                    self.fresh += 1;
                    self.passwords.insert(TOKEN, self.fresh);
                    known.stored(Store::Stored);
                }
                Action::LogIn(stage) => {
                    let accepted = self.password(stage) == Some(self.role);
                    known.logged_in(
                        stage,
                        if accepted {
                            Login::Accepted
                        } else {
                            Login::Refused
                        },
                    );
                }
                Action::ChangePassword(acting) => {
                    effects += 1;
                    assert_eq!(self.password(acting), Some(self.role), "not logged in");
                    self.role = self.password(Stage::Pending).unwrap();
                    known.changed(if answer_lost {
                        Change::Unknown
                    } else {
                        Change::Committed
                    });
                }
                Action::Probe => known.probed(Probe::Answered),
                Action::MoveCurrent { from } => {
                    effects += 1;
                    assert_eq!(from.as_deref(), Some(self.current));
                    self.previous = Some(self.current);
                    self.current = TOKEN;
                    // The answer may get lost as well; the SDK's own repetition then meets the labels as they are now.
                    known.moved(if answer_lost {
                        Move::Lost(self.labels())
                    } else {
                        Move::Moved
                    });
                }
                Action::Done(done) => return Some(Ok(done)),
                Action::Refuse(refusal) => return Some(Err(refusal)),
            }
            self.check();
        }
        panic!("{step} does not end: {known:?}");
    }

    /// Somebody who reads current, pending and previous can always log in, and the current version alone is enough
    /// from the moment it is the new one.
    fn check(&self) {
        let accepted = |stage| self.password(stage) == Some(self.role);
        assert!(
            accepted(Stage::Current) || accepted(Stage::Pending) || accepted(Stage::Previous),
            "locked out: {self:?}"
        );
        assert!(
            self.current != TOKEN || accepted(Stage::Current),
            "promoted what the database refuses: {self:?}"
        );
    }
}

fn step() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "createSecret",
        "setSecret",
        "testSecret",
        "finishSecret",
        "nonsense",
    ])
}

fn cut() -> impl Strategy<Value = Option<Cut>> {
    prop::option::of(
        (0..3_usize, any::<bool>()).prop_map(|(after_effects, answer_lost)| Cut {
            after_effects,
            answer_lost,
        }),
    )
}

proptest! {
    #[test]
    fn steps_in_any_order_and_cut_off_anywhere_lock_nobody_out(
        at_first in prop::sample::select(vec![Stage::Current, Stage::Previous]),
        steps in prop::collection::vec((step(), cut()), 0..12),
    ) {
        let mut world = World::new(at_first);
        for (step, cut) in steps {
            world.run(step, cut);
        }
        for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
            let answer = world.run(step, None);
            prop_assert!(matches!(answer, Some(Ok(_))), "{step}: {answer:?}");
        }
        prop_assert_eq!(world.current, TOKEN);
        prop_assert_eq!(world.password(Stage::Current), Some(world.role));
    }

    #[test]
    fn a_version_that_was_superseded_changes_nothing(
        steps in prop::collection::vec((step(), cut()), 1..8),
    ) {
        let mut world = World::new(Stage::Current);
        world.run("createSecret", None);
        world.pending = None;
        for (step, cut) in steps {
            let answer = world.run(step, cut);
            prop_assert!(matches!(answer, None | Some(Err(Refusal::NoStage))), "{answer:?}");
        }
        prop_assert_eq!((world.role, world.current), (1, "old"));
    }
}
