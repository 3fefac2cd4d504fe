//! What is known of one invocation's labels, versions and logins.

use secrets::{DatabaseSecret, SecretDescription, Stage};

use super::Action;
use super::alternating::RotationStrategy;
use super::master::{Expected, Master, MasterValue};
use super::orphan::Listing;
use super::reader::{Reader, ReaderAnswer};
use super::replicas::Replicas;
use super::walk::Walk;

/// What an invocation has learnt so far. The methods add an action's outcome.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that have nothing to do with each other"
)]
pub struct Known {
    pub(super) labels: Labels,
    /// The one that somebody has chosen.
    pub(super) strategy: Option<RotationStrategy>,
    pub(super) expected: Option<Expected>,
    /// The event is about another secret than the one that is configured.
    pub(super) other_secret: bool,
    pub(super) current: Value,
    pub(super) pending: Value,
    pub(super) previous: Value,
    pub(super) reads: u32,
    pub(super) store: Option<Store>,
    pub(super) logins: Logins,
    /// The pending version was refused, and tried once more after all others.
    pub(super) pending_tried_again: bool,
    /// The versions without a label.
    pub(super) orphans: Walk,
    pub(super) master: Master,
    pub(super) change_forbidden: bool,
    pub(super) changes_unknown: u32,
    pub(super) moves_lost: u32,
    pub(super) fast_promotion: bool,
    /// The operator's statement is still to be run.
    pub(super) probe_due: bool,
    pub(super) reader: Reader,
    pub(super) replicas: Replicas,
    /// They were waited for, as long as there was time.
    pub(super) replicas_awaited: bool,
    pub(super) reached: Reached,
}

/// The secret's labels, seen from the version that is being made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// The secret says that its rotation is off.
    pub rotation_off: bool,
    /// The version that is being made.
    pub version: Standing,
    /// The version that has `AWSCURRENT`.
    pub current_version: Option<String>,
}

/// What a version's labels make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has no label, or does not exist.
    Unlisted,
    /// It has `AWSCURRENT`, whatever else.
    Current,
    /// It has `AWSPENDING`.
    Pending,
    /// It has other labels only: `AWSPREVIOUS`, or somebody's own.
    Other,
}

/// What a read brought.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// It was not read.
    #[default]
    Unread,
    /// There is no such version, or it has no value.
    Absent,
    /// There is a database secret.
    Read(Box<DatabaseSecret>),
}

/// What a login brought. Any other failure than a refusal ends the step before it gets here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// The database takes this password.
    Accepted,
    /// SQLSTATE 28P01 or 28000: it does not.
    Refused,
}

/// What storing a new version brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// The version has the value.
    Stored,
    /// The version has another value already.
    Taken,
}

/// What asking the server something brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It answered.
    Answered,
    /// The connection broke, or what failed may pass: a new session has to try again.
    Lost,
}

/// What changing the password brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is changed.
    Committed,
    /// Nobody knows, because the connection broke before the answer or the acting version is refused by now: a login has
    /// to tell.
    Unknown,
    /// It is not changed, because under the lock on the role the labels were these, which forbid it.
    Overtaken(Labels),
    /// It is not changed, because the server does not let the user change its own password (42501).
    Forbidden,
}

/// What moving `AWSCURRENT` brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// It is moved.
    Moved,
    /// Somebody else had moved it before; these are the labels now.
    Lost(Labels),
}

/// What an invocation has achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    Nothing,
    /// The password is changed.
    Change,
    /// The server was asked, or the label moved.
    End,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Logins {
    pub(super) current: Option<Login>,
    pub(super) pending: Option<Login>,
    pub(super) previous: Option<Login>,
}

