//! What the strategy of alternating users decides otherwise: one user is in use, and the other gets the new password.

use secrets::{DatabaseSecret, DocumentError, SecretString, Stage, alternate_username};

use super::{Action, First, Known, Login, Refusal, master};

/// How a rotation changes the password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RotationStrategy {
    /// The user in use changes its own.
    #[default]
    SingleUser,
    /// The master sets that of a second user, who then takes over.
    AlternatingUsers,
}

impl RotationStrategy {
    /// Reads a version by the rules that the reference has for this strategy.
    pub fn parse(self, text: &SecretString) -> Result<DatabaseSecret, DocumentError> {
        match self {
            Self::SingleUser => DatabaseSecret::parse(text),
            Self::AlternatingUsers => DatabaseSecret::parse_alternating(text),
        }
    }

    /// The version that follows `current`, with this password.
    pub fn document(self, current: &DatabaseSecret, password: &SecretString) -> SecretString {
        match (self, alternate_username(&current.username)) {
            (Self::AlternatingUsers, Ok(username)) => {
                current.with_username_and_password(&username, password)
            }
            // Without a name for the other user nothing is stored.
            _ => current.with_password(password),
        }
    }
}

/// Before a password is made up: whether there can be a user for it.
pub(super) fn store(current: &DatabaseSecret) -> Action {
    match alternate_username(&current.username) {
        Ok(_) => Action::Store,
        Err(_) => Action::Refuse(Refusal::CloneName),
    }
}

/// `setSecret` behind a refused login with the pending version.
pub(super) fn set(
    known: &Known,
    current: &DatabaseSecret,
    pending: &DatabaseSecret,
) -> Result<Action, First> {
    match alternate_username(&current.username) {
        Err(_) => return Ok(Action::Refuse(Refusal::CloneName)),
        Ok(alternate) if alternate != pending.username => {
            return Ok(Action::Refuse(Refusal::OtherThanClone {
                pending: pending.username.clone(),
                current: current.username.clone(),
            }));
        }
        Ok(_) => {}
    }
    super::same_place(current, pending)?;
    match known.logins.current {
        None => Ok(Action::LogIn(Stage::Current)),
        // Whoever can write the secret must not get the master to work for a user whose password he does not know.
        Some(Login::Refused) => Ok(master::repair(known, current, Refusal::CurrentRefused)),
        Some(Login::Accepted) => master::change(known, current),
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
