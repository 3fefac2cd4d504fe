//! Secrets Manager and the database, as far as rotations of one user touch them, and the invocations that do.

use std::sync::LazyLock;

use secrets::{DatabaseSecret, Stage};

use crate::decide::{
    Action, Change, Done, Known, Labels, Listing, Login, Move, Probe, Refusal, Standing, Store,
    Value, decide, may_run,
};

/// The secrets that have the passwords 0, 1, 2 and so on: reading a document takes longer than all the rest.
static SECRETS: LazyLock<Vec<DatabaseSecret>> = LazyLock::new(|| {
    let secret = |password| {
        let json = format!(
            r#"{{"engine":"postgres","host":"db","username":"app","password":"{password}"}}"#
        );
        DatabaseSecret::parse(&json.into()).unwrap()
    };
    (0..10).map(secret).collect()
});

/// More actions than any step takes: whoever needs more goes round in circles.
const MANY: usize = 200;

/// How a world begins. The versions `old`, `older` and `oldest` are current, previous and without a label.
#[derive(Clone, Copy, Debug)]
pub(super) struct Starting {
    /// The version whose password the role has.
    pub(super) role: &'static str,
    /// Logins that a search may take.
    pub(super) recovery: u32,
    pub(super) fast_promotion: bool,
}

/// The labels, the versions and the role.
#[derive(Clone, Debug)]
pub(super) struct World {
    /// Ids with passwords, oldest first; a version that a rotation has reserved has none yet.
    versions: Vec<(&'static str, Option<u32>)>,
    current: &'static str,
    previous: Option<&'static str>,
    pending: Option<&'static str>,
    /// The role's password.
    role: u32,
    /// The next password that nobody had.
    fresh: u32,
    /// Somebody holds the lock on the role.
    locked: bool,
    recovery: u32,
    fast_promotion: bool,
}

/// How far an invocation gets before it dies. What it had done by then stays.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) after_effects: usize,
    /// Whether an effect's answer is lost: the password is changed, and the step learns that it does not know.
    pub(super) answer_lost: bool,
}

/// How an invocation ended.
#[derive(Debug)]
pub(super) enum Answer {
    Killed,
    Ended(Result<Done, Refusal>),
}

/// One call of the function.
#[derive(Debug)]
pub(super) struct Invocation {
    step: &'static str,
    token: &'static str,
    cut: Option<Cut>,
    known: Option<Known>,
    effects: usize,
    actions: usize,
    /// It has the lock on the role; whether the labels allowed the change when it got the lock.
    lock: Option<bool>,
    /// An operator took the label off between that check and the commit, which is S10 a moment earlier.
    overtaken: bool,
    answer: Option<Answer>,
}

impl World {
    pub(super) fn new(starting: Starting) -> Self {
        let versions = vec![("oldest", Some(1)), ("older", Some(2)), ("old", Some(3))];
        let role = versions.iter().find(|(id, _)| *id == starting.role);
        Self {
            role: role.and_then(|(_, password)| *password).unwrap(),
            versions,
            current: "old",
            previous: Some("older"),
            pending: None,
            fresh: 4,
            locked: false,
            recovery: starting.recovery,
            fast_promotion: starting.fast_promotion,
        }
    }

    /// `RotateSecret`: refused while `AWSPENDING` is on another version that is not current.
    pub(super) fn start(&mut self, token: &'static str) {
        let free = self.pending.is_none() || self.pending == Some(self.current);
        if free && self.versions.iter().all(|(id, _)| *id != token) {
            self.versions.push((token, None));
            self.pending = Some(token);
        }
    }

    /// What an operator does who wants to get rid of a rotation. See the module for when nobody does.
    pub(super) fn remove_pending(&mut self, running: &[Invocation]) {
        let may_put = running.iter().any(|invocation| {
            invocation.is_creating() && self.password(invocation.token).is_none()
        });
        if !may_put {
            self.pending = None;
        }
    }

