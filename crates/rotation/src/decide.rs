//! What a rotation does next: every decision, and nothing but decisions.
//!
//! [`decide`] maps a step and what is [`Known`] of labels, versions and logins to one [`Action`]. Who carries the action
//! out adds its outcome to what is known and asks again, until the answer is [`Action::Done`] or [`Action::Refuse`]. No
//! clock, network or environment is in here, so that every order, repetition and crash of the steps can be tried.
//!
//! Order of the checks and their words are those of AWS's functions for a single user and for alternating users. Where the
//! same order would harm, it differs: a step that finds the labels moved meanwhile stops, a login precedes the label, a
//! candidate for another user or host is never tried, and behind the three labels come the versions that have none.

mod alternating;
mod known;
mod master;
mod orphan;
mod reader;
mod refusal;
mod replicas;
mod walk;

use secrets::{DatabaseSecret, Stage};

use known::Reached;

pub use alternating::RotationStrategy;
pub use known::{Change, Known, Labels, Login, Move, Probe, Standing, Store, Value};
pub(crate) use master::stranger;
pub use master::{Expected, MasterPlace, MasterValue};
pub use orphan::{Listing, Search};
pub use reader::ReaderAnswer;
pub use refusal::Refusal;
pub(crate) use refusal::start_over;
pub use replicas::Replicas;
pub use walk::{Next, Origin, Walk};

/// How often a version that exists is read again because the service does not show it yet.
const READS: u32 = 4;
/// How often `setSecret` starts anew because nobody knows whether the password was changed.
const CHANGES: u32 = 3;
/// How often `finishSecret` tries to move a label that others move as well.
const MOVES: u32 = 3;

/// A step of the service's contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `createSecret`
    Create,
    /// `setSecret`
    Set,
    /// `testSecret`
    Test,
    /// `finishSecret`
    Finish,
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read the version with this label; for [`Stage::Pending`] the one that is being made.
    Read(Stage),
    /// List the versions that none of the three labels names.
    List,
    /// Read one of those versions, by its id.
    ReadVersion(String),
    /// Make up a password and store it as the version that is being made.
    Store,
    /// Log in with the version that has this label.
    LogIn(Stage),
    /// Log in with the version that has this id and no label.
    LogInVersion(String),
    /// Set the pending version's password, in the session that is logged in with this version.
    ChangePassword(Stage),
    /// The same, in the session that is logged in with the version that has this id and no label.
    Recover(String),
    /// Read the version of the master's secret that has this label.
    ReadMaster(Stage),
    /// Log in with that version.
    LogInMaster(Stage),
    /// Set the pending version's password, in the session that is logged in with that version.
    ChangeAsMaster(Stage),
    /// Make the application's roles and tables, in the session that is logged in with that version.
    SetUp(Stage),
    /// Ask the server something in the session that is logged in with the pending version.
    Probe,
    /// Run the operator's statement in that session.
    RunProbeSql,
    /// Wait until no replica is on its way any more, or until it takes too long.
    AwaitReplicas,
    /// Log in to a reader with the pending version until it is accepted, or until it takes too long.
    AwaitReader,
    /// Move `AWSCURRENT` to the version that is being made, away from this one.
    MoveCurrent {
        /// The version that has it.
        from: Option<String>,
    },
    /// The step is over and has succeeded.
    Done(Done),
    /// The step is over and has failed.
    Refuse(Refusal),
}

/// How a step succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The version is `AWSCURRENT` already: nothing was done.
    AlreadyCurrent,
    /// The version had a value already.
    AlreadyStored,
    /// The version got its value.
    Stored,
    /// The database accepted the password already.
    AlreadySet,
    /// The database got the password.
    Set {
        /// The role whose password it is.
        username: String,
    },
    /// The database has the password and the version is `AWSCURRENT`, both by `setSecret`.
    SetAndPromoted,
    /// A login with the password works.
    Tested,
    /// The version became `AWSCURRENT`.
    Promoted,
}

/// Decides what `step` does next. `step` is the event's word, because an unknown one only matters after the labels.
pub fn decide(step: &str, known: &Known) -> Action {
    match may_run(&known.labels) {
        Ok(true) => {}
        Ok(false) => return Action::Done(Done::AlreadyCurrent),
        Err(refusal) => return Action::Refuse(refusal),
    }
    let read = [Stage::Current, Stage::Pending].into_iter();
    let read = read.filter_map(|stage| known.secret(stage));
    if let Some(refusal) = stranger(known.expected.as_ref(), known.other_secret, read) {
        return Action::Refuse(refusal);
    }
    let next = match Step::parse(step) {
        Some(Step::Create) => create(known),
        Some(Step::Set) => set(known),
        Some(Step::Test) => test(known),
        Some(Step::Finish) => finish(known),
        None => Ok(Action::Refuse(Refusal::InvalidStep(step.to_owned()))),
    };
    next.unwrap_or_else(|first| first)
}

