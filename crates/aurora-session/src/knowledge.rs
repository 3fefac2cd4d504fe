//! What the tasks that share a session have learnt about the secret.
//!
//! Written down as it is learnt, so that a task may be dropped at any point and the next one goes on
//! from there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aurora::LoginError;
use tokio::time::Instant;

use crate::fallback::{self, Outcome, Search};
use crate::{SecretVersion, SourceError};

/// For so long after its last refusal a search is taken up and not begun anew: it goes on watching the
/// labels, so that connects in a row do not each bring refused logins. Not for ever: somebody may
/// repair the password in the database, which moves no label.
const SEARCH_HOLDS_FOR: Duration = Duration::from_secs(30);
/// The same for a search that has ended without a version that will do: it watches nothing any more, so
/// nothing but another look can find out that the reason has gone.
const END_HOLDS_FOR: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(crate) struct Knowledge(Mutex<Facts>);

#[derive(Default)]
struct Facts {
    accepted: Option<Arc<SecretVersion>>,
    /// Nobody was refused with `accepted` since a search has found it.
    is_trusted: bool,
    /// A search that has met refusals only, and when the last of them was.
    search: Option<(Search, Instant)>,
    /// The last refusal of that search.
    refusal: Option<Refusal>,
    /// Why a version that the search has asked for could not be read.
    unread: Option<SourceError>,
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

    /// The same, unless it was refused since.
    pub(crate) fn trusted(&self) -> Option<Arc<SecretVersion>> {
        let facts = self.facts();
        facts.accepted.clone().filter(|_| facts.is_trusted)
    }

    /// A search has found that the database accepts `version`.
    ///
    /// A login with a version that is trusted already says nothing new, and must not be told here: the
    /// server may have accepted it just before the refusal of another that was learnt first.
    pub(crate) fn accept(&self, version: &Arc<SecretVersion>) {
        *self.facts() = Facts {
            accepted: Some(Arc::clone(version)),
            is_trusted: true,
            ..Facts::default()
        };
    }

    /// The database refused `version`. A late refusal of what is outdated by now means nothing.
    pub(crate) fn refuse(&self, version: &SecretVersion, error: &LoginError, now: Instant) {
        let mut facts = self.facts();
        let is_accepted = facts
            .accepted
            .as_ref()
            .is_some_and(|accepted| accepted.version_id == version.version_id);
        if facts.is_trusted && !is_accepted {
            return;
        }
        facts.is_trusted = false;
        facts.refusal = Refusal::of(error);
        let search = facts.search_left(now).cloned().unwrap_or_else(|| {
            let (search, _) = fallback::start(Some(&version.version_id));
            let sqlstate = error.sqlstate().unwrap_or_default();
            fallback::next(search, Outcome::Refused { sqlstate }).0
        });
        facts.search = Some((search, now));
    }

    /// How far a search has got, and what keeps it from a version. Of a search that has met no refusal
    /// yet only the latter is of use to others.
    pub(crate) fn note(&self, search: &Search, unread: Option<&SourceError>) {
        let mut facts = self.facts();
        facts.unread = unread.cloned();
        if let Some((noted, _)) = &mut facts.search {
            noted.clone_from(search);
        }
    }

    /// A search that was left unfinished a moment ago.
    pub(crate) fn search_left(&self, now: Instant) -> Option<Search> {
        self.facts().search_left(now).cloned()
    }

    /// Whether a search was noted so long ago that its refusals may not hold any more; it is forgotten
    /// then.
    pub(crate) fn forget_outdated(&self, now: Instant) -> bool {
        let mut facts = self.facts();
        let is_outdated = facts.search.is_some() && facts.search_left(now).is_none();
        if is_outdated {
            facts.search = None;
        }
        is_outdated
    }