    /// What the service does when the four steps have succeeded.
    pub(super) fn complete(&mut self) {
        if self.pending == Some(self.current) {
            self.pending = None;
        }
    }

    /// The version of a rotation that the service would go on with.
    pub(super) fn unfinished(&self) -> Option<&'static str> {
        self.pending.filter(|pending| *pending != self.current)
    }

    /// Whether the rotation to this version has succeeded.
    pub(super) fn is_over(&self, token: &'static str) -> bool {
        self.current == token && self.password(token) == Some(self.role)
    }

    /// Whether somebody who reads current and pending can log in.
    pub(super) fn is_open(&self) -> bool {
        [Some(self.current), self.pending]
            .into_iter()
            .flatten()
            .any(|id| self.password(id) == Some(self.role))
    }

    fn labels(&self, token: &'static str) -> Labels {
        Labels {
            rotation_off: false,
            version: if self.current == token {
                Standing::Current
            } else if self.pending == Some(token) {
                Standing::Pending
            } else if self.previous == Some(token) {
                Standing::Other
            } else {
                Standing::Unlisted
            },
            current_version: Some(self.current.to_owned()),
        }
    }

    fn holder(&self, stage: Stage, token: &'static str) -> Option<&'static str> {
        match stage {
            Stage::Current => Some(self.current),
            // By its id and its label.
            Stage::Pending => self.pending.filter(|pending| *pending == token),
            Stage::Previous => self.previous,
        }
    }

    fn password(&self, id: &str) -> Option<u32> {
        self.versions.iter().find(|(known, _)| *known == id)?.1
    }

    fn value(&self, id: Option<&str>) -> Value {
        let password = id.and_then(|id| self.password(id));
        password.map_or(Value::Absent, |password| {
            Value::Read(Box::new(SECRETS[password as usize].clone()))
        })
    }

    fn listing(&self, token: &str) -> Listing {
        let labelled = [Some(self.current), self.pending, self.previous, Some(token)];
        let newest_first = self.versions.iter().rev().map(|(id, _)| *id);
        let free = newest_first.filter(|id| !labelled.contains(&Some(id)));
        Listing::Versions(free.map(str::to_owned).collect())
    }

    /// `PutSecretValue`: a value stays as it is, and a new one takes the label with it.
    fn put(&mut self, token: &'static str) -> Store {
        let version = self.versions.iter_mut().find(|(id, _)| *id == token);
        match version {
            Some((_, Some(_))) => Store::Taken,
            Some((_, password)) => {
                self.fresh += 1;
                *password = Some(self.fresh);
                self.pending = Some(token);
                Store::Stored
            }
            None => unreachable!("a step ran for a version that was never reserved"),
        }
    }

    fn accepts(&self, secret: Option<&DatabaseSecret>) -> Login {
        let role = &SECRETS[self.role as usize];
        if secret.is_some_and(|secret| secret.has_password_of(role)) {
            Login::Accepted
        } else {
            Login::Refused
        }
    }
}