/// Whether the labels allow a step to run; `false` when the version is current already and nothing is left to do.
///
/// Asked before every step, and again under the lock on the role right before the password is changed.
pub fn may_run(labels: &Labels) -> Result<bool, Refusal> {
    if labels.rotation_off {
        return Err(Refusal::RotationOff);
    }
    match labels.version {
        Standing::Pending => Ok(true),
        Standing::Current => Ok(false),
        Standing::Unlisted => Err(Refusal::NoStage),
        Standing::Other => Err(Refusal::NotPending),
    }
}

impl Step {
    /// Reads the service's word for a step.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "createSecret" => Some(Self::Create),
            "setSecret" => Some(Self::Set),
            "testSecret" => Some(Self::Test),
            "finishSecret" => Some(Self::Finish),
            _ => None,
        }
    }
}

impl Done {
    /// A stable name for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AlreadyCurrent => "already_current",
            Self::AlreadyStored => "already_stored",
            Self::Stored => "stored",
            Self::AlreadySet => "already_set",
            Self::Set { .. } => "set",
            Self::SetAndPromoted => "set_and_promoted",
            Self::Tested => "tested",
            Self::Promoted => "promoted",
        }
    }

    /// The reference's words for it about version `version` of secret `secret`.
    pub fn message(&self, secret: &str, version: &str) -> String {
        match self {
            Self::AlreadyCurrent => {
                format!("Secret version {version} already set as AWSCURRENT for secret {secret}.")
            }
            Self::AlreadyStored => {
                format!("createSecret: Successfully retrieved secret for {secret}.")
            }
            Self::Stored => format!(
                "createSecret: Successfully put secret for ARN {secret} and version {version}."
            ),
            Self::AlreadySet => format!(
                "setSecret: AWSPENDING secret is already set as password in PostgreSQL DB for secret arn {secret}."
            ),
            Self::Set { username } => format!(
                "setSecret: Successfully set password for user {username} in PostgreSQL DB for secret arn {secret}."
            ),
            Self::SetAndPromoted => format!(
                "setSecret: Successfully set password and AWSCURRENT stage to version {version} for secret {secret}."
            ),
            Self::Tested => format!(
                "testSecret: Successfully signed into PostgreSQL DB with AWSPENDING secret in {secret}."
            ),
            Self::Promoted => format!(
                "finishSecret: Successfully set AWSCURRENT stage to version {version} for secret {secret}."
            ),
        }
    }
}

/// An action that has to come first, where what it brings is needed.
type First = Action;

fn create(known: &Known) -> Result<Action, First> {
    let current = usable_current(known)?;
    Ok(match (known.store, &known.pending) {
        // Without a look first: the service keeps the value that a version has (API reference of `PutSecretValue`).
        (None, _) if known.strategy == Some(RotationStrategy::AlternatingUsers) => {
            alternating::store(current)
        }
        (None, _) => Action::Store,
        (Some(Store::Stored), _) => Action::Done(Done::Stored),
        (Some(Store::Taken), Value::Read(_)) => Action::Done(Done::AlreadyStored),
        // Another call with the same token was faster, and the service may not show its value yet.
        (Some(Store::Taken), _) if known.reads < READS => Action::Read(Stage::Pending),
        (Some(Store::Taken), _) => Action::Refuse(Refusal::PendingNotVisible),
    })
}

fn set(known: &Known) -> Result<Action, First> {
    let current = usable_current(known)?;
    let pending = usable_pending(known)?;
    if known.reached == Reached::End {
        return Ok(Action::Done(Done::SetAndPromoted));
    }
    if known.reached == Reached::Change && !known.fast_promotion {
        return Ok(Action::Done(is_set(pending)));
    }
    match known.logins.pending {
        // The label's move may be two actions away.
        None if known.fast_promotion && known.replicas.is_behind() && !known.replicas_awaited => {
            return Ok(Action::AwaitReplicas);
        }
        None => return Ok(Action::LogIn(Stage::Pending)),
        // `testSecret` will find the version current, and look at nothing.
        Some(Login::Accepted) if known.fast_promotion => {
            return Ok(known.next_probe().unwrap_or_else(|| promote(known)));
        }
        Some(Login::Accepted) if known.changes_unknown > 0 => {
            return Ok(Action::Done(is_set(pending)));
        }
        Some(Login::Accepted) => return Ok(Action::Done(Done::AlreadySet)),
        // Behind the change as in `finishSecret`.
        Some(Login::Refused) if known.moves_lost > 0 || known.reached == Reached::Change => {
            return Ok(Action::Refuse(not_promoted(known)));
        }
        Some(Login::Refused) if known.changes_unknown >= CHANGES => {
            return Ok(Action::Refuse(Refusal::ChangeUnknown));
        }
        Some(Login::Refused) => {}
    }
    if known.strategy == Some(RotationStrategy::AlternatingUsers) {
        return alternating::set(known, current, pending);
    }
    if pending.username != current.username {
        return Ok(Action::Refuse(Refusal::OtherUser {
            pending: pending.username.clone(),
            current: current.username.clone(),
        }));
    }
    same_place(current, pending)?;
    if known.change_forbidden {
        return Ok(master::repair(known, current, Refusal::ChangeForbidden));
    }
    // While the database still has the old password, a wait harms nobody.
    if known.replicas.is_behind() {
        return Ok(if known.replicas_awaited {
            Action::Refuse(Refusal::ReplicasBehind(known.replicas.behind.clone()))
        } else {
            Action::AwaitReplicas
        });
    }
    match known.logins.current {
        None => return Ok(Action::LogIn(Stage::Current)),
        Some(Login::Accepted) => return Ok(Action::ChangePassword(Stage::Current)),
        Some(Login::Refused) => {}
    }
    let previous = match &known.previous {
        Value::Unread => return Ok(Action::Read(Stage::Previous)),
        Value::Absent => return Ok(exhausted(known, current, pending)),
        Value::Read(previous) => previous,
    };
    if !is_same_login(previous, pending) {
        return Ok(exhausted(known, current, pending));
    }
    Ok(match known.logins.previous {
        None => Action::LogIn(Stage::Previous),
        Some(Login::Accepted) => Action::ChangePassword(Stage::Previous),
        Some(Login::Refused) => exhausted(known, current, pending),
    })
}

