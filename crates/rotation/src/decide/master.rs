//! What is done with the master's rights, and what has to be known before they are used.

use secrets::{DatabaseSecret, Stage, alternate_username};

use super::{Action, First, Known, Login, Refusal};

/// Which application the master may repair without a login as its user, as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Host of the database.
    pub host: String,
    /// The application's user, or the first of two.
    pub username: String,
}

/// What is known of the master.
#[derive(Clone, Debug, Default)]
pub(super) struct Master {
    current: MasterValue,
    pending: MasterValue,
    login: Option<(Stage, Login)>,
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
        let is_user = secret.username == self.username
            || alternate_username(&self.username).is_ok_and(|other| other == secret.username);
        is_user && secret.host.eq_ignore_ascii_case(&self.host)
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
    change(known, current).unwrap_or_else(|first| first)
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