impl Known {
    /// Starts with the labels.
    pub fn new(labels: Labels) -> Self {
        Self {
            labels,
            strategy: None,
            expected: None,
            other_secret: false,
            current: Value::Unread,
            pending: Value::Unread,
            previous: Value::Unread,
            reads: 0,
            store: None,
            logins: Logins::default(),
            pending_tried_again: false,
            orphans: Walk::default(),
            master: Master::default(),
            change_forbidden: false,
            changes_unknown: 0,
            moves_lost: 0,
            fast_promotion: false,
            probe_due: false,
            reader: Reader::default(),
            replicas: Replicas::default(),
            replicas_awaited: false,
            reached: Reached::Nothing,
        }
    }

    /// Lets the search among versions without a label take this many logins; without it there is no search.
    #[must_use]
    pub fn with_recovery(mut self, logins: u32) -> Self {
        self.orphans = Walk::new(logins);
        self
    }

    /// Whether `setSecret` moves the label too.
    #[must_use]
    pub fn with_fast_promotion(mut self, fast_promotion: bool) -> Self {
        self.fast_promotion = fast_promotion;
        self
    }

    /// Whether an operator's statement has to succeed before the label moves.
    #[must_use]
    pub fn with_probe_sql(mut self, is_set: bool) -> Self {
        self.probe_due = is_set;
        self
    }

    /// Whether a reader has to accept the password before the label moves.
    #[must_use]
    pub fn with_reader(mut self, is_named: bool) -> Self {
        self.reader = if is_named {
            Reader::Unasked
        } else {
            Reader::Unnamed
        };
        self
    }

    /// Says how far the replicas are.
    #[must_use]
    pub fn with_replicas(mut self, replicas: Replicas) -> Self {
        self.replicas = replicas;
        self
    }

    /// Rotates by the strategy that somebody has chosen; without a choice only what can be no other's.
    #[must_use]
    pub fn with_strategy(mut self, strategy: Option<RotationStrategy>) -> Self {
        self.strategy = strategy;
        self
    }

    /// Lets the master repair this application, and perhaps set up its database; without it, it does so for none.
    /// `other_secret` is whether the event is about another secret than the configured one.
    #[must_use]
    pub fn with_expected(mut self, expected: Option<Expected>, other_secret: bool) -> Self {
        self.expected = expected;
        self.other_secret = other_secret;
        self
    }

    /// Adds what was read.
    pub fn read(&mut self, stage: Stage, value: Value) {
        if stage == Stage::Pending {
            self.reads += 1;
        }
        *self.value_mut(stage) = value;
    }

    /// Adds what a login brought.
    pub fn logged_in(&mut self, stage: Stage, login: Login) {
        let logins = &mut self.logins;
        self.pending_tried_again |=
            stage == Stage::Pending && logins.pending == Some(Login::Refused);
        match stage {
            Stage::Current => logins.current = Some(login),
            Stage::Pending => logins.pending = Some(login),
            Stage::Previous => logins.previous = Some(login),
        }
    }

    /// Adds what listing the versions brought.
    pub fn listed(&mut self, listing: Listing) {
        self.orphans.listed(listing);
    }

    /// Adds what reading a version by its id brought.
    pub fn read_version(&mut self, id: &str, value: Value) {
        self.orphans.read(id, value);
    }

    /// Adds what a login with a version by its id brought.
    pub fn logged_in_version(&mut self, id: &str, login: Login) {
        self.orphans.logged_in(id, login);
    }

    /// Adds what reading the master's secret brought.
    pub fn read_master(&mut self, stage: Stage, value: MasterValue) {
        self.master.read(stage, value);
    }

    /// Adds what a login as the master brought.
    pub fn logged_in_master(&mut self, stage: Stage, login: Login) {
        self.master.logged_in(stage, login);
    }

    /// Adds that the master has set up the database: the current version may open it now.
    pub fn set_up(&mut self) {
        self.master.has_set_up = true;
        self.logins.current = None;
    }

    /// Adds what storing the new version brought.
    pub fn stored(&mut self, store: Store) {
        self.store = Some(store);
    }