    /// The last refusal and the last failure of the source that nothing has made good since.
    pub(crate) fn reasons(&self) -> (Option<LoginError>, Option<SourceError>) {
        let facts = self.facts();
        let refusal = facts.refusal.clone().map(LoginError::from);
        (refusal, facts.unread.clone())
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Facts {
    fn search_left(&self, now: Instant) -> Option<&Search> {
        let (search, since) = self.search.as_ref()?;
        let holds_for = if search.is_over() {
            END_HOLDS_FOR
        } else {
            SEARCH_HOLDS_FOR
        };
        (now.duration_since(*since) <= holds_for).then_some(search)
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
    fn a_version_is_trusted_until_it_is_refused() {
        let (knowledge, now) = (Knowledge::default(), Instant::now());
        assert!(knowledge.trusted().is_none());
        knowledge.accept(&version("v1"));
        assert_eq!(knowledge.trusted().unwrap().version_id, "v1");
        knowledge.refuse(&version("v1"), &refusal(), now);
        assert!(knowledge.trusted().is_none());
        assert_eq!(knowledge.accepted().unwrap().version_id, "v1");
    }

    #[test]
    fn a_refusal_starts_a_search_that_the_next_task_takes_up() {
        let (knowledge, now) = (Knowledge::default(), Instant::now());
        knowledge.accept(&version("v1"));
        knowledge.refuse(&version("v1"), &refusal(), now);
        let search = knowledge.search_left(now).unwrap();
        let (search, what) = fallback::resume(search);
        assert_eq!(what, Try::Read(Stage::Current));
        let same = Outcome::Found {
            version_id: "v1",
            stands_in: true,
        };
        assert_eq!(fallback::next(search, same).1, Try::Read(Stage::Pending));
    }

    #[test]
    fn a_search_is_begun_anew_when_its_refusals_are_old() {
        let (knowledge, now) = (Knowledge::default(), Instant::now());
        assert!(!knowledge.forget_outdated(now));
        knowledge.refuse(&version("v1"), &refusal(), now);
        assert!(knowledge.search_left(now + SEARCH_HOLDS_FOR).is_some());
        assert!(!knowledge.forget_outdated(now + SEARCH_HOLDS_FOR));
        let later = now + 2 * SEARCH_HOLDS_FOR;
        assert!(knowledge.search_left(later).is_none());
        assert!(knowledge.forget_outdated(later));
        assert!(!knowledge.forget_outdated(later), "once");
    }

    #[test]
    fn a_search_that_is_over_holds_for_a_shorter_time() {
        let (knowledge, now) = (Knowledge::default(), Instant::now());
        knowledge.refuse(&version("v1"), &refusal(), now);
        let search = knowledge.search_left(now).unwrap();
        let (search, what) = fallback::next(search, Outcome::Denied);
        assert_eq!(what, Try::GiveUp);
        knowledge.note(&search, None);
        assert!(knowledge.search_left(now + END_HOLDS_FOR).is_some());
        assert!(knowledge.search_left(now + 2 * END_HOLDS_FOR).is_none());
    }

    #[test]
    fn a_late_refusal_of_an_outdated_version_means_nothing() {
        let (knowledge, now) = (Knowledge::default(), Instant::now());
        knowledge.accept(&version("v2"));
        knowledge.refuse(&version("v1"), &refusal(), now);
        assert_eq!(knowledge.trusted().unwrap().version_id, "v2");
        assert!(knowledge.search_left(now).is_none());
    }

    #[test]
    fn the_reasons_of_a_search_are_there_for_others_until_it_succeeds() {
        let (knowledge, now) = (Knowledge::default(), Instant::now());
        let (search, _) = fallback::start(None);
        knowledge.note(&search, Some(&SourceError::TimedOut));
        let (refusal_so_far, unread) = knowledge.reasons();
        assert!(refusal_so_far.is_none());
        assert_eq!(unread.unwrap().code(), "SOURCE_TIMED_OUT");
        knowledge.refuse(&version("v1"), &refusal(), now);
        let (refusal, unread) = knowledge.reasons();
        assert_eq!(refusal.unwrap().sqlstate(), Some("28P01"));
        assert!(unread.is_some());
        knowledge.accept(&version("v2"));
        assert!(matches!(knowledge.reasons(), (None, None)));
        assert!(knowledge.search_left(now).is_none());
    }
}