/// The database has refused every version that has a label.
fn exhausted(known: &Known, current: &DatabaseSecret, pending: &DatabaseSecret) -> Action {
    match orphan::search(known, pending) {
        // Another call of the same step may have set the password between the first login and the others.
        Action::Refuse(_) if !known.pending_tried_again => Action::LogIn(Stage::Pending),
        Action::Refuse(refusal) => master::repair(known, current, refusal),
        action => action,
    }
}

/// Where the pending version is for another host, or lacks an edit of the current one, nothing is changed.
fn same_place(current: &DatabaseSecret, pending: &DatabaseSecret) -> Result<(), First> {
    if pending.host != current.host {
        return Err(Action::Refuse(Refusal::OtherHost {
            pending: pending.host.clone(),
            current: current.host.clone(),
        }));
    }
    // The label would take these changes back with it.
    match pending.differs_beyond_credentials(current) {
        Some(key) => Err(Action::Refuse(Refusal::CurrentEdited { key })),
        None => Ok(()),
    }
}

fn test(known: &Known) -> Result<Action, First> {
    usable_pending(known)?;
    Ok(match known.logins.pending {
        None => Action::LogIn(Stage::Pending),
        Some(Login::Refused) => Action::Refuse(Refusal::PendingRefused),
        Some(Login::Accepted) if known.reached == Reached::End => {
            known.next_probe().unwrap_or(Action::Done(Done::Tested))
        }
        Some(Login::Accepted) => Action::Probe,
    })
}

fn finish(known: &Known) -> Result<Action, First> {
    usable_pending(known)?;
    if known.reached == Reached::End {
        return Ok(Action::Done(Done::Promoted));
    }
    Ok(match known.logins.pending {
        // Before the login, so that nothing comes between it and the move.
        None if known.replicas.is_behind() && !known.replicas_awaited => Action::AwaitReplicas,
        None => Action::LogIn(Stage::Pending),
        Some(Login::Refused) => Action::Refuse(not_promoted(known)),
        Some(Login::Accepted) => promote(known),
    })
}

/// Moves the label to the version that the database has accepted a moment ago, once a reader accepts it, too.
fn promote(known: &Known) -> Action {
    if known.moves_lost >= MOVES {
        return Action::Refuse(Refusal::CurrentMoved);
    }
    known.reader.first().unwrap_or_else(|| Action::MoveCurrent {
        from: known.labels.current_version.clone(),
    })
}

/// Why the label stays where it is, when the database refuses the version that it is for.
fn not_promoted(known: &Known) -> Refusal {
    if known.moves_lost > 0 {
        // Whoever moved the label meanwhile has the password that counts.
        Refusal::CurrentMoved
    } else {
        Refusal::PendingRefused
    }
}

/// Whether a login with one version is a login as the user and to the host of the other.
fn is_same_login(one: &DatabaseSecret, other: &DatabaseSecret) -> bool {
    (&one.username, &one.host) == (&other.username, &other.host)
}

fn is_set(pending: &DatabaseSecret) -> Done {
    Done::Set {
        username: pending.username.clone(),
    }
}

fn usable_current(known: &Known) -> Result<&DatabaseSecret, First> {
    match &known.current {
        Value::Unread => Err(Action::Read(Stage::Current)),
        Value::Absent => Err(Action::Refuse(Refusal::NoCurrentValue)),
        Value::Read(current) if current.masterarn.is_some() && known.strategy.is_none() => {
            Err(Action::Refuse(Refusal::StrategyNotChosen))
        }
        Value::Read(current) => Ok(current),
    }
}

fn usable_pending(known: &Known) -> Result<&DatabaseSecret, First> {
    match &known.pending {
        Value::Unread => Err(Action::Read(Stage::Pending)),
        Value::Absent => Err(Action::Refuse(Refusal::NoPendingValue)),
        Value::Read(pending) => Ok(pending),
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod table;