    /// Adds what changing the password brought. All logins that it makes untrue count as untried.
    pub fn changed(&mut self, change: Change) {
        match change {
            Change::Committed => {
                self.reached = Reached::Change;
                self.logins.pending = None;
            }
            Change::Unknown => {
                self.changes_unknown += 1;
                self.logins = Logins::default();
                self.orphans.forget_logins();
                self.master.forget_logins();
            }
            Change::Overtaken(labels) => self.labels = labels,
            Change::Forbidden => self.change_forbidden = true,
        }
    }

    /// Adds what the probe brought. After [`Probe::Lost`] the login counts as untried.
    pub fn probed(&mut self, probe: Probe) {
        match probe {
            Probe::Answered => self.reached = Reached::End,
            Probe::Lost => self.logins = Logins::default(),
        }
    }

    /// Adds what the operator's statement brought. After [`Probe::Lost`] the login counts as untried.
    pub fn probed_by_operator(&mut self, probe: Probe) {
        match probe {
            Probe::Answered => self.probe_due = false,
            Probe::Lost => self.logins = Logins::default(),
        }
    }

    /// Adds what asking the reader brought. After a wait the writer's login counts as untried: it precedes the label.
    pub fn reader_answered(&mut self, answer: ReaderAnswer) {
        match answer {
            ReaderAnswer::AtOnce => self.reader = Reader::Accepts,
            ReaderAnswer::Late(labels) => {
                self.reader = Reader::Accepts;
                self.labels = labels;
                self.logins = Logins::default();
            }
            ReaderAnswer::Never => self.reader = Reader::Refuses,
        }
    }

    /// Adds what waiting for the replicas brought: how far they and the labels are now.
    pub fn waited(&mut self, labels: Labels, replicas: Replicas) {
        self.labels = labels;
        self.replicas = replicas;
        self.replicas_awaited = true;
    }

    /// How far the replicas are.
    pub fn replicas(&self) -> &Replicas {
        &self.replicas
    }

    /// Adds what moving the label brought. After [`Move::Lost`] the login counts as untried.
    pub fn moved(&mut self, moved: Move) {
        match moved {
            Move::Moved => self.reached = Reached::End,
            Move::Lost(labels) => {
                self.labels = labels;
                self.moves_lost += 1;
                self.logins = Logins::default();
            }
        }
    }

    /// How often the version that is being made was read.
    pub fn reads(&self) -> u32 {
        self.reads
    }

    /// The database secret that was read for `stage`.
    pub fn secret(&self, stage: Stage) -> Option<&DatabaseSecret> {
        let value = match stage {
            Stage::Current => &self.current,
            Stage::Pending => &self.pending,
            Stage::Previous => &self.previous,
        };
        match value {
            Value::Read(secret) => Some(secret),
            Value::Unread | Value::Absent => None,
        }
    }

    /// The database secret that was read for a version by its id.
    pub fn version(&self, id: &str) -> Option<&DatabaseSecret> {
        self.orphans.secret(id)
    }

    /// The operator's statement, where it is still to be run.
    pub(super) fn next_probe(&self) -> Option<Action> {
        self.probe_due.then_some(Action::RunProbeSql)
    }

    fn value_mut(&mut self, stage: Stage) -> &mut Value {
        match stage {
            Stage::Current => &mut self.current,
            Stage::Pending => &mut self.pending,
            Stage::Previous => &mut self.previous,
        }
    }
}

impl Labels {
    /// The labels of a secret, seen from version `version_id`.
    pub fn of(description: &SecretDescription, version_id: &str) -> Self {
        Self {
            rotation_off: description.rotation_enabled == Some(false),
            version: if description.has(version_id, Stage::Current) {
                Standing::Current
            } else if description.has(version_id, Stage::Pending) {
                Standing::Pending
            } else if description.versions.contains_key(version_id) {
                Standing::Other
            } else {
                Standing::Unlisted
            },
            current_version: description.version_with(Stage::Current).map(str::to_owned),
        }
    }
}
