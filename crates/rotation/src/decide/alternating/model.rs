//! The alternating users against a model of two roles' passwords: any order of steps, each cut off anywhere.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::tests::with_master;
use super::*;
use crate::decide::{
    Change, Done, Labels, MasterPlace, MasterValue, Move, Probe, Standing, Store, Value, decide,
};

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
            Known::new(self.labels()).with_strategy(Some(RotationStrategy::AlternatingUsers));
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
