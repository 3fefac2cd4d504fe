//! What is done with the master's rights, and what has to be known before they are used.

use secrets::{DatabaseSecret, Stage, alternate_username};

use super::{Action, First, Known, Login, Refusal};

/// The application that the master may work for without a login as its user, as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Host of the database.
    pub host: String,
    /// The application's user, or the first of two.
    pub username: String,
    /// ARN of the master's secret, where the master may also set up an empty database. Then the function serves no other
    /// application, and logs in nowhere for one.
    pub master: Option<String>,
}

/// What is known of the master.
#[derive(Clone, Debug, Default)]
pub(super) struct Master {
    current: MasterValue,
    pending: MasterValue,
    login: Option<(Stage, Login)>,
    /// It has set up the database.
    pub(super) has_set_up: bool,
}

/// What reading the master's secret brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MasterValue {
    /// It was not read.
    #[default]
    Unread,
    /// There is no such version, or none that can be used.
    Absent,
    /// There is a master, for this place.
    Read(MasterPlace),
}

/// Where a master's database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterPlace {
    /// It is the database of the secret that is rotated, or the one that this is a replica of.
    Same,
    /// It is another.
    Elsewhere {
        /// The master's host.
        host: String,
    },
}

impl Master {
    pub(super) fn read(&mut self, stage: Stage, value: MasterValue) {
        match stage {
            Stage::Current => self.current = value,
            Stage::Pending | Stage::Previous => self.pending = value,
        }
    }

    pub(super) fn logged_in(&mut self, stage: Stage, login: Login) {
        self.login = Some((stage, login));
    }

    pub(super) fn forget_logins(&mut self) {
        self.login = None;
    }
}

impl Expected {
    /// Whether `secret` is for this application.
    fn covers(&self, secret: &DatabaseSecret) -> bool {
        self.is_user(secret) && self.is_at(secret)
    }

    fn is_user(&self, secret: &DatabaseSecret) -> bool {
        secret.username == self.username
            || alternate_username(&self.username).is_ok_and(|other| other == secret.username)
    }

    fn is_at(&self, secret: &DatabaseSecret) -> bool {
        secret.host.eq_ignore_ascii_case(&self.host)
    }
}

/// Has the master set the pending version's password, with its own pending version where it is in the gap of its own
/// rotation.
pub(super) fn change(known: &Known, current: &DatabaseSecret) -> Result<Action, First> {
    let Some(secret) = &current.masterarn else {
        return Ok(Action::Refuse(Refusal::NoMaster));
    };
    let master = &known.master;
    same_database(Stage::Current, &master.current, current)?;
    let refused = Action::Refuse(Refusal::MasterRefused {
        secret: secret.clone(),
    });
    match master.login {
        None => return Ok(Action::LogInMaster(Stage::Current)),
        Some((stage, Login::Accepted)) => return Ok(Action::ChangeAsMaster(stage)),
        Some((Stage::Current, Login::Refused)) => {}
        Some((_, Login::Refused)) => return Ok(refused),
    }
    if master.pending == MasterValue::Absent {
        return Ok(refused);
    }
    same_database(Stage::Pending, &master.pending, current)?;
    Ok(Action::LogInMaster(Stage::Pending))
}

/// Where nothing else is left: has the master set the password, if the secret is for the application that the configuration
/// expects. Otherwise whoever can write the secret could have the master set the password of any user.
pub(super) fn repair(known: &Known, current: &DatabaseSecret, otherwise: Refusal) -> Action {
    let expected = known.expected.as_ref();
    if current.masterarn.is_none() || !expected.is_some_and(|expected| expected.covers(current)) {
        return Action::Refuse(otherwise);
    }
    let sets_up = expected.is_some_and(|expected| expected.master.is_some());
    match change(known, current) {
        Ok(Action::ChangeAsMaster(stage)) if sets_up && !known.master.has_set_up => {
            Action::SetUp(stage)
        }
        Ok(action) | Err(action) => action,
    }
}

/// Where the master may set up a database, what does not belong to its application is refused before any login.
///
/// `other_secret` is whether the event is about another secret than the configured one, `read` what was read of it.
pub(crate) fn stranger<'a>(
    expected: Option<&Expected>,
    other_secret: bool,
    read: impl IntoIterator<Item = &'a DatabaseSecret>,
) -> Option<Refusal> {
    let expected = expected?;
    let master = expected.master.as_ref()?;
    let differs = read.into_iter().filter_map(|secret| {
        if !expected.is_at(secret) {
            Some("host")
        } else if !expected.is_user(secret) {
            Some("username")
        } else {
            (secret.masterarn.as_ref() != Some(master)).then_some("masterarn")
        }
    });
    let other_secret = other_secret.then_some("ARN");
    let what = other_secret.into_iter().chain(differs).next()?;
    Some(Refusal::NotExpected(what))
}

fn same_database(
    stage: Stage,
    master: &MasterValue,
    current: &DatabaseSecret,
) -> Result<(), First> {
    match master {
        MasterValue::Unread => Err(Action::ReadMaster(stage)),
        MasterValue::Read(MasterPlace::Elsewhere { host }) => {
            Err(Action::Refuse(Refusal::OtherMaster {
                current: current.host.clone(),
                master: host.clone(),
            }))
        }
        MasterValue::Read(MasterPlace::Same) | MasterValue::Absent => Ok(()),
    }
}
