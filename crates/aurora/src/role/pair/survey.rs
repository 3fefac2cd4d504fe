//! What there is of a pair, and what it lacks.

use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use super::{Pair, PairChange};
use crate::role::{RoleError, RoleName};
use crate::statement::pair as sql;

/// Settings whose value is a list of names, quoted one by one (`GUC_LIST_QUOTE`).
const LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// The two roles as they are.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) version_num: i32,
    pub(super) user: String,
    pub(super) roles: Vec<(String, State)>,
    /// Who is a member of the other, and whether with its privileges and the right to act as it.
    pub(super) memberships: Vec<(String, bool)>,
    /// What the member owns in this database, and in others.
    pub(super) owned: (i64, i64),
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) privileged: bool,
    pub(super) settings: Vec<String>,
    pub(super) administered: bool,
    pub(super) inherited: bool,
}

impl Survey {
    /// Looks; writes nothing.
    pub(super) async fn read(
        transaction: &Transaction<'_>,
        pair: &Pair,
    ) -> Result<Self, tokio_postgres::Error> {
        let names = [pair.current.as_str(), pair.pending.as_str()];
        let names: &[&str] = &names;
        let mut survey = Self::default();
        for row in transaction
            .query_typed(sql::PAIR_STATES, &[(&names, Type::TEXT_ARRAY)])
            .await?
        {
            let state = State {
                privileged: row.try_get(1)?,
                settings: row.try_get(2)?,
                administered: row.try_get(3)?,
                inherited: row.try_get(4)?,
            };
            survey.version_num = row.try_get(5)?;
            survey.user = row.try_get(6)?;
            survey.roles.push((row.try_get(0)?, state));
        }
        for row in transaction
            .query_typed(sql::PAIR_MEMBERSHIPS, &[(&names, Type::TEXT_ARRAY)])
            .await?
        {
            survey.memberships.push((row.try_get(0)?, row.try_get(1)?));
        }
        let (member, _) = survey.member_and_owner(pair);
        let owned = transaction
            .query_typed_one(sql::OWNED_OBJECTS, &[(&member.as_str(), Type::TEXT)])
            .await?;
        survey.owned = (owned.try_get(0)?, owned.try_get(1)?);
        Ok(survey)
    }

    pub(super) fn state(&self, role: &RoleName) -> Option<&State> {
        let found = self.roles.iter().find(|(name, _)| name == role.as_str());
        found.map(|(_, state)| state)
    }

    /// Who acts as whom: as they are related already; else what is new, or has the longer name, is the member.
    fn member_and_owner<'p>(&self, pair: &'p Pair) -> (&'p RoleName, &'p RoleName) {
        let Pair {
            current, pending, ..
        } = pair;
        let joined = |role: &RoleName| self.memberships.iter().any(|(m, _)| m == role.as_str());
        if joined(current) && !joined(pending) {
            (current, pending)
        } else {
            (pending, current)
        }
    }

    /// What is to be done, in an order that works.
    pub(super) fn changes(&self, pair: &Pair) -> Result<Vec<PairChange>, RoleError> {
        let (member, owner) = self.member_and_owner(pair);
        let (member, owner) = (member.clone(), owner.clone());
        let mut changes = Vec::new();
        let membership = self
            .memberships
            .iter()
            .find(|(name, _)| name == member.as_str());
        match self.state(&pair.pending) {
            None => changes.push(PairChange::Create(pair.pending.clone())),
            Some(pending) if membership.is_none() => {
                let current = self.state(&pair.current);
                let has_shorter_name = pair.pending.as_str().len() < pair.current.as_str().len();
                let has_more_rights =
                    pending.privileged && !current.is_some_and(|current| current.privileged);
                // The name is made up. Whoever can write the secret must not get somebody else's role with it.
                if has_shorter_name || has_more_rights {
                    return Err(RoleError::NotAPair(pair.pending.clone()));
                }
            }
            Some(_) => {}
        }
        if !membership.is_some_and(|(_, complete)| *complete) {
            changes.push(PairChange::Join {
                role: member.clone(),
                owner: owner.clone(),
            });
        }
        self.add_owner(pair, &member, &owner, &mut changes);
        for (role, other) in [(&member, &owner), (&owner, &member)] {
            self.add_settings(role, other, &mut changes);
        }
        Ok(changes)
    }

    fn add_owner(
        &self,
        pair: &Pair,
        member: &RoleName,
        owner: &RoleName,
        changes: &mut Vec<PairChange>,
    ) {
        let state = self.state(member);
        // Whoever has chosen a role to act as has chosen.
        let chosen = state.is_some_and(|state| setting(state, "role").is_some());
        let (here, elsewhere) = self.owned;
        // What it owns in other databases could not be handed over, and would be out of its own reach.
        if !pair.one_owner || chosen || elsewhere > 0 {
            return;
        }
        if here > 0 {
            changes.push(PairChange::HandOver {
                role: member.clone(),
                owner: owner.clone(),
                become_member: state.is_some_and(|state| !state.inherited),
            });
        }
        changes.push(PairChange::ActAs {
            role: member.clone(),
            owner: owner.clone(),
        });
    }

    fn add_settings(&self, role: &RoleName, other: &RoleName, changes: &mut Vec<PairChange>) {
        let Some(other) = self.state(other) else {
            return;
        };
        for entry in &other.settings {
            let Some((name, value)) = entry.split_once('=') else {
                continue;
            };
            let has = self
                .state(role)
                .is_some_and(|state| setting(state, name).is_some());
            if name != "role" && !has {
                changes.push(PairChange::CopySetting {
                    role: role.clone(),
                    setting: name.to_owned(),
                    values: if LISTS.contains(&name) {
                        items(value)
                    } else {
                        vec![value.to_owned()]
                    },
                });
            }
        }
    }
}

fn setting<'s>(state: &'s State, name: &str) -> Option<&'s str> {
    let mut entries = state
        .settings
        .iter()
        .filter_map(|entry| entry.split_once('='));
    entries
        .find(|(set, _)| *set == name)
        .map(|(_, value)| value)
}

/// The items of a list as PostgreSQL stores it: separated by commas, in double quotes where they have to be.
pub(super) fn items(list: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut quoted = false;
    let mut characters = list.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, items.last_mut()) {
            ('"', Some(item)) if quoted && characters.next_if_eq(&'"').is_some() => item.push('"'),
            ('"', _) => quoted = !quoted,
            (',', _) if !quoted => items.push(String::new()),
            (' ', _) if !quoted => {}
            (character, Some(item)) => item.push(character),
            (_, None) => {}
        }
    }
    items
}
