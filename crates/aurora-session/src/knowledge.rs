//! What the tasks that share a session have learnt about the secret.
//!
//! Written down as it is learnt, so that a task may be dropped at any point and the next one goes on
//! from there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aurora::LoginError;
use tokio::time::Instant;

use crate::SecretVersion;
use crate::fallback::{self, Outcome, Search};

/// For so long after a login, others with the same version need not wait for one to prove it.
const PROVEN_FOR: Duration = Duration::from_secs(1);
/// For so long after a refusal the search is taken up and not begun anew: it goes on watching the
/// labels, so that connects in a row do not each bring refused logins. Not for ever: somebody may
/// repair the password in the database, which moves no label.
const SEARCH_HOLDS_FOR: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(crate) struct Knowledge(Mutex<Facts>);

#[derive(Default)]
struct Facts {
    accepted: Option<Arc<SecretVersion>>,
    /// When `accepted` last was, unless it has been refused since.
    proven: Option<Instant>,
    /// A search that has met refusals only, and when the last of them was.
    search: Option<(Search, Instant)>,
    /// The last refusal of that search.
    refusal: Option<Refusal>,
}

/// [`LoginError::Refused`], which cannot be cloned because other variants cannot.
#[derive(Clone)]
struct Refusal {
    place: aurora::Place,
    sqlstate: String,
    message: String,
}

impl Knowledge {
    /// The version that the database accepted last.
    pub(crate) fn accepted(&self) -> Option<Arc<SecretVersion>> {
        self.facts().accepted.clone()
    }

    /// The same, if it was a moment ago.
    pub(crate) fn proven(&self, now: Instant) -> Option<Arc<SecretVersion>> {
        let facts = self.facts();
        let proven = facts.proven?;
        (now.duration_since(proven) <= PROVEN_FOR)
            .then(|| facts.accepted.clone())
            .flatten()
    }

    /// The database accepted `version`.
    pub(crate) fn accept(&self, version: &Arc<SecretVersion>, now: Instant) {
        *self.facts() = Facts {
            accepted: Some(Arc::clone(version)),
            proven: Some(now),
            search: None,
            refusal: None,
        };
    }

    /// The database refused `version`. A late refusal of what is outdated by now means nothing.
    pub(crate) fn refuse(&self, version: &SecretVersion, error: &LoginError, now: Instant) {
        let mut facts = self.facts();
        let outdated = facts
            .accepted
            .as_ref()
            .is_some_and(|accepted| accepted.version_id != version.version_id);
        if outdated && facts.proven.is_some() {
            return;
        }
        facts.proven = None;
        facts.refusal = Refusal::of(error);
        let search = facts.search_left(now).cloned().unwrap_or_else(|| {
            let (search, _) = fallback::start(Some(&version.version_id));
            let sqlstate = error.sqlstate().unwrap_or_default();
            fallback::next(search, Outcome::Refused { sqlstate }).0
        });
        facts.search = Some((search, now));
    }

    /// How far a search has got. Of one that has met no refusal yet there is nothing to know.
    pub(crate) fn note(&self, search: &Search) {
        if let Some((noted, _)) = &mut self.facts().search {
            noted.clone_from(search);
        }
    }

    /// A search that was left unfinished a moment ago, and its last refusal.
    pub(crate) fn search_left(&self, now: Instant) -> Option<(Search, Option<LoginError>)> {
        let facts = self.facts();
        let search = facts.search_left(now)?.clone();
        Some((search, facts.refusal.clone().map(LoginError::from)))
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Facts {
    fn search_left(&self, now: Instant) -> Option<&Search> {
        self.search
            .as_ref()
            .filter(|(_, since)| now.duration_since(*since) <= SEARCH_HOLDS_FOR)
            .map(|(search, _)| search)
    }
}

impl Refusal {
    fn of(error: &LoginError) -> Option<Self> {
        match error {
            LoginError::Refused {
                place,
                sqlstate,
                message,
            } => Some(Self {
                place: place.clone(),
                sqlstate: sqlstate.clone(),
                message: message.clone(),
            }),
            _ => None,
        }
    }
}

impl From<Refusal> for LoginError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused {
            place: refusal.place,
            sqlstate: refusal.sqlstate,
            message: refusal.message,
        }
    }
}

#[cfg(test)]
mod tests {
    use aurora::{Target, Transport};
    use secrets::{LoginSecret, Stage};

    use crate::fallback::Try;

    use super::*;

    fn version(version_id: &str) -> Arc<SecretVersion> {
        Arc::new(SecretVersion {
            arn: "arn".to_owned(),
            version_id: version_id.to_owned(),
            stage: Stage::Current,
            secret: LoginSecret::parse(&r#"{"username":"u","password":"p"}"#.into()).unwrap(),
            target: Target {
                host: "h".to_owned(),
                port: 5432,
                dbname: "d".to_owned(),
            },
        })
    }

    fn refusal() -> LoginError {
        LoginError::Refused {
            place: aurora::Place {
                host: "h".to_owned(),
                port: 5432,
                transport: Transport::Tls,
            },
            sqlstate: "28P01".to_owned(),
            message: "no".to_owned(),
        }
    }

    #[test]
    fn a_version_is_proven_for_a_moment() {
        let (knowledge, now) = (Knowledge::default(), Instant::now());
        assert!(knowledge.proven(now).is_none());
        knowledge.accept(&version("v1"), now);
        assert!(knowledge.proven(now + PROVEN_FOR).is_some());
        assert!(knowledge.proven(now + 2 * PROVEN_FOR).is_none());
        assert_eq!(knowledge.accepted().unwrap().version_id, "v1");
    }

    #[test]
    fn a_refusal_starts_a_search_that_the_next_task_takes_up() {
        let (knowledge, now) = (Knowledge::default(), Instant::now());
        knowledge.accept(&version("v1"), now);
        knowledge.refuse(&version("v1"), &refusal(), now);
        assert!(knowledge.proven(now).is_none());

        let (search, error) = knowledge.search_left(now).unwrap();
        assert_eq!(error.unwrap().sqlstate(), Some("28P01"));
        let (search, what) = fallback::resume(search);
        assert_eq!(what, Try::Read(Stage::Current));
        let same = Outcome::Found {
            version_id: "v1",
            stands_in: true,
        };
        assert_eq!(fallback::next(search, same).1, Try::Read(Stage::Pending));

        assert!(knowledge.search_left(now + 2 * SEARCH_HOLDS_FOR).is_none());
    }

    #[test]
    fn a_late_refusal_of_an_outdated_version_means_nothing() {
        let (knowledge, now) = (Knowledge::default(), Instant::now());
        knowledge.accept(&version("v2"), now);
        knowledge.refuse(&version("v1"), &refusal(), now);
        assert_eq!(knowledge.proven(now).unwrap().version_id, "v2");
        assert!(knowledge.search_left(now).is_none());
    }

    #[test]
    fn a_login_ends_the_search() {
        let (knowledge, now) = (Knowledge::default(), Instant::now());
        knowledge.refuse(&version("v1"), &refusal(), now);
        assert!(knowledge.search_left(now).is_some());
        knowledge.accept(&version("v2"), now);
        assert!(knowledge.search_left(now).is_none());
    }
}