impl Invocation {
    pub(super) fn new(step: &'static str, token: &'static str, cut: Option<Cut>) -> Self {
        Self {
            step,
            token,
            cut,
            known: None,
            effects: 0,
            actions: 0,
            lock: None,
            overtaken: false,
            answer: None,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.answer.is_none()
    }

    /// Whether it has looked at the labels and may put a value for them.
    fn is_creating(&self) -> bool {
        self.step == "createSecret" && self.known.is_some() && self.answer.is_none()
    }

    /// Runs to the end and says how that was.
    pub(super) fn finish(&mut self, world: &mut World) -> Answer {
        while self.is_running() {
            let before = self.actions;
            self.advance(world);
            if self.actions == before {
                // Somebody else has the lock and stands still: the time runs out.
                self.die(world);
            }
        }
        self.answer.take().map_or(Answer::Killed, |answer| {
            self.answer = Some(Answer::Killed);
            answer
        })
    }

    pub(super) fn die(&mut self, world: &mut World) {
        self.unlock(world);
        self.answer = Some(Answer::Killed);
    }

    /// Does the next action. Whoever waits for the lock does none.
    pub(super) fn advance(&mut self, world: &mut World) {
        if !self.is_running() {
            return;
        }
        if self
            .cut
            .is_some_and(|cut| self.effects >= cut.after_effects)
        {
            return self.die(world);
        }
        let Some(mut known) = self.known.take() else {
            let known = Known::new(world.labels(self.token));
            let known = known.with_recovery(world.recovery);
            self.known = Some(known.with_fast_promotion(world.fast_promotion));
            self.actions += 1;
            return;
        };
        let (open, effects) = (world.is_open(), self.effects);
        self.carry_out(decide(self.step, &known), &mut known, world);
        assert!(self.actions < MANY, "{self:?} does not end: {known:?}");
        assert!(
            self.effects == effects || !open || world.is_open() || self.overtaken,
            "locked out by {self:?}: {world:?}"
        );
        self.known = Some(known);
    }

    fn carry_out(&mut self, action: Action, known: &mut Known, world: &mut World) {
        let answer_lost = self.cut.is_some_and(|cut| cut.answer_lost);
        self.actions += 1;
        match action {
            Action::Read(stage) => known.read(stage, world.value(world.holder(stage, self.token))),
            Action::List => known.listed(world.listing(self.token)),
            Action::ReadVersion(id) => known.read_version(&id, world.value(Some(&id))),
            Action::Store => {
                let store = world.put(self.token);
                self.effects += usize::from(store == Store::Stored);
                known.stored(store);
            }
            Action::LogIn(stage) => known.logged_in(stage, world.accepts(known.secret(stage))),
            Action::LogInVersion(id) => {
                known.logged_in_version(&id, world.accepts(known.version(&id)));
            }
            Action::ChangePassword(_) | Action::Recover(_) if self.lock.is_some() => {
                self.effects += 1;
                world.role = world.password(self.token).unwrap();
                let allowed = may_run(&world.labels(self.token)) == Ok(true);
                self.overtaken = self.lock == Some(true) && !allowed;
                self.unlock(world);
                known.changed(if answer_lost {
                    Change::Unknown
                } else {
                    Change::Committed
                });
            }
            Action::ChangePassword(_) | Action::Recover(_) if world.locked => self.actions -= 1,
            Action::ChangePassword(_) | Action::Recover(_) => {
                let labels = world.labels(self.token);
                let allowed = may_run(&labels) == Ok(true);
                if allowed {
                    (self.lock, world.locked) = (Some(allowed), true);
                } else {
                    known.changed(Change::Overtaken(labels));
                }
            }
            Action::AwaitReplicas => unreachable!("there are none"),
            Action::RunProbeSql | Action::AwaitReader => unreachable!("none is set"),
            Action::ReadMaster(_)
            | Action::LogInMaster(_)
            | Action::ChangeAsMaster(_)
            | Action::SetUp(_) => {
                unreachable!("no master is named")
            }
            Action::Probe => known.probed(Probe::Answered),
            Action::MoveCurrent { from } => {
                let allowed = from.as_deref() == Some(world.current);
                if allowed {
                    self.effects += 1;
                    world.previous = Some(world.current);
                    world.current = self.token;
                }
                // The answer may get lost as well; the SDK's own repetition then meets the labels as they are now.
                known.moved(if allowed && !answer_lost {
                    Move::Moved
                } else {
                    Move::Lost(world.labels(self.token))
                });
            }
            Action::Done(done) => self.answer = Some(Answer::Ended(Ok(done))),
            Action::Refuse(refusal) => self.answer = Some(Answer::Ended(Err(refusal))),
        }
    }

    fn unlock(&mut self, world: &mut World) {
        if self.lock.take().is_some() {
            world.locked = false;
        }
    }
}
