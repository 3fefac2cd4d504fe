//! Which of a secret's versions opens the database: the order in which they are tried.
//!
//! Versions with a label come first, as a rotation leaves the labels behind: `AWSCURRENT`, `AWSPENDING`, `AWSPREVIOUS`. Then
//! come those without one, newest first, as many as are allowed: each login that is refused is an entry in the server's log,
//! and perhaps a step towards a lock. `setSecret` has tried the labels by itself before, an operator's `recover` walks over
//! all of them.

use std::collections::BTreeMap;
use std::fmt;

use secrets::{DatabaseSecret, Stage};

use super::{Listing, Login, Search, Value};

/// A walk over versions until one is accepted. The methods add an action's outcome.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    tries: Vec<Try>,
    listing: Option<Listing>,
    logins_allowed: u32,
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Read the version with this id.
    Read(String),
    /// Log in with the version that has this id.
    LogIn(String),
    /// List the versions that have no label.
    List,
    /// The database accepts the version with this id.
    Accepted(String),
    /// It accepts none that may be tried.
    Nothing(Search),
}

/// Where a version was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// By a label.
    Label(Stage),
    /// Among those without a label.
    Unlabelled,
}

#[derive(Clone, Debug)]
struct Try {
    version_id: String,
    origin: Origin,
    value: Value,
    login: Option<Login>,
}

impl Walk {
    /// Over versions without a label, which may cost this many logins.
    pub fn new(logins_allowed: u32) -> Self {
        Self {
            logins_allowed,
            ..Self::default()
        }
    }

    /// Puts the versions with a label first.
    #[must_use]
    pub fn with_labels(mut self, labels: &BTreeMap<String, Vec<String>>) -> Self {
        for stage in [Stage::Current, Stage::Pending, Stage::Previous] {
            let has = |stages: &[String]| stages.iter().any(|label| label == stage.as_str());
            let version = labels.iter().find(|(_, stages)| has(stages));
            if let Some((version_id, _)) = version {
                self.add(version_id, Origin::Label(stage));
            }
        }
        self
    }

    /// Decides what comes next; `is_candidate` is whether a secret is for the user and the host that are looked for.
    pub fn next(&self, is_candidate: impl Fn(&DatabaseSecret) -> bool) -> Next {
        for one in &self.tries {
            let may_try = one.login.is_none() && self.may_try(one.origin);
            match &one.value {
                Value::Unread if may_try => return Next::Read(one.version_id.clone()),
                Value::Read(_) if one.login == Some(Login::Accepted) => {
                    return Next::Accepted(one.version_id.clone());
                }
                Value::Read(secret)
                    if may_try && is_candidate(secret) && !self.was_refused(secret) =>
                {
                    return Next::LogIn(one.version_id.clone());
                }
                Value::Unread | Value::Absent | Value::Read(_) => {}
            }
        }
        match &self.listing {
            None if self.logins_allowed == 0 => Next::Nothing(Search::Off),
            None => Next::List,
            Some(Listing::Denied) => Next::Nothing(Search::Denied),
            Some(Listing::Versions(_)) => Next::Nothing(Search::Fruitless {
                logins: self.refused(Origin::is_unlabelled),
                versions: self.tries(Origin::is_unlabelled).count(),
            }),
        }
    }

    /// Adds what reading a version brought.
    pub fn read(&mut self, version_id: &str, value: Value) {
        if let Some(one) = self.find_mut(version_id) {
            one.value = value;
        }
    }

    /// Adds what a login brought.
    pub fn logged_in(&mut self, version_id: &str, login: Login) {
        if let Some(one) = self.find_mut(version_id) {
            one.login = Some(login);
        }
    }

    /// Adds what listing the versions brought.
    pub fn listed(&mut self, listing: Listing) {
        if let Listing::Versions(versions) = &listing {
            for version_id in versions {
                self.add(version_id, Origin::Unlabelled);
            }
        }
        self.listing = Some(listing);
    }

    /// Lets every login count as untried.
    pub fn forget_logins(&mut self) {
        for one in &mut self.tries {
            one.login = None;
        }
    }

    /// What was read of a version.
    pub fn secret(&self, version_id: &str) -> Option<&DatabaseSecret> {
        self.find(version_id)?.secret()
    }

    /// The first version that is a database secret: `AWSCURRENT`, if it is one.
    pub fn first_secret(&self) -> Option<&DatabaseSecret> {
        self.tries.iter().find_map(Try::secret)
    }

    /// Where a version was found.
    pub fn origin(&self, version_id: &str) -> Option<Origin> {
        self.find(version_id).map(|one| one.origin)
    }

    /// Logins that were refused, by where the version was found.
    pub fn refused(&self, counts: impl Fn(Origin) -> bool) -> u32 {
        let refused = self
            .tries(counts)
            .filter(|one| one.login == Some(Login::Refused));
        u32::try_from(refused.count()).unwrap_or(u32::MAX)
    }

    /// A version is tried once, where it comes first.
    fn add(&mut self, version_id: &str, origin: Origin) {
        if self.find(version_id).is_none() {
            self.tries.push(Try {
                version_id: version_id.to_owned(),
                origin,
                value: Value::Unread,
                login: None,
            });
        }
    }

    fn may_try(&self, origin: Origin) -> bool {
        !origin.is_unlabelled() || self.refused(Origin::is_unlabelled) < self.logins_allowed
    }

    /// Whether the database has refused this password already, under another id.
    fn was_refused(&self, secret: &DatabaseSecret) -> bool {
        self.tries
            .iter()
            .filter(|one| one.login == Some(Login::Refused))
            .filter_map(Try::secret)
            .any(|tried| tried.has_password_of(secret))
    }

    fn tries(&self, counts: impl Fn(Origin) -> bool) -> impl Iterator<Item = &Try> {
        self.tries.iter().filter(move |one| counts(one.origin))
    }

    fn find(&self, version_id: &str) -> Option<&Try> {
        self.tries.iter().find(|one| one.version_id == version_id)
    }

    fn find_mut(&mut self, version_id: &str) -> Option<&mut Try> {
        let mut tries = self.tries.iter_mut();
        tries.find(|one| one.version_id == version_id)
    }
}

impl Try {
    fn secret(&self) -> Option<&DatabaseSecret> {
        match &self.value {
            Value::Read(secret) => Some(secret),
            Value::Unread | Value::Absent => None,
        }
    }
}

impl Origin {
    fn is_unlabelled(self) -> bool {
        self == Self::Unlabelled
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(stage) => stage.fmt(f),
            Self::Unlabelled => f.write_str("without a label"),
        }
    }
}
