//! What an invocation counts, and what it is at, for its log line.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use tokio::time::Instant;

/// What is known of an invocation's course, also where its time ran out.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) doing: Cell<&'static str>,
    /// Logins that were wanted, each of which may take several attempts.
    pub(crate) logins: Cell<u32>,
    pub(crate) refused_logins: Cell<u32>,
    pub(crate) login_attempts: Cell<u32>,
    pub(crate) api_calls: Cell<u32>,
    /// The version without a label in whose session the password was changed.
    pub(crate) recovered_from: RefCell<Option<String>>,
    warnings: RefCell<Vec<Warning>>,
    committed_at: Cell<Option<Instant>>,
    gap: Cell<Option<Duration>>,
    waiting: Cell<Option<(Server, Instant)>>,
    waited: Cell<[Duration; 2]>,
}

/// Whom an invocation waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Server {
    SecretsManager,
    Database,
}

/// Something that is not as it should be, although the step goes on.
#[derive(Debug)]
struct Warning {
    code: String,
    text: String,
}

impl Progress {
    /// Notes a warning, once for each code.
    pub(crate) fn warn(&self, code: &str, text: String) {
        let mut warnings = self.warnings.borrow_mut();
        if warnings.iter().all(|warning| warning.code != code) {
            let code = code.to_owned();
            warnings.push(Warning { code, text });
        }
    }

    /// Codes and texts of the warnings; `None` where there are none.
    pub(crate) fn warnings(&self) -> Option<(String, String)> {
        let warnings = self.warnings.borrow();
        let join = |part: fn(&Warning) -> &str| {
            let parts: Vec<&str> = warnings.iter().map(part).collect();
            parts.join("; ")
        };
        let texts = (join(|warning| &warning.code), join(|warning| &warning.text));
        (!warnings.is_empty()).then_some(texts)
    }

    /// From `now` on the invocation waits for `server`, or for nobody.
    pub(super) fn wait_for(&self, server: Option<Server>, now: Instant) {
        if let Some((server, since)) = self.waiting.take() {
            let mut waited = self.waited.get();
            let [secrets_manager, database] = &mut waited;
            *match server {
                Server::SecretsManager => secrets_manager,
                Server::Database => database,
            } += now - since;
            self.waited.set(waited);
        }
        self.waiting.set(server.map(|server| (server, now)));
    }

    /// How long it has waited until `now` for Secrets Manager and for the database.
    pub(crate) fn waited(&self, now: Instant) -> (Duration, Duration) {
        self.wait_for(None, now);
        let [secrets_manager, database] = self.waited.get();
        (secrets_manager, database)
    }

    /// The server has answered the commit of the new password.
    pub(super) fn committed(&self, now: Instant) {
        self.committed_at.set(Some(now));
    }

    /// The service has answered the move of `AWSCURRENT`.
    pub(super) fn moved(&self, now: Instant) {
        let committed_at = self.committed_at.get();
        self.gap.set(committed_at.map(|committed| now - committed));
    }

    /// Time between the two, in which whoever reads `AWSCURRENT` alone is refused; `None` where they were not both in this
    /// invocation.
    pub(crate) fn gap(&self) -> Option<Duration> {
        self.gap.get()
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            doing: Cell::new("read the event"),
            logins: Cell::default(),
            refused_logins: Cell::default(),
            login_attempts: Cell::default(),
            api_calls: Cell::default(),
            recovered_from: RefCell::default(),
            warnings: RefCell::default(),
            committed_at: Cell::default(),
            gap: Cell::default(),
            waiting: Cell::default(),
            waited: Cell::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_told_once() {
        let progress = Progress::default();
        assert_eq!(progress.warnings(), None);
        progress.warn("A", "a".to_owned());
        progress.warn("B", "b".to_owned());
        progress.warn("A", "again".to_owned());
        assert_eq!(
            progress.warnings(),
            Some(("A; B".to_owned(), "a; b".to_owned()))
        );
    }

    #[test]
    fn times_are_those_of_who_was_waited_for() {
        let (progress, start) = (Progress::default(), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        progress.wait_for(Some(Server::SecretsManager), at(0));
        progress.wait_for(Some(Server::Database), at(10));
        progress.wait_for(Some(Server::SecretsManager), at(30));
        let expected = (Duration::from_millis(40), Duration::from_millis(20));
        assert_eq!(progress.waited(at(60)), expected);
        assert_eq!(progress.waited(at(110)), expected);
    }

    #[test]
    fn the_gap_is_known_where_both_its_ends_are() {
        let (progress, start) = (Progress::default(), Instant::now());
        progress.moved(start);
        assert_eq!(progress.gap(), None);
        progress.committed(start);
        progress.moved(start + Duration::from_millis(7));
        assert_eq!(progress.gap(), Some(Duration::from_millis(7)));
    }
}
